//! Helpers of this module's tests: settings without the documented waits, and a scripted HTTP server on loopback.
//!
//! The server runs on threads with blocking sockets, so that tests see real connections break in real ways. Every
//! answer closes its connection.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use secrecy::SecretString;
use serde_json::Value;

use super::{Credentials, Gateway, Notice, Notices, Settings};

/// A password with characters that every encoding changes.
pub(super) const PASSWORD: &str = "pä&s \"word";

/// The documented settings, for a gateway where nothing listens.
pub(super) fn unreachable_settings() -> Settings {
    let gateway = Gateway::parse("http://127.0.0.1:1").unwrap();
    let credentials =
        Credentials::User { name: "quays2ab".to_owned(), password: SecretString::from(PASSWORD) };
    Settings::documented(gateway, credentials, 7)
}

/// Notices that are kept.
pub(super) fn collected_notices() -> (Notices, Arc<Mutex<Vec<Notice>>>) {
    let collected = Arc::new(Mutex::new(Vec::new()));
    let receiver = Arc::clone(&collected);
    (Notices::to(move |notice| receiver.lock().unwrap().push(notice)), collected)
}

/// What the server was sent.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// `GET /path?query`.
    pub(super) line: String,
    /// Header lines, names in lower case.
    pub(super) headers: Vec<String>,
    pub(super) body: String,
    /// Number among the requests of this server, from 0.
    pub(super) index: usize,
}

impl Request {
    pub(super) fn has(&self, header: &str) -> bool {
        self.headers.iter().any(|line| line == header)
    }
}

/// What the server does with a request.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    bytes: Vec<u8>,
    then_hangs: bool,
}

impl Reply {
    /// Exactly these bytes, then the end of the connection.
    pub(super) fn raw(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), then_hangs: false }
    }

    pub(super) fn new(status: u16, headers: &[&str], body: &[u8]) -> Self {
        let mut bytes =
            format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
        for header in headers {
            bytes.push_str(header);
            bytes.push_str("\r\n");
        }
        bytes.push_str("\r\n");
        Self { bytes: [bytes.as_bytes(), body].concat(), then_hangs: false }
    }

    pub(super) fn json(body: &Value) -> Self {
        Self::status(200, &body.to_string())
    }

    /// A status with a body that calls itself JSON.
    pub(super) fn status(status: u16, body: &str) -> Self {
        Self::new(status, &["content-type: application/json"], body.as_bytes())
    }

    /// The first bytes of this reply only.
    pub(super) fn cut_by(mut self, n_bytes: usize) -> Self {
        self.bytes.truncate(self.bytes.len() - n_bytes);
        self
    }

    /// After its bytes, nothing more, and the connection stays open.
    pub(super) fn then_hangs(mut self) -> Self {
        self.then_hangs = true;
        self
    }
}

/// A server that answers each request by a function.
pub(super) struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub(super) fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (answer, seen) = (Arc::new(answer), Arc::clone(&requests));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (answer, seen) = (Arc::clone(&answer), Arc::clone(&seen));
                std::thread::spawn(move || serve(stream, &*answer, &seen));
            }
        });
        Self { address, requests }
    }

    /// Answers `/auth` with a token, and everything else by the function.
    pub(super) fn with_login(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(move |request| {
            if request.line == "POST /auth" { Reply::new(201, &[], b"tok-1") } else { answer(request) }
        })
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// Request lines without those of `/auth`.
    pub(super) fn lines(&self) -> Vec<String> {
        let all = self.requests().into_iter().map(|request| request.line);
        all.filter(|line| line != "POST /auth").collect()
    }

    /// Settings for this server, with pauses of a millisecond.
    pub(super) fn settings(&self) -> Settings {
        let mut settings = unreachable_settings();
        settings.gateway = Gateway::parse(&format!("http://{}", self.address)).unwrap();
        settings.retry_pause = Duration::from_millis(1);
        settings.throttle_wait = Duration::from_millis(5);
        settings.throttle_floor = Duration::from_millis(1);
        settings.request_timeout = Duration::from_secs(20);
        settings
    }
}

fn serve(mut stream: TcpStream, answer: &dyn Fn(&Request) -> Reply, seen: &Mutex<Vec<Request>>) {
    let Some(mut request) = read_request(&mut stream) else { return };
    {
        let mut seen = seen.lock().unwrap();
        request.index = seen.len();
        seen.push(request.clone());
    }
    let reply = answer(&request);
    if stream.write_all(&reply.bytes).is_ok() && reply.then_hangs {
        // Until the client gives up.
        let _end = stream.read(&mut [0]);
    }
}

fn read_request(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let n_read = stream.read(&mut chunk).ok().filter(|n_read| *n_read > 0)?;
        bytes.extend_from_slice(&chunk[..n_read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let mut lines = head.lines();
        let line = lines.next()?.trim_end_matches(" HTTP/1.1").to_owned();
        let headers: Vec<String> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| format!("{}: {value}", name.to_ascii_lowercase()))
            .collect();
        let length = headers.iter().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(0, |length| length.parse().unwrap());
        if body.len() >= length {
            return Some(Request { line, headers, body: body.to_owned(), index: 0 });
        }
    }
}
