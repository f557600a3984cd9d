//! Who may log in, and what runs at the first boot.

use super::{Body, TargetFile};
use crate::answers::{Access, Script};
use crate::values::{RootPassword, SshKey};

/// What the console's service of the image looks for: while it is there, the password is asked.
const ASK: &str = "etc/xenhost/ask-root-password";
/// Scripts that a service of the image runs, each once, in the order of their names.
const FIRST_BOOT: &str = "etc/xenhost/first-boot.d";

pub(super) fn login(access: &Access) -> Vec<TargetFile> {
    let mut files = authorized(&access.ssh_keys);
    match access.root_password {
        RootPassword::Ask => files.push(TargetFile::file(
            ASK,
            0o600,
            "The console asks for root's password at the next boot, and removes this file.\n",
        )),
        RootPassword::Locked
        | RootPassword::Hash(_)
        | RootPassword::Plain(_)
        | RootPassword::File(_)
        | RootPassword::Env(_) => {}
    }
    let ssh = match access.ssh_password_login {
        None => return files,
        Some(true) => "PermitRootLogin yes\nPasswordAuthentication yes\n",
        Some(false) => "PermitRootLogin prohibit-password\nPasswordAuthentication no\n",
    };
    // sshd takes the first value it meets, and this folder comes before its own file.
    files.push(TargetFile::file("etc/ssh/sshd_config.d/10-xenhost.conf", 0o600, ssh));
    files
}

fn authorized(keys: &[SshKey]) -> Vec<TargetFile> {
    if keys.is_empty() {
        return Vec::new();
    }
    let mut text = String::new();
    for key in keys {
        text.push_str(key.as_str());
        text.push('\n');
    }
    vec![
        TargetFile::root("root/.ssh", 0o700, Body::Directory),
        TargetFile::file("root/.ssh/authorized_keys", 0o600, text),
    ]
}

/// May hold secrets: for root only.
pub(super) fn first_boot(scripts: &[Script]) -> Vec<TargetFile> {
    if scripts.is_empty() {
        return Vec::new();
    }
    let mut files = vec![TargetFile::root(FIRST_BOOT, 0o700, Body::Directory)];
    for (number, script) in (1..).zip(scripts) {
        let path = format!("{FIRST_BOOT}/{number:02}");
        files.push(TargetFile::named(&path, 0o700, script.inline.expose()));
    }
    files
}
