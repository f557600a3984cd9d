//! How long the largest answer file takes that is read at all: 256 KiB, good and bad.

use installer_core::answers::{SIZE_MAX, read};

fn main() {
    divan::main();
}

const HEAD: &str = "schema: xenhost/v1\nmode: install\ndisks: {host: {serial: SN42}}\n\
                    layout: {target: host}\n\
                    network: {management: {mac: \"00:16:3e:aa:bb:cc\"}}\n\
                    system: {hostname: xen1}\naccess:\n  ssh_keys:\n";
const KEY: &str = "    - ssh-ed25519 \
                   AAAAC3NzaC1lZDI1NTE5AAAAIGlDcPhLxYxWuD7hsjMf5p4tCOOlwyZ9aqAUQ4ZQjYsP a\n";

/// As many lines as the largest file holds.
fn file(line: &str) -> Vec<u8> {
    let mut text = HEAD.to_owned();
    while text.len().saturating_add(line.len()) <= SIZE_MAX {
        text.push_str(line);
    }
    text.into_bytes()
}

#[divan::bench]
fn good(bencher: divan::Bencher<'_, '_>) {
    let file = file(KEY);
    bencher.bench(|| read("answers.yaml", divan::black_box(&file)).is_ok());
}

/// Each line is a problem of its own.
#[divan::bench]
fn bad(bencher: divan::Bencher<'_, '_>) {
    let file = file("    - ssh-ed25519 short\n");
    bencher.bench(|| read("answers.yaml", divan::black_box(&file)).is_err());
}

/// Each line is a key that nobody knows, as many as are read at all.
#[divan::bench]
fn unknown_keys(bencher: divan::Bencher<'_, '_>) {
    let mut text = HEAD.replace("access:\n  ssh_keys:\n", "access: {}\n");
    for number in 0_u32.. {
        let line = format!("hostname{number}: a-name-that-is-longer-than-names-are-{number}\n");
        if SIZE_MAX < text.len().saturating_add(line.len()) {
            break;
        }
        text.push_str(&line);
    }
    bencher.bench(|| read("answers.yaml", divan::black_box(text.as_bytes())).is_err());
}

/// The same size as an old XML file.
#[divan::bench]
fn xml(bencher: divan::Bencher<'_, '_>) {
    let mut text = String::from("<installation>\n");
    while text.len() < SIZE_MAX.saturating_sub(64) {
        text.push_str("  <nameserver>192.0.2.53</nameserver>\n");
    }
    text.push_str("</installation>\n");
    bencher.bench(|| read("answers.xml", divan::black_box(text.as_bytes())).is_err());
}
