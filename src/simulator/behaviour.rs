//! The switches: which of the possible servers the simulator is, and what goes wrong next.
//!
//! Each open question of REFERENCE section 12 that changes what a client must do is one switch here. The struct is
//! plain data with a JSON form (snake-case members, kebab-case values), so that tests, the command line and the
//! control endpoint set the same thing.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

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

/// The kind of a call, as faults and the request log name it (REFERENCE section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Call {
    /// `POST /auth`.
    Auth,
    /// `GET /pm/v1/details`.
    Version,
    /// `GET /pm/v1/deploymentjobs/summary` and `GET /pm/v1/deploymentjobs`.
    List,
    /// `GET /pm/v1/deploymentjob/{id}`.
    Get,
    /// `POST /pm/v1/deploymentjob`.
    Create,
    /// `PATCH /pm/v1/deploymentjob/update/{id}`.
    Update,
    /// `POST /pm/v1/deploymentjobs/update/status/{status}`.
    Status,
    /// `DELETE /pm/v1/deploymentjobs`.
    Delete,
    /// `GET /pm/v1/deploymentjob/{id}/runs`.
    Runs,
    /// Anything else.
    Other,
}

impl Call {
    /// The kind of a request, from its method and path.
    pub(super) fn of(method: &str, path: &str) -> Self {
        match (method, path) {
            ("POST", "/auth") => Self::Auth,
            ("GET", "/pm/v1/details") => Self::Version,
            ("GET", "/pm/v1/deploymentjobs/summary" | "/pm/v1/deploymentjobs") => Self::List,
            ("POST", "/pm/v1/deploymentjob") => Self::Create,
            ("DELETE", "/pm/v1/deploymentjobs") => Self::Delete,
            ("PATCH", path) if path.starts_with("/pm/v1/deploymentjob/update/") => Self::Update,
            ("POST", path) if path.starts_with("/pm/v1/deploymentjobs/update/status/") => Self::Status,
            ("GET", path) => match path.strip_prefix("/pm/v1/deploymentjob/") {
                Some(rest) if rest.ends_with("/runs") => Self::Runs,
                Some(rest) if !rest.is_empty() && !rest.contains('/') => Self::Get,
                _ => Self::Other,
            },
            _ => Self::Other,
        }
    }
}

/// What a fault does to the call that meets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Effect {
    /// Answers with a status, and nothing is processed.
    Status {
        /// HTTP status code, 200 to 599.
        code: u16,
        /// The body as it is sent; without one, an `_error` object.
        #[serde(default)]
        body: Option<String>,
        /// Further headers, such as `Retry-After`.
        #[serde(default)]
        headers: BTreeMap<String, String>,
    },
    /// Processes the call, and answers 200 with an HTML page.
    NotJson,
    /// Closes the connection without processing the call.
    CloseBefore,
    /// Processes the call, then closes the connection without an answer.
    CloseAfter,
}

/// One fault that waits for its call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The kind of call that meets it; without one, any call does.
    #[serde(default)]
    pub on: Option<Call>,
    /// What happens to that call.
    pub effect: Effect,
}

impl Fault {
    /// A fault for the next call, whatever it is.
    pub fn next(effect: Effect) -> Self {
        Self { on: None, effect }
    }

    /// A fault for the next call of one kind.
    pub fn on(call: Call, effect: Effect) -> Self {
        Self { on: Some(call), effect }
    }
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
    /// What a PATCH answers with.
    pub answer: Answer,
    /// Whether an Enabled recurring job may be edited.
    pub edit_enabled: EditEnabled,
    /// Whether a `status` inside a PATCH body is stored. Off by default: the member is ignored.
    pub status_in_patch: bool,
    /// Number of the first page of the list: 0 (default) or 1. With 1, page 0 is answered like page 1.
    pub first_page: usize,
    /// The most rows a page may have, whatever `pageSize` asks for; no cap by default.
    pub max_page_size: Option<usize>,
    /// How many rows a query can reach (REFERENCE section 3); 10,000 by default. A page that starts past it is
    /// refused with error code 2501 if more rows exist.
    pub record_limit: Option<usize>,
    /// The order of the list.
    pub list_order: ListOrder,
    /// Whether deleted jobs stay in the list, marked `deleted`. Off by default.
    pub list_deleted: bool,
    /// Life of a token in seconds; four hours by default (REFERENCE section 2).
    pub token_life_seconds: u32,
    /// How long each call waits before it is processed, in milliseconds; 0 by default.
    pub latency_ms: u64,
    /// Faults for the next calls, in order: each call takes the first one that is meant for its kind.
    pub fail_next: Vec<Fault>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            users: vec![Credentials::new("simulator", "simulator")],
            control: false,
            updates: Updates::default(),
            announce_updates: true,
            answer: Answer::default(),
            edit_enabled: EditEnabled::default(),
            status_in_patch: false,
            first_page: 0,
            max_page_size: None,
            record_limit: Some(10_000),
            list_order: ListOrder::default(),
            list_deleted: false,
            token_life_seconds: 4 * 60 * 60,
            latency_ms: 0,
            fail_next: Vec::new(),
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

    /// Takes the fault that the call with this ordinal and kind meets.
    ///
    /// The ordinal counts calls from 0 since the start. It is not used yet: it is here for faults that repeat, or
    /// that wait for the n-th call.
    pub(super) fn take_fault(&mut self, _ordinal: u64, call: Call) -> Option<Effect> {
        let at = self.fail_next.iter().position(|fault| fault.on.is_none_or(|kind| kind == call))?;
        Some(self.fail_next.remove(at).effect)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(method: &str, path: &str, expected: Call) {
        assert_eq!(Call::of(method, path), expected);
    }

    #[test]
    fn calls_are_told_apart_by_method_and_path() {
        check("POST", "/auth", Call::Auth);
        check("GET", "/pm/v1/details", Call::Version);
        check("GET", "/pm/v1/deploymentjobs", Call::List);
        check("GET", "/pm/v1/deploymentjobs/summary", Call::List);
        check("DELETE", "/pm/v1/deploymentjobs", Call::Delete);
        check("GET", "/pm/v1/deploymentjob/a", Call::Get);
        check("GET", "/pm/v1/deploymentjob/a/runs", Call::Runs);
        check("GET", "/pm/v1/deploymentjob/", Call::Other);
        check("POST", "/pm/v1/deploymentjob", Call::Create);
        check("PATCH", "/pm/v1/deploymentjob/update/a", Call::Update);
        check("POST", "/pm/v1/deploymentjobs/update/status/Enabled", Call::Status);
        check("PUT", "/auth", Call::Other);
    }

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

    #[test]
    fn a_fault_waits_for_its_kind_of_call() {
        let mut behaviour = Behaviour {
            fail_next: vec![Fault::on(Call::Update, Effect::CloseAfter), Fault::next(Effect::NotJson)],
            ..Behaviour::default()
        };
        assert_eq!(behaviour.take_fault(0, Call::List), Some(Effect::NotJson));
        assert_eq!(behaviour.take_fault(1, Call::List), None);
        assert_eq!(behaviour.take_fault(2, Call::Update), Some(Effect::CloseAfter));
    }

    #[test]
    fn the_settings_never_show_a_password() {
        let behaviour = Behaviour { users: vec![Credentials::new("anna", "s3cret")], ..Behaviour::default() };
        assert!(!format!("{behaviour:?}").contains("s3cret"));
        assert!(!serde_json::to_string(&behaviour).expect("plain data").contains("s3cret"));
    }
}
