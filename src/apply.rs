//! Carries out a plan through the API, one outcome per step.
//!
//! The protocol of a change is DESIGN section 6: read afresh, compare with what the plan saw, write once, read
//! back, compare again. Decides nothing that the plan has not decided; everything it compares is `verify`'s.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::api::{WriteApi, WriteError};
use crate::diff::FieldChange;
use crate::manifest::Manifest;
use crate::overlay;
use crate::patch::{self, Envelope};
use crate::plan::{Action, Basis, Change, Outcome, OutcomeKind, Plan};
use crate::script::Scripts;
use crate::snapshot::LiveJob;
use crate::stamp::{self, Found};
use crate::verify;

/// Carries out a plan, step by step in its order; `tell` hears of each outcome as it comes.
pub async fn apply<A: WriteApi>(
    plan: &Plan,
    manifests: &BTreeMap<&str, &Manifest>,
    scripts: &Scripts,
    api: &A,
    mut tell: impl FnMut(&Change, &Outcome),
) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let mut failed_steps: BTreeSet<String> = BTreeSet::new();
    let mut stopped: Option<String> = None;
    for change in &plan.changes {
        let outcome = if let Some(reason) = &stopped {
            Outcome::said(OutcomeKind::Skipped, reason.clone())
        } else if let Some(step) = change.after.iter().find(|step| failed_steps.contains(*step)) {
            Outcome::said(OutcomeKind::Skipped, format!("waits for `{step}`, which was not carried out"))
        } else {
            step(plan, change, manifests, scripts, api).await
        };
        if outcome.kind == OutcomeKind::Collateral {
            stopped =
                Some(format!("stopped, because the write to `{}` changed what was not sent", change.key));
        }
        if !matches!(outcome.kind, OutcomeKind::Applied | OutcomeKind::Unchanged) {
            failed_steps.insert(change.step());
        }
        tell(change, &outcome);
        outcomes.push(outcome);
    }
    outcomes
}

async fn step<A: WriteApi>(
    plan: &Plan,
    change: &Change,
    manifests: &BTreeMap<&str, &Manifest>,
    scripts: &Scripts,
    api: &A,
) -> Outcome {
    match change.action {
        Action::Update => {
            let manifest = manifests.get(change.key.as_str());
            match (manifest, &change.id, &change.basis) {
                (Some(manifest), Some(id), Some(basis)) => {
                    let update = Update { change, basis, id, manifest, scripts, envelope: plan.envelope };
                    update.carry_out(api).await
                }
                (_, _, _) => {
                    Outcome::said(OutcomeKind::Failed, "internal error: an update without its basis")
                        .helped("please report this; nothing was written")
                }
            }
        }
        Action::Blocked => Outcome::said(OutcomeKind::Blocked, change.reason.clone()),
        Action::Held => Outcome::said(OutcomeKind::Held, change.reason.clone()),
        Action::Create | Action::Enable | Action::Disable | Action::Delete => {
            let words = format!("this release plans a {} but does not carry it out", change.action.as_str());
            Outcome::said(OutcomeKind::Skipped, words).helped("do it in the console; updates are carried out")
        }
    }
}

/// How often a write that was turned away by the rate limit is made anew, each time from a fresh read.
///
/// Each read waits for as long as the gateway asks, so this bounds refusals in a row, not time.
const MOST_THROTTLED_TRIES: usize = 5;

/// One update and all it needs.
struct Update<'a> {
    change: &'a Change,
    basis: &'a Basis,
    id: &'a str,
    manifest: &'a Manifest,
    scripts: &'a Scripts,
    envelope: Envelope,
}

