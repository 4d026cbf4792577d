//! Every fault at every call of an apply, one by one, and answers that lag.
//!
//! A fault may cost the change, never the truth of what is said about it: a step that says that nothing was written
//! left everything as it was, one that says that it is done is done, and whatever is not known says so. The next run
//! without a fault brings everything to what is declared.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use patchctl::simulator::{Behaviour, Call, EditEnabled, Effect, ErrorBody, Event, Fault, Lag, Meanwhile};
use patchctl::simulator::{ThrottleForm, Updates};
use serde_json::{Value, json};

use crate::cli::{LOGIN, Repo, Server, id, live_job_with, live_script, manifest};
use crate::run::{Ran, adds_up, bounded, changes, counts_calls, text};
use crate::support::kept::Truth;
use crate::verdict::{armed_for_good, is_armed, names_are_unique, truth};

/// Cases at a time: they wait more than they work.
const N_WORKERS: usize = 12;

/// What a job must have to be armed.
const WORK: &str = "  assetTagIds: [f81f37b3-a32b-4aa0-a428-12cad6e37db1]\n  dynamicPatchesQQL: q\n";

/// A plan, and the jobs that it is about: the first is `job`, and it has the id 1 where it is there already.
#[derive(Clone)]
struct Story {
    name: &'static str,
    jobs: Vec<Value>,
    manifests: Vec<(&'static str, String)>,
    behaviour: Behaviour,
    arguments: Vec<&'static str>,
    /// Further lines of the configuration.
    config: &'static str,
}

/// A manifest with what a new job needs.
fn whole(key: &str, lines: &str) -> String {
    manifest(key, &format!("  startDateTime: 2030-01-05T03:00\n{WORK}{lines}"))
}

/// The same for a job that starts when it is enabled.
fn on_demand(key: &str, lines: &str) -> String {
    let text = manifest(key, &format!("{WORK}{lines}"));
    text.replace("scheduleType: Weekly\n  recurringWeekDays: [Wed]", "scheduleType: On-demand")
}

fn armable(n: u8, name: &str, members: Value) -> Value {
    let mut all = json!({"dynamicPatchesQQL": "q", "startDateTime": "2030-1-05 03:00:00 AM",
        "preDeployActions": [live_script(n, "Drain")]});
    all.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    live_job_with(n, name, all)
}

fn stories() -> Vec<Story> {
    let story = |name, jobs, manifests| Story {
        name,
        jobs,
        manifests,
        behaviour: Behaviour::default(),
        arguments: Vec::new(),
        config: "",
    };
    let refusing = Behaviour { edit_enabled: EditEnabled::Refuse, ..Behaviour::default() };
    let once = json!({"scheduleType": "On-demand", "recurring": false, "recurringWeekDays": null,
        "startDateTime": null});
    let armed = || json!({"status": "Enabled"});
    let mut stories = vec![
        story(
            "create and enable, and one that runs once and may not be armed",
            Vec::new(),
            vec![
                ("job", whole("job", "  timeout: 5\n  status: Enabled\n")),
                ("once", on_demand("once", "  timeout: 5\n  status: Enabled\n")),
            ],
        ),
        story("update", vec![armable(1, "job", armed())], vec![("job", whole("job", "  timeout: 5\n"))]),
        story(
            "update and disable",
            vec![armable(1, "job", armed())],
            vec![("job", whole("job", "  timeout: 5\n  status: Disabled\n"))],
        ),
        story(
            "enable",
            vec![armable(1, "job", json!({}))],
            vec![("job", whole("job", "  timeout: 4\n  status: Enabled\n"))],
        ),
        Story {
            behaviour: refusing.clone(),
            ..story(
                "disable, edit, enable",
                vec![armable(1, "job", armed())],
                vec![("job", whole("job", "  timeout: 5\n  status: Enabled\n"))],
            )
        },
        Story {
            behaviour: Behaviour { updates: Updates::Replace, status_in_patch: true, ..refusing },
            ..story(
                "disable, edit, enable where a whole body is needed",
                vec![armable(1, "job", armed())],
                vec![("job", whole("job", "  timeout: 5\n  status: Enabled\n"))],
            )
        },
        Story {
            arguments: vec!["--allow-run-once", "job"],
            ..story(
                "enable a job that runs once",
                vec![armable(1, "job", once)],
                vec![("job", on_demand("job", "  timeout: 4\n  status: Enabled\n"))],
            )
        },
    ];
    if is_thorough() {
        let recorded = |story: &Story| Story { config: "record: record.json\n", ..story.clone() };
        stories.extend(stories.iter().map(recorded).collect::<Vec<_>>());
    }
    stories
}

/// What goes wrong.
#[derive(Clone, Debug)]
enum Trouble {
    Nothing,
    Fault(Effect),
    /// All tokens end just before the call.
    TokensEnd,
    /// Somebody edits a member that no manifest declares just before the call.
    ByHand,
}

impl Trouble {
    /// Whether the client is to get over it by itself, at a call of some kind.
    fn is_overcome(&self, call: Call) -> bool {
        let is_read = matches!(call, Call::Get | Call::List);
        match self {
            Self::Nothing | Self::TokensEnd => true,
            Self::Fault(Effect::Throttle { form, seconds: 0 }) => *form != ThrottleForm::Silent,
            Self::Fault(Effect::Status { code: 401, .. }) => true,
            Self::Fault(
                Effect::CloseBefore
                | Effect::CloseAfter
                | Effect::ServerError { .. }
                | Effect::NotJson
                | Effect::ContentType { .. }
                | Effect::Garbage
                | Effect::Truncated,
            ) => is_read,
            Self::Fault(_) | Self::ByHand => false,
        }
    }
}

fn answered(code: u16, body: Value) -> Trouble {
    let headers = BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]);
    Trouble::Fault(Effect::Status { code, body: Some(body.to_string()), headers })
}

