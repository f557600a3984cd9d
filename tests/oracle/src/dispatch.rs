//! What the scripts beside the boot state say: which file systems the slots are, and how the system
//! is started that was taken over.

use crate::fat::Fat;
use crate::grub::Slots;
use crate::installed::{guid, root_of};
use crate::system::RootArgument;

pub(crate) const DISPATCH: &str = "xenhost/dispatch.cfg";
const OLD: &str = "xenhost/old.cfg";

/// The scripts of one boot partition.
#[derive(Clone, Debug)]
pub(crate) struct Scripts {
    pub(crate) uuid_a: [u8; 16],
    pub(crate) uuid_b: [u8; 16],
    pub(crate) uuid_old: Option<[u8; 16]>,
    /// What the kernel of the old system gets as its root; its own menu is not looked at.
    pub(crate) old_root: Option<RootArgument>,
}

impl Scripts {
    /// `or` is for scripts that were made up and name nothing.
    pub(crate) fn read(fat: &Fat<'_>, or: &Slots) -> Self {
        let text = |path| String::from_utf8_lossy(&fat.read(path).unwrap_or_default()).into_owned();
        let (dispatch, old) = (text(DISPATCH), text(OLD));
        let mut slots = set(&dispatch, "want");
        Self {
            uuid_a: slots.next().unwrap_or(or.uuid_a),
            uuid_b: slots.next().unwrap_or(or.uuid_b),
            uuid_old: set(&old, "xenhost_old").next().or(or.uuid_old),
            old_root: old.split_whitespace().find_map(root_of),
        }
    }
}

/// Each UUID that a script sets this variable to.
fn set<'t>(script: &'t str, name: &'t str) -> impl Iterator<Item = [u8; 16]> + 't {
    let values = script.lines().filter_map(move |line| {
        line.trim().strip_prefix("set ")?.strip_prefix(name)?.strip_prefix('=')
    });
    values.filter_map(guid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_are_what_variables_are_set_to() {
        let script = "if x; then\n    set want=0c1d2e3f-4a5b-4c7d-8e9f-a0b1c2d3e4f5\n  set want=\n\
                      set want=$xenhost_old\nset wanted=0c1d2e3f-4a5b-4c7d-8e9f-a0b1c2d3e4f5\n";
        let id = 0x0c1d_2e3f_4a5b_4c7d_8e9f_a0b1_c2d3_e4f5_u128.to_be_bytes();
        assert_eq!(set(script, "want").collect::<Vec<_>>(), [id]);
        assert_eq!(set("", "want").next(), None);
    }
}
