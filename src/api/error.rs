//! What can go wrong, in the words that a person reads, and what to do next.
//!
//! No variant holds a password or a token: bodies reach these types only through `excerpt`, URLs only as paths, and
//! errors of `reqwest` without their URL.

use std::time::Duration;

use reqwest::StatusCode;
use thiserror::Error;

use super::counts::CallKind;
use super::gateway::GatewayError;

/// What to do where something else than the API answers.
const NOT_THE_API: &str =
    "check that the gateway is the API gateway of your pod, and no login page or proxy in front of it";

/// Why a call, or a whole sweep, came to nothing. No variant leaves anything changed on the server.
#[derive(Debug, Error)]
pub enum ApiError {
    /// The address cannot be used.
    #[error("the gateway cannot be used")]
    Gateway(#[from] GatewayError),
    /// The HTTP client could not be made: no trust store, a bad certificate file, a bad proxy setting.
    #[error("the HTTP client could not be set up")]
    Setup(#[source] reqwest::Error),
    /// A file of `--cacert` that holds no certificate, or one that cannot be used.
    #[error("`{file}` {problem}, and --cacert takes a PEM file with at least one")]
    CaFile {
        /// The file as it was named.
        file: String,
        /// What is wrong with it, as the rest of a sentence.
        problem: &'static str,
    },
    /// The given token holds characters that cannot stand in a header.
    #[error("the token given in QUALYS_TOKEN cannot be sent: it holds characters that no token has")]
    BadToken,
    /// An id that cannot stand in a path.
    #[error("`{id}` cannot be the id of a job")]
    BadId {
        /// The id with escapes, cut where it is long.
        id: String,
    },
    /// `/auth` refused the user name and password.
    #[error("`{host}` refused the login of user `{user}` (HTTP {status}{})", said(.excerpt))]
    LoginRefused {
        /// Host of the gateway.
        host: String,
        /// The user name that was sent.
        user: String,
        /// 401 or 403.
        status: u16,
        /// Start of the answer, sanitised; may be empty.
        excerpt: String,
    },
    /// `/auth` answered with a success that holds no token, to the last try.
    #[error("`{host}` answered the login with something that is not a token ({found}){}", after_tries(*.tries))]
    NotAToken {
        /// Host of the gateway.
        host: String,
        /// What the last answer was: content type and size, never its text.
        found: String,
        /// How often the login was sent; at least 1.
        tries: u32,
    },
    /// The token of `QUALYS_TOKEN` was refused.
    #[error("`{host}` refused the token given in QUALYS_TOKEN (HTTP 401 to {call})")]
    GivenTokenRefused {
        /// Host of the gateway.
        host: String,
        /// The call that was refused.
        call: String,
    },
    /// A token that `/auth` had just handed out was refused.
    #[error("{call} was refused (HTTP 401) with a token that was just handed out")]
    NewTokenRefused {
        /// The call that was refused.
        call: String,
        /// Whether the answer was a page for people, so that it is hardly the API's.
        is_web_page: bool,
    },
    /// The login is good but may not do this.
    #[error("{call} is not allowed for this login (HTTP 403{})", said(.excerpt))]
    Forbidden {
        /// The call that was refused.
        call: String,
        /// Start of the answer, sanitised; may be empty.
        excerpt: String,
        /// Whether the answer was a page for people, so that it is hardly the API's.
        is_web_page: bool,
    },
    /// The gateway throttles, and waiting would take longer than allowed.
    #[error(
        "{call} would have to wait {} for the gateway's rate limit, after {} of waiting and with {} allowed in all",
        in_words(*.asked),
        in_words(*.waited),
        in_words(*.max_wait)
    )]
    WaitBudget {
        /// The call that was next.
        call: String,
        /// How long it would have to wait from now.
        asked: Duration,
        /// What was waited before.
        waited: Duration,
        /// The most that may be waited in all (`--max-wait`).
        max_wait: Duration,
    },
    /// One call failed.
    #[error("{call} failed{}", after_tries(*.tries))]
    Call {
        /// `METHOD /path`, with the page where it is one.
        call: String,
        /// How often it was sent; at least 1.
        tries: u32,
        /// What became of the last try.
        #[source]
        cause: CallFailure,
    },
    /// A list could not be read to its end, so nothing can be said about what is absent.
    #[error(
        "the list of {platform} jobs could not be read to its end (it broke off after {})", after_pages(*.pages_read)
    )]
    List {
        /// The platform whose jobs were asked for.
        platform: String,
        /// Pages read before.
        pages_read: u32,
        /// Why it ended.
        #[source]
        cause: ListFailure,
    },
}

