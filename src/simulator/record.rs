//! The log of requests that tests and people look at.
//!
//! Holds no password and no token: the form of `/auth` is not recorded, and of the `Authorization` header only the
//! user it stands for.

use std::collections::VecDeque;

use serde::Serialize;
use serde_json::Value;

use super::call::Call;

/// The most requests that are remembered; the oldest go first.
///
/// Enough for a cold read of the 10,000 jobs that a query can reach, several times over; bodies of writes are about
/// 5 KB, so a full log of nothing but writes is some 300 MB.
const MOST_REQUESTS: usize = 65_536;

/// One call as it came in and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RecordedRequest {
    /// Number of the call since the start, from 0; calls to `/_simulator` are not counted.
    pub ordinal: u64,
    /// The kind of the call.
    pub call: Call,
    /// HTTP method, upper case.
    pub method: String,
    /// The path without the query.
    pub path: String,
    /// The query as sent, without the question mark; may be empty.
    pub query: String,
    /// The body, where it is JSON.
    pub body: Option<Value>,
    /// HTTP status of the answer; none while the call is under way and where the connection was closed instead.
    pub status: Option<u16>,
    /// The user whose valid token came with the call.
    pub user: Option<String>,
}

/// The log itself.
#[derive(Debug, Default)]
pub(super) struct Record {
    requests: VecDeque<RecordedRequest>,
    next_ordinal: u64,
}

impl Record {
    /// Takes down a call and gives it its ordinal, which replaces the one in `request`.
    pub(super) fn begin(&mut self, mut request: RecordedRequest) -> u64 {
        let ordinal = self.next_ordinal;
        self.next_ordinal += 1;
        request.ordinal = ordinal;
        if self.requests.len() == MOST_REQUESTS {
            self.requests.pop_front();
        }
        self.requests.push_back(request);
        ordinal
    }

    /// Takes down the answer to a call, unless the log was cleared in between.
    pub(super) fn finish(&mut self, ordinal: u64, status: Option<u16>) {
        if let Some(request) = self.requests.iter_mut().rev().find(|request| request.ordinal == ordinal) {
            request.status = status;
        }
    }

    /// How many calls are remembered.
    pub(super) fn n_requests(&self) -> usize {
        self.requests.len()
    }

    /// All calls since the start or the last clearing, in the order in which they came.
    pub(super) fn all(&self) -> Vec<RecordedRequest> {
        self.requests.iter().cloned().collect()
    }

    /// Forgets all calls; ordinals go on.
    pub(super) fn clear(&mut self) {
        self.requests.clear();
    }
}
