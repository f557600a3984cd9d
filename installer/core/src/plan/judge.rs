//! A judge of finished plans that does not know how they are made.

use partitioner::ids::Ids;
use partitioner::layout::Role;
use partitioner::units::BlockSize;

use super::{Plan, Step};
use crate::answers::Stage;

/// Something that a plan must not have. The planner never makes one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    #[error("{0}")]
    Table(partitioner::check::Finding),
    #[error("the step `{step}` is performed {times} times, {need} needed")]
    Times { step: String, times: usize, need: usize },
    #[error("the step `{later}` is performed before `{earlier}`")]
    Order { earlier: String, later: String },
    #[error("the step `{step}` has no partition {role} to write to")]
    NoPartition { step: String, role: Role },
    #[error("two file systems share the identifier {id}")]
    IdTwice { id: String },
    #[error("the disk has {have} blocks, the plan is for {planned}")]
    OtherDisk { have: u64, planned: u64 },
    #[error("`{line}` is on the chosen disk and is not listed as destroyed")]
    Unlisted { line: String },
}

/// A plan in which an independent judge found nothing. Only such a plan is performed.
#[derive(Clone, Debug)]
pub struct CheckedPlan(Plan);

impl CheckedPlan {
    pub const fn plan(&self) -> &Plan {
        &self.0
    }

    /// The same plan with fresh identifiers, judged again.
    pub fn draw(&self, ids: &mut Ids) -> Result<Self, Vec<Finding>> {
        checked(self.0.draw(ids))
    }
}

/// Judges a plan without knowing how it was made.
pub fn checked(plan: Plan) -> Result<CheckedPlan, Vec<Finding>> {
    let mut findings: Vec<Finding> =
        partitioner::check::check(&plan.table).into_iter().map(Finding::Table).collect();
    findings.extend(times(&plan));
    findings.extend(order(&plan.steps));
    findings.extend(places(&plan));
    findings.extend(identifiers(&plan));
    findings.extend(disk(&plan));
    if findings.is_empty() { Ok(CheckedPlan(plan)) } else { Err(findings) }
}

/// Each step once; scripts where the answers have some; the BIOS boot loader only where there is
/// room for it, logs and swap only where the layout has partitions for them.
fn times(plan: &Plan) -> Vec<Finding> {
    let has = |role| plan.table.partitions.iter().any(|planned| planned.role == role);
    let sometimes = [
        (Step::WriteCore, plan.disk.block_size == BlockSize::B512),
        (Step::MakeLogs, has(Role::Logs)),
        (Step::MakeSwap, has(Role::Swap)),
    ];
    let need = |step: Step| {
        if let Step::Hooks { stage } = step {
            let first = format!("hooks.{stage}[0]");
            return usize::from(plan.scripts.iter().any(|line| line.starts_with(&first)));
        }
        let which = sometimes.iter().find(|(one, _)| *one == step);
        which.map_or(1, |(_, is_needed)| usize::from(*is_needed))
    };
    let mut findings = Vec::new();
    for (step, need) in PROTOCOL.into_iter().map(|step| (step, need(step))) {
        let times = plan.steps.iter().filter(|s| **s == step).count();
        if times != need {
            findings.push(Finding::Times { step: step.title(), times, need });
        }
    }
    findings
}

const ROOT: Role = Role::Root;

/// The protocol of a fresh installation: each of these comes before the next. A boot entry is no
/// part of it, since it is not on the disk.
const PROTOCOL: [Step; 17] = [
    Step::Hooks { stage: Stage::Pre },
    Step::Disarm,
    Step::WipeSignatures,
    Step::WriteTable,
    Step::Hooks { stage: Stage::StorageReady },
    Step::WriteSlot { role: ROOT },
    Step::IdentifySlot { role: ROOT },
    Step::ConfigureSlot { role: ROOT },
    // What a script leaves in the root is checked with the rest.
    Step::Hooks { stage: Stage::FilesReady },
    Step::CheckSlot { role: ROOT },
    Step::MakeLogs,
    Step::MakeSwap,
    Step::MakeBoot,
    Step::WriteCore,
    Step::Verify,
    Step::Arm,
    Step::Hooks { stage: Stage::Post },
];

fn order(steps: &[Step]) -> Vec<Finding> {
    let at = |step: Step| steps.iter().position(|s| *s == step);
    let present: Vec<(Step, usize)> =
        PROTOCOL.into_iter().filter_map(|step| Some((step, at(step)?))).collect();
    let mut findings = Vec::new();
    for pair in present.windows(2) {
        if let [(earlier, first), (later, second)] = pair
            && second < first
        {
            findings.push(Finding::Order { earlier: earlier.title(), later: later.title() });
        }
    }
    let post = Step::Hooks { stage: Stage::Post };
    for (earlier, later) in [(Step::Arm, Step::BootEntry), (Step::BootEntry, post)] {
        if let (Some(first), Some(second)) = (at(earlier), at(later))
            && second < first
        {
            findings.push(Finding::Order { earlier: earlier.title(), later: later.title() });
        }
    }
    findings
}

fn places(plan: &Plan) -> Vec<Finding> {
    plan.steps
        .iter()
        .filter_map(|step| {
            let role = step.role().filter(|role| plan.table.partition(*role).is_none())?;
            Some(Finding::NoPartition { step: step.title(), role })
        })
        .collect()
}

fn identifiers(plan: &Plan) -> Vec<Finding> {
    let ids = &plan.ids;
    let mut all = [ids.root_a, ids.root_b, ids.logs, ids.swap];
    all.sort_unstable();
    all.windows(2)
        .filter(|pair| pair.first() == pair.last())
        .filter_map(|pair| Some(Finding::IdTwice { id: pair.first()?.to_string() }))
        .collect()
}

fn disk(plan: &Plan) -> Vec<Finding> {
    let have = plan.disk.size.blocks_floor(plan.disk.block_size);
    let planned = plan.table.geometry.blocks;
    let mut findings: Vec<Finding> = plan
        .disk
        .content
        .iter()
        .filter(|line| !plan.destroys.contains(line))
        .map(|line| Finding::Unlisted { line: line.clone() })
        .collect();
    if have != planned || plan.disk.block_size != plan.table.geometry.block_size {
        findings.push(Finding::OtherDisk { have, planned });
    }
    findings
}
