//! The client against everything that a network and a gateway can do, over real HTTP.
//!
//! What is read is what a plan needs: a login, the list to its end, and each job in it. The outcome must be exactly
//! that or a clean error; never part of it, a wrong job, a hang or a panic. Nothing here sleeps: pauses are those of
//! the faults themselves and of the client, made short by its settings.

mod at_each_call;
mod servers;
mod throttling;
mod tokens_and_edits;

use std::collections::BTreeMap;
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use patchctl::api::{ApiError, Client, Credentials, Gateway, ReadApi as _, Settings};
use patchctl::simulator::{self, Behaviour, Clock, Running, Simulator, Tenant};
use serde_json::{Value, json};

/// 2026-11-23T00:00:00Z.
const NOW: i64 = 1_795_392_000_000;

/// Far longer than any case takes; what is not over then hangs.
const PATIENCE: Duration = Duration::from_secs(40);

/// Calls of a run without faults: a login, two pages of jobs and an empty one, three jobs.
const N_CALLS: u64 = 7;

/// What a run reads: the rows of the list, and each job by its id.
#[derive(Debug, PartialEq)]
struct Read {
    rows: Vec<Value>,
    jobs: BTreeMap<String, Option<Value>>,
}

impl Read {
    fn ids(&self) -> Vec<&str> {
        self.rows.iter().filter_map(|row| row["id"].as_str()).collect()
    }
}

fn job(id: &str, platform: &str, created: i64) -> Value {
    json!({
        "customerId": "5e6d0c1b-0000-4000-8000-000000000001", "id": id, "name": format!("Job {id}"),
        "type": "Install", "platform": platform, "status": "Disabled", "scheduleType": "Weekly",
        "startDateTime": "2026-12-01 02:00:00 AM", "recurringWeekDays": "0,0,1,0,0,0,0", "timezoneType": "SPECIFIC_TZ",
        "timezone": "UTC", "assetTagIds": ["tag-1"], "description": "as it was", "patchCount": 4,
        "createdBy": {"user": {"id": "u-1", "name": "anna"}, "date": created},
        "updatedBy": {"user": {"id": "u-1", "name": "anna"}, "date": created},
        "notYetKnown": "text of some length, so that an answer comes in more than one piece of any size",
    })
}

/// Jobs `a`, `b` and `c` for Windows, listed from `c` to `a`, and one for Linux that nobody asks for.
fn jobs() -> Vec<Value> {
    vec![job("a", "Windows", 100), job("b", "Windows", 200), job("c", "Windows", 300), job("x", "Linux", 400)]
}

/// A simulator with a login of its own, and settings for it with pauses of a millisecond.
struct Server {
    running: Running,
    settings: Settings,
    password: String,
}

impl Server {
    async fn start(behaviour: Behaviour) -> Self {
        Self::start_at(behaviour, Clock::fixed(NOW)).await
    }

    async fn start_at(behaviour: Behaviour, clock: Clock) -> Self {
        let tenant = Tenant::in_memory(jobs(), BTreeMap::new()).expect("jobs").with_clock(clock);
        let login = simulator::Credentials::random();
        let behaviour = Behaviour { users: vec![login.clone()], ..behaviour };
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let running = Simulator::start(tenant, behaviour, listen).await.expect("started");
        let gateway = Gateway::parse(&running.url()).expect("a URL");
        let credentials = Credentials::User { name: login.user, password: login.password.clone().into() };
        let mut settings = Settings::documented(gateway, credentials, 7);
        settings.page_size = 2.try_into().expect("two is not zero");
        settings.retry_pause = Duration::from_millis(1);
        settings.throttle_wait = Duration::from_millis(5);
        settings.throttle_floor = Duration::from_millis(1);
        settings.request_timeout = Duration::from_secs(20);
        settings.list_page_limit_bytes = 64 << 10;
        settings.job_limit_bytes = 64 << 10;
        Self { running, settings, password: login.password }
    }

    fn client(&self) -> Client {
        Client::new(self.settings.clone()).expect("a client")
    }

    /// Reads as a plan does, within bounded time, and checks an error to be clean.
    async fn read(&self) -> Result<Read, ApiError> {
        self.read_with(&self.client()).await
    }

    async fn read_with(&self, client: &Client) -> Result<Read, ApiError> {
        let outcome = tokio::time::timeout(PATIENCE, read(client, self.settings.concurrency.get()))
            .await
            .expect("it ends in time");
        if let Err(error) = &outcome {
            self.check_error(error);
        }
        outcome
    }

    /// An error says what failed and what to do, in the form that all errors have, and tells no secret.
    fn check_error(&self, error: &ApiError) {
        let text = chain(error);
        for line in text.split(" / ") {
            assert!(!line.is_empty() && !line.ends_with('.'), "{text}");
        }
        assert!(!text.contains("internal error"), "{text}");
        assert!(!error.help().is_empty(), "{text}");
        // Tokens are JSON in base64.
        for shown in [&text, &format!("{error:?}"), &error.help()] {
            assert!(!shown.contains(&self.password) && !shown.contains("eyJ"), "{shown}");
        }
        let is_about_a_login = matches!(error, ApiError::LoginRefused { .. } | ApiError::NotAToken { .. });
        assert!(
            is_about_a_login || text.contains("/auth") || text.contains("/pm/v1/") || text.contains("list"),
            "{text}"
        );
    }
}

async fn read(client: &Client, n_at_a_time: usize) -> Result<Read, ApiError> {
    let rows = client.list_jobs("Windows").await?;
    let ids: Vec<String> =
        rows.iter().map(|row| row["id"].as_str().expect("a row has an id").to_owned()).collect();
    let reads = stream::iter(ids).map(|id| async move {
        let job = client.get_job(&id).await?;
        Ok::<_, ApiError>((id, job))
    });
    Ok(Read { rows, jobs: reads.buffer_unordered(n_at_a_time).try_collect().await? })
}

/// The error and its causes, as they are shown.
fn chain(error: &ApiError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(" / ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// What is there to be read.
async fn right() -> Read {
    let server = Server::start(Behaviour::default()).await;
    let read = server.read().await.expect("without faults nothing fails");
    assert_eq!(read.ids(), ["c", "b", "a"]);
    assert_eq!(server.running.requests().len() as u64, N_CALLS);
    assert_eq!(read.jobs["a"].as_ref().map(|job| &job["description"]), Some(&json!("as it was")));
    read
}
