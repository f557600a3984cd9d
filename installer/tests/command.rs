//! The command as a user runs it: exit codes, words, the last line, and the disk afterwards.

#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "a test; its helpers are shared with the unit tests"
)]

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

#[path = "../src/testing.rs"]
mod testing;

use testing::{ANSWERS, TinyRelease, dom0};

/// A folder in which a user stands: answers, a release, disk images.
struct Desk {
    dir: TempDir,
    release: TinyRelease,
}

/// What a command said and how it ended.
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    #[track_caller]
    fn ended(&self, code: i32, state: &str, words: &[&str]) {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        let last = self.err.lines().last().unwrap_or_default();
        assert_eq!(last, format!("DISK STATE: {state}"));
        for word in words {
            assert!(self.err.contains(word), "no {word:?} in {}", self.err);
        }
    }
}

impl Desk {
    fn new(gib: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let release = TinyRelease::of_bytes(&dom0(dir.path()));
        let desk = Self { dir, release };
        desk.write("answers.yaml", ANSWERS.replace("wipe", "refuse").as_bytes());
        File::create(desk.path("disk.img")).unwrap().set_len(gib << 30).unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    #[expect(clippy::disallowed_methods, reason = "the program under test is a program")]
    fn command(&self, command: &str, more: &[&str]) -> Command {
        let mut call = Command::new(env!("CARGO_BIN_EXE_host-installer"));
        call.current_dir(self.dir.path())
            .arg(command)
            .args(["--answers", "answers.yaml", "--memory", "3GiB", "--release"])
            .arg(self.release.dir())
            .args(more);
        call
    }

    fn run(&self, command: &str, more: &[&str]) -> Said {
        let output = self.command(command, more).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let code = output.status.code().unwrap();
        Said { code, out: text(output.stdout), err: text(output.stderr) }
    }

    fn install(&self) -> Said {
        self.run("install", &["--disk", "SN42=disk.img"])
    }

    fn is_blank(&self) -> bool {
        let mut head = vec![1; 4 << 20];
        File::open(self.path("disk.img")).unwrap().read_exact_at(&mut head, 0).unwrap();
        head.iter().all(|b| *b == 0)
    }

    /// Refused, and nothing was written.
    #[track_caller]
    fn refused(&self, said: &Said, code: i32, words: &[&str]) {
        said.ended(code, "untouched", words);
        assert!(self.is_blank());
    }
}

#[test]
fn installing_ends_with_0_and_tells_each_step() {
    let desk = Desk::new(46);
    let said = desk.install();
    said.ended(0, "new system boots", &[]);
    for words in ["Will be destroyed:", "[ 1/", "make the disk bootable", "Finished in"] {
        assert!(said.out.contains(words), "no {words:?} in {}", said.out);
    }
    let again = desk.install();
    again.ended(0, "untouched", &["carries the deployment rack7-42 already"]);
    desk.write(
        "answers.yaml",
        ANSWERS.replace("wipe", "refuse").replace("7-42", "7-43").as_bytes(),
    );
    desk.install().ended(12, "untouched", &["is not blank", "root-"]);
}

#[test]
fn events_are_json_lines_when_asked_for() {
    let desk = Desk::new(46);
    let said = desk.run("install", &["--disk", "SN42=disk.img", "--json"]);
    said.ended(0, "new system boots", &[]);
    let events: Vec<serde_json::Value> =
        said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.first().unwrap()["event"], "started");
    assert_eq!(events.last().unwrap()["event"], "finished");
}

#[test]
fn a_damaged_image_ends_with_14_and_a_disk_that_says_so() {
    let desk = Desk::new(46);
    desk.release.flip_byte("dom0.img.zst", 2000);
    desk.install().ended(
        14,
        "not bootable, rerun installer",
        &["write the dom0 image", "it was not decompressed", "hint: the medium is damaged"],
    );
}

#[test]
fn a_disk_below_12_gib_ends_with_13_and_both_sizes() {
    let desk = Desk::new(11);
    desk.refused(&desk.install(), 13, &["11 GiB", "12 GiB"]);
}

#[test]
fn no_disk_ends_with_11_and_a_table_of_what_there_is() {
    let desk = Desk::new(46);
    let said = desk.run("install", &["--disk", "OTHER=disk.img"]);
    desk.refused(&said, 11, &["SN42", "OTHER"]);
    let said = desk.run("install", &["--disk", "SN42=gone.img"]);
    desk.refused(&said, 11, &["gone.img does not exist"]);
}

#[test]
fn bad_answers_end_with_10_and_their_place() {
    let desk = Desk::new(46);
    desk.write("answers.yaml", ANSWERS.replace("timezone:", "timezon:").as_bytes());
    desk.refused(&desk.install(), 10, &["answers.yaml:11:26", "timezon"]);
    desk.write("answers.yaml", b"");
    desk.refused(&desk.install(), 10, &["answer file is empty"]);
    fs::remove_file(desk.path("answers.yaml")).unwrap();
    desk.refused(&desk.install(), 10, &["answer file answers.yaml: No such file"]);
}

