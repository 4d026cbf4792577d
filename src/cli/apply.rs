#![expect(clippy::disallowed_methods, reason = "how far the next run of a job is away needs the time")]

//! `patchctl apply`: shows the plan, asks, carries it out, and says what became of each step.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use serde_json::Value;

use super::args::{ApplyArgs, Arguments, Output};
use super::audit::{self, Audit};
use super::cost;
use super::doubts;
use super::identity::ids_to_write;
use super::journal::{self, About, RunJournal};
use super::planning::{Made, Request};
use super::revert::Undone;
use super::saved::{self, Saved};
use super::session::{Failure, Session};
use super::settings::Settings;
use super::write_ids::{WrittenIds, write_ids};
use super::{Exit, again, pretty, probing, record};
use crate::api::ReadApi;
use crate::apply::probe::Probing;
use crate::apply::{self, Interrupt, Run};
use crate::base::Commit;
use crate::details::Details;
use crate::inventory::Inventory;
use crate::plan::{Action, Change, Outcome, OutcomeKind, Plan};
use crate::render::text::{clean, count};
use crate::render::{self, markdown};
use crate::saved::Judged;
use crate::terminal::Terminal;

/// Plans, asks and applies.
pub(super) async fn run(arguments: &Arguments, args: &ApplyArgs, terminal: &Terminal) -> Exit {
    let exit = match plan_and_apply(arguments, args, terminal).await {
        Ok(exit) => exit,
        Err(failure) => failure.report_to("apply", &arguments.common, terminal),
    };
    told_of(exit, terminal)
}

/// The exit status of a run that may not have been able to say what it did.
pub(super) fn told_of(exit: Exit, terminal: &Terminal) -> Exit {
    match Terminal::lost_output() {
        // Whoever stopped reading does not know what was changed: that is never "done".
        Some(lost) if exit == Exit::Done => {
            let lines = ["the output could not be written".to_owned(), lost.cause];
            terminal.error(&lines, Some("the plan was carried out to its end; run plan to see what is left"));
            Exit::Failed
        }
        _ => exit,
    }
}

async fn plan_and_apply(
    arguments: &Arguments,
    args: &ApplyArgs,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let common = &arguments.common;
    // Refused before anything is read: a pipeline that forgot the flag learns it at once.
    if !args.auto_approve && args.plan.is_none() && !Terminal::can_ask() {
        let help = "give --auto-approve where nobody is there to answer, or --plan with a saved plan";
        return Err(Failure::Usage(
            "apply asks before it writes, and there is no terminal".to_owned(),
            help.to_owned(),
        ));
    }
    audit::check(arguments, &args.writing)?;
    let saved = Saved::open(args, common)?;
    // A saved plan is made afresh with the flags that it was made with.
    let (common, args) = saved.as_ref().map_or((common, args), |saved| (&saved.common, &saved.args));
    let settings = Settings::resolve(common)?;
    saved.as_ref().map_or(Ok(()), |saved| saved.check_owner(&settings))?;
    let run = journal::run_id();
    let lock_wait = args.writing.lock_wait.unwrap_or_default();
    // Before anything is read, so that the plan is not from before another run's writes.
    let _lock = journal::lock(&settings, &run, lock_wait, terminal).await?;
    let record = record::load(&settings)?;
    let request = Request {
        can_ask: !args.auto_approve,
        ..Request::new(&settings, common, &args.planning, terminal, record.as_ref())
    };
    // Before the manifests are read, so that what is recorded is what they were read at.
    let head = request.clean_head();
    let commit = head.as_ref().map(Commit::id);
    let mut audit = Audit::open(&args.writing, &run, commit)?;
    let inventory = request.take_inventory()?;
    let session = Session::open(&settings, &args.planning, terminal).await?;
    let known = || session.client.simulator_updates();
    let made = match saved.as_ref().map_or(Ok(()), |saved| saved.check_gateway(&session.identity)) {
        Ok(()) => request.make_plan(&inventory, &session.client, known, &session.identity).await,
        Err(failure) => Err(failure),
    };
    let n_cached = made.as_ref().map_or(0, |made| made.n_cached);
    let exit = match made {
        Ok(mut made) => {
            let after = After {
                request,
                inventory: Some(&inventory),
                head: head.as_ref(),
                writes_ids: args.write_ids,
                run: &run,
                saved: saved.as_ref(),
                undone: None,
            };
            carry_out(&mut made, &session, &settings, arguments, args, after, &mut audit, terminal).await
        }
        Err(failure) => Err(failure),
    };
    session.end(terminal, n_cached, exit).await
}

