//! A checkout with the scripts in it, and stand-ins for `gh` and `curl` that keep what they were told.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use patchctl::fingerprint::sha256_hex;
use serde_json::Value;

use crate::support::{LOGIN, Repo, Server, sources};

/// Answers from `list.json`, with the expression that it was given where there is a `jq`, else from `list.tsv`.
const GH: &str = r#"#!/bin/sh
set -eu
printf '%s\n' "$*" >>"$STUB/calls"
if [ -e "$STUB/refuse" ]; then
  case "$*" in *"$(cat "$STUB/refuse")"*) echo 'gh: HTTP 403' >&2; exit 1 ;; esac
fi
expression=
for argument in "$@"; do
  case $argument in
    body=@*) cp "${argument#body=@}" "$STUB/body" ;;
    '.[]'*) expression=$argument ;;
  esac
done
case "$*" in
  *--paginate*)
    if command -v jq >/dev/null; then jq -r "$expression" "$STUB/list.json"; else cat "$STUB/list.tsv"; fi ;;
esac
"#;

/// Serves the program, and GitLab's API from `page-N.json`.
const CURL: &str = r#"#!/bin/sh
set -eu
printf '%s\n' "$*" >>"$STUB/calls"
url= out= method=GET
while [ $# -gt 0 ]; do
  case $1 in
    --config) cat >"$STUB/config"; shift ;;
    --output) out=$2; shift ;;
    --request) method=$2; shift ;;
    --data-urlencode)
      case $2 in *@*) cp "${2#*@}" "$STUB/body" ;; esac
      shift ;;
    --proto | --retry) shift ;;
    -*) ;;
    *) url=$1 ;;
  esac
  shift
done
if [ "$url" = "$PATCHCTL_URL" ]; then cp "$STUB/program" "$out"; exit 0; fi
if [ -e "$STUB/refuse" ]; then
  case "$method $url" in *"$(cat "$STUB/refuse")"*) echo 'curl: (22) 403' >&2; exit 22 ;; esac
fi
case "$method $url" in
  'GET '*/user) echo '{"id":7,"name":"x","username":"project_1_bot"}' >"$out" ;;
  'GET '*) if [ -e "$STUB/page-${url##*page=}.json" ]; then cat "$STUB/page-${url##*page=}.json"; else echo '[]'; fi >"$out" ;;
  *) echo '{}' >"$out" ;;
esac
"#;

/// A program that knows no command but `drift`, for builds that have none; it says what the test wrote down.
const DRIFT: &str = r#"#!/bin/sh
if [ "${1:-}" != drift ]; then exec "$REAL" "$@"; fi
printf '<!-- patchctl:drift team -->\nreport\n'
exit "$(cat "$STUB/drift")"
"#;

pub(crate) const URL: &str = "https://releases.example/patchctl";

/// A checkout, the stand-ins, and what the platform says in the environment.
pub(crate) struct Checkout {
    pub(crate) repo: Repo,
    variables: BTreeMap<String, String>,
}

/// What became of a step.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Step {
    #[track_caller]
    pub(crate) fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "\nstdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "no `{text}` in:\n{}\n{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn complains(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "no `{text}` in:\n{}\n{}", self.stderr, self.stdout);
        self
    }
}

