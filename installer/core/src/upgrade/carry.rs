//! What moves from the old system to the new one. To carry over more, add a line here.
//!
//! A configuration file of a package that nobody changed stays behind: the new release brings its
//! own. Accounts, the boot's arguments, fstab and the inventory are made new from the old ones
//! (`accounts`, `own`) and are not in this list.

use super::accounts::IDS;

/// One entry of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// A file, a link, or a folder with all that is in it.
    Path(&'static str),
    /// What lies in a folder and has a name that begins like this.
    Begins { folder: &'static str, with: &'static str },
}

/// The whole list, in the order in which it is written.
pub const CARRIED: &[Pick] = &[
    // Who the host is.
    Pick::Path("etc/hostname"),
    Pick::Path("etc/machine-id"),
    Pick::Path("etc/hosts"),
    Pick::Path("etc/machine-info"),
    // Who may log in.
    Pick::Begins { folder: "etc/ssh", with: "ssh_host_" },
    Pick::Path("etc/ssh/sshd_config"),
    Pick::Path("etc/ssh/sshd_config.d"),
    Pick::Path("root/.ssh"),
    Pick::Path("etc/sudoers.d"),
    Pick::Path("etc/subuid"),
    Pick::Path("etc/subgid"),
    // A password that was not given yet is asked by the new system.
    Pick::Path("etc/xenhost/ask-root-password"),
    // Network.
    Pick::Path("etc/systemd/network"),
    Pick::Path("etc/systemd/networkd.conf"),
    Pick::Path("etc/systemd/networkd.conf.d"),
    Pick::Path("etc/systemd/resolved.conf"),
    Pick::Path("etc/systemd/resolved.conf.d"),
    Pick::Path("etc/network/interfaces"),
    Pick::Path("etc/network/interfaces.d"),
    Pick::Path("etc/environment"),
    Pick::Path("etc/environment.d"),
    Pick::Path("etc/apt/apt.conf.d"),
    // Time.
    Pick::Path("etc/localtime"),
    Pick::Path("etc/timezone"),
    Pick::Path("etc/adjtime"),
    Pick::Path("etc/systemd/timesyncd.conf"),
    Pick::Path("etc/systemd/timesyncd.conf.d"),
    Pick::Path("etc/chrony"),
    // Keyboard and language. `etc/vconsole.conf` is not among them: where Debian has it, it is the
    // release's link to this file, and one of another release may lead nowhere.
    Pick::Path("etc/default/keyboard"),
    Pick::Path("etc/default/locale"),
    Pick::Path("etc/locale.conf"),
    // Guests: their definitions, and the links in auto/ that start them.
    Pick::Path("etc/xen"),
    Pick::Path("etc/default/xendomains"),
    // Storage: what this host made of its disks, and how they are found.
    Pick::Path(crate::storage::StorageFile::PATH),
    Pick::Path("etc/lvm"),
    Pick::Path("etc/iscsi"),
    Pick::Begins { folder: "etc", with: "multipath" },
    Pick::Path("etc/crypttab"),
    // TLS: keys, certificates, authorities of the site.
    Pick::Path("etc/ssl/private"),
    Pick::Path("usr/local/share/ca-certificates"),
    // Jobs.
    Pick::Path("etc/crontab"),
    Pick::Path("etc/cron.d"),
    Pick::Path("etc/cron.hourly"),
    Pick::Path("etc/cron.daily"),
    Pick::Path("etc/cron.weekly"),
    Pick::Path("etc/cron.monthly"),
    Pick::Path("var/spool/cron/crontabs"),
    // Settings of the kernel.
    Pick::Path("etc/sysctl.conf"),
    Pick::Path("etc/sysctl.d"),
];

/// Never carried, also where an entry of the list or of `upgrade.keep` covers it: each slot has its
/// own.
const NEVER: &[&str] = &[
    "boot",
    "etc/fstab",
    "etc/group",
    "etc/group-",
    "etc/gshadow",
    "etc/gshadow-",
    "etc/passwd",
    "etc/passwd-",
    "etc/shadow",
    "etc/shadow-",
    "etc/xenhost/boot.conf",
    "etc/xenhost/complete.json",
    "etc/xenhost/inventory.json",
    "var/lib/xenhost/blessed.json",
];

/// The path belongs to the slot, and not to the host.
pub fn is_of_slot(path: &str) -> bool {
    NEVER.iter().any(|never| within(path, never))
}

/// The declared list covers the path.
pub fn covers(path: &str) -> bool {
    CARRIED.iter().any(|pick| match pick {
        Pick::Path(whole) => within(path, whole),
        Pick::Begins { folder, with } => path
            .strip_prefix(folder)
            .and_then(|rest| rest.strip_prefix('/'))
            .is_some_and(|name| name.starts_with(with)),
    })
}

/// `path` is `whole` or lies in it.
pub fn within(path: &str, whole: &str) -> bool {
    path.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Made by programs of the host: what changes there is no decision of an administrator, or is made
/// anew by the new release.
const MADE: &[&str] = &[
    ".pwd.lock",
    "alternatives",
    "apparmor.d/cache",
    "ld.so.cache",
    "mtab",
    "resolv.conf",
    "ssl/certs",
    "systemd/system/multi-user.target.wants",
    "xenhost/first-boot-before-network.d",
    "xenhost/first-boot-fully-up.d",
    "xenhost/first-boot-network-online.d",
    "xenhost/first-boot.d",
];

/// A path of `/etc` whose content is made by programs.
pub fn is_made(path: &str) -> bool {
    let below = path.strip_prefix("etc/");
    below.is_some_and(|below| MADE.iter().any(|made| within(below, made)))
}

/// What the list cannot say itself.
pub fn notes() -> Vec<String> {
    let first = IDS.start();
    vec![
        format!("packages that were installed, and accounts below {first} that came with them"),
        "home folders, but for the SSH keys in them; everything outside /etc".to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_compared_by_their_parts() {
        assert!(covers("etc/xen/auto/web.cfg") && covers("etc/multipath.conf"));
        assert!(covers("etc/ssh/ssh_host_rsa_key.pub") && covers("etc/multipath/wwids"));
        assert!(!covers("etc/xenhost/inventory.json") && !covers("etc/hostname.old"));
        assert!(is_of_slot("etc/passwd") && is_of_slot("boot/xenhost/slot.cfg"));
        assert!(!is_of_slot("etc/passwd.d"));
        assert!(is_made("etc/ssl/certs/x.pem") && !is_made("etc/ssl/private/x"));
    }

    #[test]
    fn nothing_on_the_list_is_of_a_slot() {
        for pick in CARRIED {
            if let Pick::Path(path) = pick {
                assert!(!is_of_slot(path) && !path.starts_with('/'), "{path}");
            }
        }
    }
}
