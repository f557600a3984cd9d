//! Tests of the reader that need no file: see `answerfiles/` for whole files.

use proptest::prelude::{any, proptest};

use super::*;
use crate::values::LinkName;

const GOOD: &str = r#"
schema: xenhost/v1
mode: install
disks: {host: {serial: SN42}}
layout: {target: host}
network: {management: {mac: "00:16:3E:AA:BB:CC"}}
system: {hostname: xen1}
access: {root_password: {hash: "$y$j9T$salt$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}}
"#;

#[track_caller]
fn problems(text: &str) -> String {
    parse("f", text.as_bytes()).unwrap_err().to_string()
}

#[test]
fn defaults() {
    let answers = parse("f", GOOD.as_bytes()).unwrap();
    assert_eq!(answers.layout, LayoutChoice::Auto);
    assert_eq!(answers.on_existing, OnExisting::Refuse);
    assert_eq!(answers.finish, Finish::Reboot);
    assert_eq!(answers.system.timezone.as_str(), "Etc/UTC");
    assert_eq!(answers.system.keymap.as_str(), "us");
    let nic = NicMatch { mac: Mac::parse("00:16:3e:aa:bb:cc").ok(), ..NicMatch::default() };
    let name = LinkName::parse("management").unwrap();
    let network = Network::on_interface(name, nic, Ipv4::Dhcp, Ipv6::None);
    assert_eq!(answers.network, network);
    assert_eq!(answers.deployment_id, None);
    assert!(answers.access.ssh_keys.is_empty());
}

#[test]
fn a_byte_order_mark_is_not_text() {
    assert!(parse("f", format!("\u{feff}{}", GOOD.trim_start()).as_bytes()).is_ok());
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let text = format!("{GOOD}#{}", " ".repeat(SIZE_MAX));
    assert!(problems(&text).contains("larger than 256 KiB"));
    let text = format!("{GOOD}#{}", " ".repeat(SIZE_MAX - GOOD.len() - 1));
    assert!(parse("f", text.as_bytes()).is_ok());
}

#[test]
fn a_file_of_very_many_parts_is_not_read() {
    let key = |n: u32| format!("k{n}: v\n");
    let text = format!("{}{}", GOOD.trim_start(), (0..7000).map(key).collect::<String>());
    let said = problems(&text);
    assert!(said.contains("more than 12000 keys and values"), "{said}");
}

#[test]
fn problems_come_in_the_order_of_the_file() {
    let text = GOOD.replace("serial", "serail").replace("xen1", "no");
    let lines: Vec<u32> =
        parse("f", text.as_bytes()).unwrap_err().iter().map(|p| p.at.line).collect();
    assert_eq!(lines, [4, 7]);
}

#[test]
fn a_size_may_have_no_guess_for_a_unit() {
    let text = GOOD.replace("{target: host}", "{target: host, boot_size: 1024}");
    assert!(problems(&text).contains("5:35: layout.boot_size: this is a number without a unit"));
    let text = GOOD.replace("{target: host}", "{target: host, boot_size: 100MiB}");
    assert!(problems(&text).contains("is not between"));
}

#[test]
fn a_debug_print_of_answers_does_not_show_the_password() {
    let answers = parse("f", GOOD.as_bytes()).unwrap();
    assert!(!format!("{answers:?}").contains("j9T"));
}

proptest! {
    /// Whatever is cut out of a good file or put into it, the reader answers.
    #[test]
    fn no_text_makes_it_panic(at in 0_usize..350, cut in 0_usize..40, put in "[ -~\n\t]{0,12}") {
        let start = at.min(GOOD.len());
        let end = start.saturating_add(cut).min(GOOD.len());
        let text = format!("{}{put}{}", &GOOD[..start], &GOOD[end..]);
        drop(parse("f", text.as_bytes()));
    }

    #[test]
    fn no_xml_makes_it_panic_or_tell_a_password(
        at in 0_usize..220, cut in 0_usize..40, put in "[ -~\n\t]{0,12}",
    ) {
        const XML: &str = "<installation>\n<primary-disk guest-storage='no'>sda</primary-disk>\n\
            <admin-interface name='eth0' proto='dhcp'/>\n<root-password>hunter2!</root-password>\n\
            <hostname>xen1</hostname></installation>";
        let start = at.min(XML.len());
        let end = start.saturating_add(cut).min(XML.len());
        let text = format!("{}{put}{}", &XML[..start], &XML[end..]);
        if let Err(problems) = read("f", text.as_bytes()) {
            proptest::prop_assert!(!problems.to_string().contains("hunter2!"), "{}", problems);
        }
    }

    /// The same for YAML: whatever is damaged, no line with the password is quoted.
    #[test]
    fn no_damage_makes_it_tell_a_password(
        at in 0_usize..400, cut in 0_usize..6, put in "[ -~\n\t]{0,6}",
    ) {
        let hash = format!("$y$j9T$salt${}", "a".repeat(43));
        let good = GOOD.replace(&hash, "hunter2!");
        let start = at.min(good.len());
        let end = start.saturating_add(cut).min(good.len());
        let text = format!("{}{put}{}", &good[..start], &good[end..]);
        if let Err(problems) = read("f", text.as_bytes()) {
            proptest::prop_assert!(!problems.to_string().contains("hunter2!"), "{}", problems);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        drop(parse("f", &bytes));
    }
}
