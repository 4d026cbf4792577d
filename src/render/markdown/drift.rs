//! A drift report for a comment or an issue: the summary first, each job with who and when, all of it within the limit.

use std::collections::BTreeMap;

use super::budget::{Form, Item, fit};
use super::{MOST_OF_A_MESSAGE, Safe, details, length, marker, row, table, table_head, thousands};
use crate::drift::{Difference, JobDrift, Kind, Report, State};
use crate::job::Platform;
use crate::plan::{Field, Origin};
use crate::render::drift::{blame, counted, next, path_words, pending};
use crate::render::when::Now;

/// What a report is shown with, beside itself.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Whose jobs they are.
    pub owner: &'a str,
    /// Where the live jobs were read, as people know the gateway.
    pub gateway: &'a str,
    /// What time it is, and where.
    pub now: &'a Now,
    /// Names of tags by UUID.
    pub tag_names: &'a BTreeMap<String, String>,
    /// Whether live jobs that no manifest is about are listed, and not only counted.
    pub lists_unmanaged: bool,
}

/// Most characters of a name or a path.
const MOST_OF_A_NAME: usize = 200;

/// Room for headings, folds and the sentences that count what is left out.
const FRAME: usize = 2_000;

/// Renders a report; at most [`super::MOST_CHARACTERS`] characters.
pub fn drift(report: &Report<'_>, context: Context<'_>) -> String {
    let safe = Safe::new();
    let mut out = marker("drift", Some(context.owner));
    head(&mut out, report, context, &safe);
    let jobs: Vec<Item> = report.drifted.iter().map(|job| item(job, context, &safe)).collect();
    let rest = rest(report, context, &safe);
    let masked = safe.masked_words();
    let room = super::MOST_CHARACTERS.saturating_sub(length(&out) + length(&masked) + FRAME);
    let (forms, left) = fit(&jobs, room);
    for (job, form) in jobs.iter().zip(&forms) {
        out.push_str(job.text(*form));
    }
    match forms.iter().filter(|form| **form == Form::Left).count() {
        0 => {}
        1 => out.push_str("\n**1 more job drifted**; `patchctl drift` names it.\n"),
        n => {
            out.push_str(&format!("\n**{} more jobs drifted**; `patchctl drift` names them.\n", thousands(n)))
        }
    }
    let (forms, _) = fit(&rest, left);
    for (part, form) in rest.iter().zip(&forms) {
        out.push_str(part.text(*form));
    }
    if !masked.is_empty() {
        out.push_str(&format!("\n{masked}"));
    }
    out
}

fn head(out: &mut String, report: &Report<'_>, context: Context<'_>, safe: &Safe) {
    let gateway = safe.code_cut(context.gateway, MOST_OF_A_NAME);
    if report.drifted.is_empty() {
        out.push_str(&format!("**No drift** at {gateway}.\n"));
    } else {
        out.push_str(&format!("### Drift: {}\n\n", counted(report)));
        let new = match (report.n_new(), report.n_differences()) {
            (0, _) => "Nothing of it is new".to_owned(),
            (new, all) if new == all => "All of it is new".to_owned(),
            (new, _) => format!("{} of it new", thousands(new)),
        };
        out.push_str(&format!(
            "{new}. Gateway {gateway}. The API keeps only the last editor of a job: an earlier change to it may be \
             somebody else's.\n"
        ));
        // Whoever reads it is not where this run was made.
        let next = next(report, "");
        if !next.is_empty() {
            out.push_str(&format!("\n{}\n", next.join(" ")));
        }
    }
}

