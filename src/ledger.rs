#![expect(clippy::disallowed_methods, reason = "this module keeps what runs know of bindings in a file")]

//! The ledger: which live job each manifest was bound to, kept between runs in the state folder.
//!
//! It is no cache. With it, a manifest whose job vanished or was renamed is `blocked`; without it, the same manifest
//! may look new (DESIGN section 3). So `--no-cache` does not concern it, and it is never the reason for an error:
//! a ledger that can not be read is put aside with a note, and the run goes on with what Git and the gateway say.
//!
//! One file for each gateway and owner, and in it a section for each subscription. It is written whole and at once,
//! under a lock, from what the file holds at that moment and what this run learned, so two runs at the same time
//! lose nothing of each other.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::bindings::{Bindings, BoundJob, Lesson, Overtaken, ScriptDoubt, SentCreate, second};
use crate::files::{self, Readers};
use crate::fingerprint;
use crate::job::Platform;
use crate::plan::{DisabledBy, Left};
use crate::snapshot::ListRow;

/// Version of the file; one of another version is put aside.
const FORMAT: u32 = 1;

/// What stands in the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Stored {
    patchctl_ledger: u32,
    gateway: String,
    owner: String,
    /// By the subscription's id; empty for one that was not known, because the list was empty.
    subscriptions: BTreeMap<String, Bindings>,
}

/// Whose ledger it is.
#[derive(Clone, Copy, Debug)]
pub struct Whose<'a> {
    /// What tells the gateway from others.
    pub gateway: &'a str,
    /// The owner in our stamps.
    pub owner: &'a str,
    /// The subscription's id; empty where no live job told it.
    pub customer: &'a str,
}

/// What is known of the manifests of one repository at one gateway.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    empty: Stored,
    customer: String,
    known: Bindings,
    lessons: Vec<Lesson>,
    /// Keys whose creates this run wrote down, with what stood there before.
    claimed: BTreeMap<String, Option<SentCreate>>,
    /// Keys that this run found bound to another job than earlier runs did.
    contested: BTreeSet<String>,
    /// Whether the file is to be begun afresh at the first writing.
    is_reset: bool,
    now: jiff::Timestamp,
    /// What to tell the person, if anything.
    pub note: Option<String>,
}

impl Ledger {
    /// Opens the ledger below the state folder; `is_reset` forgets what it holds, because the simulator starts afresh.
    pub fn open(state_dir: &Path, whose: Whose<'_>, is_reset: bool, now: jiff::Timestamp) -> Self {
        let Whose { gateway, owner, customer } = whose;
        let name = fingerprint::short(&serde_json::json!([gateway, owner]));
        let empty = Stored {
            patchctl_ledger: FORMAT,
            gateway: gateway.to_owned(),
            owner: owner.to_owned(),
            subscriptions: BTreeMap::new(),
        };
        let mut ledger = Self {
            path: state_dir.join("bindings").join(format!("{name}.json")),
            empty,
            customer: customer.to_owned(),
            known: Bindings::default(),
            lessons: Vec::new(),
            claimed: BTreeMap::new(),
            contested: BTreeSet::new(),
            is_reset,
            now,
            note: None,
        };
        if !is_reset {
            let stored = ledger.read(false);
            ledger.known = view(stored.subscriptions, customer);
        }
        ledger
    }