/// What is kept of a run when its steps are done.
#[derive(Clone, Copy)]
pub(super) struct After<'a> {
    pub(super) request: Request<'a>,
    /// The manifests; a run that undoes another one may do without.
    pub(super) inventory: Option<&'a Inventory>,
    /// The commit that the manifests were read at, if they were as it says.
    pub(super) head: Option<&'a Commit>,
    pub(super) writes_ids: bool,
    /// The run's id.
    pub(super) run: &'a str,
    /// The saved plan that this is the carrying out of.
    pub(super) saved: Option<&'a Saved>,
    /// The run that this one undoes.
    pub(super) undone: Option<&'a Undone>,
}

/// Shows a plan, asks, carries it out, and says what became of each step.
#[expect(clippy::too_many_arguments, reason = "all that a run has come to by then")]
pub(super) async fn carry_out(
    made: &mut Made,
    session: &Session,
    settings: &Settings,
    arguments: &Arguments,
    args: &ApplyArgs,
    after: After<'_>,
    audit: &mut Audit,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let human = arguments.common.output == Output::Human;
    // Where the audit has stdout for itself, what is said to people goes the way of remarks.
    let tell = |text: &str| {
        if audit::takes_stdout(&args.writing) { terminal.say(text) } else { terminal.data(text) }
    };
    let fingerprint = made.plan.fingerprint();
    let is_unexpected = saved::expect(&mut made.plan, &fingerprint, args.expect.as_deref());
    let judged = match after.saved.zip(after.inventory) {
        Some((saved, inventory)) => {
            saved.check_subscription(&made.subscription)?;
            saved.judge(made, inventory, &session.client).await?
        }
        None => Judged::default(),
    };
    let Made { plan, scripts, details, ledger, probes, bound, n_cached, unsettled, seen_at, .. } = made;
    let api_users = &made.api_users;
    let calls = session.client.calls().to_string();
    let calls_needed = saved::calls_needed(plan, &judged);
    let applying = cost::Applying { n_calls: calls_needed, n_before: 0, per_hour: settings.calls_per_hour };
    let applying = cost::of_apply(&session.client, &applying);
    let applying = (calls_needed > 0 && plan.guard.is_none()).then_some(applying.as_str());
    let context =
        render::plan::Context { gateway: &session.gateway, calls: &calls, applying, is_saved: false };
    let mut text = match after.undone {
        Some(undone) => undone.text(plan, context, &terminal.layout()),
        None => render::plan::plan(plan, context, &terminal.layout()),
    };
    text.push_str(&after.saved.map_or_else(String::new, |saved| saved.words(judged.n_going)));
    if human {
        tell(&text);
    } else if !args.auto_approve {
        // The question needs the plan beside it, and stdout is for the one document.
        terminal.say(&text);
    }
    let mut allow_run_once: BTreeSet<String> = args.planning.allow_run_once.iter().cloned().collect();
    let is_stopped = plan.guard.is_some();
    if (plan.has_writes() || !plan.leftovers.is_empty()) && !args.auto_approve && !is_stopped {
        approve(plan, session, terminal)?;
        allow_run_once.extend(approve_one_way(plan, &allow_run_once, terminal));
    }
    if human && !(plan.changes.is_empty() && judged.gone.is_empty()) && !is_stopped {
        tell("\n");
    }
    let layout = terminal.layout();
    let say_outcome = |change: &Change, outcome: &Outcome| {
        // The plan said already, and once, why nothing is done.
        if human && !is_stopped {
            tell(&render::outcome::outcome(change, outcome, &layout));
        }
    };
    judged.gone.iter().for_each(|(change, outcome)| say_outcome(change, outcome));
    let interrupt = Arc::new(Interrupt::default());
    listen(&interrupt, *terminal).await;
    let probing = Probing {
        api: &session.client,
        owner: &settings.owner,
        settle_time: args.writing.settle_time(),
        interrupt: &interrupt,
    };
    // The plan's first step; what updates carry is settled by it.
    let probed = probing::carry_out(plan, &judged, probes, &probing, terminal).await;
    if human {
        tell(&render::probe::done(&probed, plan.envelope, &layout));
    }
    let plan = &*plan;
    let about = About {
        run: after.run,
        gateway: &session.identity,
        owner: &settings.owner,
        commit: after.head.map(Commit::id),
        undoes: after.undone.map(Undone::to_journal),
        record: after.request.record,
    };
    doubts::remember(plan, after.inventory, api_users, ledger);
    after.request.remember_disabled(plan, bound, ledger);
    let journal = RunJournal::begin(&settings.state_dir, about, plan, ledger)?;
    let run = Run {
        plan,
        scripts,
        decided: &judged.decided,
        api: &session.client,
        interrupt: &interrupt,
        allow_run_once: &allow_run_once,
        settle_time: args.writing.settle_time(),
        now: || jiff::Timestamp::now().as_millisecond(),
        journal: &journal,
        max_failures: args.writing.failures(),
    };
    let outcomes = apply::apply(run, |change, outcome| {
        say_outcome(change, outcome);
        audit.step(change, outcome, terminal);
    })
    .await;
    journal.end(&outcomes, terminal);
    remember(details, &outcomes, terminal);
    probing::doubt(probes, &outcomes, terminal);
    record::keep(settings, plan, &outcomes, terminal);
    if let Some(commit) = after.undone.and_then(|undone| undone.stands_at(&outcomes, ledger)) {
        ledger.stands_at(&commit);
    }
    // A run that undoes another one sends what was declared then, which is not what the manifest declares.
    if after.undone.is_none() {
        doubts::settle(plan, &outcomes, ledger);
    }
    after.request.remember_applied(after.inventory, plan, &outcomes, after.head, *seen_at, ledger);
    let ids = after.inventory.filter(|_| after.writes_ids).map(|inventory| {
        let ids = ids_to_write(inventory, bound, plan, &outcomes, ledger);
        write_ids(inventory, after.request.root(), &ids)
    });
    let (plan, outcomes) = with_gone(plan, outcomes, judged.gone);
    let (plan, outcomes) = (&plan, outcomes.as_slice());
    let calls = session.client.calls();
    if human {
        let summary = render::outcome::summary(plan, outcomes, &calls.to_string(), &layout);
        tell(&if after.undone.is_some() { summary.replacen("Apply:", "Revert:", 1) } else { summary });
        if outcomes.iter().any(|outcome| outcome.kind.has_written()) {
            let undo = again::command(&format!("patchctl revert {}", after.run), &arguments.common);
            tell(&format!("Undo with: {undo}\n"));
        }
        tell(&after.undone.map(|undone| undone.warning(outcomes, &arguments.common)).unwrap_or_default());
        tell(&ids.as_ref().map(WrittenIds::text).unwrap_or_default());
    } else if arguments.common.output == Output::Markdown {
        let context = markdown::apply::Context {
            owner: &settings.owner,
            gateway: &session.gateway,
            calls: &calls.to_string(),
            run: after.run,
            decided: &after.saved.map(Saved::held_steps).unwrap_or_default(),
        };
        terminal.data(&markdown::apply::apply(plan, outcomes, context));
        terminal.say(&ids.as_ref().map(WrittenIds::text).unwrap_or_default());
    } else {
        let mut json = render::json::apply(plan, outcomes, cost::json(&session.client, *n_cached));
        render::probe::add_done(&mut json, Some(plan), &probed, plan.envelope);
        json["run"] = after.run.into();
        json["unsettled_runs"] = unsettled.json();
        // Of the plan as it was made now, without the steps that only the saved one had.
        json["fingerprint"] = fingerprint.into();
        if let Some(saved) = after.saved {
            json["saved_plan"] = saved.json(judged.n_going);
        }
        if let Some(undone) = after.undone {
            undone.put_into(&mut json);
        }
        if let Some(ids) = &ids {
            json["ids"] = ids.json();
        }
        terminal.data(&pretty(&json));
    }
    for refusal in ids.iter().flat_map(WrittenIds::refusals) {
        terminal.error(
            &[refusal],
            Some("write `metadata.id` by hand, or move the manifest into a file of its own"),
        );
    }
    match exit(plan, outcomes, interrupt.is_asked()) {
        _ if is_unexpected => Ok(Exit::Guarded),
        // The scratch job was to be gone.
        Exit::Done if probed.is_left() => Ok(Exit::Partial),
        Exit::Done if ids.is_some_and(|ids| !ids.is_complete()) || !audit.is_complete() => Ok(Exit::Failed),
        exit => Ok(exit),
    }
}

