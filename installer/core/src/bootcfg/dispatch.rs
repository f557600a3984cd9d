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
/// (`hd0`). GRUB's script language has no arithmetic, so that every value is compared as text.
pub fn dispatch_cfg(dispatch: &Dispatch) -> String {
    include_str!("dispatch.cfg")
        .replace("@SLOT_A@", &dispatch.slot_a.to_string())
        .replace("@SLOT_B@", &dispatch.slot_b.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_placeholder_is_filled() {
        let dispatch = Dispatch { slot_a: Guid::from_u128(0xa), slot_b: Guid::from_u128(0xb) };
        let text = dispatch_cfg(&dispatch);
        assert!(text.contains("want=00000000-0000-0000-0000-00000000000a\n"));
        assert!(text.contains("want=00000000-0000-0000-0000-00000000000b\n"));
        assert!(!text.contains('@'));
    }
}