/// What can go wrong with a call: all of it where `PATCHCTL_FAULTS` is set, else what differs most, and a few of the
/// others in turn.
fn troubles(call: Call, turn: usize) -> Vec<Trouble> {
    let status = |code| Effect::Status { code, body: None, headers: BTreeMap::new() };
    let throttle = |form, seconds| Effect::Throttle { form, seconds };
    let effects = [
        Effect::CloseBefore,
        Effect::CloseAfter,
        Effect::ServerError { code: 502, body: ErrorBody::Html },
        throttle(ThrottleForm::RetryAfter, 0),
        // More than may be waited for.
        throttle(ThrottleForm::RetryAfter, 3_600),
        status(400),
        status(401),
        status(404),
    ];
    let others = [
        Effect::Garbage,
        Effect::Redirect { to: "https://elsewhere.example/".to_owned() },
        status(403),
        throttle(ThrottleForm::Silent, 0),
        Effect::Truncated,
        Effect::NotJson,
        status(409),
        Effect::ServerError { code: 500, body: ErrorBody::Json },
        throttle(ThrottleForm::RemainingWindow, 3_600),
        Effect::ContentType { value: "text/plain".to_owned() },
        status(422),
        Effect::ServerError { code: 503, body: ErrorBody::Empty },
        throttle(ThrottleForm::ToWait, 0),
        status(408),
        Effect::Oversize { bytes: 5_000_000, unannounced: true },
        Effect::Unreachable { ms: 200 },
    ];
    let n_others = if is_thorough() { others.len() } else { 1 };
    let others = others.iter().cycle().skip(turn * n_others).take(n_others).cloned();
    let mut troubles: Vec<Trouble> = effects.into_iter().chain(others).map(Trouble::Fault).collect();
    troubles.extend([Trouble::TokensEnd, Trouble::ByHand]);
    let other = "00000000-0000-4000-8000-000000000099";
    match call {
        // Nothing of this was done, whatever it says.
        Call::Status => troubles.extend(
            [
                json!([]),
                json!({}),
                json!("done"),
                json!([{"id": other, "status": "success"}]),
                json!([{"id": id(1), "status": "failure", "error": "busy"}]),
                json!([{"id": other, "status": "success"}, {"id": id(1), "status": "failure"}]),
                json!([{"id": id(1), "status": "success"}]),
                json!([{"id": id(1), "status": "queued"}]),
            ]
            .map(|body| answered(200, body)),
        ),
        Call::Create => troubles.extend([
            answered(201, json!({})),
            answered(201, json!({"id": other})),
            answered(200, json!({"_error": {"errorCode": "1"}})),
        ]),
        Call::Update => troubles.extend([answered(200, json!({})), answered(200, json!({"id": id(1)}))]),
        _ => {}
    }
    troubles
}

