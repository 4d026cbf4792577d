//! The switches: which of the possible servers the simulator is, and what goes wrong next.
//!
//! Each open question of REFERENCE section 12 that changes what a client must do is one switch here. The struct is
//! plain data with a JSON form (snake-case members, kebab-case values), so that tests, the command line and the
//! control endpoint set the same thing.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::call::Call;
use super::fault::{Effect, Event, Fault, Meanwhile, ThrottleForm, take_events, take_fault};
use super::refusal::Refusal;

/// A name and password that `/auth` accepts.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user's name; changes to jobs are recorded under it.
    pub user: String,
    /// The password, in clear: the simulator guards nothing but itself.
    pub password: String,
}

impl Credentials {
    /// The pair of `user` and `password`.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self { user: user.into(), password: password.into() }
    }

    /// The user `simulator` with a password that nobody knows; for a simulator that serves only its own process.
    pub fn random() -> Self {
        Self::new("simulator", uuid::Uuid::new_v4().to_string())
    }
}

/// The password is left out: settings are printed in logs and test failures.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// What a PATCH does with members that its body does not mention (REFERENCE section 9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Updates {
    /// Objects are merged at every depth; arrays and scalars are replaced; `null` sets null.
    #[default]
    Merge,
    /// A member at the top level is replaced whole; members not mentioned stay.
    MergeTop,
    /// The body is the new job: a user-settable member that it does not mention becomes null.
    Replace,
}

impl Updates {
    /// The word of the `x-patchctl-simulator` header: a client that sends top-level members whole need not tell
    /// the two kinds of merge apart.
    pub(super) fn announced(self) -> &'static str {
        match self {
            Self::Merge | Self::MergeTop => "merge",
            Self::Replace => "replace",
        }
    }
}

/// What a PATCH answers with (REFERENCE section 9, "never trust the PATCH answer").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// The job as it is stored now.
    #[default]
    Stored,
    /// The request's own members, normalised; says nothing of what was stored.
    Echo,
}

/// Whether an Enabled recurring job may be edited (REFERENCE section 12, question 2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EditEnabled {
    /// The edit is stored.
    #[default]
    Allow,
    /// The edit is refused with 400 and changes nothing.
    Refuse,
}

/// The order of the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ListOrder {
    /// By instant of creation, newest first, then by id.
    #[default]
    Newest,
    /// By name, then by id.
    Name,
}

/// What a server that counts its pages from 1 makes of page 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PageZero {
    /// It is answered like page 1.
    #[default]
    AsFirst,
    /// It is empty.
    Empty,
    /// It is refused with 400.
    Refuse,
}

/// What a page of the list is wrapped in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ListShape {
    /// A bare array.
    #[default]
    Array,
    /// `{"data": [...]}` (REFERENCE section 4, endpoint 2b).
    Data,
}

/// For how long a change does not show in some kind of answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lag {
    /// It shows at once.
    #[default]
    None,
    /// It does not show in the answers to this many further calls; those of any kind but `/auth` are counted.
    Calls(u64),
    /// It never shows, if it was made while answers lag.
    Never,
}

/// The rate limit that all callers share (REFERENCE section 3). `/auth` is outside of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Calls that are answered in one window; the others are refused with 429 and do not count.
    pub calls: u32,
    /// Length of a window in seconds. A window opens with the first call after the one before is over.
    pub window_seconds: u32,
    /// Whether every answer tells how things stand: `X-RateLimit-Limit`, `-Remaining`, `-Window-Sec`, `-ToWait-Sec`
    /// (0 while calls remain). Off by default.
    #[serde(default)]
    pub announce: bool,
    /// How a refusal says how long to wait: for the rest of the window, in whole seconds, rounded up.
    #[serde(default)]
    pub refusal: ThrottleForm,
}

