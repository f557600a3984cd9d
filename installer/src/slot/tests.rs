//! A slot in an image file, changed by the real tools.

use super::*;
use crate::call::Processes;
use installer_core::target::RelPath;
use tempfile::TempDir;

const UUID: Guid = Guid::from_u128(0x1111_1111_2222_4333_8444_5555_5555_5555);

struct Slot {
    dir: TempDir,
}

impl Slot {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir_all(tree.join("etc/old")).unwrap();
        fs::create_dir_all(tree.join("boot")).unwrap();
        fs::write(tree.join("etc/shadow"), "root:*:1::::::\n").unwrap();
        std::os::unix::fs::symlink("/usr/share/zoneinfo/UTC", tree.join("etc/localtime")).unwrap();
        std::os::unix::fs::symlink("usr/lib", tree.join("lib")).unwrap();
        let image = dir.path().join("slot.img");
        fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
        let call = Call::new("mke2fs").args(["-q", "-t", "ext4", "-d"]).arg(&tree);
        Processes.run(&call.args(["-O", crate::fresh::EXT4_FEATURES]).arg(&image)).unwrap();
        Self { dir }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("slot.img")
    }

    /// The first word that `dumpe2fs` says after `what`.
    fn dumped(&self, what: &str) -> String {
        let text = Processes.run(&Call::new("dumpe2fs").arg(self.path())).unwrap().stdout_text();
        let (_, after) = text.split_once(what).unwrap();
        let word = after.split(|c: char| c.is_whitespace() || c == ',').find(|w| !w.is_empty());
        word.unwrap().to_owned()
    }

    fn configure(&self, files: &[TargetFile]) -> Result<(), SlotError> {
        let scratch = tempfile::tempdir().unwrap();
        configure(&mut Processes, &self.path(), scratch.path(), files)
    }
}

fn file(path: &str, mode: u16, gid: u32, body: Body) -> TargetFile {
    TargetFile { path: RelPath::new(path).unwrap(), mode, uid: 0, gid, body }
}

fn content(text: &str) -> Body {
    Body::Content(text.as_bytes().to_vec())
}

#[test]
fn files_are_new_replaced_linked_and_removed() {
    let slot = Slot::new();
    slot.configure(&[
        file("etc/shadow", 0o640, 42, content("root:$6$x:1::::::\n")),
        file("etc/xenhost/deep/er/a", 0o600, 70_000, content("")),
        file("root/.ssh", 0o700, 0, Body::Directory),
        file("root/.ssh/authorized_keys", 0o600, 0, content("ssh-ed25519 AAAA x\n")),
        file("boot", 0o755, 0, Body::Directory),
        file("etc/xenhost/b.conf", 0o644, 0, content("b\n")),
        file("etc/localtime", 0o777, 0, Body::Symlink("/usr/share/zoneinfo/Etc/UTC".into())),
        file("etc/machine-id", 0o444, 0, Body::Remove),
    ])
    .unwrap();
    check(&mut Processes, &slot.path()).unwrap();
    assert_eq!(read_file(&slot.path(), "/etc/shadow").unwrap(), b"root:$6$x:1::::::\n");
}

#[test]
fn configuring_twice_is_configuring_once() {
    let slot = Slot::new();
    let files = [
        file("etc/xenhost/deep/a", 0o600, 0, content("a")),
        file("root/.ssh", 0o700, 0, Body::Directory),
        file("etc/link", 0o777, 0, Body::Symlink("xenhost".into())),
    ];
    slot.configure(&files).unwrap();
    slot.configure(&files).unwrap();
    check(&mut Processes, &slot.path()).unwrap();
}

#[test]
fn a_slot_gets_its_identity_and_stays_clean() {
    let slot = Slot::new();
    identify(&mut Processes, &slot.path(), UUID, "root-12345678").unwrap();
    check(&mut Processes, &slot.path()).unwrap();
    let call = Call::new("blkid").arg("-p").arg(slot.path());
    let text = Processes.run(&call).unwrap().stdout_text();
    assert!(text.contains(&format!(r#"LABEL="root-12345678" UUID="{UUID}""#)), "{text}");
}

#[test]
fn a_damaged_slot_is_not_accepted() {
    let slot = Slot::new();
    let call = Call::new("debugfs").args(["-w", "-R", "clri /etc/shadow"]).arg(slot.path());
    Processes.run(&call).unwrap();
    let error = check(&mut Processes, &slot.path()).unwrap_err();
    assert_eq!(error.exit(), Exit::ToolFailed);
    assert!(error.to_string().contains("Entry 'shadow' in /etc"), "{error}");
}

#[test]
fn what_debugfs_did_not_do_is_noticed() {
    let slot = Slot::new();
    // It writes nothing into a file system whose bitmap is not what its checksum says.
    let number = |what| slot.dumped(what).parse::<u64>().unwrap();
    let at = number("Block bitmap at ") * number("Block size:");
    let image = fs::File::options().write(true).open(slot.path()).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&image, &[0x5A; 64], at).unwrap();
    let error = slot.configure(&[file("etc/new", 0o644, 0, content("new"))]).unwrap_err();
    assert!(matches!(error, SlotError::Debugfs { .. }), "{error:?}");
    assert!(error.to_string().contains("checksum"), "{error}");
}

#[test]
fn a_full_file_system_is_told_with_what_was_free_and_what_was_wanted() {
    let slot = Slot::new();
    let number = |what| slot.dumped(what).parse::<u64>().unwrap();
    let (blocks, files) = (number("Free blocks:"), number("Free inodes:"));
    let large = Body::Content(vec![7; 80 << 20]);
    let error = slot.configure(&[file("etc/large", 0o644, 0, large)]).unwrap_err();
    assert_eq!(error.exit(), Exit::IoBeforeCommit);
    let text = error.to_string();
    let free = Bytes::new(blocks * number("Block size:"));
    let want = format!("full: 80 MiB were to be put in, {free} and {files} files are free in it: ");
    assert!(text.contains(&want), "{text}: {want}");
}

#[track_caller]
fn refused(path: &str, body: Body, want: &str) {
    let error = Slot::new().configure(&[file(path, 0o644, 0, body)]).unwrap_err();
    assert_eq!(error.to_string(), want);
}

#[test]
fn a_folder_is_not_replaced_by_a_file() {
    refused("etc/old", content(""), "/etc/old of the slot is a folder, a file is needed");
}

#[test]
fn links_are_not_followed() {
    refused("lib/x", content(""), "/lib of the slot is a file or link, a folder is needed");
}

#[test]
fn a_name_that_would_end_a_command_is_refused() {
    refused("etc/a b", content(""), r#""/etc/a b" holds a character that a script cannot carry"#);
    refused(
        "etc/x",
        Body::Symlink("y\nrm /etc/shadow".into()),
        r#""y\nrm /etc/shadow" holds a character that a script cannot carry"#,
    );
}
