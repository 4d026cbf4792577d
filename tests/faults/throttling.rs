//! The rate limit, shared by all clients, in every form in which it is said.

use std::num::NonZeroUsize;
use std::time::Duration;

use futures_util::future::join_all;
use patchctl::api::ApiError;
use patchctl::simulator::{Behaviour, Call, Clock, Quota, ThrottleForm};

use super::{Server, right};

const FORMS: [ThrottleForm; 5] = [
    ThrottleForm::RetryAfter,
    ThrottleForm::RetryAfterDate,
    ThrottleForm::ToWait,
    ThrottleForm::RemainingWindow,
    ThrottleForm::Silent,
];

async fn with_quota(calls: u32, window_seconds: u32, announce: bool, refusal: ThrottleForm) -> Server {
    let quota = Some(Quota { calls, window_seconds, announce, refusal });
    let mut server = Server::start_at(Behaviour { quota, ..Behaviour::default() }, Clock::system()).await;
    server.settings.throttle_wait = Duration::from_millis(100);
    server
}

fn n_refused(server: &Server) -> usize {
    server.running.requests().iter().filter(|request| request.status == Some(429)).count()
}

/// Two clients that share twelve calls of five a second both come to their end.
#[tokio::test(flavor = "multi_thread")]
async fn all_who_share_a_quota_come_to_their_end() {
    let right = &right().await;
    let runs = FORMS.iter().flat_map(|form| [false, true].map(|announce| (*form, announce)));
    join_all(runs.map(|(form, announce)| async move {
        let server = with_quota(5, 1, announce, form).await;
        let (one, other) = tokio::join!(server.read(), server.read());
        for read in [one, other] {
            assert_eq!(read.as_ref().ok(), Some(right), "{form:?}, announced: {announce}: {read:?}");
        }
        assert!(announce || n_refused(&server) > 0);
    }))
    .await;
}

/// A limit that is announced before it bites is never run into.
#[tokio::test(flavor = "multi_thread")]
async fn an_announced_limit_is_kept() {
    let right = right().await;
    let mut server = with_quota(4, 1, true, ThrottleForm::Silent).await;
    server.settings.concurrency = NonZeroUsize::MIN;
    let client = server.client();
    assert_eq!(server.read_with(&client).await.expect("it waits"), right);
    assert_eq!(n_refused(&server), 0);
    assert_eq!(client.limits_seen().and_then(|limits| limits.limit), Some(4));
    assert!(!client.traffic().waited.is_zero());
}

/// Without time to wait the run ends at once, and the login is outside of the limit.
#[tokio::test]
async fn a_wait_that_is_not_allowed_ends_the_run() {
    for (announce, n_sent) in [(false, 3), (true, 2)] {
        for form in FORMS {
            let mut server = with_quota(2, 3600, announce, form).await;
            server.settings.max_wait = Duration::ZERO;
            let outcome = server.read().await;
            let is_budget = |error: &ApiError| matches!(error, ApiError::WaitBudget { .. });
            assert!(outcome.as_ref().is_err_and(is_budget), "{form:?}: {outcome:?}");
            let calls: Vec<Call> = server.running.requests().iter().map(|request| request.call).collect();
            assert_eq!(calls[0], Call::Auth);
            assert_eq!(calls[1..], [Call::List; 3][..n_sent], "{form:?}, announced: {announce}");
        }
    }
}
