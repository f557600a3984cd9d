//! The database of an old host's toolstack, `state.db`: an XML file with a table per class and a
//! row per object. Read for what a takeover must know (guests, pool, high availability, disks by
//! repository), and told as facts; nothing is decided here.

use std::collections::BTreeMap;

use roxmltree::{Document, Node};
use serde::{Deserialize, Serialize};

use crate::ids::Guid;
use crate::sr::Listed;
use crate::sr::lvm::group::shown;
use crate::units::Bytes;

/// Where it is: current hosts, and those of version 6.
pub(super) const PATHS: [&str; 2] = ["/var/lib/xcp/state.db", "/var/xapi/state.db"];
/// A pool of 64 hosts and 4,000 guests has some 40 MB; a host that is taken over is in no pool.
pub(super) const LEN_MAX: u64 = 16 << 20;
const NODES_MAX: u32 = 500_000;

/// What the database says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Database {
    /// Hosts of the pool; a host on its own is a pool of one.
    pub hosts: u32,
    pub ha_enabled: bool,
    /// Guests by name: no templates, no snapshots, not dom0.
    pub guests: Vec<String>,
    /// Disks on repositories with a UUID, wherever these are.
    pub disks: Vec<Listed>,
}

/// Why a database is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseError {
    #[error("not UTF-8")]
    NotText,
    #[error("{0}")]
    Xml(String),
    #[error("it has no table `{0}`")]
    NoTable(&'static str),
    #[error("a row of table `{table}` lacks `{field}`")]
    Row { table: &'static str, field: &'static str },
    #[error("a disk is on a repository that the database does not have")]
    NoRepository,
}

/// Reads the file.
pub(super) fn parse(bytes: &[u8]) -> Result<Database, DatabaseError> {
    let text = std::str::from_utf8(bytes).map_err(|_| DatabaseError::NotText)?;
    let options = roxmltree::ParsingOptions {
        allow_dtd: false,
        nodes_limit: NODES_MAX,
        entity_resolver: None,
    };
    let document = Document::parse_with_options(text, options)
        .map_err(|error| DatabaseError::Xml(error.to_string()))?;
    let tables = Tables::of(&document);
    let hosts = u32::try_from(tables.rows("host")?.len()).unwrap_or(u32::MAX);
    let mut ha_enabled = false;
    for pool in tables.rows("pool")? {
        ha_enabled |= field(*pool, "pool", "ha_enabled")? != "false";
    }
    let mut guests = Vec::new();
    for vm in tables.rows("VM")? {
        let mut guest = true;
        for kind in ["is_a_template", "is_control_domain", "is_a_snapshot"] {
            guest &= field(*vm, "VM", kind)? != "true";
        }
        if guest {
            guests.push(shown(field(*vm, "VM", "name__label")?));
        }
    }
    Ok(Database { hosts, ha_enabled, guests, disks: disks(&tables)? })
}

fn disks(tables: &Tables<'_>) -> Result<Vec<Listed>, DatabaseError> {
    let mut repositories = BTreeMap::new();
    for sr in tables.rows("SR")? {
        let reference = sr.attribute("ref").or_else(|| sr.attribute("_ref"));
        let reference = reference.ok_or(DatabaseError::Row { table: "SR", field: "ref" })?;
        repositories.insert(reference, field(*sr, "SR", "uuid")?);
    }
    let mut disks = Vec::new();
    for vdi in tables.rows("VDI")? {
        let on = repositories.get(field(*vdi, "VDI", "SR")?);
        // Some repositories, such as that of the tools, have names instead of UUIDs.
        let Ok(sr) = on.ok_or(DatabaseError::NoRepository)?.parse::<Guid>() else { continue };
        let size = field(*vdi, "VDI", "virtual_size")?.parse().map(Bytes::new);
        let size = size.map_or_else(|_| "size unknown".to_owned(), |size| size.to_string());
        let name = shown(field(*vdi, "VDI", "name__label")?);
        let uuid = shown(field(*vdi, "VDI", "uuid")?);
        disks.push(Listed { sr, what: format!("disk {uuid} \"{name}\", {size}") });
    }
    Ok(disks)
}

