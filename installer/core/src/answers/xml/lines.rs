//! Lines and columns of byte offsets. The XML library counts them from the beginning of the text
//! each time, which takes longer than all else in a file full of mistakes.

use crate::problem::Place;

/// Bytes between two offsets whose characters were counted.
const STRIDE: usize = 512;

/// Knows where every line of a text begins.
#[derive(Debug)]
pub(super) struct Lines<'t> {
    text: &'t [u8],
    /// Byte offsets, the first of them 0.
    starts: Vec<usize>,
    /// Characters before each multiple of `STRIDE`.
    counted: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        let text = text.as_bytes();
        let ends = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        let starts = std::iter::once(0).chain(ends.map(|(at, _)| at.saturating_add(1))).collect();
        let mut counted = vec![0];
        for part in text.chunks(STRIDE) {
            let before = counted.last().copied().unwrap_or(0);
            counted.push(characters(part).saturating_add(before));
        }
        Self { text, starts, counted }
    }

    /// The place of a byte offset, both numbers from 1.
    pub(super) fn place(&self, offset: usize) -> Place {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let column = self.characters_before(offset).saturating_sub(self.characters_before(start));
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Place { line: number(line), column: number(column.saturating_add(1)) }
    }

    fn characters_before(&self, offset: usize) -> usize {
        let block = offset.checked_div(STRIDE).unwrap_or(0);
        let from = block.saturating_mul(STRIDE);
        let rest = self.text.get(from..offset).map_or(0, characters);
        self.counted.get(block).copied().unwrap_or(0).saturating_add(rest)
    }
}

/// How many characters begin in these bytes of UTF-8.
fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xC0 != 0x80).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_the_library() {
        let text = format!("<a>\n{}\n<b ü='é'/>\r\n{}<c/></a>", "äx".repeat(900), "é".repeat(700));
        let document = roxmltree::Document::parse(&text).unwrap();
        let lines = Lines::of(&text);
        for (offset, _) in text.char_indices() {
            let at = document.text_pos_at(offset);
            assert_eq!(lines.place(offset), Place { line: at.row, column: at.col }, "{offset}");
        }
    }
}
