//! What the oracle takes for a whole system: real file systems, compared block by block with those
//! of a run that was not cut.

use std::collections::BTreeMap;
use std::sync::Arc;

use boot_oracle::disk::{Disk, Span};
use boot_oracle::installed::Installed;
use boot_oracle::system::{System, Systems};
use crash_explorer::image::{Block, Image};
use partitioner::units::Extent;

use super::releases::VERSION_FILE;

type Blocks = BTreeMap<u64, Arc<[u8]>>;

/// Versions that are known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Finished {
    /// What a version is called in the scenario, and what it is where it is whole.
    versions: BTreeMap<String, (&'static str, Blocks)>,
}

impl Finished {
    /// The version is whole in this slot of the image.
    pub(crate) fn with(
        mut self,
        version: &str,
        word: &'static str,
        (image, slot): (&Image, Extent),
    ) -> Self {
        let within = slot.first().get()..=slot.last().get();
        let used = image.used().filter(|(lba, _)| within.contains(lba));
        let blocks = used.filter_map(|(lba, block)| match block {
            Block::Bytes(bytes) => Some((lba, Arc::clone(bytes))),
            Block::Unreadable => None,
        });
        self.versions.insert(version.to_owned(), (word, blocks.collect()));
        self
    }
}

impl Systems for Finished {
    fn look(&self, disk: &dyn Disk, span: Span) -> Result<System, String> {
        let mut system = Installed { version_file: VERSION_FILE }.look(disk, span)?;
        let (word, blocks) =
            self.versions.get(&system.version).ok_or("no release that is known")?;
        let mut have = vec![0; disk.block_bytes()];
        system.whole = system.whole
            && blocks.iter().all(|(lba, want)| {
                disk.read(*lba, &mut have).is_ok() && have.as_slice() == &want[..]
            });
        (*word).clone_into(&mut system.version);
        Ok(system)
    }
}
