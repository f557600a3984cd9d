//! A release in a folder or on a web server: its manifest, and files that are handed out only when
//! their bytes match it.
//!
//! The dom0 image is not read here but by `payload`, chunk by chunk. Signatures are not checked
//! yet: a release is trusted as the medium is, or as the SHA-256 of its manifest or the server's
//! certificate was given by who installs.

use std::io;
use std::path::Path;
use std::sync::Arc;

use installer_core::outcome::Exit;
use installer_core::release::{
    self, ARCH, BOOT_IMG, CORE_IMG, Chunk, GRUB_EFI, INSTALLER_INITRD, INSTALLER_KERNEL, Image,
    Manifest,
};
use installer_core::values::WebUrl;
use sha2::{Digest, Sha256};

mod store;

pub(crate) use store::Open;
pub use store::Store;

use crate::fetch::{Fetch, FetchError};

/// No manifest of ours comes near it: 18 GiB in 4 MiB chunks are 4608 entries of some 200 bytes.
const MANIFEST_BYTES_MAX: u64 = 8 << 20;
/// Files that are read whole. The largest is the installer's initramfs, 80 MiB at most.
const FILE_BYTES_MAX: u64 = 512 << 20;
/// A chunk, and a frame, that must be held in memory.
const CHUNK_BYTES_MAX: u64 = 64 << 20;
/// Image offsets and lengths are multiples of it.
const IMAGE_ALIGN: u64 = 4096;

/// A release whose manifest makes sense. The files behind it may still be missing or damaged.
#[derive(Clone, Debug)]
pub struct Release {
    store: Store,
    manifest: Manifest,
}

/// What is wrong with a release.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    #[error("{place}: {source}")]
    Read { place: String, source: io::Error },
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("{place}: {why}")]
    Manifest { place: String, why: String },
    #[error("{place} has {have} bytes, the manifest says {want}")]
    Size { place: String, have: u64, want: u64 },
    #[error("{place} has SHA-256 {have}, the manifest says {want}")]
    Hash { place: String, have: String, want: String },
    #[error("{place} has SHA-256 {have}, {want} was asked for")]
    OtherManifest { place: String, have: String, want: String },
    /// It is whole, and not for these machines: no trust in it, as with a wrong hash.
    #[error("{place}: the release is for {have}, this installer is for {ARCH}")]
    OtherArch { place: String, have: String },
    #[error("{place}: the manifest does not name {file}")]
    NotListed { place: String, file: &'static str },
}

impl ReleaseError {
    pub fn exit(&self) -> Exit {
        match self {
            Self::Hash { .. } | Self::OtherManifest { .. } | Self::OtherArch { .. } => {
                Exit::HashMismatch
            }
            Self::Read { .. }
            | Self::Fetch(_)
            | Self::Manifest { .. }
            | Self::Size { .. }
            | Self::NotListed { .. } => Exit::SourceFailed,
        }
    }
}

/// What the boot partition and the head of the disk are made of, checked and held in memory: each
/// is read from a slow medium once, and before anything is written.
#[derive(Clone)]
pub struct LoaderFiles {
    pub boot_img: Vec<u8>,
    pub core_img: Vec<u8>,
    pub grub_efi: Vec<u8>,
    pub kernel: Vec<u8>,
    pub initrd: Vec<u8>,
}

impl std::fmt::Debug for LoaderFiles {
    /// Lengths only: the contents are megabytes.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoaderFiles")
            .field("boot_img", &self.boot_img.len())
            .field("core_img", &self.core_img.len())
            .field("grub_efi", &self.grub_efi.len())
            .field("kernel", &self.kernel.len())
            .field("initrd", &self.initrd.len())
            .finish()
    }
}

impl Release {
    /// Reads and checks the manifest of a folder. Opens no other file.
    pub fn open(dir: &Path) -> Result<Self, ReleaseError> {
        Self::open_in(Store::Folder(dir.to_owned()), None)
    }

    /// The same for the folder `url` of a web server.
    pub fn on_web(
        url: WebUrl,
        web: Arc<dyn Fetch>,
        sha256: Option<&str>,
    ) -> Result<Self, ReleaseError> {
        Self::open_in(Store::Web { url, web }, sha256)
    }

