#![expect(clippy::disallowed_methods, reason = "the age of what is remembered needs the time")]

//! `patchctl revert`: finds the journal of a run, plans its inverse from the live jobs of now, shows it, asks, and
//! carries it out as `apply` does.

mod choose;
mod known;
mod list;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use self::choose::choose;
use self::known::Known;

use crate::api::ReadApi;
use crate::base;
use crate::cli::apply::{After, carry_out, told_of};
use crate::cli::args::{ApplyArgs, Arguments, Common, Output, PlanningArgs, ReadingArgs, RevertArgs};
use crate::cli::audit::{self, Audit};
use crate::cli::lists::{self, Lists};
use crate::cli::planning::{Made, Request, read_failed};
use crate::cli::probing::{self, Choice};
use crate::cli::selection::Selection;
use crate::cli::session::{Failure, Session};
use crate::cli::settings::Settings;
use crate::cli::unsettled::to_the_second;
use crate::cli::{Exit, again, cost, journal, pretty, record};
use crate::details::{CacheUse, Details};
use crate::diagnostic::Diagnostics;
use crate::inventory::Inventory;
use crate::job::nearest;
use crate::journal::Undoes;
use crate::journal::folder::{self, Kept};
use crate::ledger::Ledger;
use crate::patch::Envelope;
use crate::plan::{Decisions, Outcome, OutcomeKind, Plan, Policy, RunOnce, StampCounts};
use crate::render;
use crate::render::text::{Layout, clean, count};
use crate::revert::{self, Inverse, Leave, Look, Meant, Now, PastRun};
use crate::snapshot::{ListRow, LiveJob};
use crate::source::{Place, SourceFile, Span};
use crate::terminal::Terminal;

/// How many commits are looked into for the former content of a script. Each costs a few calls of Git, no call of the
/// API; what was applied before stands in one of the last few.
const MOST_COMMITS: usize = 30;

const OVERRIDE: &str = "--override";

/// Finds, plans, asks and undoes.
pub(in crate::cli) async fn run(arguments: &Arguments, args: &RevertArgs, terminal: &Terminal) -> Exit {
    let done = if args.list {
        list::list(arguments, terminal)
    } else {
        plan_and_undo(arguments, args, terminal).await
    };
    let exit = match done {
        Ok(exit) => exit,
        Err(failure) => failure.report("revert", arguments.common.output, terminal),
    };
    told_of(exit, terminal)
}

/// The run that is undone, for people and programs.
pub(in crate::cli) struct Undone {
    run: PastRun,
    /// What of it needs no undoing, and why.
    left_out: Vec<(String, String)>,
    /// Whether all of its jobs are looked at, and not a selection.
    is_whole: bool,
}

impl Undone {
    fn head(&self) -> String {
        let start = &self.run.start;
        let commit =
            start.commit.as_deref().map_or(String::new(), |commit| format!(", commit {}", short(commit)));
        let wrote = self.run.jobs.iter().map(|job| job.actions.len()).sum();
        let undoes = start.undoes.as_ref();
        let undoes =
            undoes.map_or(String::new(), |undoes| format!(", the revert of run {}", clean(&undoes.run)));
        format!(
            "Undo of run {} of {}{commit}{undoes}, which wrote {} to {}.\n\n",
            start.run,
            to_the_second(&start.at),
            count(wrote, "step"),
            count(self.run.jobs.len(), "job")
        )
    }

    /// The inverse plan as people read it.
    pub(in crate::cli) fn text(
        &self,
        plan: &Plan,
        context: render::plan::Context<'_>,
        layout: &Layout,
    ) -> String {
        let mut text = self.head();
        if plan.is_empty() {
            text.push_str("Nothing is to be undone.\n");
        } else {
            text.push_str(&render::plan::plan(plan, context, layout));
        }
        for (key, why) in &self.left_out {
            text.push_str(&layout.wrap(&format!("Left out: {}, {}", clean(key), clean(why)), 0, 2));
            text.push('\n');
        }
        text
    }

