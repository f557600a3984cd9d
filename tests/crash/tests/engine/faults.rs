//! Upgrades in which the disk, a program or the operator gives up: what the failure says of the
//! disk is what the disk then does, and the next run ends well.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use boot_oracle::Machine;
use boot_oracle::installed::Installed;
use crash_explorer::image::{Overlay, View};
use installer::call::{Call, CallError, Output, Run};
use installer::cancel::Cancel;
use installer::engine::{Failure, StepError};
use installer::host::image::ImageHost;
use installer::ports::{BootEntry, Host, HostError};
use installer_core::event::Event;
use installer_core::outcome::{DiskState, Exit};
use installer_core::upgrade::UpgradePlan;
use partitioner::block::BlockIo;
use partitioner::block::fault::{Fault, Faulty};
use partitioner::layout::Role;
use partitioner::table::TablePlan;

use super::NEXT;
use super::host::{Shape, TinyHost};
use super::recorded::{known, slots};
use super::releases::{VERSION_FILE, VERSIONS};

/// Between two operations that a device vanishes at.
const STRIDE: u64 = 8;
/// The operations at the end of an upgrade, among them those of the commit.
const LAST: u64 = 48;
/// Faults of one operation in the end, and every how many operations.
const AT_THE_END: [(Fault, u64); 4] =
    [(Fault::Eio, 1), (Fault::Torn, 3), (Fault::NoSpace, 3), (Fault::Corrupt, 3)];

/// What boots from the disk; in every firmware the same.
fn boots(host: &TinyHost) -> String {
    let (known, slots, overlay) = (known(host), slots(host), Overlay::new());
    let view = View { image: &host.disk.image, overlay: &overlay };
    let systems = Installed { version_file: VERSION_FILE };
    let mut all = host.shape.started_by.iter().map(|&firmware| {
        let (known, slots) = (&known, &slots);
        let machine = Machine { firmware, entries: &[], known, systems: &systems, slots };
        let outcome = machine.boot(&view).outcome;
        outcome.version().unwrap_or_else(|| panic!("it {outcome}")).to_owned()
    });
    let one = all.next().expect("something starts the host");
    assert!(all.all(|other| other == one), "{one}");
    one
}

/// Takes over what an upgrade has left of the disk, and holds it against what was told.
fn as_told(host: &mut TinyHost, what: &str, ended: &Result<(), Failure>) {
    host.disk.take();
    let (old, new) = (VERSIONS[0], VERSIONS[NEXT]);
    let want = match ended {
        Ok(()) => new,
        // Told as not known; that one of them boots is known.
        Err(Failure {
            error, exit: Exit::IoAtCommit, state: DiskState::OldSystemBoots, ..
        }) if matches!(**error, StepError::StateUnknown(_)) => {
            return assert!([old, new].contains(&boots(host).as_str()), "{what}");
        }
        Err(failure) => match failure.state {
            DiskState::Untouched | DiskState::OldSystemBoots => old,
            DiskState::NewSystemBoots => new,
            DiskState::NotBootable | DiskState::NewSystemBootsCleanupPending => {
                panic!("{what}: {failure}")
            }
        },
    };
    assert_eq!(boots(host), want, "{what}: {ended:?}");
}

/// An upgrade on a disk with one fault.
fn with_fault(host: &TinyHost, plan: &UpgradePlan, fault: Fault, at: u64) -> Result<(), Failure> {
    let faulty = Faulty::new(host.disk.device(), fault, at);
    host.attempt(plan, NEXT, Box::new(faulty), &|host| Box::new(host), &Cancel::default(), |_| {})
}

#[test]
fn a_disk_that_fails_is_what_the_failure_says() {
    let mut host = TinyHost::install(Shape::MODERN);
    let first = host.disk.image.clone();
    let plan = host.plan(NEXT).unwrap();
    let mut at = 0;
    // The device is gone from this operation on.
    loop {
        host.disk.image = first.clone();
        host.disk.put();
        let ended = with_fault(&host, &plan, Fault::Vanish, at);
        as_told(&mut host, &format!("gone at {at}"), &ended);
        let Err(failure) = ended else { break };
        assert!(matches!(failure.exit, Exit::IoBeforeCommit | Exit::IoAtCommit), "{failure}");
        if boots(&host) == VERSIONS[0] {
            let (_, steps) = host.upgrade(NEXT).unwrap();
            host.happens(&steps);
            assert_eq!(boots(&host), VERSIONS[NEXT], "again after {at}");
        }
        at += STRIDE;
    }
    let mut seen = std::collections::BTreeMap::<u8, u32>::new();
    for (fault, every) in AT_THE_END {
        let places = (at.saturating_sub(LAST)..at).filter(|place| place % every == 0);
        for place in places {
            host.disk.image = first.clone();
            host.disk.put();
            let ended = with_fault(&host, &plan, fault, place);
            as_told(&mut host, &format!("{fault:?} at {place}"), &ended);
            let exit = ended.as_ref().map_or_else(|failure| failure.exit, |()| Exit::Done);
            let may = [Exit::Done, Exit::IoBeforeCommit, Exit::IoAtCommit];
            assert!(may.contains(&exit), "{fault:?} at {place}: {ended:?}");
            *seen.entry(exit.code()).or_default() += 1;
        }
    }
    println!("an upgrade of {at} operations; exit codes of faults at its end: {seen:?}");
    assert!(seen.contains_key(&20) && seen.contains_key(&21), "{seen:?}");
}

