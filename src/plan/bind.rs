//! Which live job a manifest is about (DESIGN section 3).

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::job::Platform;
use crate::manifest::{DesiredSet, Manifest};
use crate::snapshot::ListRow;

/// What a manifest is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Binding {
    /// The live job with this id.
    Job(String),
    /// No live job has this name on this platform.
    Missing,
}

impl Binding {
    /// The id of the live job, where there is one.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Job(id) => Some(id),
            Self::Missing => None,
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
    /// The declared platform.
    pub platform: Option<Platform>,
}

/// Binds manifests as [`bind`] does, from their identities alone; `None` where something is to be said of them.
pub fn bind_plainly(identities: &[Identity<'_>], rows: &[ListRow]) -> Option<Vec<Binding>> {
    let mut by_name: BTreeMap<(&str, _), Vec<&str>> = BTreeMap::new();
    for row in rows {
        by_name.entry((&row.name, row.platform)).or_default().push(&row.id);
    }
    let mut bound = BTreeSet::new();
    let mut bindings = Vec::new();
    for identity in identities {
        let found = match identity.id {
            Some(id) => Some(id),
            None => {
                match by_name.get(&(identity.name.unwrap_or_default(), identity.platform)).map(Vec::as_slice)
                {
                    None | Some([]) => None,
                    Some([only]) => Some(*only),
                    Some([..]) => return None,
                }
            }
        };
        if found.is_some_and(|id| !bound.insert(id)) {
            return None;
        }
        bindings.push(found.map_or(Binding::Missing, |id| Binding::Job(id.to_owned())));
    }
    Some(bindings)
}

/// Binds every manifest, in their order: by `metadata.id`, else by name and platform.
///
/// Two live jobs of one name, and two manifests for one live job, are errors.
pub fn bind(set: &DesiredSet, rows: &[ListRow]) -> (Vec<Binding>, Diagnostics) {
    let mut by_name: BTreeMap<(&str, _), Vec<&str>> = BTreeMap::new();
    for row in rows {
        by_name.entry((&row.name, row.platform)).or_default().push(&row.id);
    }
    let mut diagnostics = Diagnostics::new();
    let mut bindings = Vec::new();
    let mut bound: BTreeMap<String, &Manifest> = BTreeMap::new();
    for manifest in &set.manifests {
        let binding = match &manifest.id {
            Some(id) => Binding::Job(id.clone()),
            None => by_declared_name(manifest, &by_name, &mut diagnostics),
        };
        if let Binding::Job(id) = &binding
            && let Some(first) = bound.insert(id.clone(), manifest)
        {
            let message = format!("two manifests are about the live job {id}");
            let diagnostic = Diagnostic::error("duplicate-binding", message).at(manifest.place(), "this one");
            let help = "remove one of them, or bind it to another job with `metadata.id`";
            diagnostics.push(diagnostic.related(first.place(), "and this one").help(help));
        }
        bindings.push(binding);
    }
    (bindings, diagnostics)
}

fn by_declared_name(
    manifest: &Manifest,
    by_name: &BTreeMap<(&str, Option<Platform>), Vec<&str>>,
    diagnostics: &mut Diagnostics,
) -> Binding {
    let name = manifest.name().unwrap_or_default();
    match by_name.get(&(name, manifest.platform())).map(Vec::as_slice) {
        None | Some([]) => Binding::Missing,
        Some([only]) => Binding::Job((*only).to_owned()),
        Some(several) => {
            let platform = manifest.platform().map_or("", Platform::as_str);
            let message = format!("{} live {platform} jobs have the name `{name}`", several.len());
            let diagnostic = manifest.at_member(Diagnostic::error("ambiguous-name", message), "/name");
            let help = format!("say which with `metadata.id`: {}", several.join(" or "));
            diagnostics.push(diagnostic.help(help));
            Binding::Missing
        }
    }
}
