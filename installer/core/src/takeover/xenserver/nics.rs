//! Which card an old interface name stands for. Names such as `eth0` mean something only with the
//! old host's rules, so that only the address is carried over.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::CarryError;
use super::texts::{Texts, in_file, in_line, json};
use crate::values::Mac;

const STATIC: &str = "etc/sysconfig/network-scripts/interface-rename-data/static-rules.conf";
const DYNAMIC: &str = "etc/sysconfig/network-scripts/interface-rename-data/dynamic-rules.json";
const IFCFG: &str = "etc/sysconfig/network-scripts";

/// Addresses by name.
#[derive(Debug, Default)]
pub(super) struct Nics(BTreeMap<String, Mac>);

/// What the names were at the last boot: address, PCI place, name. Lines that begin with `#` are
/// comments.
#[derive(Deserialize)]
struct Dynamic {
    #[serde(default)]
    lastboot: Vec<(String, String, String)>,
}

impl Nics {
    /// The last boot counts before the rules for the next one, and both before what a script says.
    pub(super) fn read(texts: Texts<'_>) -> Result<Self, CarryError> {
        let mut nics = Self::default();
        nics.scripts(texts)?;
        nics.fixed(texts)?;
        nics.last_boot(texts)?;
        Ok(nics)
    }

    /// The addresses of these names, or which of them is not known.
    pub(super) fn mac(&self, name: &str) -> Result<Mac, CarryError> {
        self.0.get(name).copied().ok_or_else(|| CarryError::Nowhere {
            what: format!("which card {name:?} is"),
            places: vec!["interface-rename-data", "ifcfg-* (HWADDR)"],
        })
    }

    fn put(&mut self, path: &str, name: &str, mac: &str) -> Result<(), CarryError> {
        let mac = Mac::parse(mac).map_err(|e| in_file(path, e))?;
        self.0.insert(name.to_owned(), mac);
        Ok(())
    }

    fn scripts(&mut self, texts: Texts<'_>) -> Result<(), CarryError> {
        for (name, _) in texts.within(IFCFG) {
            let path = format!("{IFCFG}/{name}");
            let Some(device) = name.strip_prefix("ifcfg-eth") else { continue };
            let Some(keys) = texts.keys(&path)? else { continue };
            if let Some(mac) = keys.get("HWADDR") {
                self.put(&path, &format!("eth{device}"), mac)?;
            }
        }
        Ok(())
    }

    /// `eth0:mac="00:16:3e:00:00:01"`. Rules by PCI place or by label say nothing here.
    fn fixed(&mut self, texts: Texts<'_>) -> Result<(), CarryError> {
        for (line, text) in texts.lines(STATIC)? {
            let rule = text.split_once(':').and_then(|(name, rest)| {
                let (method, value) = rest.split_once('=')?;
                Some((name.trim(), method.trim(), value.trim()))
            });
            let Some((name, method, value)) = rule else {
                return Err(in_line(STATIC, line, "not NAME:METHOD=\"value\""));
            };
            if method == "mac" {
                // A comment may follow.
                let value = value.trim_start_matches(['"', '\'']);
                let value = value.split(['"', '\'']).next().unwrap_or_default();
                let mac = Mac::parse(value).map_err(|e| in_line(STATIC, line, e))?;
                self.0.insert(name.to_owned(), mac);
            }
        }
        Ok(())
    }

    fn last_boot(&mut self, texts: Texts<'_>) -> Result<(), CarryError> {
        let Some(text) = texts.text(DYNAMIC)? else { return Ok(()) };
        // Comments become empty lines, so that the lines of errors are those of the file.
        let is_comment = |line: &&str| line.trim_start().starts_with('#');
        let lines: Vec<&str> =
            text.lines().map(|line| if is_comment(&line) { "" } else { line }).collect();
        let lines = lines.join("\n");
        if lines.trim().is_empty() {
            return Ok(());
        }
        let rules: Dynamic = serde_json::from_str(&lines).map_err(|e| json(DYNAMIC, &e))?;
        for (mac, _, name) in &rules.lastboot {
            self.put(DYNAMIC, name, mac)?;
        }
        Ok(())
    }
}
