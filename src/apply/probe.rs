//! Carries out a probe: makes the scratch job, tries a minimal update on it, reads, and removes it again.
//!
//! Everything that is sent is about the scratch job, and only after a read has proved that it is one
//! ([`crate::probe::proof`]): an id in an answer is no proof. Whatever happens in between, and also once somebody wants
//! to leave, the removal is tried; what is still there then is named. Decides nothing about the plan.

use std::time::Duration;

use serde_json::Value;

use super::interrupt::Interrupt;
use super::read::Settling;
use super::results::{self, JobResult};
use super::{MOST_THROTTLED_TRIES, chain, is_deleted};
use crate::api::{ApiError, CallFailure, WriteApi, WriteError};
use crate::probe::{self, Leftover, Scratch, Verdict, proof};

/// How often a removal is sent: once more where the answer was lost and the job is still there.
const MOST_REMOVALS: usize = 2;

/// What a probe is carried out with.
pub struct Probing<'a, A> {
    /// The gateway.
    pub api: &'a A,
    /// The owner that scratch jobs are named for.
    pub owner: &'a str,
    /// For how long a write that does not show yet is read again; 0 is once only.
    pub settle_time: Duration,
    /// Whether somebody wants it to stop.
    pub interrupt: &'a Interrupt,
}

/// What became of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    /// What the gateway does; `None` where that could not be told.
    pub verdict: Option<Verdict>,
    /// Why it could not be told, outermost first; empty where it was.
    pub error: Vec<String>,
    /// Whether the login may not make jobs, so that there is no use in asking again.
    pub is_forbidden: bool,
    /// The scratch job, where it is there still or may be.
    pub left: Option<Left>,
}

/// A scratch job that could not be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Its id, where it is known.
    pub id: Option<String>,
    /// Its name.
    pub name: String,
    /// Why it is there, outermost first.
    pub error: Vec<String>,
}

/// What became of a scratch job of an earlier probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is gone, by this run or without it.
    Gone,
    /// It can not be told for sure that nothing but a probe made it, so it is left to a person; why.
    NotOurs(String),
    /// It could not be removed; why, outermost first.
    Failed(Vec<String>),
}

