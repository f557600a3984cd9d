//! Tests of values: what is taken, and what is said of what is not.

use partitioner::units::Bytes;

use super::*;

fn what<T: std::fmt::Debug>(result: Result<T, ValueError>) -> String {
    let error = result.unwrap_err();
    match error.hint {
        Some(hint) => format!("{} | {hint}", error.what),
        None => error.what,
    }
}

#[test]
fn hostnames() {
    assert_eq!(Hostname::parse("xen1.example.org").unwrap().short(), "xen1");
    assert_eq!(Hostname::parse("xen1").unwrap().short(), "xen1");
    for bad in ["", "-a", "a-", "a..b", "a_b", "127", "10.0.0.1", "ü", "a b", &"a".repeat(65)] {
        assert!(what(Hostname::parse(bad)).contains("is not a host name"), "{bad}");
    }
}

#[test]
fn a_time_zone_that_is_nearly_right_is_suggested() {
    assert!(Timezone::parse("Europe/Berlin").is_ok());
    assert!(Timezone::parse("Etc/GMT+5").is_ok());
    assert_eq!(
        what(Timezone::parse("Europe/Berln")),
        "`Europe/Berln` is not a time zone that this installer knows | did you mean \
         `Europe/Berlin`?"
    );
    assert!(Timezone::parse(Timezone::default().as_str()).is_ok());
}

#[test]
fn keyboards() {
    assert!(Keymap::parse("gb").is_ok());
    assert!(Keymap::parse(Keymap::default().as_str()).is_ok());
    assert!(what(Keymap::parse("qwertz")).ends_with("for example us, gb, de, fr"));
}

#[test]
fn mac_addresses() {
    let mac = Mac::parse("00-16-3E-AA-bb-cc").unwrap();
    assert_eq!(mac.to_string(), "00:16:3e:aa:bb:cc");
    for bad in
        ["", "00:16:3e:aa:bb", "00:16:3e:aa:bb:cc:dd", "0:16:3e:aa:bb:cc", "+1:16:3e:aa:bb:cc"]
    {
        assert!(what(Mac::parse(bad)).contains("six pairs"), "{bad}");
    }
    assert!(what(Mac::parse("01:16:3e:aa:bb:cc")).contains("group address"));
    assert!(what(Mac::parse("00:00:00:00:00:00")).contains("no interface"));
}

#[test]
fn deployment_ids() {
    assert_eq!(DeploymentId::parse("rack7-42").unwrap().as_str(), "rack7-42");
    assert!(DeploymentId::parse("rack 7").is_err());
    assert!(DeploymentId::parse("").is_err());
}

fn hash(prefix: &str, length: usize) -> String {
    format!("{prefix}{}", "a".repeat(length))
}

#[test]
fn password_hashes() {
    for good in
        [hash("$6$saltsalt$", 86), hash("$6$rounds=5000$salt$", 86), hash("$y$j9T$somesalt$", 43)]
    {
        assert_eq!(PasswordHash::parse(&good).unwrap().expose(), good);
    }
    let hash_of = |text: &str| what(PasswordHash::parse(text));
    assert!(hash_of("$1$salt$hash").contains("MD5"));
    assert!(hash_of("$5$salt$hash").contains("SHA-256"));
    assert!(hash_of("$2b$12$hash").contains("bcrypt"));
    assert!(hash_of("$6$salt$short").contains("not a whole SHA-512"));
    assert!(hash_of("$y$j9T$salt$short").contains("not a whole yescrypt"));
    assert!(hash_of("!!").contains("this is no hash"));
    assert!(hash_of(&hash("$6$sa:lt$", 86)).contains("not a whole SHA-512"));
}

#[test]
fn no_password_is_ever_shown() {
    for secret in ["hunter2", "$1$hunter2$x", "$6$hunter2$x", "!hunter2", "$y$hunter2"] {
        assert!(!what(PasswordHash::parse(secret)).contains("hunter2"));
    }
    let good = hash("$6$hunter2$", 86);
    assert!(!format!("{:?}", PasswordHash::parse(&good).unwrap()).contains("hunter2"));
}

const ED25519: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGlDcPhLxYxWuD7hsjMf5p4tCOOlwyZ9aqAUQ4ZQjYsP admin@desk";

#[test]
fn ssh_keys() {
    assert_eq!(SshKey::parse(ED25519).unwrap().as_str(), ED25519);
    let swapped = ED25519.replace("ssh-ed25519", "ssh-rsa");
    assert!(what(SshKey::parse(&swapped)).contains("another type"));
    assert!(what(SshKey::parse("ssh-ed25519 AAAA!")).contains("base64"));
    assert!(what(SshKey::parse("ssh-ed25519")).contains("base64"));
    assert!(what(SshKey::parse("ssh-dss AAAA")).contains("no longer"));
    assert!(what(SshKey::parse("command=\"x\" ssh-rsa AAAA")).contains("TYPE KEY COMMENT"));
    let two_lines = format!("{ED25519}\n{ED25519}");
    assert!(what(SshKey::parse(&two_lines)).contains("one line"));
    let private = "-----BEGIN OPENSSH PRIVATE KEY-----\nsecret";
    assert!(!what(SshKey::parse(private)).contains("secret"));
}

#[test]
fn sizes() {
    assert_eq!(parse_size("512MiB"), Ok(Bytes::mib(512)));
    assert_eq!(parse_size("5 GiB"), Ok(Bytes::gib(5)));
    assert_eq!(parse_size("400GB"), Ok(Bytes::new(400_000_000_000)));
    assert!(what(parse_size("512")).contains("the unit is missing"));
    assert!(what(parse_size("5G")).contains("`G` is not a unit"));
    assert!(what(parse_size("GiB")).contains("does not begin with a number"));
    assert!(what(parse_size("99999999999TiB")).contains("too large"));
    assert!(what(parse_size("1.5GiB")).contains("is not a unit"));
}

#[test]
fn size_rules() {
    let rule = |text: &str| SizeRule::parse(text).unwrap();
    let sixty = Bytes::gib(60);
    assert!(rule(">=60GiB").allows(sixty));
    assert!(!rule(">60GiB").allows(sixty));
    assert!(rule("<=60GiB").allows(sixty));
    assert!(!rule("<60GiB").allows(sixty));
    assert!(rule("==60GiB").allows(sixty));
    assert!(rule("60GiB..1TiB").allows(sixty));
    assert!(!rule("61GiB..1TiB").allows(sixty));
    assert!(what(SizeRule::parse("2TiB..1TiB")).contains("leaves no size"));
    assert!(what(SizeRule::parse("largest")).contains("not a rule"));
    assert!(what(SizeRule::parse(">= 60")).contains("unit is missing"));
    assert_eq!(rule(">= 400 GiB").to_string(), ">= 400 GiB");
}
