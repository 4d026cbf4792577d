//! Manifests that find no live job: new ones, and those whose job vanished or was renamed (DESIGN section 3).
//!
//! Two jobs that patch the same servers is the accident to prevent. So where there is evidence that the manifest had
//! a job before, nothing is made until somebody says what became of it.

use super::bind::Identity;
use super::job::step;
use super::{Action, Change};
use crate::bindings::{BoundJob, SentCreate};
use crate::job::Platform;
use crate::manifest::Manifest;
use crate::snapshot::ListRow;

/// Who is known to have edited a job last, and when: login name, milliseconds since 1970-01-01 UTC.
pub type LastEdit = (Option<String>, Option<i64>);

/// Why a manifest without a live job is not taken for a new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The live job has another name than it had, and the manifest has not.
    RenamedLive {
        /// The live job.
        id: String,
        /// Its former name, which the manifest has.
        before: String,
        /// Its name.
        now: String,
        /// Its last edit, most likely that one.
        edit: LastEdit,
    },
    /// The manifest has another name than it had, and the live job has not.
    RenamedInGit {
        /// The live job; `None` where several have the former name.
        id: Option<String>,
        /// The former name, which the live job has.
        before: String,
    },
    /// Both have another name than they had.
    RenamedInBoth {
        /// The live job.
        id: String,
        /// The name that both had.
        before: String,
        /// The live job's name.
        now: String,
        /// Its last edit, most likely that one.
        edit: LastEdit,
    },
    /// The live job is not among those that this login sees.
    Vanished {
        /// The live job, where its id is known.
        id: Option<String>,
        /// How it is known that there was one.
        evidence: Witness,
    },
    /// The manifest was about a job of another platform.
    OtherPlatform {
        /// That platform, in the API's spelling.
        before: String,
    },
    /// A create was sent, and it is not known whether it made a job.
    CreateUnsettled {
        /// The name that was sent.
        name: String,
        /// When, RFC 3339.
        sent: String,
        /// A live job that has this name by now.
        found: Option<String>,
    },
}

/// How it is known that a manifest had a live job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Witness {
    /// An earlier run saw it.
    Seen {
        /// When, RFC 3339.
        at: String,
    },
    /// The manifest was there already at the base.
    Base {
        /// The commit, shortened.
        commit: String,
        /// `file:line` of the manifest as it stood then.
        place: String,
    },
}

/// A manifest as it stood at the base, as far as it says who it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// `metadata.id`.
    pub id: Option<String>,
    /// The declared name.
    pub name: Option<String>,
    /// The declared platform.
    pub platform: Option<Platform>,
    /// The commit, shortened.
    pub commit: String,
    /// `file:line`.
    pub place: String,
}

/// What is known of a manifest's past.
#[derive(Clone, Copy, Debug, Default)]
pub struct Past<'a> {
    /// The job that an earlier run bound it to.
    pub bound: Option<&'a BoundJob>,
    /// A create whose fate is not known.
    pub create: Option<&'a SentCreate>,
    /// The manifest as it stood at the base.
    pub base: Option<&'a Declared>,
}

/// Judges a manifest that found no live job; `None` where it is new.
///
/// `rows` are sorted by id; `is_managed` says whether a manifest is bound to a job.
pub fn doubt(
    identity: &Identity<'_>,
    past: Past<'_>,
    rows: &[ListRow],
    is_managed: &dyn Fn(&str) -> bool,
) -> Option<Doubt> {
    if let Some(create) = past.create {
        let found = rows.iter().find(|row| {
            row.name == create.name && row.platform.map(Platform::as_str) == create.platform.as_deref()
        });
        // What another manifest is about by now was not lost.
        if !found.is_some_and(|row| is_managed(&row.id)) {
            return Some(Doubt::CreateUnsettled {
                name: create.name.clone(),
                sent: create.sent.clone(),
                found: found.map(|row| row.id.clone()),
            });
        }
    }
    if let Some(bound) = past.bound {
        let before = Before {
            id: Some(&bound.id),
            name: Some(&bound.name),
            platform: bound.platform.as_deref(),
            evidence: Witness::Seen { at: bound.seen.clone() },
        };
        return before.doubt(identity, rows, is_managed);
    }
    let base = past.base?;
    let before = Before {
        id: base.id.as_deref(),
        name: base.name.as_deref(),
        platform: base.platform.map(Platform::as_str),
        evidence: Witness::Base { commit: base.commit.clone(), place: base.place.clone() },
    };
    before.doubt(identity, rows, is_managed)
}

