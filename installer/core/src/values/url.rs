//! Addresses on the web, and how they are shown.

use serde::Serialize;

use super::{Server, ValueError};

/// The address without user, password and what follows `?`, which may be a token.
pub fn redact_url(url: &str) -> String {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, url),
    };
    let (rest, query) = match rest.split_once(['?', '#']) {
        Some((rest, _)) => (rest, "?***"),
        None => (rest, ""),
    };
    let (host, path) = match rest.split_once('/') {
        Some((host, path)) => (host, format!("/{path}")),
        None => (rest, String::new()),
    };
    // A password may hold an @ of its own, and even a slash: the last @ of all ends it.
    let whole = format!("{host}{path}");
    let shown = match whole.rsplit_once('@') {
        Some((_, host)) if scheme.is_some() => format!("***@{host}"),
        Some(_) | None => whole,
    };
    let scheme = scheme.map(|s| format!("{s}://")).unwrap_or_default();
    format!("{scheme}{shown}{query}")
}

/// A proxy for dom0's package manager and shells: `http://HOST[:PORT]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ProxyUrl(String);

impl ProxyUrl {
    /// The message does not show user or password.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let shown = redact_url(text);
        let no = |why: &str| {
            ValueError::new(format!("`{shown}` is not a proxy: {why}"))
                .hint("for example http://proxy.example.org:3128")
        };
        let rest =
            text.strip_prefix("http://").ok_or_else(|| no("it does not begin with http://"))?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains('@') {
            return Err(no("user and password are not available yet"));
        }
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        };
        if Server::parse(host).is_err() || host.contains(':') {
            return Err(no("the host is neither a name nor an IPv4 address"));
        }
        if let Some(port) = port {
            let digits = port.bytes().all(|b| b.is_ascii_digit());
            if !digits || port.parse::<u16>().is_ok_and(|n| n == 0) || port.parse::<u16>().is_err()
            {
                return Err(no("the port is not from 1 to 65535"));
            }
        }
        Ok(Self(format!("http://{rest}")))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_password_are_not_shown() {
        for (url, shown) in [
            ("https://u:p@h/", "https://***@h/"),
            ("https://u:p@x/y@h/a?token=1", "https://***@h/a?***"),
            ("http://h:80/a#b", "http://h:80/a?***"),
            ("ftp://user@h", "ftp://***@h"),
            ("/etc/a@b", "/etc/a@b"),
        ] {
            assert_eq!(redact_url(url), shown);
        }
    }

    #[test]
    fn proxies() {
        for good in ["http://proxy:3128", "http://192.0.2.1", "http://p.example.org:8080"] {
            assert_eq!(ProxyUrl::parse(good).unwrap().as_str(), good);
        }
        assert_eq!(ProxyUrl::parse("http://proxy:1/").unwrap().as_str(), "http://proxy:1");
        for bad in [
            "proxy:3128",
            "https://p",
            "http://u:hunter2@p",
            "http://p:0",
            "http://p/x",
            "http://p:99999",
            "http://p\";x",
        ] {
            let error = ProxyUrl::parse(bad).unwrap_err();
            assert!(!error.what.contains("hunter2"), "{error}");
        }
    }
}
