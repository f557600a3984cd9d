//! Releases that differ in one file, by which they are told apart.

use std::fs;

use installer_core::release::{MANIFEST, Manifest};

use super::testing::{TinyRelease, dom0_with, noise};

/// Releases, oldest first. The first is the one that is installed.
pub(crate) const VERSIONS: [&str; 4] = ["0.1.0", "0.2.0", "0.3.0", "0.4.0"];
/// Names the release in a slot; no other file tells it to the oracle.
pub(crate) const VERSION_FILE: &str = "etc/release-mark";

/// Every block of it is compared in every state.
const THING: usize = 100_000;

/// A release of this version.
pub(crate) fn release(version: &str) -> TinyRelease {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    let files = [
        (VERSION_FILE, version.to_owned()),
        ("etc/passwd", "root:x:0:0:root:/root:/bin/bash\n".to_owned()),
        ("etc/group", "root:x:0:\nshadow:x:42:\n".to_owned()),
        ("etc/gshadow", "root:*::\nshadow:*::\n".to_owned()),
        ("var/lib/dpkg/status", String::new()),
        ("var/lib/xenhost/.keep", String::new()),
    ];
    for (path, text) in files {
        let path = tree.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let tiny = TinyRelease::of_bytes(&dom0_with(dir.path(), &noise(8, THING)));
    let path = tiny.dir().join(MANIFEST);
    let mut manifest: Manifest = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    (manifest.version, manifest.build) = (version.to_owned(), format!("build-{version}"));
    fs::write(&path, serde_json::to_vec(&manifest).unwrap()).unwrap();
    tiny
}
