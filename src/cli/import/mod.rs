#![expect(clippy::disallowed_methods, reason = "the age of what is remembered needs the time")]

//! `patchctl import`: writes a manifest for each live job that has none; is never given a way to write to the API.
//!
//! Everything is read before the first file is written, so that a run that breaks off half way through the reading
//! leaves nothing behind but what the cache remembers. An existing file is never opened for writing.

mod existing;
mod files;
mod wanted;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use futures_util::StreamExt;
use serde_json::Value;

use super::args::{Arguments, Common, ImportArgs, Output};
use super::cost;
use super::lists::{self, Lists};
use super::progress::Progress;
use super::session::{Failure, Session};
use super::settings::Settings;
use super::{Exit, again, pretty};
use crate::api::{ApiError, ReadApi};
use crate::apply::chain;
use crate::details::Details;
use crate::import::{self, Known, key};
use crate::render;
use crate::render::import::{File, Reason, Report, Skipped};
use crate::render::text::count;
use crate::snapshot::{ListRow, LiveJob, Snapshot};
use crate::terminal::Terminal;
use existing::Existing;
use files::{Folder, is_within};
use wanted::Wanted;

/// Imports and says what was written.
pub(super) async fn run(arguments: &Arguments, args: &ImportArgs, terminal: &Terminal) -> Exit {
    match import(arguments, args, terminal).await {
        Ok(report) if !report.has_failed() => Exit::Done,
        Ok(report) if report.files.is_empty() || report.dry_run => Exit::Failed,
        Ok(_) => Exit::Partial,
        Err(failure) => failure.report("import", arguments.common.output, terminal),
    }
}

async fn import(arguments: &Arguments, args: &ImportArgs, terminal: &Terminal) -> Result<Report, Failure> {
    let common = &arguments.common;
    let wanted = Wanted::of(common, args)?;
    let settings = Settings::resolve(common)?;
    let into = args.into.as_ref().map_or_else(|| settings.jobs.clone(), |into| settings.current.join(into));
    let is_seen = is_within(&into, &settings.jobs);
    let existing = Existing::load(&settings, common, (!is_seen).then_some(into.as_path()), terminal)?;
    if !is_seen {
        terminal.note(&format!(
            "`{}` is not in the manifest folder `{}`, so plan does not see what is written there",
            settings.shown(&into),
            settings.shown(&settings.jobs),
        ));
    }
    let session = Session::log_in(&settings, &args.reading.connection, false, terminal).await?;
    let mut run = Run { settings: &settings, args, terminal, existing, into: &into };
    let imported = run.import(&wanted, &session).await;
    let n_cached = imported.as_ref().map_or(0, |(_, n_cached)| *n_cached);
    if let Ok((report, _)) = &imported {
        let next = run.next(common, is_seen);
        match common.output {
            Output::Human => {
                let calls = session.client.calls().to_string();
                let layout = terminal.layout();
                terminal.data(&render::import::text(report, &calls, &next, common.verbose, &layout));
            }
            Output::Json => {
                terminal.data(&pretty(&render::import::json(report, cost::json(&session.client, n_cached))));
            }
            // Refused before (`cli::run`).
            Output::Markdown => {}
        }
    }
    session.end(terminal, n_cached, imported.map(|(report, _)| report)).await
}

/// What one import works with.
struct Run<'a> {
    settings: &'a Settings,
    args: &'a ImportArgs,
    terminal: &'a Terminal,
    existing: Existing,
    into: &'a Path,
}

