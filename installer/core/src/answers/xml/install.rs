//! A fresh installation.

use partitioner::table::{Compat, LayoutChoice};

use super::disk;
use super::element::Element;
use super::network::network;
use super::others::refused;
use super::scripts::hooks;
use super::source::source;
use crate::answers::{
    Access, Boot, Finish, Health, MachineRules, OnError, OnExisting, RawAnswers, Safety, Storage,
    StorageKind, System, Xen,
};
use crate::problem::{Problem, Problems};
use crate::values::{Hostname, Keymap, PasswordHash, RootPassword, Timezone, ValueError};

/// The name that the disk gets.
const HOST: &str = "host";

pub(super) fn install(root: &mut Element<'_, '_>, problems: &mut Problems) -> Option<RawAnswers> {
    let kind = disk::kind(root, problems);
    signatures(root, problems);
    let source = source(root, problems);
    refused(root, problems);
    let hooks = hooks(root, problems);
    bootloader(root, problems);
    backend(root, problems);
    let (selector, rest) = match root.one("primary-disk", problems) {
        None => {
            root.refuse(problems, "`primary-disk` is missing", "");
            (None, None)
        }
        Some(mut element) => {
            let rest = disk::rest_for_guests(&mut element, problems);
            let selector = disk::selector(&element, problems);
            element.finish(problems);
            (selector, rest)
        }
    };
    if selector.is_some() {
        let what = "the old installer destroyed what was on the disk; here the disk must be blank, \
                    unless `on_existing` permits more";
        let problem = Problem::new(root.at(), "on_existing", what);
        problems.warn(problem.hint("`host-installer convert` makes a file with `on_existing`"));
    }
    let guests = disk::guests(root, selector.as_ref(), problems);
    let network = network(root, problems);
    let system = system(root, problems);
    let access = access(root, problems);
    if let Some(mode) = root.one("ssh-mode", problems)
        && mode.text() != "on"
    {
        mode.refuse(problems, "only `on` is available: SSH runs, with keys", "");
    }
    let (selector, guests, kind) = (selector?, guests?, kind?);
    let sr = if rest? || guests.on_host { StorageKind::Made(kind) } else { StorageKind::None };
    let storage = Storage { sr, disks: guests.disks.keys().map(|n| (n.clone(), kind)).collect() };
    let mut disks = guests.disks;
    disks.insert(HOST.to_owned(), selector);
    Some(RawAnswers {
        deployment_id: None,
        machine: MachineRules::default(),
        safety: Safety::default(),
        disks,
        target: HOST.to_owned(),
        layout: LayoutChoice::Auto,
        boot_size: None,
        compat: Compat::None,
        storage,
        on_existing: OnExisting::Refuse,
        source: source?,
        network: network?,
        system: system?,
        access: access?,
        xen: Xen::default(),
        boot: Boot::default(),
        health: Health::default(),
        hooks,
        first_boot: Vec::new(),
        report: Vec::new(),
        finish: Finish::Reboot,
        on_error: OnError::Shell,
    })
}

/// Releases are always checked here.
fn signatures(root: &mut Element<'_, '_>, problems: &mut Problems) {
    for name in ["repo-gpgcheck", "gpgcheck", "netinstall-gpg-check"] {
        if root.flag(name, true, problems) == Some(false) {
            let what = format!("{name}=\"no\" is not available: releases are always checked");
            root.refuse(problems, &what, "");
        }
    }
}

fn bootloader(root: &mut Element<'_, '_>, problems: &mut Problems) {
    let Some(mut element) = root.one("bootloader", problems) else { return };
    if let Some((_, text)) = element.attribute("location")
        && text != "mbr"
    {
        let what = "the boot loader goes to the head of the disk and to the boot partition";
        element.refuse(problems, what, "location=\"mbr\"");
    }
    if element.flag("write-boot-entry", true, problems) == Some(false) {
        let what = "write-boot-entry=\"no\" is not available yet: an entry is added where possible";
        element.refuse(problems, what, "");
    }
    if !["", "grub2"].contains(&element.text().as_str()) {
        element.refuse(problems, "the boot loader is grub2", "");
    }
    element.finish(problems);
}

fn backend(root: &mut Element<'_, '_>, problems: &mut Problems) {
    let Some(element) = root.one("network-backend", problems) else { return };
    match element.text().as_str() {
        "bridge" => {}
        "openvswitch" | "vswitch" => {
            element.refuse(problems, "Open vSwitch is not available yet", "`bridge`");
        }
        _ => element.refuse(problems, "this is not a backend; the old installer ignored it", ""),
    }
}

fn system(root: &mut Element<'_, '_>, problems: &mut Problems) -> Option<System> {
    const OLD_DEFAULT: &str = "localhost.localdomain";
    let hostname = if let Some(element) = root.one("hostname", problems) {
        element.value(problems, Hostname::parse)
    } else {
        let what = format!("no host name is given; like the old installer: {OLD_DEFAULT}");
        problems.warn(Problem::new(root.at(), "hostname", what));
        Hostname::parse(OLD_DEFAULT).ok()
    };
    let timezone = root
        .one("timezone", problems)
        .map_or_else(|| Some(Timezone::default()), |e| e.value(problems, Timezone::parse));
    let keymap = root
        .one("keymap", problems)
        .map_or_else(|| Some(Keymap::default()), |e| e.value(problems, Keymap::parse));
    Some(System { hostname: hostname?, timezone: timezone?, keymap: keymap? })
}

fn access(root: &mut Element<'_, '_>, problems: &mut Problems) -> Option<Access> {
    let Some(mut element) = root.one("root-password", problems) else {
        let what = "no root password: it is asked on the console at the first boot";
        problems.warn(Problem::new(root.at(), "root-password", what));
        return Some(Access::default());
    };
    let kind = element.attribute("type").map(|(_, text)| text);
    let root_password = match kind.as_deref() {
        Some("hash") => element.value(problems, |text| match text {
            "!!" => Ok(RootPassword::Ask),
            _ => PasswordHash::parse(text).map(RootPassword::Hash),
        }),
        None | Some("plaintext") => {
            let what = "a password in clear; it is hashed at once";
            let problem = Problem::new(element.at(), element.path(), what);
            problems.warn(problem.hint("type=\"hash\" keeps it out of the file"));
            element.value(problems, RootPassword::plain)
        }
        Some(_) => element.value(problems, |_| {
            Err(ValueError::new("the type of a password is plaintext or hash"))
        }),
    };
    element.finish(problems);
    Some(Access { root_password: root_password?, ssh_keys: Vec::new(), ssh_password_login: None })
}