/// Who a manifest was about.
struct Before<'a> {
    id: Option<&'a str>,
    name: Option<&'a str>,
    platform: Option<&'a str>,
    evidence: Witness,
}

impl Before<'_> {
    fn doubt(
        self,
        identity: &Identity<'_>,
        rows: &[ListRow],
        is_managed: &dyn Fn(&str) -> bool,
    ) -> Option<Doubt> {
        if self.id.is_some_and(is_managed) {
            // The key was given to another job, and the former one is in good hands.
            return None;
        }
        if let (Some(before), Some(now)) = (self.platform, identity.platform)
            && before != now.as_str()
        {
            return Some(Doubt::OtherPlatform { before: before.to_owned() });
        }
        let vanished = |id: Option<&str>| {
            Some(Doubt::Vanished { id: id.map(str::to_owned), evidence: self.evidence.clone() })
        };
        match (self.id, self.name) {
            (Some(id), name) => {
                let at = rows.binary_search_by(|row| row.id.as_str().cmp(id)).ok();
                let Some(row) = at.map(|at| &rows[at]) else { return vanished(Some(id)) };
                let before = name.unwrap_or(&row.name).to_owned();
                let edit = (row.updated_by.clone(), row.updated_at);
                let (id, now) = (row.id.clone(), row.name.clone());
                Some(if row.name == before {
                    Doubt::RenamedInGit { id: Some(id), before }
                } else if identity.name == Some(&before) {
                    Doubt::RenamedLive { id, before, now, edit }
                } else {
                    Doubt::RenamedInBoth { id, before, now, edit }
                })
            }
            (None, Some(name)) => {
                let named: Vec<&ListRow> =
                    rows.iter().filter(|row| row.name == name && row.platform == identity.platform).collect();
                match named.as_slice() {
                    [] => vanished(None),
                    several if several.iter().all(|row| is_managed(&row.id)) => None,
                    [only] => {
                        Some(Doubt::RenamedInGit { id: Some(only.id.clone()), before: name.to_owned() })
                    }
                    [..] => Some(Doubt::RenamedInGit { id: None, before: name.to_owned() }),
                }
            }
            (None, None) => vanished(None),
        }
    }
}

/// The step of a manifest that is in doubt: nothing, with the reason and every way out.
pub(super) fn blocked(manifest: &Manifest, doubt: &Doubt) -> Change {
    let key = &manifest.key;
    let name = manifest.name().unwrap_or_default();
    let anew = format!("--allow-create {key} makes another job");
    let (id, reason, help) = match doubt {
        Doubt::RenamedLive { id, before, now, edit } => (
            Some(id),
            format!("the live job {id} was renamed in the console from `{before}` to `{now}`{}", words(edit)),
            format!(
                "take the name over into `spec.name`, or set `metadata.id: {id}` to have it renamed back; {anew}"
            ),
        ),
        Doubt::RenamedInGit { id, before } => (
            id.as_ref(),
            format!("the manifest's name changed from `{before}` to `{name}`"),
            match id {
                Some(id) => format!(
                    "to rename the live job declare `metadata.previousName: {before}` or `metadata.id: {id}`; {anew}"
                ),
                None => format!(
                    "several live jobs have the former name: say with `metadata.id` which is renamed; {anew}"
                ),
            },
        ),
        Doubt::RenamedInBoth { id, before, now, edit } => (
            Some(id),
            format!(
                "the live job {id} was renamed in the console from `{before}` to `{now}`{}, and the manifest's \
                 name changed to `{name}`",
                words(edit)
            ),
            format!("set `metadata.id: {id}` to have it renamed to `{name}`; {anew}"),
        ),
        Doubt::Vanished { id, evidence } => {
            let (what, whose) = match id {
                Some(id) => (
                    format!("the live job {id} vanished: it was deleted, or is out of this login's scope"),
                    "say with `metadata.id` if another job stands for it",
                ),
                None => (
                    "the live job of this name vanished: it was deleted or renamed, or is out of this login's \
                     scope"
                        .to_owned(),
                    "if it lives on under another name, say so with `metadata.id` or `metadata.previousName`",
                ),
            };
            let how = match evidence {
                Witness::Seen { at } => format!("an earlier run saw it, last on {}", day_and_time(at)),
                Witness::Base { commit, place } => {
                    format!("the manifest was there at {commit} already ({place})")
                }
            };
            (id.as_ref(), format!("{what}; {how}"), format!("{whose}; if it is gone for good, {anew}"))
        }
        Doubt::OtherPlatform { before } => (
            None,
            format!(
                "the manifest was about a {before} job, and says {} now",
                manifest.platform().map_or("nothing", Platform::as_str)
            ),
            format!(
                "`platform` is fixed when a job is made; give the new job a key of its own. {anew} under this key"
            ),
        ),
        Doubt::CreateUnsettled { name, sent, found } => {
            let at = day_and_time(sent);
            match found {
                Some(id) => (
                    Some(id),
                    format!("a create of `{name}` was sent on {at}, and the live job {id} has that name"),
                    format!("say that it is the one with `metadata.id: {id}`; {anew}"),
                ),
                None => (
                    None,
                    format!("a create of `{name}` was sent on {at} without an answer, and may still appear"),
                    format!("run plan again later; if it surely was not made, {anew}"),
                ),
            }
        }
    };
    let mut change = step(manifest, id.map(String::as_str), Action::Blocked, reason);
    change.notes.push(help);
    change
}

