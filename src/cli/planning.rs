#![expect(
    clippy::disallowed_methods,
    reason = "the age of what is remembered needs the time, and it is kept out of Git"
)]

//! From manifests and an API to a plan: the steps that plan and apply share.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::args::{Common, PlanningArgs};
use super::history::History;
use super::identity::Identified;
use super::ignoring;
use super::links;
use super::probing::{self, Choice};
use super::pruning;
use super::reading::Live;
use super::selection::Selection;
use super::session::Failure;
use super::settings::Settings;
use super::show;
use super::unsettled::UnsettledRuns;
use crate::api::{ApiError, ReadApi, UpdatesKnown};
use crate::apply::chain;
use crate::details::{CacheUse, Details};
use crate::diagnostic::Diagnostics;
use crate::inventory::{Inventory, Sources, Summary};
use crate::job::Platform;
use crate::ledger::Ledger;
use crate::load::{self, LoadContext};
use crate::manifest::DesiredSet;
use crate::plan::{self, Binding, Change, Grounds, Plan, Policy, RunOnce};
use crate::probes::Probes;
use crate::record::Record;
use crate::script::Scripts;
use crate::snapshot::{ApiUsers, ListRow, LiveJob};
use crate::terminal::Terminal;

/// Everything that planning is told.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) settings: &'a Settings,
    pub(super) common: &'a Common,
    pub(super) planning: &'a PlanningArgs,
    pub(super) terminal: &'a Terminal,
    /// What stands in place of stamps in the jobs' descriptions.
    pub(super) record: Option<&'a Record>,
    /// Whether somebody is there who is asked before something that can not be taken back.
    pub(super) can_ask: bool,
    /// Whether what is wrong with a job as it would be stops the plan, see [`Policy::findings_stop`].
    pub(super) findings_stop: bool,
    /// Whether what rules leave alone is to be told of every manifest, also of those that are known to need nothing.
    pub(super) shows_ignored: bool,
    /// Key of the manifest that is to be explained.
    pub(super) why: Option<&'a str>,
}

/// A plan and what carrying it out needs.
#[derive(Debug)]
pub(super) struct Made {
    /// The plan.
    pub(super) plan: Plan,
    /// The contents of the scripts in it.
    pub(super) scripts: Scripts,
    /// The live jobs, to be remembered as they are after the writes.
    pub(super) details: Details,
    /// Which manifests are bound to which jobs, to be kept as it is after the writes.
    pub(super) ledger: Ledger,
    /// What probes told of the gateway, to be kept as it is after the writes.
    pub(super) probes: Probes,
    /// Keys of manifests and ids of the live jobs that they are bound to.
    pub(super) bound: Vec<(String, String)>,
    /// How many jobs were remembered and not asked for.
    pub(super) n_cached: usize,
    /// What interrupted runs left open.
    pub(super) unsettled: UnsettledRuns,
    /// All that the manifest was judged by which is to be explained.
    pub(super) looked_at: Option<Grounds>,
    /// The subscription that answered; empty where no live job told it.
    pub(super) subscription: String,
    /// The youngest edit of any listed job, milliseconds since 1970-01-01 UTC by the server's clock.
    pub(super) seen_at: Option<i64>,
    /// The rows of all lists that were read, sorted by id.
    pub(super) rows: Vec<ListRow>,
    /// What each selected manifest is bound to, by key.
    pub(super) bindings: BTreeMap<String, Binding>,
    /// Live jobs that manifests are about which are not selected.
    pub(super) others: BTreeSet<String>,
    /// Login name of the API user that we write as, where it is known.
    pub(super) api_users: ApiUsers,
}

