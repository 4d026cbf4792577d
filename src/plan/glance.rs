//! Whether a live job is as its manifest declares it, by a look at the answer as it came.
//!
//! Most jobs are as they should be, in a run that remembers nothing as in any other. To find that out, neither the
//! job nor the desired one has to be built: each declared member is compared with what the answer says, as text where
//! that is enough. For 10,000 jobs of 4 KB this takes about a third of the CPU time.
//!
//! It only ever says "surely yes". Whatever it has no certain answer for (scripts, chained rules, lists in another
//! order, a status that is not known) is planned as if nobody had looked. So it may be taken out without a change of
//! any plan; that it never says yes where the planner has something to say is held by a property test.

use serde_json::Value;

use super::status;
use crate::elements::{self, Match};
use crate::job::{self, JOB, Member, Type, canonical};
use crate::lean::Lean;
use crate::normalise;
use crate::stamp;

/// Whether nothing is to be done about a bound job, and nothing to be said of it.
///
/// `declared` holds the members of the manifest in canonical form, without links that have to be resolved; `job` is
/// the answer; `owner` is who we are in stamps.
pub fn is_as_declared(owner: &str, declared: &Lean<'_>, job: &Lean<'_>) -> bool {
    let Lean::Object(members) = declared else { return false };
    is_ours_to_manage(owner, job)
        && members.iter().all(|(name, declared)| {
            let live = job.get(name).unwrap_or(&Lean::Null);
            match &**name {
                "description" => is_described(declared, live),
                // What is told of a status that is not known, the planner tells.
                "status" => declared == live && live.as_str().is_some_and(status::is_known),
                // Answers hold them in another place.
                "chainedJobRule" => false,
                name => is_same(JOB, name, declared, live),
            }
        })
}

/// Whether no reason is seen for which the job must not be touched at all.
fn is_ours_to_manage(owner: &str, job: &Lean<'_>) -> bool {
    let description = job.get("description").and_then(Lean::as_str).unwrap_or_default();
    let is_there = job.get("deletedBy").and_then(|by| by.get("date")).is_none_or(|date| *date == Lean::Null);
    is_there && stamp::owners(description).all(|found| found == owner)
}

/// The description of a live job ends with its stamp, which is none of the manifest's business.
fn is_described(declared: &Lean<'_>, live: &Lean<'_>) -> bool {
    match (declared, live) {
        (Lean::Text(declared), Lean::Text(live)) => stamp::split(live).0 == declared,
        (Lean::Null, Lean::Text(live)) => stamp::split(live).0.is_empty(),
        (declared, live) => *declared == Lean::Null && *live == Lean::Null,
    }
}

fn is_block(rows: &'static [Member], declared: &Lean<'_>, live: &Lean<'_>) -> bool {
    let (Lean::Object(members), Lean::Object(_)) = (declared, live) else { return false };
    members.iter().all(|(name, declared)| {
        let live = live.get(name).unwrap_or(&Lean::Null);
        is_same(rows, name, declared, live)
    })
}

/// Whether a declared member is what the answer holds, where what is not there is `null`.
///
/// A value that is written as it is declared is the declared one: canonical values are their own canonical form.
fn is_same(rows: &'static [Member], name: &str, declared: &Lean<'_>, live: &Lean<'_>) -> bool {
    let is_single = !matches!(declared, Lean::List(_) | Lean::Object(_));
    if is_single && declared == live {
        return true;
    }
    let Some(row) = job::find(rows, name) else { return declared == live };
    match row.kind {
        Type::Object(rows) => is_block(rows, declared, live),
        Type::List(rows, _) => is_list(row, rows, declared, live),
        // What is stored under a path is told by the stamp alone.
        Type::Script => false,
        _ if declared == live => true,
        _ => canonical::canonical(row, &live.to_value()).is_ok_and(|live| live == declared.to_value()),
    }
}

/// Whether each declared block is the live one in its place, and is as declared; no list is one without blocks.
fn is_list(row: &Member, rows: &'static [Member], declared: &Lean<'_>, live: &Lean<'_>) -> bool {
    let blocks = |list: &Lean<'_>| match list {
        Lean::Null => Some(0),
        list => list.as_list().map(<[_]>::len),
    };
    match (blocks(declared), blocks(live)) {
        (Some(0), Some(0)) => true,
        (Some(n_declared), Some(n_live)) if n_declared == n_live => {
            let found = normalise::live_value(row, &live.to_value());
            let matches = match (&declared.to_value(), &found) {
                (Value::Array(declared), Value::Array(found)) => elements::match_elements(declared, found),
                (_, _) => return false,
            };
            let pairs = declared.as_list().into_iter().flatten().zip(live.as_list().into_iter().flatten());
            matches.into_iter().eq((0..n_live).map(Match::Live))
                && pairs.into_iter().all(|(declared, live)| is_block(rows, declared, live))
        }
        (_, _) => false,
    }
}
