//! Addresses of files on the web, and those with a place for the machine's names.

use std::fmt;

use super::{ValueError, redact_url};

/// Longer is no address.
const LENGTH_MAX: usize = 2048;
/// What may stand in braces.
const NAMES: [&str; 3] = ["mac", "serial", "uuid"];

/// How a file on the web is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

/// `http://` or `https://`, a host, and a path. May hold a password, so `Debug` and `Display` show
/// it without.
#[derive(Clone, PartialEq, Eq)]
pub struct WebUrl {
    scheme: Scheme,
    /// Up to the path: `user:password@host:port`.
    authority: String,
    /// Begins with `/`; with the query, without a fragment.
    path: String,
}

impl WebUrl {
    /// The message does not show user or password.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        // What is no address at all may be a secret in the wrong place.
        let is_address = text.contains("://");
        let shown = if is_address { format!("`{}`", redact_url(text)) } else { "this".to_owned() };
        let no = |why: &str| ValueError::new(format!("{shown} is not a web address: {why}"));
        if LENGTH_MAX < text.len() {
            return Err(ValueError::new(format!("an address of more than {LENGTH_MAX} bytes")));
        }
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (Scheme::Http, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (Scheme::Https, rest),
            Some(_) | None => return Err(no("it does not begin with http:// or https://")),
        };
        if !rest.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'<' | b'>' | b'\\')) {
            return Err(no("a character that must be written as %XX"));
        }
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let host = host_of(authority);
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if bare.is_empty() || !bare.chars().all(plain) {
            return Err(no("it names no host"));
        }
        if let Some(port) = port_of(authority)
            && !port.parse::<u16>().is_ok_and(|port| port != 0)
        {
            return Err(no("the port is not from 1 to 65535"));
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { scheme, authority: authority.to_owned(), path })
    }

    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Host and port, without user and password.
    pub fn host(&self) -> &str {
        self.authority.rsplit_once('@').map_or(self.authority.as_str(), |(_, host)| host)
    }

    /// User and password as they stand there, for the server alone.
    pub fn user(&self) -> Option<&str> {
        self.authority.rsplit_once('@').map(|(user, _)| user)
    }

    /// The address without user and password, as a request names it.
    pub fn without_user(&self) -> String {
        format!("{}{}{}", self.scheme_text(), self.host(), self.path)
    }

    /// The whole of it, password included.
    pub fn expose(&self) -> String {
        format!("{}{}{}", self.scheme_text(), self.authority, self.path)
    }

    /// A file beside or below this folder. `name` is a plain relative path.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        let path = self.path.split('?').next().unwrap_or_default();
        let folder = path.strip_suffix('/').unwrap_or(path);
        Self { path: format!("{folder}/{name}"), ..self.clone() }
    }

    /// Where a `Location` header leads. User and password do not go along to another host.
    pub fn join(&self, location: &str) -> Result<Self, ValueError> {
        let first = location.split(['/', '?', '#']).next().unwrap_or_default();
        if first.ends_with(':') {
            return Self::parse(location);
        }
        if location.starts_with("//") {
            return Self::parse(&format!("{}{location}", self.scheme_text().trim_end_matches('/')));
        }
        let authority = &self.authority;
        let path = if location.starts_with('/') {
            location.to_owned()
        } else {
            let path = self.path.split('?').next().unwrap_or_default();
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("{folder}/{location}")
        };
        Self::parse(&format!("{}{authority}{path}", self.scheme_text()))
    }

    const fn scheme_text(&self) -> &'static str {
        match self.scheme {
            Scheme::Http => "http://",
            Scheme::Https => "https://",
        }
    }
}

/// Host and nothing else, of `user:password@host:port`.
fn host_of(authority: &str) -> &str {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match host.rsplit_once(':') {
        Some((name, _)) if !host.ends_with(']') => name,
        Some(_) | None => host,
    }
}

fn port_of(authority: &str) -> Option<&str> {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    host.rsplit_once(':').filter(|_| !host.ends_with(']')).map(|(_, port)| port)
}

impl fmt::Display for WebUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redact_url(&self.expose()))
    }
}