impl ApiError {
    /// What to do next, one sentence without full stop.
    pub fn help(&self) -> String {
        match self {
            Self::Gateway(cause) => cause.help(),
            Self::Setup(_) => "check the certificate file of --cacert, the trust store of this machine and the \
                               proxy settings in the environment"
                .to_owned(),
            Self::CaFile { .. } => {
                "a PEM file holds lines `-----BEGIN CERTIFICATE-----`; `openssl x509 -inform der -in FILE` turns a DER \
                 file into one"
                    .to_owned()
            }
            Self::BadToken => "set QUALYS_TOKEN to the bare token, without quotes, line breaks or `Bearer`".to_owned(),
            Self::BadId { .. } => "take the id from the job's page in the console".to_owned(),
            Self::LoginRefused { .. } => {
                "check QUALYS_USERNAME and QUALYS_PASSWORD, and that the gateway is the one of your pod; it was \
                 tried once only, so that the account is not locked"
                    .to_owned()
            }
            Self::NotAToken { .. }
            | Self::NewTokenRefused { is_web_page: true, .. }
            | Self::Forbidden { is_web_page: true, .. } => NOT_THE_API.to_owned(),
            Self::GivenTokenRefused { .. } => "the token is used as given and lives for four hours: get a new one, \
                                               or set QUALYS_USERNAME and QUALYS_PASSWORD instead"
                .to_owned(),
            Self::NewTokenRefused { .. } | Self::Forbidden { .. } => {
                "the user needs the permission PM.API.ACCESS, a full Patch Management licence, and these jobs in \
                 its scope"
                    .to_owned()
            }
            Self::WaitBudget { asked, waited, .. } => format!(
                "run it again in {}, or allow more with --max-wait (here at least {} s); the limit is shared by all \
                 tools of the subscription",
                in_words(*asked),
                (*asked + *waited).as_secs().saturating_add(1),
            ),
            Self::Call { cause, .. } => cause.help(),
            Self::List { cause: ListFailure::Page(cause), .. } => cause.help(),
            Self::List { cause: ListFailure::RecordLimit { n_read: ..10_000 }, pages_read: 0 | 1, .. } => {
                "the server refuses pages that reach past its limit: ask for smaller ones with --page-size".to_owned()
            }
            Self::List { cause: ListFailure::RecordLimit { .. }, .. } => {
                "the API shows at most 10,000 records: use a login whose scope holds fewer jobs of this platform"
                    .to_owned()
            }
            Self::List { .. } => {
                "nothing is planned from part of a list: try again, and if it stays so, report it with the server's \
                 release"
                    .to_owned()
            }
        }
    }
}

