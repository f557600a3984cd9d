//! `NAME=IMAGE[:4096]`: an image file given as a disk.

use std::path::PathBuf;
use std::str::FromStr;

use partitioner::units::BlockSize;

/// An image file, the serial number that it goes by, and the size of its blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageArg {
    pub name: String,
    pub path: PathBuf,
    pub block_size: BlockSize,
}

/// The text names no image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not NAME=IMAGE, as in SN42=disk.img or SN42=disk.img:4096")]
pub struct ImageArgError {
    text: String,
}

impl FromStr for ImageArg {
    type Err = ImageArgError;

    fn from_str(text: &str) -> Result<Self, ImageArgError> {
        let wrong = || ImageArgError { text: text.to_owned() };
        let (name, path) = text.split_once('=').ok_or_else(wrong)?;
        let sizes = [(":4096", BlockSize::B4096), (":512", BlockSize::B512)];
        let (path, block_size) = sizes
            .iter()
            .find_map(|(ending, size)| Some((path.strip_suffix(ending)?, *size)))
            .unwrap_or((path, BlockSize::B512));
        if name.is_empty() || path.is_empty() {
            return Err(wrong());
        }
        Ok(Self { name: name.to_owned(), path: path.into(), block_size })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_paths_and_block_sizes() {
        let parse = |text: &str| {
            text.parse::<ImageArg>()
                .map(|a| (a.name, a.path.to_string_lossy().into_owned(), a.block_size.bytes()))
        };
        assert_eq!(parse("SN42=disk.img"), Ok(("SN42".into(), "disk.img".into(), 512)));
        assert_eq!(parse("SN42=a/b=c:4096"), Ok(("SN42".into(), "a/b=c".into(), 4096)));
        assert_eq!(parse("SN42=d:512"), Ok(("SN42".into(), "d".into(), 512)));
        for bad in ["disk.img", "=disk.img", "SN42=", "SN42=:4096"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
