//! What can go wrong with a call, and what other people do in the meantime: data that waits for its call.
//!
//! Two lists of [`Behaviour`](super::Behaviour) hold it: `fail_next` of [`Fault`]s, of which a call meets at most one,
//! and `meanwhile` of [`Meanwhile`]s, all of which happen that are due, before the call is looked at. Both wait for
//! the n-th call of a kind, or of any kind, counted from the moment at which they were set. Nothing here acts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::call::Call;

/// How a refusal for the rate limit says how long to wait (REFERENCE section 3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ThrottleForm {
    /// `Retry-After` in seconds.
    #[default]
    RetryAfter,
    /// `Retry-After` as a date, beside a `Date` by the same clock.
    RetryAfterDate,
    /// `X-RateLimit-ToWait-Sec`.
    ToWait,
    /// `X-RateLimit-Remaining: 0` and `X-RateLimit-Window-Sec`.
    RemainingWindow,
    /// No header at all.
    Silent,
}

/// The body of an error answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorBody {
    /// An `_error` object (REFERENCE section 3).
    #[default]
    Json,
    /// A page for people, as proxies and load balancers send it.
    Html,
    /// Nothing, and no content type.
    Empty,
}

/// What a fault does to the call that meets it.
///
/// "Processed" matters for writes: the change is made although the answer does not arrive as it should.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Effect {
    /// Not processed: answers with a status of choice.
    Status {
        /// HTTP status code, 200 to 599.
        code: u16,
        /// The body as it is sent; without one, an `_error` object.
        #[serde(default)]
        body: Option<String>,
        /// Further headers, such as `Retry-After`; `Content-Type` replaces the one that goes with the body.
        #[serde(default)]
        headers: BTreeMap<String, String>,
    },
    /// Not processed: 429 in one of the forms in which gateways say it.
    Throttle {
        /// How it says how long to wait.
        #[serde(default)]
        form: ThrottleForm,
        /// The wait that it asks for, in seconds; [`ThrottleForm::Silent`] does not tell it.
        #[serde(default)]
        seconds: u32,
    },
    /// Not processed: a status of 500 to 599 with one of the bodies that are met.
    ServerError {
        /// HTTP status code.
        code: u16,
        /// The body.
        #[serde(default)]
        body: ErrorBody,
    },
    /// Not processed: 302 to another place.
    Redirect {
        /// The `Location`.
        to: String,
    },
    /// Processed: 200 with an HTML page in place of the answer.
    NotJson,
    /// Processed: the right answer, under another content type.
    ContentType {
        /// The `Content-Type`.
        value: String,
    },
    /// Processed: the first half of the answer under its whole length, then the connection is closed.
    Truncated,
    /// Processed: the right status and content type with a body that is not JSON (and no token either).
    Garbage,
    /// Processed: the right answer followed by so many blanks that it is at least this large. It stays well-formed
    /// JSON, so that nothing but its size tells.
    Oversize {
        /// Size of the body in bytes.
        bytes: u64,
        /// Whether the length is left unsaid (chunked), so that it is noticed only on the way. Off by default.
        #[serde(default)]
        unannounced: bool,
    },
    /// Processed: the right answer, in small pieces with pauses between them. After a minute the rest comes at once.
    Drip {
        /// Bytes of a piece; at least 1.
        bytes: usize,
        /// Milliseconds between two pieces.
        pause_ms: u64,
    },
    /// Not processed: no answer until the client gives up, at most ten minutes; then the connection is closed.
    HangBefore,
    /// Processed, then as [`Effect::HangBefore`].
    HangAfter,
    /// Not processed: closes the connection.
    CloseBefore,
    /// Processed, then closes the connection without an answer.
    CloseAfter,
    /// Not processed: resets the connection (TCP RST), so that the client is told of an error and not of an end.
    ResetBefore,
    /// Processed, then resets the connection without an answer.
    ResetAfter,
    /// Not processed: all connections are closed and new ones refused for a while.
    Unreachable {
        /// Milliseconds for which nothing listens; at most a minute.
        ms: u64,
    },
}

/// One fault that waits for its call. A call meets the first one that is due; the others stay due for the next call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The kind of call that is counted and met; without one, every call is.
    #[serde(default)]
    pub on: Option<Call>,
    /// Which of those calls meets it, 1 (default) for the next one. It counts down with each call that passes.
    #[serde(default = "first")]
    pub nth: u64,
    /// Whether every later call meets it too. Off by default: then it is gone once it was met.
    #[serde(default)]
    pub always: bool,
    /// What happens to that call.
    pub effect: Effect,
}

