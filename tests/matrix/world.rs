//! The plan of ten changes, the jobs that it is about, and the four servers.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use patchctl::simulator::{Answer, Behaviour, Call, RecordedRequest, Updates};
use serde_json::{Value, json};

use crate::cli::{CUSTOMER, LOGIN, Repo, Server, id, live_job_with, live_script, manifest};
use crate::oracle::{self, Jobs};
use crate::run::{Ran, bounded};

/// What a server makes of a PATCH, and what it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    DeepMerge,
    TopMerge,
    Replace,
    Echo,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::DeepMerge, Self::TopMerge, Self::Replace, Self::Echo];

    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::DeepMerge => "merges at every depth",
            Self::TopMerge => "merges at the top level",
            Self::Replace => "replaces the job",
            Self::Echo => "merges, and answers with an echo of the request",
        }
    }

    fn behaviour(self) -> Behaviour {
        let (updates, answer) = match self {
            Self::DeepMerge => (Updates::Merge, Answer::Stored),
            Self::TopMerge => (Updates::MergeTop, Answer::Stored),
            Self::Replace => (Updates::Replace, Answer::Stored),
            Self::Echo => (Updates::Merge, Answer::Echo),
        };
        Behaviour { updates, answer, ..Behaviour::default() }
    }
}

/// One server, before the plan and after it where nothing goes wrong.
pub(crate) struct World {
    pub(crate) kind: Kind,
    /// The jobs as they are put into a server, each with the contents of its scripts.
    seed: Vec<Value>,
    /// Their ids.
    pub(crate) ids: Vec<String>,
    pub(crate) former: Jobs,
    /// The jobs after the plan was carried out.
    pub(crate) desired: Jobs,
    /// The calls of the apply that carries it out, in their order.
    pub(crate) calls: Vec<RecordedRequest>,
    /// What the plan says of itself: actions and keys.
    pub(crate) steps: Vec<String>,
}

/// What every manifest says.
const WHOLE: &str = "  startDateTime: 2030-01-05T03:00\n  timeout: 4\n  dynamicPatchesQQL: patch.severity:Critical\n  \
                     assetTagIds: [f81f37b3-a32b-4aa0-a428-12cad6e37db1]\n";

fn action(n: u8, item: &str, kind: &str) -> Value {
    let mut action = live_script(n, item);
    action["actionType"] = kind.into();
    action
}

fn rule(threshold: u8) -> Value {
    let condition = "Post Actions were successfully executed";
    let action = action(70, "Stop", "postdeploy")["actionId"].clone();
    json!([{"field": "postDeployAction", "actionIds": [action], "threshold": threshold, "condition": condition}])
}

fn rule_lines(action: &str, threshold: u8) -> String {
    format!(
        "  chainedJobRule:\n    - field: postDeployAction\n      actionIds: [{action}]\n      threshold: {threshold}\n      \
         condition: Post Actions were successfully executed\n"
    )
}

/// Lines of actions with one script.
fn script_lines(list: &str, item: &str, script: &str) -> String {
    format!(
        "  {list}:\n    - action: Run Script\n      params: {{ actionItem: {item}, timeout: 180 }}\n      \
         scriptType: ps\n      script: {script}\n"
    )
}

/// The jobs that were there before anything was declared: each has blocks, scripts and a rule that no manifest mentions.
fn first_jobs() -> Vec<Value> {
    let job = |n: u8, name: &str, members: Value| {
        let mut all = json!({
            "startDateTime": "2030-1-05 03:00:00 AM", "timeout": 3, "dynamicPatchesQQL": "patch.severity:Critical",
            "duringDeployment": {"userMessage": "Former words", "description": "Former text"},
            "notification": {
                "notificationTypes": {"email": true},
                "notificationConfigs": {"recipientEmails": "ops@example.org", "completedPercentage": "80"},
                "notificationEvents": {"onJobStart": false, "onJobComplete": true},
            },
            "postDeployActions": [action(n * 10 + 1, "Report", "postdeploy")],
        });
        all.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        live_job_with(n, name, all)
    };
    let linked = |threshold| json!({"linkedJobId": id(7), "chainedJobRule": rule(threshold)});
    vec![
        job(1, "script", json!({"preDeployActions": [action(10, "Drain", "predeploy")]})),
        job(2, "nested", linked(80)),
        job(3, "enable", json!({})),
        job(4, "disable", json!({})),
        job(5, "chained", linked(90)),
        job(6, "schedule", json!({})),
        job(7, "base", json!({"postDeployActions": [action(70, "Stop", "postdeploy")]})),
    ]
}