/// How a program fails.
#[derive(Clone, Copy, Debug)]
enum How {
    Missing,
    Fails,
    Hangs,
}

/// A host on which one program fails.
#[derive(Debug)]
struct Without {
    host: ImageHost,
    program: &'static str,
    how: How,
}

impl Run for Without {
    fn run(&mut self, call: &Call) -> Result<Output, CallError> {
        if call.program != self.program {
            return self.host.run(call);
        }
        let call = Box::new(call.clone());
        let (status, said) = ("exit status: 1".to_owned(), "it says why");
        Err(match self.how {
            How::Missing => CallError::NotFound { program: self.program },
            How::Fails => CallError::Status { call, status, said: said.into() },
            How::Hangs => CallError::Timeout { call, said: said.into() },
        })
    }
}

impl Host for Without {
    fn disk(&mut self) -> &mut dyn BlockIo {
        self.host.disk()
    }

    fn check_room(&self, bytes: u64) -> Result<(), HostError> {
        self.host.check_room(bytes)
    }

    fn announce(&mut self, table: &TablePlan) -> Result<(), HostError> {
        self.host.announce(table)
    }

    fn open_slot(&mut self, role: Role) -> Result<Box<dyn BlockIo + '_>, HostError> {
        self.host.open_slot(role)
    }

    fn tool_path(&mut self, role: Role) -> Result<PathBuf, HostError> {
        self.host.tool_path(role)
    }

    fn settle(&mut self, role: Role) -> Result<(), HostError> {
        self.host.settle(role)
    }

    fn check_hooks(&self) -> Result<(), HostError> {
        self.host.check_hooks()
    }

    fn mount(&mut self, role: Role) -> Result<PathBuf, HostError> {
        self.host.mount(role)
    }

    fn unmount(&mut self) -> Result<(), HostError> {
        self.host.unmount()
    }

    fn scratch(&self) -> &Path {
        self.host.scratch()
    }

    fn boot_entry(&mut self, entry: &BootEntry<'_>) -> Result<String, HostError> {
        self.host.boot_entry(entry)
    }

    fn now(&self) -> SystemTime {
        self.host.now()
    }
}

#[test]
fn a_program_that_fails_leaves_the_old_system() {
    let mut host = TinyHost::install(Shape::MODERN);
    let first = host.disk.image.clone();
    let plan = host.plan(NEXT).unwrap();
    for program in ["tune2fs", "debugfs", "e2fsck"] {
        for how in [How::Missing, How::Fails, How::Hangs] {
            host.disk.image = first.clone();
            host.disk.put();
            let dress = |host| -> Box<dyn Host> { Box::new(Without { host, program, how }) };
            let ended =
                host.attempt(&plan, NEXT, host.disk.device(), &dress, &Cancel::default(), |_| {});
            as_told(&mut host, program, &ended);
            let failure = ended.unwrap_err();
            let told = (failure.exit, failure.state);
            assert_eq!(told, (Exit::ToolFailed, DiskState::OldSystemBoots), "{failure}");
            assert!(failure.to_string().contains(program), "{failure}");
        }
    }
}

/// Ctrl-C when a step begins ends the run after it; the commit is not stopped.
#[test]
fn a_request_to_end_is_heard_until_the_commit() {
    let mut host = TinyHost::install(Shape::MODERN);
    let first = host.disk.image.clone();
    let plan = host.plan(NEXT).unwrap();
    let steps = u32::try_from(plan.steps.len()).unwrap();
    for wanted in 1..=steps {
        host.disk.image = first.clone();
        host.disk.put();
        let cancel = Cancel::default();
        let flag = cancel.clone();
        let tell = |event| {
            if matches!(event, Event::StepBegun { step, .. } if step == wanted) {
                flag.set();
            }
        };
        let device = host.disk.device();
        let ended = host.attempt(&plan, NEXT, device, &|host| Box::new(host), &cancel, tell);
        as_told(&mut host, &format!("in step {wanted}"), &ended);
        let exit = ended.as_ref().map_or_else(|failure| failure.exit, |()| Exit::Done);
        let want = if wanted == steps { Exit::Done } else { Exit::Cancelled };
        assert_eq!(exit, want, "in step {wanted}: {ended:?}");
    }
}
