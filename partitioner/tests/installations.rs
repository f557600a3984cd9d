//! Installations on disks with the tables of real hosts: root file systems that mke2fs made are
//! found by label and read without mounting, and the repository is compared with their database.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "a test that overflows or cannot make its disk has failed"
)]
#![allow(clippy::disallowed_methods, reason = "a test runs the tools directly")]

use std::fs;
use std::process::Command;

use partitioner::block::BlockIo;
use partitioner::block::memory::MemDisk;
use partitioner::inspect::report::{Report, report};
use partitioner::installations::{Backup, DatabaseState, Product, Shape};
use partitioner::sr::Verdict;
use partitioner::units::Lba;

#[path = "fixtures/packed.rs"]
#[expect(dead_code, reason = "the example packs")]
mod packed;

const OLD: &str = "PRODUCT_BRAND='XenServer'\nPRODUCT_NAME='xenenterprise'\n\
                   PRODUCT_VERSION='7.1.0'\nPLATFORM_VERSION='2.2.0'\n\
                   INSTALLATION_UUID='5d2f4b7a-1c3e-4e8b-a6f9-0d1e2f3a4b5c'\n\
                   PRIMARY_DISK='/dev/disk/by-id/x'\n";
const OWN: &str = r#"{"product": "xenhost", "version": "1.2", "deployment_id": "rack7-42"}"#;

/// A database that lists the guests and disks given as rows.
fn database(vms: &str, vdis: &str) -> String {
    format!(
        "<database>\
         <table name=\"host\"><row ref=\"h\"/></table>\
         <table name=\"pool\"><row ref=\"p\" ha_enabled=\"false\"/></table>\
         <table name=\"SR\"><row ref=\"s\" uuid=\"11111111-1111-4111-8111-111111111111\"/></table>\
         <table name=\"VDI\">{vdis}</table><table name=\"VM\">{vms}</table></database>"
    )
}