    /// `sha256` is what the manifest must have, in lower-case hexadecimal: all else is held against
    /// the manifest.
    pub fn open_in(store: Store, sha256: Option<&str>) -> Result<Self, ReleaseError> {
        let place = store.place(release::MANIFEST);
        let bytes = store.read(release::MANIFEST, MANIFEST_BYTES_MAX)?;
        if let Some(want) = sha256 {
            let have = hex(&Sha256::digest(&bytes));
            if have != want {
                return Err(ReleaseError::OtherManifest { place, have, want: want.to_owned() });
            }
        }
        let manifest: Manifest = serde_json::from_slice(&bytes)
            .map_err(|e| ReleaseError::Manifest { place: place.clone(), why: e.to_string() })?;
        if manifest.arch != ARCH {
            return Err(ReleaseError::OtherArch { place, have: manifest.arch });
        }
        check_manifest(&manifest).map_err(|why| ReleaseError::Manifest { place, why })?;
        Ok(Self { store, manifest })
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Where its files are, for those who check what they read of them.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// About how much an installation writes that is not zero.
    pub fn bytes_written(&self) -> u64 {
        let image = self.manifest.image.chunks.iter().filter(|c| !c.zero).map(|c| c.length);
        let files = self.manifest.files.iter().map(|f| f.size);
        image.chain(files).fold(0, u64::saturating_add)
    }

    /// Every file is there and has its length. Cheap; reads no contents.
    pub fn check_sizes(&self) -> Result<(), ReleaseError> {
        let image = &self.manifest.image;
        self.store.check_size(&image.file, image.file_size)?;
        for file in &self.manifest.files {
            self.store.check_size(&file.path, file.size)?;
        }
        Ok(())
    }

    /// The files that are missing, of another length or with another hash than the manifest says,
    /// by name. Reads all of the release.
    pub fn damaged(&self) -> Vec<(&str, ReleaseError)> {
        let image = &self.manifest.image;
        let files = self.manifest.files.iter().map(|file| (&file.path, file.size, &file.sha256));
        let all = files.chain([(&image.file, image.file_size, &image.file_sha256)]);
        let wrong = all.filter_map(|(name, size, sha256)| {
            let error = self.check_contents(name, size, sha256).err()?;
            Some((name.as_str(), error))
        });
        wrong.collect()
    }

    /// The contents of a listed file, after its length and hash were compared.
    pub fn read(&self, name: &'static str) -> Result<Vec<u8>, ReleaseError> {
        let Some(file) = self.manifest.file(name) else {
            let place = self.store.place(release::MANIFEST);
            return Err(ReleaseError::NotListed { place, file: name });
        };
        if FILE_BYTES_MAX < file.size {
            let why = format!("{name}: more than {FILE_BYTES_MAX} bytes");
            return Err(ReleaseError::Manifest { place: self.store.place(name), why });
        }
        self.store.check_size(name, file.size)?;
        let mut bytes = Vec::new();
        self.store.pieces(name, file.size, |piece| bytes.extend_from_slice(piece))?;
        self.matches(name, &hex(&Sha256::digest(&bytes)), &file.sha256)?;
        Ok(bytes)
    }

    fn check_contents(&self, name: &str, size: u64, want: &str) -> Result<(), ReleaseError> {
        self.store.check_size(name, size)?;
        let mut hash = Sha256::new();
        self.store.pieces(name, size, |piece| hash.update(piece))?;
        self.matches(name, &hex(&hash.finalize()), want)
    }

    fn matches(&self, name: &str, have: &str, want: &str) -> Result<(), ReleaseError> {
        if have == want {
            return Ok(());
        }
        let (have, want) = (have.to_owned(), want.to_owned());
        Err(ReleaseError::Hash { place: self.store.place(name), have, want })
    }

    pub fn read_loader_files(&self) -> Result<LoaderFiles, ReleaseError> {
        Ok(LoaderFiles {
            boot_img: self.read(BOOT_IMG)?,
            core_img: self.read(CORE_IMG)?,
            grub_efi: self.read(GRUB_EFI)?,
            kernel: self.read(INSTALLER_KERNEL)?,
            initrd: self.read(INSTALLER_INITRD)?,
        })
    }
}

/// The rules that the types of the manifest do not hold: what `payload` relies on.
pub fn check_manifest(manifest: &Manifest) -> Result<(), String> {
    if manifest.schema != release::SCHEMA {
        return Err(format!("schema is {:?}, {:?} is known", manifest.schema, release::SCHEMA));
    }
    let mut names = vec![&manifest.image.file];
    names.extend(manifest.files.iter().map(|f| &f.path));
    for name in names {
        if !is_plain(name) {
            return Err(format!("{name:?} is not a path within the release"));
        }
    }
    for file in &manifest.files {
        check_hash(&file.path, &file.sha256)?;
    }
    check_image(&manifest.image)
}

fn check_image(image: &Image) -> Result<(), String> {
    if image.size == 0 || !image.size.is_multiple_of(IMAGE_ALIGN) {
        let size = image.size;
        return Err(format!("image: size {size} is not a multiple of {IMAGE_ALIGN} above zero"));
    }
    let (mut offset, mut frame_offset) = (0_u64, 0_u64);
    for (index, chunk) in image.chunks.iter().enumerate() {
        check_chunk(chunk, offset, frame_offset).map_err(|why| format!("chunk {index}: {why}"))?;
        // Both sums are bounded by the comparison with the sizes below.
        offset = offset.checked_add(chunk.length).ok_or("image: longer than 2^64 bytes")?;
        frame_offset = frame_offset
            .checked_add(chunk.frame_length)
            .ok_or("image: its file is longer than 2^64 bytes")?;
    }
    if offset != image.size {
        return Err(format!("image: chunks end at {offset}, its size is {}", image.size));
    }
    if frame_offset != image.file_size {
        let have = image.file_size;
        return Err(format!("image: frames end at {frame_offset}, the file has {have} bytes"));
    }
    Ok(())
}

fn check_chunk(chunk: &Chunk, offset: u64, frame_offset: u64) -> Result<(), String> {
    if chunk.offset != offset || chunk.frame_offset != frame_offset {
        let at = (chunk.offset, chunk.frame_offset);
        return Err(format!(
            "begins at {at:?}, the one before ended at {:?}",
            (offset, frame_offset)
        ));
    }
    let lengths = [chunk.length, chunk.frame_length];
    if lengths.iter().any(|len| *len == 0 || CHUNK_BYTES_MAX < *len) && !chunk.zero {
        return Err(format!("lengths {lengths:?} are not within 1 and {CHUNK_BYTES_MAX}"));
    }
    if !chunk.length.is_multiple_of(IMAGE_ALIGN) {
        return Err(format!("length {} is not a multiple of {IMAGE_ALIGN}", chunk.length));
    }
    check_hash("its frame", &chunk.sha256)
}

fn check_hash(what: &str, text: &str) -> Result<(), String> {
    let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if text.len() == 64 && text.bytes().all(is_hex) {
        Ok(())
    } else {
        Err(format!("{what}: {text:?} is not a SHA-256 in lower-case hexadecimal"))
    }
}

/// Relative, and without a way out.
fn is_plain(name: &str) -> bool {
    name.split('/').all(|part| !matches!(part, "" | "." | "..")) && !name.contains('\0')
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |n: u8| char::from_digit(u32::from(n), 16).expect("four bits are one digit");
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(digit).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;
    use crate::testing::TinyRelease;

    #[test]
    fn a_whole_release_is_accepted() {
        let tiny = TinyRelease::of_bytes(&[7; 3 << 12]);
        let release = Release::open(tiny.dir()).unwrap();
        release.check_sizes().unwrap();
        assert_eq!(release.read_loader_files().unwrap().boot_img.len(), 512);
    }

    #[track_caller]
    fn refused(edit: impl FnOnce(&mut Manifest), want: &str) {
        let tiny = TinyRelease::of_bytes(&[7; 3 << 12]);
        let mut manifest = Release::open(tiny.dir()).unwrap().manifest().clone();
        edit(&mut manifest);
        assert_eq!(check_manifest(&manifest).unwrap_err(), want);
    }

    #[test]
    fn another_schema() {
        refused(
            |m| m.schema = "xenhost-release/v9".into(),
            r#"schema is "xenhost-release/v9", "xenhost-release/v1" is known"#,
        );
    }

    #[test]
    fn a_file_outside_the_release() {
        refused(
            |m| m.files[0].path = "../../etc/shadow".into(),
            r#""../../etc/shadow" is not a path within the release"#,
        );
    }

    #[test]
    fn a_gap_between_chunks() {
        refused(
            |m| m.image.chunks[0].offset = 4096,
            "chunk 0: begins at (4096, 0), the one before ended at (0, 0)",
        );
    }

    #[test]
    fn chunks_shorter_than_the_image() {
        refused(|m| m.image.size += 4096, "image: chunks end at 12288, its size is 16384");
    }

    #[test]
    fn a_hash_that_is_none() {
        refused(
            |m| m.image.chunks[0].sha256 = "abc".into(),
            r#"chunk 0: its frame: "abc" is not a SHA-256 in lower-case hexadecimal"#,
        );
    }

    #[test]
    fn a_missing_file_is_found_without_reading_others() {
        let tiny = TinyRelease::of_bytes(&[7; 3 << 12]);
        fs::remove_file(tiny.dir().join(INSTALLER_KERNEL)).unwrap();
        let error = Release::open(tiny.dir()).unwrap().check_sizes().unwrap_err();
        assert_eq!(error.exit(), Exit::SourceFailed);
        assert!(error.to_string().contains("installer/vmlinuz: No such file"), "{error}");
    }

    #[test]
    fn a_truncated_file_is_told_with_both_lengths() {
        let tiny = TinyRelease::of_bytes(&[7; 3 << 12]);
        let path = tiny.dir().join(GRUB_EFI);
        File::options().write(true).open(&path).unwrap().set_len(3).unwrap();
        let error = Release::open(tiny.dir()).unwrap().check_sizes().unwrap_err();
        assert!(error.to_string().ends_with("has 3 bytes, the manifest says 1000"), "{error}");
    }

    #[test]
    fn a_changed_file_is_a_hash_mismatch() {
        let tiny = TinyRelease::of_bytes(&[7; 3 << 12]);
        tiny.flip_byte(INSTALLER_INITRD, 5);
        let error = Release::open(tiny.dir()).unwrap().read_loader_files().unwrap_err();
        assert_eq!(error.exit(), Exit::HashMismatch);
    }
}
