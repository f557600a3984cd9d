//! The digest of a plan: SHA-512/256 over all that it says and all that was found.
//!
//! What every plan has once is taken as JSON. Partitions, contents and losses, of which a large
//! host has thousands, have a form of their own: as JSON they are three times as much to hash.
//! Every struct is taken apart by all of its fields, so that a new one cannot be forgotten here.
//! The hash is FIPS 180-4's for machines of 64 bits: those without SHA instructions, as old hosts
//! are, need less than half the time that SHA-256 takes.

use serde::Serialize;
use sha2::{Digest, Sha512_256};

use super::Plan;
use super::json::PlanView;
use crate::ids::Guid;
use crate::inspect::report::Report;
use crate::inspect::{Found, Inspection};

/// In lower-case hexadecimal, 64 digits. The plan's own digest is not part of it.
pub(super) fn digest(plan: &Plan) -> String {
    let mut form = Form::default();
    form.json(&PlanView::without_lists(plan));
    let Report { inspection, installations, sr, rescue } = plan.before.as_ref();
    form.json(installations);
    form.json(sr);
    form.json(rescue);
    let Inspection { table, partitions, problems, content } = inspection;
    form.json(table);
    form.json(problems);
    form.texts(content);
    form.losses(&plan.destroys, content);
    form.number(partitions.len());
    for found in partitions {
        form.partition(found);
    }
    let pairs: Vec<String> =
        Sha512_256::digest(&form.0).iter().map(|byte| format!("{byte:02x}")).collect();
    pairs.concat()
}

/// Bytes of which no two plans have the same: a number ends by itself, and a text begins with its
/// length.
#[derive(Debug, Default)]
struct Form(Vec<u8>);

impl Form {
    /// Seven bits to a byte, the lowest first; the last has its highest bit clear.
    fn number(&mut self, number: impl TryInto<u64>) {
        let mut rest = number.try_into().unwrap_or(u64::MAX);
        loop {
            let [low, ..] = rest.to_le_bytes();
            rest >>= 7;
            if rest == 0 {
                self.0.push(low & 0x7F);
                return;
            }
            self.0.push(low | 0x80);
        }
    }