impl Update<'_> {
    async fn carry_out<A: WriteApi>(&self, api: &A) -> Outcome {
        for _ in 0..MOST_THROTTLED_TRIES {
            let fresh = match self.read(api).await {
                Ok(job) => job,
                Err(outcome) => return outcome.helped("nothing was written"),
            };
            let body = match self.body(&fresh) {
                Ok(body) => body,
                Err(outcome) => return outcome,
            };
            return match api.update_job(self.id, &body).await {
                // The answer may be an echo of the request (REFERENCE 9), so only a read of its own proves anything.
                Ok(_) => self.read_back(&fresh, api).await,
                // Nothing was done. The wait is sat out by the next read, so that what is compared is never old.
                Err(WriteError::Throttled { .. }) => continue,
                Err(error @ (WriteError::NotSent(_) | WriteError::Refused(_))) => Outcome {
                    error: chain(&error),
                    help: Some(error.help()),
                    ..Outcome::plain(OutcomeKind::Failed)
                },
                Err(error @ WriteError::Unclear(_)) => self.settle(&fresh, api, &error).await,
            };
        }
        Outcome::said(OutcomeKind::Failed, "the gateway's rate limit turned the write away every time")
            .helped("nothing was written; run it again later")
    }

    async fn read_back<A: WriteApi>(&self, before: &LiveJob, api: &A) -> Outcome {
        match self.read(api).await {
            Ok(now) => Outcome { read_back: Some(now.raw.clone()), ..self.judge(before, &now) },
            Err(outcome) => Outcome {
                kind: OutcomeKind::Unsettled,
                help: Some("the change was sent and accepted; run plan to see whether it holds".to_owned()),
                ..outcome
            },
        }
    }

    /// A write whose answer was lost took effect exactly if its stamp is there now.
    async fn settle<A: WriteApi>(&self, before: &LiveJob, api: &A, error: &WriteError) -> Outcome {
        let unsettled = |help: &str| {
            Outcome { error: chain(error), ..Outcome::plain(OutcomeKind::Unsettled) }.helped(help)
        };
        match self.read(api).await {
            Ok(now) => {
                let description = now.raw.get("description").and_then(Value::as_str).unwrap_or_default();
                if stamp::split(description).1 == stamp::split(&self.basis.description).1 {
                    self.judge(before, &now)
                } else if verify::moved(self.change, self.basis, &now.normalised).is_empty() {
                    Outcome {
                        kind: OutcomeKind::Failed,
                        ..unsettled("read back: it did not take effect; apply again")
                    }
                } else {
                    unsettled("the job is neither what it was nor what it should be; run plan and look at it")
                }
            }
            Err(_) => unsettled("it could not be read back either; run plan to see whether it took effect"),
        }
    }

    async fn read<A: WriteApi>(&self, api: &A) -> Result<LiveJob, Outcome> {
        match api.get_job(self.id).await {
            Ok(Some(raw)) => Ok(LiveJob::new(raw)),
            Ok(None) => Err(Outcome::said(OutcomeKind::Stale, format!("the live job {} is gone", self.id))),
            Err(error) => Err(Outcome {
                error: chain(&error),
                help: Some(error.help()),
                ..Outcome::plain(OutcomeKind::Failed)
            }),
        }
    }

    /// The body to send, made from the job as it is now; it must be the one that the plan showed.
    #[expect(clippy::result_large_err, reason = "once per step, and the outcome is returned as it is")]
    fn body(&self, fresh: &LiveJob) -> Result<Value, Outcome> {
        let edit = fresh.last_edit();
        if let Found::Stamp(stamp) = &fresh.stamp
            && self.basis.owner != stamp.owner
        {
            let words = format!("the job was taken over by `{}/{}` since the plan", stamp.owner, stamp.key);
            return Err(Outcome { edit: Some(edit), ..Outcome::said(OutcomeKind::Stale, words) });
        }
        let moved = verify::moved(self.change, self.basis, &fresh.normalised);
        if !moved.is_empty() {
            let left = crate::diff::diff(
                &fresh.normalised,
                &overlay::overlay(&self.manifest.spec, &fresh.normalised, true).desired,
            );
            let sets_scripts =
                self.change.fields.iter().any(|field| crate::script::declared_digest(&field.after).is_some());
            if left.is_empty() && !sets_scripts {
                return Err(Outcome::plain(OutcomeKind::Unchanged));
            }
            let words = "the job is not what the plan saw";
            let outcome =
                Outcome { fields: moved, edit: Some(edit), ..Outcome::said(OutcomeKind::Stale, words) };
            return Err(outcome.helped("nothing was written; run plan again and look at what moved"));
        }
        let fields: Vec<FieldChange> = self
            .change
            .fields
            .iter()
            .map(|field| FieldChange {
                pointer: field.path.clone(),
                before: field.before.clone(),
                after: field.after.clone(),
            })
            .collect();
        let body = patch::update(
            self.envelope,
            patch::Update {
                raw: &fresh.raw,
                live: &self.basis.live,
                desired: &self.basis.desired,
                fields: &fields,
                description: Some(&self.basis.description),
            },
        );
        let shown = self.change.request.as_ref().map(|request| &request.body);
        if self.envelope == Envelope::Minimal && shown != Some(&body) {
            let words = "the request would not be the one that the plan showed";
            return Err(Outcome { edit: Some(edit), ..Outcome::said(OutcomeKind::Stale, words) }
                .helped("nothing was written; run plan again"));
        }
        patch::with_contents(&body, self.scripts).map_err(|digest| {
            Outcome::said(OutcomeKind::Failed, format!("internal error: no script has the digest {digest}"))
                .helped("please report this; nothing was written")
        })
    }

    fn judge(&self, before: &LiveJob, now: &LiveJob) -> Outcome {
        let settled = verify::settled(&self.manifest.spec, self.basis, &before.normalised, &now.normalised);
        let edit = Some(now.last_edit());
        if !settled.collateral.is_empty() {
            let words =
                "the write changed members that were not sent, or somebody edited the job at the same time";
            let help = "no further job was written to; look at the job, and set `updates: full` if the server replaces";
            // What was declared and is gone belongs to the damage, told in the same direction: as it was, as it is.
            let lost = settled.not_converged.into_iter().map(|field| FieldChange {
                pointer: field.pointer,
                before: field.after,
                after: field.before,
            });
            let mut fields = settled.collateral;
            fields.extend(lost);
            return Outcome { fields, edit, ..Outcome::said(OutcomeKind::Collateral, words) }.helped(help);
        }
        if !settled.not_converged.is_empty() {
            let words = "the server accepted the change and kept other values";
            let help = "read back are the values on the left, sent were those on the right";
            return Outcome {
                fields: settled.not_converged,
                edit,
                ..Outcome::said(OutcomeKind::NotConverged, words)
            }
            .helped(help);
        }
        Outcome::plain(OutcomeKind::Applied)
    }
}

/// An error and its causes, outermost first.
pub fn chain(error: &dyn std::error::Error) -> Vec<String> {
    let mut lines = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        lines.push(cause.to_string());
        source = cause.source();
    }
    lines
}
