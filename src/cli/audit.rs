#![expect(clippy::disallowed_methods, reason = "writes a file, and who runs it stands in the environment")]

//! The audit: one JSON line for each step, appended to a file or written to stdout.
//!
//! It names members and holds none of their values, so it may be kept where the values must not be.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;

use serde_json::json;

use super::args::{Arguments, Output, WritingArgs};
use super::session::Failure;
use super::unsettled;
use crate::plan::{Change, Outcome};
use crate::terminal::Terminal;

/// Where the lines go.
enum Sink {
    Nowhere,
    Stdout,
    File(PathBuf, File),
}

/// The audit of a run.
pub(super) struct Audit {
    sink: Sink,
    run: String,
    commit: Option<String>,
    operator: Option<String>,
    /// Why a line could not be written; told once.
    lost: Option<String>,
}

/// Whether `--audit -` takes stdout for itself.
pub(super) fn takes_stdout(args: &WritingArgs) -> bool {
    args.audit.as_ref().is_some_and(|path| path.as_os_str() == "-")
}

/// Refuses what can not be, before anything is done.
pub(super) fn check(arguments: &Arguments, args: &WritingArgs) -> Result<(), Failure> {
    let document = match arguments.common.output {
        Output::Human => None,
        Output::Json => Some("json"),
        Output::Markdown => Some("markdown"),
    };
    if let Some(document) = document.filter(|_| takes_stdout(args)) {
        return Err(Failure::Usage(
            format!("--audit - and --output {document} both want stdout"),
            "give the audit a file: --audit FILE".to_owned(),
        ));
    }
    Ok(())
}

impl Audit {
    /// Opens the file before anything is written to the API.
    pub(super) fn open(args: &WritingArgs, run: &str, commit: Option<&str>) -> Result<Self, Failure> {
        let sink = match &args.audit {
            None => Sink::Nowhere,
            Some(_) if takes_stdout(args) => Sink::Stdout,
            Some(path) => match OpenOptions::new().create(true).append(true).open(path) {
                Ok(file) => Sink::File(path.clone(), file),
                Err(error) => {
                    let message = format!("the audit file `{}` can not be written", path.display());
                    let help = "nothing was changed; give another file with --audit";
                    return Err(Failure::Error(vec![message, error.to_string()], Some(help.to_owned())));
                }
            },
        };
        let (run, commit) = (run.to_owned(), commit.map(str::to_owned));
        Ok(Self { sink, run, commit, operator: operator(), lost: None })
    }

    /// Writes the line of a step.
    pub(super) fn step(&mut self, change: &Change, outcome: &Outcome, terminal: &Terminal) {
        if matches!(self.sink, Sink::Nowhere) {
            return;
        }
        let members: Vec<&str> = change.fields.iter().map(|field| field.path.as_str()).collect();
        let line = json!({
            "run": self.run,
            "at": unsettled::now(),
            "commit": self.commit,
            "operator": self.operator,
            "key": change.key,
            "id": change.id.as_ref().or(outcome.made.as_ref()),
            "name": masked(&change.name),
            "action": change.action.as_str(),
            "members": members,
            "outcome": outcome.kind.as_str(),
            "calls": outcome.n_calls,
        });
        let line = format!("{line}\n");
        match &mut self.sink {
            Sink::Nowhere => {}
            Sink::Stdout => terminal.data(&line),
            Sink::File(path, file) => {
                if let Err(error) = file.write_all(line.as_bytes())
                    && self.lost.is_none()
                {
                    let message = format!("the audit file `{}` could not be written", path.display());
                    terminal.error(
                        &[message, error.to_string()],
                        Some("the run goes on; its journal in the state folder holds the same steps"),
                    );
                    self.lost = Some(error.to_string());
                }
            }
        }
    }

    /// Whether every line was written.
    pub(super) fn is_complete(&self) -> bool {
        self.lost.is_none()
    }
}

/// Who runs it: the variables by which CI systems say who started a pipeline, else the user of this machine.
fn operator() -> Option<String> {
    let names = [
        "GITHUB_ACTOR",
        "GITLAB_USER_LOGIN",
        "BUILD_REQUESTEDFOR",
        "BUILD_USER_ID",
        "BUILD_USER",
        "CIRCLE_USERNAME",
        "BITBUCKET_STEP_TRIGGERER_UUID",
        "USER",
        "USERNAME",
    ];
    let found = names.into_iter().find_map(|name| std::env::var(name).ok().filter(|who| !who.is_empty()));
    found.map(|who| masked(&who))
}

/// A text without what looks like an e-mail address.
fn masked(text: &str) -> String {
    let words = text.split_inclusive(char::is_whitespace).map(|word| {
        let bare = word.trim_end();
        let is_address =
            bare.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.'));
        if is_address { format!("[address]{}", &word[bare.len()..]) } else { word.to_owned() }
    });
    words.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_masked_and_other_words_stay() {
        assert_eq!(masked("anna.k@acme.example"), "[address]");
        assert_eq!(masked("for <anna.k@acme.example> and Bob"), "for [address] and Bob");
        assert_eq!(masked("servers @ 02:00, c@t, a  b"), "servers @ 02:00, c@t, a  b");
    }
}