/// The plan and its outcomes with the steps before them that only the saved plan had.
fn with_gone<'a>(
    plan: &'a Plan,
    mut outcomes: Vec<Outcome>,
    gone: Vec<(Change, Outcome)>,
) -> (Cow<'a, Plan>, Vec<Outcome>) {
    if gone.is_empty() {
        return (Cow::Borrowed(plan), outcomes);
    }
    let (changes, settled): (Vec<Change>, Vec<Outcome>) = gone.into_iter().unzip();
    let mut plan = plan.clone();
    plan.changes.splice(0..0, changes);
    outcomes.splice(0..0, settled);
    (Cow::Owned(plan), outcomes)
}

/// Asks whether the plan is to be carried out.
fn approve(plan: &Plan, session: &Session, terminal: &Terminal) -> Result<(), Failure> {
    let help = "nothing was changed";
    if let Some(lost) = Terminal::lost_output() {
        // Nobody can say yes to what could not be shown.
        let lines = vec!["the plan could not be shown".to_owned(), lost.cause];
        return Err(Failure::Error(lines, Some(help.to_owned())));
    }
    let probe = plan.probe.iter().map(|_| "1 probe".to_owned());
    let actions = Action::ALL
        .into_iter()
        .filter(|action| action.writes() && plan.count(*action) > 0)
        .map(|action| count(plan.count(action), action.as_str()));
    let leftovers = plan.leftovers.len();
    let removals = (leftovers > 0).then(|| count(leftovers, "scratch job removal"));
    let steps: Vec<String> = removals.into_iter().chain(probe).chain(actions).collect();
    let question = format!(
        "\nApply {} to {}? It takes {}. Only `yes` is a yes: ",
        steps.join(", "),
        session.gateway,
        count(plan.calls_needed(), "call")
    );
    if terminal.confirm(&question, "yes") {
        Ok(())
    } else {
        Err(Failure::Error(vec!["the plan was not approved".to_owned()], Some(help.to_owned())))
    }
}

