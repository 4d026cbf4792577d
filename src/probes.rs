#![expect(clippy::disallowed_methods, reason = "this module keeps what probes told in a file")]

//! What probes told of a gateway, and which scratch jobs were sent, kept between runs in the state folder.
//!
//! One small file for each gateway. It is no cache, so `--no-cache` does not concern it; deleting it costs one probe,
//! and never leaves a scratch job unknown: those are found by their names (see [`crate::probe`]).

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::api::UpdatesKnown;
use crate::files::{self, Readers};
use crate::fingerprint;
use crate::job::Platform;
use crate::patch::Envelope;
use crate::probe::{Scratch, Verdict};

/// Version of the file; one of another version counts as nothing known.
const FORMAT: u32 = 1;

/// For how long a scratch job that is in no list may still come up in one: a create whose answer was lost.
const MAY_STILL_COME: jiff::SignedDuration = jiff::SignedDuration::from_hours(1);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Stored {
    patchctl_probes: u32,
    gateway: String,
    /// What the last probe told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    verdict: Option<String>,
    /// When, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    learned: Option<String>,
    /// Scratch jobs that were sent and are not known to be gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sent: Vec<Sent>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Sent {
    name: String,
    platform: String,
    /// When, RFC 3339.
    at: String,
}

/// What is remembered of one gateway.
#[derive(Debug)]
pub struct Probes {
    path: PathBuf,
    stored: Stored,
    is_changed: bool,
    now: jiff::Timestamp,
    /// What to tell the person, if anything.
    pub note: Option<String>,
}

