//! Bless on a boot partition that mkfs.vfat and mtools made, in a dom0 that is a folder.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use installer_core::bootstate::{GIVEN_UP, reason_block, tries_block};
use partitioner::block::file::FileDisk;
use partitioner::block::recorder::{Entry, Log, Recorder};
use partitioner::units::BlockSize;

use super::*;
use crate::call::{Output, Processes};

/// A dom0 in a folder; programs answer as told.
#[derive(Debug)]
struct Dom0 {
    folder: tempfile::TempDir,
    elapsed: Duration,
    /// Looks until the toolstack answers.
    unwell_looks: u32,
    failed_units: String,
    calls: Vec<String>,
    log: Option<Log>,
    no_xen: bool,
    unattached: Vec<String>,
    is_old: bool,
}

const TRIAL: BootState =
    BootState { slot: Slot::B, other: Other::A, trial: Trial::Pending, generation: 7 };

impl Dom0 {
    fn new(running: Slot, state: BootState) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir_all(root.join("etc/xenhost")).unwrap();
        std::fs::create_dir_all(root.join("sys/class/net/xenbr0/bridge")).unwrap();
        std::fs::create_dir_all(root.join("sys/class/net/xenbr0/brif/eth0")).unwrap();
        let inventory = format!(r#"{{"slot":"{running}","partuuid":{{"boot":"x"}},"more":1}}"#);
        std::fs::write(root.join(INVENTORY), inventory).unwrap();
        let dom0 = Self {
            folder,
            elapsed: Duration::ZERO,
            unwell_looks: 0,
            failed_units: String::new(),
            calls: Vec::new(),
            log: None,
            no_xen: false,
            unattached: Vec::new(),
            is_old: false,
        };
        dom0.make_boot(state);
        dom0
    }

    fn make_boot(&self, state: BootState) {
        File::create(self.boot()).unwrap().set_len(80 << 20).unwrap();
        let run = |call: Call| drop(Processes.run(&call).unwrap());
        run(Call::new("mkfs.vfat").args(["-F", "32", "-s", "2"]).arg(self.boot()));
        run(Call::new("mmd").arg("-i").arg(self.boot()).arg("::xenhost"));
        let files = [
            ("state.env", state.encode()),
            ("state2.env", state.encode()),
            ("tries.env", tries_block(2)),
            ("reason.txt", reason_block("")),
        ];
        for (name, content) in files {
            let source = self.folder.path().join(name);
            std::fs::write(&source, content).unwrap();
            let to = format!("::xenhost/{name}");
            run(Call::new("mcopy").arg("-i").arg(self.boot()).arg(&source).arg(to));
        }
    }

    fn boot(&self) -> PathBuf {
        self.folder.path().join("boot.img")
    }

    /// What mtools reads of a file: somebody else's view.
    fn file(&self, name: &str) -> Vec<u8> {
        let path = format!("::xenhost/{name}");
        let call = Call::new("mtype").arg("-i").arg(self.boot()).arg(path);
        Processes.run(&call).unwrap().stdout
    }

    fn states(&self) -> [Option<BootState>; 2] {
        ["state.env", "state2.env"].map(|name| BootState::decode(&self.file(name)).ok())
    }

    fn damage(&self, name: &str) {
        let mut disk = FileDisk::open(&self.boot(), BlockSize::B512).unwrap();
        let located = crate::fat_locate::locate(&mut disk, &format!("xenhost/{name}")).unwrap();
        let file = OpenOptions::new().write(true).open(self.boot()).unwrap();
        file.write_all_at(&[0; 512], located.first.get() * 512).unwrap();
    }

    fn bless(&mut self) -> Outcome {
        super::bless(self, Limits::DEFAULT).unwrap()
    }

    fn writes(&self) -> usize {
        let entries = self.log.as_ref().map(Log::entries).unwrap_or_default();
        entries.iter().filter(|entry| matches!(entry, Entry::Write { .. })).count()
    }
}

impl Run for Dom0 {
    fn run(&mut self, call: &Call) -> Result<Output, CallError> {
        self.calls.push(call.to_string());
        if call.program == "xl" && self.unwell_looks != 0 {
            self.unwell_looks -= 1;
            return Err(CallError::Timeout { call: Box::new(call.clone()), said: Vec::new() });
        }
        let stdout = match call.program {
            "systemctl" => self.failed_units.clone().into_bytes(),
            _ => Vec::new(),
        };
        Ok(Output { status: 0, stdout, stderr: Vec::new() })
    }
}