    fn text(&mut self, text: &str) {
        self.number(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    fn texts(&mut self, texts: &[String]) {
        self.number(texts.len());
        for text in texts {
            self.text(text);
        }
    }

    /// Losses that are lines of the content, in its order, as most are, by their place in it; each
    /// other one as 0 and itself.
    fn losses(&mut self, losses: &[String], content: &[String]) {
        self.number(losses.len());
        let mut lines = (1_u64..).zip(content);
        for loss in losses {
            if let Some((place, _)) = lines.by_ref().find(|(_, line)| *line == loss) {
                self.number(place);
            } else {
                self.number(0_u64);
                self.text(loss);
            }
        }
    }

    /// A type is a GUID nearly always.
    fn kind(&mut self, kind: &str) {
        match kind.parse::<Guid>() {
            // Only the usual spelling: no two texts may look alike.
            Ok(guid) if kind.bytes().all(|b| !b.is_ascii_uppercase()) => {
                self.number(1_u64);
                self.0.extend(guid.to_bytes());
            }
            Ok(_) | Err(_) => {
                self.number(0_u64);
                self.text(kind);
            }
        }
    }

    /// None is told from an empty one.
    fn maybe(&mut self, text: Option<&str>) {
        self.number(u64::from(text.is_some()));
        self.text(text.unwrap_or_default());
    }

    fn json(&mut self, value: &impl Serialize) {
        self.text(&serde_json::to_string(value).expect("its keys are text"));
    }

    fn partition(&mut self, found: &Found) {
        // What is kept of an entry is in the other fields, and compared with it before it is kept.
        let Found { number, extent, kind, name, guid, attributes, entry: _, content } = found;
        self.number(*number);
        self.number(extent.first().get());
        self.number(extent.last().get());
        self.kind(kind);
        self.maybe(name.as_deref());
        self.number(u64::from(guid.is_some()));
        self.0.extend(guid.unwrap_or(Guid::NIL).to_bytes());
        self.number(*attributes);
        self.maybe(content.as_deref());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ids::Ids;
    use crate::inspect::{GptState, Table};
    use crate::layout::Firmware;
    use crate::plan::{Facts, Policy, plan};
    use crate::table::{Geometry, TableRequest};
    use crate::units::{BlockSize, Bytes, Extent, Lba};

    fn found() -> Found {
        Found {
            number: 7,
            extent: Extent::with_len(Lba::new(1 << 30), 1 << 21).unwrap(),
            kind: "0x83".to_owned(),
            name: Some("guest".to_owned()),
            guid: Some(Guid::from_u128(9)),
            attributes: 4,
            entry: vec![1; 128],
            content: Some("ext4 \"data\"".to_owned()),
        }
    }

    fn digest_of(change: impl FnOnce(&mut Report)) -> String {
        let table = Table::Gpt { disk_guid: Guid::from_u128(1), state: GptState::Whole };
        let content = vec!["partition 7: ext4".to_owned(), "partition 8: swap".to_owned()];
        let inspection =
            Inspection { table, partitions: vec![found()], problems: Vec::new(), content };
        let mut report = Report { inspection, installations: Vec::new(), sr: None, rescue: None };
        change(&mut report);
        let geometry = Geometry::of_size(Bytes::gib(200), BlockSize::B512);
        let facts = Facts { path: "d", geometry, report: &Arc::new(report) };
        let request = TableRequest::new(Firmware::Uefi);
        plan(&facts, &request, Policy::Replace, &mut Ids::from_seed([0; 32])).unwrap().digest
    }

    /// Whatever is changed about what was found changes the digest.
    #[test]
    fn every_thing_that_was_found_is_covered() {
        let changes: [fn(&mut Report); 12] = [
            |_| {},
            |told| told.inspection.table = Table::None,
            |told| told.inspection.content = vec!["partition 7: ext4partition 8: swap".to_owned()],
            |told| told.inspection.partitions.push(found()),
            |told| told.inspection.partitions[0].number = 8,
            |told| told.inspection.partitions[0].extent = Extent::from(Lba::new(1 << 30)..),
            |told| told.inspection.partitions[0].kind = "0x8e".to_owned(),
            |told| told.inspection.partitions[0].name = None,
            |told| told.inspection.partitions[0].name = Some(String::new()),
            |told| told.inspection.partitions[0].guid = None,
            |told| told.inspection.partitions[0].attributes = 132,
            |told| told.inspection.partitions[0].content = None,
        ];
        let mut digests: Vec<String> = changes.into_iter().map(digest_of).collect();
        assert!(digests.iter().all(|digest| digest.len() == 64));
        assert_eq!(digests[0], digest_of(|_| {}));
        digests.sort();
        digests.dedup();
        assert_eq!(digests.len(), 12);
    }

    /// By place or by name, what is lost is told from what is not.
    #[test]
    fn losses_are_told_apart() {
        let form = |losses: &[&str]| {
            let mut form = Form::default();
            let owned: Vec<String> = losses.iter().map(ToString::to_string).collect();
            form.losses(&owned, &["a".to_owned(), "b".to_owned()]);
            form.0
        };
        assert_eq!(form(&["a", "b", "c"]), [3, 1, 2, 0, 1, b'c']);
        assert_eq!(form(&["b", "a"]), [2, 2, 0, 1, b'a']);
    }

    #[test]
    fn numbers_end_by_themselves() {
        let mut form = Form::default();
        for number in [0_u64, 127, 128, u64::MAX] {
            form.number(number);
        }
        let want = [[0, 127, 128, 1].as_slice(), &[0xFF; 9], &[1]].concat();
        assert_eq!(form.0, want);
    }
}
