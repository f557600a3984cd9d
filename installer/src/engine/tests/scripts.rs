//! Scripts of the answers in a whole installation, on a host that lets them run: that of image
//! files does not, so this one stands before it. Its root is mounted by nobody; the scripts find a
//! folder.

use std::path::Path;

use partitioner::table::TablePlan;

use super::*;
use crate::call::{CallError, Output};
use crate::ports::HostError;

#[derive(Debug)]
struct Hooking {
    host: ImageHost,
    root: PathBuf,
    mounted: bool,
}

impl Run for Hooking {
    fn run(&mut self, call: &Call) -> Result<Output, CallError> {
        self.host.run(call)
    }
}

impl Host for Hooking {
    fn disk(&mut self) -> &mut dyn BlockIo {
        self.host.disk()
    }

    fn check_room(&self, bytes: u64) -> Result<(), HostError> {
        self.host.check_room(bytes)
    }

    fn announce(&mut self, table: &TablePlan) -> Result<(), HostError> {
        self.host.announce(table)
    }

    fn open_slot(&mut self, role: Role) -> Result<Box<dyn BlockIo + '_>, HostError> {
        self.host.open_slot(role)
    }

    fn tool_path(&mut self, role: Role) -> Result<PathBuf, HostError> {
        assert!(!self.mounted, "nobody touches a mounted partition");
        self.host.tool_path(role)
    }

    fn settle(&mut self, role: Role) -> Result<(), HostError> {
        assert!(!self.mounted, "nobody touches a mounted partition");
        self.host.settle(role)
    }

    fn check_hooks(&self) -> Result<(), HostError> {
        Ok(())
    }

    fn mount(&mut self, role: Role) -> Result<PathBuf, HostError> {
        assert_eq!(role, Role::Root);
        self.host.tool_path(role)?;
        self.mounted = true;
        Ok(self.root.clone())
    }

    fn unmount(&mut self) -> Result<(), HostError> {
        self.mounted = false;
        Ok(())
    }

    fn scratch(&self) -> &Path {
        self.host.scratch()
    }

    fn boot_entry(&mut self, entry: &BootEntry<'_>) -> Result<String, HostError> {
        self.host.boot_entry(entry)
    }

    fn now(&self) -> std::time::SystemTime {
        self.host.now()
    }
}

struct Ended {
    result: Result<(), Failure>,
    /// One line for each script that ran: its name, its end, its words.
    scripts: Vec<String>,
}

/// Performs the answers with these hooks.
fn perform(scene: &Scene, hooks: &str) -> Ended {
    let facts = scene.facts();
    let request = resolve(&format!("{ANSWERS}{hooks}\n"), &facts).unwrap();
    let release = Release::open(scene.release.dir()).unwrap();
    let mut ids = Ids::from_seed([7; 32]);
    let plan = plan::plan(&request, &facts, release.manifest(), &mut ids).unwrap();
    let plan = plan::checked(plan).unwrap();
    let fence = write_set(&plan.plan().table);
    let host = ImageHost::open(&scene.path("disk.img"), scene.block_size, fence).unwrap();
    let mut host = Hooking { host, root: scene.dir.path().to_owned(), mounted: false };
    let redactor = Redactor::default();
    let job = Job {
        plan: &plan,
        request: &request,
        facts: &facts,
        release: &release,
        redactor: &redactor,
    };
    let mut scripts = Vec::new();
    let result = run(job, &mut host, &Cancel::default(), &mut |event| {
        if let Event::Script(end) = event {
            scripts.push(format!("{} {}: {}", end.name(), end.ended, end.said.trim_end()));
        }
    });
    Ended { result, scripts }
}

