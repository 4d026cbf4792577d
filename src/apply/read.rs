//! Reading one job for a step, and waiting for an answer that lags.

use std::time::Duration;

use tokio::time::Instant;

use super::{Interrupt, Run, chain, is_deleted};
use crate::api::ReadApi;
use crate::plan::{Outcome, OutcomeKind};
use crate::snapshot::LiveJob;
use crate::stamp;

/// Reads a job; what comes instead is the outcome of a step that has not written yet.
pub(super) async fn job<A: ReadApi>(run: Run<'_, A>, id: &str) -> Result<LiveJob, Outcome> {
    match run.api.get_job(id).await {
        Ok(Some(raw)) => Ok(LiveJob::new(raw)),
        Ok(None) => Err(Outcome::said(OutcomeKind::Stale, format!("the live job {id} is gone"))),
        Err(error) => Err(Outcome {
            error: chain(&error),
            help: Some(error.help()),
            ..Outcome::plain(OutcomeKind::Failed)
        }),
    }
}

/// Why a job that was read afresh is not one that this plan may write to.
pub(super) fn taken_away(fresh: &LiveJob, owner: &str) -> Option<Outcome> {
    let stale = |words: String| {
        Some(Outcome { edit: Some(fresh.last_edit()), ..Outcome::said(OutcomeKind::Stale, words) })
    };
    let description = fresh.raw.get("description").and_then(serde_json::Value::as_str).unwrap_or_default();
    if let Some(other) = stamp::owners(description).find(|other| *other != owner) {
        return stale(format!("the job was taken over by `{other}` since the plan"));
    }
    if is_deleted(&fresh.raw) {
        return stale("the job was deleted since the plan".to_owned());
    }
    None
}

/// The waits between reads of something that does not show yet: short at first, then longer, until the time is up.
pub(super) struct Settling {
    until: Instant,
    next: Duration,
}

/// The first wait; most servers have answered by then.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest wait, so that a change which shows is seen soon.
const LONGEST_WAIT: Duration = Duration::from_secs(8);

impl Settling {
    /// Begins to wait.
    pub(super) fn begin<A>(run: Run<'_, A>) -> Self {
        Self::lasting(run.settle_time)
    }

    /// Begins to wait for so long in all.
    pub(super) fn lasting(settle_time: Duration) -> Self {
        Self { until: Instant::now() + settle_time, next: FIRST_WAIT }
    }

    /// Waits a little; `false` where the time is up, or somebody wants to leave.
    pub(super) async fn wait<A>(&mut self, run: Run<'_, A>) -> bool {
        self.wait_unless(run.interrupt).await
    }

    /// The same where there is no plan to carry out.
    pub(super) async fn wait_unless(&mut self, interrupt: &Interrupt) -> bool {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() || interrupt.is_asked() {
            return false;
        }
        let waited = tokio::time::timeout(self.next.min(left), interrupt.asked()).await;
        self.next = (self.next * 2).min(LONGEST_WAIT);
        waited.is_err()
    }
}
