//! Repositories in temporary folders, simulators on loopback, and runs of the program between the two.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicI64, Ordering};

use patchctl::simulator::{
    Behaviour, Call, Clock, Event, RecordedRequest, Running, Simulator, Tenant, Updates,
};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The subscription of the tenant in `examples`, and of the jobs made by [`live_job`].
pub(crate) const CUSTOMER: &str = "bc023fd7-4290-f28f-8181-95a46f519f52";

/// The first time that the simulators of these tests see on their clock; it goes on by a second with each look.
const NOW: i64 = 1_790_000_000_000;

/// The repository that this test belongs to.
pub(crate) fn sources() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A repository of manifests in a folder of its own.
pub(crate) struct Repo {
    folder: TempDir,
}

impl Repo {
    /// A copy of `jobs.d`, `examples` and `patchctl.yaml`.
    pub(crate) fn of_the_sources() -> Self {
        let repo = Self { folder: tempfile::tempdir().unwrap() };
        for name in ["jobs.d", "examples"] {
            copy_folder(&sources().join(name), &repo.path(name));
        }
        fs::copy(sources().join("patchctl.yaml"), repo.path("patchctl.yaml")).unwrap();
        repo
    }

    /// A repository with nothing but an owner, `team`.
    pub(crate) fn empty() -> Self {
        let repo = Self { folder: tempfile::tempdir().unwrap() };
        repo.write("patchctl.yaml", "owner: team\n");
        repo
    }

    /// A repository with manifests, each in `jobs.d/<key>.yaml`, as [`manifest`] writes them.
    pub(crate) fn with(manifests: &[(&str, &str)]) -> Self {
        let repo = Self::empty();
        for (key, text) in manifests {
            repo.write(&format!("jobs.d/{key}.yaml"), manifest(key, text));
        }
        repo
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Replaces a text that stands exactly once in a file.
    #[track_caller]
    pub(crate) fn edit(&self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
        assert_eq!(text.matches(from).count(), 1, "`{from}` in {name}");
        self.write(name, text.replace(from, to));
    }

    /// A run of the program here, with nothing in the environment and nobody at the keyboard.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(&mut self.command(arguments), self)
    }

    /// The same with variables in the environment.
    pub(crate) fn run_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).envs(variables.iter().copied()), self)
    }

    /// A run against a simulator on loopback.
    pub(crate) fn run_at(&self, server: &Server, arguments: &[&str]) -> Ran {
        let mut command = self.command(arguments);
        Ran::of(command.args(["--gateway", &server.url()]).envs(LOGIN), self)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_patchctl"));
        command.args(arguments).current_dir(self.folder.path()).env_clear().stdin(Stdio::null());
        command
    }

    /// A run of a shell's line at a terminal: what is said up to a question is waited for, then `between` happens, then
    /// the answer is typed. Both streams come mixed, as on a screen.
    ///
    /// The word `patchctl` in the line is the program with its gateway. The terminal is made by `script` of util-linux.
    pub(crate) fn run_at_terminal(
        &self,
        server: &Server,
        line: &str,
        answer: &str,
        between: impl FnOnce(),
    ) -> Ran {
        let program = format!("{} --gateway {}", env!("CARGO_BIN_EXE_patchctl"), server.url());
        let line = line.replace("patchctl", &program);
        let mut command = Command::new("script");
        command
            .args(["-qec", &line, "/dev/null"])
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("TERM", "xterm")
            .envs(LOGIN)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("`script` of util-linux makes the terminal of this test");
        let mut screen = child.stdout.take().unwrap();
        let mut seen = Vec::new();
        let mut byte = [0];
        while !seen.ends_with(b"is a yes: ") && screen.read(&mut byte).unwrap() == 1 {
            seen.push(byte[0]);
        }
        between();
        let mut keyboard = child.stdin.take().unwrap();
        for (at, line) in answer.split('\n').enumerate() {
            // Each further question is waited for, so that its answer stands behind it as it does for people.
            while at > 0 && !seen.ends_with(b"leaves it Disabled: ") && screen.read(&mut byte).unwrap() == 1 {
                seen.push(byte[0]);
            }
            // Where nothing was asked, the program and its terminal may be gone already.
            let _ = writeln!(keyboard, "{line}");
        }
        screen.read_to_end(&mut seen).unwrap();
        drop(keyboard);
        let status = child.wait().unwrap();
        Ran {
            status,
            stdout: self.tidy(&String::from_utf8(seen).unwrap()),
            stderr: String::new(),
            cost: String::new(),
        }
    }

    /// Machine paths out, line ends of terminals out.
    fn tidy(&self, text: &str) -> String {
        let here = fs::canonicalize(self.folder.path()).unwrap();
        let text = text.replace("\r\n", "\n").replace(&*here.to_string_lossy(), "[REPO]");
        text.replace(&*self.folder.path().to_string_lossy(), "[REPO]")
    }
}

