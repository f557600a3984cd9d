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

impl Dispatch {
    /// Reads what a script was made from, also by an older release.
    pub fn parse(script: &str) -> Option<Self> {
        let names = script.lines().filter_map(|line| line.trim().strip_prefix("set want="));
        let mut ids = names.filter_map(|name| name.parse().ok());
        Some(Self { slot_a: ids.next()?, slot_b: ids.next()? })
    }
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
        assert_eq!(Dispatch::parse(&text), Some(dispatch));
        assert_eq!(Dispatch::parse("set want=\nset want=$xenhost_old\n"), None);
    }
}