    /// That the manifests were not touched: told where something was undone.
    pub(in crate::cli) fn warning(&self, outcomes: &[Outcome], common: &Common) -> String {
        if !outcomes.iter().any(|outcome| outcome.kind.has_written()) {
            return String::new();
        }
        if let Some(undoes) = &self.run.start.undoes {
            // Whether Git was taken back as well, the journal does not say.
            let plan = again::command("patchctl plan", common);
            return format!(
                "What run {} took back of run {} stands again: `{plan}` shows whether Git says the same.\n",
                self.run.start.run,
                clean(&undoes.run)
            );
        }
        let again = "or the next apply does it again.";
        match self.run.start.commit.as_deref() {
            Some(commit) => format!(
                "The manifests still say what was undone: revert commit {} in Git, too, {again}\n",
                short(commit)
            ),
            None => format!("The manifests still say what was undone: take it back in Git, too, {again}\n"),
        }
    }

    /// The commit whose manifests are what is applied once all of the run is undone, if it was the last to apply one.
    pub(in crate::cli) fn stands_at(&self, outcomes: &[Outcome], ledger: &Ledger) -> Option<String> {
        let is_done =
            |outcome: &Outcome| matches!(outcome.kind, OutcomeKind::Applied | OutcomeKind::Unchanged);
        let was_last =
            self.run.start.commit.is_some() && ledger.applied_commit() == self.run.start.commit.as_deref();
        let before = self.run.start.applied_before.clone();
        before.filter(|_| self.is_whole && was_last && outcomes.iter().all(is_done))
    }

    /// What the journal of the revert says of it.
    pub(in crate::cli) fn to_journal(&self) -> Undoes {
        let left_out = self.left_out.iter().map(|(key, _)| key.clone()).collect();
        Undoes { run: self.run.start.run.clone(), left_out }
    }

    /// The same for programs.
    pub(in crate::cli) fn put_into(&self, json: &mut Value) {
        let start = &self.run.start;
        json["command"] = "revert".into();
        json["undone"] = json!({
            "run": start.run,
            "started_at": start.at,
            "commit": start.commit,
            "left_out": self.left_out.iter().map(|(key, why)| json!({"key": key, "reason": why})).collect::<Vec<_>>(),
        });
    }
}

fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}

/// The runs of the state folder.
fn read_kept(settings: &Settings) -> Result<Vec<Kept>, Failure> {
    let place = settings.shown(&folder::place(&settings.state_dir));
    let kept = folder::kept(&settings.state_dir).map_err(|error| {
        let message = format!("the journals in `{place}` can not be read");
        Failure::Error(vec![message, error.to_string()], Some("nothing was changed".to_owned()))
    })?;
    if kept.is_empty() {
        let message = format!("there is no journal in `{place}`");
        let help = "what a run did stands in its journal, in the state folder of the machine it ran on: run this there, \
                    or bring the folder here and name it with --state-dir; without it, revert the commit in Git and \
                    apply. Nothing was changed";
        return Err(Failure::Error(vec![message], Some(help.to_owned())));
    }
    Ok(kept)
}