fn first() -> u64 {
    1
}

impl Fault {
    /// A fault for the next call, whatever it is.
    pub fn next(effect: Effect) -> Self {
        Self { on: None, nth: 1, always: false, effect }
    }

    /// A fault for the next call of one kind.
    pub fn on(call: Call, effect: Effect) -> Self {
        Self { on: Some(call), ..Self::next(effect) }
    }

    /// The same fault for the `nth` of its calls, counted from 1.
    #[must_use]
    pub fn nth(mut self, nth: u64) -> Self {
        self.nth = nth;
        self
    }

    /// The same fault for every call from its first one on.
    #[must_use]
    pub fn always(mut self) -> Self {
        self.always = true;
        self
    }
}

/// Something that others do to the tenant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// An edit in the console; see [`Tenant::edit`](super::Tenant::edit).
    Edit {
        /// Id of the job.
        id: String,
        /// Who does it; `another user` by default.
        #[serde(default = "another_user")]
        user: String,
        /// Laid over the job at every depth; arrays are replaced.
        #[serde(default)]
        merge: Map<String, Value>,
        /// New true contents of scripts, by storage path.
        #[serde(default)]
        scripts: BTreeMap<String, String>,
    },
    /// A new job. With the default order of the list it stands first and moves all others by one place.
    Insert {
        /// Who does it; `another user` by default.
        #[serde(default = "another_user")]
        user: String,
        /// Members of the job; those that are mandatory and missing are filled in (an On-demand Install job for
        /// Windows called `Inserted`).
        #[serde(default)]
        job: Map<String, Value>,
    },
    /// A job is deleted. All that follow it in the list move up by one place.
    Delete {
        /// Id of the job.
        id: String,
        /// Who does it; `another user` by default.
        #[serde(default = "another_user")]
        user: String,
    },
    /// The server changes counters, progress and runs by itself; see [`Tenant::tick`](super::Tenant::tick).
    Tick,
    /// All tokens become invalid, the one of the call itself among them.
    RevokeTokens,
}

fn another_user() -> String {
    "another user".to_owned()
}

/// Something that happens just before a call is looked at. A call that comes upon one which cannot be carried out
/// (an unknown id) is answered with 422 and the reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meanwhile {
    /// The kind of call that is counted; without one, every call is.
    #[serde(default)]
    pub on: Option<Call>,
    /// Before which of those calls it happens, 1 (default) for the next one; it counts down.
    #[serde(default = "first")]
    pub nth: u64,
    /// Whether it happens before every later call too. Off by default.
    #[serde(default)]
    pub always: bool,
    /// What happens; `do` in JSON.
    #[serde(rename = "do")]
    pub event: Event,
}

impl Meanwhile {
    /// An event just before the next call, whatever it is.
    pub fn next(event: Event) -> Self {
        Self { on: None, nth: 1, always: false, event }
    }

    /// An event just before the `nth` call of one kind, counted from 1.
    pub fn before(call: Call, nth: u64, event: Event) -> Self {
        Self { on: Some(call), nth, ..Self::next(event) }
    }
}

/// Takes the fault that a call meets: the first that is due. All of the others count the call.
pub(super) fn take_fault(faults: &mut Vec<Fault>, call: Call) -> Option<Effect> {
    let due: Vec<bool> = faults.iter_mut().map(|fault| comes_due(fault.on, &mut fault.nth, call)).collect();
    let at = due.iter().position(|due| *due)?;
    Some(if faults[at].always { faults[at].effect.clone() } else { faults.remove(at).effect })
}

/// Takes all events that happen before a call, in order.
pub(super) fn take_events(events: &mut Vec<Meanwhile>, call: Call) -> Vec<Event> {
    let mut due = Vec::new();
    events.retain_mut(|waiting| {
        if !comes_due(waiting.on, &mut waiting.nth, call) {
            return true;
        }
        due.push(waiting.event.clone());
        waiting.always
    });
    due
}

