//! Secrets in every place of an answer file that can hold one: no command shows them, no report
//! carries them, and the disk has none but the script that belongs there.
#![allow(clippy::unwrap_used, dead_code, reason = "a test; its helpers are shared")]

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

use installer_core::answers;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

#[path = "canaries/found.rs"]
mod found;
#[path = "../src/shelf.rs"]
mod shelf;
#[path = "../src/testing.rs"]
mod testing;

use shelf::Shelf;
use testing::{TinyRelease, dom0};

/// In a script, which belongs on the disk.
const SCRIPT: &str = "girlitz-in-a-script";
/// As they are, in base64, and as an address has them: root's password; the password of an address,
/// with its user too, as a header carries it; what an address asks for; a token.
const SECRETS: [&str; 12] = [
    "Kanarien/vogel+42!",
    "S2FuYXJpZW4vdm9nZWwrNDIh",
    "Kanarien%2Fvogel%2B42%21",
    "Zeisig/gelb+7!",
    "WmVpc2lnL2dlbGIrNyE=",
    "Zeisig%2Fgelb%2B7%21",
    "dTpaZWlzaWcvZ2VsYis3IQ==",
    "stieglitz-in-a-query",
    "c3RpZWdsaXR6LWluLWEtcXVlcnk=",
    "gimpel-as-a-token",
    "Z2ltcGVsLWFzLWEtdG9rZW4=",
    SCRIPT,
];
const LOGIN: &str = "u:Zeisig%2Fgelb%2B7%21";
const QUERY: &str = "key=stieglitz-in-a-query";

fn answers_for(port: u16, sha256: &str) -> String {
    format!(
        r##"schema: xenhost/v1
mode: install
disks: {{host: {{serial: SN42}}}}
layout: {{target: host}}
source: {{image: "http://{LOGIN}@127.0.0.1:{port}", sha256: "{sha256}"}}
network: {{management: {{mac: "00:16:3e:aa:bb:cc", ipv4: dhcp}}}}
system: {{hostname: xen1}}
access: {{root_password: {{plain: "Kanarien/vogel+42!"}}}}
first_boot: [{{inline: "#!/bin/sh\necho {SCRIPT}\n"}}]
report:
  webhook:
    - {{url: "http://{LOGIN}@127.0.0.1:{port}/told?{QUERY}", events: [start, done, failed]}}
    - {{url: "https://{LOGIN}@127.0.0.1:1/told?{QUERY}", token: gimpel-as-a-token}}
"##
    )
}

/// Everything that was said so far.
struct Scene {
    dir: TempDir,
    shelf: Shelf,
    answers: String,
    said: String,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let release = TinyRelease::of_bytes(&dom0(dir.path()));
        let manifest = fs::read(release.dir().join("release.json")).unwrap();
        let sha256 = installer::release_dir::hex(&Sha256::digest(manifest));
        let folder = dir.path().join("release");
        fs::rename(release.dir(), &folder).unwrap();
        let shelf = Shelf::open(&folder);
        let answers = answers_for(shelf.port, &sha256);
        let scene = Self { dir, shelf, answers, said: String::new() };
        scene.write("answers", &scene.answers);
        File::create(scene.disk()).unwrap().set_len(46 << 30).unwrap();
        scene
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.dir.path().join(name), text).unwrap();
    }

    fn disk(&self) -> PathBuf {
        self.dir.path().join("disk.img")
    }

    #[expect(clippy::disallowed_methods, reason = "the program under test is a program")]
    #[track_caller]
    fn run(&mut self, code: i32, args: &[&str]) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_host-installer"));
        command.current_dir(self.dir.path()).args(args);
        if ["plan", "install"].contains(&args[0]) {
            command.args(["--disk", "SN42=disk.img", "--memory", "3GiB"]);
        }
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}:\n{text}");
        self.said.push_str(&text);
    }

    #[track_caller]
    fn nothing_is_shown(&self) {
        let reports = self.shelf.posted().concat();
        for secret in SECRETS {
            assert!(!self.said.contains(secret), "{secret} is shown:\n{}", self.said);
            assert!(!reports.contains(secret), "{secret} is reported:\n{reports}");
        }
    }

    #[track_caller]
    fn found_on_the_disk(&self, expected: &[&str]) {
        assert_eq!(found::found_on(&self.disk(), &SECRETS), expected);
    }
}

