//! Tells people that the gateway makes the run wait, for how long, and when it goes on.
//!
//! On a terminal one line is rewritten each second and wiped at the end; elsewhere a line comes at the start and then
//! every 30 seconds; a quiet run says the first line only. Short waits that follow each other closely, and waits that
//! grow by little, are told by those lines and have none of their own. Nothing here decides how long is waited: the gate of the
//! client does, and says so by [`Notice::Throttled`]. The task that tells ends by itself, or with the client.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

use super::seldom::{LINE_EVERY, Seldom};
use crate::api::{Notice, Notices, in_words};
use crate::terminal::Terminal;

/// Says on stderr what the client has to say while it works.
pub(super) fn notices(terminal: Terminal) -> Notices {
    let pace = match (terminal.is_quiet(), Terminal::can_rewrite()) {
        (true, _) => Pace::Once,
        (false, true) => Pace::Rewritten,
        (false, false) => Pace::Lines,
    };
    let waiting = Waiting::new(pace, move |told| match told {
        Told::Line(text) => terminal.say(&format!("note: {text}\n")),
        Told::Rewritten(text) => terminal.status(&text),
        Told::Over => terminal.end_status(),
    });
    let seldom = Seldom::default();
    Notices::to(move |notice| match notice {
        Notice::Throttled { wait, goes_on_at, .. } => waiting.begin(wait, goes_on_at),
        Notice::Retrying { call, next_try, cause, .. } => {
            if let Some(line) = seldom.retry(&call, &cause, next_try) {
                terminal.note(&line);
            }
        }
        Notice::ConcurrencyLowered { to } => {
            let calls = if to == 1 { "1 call".to_owned() } else { format!("{to} calls") };
            if seldom.due(&calls).is_some() {
                terminal.note(&format!("the gateway refused calls: at most {calls} at a time from now on"));
            }
        }
    })
}

/// How often a wait is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// In one line, rewritten each second.
    Rewritten,
    /// In a line at the start and every 30 seconds.
    Lines,
    /// In a line at the start.
    Once,
}

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    /// A line that stays.
    Line(String),
    /// A line that takes the place of the one before.
    Rewritten(String),
    /// The rewritten line goes.
    Over,
}

type Tell = Arc<dyn Fn(Told) + Send + Sync>;

/// The wait that is going on, if one is, and the task that tells of it. Dropping it ends both.
struct Waiting {
    pace: Pace,
    tell: Tell,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// When it goes on, and the same as a time of day.
    until: Option<(Instant, String)>,
    /// When a line was told last, and when it went on by that line.
    told: Option<(Instant, Instant)>,
    /// The task, while it runs.
    task: Option<AbortHandle>,
}

impl Waiting {
    fn new(pace: Pace, tell: impl Fn(Told) + Send + Sync + 'static) -> Self {
        Self { pace, tell: Arc::new(tell), state: Arc::default() }
    }

