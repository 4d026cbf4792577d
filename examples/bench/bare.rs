//! The least that any client could take: the same answers asked for and dropped.
//!
//! The same HTTP library, the same settings and the same number of calls at a time as `patchctl`, and nothing else: no
//! JSON, no manifests, no cache. It is run as a process of its own, so that it is measured like the program itself.

use std::error::Error;
use std::path::Path;

use futures_util::{StreamExt as _, TryStreamExt as _};
use reqwest::header::{ACCEPT, AUTHORIZATION};

/// As many calls at a time as `plan` sends by default.
const CONCURRENCY: usize = 8;

/// Rows that `plan` asks for in one page of the list by default.
const PAGE_SIZE: usize = 1_000;

/// First argument of this program when it is to be the bare client.
pub(crate) const ARGUMENT: &str = "bare-client";

/// Logs in, lists both platforms page by page until one is empty, and fetches the jobs of a file of ids, one a line.
pub(crate) fn run(url: &str, ids: &Path) -> Result<(), Box<dyn Error>> {
    let ids = std::fs::read_to_string(ids)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(fetch(url, &ids))
}

async fn fetch(url: &str, ids: &str) -> Result<(), Box<dyn Error>> {
    // Without a provider `reqwest` panics. A second call changes nothing and says so by an error.
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build()?;
    let login = [("username", "simulator"), ("password", "simulator"), ("token", "true")];
    let token =
        http.post(format!("{url}/auth")).form(&login).send().await?.error_for_status()?.text().await?;
    let token = format!("Bearer {}", token.trim());
    let get = async |path: String| -> Result<usize, reqwest::Error> {
        let request = http.get(format!("{url}/pm/v1/{path}"));
        let request = request.header(AUTHORIZATION, &token).header(ACCEPT, "application/json");
        let mut answer = request.send().await?.error_for_status()?;
        let mut n_bytes = 0;
        while let Some(chunk) = answer.chunk().await? {
            n_bytes += chunk.len();
        }
        Ok(n_bytes)
    };
    for platform in ["Linux", "Windows"] {
        for page in 0.. {
            let query = format!("platform={platform}&pageNumber={page}&pageSize={PAGE_SIZE}");
            // An empty list, whatever it is wrapped in, is shorter than one row.
            if get(format!("deploymentjobs/summary?{query}")).await? < 100 {
                break;
            }
        }
    }
    let reads = futures_util::stream::iter(ids.lines()).map(|id| get(format!("deploymentjob/{id}")));
    let n_bytes: usize = reads.buffer_unordered(CONCURRENCY).try_fold(0, async |all, n| Ok(all + n)).await?;
    if n_bytes == 0 { Err("the simulator answered with nothing".into()) } else { Ok(()) }
}

/// Changes one member of the first `n_jobs` jobs in the name of somebody else, as in the console.
pub(crate) fn edit(url: &str, ids: &Path, n_jobs: usize) -> Result<(), Box<dyn Error>> {
    let ids = std::fs::read_to_string(ids)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let _already_installed = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build()?;
        for id in ids.lines().take(n_jobs) {
            let edit = serde_json::json!({"user": "anna.k", "merge": {"timeout": 77}});
            let call = http.post(format!("{url}/_simulator/edit/{id}")).body(edit.to_string());
            call.send().await?.error_for_status()?;
        }
        Ok(())
    })
}
