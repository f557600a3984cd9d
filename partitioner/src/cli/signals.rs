//! Ctrl-C, a request to end, or a console that hangs up: noted, and acted on between two steps.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Whether the person wants the command to end.
#[derive(Debug)]
pub(super) struct Signals(Arc<AtomicBool>);

impl Signals {
    /// From here on these signals end nothing by themselves.
    pub(super) fn listen() -> io::Result<Self> {
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&asked))?;
        }
        Ok(Self(asked))
    }

    pub(super) fn asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use partitioner::apply::{ApplyError, apply};
    use partitioner::block::memory::MemDisk;
    use partitioner::ids::Ids;
    use partitioner::inspect::{Table, inspect};
    use partitioner::layout::Firmware;
    use partitioner::table::{Geometry, TableRequest, plan_table};
    use partitioner::units::{BlockSize, Bytes};
    use signal_hook::low_level::raise;

    use super::*;

    /// A signal before each of the four steps: the disk is as it was, or says that the
    /// installation has not finished.
    #[test]
    fn a_signal_ends_the_writing_between_two_steps() {
        let geometry = Geometry::of_size(Bytes::gib(60), BlockSize::B512);
        let request = TableRequest::new(Firmware::Uefi);
        let table = plan_table(geometry, &request, &mut Ids::from_seed([1; 32])).unwrap();
        for (at, signal) in [SIGINT, SIGTERM, SIGHUP, SIGINT].into_iter().enumerate() {
            let signals = Signals::listen().unwrap();
            let mut disk = MemDisk::new("sda", geometry.block_size, geometry.blocks);
            let mut asked = 0;
            let error = apply(&mut disk, &table, &mut || {
                if asked == at {
                    raise(signal).unwrap();
                }
                asked += 1;
                !signals.asked()
            })
            .unwrap_err();
            assert_eq!(asked, at + 1, "nothing is done after the signal");
            assert_eq!(matches!(error, ApplyError::NotBegun), at == 0, "{error}");
            assert_eq!(matches!(error, ApplyError::Cancelled), at != 0, "{error}");
            let found = inspect(&mut disk).unwrap().table;
            assert_eq!(found, if at == 0 { Table::None } else { Table::Unfinished });
        }
    }
}
