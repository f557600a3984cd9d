//! The running dom0.

use std::path::Path;
use std::time::{Duration, Instant};

use partitioner::block::BlockIo;
use partitioner::block::device::DeviceDisk;

use super::{BlessError, World, boot_partition, runs_old};
use crate::boot_menu::{self, BootMenuError};
use crate::call::{Call, CallError, Output, Processes, Run};
use crate::probe::Machine;
use crate::storage::ThisDom0;

/// The dom0 that this program runs in.
#[derive(Debug)]
pub struct ThisHost {
    machine: Machine,
    started: Instant,
}

impl ThisHost {
    pub fn new() -> Self {
        Self { machine: Machine::running(), started: Instant::now() }
    }
}

impl Default for ThisHost {
    fn default() -> Self {
        Self::new()
    }
}

impl Run for ThisHost {
    fn run(&mut self, call: &Call) -> Result<Output, CallError> {
        Processes.run(call)
    }
}

impl World for ThisHost {
    fn root(&self) -> &Path {
        Path::new("/")
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the port that waits")]
    fn wait(&mut self, duration: Duration) {
        std::thread::sleep(duration);
    }

    fn unattached(&mut self) -> Vec<String> {
        crate::storage::unattached(&mut ThisDom0::new())
    }

    fn keep_xen(&mut self) -> Result<(), BootMenuError> {
        boot_menu::keep_xen(self.root()).map(drop)
    }

    fn is_old(&self) -> Result<bool, BlessError> {
        Ok(runs_old(&self.machine)?)
    }

    fn open_boot(&mut self, partuuid: &str) -> Result<Box<dyn BlockIo>, BlessError> {
        let node = boot_partition(&self.machine, partuuid)?;
        // Claims the partition: one that is mounted is refused. A scan of udev or LVM may hold it
        // for a moment.
        let mut opened = DeviceDisk::open(&node);
        if opened.is_err() {
            crate::wait::until(|| {
                opened = DeviceDisk::open(&node);
                opened.is_ok()
            });
        }
        Ok(Box::new(opened?))
    }
}
