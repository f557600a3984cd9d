//! The kernel line, and the addresses in it: no password is ever shown, and a filled address is
//! one.
#![no_main]

use installer_core::boot_line::{self, Location};
use installer_core::values::{MachineNames, redact_url};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let Ok(line) = boot_line::parse(&text) else { return };
    let Some(Location::Web(template)) = &line.answers else { return };
    let names = MachineNames {
        mac: Some("00:16:3e:aa:bb:cc".to_owned()),
        serial: Some(text.chars().rev().take(40).collect()),
        uuid: Some("4c4c4544-0042".to_owned()),
    };
    let Ok(url) = template.fill(&names) else { return };
    // What is shown in place of a name is stars.
    if let Some(user) = url.user().filter(|user| user.chars().any(|c| c != '*')) {
        let shown = format!("{url}{url:?}");
        assert!(!shown.contains(&format!("{user}@")), "{shown}");
    }
    assert_eq!(redact_url(&url.expose()), url.to_string());
    let host = url.host().to_owned();
    assert!(!host.is_empty() && !host.contains(['@', '/', '?']), "{host}");
});