impl World for Dom0 {
    fn root(&self) -> &Path {
        self.folder.path()
    }

    fn elapsed(&self) -> Duration {
        self.elapsed
    }

    fn wait(&mut self, duration: Duration) {
        self.elapsed += duration;
    }

    fn unattached(&mut self) -> Vec<String> {
        self.unattached.clone()
    }

    fn keep_xen(&mut self) -> Result<(), BootMenuError> {
        let path = PathBuf::from("/boot");
        if self.no_xen { Err(BootMenuError::Nothing { path, what: "hypervisor" }) } else { Ok(()) }
    }

    fn is_old(&self) -> Result<bool, BlessError> {
        Ok(self.is_old)
    }

    fn open_boot(&mut self, partuuid: &str) -> Result<Box<dyn BlockIo>, BlessError> {
        assert_eq!(partuuid, "x");
        let recorder =
            Recorder::new(Box::new(FileDisk::open(&self.boot(), BlockSize::B512).unwrap()));
        self.log = Some(recorder.log());
        Ok(Box::new(recorder))
    }
}

#[test]
fn a_fresh_host_is_blessed_once() {
    let mut dom0 = Dom0::new(Slot::A, BootState::FRESH);
    let want = Outcome::Blessed { slot: Slot::A, generation: 2, warning: None };
    assert_eq!(dom0.bless(), want);
    assert_eq!(want.to_string(), "xenhost: host blessed: slot a, generation 2");
    assert_eq!(dom0.states(), [Some(BootState::FRESH.blessed()); 2]);
    assert_eq!(dom0.writes(), 2);
    // The next boot finds it done.
    assert_eq!(dom0.bless(), want);
    assert_eq!(dom0.writes(), 0);
}

#[test]
fn a_hypervisor_that_cannot_be_kept_stops_nothing() {
    let mut dom0 = Dom0::new(Slot::A, BootState::FRESH);
    dom0.no_xen = true;
    let want = "xenhost: host blessed: slot a, generation 2\n\
                xenhost: warning: the hypervisor was not kept as a copy: /boot holds no hypervisor";
    assert_eq!(dom0.bless().to_string(), want);
}

#[test]
fn a_trial_ends() {
    let mut dom0 = Dom0::new(Slot::B, TRIAL);
    assert_eq!(dom0.bless(), Outcome::Blessed { slot: Slot::B, generation: 8, warning: None });
    let over = BootState { trial: Trial::Over, generation: 8, ..TRIAL };
    assert_eq!(dom0.states(), [Some(over); 2]);
}

#[test]
fn only_the_two_state_blocks_change() {
    let mut dom0 = Dom0::new(Slot::B, TRIAL);
    let before = std::fs::read(dom0.boot()).unwrap();
    dom0.bless();
    let after = std::fs::read(dom0.boot()).unwrap();
    let changed = before.chunks(512).zip(after.chunks(512)).filter(|(old, new)| old != new);
    assert_eq!(changed.count(), 2);
    Processes.run(&Call::new("fsck.vfat").arg("-n").arg(dom0.boot())).unwrap();
}

#[test]
fn either_state_file_may_be_damaged() {
    for name in ["state.env", "state2.env"] {
        let mut dom0 = Dom0::new(Slot::A, BootState::FRESH);
        dom0.damage(name);
        assert_eq!(dom0.bless(), Outcome::Blessed { slot: Slot::A, generation: 2, warning: None });
        assert_eq!(dom0.states(), [Some(BootState::FRESH.blessed()); 2]);
        // Damaged again, after it was blessed: repaired although bless is done.
        dom0.damage(name);
        dom0.bless();
        assert!(dom0.states().iter().all(Option::is_some));
    }
}

/// A cut has torn the first file: until that is whole again, nothing may happen to the copy.
#[test]
fn the_only_readable_copy_is_written_last() {
    for (damaged, last) in [("state.env", "state2.env"), ("state2.env", "state.env")] {
        let mut dom0 = Dom0::new(Slot::B, TRIAL);
        dom0.damage(damaged);
        let mut disk = FileDisk::open(&dom0.boot(), BlockSize::B512).unwrap();
        let last = crate::fat_locate::locate(&mut disk, &format!("xenhost/{last}")).unwrap().first;
        dom0.bless();
        let entries = dom0.log.as_ref().unwrap().entries();
        let mut writes = entries.iter().filter_map(|entry| match entry {
            Entry::Write { first, .. } => Some(*first),
            Entry::Zero { .. } | Entry::Flush | Entry::Mark(_) => None,
        });
        assert_eq!(writes.next_back(), Some(last), "{damaged} was damaged");
    }
}

