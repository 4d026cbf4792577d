//! A call that the simulated server refuses.

use serde_json::{Value, json};

/// Why a call was refused: an HTTP status and the `_error` object of the answer.
///
/// Of real error bodies only `_error.errorCode` is known, a string of digits (REFERENCE section 3); the codes other
/// than 2501 and the member `message` are the simulator's own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// HTTP status code, 400 to 599.
    pub status: u16,
    /// Digits, sent as `_error.errorCode`.
    pub code: &'static str,
    /// What was refused and why: lower case, no full stop.
    pub message: String,
}

impl Refusal {
    /// 400: the request is wrong, or the job's state forbids it.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self { status: 400, code: "2001", message: message.into() }
    }

    /// 400 with the documented code for a query that reaches past the record limit.
    pub(super) fn past_the_limit(limit: usize) -> Self {
        let message = format!("Only the first {limit} results can be displayed");
        Self { status: 400, code: "2501", message }
    }

    /// 401: no token, or one that is not valid any more.
    pub(super) fn unauthorised(message: impl Into<String>) -> Self {
        Self { status: 401, code: "1401", message: message.into() }
    }

    /// 404: no such job or path.
    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self { status: 404, code: "2404", message: message.into() }
    }

    /// 500: the simulator could not keep the change.
    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self { status: 500, code: "5000", message: message.into() }
    }

    /// The answer's body.
    pub(super) fn body(&self) -> Value {
        json!({"_error": {"errorCode": self.code, "message": self.message}})
    }
}
