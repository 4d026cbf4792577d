#![expect(
    clippy::disallowed_methods,
    reason = "what is remembered is read from the cache, and its age needs the time"
)]

//! From an API to the live jobs that manifests are bound to: lists, bindings, and the jobs that the cache does not know.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::Instant;

use super::early::{self, Early, Seen, Verdict};
use super::identity::{Identified, keys_of_jobs};
use super::links::{self, Links};
use super::lists::{self, Lists};
use super::planning::{One, Request, read_failed, spill_failed};
use super::progress::Progress;
use super::session::Failure;
use crate::api::ReadApi;
use crate::details::Details;
use crate::inventory::{Inventory, Summary};
use crate::job::Platform;
use crate::ledger::Ledger;
use crate::plan::{Binding, Policy};
use crate::probe::{self, Leftover};
use crate::probes::Probes;
use crate::script::Scripts;
use crate::snapshot::ListRow;

/// What was read is kept so often while jobs come in: writing it takes a tenth of a second for 10,000 jobs.
const KEEP_EVERY: Duration = Duration::from_secs(30);

/// The same while none comes in, as in a wait for the rate limit.
const KEEP_SOONEST: Duration = Duration::from_secs(2);

/// None comes in, if this long none did.
const IDLE: Duration = Duration::from_secs(1);

/// What was read of the live jobs.
pub(super) struct Live {
    pub(super) rows: Vec<ListRow>,
    pub(super) identified: Identified,
    pub(super) details: Details,
    pub(super) ledger: Ledger,
    /// What was planned while jobs were fetched, by the job's id.
    pub(super) ready: BTreeMap<String, One>,
    /// How many calls each platform's list took.
    pub(super) list_calls: BTreeMap<Platform, usize>,
    /// Scratch jobs of earlier probes; they are in no row.
    pub(super) leftovers: Vec<Leftover>,
    pub(super) links: Links,
    /// The subscription that answered; empty where no live job told it.
    pub(super) customer: String,
}

/// A job that may have to be asked for, and who wants it.
#[derive(Clone, Copy)]
struct Asked<'a> {
    /// The manifest that is bound to it; none for the parent of one.
    bound: Option<(&'a Summary, &'a Binding)>,
    row: Option<&'a ListRow>,
}

impl<'a> Asked<'a> {
    /// The manifest and its binding, where the job can be planned by itself: one whose links are to be resolved waits
    /// until its parent is there.
    fn alone(&self) -> Option<(&'a Summary, &'a Binding)> {
        self.bound.filter(|(summary, _)| !summary.has_links())
    }
}

