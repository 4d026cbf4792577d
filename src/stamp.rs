//! The stamp: one line at the end of a job's description that says who manages it and what was applied last.
//!
//! `[patchctl:acme/windows-servers-weekly 1:9f3ac21b:77e01c44:5e6f7a8b]` is owner and key, table version, and
//! the digests of the declared spec, of the whole expected job, and of the write-only contents (DESIGN 5).
//! Nothing here decides what a stamp proves; see `origin`.

use std::fmt;

use serde_json::{Map, Value};

use crate::fingerprint;
use crate::job::{JOB, Member, Owner, TABLE_VERSION, Type};
use crate::normalise::Normalised;
use crate::script;

const START: &str = "[patchctl:";

/// What a stamp says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The repository that manages the job.
    pub owner: String,
    /// The manifest's key.
    pub key: String,
    /// Version of the member table that the digests were taken under.
    pub table_version: u32,
    /// Digest of the declared spec, status and scripts left out.
    pub declared: String,
    /// Digest of the whole settable job as expected after the write; status, stamp and scripts left out.
    pub job: String,
    /// Digest of the declared write-only contents.
    pub contents: String,
}

impl Stamp {
    /// In place of a stamp, for a write that leaves none: it undoes the one that brought the first.
    pub fn nothing() -> Self {
        Self {
            owner: String::new(),
            key: String::new(),
            table_version: TABLE_VERSION,
            declared: String::new(),
            job: String::new(),
            contents: String::new(),
        }
    }

    /// Whether it stands for no stamp.
    pub fn is_nothing(&self) -> bool {
        self.owner.is_empty()
    }

    /// The part that is about what was applied: table version and digests.
    pub fn digests(&self) -> String {
        let Self { owner: _, key: _, table_version, declared, job, contents } = self;
        format!("{table_version}:{declared}:{job}:{contents}")
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{START}{}/{} {}]", self.owner, self.key, self.digests())
    }
}

/// What was found at the end of a description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// No stamp.
    None,
    /// Something that begins like a stamp and can not be read; it proves nothing.
    Damaged,
    /// A stamp.
    Stamp(Stamp),
}

impl Found {
    /// The stamp as it stands in a description; `None` where there is none that can be read.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::None | Self::Damaged => None,
            Self::Stamp(stamp) => Some(stamp.to_string()),
        }
    }
}

/// Parts a description into what people wrote and the stamp at its end.
///
/// Blanks and line ends at the end of the text are no part of it: a stamp is put behind them and they could not be
/// told from our own line end afterwards. Several stamps in a row prove nothing.
pub fn split(description: &str) -> (&str, Found) {
    let (mut text, mut found) = split_last(description);
    while found != Found::None {
        let (before, another) = split_last(text);
        if another == Found::None {
            break;
        }
        (text, found) = (before, Found::Damaged);
    }
    (text, found)
}

fn split_last(description: &str) -> (&str, Found) {
    let trimmed = description.trim_end();
    let Some(at) = trimmed.rfind(START) else {
        return (trimmed, Found::None);
    };
    let line = &trimmed[at..];
    // A stamp is the last thing in the text and stands in one line: anything else is people's own writing.
    if line.contains('\n') || line.find(']').is_some_and(|end| end + 1 != line.len()) {
        return (trimmed, Found::None);
    }
    (trimmed[..at].trim_end(), parse(line).map_or(Found::Damaged, Found::Stamp))
}

fn parse(line: &str) -> Option<Stamp> {
    let inner = line.strip_prefix(START)?.strip_suffix(']')?;
    let (identity, digests) = inner.split_once(' ')?;
    let (owner, key) = identity.rsplit_once('/')?;
    let mut parts = digests.split(':');
    let table_version = parts.next()?.parse().ok()?;
    let mut digest = || {
        let part = parts.next()?;
        let good = part.len() == 8 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        good.then(|| part.to_owned())
    };
    let stamp = Stamp {
        owner: owner.to_owned(),
        key: key.to_owned(),
        table_version,
        declared: digest()?,
        job: digest()?,
        contents: digest()?,
    };
    (parts.next().is_none() && !stamp.owner.is_empty() && !stamp.key.is_empty()).then_some(stamp)
}

/// The owners of everything in a description that begins like a stamp, wherever it stands and however damaged it is.
///
/// What a stamp proves is another matter: this is for leaving alone what somebody else manages, also where a newer
/// build of theirs wrote more, or a person wrote behind it.
pub fn owners(description: &str) -> impl Iterator<Item = &str> {
    description.split(START).skip(1).filter_map(|rest| {
        let identity = rest.split(|c: char| c.is_whitespace() || c == ']').next().unwrap_or_default();
        identity.rsplit_once('/').map(|(owner, _)| owner).filter(|owner| !owner.is_empty())
    })
}

/// Whether a text holds something that begins like a stamp, wherever it stands: no manifest may say that by itself.
pub fn is_in(text: &str) -> bool {
    text.to_ascii_lowercase().contains(START)
}

/// Puts a stamp at the end of a description.
pub fn join(text: Option<&str>, stamp: &Stamp) -> String {
    match text {
        text if stamp.is_nothing() => text.unwrap_or_default().to_owned(),
        None | Some("") => stamp.to_string(),
        Some(text) => format!("{text}\n{stamp}"),
    }
}

/// The stamp that a write of this manifest leaves on the job.
pub fn expected(owner: &str, key: &str, declared: &Map<String, Value>, job: &Normalised) -> Stamp {
    Stamp {
        owner: owner.to_owned(),
        key: key.to_owned(),
        table_version: TABLE_VERSION,
        declared: declared_digest(declared),
        job: job_digest(job),
        contents: contents_digest(declared),
    }
}

