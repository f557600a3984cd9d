//! What is asked of a takeover beside the release: what an answer file wants, and what it permits.
//!
//! The disk is divided anew, so that consent to the disk alone is not enough: the answers say so.

use super::{TakeoverPlan, refuse};
use crate::answers::{Health, UpgradeAnswers, UpgradeLayout};
use crate::outcome::Exit;
use crate::request::Refusal;
use crate::target::RelPath;
use crate::values::DeploymentId;

/// What the new host is given that the old one cannot say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    pub deployment_id: Option<DeploymentId>,
    /// How long the new system may take until it is well.
    pub health: Health,
    /// From a host of ours: what is carried over beside the declared list.
    pub keep: Vec<RelPath>,
}

impl From<&UpgradeAnswers> for Wish {
    fn from(answers: &UpgradeAnswers) -> Self {
        Self {
            deployment_id: answers.deployment_id.clone(),
            health: answers.health,
            keep: answers.keep.clone(),
        }
    }
}

/// What moves from a host of another product is a list that nobody adds to: the owners, packages
/// and formats of its files are not those of the new system.
pub fn keeps_no_more(keep: &[RelPath]) -> Result<(), Refusal> {
    let Some(path) = keep.first() else { return Ok(()) };
    let what = format!("/{path} is to be kept: of a host of another product a fixed list moves");
    Err(Refusal::new(Exit::BadAnswers, what).hint(
        "leave it out, and copy it by hand afterwards: the old system stays whole, in the end in \
         slot b",
    ))
}

/// Whether the answers permit what the plan does to the disk. A takeover that is begun over, or
/// completed, found it divided already.
pub fn permit(answers: &UpgradeAnswers, plan: &TakeoverPlan) -> Result<(), Refusal> {
    match answers.layout {
        UpgradeLayout::Modern => Ok(()),
        UpgradeLayout::Keep if plan.facts.trial.is_some() => Ok(()),
        UpgradeLayout::Keep => {
            let mut what = format!(
                "{}: to take over {} divides the disk anew, and `upgrade.layout` is `keep`",
                plan.facts.disk.path,
                refuse::named(&plan.old)
            );
            for line in &plan.destroys {
                what.push_str("\n    ");
                what.push_str(line);
            }
            Err(Refusal::new(Exit::RefusedToDestroy, what).hint(
                "`upgrade: {layout: modern}` permits it; the old system stays bit for bit until \
                 the new one was blessed",
            ))
        }
    }
}