#[test]
fn without_any_state_nothing_is_written() {
    let mut dom0 = Dom0::new(Slot::A, BootState::FRESH);
    dom0.damage("state.env");
    dom0.damage("state2.env");
    let error = super::bless(&mut dom0, Limits::DEFAULT).unwrap_err();
    assert!(error.to_string().contains("neither copy of the boot state"), "{error}");
    assert_eq!(dom0.writes(), 0);
}

#[test]
fn a_system_that_is_not_the_chosen_one_changes_nothing() {
    let mut dom0 = Dom0::new(Slot::A, TRIAL);
    let Outcome::Aside { told } = dom0.bless() else { panic!("it is not the chosen one") };
    assert!(told.contains("2 of 3 tries left"), "{told}");
    let motd = dom0.root().join(ANNOUNCEMENT);
    assert!(std::fs::read_to_string(&motd).unwrap().contains(&told));
    assert_eq!(super::boot_state(&mut dom0).unwrap().aside, Some(told));
    assert_eq!(dom0.writes(), 0);
    assert_eq!(dom0.states(), [Some(TRIAL); 2]);
}

/// By `rollback` in the system that runs: whoever gave it up wants the old system.
#[test]
fn a_takeover_that_was_given_up_is_not_blessed() {
    let trial =
        BootState { slot: Slot::A, other: Other::Old, trial: Trial::Pending, generation: 1 };
    let mut dom0 = Dom0::new(Slot::A, trial);
    let disk = FileDisk::open(&dom0.boot(), BlockSize::B512).unwrap();
    let mut files = BootFiles::open(Box::new(disk)).unwrap();
    files.write_tries(0).unwrap();
    files.write_reason(GIVEN_UP).unwrap();
    let Outcome::Aside { told } = dom0.bless() else { panic!("it was given up") };
    assert!(told.contains("given up"), "{told}");
    let motd = std::fs::read_to_string(dom0.root().join(ANNOUNCEMENT)).unwrap();
    assert!(motd.contains("begins the takeover over"), "{motd}");
    assert_eq!(dom0.states(), [Some(trial); 2]);
}

#[test]
fn a_slow_host_gets_its_time() {
    let mut dom0 = Dom0::new(Slot::B, TRIAL);
    dom0.unwell_looks = 100;
    assert_eq!(dom0.bless(), Outcome::Blessed { slot: Slot::B, generation: 8, warning: None });
    assert_eq!(dom0.elapsed, Duration::from_secs(200));
}

