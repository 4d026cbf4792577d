//! What became of the steps of a plan.

use serde_json::{Value, json};

use crate::diff::FieldChange;
use crate::snapshot::Edit;

/// What became of a step; every planned step ends in exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OutcomeKind {
    /// Written, read back, and as wanted.
    Applied,
    /// Nothing to do any more: somebody else did it.
    Unchanged,
    /// The job is not what the plan saw; nothing was written.
    Stale,
    /// The plan forbids it; nothing was written.
    Blocked,
    /// It waits for a decision; nothing was written.
    Held,
    /// Written, but a declared member does not hold.
    NotConverged,
    /// Written, and a member that nobody declared moved.
    Collateral,
    /// Refused or not sent; nothing was written.
    Failed,
    /// Not tried.
    Skipped,
    /// It can not be told whether the write took effect.
    Unsettled,
}

impl OutcomeKind {
    /// All outcomes, in the order in which they are counted.
    pub const ALL: [Self; 10] = [
        Self::Applied,
        Self::Unchanged,
        Self::Stale,
        Self::Blocked,
        Self::Held,
        Self::NotConverged,
        Self::Collateral,
        Self::Failed,
        Self::Skipped,
        Self::Unsettled,
    ];

    /// The word used in output of every kind.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Unchanged => "unchanged",
            Self::Stale => "stale",
            Self::Blocked => "blocked",
            Self::Held => "held",
            Self::NotConverged => "not_converged",
            Self::Collateral => "collateral",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Unsettled => "unsettled",
        }
    }

    /// Whether something went wrong, as against something that nobody tried or that stands in the plan already.
    pub fn is_failure(self) -> bool {
        match self {
            Self::Stale | Self::NotConverged | Self::Collateral | Self::Failed | Self::Unsettled => true,
            Self::Applied | Self::Unchanged | Self::Blocked | Self::Held | Self::Skipped => false,
        }
    }

    /// Whether the job was written to, or may have been.
    pub fn has_written(self) -> bool {
        match self {
            Self::Applied | Self::NotConverged | Self::Collateral | Self::Unsettled => true,
            Self::Unchanged | Self::Stale | Self::Blocked | Self::Held | Self::Failed | Self::Skipped => {
                false
            }
        }
    }
}

/// The three values of a member that a write did not leave behind as it should.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Values<'a> {
    /// The value in the request, in the API's own form; `None` where the request did not hold the member.
    pub sent: Option<&'a Value>,
    /// What a write that does what it says leaves behind.
    pub expected: &'a Value,
    /// What was read back.
    pub found: &'a Value,
}

/// What became of one step, with the words for people.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What became of it.
    pub kind: OutcomeKind,
    /// Why, where it is not simply done: one line for each cause, outermost first.
    pub error: Vec<String>,
    /// What to do next.
    pub help: Option<String>,
    /// What is worth knowing though it is no error.
    pub notes: Vec<String>,
    /// The members that it is about.
    pub fields: Vec<FieldChange>,
    /// The body that was sent, scripts as digest and size; `None` where nothing was, or where that tells nothing.
    pub sent: Option<Value>,
    /// Who edited the job last, where that matters.
    pub edit: Option<Edit>,
    /// The job as it was read back after the write.
    pub read_back: Option<Value>,
    /// The id of the job that the step made.
    pub made: Option<String>,
    /// How many calls were made for the step.
    pub n_calls: u64,
}

impl Outcome {
    /// An outcome without words.
    pub(crate) fn plain(kind: OutcomeKind) -> Self {
        Self {
            kind,
            error: Vec::new(),
            help: None,
            notes: Vec::new(),
            fields: Vec::new(),
            sent: None,
            edit: None,
            read_back: None,
            made: None,
            n_calls: 0,
        }
    }

    /// An outcome with the reason for it.
    pub(crate) fn said(kind: OutcomeKind, words: impl Into<String>) -> Self {
        Self { error: vec![words.into()], ..Self::plain(kind) }
    }

    /// What was sent, expected and found of a member that this outcome is about.
    pub fn values<'a>(&'a self, field: &'a FieldChange) -> Values<'a> {
        // A member that was declared is told from what is there to what should be, as in a plan; anything else from
        // what was there to what is.
        let (expected, found) = match self.kind {
            OutcomeKind::NotConverged => (&field.after, &field.before),
            OutcomeKind::Applied
            | OutcomeKind::Unchanged
            | OutcomeKind::Stale
            | OutcomeKind::Blocked
            | OutcomeKind::Held
            | OutcomeKind::Collateral
            | OutcomeKind::Failed
            | OutcomeKind::Skipped
            | OutcomeKind::Unsettled => (&field.before, &field.after),
        };
        Values { sent: self.sent.as_ref().and_then(|body| body.pointer(&field.pointer)), expected, found }
    }

    /// Adds what to do next.
    pub(crate) fn helped(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// How many steps ended in each outcome.
pub fn counts(outcomes: &[Outcome]) -> Value {
    let count = |kind: OutcomeKind| outcomes.iter().filter(|outcome| outcome.kind == kind).count();
    Value::Object(
        OutcomeKind::ALL.iter().map(|kind| (kind.as_str().to_owned(), json!(count(*kind)))).collect(),
    )
}
