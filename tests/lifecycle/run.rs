//! Bounded runs of the program, and what every apply must be by itself.

use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::{LazyLock, mpsc};
use std::time::Duration;

use patchctl::simulator::{Call, RecordedRequest};
use serde_json::Value;

/// Far longer than any run takes; what is not over then hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// What became of a run.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

static SCHEMA: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
    let schema: Value = serde_json::from_str(include_str!("../../docs/output.schema.json")).unwrap();
    jsonschema::validator_for(&schema).unwrap()
});

impl Ran {
    /// The one document on stdout, held to the published schema.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let document: Value = serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error} in stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr));
        let errors: Vec<String> = SCHEMA.iter_errors(&document).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
        document
    }
}

/// Runs a program to its end; one that does not come to it is ended, and the test with it.
#[track_caller]
pub(crate) fn bounded(command: &mut Command) -> Ran {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (tell, told) = mpsc::channel();
    let streams: [Box<dyn Read + Send>; 2] =
        [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
    for (at, mut stream) in streams.into_iter().enumerate() {
        let tell = tell.clone();
        std::thread::spawn(move || {
            let mut text = String::new();
            let read = stream.read_to_string(&mut text);
            // Nobody listens any more where the other stream was given up.
            let _ = tell.send((at, read.map(|_| text)));
        });
    }
    let mut texts = [String::new(), String::new()];
    for _ in 0..2 {
        if let Ok((at, text)) = told.recv_timeout(PATIENCE) {
            texts[at] = text.unwrap();
        } else {
            child.kill().unwrap();
            panic!("{command:?} did not end");
        }
    }
    let [stdout, stderr] = texts;
    let ran = Ran { code: child.wait().unwrap().code(), stdout, stderr };
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    ran
}

/// The steps of a document.
pub(crate) fn changes(document: &Value) -> &[Value] {
    document["changes"].as_array().map_or(&[], Vec::as_slice)
}

/// A member's text.
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// The calls that write.
pub(crate) fn writes(requests: &[RecordedRequest]) -> Vec<&RecordedRequest> {
    let reads = [Call::Auth, Call::Version, Call::List, Call::Get, Call::Runs];
    requests.iter().filter(|request| !reads.contains(&request.call)).collect()
}

/// Holds what an apply says of itself against itself: every step has one outcome, all counts add up, and the exit
/// status is the one that DESIGN 8 gives to these outcomes.
#[track_caller]
pub(crate) fn adds_up(ran: &Ran, document: &Value) {
    const OUTCOMES: [&str; 10] = [
        "applied",
        "unchanged",
        "stale",
        "blocked",
        "held",
        "not_converged",
        "collateral",
        "failed",
        "skipped",
        "unsettled",
    ];
    let changes = changes(document);
    let count =
        |member: &str, word: &str| changes.iter().filter(|change| text(change, member) == word).count();
    for change in changes {
        assert!(OUTCOMES.contains(&text(change, "outcome")), "{change:#}");
        let is_silent = ["applied", "unchanged"].contains(&text(change, "outcome"));
        let says_why = change["error"]["message"].as_array().is_some_and(|lines| !lines.is_empty());
        assert!(is_silent || says_why, "{change:#}");
    }
    for outcome in OUTCOMES {
        assert_eq!(document["outcomes"][outcome], count("outcome", outcome), "{outcome}: {document:#}");
    }
    for action in ["create", "update", "enable", "disable", "delete", "blocked", "held"] {
        assert_eq!(document["summary"][action], count("action", action), "{action}: {document:#}");
    }
    let any = |words: &[&str]| changes.iter().any(|change| words.contains(&text(change, "outcome")));
    let expected = if !any(&OUTCOMES[2..]) {
        0
    } else if any(&["applied", "not_converged", "collateral", "unsettled"]) {
        4
    } else if any(&["failed"]) {
        1
    } else {
        3
    };
    assert_eq!(ran.code, Some(expected), "{document:#}\n{}", ran.stderr);
}

/// Holds the calls that an apply counts against those that came in.
#[track_caller]
pub(crate) fn counts_calls(document: &Value, requests: &[RecordedRequest]) {
    let calls = [
        ("auth", Call::Auth),
        ("list", Call::List),
        ("read", Call::Get),
        ("create", Call::Create),
        ("update", Call::Update),
        ("status", Call::Status),
        ("delete", Call::Delete),
    ];
    for (name, call) in calls {
        let n_calls = requests.iter().filter(|request| request.call == call).count();
        assert_eq!(document["api"][name], n_calls, "{name}: {:#}", document["api"]);
    }
}
