//! `/xenhost/dispatch.cfg` on the boot partition: which slot boots.

use partitioner::ids::Guid;

/// What the dispatcher has to know of this installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dispatch {
    /// UUID of the file system in slot a.
    pub slot_a: Guid,
    /// UUID of the file system in slot b, which may not exist yet.
    pub slot_b: Guid,
}

/// The script for the boot loader.
///
/// Whoever loads it has set and exported `esp` (the boot partition, `hd0,gpt4`) and `bootdisk`
/// (`hd0`).
pub fn dispatch_cfg(dispatch: &Dispatch) -> String {
    drop(dispatch);
    todo!()
}
