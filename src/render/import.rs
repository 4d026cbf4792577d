//! What became of an import, as text for people and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::json::FORMAT_VERSION;
use super::text::{Layout, Tone, clean, count};
use crate::job::Platform;

/// A manifest that was written, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its key.
    pub key: String,
    /// The live job's id.
    pub id: String,
    /// The live job's name.
    pub name: String,
    /// Its platform.
    pub platform: Option<Platform>,
    /// The file, as messages show it.
    pub file: String,
    /// Live members that the manifest does not declare, as people write paths.
    pub left_out: Vec<String>,
    /// What `validate` will warn of.
    pub warnings: Vec<String>,
}

/// Why no manifest was written for a job that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A manifest is about it already: its key, and the file where it stands.
    Bound(String, String),
    /// It bears the stamp of another owner.
    Foreign(String),
    /// It was deleted, by this person.
    Deleted(String),
    /// It was listed and is not there any more.
    Gone,
    /// No manifest can say it; with the words of what is in the way.
    Unwritable(String),
}

impl Reason {
    /// The word for programs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Bound(..) => "bound",
            Self::Foreign(_) => "foreign",
            Self::Deleted(_) => "deleted",
            Self::Gone => "gone",
            Self::Unwritable(_) => "unwritable",
        }
    }

    /// The reason in a sentence.
    pub fn words(&self) -> String {
        match self {
            Self::Bound(key, file) => format!("has a manifest already: {key} in {file}"),
            Self::Foreign(owner) => {
                format!("is managed by another owner, `{owner}`; a manifest here would only plan as blocked")
            }
            Self::Deleted(who) => format!("was deleted by {who}"),
            Self::Gone => "was listed, and is gone now".to_owned(),
            Self::Unwritable(why) => format!("can not be written as a manifest: {why}; please report this"),
        }
    }
}

/// A job for which no manifest was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The job's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its platform.
    pub platform: Option<Platform>,
    /// Why.
    pub reason: Reason,
}

/// What became of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Whether nothing was to be written.
    pub dry_run: bool,
    /// The manifests, by key.
    pub files: Vec<File>,
    /// The jobs without one, by id.
    pub skipped: Vec<Skipped>,
    /// Tags that the manifests name by UUID though their names are known: name by UUID.
    pub unnamed_tags: BTreeMap<String, String>,
}

/// The reasons in the order of the summary, each with its words there.
const REASONS: [(&str, &str); 5] = [
    ("bound", "with a manifest already"),
    ("foreign", "of another owner"),
    ("deleted", "deleted"),
    ("gone", "gone"),
    ("unwritable", "that no manifest can say"),
];

/// Jobs that have a manifest already and are named one by one; more are counted only, unless all are asked for.
///
/// On the second day nearly all of them are such, and they would bury what is new.
const MOST_BOUND: usize = 10;

impl Report {
    fn count(&self, reason: &str) -> usize {
        self.skipped.iter().filter(|job| job.reason.as_str() == reason).count()
    }

    /// Whether a job was left out that could not be written.
    pub fn has_failed(&self) -> bool {
        self.count("unwritable") > 0
    }
}

/// Renders what became of an import; `calls` is what it cost in words, `next` the command to run then.
pub fn text(report: &Report, calls: &str, next: &str, is_verbose: bool, layout: &Layout) -> String {
    let mut out = String::new();
    for file in &report.files {
        let (sign, key) = (layout.paint(Tone::Added, "+"), layout.paint(Tone::Strong, &file.key));
        let _ = writeln!(out, "{sign} {key}  {}  {}", job(&file.name, file.platform), clean(&file.file));
        let mut note = |words: &str, about: &[String]| {
            if !about.is_empty() {
                let line = format!("= {words}: {}", clean(&about.join("; ")));
                let _ = writeln!(out, "{}", layout.wrap(&line, 4, 6));
            }
        };
        note("left as they are live", &file.left_out);
        note("validate will warn", &file.warnings);
    }
    let is_named =
        |job: &&Skipped| job.reason.as_str() != "bound" || is_verbose || report.count("bound") <= MOST_BOUND;
    for skipped in report.skipped.iter().filter(is_named) {
        let sign = layout.paint(Tone::Changed, "!");
        let line = format!("{} {}", job(&skipped.name, skipped.platform), clean(&skipped.reason.words()));
        let _ = writeln!(out, "{sign} {}", layout.wrap(&line, 0, 4));
    }
    if !out.is_empty() {
        out.push('\n');
    }
    summary(&mut out, report, calls, layout);
    tags(&mut out, report, layout);
    if report.dry_run {
        let _ = writeln!(out, "Nothing was written. Next: the same command without --dry-run");
    } else if !report.files.is_empty() {
        let _ = writeln!(out, "Next: {next}");
    }
    out
}