/// The rows by table.
struct Tables<'a>(BTreeMap<&'a str, Vec<Node<'a, 'a>>>);

impl<'a> Tables<'a> {
    fn of(document: &'a Document<'_>) -> Self {
        let mut tables = BTreeMap::new();
        let named = |node: &Node<'_, '_>| node.has_tag_name("table");
        for table in document.root_element().children().filter(named) {
            let rows = table.children().filter(|node| node.has_tag_name("row"));
            let name = table.attribute("name").unwrap_or_default();
            tables.entry(name).or_insert_with(Vec::new).extend(rows);
        }
        Self(tables)
    }

    fn rows(&self, table: &'static str) -> Result<&[Node<'a, 'a>], DatabaseError> {
        self.0.get(table).map(Vec::as_slice).ok_or(DatabaseError::NoTable(table))
    }
}

fn field<'a>(
    row: Node<'a, '_>,
    table: &'static str,
    field: &'static str,
) -> Result<&'a str, DatabaseError> {
    row.attribute(field).ok_or(DatabaseError::Row { table, field })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: &str = r#"<?xml version="1.0"?>
<database>
 <manifest><pair key="schema_major_vsn" value="5"/></manifest>
 <table name="host"><row ref="OpaqueRef:h" uuid="h1" name__label="old"/></table>
 <table name="pool"><row ref="OpaqueRef:p" ha_enabled="false"/></table>
 <table name="SR">
  <row ref="OpaqueRef:s1" uuid="11111111-1111-4111-8111-111111111111" type="lvm"/>
  <row ref="OpaqueRef:s2" uuid="tools" type="iso"/>
 </table>
 <table name="VDI">
  <row ref="OpaqueRef:d1" uuid="d1" SR="OpaqueRef:s1" name__label="web" virtual_size="1073741824"/>
  <row ref="OpaqueRef:d2" uuid="d2" SR="OpaqueRef:s2" name__label="tools.iso" virtual_size="1"/>
 </table>
 <table name="VM">
  <row ref="1" name__label="dom0" is_a_template="false" is_control_domain="true"
   is_a_snapshot="false"/>
  <row ref="2" name__label="Debian" is_a_template="true" is_control_domain="false"
   is_a_snapshot="false"/>
  <row ref="3" name__label="web" is_a_template="false" is_control_domain="false"
   is_a_snapshot="false"/>
 </table>
</database>"#;

    #[test]
    fn guests_hosts_and_disks_are_told() {
        let database = parse(SOUND.as_bytes()).unwrap();
        assert_eq!((database.hosts, database.ha_enabled), (1, false));
        assert_eq!(database.guests, ["web"]);
        let [disk] = database.disks.as_slice() else { panic!("{:?}", database.disks) };
        assert_eq!(disk.what, "disk d1 \"web\", 1 GiB");
    }

    #[test]
    fn what_cannot_be_read_is_not_taken_for_nothing() {
        let refused = |text: &str| parse(text.as_bytes()).unwrap_err().to_string();
        let without = |what: &str| refused(&SOUND.replace(what, ""));
        assert_eq!(refused("<database/>"), "it has no table `host`");
        assert_eq!(without(" ha_enabled=\"false\""), "a row of table `pool` lacks `ha_enabled`");
        assert_eq!(without(" SR=\"OpaqueRef:s1\""), "a row of table `VDI` lacks `SR`");
        assert_eq!(
            refused(&SOUND.replace("SR=\"OpaqueRef:s1\"", "SR=\"OpaqueRef:s3\"")),
            "a disk is on a repository that the database does not have"
        );
        assert!(refused("<!DOCTYPE x [<!ENTITY a 'b'>]><x/>").contains("DTD"));
        assert_eq!(refused("<database>"), refused("<database>"));
        assert_eq!(parse(&[0xFF]).unwrap_err(), DatabaseError::NotText);
        assert!(
            parse(SOUND.replace("ha_enabled=\"false\"", "ha_enabled=\"true\"").as_bytes())
                .unwrap()
                .ha_enabled
        );
    }
}
