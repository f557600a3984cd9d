//! Tests of what is written into a target.

use super::*;
use crate::samples::{facts, request, sample_plan};
use crate::values::{Keymap, RootPassword};

/// Every file as text, as a person would review it.
fn listing() -> String {
    let mut text = String::new();
    for file in target_files(&sample_plan(), &request(), &facts()) {
        let TargetFile { path, mode, uid, gid, body } = file;
        let (kind, content) = match body {
            Body::Content(bytes) => ("file", String::from_utf8(bytes).unwrap()),
            Body::Symlink(to) => ("link", format!("{to}\n")),
            Body::Directory => ("directory", String::new()),
            Body::Remove => ("nothing", String::new()),
        };
        writeln!(text, "==== {path}: {kind} {mode:04o} {uid}:{gid}").unwrap();
        text.push_str(&content);
    }
    text
}

#[test]
fn every_file_of_a_target() {
    let want = include_str!("tests/golden.txt");
    assert_eq!(listing(), want, "compare with src/target/files/tests/golden.txt");
}

#[test]
fn a_directory_comes_before_what_lies_in_it() {
    let files = target_files(&sample_plan(), &request(), &facts());
    for (at, file) in files.iter().enumerate() {
        let is_parent = |other: &TargetFile| file.path.parents().contains(&other.path);
        assert!(!files[at..].iter().any(is_parent), "{}", file.path);
    }
}

#[test]
fn no_password_is_in_any_of_them() {
    let RootPassword::Hash(hash) = request().access.root_password else { panic!("a hash") };
    assert!(!listing().contains(hash.expose()));
}

#[test]
fn without_keys_there_is_no_folder_for_them() {
    let mut request = request();
    request.access.ssh_keys.clear();
    let files = target_files(&sample_plan(), &request, &facts());
    assert!(!files.iter().any(|file| file.path.as_str().starts_with("root")));
}

#[test]
fn the_keyboard_is_written_where_debian_reads_it() {
    let mut request = request();
    request.system.keymap = Keymap::parse("gb").unwrap();
    let files = target_files(&sample_plan(), &request, &facts());
    let file = files.iter().find(|file| file.path.as_str() == "etc/default/keyboard").unwrap();
    let Body::Content(bytes) = &file.body else { panic!("it is no file") };
    assert!(String::from_utf8_lossy(bytes).contains("XKBLAYOUT=\"gb\""));
    // Debian 13 makes a link of it, and Debian 12 does not read it.
    assert!(!files.iter().any(|file| file.path.as_str() == "etc/vconsole.conf"));
}

#[test]
fn the_inventory_is_read_again() {
    let inventory = Inventory::of(&sample_plan(), &request());
    assert_eq!(Inventory::parse(&inventory.to_text()).unwrap(), inventory);
    let names: Vec<&str> = inventory.partuuid.keys().map(String::as_str).collect();
    assert_eq!(names, ["boot", "logs", "root_a", "root_b", "sr", "swap"]);
}
