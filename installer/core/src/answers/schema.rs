//! The JSON Schema of the YAML answer file, for editors: made from the types below, which are the
//! shape of the file and nothing else. The reader knows more than a schema can say; what it says on
//! its own is listed beside the test that holds the two together.

use schemars::{JsonSchema, Schema, generate::SchemaSettings};
use serde_json::Value;

mod shape;

use shape::AnswerFile;

/// Where the checked-in copy tells that it came from.
const TITLE: &str = "Answer file of xenhost";

/// The schema, as draft 2020-12.
pub fn json_schema() -> Value {
    let schema = schema_of::<AnswerFile>();
    let mut value = schema.to_value();
    value["title"] = Value::from(TITLE);
    without_null(&mut value);
    value
}

fn schema_of<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>()
}

/// An absent key is absent: nothing takes `null`.
fn without_null(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if let Some(Value::Array(types)) = map.get_mut("type") {
                types.retain(|kind| kind != "null");
                if let [one] = &types[..] {
                    let one = one.clone();
                    map.insert("type".to_owned(), one);
                }
            }
            if let Some(Value::Array(any)) = map.get_mut("anyOf") {
                any.retain(|schema| schema["type"] != "null");
                if let [Value::Object(one)] = &any[..] {
                    let one = one.clone();
                    map.remove("anyOf");
                    map.extend(one);
                }
            }
            map.values_mut().for_each(without_null);
        }
        Value::Array(list) => list.iter_mut().for_each(without_null),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