/// Who edited last and when, as the end of a sentence; empty where nothing is known.
fn words((who, at): &LastEdit) -> String {
    let at = at.and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
    let at = at.map_or(String::new(), |at| format!(" on {}", at.strftime("%Y-%m-%d at %H:%M UTC")));
    match who {
        Some(who) => format!(" (last edit by {who}{at})"),
        None if at.is_empty() => String::new(),
        None => format!(" (last edit{at})"),
    }
}

/// A time as messages show it; what is no time is shown as it is.
fn day_and_time(rfc3339: &str) -> String {
    let at = rfc3339.parse::<jiff::Timestamp>();
    at.map_or_else(|_| rfc3339.to_owned(), |at| at.strftime("%Y-%m-%d at %H:%M UTC").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SEEN: &str = "2026-11-20T10:00:00Z";

    fn rows(jobs: &[(&str, &str)]) -> Vec<ListRow> {
        let row = |(id, name): &(&str, &str)| {
            let row = json!({"id": id, "name": name, "platform": "Windows",
                "updated": {"user": {"name": "anna.k"}, "date": 0}});
            ListRow::read(&row).expect("a row")
        };
        jobs.iter().map(row).collect()
    }

    fn bound(id: &str, name: &str) -> BoundJob {
        BoundJob {
            id: id.to_owned(),
            name: name.to_owned(),
            platform: Some("Windows".to_owned()),
            protect: false,
            seen: SEEN.to_owned(),
        }
    }

    fn declared(id: Option<&str>, name: &str) -> Declared {
        Declared {
            id: id.map(str::to_owned),
            name: Some(name.to_owned()),
            platform: Some(Platform::Windows),
            commit: "0123456".to_owned(),
            place: "a.yaml:4".to_owned(),
        }
    }

    /// The manifest is called `N` now, and the job `9` is bound to another one.
    #[track_caller]
    fn check(past: Past<'_>, jobs: &[(&str, &str)], expected: Option<Doubt>) {
        let identity =
            Identity { id: None, name: Some("N"), previous_name: None, platform: Some(Platform::Windows) };
        assert_eq!(doubt(&identity, past, &rows(jobs), &|id| id == "9"), expected);
    }

    fn edit() -> LastEdit {
        (Some("anna.k".to_owned()), Some(0))
    }

    #[test]
    fn what_nobody_knows_is_new() {
        check(Past::default(), &[("1", "A")], None);
    }

    #[test]
    fn a_job_under_another_name_was_renamed_by_whoever_has_the_new_one() {
        let past = bound("1", "N");
        let past = Past { bound: Some(&past), ..Past::default() };
        let (id, before, now) = ("1".to_owned(), "N".to_owned(), "B".to_owned());
        check(past, &[("1", "B")], Some(Doubt::RenamedLive { id, before, now, edit: edit() }));

        let past = bound("1", "A");
        let past = Past { bound: Some(&past), ..Past::default() };
        let (id, before) = ("1".to_owned(), "A".to_owned());
        check(
            past,
            &[("1", "A")],
            Some(Doubt::RenamedInGit { id: Some(id.clone()), before: before.clone() }),
        );
        let now = "B".to_owned();
        check(past, &[("1", "B")], Some(Doubt::RenamedInBoth { id, before, now, edit: edit() }));
    }

    #[test]
    fn a_job_that_is_not_listed_vanished() {
        let past = bound("1", "N");
        let evidence = Witness::Seen { at: SEEN.to_owned() };
        let expected = Doubt::Vanished { id: Some("1".to_owned()), evidence };
        check(Past { bound: Some(&past), ..Past::default() }, &[("2", "A")], Some(expected));
    }

    #[test]
    fn a_key_whose_former_job_another_manifest_is_about_is_new() {
        let past = bound("9", "N");
        check(Past { bound: Some(&past), ..Past::default() }, &[("9", "B")], None);
        let base = declared(None, "B");
        check(Past { base: Some(&base), ..Past::default() }, &[("9", "B")], None);
        let base = declared(Some("9"), "B");
        check(Past { base: Some(&base), ..Past::default() }, &[], None);
    }

    #[test]
    fn the_base_alone_is_evidence_too() {
        let evidence = Witness::Base { commit: "0123456".to_owned(), place: "a.yaml:4".to_owned() };
        let base = declared(None, "N");
        let past = Past { base: Some(&base), ..Past::default() };
        check(past, &[("1", "A")], Some(Doubt::Vanished { id: None, evidence: evidence.clone() }));

        let base = declared(None, "A");
        let past = Past { base: Some(&base), ..Past::default() };
        let renamed =
            |id: Option<&str>| Doubt::RenamedInGit { id: id.map(str::to_owned), before: "A".to_owned() };
        check(past, &[("1", "A")], Some(renamed(Some("1"))));
        check(past, &[("1", "A"), ("2", "A")], Some(renamed(None)));
        check(past, &[("1", "B")], Some(Doubt::Vanished { id: None, evidence: evidence.clone() }));

        let base = declared(Some("1"), "A");
        let past = Past { base: Some(&base), ..Past::default() };
        check(past, &[("1", "A")], Some(renamed(Some("1"))));
        check(past, &[("2", "A")], Some(Doubt::Vanished { id: Some("1".to_owned()), evidence }));
    }

    #[test]
    fn what_an_earlier_run_saw_weighs_more_than_the_base() {
        let (past, base) = (bound("1", "A"), declared(None, "N"));
        let past = Past { bound: Some(&past), base: Some(&base), ..Past::default() };
        let expected = Doubt::RenamedInGit { id: Some("1".to_owned()), before: "A".to_owned() };
        check(past, &[("1", "A")], Some(expected));
    }

    #[test]
    fn another_platform_is_another_job() {
        let past = BoundJob { platform: Some("Linux".to_owned()), ..bound("1", "N") };
        let expected = Doubt::OtherPlatform { before: "Linux".to_owned() };
        check(Past { bound: Some(&past), ..Past::default() }, &[], Some(expected));
    }

    #[test]
    fn a_create_that_may_still_appear_comes_first() {
        let create =
            SentCreate { name: "N".to_owned(), platform: Some("Windows".to_owned()), sent: SEEN.to_owned() };
        let former = bound("1", "A");
        let past = Past { create: Some(&create), bound: Some(&former), ..Past::default() };
        let expected = |found: Option<&str>| Doubt::CreateUnsettled {
            name: "N".to_owned(),
            sent: SEEN.to_owned(),
            found: found.map(str::to_owned),
        };
        check(past, &[("1", "A")], Some(expected(None)));
        check(past, &[("2", "N")], Some(expected(Some("2"))));
        let past = Past { bound: None, ..past };
        check(past, &[("9", "N")], None);
    }
}
