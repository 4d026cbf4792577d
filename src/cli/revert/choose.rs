//! The journal of the run that is to be undone.

use crate::cli::again;
use crate::cli::args::Common;
use crate::cli::session::Failure;
use crate::cli::settings::Settings;
use crate::journal::folder::{self, Kept};
use crate::render::text::clean;
use crate::revert::{self, PastRun, Since, Undoings, Unusable};

/// Finds the journal that is meant.
pub(super) fn choose<'k>(
    kept: &'k [Kept],
    wanted: Option<&str>,
    settings: &Settings,
    identity: &str,
    common: &Common,
) -> Result<(&'k Kept, PastRun), Failure> {
    let failed = |message: String, help: &str| {
        Failure::Error(vec![message], Some(format!("{help}; nothing was changed")))
    };
    let see = format!("`{}` shows the runs that are kept", again::command("patchctl revert --list", common));
    let Some(wanted) = wanted else { return last(kept, settings, identity, &see) };
    let wanted = wanted.to_ascii_lowercase();
    let is_meant = |kept: &&Kept| !wanted.is_empty() && kept.run.starts_with(&wanted);
    let found: Vec<&Kept> = kept.iter().filter(is_meant).collect();
    let one = match found.as_slice() {
        [one] => *one,
        [] => return Err(failed(format!("no journal of a run `{}` is here", clean(&wanted)), &see)),
        several => {
            let ids: Vec<&str> = several.iter().map(|kept| kept.run.as_str()).collect();
            return Err(failed(
                format!("`{}` may be {}", clean(&wanted), ids.join(" or ")),
                "give more digits",
            ));
        }
    };
    let path = settings.shown(&one.path);
    let run = revert::read(&one.text).map_err(|problem| match problem {
        Unusable::NoJournal => {
            failed(format!("`{path}` does not begin like a journal"), "it can not be undone from it")
        }
        Unusable::Format(format) => failed(
            format!(
                "`{path}` is a journal of format {format}, and this build reads format {}",
                crate::journal::FORMAT
            ),
            "use the patchctl that wrote it",
        ),
    })?;
    let start = &run.start;
    if one.is_running {
        return Err(failed(
            format!("run {} (process {}) is going on", start.run, start.pid),
            "wait for it to end",
        ));
    }
    if start.gateway != identity {
        let message = format!("run {} wrote to {}, and this is {identity}", start.run, clean(&start.gateway));
        return Err(failed(message, "name that gateway with --gateway"));
    }
    if start.owner != settings.owner {
        let message = format!(
            "run {} wrote as `{}`, and this repository is `{}`",
            start.run,
            clean(&start.owner),
            settings.owner
        );
        return Err(failed(message, "run this in that repository"));
    }
    Ok((one, run))
}

/// The last run that is over, is about these jobs, wrote something, undoes nothing itself and is not undone as a whole.
///
/// What a revert did is undone only where it is named: a second `revert` goes on to the run before.
fn last<'k>(
    kept: &'k [Kept],
    settings: &Settings,
    identity: &str,
    see: &str,
) -> Result<(&'k Kept, PastRun), Failure> {
    let ours = kept.iter().rev().filter_map(|kept| {
        let run = revert::read(&kept.text).ok()?;
        let is_ours = run.start.gateway == identity && run.start.owner == settings.owner;
        (is_ours && !run.jobs.is_empty()).then_some((kept, run))
    });
    let ours: Vec<(&Kept, PastRun)> = ours.collect();
    let undoings = Undoings::of(ours.iter().map(|(_, run)| run));
    let is_left = |(kept, run): &(&Kept, PastRun)| {
        !kept.is_running && run.start.undoes.is_none() && !matches!(undoings.since(run), Since::Undone(_))
    };
    let found = ours.iter().position(is_left);
    let place = settings.shown(&folder::place(&settings.state_dir));
    let (message, help) = if ours.is_empty() {
        (format!("no run in `{place}` wrote anything to this gateway"), "")
    } else {
        let message = format!("every run in `{place}` that wrote to this gateway is undone, or is a revert");
        (message, ", and what undid them; name the one to undo")
    };
    let help = format!("{see}{help}; nothing was changed");
    found.and_then(|at| ours.into_iter().nth(at)).ok_or_else(|| Failure::Error(vec![message], Some(help)))
}