impl fmt::Debug for WebUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebUrl({self})")
    }
}

/// A web address in which `{mac}`, `{serial}` and `{uuid}` stand for the machine's own.
#[derive(Clone, PartialEq, Eq)]
pub struct Template(String);

/// What a machine puts into a template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MachineNames {
    pub mac: Option<String>,
    pub serial: Option<String>,
    pub uuid: Option<String>,
}

impl Template {
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let names = MachineNames {
            mac: Some("m".to_owned()),
            serial: Some("s".to_owned()),
            uuid: Some("u".to_owned()),
        };
        let template = Self(text.to_owned());
        template.fill(&names)?;
        Ok(template)
    }

    /// The text, which may hold a password.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_https(&self) -> bool {
        self.0.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("https://"))
    }

    /// The address for one machine. The MAC is written with hyphens, which file names may hold.
    pub fn fill(&self, names: &MachineNames) -> Result<WebUrl, ValueError> {
        let mut url = String::new();
        let mut rest = self.0.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, behind)) = after.split_once('}') else {
                return Err(ValueError::new("`{` without `}` in an address"));
            };
            let value = match name {
                "mac" => names.mac.as_deref().map(|mac| mac.replace(':', "-")),
                "serial" => names.serial.clone(),
                "uuid" => names.uuid.as_deref().map(str::to_ascii_lowercase),
                _ => {
                    let known = NAMES.map(|name| format!("{{{name}}}")).join(" ");
                    return Err(ValueError::new(format!("{{{name}}} is not one of {known}")));
                }
            };
            let Some(value) = value else {
                return Err(ValueError::new(format!("this machine does not tell its {name}")));
            };
            url.push_str(before);
            url.push_str(&escaped(&value));
            rest = behind;
        }
        url.push_str(rest);
        WebUrl::parse(&url)
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({})", redact_url(&self.0))
    }
}

/// A serial may hold anything: what is not plain becomes `%XX` (RFC 3986, 2.3).
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for half in [byte >> 4, byte & 15] {
                out.extend(char::from_digit(u32::from(half), 16).map(|c| c.to_ascii_uppercase()));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        let url = WebUrl::parse("HTTPS://u:p@x@[::1]:8443/a/b?c=d#e").unwrap();
        assert_eq!((url.host(), url.user()), ("[::1]:8443", Some("u:p@x")));
        assert_eq!(url.without_user(), "https://[::1]:8443/a/b?c=d");
        assert_eq!(format!("{url} {url:?}").matches("u:p").count(), 0);
        assert_eq!(WebUrl::parse("http://h").unwrap().without_user(), "http://h/");
        for bad in ["h/x", "ftp://h", "http://", "http:///x", "http://h:0/", "http://h/a b"] {
            WebUrl::parse(bad).unwrap_err();
        }
    }

    #[test]
    fn redirects() {
        let url = WebUrl::parse("http://u:p@h/a/b?q").unwrap();
        for (location, to) in [
            ("c", "http://u:p@h/a/c"),
            ("/c", "http://u:p@h/c"),
            ("//other/c", "http://other/c"),
            ("https://other/c", "https://other/c"),
        ] {
            assert_eq!(url.join(location).unwrap().expose(), to);
        }
        url.join("ftp://x/y").unwrap_err();
        url.join("mailto:/x").unwrap_err();
        assert_eq!(url.child("x/y.json").without_user(), "http://h/a/b/x/y.json");
    }

    #[test]
    fn a_machine_fills_a_template() {
        let names = MachineNames {
            mac: Some("00:16:3e:aa:bb:cc".into()),
            serial: Some("A/..  1".into()),
            uuid: None,
        };
        let fill = |text: &str| Template::parse(text).unwrap().fill(&names);
        let url = fill("http://h/{mac}/{serial}.yaml").unwrap();
        assert_eq!(url.without_user(), "http://h/00-16-3e-aa-bb-cc/A%2F..%20%201.yaml");
        assert!(fill("http://h/{uuid}").unwrap_err().what.contains("does not tell its uuid"));
        Template::parse("http://h/{mac").unwrap_err();
        Template::parse("http://{mac/}").unwrap_err();
    }
}
