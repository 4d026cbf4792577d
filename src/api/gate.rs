#![expect(clippy::disallowed_methods, reason = "people are told by the wall clock when a wait ends")]

//! The one gate through which every request passes: when one call is told to wait, all wait.
//!
//! It holds how long the gateway is closed, how much of the wait budget is used, and how many requests may be in
//! flight. It sends nothing and reads no clock but tokio's (and the wall clock for the notice that people read).
//!
//! Invariants: a wait is charged to the budget once, however many calls sit it out, and only if one does; nobody
//! starts a wait that the budget does not cover to its end; there is always room for at least one call.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until};

use super::error::ApiError;
use super::limits::LimitHeaders;
use super::settings::{Notice, Notices, Settings};

/// Longest wait between refusals that do not end, unless the gateway itself asks for more.
const LONGEST_FLOOR: Duration = Duration::from_mins(1);

/// Successes in a row, per call allowed at a time, after which one more is allowed. Lower would bring the next
/// refusal sooner, higher would leave a long run slow after one bad moment.
const SUCCESSES_PER_STEP: usize = 16;

/// See the module's description.
#[derive(Debug)]
pub(super) struct Gate {
    slots: Semaphore,
    most_at_a_time: usize,
    max_wait: Duration,
    throttle_wait: Duration,
    throttle_floor: Duration,
    notices: Notices,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    closed_until: Option<Instant>,
    /// Up to when waiting is charged to the budget.
    charged_until: Option<Instant>,
    waited: Duration,
    /// When the last refusal came; a call that began before it says nothing new.
    last_refusal: Option<Instant>,
    refusals_in_a_row: u32,
    at_a_time: usize,
    /// Slots to take away as they come back.
    slots_to_retire: usize,
    successes_in_a_row: usize,
    last_seen: Option<LimitHeaders>,
}

/// The right to have one request in flight.
#[derive(Debug)]
pub(super) struct Pass<'gate> {
    gate: &'gate Gate,
    permit: Option<SemaphorePermit<'gate>>,
    began: Instant,
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        if state.slots_to_retire > 0
            && let Some(permit) = self.permit.take()
        {
            state.slots_to_retire -= 1;
            permit.forget();
        }
    }
}

impl Gate {
    pub(super) fn new(settings: &Settings) -> Self {
        let most_at_a_time = settings.concurrency.get().min(Semaphore::MAX_PERMITS);
        Self {
            slots: Semaphore::new(most_at_a_time),
            most_at_a_time,
            max_wait: settings.max_wait,
            throttle_wait: settings.throttle_wait,
            throttle_floor: settings.throttle_floor,
            notices: settings.notices.clone(),
            state: Mutex::new(State {
                closed_until: None,
                charged_until: None,
                waited: Duration::ZERO,
                last_refusal: None,
                refusals_in_a_row: 0,
                at_a_time: most_at_a_time,
                slots_to_retire: 0,
                successes_in_a_row: 0,
                last_seen: None,
            }),
        }
    }

