//! What `accept` writes into manifests, as text for people and as JSON.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use similar::TextDiff;

use super::json::FORMAT_VERSION;
use super::text::{self, Layout, Tone, clean, count, dotted};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::plan::Origin;
use crate::snapshot::Edit;
use crate::source::Place;

/// One difference.
#[derive(Clone, Debug)]
pub struct Member {
    /// The manifest's key.
    pub key: String,
    /// The live job's id.
    pub id: String,
    /// The live job's name.
    pub name: String,
    /// JSON Pointer from the job's root.
    pub path: String,
    /// What the manifest says, canonical.
    pub was: Value,
    /// What is live, canonical.
    pub is: Value,
    /// Where the difference came from.
    pub origin: Origin,
    /// Who edited the live job last.
    pub edited: Option<Edit>,
    /// Where the member is declared.
    pub place: Option<Place>,
}

/// A file and its text afterwards.
#[derive(Clone, Debug)]
pub struct File {
    /// As messages show it.
    pub path: String,
    /// The text that is there.
    pub before: String,
    /// The text that is to be there.
    pub after: String,
    /// Whether it was written.
    pub is_written: bool,
    /// Why it could not be written.
    pub error: Option<String>,
}

/// What `accept` came to.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Whether nothing was to be written.
    pub dry_run: bool,
    /// The differences whose live value goes into the manifests.
    pub accepted: Vec<Member>,
    /// Those that were asked for and do not, with the reason.
    pub refused: Vec<(Option<Member>, Diagnostic)>,
    /// Those that were not asked for, with what to do about them.
    pub left: Vec<(Member, String)>,
    /// The files that change.
    pub files: Vec<File>,
}

impl Report {
    /// The findings of what was refused, each said once.
    pub fn findings(&self) -> Diagnostics {
        let mut findings = Diagnostics::new();
        let mut seen: Vec<&Diagnostic> = Vec::new();
        for (_, finding) in &self.refused {
            if !seen.contains(&finding) {
                seen.push(finding);
                findings.push(finding.clone());
            }
        }
        findings.sort();
        findings
    }
}

/// The change of a file as Git shows it, three lines around each piece.
pub fn unified(file: &File) -> String {
    let diff = TextDiff::from_lines(&file.before, &file.after);
    let (a, b) = (format!("a/{}", file.path), format!("b/{}", file.path));
    diff.unified_diff().context_radius(3).header(&a, &b).to_string()
}

/// The changes of all files, then each difference in words.
pub fn text(report: &Report, layout: &Layout) -> String {
    let mut out = String::new();
    for file in &report.files {
        for line in unified(file).lines() {
            let tone = match line.as_bytes().first() {
                _ if line.starts_with("+++") || line.starts_with("---") => Some(Tone::Strong),
                Some(b'+') => Some(Tone::Added),
                Some(b'-') => Some(Tone::Removed),
                Some(b'@') => Some(Tone::Faint),
                _ => None,
            };
            let line = clean(line.trim_end_matches('\r')).replace("\\t", "\t");
            let _ = writeln!(out, "{}", tone.map_or(line.clone(), |tone| layout.paint(tone, &line)));
        }
        out.push('\n');
    }
    members(&mut out, report, layout);
    out
}

fn members(out: &mut String, report: &Report, layout: &Layout) {
    let mut before = "";
    for member in &report.accepted {
        if member.key != before {
            let name = format!("\"{}\"", clean(&member.name));
            let line = format!("{name}; {}", by(member.edited.as_ref()));
            let _ = writeln!(out, "{}  {}", layout.paint(Tone::Strong, &member.key), clean(&line));
            before = &member.key;
        }
        let (was, is) = (text::value(&member.was), text::value(&member.is));
        let line = format!("{}: {was} -> {is}  ({})", dotted(&member.path), member.origin.as_str());
        let _ = writeln!(out, "  {} {}", layout.paint(Tone::Changed, "~"), layout.wrap(&line, 0, 6));
    }
    if !report.accepted.is_empty() {
        out.push('\n');
    }
    for (member, why) in &report.left {
        let line = format!("{} {}: left, {why}", member.key, dotted(&member.path));
        let _ = writeln!(out, "{} {}", layout.paint(Tone::Faint, "="), layout.wrap(&line, 0, 4));
    }
    if !report.left.is_empty() {
        out.push('\n');
    }
}