/// Reads all manifests in full, for `validate`.
pub(super) fn load_manifests(
    settings: &Settings,
    common: &Common,
) -> Result<(DesiredSet, Diagnostics), Failure> {
    let shown = |path: &Path| settings.shown(path);
    let (mut set, mut findings) =
        load::load(&settings.jobs, &settings.root, &shown, context(settings, common));
    if findings.has_errors() {
        return Err(Failure::Findings(findings));
    }
    findings.append(ignoring::of_set(&set, settings, common));
    let keys: Vec<String> = set.manifests.iter().map(|manifest| manifest.key.clone()).collect();
    let selected = Selection::of(common, &keys)?;
    set.manifests.retain(|manifest| selected.has(&manifest.key));
    Ok((set, findings))
}

fn context<'a>(settings: &'a Settings, common: &Common) -> LoadContext<'a> {
    LoadContext { tags: &settings.tags, allow_unknown_fields: common.allow_unknown_fields }
}

impl<'a> Request<'a> {
    /// A run that asks nobody, stops where a job would be wrong, and tells of no more than its plan.
    pub(super) fn new(
        settings: &'a Settings,
        common: &'a Common,
        planning: &'a PlanningArgs,
        terminal: &'a Terminal,
        record: Option<&'a Record>,
    ) -> Self {
        Self {
            settings,
            common,
            planning,
            terminal,
            record,
            can_ask: false,
            findings_stop: true,
            shows_ignored: false,
            why: None,
        }
    }
}

