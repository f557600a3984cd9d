//! For tests: a web server on loopback that serves a folder, parts of files too, and makes trouble
//! on request. Used through its path, as `testing.rs` is.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

/// What is wrong with a file, from the next request on.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    /// So many answers end after so many bytes.
    Cut {
        bytes: usize,
        times: u32,
    },
    /// No answer brings a byte at or behind this one.
    Dead {
        from: usize,
    },
    /// A byte of the file is another one.
    Flip {
        at: usize,
    },
    /// The file is some bytes shorter than it was.
    Short {
        by: usize,
    },
    Moved {
        to: String,
    },
    Status {
        line: &'static str,
    },
}

#[derive(Debug, Default)]
struct State {
    trouble: BTreeMap<String, Trouble>,
    /// First line of a request, and its range.
    asked: Vec<String>,
    posted: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct Shelf {
    pub(crate) port: u16,
    state: Arc<Mutex<State>>,
}

impl Shelf {
    /// Serves the folder until the program ends.
    pub(crate) fn open(folder: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State::default()));
        let (shared, folder) = (Arc::clone(&state), folder.to_owned());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (state, folder) = (Arc::clone(&shared), folder.clone());
                // The other side may have gone away.
                thread::spawn(move || answer(stream.unwrap(), &folder, &state));
            }
        });
        Self { port, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn trouble(&self, file: &str, trouble: Trouble) {
        self.state.lock().unwrap().trouble.insert(format!("/{file}"), trouble);
    }

    pub(crate) fn peace(&self) {
        self.state.lock().unwrap().trouble.clear();
    }

    /// `GET /file bytes=5-`, since the last time.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().asked)
    }

    /// Bodies that came by POST.
    pub(crate) fn posted(&self) -> Vec<String> {
        self.state.lock().unwrap().posted.clone()
    }
}

struct Request {
    method: String,
    path: String,
    /// The first byte that is asked for.
    from: Option<usize>,
    body: String,
}

fn request(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let (mut first, mut from, mut length) = (String::new(), None, 0);
    stream.read_line(&mut first).ok()?;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(range) = line.strip_prefix("range: bytes=") {
            from = range.trim_end_matches('-').parse().ok();
        }
        if let Some(told) = line.strip_prefix("content-length: ") {
            length = told.parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    Some(Request { method, path, from, body: String::from_utf8(body).ok()? })
}

fn answer(stream: TcpStream, folder: &Path, state: &Mutex<State>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let request = request(&mut stream)?;
    let trouble = {
        let mut state = state.lock().unwrap();
        let range = request.from.map(|from| format!(" bytes={from}-")).unwrap_or_default();
        state.asked.push(format!("{} {}{range}", request.method, request.path));
        if request.method == "POST" {
            state.posted.push(request.body.clone());
        }
        next_trouble(&mut state.trouble, &request.path)
    };
    let mut head = "HTTP/1.1 200 OK\r\n".to_owned();
    let path: PathBuf = folder.join(request.path.trim_start_matches('/'));
    let mut bytes = match (&trouble, fs::read(path)) {
        (Some(Trouble::Status { line }), _) => {
            head = format!("HTTP/1.1 {line}\r\n");
            Vec::new()
        }
        (Some(Trouble::Moved { to }), _) => {
            head = format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\n");
            Vec::new()
        }
        _ if request.method == "POST" => Vec::new(),
        (_, Ok(bytes)) => bytes,
        (_, Err(_)) => {
            "HTTP/1.1 404 Not Found\r\n".clone_into(&mut head);
            Vec::new()
        }
    };
    match trouble {
        Some(Trouble::Flip { at }) => bytes[at] ^= 1,
        Some(Trouble::Short { by }) => bytes.truncate(bytes.len().saturating_sub(by)),
        _ => {}
    }
    let whole = bytes.len();
    let from = request.from.unwrap_or(0).min(whole);
    if request.from.is_some() && head.contains("200") {
        let last = whole.saturating_sub(1);
        head = format!("HTTP/1.1 206 Part\r\nContent-Range: bytes {from}-{last}/{whole}\r\n");
    }
    let rest = &bytes[from..];
    let end = match trouble {
        Some(Trouble::Cut { bytes, .. }) => bytes.min(rest.len()),
        Some(Trouble::Dead { from: dead }) => dead.saturating_sub(from).min(rest.len()),
        _ => rest.len(),
    };
    let head = format!("{head}Connection: close\r\nContent-Length: {}\r\n\r\n", rest.len());
    let stream = stream.get_mut();
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(&rest[..end]).ok()?;
    stream.flush().ok()
}

fn next_trouble(troubles: &mut BTreeMap<String, Trouble>, path: &str) -> Option<Trouble> {
    let trouble = troubles.get_mut(path)?;
    let now = trouble.clone();
    if let Trouble::Cut { times, .. } = trouble {
        *times = times.saturating_sub(1);
        if *times == 0 {
            troubles.remove(path);
        }
    }
    Some(now)
}
