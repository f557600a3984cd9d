//! Signatures that are none of this crate's business, as `blkid` knows them: some hundred file
//! systems, RAID members and encrypted volumes. Here is what to ask and what the answer means;
//! running the program is the caller's.

use super::{Inspection, Table};
use crate::table::Geometry;

/// The exit status of `blkid` where nothing was found.
pub const NOTHING: i32 = 2;
/// The exit status for several signatures that contradict each other.
pub const AMBIVALENT: i32 = 8;

/// The arguments before the path, for a range in bytes.
pub fn args(start: u64, length: u64) -> [String; 7] {
    ["-p", "-o", "export", "-O", &start.to_string(), "-S", &length.to_string()].map(str::to_owned)
}

/// What an answer says of the content; `None` where nothing is known.
pub fn describe(status: i32, text: &str) -> Option<String> {
    if status == AMBIVALENT {
        return Some("several signatures that contradict each other".to_owned());
    }
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
        // `blkid` quotes what a shell would not take.
        Some(line.replace('\\', ""))
    };
    let kind = match (value("TYPE"), value("PTTYPE")) {
        (Some(kind), _) => kind,
        // Tables that our own reader knows, and found empty.
        (None, Some(table)) if table == "gpt" || table == "dos" || table == "PMBR" => return None,
        (None, Some(table)) => format!("a partition table of type {table}"),
        (None, None) => return None,
    };
    Some(match value("LABEL") {
        Some(label) => format!("{kind} \"{label}\""),
        None => kind,
    })
}

/// Asks about every place of which nothing is known. `ask` gets a range in bytes, start and length.
pub fn complete(
    found: &mut Inspection,
    geometry: Geometry,
    ask: &mut dyn FnMut(u64, u64) -> Option<String>,
) {
    if found.table == Table::Unfinished {
        // Given up by consent already, whatever the half of it is that is there.
        return;
    }
    let block = geometry.block_size.bytes();
    for partition in found.partitions.iter_mut().filter(|partition| partition.content.is_none()) {
        let start = partition.extent.first().get().saturating_mul(block);
        let Some(what) = ask(start, partition.extent.blocks().saturating_mul(block)) else {
            continue;
        };
        let prefix = format!("partition {}: ", partition.number);
        let line = format!("{prefix}{what}");
        match found.content.iter_mut().find(|line| line.starts_with(&prefix)) {
            Some(old) => *old = line,
            None => found.content.push(line),
        }
        partition.content = Some(what);
    }
    // Systems that need no table put their signature at the start of the disk, or at its end.
    if found.content.is_empty() {
        let whole = ask(0, geometry.size().get());
        found.content.extend(whole.map(|what| format!("whole disk: {what}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::apply;
    use crate::block::memory::MemDisk;
    use crate::ids::Ids;
    use crate::inspect::inspect;
    use crate::layout::Firmware;
    use crate::table::{TableRequest, plan_table};
    use crate::units::{BlockSize, Bytes};
    use crate::write;

    /// The rest of an installation that was cut off is not asked about: it is no content that
    /// would have to be given up once more.
    #[test]
    fn an_unfinished_installation_holds_nothing() {
        let geometry = Geometry::of_size(Bytes::gib(60), BlockSize::B512);
        let request = TableRequest::new(Firmware::Uefi);
        let table = plan_table(geometry, &request, &mut Ids::from_seed([1; 32])).unwrap();
        let mut disk = MemDisk::new("sda", geometry.block_size, geometry.blocks);
        let asked = |disk: &mut MemDisk| {
            let (mut found, mut count) = (inspect(disk).unwrap(), 0_u32);
            complete(&mut found, geometry, &mut |_, _| {
                count = count.saturating_add(1);
                Some("ext4".to_owned())
            });
            (count, found.content.len())
        };
        write::disarm(&mut disk, &table).unwrap();
        write::write_table(&mut disk, &table).unwrap();
        assert_eq!(asked(&mut disk), (0, 0));
        apply(&mut disk, &table, &mut || true).unwrap();
        assert_eq!(asked(&mut disk), (6, 6));
    }

    #[track_caller]
    fn check(status: i32, text: &str, want: Option<&str>) {
        assert_eq!(describe(status, text).as_deref(), want);
    }

    #[test]
    fn what_blkid_says() {
        check(0, "DEVNAME=x\nLABEL=my\\ disk\nTYPE=ext4\n", Some("ext4 \"my disk\""));
        check(0, "DEVNAME=x\nUUID=1\nTYPE=LVM2_member\n", Some("LVM2_member"));
        check(0, "DEVNAME=x\nPTTYPE=sun\n", Some("a partition table of type sun"));
        check(0, "DEVNAME=x\nPTUUID=1\nPTTYPE=gpt\n", None);
        check(NOTHING, "", None);
        check(AMBIVALENT, "", Some("several signatures that contradict each other"));
    }
}