#[test]
fn a_release_that_is_not_whole_ends_with_15() {
    let desk = Desk::new(46);
    fs::remove_file(desk.release.dir().join("boot/core.img")).unwrap();
    desk.refused(&desk.install(), 15, &["boot/core.img: No such file"]);
    fs::remove_file(desk.release.dir().join("release.json")).unwrap();
    desk.refused(&desk.install(), 15, &["release.json: No such file"]);
}

#[test]
fn another_digest_than_the_confirmed_one_ends_with_12() {
    let desk = Desk::new(46);
    let said = desk.run("install", &["--disk", "SN42=disk.img", "--confirm", "0123"]);
    desk.refused(&said, 12, &["0123 was confirmed"]);
    let plan = desk.run("plan", &["--disk", "SN42=disk.img", "--json"]);
    assert_eq!(plan.code, 0, "{}", plan.err);
    let plan: serde_json::Value = serde_json::from_str(&plan.out).unwrap();
    for key in ["digest", "layout", "firmware", "disks", "destroys", "keeps", "steps"] {
        assert!(plan.get(key).is_some(), "{key}");
    }
    assert!(desk.is_blank());
    let digest = plan["digest"].as_str().unwrap();
    let said = desk.run("install", &["--disk", "SN42=disk.img", "--confirm", digest]);
    said.ended(0, "new system boots", &[]);
}

#[test]
fn one_image_is_not_two_disks() {
    let desk = Desk::new(46);
    let said = desk.run("install", &["--disk", "SN42=disk.img", "--disk", "B=./disk.img"]);
    desk.refused(&said, 10, &["--disk SN42 and --disk B are the same file"]);
}

#[test]
fn an_image_in_use_is_refused() {
    let desk = Desk::new(46);
    let held = File::open(desk.path("disk.img")).unwrap();
    held.lock().unwrap();
    let own = format!("process {}, which holds a lock on it", std::process::id());
    desk.refused(&desk.install(), 11, &["disk.img is in use by command-", &own]);
    held.unlock().unwrap();
}

/// Row 90 of the bad inputs. The first is stopped in its first step, and goes on afterwards.
#[test]
fn a_second_installation_ends_with_1_and_names_the_first() {
    let desk = Desk::new(46);
    desk.write("answers.yaml", ANSWERS.as_bytes());
    let mut first = desk.command("install", &["--disk", "SN42=disk.img"]);
    let mut first = first.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = Pid::from_child(&first);
    let mut lines = BufReader::new(first.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().starts_with("[ 1/")));
    kill_process(pid, Signal::STOP).unwrap();
    let second = desk.install();
    kill_process(pid, Signal::CONT).unwrap();
    let named = format!("another installation is running (pid {})", first.id());
    second.ended(1, "untouched", &[&named]);
    assert!(lines.any(|line| line.unwrap().starts_with("Finished in")));
    assert!(first.wait().unwrap().success());
}

/// Row 94 of the bad inputs: what cannot be told stops nothing. Standard error is told of the end.
#[test]
fn a_full_log_stops_no_installation() {
    let desk = Desk::new(46);
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let mut call = desk.command("install", &["--disk", "SN42=disk.img"]);
    let output = call.stdout(full()).output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{err}");
    assert!(err.ends_with("DISK STATE: new system boots\n"), "{err}");
    let mut call = desk.command("install", &["--disk", "SN42=disk.img", "--json"]);
    let status = call.stdout(full()).stderr(full()).status().unwrap();
    assert_eq!(status.code(), Some(0), "it is done already");
}

#[test]
fn facts_are_replayed() {
    let desk = Desk::new(46);
    let facts = facts(desk.dir.path());
    desk.write("facts.json", facts.as_bytes());
    let plan = |more: &[&str]| {
        #[expect(clippy::disallowed_methods, reason = "the program under test is a program")]
        let output = Command::new(env!("CARGO_BIN_EXE_host-installer"))
            .current_dir(desk.dir.path())
            .args(["plan", "--answers", "answers.yaml", "--release"])
            .arg(desk.release.dir())
            .args(more)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let live = plan(&["--disk", "SN42=disk.img", "--memory", "3GiB"]);
    assert!(live.contains("Digest: "), "{live}");
    assert_eq!(plan(&["--facts", "facts.json"]), live);
}

fn facts(dir: &Path) -> String {
    #[expect(clippy::disallowed_methods, reason = "the program under test is a program")]
    let output = Command::new(env!("CARGO_BIN_EXE_host-installer"))
        .current_dir(dir)
        .args(["facts", "--json", "--disk", "SN42=disk.img", "--memory", "3GiB"])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}
