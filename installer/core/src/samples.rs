//! A machine, answers and a release for tests within this crate.

use partitioner::ids::Ids;
use partitioner::units::{BlockSize, Bytes};

use crate::answers::{RawAnswers, parse};
use crate::facts::{DiskFacts, Firmware, HostFacts, NicFacts};
use crate::plan::{Plan, plan};
use crate::release::Manifest;
use crate::request::{InstallRequest, resolve};

pub(crate) const ANSWERS: &str = include_str!("../../../answerfiles/examples/everything.yaml");

pub(crate) fn disk(path: &str, size: Bytes, serial: &str) -> DiskFacts {
    DiskFacts {
        path: path.to_owned(),
        serial: Some(serial.to_owned()),
        wwn: None,
        model: None,
        by_id: Vec::new(),
        by_path: Vec::new(),
        transport: "virtio".to_owned(),
        size,
        block_size: BlockSize::B512,
        sector_size: None,
        removable: false,
        read_only: false,
        medium: false,
        holders: Vec::new(),
        content: Vec::new(),
        deployment_id: None,
        utility: None,
        installations: Vec::new(),
    }
}

pub(crate) fn facts() -> HostFacts {
    let nic = |name: &str, mac: &str| NicFacts {
        name: name.to_owned(),
        mac: mac.to_owned(),
        driver: None,
        path: None,
        link: None,
    };
    HostFacts {
        firmware: Firmware::Uefi,
        memory: Bytes::gib(3),
        cpus: 2,
        machine: crate::facts::MachineFacts::default(),
        disks: vec![
            disk("/dev/vda", Bytes::gib(60), "SN42"),
            disk("/dev/vdb", Bytes::gib(20), "SN43"),
        ],
        nics: vec![nic("eth0", "00:16:3e:aa:bb:cc"), nic("eth1", "00:16:3e:aa:bb:cd")],
    }
}

pub(crate) fn answers() -> RawAnswers {
    parse("everything.yaml", ANSWERS.as_bytes()).unwrap()
}

pub(crate) fn request() -> InstallRequest {
    resolve(&answers(), &facts()).unwrap()
}

pub(crate) fn manifest() -> Manifest {
    serde_json::from_str(include_str!("../../../answerfiles/release.json")).unwrap()
}

pub(crate) fn ids() -> Ids {
    Ids::from_seed([1; 32])
}

pub(crate) fn sample_plan() -> Plan {
    plan(&request(), &facts(), &manifest(), &mut ids()).unwrap()
}