#[test]
fn a_failed_trial_gives_its_reason_and_reboots() {
    let mut dom0 = Dom0::new(Slot::B, TRIAL);
    dom0.unwell_looks = u32::MAX;
    let outcome = dom0.bless();
    assert!(matches!(outcome, Outcome::Rebooting { .. }), "{outcome:?}");
    assert_eq!(dom0.elapsed, Duration::from_secs(600));
    assert_eq!(dom0.states(), [Some(TRIAL); 2]);
    let reason = String::from_utf8(dom0.file("reason.txt")).unwrap();
    assert!(reason.starts_with("not well after 600 s: the toolstack does not answer"), "{reason}");
    assert_eq!(dom0.calls.last().unwrap(), "systemctl reboot");
    // The old system, back again, knows why.
    std::fs::write(dom0.root().join(INVENTORY), r#"{"slot":"a","partuuid":{"boot":"x"}}"#).unwrap();
    let Outcome::Aside { told } = dom0.bless() else { panic!("it is not the chosen one") };
    assert!(told.contains(reason.trim()), "{told}");
    // Once it is the chosen one again, nobody is told.
    std::fs::write(dom0.root().join(INVENTORY), r#"{"slot":"b","partuuid":{"boot":"x"}}"#).unwrap();
    dom0.unwell_looks = 0;
    assert!(dom0.bless().is_good());
    assert!(!dom0.root().join(ANNOUNCEMENT).exists());
}

#[test]
fn a_host_with_nothing_to_fall_back_to_stays_up() {
    let states = [
        BootState::FRESH,
        BootState { other: Other::B, ..BootState::FRESH },
        BootState { trial: Trial::Pending, ..BootState::FRESH },
    ];
    for state in states {
        let mut dom0 = Dom0::new(Slot::A, state);
        dom0.failed_units =
            "logrotate.service loaded failed failed x\nssh.service loaded failed failed y".into();
        let outcome = dom0.bless();
        assert_eq!(
            outcome,
            Outcome::Unwell { reason: "not well after 600 s: failed: ssh.service".into() }
        );
        assert!(!outcome.is_good());
        assert!(!dom0.calls.contains(&"systemctl reboot".to_owned()));
    }
}

#[test]
fn a_good_boot_takes_the_reason_of_a_bad_one_away() {
    let mut dom0 = Dom0::new(Slot::B, TRIAL);
    dom0.failed_units = "ssh.service loaded failed failed y".into();
    assert!(!dom0.bless().is_good());
    dom0.failed_units.clear();
    assert!(dom0.bless().is_good());
    assert_eq!(super::boot_state(&mut dom0).unwrap().reason, None);
}

#[test]
fn units_that_nobody_needs_may_fail() {
    let mut dom0 = Dom0::new(Slot::A, BootState::FRESH);
    dom0.failed_units = "logrotate.service loaded failed failed x".into();
    assert!(dom0.bless().is_good());
}

#[test]
fn a_bridge_without_interface_is_not_well() {
    let mut dom0 = Dom0::new(Slot::A, BootState::FRESH);
    std::fs::remove_dir(dom0.root().join("sys/class/net/xenbr0/brif/eth0")).unwrap();
    let want = "not well after 600 s: the bridge xenbr0 has no interface";
    assert_eq!(dom0.bless(), Outcome::Unwell { reason: want.into() });
}

/// Every prefix of the writes, as GRUB reads it: the first file, its copy where that is unreadable.
/// The block that is being written may be garbage.
#[test]
fn a_cut_at_any_write_leaves_the_old_state_or_the_new_one() {
    let mut dom0 = Dom0::new(Slot::B, TRIAL);
    let image = std::fs::read(dom0.boot()).unwrap();
    dom0.bless();
    let after = BootState { trial: Trial::Over, generation: 8, ..TRIAL };
    let entries = dom0.log.as_ref().unwrap().entries();
    let before: Vec<(u64, Vec<u8>)> = entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Write { first, .. } => Some(first.get() * 512),
            Entry::Zero { .. } | Entry::Flush | Entry::Mark(_) => None,
        })
        .map(|at| (at, image[usize::try_from(at).unwrap()..][..512].to_vec()))
        .collect();
    for cut in 0..=entries.len() {
        for torn in [false, true] {
            let file = OpenOptions::new().write(true).open(dom0.boot()).unwrap();
            for (at, block) in &before {
                file.write_all_at(block, *at).unwrap();
            }
            for (at, entry) in entries.iter().take(cut).enumerate() {
                if let Entry::Write { first, bytes } = entry {
                    let garbage = torn && at + 1 == cut;
                    let bytes = if garbage { &[0xA5; 512] } else { bytes.as_slice() };
                    file.write_all_at(bytes, first.get() * 512).unwrap();
                }
            }
            let [first, copy] = dom0.states();
            let read = first.or(copy);
            assert!(read == Some(TRIAL) || read == Some(after), "cut {cut}, torn {torn}: {read:?}");
        }
    }
}

/// Beside a new system that is slot a, it says of itself that it is slot a, and is not on trial.
#[test]
fn a_system_that_was_taken_over_does_not_bless_itself() {
    let state =
        BootState { slot: Slot::A, other: Other::Old, trial: Trial::Pending, generation: 1 };
    for tries in [0, 2] {
        let mut dom0 = Dom0::new(Slot::A, state);
        dom0.is_old = true;
        let mut boot = BootFiles::open(dom0.open_boot("x").unwrap()).unwrap();
        boot.write_tries(tries).unwrap();
        boot.write_reason("no bridge").unwrap();
        drop(boot);
        let Outcome::Aside { told } = dom0.bless() else { panic!("it is not the chosen one") };
        assert!(told.contains("the old system runs") && told.contains("no bridge"), "{told}");
        assert_eq!(dom0.states(), [Some(state), Some(state)]);
        assert!(boot_state(&mut dom0).unwrap().taken_over);
    }
}
