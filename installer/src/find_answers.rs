//! Finds the answer file of an unattended installation, in the installer environment.
//!
//! In: the kernel line and the places where a file may lie. Out: its bytes, where they came from,
//! and what was found elsewhere. The order is fixed: the kernel line, the medium, a partition
//! labelled `ANSWERFILE`. A file that the kernel line names and that does not come is an error:
//! another one is not what was meant.

use std::fmt;

use installer_core::answers;
use installer_core::boot_line::{self, BootLine, Location};
use installer_core::outcome::Exit;
use installer_core::values::{MachineNames, WebUrl};
use sha2::{Digest, Sha256};

use crate::fetch::FetchError;
use crate::release_dir::hex;

mod here;
mod iso;
mod label;
mod online;

pub use here::Here;
pub(crate) use label::Bounded;
pub use label::Labelled;
pub use online::{NetworkError, bring_up};

/// In the medium, as `image-builder iso --answers` puts it there.
pub const EMBEDDED: &str = "/run/medium/xenhost/answers.yaml";
/// Where the medium is mounted.
pub const MEDIUM: &str = "/run/medium";
/// There once it is mounted.
const MOUNTED: &str = "/run/xenhost/medium";

/// The world in which the file is looked for.
pub trait Places: fmt::Debug {
    /// `/proc/cmdline`
    fn kernel_line(&mut self) -> Result<String, FindError>;

    /// A file of the installer environment or the medium; `None` where there is none. At most one
    /// byte more than an answer file may have.
    fn file(&mut self, path: &str) -> Result<Option<Vec<u8>>, FindError>;

    /// Every volume labelled `ANSWERFILE`.
    fn labelled(&mut self) -> Result<Vec<Labelled>, FindError>;

    /// Brings the network up; what the machine calls itself there.
    fn connect(&mut self, line: &BootLine) -> Result<MachineNames, FindError>;

    fn fetch(&mut self, url: &WebUrl, line: &BootLine) -> Result<Vec<u8>, FindError>;
}

/// The answer file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it is, without a password; problems begin with it.
    pub name: String,
    pub bytes: Vec<u8>,
    /// The digest that the kernel line pins.
    pub confirm: Option<String>,
    /// How it was found, for the log.
    pub told: Vec<String>,
}

/// Why there are no answers. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    #[error("the kernel line: {}", .0.join("; "))]
    Line(Vec<String>),
    #[error("{place}: {why}")]
    Read { place: String, why: String },
    #[error("answerfile={path}: there is no such file, neither here nor on the medium")]
    NoFile { path: String },
    #[error("answerfile={shown}: {why}")]
    Address { shown: String, why: String },
    #[error("the network: {0}")]
    Network(#[from] NetworkError),
    #[error("answer file from {0}")]
    Fetch(#[from] FetchError),
    #[error("{name} has SHA-256 {have}, answerfile-sha256 is {want}")]
    Hash { name: String, have: String, want: String },
    #[error("{} volumes are labelled ANSWERFILE: {}", .0.len(), .0.join(", "))]
    Several(Vec<String>),
    #[error("{0} is labelled ANSWERFILE and holds neither answers.yaml nor answers.xml")]
    EmptyVolume(String),
    #[error(
        "no answer file: no answerfile= on the kernel line, none on the medium, and no volume \
         labelled ANSWERFILE"
    )]
    Nowhere,
    /// What was looked for, and for how long.
    #[error("{0}")]
    NoMedium(String),
    #[error(transparent)]
    Trust(#[from] crate::fetch::TrustError),
}

impl FindError {
    pub fn exit(&self) -> Exit {
        match self {
            Self::Network(_) | Self::Fetch(_) | Self::Trust(_) | Self::NoMedium(_) => {
                Exit::SourceFailed
            }
            Self::Hash { .. } => Exit::HashMismatch,
            Self::Line(_)
            | Self::Read { .. }
            | Self::NoFile { .. }
            | Self::Address { .. }
            | Self::Several(_)
            | Self::EmptyVolume(_)
            | Self::Nowhere => Exit::BadAnswers,
        }
    }

