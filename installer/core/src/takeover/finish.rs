//! What is left of a takeover once the new system was blessed: the old system goes to slot b as a
//! copy, and the final table takes the place of the trial table. Pure.
//!
//! No journal tells how far an earlier run came: the table that counts, the boot state and the log
//! partition do. Each step may simply be repeated.

use partitioner::takeover::{Again, Primary, Stage};

use super::FinishStep;
use super::host::TakenOver;
use super::old_boot::{OldBoot, copy_slot_cfg};
use super::own::OwnTexts;
use crate::bootstate::{BootState, Other, Slot, Trial};
use crate::outcome::Exit;
use crate::request::Refusal;
use crate::target::{Body, Inventory, TargetFile, label};
use crate::upgrade::{OwnError, SlotPlace, UpgradeFacts};

/// What is known of a host that was taken over.
#[derive(Clone, Debug)]
pub struct FinishFacts {
    pub host: UpgradeFacts,
    /// Of slot a.
    pub inventory: Inventory,
    pub taken: TakenOver,
    pub again: Again,
    /// Of the old root, as long as it is there.
    pub old: Option<OldTexts>,
    /// The log partition has its file system.
    pub logs_made: bool,
}

/// What the copy of the old system is started and mounted by.
#[derive(Clone, Debug)]
pub struct OldTexts {
    pub boot: OldBoot,
    pub fstab: String,
    /// Of a root of ours.
    pub own: Option<OwnTexts>,
}

/// What will be done.
#[derive(Clone, Debug)]
pub struct FinishPlan {
    pub facts: FinishFacts,
    /// Where the copy lies, and how it is named.
    pub place: SlotPlace,
    /// The label of the copy: no other file system has it.
    pub label: String,
    /// Files of the copy that are not those of the old root.
    pub files: Vec<TargetFile>,
    /// The boot state by which the copy is what is fallen back to.
    pub other: BootState,
    pub steps: Vec<FinishStep>,
}

fn no(message: impl Into<String>) -> Refusal {
    Refusal::new(Exit::NotUpgradeable, message)
}

/// Decides what is left, or refuses. [`Exit::Done`] where nothing is.
pub fn plan(facts: &FinishFacts) -> Result<FinishPlan, Refusal> {
    let state = facts.host.boot.state;
    let steps = steps(facts)?;
    if steps.is_empty() {
        let what = format!("nothing to finish: {} was taken over", facts.taken.named());
        return Err(Refusal::new(Exit::Done, what));
    }
    let own_error = |error: OwnError| no(error.to_string());
    let place = SlotPlace::of(&facts.inventory, Slot::B).map_err(own_error)?;
    let is_own = facts.old.as_ref().is_some_and(|old| old.own.is_some());
    // A slot of ours has the label of the disk, as the other one.
    let label = label(if is_own { "root" } else { "oldroot" }, facts.inventory.disk_id);
    let files = match &facts.old {
        Some(OldTexts { own: Some(own), fstab, .. }) => {
            let mut files = own.copy_files(fstab, &facts.inventory, place).map_err(own_error)?;
            files.push(TargetFile::file(TakenOver::PATH, 0o644, facts.taken.to_text()));
            files
        }
        Some(old) => copy_files(old, facts, place, &label),
        None => Vec::new(),
    };
    if steps.contains(&FinishStep::CopyOld) && files.is_empty() {
        return Err(no("the old root cannot be read, so that it cannot be copied"));
    }
    let generation = state.generation.saturating_add(1);
    let other = BootState { other: Other::B, generation, ..state };
    Ok(FinishPlan { facts: facts.clone(), place, label, files, other, steps })
}

fn steps(facts: &FinishFacts) -> Result<Vec<FinishStep>, Refusal> {
    use FinishStep as S;
    let state = facts.host.boot.state;
    let is_settled = facts.again.primary == Primary::Usual;
    let last = |mut steps: Vec<S>| {
        if facts.again.stage == Stage::Trial || !is_settled {
            steps.push(S::Settle);
        }
        if !facts.logs_made {
            steps.push(S::MakeLogs);
        }
        steps
    };
    if facts.again.stage == Stage::Last {
        return Ok(last(Vec::new()));
    }
    if state.trial == Trial::Over && state.slot == Slot::B {
        return Err(no("the copy of the old system is the chosen one, and slot a has to finish")
            .hint(
                "`host-installer rollback` goes forward to slot a, which finishes when it runs",
            ));
    }
    if state.trial == Trial::Pending || state.slot != Slot::A {
        return Err(no("the new system was not blessed yet, and the old one is its fallback")
            .hint("it is blessed after a good boot; `host-installer status` says how it stands"));
    }
    if facts.host.running.is_some_and(|running| running != Slot::A) {
        return Err(no("another system than slot a runs"));
    }
    let first = if is_settled { Vec::new() } else { vec![S::Settle] };
    match state.other {
        Other::Old => {
            let copy = [S::CopyOld, S::Verify, S::Other, S::PrepareTable, S::Commit];
            Ok(last(first.into_iter().chain(copy).collect()))
        }
        // The copy was whole before the boot state named it. A cut may have kept one of the two
        // files from doing so.
        Other::B => {
            let other = (!facts.host.boot.copies_agree).then_some(S::Other);
            let table = [S::PrepareTable, S::Commit];
            Ok(last(first.into_iter().chain(other).chain(table).collect()))
        }
        Other::A | Other::None => Err(no(format!(
            "the old system lies in its partition, and the boot state has {} to fall back to",
            state.other.word()
        ))),
    }
}

/// Boot menu, marker and fstab of the copy.
fn copy_files(
    old: &OldTexts,
    facts: &FinishFacts,
    place: SlotPlace,
    label: &str,
) -> Vec<TargetFile> {
    // Old initial file systems find labels for certain; UUIDs only those that are told so.
    let by_label = old.boot.root().is_some_and(|root| root.starts_with("LABEL="));
    let root = if by_label { format!("LABEL={label}") } else { format!("UUID={}", place.fs_uuid) };
    let folder = |path| TargetFile::root(path, 0o755, Body::Directory);
    vec![
        folder("boot/xenhost"),
        TargetFile::file("boot/xenhost/slot.cfg", 0o644, copy_slot_cfg(&old.boot.with_root(&root))),
        TargetFile::file("etc/fstab", 0o644, fstab(&old.fstab, &root)),
        folder("etc/xenhost"),
        TargetFile::file(TakenOver::PATH, 0o644, facts.taken.to_text()),
    ]
}

/// The old table with another root. The old boot partition is gone, and is no reason not to start.
fn fstab(old: &str, root: &str) -> String {
    let line = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        match fields.as_slice() {
            [first, ..] if first.starts_with('#') => line.to_owned(),
            [_, "/", rest @ ..] => format!("{root} / {}", rest.join(" ")),
            [_, at, ..] if at.starts_with("/boot") => format!("# gone: {line}"),
            _ => line.to_owned(),
        }
    };
    old.lines().map(|old| line(old) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_is_mounted_by_its_own_name() {
        let old = "# LABEL=a / x\nLABEL=root-a  /  ext3 defaults 1 1\n\
                   LABEL=BOOT-A /boot/efi vfat defaults 0 2\nnas:/x /mnt nfs ro 0 0\n";
        assert_eq!(
            fstab(old, "LABEL=oldroot-1"),
            "# LABEL=a / x\nLABEL=oldroot-1 / ext3 defaults 1 1\n\
             # gone: LABEL=BOOT-A /boot/efi vfat defaults 0 2\nnas:/x /mnt nfs ro 0 0\n"
        );
    }
}
