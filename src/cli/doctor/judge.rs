//! From facts to the lines of the report: what is well, what is not, and what to do. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::SignedDuration;

use crate::api::{ApiError, LimitHeaders, ListProbe, Probe, Traffic, UpdatesKnown, in_words};
use crate::apply::chain;
use crate::apply::probe::Removal;
use crate::config::Updates;
use crate::details::CacheSummary;
use crate::patch::Envelope;
use crate::probe::Leftover;
use crate::render::doctor::Check;
use crate::render::probe::{self, Done};
use crate::render::text::count;

/// Difference of the clocks above which it is a warning: what people read as times, and a token's life, go wrong by
/// as much; a gateway's answer in transit explains a few seconds.
const MOST_CLOCK_DIFFERENCE: SignedDuration = SignedDuration::from_mins(2);

/// Calls left in a window below which it is a warning: a tenth of the usual 300 (REFERENCE section 3), and about what
/// a plan with a few changes takes.
const FEW_CALLS_LEFT: u64 = 30;

/// An error and its causes in one line, without the layers of the HTTP client that only repeat that it failed.
fn words(error: &ApiError) -> String {
    let mut lines = chain(error);
    lines.retain(|line| !["error sending request", "client error (Connect)"].contains(&line.as_str()));
    lines.dedup();
    lines.join(": ")
}

