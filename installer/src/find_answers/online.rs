//! The network of the installer environment: one interface, one address, name servers.
//!
//! In: what the kernel line says. Out: the interface's address card, once the network can be used.
//! DHCP is busybox's `udhcpc`; what a lease says is put in place by `/usr/lib/xenhost/lease`.
//! dom0's own network comes from the answers and has nothing to do with this one.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use installer_core::boot_line::{BootLine, Ip, StaticIp};
use installer_core::facts::NicFacts;
use installer_core::values::Mac;

use crate::call::{Call, CallError, Run};
use crate::probe::{self, Machine, ProbeError};
use crate::wait;

/// Holds the address of the card by which the network is reached.
const ONLINE: &str = "run/xenhost/online";
const RESOLV: &str = "etc/resolv.conf";
/// Requests, and seconds between them; a switch may take half a minute before it passes any.
const DHCP_REQUESTS: &str = "8";
const DHCP_SECONDS: &str = "4";
const DHCP_LIMIT: Duration = Duration::from_secs(90);

/// Why there is no network.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    #[error("the kernel line says ip=off")]
    Off,
    #[error("this machine has no network interface that a driver here knows")]
    NoInterface,
    #[error("there is no interface {wanted}: {have}")]
    NoSuchInterface { wanted: String, have: String },
    #[error("no interface has a link: {0}")]
    NoLink(String),
    #[error("no address by DHCP on {0}")]
    NoLease(String),
    #[error(transparent)]
    Probe(#[from] ProbeError),
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("{path}: {source}")]
    File { path: String, source: io::Error },
}

/// Brings the network up, unless it is; gives the MAC of the interface that reaches it.
/// `root` is `/`, or a folder in tests.
pub fn bring_up(
    line: &BootLine,
    machine: &Machine,
    root: &Path,
    run: &mut dyn Run,
) -> Result<String, NetworkError> {
    if let Ok(mac) = fs::read_to_string(root.join(ONLINE)) {
        return Ok(mac.trim().to_owned());
    }
    let candidates = candidates(line, &probe::nics(machine)?)?;
    for nic in &candidates {
        run.run(&Call::new("ip").args(["link", "set", nic.name.as_str(), "up"]))?;
    }
    let linked = wait_for_link(&candidates, machine);
    let names =
        |nics: &[NicFacts]| nics.iter().map(|nic| nic.name.as_str()).collect::<Vec<_>>().join(", ");
    if linked.is_empty() {
        return Err(NetworkError::NoLink(names(&candidates)));
    }
    let Some(nic) = addressed(line, &linked, root, run)? else {
        return Err(NetworkError::NoLease(names(&linked)));
    };
    write(root, ONLINE, &nic.mac)?;
    Ok(nic.mac.clone())
}

/// The interface that is named, else the one that the machine started from, else all.
fn candidates(line: &BootLine, nics: &[NicFacts]) -> Result<Vec<NicFacts>, NetworkError> {
    let wanted = match &line.ip {
        Some(Ip::Off) => return Err(NetworkError::Off),
        Some(Ip::Dhcp { interface } | Ip::Static(StaticIp { interface, .. })) => interface.clone(),
        None => None,
    };
    if nics.is_empty() {
        return Err(NetworkError::NoInterface);
    }
    let mac = line.boot_interface.as_ref().map(Mac::to_string);
    let chosen: Vec<NicFacts> = match (&wanted, &mac) {
        (Some(name), _) => nics.iter().filter(|nic| nic.name == *name).cloned().collect(),
        (None, Some(mac)) if nics.iter().any(|nic| nic.mac == *mac) => {
            nics.iter().filter(|nic| nic.mac == *mac).cloned().collect()
        }
        (None, _) => nics.to_owned(),
    };
    if chosen.is_empty() {
        let have: Vec<String> =
            nics.iter().map(|nic| format!("{} {}", nic.name, nic.mac)).collect();
        let (wanted, have) = (wanted.unwrap_or_default(), have.join(", "));
        return Err(NetworkError::NoSuchInterface { wanted, have });
    }
    Ok(chosen)
}

/// Those that have a link, as soon as one has it.
fn wait_for_link(nics: &[NicFacts], machine: &Machine) -> Vec<NicFacts> {
    let has_link = |nic: &&NicFacts| {
        let carrier = machine.sys.join("class/net").join(&nic.name).join("carrier");
        probe::attribute(&carrier).as_deref() == Some("1")
    };
    wait::until(|| nics.iter().any(|nic| has_link(&nic)));
    nics.iter().filter(has_link).cloned().collect()
}

/// The first interface that gets an address.
fn addressed<'n>(
    line: &BootLine,
    nics: &'n [NicFacts],
    root: &Path,
    run: &mut dyn Run,
) -> Result<Option<&'n NicFacts>, NetworkError> {
    if let Some(Ip::Static(ip)) = &line.ip {
        let Some(nic) = nics.first() else { return Ok(None) };
        let address = format!("{}/{}", ip.address, ip.prefix);
        let dev = nic.name.as_str();
        run.run(&Call::new("ip").args(["addr", "add", address.as_str(), "dev", dev]))?;
        if let Some(gateway) = ip.gateway {
            let gateway = gateway.to_string();
            let via = ["route", "add", "default", "via", gateway.as_str(), "dev", dev];
            run.run(&Call::new("ip").args(via))?;
        }
        let servers: Vec<String> = ip.dns.iter().map(|ip| format!("nameserver {ip}\n")).collect();
        write(root, RESOLV, &servers.concat())?;
        return Ok(Some(nic));
    }
    for nic in nics {
        let call = Call::new("udhcpc")
            .args(["-f", "-n", "-q", "-t", DHCP_REQUESTS, "-T", DHCP_SECONDS])
            .args(["-s", "/usr/lib/xenhost/lease", "-i", nic.name.as_str()])
            .timeout(DHCP_LIMIT);
        match run.run(&call) {
            Ok(_) => return Ok(Some(nic)),
            // Nobody answers there; the next may be the one.
            Err(CallError::Status { .. } | CallError::Timeout { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

fn write(root: &Path, path: &str, text: &str) -> Result<(), NetworkError> {
    let path = root.join(path);
    let folder = path.parent().unwrap_or(root);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&path, text))
        .map_err(|source| NetworkError::File { path: path.display().to_string(), source })
}

#[cfg(test)]
mod tests;