/// Makes a file system with these files and puts it on a partition.
fn place(disk: &mut MemDisk, partition: u32, label: &str, files: &[(&str, &str)]) {
    let folder = tempfile::tempdir().unwrap();
    let (tree, image) = (folder.path().join("tree"), folder.path().join("image"));
    fs::create_dir(&tree).unwrap();
    for (path, content) in files {
        let path = tree.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let made = Command::new("mke2fs")
        .args(["-q", "-F", "-t", "ext3", "-L", label, "-d"])
        .args([&tree, &image])
        .arg("8M")
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let found = report(disk).unwrap().inspection;
    let extent = found.partitions.iter().find(|one| one.number == partition).unwrap().extent;
    for (index, chunk) in (0..).zip(fs::read(&image).unwrap().chunks(1 << 20)) {
        disk.write(Lba::new(extent.first().get() + index * 2048), chunk).unwrap();
    }
}

fn fixture(name: &str) -> MemDisk {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/sr");
    packed::unpack(&fs::read(format!("{folder}/{name}.zst")).unwrap())
}

/// An old host on an MBR disk, root at sector 63, with this database.
fn old_host(database: Option<&str>) -> Report {
    let mut disk = fixture("empty-lvm");
    let mut files = vec![("etc/xensource-inventory", OLD), ("etc/xensource/pool.conf", "master")];
    files.extend(database.map(|text| ("var/lib/xcp/state.db", text)));
    place(&mut disk, 1, "root-abcdef", &files);
    place(&mut disk, 2, "", &[(".xen-backup-partition", ""), ("etc/xensource-inventory", OLD)]);
    report(&mut disk).unwrap()
}

#[test]
fn an_old_host_is_found_with_its_backup_and_database() {
    let report = old_host(Some(&database("", "")));
    let [host] = report.installations.as_slice() else { panic!("{:?}", report.installations) };
    assert_eq!((host.product, host.shape), (Product::Xenserver, Shape::LegacyMbr));
    assert_eq!(host.name.as_deref(), Some("XenServer"));
    assert_eq!((host.version.as_deref(), host.root), (Some("7.1.0"), 1));
    let backup = Backup { partition: 2, version: Some("7.1.0".to_owned()) };
    assert_eq!((&host.backup, host.sr, host.logs), (&Some(backup), Some(3), None));
    assert_eq!(host.problem, None);
    assert!(!host.pool_member);
    assert!(matches!(&host.database, DatabaseState::Read(database) if database.hosts == 1));
    assert_eq!(report.sr.unwrap().verdict, Verdict::Empty);
}

#[test]
fn a_disk_that_only_the_database_knows_keeps_the_repository() {
    let vdi = r#"<row SR="s" uuid="d" name__label="web" virtual_size="1073741824"/>"#;
    let sr = old_host(Some(&database("", vdi))).sr.unwrap();
    let what = vec!["database disagrees: disk d \"web\", 1 GiB".to_owned()];
    assert_eq!(sr.verdict, Verdict::InUse { what });
}

#[test]
fn a_database_that_is_not_there_proves_nothing() {
    let sr = old_host(None).sr.unwrap();
    let why = "the host's database cannot be read: neither /var/lib/xcp/state.db nor \
               /var/xapi/state.db is there";
    assert_eq!(sr.verdict, Verdict::Unknown { why: why.to_owned() });
    let sr = old_host(Some("<database")).sr.unwrap();
    assert_eq!(sr.verdict.as_str(), "unknown");
}

#[test]
fn an_old_gpt_host_has_boot_before_root() {
    let mut disk = fixture("two-copies");
    place(&mut disk, 1, "root-abcdef", &[("etc/xensource-inventory", "reboot\n")]);
    let report = report(&mut disk).unwrap();
    let [host] = report.installations.as_slice() else { panic!("{:?}", report.installations) };
    assert_eq!((host.shape, host.boot, host.sr), (Shape::LegacyGpt, Some(4), Some(3)));
    assert_eq!(host.problem.as_deref(), Some("inventory line 1: not KEY='value'"));
    assert_eq!(host.backup, Some(Backup { partition: 2, version: None }));
}

#[test]
fn both_slots_of_our_own_host_are_one_installation() {
    let mut disk = fixture("two-copies");
    place(&mut disk, 1, "root-aaaaaaaa", &[("etc/xenhost/inventory.json", OWN)]);
    let other = OWN.replace("1.2", "1.1");
    place(&mut disk, 2, "root-bbbbbbbb", &[("etc/xenhost/inventory.json", &other)]);
    let report = report(&mut disk).unwrap();
    let [host] = report.installations.as_slice() else { panic!("{:?}", report.installations) };
    assert_eq!((host.product, host.name.as_deref()), (Product::Xenhost, Some("xenhost")));
    assert_eq!(host.deployment_id.as_deref(), Some("rack7-42"));
    let backup = Backup { partition: 2, version: Some("1.1".to_owned()) };
    assert_eq!((&host.backup, &host.database), (&Some(backup), &DatabaseState::None));
    assert_eq!(report.sr.unwrap().verdict, Verdict::Empty);
}

/// The shape that scripts read.
#[test]
fn the_report_as_json() {
    let json = serde_json::to_value(old_host(Some(&database("", "")))).unwrap();
    assert_eq!(json["table"]["kind"], "mbr");
    assert_eq!(json["partitions"][0]["number"], 1);
    assert_eq!(json["installations"][0]["product"], "xenserver");
    assert_eq!(json["sr"]["verdict"], "empty");
    assert_eq!(json["sr"]["kind"], "lvm");
    assert_eq!(json["sr"]["uuid"], "11111111-1111-4111-8111-111111111111");
    assert!(json["sr"]["reason"].is_string());
    let blank = MemDisk::new("m", partitioner::units::BlockSize::B512, 1000);
    let json = serde_json::to_value(report(&mut { blank }).unwrap()).unwrap();
    assert_eq!(
        (&json["sr"], &json["installations"]),
        (&serde_json::Value::Null, &serde_json::json!([]))
    );
}
