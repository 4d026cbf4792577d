#![expect(clippy::disallowed_methods, reason = "this module reads and writes the file of the record")]

//! The record's file: read before planning, written after an apply.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use super::session::Failure;
use super::settings::Settings;
use crate::files::{self, Readers};
use crate::plan::{self, Action, Outcome, OutcomeKind, Plan};
use crate::record::Record;
use crate::snapshot::LiveJob;
use crate::stamp;
use crate::terminal::Terminal;

/// Reads the record, where one is configured; a file that is not there yet is an empty record.
pub(super) fn load(settings: &Settings) -> Result<Option<Record>, Failure> {
    settings.record.as_deref().map(|path| read(path, settings)).transpose()
}

fn read(path: &Path, settings: &Settings) -> Result<Record, Failure> {
    let failed = |cause: String| {
        let message = format!("the record `{}` can not be read", settings.shown(path));
        let help = "it is the file that `record:` in patchctl.yaml names; take it from the last good commit, or settle \
                    the merge in it; nothing was changed";
        Failure::Error(vec![message, cause], Some(help.to_owned()))
    };
    match std::fs::read_to_string(path) {
        Ok(text) => Record::parse(&text).map_err(failed),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Record::default()),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// Keeps what was applied; says so, because the file belongs into the next commit.
pub(super) fn keep(settings: &Settings, plan: &Plan, outcomes: &[Outcome], terminal: &Terminal) {
    let Some(path) = settings.record.as_deref() else { return };
    let applied =
        plan.changes.iter().zip(outcomes).filter(|(_, outcome)| outcome.kind == OutcomeKind::Applied);
    let applied: Vec<_> = applied
        .filter(|(change, _)| matches!(change.action, Action::Create | Action::Update | Action::Delete))
        .collect();
    if applied.is_empty() {
        return;
    }
    let shown = settings.shown(path);
    // Read anew: another run may have written to it meanwhile.
    let mut record = match read(path, settings) {
        Ok(record) => record,
        Err(_) => {
            return terminal
                .note(&format!("the record `{shown}` can not be read any more and was not written"));
        }
    };
    let read_back =
        plan.changes.iter().zip(outcomes).filter_map(|(change, outcome)| {
            Some((change.key.clone(), LiveJob::new(outcome.read_back.clone()?)))
        });
    let made: BTreeMap<String, LiveJob> = read_back.collect();
    for (change, outcome) in applied {
        // A step that waited for ids was carried out with them, and its stamp is that of the job with them.
        let filled = plan::filled(change, &made).ok().flatten();
        let change = filled.as_ref().unwrap_or(change);
        let id = change.id.as_ref().or(outcome.made.as_ref());
        match (change.action, &change.basis, id) {
            (Action::Delete, _, _) => record.forget(&change.key),
            // What undoes the first apply leaves nothing that was applied.
            (_, Some(basis), Some(_)) if basis.stamp.is_nothing() => record.forget(&change.key),
            (_, Some(basis), Some(id)) => {
                let mut stamp = basis.stamp.clone();
                // What the server filled in by itself belongs to what was applied.
                if let Some(job) = made.get(&change.key) {
                    stamp.job = stamp::job_digest(&job.normalised);
                }
                record.set(&change.key, id, stamp);
            }
            (_, _, _) => {}
        }
    }
    // A committed file is for everybody who may read the repository.
    let folder = std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")));
    let text = record.text(&settings.owner);
    match folder.and_then(|()| files::put(path, text.as_bytes(), Readers::Everybody)) {
        Ok(()) => terminal.note(&format!("`{shown}` says what was applied now; commit it")),
        Err(error) => terminal.note(&format!("the record `{shown}` could not be written: {error}")),
    }
}