async fn plan_and_undo(
    arguments: &Arguments,
    args: &RevertArgs,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let common = &arguments.common;
    if !args.auto_approve && !args.dry_run && !Terminal::can_ask() {
        let help = "give --auto-approve where nobody is there to answer, or --dry-run only to look";
        return Err(Failure::Usage(
            "revert asks before it writes, and there is no terminal".to_owned(),
            help.to_owned(),
        ));
    }
    audit::check(arguments, &args.writing)?;
    let settings = Settings::resolve(common)?;
    // Before a login: what is not there needs none.
    read_kept(&settings)?;
    let reading = ReadingArgs { connection: args.connection.clone(), ..ReadingArgs::default() };
    let planning = PlanningArgs { updates: args.updates, reading, ..PlanningArgs::default() };
    let apply = ApplyArgs {
        planning: planning.clone(),
        auto_approve: args.auto_approve,
        writing: args.writing.clone(),
        ..ApplyArgs::default()
    };
    let run = journal::run_id();
    let lock_wait = args.writing.lock_wait.unwrap_or_default();
    let _lock = match args.dry_run {
        true => None,
        false => Some(journal::lock(&settings, &run, lock_wait, terminal).await?),
    };
    let record = record::load(&settings)?;
    let request = Request {
        can_ask: !args.auto_approve,
        ..Request::new(&settings, common, &planning, terminal, record.as_ref())
    };
    let mut audit = Audit::open(&args.writing, &run, None)?;
    let session = Session::open(&settings, &planning, terminal).await?;
    let inventory = known::inventory(request);
    let undoing = Undoing { request, args, session: &session, inventory: inventory.as_ref() };
    let exit = match undoing.make().await {
        Err(failure) => Err(failure),
        Ok((mut made, undone)) if args.dry_run => {
            undoing.show(&mut made, &undone);
            Ok(Exit::Done)
        }
        Ok((mut made, undone)) => {
            let after = After {
                request,
                inventory: inventory.as_ref(),
                head: None,
                writes_ids: false,
                run: &run,
                saved: None,
                undone: Some(&undone),
            };
            carry_out(&mut made, &session, &settings, arguments, &apply, after, &mut audit, terminal).await
        }
    };
    session.end(terminal, 0, exit).await
}

struct Undoing<'a> {
    request: Request<'a>,
    args: &'a RevertArgs,
    session: &'a Session,
    /// The manifests, where they can be read.
    inventory: Option<&'a Inventory>,
}

