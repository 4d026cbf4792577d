//! Making a job. There is no read before the write that could tell a repeated create from a first one, so what is
//! known of the list before it is what settles a create whose answer was lost: **never two jobs**.

use std::collections::BTreeSet;

use serde_json::Value;

use super::lists::{self, Lists};
use super::read::{self, Settling};
use super::send::{self, Body, Target};
use super::update::{NOT_KEPT, refused, shows, stamp_note};
use super::{MOST_THROTTLED_TRIES, Run, chain, interrupted, throttled};
use crate::api::{WriteApi, WriteError};
use crate::bindings::Overtaken;
use crate::job::Platform;
use crate::normalise;
use crate::patch;
use crate::plan::{Basis, Change, Outcome, OutcomeKind};
use crate::snapshot::{ListRow, LiveJob};
use crate::stamp::{self, Found, Stamp};
use crate::verify;

/// One new job and all it needs.
pub(super) struct Create<'a, A> {
    pub(super) run: Run<'a, A>,
    pub(super) change: &'a Change,
    pub(super) basis: &'a Basis,
}

impl<A: WriteApi> Create<'_, A> {
    pub(super) async fn carry_out(&self, lists: &mut Lists) -> Outcome {
        let Some(platform) = self.change.platform else {
            return Outcome::said(OutcomeKind::Failed, "internal error: a new job without a platform")
                .helped("please report this; nothing was written");
        };
        let interrupt = self.run.interrupt;
        for _ in 0..MOST_THROTTLED_TRIES {
            if interrupt.is_asked() {
                return interrupted();
            }
            let known = match self.free_name(platform, lists).await {
                Ok(known) => known,
                Err(outcome) => return outcome,
            };
            let body = match self.body() {
                Ok(body) => body,
                Err(outcome) => return outcome,
            };
            if interrupt.is_asked() {
                return interrupted();
            }
            let outcome = match send::create(self.run, self.change, self.basis, &body).await {
                Ok(answer) => match answer.get("id").and_then(Value::as_str) {
                    Some(id) => self.read_back(&id.to_ascii_lowercase()).await,
                    None => {
                        let words = "the server accepted the new job and gave it no id".to_owned();
                        self.settle(platform, &known, vec![words]).await
                    }
                },
                Err(WriteError::Throttled { .. }) => {
                    interrupt.rest();
                    lists.forget(platform);
                    continue;
                }
                Err(WriteError::NotNoted(error)) if Overtaken::is(&error) => {
                    Outcome::said(OutcomeKind::Stale, error.to_string())
                        .helped("nothing was sent; run plan again, in a few minutes if the list lags")
                }
                Err(error @ (WriteError::NotSent(_) | WriteError::Refused(_) | WriteError::NotNoted(_))) => {
                    refused(&error)
                }
                Err(error @ WriteError::Unclear(_)) => self.settle(platform, &known, chain(&error)).await,
            };
            let outcome = Outcome { sent: outcome.sent.or(Some(body.shown)), ..outcome };
            if let Some(row) = outcome.read_back.as_ref().and_then(ListRow::read) {
                lists.add(platform, row);
            }
            return outcome;
        }
        throttled()
    }

    /// The ids of all live jobs of the platform, none of which has the name; names may have been taken since the plan.
    async fn free_name(&self, platform: Platform, lists: &mut Lists) -> Result<BTreeSet<String>, Outcome> {
        let rows = lists.of(platform, self.run.api).await.map_err(|error| {
            let help = error.help();
            Outcome { error: chain(&error), ..Outcome::plain(OutcomeKind::Failed) }
                .helped(format!("{help}; nothing was written"))
        })?;
        if let Some(row) = rows.iter().find(|row| row.name == self.change.name) {
            let words = format!("the live job {} has this name since the plan", row.id);
            return Err(Outcome::said(OutcomeKind::Stale, words)
                .helped("nothing was written; run plan again: it compares with that job"));
        }
        Ok(rows.iter().map(|row| row.id.clone()).collect())
    }

    /// The body that the plan showed, with the contents of its scripts.
    fn body(&self) -> Result<Body, Outcome> {
        let broken = |words: String| {
            Outcome::said(OutcomeKind::Failed, words).helped("please report this; nothing was written")
        };
        let Some(request) = &self.change.request else {
            return Err(broken("internal error: a new job without its request".to_owned()));
        };
        let sent = patch::with_contents(&request.body, self.run.scripts)
            .map_err(|digest| broken(format!("internal error: no script has the digest {digest}")))?;
        Ok(Body { shown: request.body.clone(), sent })
    }

    /// Reads a job that the server says it made, again while it is not there yet.
    async fn read_back(&self, id: &str) -> Outcome {
        let made = |outcome: Outcome| Outcome { made: Some(id.to_owned()), ..outcome };
        let mut settling = Settling::begin(self.run);
        loop {
            match self.run.api.get_job(id).await {
                Ok(Some(raw)) => return made(self.finish(LiveJob::new(raw)).await),
                Ok(None) if settling.wait(self.run).await => {}
                Ok(None) => {
                    let words = format!("the server gave the new job the id {id}, and does not show it yet");
                    return made(Outcome::said(OutcomeKind::Unsettled, words))
                        .helped("run plan in a few minutes: it compares with that job");
                }
                Err(error) => {
                    let help = format!("the job {id} was made; run plan to see whether it is as declared");
                    return made(Outcome { error: chain(&error), ..Outcome::plain(OutcomeKind::Unsettled) })
                        .helped(help);
                }
            }
        }
    }

    /// A create whose answer was lost took effect if a job is there now that was not there before, by this name and
    /// with the stamp that was sent.
    async fn settle(&self, platform: Platform, known: &BTreeSet<String>, error: Vec<String>) -> Outcome {
        let unsettled = |help: &str| {
            Outcome { error: error.clone(), ..Outcome::plain(OutcomeKind::Unsettled) }.helped(help)
        };
        let mut settling = Settling::begin(self.run);
        loop {
            let Ok(rows) = lists::read(platform, self.run.api).await else {
                return unsettled(
                    "the list could not be read either, so it is not known whether the job was made; run plan before \
                     applying again",
                );
            };
            let new: Vec<&ListRow> =
                rows.iter().filter(|row| row.name == self.change.name && !known.contains(&row.id)).collect();
            for row in &new {
                let Ok(job) = read::job(self.run, &row.id).await else { continue };
                if shows(self.basis, &job) {
                    let outcome = self.finish(job).await;
                    let note = "the answer was lost; the job was found by its name and stamp".to_owned();
                    let notes = [note].into_iter().chain(outcome.notes.clone()).collect();
                    return Outcome { notes, made: Some(row.id.clone()), ..outcome };
                }
            }
            if let Some(row) = new.first() {
                return unsettled(&format!(
                    "the job {} has this name now, without our stamp; look at it, and bind it with `metadata.id` if it \
                     is the one",
                    row.id
                ));
            }
            if !settling.wait(self.run).await {
                return unsettled(
                    "no such job is in the list, or not yet; it is not sent again. Keep the state folder, which remembers \
                     that, and run plan in a few minutes before applying again",
                );
            }
        }
    }

    /// Judges the new job, and mends its stamp where the server filled in what nobody declared.
    async fn finish(&self, now: LiveJob) -> Outcome {
        let outcome = self.judge(&now);
        if outcome.kind == OutcomeKind::Applied { self.mend_stamp(now, outcome).await } else { outcome }
    }

    /// The server's own defaults are not known before a job is there, and the stamp holds a digest of the whole job:
    /// with the one that was sent, the next run would take them for an edit in the console.
    async fn mend_stamp(&self, now: LiveJob, outcome: Outcome) -> Outcome {
        let stamp = Stamp { job: stamp::job_digest(&now.normalised), ..self.basis.stamp.clone() };
        // Who edited it meanwhile is told by the stamp as it is.
        let is_edited = now.last_edit().at.is_some();
        // A stamp that the server did not keep is not mended, and a job without it is not surely the one that was made.
        let is_ours = now.stamp == Found::Stamp(self.basis.stamp.clone());
        if self.basis.description.is_none() || stamp == self.basis.stamp || is_edited || !is_ours {
            return outcome;
        }
        let Some(id) = now.raw.get("id").and_then(Value::as_str).map(str::to_owned) else { return outcome };
        let description = stamp::join(now.normalised.text("description"), &stamp);
        let update = patch::Update {
            raw: &now.raw,
            live: &now.normalised,
            desired: &now.normalised,
            fields: &[],
            description: Some(&description),
        };
        let body = patch::update(self.run.plan.envelope, update);
        let target = Target { change: self.change, id: &id, before: &now };
        let basis = Basis { stamp: stamp.clone(), ..self.basis.clone() };
        // Nothing of it is new: scripts stand in it as paths.
        let body = Body { shown: patch::without_contents(&body), sent: body };
        let sent = send::update(self.run, target, &basis, &body).await;
        let read = read::job(self.run, &id).await;
        match (sent, read) {
            (_, Ok(mended)) if !verify::moved_at_all(&now.normalised, &mended.normalised).is_empty() => {
                Outcome { sent: Some(body.shown), ..damaged(&now, mended) }
            }
            (Ok(_), Ok(mended)) if mended.stamp == Found::Stamp(stamp) => {
                Outcome { read_back: Some(mended.raw), ..outcome }
            }
            (_, read) => {
                let words = "the server filled in members that nobody declared, and the stamp could not be brought in \
                             line with them: the next plan may take them for an edit in the console";
                let notes = outcome.notes.iter().cloned().chain([words.to_owned()]).collect();
                let read_back = read.ok().map(|job| job.raw).or(outcome.read_back.clone());
                Outcome { notes, read_back, ..outcome }
            }
        }
    }

    fn judge(&self, now: &LiveJob) -> Outcome {
        let read_back = Some(now.raw.clone());
        let mut fields = verify::not_converged(self.basis, &now.normalised);
        if normalise::is_armed(now.normalised.text("status")) {
            // It was sent as Disabled: arming is a step of its own.
            fields.extend(verify::status_is_not(&now.normalised, "Disabled"));
        }
        if !fields.is_empty() {
            let words = "the server made the job and kept other values";
            let help = NOT_KEPT;
            return Outcome { fields, read_back, ..Outcome::said(OutcomeKind::NotConverged, words) }
                .helped(help);
        }
        Outcome { notes: stamp_note(self.basis, now), read_back, ..Outcome::plain(OutcomeKind::Applied) }
    }
}

/// A new job that is not what it was after its stamp was written anew: it must not be armed, and nothing else be
/// written in this way.
fn damaged(before: &LiveJob, now: LiveJob) -> Outcome {
    let words = "the job was made; to bring its stamp in line changed members that were not sent, or somebody edited \
                 the job at the same time";
    let fields = verify::moved_at_all(&before.normalised, &now.normalised);
    let edit = Some(now.last_edit());
    Outcome { fields, edit, read_back: Some(now.raw), ..Outcome::said(OutcomeKind::Collateral, words) }.helped(
        "look at the new job; no further job was written to; if this server replaces jobs set `updates: full`",
    )
}
