//! Scripts, during the installation and at the first boot.

use schemars::JsonSchema;

/// Scripts that run in the installer environment, on the machine that is installed.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Hooks {
    /// Before the first write. One that fails leaves the disk as it was.
    pre: Option<Stage>,
    /// The partitions are there, and empty.
    storage_ready: Option<Stage>,
    /// dom0's files are in place; its root is mounted at $1, which is $`XENHOST_TARGET`.
    files_ready: Option<Stage>,
    /// The new system boots.
    post: Option<Stage>,
    /// After an error, with what went wrong in $`XENHOST_MESSAGE`.
    failed: Option<Failed>,
}

#[derive(JsonSchema)]
struct Stage(#[schemars(length(max = 32))] Vec<Hook>);

#[derive(JsonSchema)]
struct Failed(#[schemars(length(max = 32))] Vec<FailedHook>);

/// Its text is in one of `inline`, `url` and `path`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("oneOf" = ways()))]
struct Hook {
    inline: Option<Inline>,
    url: Option<Url>,
    path: Option<Path>,
    sha256: Option<Digest>,
    ca: Option<Path>,
    key: Option<Key>,
    /// Default: 5m.
    timeout: Option<TimeLimit>,
    on_fail: Option<OnFail>,
}

/// The same; what becomes of it ends nothing.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("oneOf" = ways()))]
struct FailedHook {
    inline: Option<Inline>,
    url: Option<Url>,
    path: Option<Path>,
    sha256: Option<Digest>,
    ca: Option<Path>,
    key: Option<Key>,
    /// Default: 5m.
    timeout: Option<TimeLimit>,
}

/// The same for a script that runs once in the installed host.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("oneOf" = ways()))]
pub(super) struct Script {
    inline: Option<Inline>,
    url: Option<Url>,
    path: Option<Path>,
    sha256: Option<Digest>,
    ca: Option<Path>,
    key: Option<Key>,
    /// Default: 1h.
    timeout: Option<TimeLimit>,
    /// Default: when network, Xen and SSH have started.
    when: Option<When>,
}

fn ways() -> serde_json::Value {
    ["inline", "url", "path"]
        .map(|name| serde_json::json!({"required": [name]}))
        .into_iter()
        .collect()
}

/// The text itself.
#[derive(JsonSchema)]
struct Inline(#[schemars(regex(pattern = r"^#!/"))] String);

/// Fetched before the first write. Over http, `sha256` is needed.
#[derive(JsonSchema)]
struct Url(
    #[schemars(regex(pattern = r"^[Hh][Tt][Tt][Pp][Ss]?://.+$"))]
    String,
);

/// A file of the medium or of the installer environment, by its whole path.
#[derive(JsonSchema)]
struct Path(#[schemars(regex(pattern = r"^/"))] String);

#[derive(JsonSchema)]
struct Digest(#[schemars(regex(pattern = r"^[0-9a-fA-F]{64}$"))] String);

/// SHA-256 of the server's public key, in place of certificates.
#[derive(JsonSchema)]
struct Key(#[schemars(regex(pattern = r"^(sha256:)?[0-9a-fA-F]{64}$"))] String);

/// 90s, 5m or 1h; a day at most.
#[derive(JsonSchema)]
struct TimeLimit(#[schemars(regex(pattern = r"^[0-9]+[smh]$"))] String);

/// Whether a failure ends the installation. Default: abort.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum OnFail {
    Abort,
    Warn,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
enum When {
    BeforeNetwork,
    NetworkOnline,
    /// The host is blessed, and its repositories are made.
    FullyUp,
}
