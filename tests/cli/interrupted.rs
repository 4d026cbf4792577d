//! Ctrl-C while `patchctl apply` waits for the answer to a write.

use std::io::{BufRead, BufReader, Read};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex};

use patchctl::simulator::{Call, Effect, Fault};
use serde_json::json;

use crate::support::{LOGIN, Ran, Repo, Server, id, live_job};

/// What stands between the program and the simulator and can lose an answer on the way.
struct Line {
    url: String,
    connections: Arc<Mutex<Vec<TcpStream>>>,
}

impl Line {
    fn to(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let connections = Arc::new(Mutex::new(Vec::new()));
        let (kept, host) = (Arc::clone(&connections), server.host());
        // Both kinds of threads end with their connections or with the test.
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let Ok(far) = TcpStream::connect(&host) else { return };
                kept.lock().unwrap().push(near.try_clone().unwrap());
                for (mut from, mut to) in [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near)]
                {
                    std::thread::spawn(move || {
                        let _gone = std::io::copy(&mut from, &mut to);
                        let _gone = to.shutdown(Shutdown::Both);
                    });
                }
            }
        });
        Self { url, connections }
    }

    /// Closes all connections; new ones are made as before.
    fn cut(&self) {
        for connection in self.connections.lock().unwrap().drain(..) {
            // One that was closed already is as good.
            let _gone = connection.shutdown(Shutdown::Both);
        }
    }
}

/// An apply of two updates whose first write was done and is not answered.
struct Hanging {
    server: Server,
    line: Line,
    repo: Repo,
    child: Child,
    stderr: BufReader<ChildStderr>,
}

impl Hanging {
    fn new() -> Self {
        let server = Server::of(vec![live_job(1, "a"), live_job(2, "b")]);
        let repo = Repo::with(&[("a", "  timeout: 5\n"), ("b", "  timeout: 5\n")]);
        server.change(|behaviour| behaviour.fail_next = vec![Fault::on(Call::Update, Effect::HangAfter)]);
        let line = Line::to(&server);
        let mut command = repo.command(&["apply", "--auto-approve", "--gateway", &line.url]);
        command.envs(LOGIN).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        while server.job(&id(1))["timeout"] != 5 {
            assert_eq!(child.try_wait().unwrap(), None, "it ended before it wrote");
            std::thread::yield_now();
        }
        Self { server, line, repo, child, stderr }
    }

    fn interrupt(&self) {
        let sent = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// The next line on stderr; empty at its end.
    fn next_line(&mut self) -> String {
        let mut line = String::new();
        self.stderr.read_line(&mut line).unwrap();
        line
    }

    /// Interrupts it for the first time and hears what it says.
    fn interrupt_once(&mut self) {
        self.interrupt();
        assert_eq!(
            self.next_line(),
            "interrupted: the call in flight is finished, nothing new is started; again to leave at once\n"
        );
    }

    fn end(mut self) -> (Option<i32>, String, Server) {
        let mut shown = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut shown).unwrap();
        (self.child.wait().unwrap().code(), shown, self.server)
    }
}

#[test]
fn the_first_finishes_the_write_in_flight_and_starts_nothing_new() {
    let mut hanging = Hanging::new();
    hanging.interrupt_once();
    hanging.line.cut();
    let (code, shown, server) = hanging.end();
    assert_eq!(code, Some(4), "{shown}");
    let expected = "applied       update a\n              = the answer was lost; confirmed by reading\n\
                    skipped       update b\n              interrupted before it was started\n\n\
                    Apply: 1 applied, 1 skipped of 2 steps.";
    assert!(shown.contains(expected), "{shown}");
    assert_eq!(server.job(&id(2))["timeout"], json!(4));
    assert_eq!(server.take_counts().get("update"), Some(&1));
}

#[test]
fn the_second_leaves_at_once_and_names_the_job() {
    let mut hanging = Hanging::new();
    hanging.interrupt_once();
    hanging.interrupt();
    assert_eq!(
        hanging.next_line(),
        "left while `a` was being written: its fate is not known; run patchctl plan\n"
    );
    let repo = std::mem::replace(&mut hanging.repo, Repo::empty());
    let url = hanging.line.url.clone();
    let (code, shown, _server) = hanging.end();
    assert_eq!(code, Some(4), "{shown}");
    assert!(!shown.contains("Apply:"), "{shown}");
    let plan = || {
        let mut command = repo.command(&["plan", "--output", "json", "--gateway", &url]);
        Ran::of(command.envs(LOGIN), &repo).ends(0).json()
    };
    // The journal tells the truth: the call was sent, and nothing is known of it.
    let runs = plan()["unsettled_runs"].clone();
    assert_eq!((&runs[0]["steps"], &runs[0]["outcomes"]), (&json!(2), &json!(0)), "{runs:#}");
    assert_eq!(runs[0]["writes"][0]["verdict"], "took_effect", "{runs:#}");
    // It is said once.
    assert_eq!(plan()["unsettled_runs"], json!([]));
}
