//! Every answer that can be given is written and read again.

use super::*;
use crate::answers::read;

#[track_caller]
fn same(yaml_text: &str) {
    let (answers, _) = read("f", yaml_text.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
    let written = yaml(&answers);
    let (again, _) = read("g", written.as_bytes()).unwrap_or_else(|e| panic!("{e}\n{written}"));
    assert_eq!(answers, again, "{written}");
    assert_eq!(written, yaml(&again));
}

#[test]
fn an_upgrade_and_a_rollback() {
    same(
        "schema: xenhost/v1\nmode: upgrade\ndisks: {a: {serial: X}, b: {size: '<2TB'}}\n\
         safety: {protect: [b]}\nupgrade: {layout: modern}\nhealth: {timeout: 5m}\n",
    );
    same("schema: xenhost/v1\nmode: rollback\nfinish: {action: poweroff}\n");
    same("schema: xenhost/v1\nmode: rollback\ndisks: {a: {wwn: '0x5'}}\n");
}

#[test]
fn a_release_on_the_web() {
    let rest = "layout: {target: a}\ndisks: {a: {serial: X}}\nsystem: {hostname: x}\n\
                network: {management: {mac: '00:16:3e:aa:bb:cc'}}\n";
    let digest = "5f".repeat(32);
    for source in [
        format!("image: 'http://u:p@h/r?a=b', sha256: {digest}"),
        format!("image: 'https://[::1]:8443/', key: 'sha256:{digest}'"),
        "image: 'https://h', ca: /etc/our.pem".to_owned(),
        "image: medium".to_owned(),
    ] {
        same(&format!("schema: xenhost/v1\nmode: install\nsource: {{{source}}}\n{rest}"));
    }
}

#[test]
fn a_report_and_what_follows_an_error() {
    let rest = "layout: {target: a}\ndisks: {a: {serial: X}}\nsystem: {hostname: x}\n\
                network: {management: {mac: '00:16:3e:aa:bb:cc'}}\n";
    for more in [
        "report: {webhook: [{url: 'http://u:p@h/r'}, {url: 'https://h', token: 'a+b='}]}",
        "report: {webhook: [{url: 'https://h', events: [failed, start, failed], ca: /ca.pem}]}",
        "finish: {action: reboot, on_error: reboot}",
        "finish: {action: none, on_error: halt}",
        "report: {}",
    ] {
        same(&format!("schema: xenhost/v1\nmode: install\n{rest}{more}\n"));
    }
}

#[test]
fn text_that_looks_like_something_else_stays_text() {
    same(
        "schema: xenhost/v1\nmode: install\nmachine: {serial: '007', asset_tag: 'yes', \
         vendor: \"a \\\"b\\\" \\\\ c\"}\ndisks: {'no': {serial: '1e3'}, 'on': {serial: 'null'}}\n\
         safety: {protect: ['on']}\nlayout: {target: 'no'}\n\
         network: {interfaces: {'y': {mac: '00:16:3e:aa:bb:cc'}}, management: {on: 'y'}}\n\
         system: {hostname: xen1}\naccess: {root_password: {plain: \"correct: #horse \u{e4}\"}}\n\
         first_boot: [{inline: \"#!/bin/sh\\n\\techo 'a' \\\\\\n\"}]\n",
    );
}