    /// The file as it is; one that can not be used is put aside and counts as empty.
    fn read(&mut self, is_locked: bool) -> Stored {
        let problem = match std::fs::read(&self.path) {
            Ok(bytes) => match parse(&bytes, &self.empty) {
                Ok(stored) => return stored,
                Err(problem) => problem,
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.empty.clone(),
            Err(error) => error.to_string(),
        };
        // Under the lock only, so that nothing is put aside which another run has just mended.
        if !is_locked && let Ok(_lock) = files::lock(&self.path.with_extension("lock")) {
            return self.read(true);
        }
        let aside =
            (1..100).map(|n| self.path.with_extension(format!("aside-{n}"))).find(|path| !path.exists());
        let kept = aside.and_then(|aside| std::fs::rename(&self.path, &aside).ok().map(|()| aside));
        let kept = kept.map_or_else(String::new, |aside| format!("; it is kept as `{}`", aside.display()));
        self.note = Some(format!(
            "what earlier runs knew of bindings is not used: `{}` {problem}{kept}. A job that vanished or was \
             renamed since may be shown as a create",
            self.path.display()
        ));
        self.empty.clone()
    }

    /// The job that an earlier run bound the manifest of this key to.
    pub fn bound(&self, key: &str) -> Option<&BoundJob> {
        self.known.jobs.get(key)
    }

    /// A create for this key that was sent and is not settled.
    pub fn sent_create(&self, key: &str) -> Option<&SentCreate> {
        self.known.creates.get(key)
    }

    /// A create of this name and platform that was sent for any key and is not settled: a manifest that was given
    /// another key is about the same job.
    pub fn sent_create_of(&self, name: Option<&str>, platform: Option<Platform>) -> Option<&SentCreate> {
        self.known.creates.values().find(|create| {
            Some(create.name.as_str()) == name && create.platform.as_deref() == platform.map(Platform::as_str)
        })
    }

    /// The commit that was applied last with nothing left over.
    pub fn applied_commit(&self) -> Option<&str> {
        self.known.applied_commit.as_deref()
    }

    /// The youngest edit that the apply of that commit saw on any job, milliseconds since 1970-01-01 UTC.
    pub fn applied_at(&self) -> Option<i64> {
        self.known.applied_at
    }

    /// What our last write left on the job of a key.
    pub fn left(&self, key: &str) -> Option<&Left> {
        self.known.left.get(key)
    }

    /// Login names that the server noted our writes under.
    pub fn api_users(&self) -> impl Iterator<Item = &str> {
        self.known.left.values().filter_map(|left| left.user.as_deref())
    }

    /// Who disabled the job of a key in the console, where nobody has decided about that yet.
    pub fn disabled(&self, key: &str) -> Option<&DisabledBy> {
        self.known.disabled.get(key)
    }

    /// Who edited the job of a key before a write of ours that did not send its scripts, so far as it is known.
    pub fn script_doubt(&self, key: &str) -> Option<&ScriptDoubt> {
        self.known.script_doubts.get(key)
    }

    /// Notes that somebody else edited the job of a key last, and that a write of ours is about to hide it.
    pub fn doubts_scripts(&mut self, key: &str, doubt: ScriptDoubt) {
        self.learn(Lesson::DoubtsScripts(key.to_owned(), doubt));
    }

    /// Notes that all scripts of the job of a key were sent.
    pub fn sent_scripts(&mut self, key: &str) {
        self.learn(Lesson::SentScripts(key.to_owned()));
    }

    /// Notes that the manifest of a key wants its job as the console left it.
    pub fn agreed(&mut self, key: &str) {
        self.learn(Lesson::Agreed(key.to_owned()));
    }

    /// Notes that the console disabled the job of a key, and that it is left so.
    pub fn is_disabled(&mut self, key: &str, by: DisabledBy) {
        self.learn(Lesson::Disabled(key.to_owned(), by));
    }

    /// Notes what a write left on the job of a key.
    pub fn wrote(&mut self, key: &str, left: Left) {
        self.learn(Lesson::Left(key.to_owned(), left));
    }

    /// Jobs that were bound to keys which no manifest has any more, and are bound to no other key.
    pub fn orphans<'a>(
        &'a self,
        keys: &'a BTreeSet<&str>,
    ) -> impl Iterator<Item = (&'a str, &'a BoundJob)> + use<'a> {
        self.known.orphans(keys)
    }

    /// Notes that a manifest is bound to the job of a row; costs next to nothing where that is known.
    pub fn saw(&mut self, key: &str, row: &ListRow, protect: bool) {
        let known = self.known.jobs.get(key).is_some_and(|job| job.is_still(row, protect, self.now));
        if !known
            || self.sent_create(key).or_else(|| self.sent_create_of(Some(&row.name), row.platform)).is_some()
        {
            self.bind(key, BoundJob::of(row, protect, self.now));
        }
    }

    /// Keeps what earlier runs found this manifest bound to, whatever this run finds.
    pub fn contest(&mut self, key: &str) {
        self.contested.insert(key.to_owned());
    }

    /// Whether the manifest was found bound to another job by earlier runs.
    pub fn is_contested(&self, key: &str) -> bool {
        self.contested.contains(key)
    }

    /// Notes that a manifest is bound to a job; a create of it is settled by that.
    pub fn bind(&mut self, key: &str, job: BoundJob) {
        if self.is_contested(key) {
            return;
        }
        self.learn(Lesson::Bound(key.to_owned(), job));
    }

    /// Notes that a create made this job.
    pub fn created(&mut self, key: &str, id: &str, name: &str, platform: Option<Platform>, protect: bool) {
        let job = BoundJob {
            id: id.to_owned(),
            name: name.to_owned(),
            platform: platform.map(|platform| platform.as_str().to_owned()),
            protect,
            seen: second(self.now),
        };
        self.bind(key, job);
    }

    /// Notes that the job of a key is gone for good.
    pub fn forget(&mut self, key: &str) {
        self.learn(Lesson::Forget(key.to_owned()));
    }

    /// Writes down that a create is about to be sent, at once: whatever happens after, the next run knows of it.
    ///
    /// # Errors
    /// Where it can not be written, and [`Overtaken`] where another run has made this job, or may have, since this one
    /// began: the list may not show it yet. Then the create must not be sent.
    pub fn create_sent(&mut self, key: &str, name: &str, platform: Option<Platform>) -> io::Result<()> {
        let platform = platform.map(|platform| platform.as_str().to_owned());
        let create = SentCreate { name: name.to_owned(), platform, sent: second(self.now) };
        let former = self.known.creates.get(key).cloned();
        let bound = self.known.jobs.get(key).map(|job| job.id.clone());
        self.learn(Lesson::CreateSent(key.to_owned(), create));
        let saw = Saw { key, bound, create: former.clone() };
        let written = self.write(Some(&saw));
        match &written {
            Err(error) if Overtaken::is(error) => {
                // What stands in the file is the other run's.
                self.lessons.retain(|lesson| !matches!(lesson, Lesson::CreateSent(of, _) if of == key));
                self.known.creates.remove(key);
            }
            Err(_) | Ok(()) => {
                self.claimed.entry(key.to_owned()).or_insert(former);
            }
        }
        written
    }

    /// Notes that a create which this run wrote down surely made no job; one of an earlier run is as unsettled as it
    /// was.
    pub fn create_failed(&mut self, key: &str) {
        let Some(former) = self.claimed.remove(key) else { return };
        self.learn(match former {
            Some(former) => Lesson::CreateSent(key.to_owned(), former),
            None => Lesson::CreateFailed(key.to_owned()),
        });
    }

    /// Notes the commit whose manifests were applied with nothing left over, and the youngest edit that was seen on any
    /// job, milliseconds since 1970-01-01 UTC.
    pub fn applied(&mut self, commit: &str, at: Option<i64>) {
        self.learn(Lesson::Applied(commit.to_owned(), at));
    }

    /// Notes that what a run had applied was taken back, so that this commit is the one applied last again. Who disabled
    /// other jobs, and what our writes left on them, stays known.
    pub fn stands_at(&mut self, commit: &str) {
        self.learn(Lesson::StandsAt(commit.to_owned()));
    }

    fn learn(&mut self, lesson: Lesson) {
        if self.known.learn(&lesson) {
            self.lessons.push(lesson);
        }
    }

    /// Writes what this run learned, if anything.
    ///
    /// # Errors
    /// Where it can not be written or another run holds it for long; the former file is whole then.
    pub fn save(&mut self) -> io::Result<()> {
        self.write(None)
    }

    fn write(&mut self, saw: Option<&Saw<'_>>) -> io::Result<()> {
        if self.lessons.is_empty() && !self.is_reset {
            return Ok(());
        }
        let folder = self.path.parent().unwrap_or(Path::new(".")).to_path_buf();
        if self.is_reset && self.lessons.is_empty() && !self.path.exists() {
            return Ok(());
        }
        std::fs::create_dir_all(&folder)?;
        let _lock = files::lock(&self.path.with_extension("lock"))?;
        let mut stored = if self.is_reset { self.empty.clone() } else { self.read(true) };
        if self.customer.is_empty()
            && let [only] = stored.subscriptions.keys().collect::<Vec<_>>().as_slice()
        {
            // Only one subscription was ever seen here, so it is that one.
            self.customer = (*only).clone();
        }
        if let Some(saw) = saw.filter(|_| !self.is_reset) {
            saw.check(&view(stored.subscriptions.clone(), &self.customer))?;
        }
        let unknown = stored.subscriptions.remove("");
        let known = stored.subscriptions.entry(self.customer.clone()).or_default();
        known.adopt(unknown.unwrap_or_default());
        for lesson in &self.lessons {
            known.learn(lesson);
        }
        // A create is sent on the word of this file.
        files::put(&self.path, (serde_json::to_string_pretty(&stored)? + "\n").as_bytes(), Readers::Owner)?;
        self.lessons.clear();
        self.is_reset = false;
        Ok(())
    }
}

