//! When is a host well? Each check is a question about this host alone.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use super::World;
use crate::call::Call;

/// A toolstack that takes longer does not answer.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// Units without which a host cannot be used or reached.
const REQUIRED_UNITS: [&str; 6] = [
    "dbus.service",
    "ssh.service",
    "systemd-journald.service",
    "systemd-networkd.service",
    "systemd-udevd.service",
    "xen.service",
];
const BRIDGE: &str = "sys/class/net/xenbr0";

/// What is wrong, in words; nothing for a host that is well.
pub(super) fn unwell(world: &mut dyn World) -> Vec<String> {
    let mut wrong = Vec::new();
    wrong.extend(root_is_read_only(world.root()));
    wrong.extend(no_bridge(world.root()));
    wrong.extend(no_toolstack(world));
    wrong.extend(failed_units(world));
    wrong.extend(world.unattached());
    wrong
}

fn root_is_read_only(root: &Path) -> Option<String> {
    let folder = root.join("var/lib/xenhost");
    let probe = folder.join(".writable");
    let write = || {
        fs::create_dir_all(&folder)?;
        let mut file = File::create(&probe)?;
        file.write_all(b"bless\n")?;
        file.sync_all()?;
        fs::remove_file(&probe)
    };
    let error = write().err()?;
    Some(format!("the root file system is not writable ({error})"))
}

/// The bridge and an interface in it. An address is not asked for: a DHCP server that is down must
/// not roll a site back.
fn no_bridge(root: &Path) -> Option<String> {
    let bridge = root.join(BRIDGE);
    if !bridge.join("bridge").is_dir() {
        return Some("there is no bridge xenbr0".to_owned());
    }
    let members = fs::read_dir(bridge.join("brif")).map_or(0, Iterator::count);
    (members == 0).then(|| "the bridge xenbr0 has no interface".to_owned())
}

fn no_toolstack(world: &mut dyn World) -> Option<String> {
    let questions =
        [Call::new("xl").arg("info"), Call::new("xenstore-read").arg("/local/domain/0/domid")];
    let unanswered = |call: Call| world.run(&call.timeout(ANSWER_MAX)).err();
    let error = questions.into_iter().find_map(unanswered)?;
    Some(format!("the toolstack does not answer ({error})"))
}

fn failed_units(world: &mut dyn World) -> Option<String> {
    let list = Call::new("systemctl")
        .args(["list-units", "--state=failed", "--plain", "--no-legend", "--full"])
        .timeout(ANSWER_MAX);
    let output = match world.run(&list) {
        Ok(output) => output.stdout_text(),
        Err(error) => return Some(format!("units cannot be listed ({error})")),
    };
    let failed: Vec<&str> = output
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|unit| REQUIRED_UNITS.contains(unit))
        .collect();
    (!failed.is_empty()).then(|| format!("failed: {}", failed.join(", ")))
}
