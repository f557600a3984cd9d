//! What logs and messages show of an address: nothing of the password, wherever it stands.
#![no_main]

use installer_core::values::{Redactor, Secret, redact_url};
use libfuzzer_sys::fuzz_target;

const SECRET: &str = "hunter2hunter2";

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    // Where an address says it openly, it is no secret.
    if text.contains(SECRET) {
        return;
    }
    let (before, after) = text.split_once('\n').unwrap_or((&text, ""));
    // What a script prints: neither a secret of the answers nor that of an address.
    let redactor = Redactor::new([Secret::new(SECRET)]);
    for printed in [format!("{before}{SECRET}{after}"), format!("{before}\n{SECRET}")] {
        let shown = redactor.clean(&printed);
        assert!(!shown.contains(SECRET), "{printed} shows as {shown}");
        assert!(!shown.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')), "{shown:?}");
    }
    let shown = Redactor::default().clean(&format!("{before} https://u:{SECRET}@h/ {after}"));
    assert!(!shown.contains(SECRET), "an address shows as {shown}");
    // Before an @, and behind a question mark.
    for url in [
        format!("https://{before}:{SECRET}@{after}"),
        format!("https://{before}{SECRET}{}@h/{after}", after.replace(['?', '#'], "")),
        format!("https://h/{after}?{before}={SECRET}"),
    ] {
        let cut = url.find(['?', '#']);
        let in_user = url.find('@').is_some_and(|at| cut.is_none_or(|cut| at < cut));
        if in_user || url.ends_with(SECRET) {
            let shown = redact_url(&url);
            assert!(!shown.contains(SECRET), "{url} shows as {shown}");
        }
    }
});
