//! Answers as a YAML file that is read as the same answers. Defaults are left out.

use std::fmt::Write as _;

use partitioner::table::{Compat, LayoutChoice};

use super::{
    Access, Answers, Bond, BondMode, Finish, Ipv4, Ipv6, Link, MachineRules, Network, NicMatch,
    Ntp, OnError, OnExisting, RawAnswers, SCHEMA, Safety, ServerTrust, Source, Storage,
    StorageKind, UpgradeLayout, Vlan, Webhook, Xen,
};
use crate::facts::Firmware;
use crate::request::Selector;
use crate::values::{BootArg, Hostname, LinkName, RootPassword, Server, SshKey, hex, size_text};

mod scripts;
mod tree;

use tree::{Map, Out, text};

/// The file. It holds the secrets that the answers hold: for a file that only its owner reads.
pub fn yaml(answers: &Answers) -> String {
    let mut top = Map::default();
    top.put("schema", text(SCHEMA));
    top.put("mode", text(answers.mode()));
    match answers {
        Answers::Install(answers) => install(&mut top, answers),
        Answers::Upgrade(answers) => {
            top.some("deployment_id", answers.deployment_id.as_ref().map(|id| text(id.as_str())));
            top.map("machine", machine(&answers.machine));
            let protect = &answers.safety.protect;
            // Whatever the file called it: any name that is free.
            let taken = |name: &&str| protect.iter().any(|(other, _)| other == name);
            let name = ["host", "this", "the_host"].into_iter().find(|n| !taken(n));
            let disks = name.into_iter().map(|name| (name, &answers.disk));
            top.map("disks", named_disks(disks, protect));
            top.map("safety", safety(&answers.safety));
            top.map("source", source(&answers.source));
            let mut how = Map::default();
            if answers.layout == UpgradeLayout::Modern {
                how.put("layout", text("modern"));
            }
            let keep: Vec<String> = answers.keep.iter().map(|path| format!("/{path}")).collect();
            how.list("keep", keep.iter().map(String::as_str));
            top.map("upgrade", how);
            top.map("health", health(answers.health));
            top.map("report", report(&answers.report));
            top.map("finish", finish(answers.finish, answers.on_error));
        }
        Answers::Rollback(answers) => {
            top.map("machine", machine(&answers.machine));
            let disks = answers.disk.iter().map(|disk| ("host", disk));
            top.map("disks", named_disks(disks, &[]));
            top.map("report", report(&answers.report));
            top.map("finish", finish(answers.finish, answers.on_error));
        }
    }
    let mut file = String::new();
    top.print(&mut file, 0);
    file
}

fn install(top: &mut Map, answers: &RawAnswers) {
    top.some("deployment_id", answers.deployment_id.as_ref().map(|id| text(id.as_str())));
    top.map("machine", machine(&answers.machine));
    let disks = answers.disks.iter().map(|(name, disk)| (name.as_str(), disk));
    top.map("disks", named_disks(disks, &[]));
    top.map("safety", safety(&answers.safety));
    top.map("layout", layout(answers));
    top.map("storage", storage(&answers.storage));
    if answers.on_existing != OnExisting::Refuse {
        top.put("on_existing", text(answers.on_existing.word()));
    }
    top.map("source", source(&answers.source));
    top.map("network", network(&answers.network));
    let system = &answers.system;
    top.map(
        "system",
        Map::of([
            ("hostname", text(system.hostname.as_str())),
            ("timezone", text(system.timezone.as_str())),
            ("keymap", text(system.keymap.as_str())),
        ]),
    );
    top.map("access", access(&answers.access));
    top.map("xen", xen(&answers.xen));
    let mut boot = Map::default();
    boot.some("serial", answers.boot.serial.map(|serial| text(serial.to_string())));
    boot.list("kernel_args", answers.boot.kernel_args.iter().map(BootArg::as_str));
    top.map("boot", boot);
    top.map("health", health(answers.health));
    top.map("hooks", scripts::hooks(&answers.hooks));
    top.items("first_boot", answers.first_boot.iter().map(scripts::first_boot).collect());
    top.map("report", report(&answers.report));
    top.map("finish", finish(answers.finish, answers.on_error));
}

fn report(webhooks: &[Webhook]) -> Map {
    let mut map = Map::default();
    map.items("webhook", webhooks.iter().map(webhook).collect());
    map
}