/// Further lines of each manifest as they were first, and as the plan has them; `None` where there is none.
fn manifests() -> Vec<(&'static str, Option<String>, Option<String>)> {
    let lines = |text: &str| Some(text.to_owned());
    let notify =
        |start: bool| Some(format!("  notification:\n    notificationEvents: {{ onJobStart: {start} }}\n"));
    let chained = |threshold| Some(format!("  linkedJob: base\n{}", rule_lines("Stop", threshold)));
    vec![
        ("base", lines(""), lines("")),
        (
            "script",
            Some(script_lines("preDeployActions", "Drain", "echo one")),
            Some(script_lines("preDeployActions", "Drain", "echo two")),
        ),
        ("nested", notify(false), notify(true)),
        ("enable", lines("  status: Disabled\n"), lines("  status: Enabled\n")),
        ("disable", lines("  status: Enabled\n"), lines("  status: Disabled\n")),
        ("chained", chained(90), chained(70)),
        ("schedule", lines(""), lines("")),
        ("new", None, Some(script_lines("preDeployActions", "Greet", "echo new"))),
        (
            "parent",
            None,
            Some(format!("{}  status: Enabled\n", script_lines("postDeployActions", "Halt", "echo halt"))),
        ),
        ("child", None, Some(format!("  linkedJob: parent\n{}", rule_lines("Halt", 60)))),
        ("old", lines(""), None),
    ]
}

/// A repository with the manifests of one of the two times.
fn repository(is_new: bool) -> Repo {
    let repo = Repo::empty();
    for (key, former, new) in manifests() {
        let Some(lines) = (if is_new { new } else { former }) else { continue };
        let mut text = manifest(key, &format!("{WHOLE}{lines}"));
        if is_new && key == "schedule" {
            text = text.replace("scheduleType: Weekly\n  recurringWeekDays: [Wed]", "scheduleType: Daily");
            assert!(text.contains("Daily"));
        }
        repo.write(&format!("jobs.d/{key}.yaml"), text);
    }
    repo
}

impl World {
    /// Brings a server to the state before the plan, with the program itself, and looks at a run without trouble.
    pub(crate) fn of(kind: Kind) -> Self {
        let server = Server::behaving(first_jobs(), kind.behaviour());
        let ran = apply(&server, &repository(false), &[]);
        assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
        let seed = seed(&server.dump());
        let mut world = Self {
            kind,
            ids: seed.iter().map(|job| crate::run::text(job, "id").to_owned()).collect(),
            seed,
            former: Jobs::new(),
            desired: Jobs::new(),
            calls: Vec::new(),
            steps: Vec::new(),
        };
        let (server, repo) = world.begin();
        world.former = oracle::jobs(&server.dump());
        let ran = apply(&server, &repo, &[]);
        assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
        world.calls = server.take_requests();
        world.desired = oracle::jobs(&server.dump());
        let document = ran.json();
        let steps = document["changes"].as_array().unwrap().iter();
        let step = |step: &Value| format!("{} {}", step["action"], step["key"]).replace('"', "");
        world.steps = steps.map(step).collect();
        world.is_what_the_manifests_say();
        world
    }

    /// A fresh server before the plan, and the repository that wants it.
    pub(crate) fn begin(&self) -> (Server, Repo) {
        (Server::behaving(self.seed.clone(), self.kind.behaviour()), repository(true))
    }