impl Request<'_> {
    pub(super) fn sources<'s>(&'s self, shown: &'s (dyn Fn(&Path) -> String + Sync)) -> Sources<'s> {
        Sources {
            jobs: &self.settings.jobs,
            root: &self.settings.root,
            shown,
            context: context(self.settings, self.common),
            owner: &self.settings.owner,
            record: self.record,
            ignore: &self.settings.ignore,
        }
    }

    /// The repository.
    pub(super) fn root(&self) -> &Path {
        &self.settings.root
    }

    pub(super) fn cache_folder(&self) -> PathBuf {
        self.settings.state_dir.join("cache")
    }

    /// Where earlier runs left what they know of the manifests, unless nothing may be remembered.
    fn memo(&self) -> Option<PathBuf> {
        (!self.planning.reading.no_cache).then(|| self.cache_folder().join("manifests.memo"))
    }

    /// A simulator that starts afresh has other jobs under the same dates, so nothing of it may be remembered.
    pub(super) fn cache_use(&self) -> CacheUse {
        match self.planning.reading.cache_use() {
            CacheUse::Full if self.planning.reset => CacheUse::Refresh,
            cache => cache,
        }
    }

    fn selection(&self, inventory: &Inventory) -> Result<Selection, Failure> {
        let keys: Vec<String> = inventory.summaries.iter().map(|summary| summary.key.clone()).collect();
        Selection::of(self.common, &keys)
    }

    /// Takes stock of the manifests; a mistake in one, or in what is selected, costs no call.
    pub(super) fn take_inventory(&self) -> Result<Inventory, Failure> {
        let shown = |path: &Path| self.settings.shown(path);
        let memo = self.memo().filter(|_| !self.planning.reading.refresh);
        let mut inventory =
            Inventory::take(self.sources(&shown), memo.as_deref()).map_err(Failure::Findings)?;
        if let Some(note) = inventory.note.take() {
            self.terminal.note(&note);
        }
        self.selection(&inventory)?;
        self.check_names(&inventory)?;
        if !inventory.warnings.is_empty() {
            show(self.terminal, &inventory.warnings);
        }
        Ok(inventory)
    }

    /// Reads the live jobs and plans.
    ///
    /// `identity` tells this gateway's cache from that of others; `known` says what the gateway said of updates.
    pub(super) async fn make_plan<A: ReadApi>(
        &self,
        inventory: &Inventory,
        api: &A,
        known: impl Fn() -> Option<UpdatesKnown>,
        identity: &str,
    ) -> Result<Made, Failure> {
        let selection = self.selection(inventory)?;
        let selected: Vec<&Summary> =
            inventory.summaries.iter().filter(|summary| selection.has(&summary.key)).collect();
        let mut probes = probing::open(self.settings, identity, self.planning.reset, self.terminal);
        // The gateway says it with the token, so it is known from the login on.
        let choice = self.choose(known(), &probes);
        let mut policy = Policy {
            owner: self.settings.owner.clone(),
            envelope: choice.planned(),
            is_whole: self.common.only.is_empty(),
            now: jiff::Timestamp::now().as_millisecond(),
            record: self.record.cloned(),
            run_once: RunOnce { allowed: self.planning.allow_run_once.clone(), can_ask: self.can_ask },
            api_users: self.settings.api_users(),
            decisions: self.decisions(&selected)?,
            set_scripts: self.planning.set_scripts.clone(),
            allow_script_loss: self.planning.allow_script_loss.clone(),
            tag_names: self
                .settings
                .tags
                .iter()
                .map(|(name, id)| (id.to_ascii_lowercase(), name.clone()))
                .collect(),
            findings_stop: self.findings_stop,
            ignore: self.settings.ignore.clone(),
        };
        let mut live = self.read_live(inventory, &selected, api, identity, &policy, &probes).await?;
        live.ledger.api_users().for_each(|user| policy.api_users.add(user));
        let shown = |path: &Path| self.settings.shown(path);
        let history = self.history(inventory, self.sources(&shown), &live.ledger)?;
        let mut made = self.plan_all(inventory, &selected, &mut live, &policy, &history, api).await?;
        self.block_second_jobs(&mut live, &mut made.builder, api).await?;
        let n_orphans = self.prune_or_count(inventory, &mut live, &mut made.builder, api).await?;
        let clean = std::mem::take(&mut made.clean);
        let n_cached = live.details.n_cached();
        self.keep_state_out_of_git();
        let kept = live.details.save().and_then(|()| self.remember(inventory, clean));
        if let Err(error) = kept {
            self.terminal.note(&format!("the cache could not be written: {error}"));
        }
        let no_longer_managed =
            self.no_longer_managed(inventory, &selected, &mut live, &history, api).await?;
        let base = history.shown();
        drop(history);
        let Live { rows, identified, details, mut ledger, list_calls, leftovers, customer, .. } = live;
        let listed: Vec<Platform> = list_calls.keys().copied().collect();
        probes.forget_unseen(&listed, |name| leftovers.iter().any(|job| job.name == name));
        self.remember_bindings(&identified, &selected, &rows, &mut ledger);
        let Identified { bindings, findings, others, .. } = identified;
        made.builder.warn(findings);
        made.builder.warn(ignoring::of_inventory(inventory, self.settings, self.common));
        made.builder.set_others(others.clone());
        let mut plan = made.builder.finish(&bindings, &rows).map_err(Failure::Findings)?;
        plan.base = base;
        plan.no_longer_managed = no_longer_managed;
        plan.no_longer_managed.retain(|member| {
            let is_it = |change: &Change| {
                change.key == member.key && change.fields.iter().any(|field| field.path == member.path)
            };
            !plan.changes.iter().any(is_it)
        });
        plan.list_calls = list_calls;
        plan.leftovers = leftovers;
        if choice == Choice::Open {
            plan.probe_first(&self.settings.owner);
        }
        plan.n_orphans = n_orphans;
        plan.n_unmanaged = plan.n_unmanaged.map(|n| n.saturating_sub(n_orphans));
        if !plan.warnings.is_empty() {
            show(self.terminal, &plan.warnings);
        }
        let bound = selected.iter().zip(&bindings);
        let bound =
            bound.filter_map(|(summary, binding)| Some((summary.key.clone(), binding.id()?.to_owned())));
        let bound: Vec<_> = bound.collect();
        let unsettled = self.settle_runs(&mut plan, &bound, &rows, identity, api).await;
        let seen_at = rows.iter().filter_map(|row| row.updated_at.max(row.created.at)).max();
        let bindings =
            selected.iter().zip(bindings).map(|(summary, binding)| (summary.key.clone(), binding)).collect();
        Ok(Made {
            plan,
            scripts: made.scripts,
            details,
            ledger,
            probes,
            bound,
            n_cached,
            unsettled,
            looked_at: made.looked_at,
            subscription: customer,
            seen_at,
            rows,
            bindings,
            others,
            api_users: policy.api_users,
        })
    }

    /// Plans removals where that was asked for; else returns how many jobs are known to have lost their manifest.
    async fn prune_or_count<A: ReadApi>(
        &self,
        inventory: &Inventory,
        live: &mut Live,
        builder: &mut plan::Builder<'_>,
        api: &A,
    ) -> Result<usize, Failure> {
        let Live { rows, identified, ledger, details, .. } = live;
        let look = pruning::Look { inventory, rows, identified, ledger };
        let Some(how) = self.planning.prune else { return Ok(look.n_orphans()) };
        for key in self.prune(how, look, details, builder, api).await? {
            ledger.forget(&key);
        }
        Ok(0)
    }

    /// Plans one manifest after the other; one that was equal to this very job before is not even parsed.
    async fn plan_all<'p, A: ReadApi>(
        &self,
        inventory: &Inventory,
        selected: &[&Summary],
        live: &mut Live,
        policy: &'p Policy,
        history: &History<'_>,
        api: &A,
    ) -> Result<Planned<'p>, Failure> {
        let shown = |path: &Path| self.settings.shown(path);
        let sources = self.sources(&shown);
        let Live { rows, identified: Identified { bindings, .. }, details, ready, links, .. } = live;
        let stamps = details.stamps();
        let mut planned = Planned {
            builder: plan::Builder::new(policy),
            scripts: Scripts::default(),
            clean: BTreeMap::new(),
            looked_at: None,
        };
        // Parents first, so that it is known of them whether they are as declared.
        for at in links.order(selected) {
            let (summary, binding) = (selected[at], &bindings[at]);
            let revision = links.revision(summary, binding, details, &planned.clean);
            let is_unique = binding.id().is_some_and(|id| details.is_stamp_unique(id, &stamps));
            let is_explained = self.why == Some(summary.key.as_str());
            let is_asked_for = is_explained
                || policy.set_scripts.contains(&summary.key)
                || (self.shows_ignored && summary.may_ignore());
            if is_unique && !is_asked_for && summary.was_clean(revision.as_deref()) {
                planned.builder.add_unchanged();
                planned.clean.extend(revision.map(|revision| (summary.key.clone(), revision)));
                continue;
            }
            let ready = binding.id().and_then(|id| ready.remove(id));
            let one = match ready.filter(|_| is_unique && !is_explained) {
                Some(one) => one,
                None => {
                    let (manifest, scripts) =
                        inventory.manifest(summary, sources).map_err(Failure::Findings)?;
                    let job = match binding.id() {
                        None => None,
                        Some(id) => job(details, id, api).await?,
                    };
                    let look = links::Look { inventory, sources, rows, links, api };
                    let parent = look.parent(summary, job.as_ref(), details).await?;
                    let (job, parent) = (job.as_ref(), parent.as_ref());
                    if is_explained {
                        planned.looked_at =
                            Some(Grounds::of(policy, &stamps, &manifest, binding, job, parent));
                    }
                    let mut steps =
                        plan::Steps::linked(policy, &stamps, history, &manifest, binding, job, parent);
                    history.check()?;
                    look.check_new_parent(&mut steps, details).await?;
                    One::new(steps, scripts)
                }
            };
            match revision {
                Some(revision) if is_unique && one.steps.is_quiet() => {
                    planned.clean.insert(summary.key.clone(), revision);
                }
                Some(_) | None => {}
            }
            planned.builder.add(one.steps);
            planned.scripts.extend(one.scripts);
        }
        let look = links::Look { inventory, sources, rows, links, api };
        let dependents = look.dependents(&planned.builder.losing_actions(), details).await?;
        planned.builder.depend(dependents);
        planned.builder.link(std::mem::take(links).into_graph());
        Ok(planned)
    }

    /// What is remembered between runs belongs into no commit, wherever the state folder is.
    fn keep_state_out_of_git(&self) {
        let folder = &self.settings.state_dir;
        let ignore = folder.join(".gitignore");
        // Where it can not be written, nothing else can be either, and that is said by what matters.
        if !ignore.exists() && std::fs::create_dir_all(folder).is_ok() {
            let _ = std::fs::write(ignore, "# What patchctl remembers between runs.\n*\n");
        }
    }

    /// Writes the memo; a run over a selection leaves what is known of the other manifests.
    fn remember(&self, inventory: &Inventory, mut clean: BTreeMap<String, String>) -> std::io::Result<()> {
        let Some(memo) = self.memo() else { return Ok(()) };
        let shown = |path: &Path| self.settings.shown(path);
        for summary in &inventory.summaries {
            if let Some(revision) = summary.clean_revision() {
                clean.entry(summary.key.clone()).or_insert_with(|| revision.to_owned());
            }
        }
        inventory.remember(&memo, &clean, self.sources(&shown))
    }

    /// Stops before anything is planned for the wrong subscription.
    pub(super) fn check_customer(&self, answered: &BTreeSet<String>) -> Result<(), Failure> {
        let Some(expected) = &self.settings.customer_id else { return Ok(()) };
        match answered.iter().find(|id| *id != expected) {
            Some(other) => {
                let message = format!(
                    "this gateway answers for the subscription {other}, and `customerId` is {expected}"
                );
                let help = "wrong gateway or wrong login; nothing was changed";
                Err(Failure::Error(vec![message], Some(help.to_owned())))
            }
            None => Ok(()),
        }
    }
}