fn summary(out: &mut String, report: &Report, calls: &str, layout: &Layout) {
    let verb = if report.dry_run { "to write" } else { "written" };
    let mut line = format!("{} {verb}", count(report.files.len(), "manifest"));
    if !report.skipped.is_empty() {
        let kinds = REASONS.iter().map(|(reason, words)| (report.count(reason), words));
        let kinds: Vec<String> =
            kinds.filter(|(n, _)| *n > 0).map(|(n, words)| format!("{n} {words}")).collect();
        let _ = write!(line, ", {} skipped ({})", count(report.skipped.len(), "job"), kinds.join(", "));
    }
    let head = layout.paint(Tone::Strong, "Import:");
    let _ = writeln!(out, "{head} {}", layout.wrap(&format!("{line}. {calls}."), 0, 2));
}

/// The lines that would give the tags names; the names come from a server, so each is a YAML text of its own.
fn tags(out: &mut String, report: &Report, layout: &Layout) {
    if report.unnamed_tags.is_empty() {
        return;
    }
    let n = count(report.unnamed_tags.len(), "tag");
    let verb = if report.unnamed_tags.len() == 1 { "stands" } else { "stand" };
    let words =
        format!("{n} {verb} in the manifests by UUID. These lines in patchctl.yaml let you write the names:");
    let _ = writeln!(out, "{}", layout.wrap(&words, 0, 0));
    out.push_str("tags:\n");
    let mut names: Vec<(&String, &String)> =
        report.unnamed_tags.iter().map(|(id, name)| (name, id)).collect();
    names.sort();
    for (name, id) in names {
        let _ = writeln!(out, "  {}: {id}", crate::import::emit::scalar(name, true));
    }
}

fn job(name: &str, platform: Option<Platform>) -> String {
    let platform = platform.map_or("unknown platform", Platform::as_str);
    format!("\"{}\" ({platform})", clean(name))
}

/// An import as JSON; `api` holds the calls that were made, by kind.
pub fn json(report: &Report, api: Value) -> Value {
    let platform = |platform: Option<Platform>| platform.map(Platform::as_str);
    let files = report.files.iter().map(|file| {
        json!({
            "key": file.key,
            "id": file.id,
            "name": file.name,
            "platform": platform(file.platform),
            "file": file.file,
            "left_out": file.left_out,
            "warnings": file.warnings,
        })
    });
    let skipped = report.skipped.iter().map(|job| {
        json!({
            "id": job.id,
            "name": job.name,
            "platform": platform(job.platform),
            "reason": job.reason.as_str(),
            "message": job.reason.words(),
        })
    });
    let mut counts = json!({ "files": report.files.len(), "skipped": report.skipped.len() });
    for (reason, _) in REASONS {
        counts[reason] = report.count(reason).into();
    }
    json!({
        "format_version": FORMAT_VERSION,
        "command": "import",
        "summary": counts,
        "dry_run": report.dry_run,
        "files": files.collect::<Vec<_>>(),
        "skipped": skipped.collect::<Vec<_>>(),
        "tags": report.unnamed_tags,
        "api": api,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skipped(n: u8, reason: Reason) -> Skipped {
        Skipped { id: format!("id-{n}"), name: format!("job {n}"), platform: Some(Platform::Linux), reason }
    }

    #[test]
    fn jobs_that_have_a_manifest_do_not_bury_the_others() {
        let bound = |n| skipped(n, Reason::Bound("k".to_owned(), "jobs.d/k.yaml".to_owned()));
        let mut jobs: Vec<Skipped> = (0..11).map(bound).collect();
        jobs.push(skipped(99, Reason::Foreign("them".to_owned())));
        let report = Report { skipped: jobs, ..Report::default() };
        let layout = Layout { colour: false, width: 110 };
        let short = text(&report, "no calls", "patchctl plan", false, &layout);
        assert!(!short.contains("job 3") && short.contains("job 99"), "{short}");
        assert!(short.contains(
            "0 manifests written, 12 jobs skipped (11 with a manifest already, 1 of another owner)"
        ));
        assert!(!short.contains("Next:"), "{short}");
        let long = text(&report, "no calls", "patchctl plan", true, &layout);
        assert!(long.contains("job 3"), "{long}");
    }
}
