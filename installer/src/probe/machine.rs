//! What the firmware says of the machine, as the kernel shows it (SMBIOS).

use std::path::Path;

use installer_core::facts::MachineFacts;

use super::Machine;
use super::sysfs::attribute;

/// What firmware without a better idea says.
const EMPTY: [&str; 8] = [
    "",
    "default string",
    "n/a",
    "none",
    "not specified",
    "system manufacturer",
    "system product name",
    "to be filled by o.e.m.",
];

/// A machine without SMBIOS has no names. Serial and UUID are for root to read.
pub(crate) fn names(machine: &Machine) -> MachineFacts {
    let folder = machine.sys.join("class/dmi/id");
    MachineFacts {
        system_uuid: told(&folder, "product_uuid"),
        serial: told(&folder, "product_serial"),
        asset_tag: told(&folder, "chassis_asset_tag"),
        vendor: told(&folder, "sys_vendor"),
        product: told(&folder, "product_name"),
    }
}

fn told(folder: &Path, name: &str) -> Option<String> {
    let text = attribute(&folder.join(name))?;
    let text = text.trim();
    (!EMPTY.contains(&text.to_ascii_lowercase().as_str())).then(|| text.to_owned())
}
