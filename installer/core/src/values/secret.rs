//! Text that is never shown.

use zeroize::Zeroizing;

/// A secret. It has no `Debug`, no `Display` and no `Serialize`, so that no message, event or file
/// can show it by accident, and it goes from memory when it is dropped.
#[expect(missing_debug_implementations, reason = "what it holds must not be shown")]
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// For the one place that needs the text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}