impl Request<'_> {
    /// Lists the platforms in use and reads the jobs that manifests are bound to, as far as the cache does not know
    /// them.
    pub(super) async fn read_live<A: ReadApi>(
        &self,
        inventory: &Inventory,
        selected: &[&Summary],
        api: &A,
        identity: &str,
        policy: &Policy,
        probes: &Probes,
    ) -> Result<Live, Failure> {
        // Parents outside of the selection are no part of the plan, and say which live job a child is linked to.
        let all = links::with_parents(inventory, selected);
        // The job of a removed manifest may be of any platform.
        let mut platforms = match self.planning.prune {
            Some(_) => Platform::ALL.to_vec(),
            None => platforms_in_use(&all),
        };
        for platform in probes.platforms() {
            if !platforms.contains(&platform) {
                platforms.push(platform);
            }
        }
        let mut lists = lists::read(api, platforms, self.terminal).await.map_err(read_failed)?;
        // Before it is concluded that a job is not there.
        let unbound = unbound_platforms(&all, &lists.rows);
        lists.look_again(api, &unbound, self.terminal).await.map_err(read_failed)?;
        let Lists { mut rows, customers, list_calls } = lists;
        self.check_customer(&customers)?;
        let leftovers = probe::take_leftovers(&mut rows, &self.settings.owner);
        let customer = customers.into_iter().collect::<Vec<_>>().join(",");
        let ledger = self.open_ledger(identity, &customer);
        let mut identified = self.bind(inventory, &all, &rows, &ledger)?;
        let links = Links::new(&all, &identified.bindings, selected, &rows);
        links.check_circles(inventory, self.sources(&|path: &Path| self.settings.shown(path)))?;
        identified.select(&all, selected);
        let bindings = &identified.bindings;
        let now = jiff::Timestamp::now().as_millisecond();
        let mut details = Details::open(&self.cache_folder(), identity, &customer, self.cache_use(), now);
        if let Some(note) = details.note.take() {
            self.terminal.note(&note);
        }
        let mut ids: BTreeSet<String> = bindings.iter().filter_map(Binding::id).map(str::to_owned).collect();
        ids.extend(links.to_read(selected));
        let missing = details.missing(ids.into_iter(), &rows);
        let mut by_id: BTreeMap<&str, Asked<'_>> =
            missing.iter().map(|id| (id.as_str(), Asked { bound: None, row: None })).collect();
        for (summary, binding) in selected.iter().zip(bindings) {
            if let Some(id) = binding.id() {
                by_id.insert(id, Asked { bound: Some((summary, binding)), row: None });
            }
        }
        for row in &rows {
            if let Some(asked) = by_id.get_mut(row.id.as_str()) {
                asked.row = Some(row);
            }
        }
        let mut ready = BTreeMap::new();
        let fetched =
            self.fetch(inventory, api, missing.clone(), &by_id, &mut details, policy, &mut ready).await;
        if fetched.is_err() {
            // What was read stays, so that the next run goes on from there; the failure itself is what counts.
            let _ = details.save();
        }
        fetched?;
        drop(by_id);
        Ok(Live { rows, identified, details, ledger, ready, list_calls, leftovers, links, customer })
    }

    /// Asks for jobs, and plans each while the others are on their way.
    ///
    /// Which stamps stand twice is known only when all are there; then those manifests are planned again.
    #[expect(clippy::too_many_arguments, reason = "one loop over all that a read needs, used once")]
    async fn fetch<A: ReadApi>(
        &self,
        inventory: &Inventory,
        api: &A,
        ids: Vec<String>,
        by_id: &BTreeMap<&str, Asked<'_>>,
        details: &mut Details,
        policy: &Policy,
        ready: &mut BTreeMap<String, One>,
    ) -> Result<(), Failure> {
        let n_jobs = ids.len();
        let shared_policy = Arc::new(policy.clone());
        let is_stopped = AtomicBool::new(false);
        let reads = futures_util::stream::iter(ids).map(|id| {
            let asked = by_id.get(id.as_str());
            let early = asked.and_then(Asked::alone).and_then(|(summary, binding)| {
                let manifest = inventory.packed(summary)?;
                Some(Early { manifest, binding: binding.clone(), policy: Arc::clone(&shared_policy) })
            });
            let is_stopped = &is_stopped;
            async move {
                let seen = match is_stopped.load(Ordering::Relaxed) {
                    false => Some(early::read(api, &id, early).await),
                    true => None,
                };
                (id, seen)
            }
        });
        // The client sends no more at a time than it may; the rest are jobs that are being looked at.
        let at_a_time = self.planning.reading.connection.concurrency().saturating_mul(2);
        let mut reads = std::pin::pin!(reads.buffer_unordered(at_a_time));
        let mut progress = Progress::new(self.terminal, n_jobs);
        let mut failed = None;
        let mut kept = Instant::now();
        loop {
            let next = tokio::time::timeout(IDLE, reads.next()).await;
            let pause = if next.is_ok() { KEEP_EVERY } else { KEEP_SOONEST };
            if kept.elapsed() >= pause {
                // Whatever ends this run, the next one goes on from here. The last word on errors has the last save.
                let _ = details.save();
                kept = Instant::now();
            }
            let Ok(next) = next else { continue };
            let Some((id, seen)) = next else { break };
            let Seen { customer, body, verdict } = match seen {
                None => continue,
                Some(Ok(seen)) => seen,
                // Nothing new is asked for, and what is on its way or looked at still counts: the next run need not
                // ask for it again.
                Some(Err(error)) => {
                    is_stopped.store(true, Ordering::Relaxed);
                    failed.get_or_insert_with(|| read_failed(error));
                    continue;
                }
            };
            progress.step();
            self.check_customer(&customer.iter().cloned().collect())?;
            if body.is_some() && customer.is_none() && self.settings.customer_id.is_some() {
                let message = format!("the live job {id} does not say which subscription it belongs to");
                let help = "`customerId` is configured and can not be compared; nothing was changed";
                return Err(Failure::Error(vec![message], Some(help.to_owned())));
            }
            let asked = by_id.get(id.as_str());
            let row = asked.and_then(|asked| asked.row);
            details.put_body(&id, body, row).map_err(|error| spill_failed(&error))?;
            let one = match (verdict, asked.and_then(Asked::alone)) {
                (Verdict::Quiet(steps), _) => One { steps, scripts: Scripts::default() },
                // What differs is planned when all is read, with the places of what is declared.
                (Verdict::Open, _) => continue,
            };
            ready.insert(id, one);
        }
        failed.map_or(Ok(()), Err)
    }
}

/// Platforms of manifests that no listed job has the name or the id of.
fn unbound_platforms(manifests: &[&Summary], rows: &[ListRow]) -> Vec<Platform> {
    let found: BTreeSet<&str> = keys_of_jobs(manifests, rows).into_values().collect();
    let unbound: Vec<&Summary> =
        manifests.iter().copied().filter(|summary| !found.contains(summary.key.as_str())).collect();
    if unbound.is_empty() { Vec::new() } else { platforms_in_use(&unbound) }
}

/// A platform that no manifest names is not listed; a manifest bound by id alone may be of any.
fn platforms_in_use(selected: &[&Summary]) -> Vec<Platform> {
    let all = selected.iter().any(|summary| summary.platform().is_none());
    let named = |platform: &Platform| selected.iter().any(|summary| summary.platform() == Some(*platform));
    Platform::ALL.into_iter().filter(|platform| all || named(platform)).collect()
}
