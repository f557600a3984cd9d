//! The message boot sector, started by a real BIOS. About a second of emulation.
#![allow(clippy::disallowed_methods, reason = "a test runs the emulator directly")]

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use partitioner::head::{NOT_FINISHED, disarmed_lba0};

/// Between two outputs; enough for an emulator on a busy machine.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// What the first serial port says, up to and with `wanted`, or until it falls silent.
fn serial_until(image: &Path, wanted: &str) -> String {
    let mut emulator = Command::new("qemu-system-x86_64")
        .args(["-accel", "tcg", "-cpu", "qemu64", "-m", "64", "-nodefaults", "-no-reboot"])
        .args(["-display", "none", "-serial", "stdio", "-drive"])
        .arg(format!("file={},format=raw,if=ide,snapshot=on", image.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("qemu-system-x86_64 is installed");
    let mut console = emulator.stdout.take().expect("stdout was asked for");
    let (told, heard) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        // Ends with the emulator.
        while let Ok(len @ 1..) = console.read(&mut buffer) {
            if told.send(buffer[..len].to_vec()).is_err() {
                break;
            }
        }
    });
    let mut text = String::new();
    while !text.contains(wanted) {
        let Ok(bytes) = heard.recv_timeout(SILENCE_MAX) else { break };
        text.push_str(&String::from_utf8_lossy(&bytes));
    }
    emulator.kill().expect("the emulator is ours");
    emulator.wait().expect("the emulator was killed");
    drop(heard);
    reader.join().expect("the reader does not panic");
    text
}

#[test]
fn the_bios_prints_the_message() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("disk.img");
    let mut disk = disarmed_lba0(NOT_FINISHED).to_vec();
    disk.resize(1 << 20, 0);
    std::fs::write(&image, disk).unwrap();
    let told = serial_until(&image, NOT_FINISHED);
    assert!(told.contains(NOT_FINISHED), "the serial line said {told:?}");
}
