#![expect(clippy::disallowed_methods, reason = "makes folders and files")]

//! Where manifests are written: into which folder, and never over another file.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::path::{Component, Path, PathBuf};

/// The folder that manifests are written into.
pub(super) struct Folder<'a> {
    pub(super) path: &'a Path,
    /// Names that a dry run would have taken.
    pub(super) promised: BTreeSet<PathBuf>,
}

impl Folder<'_> {
    /// Writes a text under the name of the key, or under the next name that is free; without a text only finds it.
    ///
    /// The file appears whole or not at all, and only where there is none.
    pub(super) fn place(&mut self, key: &str, text: Option<&str>) -> io::Result<PathBuf> {
        let mut temporary = match text {
            Some(text) => {
                std::fs::create_dir_all(self.path)?;
                let mut file = new_file(self.path)?;
                file.write_all(text.as_bytes())?;
                file.as_file().sync_data()?;
                Some(file)
            }
            None => None,
        };
        let names =
            std::iter::once(format!("{key}.yaml")).chain((2_u32..).map(|n| format!("{key}-{n}.yaml")));
        for path in names.map(|name| self.path.join(name)) {
            // Asked for first, because the other way is not without a gap on every file system.
            if path.symlink_metadata().is_ok() || !self.promised.insert(path.clone()) {
                continue;
            }
            let Some(file) = temporary.take() else { return Ok(path) };
            match file.persist_noclobber(&path) {
                Ok(_) => return Ok(path),
                Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
                    temporary = Some(error.file)
                }
                Err(error) => return Err(error.error),
            }
        }
        Err(io::Error::other("no name is free"))
    }
}

/// A file that the manifest reader passes over, with the rights that a new file has here.
fn new_file(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".patchctl-import-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

/// Whether plan looks for manifests in a folder: it lies in the manifest folder, and not in a hidden one.
pub(super) fn is_within(folder: &Path, jobs: &Path) -> bool {
    let (folder, jobs) = (resolved(folder), resolved(jobs));
    let is_hidden = |part: Component<'_>| part.as_os_str().to_str().is_some_and(|name| name.starts_with('.'));
    folder.strip_prefix(&jobs).is_ok_and(|below| !below.components().any(is_hidden))
}

/// A path with links resolved as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    for ancestor in path.ancestors() {
        if let Ok(found) = std::fs::canonicalize(ancestor) {
            let below = path.strip_prefix(ancestor).unwrap_or(Path::new(""));
            return if below.as_os_str().is_empty() { found } else { found.join(below) };
        }
    }
    path.to_path_buf()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_existing_file_is_never_touched() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("new");
        let mut manifests = Folder { path: &path, promised: BTreeSet::new() };
        assert_eq!(manifests.place("a", None).expect("a name"), path.join("a.yaml"));
        assert_eq!(manifests.place("a", None).expect("a name"), path.join("a-2.yaml"), "promised before");
        assert!(!path.exists(), "a dry run makes no folder");
        let mut manifests = Folder { path: &path, promised: BTreeSet::new() };
        for (text, name) in [("one", "a.yaml"), ("two", "a-2.yaml"), ("three", "a-3.yaml")] {
            assert_eq!(manifests.place("a", Some(text)).expect("writable"), path.join(name));
        }
        assert_eq!(std::fs::read_to_string(path.join("a.yaml")).expect("a file"), "one");
        assert_eq!(std::fs::read_dir(&path).expect("a folder").count(), 3, "nothing else is left");
    }

    #[test]
    fn folders_that_plan_looks_into() {
        let folder = tempfile::tempdir().expect("a folder");
        let jobs = folder.path().join("jobs.d");
        for (into, expected) in [
            ("jobs.d", true),
            ("jobs.d/windows/new", true),
            ("jobs.d/.new", false),
            ("other", false),
            ("", false),
        ] {
            assert_eq!(is_within(&folder.path().join(into), &jobs), expected, "{into}");
        }
    }
}