/// The login that simulators on loopback know.
pub(crate) const LOGIN: [(&str, &str); 2] =
    [("QUALYS_USERNAME", "simulator"), ("QUALYS_PASSWORD", "simulator")];

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &to.join(entry.file_name()));
        } else {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// All files below a folder, by their path in it.
pub(crate) fn files_below(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    files
}

/// What became of a run.
#[derive(Debug)]
pub(crate) struct Ran {
    status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// The line that tells what the run cost.
    pub(crate) cost: String,
}

impl Ran {
    pub(crate) fn of(command: &mut Command, repo: &Repo) -> Self {
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| repo.tidy(&String::from_utf8(bytes).unwrap());
        // The last line of every run tells its cost; it has tests of its own and would stand in every snapshot.
        let (cost, stderr): (Vec<String>, Vec<String>) = text(output.stderr)
            .split_inclusive('\n')
            .map(str::to_owned)
            .partition(|line| line.starts_with("cost: "));
        Self {
            status: output.status,
            stdout: text(output.stdout),
            stderr: stderr.concat(),
            cost: cost.concat(),
        }
    }

    /// The exit status; `None` where a signal ended it.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Checks the exit status.
    #[track_caller]
    pub(crate) fn ends(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "\nstdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Checks that something was said on stdout.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "no `{text}` in stdout:\n{}{}", self.stdout, self.stderr);
        self
    }

    /// Checks that something was said on stderr.
    #[track_caller]
    pub(crate) fn complains(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "no `{text}` in stderr:\n{}{}", self.stderr, self.stdout);
        self
    }

    /// Checks that nothing was said on stderr.
    #[track_caller]
    pub(crate) fn keeps_quiet(self) -> Self {
        assert_eq!(self.stderr, "");
        self
    }

    /// The one JSON document on stdout; that of a plan or an apply is held to the published schema.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let document: Value = serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error} in stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr));
        if matches!(document["command"].as_str(), Some("plan" | "apply" | "revert" | "drift" | "accept")) {
            let schema: Value = serde_json::from_str(include_str!("../../docs/output.schema.json")).unwrap();
            let schema = jsonschema::validator_for(&schema).unwrap();
            let errors: Vec<String> = schema.iter_errors(&document).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{errors:?}");
        }
        document
    }

    /// Both streams, one after the other, for snapshots.
    pub(crate) fn both(&self) -> String {
        format!("{}----- stderr -----\n{}", self.stdout, self.stderr)
    }
}

/// A simulator on loopback that lives as long as this value, and remembers the calls.
pub(crate) struct Server {
    running: Running,
    // Dropped last: the simulator serves on it.
    _runtime: Runtime,
}

impl Server {
    /// With jobs as [`live_job`] makes them.
    pub(crate) fn of(jobs: Vec<Value>) -> Self {
        Self::behaving(jobs, Behaviour::default())
    }

    pub(crate) fn behaving(jobs: Vec<Value>, behaviour: Behaviour) -> Self {
        Self::serving(Tenant::in_memory(jobs, BTreeMap::new()).unwrap(), behaviour)
    }

    /// With the tenant of `examples`.
    pub(crate) fn of_the_examples() -> Self {
        let tenant = Tenant::open(&sources().join("examples/tenant"), None, false).unwrap();
        Self::serving(tenant, Behaviour::default())
    }

