//! Everything that a front end, a log or a test learns about a running installation.

use serde::{Deserialize, Serialize};

use crate::answers::Stage;

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
    /// A script of the answers has ended, well or not.
    Script(ScriptEnd),
    /// The write after which the new state counts is durable.
    Committed,
    Finished,
}

/// How a script of the answers ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptEnd {
    pub stage: Stage,
    /// Its place in the stage, from 0 on, as in `hooks.pre[0]`.
    pub index: u32,
    /// Nothing where it was ended: by its time limit, or a signal.
    pub status: Option<u8>,
    /// `ended with 3`, `ran for 5m, its time limit, and was ended`.
    pub ended: String,
    pub seconds: u64,
    /// The end of what it printed, without what is known to be secret.
    pub said: String,
}

impl ScriptEnd {
    /// As the answers name it.
    pub fn name(&self) -> String {
        format!("hooks.{}[{}]", self.stage, self.index)
    }
}
