//! Each fault at each call of a run in turn, once and from then on.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use patchctl::api::Settings;
use patchctl::simulator::{Behaviour, Effect, ErrorBody, Fault, ThrottleForm};

use super::{N_CALLS, Read, Server, right};

/// What must come of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// The right jobs.
    Right,
    /// A clean error.
    Error,
    /// One of the two, depending on the call.
    Either,
}

use Expected::{Either, Error, Right};

/// A fault, what comes of it where it happens once, at the login and at a read, and where it goes on for ever.
struct Case {
    effect: Effect,
    at_login: Expected,
    at_read: Expected,
    lasting: Expected,
    settings: fn(&mut Settings),
}

fn as_usual(_: &mut Settings) {}

/// For faults that last until the client gives up.
fn impatient(settings: &mut Settings) {
    settings.request_timeout = Duration::from_millis(150);
}

/// Up to some seven refusals in a row.
fn little_budget(settings: &mut Settings) {
    settings.max_wait = Duration::from_millis(150);
}

/// Longer pauses than the gateway is away.
fn unhurried(settings: &mut Settings) {
    settings.retry_pause = Duration::from_millis(100);
}

fn case(
    effect: Effect,
    at_login: Expected,
    at_read: Expected,
    lasting: Expected,
    settings: fn(&mut Settings),
) -> Case {
    Case { effect, at_login, at_read, lasting, settings }
}

fn status(code: u16, body: Option<&str>, content_type: &str) -> Effect {
    let headers = BTreeMap::from([("Content-Type".to_owned(), content_type.to_owned())]);
    Effect::Status { code, body: body.map(str::to_owned), headers }
}

fn cases(elsewhere: &str) -> Vec<Case> {
    let json = "application/json";
    let mut cases = vec![
        // Refusals of just this request. Where page 0 is refused once, it is asked for again.
        case(status(400, None, json), Error, Either, Error, as_usual),
        case(status(409, None, json), Error, Either, Error, as_usual),
        case(status(404, Some("<html>"), "text/html"), Error, Either, Error, as_usual),
        case(status(403, None, json), Error, Error, Error, as_usual),
        case(status(401, None, json), Error, Right, Error, as_usual),
        case(status(408, Some(""), json), Right, Right, Error, as_usual),
        case(status(425, Some(""), json), Right, Right, Error, as_usual),
        // A success that holds an error or nothing is no success.
        case(status(200, None, json), Right, Either, Error, as_usual),
        case(status(200, Some(""), json), Right, Right, Error, as_usual),
        case(status(200, Some("null"), json), Right, Error, Error, as_usual),
        case(Effect::Redirect { to: elsewhere.to_owned() }, Error, Error, Error, as_usual),
        case(Effect::NotJson, Right, Right, Error, as_usual),
        case(Effect::ContentType { value: "text/plain".to_owned() }, Right, Right, Error, as_usual),
        case(Effect::Truncated, Right, Right, Error, as_usual),
        case(Effect::Garbage, Right, Right, Error, as_usual),
        case(Effect::Oversize { bytes: 1 << 20, unannounced: false }, Error, Error, Error, as_usual),
        case(Effect::Oversize { bytes: 1 << 20, unannounced: true }, Error, Error, Error, as_usual),
        case(Effect::Drip { bytes: 100, pause_ms: 1 }, Right, Right, Right, as_usual),
        case(Effect::Drip { bytes: 1, pause_ms: 20 }, Right, Right, Error, impatient),
        case(Effect::HangBefore, Right, Right, Error, impatient),
        case(Effect::HangAfter, Right, Right, Error, impatient),
        case(Effect::CloseBefore, Right, Right, Error, as_usual),
        case(Effect::CloseAfter, Right, Right, Error, as_usual),
        case(Effect::ResetBefore, Right, Right, Error, as_usual),
        case(Effect::ResetAfter, Right, Right, Error, as_usual),
        case(Effect::Unreachable { ms: 5 }, Right, Right, Error, unhurried),
    ];
    for (code, body) in [
        (500, ErrorBody::Json),
        (500, ErrorBody::Empty),
        (502, ErrorBody::Html),
        (503, ErrorBody::Empty),
        (504, ErrorBody::Html),
    ] {
        cases.push(case(Effect::ServerError { code, body }, Right, Right, Error, as_usual));
    }
    for form in [
        ThrottleForm::RetryAfter,
        ThrottleForm::RetryAfterDate,
        ThrottleForm::ToWait,
        ThrottleForm::RemainingWindow,
        ThrottleForm::Silent,
    ] {
        cases.push(case(Effect::Throttle { form, seconds: 0 }, Right, Right, Error, little_budget));
    }
    for form in [ThrottleForm::RetryAfter, ThrottleForm::RetryAfterDate, ThrottleForm::ToWait] {
        cases.push(case(Effect::Throttle { form, seconds: 3600 }, Error, Error, Error, as_usual));
    }
    cases
}

/// Runs a case with its fault at one call; returns what went against the expectation.
async fn run(case: &Case, nth: u64, lasts: bool, right: &Read) -> Option<String> {
    let mut fault = Fault::next(case.effect.clone()).nth(nth);
    if lasts {
        fault = fault.always();
    }
    let mut server = Server::start(Behaviour { fail_next: vec![fault], ..Behaviour::default() }).await;
    (case.settings)(&mut server.settings);
    let expected = match (lasts, nth) {
        (true, _) => case.lasting,
        (false, 1) => case.at_login,
        (false, _) => case.at_read,
    };
    let what = format!("{:?} at call {nth}{}", case.effect, if lasts { " and after" } else { "" });
    let n_calls = || server.running.requests().len() as u64;
    match server.read().await {
        Ok(read) if read != *right => Some(format!("{what}: wrong: {:?}", read.ids())),
        Ok(_) if expected == Error => Some(format!("{what}: no error")),
        // A passing fault may cost each call in flight some tries, and not more.
        Ok(_) if n_calls() > 2 * N_CALLS => Some(format!("{what}: {} calls", n_calls())),
        Err(error) if expected == Right => Some(format!("{what}: {}", super::chain(&error))),
        Ok(_) | Err(_) => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_outcome_is_right_or_a_clean_error() {
    // Where redirects point to: whoever follows one is seen here.
    let elsewhere = TcpListener::bind("127.0.0.1:0").expect("a port");
    elsewhere.set_nonblocking(true).expect("a socket");
    let address = elsewhere.local_addr().expect("an address");
    let cases = cases(&format!("http://{address}/pm/v1/deploymentjobs"));
    let right = right().await;
    let runs = cases.iter().flat_map(|case| {
        let right = &right;
        (1..=N_CALLS).flat_map(move |nth| [false, true].map(|lasts| run(case, nth, lasts, right)))
    });
    let failures: Vec<String> =
        stream::iter(runs).buffer_unordered(16).filter_map(std::future::ready).collect().await;
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(elsewhere.accept().is_err(), "a redirect was followed");
}