/// Whether somebody has the time for all of it.
fn is_thorough() -> bool {
    std::env::var_os("PATCHCTL_FAULTS").is_some()
}

/// One story with one trouble at one of its calls.
struct Case<'a> {
    story: &'a Story,
    trouble: Trouble,
    nth: u64,
    lags: (Lag, Lag),
    settle_time: &'static str,
    /// Whether it ends as well as without the trouble.
    is_overcome: bool,
}

impl Case<'_> {
    fn words(&self) -> String {
        let Self { story, trouble, nth, lags, settle_time, is_overcome: _ } = self;
        format!(
            "{} {}: {trouble:?} at call {nth}, list and get lag {lags:?}, settling {settle_time}",
            story.name, story.config
        )
    }

    fn set_up(&self) -> (Server, Repo) {
        let server = Server::behaving(self.story.jobs.clone(), self.story.behaviour.clone());
        let repo = Repo::empty();
        repo.write("patchctl.yaml", format!("owner: team\n{}", self.story.config));
        for (key, text) in &self.story.manifests {
            repo.write(&format!("jobs.d/{key}.yaml"), text);
        }
        server.change(|behaviour| {
            (behaviour.list_lag, behaviour.get_lag) = self.lags;
            match &self.trouble {
                Trouble::Nothing => {}
                Trouble::Fault(effect) => {
                    behaviour.fail_next.push(Fault::next(effect.clone()).nth(self.nth));
                }
                Trouble::TokensEnd => {
                    let event = Event::RevokeTokens;
                    behaviour.meanwhile.push(Meanwhile { nth: self.nth, ..Meanwhile::next(event) });
                }
                Trouble::ByHand => {
                    let merge = json!({"duringDeployment": {"userMessage": "By hand"}});
                    let merge = merge.as_object().unwrap().clone();
                    let user = "anna.k".to_owned();
                    let event = Event::Edit { id: id(1), user, merge, scripts: BTreeMap::new() };
                    behaviour.meanwhile.push(Meanwhile { nth: self.nth, ..Meanwhile::next(event) });
                }
            }
        });
        (server, repo)
    }

    fn run(&self, server: &Server, repo: &Repo, arguments: &[&str]) -> Ran {
        let mut command = repo.command(arguments);
        command.args(&self.story.arguments).args(["--gateway", &server.url(), "--output", "json"]);
        bounded(command.args(["--max-wait", "5s"]).envs(LOGIN))
    }

    fn apply(&self, server: &Server, repo: &Repo) -> (Ran, Value) {
        let ran = self.run(server, repo, &["apply", "--auto-approve", "--settle-time", self.settle_time]);
        let document = ran.json();
        (ran, document)
    }

    /// Lives through it.
    #[track_caller]
    fn check(&self) {
        let (server, repo) = self.set_up();
        let before = truth(&server.dump());
        let (ran, document) = self.apply(&server, &repo);
        let after = truth(&server.dump());
        let requests = server.take_requests();
        if document["changes"].is_array() {
            adds_up(&ran, &document);
            // A call is counted where nobody listens, too.
            if !matches!(self.trouble, Trouble::Fault(Effect::Unreachable { .. })) {
                counts_calls(&document, &requests);
            }
        } else {
            assert_eq!((ran.code, &after), (Some(1), &before), "{}", ran.stderr);
        }
        self.never(&before, &after);
        for change in changes(&document) {
            self.is_told_right(change, &before, &after);
        }
        let n_creates = requests.iter().filter(|request| request.call == Call::Create);
        let n_creates = n_creates.filter(|request| !matches!(request.status, Some(401 | 429))).count();
        assert!(n_creates <= self.story.manifests.len(), "a create is sent once");

        if self.is_overcome {
            for change in changes(&document) {
                let expected = if change["action"] == "blocked" { "blocked" } else { "applied" };
                assert_eq!(change["outcome"], expected, "{change:#}");
            }
        }

        // The day after.
        server.change(|behaviour| {
            behaviour.fail_next.clear();
            behaviour.meanwhile.clear();
            (behaviour.list_lag, behaviour.get_lag) = (Lag::None, Lag::None);
        });
        let is_done = ran.code == Some(0);
        if !is_done {
            let before = truth(&server.dump());
            let (ran, document) = self.apply(&server, &repo);
            adds_up(&ran, &document);
            counts_calls(&document, &server.take_requests());
            for change in changes(&document) {
                let expected =
                    if change["action"] == "blocked" { &["blocked"][..] } else { &["applied", "unchanged"] };
                assert!(expected.contains(&text(change, "outcome")), "afterwards: {change:#}");
            }
            let now = truth(&server.dump());
            self.never(&before, &now);
            // A create that was lost is sent again only where somebody says that the job is not there.
            let missing = self.story.manifests.iter().filter(|(key, _)| job_of(&now, key).is_none());
            let missing: Vec<&str> = missing.map(|(key, _)| *key).collect();
            if !missing.is_empty() {
                assert!(self.story.jobs.is_empty() && ran.code != Some(0), "{}", ran.stderr);
                let allow = ["apply", "--auto-approve", "--allow-create", &missing.join(",")];
                adds_up_again(&self.run(&server, &repo, &allow));
                self.never(&now, &truth(&server.dump()));
            }
        }
        let plan = self.run(&server, &repo, &["plan"]);
        assert_eq!(plan.code, Some(0), "{}", plan.stderr);
        let plan = plan.json();
        let left = changes(&plan).iter().find(|change| change["action"] != "blocked");
        assert_eq!(left, None, "is left afterwards");
        let end = truth(&server.dump());
        for (key, text) in &self.story.manifests {
            let job = job_of(&end, key).expect("it is there");
            assert_eq!(job["timeout"], if text.contains("timeout: 5") { 5 } else { 4 });
        }
    }

    /// What never happens.
    #[track_caller]
    fn never(&self, before: &Truth, after: &Truth) {
        names_are_unique(after);
        let allowed: BTreeSet<&str> = self.story.arguments.iter().copied().collect();
        assert!(armed_for_good(before, after).is_subset(&allowed), "armed for good");
        for (path, content) in &before.1 {
            assert_eq!(after.1.get(path), Some(content), "{path}");
        }
        for id in before.0.keys() {
            assert!(after.0.contains_key(id), "{id} is gone");
        }
    }

    /// What is said of a step is what became of the job.
    #[track_caller]
    fn is_told_right(&self, change: &Value, before: &Truth, after: &Truth) {
        let key = text(change, "key");
        let (was, is) = (job_of(before, key), job_of(after, key));
        let declares_armed =
            self.story.manifests.iter().any(|(name, text)| *name == key && text.contains("status: Enabled"));
        let effect = match text(change, "action") {
            "create" => is.is_some(),
            "update" => is.is_some_and(|job| job["timeout"] == 5),
            "enable" => is.is_some_and(is_armed),
            "disable" => is.is_some_and(|job| !is_armed(job)),
            "blocked" => false,
            other => panic!("no {other} is planned here"),
        };
        match text(change, "outcome") {
            "applied" => assert!(effect, "it is not so: {change:#}"),
            "stale" | "blocked" | "held" | "failed" | "skipped" => {
                assert!(!effect, "it is so all the same: {change:#}");
            }
            // A person must be told what to do.
            "unsettled" => assert!(change["error"]["help"].is_string(), "{change:#}"),
            "not_converged" => {}
            "collateral" => assert!(matches!(self.trouble, Trouble::ByHand), "{change:#}"),
            other => panic!("{other} does not fit: {change:#}"),
        }
        // A job that was armed, and is to be armed, is not left off in silence.
        if declares_armed && was.is_some_and(is_armed) && !is.is_some_and(is_armed) {
            let words = change.to_string();
            assert!(
                words.contains("left Disabled") || words.contains("disabling it is not settled"),
                "{change:#}"
            );
        }
        if text(change, "action") == "create" && text(change, "outcome") == "applied" {
            assert_eq!(is.map(|job| &job["id"]), Some(&change["id"]), "the id is told");
        }
    }
}

