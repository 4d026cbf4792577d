//! `patchctl revert --list`: the runs that can be undone, newest first. It asks no gateway.

use serde_json::{Map, Value, json};

use super::{read_kept, short};
use crate::cli::args::{Arguments, Output};
use crate::cli::session::Failure;
use crate::cli::settings::Settings;
use crate::cli::unsettled::to_the_second;
use crate::cli::{Exit, pretty};
use crate::journal::folder::Kept;
use crate::render;
use crate::render::text::clean;
use crate::revert::{self, PastRun, Since, Undoings, Unusable};
use crate::terminal::Terminal;

/// Prints the runs.
pub(super) fn list(arguments: &Arguments, terminal: &Terminal) -> Result<Exit, Failure> {
    let settings = Settings::resolve(&arguments.common)?;
    let kept = read_kept(&settings)?;
    let runs: Vec<(&Kept, Result<PastRun, Unusable>)> =
        kept.iter().rev().map(|kept| (kept, revert::read(&kept.text))).collect();
    let undoings = Undoings::of(runs.iter().filter_map(|(_, run)| run.as_ref().ok()));
    if arguments.common.output == Output::Json {
        let runs: Vec<Value> = runs.iter().map(|(kept, run)| listed_json(kept, run, &undoings)).collect();
        terminal.data(&pretty(&json!({
            "format_version": render::json::FORMAT_VERSION,
            "command": "revert",
            "runs": runs,
        })));
        return Ok(Exit::Done);
    }
    let mut n_shown = 0;
    for (kept, run) in &runs {
        match run {
            Ok(run) if run.jobs.is_empty() && !kept.is_running => {}
            Ok(run) => {
                n_shown += 1;
                terminal.data(&listed(kept, run, &undoings));
            }
            Err(_) => terminal
                .note(&format!("`{}` is no journal that this build reads", settings.shown(&kept.path))),
        }
    }
    if n_shown == 0 {
        terminal.data("No run that is kept wrote anything.\n");
    }
    Ok(Exit::Done)
}

/// How many steps there were of each action, in the order of their first.
fn wrote(run: &PastRun) -> Vec<(&str, usize)> {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for action in run.jobs.iter().flat_map(|job| &job.actions) {
        match counts.iter_mut().find(|(known, _)| known == action) {
            Some((_, n)) => *n += 1,
            None => counts.push((action, 1)),
        }
    }
    counts
}

/// How a run ended, in a word or two.
fn ended(kept: &Kept, run: &PastRun) -> &'static str {
    let is_doubtful = run.jobs.iter().any(|job| job.doubt.is_some());
    match (kept.is_running, &run.end) {
        (true, _) => "going on",
        (false, None) => "interrupted",
        (false, Some(_)) if is_doubtful => "unsettled",
        (false, Some(_)) if run.without_effect.iter().any(|(_, _, why)| why != "unchanged") => "in part",
        (false, Some(_)) => "done",
    }
}

fn listed(kept: &Kept, run: &PastRun, undoings: &Undoings<'_>) -> String {
    let start = &run.start;
    let commit = start.commit.as_deref().map_or("-", short);
    let wrote: Vec<String> = wrote(run).into_iter().map(|(action, n)| format!("{n} {action}")).collect();
    let keys: Vec<String> = run.jobs.iter().take(3).map(|job| clean(&job.key)).collect();
    let more = run.jobs.len().saturating_sub(keys.len());
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let undoes = start.undoes.as_ref().map(|undoes| format!("revert of {}", clean(&undoes.run)));
    let since = match undoings.since(run) {
        Since::Stands => None,
        Since::InPart(by) => Some(format!("undone in part by {}", clean(by))),
        Since::Undone(by) => Some(format!("undone by {}", clean(by))),
    };
    let remarks: Vec<String> = undoes.into_iter().chain(since).collect();
    let remarks = if remarks.is_empty() { String::new() } else { format!(" ({})", remarks.join(", ")) };
    format!(
        "{}  {}  {commit:<10}  {:<11}  {}: {}{more}{remarks}\n",
        start.run,
        to_the_second(&start.at),
        ended(kept, run),
        wrote.join(", "),
        keys.join(", ")
    )
}

fn listed_json(kept: &Kept, run: &Result<PastRun, Unusable>, undoings: &Undoings<'_>) -> Value {
    match run {
        Err(_) => json!({"run": kept.run, "state": "unreadable"}),
        Ok(run) => {
            let wrote: Map<String, Value> =
                wrote(run).into_iter().map(|(action, n)| (action.to_owned(), n.into())).collect();
            let (by, partly_by) = match undoings.since(run) {
                Since::Stands => (None, None),
                Since::InPart(by) => (None, Some(by)),
                Since::Undone(by) => (Some(by), None),
            };
            json!({
                "run": run.start.run,
                "started_at": run.start.at,
                "commit": run.start.commit,
                "gateway": run.start.gateway,
                "owner": run.start.owner,
                "state": ended(kept, run).replace(' ', "_"),
                "revert_of": run.start.undoes.as_ref().map(|undoes| undoes.run.as_str()),
                "undone_by": by,
                "undone_in_part_by": partly_by,
                "wrote": wrote,
                "keys": run.jobs.iter().map(|job| job.key.as_str()).collect::<Vec<_>>(),
                "outcomes": run.end.as_ref().map(|end| end.outcomes.clone()),
            })
        }
    }
}