/// What became of one try.
#[derive(Debug, Error)]
pub enum CallFailure {
    /// No connection was made, so nothing was sent.
    #[error("no connection could be made")]
    Connect(#[source] reqwest::Error),
    /// The server's certificate was not accepted, so nothing was sent.
    #[error("no secure connection could be made")]
    Tls(#[source] reqwest::Error),
    /// The answer did not come whole in time.
    #[error("no whole answer came within {}", in_words(*.after))]
    Timeout {
        /// The longest wait allowed.
        after: Duration,
    },
    /// The connection broke, or the body was cut short or garbled on the way.
    #[error("the connection broke before the answer was whole")]
    Broken(#[source] reqwest::Error),
    /// More bytes than any proper answer has.
    #[error("the answer is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: usize,
        /// Whether it is a page of the list, which can be asked for smaller.
        is_page: bool,
    },
    /// An answer whose status is not a success.
    #[error("the answer was HTTP {status}{}", said(.excerpt))]
    Status {
        /// The status.
        status: StatusCode,
        /// `_error.errorCode` (REFERENCE section 3), where there is one.
        error_code: Option<String>,
        /// Start of the body, sanitised; may be empty.
        excerpt: String,
    },
    /// A redirect; none is followed, because the credentials would go along.
    #[error("the answer was HTTP {status}, a redirect to `{to}`, and redirects are not followed")]
    Redirect {
        /// The status.
        status: StatusCode,
        /// Scheme, host and port it points to, sanitised.
        to: String,
    },
    /// A success whose content type is not JSON: a login page, a proxy's page.
    #[error("the answer is not JSON but `{content_type}`{}", said(.excerpt))]
    NotJson {
        /// The content type, sanitised.
        content_type: String,
        /// Start of the body, sanitised.
        excerpt: String,
    },
    /// A success whose body does not parse.
    #[error("the answer is not well-formed JSON{}", said(.excerpt))]
    BadJson {
        /// Start of the body, sanitised.
        excerpt: String,
        /// Where it broke.
        #[source]
        source: serde_json::Error,
    },
    /// A success that holds an error, or not what was asked for.
    #[error("{problem}{}", said(.excerpt))]
    Unexpected {
        /// What is wrong with it.
        problem: String,
        /// Start of the body, sanitised.
        excerpt: String,
    },
}

impl CallFailure {
    /// Whether the same request may well succeed in a moment.
    ///
    /// A page of another content type is in it, because proxies put one up for a moment, under whatever status; 501
    /// and 505 are for simplicity. A refused certificate is not, because it does not mend itself.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Connect(_)
            | Self::Timeout { .. }
            | Self::Broken(_)
            | Self::NotJson { .. }
            | Self::BadJson { .. } => true,
            Self::Status { status, .. } => is_transient_status(*status),
            Self::Tls(_) | Self::TooLarge { .. } | Self::Redirect { .. } | Self::Unexpected { .. } => false,
        }
    }

    /// The same for a call of a kind: only a page of the list can be asked for smaller.
    pub(super) fn of(self, kind: CallKind) -> Self {
        match self {
            Self::TooLarge { limit_bytes, .. } => {
                Self::TooLarge { limit_bytes, is_page: kind == CallKind::List }
            }
            other => other,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Connect(_) | Self::Timeout { .. } | Self::Broken(_) => {
                "check the gateway's name and the network; HTTPS_PROXY and NO_PROXY are honoured"
            }
            Self::Tls(_) => {
                "if a proxy of yours signs the traffic, name its certificate authority with --cacert"
            }
            Self::TooLarge { is_page: true, .. } => "ask for smaller pages with --page-size",
            Self::TooLarge { is_page: false, .. } | Self::Redirect { .. } | Self::NotJson { .. } => {
                NOT_THE_API
            }
            Self::Status { status, .. } if *status == StatusCode::NOT_FOUND => {
                "check that the gateway is the API gateway of your pod, not the `qualysapi` host"
            }
            Self::Status { status, .. } if status.is_server_error() => {
                "the service has a problem: try again later"
            }
            Self::Status { .. } => "the answer says why",
            Self::BadJson { .. } | Self::Unexpected { .. } => {
                "try again, and if it stays so, report it with the server's release"
            }
        }
        .to_owned()
    }
}

/// Why a list was not read to its end.
#[derive(Debug, Error)]
pub enum ListFailure {
    /// A page could not be read.
    #[error("a page could not be read")]
    Page(#[source] Box<ApiError>),
    /// The server shows no more than 10,000 records of a query (REFERENCE section 3, error code 2501).
    #[error(
        "the server shows no more than 10,000 records of a list, and refused to go on after {n_read} jobs"
    )]
    RecordLimit {
        /// Jobs read before.
        n_read: usize,
    },
    /// Neither an array nor `{data: [...]}`.
    #[error("page {page} is not a list of jobs")]
    NotAList {
        /// The page's number as sent.
        page: u32,
    },
    /// A row that no job can be bound to.
    #[error("row {row} of page {page} is not a job with an id")]
    RowWithoutId {
        /// The page's number as sent.
        page: u32,
        /// Position in the page, counted from 1.
        row: usize,
    },
    /// Page after page brought nothing new and yet none was empty.
    #[error("the server shows the same jobs on page after page (up to page {page})")]
    Repeats {
        /// The last page's number as sent.
        page: u32,
    },
    /// Far more pages than 10,000 records can fill.
    #[error("the list has no end after {pages} pages")]
    TooManyPages {
        /// Pages read.
        pages: u32,
    },
}