impl Undoing<'_> {
    /// Shows the inverse plan and leaves it at that.
    fn show(&self, made: &mut Made, undone: &Undone) {
        let (terminal, client) = (self.request.terminal, &self.session.client);
        if self.request.common.output == Output::Json {
            let mut json = render::json::plan(&made.plan, cost::json(client, made.n_cached));
            json["unsettled_runs"] = made.unsettled.json();
            undone.put_into(&mut json);
            json["dry_run"] = true.into();
            return terminal.data(&pretty(&json));
        }
        let calls = client.calls().to_string();
        let context = render::plan::Context {
            gateway: &self.session.gateway,
            calls: &calls,
            applying: None,
            is_saved: false,
        };
        terminal.data(&undone.text(&made.plan, context, &terminal.layout()));
    }

    /// Reads the journal and the live jobs, and plans.
    async fn make(&self) -> Result<(Made, Undone), Failure> {
        let Request { settings, terminal, .. } = self.request;
        let (api, identity) = (&self.session.client, self.session.identity.as_str());
        let kept = read_kept(settings)?;
        let (chosen, past) =
            choose(&kept, self.args.run.as_deref(), settings, identity, self.request.common)?;
        self.check_named(&past)?;
        let keys: Vec<String> = past.jobs.iter().map(|job| job.key.clone()).collect();
        let selected = Selection::of(self.request.common, &keys)?;
        let is_wanted = |key: &str| selected.has(key);
        let Lists { rows, customers, list_calls } =
            lists::read(api, revert::platforms(&past), terminal).await.map_err(read_failed)?;
        self.request.check_customer(&customers)?;
        // What a killed run left open is settled first; that is written into its journal, which is then read again.
        let unsettled = self.request.settle_runs(&mut nothing(), &[], &rows, identity, api).await;
        let again = read_kept(settings)?;
        let text = again.iter().find(|kept| kept.path == chosen.path).map_or(&chosen.text, |kept| &kept.text);
        let past = revert::read(text).unwrap_or(past);
        if past.n_damaged > 0 {
            terminal.note(&format!(
                "{} of the journal can not be read and {} passed over",
                count(past.n_damaged, "line"),
                if past.n_damaged == 1 { "is" } else { "are" }
            ));
        }
        check_subscription(&past, &customers)?;
        let jobs = self.jobs(&past, &rows, &is_wanted).await?;
        let mut stamps = StampCounts::default();
        jobs.values().flatten().for_each(|job: &LiveJob| stamps.add(&job.stamp));
        let probes = probing::open(settings, identity, false, terminal);
        let choice = self.request.choose(self.session.client.simulator_updates(), &probes);
        let customer = customers.into_iter().collect::<Vec<_>>().join(",");
        let ledger = self.request.open_ledger(identity, &customer);
        let policy = self.policy(choice.planned(), &ledger);
        let path = settings.shown(&chosen.path);
        let place = Place::new(&SourceFile::new(path.as_str(), ""), Span::new(0, 0));
        let leave = Leave {
            overrides: self.args.overrides.iter().cloned().collect(),
            partly: self.args.allow_partial.iter().cloned().collect(),
            protected: known::protected(&past, self.inventory, &ledger),
        };
        let command = again::command(&format!("patchctl revert {}", past.start.run), self.request.common);
        let mut known = Known::default();
        if let Some(inventory) = self.inventory {
            known.of_the_tree(self.request, inventory, &past);
        }
        let mut commits = self.commits(&kept, chosen, &past);
        let inverse = loop {
            let now = Now { jobs: &jobs, rows: &rows, stamps: &stamps };
            let look = Look {
                policy: &policy,
                now,
                leave: &leave,
                declared: &known.declared,
                place: &place,
                command: &command,
                is_wanted: &is_wanted,
            };
            let inverse = revert::plan(&past, look);
            // A commit is looked into only where a script is lacking.
            let Some(commit) = commits.pop().filter(|_| !inverse.lacking.is_empty()) else {
                self.note_without_effect(&inverse, &revert::held_without_override(&past, look));
                break inverse;
            };
            known.of_a_commit(self.request, &commit, &inverse.lacking);
        };
        let Inverse { mut plan, lacking: _, left_out } = inverse;
        plan.list_calls = list_calls;
        if choice == Choice::Open {
            plan.probe_first(&settings.owner);
        }
        let now = jiff::Timestamp::now().as_millisecond();
        let details = Details::open(&self.request.cache_folder(), identity, &customer, CacheUse::Full, now);
        let made = Made {
            plan,
            scripts: known.scripts,
            details,
            ledger,
            probes,
            bound: Vec::new(),
            n_cached: 0,
            unsettled,
            looked_at: None,
            subscription: customer,
            seen_at: None,
            rows: Vec::new(),
            bindings: BTreeMap::new(),
            others: BTreeSet::new(),
            api_users: policy.api_users,
        };
        Ok((made, Undone { run: past, left_out, is_whole: self.request.common.only.is_empty() }))
    }

    /// A key that the run had no step for is a mistake.
    fn check_named(&self, past: &PastRun) -> Result<(), Failure> {
        let keys = || past.start.steps.iter().map(|step| step.key.as_str());
        for (flag, key) in self.named() {
            if keys().any(|known| known == key) || past.jobs.iter().any(|job| job.key == *key) {
                continue;
            }
            let message = format!("{flag} {}: run {} has no step for this key", clean(key), past.start.run);
            let help = nearest(key, keys())
                .map_or_else(String::new, |near| format!("did you mean `{}`? ", clean(near)));
            return Err(Failure::Error(vec![message], Some(help + "nothing was changed")));
        }
        Ok(())
    }

    /// What was allowed and is not needed.
    fn note_without_effect(&self, inverse: &Inverse, held: &BTreeSet<String>) {
        for (flag, key) in self.named() {
            let (needed, why) = match flag {
                OVERRIDE => (held, "no member that is to go back was changed since the run"),
                _ => (&inverse.lacking, "no script's former content is lacking"),
            };
            if !needed.contains(key) {
                self.request.terminal.note(&format!("{flag} {} has no effect: {why}", clean(key)));
            }
        }
    }

    /// The keys that flags name.
    fn named(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let overrides = self.args.overrides.iter().map(|key| (OVERRIDE, key));
        overrides.chain(self.args.allow_partial.iter().map(|key| ("--allow-partial", key)))
    }

    fn policy(&self, envelope: Envelope, ledger: &Ledger) -> Policy {
        let settings = self.request.settings;
        let mut api_users = settings.api_users();
        ledger.api_users().for_each(|user| api_users.add(user));
        Policy {
            owner: settings.owner.clone(),
            envelope,
            is_whole: self.request.common.only.is_empty(),
            now: jiff::Timestamp::now().as_millisecond(),
            record: self.request.record.cloned(),
            run_once: RunOnce::default(),
            api_users,
            decisions: Decisions::default(),
            set_scripts: Vec::new(),
            allow_script_loss: Vec::new(),
            tag_names: settings
                .tags
                .iter()
                .map(|(name, id)| (id.to_ascii_lowercase(), name.clone()))
                .collect(),
            findings_stop: true,
            ignore: settings.ignore.clone(),
        }
    }

    /// The jobs that the run wrote to, as they are now.
    async fn jobs(
        &self,
        past: &PastRun,
        rows: &[ListRow],
        is_wanted: &dyn Fn(&str) -> bool,
    ) -> Result<BTreeMap<String, Option<LiveJob>>, Failure> {
        let mut jobs = BTreeMap::new();
        for job in past.jobs.iter().filter(|job| is_wanted(&job.key)) {
            let meant = Meant::by(job, rows);
            let Some(id) = meant.id() else { continue };
            let live = self.session.client.get_job(id).await.map_err(read_failed)?.map(LiveJob::new);
            let customer = live.as_ref().and_then(LiveJob::customer_id).map(str::to_ascii_lowercase);
            self.request.check_customer(&customer.into_iter().collect())?;
            jobs.insert(id.to_owned(), live);
        }
        Ok(jobs)
    }

    /// Commits in which former scripts may be, the likeliest last: those that earlier runs applied, then the history.
    fn commits(&self, kept: &[Kept], chosen: &Kept, past: &PastRun) -> Vec<base::Commit> {
        let root = self.request.root();
        let before = kept.iter().take_while(|kept| kept.path != chosen.path);
        let applied = before.filter_map(|kept| revert::read(&kept.text).ok()?.start.commit);
        let mut ids: Vec<String> = applied.collect();
        ids.reverse();
        let mut commits: Vec<base::Commit> =
            ids.iter().filter_map(|id| base::earlier(root, Some(id), 1).into_iter().next()).collect();
        for commit in base::earlier(root, past.start.commit.as_deref(), MOST_COMMITS) {
            if !commits.contains(&commit) {
                commits.push(commit);
            }
        }
        commits.dedup();
        commits.truncate(MOST_COMMITS);
        commits.reverse();
        commits
    }
}

