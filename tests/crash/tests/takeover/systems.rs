//! What the oracle takes for a whole system on a disk that is taken over: by its place, block by
//! block as in a run that was not cut.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use boot_oracle::disk::{Disk, Span};
use boot_oracle::system::{RootArgument, System, Systems};
use crash_explorer::epochs::{Step, epochs};
use crash_explorer::image::{Block, Image, Overlay, View};
use partitioner::units::Extent;

/// One place where a system may lie, and what it is where it is whole.
#[derive(Clone, Debug)]
pub(crate) struct Whole {
    span: Span,
    version: String,
    root: RootArgument,
    blocks: BTreeMap<u64, Arc<[u8]>>,
}

/// Systems by their place, compared block by block. One place may know several.
#[derive(Clone, Debug)]
pub(crate) struct ByPlace(pub(crate) Vec<Whole>);

impl Whole {
    pub(crate) fn of(image: &Image, extent: Extent, version: &str, root: RootArgument) -> Self {
        let within = extent.first().get()..=extent.last().get();
        let used = image.used().filter(|(lba, _)| within.contains(lba));
        let blocks = used.filter_map(|(lba, block)| match block {
            Block::Bytes(bytes) => Some((lba, Arc::clone(bytes))),
            Block::Unreadable => None,
        });
        let span = Span::new(extent.first().get(), extent.blocks());
        Self { span, version: version.to_owned(), root, blocks: blocks.collect() }
    }

    pub(crate) fn is_whole(&self, disk: &dyn Disk) -> bool {
        let mut have = vec![0; disk.block_bytes()];
        self.blocks
            .iter()
            .all(|(lba, want)| disk.read(*lba, &mut have).is_ok() && have.as_slice() == &want[..])
    }
}

impl ByPlace {
    /// What lies there whole on this image.
    fn at(&self, image: &Image, place: Extent) -> Option<&Whole> {
        let overlay = Overlay::new();
        let view = View { image, overlay: &overlay };
        let here = |one: &&Whole| one.span.first == place.first().get() && one.is_whole(&view);
        self.0.iter().find(here)
    }

    pub(crate) fn version_at(&self, image: &Image, place: Extent) -> Option<String> {
        self.at(image, place).map(|one| one.version.clone())
    }

    pub(crate) fn root_at(&self, image: &Image, place: Extent) -> Option<RootArgument> {
        self.at(image, place).map(|one| one.root.clone())
    }

    /// Keeps what is whole on this image.
    pub(crate) fn forget(&mut self, image: &Image) {
        let overlay = Overlay::new();
        let view = View { image, overlay: &overlay };
        self.0.retain(|one| one.is_whole(&view));
    }

    /// What no step writes is as it was in every state: it is compared here, and not once more.
    pub(crate) fn leave_out(&mut self, old: &Image, steps: &[Step]) {
        let all = epochs(old, steps);
        let written: BTreeSet<u64> =
            all.iter().flat_map(|epoch| &epoch.atoms).map(|atom| atom.lba).collect();
        let overlay = Overlay::new();
        let view = View { image: old, overlay: &overlay };
        for one in &mut self.0 {
            let (kept, rest) = std::mem::take(&mut one.blocks)
                .into_iter()
                .partition(|(lba, _)| !written.contains(lba));
            one.blocks = kept;
            // Where something differs that stays as it is, all is compared: none is whole.
            if one.is_whole(&view) {
                one.blocks = rest;
            } else {
                one.blocks.extend(rest);
            }
        }
    }
}

impl Systems for ByPlace {
    fn look(&self, disk: &dyn Disk, span: Span) -> Result<System, String> {
        let mut here = self.0.iter().filter(|one| one.span.first == span.first).peekable();
        let first = here.peek().copied();
        let first = first.ok_or_else(|| format!("no system is to lie at {}", span.first))?;
        let whole = here.find(|one| one.is_whole(disk));
        let one = whole.unwrap_or(first);
        Ok(System { version: one.version.clone(), root: one.root.clone(), whole: whole.is_some() })
    }
}
