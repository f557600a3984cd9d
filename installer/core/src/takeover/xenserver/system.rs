//! Name, time and keyboard of the old host.

use super::CarryError;
use super::texts::{Texts, in_line};
use crate::answers::{Ipv4, Network, Ntp, System};
use crate::target::{Body, RelPath, TargetFile};
use crate::values::{Hostname, Keymap, Server, Timezone};

/// What an old host is called where nobody gave it a name.
const UNNAMED: &str = "localhost.localdomain";
const MACHINE_ID: &str = "etc/machine-id";
const ZONES: &str = "/usr/share/zoneinfo/";
/// Servers that the old product came with; the new release brings its own.
const NTP_OF_PRODUCT: [&str; 2] = [".centos.pool.ntp.org", ".xenserver.pool.ntp.org"];
/// Where the name servers' scripts put the time servers of a lease.
const NTP_OF_LEASE: &str = "var/lib/dhclient";

pub(super) fn system(texts: Texts<'_>, notes: &mut Vec<String>) -> Result<System, CarryError> {
    Ok(System {
        hostname: hostname(texts)?,
        timezone: timezone(texts, notes)?,
        keymap: keymap(texts, notes)?,
    })
}

fn hostname(texts: Texts<'_>) -> Result<Hostname, CarryError> {
    const PATH: &str = "etc/hostname";
    if let Some((line, text)) = texts.lines(PATH)?.first() {
        return Hostname::parse(text).map_err(|e| in_line(PATH, *line, e));
    }
    let keys = texts.keys("etc/sysconfig/network")?;
    let named = keys.map(|keys| keys.value("HOSTNAME", Hostname::parse)).transpose()?.flatten();
    Ok(match named {
        Some(name) => name,
        None => Hostname::parse(UNNAMED).expect("it is one"),
    })
}

/// A link into the zones, or the name in a file of its own.
fn timezone(texts: Texts<'_>, notes: &mut Vec<String>) -> Result<Timezone, CarryError> {
    let link = texts.link("etc/localtime").and_then(|to| to.split_once(ZONES));
    let file = texts.lines("etc/timezone")?.first().map(|(_, text)| (*text).to_owned());
    let clock = texts.keys("etc/sysconfig/clock")?;
    let name = link
        .map(|(_, name)| name.to_owned())
        .or(file)
        .or_else(|| clock.as_ref()?.get("ZONE").map(str::to_owned));
    let Some(name) = name else {
        notes.push("the time zone, which was not found: it becomes Etc/UTC".to_owned());
        return Ok(Timezone::default());
    };
    Ok(Timezone::parse(&name).unwrap_or_else(|_| {
        notes.push(format!("the time zone {name:?}, which is not known: it becomes Etc/UTC"));
        Timezone::default()
    }))
}

/// Old hosts name keyboards as the console does: `uk`, `de-latin1`.
fn keymap(texts: Texts<'_>, notes: &mut Vec<String>) -> Result<Keymap, CarryError> {
    let console = texts.keys("etc/vconsole.conf")?;
    let older = texts.keys("etc/sysconfig/keyboard")?;
    let name = console.as_ref().and_then(|keys| keys.get("KEYMAP"));
    let name = name.or_else(|| older.as_ref()?.get("KEYTABLE"));
    let Some(name) = name else { return Ok(Keymap::default()) };
    let plain = name.split_once('-').map_or(name, |(plain, _)| plain);
    let plain = if plain == "uk" { "gb" } else { plain };
    Ok(Keymap::parse(plain).unwrap_or_else(|_| {
        notes.push(format!("the keyboard {name:?}, which is not known: it becomes us"));
        Keymap::default()
    }))
}

/// Servers that somebody chose; else those of the lease where the old host took them; else those of
/// the new release.
pub(super) fn ntp(
    texts: Texts<'_>,
    network: &Network,
    notes: &mut Vec<String>,
) -> Result<Ntp, CarryError> {
    let path = ["etc/chrony.conf", "etc/ntp.conf"].into_iter().find(|path| texts.is_there(path));
    let mut servers = Vec::new();
    for (_, text) in path.map_or(Ok(Vec::new()), |path| texts.lines(path))? {
        let mut words = text.split_whitespace();
        if words.next() != Some("server") {
            continue;
        }
        let name = words.next().unwrap_or_default();
        if NTP_OF_PRODUCT.iter().any(|end| name.ends_with(end)) {
            continue;
        }
        match Server::parse(name) {
            // The machine's own clock is no server.
            Ok(_) if name.starts_with("127.") => {}
            Ok(server) => servers.push(server),
            Err(_) => notes.push(format!("the time server {name:?}: this is no name of one")),
        }
    }
    let leased = texts
        .within(NTP_OF_LEASE)
        .iter()
        .any(|(_, file)| matches!(file, super::OldFile::Content(bytes) if !bytes.is_empty()));
    Ok(match (servers.is_empty(), network.management.ipv4) {
        (false, _) => Ntp::Servers(servers),
        (true, Ipv4::Dhcp) if leased => Ntp::Dhcp,
        (true, _) => Ntp::Default,
    })
}

/// The host stays who it is for everything that knows it by this.
pub(super) fn machine_id(texts: Texts<'_>) -> Result<Vec<TargetFile>, CarryError> {
    let id = texts.text(MACHINE_ID)?.unwrap_or_default().trim();
    let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    if id.len() != 32 || !id.chars().all(hex) {
        return Ok(Vec::new());
    }
    let path = RelPath::new(MACHINE_ID).expect("a relative path");
    let body = Body::Content(format!("{id}\n").into_bytes());
    Ok(vec![TargetFile { path, mode: 0o444, uid: 0, gid: 0, body }])
}
