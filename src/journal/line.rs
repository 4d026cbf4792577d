//! The lines of a journal, see docs/journal.md. Members are added, never renamed.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Version of the lines; a journal of another one is left alone.
pub const FORMAT: u32 = 1;

/// One line of a journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub enum Line {
    /// A run begins.
    Start(Box<Start>),
    /// A call that writes is about to be sent; on disk before it is.
    Intent {
        /// Number of the call within the run, from 1.
        call_number: u64,
        /// When, RFC 3339.
        at: String,
        /// The call.
        #[serde(flatten)]
        intent: Box<Intent>,
    },
    /// What was answered. It proves nothing of what was stored: that is read, and told by the outcome.
    Answer {
        /// The number of the call.
        call_number: u64,
        /// When, RFC 3339.
        at: String,
        /// The answer.
        #[serde(flatten)]
        answer: Answer,
    },
    /// What became of a step.
    Outcome(OutcomeLine),
    /// The run came to its end.
    End(End),
    /// A later run found out what became of the writes whose outcome was not known.
    Settled(Settled),
}

/// How a run begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// [`FORMAT`].
    pub format: u32,
    /// The run's id.
    pub run: String,
    /// When, RFC 3339.
    pub at: String,
    /// What tells the gateway from others.
    pub gateway: String,
    /// The owner in our stamps.
    pub owner: String,
    /// The commit that the manifests were read at, if they were as it says.
    pub commit: Option<String>,
    /// The commit whose manifests were applied last before, with nothing left over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_before: Option<String>,
    /// What it undoes, where it is a revert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<Undoes>,
    /// The program's version.
    pub version: String,
    /// Number of the process.
    pub pid: u32,
    /// Fingerprint of the plan.
    pub fingerprint: String,
    /// The steps of the plan, in their order.
    pub steps: Vec<Step>,
}

/// What a revert is to undo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undoes {
    /// The run.
    pub run: String,
    /// Keys of that run for which nothing was left to be done.
    pub left_out: Vec<String>,
}

/// A step of the plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The manifest's key.
    pub key: String,
    /// What is to be done.
    pub action: String,
    /// The live job's id, where there is one.
    pub id: Option<String>,
}

/// What a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// Changes members.
    Update,
    /// Makes a job.
    Create,
    /// Arms it.
    Enable,
    /// Disarms it.
    Disable,
    /// Removes it.
    Delete,
}

/// What is expected of the job once a call took effect.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    /// The stamp in its description; `None` where the call writes none.
    pub stamp: Option<String>,
    /// Digest of the whole job, as stamps hold it.
    pub job: Option<String>,
    /// Its status.
    pub status: Option<String>,
    /// Whether it is to be gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_gone: bool,
}

/// A call that is about to be sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// The manifest's key.
    pub key: String,
    /// The live job's id; `None` for one that is to be made.
    pub id: Option<String>,
    /// The name that people know the job by.
    pub name: String,
    /// The job's platform.
    pub platform: Option<String>,
    /// The step's action. A step may take several calls.
    pub action: String,
    /// What this call does.
    pub call: Call,
    /// HTTP method.
    pub method: String,
    /// Path below the gateway.
    pub path: String,
    /// What is expected afterwards.
    pub expected: Expected,
    /// The body, scripts as digest and size; `None` where it holds nothing but the id.
    pub body: Option<Value>,
    /// The job as it was read just before, scripts as the paths under which the server keeps them.
    pub before: Option<Value>,
    /// The stamp that the record held for the job before, where a record is kept in place of stamps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded: Option<String>,
}

/// What the server made of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerKind {
    /// A success.
    Accepted,
    /// A refusal: nothing was done.
    Refused,
    /// Turned away by the rate limit: nothing was done.
    Throttled,
    /// The call never left.
    NotSent,
    /// No answer that can be read.
    Unclear,
}

impl AnswerKind {
    /// Whether the call surely did nothing.
    pub fn did_nothing(self) -> bool {
        match self {
            Self::Refused | Self::Throttled | Self::NotSent => true,
            Self::Accepted | Self::Unclear => false,
        }
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// What it was.
    pub answer: AnswerKind,
    /// The id in it: that of a new job.
    pub id: Option<String>,
    /// Why it is no success: one line for each cause, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub error: Vec<String>,
}

/// What became of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutcomeLine {
    /// When, RFC 3339.
    pub at: String,
    /// The manifest's key.
    pub key: String,
    /// The step's action.
    pub action: String,
    /// The live job's id, where it is known.
    pub id: Option<String>,
    /// The outcome, as everywhere.
    pub outcome: String,
    /// Digest of the job as it was read back, as stamps hold it.
    pub job: Option<String>,
    /// Status of the job as it was read back.
    pub status: Option<String>,
    /// The job as it was read back after a write, scripts as the paths under which the server keeps them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_back: Option<Value>,
    /// How many calls were made for the step.
    pub calls: u64,
    /// Why, where it is not simply done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub error: Vec<String>,
}

/// How a run ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// When, RFC 3339.
    pub at: String,
    /// How many steps ended in each outcome.
    pub outcomes: Value,
}

/// What a later run found out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settled {
    /// When, RFC 3339.
    pub at: String,
    /// The writes; none where the run was interrupted between two of them.
    pub writes: Vec<SettledWrite>,
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SettledWrite {
    /// The manifest's key.
    pub key: String,
    /// The step's action.
    pub action: String,
    /// What was found.
    pub verdict: String,
    /// Whether the job was disabled for an edit and is off still: then the write stays open, whatever became of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub left_disabled: bool,
}
