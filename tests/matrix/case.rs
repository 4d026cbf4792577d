//! One trouble at one call, and the run after it.

use std::fmt;
use std::time::Duration;

use patchctl::simulator::Call;
use serde_json::Value;

use crate::cli::{Repo, Server};
use crate::oracle::{self, Oracle};
use crate::run::{Ran, adds_up, changes, text};
use crate::trouble::{Trouble, job_of_call};
use crate::world::{self, Kind, World, applying, writes};

/// One trouble at one call.
pub(crate) struct Case<'a> {
    pub(crate) world: &'a World,
    pub(crate) trouble: Trouble,
    /// The call, counted from 1.
    pub(crate) nth: usize,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// The run itself came to the end in spite of it.
    AtOnce,
    /// The next run did.
    AfterOneMore,
    /// A person is told what to decide: the steps, with what became of them.
    Reported(Vec<String>),
    /// Anything else.
    Lost,
}

impl fmt::Display for Case<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let call = &self.world.calls[self.nth - 1];
        let words = self.trouble.words();
        write!(
            f,
            "a server that {}: {words}: call {}, {} {}",
            self.world.kind.words(),
            self.nth,
            call.method,
            call.path
        )
    }
}

impl Case<'_> {
    /// Lives through it; a panic is a case that is lost.
    #[track_caller]
    pub(crate) fn live_through(&self) -> Verdict {
        let (server, repo) = self.world.begin();
        let edited = job_of_call(self.world, self.nth);
        let edited_job = server.job(&edited);
        let name = text(&edited_job, "name");
        let edit = self.trouble.edited();
        let edit = edit.as_ref().map(|(pointer, value)| (name, *pointer, value));
        let edit = edit.filter(|_| !self.is_overwritten());
        let oracle = Oracle { former: &self.world.former, desired: &self.world.desired, edit };
        let nth = u64::try_from(self.nth).unwrap();
        server.change(|behaviour| self.trouble.wait_for(nth, &edited, behaviour));

        let first = if self.trouble.kills() {
            self.kill(&server, &repo);
            None
        } else {
            let call_timeout =
                if self.trouble.waits() { ["--call-timeout", "2s"] } else { ["--call-timeout", "1m"] };
            Some(self.told(&world::apply(&server, &repo, &call_timeout)))
        };
        oracle.nothing_else_is_there(&oracle::jobs(&server.dump()));
        let behaviour = |server: &Server| {
            server.change(|behaviour| {
                let met = behaviour.fail_next.is_empty() && behaviour.meanwhile.is_empty();
                assert!(met, "it was never met");
            })
        };
        behaviour(&server);
        if self.trouble.loses_state() && repo.path(".patchctl").exists() {
            std::fs::remove_dir_all(repo.path(".patchctl")).unwrap();
        }

        if first.is_some_and(|document| document.is_none()) && left(&server, &repo).is_empty() {
            oracle.all_is_as_declared(&oracle::jobs(&server.dump()));
            return Verdict::AtOnce;
        }
        let second = self.told(&world::apply(&server, &repo, &[]));
        let now = oracle::jobs(&server.dump());
        oracle.nothing_else_is_there(&now);
        let left = left(&server, &repo);
        match second {
            None => {
                assert_eq!(left, Vec::<String>::new(), "a plan after an apply that did everything");
                oracle.all_is_as_declared(&now);
                Verdict::AfterOneMore
            }
            Some(document) => {
                let told: Vec<&Value> = changes(&document).iter().filter(|step| !is_done(step)).collect();
                for step in &told {
                    // It is a decision, not a failure, and says what to do.
                    let decisions = ["blocked", "held", "unsettled", "skipped"];
                    assert!(decisions.contains(&text(step, "outcome")), "{step:#}");
                    let is_explained =
                        step["error"]["help"].is_string() || text(step, "outcome") == "skipped";
                    assert!(is_explained && step["error"]["message"][0].is_string(), "{step:#}");
                }
                // Nothing is left that the report does not name.
                let keys: Vec<&str> = told.iter().map(|step| text(step, "key")).collect();
                assert!(!keys.is_empty(), "{document:#}");
                let is_told = |step: &String| keys.iter().any(|key| step.ends_with(&format!(" {key}")));
                assert!(left.iter().all(is_told), "{left:?} of {keys:?}");
                let words = |step: &&Value| format!("{} {}", text(step, "outcome"), text(step, "key"));
                Verdict::Reported(told.iter().map(words).collect())
            }
        }
    }

    /// Whether the console edits a member of no manifest between our read of a job and our write of the whole of it. The
    /// API has no conditional write, and nothing tells afterwards: the value is the one of a moment before.
    pub(crate) fn is_overwritten(&self) -> bool {
        let call = &self.world.calls[self.nth - 1];
        let is_of_a_known_job = self.world.ids.iter().any(|id| call.path.ends_with(id.as_str()));
        self.trouble == Trouble::EditOfOther
            && self.world.kind == Kind::Replace
            && call.call == Call::Update
            && is_of_a_known_job
    }

    /// What an apply says of itself: `None` where everything was done, else its document.
    #[track_caller]
    fn told(&self, ran: &Ran) -> Option<Value> {
        let document = ran.json();
        if document["changes"].is_array() {
            adds_up(ran, &document);
        } else {
            // Before there was a plan: nothing was written.
            assert_eq!(ran.code, Some(1), "{}", ran.stderr);
            assert!(document["error"]["help"].is_string(), "{document:#}");
        }
        (ran.code != Some(0)).then_some(document)
    }

    /// Applies, and kills the process while it waits for the answer to the call.
    fn kill(&self, server: &Server, repo: &Repo) {
        let mut child = applying(server, repo);
        while server.n_requests() < self.nth {
            assert_eq!(child.try_wait().unwrap(), None, "it ended before its call {}", self.nth);
            // Given up to others that run meanwhile; how long it takes decides nothing.
            std::thread::park_timeout(Duration::from_millis(1));
        }
        if writes(self.world.calls[self.nth - 1].call) {
            self.intent_is_on_disk(repo);
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// The journal has the call before the server has it.
    fn intent_is_on_disk(&self, repo: &Repo) {
        let n_writes = self.world.calls[..self.nth].iter().filter(|call| writes(call.call)).count();
        let journals = crate::cli::files_below(&repo.path(".patchctl/runs"));
        let text: String =
            journals.values().map(|journal| String::from_utf8_lossy(journal).into_owned()).collect();
        assert_eq!(text.matches("{\"line\":\"intent\"").count(), n_writes, "{text}");
    }
}

fn is_done(step: &Value) -> bool {
    ["applied", "unchanged"].contains(&text(step, "outcome"))
}

/// The steps that a plan shows.
#[track_caller]
fn left(server: &Server, repo: &Repo) -> Vec<String> {
    let ran = world::plan(server, repo);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let document = ran.json();
    changes(&document).iter().map(|step| format!("{} {}", text(step, "action"), text(step, "key"))).collect()
}