#[test]
fn every_stage_runs_in_its_place() {
    let scene = Scene::new(BlockSize::B512, Bytes::gib(46));
    let dir = scene.dir.path().display();
    let look = |word: &str| {
        // The table on the disk, and what the script was given.
        format!(
            "[{{inline: \"#!/bin/sh\\necho {word} $XENHOST_HOSTNAME $# $(dd if={dir}/disk.img bs=1 \
             skip=512 count=8 2>/dev/null | tr -d '\\\\0') ${{XENHOST_TARGET:+root}}\"}}]"
        )
    };
    let stages = ["pre", "storage_ready", "files_ready", "post"];
    let hooks: Vec<String> = stages.iter().map(|s| format!("{s}: {}", look(s))).collect();
    let failed = "failed: [{inline: '#!/bin/false'}]";
    let ended = perform(&scene, &format!("hooks: {{{}, {failed}}}", hooks.join(", ")));
    ended.result.unwrap();
    let lines: Vec<&str> =
        ended.scripts.iter().map(|line| line.split(": ").nth(1).unwrap()).collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    // Of the old content where the table goes, nothing is text.
    assert!(lines[0].starts_with("pre xen1 0"), "{lines:?}");
    assert_eq!(
        lines[1..],
        [
            "storage_ready xen1 0 EFI PART",
            "files_ready xen1 1 EFI PART root",
            "post xen1 1 EFI PART"
        ]
    );
}

/// A failure in `stage`: exit code, state, and whether the disk is as it was.
#[track_caller]
fn fails(at: &str, exit: Exit, state: DiskState) {
    let scene = Scene::new(BlockSize::B512, Bytes::gib(46));
    let before = scene.lba0();
    let script = "{inline: \"#!/bin/sh\\necho no\\nexit 3\"}";
    let ended = perform(&scene, &format!("hooks: {{{at}: [{script}, {script}]}}"));
    let failure = ended.result.unwrap_err();
    assert_eq!((failure.exit, failure.state), (exit, state), "{failure}");
    let want = format!("run the scripts of hooks.{at}: hooks.{at}[0] ended with 3");
    assert_eq!(failure.to_string(), want);
    assert_eq!(ended.scripts, [format!("hooks.{at}[0] ended with 3: no")]);
    match state {
        DiskState::Untouched => assert_eq!(scene.lba0(), before),
        DiskState::NotBootable => assert!(is_disarmed(&scene.lba0())),
        DiskState::NewSystemBootsCleanupPending => assert_eq!(scene.lba0()[450], 0xEE),
        DiskState::OldSystemBoots | DiskState::NewSystemBoots => panic!("not after a failure"),
    }
}

#[test]
fn a_script_before_the_first_write_can_veto() {
    fails("pre", Exit::ToolFailed, DiskState::Untouched);
}

#[test]
fn a_script_after_the_first_write_leaves_a_disk_that_says_so() {
    fails("storage_ready", Exit::ToolFailed, DiskState::NotBootable);
    fails("files_ready", Exit::ToolFailed, DiskState::NotBootable);
}

#[test]
fn a_script_after_the_commit_leaves_a_host_that_boots() {
    fails("post", Exit::CleanupPending, DiskState::NewSystemBootsCleanupPending);
}

#[test]
fn on_image_files_no_script_runs() {
    let scene = Scene::new(BlockSize::B512, Bytes::gib(46));
    let before = scene.lba0();
    let mark = scene.path("ran");
    let hooks = format!("hooks: {{pre: [{{inline: \"#!/bin/sh\\n>{}\"}}]}}", mark.display());
    let facts = scene.facts();
    let request = resolve(&format!("{ANSWERS}{hooks}\n"), &facts).unwrap();
    let failure = scene
        .perform(&facts, &request, &Cancel::default(), &mut |event| panic!("{event:?}"))
        .unwrap_err();
    assert_eq!((failure.exit, failure.state), (Exit::BadAnswers, DiskState::Untouched));
    assert!(failure.to_string().ends_with("an image file has none"), "{failure}");
    assert!(!mark.exists());
    assert_eq!(scene.lba0(), before);
}

#[test]
fn a_script_whose_text_was_not_fetched_stops_before_the_first_write() {
    let scene = Scene::new(BlockSize::B512, Bytes::gib(46));
    let ended = perform(&scene, "first_boot: [{path: /no/such/file}]");
    let failure = ended.result.unwrap_err();
    assert_eq!((failure.exit, failure.state), (Exit::InternalError, DiskState::Untouched));
    assert!(failure.to_string().ends_with("first_boot[0]: its text was not fetched"));
}