/// Who edited a job last, and when.
fn by(edit: Option<&Edit>) -> String {
    let user = edit.and_then(|edit| edit.user.clone()).unwrap_or_else(|| "an unknown user".to_owned());
    let at = edit.and_then(|edit| edit.at).and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
    let at = at.map_or(String::new(), |at| format!(" on {}", at.strftime("%Y-%m-%d at %H:%M UTC")));
    format!("edited last by {user}{at}")
}

/// The last line; `calls` is what it cost in words, `next` what to do then.
pub fn summary(report: &Report, calls: &str, next: Option<&str>, layout: &Layout) -> String {
    let n_written = report.files.iter().filter(|file| file.is_written).count();
    let (n, files) = (report.accepted.len(), report.files.len());
    let mut line = match (n, n_written, report.dry_run) {
        (0, ..) => "nothing to accept".to_owned(),
        (_, _, true) => format!("{} to be written into {}", count(n, "live value"), count(files, "file")),
        _ if n_written == files => {
            format!("{} written into {}", count(n, "live value"), count(files, "file"))
        }
        _ => format!("{n_written} of {} written", count(files, "file")),
    };
    if !report.refused.is_empty() {
        let _ = write!(line, ", {} refused", report.refused.len());
    }
    if !report.left.is_empty() {
        let _ = write!(line, ", {} left", count(report.left.len(), "difference"));
    }
    let head = layout.paint(Tone::Strong, "Accept:");
    let mut out = format!("{head} {}\n", layout.wrap(&format!("{line}. {calls}."), 0, 2));
    if let Some(next) = next {
        let _ = writeln!(out, "{next}");
    }
    out
}

/// The same for programs; `api` holds the calls that were made, by kind.
pub fn json(report: &Report, api: Value) -> Value {
    let refused = report.refused.iter().map(|(about, finding)| {
        let mut members = about.as_ref().map_or_else(Map::new, member);
        members.insert("code".to_owned(), finding.code.into());
        members.insert("message".to_owned(), finding.message.as_str().into());
        members.insert("help".to_owned(), finding.help.clone().into());
        if let Some(at) = &finding.place {
            members.insert("source".to_owned(), place(at));
        }
        Value::Object(members)
    });
    let left = report.left.iter().map(|(left, why)| {
        let mut members = member(left);
        members.insert("reason".to_owned(), why.as_str().into());
        Value::Object(members)
    });
    let files = report.files.iter().map(|file| {
        json!({
            "file": file.path, "diff": unified(file), "written": file.is_written, "error": file.error,
        })
    });
    json!({
        "format_version": FORMAT_VERSION,
        "command": "accept",
        "summary": {
            "accepted": report.accepted.len(),
            "refused": report.refused.len(),
            "left": report.left.len(),
            "files": report.files.len(),
            "written": report.files.iter().filter(|file| file.is_written).count(),
        },
        "dry_run": report.dry_run,
        "accepted": report.accepted.iter().map(|one| Value::Object(member(one))).collect::<Vec<_>>(),
        "refused": refused.collect::<Vec<_>>(),
        "left": left.collect::<Vec<_>>(),
        "files": files.collect::<Vec<_>>(),
        "api": api,
    })
}

fn member(one: &Member) -> Map<String, Value> {
    let at = one.edited.as_ref().and_then(|edit| edit.at);
    let at = at.and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
    let by = one.edited.as_ref().map(|edit| json!({"id": edit.user_id, "name": edit.user}));
    let members = [
        ("key", one.key.as_str().into()),
        ("id", one.id.as_str().into()),
        ("name", one.name.as_str().into()),
        ("path", one.path.as_str().into()),
        ("was", one.was.clone()),
        ("is", one.is.clone()),
        ("origin", one.origin.as_str().into()),
        ("changed_by", by.unwrap_or(Value::Null)),
        ("changed_at", at.map_or(Value::Null, |at| at.to_string().into())),
        ("source", one.place.as_ref().map_or(Value::Null, place)),
    ];
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn place(place: &Place) -> Value {
    let (line, column) = place.line_column();
    json!({"file": place.file.path, "line": line, "column": column})
}