fn source(source: &Source) -> Map {
    let mut map = Map::default();
    let Source::Web(web) = source else { return map };
    map.put("image", text(web.url.expose()));
    map.some("sha256", web.sha256.as_ref().map(text));
    trust(&mut map, &web.trust);
    map
}

fn trust(map: &mut Map, trust: &ServerTrust) {
    match trust {
        ServerTrust::System => {}
        ServerTrust::Authorities(path) => map.put("ca", text(path)),
        ServerTrust::Key(digest) => map.put("key", text(hex(digest))),
    }
}

fn webhook(webhook: &Webhook) -> Out {
    let mut map = Map::of([("url", text(webhook.url.expose()))]);
    map.list("events", webhook.events.iter().map(|event| event.word()));
    map.some("token", webhook.token.as_ref().map(|token| text(token.expose())));
    trust(&mut map, &webhook.trust);
    Out::Map(map)
}

fn storage(storage: &Storage) -> Map {
    let mut map = Map::default();
    match storage.sr {
        StorageKind::Partition => {}
        StorageKind::None => map.put("sr", text("none")),
        StorageKind::Made(kind) => map.put("sr", text(kind.word())),
    }
    let mut disks = Map::default();
    for (name, kind) in &storage.disks {
        disks.put(name, text(kind.word()));
    }
    map.map("disks", disks);
    map
}

fn machine(rules: &MachineRules) -> Map {
    let mut map = Map::default();
    let word = |word: &Option<String>| word.as_ref().map(text);
    map.some("system_uuid", word(&rules.system_uuid));
    map.some("serial", word(&rules.serial));
    map.some("asset_tag", word(&rules.asset_tag));
    map.some("vendor", rules.vendor.as_ref().map(|glob| text(glob.as_str())));
    map.some("product", rules.product.as_ref().map(|glob| text(glob.as_str())));
    map.some("mac", rules.mac.map(|mac| text(mac.to_string())));
    map.some(
        "firmware",
        rules.firmware.map(|firmware| match firmware {
            Firmware::Bios => text("bios"),
            Firmware::Uefi => text("uefi"),
        }),
    );
    map.some("min_memory", rules.min_memory.map(|size| text(size_text(size))));
    map.some("min_cpus", rules.min_cpus.map(|n| Out::Number(n.into())));
    map
}

fn named_disks<'d>(
    disks: impl Iterator<Item = (&'d str, &'d Selector)>,
    protect: &'d [(String, Selector)],
) -> Map {
    let mut map = Map::default();
    let protected = protect.iter().map(|(name, disk)| (name.as_str(), disk));
    for (name, disk) in disks.chain(protected) {
        let mut rules = Map::default();
        for (key, value) in disk.written() {
            rules.put(key, text(value));
        }
        map.put(name, Out::Map(rules));
    }
    map
}

fn safety(safety: &Safety) -> Map {
    let mut map = Map::default();
    map.some("plan", safety.plan.as_ref().map(text));
    map.list("protect", safety.protect.iter().map(|(name, _)| name.as_str()));
    map
}

fn layout(answers: &RawAnswers) -> Map {
    let mut map = Map::of([("target", text(&answers.target))]);
    map.some(
        "name",
        match answers.layout {
            LayoutChoice::Auto => None,
            LayoutChoice::Modern => Some(text("modern")),
            LayoutChoice::Legacy => Some(text("legacy")),
        },
    );
    map.some("boot_size", answers.boot_size.map(|size| text(size_text(size))));
    match answers.compat {
        Compat::None => {}
        Compat::Xenserver => map.put("compat", text("xenserver")),
    }
    map
}