    fn serving(tenant: Tenant, behaviour: Behaviour) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let clock = AtomicI64::new(NOW);
        let tenant = tenant.with_clock(Clock::from_fn(move || clock.fetch_add(1_000, Ordering::Relaxed)));
        let running = runtime.block_on(Simulator::start(tenant, behaviour, listen)).unwrap();
        Self { running, _runtime: runtime }
    }

    pub(crate) fn url(&self) -> String {
        self.running.url()
    }

    /// The host and port, as the output names the gateway.
    pub(crate) fn host(&self) -> String {
        self.url().trim_start_matches("http://").to_owned()
    }

    /// The calls since the log was last taken; it stays.
    pub(crate) fn requests(&self) -> Vec<RecordedRequest> {
        self.running.requests()
    }

    /// How many calls came in since the log was last taken.
    pub(crate) fn n_requests(&self) -> usize {
        self.running.n_requests()
    }

    /// The calls since the last time this was asked.
    pub(crate) fn take_requests(&self) -> Vec<RecordedRequest> {
        let requests = self.running.requests();
        self.running.clear_requests();
        requests
    }

    /// How many calls of each kind there were since the last time, in the words of the output.
    pub(crate) fn take_counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for request in self.take_requests() {
            let kind = serde_json::to_value(request.call).unwrap();
            *counts.entry(kind.as_str().unwrap().to_owned()).or_default() += 1;
        }
        counts
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Behaviour)) {
        self.running.behaviour().change(change);
    }

    /// An edit in the console by `anna.k`.
    pub(crate) fn edit(&self, id: &str, merge: Value) {
        let merge: Map<String, Value> = serde_json::from_value(merge).unwrap();
        self.running.with_tenant(|tenant| tenant.edit(id, "anna.k", &merge, &BTreeMap::new())).unwrap();
    }

    /// A deletion in the console.
    pub(crate) fn delete(&self, id: &str) {
        let event = Event::Delete { id: id.to_owned(), user: "anna.k".to_owned() };
        self.running.with_tenant(|tenant| tenant.happen(&event)).unwrap();
    }

    /// What somebody does in the console.
    pub(crate) fn happen(&self, event: &patchctl::simulator::Event) {
        self.running.with_tenant(|tenant| tenant.happen(event)).unwrap();
    }

    /// A job as it is stored.
    pub(crate) fn job(&self, id: &str) -> Value {
        let dump = self.dump();
        let jobs = dump["jobs"].as_array().unwrap().clone();
        jobs.into_iter().find(|job| job["id"] == id).unwrap()
    }

    pub(crate) fn dump(&self) -> Value {
        self.running.with_tenant(|tenant| tenant.dump())
    }

    /// The text of the script behind a storage path.
    pub(crate) fn script(&self, path: &str) -> Option<Vec<u8>> {
        self.running.with_tenant(|tenant| tenant.script(path).map(<[u8]>::to_vec))
    }
}

/// All that a person can set of the jobs of a dump, by id: actions without their ids, scripts by the content behind their
/// paths, links by the names that they lead to.
pub(crate) fn settable(dump: &Value) -> BTreeMap<String, Value> {
    let jobs = dump["jobs"].as_array().unwrap();
    let mut names = BTreeMap::new();
    for job in jobs {
        names.insert(job["id"].as_str().unwrap().to_owned(), job["name"].clone());
        for action in job["postDeployActions"].as_array().into_iter().flatten() {
            names.insert(
                action["actionId"].to_string().replace('"', ""),
                action["params"]["actionItem"].clone(),
            );
        }
    }
    let name_of = |id: &Value| names.get(id.as_str().unwrap_or_default()).unwrap_or(id).clone();
    let one = |job: &Value| {
        let mut members = patchctl::normalise::live(job).members().clone();
        members.retain(|name, _| {
            patchctl::job::find(patchctl::job::JOB, name).is_some_and(patchctl::job::Member::is_settable)
        });
        for list in ["preDeployActions", "postDeployActions"] {
            let actions = members.get_mut(list).and_then(Value::as_array_mut);
            for action in actions.into_iter().flatten().filter_map(Value::as_object_mut) {
                action.shift_remove("actionId");
                for script in ["script", "detectionScript"] {
                    if let Some(stored) = action.get_mut(script) {
                        let content = stored["stored"].as_str().and_then(|path| dump["scripts"].get(path));
                        *stored = json!({ "content": content });
                    }
                }
            }
        }
        if let Some(parent) = members.get_mut("linkedJobId") {
            *parent = name_of(parent);
        }
        for rule in members.get_mut("chainedJobRule").and_then(Value::as_array_mut).into_iter().flatten() {
            for id in rule["actionIds"].as_array_mut().into_iter().flatten() {
                *id = name_of(id);
            }
        }
        (job["id"].as_str().unwrap().to_owned(), Value::Object(members))
    };
    jobs.iter().map(one).collect()
}

/// Counts of calls by kind, for comparing with [`Server::take_counts`].
pub(crate) fn counts(kinds: &[(&str, usize)]) -> BTreeMap<String, usize> {
    kinds.iter().map(|(kind, n)| ((*kind).to_owned(), *n)).collect()
}

