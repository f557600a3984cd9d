//! Answer files, YAML and XML: whatever is read is written anew as the same answers.
#![no_main]

use installer_core::answers::{self, Answers};
use installer_core::values::RootPassword;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (read, _) = match answers::read("fuzz", data) {
        Ok(good) => good,
        // Showing the problems must not break either.
        Err(problems) => {
            assert!(!problems.to_string().is_empty());
            return;
        }
    };
    // A password in clear is hashed before anything is written.
    if let Answers::Install(install) = &read
        && matches!(install.access.root_password, RootPassword::Plain(_))
    {
        return;
    }
    let yaml = answers::yaml(&read);
    let again = answers::read("again", yaml.as_bytes());
    let (again, _) = again.unwrap_or_else(|problems| panic!("{problems}\n{yaml}"));
    assert_eq!(again, read, "{yaml}");
});