/// Name resolution, connection and TLS.
pub(super) fn network(host: &str, is_https: bool, probe: &Result<Probe, ApiError>) -> Check {
    const NAME: &str = "network";
    match probe {
        Err(error) => Check::failed(NAME, format!("`{host}`: {}", words(error)), error.help()),
        Ok(Probe { status, took }) => {
            let tls = if is_https { "over TLS, certificate trusted" } else { "without TLS, on this machine" };
            let message = format!("`{host}` answered in {} ms, {tls}", took.as_millis());
            if status.is_redirection() || status.as_u16() == 407 {
                let help = "check that the gateway is the API gateway of your pod, and no login page or proxy in \
                            front of it";
                Check::warning(NAME, format!("{message}, but with HTTP {status}"), help)
            } else if status.is_server_error() {
                let help = "the service has a problem: try again later";
                Check::warning(NAME, format!("{message}, but with HTTP {status}"), help)
            } else {
                Check::ok(NAME, message)
            }
        }
    }
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Login {
    /// The login that the embedded simulator was started with.
    Simulator,
    /// A user's name, with a password.
    User(String),
    /// `QUALYS_TOKEN`; only a call shows whether it is good.
    GivenToken,
}

/// Credentials, permission and list, from the login and the beginning of a list; `listed` is `None` where the login
/// failed.
pub(super) fn access(
    login: &Login,
    logged_in: &Result<(), ApiError>,
    platform: &str,
    listed: Option<&Result<ListProbe, ApiError>>,
) -> [Check; 3] {
    const CREDENTIALS: &str = "credentials";
    const PERMISSION: &str = "permission";
    const LIST: &str = "list";
    let refused = |error: &ApiError| {
        [
            Check::failed(CREDENTIALS, words(error), error.help()),
            Check::not_checked(PERMISSION, CREDENTIALS),
            Check::not_checked(LIST, CREDENTIALS),
        ]
    };
    let accepted = match login {
        Login::Simulator => Check::ok(CREDENTIALS, "the simulator's own login is accepted"),
        Login::User(name) => Check::ok(CREDENTIALS, format!("the login of user `{name}` is accepted")),
        Login::GivenToken => Check::ok(CREDENTIALS, "the token of QUALYS_TOKEN is accepted"),
    };
    match (logged_in, listed) {
        (Err(error), _) => refused(error),
        (Ok(()), None) => {
            [accepted, Check::not_checked(PERMISSION, CREDENTIALS), Check::not_checked(LIST, CREDENTIALS)]
        }
        (Ok(()), Some(Ok(probe))) => {
            let permission = Check::ok(PERMISSION, format!("this login may list {platform} jobs"));
            [accepted, permission, list(platform, probe)]
        }
        (Ok(()), Some(Err(error))) => match error {
            ApiError::GivenTokenRefused { .. }
            | ApiError::BadToken
            | ApiError::LoginRefused { .. }
            | ApiError::NotAToken { .. } => refused(error),
            ApiError::Forbidden { .. } | ApiError::NewTokenRefused { .. } => [
                accepted,
                Check::failed(PERMISSION, words(error), error.help()),
                Check::not_checked(LIST, PERMISSION),
            ],
            ApiError::Gateway(_)
            | ApiError::Setup(_)
            | ApiError::CaFile { .. }
            | ApiError::BadId { .. }
            | ApiError::WaitBudget { .. }
            | ApiError::Call { .. }
            | ApiError::List { .. } => {
                let is_proved = *login != Login::GivenToken;
                let credentials = if is_proved { accepted } else { Check::not_checked(CREDENTIALS, LIST) };
                let list = Check::failed(LIST, words(error), error.help());
                [credentials, Check::not_checked(PERMISSION, LIST), list]
            }
        },
    }
}

fn list(platform: &str, probe: &ListProbe) -> Check {
    const NAME: &str = "list";
    let ListProbe { rows, page_size, cap, counts_from_one } = probe;
    if rows.is_empty() {
        let message = format!("the list of {platform} jobs is empty");
        let help =
            "if there are such jobs, they are not in this login's scope: plan would create them once more";
        return Check::warning(NAME, message, help);
    }
    let mut message = match cap {
        Some(cap) => format!(
            "the server gives {cap} {platform} jobs a page where {page_size} were asked for; pages are read to the \
             end, which takes that many more calls"
        ),
        None if rows.len() >= *page_size as usize => {
            format!("a full page of {page_size} {platform} jobs: the page size is not capped")
        }
        None => format!(
            "{} in one page of {page_size}, and that is all",
            count(rows.len(), &format!("{platform} job"))
        ),
    };
    if *counts_from_one {
        message.push_str("; pages count from 1");
    }
    Check::ok(NAME, message)
}

/// Whose jobs answer.
pub(super) fn subscription(answered: &BTreeSet<String>, expected: Option<&str>) -> Check {
    const NAME: &str = "subscription";
    let names = answered.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    match (expected, answered.is_empty()) {
        (Some(expected), false) if answered.iter().all(|id| id == expected) => {
            Check::ok(NAME, format!("{names}, as `customerId` says"))
        }
        (Some(expected), false) => Check::failed(
            NAME,
            format!("this gateway answers for the subscription {names}, and `customerId` is {expected}"),
            "wrong gateway or wrong login; every other command stops here, too",
        ),
        (Some(_), true) => Check::ok(NAME, "no job was answered, so `customerId` could not be compared"),
        (None, false) => Check::ok(
            NAME,
            format!("{names}; with `customerId: {names}` in patchctl.yaml no run touches another one"),
        ),
        (None, true) => Check::ok(NAME, "no job was answered that says"),
    }
}

/// The difference of the clocks.
pub(super) fn clock(ahead: Option<SignedDuration>) -> Check {
    const NAME: &str = "clock";
    let Some(ahead) = ahead else {
        return Check::ok(NAME, "no answer told the gateway's time");
    };
    let difference = in_words(ahead.unsigned_abs());
    // The header has whole seconds and was some time on its way.
    if ahead.abs() < SignedDuration::from_secs(3) {
        return Check::ok(NAME, "in step with the gateway's");
    }
    if ahead.abs() <= MOST_CLOCK_DIFFERENCE {
        return Check::ok(NAME, format!("{difference} from the gateway's"));
    }
    let side = if ahead.is_positive() { "behind" } else { "ahead of" };
    Check::warning(
        NAME,
        format!("this machine's clock is {difference} {side} the gateway's"),
        "set this machine's clock (NTP): times in messages, schedules and ages are off by as much",
    )
}

/// What the answers said about the rate limit.
pub(super) fn throttling(seen: Option<LimitHeaders>, traffic: Traffic) -> Check {
    const NAME: &str = "throttling";
    let Some(LimitHeaders { limit, window, remaining, to_wait, retry_after }) = seen else {
        let message =
            "no answer bore rate-limit headers; about 300 calls an hour for the whole subscription is usual";
        return if traffic.waited.is_zero() {
            Check::ok(NAME, message)
        } else {
            Check::warning(NAME, format!("had to wait {}; {message}", in_words(traffic.waited)), SHARED)
        };
    };
    let mut parts = Vec::new();
    if let Some(limit) = limit {
        let window = window.map(|window| format!(" in {}", in_words(window))).unwrap_or_default();
        parts.push(format!("{limit} calls allowed{window}"));
    }
    if let Some(remaining) = remaining {
        parts.push(format!("{remaining} left"));
    }
    if let Some(wait) = to_wait.max(retry_after).filter(|wait| !wait.is_zero()) {
        parts.push(format!("was told to wait {}", in_words(wait)));
    }
    if parts.is_empty() {
        parts.push("the headers are there and ask for nothing".to_owned());
    }
    let message = parts.join(", ");
    let few = remaining.is_some_and(|remaining| remaining < FEW_CALLS_LEFT);
    let is_waiting = to_wait.max(retry_after).unwrap_or(Duration::ZERO) > Duration::ZERO;
    if few || is_waiting { Check::warning(NAME, message, SHARED) } else { Check::ok(NAME, message) }
}

const SHARED: &str = "the limit is shared by all tools of the subscription: run fewer at a time, or allow waiting with \
                      --max-wait";

/// Whether updates carry the changes only, by what is known of the gateway (DESIGN section 6); `told_on` is the day of
/// the probe that it is known from.
pub(super) fn updates(configured: Updates, known: Option<UpdatesKnown>, told_on: Option<&str>) -> Check {
    const NAME: &str = "updates";
    let told = told_on.map(|day| format!("; a probe told it on {day}")).unwrap_or_default();
    let ok = |words: &str| Check::ok(NAME, format!("{words}{told}"));
    match (known, configured) {
        (Some(UpdatesKnown::Merge), Updates::Full) => {
            ok("the gateway merges; `updates: full` sends whole jobs all the same")
        }
        (Some(UpdatesKnown::Merge), Updates::Auto | Updates::Minimal) => {
            ok("the gateway merges, so updates carry only what changes")
        }
        (Some(UpdatesKnown::Replace), Updates::Minimal) => Check::warning(
            NAME,
            "the gateway replaces jobs, so `updates: minimal` is not followed: it would wipe what is not sent",
            "take `updates: minimal` out of the configuration",
        ),
        (Some(UpdatesKnown::Replace), Updates::Auto | Updates::Full) => {
            ok("the gateway replaces, so updates carry the whole job")
        }
        (None, Updates::Auto) => Check::ok(
            NAME,
            "not known whether the gateway merges: the next apply with an update tries it on a scratch job of its own; \
             `doctor --probe-updates` does so now",
        ),
        (None, Updates::Full) => Check::ok(NAME, "carry the whole job, as `updates: full` says"),
        (None, Updates::Minimal) => {
            Check::ok(NAME, "carry only what changes: `updates: minimal` vouches that the gateway merges")
        }
    }
}

/// The same after a probe, with the setting to commit.
pub(super) fn probed(configured: Updates, done: &Done) -> Check {
    const NAME: &str = "updates";
    let Some((_, probed)) = &done.probe else { return Check::not_checked(NAME, "list") };
    let check = match probed.verdict {
        None if probed.is_forbidden => Check::warning(
            NAME,
            probed.error.join(": "),
            "commit `updates: full` in patchctl.yaml, or probe with a login that may make jobs",
        ),
        None => Check::warning(
            NAME,
            format!("it could not be told how the gateway takes updates: {}", probed.error.join(": ")),
            "try again later; `updates: full` in patchctl.yaml suits every server",
        ),
        Some(verdict) => {
            let setting = verdict.envelope().as_str();
            let message = format!("the gateway {}", verdict.words());
            match (configured, verdict.envelope()) {
                (Updates::Minimal, Envelope::Full) => {
                    let help = "set `updates: full` in patchctl.yaml in place of `updates: minimal`";
                    Check::warning(NAME, message, help)
                }
                (Updates::Minimal, Envelope::Minimal) | (Updates::Full, Envelope::Full) => {
                    Check::ok(NAME, format!("{message}, as `updates: {setting}` says"))
                }
                (Updates::Auto, _) | (Updates::Full, Envelope::Minimal) => {
                    Check::ok(NAME, format!("{message}; commit `updates: {setting}` in patchctl.yaml"))
                }
            }
        }
    };
    let own = probed.left.iter().map(|left| (left.name.as_str(), left.id.as_deref(), left.error.join(": ")));
    let others = done.removals.iter().filter_map(|(job, removal)| {
        let error = match removal {
            Removal::Gone => return None,
            Removal::NotOurs(reason) => format!("it is left alone, because {reason}"),
            Removal::Failed(error) => error.join(": "),
        };
        Some((job.name.as_str(), Some(job.id.as_str()), error))
    });
    own.chain(others).fold(check, |check, (name, id, error)| {
        let id = id.map(|id| format!(" ({id})")).unwrap_or_default();
        let message =
            format!("{}; the scratch job `{name}`{id} could not be removed: {error}", check.message);
        Check::warning(NAME, message, probe::AGAIN)
    })
}

/// Names scratch jobs that are still there.
pub(super) fn left_over(check: Check, leftovers: &[Leftover]) -> Check {
    let [first, ..] = leftovers else { return check };
    let words = match leftovers.len() {
        1 => format!("the scratch job `{}` ({}) of an earlier probe is still there", first.name, first.id),
        n => format!(
            "{n} scratch jobs of earlier probes are still there, such as `{}` ({})",
            first.name, first.id
        ),
    };
    Check::warning(check.name, format!("{}; {words}", check.message), probe::AGAIN)
}

/// The state of the cache; `note` is what `plan` would say about it, `shown` its path as messages show it.
pub(super) fn cache(summary: &CacheSummary, shown: &str, note: Option<&str>) -> Check {
    const NAME: &str = "cache";
    const DELETE: &str = "delete the file: that costs calls once, and nothing else";
    let CacheSummary { path: _, n_jobs, oldest_ms, bytes } = summary;
    if let Some(note) = note {
        return Check::warning(NAME, note, DELETE);
    }
    let Some(bytes) = bytes else {
        return Check::ok(NAME, format!("none yet; the next plan makes `{shown}`"));
    };
    let jobs = count(*n_jobs, "job");
    let oldest = oldest_ms.map(|ms| format!(", oldest read {} ago", age(ms))).unwrap_or_default();
    Check::ok(NAME, format!("{jobs}{oldest}, {} in `{shown}`", size(*bytes)))
}

/// An age in its largest unit, rounded down: `3 days`, `5 h`, `40 s`.
fn age(milliseconds: i64) -> String {
    let seconds = usize::try_from(milliseconds / 1_000).unwrap_or_default();
    match seconds {
        172_800.. => count(seconds / 86_400, "day"),
        7_200.. => format!("{} h", seconds / 3_600),
        120.. => format!("{} min", seconds / 60),
        _ => format!("{seconds} s"),
    }
}

/// A size in bytes, kB or MB (powers of ten), rounded down to a tenth.
fn size(bytes: u64) -> String {
    match bytes {
        1_000_000.. => format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10),
        1_000.. => format!("{}.{} kB", bytes / 1_000, bytes / 100 % 10),
        _ => format!("{bytes} bytes"),
    }
}