/// What this run knew of a key before it writes down a create of it.
struct Saw<'a> {
    key: &'a str,
    bound: Option<String>,
    create: Option<SentCreate>,
}

impl Saw<'_> {
    /// Compares with what is known now, under the lock: two runs that found no job must not both make one.
    fn check(&self, now: &Bindings) -> io::Result<()> {
        let words = match (now.jobs.get(self.key), now.creates.get(self.key)) {
            (Some(job), _) if self.bound.as_ref() != Some(&job.id) => {
                format!("another run has bound `{}` to the live job {} since the plan", self.key, job.id)
            }
            (_, Some(create)) if self.create.as_ref() != Some(create) => {
                format!("another run has sent a create of `{}` since the plan", self.key)
            }
            _ => return Ok(()),
        };
        Err(io::Error::other(Overtaken(words)))
    }
}

/// What is known in a subscription; where that is not known, in all of them, because a doubt too many is safe.
fn view(mut subscriptions: BTreeMap<String, Bindings>, customer: &str) -> Bindings {
    let mut known = subscriptions.remove(customer).unwrap_or_default();
    if customer.is_empty() {
        for other in subscriptions.into_values() {
            known.adopt(other);
        }
    } else {
        known.adopt(subscriptions.remove("").unwrap_or_default());
    }
    known
}

fn parse(bytes: &[u8], expected: &Stored) -> Result<Stored, String> {
    #[derive(Deserialize)]
    struct Version {
        patchctl_ledger: u32,
    }
    let damaged = |_| "is damaged".to_owned();
    let Version { patchctl_ledger } = serde_json::from_slice(bytes).map_err(damaged)?;
    if patchctl_ledger != FORMAT {
        return Err(format!("is of version {patchctl_ledger}, and this build knows {FORMAT}"));
    }
    let stored: Stored = serde_json::from_slice(bytes).map_err(damaged)?;
    if (&stored.gateway, &stored.owner) != (&expected.gateway, &expected.owner) {
        return Err("belongs to another gateway or owner".to_owned());
    }
    if !stored.subscriptions.values().all(Bindings::is_sound) {
        return Err("is damaged".to_owned());
    }
    Ok(stored)
}

#[cfg(test)]
mod tests;