/// Counts a call; says whether it is the one.
fn comes_due(on: Option<Call>, nth: &mut u64, call: Call) -> bool {
    if on.is_some_and(|kind| kind != call) {
        return false;
    }
    if *nth > 1 {
        *nth -= 1;
        return false;
    }
    true
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The calls, by number, that meet a fault: its effect's place in the list.
    #[track_caller]
    fn check(faults: Value, calls: &[Call], expected: &[Option<u16>]) {
        let mut faults: Vec<Fault> = serde_json::from_value(faults).expect("faults");
        let met: Vec<Option<u16>> = calls
            .iter()
            .map(|call| match take_fault(&mut faults, *call)? {
                Effect::ServerError { code, .. } => Some(code),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(met, expected);
    }

    #[test]
    fn a_fault_waits_for_its_call() {
        use Call::{Auth, Get, List};
        let fault = |code: u16| json!({"server-error": {"code": code}});
        check(json!([{"effect": fault(1)}]), &[List, List], &[Some(1), None]);
        check(json!([{"on": "get", "effect": fault(1)}]), &[List, Get, Get], &[None, Some(1), None]);
        check(json!([{"nth": 3, "effect": fault(1)}]), &[Auth, List, Get, Get], &[None, None, Some(1), None]);
        check(
            json!([{"on": "get", "nth": 2, "always": true, "effect": fault(1)}]),
            &[Get, List, Get, List, Get],
            &[None, None, Some(1), None, Some(1)],
        );
        // In order, one for each call; who was due and not taken is taken next.
        check(
            json!([{"on": "get", "effect": fault(1)}, {"effect": fault(2)}, {"effect": fault(3)}]),
            &[List, Get, List],
            &[Some(2), Some(1), Some(3)],
        );
        check(
            json!([{"nth": 2, "effect": fault(1)}, {"nth": 2, "effect": fault(2)}]),
            &[List, List, List, List],
            &[None, Some(1), Some(2), None],
        );
        check(json!([{"nth": 0, "effect": fault(1)}]), &[List], &[Some(1)]);
    }

    #[test]
    fn all_events_that_are_due_happen() {
        let mut events = vec![
            Meanwhile::next(Event::Tick),
            Meanwhile::before(Call::Get, 2, Event::RevokeTokens),
            Meanwhile { always: true, ..Meanwhile::before(Call::List, 1, Event::Tick) },
        ];
        assert_eq!(take_events(&mut events, Call::List), [Event::Tick, Event::Tick]);
        assert_eq!(take_events(&mut events, Call::Get), []);
        assert_eq!(take_events(&mut events, Call::List), [Event::Tick]);
        assert_eq!(take_events(&mut events, Call::Get), [Event::RevokeTokens]);
        assert_eq!(events.len(), 1);
    }

    /// What the documentation shows, and back again.
    #[test]
    fn every_effect_and_event_has_a_json_form() {
        let faults = json!([
            {"effect": {"status": {"code": 418}}},
            {"effect": {"throttle": {}}},
            {"effect": {"throttle": {"form": "remaining-window", "seconds": 3}}},
            {"effect": {"server-error": {"code": 502, "body": "html"}}},
            {"effect": {"redirect": {"to": "https://elsewhere.invalid/"}}},
            {"effect": "not-json"},
            {"effect": {"content-type": {"value": "text/plain"}}},
            {"effect": "truncated"},
            {"effect": "garbage"},
            {"effect": {"oversize": {"bytes": 5000000}}},
            {"effect": {"drip": {"bytes": 64, "pause_ms": 5}}},
            {"effect": "hang-before"},
            {"effect": "hang-after"},
            {"effect": "close-before"},
            {"effect": "reset-before"},
            {"effect": "reset-after"},
            {"on": "update", "effect": "close-after"},
            {"on": "get", "nth": 2, "always": true, "effect": {"unreachable": {"ms": 50}}}
        ]);
        let read: Vec<Fault> = serde_json::from_value(faults).expect("faults");
        let again: Vec<Fault> = serde_json::from_value(json!(read)).expect("faults");
        assert_eq!(again, read);
        let events = json!([
            {"on": "list", "nth": 2, "do": {"insert": {}}},
            {"do": {"edit": {"id": "a", "merge": {"description": "x"}}}},
            {"do": {"delete": {"id": "a", "user": "anna"}}},
            {"do": "tick"},
            {"always": true, "do": "revoke-tokens"}
        ]);
        let read: Vec<Meanwhile> = serde_json::from_value(events).expect("events");
        assert_eq!(serde_json::from_value::<Vec<Meanwhile>>(json!(read)).expect("events"), read);
        for wrong in [json!({"effect": "truncate"}), json!({"efect": "garbage"}), json!({})] {
            assert!(serde_json::from_value::<Fault>(wrong).is_err());
        }
    }
}