    /// The way out.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Line(_) | Self::Address { .. } => "press e in the boot menu to change the line",
            Self::Read { .. } => "the medium or the stick may be damaged",
            Self::NoFile { .. } => "paths begin at the top of the medium",
            Self::Network(_) => "ip=DEVICE:dhcp or a whole ip= line on the kernel line says how",
            Self::Fetch(error) => error.hint(),
            Self::Hash { .. } => "the file was changed, or the hash is of another one",
            Self::Several(_) => "leave one of them in the machine",
            Self::EmptyVolume(_) => "put the file there by that name",
            Self::Nowhere => "image-builder iso --answers FILE makes a medium that holds one",
            Self::NoMedium(_) => "without one, the answers name a release on the web: `source`",
            Self::Trust(_) => "answerfile-ca= names a file with certificates in PEM form",
        }
    }
}

/// Finds it.
pub fn find(places: &mut dyn Places) -> Result<Found, FindError> {
    let line = boot_line::parse(&places.kernel_line()?).map_err(FindError::Line)?;
    let mut found = match &line.answers {
        Some(location) => named(places, &line, location)?,
        None => unnamed(places)?,
    };
    if let Some(want) = &line.sha256 {
        let have = hex(&Sha256::digest(&found.bytes));
        if have != *want {
            let name = found.name;
            return Err(FindError::Hash { name, have, want: want.clone() });
        }
        found.told.push(format!("its SHA-256 is {have}, as the kernel line says"));
    }
    found.confirm = line.confirm;
    Ok(found)
}

/// The one that the kernel line names.
fn named(
    places: &mut dyn Places,
    line: &BootLine,
    location: &Location,
) -> Result<Found, FindError> {
    let (name, bytes) = match location {
        Location::File(path) => file(places, path)?,
        Location::Web(template) => {
            let names = places.connect(line)?;
            let url = template
                .fill(&names)
                .map_err(|error| FindError::Address { shown: location.shown(), why: error.what })?;
            (url.to_string(), places.fetch(&url, line)?)
        }
    };
    let mut found = Found::new(name, "answerfile= on the kernel line", bytes);
    if places.file(EMBEDDED)?.is_some() {
        found.told.push(format!("not used, the kernel line comes first: {EMBEDDED}"));
    }
    Ok(found)
}

fn file(places: &mut dyn Places, path: &str) -> Result<(String, Vec<u8>), FindError> {
    let below = format!("{MEDIUM}/{}", path.trim_start_matches('/'));
    for place in [path, below.as_str()] {
        if let Some(bytes) = places.file(place)? {
            return Ok((place.to_owned(), bytes));
        }
    }
    Err(FindError::NoFile { path: path.to_owned() })
}

fn unnamed(places: &mut dyn Places) -> Result<Found, FindError> {
    let embedded = places.file(EMBEDDED)?;
    let volumes = places.labelled()?;
    let devices: Vec<String> = volumes.iter().map(|volume| volume.device.clone()).collect();
    if let Some(bytes) = embedded {
        let mut found = Found::new(EMBEDDED.to_owned(), "the medium", bytes);
        let told = |device| format!("not used, the medium comes first: ANSWERFILE on {device}");
        found.told.extend(devices.iter().map(told));
        return Ok(found);
    }
    match <[Labelled; 1]>::try_from(volumes) {
        Ok([Labelled { device, file: Some((name, bytes)) }]) => {
            Ok(Found::new(format!("{device}:{name}"), "the volume labelled ANSWERFILE", bytes))
        }
        Ok([Labelled { device, file: None }]) => Err(FindError::EmptyVolume(device)),
        Err(none) if none.is_empty() => Err(FindError::Nowhere),
        Err(_) => Err(FindError::Several(devices)),
    }
}

impl Found {
    fn new(name: String, by: &str, bytes: Vec<u8>) -> Self {
        let told = vec![
            format!("answers from {name}, {} bytes, named by {by}", bytes.len()),
            "looked for by the kernel line, then on the medium, then on a volume ANSWERFILE"
                .to_owned(),
        ];
        Self { name, bytes, confirm: None, told }
    }
}

/// One byte more than an answer file may have, so that too large a file is seen as that.
pub(crate) fn read_max() -> u64 {
    u64::try_from(answers::SIZE_MAX).unwrap_or(u64::MAX).saturating_add(1)
}

#[cfg(test)]
mod tests;
