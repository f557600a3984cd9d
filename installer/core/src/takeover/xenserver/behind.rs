//! What an old host has and its new dom0 has no use for, or cannot take over.

use super::CarryError;
use super::texts::Texts;
use crate::values::Hostname;

/// Paths and what they are. Told where they are there; never read.
pub(super) const LISTED: &[(&str, &str)] = &[
    ("etc/xensource/ptoken", "the secret of the pool"),
    ("etc/xensource/pool.conf", "the host's role in a pool"),
    (
        "var/lib/xcp/state.db",
        "the database of xapi: networks, storage, users' roles, custom fields",
    ),
    ("var/xapi/state.db", "the database of xapi: networks, storage, users' roles, custom fields"),
    ("var/lib/xcp/blobs", "recorded statistics"),
    ("var/opt/xapi-clusterd/db", "membership of a cluster"),
    ("etc/xensource/license", "the licence"),
    ("etc/xensource/xapi-ssl.pem", "the certificate of xapi"),
    ("etc/xensource/xapi-pool-tls.pem", "the certificate of the pool"),
    ("etc/stunnel/certs", "trusted certificates"),
    ("etc/stunnel/certs-pool", "trusted certificates of the pool"),
    ("etc/stunnel/xapi-pool-ca-bundle.pem", "trusted certificates of the pool"),
    ("etc/stunnel/xapi-stunnel-ca-bundle.pem", "trusted certificates"),
    ("var/lib/xcp/verify_certificates", "the setting that certificates are checked"),
    ("etc/krb5.conf", "membership of a domain"),
    ("etc/krb5.keytab", "the secret of a domain's member"),
    ("var/lib/samba", "membership of a domain"),
    ("var/lib/pbis/db/registry.db", "membership of a domain"),
    ("etc/xensource/syslog.conf", "the log server"),
    ("etc/sysconfig/iptables", "the rules of the firewall"),
    ("etc/sysconfig/logrotate", "settings of logrotate"),
    ("etc/multipath.conf", "settings of multipath"),
    ("etc/mdadm.conf", "the list of software RAIDs"),
    ("etc/nagios/nrpe.cfg", "settings of NRPE"),
    ("etc/nrpe.d", "settings of NRPE"),
    ("etc/snmp/snmpd.xs.conf", "settings of SNMP"),
    ("etc/pygrub/rules.d", "rules of pygrub"),
    ("etc/firstboot.d/data/iqn.conf", "the iSCSI name of the host"),
    ("etc/firstboot.d/data/sr-multipathing.conf", "the setting of multipath for storage"),
];

/// What no file shows, or what was never kept.
const ALWAYS: [&str; 3] = [
    "arguments of Xen and of the kernel, dom0's memory among them: the new release's own count",
    "packages, supplemental packs, cron jobs, sysctl, rules of udev, files outside this list",
    "names and settings of guests' networks; all bridges but that of the management network",
];

/// Ids below are of the system.
const PEOPLE: u32 = 500;
/// What is called so by everybody.
const NOBODY: u32 = 65_534;

pub(super) fn behind(texts: Texts<'_>, hostname: &Hostname) -> Result<Vec<String>, CarryError> {
    let listed = LISTED.iter().filter(|(path, _)| texts.is_there(path));
    let mut lines: Vec<String> = listed.map(|(path, what)| format!("/{path}: {what}")).collect();
    lines.extend(hosts(texts, hostname)?);
    lines.extend(accounts(texts)?);
    lines.extend(ALWAYS.map(str::to_owned));
    Ok(lines)
}

/// Names in `/etc/hosts` that are not the host's own.
fn hosts(texts: Texts<'_>, hostname: &Hostname) -> Result<Option<String>, CarryError> {
    let own = |name: &str| {
        name.starts_with("localhost")
            || name.starts_with("ip6-")
            || [hostname.as_str(), hostname.short()].contains(&name)
    };
    let foreign = |line: &&str| !line.split_whitespace().skip(1).all(own);
    let lines = texts.lines("etc/hosts")?;
    let count = lines.iter().filter(|(_, line)| foreign(line)).count();
    Ok((0 < count).then(|| format!("/etc/hosts: {count} lines with names of other machines")))
}

/// People who could log in.
fn accounts(texts: Texts<'_>) -> Result<Vec<String>, CarryError> {
    let person = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let id: u32 = fields.nth(1)?.parse().ok()?;
        ((PEOPLE..NOBODY).contains(&id)).then(|| format!("the account {name:?}, with its home"))
    };
    Ok(texts.lines("etc/passwd")?.into_iter().filter_map(|(_, line)| person(line)).collect())
}
