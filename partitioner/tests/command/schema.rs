//! Real plans against the published schema, by a checker that knows the words this schema uses and
//! stops at any other.

use serde_json::{Map, Value, json};

use super::{applied, image, json_of};

struct Checker {
    root: Value,
    errors: Vec<String>,
}

impl Checker {
    fn errors(root: &Value, value: &Value) -> Vec<String> {
        let mut checker = Self { root: root.clone(), errors: Vec::new() };
        checker.check(&root.clone(), value, "plan");
        checker.errors
    }

    fn check(&mut self, schema: &Value, value: &Value, at: &str) {
        let Some(schema) = schema.as_object() else {
            assert_eq!(*schema, json!(true), "a schema is an object or true");
            return;
        };
        for (word, rule) in schema {
            if !self.fits(schema, word, rule, value, at) {
                self.errors.push(format!("{at}: {value} breaks {word} {rule}"));
            }
        }
    }

    /// One word of a schema; what lies within the value reports for itself.
    fn fits(
        &mut self,
        schema: &Map<String, Value>,
        word: &str,
        rule: &Value,
        value: &Value,
        at: &str,
    ) -> bool {
        match word {
            "$schema" | "title" | "description" | "$defs" | "format" | "additionalProperties" => {}
            "type" => return is_of(rule, value),
            "enum" => return list(rule).contains(value),
            "const" => return rule == value,
            "minimum" => return value.as_u64() >= rule.as_u64(),
            "maximum" => return value.as_u64() <= rule.as_u64(),
            "minItems" => return value.as_array().is_some_and(|a| a.len() >= number(rule)),
            "maxItems" => return value.as_array().is_some_and(|a| a.len() <= number(rule)),
            "pattern" => {
                assert_eq!(rule, "^[0-9a-f]{64}$", "the one pattern that is known");
                let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
                return value.as_str().is_some_and(|s| s.len() == 64 && s.bytes().all(hex));
            }
            "$ref" => {
                let name = rule.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
                let schema = self.root["$defs"][name].clone();
                assert!(schema.is_object(), "no {name}");
                self.check(&schema, value, at);
            }
            "oneOf" | "anyOf" => {
                let mut one = Self { root: self.root.clone(), errors: Vec::new() };
                return list(rule).iter().any(|schema| {
                    one.errors.clear();
                    one.check(schema, value, at);
                    one.errors.is_empty()
                });
            }
            "items" => {
                for (i, item) in value.as_array().into_iter().flatten().enumerate() {
                    self.check(rule, item, &format!("{at}[{i}]"));
                }
            }
            "required" => {
                return list(rule).iter().all(|name| value.get(name.as_str().unwrap()).is_some());
            }
            "properties" => return self.properties(schema, rule, value, at),
            other => panic!("{at}: the checker does not know {other}"),
        }
        true
    }

    fn properties(
        &mut self,
        schema: &Map<String, Value>,
        known: &Value,
        value: &Value,
        at: &str,
    ) -> bool {
        let closed = schema.get("additionalProperties") == Some(&json!(false));
        let mut fine = true;
        for (name, inner) in value.as_object().into_iter().flatten() {
            match known.get(name) {
                Some(rule) => self.check(rule, inner, &format!("{at}.{name}")),
                None => fine &= !closed,
            }
        }
        fine
    }
}

fn list(rule: &Value) -> &[Value] {
    rule.as_array().expect("a list")
}

fn number(rule: &Value) -> usize {
    usize::try_from(rule.as_u64().unwrap()).unwrap()
}

/// One type, or a list of which one must be it.
fn is_of(rule: &Value, value: &Value) -> bool {
    if let Some(all) = rule.as_array() {
        return all.iter().any(|one| is_of(one, value));
    }
    match rule.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("the checker does not know type {other}"),
    }
}

fn schema() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/plan.schema.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn real_plans_are_valid() {
    let schema = schema();
    let bios = ["--firmware", "bios"];
    let no_sr = ["--no-sr", "--compat", "xenserver"];
    for (gib, options) in [(60, &[][..]), (12, &bios[..]), (12, &[]), (60, &no_sr[..])] {
        let (_folder, path) = image(gib);
        let disk = path.to_str().unwrap();
        // Of the blank disk, and of the one that has the table already.
        for _ in 0..2 {
            let plan = applied(disk, options);
            assert_eq!(Checker::errors(&schema, &plan), [""; 0]);
        }
        let other = json_of(&["plan", disk, "--no-sr"]);
        assert_eq!(Checker::errors(&schema, &other), [""; 0]);
    }
}

#[test]
fn what_is_no_plan_is_not_valid() {
    let schema = schema();
    let (_folder, path) = image(60);
    let good = json_of(&["plan", path.to_str().unwrap()]);
    let spoilt = |spoil: &dyn Fn(&mut Value)| {
        let mut plan = good.clone();
        spoil(&mut plan);
        Checker::errors(&schema, &plan)
    };
    let changes: [&dyn Fn(&mut Value); 8] = [
        &|plan| plan["digest"] = json!("abc"),
        &|plan| plan["layout"] = json!("huge"),
        &|plan| plan["extra"] = json!(1),
        &|plan| drop(plan.as_object_mut().unwrap().remove("destroys")),
        &|plan| plan["partitions"][0]["number"] = json!("5"),
        &|plan| plan["regions"][0]["purpose"] = json!("fun"),
        &|plan| plan["disks"] = json!([]),
        &|plan| plan["before"] = json!("none"),
    ];
    for (i, change) in changes.into_iter().enumerate() {
        assert!(!spoilt(change).is_empty(), "change {i} was not seen");
    }
}
