//! The plan for people: what is there, what will be there, what is lost, what is kept.
//!
//! 80 columns of ASCII, with the bars of the partitioner.

use std::fmt::Write as _;

use partitioner::plan::picture::{bar, one_part, section};
use partitioner::units::Bytes;

use super::{Plan, lines};

/// The page that is agreed to.
pub fn render(plan: &Plan) -> String {
    let mut page = String::new();
    let mut put = |line: &str| writeln!(page, "{}", line.trim_end()).expect("a String takes all");
    let release = &plan.release;
    put(&format!("Install {} {} ({})", release.product, release.version, release.build));
    put(&format!("  Xen {}, Linux {}", release.xen_version, release.kernel_version));
    put(&format!("  on {}", lines::disk(&plan.disk)));
    put("");
    put("Before:");
    put(&format!("  {}", before(plan)));
    put("After:");
    put(&format!("  {}", after(plan)));
    put("");
    put("  number  name     size        blocks");
    for planned in &plan.table.partitions {
        let size = plan.table.size_of(planned).to_string();
        put(&format!(
            "  {:<6}  {:<7}  {:<10}  {}",
            planned.number, planned.name, size, planned.extent
        ));
    }
    put("");
    put(&format!(
        "dom0 gets {} MiB of memory and {} virtual CPUs.",
        plan.dom0.memory_mib, plan.dom0.vcpus
    ));
    put("");
    section(&mut put, "Will be destroyed:", &plan.destroys, "Nothing: the disk is blank.");
    if !plan.repositories.is_empty() {
        let made: Vec<String> = plan.repositories.iter().map(lines::repository).collect();
        section(&mut put, "Made at the first good boot, on what is blank then:", &made, "");
    }
    section(&mut put, "Is kept:", &plan.keeps, "There is no other disk.");
    if !plan.scripts.is_empty() {
        section(&mut put, "Scripts of the answers:", &plan.scripts, "");
    }
    put("Steps:");
    for (number, step) in (1..).zip(&plan.steps) {
        put(&format!("  {number:>2}. {}", step.title()));
    }
    put("");
    put(&format!("Digest: {}", plan.digest));
    page
}

/// One part: facts say what lies on a disk, not where.
fn before(plan: &Plan) -> String {
    let text = match plan.disk.content.len() {
        0 => "blank".to_owned(),
        1 => "1 thing, see below".to_owned(),
        n => format!("{n} things, see below"),
    };
    one_part(&text)
}

fn after(plan: &Plan) -> String {
    let table = &plan.table;
    let parts: Vec<(&str, Bytes)> = table
        .partitions
        .iter()
        .map(|planned| (planned.name.as_str(), table.size_of(planned)))
        .collect();
    bar(&parts)
}
