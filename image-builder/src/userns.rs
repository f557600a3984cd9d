//! Becoming root without being root: a user namespace in which the caller's subordinate ids stand
//! for the users of the image.
//!
//! Trees made so belong to those ids on the build machine: remove them from such a namespace too
//! (`unshare --map-root-user --map-auto rm -r DIR`).

use crate::error::{Error, Result};
use crate::exec::Call;

const NAMESPACE: [&str; 6] =
    ["--user", "--map-root-user", "--map-auto", "--mount", "--propagation", "private"];

/// Returns at once for root. Otherwise this very command line starts again inside a namespace, and
/// there is no return but with an error.
pub fn enter() -> Result<()> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let call = Call::host("unshare", "util-linux")?.args(NAMESPACE);
    // Tried with a program that cannot fail, so that what fails is the namespace.
    call.clone().arg("true").output().map_err(|error| Error::NoNamespace {
        reason: error.stderr_tail().last().cloned().unwrap_or_else(|| error.to_string()),
    })?;
    let myself = std::env::current_exe().map_err(Error::io("/proc/self/exe".as_ref()))?;
    Err(call.arg("--").arg(myself).args(std::env::args_os().skip(1)).replace().into())
}
