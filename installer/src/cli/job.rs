//! What `mode: upgrade`, or `upgrade` without answers, does to the host that was found: an upgrade
//! of one of ours, or the takeover of another product's or of ours.

use installer_core::answers::UpgradeAnswers;
use installer_core::takeover::{self, TakeoverPlan, Wish, asked};
use installer_core::target::RelPath;
use installer_core::upgrade::{self, UpgradePlan};

use super::console::Style;
use super::show::to_json;
use super::takeover::OldHost;
use super::upgrade::{Target, plan};
use super::{Ended, Outcome};
use crate::release_dir::Release;

/// A host, and the plan that was made of it.
pub(super) enum Job {
    Upgrade(Box<(Target, UpgradePlan)>),
    Takeover(Box<(OldHost, TakeoverPlan)>),
}

impl Job {
    pub(super) fn upgrade(
        target: Target,
        release: &Release,
        wish: upgrade::Wish,
    ) -> Result<Self, Ended> {
        let plan = plan(&target.facts, release, wish)?;
        Ok(Self::Upgrade(Box::new((target, plan))))
    }

    /// As somebody confirms it.
    pub(super) fn takeover(
        old: OldHost,
        keep: &[RelPath],
        release: &Release,
    ) -> Result<Self, Ended> {
        old.keeps(keep)?;
        let plan = old.plan(release, &Wish { keep: keep.to_vec(), ..Wish::default() })?;
        Ok(Self::Takeover(Box::new((old, plan))))
    }

    /// As answers permit it.
    pub(super) fn takeover_by(
        answers: &UpgradeAnswers,
        old: OldHost,
        keep: Vec<RelPath>,
        release: &Release,
    ) -> Result<Self, Ended> {
        let plan = old.plan(release, &Wish { keep, ..Wish::from(answers) })?;
        asked::permit(answers, &plan)?;
        Ok(Self::Takeover(Box::new((old, plan))))
    }

    pub(super) fn digest(&self) -> &str {
        match self {
            Self::Upgrade(job) => &job.1.digest,
            Self::Takeover(job) => &job.1.digest,
        }
    }

    /// The disk of the host.
    pub(super) fn disk(&self) -> &str {
        match self {
            Self::Upgrade(job) => &job.1.facts.disk.path,
            Self::Takeover(job) => &job.1.facts.disk.path,
        }
    }

    /// The plan as it is shown.
    pub(super) fn shown(&self, style: Style) -> Result<String, Ended> {
        match (self, style) {
            (Self::Upgrade(job), Style::Lines) => Ok(upgrade::render(&job.1)),
            (Self::Takeover(job), Style::Lines) => Ok(takeover::render(&job.1)),
            (Self::Upgrade(job), Style::Json) => to_json(&upgrade::to_json(&job.1)),
            (Self::Takeover(job), Style::Json) => to_json(&takeover::to_json(&job.1)),
        }
    }

    pub(super) fn perform(&self, release: &Release, style: Style) -> Outcome {
        match self {
            Self::Upgrade(job) => job.0.upgrade(&job.1, release, style),
            Self::Takeover(job) => job.0.take_over(&job.1, release, style),
        }
    }

    /// The host runs here, so that nothing restarts it.
    pub(super) fn is_of_the_running(&self) -> bool {
        match self {
            Self::Upgrade(job) => job.0.rest.is_none(),
            Self::Takeover(_) => false,
        }
    }
}
