//! The list of what dom0 is made of, in the JSON of `CycloneDX`.

use std::path::Path;

use serde_json::{Value, json};

use crate::error::{Error, Result};

/// One installed Debian package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    pub name: String,
    pub version: String,
    pub architecture: String,
}

/// The packages that dpkg's database in `root` calls installed, sorted.
pub fn packages(root: &Path) -> Result<Vec<Package>> {
    let path = root.join("var/lib/dpkg/status");
    let text = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
    let mut found: Vec<Package> = text.split("\n\n").filter_map(package).collect();
    found.sort();
    Ok(found)
}

fn package(stanza: &str) -> Option<Package> {
    let field = |name: &str| {
        let value = stanza.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(": "));
        value.map(str::to_owned)
    };
    let installed = field("Status")?.ends_with(" installed");
    installed.then_some(())?;
    Some(Package {
        name: field("Package")?,
        version: field("Version")?,
        architecture: field("Architecture")?,
    })
}

/// The document.
pub fn document(version: &str, suite: &str, packages: &[Package]) -> Value {
    let components: Vec<Value> = packages.iter().map(|p| component(p, suite)).collect();
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {"type": "operating-system", "name": "xenhost-dom0", "version": version}
        },
        "components": components,
    })
}

fn component(package: &Package, suite: &str) -> Value {
    let Package { name, version, architecture } = package;
    let escaped = version.replace('+', "%2B").replace(':', "%3A").replace('~', "%7E");
    json!({
        "type": "library",
        "name": name,
        "version": version,
        "purl": format!("pkg:deb/debian/{name}@{escaped}?arch={architecture}&distro={suite}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_installed_packages_are_listed() {
        let dir = tempfile::tempdir().unwrap();
        let status = "Package: b\nStatus: install ok installed\nArchitecture: amd64\n\
            Version: 1:2+x\n\nPackage: gone\nStatus: deinstall ok config-files\n\
            Architecture: all\nVersion: 1\n\nPackage: a\nStatus: install ok installed\n\
            Architecture: all\nDescription: x\n Version: 9\nVersion: 3\n";
        std::fs::create_dir_all(dir.path().join("var/lib/dpkg")).unwrap();
        std::fs::write(dir.path().join("var/lib/dpkg/status"), status).unwrap();
        let found = packages(dir.path()).unwrap();
        let names: Vec<_> = found.iter().map(|p| (p.name.as_str(), p.version.as_str())).collect();
        assert_eq!(names, [("a", "3"), ("b", "1:2+x")]);
        let text = document("1", "trixie", &found).to_string();
        assert!(text.contains("pkg:deb/debian/b@1%3A2%2Bx?arch=amd64&distro=trixie"), "{text}");
    }
}
