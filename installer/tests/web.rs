//! Releases on a web server, as a user meets them: exit codes, words, the last line, what the
//! server was asked for, and the disk afterwards.

#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "a test; its helpers are shared with the unit tests"
)]

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};
use tempfile::TempDir;

#[path = "../src/shelf.rs"]
mod shelf;
#[path = "../src/testing.rs"]
mod testing;

use shelf::{Shelf, Trouble};
use testing::{ANSWERS, TinyRelease, dom0};

const IMAGE: &str = "dom0.img.zst";

struct Desk {
    dir: TempDir,
    release: TinyRelease,
    shelf: Shelf,
    /// Of release.json.
    sha256: String,
}

struct Said {
    code: i32,
    err: String,
}

impl Said {
    #[track_caller]
    fn ended(&self, code: i32, state: &str, words: &[&str]) {
        assert_eq!(self.code, code, "{}", self.err);
        let last = self.err.lines().last().unwrap_or_default();
        assert_eq!(last, format!("DISK STATE: {state}"));
        for word in words {
            assert!(self.err.contains(word), "no {word:?} in {}", self.err);
        }
    }
}

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let release = TinyRelease::of_bytes(&dom0(dir.path()));
        let shelf = Shelf::open(release.dir());
        let manifest = fs::read(release.dir().join("release.json")).unwrap();
        let sha256 = installer::release_dir::hex(&Sha256::digest(manifest));
        let desk = Self { dir, release, shelf, sha256 };
        desk.answers("");
        desk.blank();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn answers(&self, source: &str) {
        fs::write(self.path("answers.yaml"), format!("{ANSWERS}{source}\n")).unwrap();
    }

    fn blank(&self) {
        File::create(self.path("disk.img")).unwrap().set_len(46 << 30).unwrap();
    }

    #[expect(clippy::disallowed_methods, reason = "the program under test is a program")]
    fn install(&self, more: &[&str]) -> Said {
        let output = Command::new(env!("CARGO_BIN_EXE_host-installer"))
            .current_dir(self.dir.path())
            .args(["install", "--answers", "answers.yaml", "--memory", "3GiB"])
            .args(["--disk", "SN42=disk.img"])
            .args(more)
            .output()
            .unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        Said { code: output.status.code().unwrap(), err }
    }

    fn install_by_url(&self) -> Said {
        self.install(&["--release", &self.shelf.url(), "--release-sha256", &self.sha256])
    }

    fn image(&self) -> Vec<u8> {
        fs::read(self.release.dir().join(IMAGE)).unwrap()
    }

    #[track_caller]
    fn refused(&self, said: &Said, code: i32, words: &[&str]) {
        said.ended(code, "untouched", words);
        assert!(is_blank(&self.path("disk.img")));
    }
}

fn is_blank(disk: &Path) -> bool {
    let mut head = vec![1; 4 << 20];
    File::open(disk).unwrap().read_exact_at(&mut head, 0).unwrap();
    head.iter().all(|b| *b == 0)
}

#[test]
fn a_broken_connection_goes_on_where_it_broke() {
    let desk = Desk::new();
    let bytes = 1 << 20;
    desk.shelf.trouble(IMAGE, Trouble::Cut { bytes, times: 4 });
    desk.install_by_url().ended(0, "new system boots", &[]);
    let asked = desk.shelf.asked();
    assert_eq!(asked[0], "GET /release.json");
    // The length was asked for first, and that answer was not read to its end.
    for n in 1..=3 {
        let part = format!("GET /{IMAGE} bytes={}-", n * bytes);
        assert!(asked.contains(&part), "no {part} in {asked:?}");
    }
}

