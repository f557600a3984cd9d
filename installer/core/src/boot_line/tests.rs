//! Tests of the kernel line.

use std::net::Ipv4Addr;

use proptest::prelude::{any, proptest};

use super::*;

const HASH: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

#[track_caller]
fn wrong(text: &str, words: &[&str]) {
    let problems = parse(text).unwrap_err().join("\n");
    for word in words {
        assert!(problems.contains(word), "{problems}");
    }
    assert!(!problems.contains("hunter2"), "{problems}");
}

#[test]
fn other_words_do_not_concern_us() {
    let line = parse("BOOT_IMAGE=/vmlinuz quiet console=tty0 answer=1 xenhost.test").unwrap();
    assert_eq!(line, BootLine::default());
}

#[test]
fn everything_that_can_be_said() {
    let text = format!(
        "answerfile=https://u:p@h/{{mac}}.yaml answerfile-sha256={HASH} \
         answerfile-ca=file:///ca.pem answerfile-key=sha256:{HASH} xenhost.confirm={HASH} \
         ip=eth0:dhcp BOOTIF=01-00-16-3E-AA-BB-CC"
    );
    let line = parse(&text).unwrap();
    assert_eq!(line.answers.unwrap().shown(), "https://***@h/{mac}.yaml");
    assert_eq!((line.sha256.as_deref(), line.confirm.as_deref()), (Some(HASH), Some(HASH)));
    assert_eq!((line.ca.as_deref(), line.key.unwrap()[0]), (Some("/ca.pem"), 0x01));
    assert_eq!(line.ip, Some(Ip::Dhcp { interface: Some("eth0".into()) }));
    assert_eq!(line.boot_interface.unwrap().to_string(), "00:16:3e:aa:bb:cc");
}

#[test]
fn a_value_may_stand_in_quotes() {
    let line = parse("answerfile=\"/my answers.yaml\" \"ip=off\"").unwrap();
    assert_eq!(line.answers, Some(Location::File("/my answers.yaml".into())));
    assert_eq!(line.ip, Some(Ip::Off));
}

#[test]
fn addresses() {
    let text = "ip=192.0.2.9::192.0.2.1:255.255.255.0::eth0:none:192.0.2.53";
    let Some(Ip::Static(ip)) = parse(text).unwrap().ip else { panic!() };
    assert_eq!((ip.prefix, ip.gateway), (24, Some(Ipv4Addr::new(192, 0, 2, 1))));
    assert_eq!((ip.interface.as_deref(), ip.dns.len()), (Some("eth0"), 1));
    assert_eq!(
        parse("ip=:::::eth1:dhcp").unwrap().ip,
        Some(Ip::Dhcp { interface: Some("eth1".into()) })
    );
    for bad in ["ip=192.0.2.9", "ip=192.0.2.9:::255.0.255.0", "ip=a b", "ip=-x:dhcp", "ip=eth0:x"] {
        wrong(bad, &["ip: "]);
    }
}

#[test]
fn a_typing_mistake_is_not_lost() {
    wrong("xenhost.confrim=x", &["xenhost.confrim: unknown", "did you mean `xenhost.confirm`?"]);
    wrong("answerfile_sha256=x", &["answerfile_sha256: unknown", "answerfile-sha256"]);
    wrong("xenhost.confirm=abc answerfile=nfs://h/x", &["64 hexadecimal", "file://, http://"]);
    wrong("answerfile= answerfile-sha256", &["answerfile needs", "answerfile-sha256 needs"]);
    wrong("answerfile=a answerfile=b", &["answerfile is there twice"]);
    wrong(&format!("answerfile-sha256={HASH}"), &["belongs to `answerfile=`"]);
    wrong(&format!("answerfile=http://h/a answerfile-key={HASH}"), &["belongs to"]);
    wrong("answerfile=https://u:hunter2@h/{nic}", &["{nic}"]);
    wrong("answerfile=ftp://u:hunter2@h/x", &["ftp://***@h/x"]);
    wrong(&"x".repeat(5000), &["longer than"]);
}

proptest! {
    #[test]
    fn no_line_makes_it_stop(text in any::<String>()) {
        drop(parse(&text));
    }
}
