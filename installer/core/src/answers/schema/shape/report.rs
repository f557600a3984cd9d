//! Who is told how an installation went, and what the machine does then.

use schemars::JsonSchema;

use super::FinishAction;

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Finish {
    action: FinishAction,
    /// After a failure. Default: a shell.
    on_error: Option<OnError>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum OnError {
    Shell,
    Reboot,
    Poweroff,
    Halt,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Report {
    #[schemars(length(max = 8))]
    webhook: Option<Vec<Webhook>>,
}

/// A web server that gets each event by POST, as JSON.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Webhook {
    #[schemars(regex(pattern = r"^[Hh][Tt][Tt][Pp][Ss]?://.+$"))]
    url: String,
    /// Default: done and failed.
    #[schemars(length(min = 1))]
    events: Option<Vec<ReportEvent>>,
    /// Sent as `Authorization: Bearer`, over https only.
    #[schemars(length(max = 1024), regex(pattern = r"^[A-Za-z0-9._~+/=-]+$"))]
    token: Option<String>,
    #[schemars(regex(pattern = r"^/"))]
    ca: Option<String>,
    #[schemars(regex(pattern = r"^(sha256:)?[0-9a-fA-F]{64}$"))]
    key: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum ReportEvent {
    Start,
    Done,
    Failed,
}