/// What one manifest came to, with all that carrying it out needs.
pub(super) struct One {
    pub(super) steps: plan::Steps,
    pub(super) scripts: Scripts,
}

impl One {
    /// No script is kept of a manifest that needs nothing: there may be thousands.
    fn new(steps: plan::Steps, scripts: Scripts) -> Self {
        let scripts = if steps.is_quiet() { Scripts::default() } else { scripts };
        Self { steps, scripts }
    }
}

/// A job as it was read or remembered; a damaged entry of the cache costs a call, nothing else.
pub(super) async fn job<A: ReadApi>(
    details: &mut Details,
    id: &str,
    api: &A,
) -> Result<Option<LiveJob>, Failure> {
    if let Ok(job) = details.job(id) {
        return Ok(job);
    }
    let job = api.get_job(id).await.map_err(read_failed)?;
    details.put(id, job.as_ref(), None).map_err(|error| spill_failed(&error))?;
    Ok(job.map(LiveJob::new))
}

/// A plan in the making, and what is kept of the manifests.
struct Planned<'p> {
    builder: plan::Builder<'p>,
    scripts: Scripts,
    /// Revisions of the jobs that manifests were found equal to, by key.
    clean: BTreeMap<String, String>,
    /// The manifest that is to be explained.
    looked_at: Option<Grounds>,
}

/// A read that failed: nothing is planned from what was read before it.
pub(super) fn read_failed(error: ApiError) -> Failure {
    let mut lines = vec!["the live jobs could not be read, so nothing was planned".to_owned()];
    lines.extend(chain(&error));
    Failure::Error(lines, Some(format!("{}; nothing was changed", error.help())))
}

pub(super) fn spill_failed(error: &std::io::Error) -> Failure {
    let message = "could not write to a temporary file".to_owned();
    Failure::Error(vec![message, error.to_string()], Some("is the disk full? nothing was changed".to_owned()))
}
