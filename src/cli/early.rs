//! What is worked out of one job while others are still on their way.
//!
//! It needs nothing but the job and its manifest, so it is done on the runtime's threads: the calls go on meanwhile,
//! and all cores are used. What is concluded is put together by the caller, in an order of its own.

use std::sync::Arc;

use serde_json::Value;

use crate::api::{ApiError, ReadApi};
use crate::details::Body;
use crate::inventory::Packed;
use crate::plan::{Binding, NoTrails, Policy, StampCounts, Steps};
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

/// Asks for a job, and looks at the answer away from the task that asks.
pub(super) async fn read<A: ReadApi>(api: &A, id: &str, early: Option<Early>) -> Result<Seen, ApiError> {
    let job = api.get_job(id).await?;
    let seen = tokio::spawn(async move { look(job, early) }).await;
    Ok(seen.expect("internal error: looking at a job panicked"))
}

fn look(job: Option<Value>, early: Option<Early>) -> Seen {
    let customer = job.as_ref().and_then(|job| job.get("customerId")).and_then(Value::as_str);
    let customer = customer.map(str::to_ascii_lowercase);
    let body = job.as_ref().map(Body::of);
    let job = job.map(LiveJob::new);
    let steps = early.map(|Early { manifest, binding, policy }| {
        // Whether there is anything to be done does not depend on where it came from.
        let stamps = StampCounts::default();
        Steps::of(&policy, &stamps, &NoTrails, &manifest.unpack(), &binding, job.as_ref())
    });
    let verdict = match steps {
        // What is ignored is told with the places of what is declared.
        Some(steps) if steps.is_quiet() && !steps.has_ignored() => Verdict::Quiet(steps),
        Some(_) | None => Verdict::Open,
    };
    Seen { customer, body, verdict }
}
