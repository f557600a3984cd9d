//! A volume group as its metadata describes it: what a decision about guest storage needs, and no
//! more. What the text lacks or has in another shape is an error, never a default.

use std::collections::BTreeMap;
use std::fmt;

use super::SECTOR;
use super::text::{Section, TextError, Value, parse};
use crate::units::Bytes;

/// A volume group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub name: String,
    /// Raised with every change.
    pub seqno: u64,
    pub extent: Bytes,
    /// By the name that the group gives them, `pv0`.
    pub physical: BTreeMap<String, Physical>,
    pub volumes: Vec<Volume>,
    /// Whatever says that someone else has a claim: tags, a system id, a lock type, exported.
    pub claims: Vec<String>,
}

/// A physical volume of the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Physical {
    /// 32 characters, without the dashes of the text.
    pub uuid: String,
    /// Where its first extent begins, from the start of the partition.
    pub start: Bytes,
    pub extents: u64,
}

/// A logical volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    pub name: String,
    pub size: Bytes,
    pub segments: Vec<Segment>,
}

/// Extents that follow each other in a logical volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    pub start: u64,
    pub extents: u64,
    /// Name of the physical volume and first extent there, where the segment is one piece of one
    /// physical volume; else what it is (`thin-pool`, two stripes).
    pub place: Result<(String, u64), String>,
}

/// Why a text is no volume group.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    #[error(transparent)]
    Text(#[from] TextError),
    #[error("{0} groups in one text")]
    Groups(usize),
    #[error("{place} lacks `{key}`, or it is of another shape")]
    Missing { place: String, key: &'static str },
    #[error("{place} has {says} segments, {found} are described")]
    Segments { place: String, says: u64, found: usize },
    #[error("{place} is larger than a disk can be")]
    TooLarge { place: String },
}

/// Reads the text of one copy.
pub fn read(text: &[u8]) -> Result<Group, GroupError> {
    let all = parse(text)?;
    let mut groups = all.sections();
    let (Some((name, group)), None) = (groups.next(), groups.next()) else {
        return Err(GroupError::Groups(all.sections().count()));
    };
    let need = Need { place: shown(name), section: group };
    let extent = sectors(need.number("extent_size")?, &need.place)?;
    let mut physical = BTreeMap::new();
    if group.has("physical_volumes") {
        for (name, section) in need.section("physical_volumes")?.sections() {
            physical.insert(name.to_owned(), physical_volume(name, section)?);
        }
    }
    let mut volumes = Vec::new();
    if group.has("logical_volumes") {
        for (name, section) in need.section("logical_volumes")?.sections() {
            volumes.push(volume(name, section, extent)?);
        }
    }
    let seqno = need.number("seqno")?;
    let claims = claims(&need)?;
    Ok(Group { name: shown(name), seqno, extent, physical, volumes, claims })
}

fn physical_volume(name: &str, section: &Section) -> Result<Physical, GroupError> {
    let need = Need { place: shown(name), section };
    Ok(Physical {
        uuid: need.text("id")?.replace('-', ""),
        start: sectors(need.number("pe_start")?, &need.place)?,
        extents: need.number("pe_count")?,
    })
}

fn volume(name: &str, section: &Section, extent: Bytes) -> Result<Volume, GroupError> {
    let need = Need { place: shown(name), section };
    let mut segments = Vec::new();
    for (_, section) in section.sections() {
        segments.push(segment(&Need { place: shown(name), section })?);
    }
    segments.sort_by_key(|segment| segment.start);
    let (says, found) = (need.number("segment_count")?, segments.len());
    if u64::try_from(found) != Ok(says) {
        return Err(GroupError::Segments { place: need.place, says, found });
    }
    let extents = segments.iter().try_fold(0_u64, |sum, one| sum.checked_add(one.extents));
    let size = extents.and_then(|extents| extents.checked_mul(extent.get()));
    let size = size.ok_or(GroupError::TooLarge { place: need.place })?;
    Ok(Volume { name: shown(name), size: Bytes::new(size), segments })
}

fn segment(need: &Need<'_>) -> Result<Segment, GroupError> {
    let kind = need.text("type")?;
    let place = if kind == "striped" || kind == "linear" {
        match need.section.list("stripes").unwrap_or_default() {
            [Value::Text(on), Value::Number(at)] => {
                u64::try_from(*at).map(|at| (on.clone(), at)).map_err(|_| "misplaced".to_owned())
            }
            stripes => Err(format!("striped over {} places", stripes.len().div_euclid(2))),
        }
    } else {
        Err(shown(kind))
    };
    let (start, extents) = (need.number("start_extent")?, need.number("extent_count")?);
    Ok(Segment { start, extents, place })
}

/// Only the states that every local group has go unmentioned.
fn claims(need: &Need<'_>) -> Result<Vec<String>, GroupError> {
    let mut claims = Vec::new();
    for status in need.words("status")? {
        if !matches!(status, "RESIZEABLE" | "READ" | "WRITE") {
            claims.push(format!("status {}", shown(status)));
        }
    }
    for key in ["tags", "flags"] {
        let words = if need.section.has(key) { need.words(key)? } else { Vec::new() };
        let what = if key == "tags" { "tag" } else { "flag" };
        claims.extend(words.into_iter().map(|word| format!("{what} {}", shown(word))));
    }
    for (key, what) in [("system_id", "system"), ("lock_type", "lock")] {
        if need.section.has(key) {
            claims.push(format!("{what} {}", shown(need.section.text(key).unwrap_or("?"))));
        }
    }
    Ok(claims)
}

fn sectors(count: u64, place: &str) -> Result<Bytes, GroupError> {
    let bytes = count.checked_mul(SECTOR).map(Bytes::new);
    bytes.ok_or_else(|| GroupError::TooLarge { place: place.to_owned() })
}

/// Text from a disk, safe to show: what could steer a terminal is a question mark.
pub fn shown(text: &str) -> String {
    const LEN_MAX: usize = 128;
    let plain = |c: char| if c.is_control() || c == '`' { '?' } else { c };
    text.chars().take(LEN_MAX).map(plain).collect()
}

/// A section whose entries must be there; its name is for messages.
struct Need<'a> {
    place: String,
    section: &'a Section,
}

impl<'a> Need<'a> {
    fn missing(&self, key: &'static str) -> GroupError {
        GroupError::Missing { place: self.place.clone(), key }
    }

    fn text(&self, key: &'static str) -> Result<&'a str, GroupError> {
        self.section.text(key).ok_or_else(|| self.missing(key))
    }

    fn number(&self, key: &'static str) -> Result<u64, GroupError> {
        self.section.number(key).ok_or_else(|| self.missing(key))
    }

    fn section(&self, key: &'static str) -> Result<&'a Section, GroupError> {
        self.section.section(key).ok_or_else(|| self.missing(key))
    }

    fn words(&self, key: &'static str) -> Result<Vec<&'a str>, GroupError> {
        let list = self.section.list(key).ok_or_else(|| self.missing(key))?;
        let words = list.iter().map(|value| match value {
            Value::Text(text) => Some(text.as_str()),
            Value::Number(_) | Value::List(_) | Value::Section(_) => None,
        });
        words.collect::<Option<_>>().ok_or_else(|| self.missing(key))
    }
}

impl fmt::Display for Volume {
    /// The name and the size, as in lists for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "volume {}, {}", self.name, self.size)
    }
}
