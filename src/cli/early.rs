//! What is worked out of one job while others are still on their way.
//!
//! It needs nothing but the job and its manifest, so it is done on the runtime's threads: the calls go on meanwhile,
//! and all cores are used. What is concluded is put together by the caller, in an order of its own.

use std::sync::Arc;

use serde_json::Value;

use crate::api::{ApiError, ReadApi};
use crate::details::Body;
use crate::inventory::Packed;
use crate::lean::Lean;
use crate::plan::{Binding, NoTrails, Policy, StampCounts, Steps, is_as_declared};
use crate::snapshot::LiveJob;

/// A manifest, and what it is planned with.
pub(super) struct Early {
    pub(super) manifest: Arc<Packed>,
    pub(super) binding: Binding,
    pub(super) policy: Arc<Policy>,
}

/// An answer to the read of a job, and what was worked out of it.
pub(super) struct Seen {
    /// The subscription that it belongs to, where it says so.
    pub(super) customer: Option<String>,
    /// Ready to be remembered; `None` where the API does not know the job.
    pub(super) body: Option<Body>,
    pub(super) verdict: Verdict,
}

/// What an early look at a manifest and its job comes to.
pub(super) enum Verdict {
    /// Nothing is to be done and nothing to be said.
    Quiet(Steps),
    /// The manifest has to be planned in full, with the places of what it declares.
    Open,
}

/// What a first look at an answer comes to.
struct Glance {
    customer: Option<String>,
    body: Body,
    /// The whole job, unless it is as declared and nothing more is to be found out.
    job: Option<Value>,
}

/// Asks for a job, and looks at the answer: at once whether it is as declared, and if that does not settle it, more
/// closely and away from the task that asks.
pub(super) async fn read<A: ReadApi>(api: &A, id: &str, early: Option<Early>) -> Result<Seen, ApiError> {
    let look = |json: &[u8], job: &Lean<'_>| Glance {
        customer: job.get("customerId").and_then(Lean::as_str).map(str::to_ascii_lowercase),
        body: Body::read(job, json.to_vec()),
        job: (!early.as_ref().is_some_and(|early| early.is_settled(job))).then(|| job.to_value()),
    };
    match api.look_at_job(id, look).await? {
        None => {
            let verdict = plan(None, early).await;
            Ok(Seen { customer: None, body: None, verdict })
        }
        Some(Glance { customer, body, job: None }) => {
            Ok(Seen { customer, body: Some(body), verdict: Verdict::Quiet(Steps::none()) })
        }
        Some(Glance { customer, body, job: Some(job) }) => {
            let verdict = plan(Some(job), early).await;
            Ok(Seen { customer, body: Some(body), verdict })
        }
    }
}

impl Early {
    fn is_settled(&self, job: &Lean<'_>) -> bool {
        self.binding.id().is_some() && is_as_declared(&self.policy.owner, &self.manifest.declared(), job)
    }
}

/// Plans a manifest on another thread.
async fn plan(job: Option<Value>, early: Option<Early>) -> Verdict {
    let planned = tokio::spawn(async move {
        let job = job.map(LiveJob::new);
        let steps = early.map(|Early { manifest, binding, policy }| {
            // Whether there is anything to be done does not depend on where it came from.
            let stamps = StampCounts::default();
            Steps::of(&policy, &stamps, &NoTrails, &manifest.unpack(), &binding, job.as_ref())
        });
        match steps {
            // What is ignored is told with the places of what is declared.
            Some(steps) if steps.is_quiet() && !steps.has_ignored() => Verdict::Quiet(steps),
            Some(_) | None => Verdict::Open,
        }
    });
    planned.await.expect("internal error: looking at a job panicked")
}