    /// Waits until a request may be sent.
    ///
    /// # Errors
    /// [`ApiError::WaitBudget`] at once, if the wait would go beyond the budget.
    pub(super) async fn enter(&self, call: &str) -> Result<Pass<'_>, ApiError> {
        loop {
            if let Some(until) = self.charge(call)? {
                sleep_until(until).await;
                continue;
            }
            let permit = self.slots.acquire().await.expect("internal error: the slots are never closed");
            let pass = Pass { gate: self, permit: Some(permit), began: Instant::now() };
            // The gate may have closed while this call stood in line.
            if self.closed_for().is_none() {
                return Ok(pass);
            }
        }
    }

    /// How long the gate stays closed from now; `None` when it is open.
    pub(super) fn closed_for(&self) -> Option<Duration> {
        let now = Instant::now();
        self.lock().closed_until.filter(|until| *until > now).map(|until| until - now)
    }

    /// What is left of the wait budget.
    pub(super) fn budget_left(&self) -> Duration {
        self.max_wait.saturating_sub(self.lock().waited)
    }

    /// Waits charged so far.
    pub(super) fn waited(&self) -> Duration {
        self.lock().waited
    }

    /// The last rate-limit headers seen on any answer.
    pub(super) fn last_seen(&self) -> Option<LimitHeaders> {
        self.lock().last_seen
    }

    /// Takes note of a refusal (429): everybody waits, and fewer calls go at a time.
    ///
    /// Refusals of calls that were in flight together count as one.
    pub(super) fn refused(&self, pass: &Pass<'_>, headers: &LimitHeaders) {
        let now = Instant::now();
        let mut lowered = None;
        {
            let mut state = self.lock();
            if state.last_refusal.is_none_or(|last| pass.began >= last) {
                state.refusals_in_a_row = state.refusals_in_a_row.saturating_add(1);
                let reduced = (state.at_a_time / 2).max(1);
                if reduced < state.at_a_time {
                    state.slots_to_retire += state.at_a_time - reduced;
                    state.at_a_time = reduced;
                    lowered = Some(reduced);
                }
                state.last_refusal = Some(now);
            }
            state.successes_in_a_row = 0;
            let doublings = state.refusals_in_a_row.saturating_sub(1).min(16);
            let floor = self.throttle_floor.saturating_mul(1 << doublings);
            let floor = floor.min(LONGEST_FLOOR.max(self.throttle_floor));
            let wait = headers.asked_by_refusal(self.throttle_wait).unwrap_or(self.throttle_wait).max(floor);
            state.close_until(now + wait);
            state.see(headers);
        }
        if let Some(to) = lowered {
            self.notices.send(Notice::ConcurrencyLowered { to });
        }
    }

    /// Takes note of any other answer, and of a limit that it announces before it bites.
    pub(super) fn answered(&self, pass: &Pass<'_>, headers: &LimitHeaders) {
        let now = Instant::now();
        let mut state = self.lock();
        if let Some(wait) = headers.asked_by_success(self.throttle_wait) {
            state.close_until(now + wait);
        }
        state.see(headers);
        if state.last_refusal.is_none_or(|last| pass.began >= last) {
            state.refusals_in_a_row = 0;
            state.successes_in_a_row += 1;
            if state.at_a_time < self.most_at_a_time
                && state.successes_in_a_row >= SUCCESSES_PER_STEP * state.at_a_time
            {
                state.successes_in_a_row = 0;
                state.at_a_time += 1;
                if state.slots_to_retire > 0 {
                    state.slots_to_retire -= 1;
                } else {
                    self.slots.add_permits(1);
                }
            }
        }
    }

    /// Closes the gate for a while without a refusal (503 with `Retry-After`: the whole service pauses).
    pub(super) fn pause(&self, wait: Duration) {
        self.lock().close_until(Instant::now() + wait);
    }

    /// Charges the wait that lies ahead to the budget, and says until when it lasts; `None` when the gate is open.
    fn charge(&self, call: &str) -> Result<Option<Instant>, ApiError> {
        let now = Instant::now();
        let (until, charged, waited_in_all) = {
            let mut state = self.lock();
            let Some(until) = state.closed_until.filter(|until| *until > now) else { return Ok(None) };
            let from = state.charged_until.map_or(now, |charged| charged.max(now));
            let more = until.saturating_duration_since(from);
            if state.waited + more > self.max_wait {
                return Err(ApiError::WaitBudget {
                    call: call.to_owned(),
                    asked: until - now,
                    waited: state.waited,
                    max_wait: self.max_wait,
                });
            }
            state.waited += more;
            state.charged_until = Some(until.max(from));
            (until, more, state.waited)
        };
        if !charged.is_zero() {
            let wait = until - now;
            let ahead = jiff::SignedDuration::try_from(wait).unwrap_or(jiff::SignedDuration::MAX);
            let goes_on_at = jiff::Timestamp::now().checked_add(ahead).unwrap_or(jiff::Timestamp::MAX);
            self.notices.send(Notice::Throttled { wait, goes_on_at, waited_in_all, max_wait: self.max_wait });
        }
        Ok(Some(until))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn close_until(&mut self, until: Instant) {
        self.closed_until = Some(self.closed_until.map_or(until, |closed| closed.max(until)));
    }

    fn see(&mut self, headers: &LimitHeaders) {
        if !headers.is_silent() {
            self.last_seen = Some(*headers);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::future::join_all;

    use super::super::testing::{collected_notices, unreachable_settings};
    use super::*;

    fn asking(seconds: u64) -> LimitHeaders {
        LimitHeaders { retry_after: Some(Duration::from_secs(seconds)), ..LimitHeaders::default() }
    }

    fn gate(max_wait_seconds: u64) -> (Gate, Arc<Mutex<Vec<Notice>>>) {
        let (notices, collected) = collected_notices();
        let mut settings = unreachable_settings();
        settings.max_wait = Duration::from_secs(max_wait_seconds);
        settings.notices = notices;
        (Gate::new(&settings), collected)
    }

    #[tokio::test(start_paused = true)]
    async fn one_is_told_and_all_wait() {
        let (gate, notices) = gate(900);
        let start = Instant::now();
        let pass = gate.enter("a").await.unwrap();
        gate.refused(&pass, &asking(30));
        drop(pass);
        for entered in
            join_all((0..20).map(|_| async { gate.enter("b").await.map(|_| start.elapsed()) })).await
        {
            assert!(entered.unwrap() >= Duration::from_secs(30));
        }
        assert_eq!(start.elapsed().as_secs(), 30);
        assert_eq!(gate.waited().as_secs(), 30, "twenty calls sat out one wait");
        let notices = notices.lock().unwrap();
        assert_eq!(notices.len(), 2, "{notices:?}");
        assert_eq!(notices[0], Notice::ConcurrencyLowered { to: 4 });
        assert!(matches!(&notices[1], Notice::Throttled { wait, .. } if wait.as_secs() == 30), "{notices:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_beyond_the_budget_is_not_begun() {
        let (gate, _) = gate(60);
        let start = Instant::now();
        for wait in [30, 20] {
            let pass = gate.enter("a").await.unwrap();
            gate.refused(&pass, &asking(wait));
        }
        drop(gate.enter("a").await.unwrap());
        assert_eq!(start.elapsed().as_secs(), 50);
        let pass = gate.enter("a").await.unwrap();
        gate.refused(&pass, &asking(11));
        drop(pass);
        let error = gate.enter("GET /x").await.unwrap_err();
        assert!(matches!(&error, ApiError::WaitBudget { waited, .. } if waited.as_secs() == 50), "{error}");
        assert_eq!(start.elapsed().as_secs(), 50, "stopped at once");
    }

    #[tokio::test(start_paused = true)]
    async fn an_announced_limit_costs_nothing_unless_somebody_waits() {
        let (gate, notices) = gate(60);
        let pass = gate.enter("a").await.unwrap();
        gate.answered(
            &pass,
            &LimitHeaders { remaining: Some(0), to_wait: Some(LONGEST_FLOOR * 9), ..asking(0) },
        );
        drop(pass);
        assert_eq!(gate.waited(), Duration::ZERO);
        assert!(notices.lock().unwrap().is_empty());
        assert!(gate.enter("b").await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_without_a_time_wait_a_minute_and_zero_grows() {
        let (gate, _) = gate(3600);
        let start = Instant::now();
        let pass = gate.enter("a").await.unwrap();
        gate.refused(&pass, &LimitHeaders::default());
        drop(pass);
        let mut pass = gate.enter("a").await.unwrap();
        assert_eq!(start.elapsed().as_secs(), 60);
        for expected in [62, 66, 74] {
            gate.refused(&pass, &asking(0));
            drop(pass);
            pass = gate.enter("a").await.unwrap();
            assert_eq!(start.elapsed().as_secs(), expected);
        }
        gate.answered(&pass, &LimitHeaders::default());
        gate.refused(&pass, &asking(0));
        drop(pass);
        drop(gate.enter("a").await.unwrap());
        assert_eq!(start.elapsed().as_secs(), 75, "a success starts the count afresh");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_that_tells_its_window_waits_no_longer_than_that() {
        for (window, expected) in [(2, 2), (60, 60), (3600, 60)] {
            let (gate, _) = gate(60);
            let start = Instant::now();
            let pass = gate.enter("a").await.unwrap();
            let window = Some(Duration::from_secs(window));
            gate.refused(&pass, &LimitHeaders { remaining: Some(0), window, ..LimitHeaders::default() });
            drop(pass);
            drop(gate.enter("a").await.unwrap());
            assert_eq!(start.elapsed().as_secs(), expected, "{window:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn concurrency_goes_down_once_per_episode_and_comes_back_slowly() {
        let (gate, _) = gate(3600);
        let mut passes = Vec::new();
        for _ in 0..8 {
            passes.push(gate.enter("a").await.unwrap());
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        for pass in &passes {
            gate.refused(pass, &asking(1));
        }
        drop(passes);
        assert_eq!(gate.slots.available_permits(), 4);
        for _ in 0..3 {
            let pass = gate.enter("a").await.unwrap();
            gate.refused(&pass, &asking(1));
        }
        assert_eq!(gate.slots.available_permits(), 1);
        for _ in 0..SUCCESSES_PER_STEP {
            let pass = gate.enter("a").await.unwrap();
            gate.answered(&pass, &LimitHeaders::default());
        }
        assert_eq!(gate.slots.available_permits(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_allowed_are_in_flight() {
        let (gate, _) = gate(3600);
        let in_flight = Mutex::new((0_usize, 0_usize));
        join_all((0..100).map(|_| async {
            let _pass = gate.enter("a").await.unwrap();
            {
                let mut counts = in_flight.lock().unwrap();
                counts.0 += 1;
                counts.1 = counts.1.max(counts.0);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
            in_flight.lock().unwrap().0 -= 1;
        }))
        .await;
        assert_eq!(*in_flight.lock().unwrap(), (0, 8));
    }
}
