//! Upgrade and restore, and the elements that every mode refuses.

use super::disk::selector;
use super::element::Element;
use super::source::medium_only;
use crate::answers::{
    Finish, Health, MachineRules, OnError, RollbackAnswers, Safety, Source, UpgradeAnswers,
    UpgradeLayout,
};
use crate::problem::{Problem, Problems};

/// Elements that are understood and cannot be followed: the name, why, what to use instead.
const REFUSED: [(&str, &str, &str); 9] = [
    ("driver-source", "driver disks are not available", "drivers come with the release's kernel"),
    ("fcoe-interface", "FCoE is not available", "a local disk, or an adapter that shows one"),
    ("initial-partitions", "the old installer's own tests used this", "leave it out"),
    ("raid", "software RAID is not available yet", "one disk, or a RAID made by the controller"),
    ("selected-multiversion-drivers", "there is one version of each driver", "leave it out"),
    ("service", "services cannot be chosen yet", "`systemctl` in a script of `first_boot`"),
    ("target-platform", "there is one platform", "leave it out"),
    ("zap-utility-partitions", "not available", "`on_existing: wipe` in a YAML answer file"),
    ("multipath", "multipath is not available", "one path to the disk"),
];

pub(super) fn refused(root: &mut Element<'_, '_>, problems: &mut Problems) {
    for (name, why, instead) in REFUSED {
        for element in root.all(name) {
            element.refuse(problems, why, instead);
        }
    }
    confirmation(root, problems);
}

/// Only an installation runs scripts.
fn no_scripts(root: &mut Element<'_, '_>, problems: &mut Problems) {
    for name in ["script", "post-install-script", "install-failed-script"] {
        for element in root.all(name) {
            element.refuse(problems, "only an installation runs scripts yet", "leave it out");
        }
    }
}

/// Any text, also `false`, meant yes.
fn confirmation(root: &mut Element<'_, '_>, problems: &mut Problems) {
    let Some(element) = root.one("ui-confirmation-prompt", problems) else { return };
    match element.text().to_ascii_lowercase().as_str() {
        "" => {}
        "false" | "no" => {
            let what = "the old installer took `false` for yes and asked; here nobody is asked";
            problems.warn(Problem::new(element.at(), element.path(), what));
        }
        _ => element.refuse(
            problems,
            "asking during an automatic installation is not available yet",
            "start the installation without an answer file to be asked",
        ),
    }
}

/// Elements of a fresh installation, which an upgrade or a restore has no use for.
const FRESH: [&str; 19] = [
    "bootloader",
    "network-backend",
    "admin-interface",
    "root-password",
    "name-server",
    "nameserver",
    "hostname",
    "timezone",
    "ntp",
    "ntp-server",
    "ntp-servers",
    "keymap",
    "ssh-mode",
    "primary-disk",
    "guest-disks",
    "source",
    "existing-installation",
    "backup-disk",
    "sr-type",
];

fn useless(root: &mut Element<'_, '_>, except: &[&str], problems: &mut Problems) {
    for name in FRESH.into_iter().filter(|name| !except.contains(name)) {
        for element in root.all(name) {
            let what = "this has no meaning here; the old installer ignored it";
            element.refuse(problems, what, "what is installed is kept as it is");
        }
    }
}

pub(super) fn upgrade(
    root: &mut Element<'_, '_>,
    problems: &mut Problems,
) -> Option<UpgradeAnswers> {
    medium_only(root, problems);
    refused(root, problems);
    no_scripts(root, problems);
    useless(root, &["source", "existing-installation", "primary-disk"], problems);
    if let Some(element) = root.one("primary-disk", problems) {
        let what = "`existing-installation` names the disk; `primary-disk` is obsolete here";
        problems.warn(Problem::new(element.at(), element.path(), what));
    }
    let Some(element) = root.one("existing-installation", problems) else {
        root.refuse(problems, "`existing-installation` is missing", "");
        return None;
    };
    let disk = selector(&element, problems);
    element.finish(problems);
    let what = "the old installer divided a disk with partitions of 4 GiB anew where a marker file \
                said so, and copied the old system; here a host of XenServer is taken over beside \
                the old system, and only where its storage repository is proven empty";
    let problem = Problem::new(root.at(), "", what);
    problems
        .warn(problem.hint("`host-installer convert` writes it as `upgrade: {layout: modern}`"));
    Some(UpgradeAnswers {
        deployment_id: None,
        machine: MachineRules::default(),
        safety: Safety::default(),
        disk: disk?,
        layout: UpgradeLayout::Modern,
        keep: Vec::new(),
        source: Source::Medium,
        health: Health::default(),
        report: Vec::new(),
        finish: Finish::Reboot,
        on_error: OnError::Shell,
    })
}

pub(super) fn rollback(
    root: &mut Element<'_, '_>,
    problems: &mut Problems,
) -> Option<RollbackAnswers> {
    refused(root, problems);
    no_scripts(root, problems);
    useless(root, &["backup-disk"], problems);
    let what = "the old installer copied a backup back; here the host starts its other slot again";
    problems.warn(Problem::new(root.at(), "", what));
    let disk = match root.one("backup-disk", problems) {
        None => None,
        Some(element) => {
            let disk = selector(&element, problems);
            element.finish(problems);
            Some(disk?)
        }
    };
    Some(RollbackAnswers {
        machine: MachineRules::default(),
        disk,
        report: Vec::new(),
        finish: Finish::Reboot,
        on_error: OnError::Shell,
    })
}