/// A job with its differences, which are never folded: somebody changed them.
fn item(job: &JobDrift<'_>, context: Context<'_>, safe: &Safe) -> Item {
    let word = match job.kind() {
        Kind::Missing => "Missing",
        Kind::Unclear => "Not compared",
        Kind::Member => "Drifted",
        Kind::Unverified => "Not verified",
        Kind::Create => "Pending",
    };
    let key = safe.code_cut(&job.key, MOST_OF_A_NAME);
    let name = safe.code_cut(&job.name, MOST_OF_A_NAME);
    let platform =
        job.platform.map_or(String::new(), |platform: Platform| format!(" ({})", platform.as_str()));
    let state = match job.since() {
        None => "**new**".to_owned(),
        Some(since) if job.has_new() => {
            let n_new = job.differences.iter().filter(|d| d.state == State::New).count();
            format!("**{n_new} new**, drifting since {}", context.now.short(since))
        }
        Some(since) => format!("known since {}", context.now.short(since)),
    };
    let blame = blame(job, context.now);
    let blame = if blame.is_empty() {
        String::new()
    } else {
        format!("; {}", safe.text_cut(&blame, MOST_OF_A_MESSAGE))
    };
    let bare = format!("- {word}: {key}\n");
    let line = format!("- {word}: {key} {name}{platform}, {state}{blame}\n");
    let mut full = format!("\n**{word}: {key}** {name}{platform}, {state}{blame}.\n");
    let members: Vec<&Difference<'_>> = job.differences.iter().filter(|d| d.kind == Kind::Member).collect();
    if !members.is_empty() {
        full.push('\n');
        full.push_str(&table_head(&["member", "was", "is", "changed by"]));
        for member in members {
            full.push_str(&member_row(member, context, safe));
        }
    }
    for difference in job.differences.iter().filter(|d| d.kind != Kind::Member) {
        let path = path_words(difference);
        let path = if path.is_empty() { path } else { format!("{} ", safe.code_cut(&path, MOST_OF_A_NAME)) };
        let sentence = match difference.kind {
            Kind::Unverified => format!("can not be verified: {}", difference.words),
            Kind::Member | Kind::Missing | Kind::Unclear | Kind::Create => difference.words.clone(),
        };
        full.push_str(&format!("\n- {path}{}", safe.text_cut(&sentence, MOST_OF_A_MESSAGE)));
    }
    for note in &job.notes {
        full.push_str(&format!("\n- {}", safe.text_cut(note, MOST_OF_A_MESSAGE)));
    }
    Item { full: format!("{}\n", full.trim_end()), line, bare }
}

fn member_row(member: &Difference<'_>, context: Context<'_>, safe: &Safe) -> String {
    let values = |before: &serde_json::Value, after: &serde_json::Value| {
        let field = Field {
            path: member.path.clone(),
            before: before.clone(),
            after: after.clone(),
            base: None,
            origin: member.origin,
            place: None,
        };
        table::pair(&field, context.tag_names, safe)
    };
    let (was, is) = values(&member.was, &member.is);
    let origin = match member.origin {
        Origin::Console => "console".to_owned(),
        Origin::Git => "Git, not applied".to_owned(),
        Origin::Both => format!("**both**; Git says {}", values(&member.is, &member.declared).1),
        Origin::Unknown => "not known".to_owned(),
    };
    row(&[&safe.code_cut(&path_words(member), MOST_OF_A_NAME), &was, &is, &origin])
}

/// What is resolved, what waits in Git, and the jobs that nobody manages.
fn rest(report: &Report<'_>, context: Context<'_>, safe: &Safe) -> Vec<Item> {
    let mut parts = Vec::new();
    let mut part = |full: String| {
        parts.push(Item { line: String::new(), bare: String::new(), full });
    };
    if !report.resolved.is_empty() {
        let lines = report.resolved.iter().map(|resolved| {
            let key = safe.code_cut(&resolved.key, MOST_OF_A_NAME);
            let path = crate::render::text::dotted(&resolved.path);
            let path =
                if path.is_empty() { path } else { format!(" {}", safe.code_cut(&path, MOST_OF_A_NAME)) };
            format!("- {key}{path}, known since {}\n", context.now.short(resolved.since))
        });
        part(format!("\n**Resolved:**\n\n{}", lines.collect::<String>()));
    }
    if !report.pending.is_empty() {
        let words = safe.text_cut(&pending(report), 10 * MOST_OF_A_MESSAGE);
        part(format!("\nChanged in Git and not applied yet, which is no drift: {words}.\n"));
    }
    let unmanaged = report.unmanaged.as_deref().unwrap_or_default();
    match unmanaged.len() {
        0 => {}
        1 => part("\n1 live job is in no manifest.\n".to_owned()),
        n => part(format!("\n{} live jobs are in no manifest.\n", thousands(n))),
    }
    if context.lists_unmanaged && !unmanaged.is_empty() {
        let mut rows = table_head(&["name", "id", "platform", "made by"]);
        for job in unmanaged {
            let who = job.created.user.as_deref().map_or_else(String::new, |user| safe.code_cut(user, 100));
            let when = job.created.at.map_or_else(String::new, |at| format!(" on {}", context.now.short(at)));
            rows.push_str(&row(&[
                &safe.code_cut(&job.name, MOST_OF_A_NAME),
                &safe.code_cut(&job.id, 100),
                job.platform.map_or("", Platform::as_str),
                &format!("{who}{when}"),
            ]));
        }
        part(format!("\n{}", details("Live jobs in no manifest", &rows)));
    }
    parts
}
