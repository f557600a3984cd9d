//! Directory entries of FAT: 32 bytes each, a short name, and before it the pieces of a long one.
//!
//! In: the clusters of a folder, in order. Out: the entry of the wanted name, by either of its
//! names.

use super::volume::{u16_at, u32_at};

const ENTRY_BYTES: usize = 32;
const LONG_NAME: u8 = 0x0F;
const VOLUME_LABEL: u8 = 0x08;
const FOLDER: u8 = 0x10;
const DELETED: u8 = 0xE5;
const LAST_PIECE: u8 = 0x40;
/// A long name has at most 255 characters, 13 in each piece.
const PIECES_MAX: u8 = 20;

/// What an entry says of its file or folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) cluster: u32,
    pub(super) size: u32,
    pub(super) folder: bool,
}

pub(super) enum Search {
    Found(Entry),
    EndOfFolder,
    MoreFollows,
}

/// Reads a folder piece by piece; a long name may begin in one cluster and end in the next.
#[derive(Debug)]
pub(super) struct Reader {
    wanted: String,
    long: Option<LongName>,
}

/// The pieces of a long name come last piece first.
#[derive(Debug)]
struct LongName {
    units: Vec<u16>,
    checksum: u8,
    /// The number of the piece that came last; 1 when the name is complete.
    piece: u8,
}

impl Reader {
    pub(super) fn new(wanted: &str) -> Self {
        Self { wanted: wanted.to_owned(), long: None }
    }

    pub(super) fn search(&mut self, cluster: &[u8]) -> Search {
        for raw in cluster.chunks_exact(ENTRY_BYTES) {
            match raw.first().copied() {
                None | Some(0) => return Search::EndOfFolder,
                Some(DELETED) => {
                    self.long = None;
                    continue;
                }
                Some(_) => {}
            }
            let attributes = raw.get(11).copied().unwrap_or(VOLUME_LABEL);
            if attributes & 0x3F == LONG_NAME {
                self.long = self.long.take().map_or_else(
                    || LongName::begin(raw),
                    |name| name.add(raw).or_else(|| LongName::begin(raw)),
                );
                continue;
            }
            let long = self.long.take();
            if attributes & VOLUME_LABEL == 0
                && let Some(entry) = self.matching(raw, long.as_ref(), attributes)
            {
                return Search::Found(entry);
            }
        }
        Search::MoreFollows
    }

    fn matching(&self, raw: &[u8], long: Option<&LongName>, attributes: u8) -> Option<Entry> {
        let short = raw.get(..11)?;
        let by_long = long
            .and_then(|name| name.text(short))
            .is_some_and(|text| text.eq_ignore_ascii_case(&self.wanted));
        if !by_long && !short_name(short)?.eq_ignore_ascii_case(&self.wanted) {
            return None;
        }
        let high = u32::from(u16_at(raw, 20)?);
        let low = u32::from(u16_at(raw, 26)?);
        Some(Entry {
            cluster: high.checked_shl(16)? | low,
            size: u32_at(raw, 28)?,
            folder: attributes & FOLDER != 0,
        })
    }
}

impl LongName {
    fn begin(raw: &[u8]) -> Option<Self> {
        let order = raw.first().copied()?;
        let piece = order & !LAST_PIECE;
        if order & LAST_PIECE == 0 || !(1..=PIECES_MAX).contains(&piece) {
            return None;
        }
        Some(Self { units: units(raw)?, checksum: raw.get(13).copied()?, piece })
    }

    /// Takes the piece before; `None` where it does not belong to this name.
    fn add(mut self, raw: &[u8]) -> Option<Self> {
        let piece = raw.first().copied()?;
        if Some(piece) != self.piece.checked_sub(1)
            || piece == 0
            || raw.get(13).copied()? != self.checksum
        {
            return None;
        }
        let mut units = units(raw)?;
        units.extend_from_slice(&self.units);
        self.units = units;
        self.piece = piece;
        Some(self)
    }

    /// The name, where all pieces are there and belong to this short name.
    fn text(&self, short: &[u8]) -> Option<String> {
        if self.piece != 1 || checksum(short) != self.checksum {
            return None;
        }
        let units: Vec<u16> = self.units.iter().copied().take_while(|unit| *unit != 0).collect();
        String::from_utf16(&units).ok()
    }
}

fn units(raw: &[u8]) -> Option<Vec<u16>> {
    const PLACES: [usize; 13] = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];
    PLACES.iter().map(|at| u16_at(raw, *at)).collect()
}

fn checksum(short: &[u8]) -> u8 {
    short.iter().fold(0, |sum: u8, byte| sum.rotate_right(1).wrapping_add(*byte))
}

/// `STATE   ENV` as `STATE.ENV`; `None` for a name that is not ASCII.
fn short_name(raw: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(raw).ok()?;
    let (base, extension) = text.split_at_checked(8)?;
    let (base, extension) = (base.trim_end_matches(' '), extension.trim_end_matches(' '));
    Some(if extension.is_empty() { base.to_owned() } else { format!("{base}.{extension}") })
}
