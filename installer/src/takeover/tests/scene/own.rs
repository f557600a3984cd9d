//! A host of ours on the layout legacy: installed by the engine, and blessed.

use std::fs;
use std::path::Path;

use installer::call::Processes;
use installer::cancel::Cancel;
use installer::engine;
use installer::host::image::ImageHost;
use installer::probe;
use installer::release_dir::Release;
use installer_core::facts::{Firmware, HostFacts, MachineFacts};
use installer_core::values::Redactor;
use installer_core::{answers, plan, request};
use partitioner::ids::Ids;
use partitioner::table::write_set;
use partitioner::units::Bytes;

use super::super::testing::{ANSWERS, TinyRelease, dom0};
use super::{Kind, SIZE, Scene};

/// What the image of a dom0 has beside the least.
pub(super) fn system(tree: &Path, mark: &str) {
    let mark = format!("{mark}\n");
    for (path, text) in [
        ("etc/passwd", "root:x:0:0:root:/root:/bin/bash\n"),
        ("etc/group", "root:x:0:\nshadow:x:42:\n"),
        ("etc/gshadow", "root:*::\nshadow:*::\n"),
        ("etc/release-mark", mark.as_str()),
    ] {
        put(tree, path, text);
    }
}

/// What somebody has changed on it, and bless has left.
const LIVED_IN: [(&str, &str); 3] = [
    ("etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
    ("etc/xen/web.cfg", "name = \"web\"\n"),
    ("var/lib/xenhost/blessed.json", "{}\n"),
];

fn put(tree: &Path, path: &str, text: &str) {
    let path = tree.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

pub(super) fn install(scene: &Scene) {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    system(&tree, "old");
    let more = scene.made.files.iter().map(|(path, text)| (*path, text.as_str()));
    for (path, text) in LIVED_IN.into_iter().chain(more) {
        if !scene.made.without.contains(&path) {
            put(&tree, path, text);
        }
    }
    let old = TinyRelease::of_bytes(&dom0(dir.path()));
    let is_mbr = scene.made.kind == Kind::OwnMbr;
    let firmware = if is_mbr { Firmware::Bios } else { Firmware::Uefi };
    let disk = scene.disk();
    let facts = HostFacts {
        firmware,
        memory: Bytes::gib(3),
        cpus: 2,
        machine: MachineFacts::default(),
        disks: vec![probe::probe_image("SN42", &disk, SIZE, &mut Processes).unwrap()],
        nics: Vec::new(),
    };
    let text = ANSWERS.replace("name: auto", "name: legacy");
    let request = request::resolve(&answers::parse("a", text.as_bytes()).unwrap(), &facts).unwrap();
    let release = Release::open(old.dir()).unwrap();
    let mut ids = Ids::from_seed([7; 32]);
    let plan = plan::plan(&request, &facts, release.manifest(), &mut ids).unwrap();
    let plan = plan::checked(plan).unwrap();
    let fence = write_set(&plan.plan().table);
    let mut host = ImageHost::open(&disk, SIZE, fence).unwrap();
    let job = engine::Job {
        plan: &plan,
        request: &request,
        facts: &facts,
        release: &release,
        redactor: &Redactor::default(),
    };
    engine::run(job, &mut host, &Cancel::default(), &mut |_| {}).unwrap();
}
