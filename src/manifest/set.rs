//! All manifests of a repository, and what they may not do together.

use std::collections::BTreeMap;

use super::{Manifest, Parsed, links};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::job::Platform;
use crate::script::Scripts;

/// The declared jobs by key, with the contents of their scripts.
#[derive(Debug, Default)]
pub struct DesiredSet {
    /// Sorted by key.
    pub manifests: Vec<Manifest>,
    /// The contents of all scripts.
    pub scripts: Scripts,
}

impl DesiredSet {
    /// Joins what the files declare; two manifests with one key, or bound to one live job, and links that lead
    /// nowhere or round in a circle, are errors.
    pub fn join(files: impl IntoIterator<Item = Parsed>) -> (Self, Diagnostics) {
        let mut set = Self::default();
        let mut diagnostics = Diagnostics::new();
        for file in files {
            set.manifests.extend(file.manifests);
            set.scripts.extend(file.scripts);
            diagnostics.append(file.diagnostics);
        }
        // By place first, so that of two with one key the later one is the one at fault.
        set.manifests.sort_by_cached_key(|manifest| (manifest.key.clone(), manifest.place()));
        let is_whole = !diagnostics.has_errors();
        set.check_unique(&mut diagnostics);
        links::check(&set.manifests, is_whole, &mut diagnostics);
        (set, diagnostics)
    }

    fn check_unique(&self, diagnostics: &mut Diagnostics) {
        let mut keys: BTreeMap<&str, &Manifest> = BTreeMap::new();
        let mut ids: BTreeMap<&str, &Manifest> = BTreeMap::new();
        let mut names: BTreeMap<(Platform, &str), &Manifest> = BTreeMap::new();
        let mut previous: BTreeMap<(Platform, &str), &Manifest> = BTreeMap::new();
        for manifest in &self.manifests {
            if let Some(first) = keys.insert(&manifest.key, manifest) {
                let message = format!("the key `{}` is used twice", manifest.key);
                let diagnostic =
                    Diagnostic::error("duplicate-manifest-key", message).at(manifest.place(), "again here");
                let help = "a key names one job of the repository; choose another";
                diagnostics.push(diagnostic.related(first.place(), "first used here").help(help));
            }
            if let (Some(id), Some(place)) = (&manifest.id, manifest.id_place())
                && let Some(first) = ids.insert(id, manifest)
            {
                let message = format!("two manifests are bound to the live job {id}");
                let diagnostic = Diagnostic::error("duplicate-id", message).at(place, "again here");
                let first = first.id_place().unwrap_or_else(|| first.place());
                diagnostics.push(diagnostic.related(first, "first bound here"));
            }
            if let (Some(platform), Some(name)) = (manifest.platform(), manifest.name())
                && let Some(first) = names.insert((platform, name), manifest)
                // Two live jobs may share a name; two manifests can tell them apart by their ids only.
                && (first.id.is_none() || manifest.id.is_none())
            {
                let message = format!("two manifests declare the {} job `{name}`", platform.as_str());
                let at = |manifest: &Manifest| {
                    manifest.declared_at("/name").map_or_else(|| manifest.place(), |(_, value)| value)
                };
                let diagnostic = Diagnostic::error("duplicate-name", message).at(at(manifest), "again here");
                let help = "jobs are found by name and platform; use another name, or `metadata.id` in both";
                diagnostics.push(diagnostic.related(at(first), "first declared here").help(help));
            }
            if let (Some(platform), Some(name)) = (manifest.platform(), manifest.previous_name.as_deref())
                && let Some(first) = previous.insert((platform, name), manifest)
                && (first.id.is_none() || manifest.id.is_none())
            {
                let message = format!("two manifests rename the {} job `{name}`", platform.as_str());
                let at =
                    |manifest: &Manifest| manifest.previous_name_place().unwrap_or_else(|| manifest.place());
                let diagnostic =
                    Diagnostic::error("duplicate-previous-name", message).at(at(manifest), "again here");
                let help = "one live job can become one job only; remove one of them";
                diagnostics.push(diagnostic.related(at(first), "first renamed here").help(help));
            }
        }
    }
}
