//! The answer files that the tests install with.

use crate::disks::TARGET;
use crate::qemu::MAC;

/// Root's password in every installation that a test makes.
pub(crate) const PASSWORD: &str = "xenhost";
pub(crate) const HASH: &str = "$6$xenhosttests$ur8fOQptFhoTpXtd0wVHCAFRcrckMdNnBZavWQulAAtJacM\
                    hiIaEdc7Q9/Fqn.hurmRcSafPtA8v30Z4pqc/A.";
pub(crate) const HOSTNAME: &str = "xen1";
pub(crate) const DEPLOYMENT: &str = "first-light";
pub(crate) const SSH_KEY: &str = "ssh-ed25519 \
     AAAAC3NzaC1lZDI1NTE5AAAAIHm0p1rYp0u0Q8ZQ2rYJmM5vG0qkq9n4oVJ9Qm2cW3xT operator@example";

/// An answer file, with the parts that tests vary.
#[derive(Clone, Debug)]
pub(crate) struct Answers {
    pub(crate) serial: &'static str,
    pub(crate) on_existing: &'static str,
    /// What the machine does afterwards.
    pub(crate) finish: &'static str,
    /// Whole lines of the network's section, with their indent.
    pub(crate) network: &'static str,
    /// Whole lines, put after the others.
    pub(crate) extra: &'static str,
}

impl Default for Answers {
    fn default() -> Self {
        Self { serial: TARGET, on_existing: "refuse", finish: "poweroff", network: "", extra: "" }
    }
}

impl Answers {
    pub(crate) fn text(&self) -> String {
        let Self { serial, on_existing, finish, network, extra } = self;
        format!(
            "schema: xenhost/v1
mode: install
deployment_id: {DEPLOYMENT}
disks:
  host: {{serial: {serial}}}
layout: {{target: host, name: auto}}
on_existing: {on_existing}
network:
  management: {{mac: \"{MAC}\", ipv4: dhcp}}
{network}system: {{hostname: {HOSTNAME}, timezone: Etc/UTC, keymap: us}}
access:
  root_password: {{hash: \"{HASH}\"}}
  ssh_keys: [{SSH_KEY}]
finish: {{action: {finish}}}
{extra}"
        )
    }
}
