//! Which live job a manifest is about (DESIGN section 3).
//!
//! By `metadata.id`; else by name and platform; else by `metadata.previousName` and platform, which is a declared
//! rename. What finds no job here is new, unless `missing` has evidence that it is not.

use std::collections::BTreeMap;

use super::missing::Doubt;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::job::Platform;
use crate::manifest::{DesiredSet, Manifest};
use crate::snapshot::ListRow;

/// What a manifest is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Binding {
    /// The live job with this id.
    Job(String),
    /// No live job: the manifest is new.
    Missing,
    /// No live job, and there was one: nothing is made until somebody says what became of it.
    Unclear(Box<Doubt>),
}

impl Binding {
    /// The id of the live job, where there is one.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Job(id) => Some(id),
            Self::Missing | Self::Unclear(_) => None,
        }
    }
}

/// Who a manifest is about, without the manifest.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// `metadata.id`.
    pub id: Option<&'a str>,
    /// The declared name.
    pub name: Option<&'a str>,
    /// `metadata.previousName`.
    pub previous_name: Option<&'a str>,
    /// The declared platform.
    pub platform: Option<Platform>,
}

/// What there is to say of bindings; manifests are meant by their position among the identities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remark {
    /// Several live jobs have the name, or the previous name. An error.
    Ambiguous {
        /// Whose name it is.
        manifest: usize,
        /// Whether it is the previous name.
        is_previous: bool,
        /// The jobs that have it, sorted.
        ids: Vec<String>,
    },
    /// Two manifests are about one live job. An error.
    Shared {
        /// The one before.
        first: usize,
        /// The one after.
        second: usize,
        /// The live job.
        id: String,
    },
    /// The manifest is bound by its name, and a job that no manifest is about still has the previous one. A warning.
    OldNameLives {
        /// Whose previous name it is.
        manifest: usize,
        /// The job that has it.
        id: String,
    },
}

/// What all manifests together are bound to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bound {
    /// In the order of the identities.
    pub bindings: Vec<Binding>,
    /// What there is to say.
    pub remarks: Vec<Remark>,
}

/// The jobs that have a name on a platform: the first, and the others if there are any.
type Names<'a> = BTreeMap<(&'a str, Option<Platform>), (&'a str, Vec<&'a str>)>;

/// Binds manifests by their identities alone, so that ten thousand of them need not be read in full.
pub fn bind_plainly(identities: &[Identity<'_>], rows: &[ListRow]) -> Bound {
    let names = names(rows);
    let mut remarks = Vec::new();
    let mut bound: BTreeMap<&str, usize> = BTreeMap::new();
    let mut bindings = Vec::with_capacity(identities.len());
    for (manifest, identity) in identities.iter().enumerate() {
        let found = find(manifest, identity, &names, &mut remarks);
        let former = found.and_then(|id| Some((id, bound.insert(id, manifest)?)));
        if let Some((id, first)) = former {
            remarks.push(Remark::Shared { first, second: manifest, id: id.to_owned() });
        }
        bindings.push(found.map_or(Binding::Missing, |id| Binding::Job(id.to_owned())));
    }
    for (manifest, identity) in identities.iter().enumerate() {
        let (None, Some(previous)) = (identity.id, identity.previous_name) else { continue };
        let Some((first, others)) = names.get(&(previous, identity.platform)) else { continue };
        // A job that another manifest is about has the name by right.
        let unbound = std::iter::once(first).chain(others).find(|id| !bound.contains_key(**id));
        if let (Some(id), Binding::Job(_)) = (unbound, &bindings[manifest]) {
            remarks.push(Remark::OldNameLives { manifest, id: (*id).to_owned() });
        }
    }
    Bound { bindings, remarks }
}

/// The live jobs that manifests are about, by the jobs' ids: each with the position of its manifest. Of jobs that nobody
/// can tell apart by their name all count.
///
/// So a manifest may be about more than one job here, which it is bound to none of; whoever leaves alone what is
/// another's leaves all of them alone.
pub fn about<'a>(identities: &[Identity<'a>], rows: &'a [ListRow]) -> BTreeMap<&'a str, usize> {
    let names = names(rows);
    let jobs = identities.iter().enumerate();
    jobs.flat_map(|(at, identity)| found(identity, &names).0.into_iter().map(move |id| (id, at))).collect()
}

fn names(rows: &[ListRow]) -> Names<'_> {
    let mut names: Names<'_> = BTreeMap::new();
    for row in rows {
        names
            .entry((&row.name, row.platform))
            .and_modify(|(_, others)| others.push(&row.id))
            .or_insert_with(|| (&row.id, Vec::new()));
    }
    names
}

