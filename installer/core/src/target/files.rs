//! Every file of the target that depends on the host.

use super::TargetFile;
use crate::facts::HostFacts;
use crate::plan::Plan;
use crate::request::InstallRequest;

/// The files, in the order in which they are written: a directory before what lies in it.
/// `/etc/shadow` is not among them, since it is made from the image's own: [`super::shadow_file`].
pub fn target_files(plan: &Plan, request: &InstallRequest, facts: &HostFacts) -> Vec<TargetFile> {
    drop((plan, request, facts));
    todo!()
}