#[test]
fn the_answers_name_a_release() {
    let desk = Desk::new();
    let folder = TempDir::new().unwrap();
    let other = Shelf::open(folder.path());
    other.trouble("r/release.json", Trouble::Moved { to: desk.shelf.url() + "/release.json" });
    let source = |url: &str, more: &str| format!("source: {{image: \"{url}\"{more}}}");
    desk.answers(&source(&desk.shelf.url(), &format!(", sha256: {}", desk.sha256)));
    desk.install(&[]).ended(0, "new system boots", &[]);
    assert!(desk.shelf.asked().contains(&format!("GET /{IMAGE}")));
    // Only the manifest moved: the redirect is followed, the next file is not there.
    desk.blank();
    let moved = format!("{}/r", other.url());
    desk.answers(&source(&moved, &format!(", sha256: {}", desk.sha256)));
    desk.refused(&desk.install(&[]), 15, &["/r/", "404 Not Found"]);
    // The command line comes first.
    desk.answers(&source("http://127.0.0.1:1/gone", &format!(", sha256: {}", desk.sha256)));
    desk.install_by_url().ended(0, "new system boots", &[]);
}

#[test]
fn what_is_known_before_the_first_write_leaves_the_disk_alone() {
    let desk = Desk::new();
    let url = desk.shelf.url();
    let said = desk.install(&["--release", &url]);
    desk.refused(&said, 10, &["over http needs --release-sha256"]);
    desk.answers(&format!("source: {{image: \"{url}\"}}"));
    desk.refused(&desk.install(&[]), 10, &["over http needs `sha256`"]);
    assert_eq!(desk.shelf.asked(), Vec::<String>::new());
    desk.answers("");
    desk.refused(&desk.install(&[]), 10, &["--release DIR|URL is needed"]);
    let other = desk.sha256.replace(['0', '1', '2'], "9");
    let said = desk.install(&["--release", &url, "--release-sha256", &other]);
    desk.refused(&said, 14, &["release.json has SHA-256", &other]);
    let core = "boot/core.img";
    let troubles = [
        ("release.json", Trouble::Status { line: "404 Not Found" }, 15, "404 Not Found"),
        (IMAGE, Trouble::Status { line: "403 Forbidden" }, 15, "403 Forbidden"),
        (IMAGE, Trouble::Short { by: 7 }, 15, "the manifest says"),
        (core, Trouble::Flip { at: 99 }, 14, "boot/core.img has SHA-256"),
        (core, Trouble::Dead { from: 1000 }, 15, "ended after 1000 of 30000 bytes"),
        (core, Trouble::Moved { to: format!("{url}/{core}") }, 15, "more than 5 redirects"),
    ];
    for (file, trouble, code, words) in troubles {
        desk.shelf.trouble(file, trouble);
        desk.refused(&desk.install_by_url(), code, &[words]);
        desk.shelf.peace();
    }
}

#[test]
fn a_script_that_is_not_the_one_that_was_asked_for_leaves_the_disk_alone() {
    let desk = Desk::new();
    let text = "#!/bin/sh\necho hunter2\n";
    let sha256 = installer::release_dir::hex(&Sha256::digest(text));
    let install = |name: &str, text: &str| {
        fs::write(desk.release.dir().join("own.sh"), text).unwrap();
        let url = format!("{}/{name}", desk.shelf.url()).replace("http://", "http://u:hunter2@");
        desk.answers(&format!("first_boot: [{{url: \"{url}\", sha256: {sha256}}}]"));
        let said = desk.install_by_url();
        assert!(!said.err.contains("hunter2"), "{}", said.err);
        said
    };
    desk.refused(
        &install("own.sh", "#!/bin/sh\n"),
        14,
        &["first_boot[0]: http://***@", sha256.as_str()],
    );
    desk.refused(&install("gone.sh", text), 15, &["first_boot[0]: ", "404 Not Found"]);
    let long = format!("{text}{}", "#".repeat(1 << 20));
    desk.refused(&install("own.sh", &long), 15, &["longer than 1024 KiB"]);
    let page = "<html>hunter2</html>";
    let sha256 = installer::release_dir::hex(&Sha256::digest(page));
    fs::write(desk.path("page"), page).unwrap();
    let path = desk.path("page");
    desk.answers(&format!("first_boot: [{{path: {}, sha256: {sha256}}}]", path.display()));
    desk.refused(&desk.install_by_url(), 15, &["a script begins with #!"]);
    desk.answers("first_boot: [{path: /no/such/script}]");
    desk.refused(&desk.install_by_url(), 15, &["first_boot[0]: /no/such/script: No such file"]);
    install("own.sh", text).ended(0, "new system boots", &[]);
}

