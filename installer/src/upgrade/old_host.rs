//! Reads of an old host's root what the list of [`installer_core::takeover::xenserver`] names.

use installer_core::takeover::xenserver::{OldFile, OldFiles, Read, read_list};

use super::root::{Kind, Root, RootError, file};

/// A larger file of configuration is none.
const FILE_MAX: u64 = 1 << 20;
/// Of one folder; more would be left out in silence, so that it is an error.
const ENTRIES_MAX: usize = 1000;

/// Reads every path of the list that is there.
pub fn read(root: &dyn Root) -> Result<OldFiles, RootError> {
    let mut files = OldFiles::new();
    for entry in read_list() {
        match entry {
            Read::File(path) => take(root, path, &mut files)?,
            Read::Presence(path) => {
                if root.stat(path)?.is_some() {
                    files.insert(path.to_owned(), OldFile::There);
                }
            }
            Read::In { folder, begins } => {
                for name in names(root, folder)? {
                    if name.starts_with(begins) {
                        take(root, &format!("{folder}/{name}"), &mut files)?;
                    }
                }
            }
        }
    }
    Ok(files)
}

fn names(root: &dyn Root, folder: &str) -> Result<Vec<String>, RootError> {
    if root.stat(folder)?.is_none_or(|stat| stat.kind != Kind::Folder) {
        return Ok(Vec::new());
    }
    let names = root.list(folder)?;
    if ENTRIES_MAX < names.len() {
        let have = u64::try_from(names.len()).unwrap_or(u64::MAX);
        let max = u64::try_from(ENTRIES_MAX).unwrap_or(u64::MAX);
        return Err(RootError::TooMany { root: root.name(), path: folder.to_owned(), have, max });
    }
    Ok(names)
}

fn take(root: &dyn Root, path: &str, files: &mut OldFiles) -> Result<(), RootError> {
    let found = match root.stat(path)?.map(|stat| stat.kind) {
        Some(Kind::File) => file(root, path, FILE_MAX)?.map(OldFile::Content),
        Some(Kind::Link) => Some(OldFile::Link(root.link(path)?)),
        Some(Kind::Folder | Kind::Other) => Some(OldFile::There),
        None => None,
    };
    if let Some(found) = found {
        files.insert(path.to_owned(), found);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::super::root::LiveRoot;
    use super::*;

    #[test]
    fn what_the_list_names_is_read_and_secrets_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("etc/hostname", "old\n");
        put("etc/motd", "not asked for\n");
        put("etc/xensource/ptoken", "secret");
        put("etc/ssh/ssh_host_rsa_key", "key");
        put("etc/ssh/moduli", "not asked for");
        put("root/.ssh/sockets/one", "not asked for");
        symlink("../usr/share/zoneinfo/Etc/UTC", dir.path().join("etc/localtime")).unwrap();
        let files = read(&LiveRoot::new(dir.path())).unwrap();
        let zone = OldFile::Link("../usr/share/zoneinfo/Etc/UTC".to_owned());
        let content = |text: &str| OldFile::Content(text.as_bytes().to_vec());
        let want = [
            ("etc/hostname", content("old\n")),
            ("etc/localtime", zone),
            ("etc/ssh/ssh_host_rsa_key", content("key")),
            ("etc/xensource/ptoken", OldFile::There),
            ("root/.ssh/sockets", OldFile::There),
        ];
        let want: OldFiles = want.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        assert_eq!(files, want);
        put("etc/hosts", &"x".repeat(1 << 21));
        let error = read(&LiveRoot::new(dir.path())).unwrap_err();
        assert!(error.to_string().contains("etc/hosts has 2097152 bytes"), "{error}");
    }
}
