//! A logical volume that lies in whole pieces of one disk, as a disk of its own. It can only be
//! read.

use std::io;

use super::lvm::group::{Group, Physical, Volume};
use crate::block::{BlockIo, IoError, extent_of};
use crate::units::{BlockSize, Extent, Lba};

/// More pieces than any tool makes of a volume on one disk.
const PIECES_MAX: usize = 4096;

/// Why a logical volume cannot be read from the one partition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotLinear {
    #[error("volume {volume} has a segment that is {what}")]
    Kind { volume: String, what: String },
    #[error("volume {volume} has a segment on {on}, which is not the partition")]
    Elsewhere { volume: String, on: String },
    #[error("volume {volume} has a gap or an overlap at its extent {extent}")]
    Gap { volume: String, extent: u64 },
    #[error("volume {volume} has a segment outside the partition")]
    Outside { volume: String },
    #[error("volume {volume} has no extent, or more than {PIECES_MAX} segments")]
    Segments { volume: String },
}

/// Where the volume lies on the disk, piece by piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Map(Vec<Extent>);

impl Map {
    /// The pieces of a volume whose group has one physical volume, named `on`, of `disk`'s blocks.
    pub(super) fn new(
        disk: &dyn BlockIo,
        group: &Group,
        on: (&str, &Physical),
        volume: &Volume,
    ) -> Result<Self, NotLinear> {
        let name = || volume.name.clone();
        if volume.segments.is_empty() || PIECES_MAX < volume.segments.len() {
            return Err(NotLinear::Segments { volume: name() });
        }
        let mut pieces = Vec::new();
        let mut next = 0_u64;
        for segment in &volume.segments {
            let (place, at) = match &segment.place {
                Ok(place) => place,
                Err(what) => {
                    return Err(NotLinear::Kind { volume: name(), what: what.clone() });
                }
            };
            if place != on.0 {
                return Err(NotLinear::Elsewhere { volume: name(), on: place.clone() });
            }
            if segment.start != next {
                return Err(NotLinear::Gap { volume: name(), extent: next });
            }
            next = next.saturating_add(segment.extents);
            let piece = piece(disk, group, on.1, *at, segment.extents);
            pieces.push(piece.ok_or_else(|| NotLinear::Outside { volume: name() })?);
        }
        Ok(Self(pieces))
    }
}

/// `None` where it is empty, outside, or not in whole blocks.
fn piece(
    disk: &dyn BlockIo,
    group: &Group,
    physical: &Physical,
    at: u64,
    extents: u64,
) -> Option<Extent> {
    let block = disk.block_size().bytes();
    let start = group.extent.get().checked_mul(at)?.checked_add(physical.start.get())?;
    let len = group.extent.get().checked_mul(extents)?;
    let whole = start.checked_rem(block)? == 0 && len.checked_rem(block)? == 0;
    let within = at.checked_add(extents)? <= physical.extents;
    let first = Lba::new(start.checked_div(block)?);
    let extent = Extent::with_len(first, len.checked_div(block)?)?;
    (whole && within && extent.last().get() < disk.blocks()).then_some(extent)
}

/// The volume.
#[derive(Debug)]
pub(super) struct Linear<'a> {
    disk: &'a mut dyn BlockIo,
    map: Map,
    blocks: u64,
}

impl<'a> Linear<'a> {
    pub(super) fn new(disk: &'a mut dyn BlockIo, map: Map) -> Self {
        let blocks = map.0.iter().fold(0, |sum: u64, piece| sum.saturating_add(piece.blocks()));
        Self { disk, map, blocks }
    }

    fn read_only(&self, at: Lba) -> IoError {
        let source = io::ErrorKind::ReadOnlyFilesystem.into();
        let disk = self.disk.name().to_owned();
        IoError::Os { disk, action: "write to a volume opened to read", at, source }
    }
}

impl BlockIo for Linear<'_> {
    fn name(&self) -> &str {
        self.disk.name()
    }

    fn block_size(&self) -> BlockSize {
        self.disk.block_size()
    }

    fn blocks(&self) -> u64 {
        self.blocks
    }

    fn read(&mut self, first: Lba, into: &mut [u8]) -> Result<(), IoError> {
        extent_of(self, first, into.len())?;
        let block = usize::try_from(self.block_size().bytes()).unwrap_or(usize::MAX);
        let mut skip = first.get();
        let mut rest = into;
        for piece in &self.map.0 {
            if piece.blocks() <= skip {
                skip = skip.saturating_sub(piece.blocks());
                continue;
            }
            let here = usize::try_from(piece.blocks().saturating_sub(skip)).unwrap_or(usize::MAX);
            let len = here.saturating_mul(block).min(rest.len());
            let (now, later) = rest.split_at_mut(len);
            self.disk.read(Lba::new(piece.first().get().saturating_add(skip)), now)?;
            rest = later;
            skip = 0;
            if rest.is_empty() {
                break;
            }
        }
        Ok(())
    }

    fn write(&mut self, first: Lba, _: &[u8]) -> Result<(), IoError> {
        Err(self.read_only(first))
    }

    fn flush(&mut self) -> Result<(), IoError> {
        Ok(())
    }

    fn zero(&mut self, extent: Extent) -> Result<(), IoError> {
        Err(self.read_only(extent.first()))
    }
}
