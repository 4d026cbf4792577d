//! The client of the Qualys gateway: what may be asked of it, and what can come of asking.
//!
//! Responsible for the transport (TLS, proxies, limits, redirects), the token, the list sweep, retries of reads, the
//! throttle gate that all calls share, and for counting every request. [`ReadApi`] and [`WriteApi`] are what the rest
//! of the program sees; a command that may not write is given only a [`ReadApi`].
//!
//! Deliberately not here: what a job means (jobs are JSON values), the detail cache, and the settling of a write
//! whose answer was lost: that needs reading and comparing, which the apply protocol does. Nothing here reads the
//! environment except for the proxy settings that `reqwest` reads.
//!
//! Invariants: a read is repeated only where that can help and only inside the wait budget; **a write is sent once**
//! (a second time only after a 401, which says that it was not looked at); a list is whole or an error; no error,
//! notice or count holds a password or a token.

mod client;
mod clock;
mod counts;
mod error;
mod excerpt;
#[cfg(test)]
mod fault_tests;
mod gate;
mod gateway;
mod limits;
mod probe;
mod retry;
mod settings;
mod sweep;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;
mod token;
mod transport;

use std::future::Future;
use std::time::Duration;

use serde_json::Value;

use crate::job::SettableStatus;
use crate::lean::Lean;

pub use self::client::Client;
pub use self::counts::{CallCounts, Traffic};
pub(crate) use self::error::in_words;
pub use self::error::{ApiError, CallFailure, ListFailure, WriteError};
pub use self::gateway::{Gateway, GatewayError, SettingOrigin, credentials_may_go_to, is_documented_host};
pub use self::limits::LimitHeaders;
pub use self::probe::{ListProbe, Probe};
pub use self::settings::{CaFile, Credentials, Notice, Notices, Settings};

/// A list that was read to its end.
#[derive(Clone, Debug)]
pub struct Listed<T> {
    /// What was made of its rows.
    pub rows: Vec<T>,
    /// How many pages were asked for, repeated tries not counted: what the same list will cost again.
    pub n_calls: usize,
}

/// What can be read from the gateway. All methods may be called concurrently; the futures are `Send`.
pub trait ReadApi {
    /// Returns every live job of one platform in the list shape of REFERENCE section 6, each id once, rows marked
    /// `deleted` left out, in the order in which the server first showed them. REFERENCE section 4, endpoint 2.
    ///
    /// One thing no client of this API can see: if a job is *deleted* while the pages are being read, its successors
    /// move up by one place, and one of them may slip from an unread page to a read one. Who concludes something
    /// from absence should therefore ask for that one job ([`ReadApi::get_job`]) or sweep again.
    ///
    /// # Errors
    /// Any failure to read the list to its end: [`ApiError::List`], or what stopped the run as a whole (login, wait
    /// budget). Never a partial list.
    fn list_jobs(&self, platform: &str) -> impl Future<Output = Result<Vec<Value>, ApiError>> + Send;

    /// The same for who keeps little of each row: what `make` makes of it, while its page is there. Lists of several
    /// platforms may be read at once.
    ///
    /// # Errors
    /// As [`ReadApi::list_jobs`].
    fn list_rows<T: Send>(
        &self,
        platform: &str,
        make: impl Fn(&Lean<'_>) -> T + Send + Sync,
    ) -> impl Future<Output = Result<Listed<T>, ApiError>> + Send;

    /// Returns one job in its full shape, or `None` where the server says 404. REFERENCE section 4, endpoint 3.
    ///
    /// # Errors
    /// [`ApiError::BadId`] for an id that cannot stand in a path; otherwise as the call failed. An answer about
    /// another job than the one asked for is an error.
    fn get_job(&self, id: &str) -> impl Future<Output = Result<Option<Value>, ApiError>> + Send;

    /// The same for who looks at thousands of jobs and keeps few: what `look` makes of the answer and of its bytes,
    /// which hold one JSON value. It is called while the answer is there, so it must not take long.
    ///
    /// # Errors
    /// As [`ReadApi::get_job`].
    fn look_at_job<T: Send>(
        &self,
        id: &str,
        look: impl Fn(&[u8], &Lean<'_>) -> T + Send + Sync,
    ) -> impl Future<Output = Result<Option<T>, ApiError>> + Send;

    /// Returns the requests sent so far, by kind.
    fn calls(&self) -> CallCounts;

    /// Returns for how long the rate limit has kept calls waiting so far. What was read before it grew may be old.
    fn waited(&self) -> Duration;
}

/// What can be changed. Every method sends its request once; see [`WriteError`] for what is known afterwards.
///
/// An answer is no proof that something was stored (REFERENCE section 9): read back.
/// A write does not sit out a long throttle: it returns [`WriteError::Throttled`] unsent, because what the caller
/// read just before would be out of date. The caller reads afresh (the read waits) and then writes again.
pub trait WriteApi: ReadApi {
    /// Sends `PATCH` for one job and returns the answer. REFERENCE section 4, endpoint 5.
    ///
    /// # Errors
    /// See [`WriteError`].
    fn update_job(&self, id: &str, body: &Value) -> impl Future<Output = Result<Value, WriteError>> + Send;

    /// Creates one job and returns the answer, which holds its `id`. REFERENCE section 4, endpoint 4.
    ///
    /// # Errors
    /// See [`WriteError`].
    fn create_job(&self, body: &Value) -> impl Future<Output = Result<Value, WriteError>> + Send;

    /// Enables or disables jobs. Enabling an On-demand job **starts it**. REFERENCE section 4, endpoint 6.
    ///
    /// The answer holds one result per id, with failures inside a success (REFERENCE section 3): the caller judges.
    ///
    /// # Errors
    /// See [`WriteError`].
    fn set_status(
        &self,
        status: SettableStatus,
        ids: &[&str],
    ) -> impl Future<Output = Result<Value, WriteError>> + Send;

    /// Deletes jobs. The answer holds one result per id: the caller judges. REFERENCE section 4, endpoint 7.
    ///
    /// # Errors
    /// See [`WriteError`].
    fn delete_jobs(&self, ids: &[&str]) -> impl Future<Output = Result<Value, WriteError>> + Send;
}

/// What a server does with the members that a PATCH does not mention (REFERENCE section 9: not documented).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdatesKnown {
    /// It keeps them.
    Merge,
    /// It drops them.
    Replace,
}