/// What is known after a write that did not end in a readable success.
#[derive(Debug, Error)]
pub enum WriteError {
    /// Nothing was sent: no token, no connection, no time left to wait.
    #[error("the write was not sent")]
    NotSent(#[source] ApiError),
    /// Nothing was done because of the rate limit: either the gateway turned the call away with 429, or it was held
    /// back unsent while the gate is closed. Read afresh, which waits, and write again.
    #[error("{call} was held back by the gateway's rate limit for {}", in_words(*.wait))]
    Throttled {
        /// The call.
        call: String,
        /// How long the gate stays closed from now.
        wait: Duration,
    },
    /// A definite answer that nothing was done: a 4xx other than 408, 425 and 429.
    #[error("the write was refused")]
    Refused(#[source] ApiError),
    /// It was sent, and what came of it must be read: no answer, a broken or unreadable one, a redirect, 408, 425,
    /// 5xx, or a success without a body.
    #[error("the write was sent, and no readable answer came")]
    Unclear(#[source] ApiError),
    /// It was not sent because it could not be written down before; comes from the journal of a run, never from a
    /// gateway.
    #[error("it could not be written down in the state folder what is about to be sent")]
    NotNoted(#[source] std::io::Error),
}

impl WriteError {
    /// What to do next, one sentence without full stop.
    pub fn help(&self) -> String {
        match self {
            Self::NotSent(cause) | Self::Refused(cause) | Self::Unclear(cause) => cause.help(),
            Self::Throttled { .. } => "nothing was changed: run it again later".to_owned(),
            Self::NotNoted(_) => {
                "nothing was sent: were the answer lost, the next run would not know of it; mend the state folder \
                 (--state-dir)"
                    .to_owned()
            }
        }
    }
}

/// Whether a status may go away by itself; 429 is not in it, because the gate deals with that.
pub(super) fn is_transient_status(status: StatusCode) -> bool {
    status == StatusCode::REQUEST_TIMEOUT || status == StatusCode::TOO_EARLY || status.is_server_error()
}

/// A duration the way people say it: `45 s`, `15 min`, `1 h 30 min`. Rounded up to whole seconds.
pub(crate) fn in_words(duration: Duration) -> String {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    let parts = [(seconds / 3600, "h"), (seconds / 60 % 60, "min"), (seconds % 60, "s")];
    let text: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count} {unit}")).collect();
    if text.is_empty() { "0 s".to_owned() } else { text.join(" ") }
}

fn said(excerpt: &str) -> String {
    if excerpt.is_empty() { String::new() } else { format!(": `{excerpt}`") }
}

fn after_pages(pages: u32) -> String {
    if pages == 1 { "1 page".to_owned() } else { format!("{pages} pages") }
}

fn after_tries(tries: u32) -> String {
    if tries > 1 { format!(" after {tries} tries") } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(milliseconds: u64, expected: &str) {
        assert_eq!(in_words(Duration::from_millis(milliseconds)), expected);
    }

    #[test]
    fn durations_in_words() {
        check(0, "0 s");
        check(1, "1 s");
        check(45_000, "45 s");
        check(900_000, "15 min");
        check(90_500, "1 min 31 s");
        check(5_400_000, "1 h 30 min");
    }

    #[test]
    fn errors_read_well() {
        let error = ApiError::WaitBudget {
            call: "GET /x".to_owned(),
            asked: Duration::from_hours(1),
            waited: Duration::from_mins(1),
            max_wait: Duration::from_mins(15),
        };
        insta::assert_snapshot!(error, @"GET /x would have to wait 1 h for the gateway's rate limit, after 1 min of waiting and with 15 min allowed in all");
        let error = ApiError::Call {
            call: "GET /x".to_owned(),
            tries: 5,
            cause: CallFailure::Status {
                status: StatusCode::BAD_GATEWAY,
                error_code: None,
                excerpt: "oops".to_owned(),
            },
        };
        insta::assert_snapshot!(error, @"GET /x failed after 5 tries");
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        insta::assert_snapshot!(cause, @"the answer was HTTP 502 Bad Gateway: `oops`");
    }
}
