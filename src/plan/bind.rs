//! Which live job a manifest is about (DESIGN section 3).

use std::collections::BTreeMap;

use crate::diagnostic::{Diagnostic, Diagnostics};
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
    by_name: &BTreeMap<(&str, Option<crate::job::Platform>), Vec<&str>>,
    diagnostics: &mut Diagnostics,
) -> Binding {
    let name = manifest.name().unwrap_or_default();
    match by_name.get(&(name, manifest.platform())).map(Vec::as_slice) {
        None | Some([]) => Binding::Missing,
        Some([only]) => Binding::Job((*only).to_owned()),
        Some(several) => {
            let platform = manifest.platform().map_or("", crate::job::Platform::as_str);
            let message = format!("{} live {platform} jobs have the name `{name}`", several.len());
            let diagnostic = manifest.at_member(Diagnostic::error("ambiguous-name", message), "/name");
            let help = format!("say which with `metadata.id`: {}", several.join(" or "));
            diagnostics.push(diagnostic.help(help));
            Binding::Missing
        }
    }
}
