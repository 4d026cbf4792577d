//! Everything a [`Client`](super::Client) is told when it is made, with every field set; nothing is asked later.

use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use super::gateway::Gateway;

/// How to log in. Both forms mask themselves in `Debug`.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// A login that is turned into a token by `POST /auth`, and again when the token is used up.
    User {
        /// `QUALYS_USERNAME`.
        name: String,
        /// `QUALYS_PASSWORD`.
        password: SecretString,
    },
    /// `QUALYS_TOKEN`, used as given; it cannot be renewed.
    Token(SecretString),
}

/// A file with certificate authorities, in PEM form.
#[derive(Clone, Debug)]
pub struct CaFile {
    /// Its name, for messages.
    pub name: String,
    /// What is in it; certificates are public.
    pub pem: Vec<u8>,
}

/// What the client has to say while it works. Times are for people; nothing branches on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The gateway asked for patience; all calls wait. Sent once per wait, and again when a wait grows.
    Throttled {
        /// How long from now.
        wait: Duration,
        /// When it goes on.
        goes_on_at: jiff::Timestamp,
        /// All waits of this client so far, this one included.
        waited_in_all: Duration,
        /// The most that may be waited in all.
        max_wait: Duration,
    },
    /// A read failed and will be sent again.
    Retrying {
        /// The call, as in errors: `GET /path`.
        call: String,
        /// The number of the try that comes next, counted from 1.
        next_try: u32,
        /// The pause before it.
        delay: Duration,
        /// Why, in one line.
        cause: String,
    },
    /// The gateway refused, so fewer calls are in flight from now on.
    ConcurrencyLowered {
        /// The most calls at a time from now on; at least 1.
        to: usize,
    },
}

/// The function that is given each [`Notice`]. It is called between requests, so it must return quickly.
#[derive(Clone)]
pub struct Notices(Arc<dyn Fn(Notice) + Send + Sync>);

impl Notices {
    /// Hands every notice to a function.
    pub fn to(receive: impl Fn(Notice) + Send + Sync + 'static) -> Self {
        Self(Arc::new(receive))
    }

    /// Drops every notice.
    pub fn silent() -> Self {
        Self::to(|_| ())
    }

    pub(super) fn send(&self, notice: Notice) {
        (self.0)(notice);
    }
}

impl fmt::Debug for Notices {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Notices")
    }
}

/// The settings of a client. [`Settings::documented`] fills in the documented values.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the API is.
    pub gateway: Gateway,
    /// How to log in there. Whether they may go there is judged before: [`super::credentials_may_go_to`].
    pub credentials: Credentials,
    /// Certificate authorities to trust beside the platform's (`--cacert`).
    pub ca_certificates: Vec<CaFile>,
    /// Jobs asked for in one page of the list. The API's ceiling of 10,000 records makes more than that pointless.
    pub page_size: NonZeroU32,
    /// Most requests in flight; it goes down by itself when the gateway refuses.
    pub concurrency: NonZeroUsize,
    /// Longest wait for a connection, TLS included; more than zero.
    pub connect_timeout: Duration,
    /// Longest wait for a whole answer, connection and body included; more than zero.
    pub request_timeout: Duration,
    /// Most time to wait for the gateway in all, in this client's life; zero means never to wait.
    pub max_wait: Duration,
    /// Largest page of the list that is read, in bytes after decompression.
    pub list_page_limit_bytes: usize,
    /// Largest answer of any other call, in bytes after decompression.
    pub job_limit_bytes: usize,
    /// Upper end of the first pause between two tries of a read; it doubles each time.
    pub retry_pause: Duration,
    /// Wait after a refusal that does not say how long.
    pub throttle_wait: Duration,
    /// Shortest wait after a refusal, whatever it says; doubles with each refusal in a row.
    pub throttle_floor: Duration,
    /// Seed of the jitter between tries; only spreads load, so any value will do.
    pub retry_seed: u64,
    /// Who is told about waits and retries.
    pub notices: Notices,
}

impl Settings {
    /// The documented value for everything but the address, the login and the seed.
    pub fn documented(gateway: Gateway, credentials: Credentials, retry_seed: u64) -> Self {
        Self {
            gateway,
            credentials,
            ca_certificates: Vec::new(),
            // At about 5 KB a row a page is 5 MB; 2,000 would save five calls in 10,000 jobs and double what one
            // truncated answer costs.
            page_size: NonZeroU32::new(1_000).expect("internal error: 1,000 is not zero"),
            concurrency: NonZeroUsize::new(8).expect("internal error: 8 is not zero"),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_mins(1),
            max_wait: Duration::from_mins(15),
            // A page of 1,000 rows with 64 KB each. Twice that would only let a broken server eat more memory.
            list_page_limit_bytes: 64 << 20,
            // A job with ten scripted actions as paths is below 100 KB.
            job_limit_bytes: 4 << 20,
            retry_pause: Duration::from_millis(500),
            // What PVM does when nothing is said (REFERENCE section 3).
            throttle_wait: Duration::from_mins(1),
            throttle_floor: Duration::from_secs(1),
            retry_seed,
            notices: Notices::silent(),
        }
    }
}