/// Asks for each job that would be armed for good and was not allowed on the command line; returns the keys agreed to.
fn approve_one_way(plan: &Plan, allowed: &BTreeSet<String>, terminal: &Terminal) -> Vec<String> {
    let asked = plan.changes.iter().filter(|change| change.is_one_way && !allowed.contains(&change.key));
    asked
        .filter(|change| {
            let door = change.notes.iter().find(|note| note.starts_with("one-way door"));
            let question = format!(
                "\nEnable \"{}\"? It is a {}.\nType its key, {}, to allow it; anything else leaves it Disabled: ",
                clean(&change.name),
                door.map_or("one-way door: it can not be taken back", String::as_str),
                change.key
            );
            terminal.confirm(&question, &change.key)
        })
        .map(|change| change.key.clone())
        .collect()
}

/// Listens to Ctrl-C from now on: the first is a wish to stop, the second ends the process.
///
/// In a task of its own, so that it is heard while a reader of stdout is waited for.
pub(super) async fn listen(interrupt: &Arc<Interrupt>, terminal: Terminal) {
    let mut first: Pin<Box<_>> = Box::pin(tokio::signal::ctrl_c());
    // The signal is caught from the first poll on, which must not come after the first write.
    let early = std::future::poll_fn(|context| Poll::Ready(first.as_mut().poll(context))).await;
    if early.is_ready() {
        // It can not be caught here: Ctrl-C ends the process as it does everywhere else.
        return;
    }
    let interrupt = Arc::clone(interrupt);
    tokio::spawn(async move {
        if first.await.is_err() {
            return;
        }
        interrupt.ask();
        let mut second: Pin<Box<_>> = Box::pin(tokio::signal::ctrl_c());
        let early = std::future::poll_fn(|context| Poll::Ready(second.as_mut().poll(context))).await;
        terminal.say(
            "interrupted: the call in flight is finished, nothing new is started; again to leave at once\n",
        );
        if early.is_pending() && second.await.is_ok() {
            leave(&interrupt, terminal);
        }
    });
}

/// Ends the process where it is, and says what is not known because of that.
fn leave(interrupt: &Interrupt, terminal: Terminal) -> ! {
    match interrupt.in_flight() {
        Some(key) => {
            let words =
                format!("left while `{key}` was being written: its fate is not known; run patchctl plan\n");
            terminal.leave(&words, Exit::Partial.code())
        }
        None if interrupt.has_written() => terminal.leave("left between two writes\n", Exit::Partial.code()),
        None => terminal.leave("left before anything was written\n", Exit::Failed.code()),
    }
}

/// Keeps what was read back, so that the next run need not ask for it.
fn remember(details: &mut Details, outcomes: &[Outcome], terminal: &Terminal) {
    let mut kept = Ok(());
    for (job, outcome) in outcomes.iter().filter_map(|outcome| Some((outcome.read_back.as_ref()?, outcome))) {
        let Some(id) = job.get("id").and_then(Value::as_str).map(str::to_ascii_lowercase) else { continue };
        let put =
            if outcome.made.is_some() { details.put_made(&id, job) } else { details.put_written(&id, job) };
        kept = kept.and(put);
    }
    if let Err(error) = kept.and_then(|()| details.save()) {
        terminal.note(&format!("the cache could not be written: {error}"));
    }
}

/// Chooses the exit status from what became of the steps (DESIGN section 8).
fn exit(plan: &Plan, outcomes: &[Outcome], is_interrupted: bool) -> Exit {
    let any = |kind: OutcomeKind| outcomes.iter().any(|outcome| outcome.kind == kind);
    let all_done = outcomes.iter().all(|o| matches!(o.kind, OutcomeKind::Applied | OutcomeKind::Unchanged));
    let has_written = outcomes.iter().any(|outcome| outcome.kind.has_written());
    if all_done || plan.is_empty() {
        Exit::Done
    } else if is_interrupted && !has_written {
        Exit::Failed
    } else if has_written {
        Exit::Partial
    } else if any(OutcomeKind::Failed) {
        Exit::Failed
    } else {
        Exit::Guarded
    }
}
