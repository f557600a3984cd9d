//! Answers that are not on the medium: from a web server, and from a stick of their own.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;

use super::media::check;
use crate::answers::Answers;
use crate::call::Call;
use crate::disks;
use crate::dom0;
use crate::failure::{At, Result};
use crate::install::{self, Bench};
use crate::lab::Lab;
use crate::products;
use crate::qemu::{Disk, Firmware, Kernel, MAC, MediumKind, Reach, Spec};

/// The host, as QEMU's network shows it to its machines.
pub(super) const HOST: &str = "10.0.2.2";

/// A machine with a medium without answers, whose kernel is told more.
fn spec(lab: &mut Lab, name: &str, disks: &[Disk], line: &str) -> Result<Spec> {
    let (iso, log) = (lab.run.join(format!("{name}.iso")), lab.run.join("iso.log"));
    let builder = &lab.products.binaries.image_builder;
    let call = products::iso_call(builder, &lab.products.release, &iso, None);
    products::run_logged(&mut lab.report, &format!("{name}: build the ISO"), &call, &log)?;
    let mut spec = dom0::spec(lab, name, Firmware::Bios, disks);
    spec.medium = Some((iso, MediumKind::Cd));
    let release = &lab.products.release;
    spec.kernel = Some(Kernel {
        vmlinuz: release.join(installer_core::release::INSTALLER_KERNEL),
        initrd: release.join(installer_core::release::INSTALLER_INITRD),
        command_line: format!("console=ttyS0,115200 xenhost.test {line}"),
    });
    Ok(spec)
}

/// Installs with answers that a web server has for this machine; started once more, the machine
/// finds that it is installed, writes nothing, and does what it would do after an installation.
pub(super) fn http(lab: &mut Lab) -> Result<()> {
    let text = Answers::default().text();
    let path = format!("/answers/{}.yaml", MAC.replace(':', "-"));
    let port = serve(BTreeMap::from([(path, page(&text))]))?;
    let bench = Bench::new(lab, "answers-http")?;
    let sha256 = crate::digest::text(&text);
    let address = format!("http://{HOST}:{port}/answers/{{mac}}.yaml");
    let line = format!("answerfile={address} answerfile-sha256={sha256}");
    let mut machine = spec(lab, "answers-http", &bench.disks(), &line)?;
    machine.reach = Reach::Host;
    let verdict = install::watch(lab, "answers-http", &machine)?;
    check(&verdict, 0, "new system boots", &["named by answerfile= on the kernel line", &sha256])?;
    bench.check_bystander()?;
    let before = crate::digest::disk(&bench.target)?;
    "answers-http-again".clone_into(&mut machine.name);
    let verdict = install::watch(lab, "answers-http-again", &machine)?;
    check(&verdict, 0, "untouched", &["first-light", "powering off"])?;
    disks::check_unchanged(&bench.target, &before)?;
    bench.check_bystander()
}

/// The answers ask for a disk that is not there, which says enough: they were read.
pub(super) fn label(lab: &mut Lab) -> Result<()> {
    let answers = lab.answers("label", &Answers { serial: "SN99", ..Answers::default() })?;
    let stick = stick(lab, &answers)?;
    let bench = Bench::new(lab, "answers-label")?;
    let mut disks = bench.disks();
    disks.push(Disk { path: stick, serial: "STICK" });
    let machine = spec(lab, "answers-label", &disks, "")?;
    let verdict = install::watch(lab, "answers-label", &machine)?;
    check(&verdict, 11, "untouched", &["the volume labelled ANSWERFILE", "SN99", "SN42"])?;
    bench.check_bystander()
}

fn stick(lab: &Lab, answers: &Path) -> Result<PathBuf> {
    let stick = lab.run.join("stick.img");
    let file = std::fs::File::create(&stick).at("creating", &stick)?;
    file.set_len(16 << 20).at("growing", &stick)?;
    Call::new("mkfs.vfat").args(["-n", "ANSWERFILE"]).arg(&stick).stdout()?;
    Call::new("mcopy").arg("-i").arg(&stick).arg(answers).arg("::/answers.yaml").stdout()?;
    Ok(stick)
}

/// What the server says that has a text.
pub(super) fn page(text: &str) -> String {
    format!("200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len())
}

/// A web server on a port of loopback that answers until xtask ends.
pub(super) fn serve(pages: BTreeMap<String, String>) -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").at("listening on", Path::new("127.0.0.1"))?;
    let address = listener.local_addr().at("asking for", Path::new("the port"))?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A machine that went away is none of ours.
            drop(answer(stream, &pages));
        }
    });
    Ok(address.port())
}

fn answer(stream: TcpStream, pages: &BTreeMap<String, String>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? != 0 && line != "\r\n" {
        line.clear();
    }
    let path = first.split(' ').nth(1).unwrap_or_default();
    let page = pages.get(path).map_or("404 Not Found\r\n\r\n", String::as_str);
    let mut stream = reader.into_inner();
    write!(stream, "HTTP/1.1 {page}")
}