impl Probes {
    /// Opens what is known of a gateway; `is_reset` forgets it, because the simulator starts afresh.
    pub fn open(state_dir: &Path, gateway: &str, is_reset: bool, now: jiff::Timestamp) -> Self {
        let name = fingerprint::short(&serde_json::json!(gateway));
        let path = state_dir.join("probes").join(format!("{name}.json"));
        let empty = Stored { patchctl_probes: FORMAT, gateway: gateway.to_owned(), ..Stored::default() };
        let mut probes = Self { path, stored: empty, is_changed: false, now, note: None };
        match std::fs::read(&probes.path) {
            Ok(_) if is_reset => {
                // What can not be removed is overwritten by the next probe, and until then it is not looked at.
                let _gone = std::fs::remove_file(&probes.path);
            }
            Ok(bytes) => match serde_json::from_slice::<Stored>(&bytes) {
                Ok(stored) if stored.patchctl_probes == FORMAT && stored.gateway == gateway => {
                    probes.stored = stored;
                }
                Ok(_) | Err(_) => {
                    probes.note = Some(not_used(&probes.path, "it is damaged or of another version"))
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => probes.note = Some(not_used(&probes.path, &error.to_string())),
        }
        probes
    }

    /// What the last probe told.
    pub fn verdict(&self) -> Option<Verdict> {
        self.stored.verdict.as_deref().and_then(Verdict::parse)
    }

    /// The same, as far as it decides what updates carry.
    pub fn known(&self) -> Option<UpdatesKnown> {
        self.verdict().map(|verdict| match verdict.envelope() {
            Envelope::Minimal => UpdatesKnown::Merge,
            Envelope::Full => UpdatesKnown::Replace,
        })
    }

    /// The day on which it was told.
    pub fn learned_on(&self) -> Option<&str> {
        self.stored.learned.as_deref().and_then(|at| at.get(..10))
    }

    /// Platforms on which scratch jobs were sent that are not known to be gone.
    pub fn platforms(&self) -> impl Iterator<Item = Platform> {
        self.stored.sent.iter().filter_map(|sent| Platform::parse(&sent.platform))
    }

    /// Notes what a probe told.
    pub fn learn(&mut self, verdict: Verdict) {
        self.stored.verdict = Some(verdict.as_str().to_owned());
        self.stored.learned = Some(self.now.to_string());
        self.is_changed = true;
    }

    /// Forgets it, because a write has shown that it does not hold any more.
    pub fn forget(&mut self) {
        self.is_changed |= self.stored.verdict.is_some();
        (self.stored.verdict, self.stored.learned) = (None, None);
    }

    /// Writes down that a scratch job is about to be sent, at once: whatever happens after, the next run knows of it.
    ///
    /// # Errors
    /// Where it can not be written; then it should not be sent.
    pub fn scratch_sent(&mut self, scratch: &Scratch) -> io::Result<()> {
        let platform = scratch.platform.as_str().to_owned();
        self.stored.sent.push(Sent { name: scratch.name(), platform, at: self.now.to_string() });
        self.is_changed = true;
        self.save()
    }

    /// Notes that a scratch job is gone.
    pub fn scratch_gone(&mut self, name: &str) {
        let n_before = self.stored.sent.len();
        self.stored.sent.retain(|sent| sent.name != name);
        self.is_changed |= self.stored.sent.len() != n_before;
    }

    /// Forgets scratch jobs that lists of these platforms do not show any more, or never did.
    pub fn forget_unseen(&mut self, listed: &[Platform], is_seen: impl Fn(&str) -> bool) {
        let n_before = self.stored.sent.len();
        let now = self.now;
        self.stored.sent.retain(|sent| {
            let is_listed = Platform::parse(&sent.platform).is_none_or(|platform| listed.contains(&platform));
            let is_old =
                sent.at.parse::<jiff::Timestamp>().map_or(true, |at| now.duration_since(at) > MAY_STILL_COME);
            is_seen(&sent.name) || !is_listed || !is_old
        });
        self.is_changed |= self.stored.sent.len() != n_before;
    }

    /// Writes what this run learned, if anything, whole and at once.
    ///
    /// # Errors
    /// Where it can not be written; the former file is whole then.
    pub fn save(&mut self) -> io::Result<()> {
        if !self.is_changed {
            return Ok(());
        }
        std::fs::create_dir_all(self.path.parent().unwrap_or(Path::new(".")))?;
        // A scratch job is sent on the word of this file.
        files::put(
            &self.path,
            (serde_json::to_string_pretty(&self.stored)? + "\n").as_bytes(),
            Readers::Owner,
        )?;
        self.is_changed = false;
        Ok(())
    }
}

fn not_used(path: &Path, problem: &str) -> String {
    format!("what an earlier probe told of this gateway is not used: `{}`: {problem}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn open(folder: &Path, at: &str) -> Probes {
        Probes::open(folder, "https://gateway.example/", false, at.parse().expect("a time"))
    }

    const NOW: &str = "2026-11-23T10:00:00Z";

    fn scratch() -> Scratch {
        Scratch { owner: "team".to_owned(), uuid: Uuid::from_u128(7), platform: Platform::Linux }
    }

    #[test]
    fn what_one_run_learned_the_next_one_knows() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut probes = open(folder.path(), NOW);
        assert_eq!(probes.known(), None);
        probes.save().expect("nothing to write");
        assert!(!folder.path().join("probes").exists());
        probes.learn(Verdict::MergeTop);
        probes.save().expect("writable");
        let again = open(folder.path(), NOW);
        assert_eq!((again.verdict(), again.known()), (Some(Verdict::MergeTop), Some(UpdatesKnown::Merge)));
        assert_eq!(again.learned_on(), Some("2026-11-23"));
        let other = Probes::open(folder.path(), "https://other.example/", false, again.now);
        assert_eq!(other.known(), None);
        let reset = Probes::open(folder.path(), "https://gateway.example/", true, again.now);
        assert_eq!(reset.known(), None);
        assert_eq!(open(folder.path(), NOW).known(), None);
    }

    #[test]
    fn a_scratch_job_is_remembered_until_it_is_gone() {
        let folder = tempfile::tempdir().expect("a folder");
        open(folder.path(), NOW).scratch_sent(&scratch()).expect("writable");
        let mut probes = open(folder.path(), NOW);
        assert_eq!(probes.platforms().collect::<Vec<_>>(), [Platform::Linux]);
        // A create whose answer was lost may come up late.
        probes.forget_unseen(&[Platform::Linux], |_| false);
        assert_eq!(probes.platforms().count(), 1);
        let mut later = open(folder.path(), "2026-11-23T12:00:00Z");
        later.forget_unseen(&[Platform::Windows], |_| false);
        assert_eq!(later.platforms().count(), 1, "that list says nothing of it");
        later.forget_unseen(&[Platform::Linux], |_| false);
        assert_eq!(later.platforms().count(), 0);
        probes.scratch_gone(&scratch().name());
        probes.save().expect("writable");
        assert_eq!(open(folder.path(), NOW).platforms().count(), 0);
    }

    #[test]
    fn a_file_that_can_not_be_used_is_a_note_and_nothing_is_known() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut probes = open(folder.path(), NOW);
        probes.learn(Verdict::Merge);
        probes.save().expect("writable");
        for content in
            ["", "{", "[]", r#"{"patchctl_probes":2,"gateway":"https://gateway.example/","verdict":"merge"}"#]
        {
            std::fs::write(&probes.path, content).expect("writable");
            let damaged = open(folder.path(), NOW);
            assert!(damaged.note.is_some() && damaged.known().is_none(), "{content}");
        }
        let unknown = r#"{"patchctl_probes":1,"gateway":"https://gateway.example/","verdict":"perhaps"}"#;
        std::fs::write(&probes.path, unknown).expect("writable");
        assert_eq!(open(folder.path(), NOW).known(), None);
    }
}