fn network(network: &Network) -> Map {
    let Network { links, management, dns, ntp, proxy } = network;
    let (mut interfaces, mut bonds, mut vlans) = (Map::default(), Map::default(), Map::default());
    for (name, link) in links {
        match link {
            Link::Interface(nic) => interfaces.put(name.as_str(), Out::Map(interface(nic))),
            Link::Bond(Bond { members, mode }) => {
                let mut bond = Map::default();
                bond.list("members", members.iter().map(LinkName::as_str));
                let mode = match mode {
                    BondMode::ActiveBackup => "active-backup",
                    BondMode::Lacp => "lacp",
                };
                bond.put("mode", text(mode));
                bonds.put(name.as_str(), Out::Map(bond));
            }
            Link::Vlan(Vlan { parent, id }) => {
                let id = Out::Number(id.get().into());
                let vlan = Map::of([("parent", text(parent.as_str())), ("id", id)]);
                vlans.put(name.as_str(), Out::Map(vlan));
            }
        }
    }
    let mut map = Map::default();
    map.map("interfaces", interfaces);
    map.map("bonds", bonds);
    map.map("vlans", vlans);
    let mut on = Map::of([("on", text(management.on.as_str()))]);
    on.put("ipv4", ipv4(management.ipv4));
    on.put("ipv6", ipv6(management.ipv6));
    on.some("mtu", management.mtu.map(|mtu| Out::Number(mtu.into())));
    map.map("management", on);
    let mut names = Map::default();
    let servers: Vec<String> = dns.servers.iter().map(ToString::to_string).collect();
    names.list("servers", servers.iter().map(String::as_str));
    names.list("search", dns.search.iter().map(Hostname::as_str));
    map.map("dns", names);
    match ntp {
        Ntp::Default => {}
        Ntp::None => map.put("ntp", text("none")),
        Ntp::Dhcp => map.put("ntp", text("dhcp")),
        Ntp::Servers(servers) => map.list("ntp", servers.iter().map(Server::as_str)),
    }
    map.some("proxy", proxy.as_ref().map(|url| text(url.as_str())));
    map
}

fn interface(nic: &NicMatch) -> Map {
    let mut rules = Map::default();
    rules.some("driver", nic.driver.as_ref().map(|glob| text(glob.as_str())));
    rules.some("path", nic.path.as_ref().map(|glob| text(glob.as_str())));
    rules.some("name", nic.name.as_ref().map(|glob| text(glob.as_str())));
    let mut map = Map::default();
    map.some("mac", nic.mac.map(|mac| text(mac.to_string())));
    map.map("match", rules);
    map
}

fn ipv4(answer: Ipv4) -> Out {
    match answer {
        Ipv4::Dhcp => text("dhcp"),
        Ipv4::None => text("none"),
        Ipv4::Static { address, gateway } => fixed(address, gateway.map(|g| g.to_string())),
    }
}

fn ipv6(answer: Ipv6) -> Out {
    match answer {
        Ipv6::Auto => text("auto"),
        Ipv6::Dhcp => text("dhcp"),
        Ipv6::None => text("none"),
        Ipv6::Static { address, gateway } => fixed(address, gateway.map(|g| g.to_string())),
    }
}

fn fixed(address: crate::values::Cidr, gateway: Option<String>) -> Out {
    let mut map = Map::of([("address", text(address.to_string()))]);
    map.some("gateway", gateway.map(text));
    Out::Map(map)
}

fn access(access: &Access) -> Map {
    let mut map = Map::default();
    let way = |name, out| Some(Out::Map(Map::of([(name, out)])));
    map.some(
        "root_password",
        match &access.root_password {
            RootPassword::Hash(hash) => way("hash", text(hash.expose())),
            RootPassword::Plain(secret) => way("plain", text(secret.expose())),
            RootPassword::File(path) => way("file", text(path)),
            RootPassword::Env(name) => way("env", text(name)),
            RootPassword::Locked => way("locked", Out::Flag(true)),
            RootPassword::Ask => None,
        },
    );
    map.list("ssh_keys", access.ssh_keys.iter().map(SshKey::as_str));
    map.some("ssh_password_login", access.ssh_password_login.map(Out::Flag));
    map
}

fn xen(xen: &Xen) -> Map {
    let mut map = Map::default();
    map.some("dom0_memory", xen.dom0_memory.map(|size| text(size_text(size))));
    map.some("dom0_vcpus", xen.dom0_vcpus.map(|n| Out::Number(n.into())));
    map.list("args", xen.args.iter().map(BootArg::as_str));
    map
}

fn health(health: super::Health) -> Map {
    let mut map = Map::default();
    map.some("timeout", health.timeout.map(|m| text(format!("{}m", m.get()))));
    map
}

fn finish(finish: Finish, on_error: OnError) -> Map {
    let mut map = Map::default();
    if (finish, on_error) != (Finish::Reboot, OnError::Shell) {
        map.put("action", text(finish.word()));
    }
    if on_error != OnError::Shell {
        map.put("on_error", text(on_error.word()));
    }
    map
}

/// Writing to a String cannot end badly.
fn put(file: &mut String, part: std::fmt::Arguments<'_>) {
    file.write_fmt(part).expect("a String takes all that is written to it");
}

#[cfg(test)]
mod tests;