/// The bodies of the calls of a kind.
pub(crate) fn bodies(requests: &[RecordedRequest], call: Call) -> Vec<Value> {
    let of_kind = requests.iter().filter(|request| request.call == call);
    of_kind.map(|request| request.body.clone().unwrap()).collect()
}

/// A simulator that is like a gateway of which nothing is known.
pub(crate) fn says_nothing(updates: Updates) -> Behaviour {
    Behaviour { updates, announce_updates: false, ..Behaviour::default() }
}

/// The id of the n-th job made by [`live_job`].
pub(crate) fn id(n: u8) -> String {
    format!("00000000-0000-4000-8000-0000000000{n:02}")
}

/// A Windows job, Disabled and weekly, that differs in nothing from the [`manifest`] with an empty text.
pub(crate) fn live_job(n: u8, name: &str) -> Value {
    json!({
        "customerId": CUSTOMER,
        "id": id(n),
        "name": name,
        "description": "",
        "type": "Install",
        "platform": "Windows",
        "status": "Disabled",
        "scheduleType": "Weekly",
        "startDateTime": "2026-1-05 03:00:00 AM",
        "recurring": true,
        "recurringWeekDays": "0,0,0,1,0,0,0",
        "timezoneType": "SPECIFIC_TZ",
        "timezone": "UTC",
        "timeout": 4,
        "timeoutUnit": "HOURS",
        "assetTagIds": ["f81f37b3-a32b-4aa0-a428-12cad6e37db1"],
        "preDeployActions": [],
        "postDeployActions": [],
        "createdBy": {"user": {"id": "2c63888f-28f0-4481-be6d-dce7a7ace732", "name": "anna.k"}, "date": 1_780_000_000_000_i64},
        "updatedBy": {"user": null, "date": null},
    })
}

/// [`live_job`] with members laid over it.
pub(crate) fn live_job_with(n: u8, name: &str, members: Value) -> Value {
    let mut job = live_job(n, name);
    for (name, value) in members.as_object().unwrap() {
        job[name] = value.clone();
    }
    job
}

/// A live action with a stored script.
pub(crate) fn live_script(n: u8, item: &str) -> Value {
    let action = format!("aaaaaaaa-0000-4000-8000-0000000000{n:02}");
    json!({
        "actionId": action,
        "action": "Run Script",
        "actionType": "predeploy",
        "params": {"actionItem": item, "timeout": 180},
        "script": format!("{CUSTOMER}/{action}/Script"),
        "scriptType": "ps",
    })
}

/// A manifest for a job of [`live_job`] that is called like the key; `lines` are further lines of the file, so a
/// member of `spec` is indented by two.
pub(crate) fn manifest(key: &str, lines: &str) -> String {
    format!(
        "apiVersion: patchctl/v1\nkind: DeploymentJob\nmetadata:\n  key: {key}\nspec:\n  name: {key}\n  \
         type: Install\n  platform: Windows\n  scheduleType: Weekly\n  recurringWeekDays: [Wed]\n{lines}"
    )
}

/// A program that serves until it is ended, and the first line it said.
pub(crate) struct Serving {
    child: Child,
    pub(crate) first_line: String,
}

impl Serving {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut first_line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first_line).unwrap();
        Self { child, first_line: first_line.trim_end().to_owned() }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A plan's text up to what it cost, which depends on what earlier runs remember.
pub(crate) fn but_its_cost(plan: &str) -> &str {
    plan.rsplit_once("Read from ").expect("a plan says what it cost").0
}

/// Compares with `tests/snapshots/<name>.snap`.
#[track_caller]
pub(crate) fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.add_filter("at [0-9]{2}:[0-9]{2}:[0-9]{2} UTC", "at HH:MM:SS UTC");
    settings.add_filter("patchctl revert [0-9a-f]{8}", "patchctl revert [RUN]");
    settings.add_filter(r"(Next: patchctl plan|patchctl revert \[RUN\]) --gateway \S+", "$1");
    settings.add_filter("Undo of run .* of [0-9TZ:-]+", "Undo of run [RUN] of [TIME]");
    // Tokens differ in length.
    settings.add_filter("\"bytes\": [0-9]+,", "\"bytes\": N,");
    settings.add_filter("[0-9.]+ (bytes|kB|MB) read,", "N read,");
    settings.bind(|| insta::assert_snapshot!(name, text));
}