    /// The oracle compares with the state after a run without trouble, so that state is held against the manifests.
    fn is_what_the_manifests_say(&self) {
        let mut said = String::new();
        for (name, leaves) in &self.desired {
            let of =
                |pointer: &str| leaves.get(pointer).map_or_else(|| "-".to_owned(), |leaf| leaf.to_string());
            let _ = writeln!(
                said,
                "{name} {} {} {} {} {} {}",
                of("/status"),
                of("/scheduleType"),
                of("/notification/notificationEvents/onJobStart"),
                of("/chainedJobRule/0/threshold"),
                of("/linkedJobId"),
                of("/preDeployActions/0/script"),
            );
            assert_eq!(of("/timeout"), "4", "{name}");
        }
        let expected = r#"base "Disabled" "Weekly" - - - -
chained "Disabled" "Weekly" - 70 "base" -
child "Disabled" "Weekly" - 60 "parent" -
disable "Disabled" "Weekly" - - - -
enable "Enabled" "Weekly" - - - -
nested "Disabled" "Weekly" true 80 "base" -
new "Disabled" "Weekly" - - - "echo new"
parent "Enabled" "Weekly" - - - -
schedule "Disabled" "Daily" - - - -
script "Disabled" "Weekly" - - - "echo two"
"#;
        assert_eq!(said, expected);
        for (name, leaves) in self.former.iter().filter(|(name, _)| *name != "old") {
            for pointer in ["/duringDeployment/userMessage", "/postDeployActions/0/script", "/linkedJobId"] {
                assert_eq!(leaves.get(pointer), self.desired[name].get(pointer), "{name} {pointer}");
            }
        }
    }
}

/// What of a dump is a seed again: with true contents, and as if written on the day before, because the clock begins
/// anew with each server.
fn seed(dump: &Value) -> Vec<Value> {
    let scripts = dump["scripts"].as_object().unwrap();
    let mut jobs = dump["jobs"].as_array().unwrap().clone();
    for job in &mut jobs {
        for by in ["createdBy", "updatedBy"] {
            if let Some(date) = job[by]["date"].as_i64() {
                job[by]["date"] = (date - 86_400_000).into();
            }
        }
        let text = job.to_string();
        let own = scripts.iter().filter(|(path, _)| text.contains(path.as_str()));
        let own: BTreeMap<&String, &Value> = own.collect();
        assert!(own.keys().all(|path| path.starts_with(CUSTOMER)));
        job["_scripts"] = json!(own);
    }
    jobs
}

/// The flags of every apply here. One call at a time, so that the n-th call is the same in every run.
const APPLY: [&str; 13] = [
    "apply",
    "--auto-approve",
    "--output",
    "json",
    "--settle-time",
    "0",
    "--prune=scan",
    "--max-deletes",
    "1",
    "--concurrency",
    "1",
    "--max-wait",
    "20s",
];

pub(crate) fn apply(server: &Server, repo: &Repo, more: &[&str]) -> Ran {
    bounded(repo.command(&APPLY).args(more).args(["--gateway", &server.url()]).envs(LOGIN))
}

/// The same as a process that goes on.
pub(crate) fn applying(server: &Server, repo: &Repo) -> std::process::Child {
    let mut command = repo.command(&APPLY);
    command.args(["--gateway", &server.url()]).envs(LOGIN);
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap()
}

/// A plan of the same.
pub(crate) fn plan(server: &Server, repo: &Repo) -> Ran {
    let flags = ["plan", "--output", "json", "--prune=scan", "--max-deletes", "1", "--concurrency", "1"];
    bounded(repo.command(&flags).args(["--gateway", &server.url()]).envs(LOGIN))
}

/// Whether a call writes.
pub(crate) fn writes(call: Call) -> bool {
    matches!(call, Call::Create | Call::Update | Call::Status | Call::Delete)
}
