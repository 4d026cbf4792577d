//! The cheap questions of `doctor`: is the gateway there, and what does the beginning of a list look like.
//!
//! Deliberately small: no sweep is read to its end here, so **nothing may be concluded about absent jobs**, and no
//! failure is dressed up. What the answers mean for people is the command line's business.

use std::collections::HashSet;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::time::Instant;

use super::client::Client;
use super::counts::CallKind;
use super::error::{ApiError, CallFailure, ListFailure};
use super::sweep::Page;

/// Largest answer that is read of the version call, in bytes; a version is a few hundred.
const VERSION_LIMIT_BYTES: usize = 64 << 10;

/// Pages asked for at most: the first, one to see whether there is more, and one more where pages count from 1.
const MOST_PAGES: u32 = 3;

/// That a gateway is there: some answer came, over TLS where the URL says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The status of the answer; 401 is the usual one, because no login is sent.
    pub status: StatusCode,
    /// From before the name was looked up to the end of the answer.
    pub took: Duration,
}

/// What the beginning of a list shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListProbe {
    /// The rows of the first page that has any, as they came.
    pub rows: Vec<Value>,
    /// How many rows a page was asked to have.
    pub page_size: u32,
    /// Rows of a page that the server gives at most, where that is less than was asked for.
    pub cap: Option<usize>,
    /// Whether the first page is number 1 and not 0.
    pub counts_from_one: bool,
}

impl Client {
    /// Asks for the server's version (REFERENCE section 4, endpoint 1) once, **without a login**: any answer shows
    /// that the name resolves, the connection stands and the certificate is trusted.
    ///
    /// # Errors
    /// [`ApiError::Call`] with what became of the one try.
    pub async fn probe(&self) -> Result<Probe, ApiError> {
        let url = self.gateway.endpoint(&["pm", "v1", "details"]);
        let call = format!("GET {}", url.path());
        let pass = self.gate.enter(&call).await?;
        self.counters.count(CallKind::Version, false);
        let begin = Instant::now();
        let outcome =
            self.transport.exchange(self.transport.request(Method::GET, url), VERSION_LIMIT_BYTES).await;
        let took = begin.elapsed();
        match outcome {
            Ok(answer) => {
                self.note(&pass, &answer);
                Ok(Probe { status: answer.status, took })
            }
            // Somebody is there who talks too much: that is for the next call to find out.
            Err(CallFailure::TooLarge { .. }) => Ok(Probe { status: StatusCode::OK, took }),
            Err(cause) => Err(ApiError::Call { call, tries: 1, cause }),
        }
    }

    /// Reads the beginning of a platform's list: one page, and up to two more where the first is not full, because
    /// only they tell a short list from a server that caps the page size.
    ///
    /// # Errors
    /// As the call failed; [`ApiError::List`] where a page is not a list.
    pub async fn probe_list(&self, platform: &str) -> Result<ListProbe, ApiError> {
        let mut probe =
            ListProbe { rows: Vec::new(), page_size: self.page_size, cap: None, counts_from_one: false };
        let mut refusal = None;
        for page in 0..MOST_PAGES {
            let rows = match self.read_page(platform, page, |row| row.to_value()).await? {
                Page::NoContent => Vec::new(),
                Page::Body(Some(rows)) => rows.into_iter().map(|row| row.made).collect(),
                Page::Body(None) => {
                    let cause = ListFailure::NotAList { page };
                    return Err(ApiError::List { platform: platform.to_owned(), pages_read: page, cause });
                }
                // A server that counts from 1 may refuse page 0.
                Page::Refused { error, .. } if page == 0 => {
                    refusal = Some(error);
                    continue;
                }
                Page::Refused { is_record_limit: true, .. } => {
                    return Err(ApiError::List {
                        platform: platform.to_owned(),
                        pages_read: page,
                        cause: ListFailure::RecordLimit { n_read: probe.rows.len() },
                    });
                }
                Page::Refused { error, .. } => return Err(refusal.unwrap_or(error)),
            };
            if !self.goes_on(&mut probe, rows, page) {
                break;
            }
        }
        Ok(probe)
    }

