//! Which parts of an XML answer file are never quoted.

use roxmltree::{Document, Node};

use super::lines::Lines;
use crate::problem::Secrets;

/// Elements in which no secret stands. All others, known or not, show their name only.
const OPEN: [&str; 24] = [
    "installation",
    "upgrade",
    "restore",
    "primary-disk",
    "guest-disks",
    "guest-disk",
    "bootloader",
    "network-backend",
    "admin-interface",
    "name-server",
    "nameserver",
    "hostname",
    "timezone",
    "ntp",
    "ntp-server",
    "ntp-servers",
    "keymap",
    "service",
    "ssh-mode",
    "existing-installation",
    "backup-disk",
    "ui-confirmation-prompt",
    "ipaddr",
    "gateway",
];

/// Attributes whose values are no secrets, in whichever element.
const ATTRIBUTES: [&str; 21] = [
    "mode",
    "sr-type",
    "srtype",
    "gpgcheck",
    "repo-gpgcheck",
    "netinstall-gpg-check",
    "type",
    "location",
    "write-boot-entry",
    "guest-storage",
    "gueststorage",
    "sr-at-end",
    "preserve-first-partition",
    "swraid",
    "fs-type",
    "hwaddr",
    "proto",
    "protov6",
    "vlan",
    "source",
    "name",
];

pub(super) fn of(document: &Document<'_>, lines: &Lines<'_>) -> Secrets {
    let mut secrets = Secrets::default();
    let place = |offset: usize| lines.place(offset);
    for node in document.descendants() {
        let range = node.range();
        if node.is_comment() || node.is_pi() || is_stray(&node) {
            secrets.hide(place(range.start), place(range.end));
        }
        if !node.is_element() {
            continue;
        }
        for attribute in node.attributes().filter(|a| !ATTRIBUTES.contains(&a.name())) {
            let start = attribute.range().start.saturating_add(attribute.name().len());
            secrets.hide(place(start), place(attribute.range().end));
        }
        let name = node.tag_name().name();
        let open = OPEN.contains(&name) || is_inside_interface(&node);
        if !open {
            let start = range.start.saturating_add(1).saturating_add(name.len());
            secrets.hide(place(start), place(range.end));
        }
    }
    secrets
}

/// Text between elements, where none belongs.
fn is_stray(node: &Node<'_, '_>) -> bool {
    let beside_elements =
        || node.parent().is_some_and(|parent| parent.children().any(|n| n.is_element()));
    node.is_text() && node.text().is_some_and(|t| !t.trim().is_empty()) && beside_elements()
}

fn is_inside_interface(node: &Node<'_, '_>) -> bool {
    node.parent_element().is_some_and(|parent| parent.tag_name().name() == "admin-interface")
}