/// The jobs that an identity finds, and whether by its previous name.
fn found<'a>(identity: &Identity<'a>, names: &Names<'a>) -> (Vec<&'a str>, bool) {
    if let Some(id) = identity.id {
        return (vec![id], false);
    }
    for (name, is_previous) in [(identity.name, false), (identity.previous_name, true)] {
        if let Some((first, others)) = name.and_then(|name| names.get(&(name, identity.platform))) {
            return (std::iter::once(first).chain(others).copied().collect(), is_previous);
        }
    }
    (Vec::new(), false)
}

fn find<'a>(
    manifest: usize,
    identity: &Identity<'a>,
    names: &Names<'a>,
    remarks: &mut Vec<Remark>,
) -> Option<&'a str> {
    let (ids, is_previous) = found(identity, names);
    if let [id] = ids.as_slice() {
        return Some(id);
    }
    if !ids.is_empty() {
        let ids = ids.into_iter().map(str::to_owned).collect();
        remarks.push(Remark::Ambiguous { manifest, is_previous, ids });
    }
    None
}

impl Remark {
    /// Positions of the manifests that it is about.
    pub fn manifests(&self) -> Vec<usize> {
        match self {
            Self::Ambiguous { manifest, .. } | Self::OldNameLives { manifest, .. } => vec![*manifest],
            Self::Shared { first, second, .. } => vec![*first, *second],
        }
    }

    /// The same as a finding with its places; `manifest` gives the manifest at a position.
    pub fn finding<'m>(&self, manifest: impl Fn(usize) -> &'m Manifest) -> Diagnostic {
        match self {
            Self::Ambiguous { manifest: at, is_previous, ids } => {
                let manifest = manifest(*at);
                let platform = manifest.platform().map_or("", Platform::as_str);
                let name = if *is_previous { manifest.previous_name.as_deref() } else { manifest.name() };
                let name = name.unwrap_or_default();
                let message = format!("{} live {platform} jobs have the name `{name}`", ids.len());
                let finding = Diagnostic::error("ambiguous-name", message);
                let place = manifest.previous_name_place().filter(|_| *is_previous);
                let finding = match place {
                    Some(place) => finding.at(place, ""),
                    None => manifest.at_member(finding, "/name"),
                };
                finding.help(format!("say which with `metadata.id`: {}", ids.join(" or ")))
            }
            Self::Shared { first, second, id } => {
                let message = format!("two manifests are about the live job {id}");
                let (first, second) = (manifest(*first), manifest(*second));
                let finding = Diagnostic::error("duplicate-binding", message).at(second.place(), "this one");
                let help = "remove one of them, or bind it to another job with `metadata.id`";
                finding.related(first.place(), "and this one").help(help)
            }
            Self::OldNameLives { manifest: at, id } => {
                let manifest = manifest(*at);
                let previous = manifest.previous_name.as_deref().unwrap_or_default();
                let message = format!("another live job, {id}, still has the previous name `{previous}`");
                let finding = Diagnostic::warning("old-name-lives", message);
                let place = manifest.previous_name_place().unwrap_or_else(|| manifest.place());
                finding.at(place, "").help(
                    "this manifest is about the job of its own name; both may patch the same assets: say which is \
                     meant with `metadata.id`, or remove `metadata.previousName`",
                )
            }
        }
    }
}