/// The jobs of another subscription have other ids, or by accident the same.
fn check_subscription(past: &PastRun, customers: &BTreeSet<String>) -> Result<(), Failure> {
    let of_run = past.jobs.iter().filter_map(|job| {
        let job = job.before.as_ref().or(job.after.as_ref())?;
        Some(job.get("customerId")?.as_str()?.to_ascii_lowercase())
    });
    match of_run.into_iter().find(|id| !customers.is_empty() && !customers.contains(id)) {
        Some(other) => {
            let here: Vec<&str> = customers.iter().map(String::as_str).collect();
            let message = format!(
                "run {} wrote to the subscription {other}, and this is {}",
                past.start.run,
                here.join(", ")
            );
            Err(Failure::Error(vec![message], Some("log in to that one; nothing was changed".to_owned())))
        }
        None => Ok(()),
    }
}

/// A plan without steps, for settling what earlier runs left open.
fn nothing() -> Plan {
    Plan {
        changes: Vec::new(),
        n_unchanged: 0,
        n_unmanaged: None,
        n_manifests: 0,
        envelope: Envelope::Full,
        n_orphans: 0,
        guard: None,
        probe: None,
        leftovers: Vec::new(),
        list_calls: BTreeMap::new(),
        tag_names: BTreeMap::new(),
        base: None,
        no_longer_managed: Vec::new(),
        ignored: Vec::new(),
        warnings: Diagnostics::new(),
    }
}
