//! Who may log in, and what runs at the first boot.

use super::{Body, TargetFile};
use crate::answers::{Access, Script, When};
use crate::values::{RootPassword, SshKey};

/// What the console's service of the image looks for: while it is there, the password is asked.
const ASK: &str = "etc/xenhost/ask-root-password";
/// Scripts that a service of the image runs, each once, in the order of their names. A number
/// with `.timeout` holds the seconds that the script may take.
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

/// Where the scripts of one time lie; each has a service of the image.
fn folder(when: Option<When>) -> &'static str {
    match when {
        None => FIRST_BOOT,
        Some(When::BeforeNetwork) => "etc/xenhost/first-boot-before-network.d",
        Some(When::NetworkOnline) => "etc/xenhost/first-boot-network-online.d",
        Some(When::FullyUp) => "etc/xenhost/first-boot-fully-up.d",
    }
}

/// May hold secrets: for root only. Their numbers are those of the answers, whenever they run.
/// Invariant of the engine: each text is there.
pub(super) fn first_boot(scripts: &[Script]) -> Vec<TargetFile> {
    let mut files = Vec::new();
    for when in [None].into_iter().chain(When::ALL.map(Some)) {
        let all = (1..).zip(scripts).filter(|(_, script)| script.when == when);
        let of_this_time: Vec<(u32, &Script)> = all.collect();
        if of_this_time.is_empty() {
            continue;
        }
        let folder = folder(when);
        files.push(TargetFile::root(folder, 0o700, Body::Directory));
        for (number, script) in of_this_time {
            let path = format!("{folder}/{number:02}");
            let text = script.source.text().unwrap_or_default();
            files.push(TargetFile::named(&path, 0o700, text));
            if script.timeout != Script::TIMEOUT_DEFAULT {
                let seconds = format!("{}\n", script.timeout.get());
                files.push(TargetFile::named(&format!("{path}.timeout"), 0o600, seconds));
            }
        }
    }
    files
}