impl Run<'_> {
    async fn import(&mut self, wanted: &Wanted, session: &Session) -> Result<(Report, usize), Failure> {
        let (rows, customer) = self.list(wanted, &session.client).await?;
        wanted.check(&rows)?;
        self.existing.settle_renames(&rows);
        let mut report = Report { dry_run: self.args.dry_run, ..Report::default() };
        let mut ids = Vec::new();
        for row in rows.iter().filter(|row| wanted.has(row)) {
            let reason = self.existing.bound(&row.id, row.platform, &row.name);
            match reason {
                Some(reason) => report.skipped.push(skipped(row, reason)),
                None => ids.push(row.id.clone()),
            }
        }
        let mut details = self.read(&session.client, &ids, &rows, &customer, &session.identity).await?;
        self.write(&ids, &rows, &mut details, &session.client, &mut report).await?;
        report.skipped.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        Ok((report, details.n_cached()))
    }

    /// The rows of all jobs on the wanted platforms, and the subscription. The client leaves deleted ones out.
    async fn list<A: ReadApi>(&self, wanted: &Wanted, api: &A) -> Result<(Vec<ListRow>, String), Failure> {
        let Lists { mut rows, customers, .. } = lists::read(api, wanted.platforms(), self.terminal)
            .await
            .map_err(|error| self.read_failed(&error))?;
        customers.iter().try_for_each(|customer| self.check_customer(customer))?;
        // The scratch job of a probe is nobody's to manage; whose it is does not matter here.
        crate::probe::take_leftovers(&mut rows, &self.settings.owner);
        Ok((rows, customers.into_iter().collect::<Vec<_>>().join(",")))
    }

    /// A subscription that is not the configured one must not get into its manifests.
    fn check_customer(&self, answered: &str) -> Result<(), Failure> {
        match &self.settings.customer_id {
            Some(expected) if expected != answered => {
                let message = format!(
                    "this gateway answers for the subscription {answered}, and `customerId` is {expected}"
                );
                let help = "wrong gateway or wrong login; nothing was written";
                Err(Failure::Error(vec![message], Some(help.to_owned())))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Reads whole jobs, as far as they are not remembered, and remembers them for the plan that comes next.
    async fn read<A: ReadApi>(
        &self,
        api: &A,
        ids: &[String],
        rows: &[ListRow],
        customer: &str,
        identity: &str,
    ) -> Result<Details, Failure> {
        let cache = self.args.reading.cache_use();
        let now = jiff::Timestamp::now().as_millisecond();
        let folder = self.settings.state_dir.join("cache");
        let mut details = Details::open(&folder, identity, customer, cache, now);
        if let Some(note) = details.note.take() {
            self.terminal.note(&note);
        }
        let missing = details.missing(ids.iter().cloned(), rows);
        let fetched = self.fetch(api, missing, rows, &mut details).await;
        // What was read stays also where the rest could not be, so that the next run goes on from there.
        if let Err(error) = details.save() {
            self.terminal
                .note(&format!("the cache could not be written: {error}; the next run costs more calls"));
        }
        fetched.map(|()| details)
    }

    async fn fetch<A: ReadApi>(
        &self,
        api: &A,
        missing: Vec<String>,
        rows: &[ListRow],
        details: &mut Details,
    ) -> Result<(), Failure> {
        let rows: BTreeMap<&str, &ListRow> = rows.iter().map(|row| (row.id.as_str(), row)).collect();
        let mut progress = Progress::new(self.terminal, missing.len());
        let reads = futures_util::stream::iter(missing).map(|id| async move {
            let job = api.get_job(&id).await;
            (id, job)
        });
        let mut reads = std::pin::pin!(reads.buffer_unordered(self.args.reading.connection.concurrency()));
        while let Some((id, job)) = reads.next().await {
            let job = job.map_err(|error| self.read_failed(&error))?;
            progress.step();
            if let Some(customer) = job.as_ref().and_then(customer_of) {
                self.check_customer(&customer)?;
            }
            details
                .put(&id, job.as_ref(), rows.get(id.as_str()).copied())
                .map_err(|error| spill_failed(&error))?;
        }
        Ok(())
    }

    /// Writes the manifests of the jobs that have none.
    async fn write<A: ReadApi>(
        &self,
        ids: &[String],
        rows: &[ListRow],
        details: &mut Details,
        api: &A,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let mut known = self.known(rows);
        let mut namings = Vec::new();
        for row in rows.iter().filter(|row| ids.binary_search(&row.id).is_ok()) {
            let Some(job) = job(details, &row.id, api).await? else {
                report.skipped.push(skipped(row, Reason::Gone));
                continue;
            };
            known.learn_actions(&job);
            let naming = import::naming(&job, &row.id, &self.settings.owner);
            let bound = || self.existing.bound(&row.id, naming.platform, &naming.name);
            let reason = import::deleted_by(&job)
                .map(Reason::Deleted)
                .or_else(|| {
                    import::other_owner(&job, &self.settings.owner)
                        .map(|owner| Reason::Foreign(owner.to_owned()))
                })
                .or_else(bound);
            match reason {
                Some(reason) => report.skipped.push(skipped(row, reason)),
                None => namings.push(naming),
            }
        }
        let keys = key::keys(&namings, &self.existing.keys);
        known.keys.extend(namings.iter().map(|naming| naming.id.clone()).zip(keys.iter().cloned()));
        let mut jobs: Vec<(String, key::Naming)> = keys.into_iter().zip(namings).collect();
        jobs.sort_by(|a, b| a.0.cmp(&b.0));
        // All texts before the first file: what can not be written should be known by then.
        let mut texts = Vec::new();
        for (key, naming) in jobs {
            let Some(job) = job(details, &naming.id, api).await? else { continue };
            match import::manifest(&job, &naming.id, &key, &known) {
                Ok(imported) => texts.push((key, naming, imported)),
                Err(why) => {
                    let key::Naming { id, name, platform, .. } = naming;
                    report.skipped.push(Skipped { id, name, platform, reason: Reason::Unwritable(why) });
                }
            }
        }
        let mut folder = Folder { path: self.into, promised: BTreeSet::new() };
        for (key, naming, imported) in texts {
            let text = (!self.args.dry_run).then_some(imported.text.as_str());
            let path =
                folder.place(&key, text).map_err(|error| self.write_failed(&error, report.files.len()))?;
            report.unnamed_tags.extend(imported.unnamed_tags);
            report.files.push(File {
                key,
                id: naming.id,
                name: naming.name,
                platform: naming.platform,
                file: self.settings.shown(&path),
                left_out: imported.left_out.into_iter().map(|left| left.path).collect(),
                warnings: imported.warnings,
            });
        }
        Ok(())
    }

    fn known(&self, rows: &[ListRow]) -> Known {
        Known {
            tags: self.settings.tags.clone(),
            tag_names: Snapshot::tag_names_of(rows),
            job_names: rows.iter().map(|row| (row.id.clone(), row.name.clone())).collect(),
            keys: rows
                .iter()
                .filter_map(|row| Some((row.id.clone(), self.existing.manifest_of(row)?.0.clone())))
                .collect(),
            action_names: BTreeMap::new(),
        }
    }

    fn read_failed(&self, error: &ApiError) -> Failure {
        read_failed(error, !self.args.reading.no_cache)
    }

    fn write_failed(&self, error: &io::Error, n_written: usize) -> Failure {
        let message = format!("could not write a manifest into `{}`", self.settings.shown(self.into));
        let help = format!(
            "{} written before and can stay: the next run leaves those jobs alone",
            match n_written {
                1 => "1 manifest was".to_owned(),
                n => format!("{} were", count(n, "manifest")),
            }
        );
        Failure::Error(vec![message, error.to_string()], Some(help))
    }

    /// The command that shows that nothing is left to do.
    fn next(&self, common: &Common, is_seen: bool) -> String {
        let jobs = if is_seen { &common.jobs } else { &self.args.into };
        again::with_jobs("patchctl plan", common, jobs.as_deref())
    }
}

fn skipped(row: &ListRow, reason: Reason) -> Skipped {
    Skipped { id: row.id.clone(), name: row.name.clone(), platform: row.platform, reason }
}

fn customer_of(answer: &Value) -> Option<String> {
    answer.get("customerId").and_then(Value::as_str).map(str::to_ascii_lowercase)
}

/// A job as it was read or remembered; a damaged entry of the cache costs a call, nothing else.
async fn job<A: ReadApi>(details: &mut Details, id: &str, api: &A) -> Result<Option<LiveJob>, Failure> {
    if let Ok(job) = details.job(id) {
        return Ok(job);
    }
    let job = api.get_job(id).await.map_err(|error| read_failed(&error, true))?;
    details.put(id, job.as_ref(), None).map_err(|error| spill_failed(&error))?;
    Ok(job.map(LiveJob::new))
}

fn read_failed(error: &ApiError, is_remembered: bool) -> Failure {
    let mut lines = vec!["the live jobs could not be read, so nothing was written".to_owned()];
    lines.extend(chain(error));
    let rest = if is_remembered { "; what was read is remembered for the next run" } else { "" };
    Failure::Error(lines, Some(format!("{}{rest}", error.help())))
}

fn spill_failed(error: &io::Error) -> Failure {
    let message = "could not write to a temporary file".to_owned();
    Failure::Error(vec![message, error.to_string()], Some("is the disk full? nothing was written".to_owned()))
}
