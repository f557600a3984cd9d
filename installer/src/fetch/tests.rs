//! A real server on loopback that misbehaves in every way a file may fail to come.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use sha2::{Digest, Sha256};

use super::*;

const QUICK: Patience = Patience {
    attempts_max: 3,
    wait_first: Duration::from_millis(1),
    silence_max: Duration::from_millis(400),
};
const KIB: u64 = 1024;

/// What a path is answered with: everything after the status line's version.
type Pages = BTreeMap<&'static str, Vec<u8>>;

/// Answers one request after the other, each on a connection of its own, until it is dropped.
pub(crate) struct Server {
    pub(crate) port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    tls: Option<Arc<ServerConfig>>,
}

impl Server {
    pub(crate) fn start(pages: Pages, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let server = Self { port, requests: Arc::clone(&requests), tls: tls.clone() };
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, pages, tls) = (stream.unwrap(), pages.clone(), tls.clone());
                let requests = Arc::clone(&requests);
                thread::spawn(move || match tls {
                    None => answer(stream, &pages, &requests),
                    Some(config) => {
                        let tls = ServerConnection::new(config).unwrap();
                        answer(StreamOwned::new(tls, stream), &pages, &requests);
                    }
                });
            }
        });
        server
    }

    pub(crate) fn url(&self, path: &str) -> WebUrl {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        WebUrl::parse(&format!("{scheme}://127.0.0.1:{}{path}", self.port)).unwrap()
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn answer(stream: impl std::io::Read + Write, pages: &Pages, requests: &Mutex<Vec<String>>) {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    requests.lock().unwrap().push(head.clone());
    let path = head.split(' ').nth(1).unwrap_or_default();
    let page = pages.get(path).cloned().unwrap_or_else(|| b"404 Not Found\r\n\r\n".to_vec());
    if page == b"silence" {
        // Until the other side goes away.
        let (_keep, never) = mpsc::channel::<()>();
        never.recv_timeout(Duration::from_secs(5)).unwrap_err();
        return;
    }
    let stream = stream.get_mut();
    drop(stream.write_all(b"HTTP/1.1 ").and_then(|()| stream.write_all(&page)));
    drop(stream.flush());
}

fn page(body: &[u8]) -> Vec<u8> {
    let head = format!("200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn redirect(to: &str) -> Vec<u8> {
    let head = "302 Found\r\nConnection: close\r\nContent-Length: 0\r\n";
    format!("{head}Location: {to}\r\n\r\n").into_bytes()
}

/// Certificate and key for 127.0.0.1, signed by itself.
struct Identity {
    server: Arc<ServerConfig>,
    pem: String,
    key_sha256: [u8; 32],
}

impl Identity {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let certificate: CertificateDer<'static> = made.cert.der().clone();
        let parsed = rustls::server::ParsedCertificate::try_from(&certificate).unwrap();
        let key_sha256 = Sha256::digest(parsed.subject_public_key_info()).into();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        Self { server: Arc::new(server), pem: made.cert.pem(), key_sha256 }
    }
}

/// Plain HTTP needs no certificates, but the client wants to know some.
fn web() -> Web {
    Web::new(&Trust::Key([0; 32]), QUICK).unwrap()
}

#[track_caller]
fn fails(server: &Server, path: &str, attempts: u32, cause: &str) {
    let error = web().get(&server.url(path), KIB).unwrap_err();
    assert_eq!(error.attempts, attempts, "{error}");
    assert!(error.to_string().contains(cause), "{error}");
    assert_eq!(error.exit(), Exit::SourceFailed);
    assert!(!error.hint().is_empty());
}

#[test]
fn a_file_comes() {
    let server = Server::start(Pages::from([("/a?b=c", page(b"hello"))]), None);
    assert_eq!(web().get(&server.url("/a?b=c#d"), 5).unwrap(), b"hello");
    let request = server.requests().concat().to_lowercase();
    assert!(request.contains("user-agent: xenhost/"), "{request}");
}

#[test]
fn what_waiting_does_not_mend_is_tried_once() {
    let pages = Pages::from([
        ("/long", page(&[b'x'; 1025])),
        ("/endless", [b"200 OK\r\n\r\n".as_slice(), &[b'x'; 5000]].concat()),
        ("/loop", redirect("/loop")),
        ("/ftp", redirect("ftp://h/")),
        ("/nowhere", b"302 Found\r\nContent-Length: 0\r\n\r\n".to_vec()),
    ]);
    let server = Server::start(pages, None);
    fails(&server, "/absent", 1, "404 Not Found");
    fails(&server, "/long", 1, "longer than 1 KiB");
    fails(&server, "/endless", 1, "longer than 1 KiB");
    let before = server.requests().len();
    fails(&server, "/loop", 1, "more than 5 redirects");
    assert_eq!(server.requests().len() - before, 6);
    fails(&server, "/ftp", 1, "a redirect leads nowhere");
    fails(&server, "/nowhere", 1, "does not say where");
}

#[test]
fn what_may_pass_is_tried_again() {
    let pages = Pages::from([
        ("/busy", b"503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".to_vec()),
        ("/cut", b"200 OK\r\nContent-Length: 9\r\n\r\nshort".to_vec()),
        ("/silent", b"silence".to_vec()),
    ]);
    let server = Server::start(pages, None);
    fails(&server, "/busy", 3, "503 Service Unavailable");
    fails(&server, "/cut", 3, "the connection failed");
    fails(&server, "/silent", 3, "nothing came within");
    let gone = WebUrl::parse("http://u:hunter2@127.0.0.1:1/x").unwrap();
    let error = web().get(&gone, KIB).unwrap_err();
    assert!(error.to_string().starts_with("http://***@127.0.0.1:1/x: the conn"), "{error}");
    assert_eq!(error.attempts, 3);
}

#[test]
fn user_and_password_go_to_the_server_and_nowhere_else() {
    let other = Server::start(Pages::from([("/b", page(b"b"))]), None);
    let to = format!("http://127.0.0.1:{}/b", other.port);
    let server = Server::start(Pages::from([("/a", redirect(&to))]), None);
    let url = WebUrl::parse(&format!("http://user:pw@127.0.0.1:{}/a", server.port)).unwrap();
    assert_eq!(web().get(&url, KIB).unwrap(), b"b");
    assert!(server.requests().concat().to_lowercase().contains("authorization: basic"));
    assert!(!other.requests().concat().to_lowercase().contains("authorization"));
}

#[test]
fn parts_of_a_file() {
    let part = b"206 Partial\r\nContent-Range: bytes 3-4/5\r\nContent-Length: 2\r\n\r\nlo".to_vec();
    let server = Server::start(Pages::from([("/a", part), ("/whole", page(b"hello"))]), None);
    let mut text = String::new();
    web().open(&server.url("/a"), 3).unwrap().bytes.read_to_string(&mut text).unwrap();
    assert_eq!(text, "lo");
    assert!(server.requests()[0].to_lowercase().contains("range: bytes=3-"));
    for (path, from) in [("/a", 2), ("/whole", 3)] {
        let error = web().open(&server.url(path), from).err().unwrap();
        assert_eq!(error.cause, Cause::NoParts);
    }
}

#[test]
fn a_certificate_is_trusted_by_its_file_or_its_key() {
    let identity = Identity::new();
    let pages = Pages::from([("/a", page(b"hello")), ("/b", redirect("http://127.0.0.1/b"))]);
    let server = Server::start(pages, Some(Arc::clone(&identity.server)));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    std::fs::write(&file, &identity.pem).unwrap();
    for trust in [Trust::Authorities(file), Trust::Key(identity.key_sha256)] {
        let web = Web::new(&trust, QUICK).unwrap();
        assert_eq!(web.get(&server.url("/a"), KIB).unwrap(), b"hello");
        let error = web.get(&server.url("/b"), KIB).unwrap_err();
        assert!(matches!(error.cause, Cause::Downgrade(_)), "{error}");
    }
    let other = dir.path().join("other.pem");
    std::fs::write(&other, Identity::new().pem).unwrap();
    for trust in [Trust::Authorities(other), Trust::Key([1; 32])] {
        let error = Web::new(&trust, QUICK).unwrap().get(&server.url("/a"), KIB).unwrap_err();
        assert!(matches!(error.cause, Cause::Trust(_)), "{error}");
        assert_eq!(error.attempts, 1);
    }
}

#[test]
fn certificates_that_are_none() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    let missing = Web::new(&Trust::Authorities(file.clone()), QUICK).unwrap_err();
    assert!(missing.to_string().contains("ca.pem: No such file"), "{missing}");
    std::fs::write(&file, "hello").unwrap();
    let empty = Web::new(&Trust::Authorities(file), QUICK).unwrap_err();
    assert!(empty.to_string().contains("holds no certificate"), "{empty}");
}
