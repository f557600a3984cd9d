//! Fresh file systems beside the slot: logs and swap.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use installer_core::outcome::Exit;
use partitioner::ids::Guid;

use crate::call::{Call, CallError, Run};
use crate::slot::{self, SlotError};

/// Pinned, so that neither the version of `mke2fs` nor its configuration file decides. The same
/// as a slot has: GRUB 2.06 reads them all.
pub const EXT4_FEATURES: &str = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,\
                                 64bit,flex_bg,sparse_super,large_file,huge_file,dir_nlink,\
                                 extra_isize,metadata_csum";

/// What can go wrong with a fresh file system.
#[derive(Debug, thiserror::Error)]
pub enum FreshError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Slot(#[from] SlotError),
    #[error("reading {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} does not hold the swap area that was made there", path.display())]
    NotSwap { path: PathBuf },
}

impl FreshError {
    pub fn exit(&self) -> Exit {
        match self {
            Self::Call(_) => Exit::ToolFailed,
            Self::Slot(error) => error.exit(),
            Self::Read { .. } | Self::NotSwap { .. } => Exit::IoBeforeCommit,
        }
    }
}

/// An empty ext4, checked.
pub fn make_ext4(run: &mut dyn Run, at: &Path, uuid: Guid, label: &str) -> Result<(), FreshError> {
    let call = Call::new("mke2fs")
        .args([
            "-q",
            "-F",
            "-t",
            "ext4",
            "-O",
            EXT4_FEATURES,
            "-b",
            "4096",
            "-I",
            "256",
            "-i",
            "16384",
        ])
        .args(["-m", "1", "-U", &uuid.to_string(), "-L", label])
        // Inode tables are zeroed by the kernel later; the journal is not left with old blocks.
        .args(["-E", "lazy_itable_init=1,lazy_journal_init=0,nodiscard,root_owner=0:0"])
        .arg(at)
        .env("MKE2FS_CONFIG", "/dev/null");
    run.run(&call)?;
    slot::check_identity(at, uuid, label)?;
    Ok(slot::check(run, at)?)
}

/// A swap area.
pub fn make_swap(run: &mut dyn Run, at: &Path, uuid: Guid, label: &str) -> Result<(), FreshError> {
    run.run(&Call::new("mkswap").args(["-L", label, "-U", &uuid.to_string()]).arg(at))?;
    // The header of mkswap(8), version 1: UUID at 1036, label at 1052, magic at 4086.
    let mut page = [0; 4096];
    File::open(at)
        .and_then(|file| file.read_exact_at(&mut page, 0))
        .map_err(|source| FreshError::Read { path: at.to_owned(), source })?;
    let same = page.ends_with(b"SWAPSPACE2")
        && page[1036..1052] == uuid.to_bytes()
        && page[1052..].starts_with(label.as_bytes());
    if same { Ok(()) } else { Err(FreshError::NotSwap { path: at.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Processes;

    const UUID: Guid = Guid::from_u128(0x1111_1111_2222_4333_8444_5555_5555_5555);

    fn blank(bytes: u64) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(bytes).unwrap();
        file
    }

    fn output(program: &'static str, args: &[&str], at: &Path) -> String {
        Processes.run(&Call::new(program).args(args).arg(at)).unwrap().stdout_text()
    }

    #[test]
    fn logs_have_the_pinned_features_and_no_others() {
        let file = blank(4 << 30);
        make_ext4(&mut Processes, file.path(), UUID, "logs-12345678").unwrap();
        let text = output("dumpe2fs", &["-h"], file.path());
        let line = text.lines().find_map(|l| l.strip_prefix("Filesystem features:")).unwrap();
        let have: std::collections::BTreeSet<&str> = line.split_whitespace().collect();
        let want = EXT4_FEATURES.split(',').filter(|f| *f != "none").collect();
        assert_eq!(have, want);
        assert!(text.contains("Total journal size:       64M"), "{text}");
    }

    #[test]
    fn swap_is_what_blkid_says_it_is() {
        let file = blank(1 << 30);
        make_swap(&mut Processes, file.path(), UUID, "swap-12345678").unwrap();
        let text = output("blkid", &["-p"], file.path());
        assert!(text.contains(r#"LABEL="swap-12345678""#), "{text}");
        assert!(text.contains(&format!(r#"UUID="{UUID}""#)), "{text}");
    }
}