/// Digest of what a manifest declares, without the contents of scripts, and without the status: that is changed by a
/// call of its own, which can not write a stamp.
pub fn declared_digest(declared: &Map<String, Value>) -> String {
    let keep = |member: &Member| !matches!(member.owner, Owner::WriteOnly | Owner::Status);
    fingerprint::short(&Value::Object(select(JOB, declared, &keep)))
}

/// Digest of all members that people settle, without status and the contents of scripts.
///
/// Members whose owner is not known are left out: the server may change them by itself.
pub fn job_digest(job: &Normalised) -> String {
    let keep = |member: &Member| match member.owner {
        // The id of a new action is made by the server, so it can not be known before the write.
        Owner::User => member.name != "actionId",
        Owner::UserAtCreation => true,
        Owner::Status | Owner::WriteOnly | Owner::Server | Owner::Unknown => false,
    };
    let mut members = select(JOB, job.members(), &keep);
    // The server fills in the zone of an On-demand job by itself, and when it does so is not known before a write.
    if job.schedule_type() == Some("On-demand") {
        members.shift_remove("timezoneType");
        members.shift_remove("timezone");
    }
    fingerprint::short(&Value::Object(members))
}

/// Digest of the declared scripts, each with the action it belongs to.
pub fn contents_digest(declared: &Map<String, Value>) -> String {
    let mut contents = Vec::new();
    for member in JOB {
        let (Type::List(rows, _), Some(Value::Array(actions))) = (member.kind, declared.get(member.name))
        else {
            continue;
        };
        for action in actions {
            for row in rows.iter().filter(|row| row.owner == Owner::WriteOnly) {
                if let Some(digest) = action.get(row.name).and_then(script::declared_digest) {
                    contents.push(format!("{} {} {} {digest}", member.name, identity(action), row.name));
                }
            }
        }
    }
    contents.sort();
    fingerprint::short(&contents.into())
}

/// What tells an action from the others of its list when no id is given: its kind and display name.
fn identity(action: &Value) -> String {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    format!("{}/{}", text(action.get("action")), text(action.pointer("/params/actionItem")))
}

/// Copies the known members that are wanted; members that the table does not know prove nothing and are left out.
fn select(
    rows: &'static [Member],
    members: &Map<String, Value>,
    keep: &dyn Fn(&Member) -> bool,
) -> Map<String, Value> {
    let mut selected = Map::new();
    for row in rows.iter().filter(|row| keep(row)) {
        let value = match (row.kind, members.get(row.name)) {
            (_, None) => continue,
            (Type::Object(rows), Some(Value::Object(inner))) => Value::Object(select(rows, inner, keep)),
            (Type::List(rows, _), Some(Value::Array(items))) => items
                .iter()
                .map(|item| match item {
                    Value::Object(inner) => Value::Object(select(rows, inner, keep)),
                    other => other.clone(),
                })
                .collect(),
            (_, Some(value)) => value.clone(),
        };
        selected.insert(row.name.to_owned(), value);
    }
    selected
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "[patchctl:acme/windows-servers-weekly 1:9f3ac21b:77e01c44:5e6f7a8b]";

    #[track_caller]
    fn check(description: &str, text: &str, stamped: Option<bool>) {
        let (found_text, found) = split(description);
        assert_eq!(found_text, text);
        let found = match found {
            Found::None => None,
            Found::Damaged => Some(false),
            Found::Stamp(stamp) => {
                assert_eq!(stamp.to_string(), LINE);
                Some(true)
            }
        };
        assert_eq!(found, stamped);
    }

    #[test]
    fn a_stamp_is_found_at_the_end_only_and_taken_off() {
        check("", "", None);
        check("for people", "for people", None);
        check(LINE, "", Some(true));
        check(&format!("for people\n{LINE}"), "for people", Some(true));
        check(&format!("for people\r\n{LINE}\n "), "for people", Some(true));
        check(&format!("for people {LINE}"), "for people", Some(true));
        let quoted = format!("{LINE} was here before");
        check(&quoted, &quoted, None);
        check("note\n[patchctl:acme/windows", "note", Some(false));
        check("note\n[patchctl:acme/x 1:zz:77e01c44:5e6f7a8b]", "note", Some(false));
        check("[patchctl:a\nb", "[patchctl:a\nb", None);
        check("for people\n", "for people", None);
        check(&format!("for people\n\n{LINE}"), "for people", Some(true));
        check(&format!("for people\n{LINE}\n{LINE}"), "for people", Some(false));
    }

    #[test]
    fn owners_are_found_in_whatever_is_left_of_a_stamp() {
        for text in
            [LINE, "a\n[patchctl:acme/k 2:00:00:00:00]\nlater", "[patchctl:acme/k", "[patchctl:acme/k zz] x"]
        {
            assert_eq!(owners(text).collect::<Vec<_>>(), ["acme"], "{text}");
        }
        assert_eq!(owners("[patchctl:a/k 1:x] [patchctl:b/k 1:y]").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(owners("no [patchctl: stamp").count(), 0);
    }

    #[test]
    fn joining_and_splitting_are_inverse() {
        let (_, Found::Stamp(stamp)) = split(LINE) else { panic!("a stamp") };
        assert_eq!((stamp.owner.as_str(), stamp.key.as_str()), ("acme", "windows-servers-weekly"));
        for text in ["", "one", "one\ntwo"] {
            assert_eq!(split(&join(Some(text), &stamp)), (text, Found::Stamp(stamp.clone())));
        }
    }
}
