//! Root passwords that the answers keep elsewhere, and the salt that hashes them.

use std::fs::File;
use std::io::Read;

use installer_core::values::{PasswordSource, SALT_BYTES, Secret};
use rustix::rand::{GetRandomFlags, getrandom};

/// More is not a password.
const BYTES_MAX: u64 = 4096;

/// Files and environment of this machine.
#[derive(Debug)]
pub(super) struct ThisMachine;

impl PasswordSource for ThisMachine {
    fn file(&mut self, path: &str) -> Result<Secret, String> {
        let mut text = String::new();
        let read = File::open(path).and_then(|f| f.take(BYTES_MAX).read_to_string(&mut text));
        let secret = Secret::new(text);
        read.map(|_| secret).map_err(|e| e.to_string())
    }

    fn env(&mut self, name: &str) -> Result<Secret, String> {
        std::env::var(name).map(Secret::new).map_err(|_| "it is not set, or not UTF-8".to_owned())
    }

    fn salt(&mut self) -> Result<[u8; SALT_BYTES], String> {
        let mut salt = [0; SALT_BYTES];
        match getrandom(&mut salt, GetRandomFlags::empty()) {
            Ok(got) if got == salt.len() => Ok(salt),
            Ok(got) => Err(format!("getrandom gave {got} bytes")),
            Err(e) => Err(format!("getrandom: {e}")),
        }
    }
}
