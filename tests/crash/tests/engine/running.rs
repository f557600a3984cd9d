//! The dom0 of a slot that has booted, as far as bless looks at it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use installer::bless::{BlessError, World};
use installer::boot_menu::BootMenuError;
use installer::call::{Call, CallError, Output, Run};
use installer::upgrade::root::{self, Root};
use partitioner::block::BlockIo;
use partitioner::block::recorder::Recorder;
use partitioner::block::window::Window;
use partitioner::units::Extent;
use tempfile::TempDir;

/// Whether the toolstack answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    Well,
    Unwell,
}

/// The dom0.
#[derive(Debug)]
pub(crate) struct Running {
    folder: TempDir,
    health: Health,
    elapsed: Duration,
    /// The disk, and where its boot partition lies.
    device: Option<(Recorder, Extent)>,
}

impl Running {
    /// With these of the slot's files.
    pub(crate) fn new(
        slot: &dyn Root,
        files: &[&str],
        health: Health,
        device: (Recorder, Extent),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bridge = folder.path().join("sys/class/net/xenbr0");
        for dir in [&bridge.join("bridge"), &bridge.join("brif/eth0")] {
            fs::create_dir_all(dir).unwrap();
        }
        for path in files {
            if let Some(bytes) = root::file(slot, path, 1 << 20).unwrap() {
                let path = folder.path().join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, bytes).unwrap();
            }
        }
        Self { folder, health, elapsed: Duration::ZERO, device: Some(device) }
    }
}

impl Run for Running {
    fn run(&mut self, call: &Call) -> Result<Output, CallError> {
        if call.program == "xl" && self.health == Health::Unwell {
            return Err(CallError::Timeout { call: Box::new(call.clone()), said: Vec::new() });
        }
        Ok(Output { status: 0, stdout: Vec::new(), stderr: Vec::new() })
    }
}

impl World for Running {
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
        Vec::new()
    }

    fn keep_xen(&mut self) -> Result<(), BootMenuError> {
        Ok(())
    }

    fn is_old(&self) -> Result<bool, BlessError> {
        Ok(false)
    }

    fn open_boot(&mut self, _partuuid: &str) -> Result<Box<dyn BlockIo>, BlessError> {
        let (recorder, extent) = self.device.take().expect("it is opened once");
        // Kept for as long as the test runs: a window borrows its disk.
        Ok(Box::new(Window::new(Box::leak(Box::new(recorder)), extent)?))
    }
}