/// Binds every manifest, in their order, with what is to be said of that.
pub fn bind(set: &DesiredSet, rows: &[ListRow]) -> (Vec<Binding>, Diagnostics) {
    let identities: Vec<_> = set
        .manifests
        .iter()
        .map(|manifest| Identity {
            id: manifest.id.as_deref(),
            name: manifest.name(),
            previous_name: manifest.previous_name.as_deref(),
            platform: manifest.platform(),
        })
        .collect();
    let Bound { bindings, remarks } = bind_plainly(&identities, rows);
    let mut findings = Diagnostics::new();
    for remark in &remarks {
        findings.push(remark.finding(|at| &set.manifests[at]));
    }
    (bindings, findings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rows(jobs: &[(&str, &str, &str)]) -> Vec<ListRow> {
        let row = |(id, name, platform): &(&str, &str, &str)| {
            ListRow::read(&json!({"id": id, "name": name, "platform": platform})).expect("a row")
        };
        jobs.iter().map(row).collect()
    }

    fn identity<'a>(id: Option<&'a str>, name: &'a str, previous_name: Option<&'a str>) -> Identity<'a> {
        Identity { id, name: Some(name), previous_name, platform: Some(Platform::Windows) }
    }

    /// What the manifests are bound to (`-` for nothing), and the remarks.
    #[track_caller]
    fn check(manifests: &[Identity<'_>], jobs: &[(&str, &str, &str)], ids: &[&str], remarks: &[Remark]) {
        let bound = bind_plainly(manifests, &rows(jobs));
        let found: Vec<&str> = bound.bindings.iter().map(|binding| binding.id().unwrap_or("-")).collect();
        assert_eq!(found, ids);
        assert_eq!(bound.remarks, remarks);
    }

    const JOBS: [(&str, &str, &str); 3] =
        [("1", "New", "Windows"), ("2", "Old", "Windows"), ("3", "Old", "Linux")];

    #[test]
    fn an_id_wins_over_every_name() {
        check(&[identity(Some("3"), "New", Some("Old"))], &JOBS, &["3"], &[]);
        check(&[identity(Some("gone"), "New", None)], &JOBS, &["gone"], &[]);
    }

    #[test]
    fn else_the_name_on_this_platform() {
        check(&[identity(None, "New", None)], &JOBS, &["1"], &[]);
        check(&[identity(None, "Other", None)], &JOBS, &["-"], &[]);
        check(&[identity(None, "Old", None)], &JOBS[2..], &["-"], &[]);
        check(&[identity(None, "new", None)], &JOBS, &["-"], &[]);
    }

    #[test]
    fn else_the_previous_name() {
        check(&[identity(None, "Newest", Some("New"))], &JOBS, &["1"], &[]);
        check(&[identity(None, "Newest", Some("Older"))], &JOBS, &["-"], &[]);
        check(&[identity(None, "Newest", Some("Old"))], &JOBS[2..], &["-"], &[]);
    }

    #[test]
    fn a_previous_name_left_over_is_silent_unless_a_job_still_has_it() {
        check(&[identity(None, "New", Some("Older"))], &JOBS, &["1"], &[]);
        let lives = Remark::OldNameLives { manifest: 0, id: "2".to_owned() };
        check(&[identity(None, "New", Some("Old"))], &JOBS, &["1"], &[lives]);
        // Another manifest is about that job: the name was given anew on purpose.
        check(&[identity(None, "New", Some("Old")), identity(None, "Old", None)], &JOBS, &["1", "2"], &[]);
        check(&[identity(None, "New", Some("New"))], &JOBS, &["1"], &[]);
    }

    #[test]
    fn two_manifests_for_one_job_are_an_error_in_any_order() {
        let shared = |id: &str| Remark::Shared { first: 0, second: 1, id: id.to_owned() };
        let (renamed, named) = (identity(None, "Newest", Some("Old")), identity(None, "Old", None));
        check(&[renamed, named], &JOBS, &["2", "2"], &[shared("2")]);
        check(&[named, renamed], &JOBS, &["2", "2"], &[shared("2")]);
        check(
            &[identity(Some("1"), "X", None), identity(None, "New", None)],
            &JOBS,
            &["1", "1"],
            &[shared("1")],
        );
    }

    #[test]
    fn what_others_are_about_is_told_by_id_name_and_previous_name() {
        let about = |manifests: &[Identity<'_>], jobs: &[(&str, &str, &str)], expected: &[(&str, usize)]| {
            assert_eq!(super::about(manifests, &rows(jobs)), expected.iter().copied().collect());
        };
        let renamed = identity(None, "Newest", Some("Old"));
        about(&[identity(None, "New", None), renamed], &JOBS, &[("1", 0), ("2", 1)]);
        // The name comes first, as in binding.
        about(&[identity(None, "New", Some("Old"))], &JOBS, &[("1", 0)]);
        about(&[identity(Some("9"), "New", Some("Old"))], &JOBS, &[("9", 0)]);
        about(
            &[identity(None, "A", None)],
            &[("1", "A", "Windows"), ("2", "A", "Windows")],
            &[("1", 0), ("2", 0)],
        );
    }

    #[test]
    fn a_name_of_two_jobs_binds_neither() {
        let twice = [("1", "A", "Windows"), ("2", "A", "Windows")];
        let remark = |is_previous| Remark::Ambiguous {
            manifest: 0,
            is_previous,
            ids: vec!["1".to_owned(), "2".to_owned()],
        };
        check(&[identity(None, "A", None)], &twice, &["-"], &[remark(false)]);
        check(&[identity(None, "B", Some("A"))], &twice, &["-"], &[remark(true)]);
    }
}