    /// Takes a page into account; says whether the next one would tell more.
    fn goes_on(&self, probe: &mut ListProbe, rows: Vec<Value>, page: u32) -> bool {
        if probe.rows.is_empty() {
            probe.counts_from_one = page == 1 && !rows.is_empty();
            let is_full = rows.len() >= self.page_size as usize;
            let is_empty = rows.is_empty();
            probe.rows = rows;
            return !is_full && (page == 0 || !is_empty);
        }
        if rows.is_empty() {
            return false;
        }
        let known: HashSet<Option<&str>> = probe.rows.iter().map(id_of).collect();
        let is_new = rows.iter().any(|row| !known.contains(&id_of(row)));
        if is_new {
            probe.cap = Some(probe.rows.len());
        } else {
            probe.counts_from_one = page == 1;
        }
        !is_new
    }
}

fn id_of(row: &Value) -> Option<&str> {
    row.get("id").and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::ReadApi as _;
    use super::super::testing::{Reply, Request, Server};
    use super::*;

    /// A server of so many jobs that caps its pages; says which page an index is, `None` for a refusal.
    fn server(n_jobs: usize, cap: usize, index_of: fn(usize) -> Option<usize>) -> Server {
        Server::with_login(move |request: &Request| {
            let number = |name: &str| -> usize {
                let rest = request.line.split_once(&format!("{name}=")).unwrap().1;
                rest.split(['&', ' ']).next().unwrap().parse().unwrap()
            };
            let Some(index) = index_of(number("pageNumber")) else { return Reply::status(400, "{}") };
            let size = number("pageSize").min(cap);
            let rows = (0..n_jobs).skip(index.saturating_mul(size)).take(size);
            Reply::json(&rows.map(|id| json!({"id": format!("job-{id}")})).collect())
        })
    }

    #[track_caller]
    fn check(server: Server, expected: (usize, Option<usize>, bool, u64)) {
        let mut settings = server.settings();
        settings.page_size = std::num::NonZeroU32::new(10).unwrap();
        let client = Client::new(settings).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let probe = runtime.block_on(client.probe_list("Windows")).unwrap();
        let found = (probe.rows.len(), probe.cap, probe.counts_from_one, client.calls().list);
        assert_eq!(found, expected);
    }

    #[test]
    fn the_beginning_of_a_list() {
        let from_zero: fn(usize) -> Option<usize> = Some;
        check(server(0, 100, from_zero), (0, None, false, 2));
        check(server(3, 100, from_zero), (3, None, false, 2));
        check(server(10, 100, from_zero), (10, None, false, 1));
        check(server(25, 100, from_zero), (10, None, false, 1));
        check(server(25, 4, from_zero), (4, Some(4), false, 2));
    }

    #[test]
    fn pages_that_count_from_one() {
        check(server(3, 100, |page| Some(page.saturating_sub(1))), (3, None, true, 3));
        check(server(25, 4, |page| Some(page.saturating_sub(1))), (4, Some(4), true, 3));
        check(server(3, 100, |page| page.checked_sub(1)), (3, None, true, 3));
        check(server(3, 100, |page| Some(page.checked_sub(1).unwrap_or(usize::MAX))), (3, None, true, 3));
    }

    #[tokio::test]
    async fn the_gateway_is_there_whatever_it_answers() {
        let server = Server::start(|request| {
            assert!(!request.headers.iter().any(|line| line.starts_with("authorization")), "{request:?}");
            Reply::new(401, &["date: Sun, 06 Nov 1994 08:49:37 GMT"], b"")
        });
        let client = Client::new(server.settings()).unwrap();
        assert_eq!(client.probe().await.unwrap().status, StatusCode::UNAUTHORIZED);
        assert!(client.clock_ahead().unwrap() < jiff::SignedDuration::from_hours(-24));
        assert_eq!(client.calls().total(), 1);
    }
}
