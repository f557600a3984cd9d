//! The three files that a boot entry loads.

/// Paths of one bootable combination, absolute within the slot. Invariant: they need no quoting.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct BootFiles {
    xen: String,
    kernel: String,
    initrd: String,
}

/// A path that the boot loader's script cannot hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{path}` is not a path for the boot menu: absolute, of A-Z a-z 0-9 / . _ + ~ -, without .."
)]
pub struct BootPathError {
    path: String,
}

impl BootFiles {
    pub fn new(xen: &str, kernel: &str, initrd: &str) -> Result<Self, BootPathError> {
        Ok(Self { xen: path(xen)?, kernel: path(kernel)?, initrd: path(initrd)? })
    }

    pub fn xen(&self) -> &str {
        &self.xen
    }

    pub fn kernel(&self) -> &str {
        &self.kernel
    }

    pub fn initrd(&self) -> &str {
        &self.initrd
    }
}

fn path(text: &str) -> Result<String, BootPathError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._+~-".contains(c);
    let parts = text.strip_prefix('/').unwrap_or_default().split('/');
    let whole = parts.clone().all(|part| !part.is_empty() && part != "." && part != "..");
    if !whole || !text.chars().all(plain) {
        return Err(BootPathError { path: text.to_owned() });
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let good = BootFiles::new("/boot/xen-4.20-amd64.gz", "/boot/vmlinuz-6.12+x", "/boot/i~1");
        assert_eq!(good.unwrap().xen(), "/boot/xen-4.20-amd64.gz");
        for bad in
            ["", "/", "boot/xen", "/boot/../xen", "/boot//xen", "/boot/a b", "/boot/$x", "/b;"]
        {
            assert!(BootFiles::new(bad, "/k", "/i").is_err(), "{bad}");
        }
    }
}