/// An apply after which nothing is left but what is blocked.
#[track_caller]
fn adds_up_again(ran: &Ran) {
    let document = ran.json();
    adds_up(ran, &document);
    for change in changes(&document).iter().filter(|change| change["action"] != "blocked") {
        assert_eq!(change["outcome"], "applied", "{change:#}");
    }
}

fn job_of<'a>(truth: &'a Truth, key: &str) -> Option<&'a Value> {
    truth.0.values().find(|job| job["name"] == key)
}

/// Lives through all cases, some at a time; each failure says which it was.
fn check_all(cases: &[Case<'_>]) {
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..N_WORKERS {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let lived = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case.check()));
                    if let Err(panic) = lived {
                        let words = panic.downcast_ref::<String>().map_or("no words", String::as_str);
                        failed.lock().unwrap().push(format!("{}\n{words}", case.words()));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {} failed:\n{}", failed.len(), cases.len(), failed.join("\n\n"));
}

/// The calls of an apply without trouble, and how many of them are those of the plan.
fn calls(story: &Story) -> (Vec<Call>, usize) {
    let lags = (Lag::None, Lag::None);
    let case = Case { story, trouble: Trouble::Nothing, nth: 1, lags, settle_time: "0", is_overcome: true };
    let (server, repo) = case.set_up();
    assert_eq!(case.run(&server, &repo, &["plan", "--no-cache"]).code, Some(0));
    let n_planning = server.take_requests().len();
    case.apply(&server, &repo);
    (server.take_requests().into_iter().map(|request| request.call).collect(), n_planning)
}

#[test]
fn every_fault_at_every_call_is_told_right_and_mended_by_the_next_run() {
    let stories = stories();
    let mut cases = Vec::new();
    for story in &stories {
        let (calls, n_planning) = calls(story);
        assert!(calls.len() > n_planning, "{calls:?}");
        for (at, call) in calls.iter().enumerate().skip(n_planning) {
            let nth = u64::try_from(at + 1).unwrap();
            let mut troubles = troubles(*call, at);
            // Nobody edits a job that is not there yet.
            troubles.retain(|trouble| !story.jobs.is_empty() || !matches!(trouble, Trouble::ByHand));
            cases.extend(troubles.into_iter().map(|trouble| Case {
                story,
                is_overcome: trouble.is_overcome(*call),
                trouble,
                nth,
                lags: (Lag::None, Lag::None),
                settle_time: "0",
            }));
        }
    }
    check_all(&cases);
}

#[test]
fn answers_that_lag_are_waited_for_or_told() {
    let stories = stories();
    let mut cases = Vec::new();
    for story in &stories {
        let (calls, n_planning) = calls(story);
        for lags in [
            (Lag::Calls(3), Lag::None),
            (Lag::None, Lag::Calls(2)),
            (Lag::Never, Lag::None),
            (Lag::None, Lag::Never),
        ] {
            let case =
                |trouble, nth| Case { story, trouble, nth, lags, settle_time: "1s", is_overcome: false };
            cases.push(case(Trouble::Nothing, 1));
            for (at, call) in calls.iter().enumerate().skip(n_planning) {
                if matches!(call, Call::Create | Call::Update | Call::Status) {
                    let nth = u64::try_from(at + 1).unwrap();
                    cases.push(case(Trouble::Fault(Effect::CloseAfter), nth));
                }
            }
        }
    }
    check_all(&cases);
}
