//! When a read is sent again: at most five tries, with exponential pauses and full jitter, inside the wait budget.
//!
//! A refusal for the rate limit is not a try: the gate bounds those by time. Writes never come here.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::error::{ApiError, CallFailure};
use super::gate::{Gate, Pass};
use super::settings::{Notice, Notices, Settings};

/// Tries of one read. Pauses of up to 0.5, 1, 2 and 4 s lie between five; with ten the last would be minutes long.
const MOST_TRIES: u32 = 5;

/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What all calls of a client share for their retries.
#[derive(Debug)]
pub(super) struct RetryPolicy {
    first_pause: Duration,
    random: Mutex<u64>,
    notices: Notices,
}

impl RetryPolicy {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            first_pause: settings.retry_pause,
            random: Mutex::new(settings.retry_seed),
            notices: settings.notices.clone(),
        }
    }

    /// A pause between zero and the doubled-up limit ("full jitter"), so that calls that failed together do not come
    /// back together.
    fn pause_after(&self, tries: u32) -> Duration {
        let limit = self.first_pause.saturating_mul(1 << tries.saturating_sub(1).min(16)).min(LONGEST_PAUSE);
        let limit_nanoseconds = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.next_random() % limit_nanoseconds.saturating_add(1).max(1))
    }

    /// SplitMix64: good enough to spread load, and no reason for a dependency.
    fn next_random(&self) -> u64 {
        let mut state = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// The tries of one read, from the first to the last.
#[derive(Debug)]
pub(super) struct Tries<'client> {
    gate: &'client Gate,
    policy: &'client RetryPolicy,
    call: &'client str,
    sent: u32,
    failed: u32,
    paused: Duration,
}

impl<'client> Tries<'client> {
    pub(super) fn new(gate: &'client Gate, policy: &'client RetryPolicy, call: &'client str) -> Self {
        Self { gate, policy, call, sent: 0, failed: 0, paused: Duration::ZERO }
    }

    /// Waits for the right to send, and counts the sending.
    ///
    /// # Errors
    /// [`ApiError::WaitBudget`].
    pub(super) async fn enter(&mut self) -> Result<Pass<'client>, ApiError> {
        let pass = self.gate.enter(self.call).await?;
        self.sends();
        Ok(pass)
    }

    /// Counts a sending, for who got the right to it elsewhere.
    pub(super) fn sends(&mut self) {
        self.sent = self.sent.saturating_add(1);
    }

    /// Whether the request now in hand was sent before.
    pub(super) fn is_repeat(&self) -> bool {
        self.sent > 1
    }

    /// How often the request was sent so far, refusals for the rate limit included.
    pub(super) fn n_sent(&self) -> u32 {
        self.sent
    }

    /// Pauses after a failure that may mend itself.
    ///
    /// # Errors
    /// The call's error where it will not, where this was the last try, or where the budget does not cover the pause.
    pub(super) async fn again(&mut self, cause: CallFailure) -> Result<(), ApiError> {
        let may_mend = cause.is_transient();
        if may_mend && self.pause(cause.to_string()).await { Ok(()) } else { Err(self.give_up(cause)) }
    }

    /// Pauses after a failure that may mend itself, and says whether there is another try: `false` at once where this
    /// was the last one, or where the budget does not cover the pause.
    pub(super) async fn pause(&mut self, cause: String) -> bool {
        self.failed += 1;
        if self.failed >= MOST_TRIES {
            return false;
        }
        let delay = self.policy.pause_after(self.failed);
        if self.paused + delay > self.gate.budget_left() {
            return false;
        }
        self.paused += delay;
        self.policy.notices.send(Notice::Retrying {
            call: self.call.to_owned(),
            next_try: self.sent.saturating_add(1),
            delay,
            cause,
        });
        tokio::time::sleep(delay).await;
        true
    }

    /// The error of this call, with the last cause.
    pub(super) fn give_up(&self, cause: CallFailure) -> ApiError {
        ApiError::Call { call: self.call.to_owned(), tries: self.sent.max(1), cause }
    }
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;
    use tokio::time::Instant;

    use super::super::testing::unreachable_settings;
    use super::*;

    fn failure(status: u16) -> CallFailure {
        let status = StatusCode::from_u16(status).unwrap();
        CallFailure::Status { status, error_code: None, excerpt: String::new() }
    }

    async fn run(settings: &Settings, statuses: &[u16]) -> (Result<(), ApiError>, Duration) {
        let gate = Gate::new(settings);
        let policy = RetryPolicy::new(settings);
        let start = Instant::now();
        let mut tries = Tries::new(&gate, &policy, "GET /x");
        let outcome = async {
            for status in statuses {
                let pass = tries.enter().await?;
                drop(pass);
                tries.again(failure(*status)).await?;
            }
            Ok(())
        }
        .await;
        (outcome, start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn five_tries_within_seven_and_a_half_seconds() {
        for seed in 0..50 {
            let mut settings = unreachable_settings();
            settings.retry_seed = seed;
            let (outcome, _) = run(&settings, &[500, 408, 425, 503]).await;
            outcome.unwrap();
            let (outcome, elapsed) = run(&settings, &[500; 9]).await;
            assert!(matches!(outcome, Err(ApiError::Call { tries: 5, .. })), "{outcome:?}");
            assert!(elapsed <= Duration::from_millis(7_510), "{elapsed:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_mend_itself_is_not_repeated() {
        for status in [400, 404, 409, 422] {
            let (outcome, elapsed) = run(&unreachable_settings(), &[status]).await;
            assert!(matches!(outcome, Err(ApiError::Call { tries: 1, .. })), "{outcome:?}");
            assert_eq!(elapsed, Duration::ZERO);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_pause_without_a_budget() {
        let mut settings = unreachable_settings();
        settings.max_wait = Duration::ZERO;
        let (outcome, elapsed) = run(&settings, &[500; 9]).await;
        assert!(matches!(outcome, Err(ApiError::Call { tries: 1, .. })), "{outcome:?}");
        assert_eq!(elapsed, Duration::ZERO);
    }

    #[test]
    fn pauses_are_spread_over_the_whole_range() {
        let policy = RetryPolicy::new(&unreachable_settings());
        let pauses: Vec<Duration> = (0..1_000).map(|_| policy.pause_after(2)).collect();
        assert!(pauses.iter().all(|pause| *pause <= Duration::from_secs(1)));
        assert!(pauses.iter().any(|pause| *pause < Duration::from_millis(100)));
        assert!(pauses.iter().any(|pause| *pause > Duration::from_millis(900)));
        assert!((0..100).all(|_| policy.pause_after(u32::MAX) <= LONGEST_PAUSE));
    }
}
