//! The digest of a plan: what a person agreed to, in one line.

use serde_json::{Value, json};

use super::Plan;
use super::lines::{partitions, steps};
use crate::answers::{Hook, Hooks, Script};
use crate::request::InstallRequest;
use crate::values::{RootPassword, SshKey, sha256};

/// SHA-256 over the canonical form, in lower-case hexadecimal.
///
/// Identifiers that will be drawn are left out; so is the path of the disk where the disk has a
/// name of its own, since paths change between two starts of a machine. The password enters as a
/// hash of its hash.
pub(super) fn of(plan: &Plan, request: &InstallRequest) -> String {
    let disk = &plan.disk;
    let named = disk.serial.is_some() || disk.wwn.is_some();
    let path = (!named).then_some(&disk.path);
    // Keys are sorted by serde_json, so that the form does not depend on the order here.
    let mut canonical = json!({
        "disk": {
            "serial": disk.serial,
            "wwn": disk.wwn,
            "model": disk.model,
            "path": path,
            "size": disk.size,
            "block_size": disk.block_size,
        },
        "firmware": plan.firmware,
        "layout": plan.table.layout,
        "partitions": partitions(&plan.table),
        "steps": steps(plan),
        "destroys": plan.destroys,
        "release": plan.release,
        "dom0": plan.dom0,
        "answers": answers(request),
    });
    if !request.hooks.is_empty()
        && let Some(map) = canonical.as_object_mut()
    {
        map.insert("hooks".to_owned(), hooks(&request.hooks));
    }
    if !plan.repositories.is_empty()
        && let Some(map) = canonical.as_object_mut()
    {
        let wanted = plan.repositories.iter().map(|wanted| &wanted.repository);
        let places = wanted.map(|r| json!([r.name, r.kind, r.place])).collect();
        map.insert("repositories".to_owned(), places);
    }
    sha256(canonical.to_string())
}

fn script(script: &Script) -> Value {
    let pin = script.source.pin();
    match (script.when, script.timeout) {
        (None, Script::TIMEOUT_DEFAULT) => json!(pin),
        (when, timeout) => json!([pin, when, timeout]),
    }
}

fn hooks(hooks: &Hooks) -> Value {
    let one = |hook: &Hook| json!([hook.source.pin(), hook.timeout, hook.on_fail]);
    hooks
        .iter()
        .map(|(stage, all)| json!([stage, all.iter().map(one).collect::<Vec<_>>()]))
        .collect()
}

/// What was answered, as far as a person agrees to it. Secrets enter as hashes.
pub(crate) fn answers(request: &InstallRequest) -> Value {
    let first_boot: Vec<Value> = request.first_boot.iter().map(script).collect();
    json!({
        "deployment_id": request.deployment_id,
        "network": request.network,
        "hostname": request.system.hostname,
        "timezone": request.system.timezone,
        "keymap": request.system.keymap,
        "root_password": password(&request.access.root_password),
        "ssh_password_login": request.access.ssh_password_login,
        "xen": request.xen,
        "boot": request.boot,
        "health": request.health,
        "first_boot": first_boot,
        "ssh_keys": request.access.ssh_keys.iter().map(SshKey::as_str).collect::<Vec<_>>(),
        "finish": request.finish,
    })
}

/// A hash of the hash, or how the host comes to a password.
fn password(password: &RootPassword) -> String {
    match password {
        RootPassword::Hash(hash) => sha256(hash.expose()),
        RootPassword::Ask => "ask".to_owned(),
        RootPassword::Locked => "locked".to_owned(),
        // Requests hold none of these; what they say would be a secret.
        RootPassword::Plain(_) | RootPassword::File(_) | RootPassword::Env(_) => String::new(),
    }
}
