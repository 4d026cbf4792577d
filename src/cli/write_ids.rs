//! `apply --write-ids`: the ids of live jobs into the manifests that they belong to.
//!
//! A file is written whole and at once, with its permissions, or left as it is with the reason. What is put where is
//! the business of `edit`.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::edit;
use crate::files;
use crate::inventory::Inventory;
use crate::load;
use crate::yaml;

/// UTF-8's byte order mark, which some editors put before the text.
pub(super) const MARK: &[u8] = "\u{FEFF}".as_bytes();

/// What became of the ids.
#[derive(Debug, Default)]
pub(super) struct WrittenIds {
    /// Key, id and file as messages show it.
    written: Vec<(String, String, String)>,
    /// File as messages show it, and why it was left as it is.
    refused: Vec<(String, String)>,
}

/// Writes ids, given by key, into the files that the run read them from.
pub(super) fn write_ids(inventory: &Inventory, root: &Path, ids: &[(String, String)]) -> WrittenIds {
    let mut by_file: BTreeMap<(&Path, &str), Vec<(&str, &str)>> = BTreeMap::new();
    for (key, id) in ids {
        if let Some(file) = inventory.file_of(key) {
            by_file.entry(file).or_default().push((key, id));
        }
    }
    let mut result = WrittenIds::default();
    for ((path, shown), ids) in by_file {
        match write_file(inventory, path, shown, root, &ids) {
            Ok(false) => {}
            Ok(true) => result
                .written
                .extend(ids.iter().map(|(key, id)| ((*key).to_owned(), (*id).to_owned(), shown.to_owned()))),
            Err(reason) => result.refused.push((shown.to_owned(), reason)),
        }
    }
    result
}

/// `false` where nothing was to be written.
fn write_file(
    inventory: &Inventory,
    path: &Path,
    shown: &str,
    root: &Path,
    ids: &[(&str, &str)],
) -> Result<bool, String> {
    let bytes = load::read_manifest(path, root, shown).map_err(|finding| finding.message)?;
    if !ids.iter().all(|(key, _)| inventory.is_as_read(key, &bytes)) {
        return Err("changed while this run went on; run it again".to_owned());
    }
    let mark = if bytes.starts_with(MARK) { MARK } else { &[] };
    let file = yaml::decode(shown, bytes.clone()).map_err(|finding| finding.message)?;
    let Some(text) = edit::with_ids(&file, ids).map_err(|refusal| refusal.to_string())? else {
        return Ok(false);
    };
    files::replace(path, &[mark, text.as_bytes()].concat()).map(|()| true).map_err(|error| error.to_string())
}

impl WrittenIds {
    /// Whether every id that was to be written was.
    pub(super) fn is_complete(&self) -> bool {
        self.refused.is_empty()
    }

    /// For people; empty where there was nothing to do.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        for (key, id, shown) in &self.written {
            out.push_str(&format!("wrote metadata.id {id} of {key} into {shown}\n"));
        }
        out
    }

    /// What was not written, a line for each file.
    pub(super) fn refusals(&self) -> impl Iterator<Item = String> {
        self.refused.iter().map(|(shown, reason)| format!("no id was written into `{shown}`: it {reason}"))
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let written =
            self.written.iter().map(|(key, id, shown)| json!({"key": key, "id": id, "file": shown}));
        let refused = self.refused.iter().map(|(shown, reason)| json!({"file": shown, "reason": reason}));
        json!({"written": written.collect::<Vec<_>>(), "refused": refused.collect::<Vec<_>>()})
    }
}
