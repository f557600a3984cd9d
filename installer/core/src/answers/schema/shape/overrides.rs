//! The shape of `overrides`.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::Machine;

/// Answers for the machines that `when` means, laid over those of the file.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Override {
    when: MachineWords,
    #[schemars(extend("propertyNames" = settable()))]
    set: BTreeMap<String, serde_json::Value>,
}

/// At least one rule.
#[derive(JsonSchema)]
struct MachineWords(#[schemars(extend("minProperties" = 1))] Machine);

fn settable() -> serde_json::Value {
    serde_json::json!({"not": {"enum": ["schema", "mode", "machine", "overrides"]}})
}
