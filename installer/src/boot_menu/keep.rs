//! Keeps a copy of each hypervisor that has booted well.
//!
//! A package replaces `/boot/xen-4.20-amd64.gz` in place, so the one that worked would be gone when
//! the new one does not. The copies are what the boot menu offers then.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::files::{at, newest_xen};
use super::{BootMenuError, FOLDER, Menu, Settle, failed, refresh_with, replace, settle};

/// The one that booted well last, and the one before it.
pub(super) const COPIES: [&str; 2] = ["xen-good.gz", "xen-previous.gz"];
const COMPARE_BYTES: usize = 64 << 10;

/// Called after a good boot. Makes the boot menu anew if the copies changed; `None` if not.
pub fn keep_xen(root: &Path) -> Result<Option<Menu>, BootMenuError> {
    keep_with(root, &settle)
}

pub(super) fn keep_with(root: &Path, settle: &Settle) -> Result<Option<Menu>, BootMenuError> {
    let Some(newest) = newest_xen(root)? else { return Ok(None) };
    let newest = at(root, &newest);
    let [good, previous] = COPIES.map(|name| root.join(FOLDER).join(name));
    if same_content(&newest, &good) {
        return Ok(None);
    }
    let content = fs::read(&newest).map_err(failed("reading", &newest))?;
    if good.is_file() {
        fs::rename(&good, &previous).map_err(failed("keeping", &good))?;
    }
    replace(&good, &content)?;
    refresh_with(root, settle).map(Some)
}

/// Files that cannot be read are the same as no other.
pub(super) fn same_content(one: &Path, other: &Path) -> bool {
    compare(one, other).unwrap_or(false)
}

fn compare(one: &Path, other: &Path) -> io::Result<bool> {
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    let length = one.metadata()?.len();
    if length != other.metadata()?.len() {
        return Ok(false);
    }
    let (mut left, mut right) = (vec![0; COMPARE_BYTES], vec![0; COMPARE_BYTES]);
    let mut rest = length;
    while rest != 0 {
        let now = usize::try_from(rest).unwrap_or(COMPARE_BYTES).min(COMPARE_BYTES);
        one.read_exact(&mut left[..now])?;
        other.read_exact(&mut right[..now])?;
        if left[..now] != right[..now] {
            return Ok(false);
        }
        rest = rest.saturating_sub(u64::try_from(now).unwrap_or(rest));
    }
    Ok(true)
}
