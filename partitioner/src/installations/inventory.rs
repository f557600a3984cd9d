//! `/etc/xensource-inventory` of an old host: lines `KEY='value'`. A shell would run the file; this
//! only reads it, and refuses what a shell would do more with than assign.

use std::collections::BTreeMap;

/// Larger than any; a real one has 2 KB.
pub(super) const LEN_MAX: u64 = 64 << 10;

/// Keys without which a host cannot be told.
const NEEDED: [&str; 3] = ["PRODUCT_VERSION", "PLATFORM_VERSION", "INSTALLATION_UUID"];

/// Why an inventory is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InventoryError {
    #[error("inventory line {line}: not KEY='value'")]
    Malformed { line: usize },
    #[error("inventory line {line}: `{key}` stands twice")]
    Twice { line: usize, key: String },
    #[error("inventory line {line}: the value of `{key}` is code for a shell")]
    Code { line: usize, key: String },
    #[error("inventory: `{key}` is missing")]
    Missing { key: &'static str },
    #[error("inventory: not UTF-8")]
    NotText,
}

/// The keys and their values.
pub(super) fn parse(bytes: &[u8]) -> Result<BTreeMap<String, String>, InventoryError> {
    let text = std::str::from_utf8(bytes).map_err(|_| InventoryError::NotText)?;
    let mut keys = BTreeMap::new();
    for (line, content) in (1..).zip(text.lines()) {
        let content = content.trim();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let malformed = InventoryError::Malformed { line };
        let (key, value) = content.split_once('=').ok_or_else(|| malformed.clone())?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if key.is_empty() || !key.chars().all(is_name) {
            return Err(malformed);
        }
        let value =
            unquoted(value).ok_or_else(|| InventoryError::Code { line, key: key.to_owned() })?;
        if keys.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(InventoryError::Twice { line, key: key.to_owned() });
        }
    }
    match NEEDED.into_iter().find(|key| !keys.contains_key(*key)) {
        Some(key) => Err(InventoryError::Missing { key }),
        None => Ok(keys),
    }
}

/// The value as it would be assigned; `None` where a shell would do anything else.
fn unquoted(value: &str) -> Option<&str> {
    let inside = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    if let Some(text) = inside('\'') {
        return (!text.contains('\'')).then_some(text);
    }
    let active = |c: char| matches!(c, '$' | '`' | '\\' | '"' | '\'');
    if let Some(text) = inside('"') {
        return (!text.contains(active)).then_some(text);
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "._:/+-,@%".contains(c);
    value.chars().all(plain).then_some(value)
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
        assert_eq!(parse(&[0xFF]).unwrap_err(), InventoryError::NotText);
    }
}
