//! Whom to tell how an installation went.

use super::ServerTrust;
use crate::values::{Secret, WebUrl};

/// A web server that gets each event by POST, as JSON.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    /// May hold a password.
    pub url: WebUrl,
    /// Not empty.
    pub events: Vec<ReportEvent>,
    /// Sent as `Authorization: Bearer`. Invariant: `url` is https then.
    pub token: Option<Secret>,
    pub trust: ServerTrust,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook")
            .field("url", &self.url)
            .field("events", &self.events)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReportEvent {
    /// The plan is made; nothing is written yet.
    Start,
    Done,
    Failed,
}

impl ReportEvent {
    pub const ALL: [Self; 3] = [Self::Start, Self::Done, Self::Failed];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// What the machine does after an installation that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// Waits for a person, with a shell.
    #[default]
    Shell,
    Reboot,
    Poweroff,
    Halt,
}

impl OnError {
    pub const ALL: [Self; 4] = [Self::Shell, Self::Reboot, Self::Poweroff, Self::Halt];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Shell => "shell",
            Self::Reboot => "reboot",
            Self::Poweroff => "poweroff",
            Self::Halt => "halt",
        }
    }
}