impl<A: WriteApi> Probing<'_, A> {
    /// Carries out a probe with a scratch job; `note` writes down that it is about to be made.
    pub async fn probe(&self, scratch: &Scratch, note: impl FnOnce() -> std::io::Result<()>) -> Probed {
        let untold = |error: Vec<String>| Probed { verdict: None, error, is_forbidden: false, left: None };
        if self.interrupt.is_asked() {
            return untold(vec!["interrupted before the probe was started".to_owned()]);
        }
        if let Err(error) = note() {
            let words = "it could not be written down that a scratch job is about to be made".to_owned();
            return untold(vec![words, error.to_string()]);
        }
        self.interrupt.write(&scratch.name());
        let probed = match self.make(scratch).await {
            Err(probed) => probed,
            Ok(id) => {
                let before = self.read_new(&id).await;
                let was_seen = before.is_ok();
                let told = match before {
                    Ok(before) => self.trial(scratch, &id, &before).await,
                    Err(error) => Err(error),
                };
                let (verdict, error) = match told {
                    Ok(verdict) => (Some(verdict), Vec::new()),
                    Err(error) => (None, error),
                };
                let left = match self.remove(&id, verdict.is_some()).await {
                    // What was never seen may still come up.
                    Removal::Gone if !was_seen => Some(error.clone()),
                    Removal::Gone => None,
                    Removal::NotOurs(reason) => Some(vec![format!("it is left alone, because {reason}")]),
                    Removal::Failed(error) => Some(error),
                };
                let left = left.map(|error| Left { id: Some(id), name: scratch.name(), error });
                Probed { verdict, error, is_forbidden: false, left }
            }
        };
        self.interrupt.rest();
        probed
    }

    /// Removes a scratch job of an earlier probe.
    pub async fn remove_leftover(&self, leftover: &Leftover) -> Removal {
        if self.interrupt.is_asked() {
            return Removal::Failed(vec!["interrupted before it was removed".to_owned()]);
        }
        self.interrupt.write(&leftover.name);
        let removal = self.remove(&leftover.id, false).await;
        self.interrupt.rest();
        removal
    }

    /// Makes the scratch job; returns its id.
    async fn make(&self, scratch: &Scratch) -> Result<String, Probed> {
        let not_made =
            |error: Vec<String>, is_forbidden| Probed { verdict: None, error, is_forbidden, left: None };
        for _ in 0..MOST_THROTTLED_TRIES {
            match self.api.create_job(&scratch.create_body()).await {
                Ok(answer) => {
                    return match answer.get("id").and_then(Value::as_str) {
                        Some(id) => Ok(id.to_ascii_lowercase()),
                        None => {
                            self.find(scratch, vec!["the server gave the scratch job no id".to_owned()]).await
                        }
                    };
                }
                // The read waits for as long as the gateway asks.
                Err(WriteError::Throttled { .. }) => {
                    if let Err(error) = self.api.list_jobs(scratch.platform.as_str()).await {
                        return Err(not_made(chain(&error), false));
                    }
                }
                Err(error @ WriteError::Unclear(_)) => return self.find(scratch, chain(&error)).await,
                Err(error @ (WriteError::NotSent(_) | WriteError::NotNoted(_) | WriteError::Refused(_))) => {
                    let is_forbidden = matches!(error, WriteError::Refused(ApiError::Forbidden { .. }));
                    let words = if is_forbidden {
                        "this login may not make jobs, so no scratch job was made"
                    } else {
                        "the scratch job was not made"
                    };
                    let error = [words.to_owned()].into_iter().chain(chain(&error)).collect();
                    return Err(not_made(error, is_forbidden));
                }
            }
            if self.interrupt.is_asked() {
                return Err(not_made(vec!["interrupted before the probe was started".to_owned()], false));
            }
        }
        Err(not_made(vec![THROTTLED.to_owned()], false))
    }

    /// Finds a scratch job whose create was not answered; its name is like no other.
    async fn find(&self, scratch: &Scratch, error: Vec<String>) -> Result<String, Probed> {
        let name = scratch.name();
        let mut settling = Settling::lasting(self.settle_time);
        loop {
            let rows = self.api.list_jobs(scratch.platform.as_str()).await;
            let is_it = |row: &&Value| row.get("name").and_then(Value::as_str) == Some(&name);
            let found = rows.as_ref().ok().and_then(|rows| rows.iter().find(is_it));
            if let Some(id) = found.and_then(|row| row.get("id")?.as_str()) {
                return Ok(id.to_ascii_lowercase());
            }
            if rows.is_err() || !settling.wait_unless(self.interrupt).await {
                let words = "it is not known whether the scratch job was made".to_owned();
                let error: Vec<String> = [words].into_iter().chain(error).collect();
                let left = Some(Left { id: None, name, error: error.clone() });
                return Err(Probed { verdict: None, error, is_forbidden: false, left });
            }
        }
    }

    /// Sends the minimal update to the scratch job and reads what came of it.
    async fn trial(&self, scratch: &Scratch, id: &str, before: &Value) -> Result<Verdict, Vec<String>> {
        if !probe::is_usable(before) {
            return Err(vec!["the server did not keep what the scratch job was made with".to_owned()]);
        }
        let sent = scratch.patch_body();
        for _ in 0..MOST_THROTTLED_TRIES {
            if self.interrupt.is_asked() {
                return Err(vec!["interrupted before the trial".to_owned()]);
            }
            match self.api.update_job(id, &sent).await {
                // The answer may be an echo of the request (REFERENCE 9), so only a read of its own proves anything.
                Ok(_) => return self.judge(before, &sent, id, Vec::new()).await,
                Err(error @ WriteError::Unclear(_)) => {
                    return self.judge(before, &sent, id, chain(&error)).await;
                }
                Err(WriteError::Throttled { .. }) => {
                    self.api.get_job(id).await.map_err(|error| chain(&error))?;
                }
                // Only a job that is there and as it was is refused for what the update lacks.
                Err(error) if is_about_the_body(&error) => {
                    let now = self.read(id).await?;
                    return if now == *before { Ok(Verdict::Refuses) } else { Err(chain(&error)) };
                }
                Err(error @ (WriteError::NotSent(_) | WriteError::NotNoted(_) | WriteError::Refused(_))) => {
                    return Err(chain(&error));
                }
            }
        }
        Err(vec![THROTTLED.to_owned()])
    }

    /// Reads until the update shows, and judges it; `unclear` is why the answer proves nothing.
    async fn judge(
        &self,
        before: &Value,
        sent: &Value,
        id: &str,
        unclear: Vec<String>,
    ) -> Result<Verdict, Vec<String>> {
        let mut settling = Settling::lasting(self.settle_time);
        loop {
            if let Some(verdict) = probe::judge(before, sent, &self.read(id).await?) {
                return Ok(verdict);
            }
            if !settling.wait_unless(self.interrupt).await {
                let words = "the update of the scratch job does not show when it is read back".to_owned();
                return Err([words].into_iter().chain(unclear).collect());
            }
        }
    }

    /// Reads a scratch job that was just made, again while it is not there yet.
    async fn read_new(&self, id: &str) -> Result<Value, Vec<String>> {
        let mut settling = Settling::lasting(self.settle_time);
        loop {
            match self.api.get_job(id).await.map_err(|error| chain(&error))? {
                Some(job) => return self.proved(job),
                None if settling.wait_unless(self.interrupt).await => {}
                None => return Err(vec!["the scratch job can not be read".to_owned()]),
            }
        }
    }

    /// Reads a scratch job.
    async fn read(&self, id: &str) -> Result<Value, Vec<String>> {
        match self.api.get_job(id).await.map_err(|error| chain(&error))? {
            Some(job) => self.proved(job),
            None => Err(vec!["the scratch job is gone".to_owned()]),
        }
    }

    fn proved(&self, job: Value) -> Result<Value, Vec<String>> {
        match proof(&job, self.owner) {
            Ok(()) => Ok(job),
            Err(reason) => Err(vec![format!("what was read is not the scratch job: {reason}")]),
        }
    }

    /// Removes a job that a read has proved to be a scratch job, the last one if `is_proved`, and reads until it is gone.
    async fn remove(&self, id: &str, mut is_proved: bool) -> Removal {
        let mut failed = Vec::new();
        let mut n_removals = 0;
        for _ in 0..MOST_THROTTLED_TRIES {
            if !std::mem::take(&mut is_proved) {
                match self.api.get_job(id).await {
                    Ok(job) if job.as_ref().is_none_or(is_deleted) => return Removal::Gone,
                    Ok(job) => {
                        if let Err(reason) = proof(&job.unwrap_or_default(), self.owner) {
                            return Removal::NotOurs(reason);
                        }
                    }
                    Err(error) => return Removal::Failed(chain(&error)),
                }
            }
            if n_removals == MOST_REMOVALS {
                return Removal::Failed(failed);
            }
            match self.api.delete_jobs(&[id]).await {
                Ok(answer) => match results::of_job(&answer, id) {
                    JobResult::Failure(words) => {
                        return Removal::Failed(vec!["the API refused to remove it".to_owned(), words]);
                    }
                    JobResult::Success => {
                        failed = vec!["the server says that it is removed, and still shows it".to_owned()]
                    }
                    JobResult::Unknown(words) => failed = vec![words],
                },
                Err(WriteError::Throttled { .. }) => {
                    failed = vec![THROTTLED.to_owned()];
                    continue;
                }
                Err(error @ (WriteError::NotSent(_) | WriteError::NotNoted(_) | WriteError::Refused(_))) => {
                    return Removal::Failed(chain(&error));
                }
                Err(error @ WriteError::Unclear(_)) => failed = chain(&error),
            }
            n_removals += 1;
            if self.is_gone(id).await {
                return Removal::Gone;
            }
        }
        Removal::Failed(failed)
    }

    /// Reads until a job is gone or the time is up.
    async fn is_gone(&self, id: &str) -> bool {
        let mut settling = Settling::lasting(self.settle_time);
        loop {
            match self.api.get_job(id).await {
                Ok(job) if job.as_ref().is_none_or(is_deleted) => return true,
                Ok(_) if settling.wait_unless(self.interrupt).await => {}
                Ok(_) | Err(_) => return false,
            }
        }
    }
}

/// Whether a write was refused for what it carries, and not for who sent it or where to.
fn is_about_the_body(error: &WriteError) -> bool {
    matches!(
        error,
        WriteError::Refused(ApiError::Call { cause: CallFailure::Status { status, .. }, .. })
            if matches!(status.as_u16(), 400 | 422)
    )
}

const THROTTLED: &str = "the gateway's rate limit turned the write away every time";
