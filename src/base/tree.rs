//! The files of a commit as a tree with symbolic links, walked as the file system would be.

use std::collections::{BTreeMap, BTreeSet};

/// Links that are followed on the way to one file; a chain of more is a circle.
const MOST_LINKS: usize = 40;

/// Folders inside one another; links could make more of them than the tree has.
const MOST_FOLDERS: usize = 64;

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// A file, by the id of its content.
    File(String),
    /// A symbolic link, by its target.
    Link(String),
    /// Something that is neither, such as a submodule.
    Other,
}

/// What a path leads to, links followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A file, by the id of its content.
    File(String),
    /// A folder, by its real path.
    Folder(String),
    /// Nothing.
    Nothing,
    /// Something outside of the tree.
    Outside,
}

/// The entries of a commit by their path from the root of the repository, with forward slashes.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree(pub(super) BTreeMap<String, Entry>);

impl Tree {
    /// Follows a path from a folder given by its real path.
    pub(super) fn resolve(&self, folder: &str, path: &str) -> Found {
        let mut real: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
        let mut left: Vec<&str> = parts(path);
        let mut n_links = 0;
        if path.starts_with('/') {
            return Found::Outside;
        }
        while let Some(part) = left.pop() {
            match part {
                "" | "." => continue,
                ".." => {
                    if real.pop().is_none() {
                        return Found::Outside;
                    }
                    continue;
                }
                part => real.push(part),
            }
            match self.0.get(&real.join("/")) {
                Some(Entry::Link(_)) if n_links == MOST_LINKS => return Found::Nothing,
                Some(Entry::Link(target)) if target.starts_with('/') => return Found::Outside,
                Some(Entry::Link(target)) => {
                    n_links += 1;
                    real.pop();
                    left.extend(parts(target));
                }
                Some(Entry::File(content)) if left.iter().all(|part| part.is_empty()) => {
                    return Found::File(content.clone());
                }
                Some(Entry::File(_) | Entry::Other) => return Found::Nothing,
                None => {}
            }
        }
        let real = real.join("/");
        if self.is_folder(&real) { Found::Folder(real) } else { Found::Nothing }
    }

    /// The files below a folder that end in `.yaml` or `.yml`, in the order of `load`: path as walked, and content.
    pub(super) fn manifests(&self, folder: &str) -> Vec<(String, String)> {
        let mut found = Vec::new();
        if let Found::Folder(real) = self.resolve("", folder) {
            self.walk(&real, folder, &mut vec![real.clone()], &mut found);
        }
        found
    }

    fn walk(&self, real: &str, shown: &str, above: &mut Vec<String>, found: &mut Vec<(String, String)>) {
        for name in self.children(real) {
            if name.starts_with('.') {
                continue;
            }
            let shown = join(shown, name);
            match self.resolve(real, name) {
                Found::File(content) if matches!(name.rsplit_once('.'), Some((_, "yaml" | "yml"))) => {
                    found.push((shown, content));
                }
                Found::Folder(real) if above.len() < MOST_FOLDERS && !above.contains(&real) => {
                    above.push(real.clone());
                    self.walk(&real, &shown, above, found);
                    above.pop();
                }
                Found::File(_) | Found::Folder(_) | Found::Nothing | Found::Outside => {}
            }
        }
    }

    /// Names in a folder, sorted.
    fn children<'a>(&'a self, folder: &str) -> BTreeSet<&'a str> {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let inside = self.0.range(prefix.clone()..).take_while(|(path, _)| path.starts_with(&prefix));
        inside.filter_map(|(path, _)| path[prefix.len()..].split('/').next()).collect()
    }

    fn is_folder(&self, path: &str) -> bool {
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        self.0.range(prefix.clone()..).next().is_some_and(|(first, _)| first.starts_with(&prefix))
    }
}

/// The parts of a path, the first one last.
fn parts(path: &str) -> Vec<&str> {
    path.split('/').rev().collect()
}

/// A path in a folder.
pub(super) fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Tree {
        let link = |target: &str| Entry::Link(target.to_owned());
        let file = |content: &str| Entry::File(content.to_owned());
        let entries = [
            ("jobs", link("sub/jobs.d")),
            ("sub/jobs.d/a.yaml", file("1")),
            ("sub/jobs.d/b.yml", link("../shared/b.txt")),
            ("sub/jobs.d/c.txt", file("3")),
            ("sub/jobs.d/.hidden/d.yaml", file("4")),
            ("sub/jobs.d/circle", link("../jobs.d")),
            ("sub/jobs.d/loop", link("loop")),
            ("sub/jobs.d/more", link("../more")),
            ("sub/jobs.d/out.yaml", link("../../../etc/passwd")),
            ("sub/jobs.d/root.yaml", link("/etc/passwd")),
            ("sub/jobs.d/module", Entry::Other),
            ("sub/more/e.yaml", file("5")),
            ("sub/more/up", link("..")),
            ("sub/shared/b.txt", file("2")),
        ];
        Tree(entries.into_iter().map(|(path, entry)| (path.to_owned(), entry)).collect())
    }

    #[test]
    fn paths_are_followed_as_the_file_system_would() {
        #[track_caller]
        fn check(folder: &str, path: &str, expected: Found) {
            assert_eq!(tree().resolve(folder, path), expected, "{folder} {path}");
        }
        check("", "jobs/a.yaml", Found::File("1".to_owned()));
        check("", "jobs", Found::Folder("sub/jobs.d".to_owned()));
        check("", "", Found::Folder(String::new()));
        // After a link, `..` leaves the folder that it led to.
        check("", "jobs/../shared/b.txt", Found::File("2".to_owned()));
        check("sub/jobs.d", "./b.yml", Found::File("2".to_owned()));
        check("sub/jobs.d", "circle/circle/a.yaml", Found::File("1".to_owned()));
        check("sub/jobs.d", "loop", Found::Nothing);
        check("sub/jobs.d", "a.yaml/x", Found::Nothing);
        check("sub/jobs.d", "module", Found::Nothing);
        check("sub/jobs.d", "none", Found::Nothing);
        check("sub/jobs.d", "out.yaml", Found::Outside);
        check("sub/jobs.d", "root.yaml", Found::Outside);
        check("sub/jobs.d", "/etc/passwd", Found::Outside);
        check("", "../x", Found::Outside);
    }

    #[test]
    fn manifests_are_walked_as_load_does() {
        let found: Vec<(String, String)> = tree().manifests("jobs");
        let found: Vec<(&str, &str)> = found.iter().map(|(path, id)| (path.as_str(), id.as_str())).collect();
        // `circle` leads to a folder that is being walked, and `up` to one that holds nothing else.
        assert_eq!(found, [("jobs/a.yaml", "1"), ("jobs/b.yml", "2"), ("jobs/more/e.yaml", "5")]);
        assert_eq!(tree().manifests("none"), []);
    }
}
