//! What dom0 gets from the network besides frames: the time, and packages through a proxy.

use std::fmt::Write as _;

use super::super::{Body, TargetFile};
use crate::answers::Ntp;
use crate::values::{ProxyUrl, Server};

/// Both services that an image may come with. One that is not there has no use for its file.
pub(super) fn time(ntp: &Ntp) -> Vec<TargetFile> {
    let servers: &[Server] = match ntp {
        Ntp::Default => return Vec::new(),
        Ntp::None => {
            let off = |path| TargetFile::root(path, 0o777, Body::Symlink("/dev/null".to_owned()));
            return vec![
                off("etc/systemd/system/chrony.service"),
                off("etc/systemd/system/systemd-timesyncd.service"),
            ];
        }
        Ntp::Dhcp => &[],
        Ntp::Servers(servers) => servers,
    };
    let names: Vec<&str> = servers.iter().map(Server::as_str).collect();
    let timesyncd = format!("[Time]\nNTP={}\nFallbackNTP=\n", names.join(" "));
    let mut files = vec![
        TargetFile::file("etc/chrony/chrony.conf", 0o644, chrony(ntp, &names)),
        TargetFile::file("etc/systemd/timesyncd.conf.d/xenhost.conf", 0o644, timesyncd),
    ];
    if *ntp == Ntp::Dhcp {
        files.push(TargetFile::file(FROM_DHCP, 0o644, "chrony is told of the servers.\n"));
    }
    files
}

/// What a service of the image looks for: while it is there, leases are read for time servers.
const FROM_DHCP: &str = "etc/xenhost/ntp-from-dhcp";

/// Servers of its own or a folder of sources; the rest is as Debian has it, without its pool.
fn chrony(ntp: &Ntp, names: &[&str]) -> String {
    let mut text = match ntp {
        Ntp::Dhcp => {
            String::from("# The time servers that DHCP names.\nsourcedir /run/chrony-dhcp\n")
        }
        Ntp::Default | Ntp::None | Ntp::Servers(_) => {
            String::from("# The time servers of the answer file, and no others.\n")
        }
    };
    for name in names {
        writeln!(text, "server {name} iburst").expect("a String takes all that is written to it");
    }
    text.push_str(
        "keyfile /etc/chrony/chrony.keys\n\
         driftfile /var/lib/chrony/chrony.drift\n\
         ntsdumpdir /var/lib/chrony\n\
         logdir /var/log/chrony\n\
         maxupdateskew 100.0\n\
         rtcsync\n\
         makestep 1 3\n\
         leapsectz right/UTC\n",
    );
    text
}

/// For the package manager, and for programs that people start.
pub(super) fn proxy(proxy: Option<&ProxyUrl>) -> Vec<TargetFile> {
    let Some(url) = proxy.map(ProxyUrl::as_str) else { return Vec::new() };
    let apt = format!("Acquire::http::Proxy \"{url}\";\nAcquire::https::Proxy \"{url}\";\n");
    let shell = format!(
        "export http_proxy={url} https_proxy={url}\nexport no_proxy=localhost,127.0.0.1,::1\n"
    );
    vec![
        TargetFile::file("etc/apt/apt.conf.d/80xenhost-proxy", 0o644, apt),
        TargetFile::file("etc/profile.d/xenhost-proxy.sh", 0o644, shell),
    ]
}
