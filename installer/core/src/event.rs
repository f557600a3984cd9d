//! Everything that a front end, a log or a test learns about a running installation.

use serde::{Deserialize, Serialize};

/// One thing that happened. Steps are numbered from 1 in the order of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum Event {
    /// Sent once, before the first step.
    Started {
        steps: u32,
        digest: String,
    },
    StepBegun {
        step: u32,
        title: String,
    },
    /// `done` and `total` are bytes.
    Progress {
        step: u32,
        done: u64,
        total: u64,
    },
    StepDone {
        step: u32,
    },
    /// Something that the operator should know and that stops nothing.
    Warning {
        text: String,
    },
    /// The write after which the new state counts is durable.
    Committed,
    Finished,
}
