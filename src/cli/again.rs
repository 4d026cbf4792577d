//! Commands that are printed to be typed: with the flags that said where things are, or they would look elsewhere.

use std::path::Path;

use super::args::Common;
use crate::render::text::clean;

/// A command with the flags of this run that name the gateway, the configuration and the folders.
pub(super) fn command(words: &str, common: &Common) -> String {
    words.to_owned() + &flags(common)
}

/// Those flags alone, each after a blank.
pub(super) fn flags(common: &Common) -> String {
    flags_with(common, common.jobs.as_deref())
}

/// The same with another folder of manifests.
pub(super) fn with_jobs(words: &str, common: &Common, jobs: Option<&Path>) -> String {
    words.to_owned() + &flags_with(common, jobs)
}

fn flags_with(common: &Common, jobs: Option<&Path>) -> String {
    let path = |path: &Path| quoted(&path.to_string_lossy());
    let flags = [
        ("--gateway", common.gateway.as_deref().map(quoted)),
        ("--config", common.config.as_deref().map(path)),
        ("--state-dir", common.state_dir.as_deref().map(path)),
        ("--jobs", jobs.map(path)),
    ];
    flags.into_iter().filter_map(|(flag, value)| Some(format!(" {flag} {}", value?))).collect()
}

/// As a shell takes it for one word.
fn quoted(word: &str) -> String {
    let word = clean(word);
    let is_plain = |c: char| c.is_alphanumeric() || "_-./:=@%+,".contains(c) || (cfg!(windows) && c == '\\');
    if !word.is_empty() && word.chars().all(is_plain) {
        word
    } else if cfg!(windows) {
        format!("\"{word}\"")
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(all(test, not(windows)))]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_each_for_one_word() {
        assert_eq!(quoted("../a/jobs.d"), "../a/jobs.d");
        assert_eq!(quoted("my jobs"), "'my jobs'");
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(quoted(""), "''");
    }
}
