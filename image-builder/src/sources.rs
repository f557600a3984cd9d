//! Which package archive the images come from: the one that the build machine uses, with the
//! suite exchanged, or one named on the command line.
//!
//! Pure parsing of both of apt's formats. Nothing here knows the name of a server.

use crate::error::{Error, Result};

/// Names that Debian gave to suites, and that tell its archive from others'.
const CODENAMES: [&str; 12] = [
    "buster",
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
    "sid",
    "oldoldstable",
    "oldstable",
    "stable",
    "testing",
    "unstable",
];
/// Suites that have neither updates nor a security archive of their own.
const ROLLING: [&str; 2] = ["sid", "unstable"];

/// One entry of `/etc/apt/sources.list` or of a `.sources` file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    pub uris: Vec<String>,
    pub suites: Vec<String>,
    pub components: Vec<String>,
    pub signed_by: Option<String>,
    /// The operator vouches for an archive that nobody signed.
    pub trusted: bool,
}

/// One archive of one suite, as the image uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub uri: String,
    pub suite: String,
    pub components: Vec<String>,
    pub signed_by: Option<String>,
    /// The operator vouches for an archive that nobody signed.
    pub trusted: bool,
}

impl Source {
    /// In apt's one-line format.
    pub fn line(&self) -> String {
        let signed = self.signed_by.as_ref().map(|k| format!("signed-by={k}"));
        let trusted = self.trusted.then(|| "trusted=yes".to_owned());
        let options: Vec<String> = signed.into_iter().chain(trusted).collect();
        let options =
            if options.is_empty() { String::new() } else { format!("[{}] ", options.join(" ")) };
        format!("deb {options}{} {} {}", self.uri, self.suite, self.components.join(" "))
    }

    /// The folder of an archive on this machine.
    pub fn folder(&self) -> Option<&str> {
        let path = self.uri.strip_prefix("file:")?;
        Some(path.strip_prefix("//").unwrap_or(path))
    }

    pub fn in_release_url(&self) -> String {
        format!("{}/dists/{}/InRelease", self.uri.trim_end_matches('/'), self.suite)
    }
}

/// Reads the one-line format.
pub fn parse_list(text: &str) -> Vec<Entry> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Entry> {
    let line = line.split('#').next().unwrap_or_default().trim();
    let rest = line.strip_prefix("deb ")?.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(inner) => inner.split_once(']')?,
        None => ("", rest),
    };
    let signed_by = options.split_whitespace().find_map(|o| o.strip_prefix("signed-by="));
    let mut words = rest.split_whitespace().map(str::to_owned);
    Some(Entry {
        uris: vec![words.next()?],
        suites: vec![words.next()?],
        components: words.collect(),
        signed_by: signed_by.map(str::to_owned),
        trusted: options.split_whitespace().any(|o| o == "trusted=yes"),
    })
}

/// Reads the deb822 format.
pub fn parse_deb822(text: &str) -> Vec<Entry> {
    let uncommented = text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>();
    let stanzas = uncommented.split(|line| line.trim().is_empty());
    stanzas.filter_map(parse_stanza).collect()
}

fn parse_stanza(lines: &[&str]) -> Option<Entry> {
    let words = |name: &str| {
        field(lines, name).map(|v| v.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    };
    let disabled = field(lines, "Enabled").is_some_and(|v| v.trim() == "no");
    if disabled || !words("Types")?.contains(&"deb".to_owned()) {
        return None;
    }
    // A key spelled out in the file itself has no path to hand on.
    let signed_by = field(lines, "Signed-By").filter(|v| v.trim().starts_with('/'));
    Some(Entry {
        uris: words("URIs")?,
        suites: words("Suites")?,
        components: words("Components").unwrap_or_default(),
        signed_by: signed_by.map(|v| v.trim().to_owned()),
        trusted: field(lines, "Trusted").is_some_and(|v| v.trim() == "yes"),
    })
}

/// The value of a field with its continuation lines.
fn field(lines: &[&str], name: &str) -> Option<String> {
    let start = lines.iter().position(|line| {
        line.split_once(':').is_some_and(|(key, _)| key.eq_ignore_ascii_case(name))
    })?;
    let first = lines.get(start)?.split_once(':')?.1.to_owned();
    let more = lines.iter().skip(start + 1).take_while(|l| l.starts_with([' ', '\t']));
    Some(more.fold(first, |value, line| value + "\n" + line))
}

/// What a suite's name is in relation to a Debian release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Main,
    Updates,
    Security,
}

fn kind(suite: &str) -> Option<Kind> {
    let plain = |name: &str| CODENAMES.contains(&name);
    if plain(suite) {
        return Some(Kind::Main);
    }
    let (name, suffix) = suite.split_once(['-', '/'])?;
    match suffix {
        "updates" if plain(name) && suite.contains('-') => Some(Kind::Updates),
        "security" | "updates" | "security/updates" if plain(name) => Some(Kind::Security),
        _ => None,
    }
}

