//! `patchctl plan`: shows what would change; is never given a way to write.

use super::args::{Arguments, Output, PlanArgs};
use super::cost;
use super::planning::{Made, Request};
use super::session::{Failure, Session};
use super::settings::Settings;
use super::why::Question;
use super::{Exit, pretty, record, saved};
use crate::api::ReadApi;
use crate::plan::{Action, Plan};
use crate::render::{self, markdown};
use crate::terminal::Terminal;

/// Plans and shows the plan.
pub(super) async fn run(arguments: &Arguments, args: &PlanArgs, terminal: &Terminal) -> Exit {
    match show_plan(arguments, args, terminal).await {
        Ok(plan) => exit(&plan, args.detailed_exitcode),
        Err(failure) => failure.report_to("plan", &arguments.common, terminal),
    }
}

async fn show_plan(arguments: &Arguments, args: &PlanArgs, terminal: &Terminal) -> Result<Plan, Failure> {
    let settings = Settings::resolve(&arguments.common)?;
    let record = record::load(&settings)?;
    let request = Request {
        shows_ignored: args.show_ignored,
        ..Request::new(&settings, &arguments.common, &args.planning, terminal, record.as_ref())
    };
    let inventory = request.take_inventory()?;
    let question = Question::read(args.why.as_deref(), &arguments.common, &inventory)?;
    let request = question.as_ref().map_or(request, |question| question.narrow(request));
    let session = Session::open(&settings, &args.planning, terminal).await?;
    let known = || session.client.simulator_updates();
    let mut made = request.make_plan(&inventory, &session.client, known, &session.identity).await;
    // Saved before it is shown: a plan that could not be saved ends as that and as nothing else.
    if let (Ok(plan), Some(path)) = (&made, &args.out)
        && let Err(failure) = saved::save(path, plan, &arguments.common, &args.planning, &settings, &session)
    {
        made = Err(failure);
    }
    if let (Ok(plan), true, Output::Human) = (&made, args.show_scripts, arguments.common.output) {
        match request.script_texts(plan) {
            Ok(texts) => terminal.data(&render::scripts::scripts(&texts, &terminal.layout())),
            Err(failure) => made = Err(failure),
        }
    }
    if let (Ok(plan), Some(question)) = (&made, &question) {
        if let Err(failure) = question.tell("plan", plan, &session, terminal) {
            made = Err(failure);
        }
    } else if let Ok(made) = &made {
        show(made, &session, &settings, arguments, args, terminal);
        if arguments.common.output == Output::Human && (args.out.is_some() || terminal.is_verbose()) {
            terminal.data(&format!("Fingerprint: {}\n", made.plan.fingerprint()));
        }
        if let Some(path) = &args.out {
            terminal.note(&saved::saved_words(path, &made.plan));
        }
    }
    let n_cached = made.as_ref().map_or(0, |made| made.n_cached);
    session.end(terminal, n_cached, made.map(|made| made.plan)).await
}

fn show(
    made: &Made,
    session: &Session,
    settings: &Settings,
    arguments: &Arguments,
    args: &PlanArgs,
    terminal: &Terminal,
) {
    let shows_ignored = args.show_ignored;
    let plan = &made.plan;
    let is_saved = args.out.is_some();
    // The file carries out what is held, too.
    let calls_needed = if is_saved { plan.decided().calls_needed() } else { plan.calls_needed() };
    let applying = cost::Applying {
        n_calls: calls_needed,
        // A login and the pages of the lists.
        n_before: plan.list_calls.values().sum::<usize>() + 1,
        per_hour: settings.calls_per_hour,
    };
    let applying = cost::of_apply(&session.client, &applying);
    let applying = (calls_needed > 0 && plan.guard.is_none()).then_some(applying.as_str());
    match arguments.common.output {
        Output::Human => {
            let calls = session.client.calls().to_string();
            let context =
                render::plan::Context { gateway: &session.gateway, calls: &calls, applying, is_saved };
            let layout = terminal.layout();
            if shows_ignored {
                terminal.data(&render::ignored::ignored(&plan.ignored, &layout));
            }
            terminal.data(&render::plan::plan(plan, context, &layout));
        }
        Output::Json => {
            let api = cost::json(&session.client, made.n_cached);
            let mut json = render::json::plan(plan, api);
            json["unsettled_runs"] = made.unsettled.json();
            if is_saved {
                json["decided_by_saved_plan"] = plan.waiting().map(|(_, waiting)| waiting.step()).collect();
            }
            if shows_ignored {
                json["ignored"] = render::ignored::json(&plan.ignored);
            }
            terminal.data(&pretty(&json));
        }
        Output::Markdown => {
            if shows_ignored {
                terminal.note(render::ignored::NOT_IN_MARKDOWN);
            }
            let context = markdown::plan::Context {
                owner: &settings.owner,
                gateway: &session.gateway,
                applying,
                is_saved,
            };
            terminal.data(&markdown::plan::plan(plan, context));
        }
    }
}

fn exit(plan: &Plan, detailed: bool) -> Exit {
    if !detailed {
        return Exit::Done;
    }
    if plan.has_writes() {
        Exit::Differences
    } else if plan.count(Action::Blocked) + plan.count(Action::Held) > 0 {
        Exit::Guarded
    } else {
        Exit::Done
    }
}
