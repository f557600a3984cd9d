//! Tells what a release or an installation medium is, without unpacking it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use installer_core::release::{MANIFEST, Manifest};
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::exec::Call;
use crate::iso::{ANSWERS, VOLUME};
use crate::release;

/// Where an ISO 9660 volume names itself.
const VOLUME_NAME_AT: u64 = 32808;
const VOLUME_NAME_BYTES: usize = 32;

/// A release that was looked at.
#[derive(Debug)]
pub struct Inspected {
    pub manifest: Manifest,
    /// The medium holds an answer file; nothing is known of a bare release.
    pub answers: Option<bool>,
    /// Files whose bytes are not those of the manifest. A medium's are not read.
    pub damaged: Vec<String>,
}

/// Looks at a release directory or at a medium.
pub fn inspect(path: &Path) -> Result<Inspected> {
    if path.is_dir() {
        let release = release::open(path)?;
        let damaged = release.damaged().iter().map(|(name, _)| (*name).to_owned()).collect();
        return Ok(Inspected { manifest: release.manifest().clone(), answers: None, damaged });
    }
    let name = volume_name(path)?;
    if name != VOLUME {
        return Err(Error::NotA {
            path: path.to_owned(),
            expected: "a release or an installation medium",
            reason: format!("its volume is named `{name}`"),
        });
    }
    let dir = tempfile::tempdir().map_err(Error::io(Path::new("a temporary directory")))?;
    extract(path, &format!("/release/{MANIFEST}"), &dir.path().join(MANIFEST))?;
    let release = release::open(dir.path())?;
    let answers = extract(path, &format!("/{ANSWERS}"), &dir.path().join("answers")).is_ok();
    Ok(Inspected {
        manifest: release.manifest().clone(),
        answers: Some(answers),
        damaged: Vec::new(),
    })
}

fn volume_name(path: &Path) -> Result<String> {
    let mut file = File::open(path).map_err(Error::io(path))?;
    let mut name = [0; VOLUME_NAME_BYTES];
    file.seek(SeekFrom::Start(VOLUME_NAME_AT)).map_err(Error::io(path))?;
    file.read_exact(&mut name).map_err(|e| Error::NotA {
        path: path.to_owned(),
        expected: "an installation medium",
        reason: e.to_string(),
    })?;
    Ok(String::from_utf8_lossy(&name).trim().to_owned())
}

fn extract(iso: &Path, from: &str, to: &Path) -> Result<()> {
    Call::host("xorriso", "xorriso")?
        .args(["-osirrox", "on", "-indev"])
        .arg(iso)
        .args(["-extract", from])
        .arg(to)
        .output()?;
    Ok(())
}

impl Inspected {
    pub fn to_json(&self) -> Value {
        let manifest = &self.manifest;
        json!({
            "product": manifest.product,
            "version": manifest.version,
            "build": manifest.build,
            "arch": manifest.arch,
            "suite": manifest.suite,
            "dom0": manifest.dom0,
            "image": {"size": manifest.image.size, "packed": manifest.image.file_size},
            "files": manifest.files,
            "answers": self.answers,
            "damaged": self.damaged,
        })
    }

    /// For people.
    pub fn to_text(&self) -> String {
        let Manifest { product, version, build, arch, suite, dom0, image, .. } = &self.manifest;
        let mut text = format!(
            "{product} {version}, build {build}, {arch}, Debian {suite}\n\
             Xen {}, kernel {}\nimage {} MiB, packed {} MiB\n",
            dom0.xen_version,
            dom0.kernel_version,
            image.size >> 20,
            image.file_size >> 20
        );
        match self.answers {
            Some(true) => text.push_str("holds an answer file: installs without a question\n"),
            Some(false) => text.push_str("holds no answer file\n"),
            None => {}
        }
        for path in &self.damaged {
            text = text + "damaged: " + path + "\n";
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_other_file_is_no_medium() {
        let dir = tempfile::tempdir().unwrap();
        let (short, other) = (dir.path().join("short"), dir.path().join("other"));
        std::fs::write(&short, "x").unwrap();
        std::fs::write(&other, vec![b'A'; 40_000]).unwrap();
        assert!(matches!(inspect(&short), Err(Error::NotA { .. })));
        let error = inspect(&other).unwrap_err().to_string();
        assert!(error.contains("its volume is named `AAAA"), "{error}");
    }
}