/// The sources of `suite`, after the pattern of `entries`. The first is the main archive; the
/// others are optional, in that the archive may not have them for this suite.
pub fn for_suite(entries: &[Entry], suite: &str) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for wanted in [Kind::Main, Kind::Updates, Kind::Security] {
        if wanted != Kind::Main && ROLLING.contains(&suite) {
            break;
        }
        match find(entries, wanted) {
            Some(entry) => sources.extend(exchange(entry, wanted, suite)),
            None if wanted == Kind::Main => return Err(Error::NoArchive),
            None => {}
        }
    }
    Ok(sources)
}

fn find(entries: &[Entry], wanted: Kind) -> Option<&Entry> {
    entries.iter().find(|entry| {
        entry.components.iter().any(|c| c == "main")
            && entry.suites.iter().any(|s| kind(s) == Some(wanted))
    })
}

fn exchange(entry: &Entry, kind: Kind, suite: &str) -> Option<Source> {
    let suffix = match kind {
        Kind::Main => "",
        Kind::Updates => "-updates",
        Kind::Security => "-security",
    };
    Some(Source {
        uri: entry.uris.first()?.clone(),
        suite: format!("{suite}{suffix}"),
        components: entry.components.clone(),
        signed_by: entry.signed_by.clone(),
        trusted: entry.trusted,
    })
}

/// A mirror named by hand: a URL, or a whole `deb …` line.
pub fn from_mirror(mirror: &str, suite: &str, keyring: Option<&str>) -> Source {
    let entry = parse_line(mirror).unwrap_or_default();
    match (entry.uris.first(), entry.suites.first()) {
        (Some(uri), Some(named)) => Source {
            uri: uri.clone(),
            suite: named.clone(),
            components: entry.components.clone(),
            signed_by: entry.signed_by.clone().or_else(|| keyring.map(str::to_owned)),
            trusted: entry.trusted,
        },
        _ => Source {
            uri: mirror.to_owned(),
            suite: suite.to_owned(),
            components: vec!["main".to_owned()],
            signed_by: keyring.map(str::to_owned),
            trusted: false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEB822: &str = "Types: deb\n# a remark\nURIs: http://archive.example/debian\n\
        Suites: bookworm bookworm-updates\nComponents: main non-free-firmware\n\
        Signed-By: /keys/debian.gpg\n\n\
        Types: deb\nURIs: http://archive.example/debian-security\nSuites: bookworm-security\n\
        Components: main\n\nTypes: deb\nURIs: https://other.example/x\nSuites: nodistro\n\
        Components: main\n";

    fn lines(entries: &[Entry], suite: &str) -> Vec<String> {
        for_suite(entries, suite).unwrap().iter().map(Source::line).collect()
    }

    #[test]
    fn deb822_with_another_suite() {
        assert_eq!(
            lines(&parse_deb822(DEB822), "trixie"),
            [
                "deb [signed-by=/keys/debian.gpg] http://archive.example/debian trixie main \
                 non-free-firmware",
                "deb [signed-by=/keys/debian.gpg] http://archive.example/debian trixie-updates \
                 main non-free-firmware",
                "deb http://archive.example/debian-security trixie-security main",
            ]
        );
        assert_eq!(lines(&parse_deb822(DEB822), "sid").len(), 1);
    }

    #[test]
    fn one_line_format() {
        let text = "# deb http://no.example x main\ndeb-src http://a.example/d trixie main\n\
            deb https://cloud.example/apt cloud-sdk-bookworm main\n\
            deb [arch=amd64 signed-by=/k.gpg] http://a.example/d trixie main contrib # here\n";
        let entries = parse_list(text);
        assert_eq!(
            lines(&entries, "bookworm"),
            ["deb [signed-by=/k.gpg] http://a.example/d bookworm main contrib"]
        );
    }

    #[test]
    fn without_a_debian_archive_there_is_an_error() {
        let entries = parse_list("deb https://cloud.example/apt cloud-sdk-bookworm main");
        assert!(matches!(for_suite(&entries, "trixie"), Err(Error::NoArchive)));
    }

    #[test]
    fn embedded_keys_and_disabled_entries() {
        let text = "Types: deb\nURIs: http://a.example/d\nSuites: sid\nComponents: main\n\
            Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n\n\
            Enabled: no\nTypes: deb\nURIs: http://b.example/d\nSuites: sid\nComponents: main\n";
        let entries = parse_deb822(text);
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].signed_by, None);
    }

    #[test]
    fn a_mirror_is_a_url_or_a_line() {
        assert_eq!(from_mirror("http://m/d", "trixie", None).line(), "deb http://m/d trixie main");
        assert_eq!(
            from_mirror("deb http://m/d forky main contrib", "trixie", Some("/k")).line(),
            "deb [signed-by=/k] http://m/d forky main contrib"
        );
        let local = from_mirror("deb [trusted=yes] file:/srv/d trixie main", "trixie", None);
        assert_eq!(local.line(), "deb [trusted=yes] file:/srv/d trixie main");
        assert_eq!(local.folder(), Some("/srv/d"));
    }
}