impl Checkout {
    /// With the scripts where people put them, and the jobs of a server.
    pub(crate) fn of(repo: Repo, server: &Server) -> Self {
        for entry in fs::read_dir(sources().join("examples/ci/scripts")).unwrap() {
            let path = entry.unwrap().path();
            let name = format!("ci/patchctl/{}", path.file_name().unwrap().to_string_lossy());
            repo.write(&name, fs::read(path).unwrap());
        }
        let real = env!("CARGO_BIN_EXE_patchctl");
        let program = if has_drift() {
            format!("#!/bin/sh\nexec '{real}' \"$@\"\n")
        } else {
            DRIFT.replace("$REAL", real)
        };
        repo.write("stub/program", &program);
        for (name, text) in [("gh", GH), ("curl", CURL)] {
            repo.write(&format!("stub/bin/{name}"), text);
            fs::set_permissions(repo.path(&format!("stub/bin/{name}")), PermissionsExt::from_mode(0o755))
                .unwrap();
        }
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        let mut variables = BTreeMap::from(
            [
                ("STUB", text(repo.path("stub"))),
                ("HOME", text(repo.path("home"))),
                ("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", text(repo.path("stub/bin")))),
                ("PATCHCTL_URL", URL.to_owned()),
                ("PATCHCTL_SHA256", sha256_hex(program.as_bytes())),
                ("QUALYS_GATEWAY_URL", server.url()),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        variables.extend(LOGIN.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let checkout = Self { repo, variables };
        checkout.list(&[]);
        checkout
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.variables.insert(name.to_owned(), value.into());
    }

    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// What the stand-in for `gh` finds: number, author, text.
    pub(crate) fn list(&self, entries: &[(u32, &str, &str)]) {
        let json: Vec<Value> = entries
            .iter()
            .map(|(n, author, body)| {
                serde_json::json!({"id": n, "number": n, "user": {"login": author}, "body": body})
            })
            .collect();
        let tsv: String = entries
            .iter()
            .map(|(n, author, body)| format!("{n}\t{author}\t{}\n", body.lines().next().unwrap_or_default()))
            .collect();
        self.repo.write("stub/list.json", Value::from(json).to_string());
        self.repo.write("stub/list.tsv", tsv);
    }

    /// A page of a list of GitLab's.
    pub(crate) fn page(&self, n: u32, entries: &[Value]) {
        self.repo.write(&format!("stub/page-{n}.json"), Value::from(entries.to_vec()).to_string());
    }

    /// Makes the platform refuse calls that have a text in them; nothing for none.
    pub(crate) fn refuse(&self, what: Option<&str>) {
        match what {
            Some(what) => self.repo.write("stub/refuse", what),
            None => fs::remove_file(self.repo.path("stub/refuse")).unwrap(),
        }
    }

    /// The calls of the platform since the last time, those for the program left out.
    pub(crate) fn take_calls(&self) -> Vec<String> {
        let path = self.repo.path("stub/calls");
        let calls = fs::read_to_string(&path).unwrap_or_default();
        let _ = fs::remove_file(path);
        calls.lines().filter(|call| !call.contains(URL)).map(str::to_owned).collect()
    }

    /// The last text that the platform was given.
    pub(crate) fn posted(&self) -> String {
        self.repo.read("stub/body")
    }

    /// Runs lines of a shell here, with further variables.
    pub(crate) fn sh(&self, lines: &str, more: &[(String, String)]) -> Step {
        let mut command = Command::new("sh");
        command
            .args(["-e", "-c", lines])
            .current_dir(self.repo.path(""))
            .env_clear()
            .envs(&self.variables)
            .envs(more.iter().cloned())
            .stdin(Stdio::null());
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Step { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// Whether this build has the command that the third moment needs.
pub(crate) fn has_drift() -> bool {
    Command::new(env!("CARGO_BIN_EXE_patchctl")).args(["drift", "--help"]).output().unwrap().status.success()
}

/// Makes the next `drift` find something, or nothing, or fail, whichever program runs.
pub(crate) enum World {
    Clean,
    Drifted,
    Unknown,
}

pub(crate) fn become_world(checkout: &mut Checkout, server: &Server, world: &World) {
    let (timeout, status, url) = match world {
        World::Clean => (5, "0", server.url()),
        World::Drifted => (9, "2", server.url()),
        // Nobody listens there.
        World::Unknown => (9, "1", "http://127.0.0.1:1".to_owned()),
    };
    checkout.repo.write("stub/drift", status);
    server.edit(&crate::support::id(1), serde_json::json!({"timeout": timeout}));
    checkout.set("QUALYS_GATEWAY_URL", url);
}
