//! `/etc/xensource-inventory` of an old host: lines `KEY='value'`.

use std::collections::BTreeMap;

use super::assignments::{AssignmentError, assignments};

/// Larger than any; a real one has 2 KB.
pub(super) const LEN_MAX: u64 = 64 << 10;

/// Keys without which a host cannot be told.
const NEEDED: [&str; 3] = ["PRODUCT_VERSION", "PLATFORM_VERSION", "INSTALLATION_UUID"];

/// Why an inventory is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InventoryError {
    #[error("inventory {0}")]
    Assignment(#[from] AssignmentError),
    #[error("inventory: `{key}` is missing")]
    Missing { key: &'static str },
}

/// The keys and their values.
pub(super) fn parse(bytes: &[u8]) -> Result<BTreeMap<String, String>, InventoryError> {
    let keys = assignments(bytes)?;
    match NEEDED.into_iter().find(|key| !keys.contains_key(*key)) {
        Some(key) => Err(InventoryError::Missing { key }),
        None => Ok(keys),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: &str = "PRODUCT_BRAND='XenServer'\nPRODUCT_VERSION='7.1.0'\n\
                         PLATFORM_VERSION=\"2.2.0\"\nINSTALLATION_UUID='u'\n";

    #[track_caller]
    fn refused(more: &str, want: &str) {
        let error = parse(format!("{SOUND}{more}").as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), want);
    }

    #[test]
    fn values_are_read_as_a_shell_would_assign_them() {
        let keys = parse(format!("# made\n\n{SOUND}BARE=/dev/sda\nCOST='$5'").as_bytes()).unwrap();
        assert_eq!(keys["PLATFORM_VERSION"], "2.2.0");
        assert_eq!((keys["BARE"].as_str(), keys["COST"].as_str()), ("/dev/sda", "$5"));
    }

    #[test]
    fn what_a_shell_would_run_is_refused_with_its_line() {
        refused("X=$(reboot)", "inventory line 5: the value of `X` is code for a shell");
        refused("X=\"`id`\"", "inventory line 5: the value of `X` is code for a shell");
        refused("X='a' ; reboot", "inventory line 5: the value of `X` is code for a shell");
        refused("X='a''b'", "inventory line 5: the value of `X` is code for a shell");
        refused("reboot", "inventory line 5: not KEY='value'");
        refused("a b=1", "inventory line 5: not KEY='value'");
        refused("PRODUCT_BRAND='x'", "inventory line 5: `PRODUCT_BRAND` stands twice");
        let error = parse(b"PRODUCT_VERSION='7'").unwrap_err();
        assert_eq!(error.to_string(), "inventory: `PLATFORM_VERSION` is missing");
        assert_eq!(parse(&[0xFF]).unwrap_err().to_string(), "inventory not UTF-8");
    }
}