/// An answer file from elsewhere does not run programs on the machine that makes an image.
#[test]
fn hooks_do_not_run_where_an_image_is_made() {
    let desk = Desk::new();
    let mark = desk.path("ran");
    for stage in ["pre", "storage_ready", "files_ready", "post", "failed"] {
        let script = format!("{{inline: \"#!/bin/sh\\n>{}\"}}", mark.display());
        desk.answers(&format!("hooks: {{{stage}: [{script}]}}"));
        let words = ["run in the installer environment", "an image file has none", "`first_boot`"];
        desk.refused(&desk.install_by_url(), 10, &words);
        assert!(!mark.exists(), "{stage}");
    }
}

#[test]
fn an_image_that_does_not_come_whole_leaves_a_disk_that_says_so() {
    let desk = Desk::new();
    let state = "not bootable, rerun installer";
    let middle = desk.image().len() / 2;
    desk.shelf.trouble(IMAGE, Trouble::Flip { at: middle });
    desk.install_by_url().ended(14, state, &["write the dom0 image", "it was not decompressed"]);
    desk.blank();
    desk.shelf.trouble(IMAGE, Trouble::Dead { from: middle });
    let words = format!("ended after {middle} of {} bytes", desk.image().len());
    desk.install_by_url().ended(15, state, &["write the dom0 image", &words]);
    // And the next run, with the server well, ends well.
    desk.shelf.peace();
    desk.install_by_url().ended(0, "new system boots", &[]);
}

#[test]
fn whoever_is_to_be_told_is_told() {
    let desk = Desk::new();
    let ear = Shelf::open(desk.dir.path());
    let all = format!(
        "report: {{webhook: [{{url: \"http://u:hunter2@127.0.0.1:{}/hook\", events: [start, done, \
         failed]}}, {{url: \"http://127.0.0.1:{}/failures\", events: [failed]}}]}}",
        ear.port, ear.port
    );
    desk.answers(&all);
    desk.shelf.trouble(IMAGE, Trouble::Flip { at: 2000 });
    desk.install_by_url().ended(14, "not bootable, rerun installer", &[]);
    desk.blank();
    desk.shelf.peace();
    // A server that takes no report stops nothing.
    ear.trouble("hook", Trouble::Status { line: "403 Forbidden" });
    let said = desk.install_by_url();
    said.ended(0, "new system boots", &["warning: no report of `done`: http://***@127.0.0.1"]);
    assert_eq!(ear.asked().iter().filter(|line| *line == "POST /failures").count(), 1);
    let told = ear.posted();
    let told: Vec<serde_json::Value> =
        told.iter().map(|json| serde_json::from_str(json).unwrap()).collect();
    let events: Vec<&str> = told.iter().map(|json| json["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["start", "failed", "failed", "start", "done"]);
    let failed = &told[1];
    assert_eq!(failed["exit"], 14);
    assert_eq!(failed["disk_state"], "not bootable, rerun installer");
    assert!(failed["message"].as_str().unwrap().contains("write the dom0 image"));
    assert_eq!(failed["deployment_id"], "rack7-42");
    assert_eq!((&told[4]["exit"], &told[4]["build"]), (&0.into(), &"test".into()));
    let everything = format!("{told:?}{}", said.err);
    for secret in ["hunter2", "$y$j9T", "AAAAC3NzaC1lZDI1NTE5"] {
        assert!(!everything.contains(secret), "{secret} in {everything}");
    }
}
