//! What goes wrong at one call.

use std::collections::BTreeMap;

use patchctl::simulator::{
    Behaviour, Call, Effect, ErrorBody, Event, Fault, Meanwhile, RecordedRequest, ThrottleForm,
};
use serde_json::{Value, json};

use crate::cli::id;
use crate::world::{Kind, World, writes};

/// What goes wrong at one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trouble {
    ResetBefore,
    ResetAfter,
    ServerError,
    Throttled,
    Truncated,
    Garbage,
    Hang,
    HangBeforeWrite,
    /// The console edits a member that no manifest declares.
    EditOfOther,
    /// The console edits a member that every manifest declares.
    EditOfDeclared,
    TokenEnds,
    Kill,
    KillAfterWrite,
    KillStateLost,
    KillAfterWriteStateLost,
}

impl Trouble {
    pub(crate) const ALL: [Self; 15] = [
        Self::ResetBefore,
        Self::ResetAfter,
        Self::ServerError,
        Self::Throttled,
        Self::Truncated,
        Self::Garbage,
        Self::Hang,
        Self::HangBeforeWrite,
        Self::EditOfOther,
        Self::EditOfDeclared,
        Self::TokenEnds,
        Self::Kill,
        Self::KillAfterWrite,
        Self::KillStateLost,
        Self::KillAfterWriteStateLost,
    ];

    /// The words of the page.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::ResetBefore => "connection reset before the call is looked at",
            Self::ResetAfter => "connection reset after it was carried out",
            Self::ServerError => "500, not carried out",
            Self::Throttled => "429",
            Self::Truncated => "answer cut off half way",
            Self::Garbage => "answer that is not JSON",
            Self::Hang => "no answer until the time-out",
            Self::HangBeforeWrite => "the same of a write that was not carried out",
            Self::EditOfOther => "console edit of a member that no manifest declares, just before",
            Self::EditOfDeclared => "console edit of a member that the manifest declares, just before",
            Self::TokenEnds => "the token ends just before",
            Self::Kill => "SIGKILL after the journal entry, before the server looks at the call",
            Self::KillAfterWrite => "SIGKILL before the reply to a write that was carried out",
            Self::KillStateLost => "SIGKILL before the server looks, and the state folder is thrown away",
            Self::KillAfterWriteStateLost => {
                "SIGKILL before the reply to a write, and the state folder is thrown away"
            }
        }
    }

    /// Whether the case is one of waiting more than of working.
    pub(crate) fn waits(self) -> bool {
        matches!(self, Self::Hang | Self::HangBeforeWrite | Self::Throttled)
    }

    /// Whether the process is killed at the call.
    pub(crate) fn kills(self) -> bool {
        matches!(
            self,
            Self::Kill | Self::KillAfterWrite | Self::KillStateLost | Self::KillAfterWriteStateLost
        )
    }

    /// Whether the state folder is thrown away after that.
    pub(crate) fn loses_state(self) -> bool {
        matches!(self, Self::KillStateLost | Self::KillAfterWriteStateLost)
    }

    /// Whether it is tried at the n-th call.
    ///
    /// Whether a call that only reads was carried out makes no difference, so where nothing but that differs it is met
    /// once. What a lost state folder means does not depend on the server but on whether bodies are whole, and before
    /// the first write there is nothing in it.
    pub(crate) fn is_met(self, world: &World, nth: usize) -> bool {
        let is_write = |call: &RecordedRequest| writes(call.call);
        let is_distinct = match self {
            Self::HangBeforeWrite | Self::KillAfterWrite | Self::KillAfterWriteStateLost => {
                is_write(&world.calls[nth - 1])
            }
            _ => true,
        };
        let is_worth_it = !self.loses_state()
            || matches!(world.kind, Kind::DeepMerge | Kind::Replace)
                && world.calls[..nth].iter().any(is_write);
        is_distinct && is_worth_it
    }

    fn effect(self) -> Option<Effect> {
        Some(match self {
            Self::ResetBefore => Effect::ResetBefore,
            Self::ResetAfter => Effect::ResetAfter,
            Self::ServerError => Effect::ServerError { code: 500, body: ErrorBody::Json },
            Self::Throttled => Effect::Throttle { form: ThrottleForm::RetryAfter, seconds: 0 },
            Self::Truncated => Effect::Truncated,
            Self::Garbage => Effect::Garbage,
            Self::HangBeforeWrite | Self::Kill | Self::KillStateLost => Effect::HangBefore,
            Self::Hang | Self::KillAfterWrite | Self::KillAfterWriteStateLost => Effect::HangAfter,
            Self::EditOfOther | Self::EditOfDeclared | Self::TokenEnds => return None,
        })
    }

    /// The member that the console edits, by JSON Pointer, and its value then.
    pub(crate) fn edited(self) -> Option<(&'static str, Value)> {
        match self {
            Self::EditOfOther => Some(("/duringDeployment/userMessage", "By hand".into())),
            Self::EditOfDeclared => Some(("/timeout", 9.into())),
            _ => None,
        }
    }

    /// Puts it in the way of the n-th call; `edited` is the job that the console edits.
    pub(crate) fn wait_for(self, nth: u64, edited: &str, behaviour: &mut Behaviour) {
        if let Some(effect) = self.effect() {
            behaviour.fail_next.push(Fault::next(effect).nth(nth));
        }
        let event = match self {
            Self::EditOfOther => Some(json!({"duringDeployment": {"userMessage": "By hand"}})),
            Self::EditOfDeclared => Some(json!({"timeout": 9})),
            Self::TokenEnds => Some(Value::Null),
            _ => None,
        };
        let event = event.map(|merge| match merge {
            Value::Object(merge) => Event::Edit {
                id: edited.to_owned(),
                user: "anna.k".to_owned(),
                merge,
                scripts: BTreeMap::new(),
            },
            _ => Event::RevokeTokens,
        });
        behaviour.meanwhile.extend(event.map(|event| Meanwhile { nth, ..Meanwhile::next(event) }));
    }
}

/// The job that the console edits just before a call: the one that the call is about, where it is there; else `nested`.
pub(crate) fn job_of_call(world: &World, nth: usize) -> String {
    let calls = &world.calls;
    let is_about = |call: &RecordedRequest, id: &str| {
        let listed = call.body.as_ref().and_then(|body| body["ids"][0].as_str());
        call.path.ends_with(id) || listed == Some(id)
    };
    let is_removed = |id: &str| {
        let mut earlier = calls[..nth - 1].iter();
        earlier.any(|call| call.call == Call::Delete && is_about(call, id))
    };
    let of_call = world.ids.iter().find(|id| is_about(&calls[nth - 1], id) && !is_removed(id));
    of_call.cloned().unwrap_or_else(|| id(2))
}