    /// Takes note of a wait that begins now, or of one that grows.
    fn begin(&self, wait: Duration, goes_on_at: jiff::Timestamp) {
        let mut state = lock(&self.state);
        let now = Instant::now();
        let goes_on = goes_on_at.strftime("%H:%M:%S UTC").to_string();
        let is_growing = state.until.as_ref().is_some_and(|(until, _)| *until > now);
        let is_news = state.told.is_none_or(|(told_at, told_until)| {
            now >= told_at + LINE_EVERY || now + wait > told_until + LINE_EVERY
        });
        let is_told = match self.pace {
            Pace::Rewritten => false,
            Pace::Lines => is_news,
            Pace::Once => is_news && !is_growing,
        };
        if is_told {
            state.told = Some((now, now + wait));
            let wait = in_words(wait);
            (self.tell)(Told::Line(format!("the gateway asks to wait {wait}; it goes on at {goes_on}")));
        }
        state.until = Some((now + wait, goes_on));
        if self.pace != Pace::Once
            && state.task.is_none()
            && let Ok(runtime) = Handle::try_current()
        {
            let task = tell_until_over(self.pace, Arc::clone(&self.tell), Arc::clone(&self.state));
            state.task = Some(runtime.spawn(task).abort_handle());
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(task) = lock(&self.state).task.take() {
            task.abort();
            (self.tell)(Told::Over);
        }
    }
}

/// Tells of the wait until it is over, also where it grows meanwhile.
async fn tell_until_over(pace: Pace, tell: Tell, state: Arc<Mutex<State>>) {
    loop {
        let pause = {
            // Held while telling, so that nothing is told of a wait that `drop` has ended.
            let mut state = lock(&state);
            let now = Instant::now();
            let Some((until, goes_on)) = state.until.clone().filter(|(until, _)| *until > now) else {
                if state.task.take().is_some() {
                    tell(Told::Over);
                }
                return;
            };
            let left = until - now;
            if pace == Pace::Rewritten {
                let words = in_words(left);
                tell(Told::Rewritten(format!(
                    "waiting for the gateway's rate limit: {words} left, goes on at {goes_on}"
                )));
                left.min(Duration::from_secs(1))
            } else {
                // `begin` told the first line, of this wait or of one just before it.
                let mut next = state.told.map_or(now, |(told_at, _)| told_at + LINE_EVERY);
                if next <= now {
                    state.told = Some((now, until));
                    next = now + LINE_EVERY;
                    let left = in_words(left);
                    tell(Told::Line(format!(
                        "waiting for the gateway, {left} left; it goes on at {goes_on}"
                    )));
                }
                left.min(next - now)
            }
        };
        sleep(pause).await;
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Log = Arc<Mutex<Vec<(u64, String)>>>;

    /// A wait whose words are kept with the second they came in.
    fn waiting(pace: Pace) -> (Waiting, Log) {
        let log = Log::default();
        let (kept, start) = (Arc::clone(&log), Instant::now());
        let waiting = Waiting::new(pace, move |told| {
            let text = match told {
                Told::Line(text) => text,
                Told::Rewritten(text) => format!("~{text}"),
                Told::Over => "over".to_owned(),
            };
            kept.lock().unwrap().push((start.elapsed().as_secs(), text));
        });
        (waiting, log)
    }

    fn at(second: i64) -> jiff::Timestamp {
        jiff::Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    async fn after(seconds: u64) {
        sleep(Duration::from_secs(seconds)).await;
    }

    #[track_caller]
    fn check(log: &Log, expected: &[(u64, &str)]) {
        let log = log.lock().unwrap();
        let found: Vec<(u64, &str)> = log.iter().map(|(second, text)| (*second, text.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn in_a_log_a_line_at_the_start_and_every_half_minute() {
        let (waiting, log) = waiting(Pace::Lines);
        waiting.begin(Duration::from_secs(75), at(75));
        after(600).await;
        check(
            &log,
            &[
                (0, "the gateway asks to wait 1 min 15 s; it goes on at 08:01:15 UTC"),
                (30, "waiting for the gateway, 45 s left; it goes on at 08:01:15 UTC"),
                (60, "waiting for the gateway, 15 s left; it goes on at 08:01:15 UTC"),
                (75, "over"),
            ],
        );
    }

    #[tokio::test(start_paused = true)]
    async fn on_a_terminal_one_line_each_second() {
        let (waiting, log) = waiting(Pace::Rewritten);
        waiting.begin(Duration::from_millis(2_500), at(2));
        after(600).await;
        let left =
            |left| format!("~waiting for the gateway's rate limit: {left} s left, goes on at 08:00:02 UTC");
        check(&log, &[(0, &left(3)), (1, &left(2)), (2, &left(1)), (2, "over")]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_grows_is_one_wait() {
        let (waiting, log) = waiting(Pace::Lines);
        waiting.begin(Duration::from_secs(20), at(20));
        after(10).await;
        waiting.begin(Duration::from_secs(30), at(40));
        after(600).await;
        check(
            &log,
            &[
                (0, "the gateway asks to wait 20 s; it goes on at 08:00:20 UTC"),
                (30, "waiting for the gateway, 10 s left; it goes on at 08:00:40 UTC"),
                (40, "over"),
            ],
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_grows_by_much_is_told_at_once() {
        let (waiting, log) = waiting(Pace::Lines);
        waiting.begin(Duration::from_secs(5), at(5));
        after(1).await;
        waiting.begin(Duration::from_secs(60), at(61));
        after(600).await;
        check(
            &log,
            &[
                (0, "the gateway asks to wait 5 s; it goes on at 08:00:05 UTC"),
                (1, "the gateway asks to wait 1 min; it goes on at 08:01:01 UTC"),
                (31, "waiting for the gateway, 30 s left; it goes on at 08:01:01 UTC"),
                (61, "over"),
            ],
        );
    }

    /// Answers in flight announce one wait again and again, each a little later than the one before.
    #[tokio::test(start_paused = true)]
    async fn one_wait_that_is_announced_eight_times_is_told_once() {
        for pace in [Pace::Lines, Pace::Once] {
            let (waiting, log) = waiting(pace);
            for _ in 0..8 {
                waiting.begin(Duration::from_secs(5), at(5));
                sleep(Duration::from_millis(3)).await;
            }
            after(600).await;
            log.lock().unwrap().retain(|(_, text)| text != "over");
            check(&log, &[(0, "the gateway asks to wait 5 s; it goes on at 08:00:05 UTC")]);
        }
    }

    /// A quota of a few calls every five seconds, for five minutes.
    #[tokio::test(start_paused = true)]
    async fn short_waits_in_a_row_are_a_line_every_half_minute() {
        let (waiting, log) = waiting(Pace::Lines);
        for round in 0..50 {
            waiting.begin(Duration::from_secs(5), at(round * 6 + 5));
            after(6).await;
        }
        let log = log.lock().unwrap();
        let seconds: Vec<u64> =
            log.iter().filter(|(_, text)| text != "over").map(|(second, _)| *second).collect();
        assert_eq!(seconds, (0..10).map(|line| line * 30).collect::<Vec<_>>());
    }

    #[tokio::test(start_paused = true)]
    async fn quiet_runs_say_the_first_line_of_a_wait() {
        let (waiting, log) = waiting(Pace::Once);
        waiting.begin(Duration::from_secs(60), at(60));
        after(30).await;
        waiting.begin(Duration::from_secs(60), at(90));
        after(600).await;
        waiting.begin(Duration::from_secs(5), at(695));
        after(600).await;
        check(
            &log,
            &[
                (0, "the gateway asks to wait 1 min; it goes on at 08:01:00 UTC"),
                (630, "the gateway asks to wait 5 s; it goes on at 08:11:35 UTC"),
            ],
        );
    }

    #[tokio::test(start_paused = true)]
    async fn each_wait_has_a_task_of_its_own_and_a_dropped_one_ends() {
        let (waiting, log) = waiting(Pace::Rewritten);
        waiting.begin(Duration::from_secs(1), at(1));
        after(5).await;
        waiting.begin(Duration::from_secs(100), at(105));
        sleep(Duration::from_millis(1_500)).await;
        drop(waiting);
        after(600).await;
        let log = log.lock().unwrap();
        let seconds: Vec<u64> = log.iter().map(|(second, _)| *second).collect();
        assert_eq!(seconds, [0, 1, 5, 6, 6], "{log:?}");
        assert_eq!(log.last().map(|(_, text)| text.as_str()), Some("over"));
    }
}
