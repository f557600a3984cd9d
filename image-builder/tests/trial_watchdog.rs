//! The script of the initramfs that has Xen watch a system on trial, run in a folder that stands
//! for the machine. That Xen then does what it is asked is seen in QEMU.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::Path;

use image_builder::exec::Call;
use image_builder::rootfs::overlay::FILES;

const SCRIPT: &str = "etc/initramfs-tools/scripts/init-top/00-xenhost-trial";
const ASKED: &str = "run/systemd/system.conf.d/xenhost-trial.conf";
/// Shell text that loads the driver with the time-out it was given, or with its own.
const LOADED: &str = "d=sys/class/watchdog/watchdog1; mkdir $d; echo xen_wdt >$d/identity; \
                      echo ${3#timeout=} >$d/timeout";
const LOADED_BEFORE: &str = "d=sys/class/watchdog/watchdog1; mkdir $d; echo xen_wdt >$d/identity; \
                             echo 60 >$d/timeout";

/// What is left of a start with this kernel line.
struct Left {
    /// What `modprobe` was asked.
    modules: String,
    /// What was written to the watchdogs: the chipset's, and Xen's.
    fed: [String; 2],
    /// What systemd is asked.
    asked: Option<String>,
}

/// `driver`: the shell text that loads it.
fn started(kernel_line: &str, driver: &str) -> Left {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    for folder in ["proc", "sys/class/watchdog/watchdog0", "run", "dev", "bin"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    fs::write(root.join("sys/class/watchdog/watchdog0/identity"), "iTCO_wdt\n").unwrap();
    fs::write(root.join("sys/class/watchdog/watchdog0/timeout"), "900\n").unwrap();
    fs::write(root.join("proc/cmdline"), format!("{kernel_line}\n")).unwrap();
    fs::write(root.join("dev/watchdog0"), "").unwrap();
    fs::write(root.join("dev/watchdog1"), "").unwrap();
    let modprobe = format!("#!/bin/sh\necho \"$@\" >>modules\n{driver}\n");
    put_program(&root.join("bin/modprobe"), &modprobe);
    let script = FILES.iter().find(|file| file.path == SCRIPT).unwrap();
    let body = ["/proc/", "/sys/", "/run/", "/dev/"].iter().fold(
        script.body.to_owned(),
        |body, folder| {
            assert!(body.contains(folder), "{SCRIPT} does not look at {folder}");
            body.replace(folder, &format!("{}{folder}", root.display()))
        },
    );
    put_program(&root.join("script"), &body);
    let path = format!("{}:/usr/bin:/bin", root.join("bin").display());
    let call = Call::host("sh", "dash").unwrap().arg(root.join("script")).dir(root);
    call.env("PATH", path).output().unwrap();
    let read = |name: &str| fs::read_to_string(root.join(name)).unwrap_or_default();
    let asked = fs::read_to_string(root.join(ASKED)).ok();
    Left {
        modules: read("modules"),
        fed: ["dev/watchdog0", "dev/watchdog1"].map(read),
        asked: asked.map(|text| text.replace(&root.display().to_string(), "")),
    }
}

fn put_program(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_trial_is_watched_by_xen_and_then_by_systemd() {
    let left = started("root=x ro xenhost.trial panic=10", LOADED);
    assert_eq!(left.modules, "-q xen_wdt timeout=900\n");
    assert_eq!(left.fed, ["", "\n"], "the chipset's watchdog, and Xen's");
    let asked = left.asked.unwrap();
    let want = ["[Manager]", "WatchdogDevice=/dev/watchdog1", "RuntimeWatchdogSec=5min"];
    assert_eq!(asked.lines().collect::<Vec<_>>(), want);
}

#[test]
fn a_system_that_is_not_on_trial_is_not_watched() {
    for line in ["root=x ro panic=10", "xenhost.trials", "root=x.xenhost.trial", ""] {
        let left = started(line, LOADED);
        assert_eq!((left.modules.as_str(), left.fed), ("", [""; 2].map(str::to_owned)), "{line}");
        assert_eq!(left.asked, None, "{line}");
    }
}

#[test]
fn a_minute_is_not_given_to_an_initramfs() {
    let left = started("xenhost.trial", LOADED_BEFORE);
    assert_eq!(left.fed, [""; 2].map(str::to_owned));
    assert!(left.asked.unwrap().contains("\nWatchdogDevice=/dev/watchdog1\n"));
}

#[test]
fn a_trial_without_xen_or_its_driver_goes_on() {
    for driver in ["exit 1", "true"] {
        let left = started("xenhost.trial", driver);
        assert_eq!((left.fed, left.asked), ([""; 2].map(str::to_owned), None), "{driver}");
    }
}
