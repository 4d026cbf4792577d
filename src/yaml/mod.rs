//! YAML text to trees with places, in one pass over the parser's events.
//!
//! This is the only parse of a manifest and the only user of `granit-parser`. It knows YAML and nothing of jobs:
//! no member names, no types beyond the core schema. It reads no files ([`decode`] takes bytes that somebody read).
//!
//! Invariants:
//! * Whatever the input, it ends, without a panic, within memory of the order of the file's own size: depth,
//!   aliases, what aliases expand to, and the number of findings are bounded by [`Limits`].
//! * Values mean what `serde_yaml` would make of them, wherever that crate accepts the text (tests hold it to this).
//! * Stricter than YAML where a person would be surprised: a key twice, merge keys, tags of an application, and
//!   control characters are errors.

mod builder;
mod copies;
mod decode;
mod places;
mod scalar;
mod syntax;
#[cfg(test)]
mod tests;
mod tree;

use std::sync::Arc;

pub use decode::decode;
pub use tree::{Document, Entry, Node, Style, Value};

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::SourceFile;

pub(crate) const CODE_SYNTAX: &str = "yaml-syntax";
pub(crate) const CODE_DUPLICATE_KEY: &str = "yaml-duplicate-key";
pub(crate) const CODE_MERGE_KEY: &str = "yaml-merge-key";
pub(crate) const CODE_ALIAS: &str = "yaml-alias";
pub(crate) const CODE_DEPTH: &str = "yaml-depth";
pub(crate) const CODE_TAG: &str = "yaml-tag";
pub(crate) const CODE_ENCODING: &str = "yaml-encoding";
pub(crate) const CODE_SIZE: &str = "yaml-size";
pub(crate) const CODE_KEY: &str = "yaml-key";

/// How much one file may ask for. The numbers are per file and include the limit itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Size of the text in bytes.
    ///
    /// 1 MiB by default: three hundred times a large manifest, and a tree of it stays below 100 MB in the worst case.
    pub file_bytes: usize,
    /// Collections inside one another.
    ///
    /// 64 by default, five times what a job needs. Trees are copied and dropped by recursion, so that ten thousand
    /// would overflow the stack.
    pub depth: usize,
    /// Documents that hold something.
    pub documents: usize,
    /// Anchors, and apart from them aliases.
    ///
    /// Each anchor remembers its path, so that a thousand of them cost half a megabyte at most.
    pub aliases: usize,
    /// Memory of what aliases are expanded to, in bytes.
    ///
    /// 2 MiB by default: a file that needs more copies a large part of itself many times over.
    pub expanded_bytes: usize,
    /// Findings after which the rest of the file is not looked at.
    ///
    /// Nobody mends more in one go, and a finding takes far more memory than the text that caused it.
    pub findings: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_bytes: 1 << 20,
            depth: 64,
            documents: 1000,
            aliases: 1000,
            expanded_bytes: 2 << 20,
            findings: 100,
        }
    }
}

/// Reads all documents of a file and says everything that is wrong with it.
///
/// A syntax error, or a limit of [`Limits`] passed, ends the file; the documents before are kept. Findings after
/// which the structure is still sure (keys written twice, merge keys, tags, aliases without an anchor) do not, so
/// that one run shows them all.
pub fn parse(file: &Arc<SourceFile>) -> (Vec<Document>, Diagnostics) {
    parse_within(file, &Limits::default())
}

/// [`parse`] with limits of one's own.
pub fn parse_within(file: &Arc<SourceFile>, limits: &Limits) -> (Vec<Document>, Diagnostics) {
    if file.text.len() > limits.file_bytes {
        let mut diagnostics = Diagnostics::new();
        diagnostics.push(too_large(&file.path, file.text.len(), limits));
        return (Vec::new(), diagnostics);
    }
    if let Some(finding) = syntax::control_character(file) {
        let mut diagnostics = Diagnostics::new();
        diagnostics.push(finding);
        return (Vec::new(), diagnostics);
    }
    builder::Builder::new(file, limits).run()
}

fn too_large(path: &str, n_bytes: usize, limits: &Limits) -> Diagnostic {
    let allowed = limits.file_bytes;
    Diagnostic::error(CODE_SIZE, format!("`{path}` has {n_bytes} bytes, more than the {allowed} allowed"))
        .help("split the manifests over several files")
}