#[test]
fn an_installation_and_all_that_leads_to_it() {
    let mut scene = Scene::new();
    scene.run(0, &["validate", "answers"]);
    scene.run(0, &["validate", "--json", "answers"]);
    scene.run(0, &["plan", "--answers", "answers"]);
    scene.run(0, &["plan", "--answers", "answers", "--json"]);
    scene.found_on_the_disk(&[]);
    scene.run(0, &["install", "--answers", "answers", "--json"]);
    // The script lies in a folder that only root enters; that of its test looks at the mode.
    scene.found_on_the_disk(&[SCRIPT]);
    scene.run(12, &["install", "--answers", "answers"]);
    let events: Vec<String> = scene.shelf.posted();
    assert_eq!(events.len(), 3, "{events:?}");
    scene.nothing_is_shown();
}

#[test]
fn sources_that_fail() {
    let mut scene = Scene::new();
    let gone = format!("http://{LOGIN}@127.0.0.1:1/gone?{QUERY}");
    let sha256 = "0".repeat(64);
    scene.run(15, &["install", "--answers", &gone]);
    scene.run(15, &["validate", &gone]);
    // Not one that is dead: a release is waited for.
    let gone = format!("http://{LOGIN}@127.0.0.1:{}/gone?{QUERY}", scene.shelf.port);
    let release = ["--release", &gone, "--release-sha256", &sha256];
    scene.run(15, &[&["install", "--answers", "answers"][..], &release].concat());
    // A server that has another release, and one that has none.
    let (before, after) = scene.answers.split_once("sha256: \"").unwrap();
    let other = format!("{before}sha256: \"{sha256}{}", &after[64..]);
    scene.write("other", &other);
    scene.run(14, &["install", "--answers", "other"]);
    fs::remove_file(scene.dir.path().join("release/release.json")).unwrap();
    scene.run(15, &["install", "--answers", "answers"]);
    scene.nothing_is_shown();
    scene.found_on_the_disk(&[]);
}

/// A mistake right beside a secret, in every command that reads the file.
#[test]
fn files_that_are_wrong() {
    let mut scene = Scene::new();
    for (from, to) in [
        ("plain: ", "plian: "),
        ("plain: ", "plain: [1, "),
        ("42!\"", "42!"),
        ("{plain: \"Kan", "{hash: \"$1$Kan"),
        ("token: ", "tokn: "),
        ("token: ", "token: !tag "),
        ("token: gimpel", "token: \"ä gimpel"),
        ("@127.0.0.1:1/", "@127.0.0.1:x/"),
        ("https://u", "htps://u"),
        ("inline: ", "inlnie: "),
        ("report:", "reprot:"),
        ("access: ", "\taccess: "),
        ("source: {image", "source: {imgae"),
    ] {
        assert!(scene.answers.contains(from), "{from}");
        scene.write("wrong", &scene.answers.replace(from, to));
        scene.run(10, &["validate", "wrong"]);
        scene.run(10, &["validate", "--json", "wrong"]);
        scene.run(10, &["convert", "wrong"]);
        scene.run(10, &["install", "--answers", "wrong"]);
    }
    scene.nothing_is_shown();
    scene.found_on_the_disk(&[]);
}

/// A panic shows values by `Debug`.
#[test]
fn values_in_memory() {
    let text = answers_for(1, &"0".repeat(64));
    let (read, _) = answers::read("answers", text.as_bytes()).unwrap();
    let shown = format!("{read:?} {read:#?}");
    assert!(SECRETS.iter().all(|secret| !shown.contains(secret)), "{shown}");
}

/// A converted file holds what the next installation needs; root's password only as a hash.
#[test]
fn a_file_that_is_written_anew() {
    let mut scene = Scene::new();
    scene.run(0, &["convert", "answers"]);
    assert!(SECRETS[..3].iter().all(|secret| !scene.said.contains(secret)), "{}", scene.said);
}