/// Which server the simulator is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// Who may log in; by default `simulator` with the password `simulator`. Not part of the JSON form.
    #[serde(skip)]
    pub users: Vec<Credentials>,
    /// Whether `/_simulator/…` is served, without any login. Off by default; not part of the JSON form.
    #[serde(skip)]
    pub control: bool,
    /// What a PATCH does with members it does not mention.
    pub updates: Updates,
    /// Whether `/auth` says in `x-patchctl-simulator` what `updates` is. On by default; off, the simulator looks
    /// like a gateway of which nothing is known.
    pub announce_updates: bool,
    /// What a create fills in where its body says nothing, at the top level; nothing by default.
    pub create_defaults: serde_json::Map<String, Value>,
    /// What a PATCH answers with.
    pub answer: Answer,
    /// Whether an Enabled recurring job may be edited.
    pub edit_enabled: EditEnabled,
    /// Whether a `status` inside a PATCH body is stored. Off by default: the member is ignored.
    pub status_in_patch: bool,
    /// Number of the first page of the list: 0 (default) or 1.
    pub first_page: usize,
    /// What page 0 is where pages are counted from 1.
    pub page_zero: PageZero,
    /// The most rows a page may have, whatever `pageSize` asks for; no cap by default.
    pub max_page_size: Option<usize>,
    /// How many rows a query can reach (REFERENCE section 3); 10,000 by default. A page that starts past it is
    /// refused with error code 2501 if more rows exist.
    pub record_limit: Option<usize>,
    /// The order of the list.
    pub list_order: ListOrder,
    /// Whether deleted jobs stay in the list, marked `deleted`. Off by default.
    pub list_deleted: bool,
    /// What a page of the list is wrapped in.
    pub list_shape: ListShape,
    /// Whether the counters in list rows (`…Count`, `completionPercent`) are sent as text. Off by default.
    pub list_counters_as_text: bool,
    /// How many rows of the page before are shown again at the head of each page, as if so many jobs had been
    /// inserted in between; 0 by default.
    pub list_repeats: usize,
    /// The number of the first page, as sent, that is always answered with 500, as are all after it; none by default.
    pub list_breaks_at: Option<usize>,
    /// How long a change or a new job does not show in the list.
    pub list_lag: Lag,
    /// How long a change or a new job does not show in `GET` by id; a new job is 404 meanwhile.
    pub get_lag: Lag,
    /// Life of a token in seconds; four hours by default (REFERENCE section 2).
    pub token_life_seconds: u32,
    /// How many calls a token is good for, from its login on; as many as come by default.
    pub token_life_calls: Option<u64>,
    /// How long each call waits before it is processed, in milliseconds; 0 by default. Calls wait side by side.
    pub latency_ms: u64,
    /// The rate limit; none by default.
    pub quota: Option<Quota>,
    /// Faults that wait for their calls, in order: each call meets the first one that is due.
    pub fail_next: Vec<Fault>,
    /// What others do between the calls.
    pub meanwhile: Vec<Meanwhile>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            users: vec![Credentials::new("simulator", "simulator")],
            control: false,
            updates: Updates::default(),
            announce_updates: true,
            create_defaults: serde_json::Map::new(),
            answer: Answer::default(),
            edit_enabled: EditEnabled::default(),
            status_in_patch: false,
            first_page: 0,
            page_zero: PageZero::default(),
            max_page_size: None,
            record_limit: Some(10_000),
            list_order: ListOrder::default(),
            list_deleted: false,
            list_shape: ListShape::default(),
            list_counters_as_text: false,
            list_repeats: 0,
            list_breaks_at: None,
            list_lag: Lag::default(),
            get_lag: Lag::default(),
            token_life_seconds: 4 * 60 * 60,
            token_life_calls: None,
            latency_ms: 0,
            quota: None,
            fail_next: Vec::new(),
            meanwhile: Vec::new(),
        }
    }
}

impl Behaviour {
    /// Lays the members of `body` over these settings; members it does not mention, the users and `control` stay.
    pub(super) fn changed_by(&self, body: &Value) -> Result<Self, Refusal> {
        let Value::Object(changes) = body else {
            return Err(Refusal::invalid("the behaviour must be a JSON object"));
        };
        let mut merged = serde_json::to_value(self).expect("internal error: settings are plain data");
        let members = merged.as_object_mut().expect("internal error: settings are an object");
        for (name, value) in changes {
            members.insert(name.clone(), value.clone());
        }
        let changed: Self = serde_json::from_value(merged)
            .map_err(|error| Refusal::invalid(format!("the behaviour is not valid: {error}")))?;
        Ok(Self { users: self.users.clone(), control: self.control, ..changed })
    }

    /// Takes the fault that this call meets.
    pub(super) fn take_fault(&mut self, call: Call) -> Option<Effect> {
        take_fault(&mut self.fail_next, call)
    }

    /// Takes what happens just before this call.
    pub(super) fn take_events(&mut self, call: Call) -> Vec<Event> {
        take_events(&mut self.meanwhile, call)
    }

    /// Whether some answers show former versions of jobs, so that these must be kept.
    pub(super) fn lags(&self) -> bool {
        self.list_lag != Lag::None || self.get_lag != Lag::None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_keeps_what_it_does_not_mention() {
        let before = Behaviour { control: true, latency_ms: 5, ..Behaviour::default() };
        let after = before
            .changed_by(&json!({"updates": "merge-top", "fail_next": [
                {"effect": {"status": {"code": 429, "headers": {"Retry-After": "3"}}}},
                {"on": "update", "effect": "close-after"}
            ]}))
            .expect("valid settings");
        assert_eq!((after.updates, after.latency_ms, after.control), (Updates::MergeTop, 5, true));
        assert_eq!(after.users, before.users);
        assert_eq!(after.fail_next.len(), 2);
        assert!(before.changed_by(&json!({"udpates": "merge"})).is_err());
        assert!(before.changed_by(&json!([])).is_err());
    }

    /// As `--behaviour` and the control endpoint take them.
    #[test]
    fn every_switch_has_a_json_form() {
        let settings = json!({
            "first_page": 1, "page_zero": "refuse", "max_page_size": 2, "list_shape": "data",
            "list_counters_as_text": true, "list_repeats": 1, "list_breaks_at": 3,
            "list_lag": {"calls": 2}, "get_lag": "never", "token_life_calls": 5,
            "quota": {"calls": 300, "window_seconds": 3600, "announce": true, "refusal": "retry-after-date"},
            "meanwhile": [{"on": "list", "nth": 2, "do": {"insert": {}}}]
        });
        let read: Behaviour = serde_json::from_value(settings).expect("valid settings");
        assert_eq!((read.list_lag, read.get_lag, read.lags()), (Lag::Calls(2), Lag::Never, true));
        assert_eq!(read.quota.map(|quota| quota.refusal), Some(ThrottleForm::RetryAfterDate));
        let again = Behaviour::default().changed_by(&json!(read)).expect("what is shown can be set");
        assert_eq!(again, read);
        assert!(!Behaviour::default().lags());
    }

    #[test]
    fn the_settings_never_show_a_password() {
        let behaviour = Behaviour { users: vec![Credentials::new("anna", "s3cret")], ..Behaviour::default() };
        assert!(!format!("{behaviour:?}").contains("s3cret"));
        assert!(!serde_json::to_string(&behaviour).expect("plain data").contains("s3cret"));
    }
}
