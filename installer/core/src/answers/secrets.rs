//! What of the answers must not be seen in what others print.

use super::{RawAnswers, ScriptSource, Source};
use crate::values::{RootPassword, Secret, WebUrl};

/// Passwords, hashes and tokens. The text of a script is not among them: a script that prints
/// itself says so on purpose.
pub fn secrets(answers: &RawAnswers) -> Vec<Secret> {
    let mut secrets = Vec::new();
    match &answers.access.root_password {
        RootPassword::Hash(hash) => secrets.push(Secret::new(hash.expose())),
        RootPassword::Plain(secret) => secrets.push(secret.clone()),
        RootPassword::File(_) | RootPassword::Env(_) | RootPassword::Locked | RootPassword::Ask => {
        }
    }
    if let Source::Web(web) = &answers.source {
        secrets.extend(of_url(&web.url));
    }
    for webhook in &answers.report {
        secrets.extend(of_url(&webhook.url));
        secrets.extend(webhook.token.clone());
    }
    let hooks = answers.hooks.iter().flat_map(|(_, hooks)| hooks).map(|hook| &hook.source);
    for source in hooks.chain(answers.first_boot.iter().map(|script| &script.source)) {
        match source {
            ScriptSource::Web(web) => secrets.extend(of_url(&web.url)),
            ScriptSource::Inline(_) | ScriptSource::File { .. } => {}
        }
    }
    secrets
}

/// `user:password`, and the password by itself.
fn of_url(url: &WebUrl) -> Vec<Secret> {
    let user = url.user().unwrap_or_default();
    let password = user.split_once(':').map(|(_, password)| password);
    [Some(user), password].into_iter().flatten().map(Secret::new).collect()
}
