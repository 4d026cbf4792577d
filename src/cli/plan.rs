//! `patchctl plan`: shows what would change; is never given a way to write.

use serde_json::json;

use super::args::{Arguments, Output, PlanArgs};
use super::planning::Request;
use super::session::{Failure, Session};
use super::settings::Settings;
use super::{Exit, pretty};
use crate::api::ReadApi;
use crate::plan::{Action, Plan};
use crate::render;
use crate::terminal::Terminal;

/// Plans and shows the plan.
pub(super) async fn run(arguments: &Arguments, args: &PlanArgs, terminal: &Terminal) -> Exit {
    match show_plan(arguments, args, terminal).await {
        Ok(plan) => exit(&plan, args.detailed_exitcode),
        Err(failure) => failure.report("plan", arguments.common.output, terminal),
    }
}

async fn show_plan(arguments: &Arguments, args: &PlanArgs, terminal: &Terminal) -> Result<Plan, Failure> {
    let settings = Settings::resolve(&arguments.common)?;
    let request =
        Request { settings: &settings, common: &arguments.common, planning: &args.planning, terminal };
    let inventory = request.take_inventory()?;
    let session = Session::open(&settings, &args.planning, terminal).await?;
    let known = || session.client.simulator_updates();
    let made = request.make_plan(&inventory, &session.client, known, &session.identity).await;
    let calls = session.client.calls();
    let gateway = session.gateway.clone();
    session.close().await;
    let plan = made?.plan;
    match arguments.common.output {
        Output::Human => {
            let context = render::plan::Context { gateway: &gateway, calls: &calls.to_string() };
            terminal.data(&render::plan::plan(&plan, context, &terminal.layout()));
        }
        Output::Json => terminal.data(&pretty(&render::json::plan(&plan, json!(calls)))),
    }
    Ok(plan)
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
