//! `patchctl simulator`: the simulator of the API as a server of its own.

use super::Exit;
use super::args::{Arguments, SimulatorArgs};
use super::session::Failure;
use super::settings::Settings;
use crate::apply::chain;
use crate::simulator::{Behaviour, Simulator, Tenant};
use crate::terminal::Terminal;

/// Serves a tenant until it is interrupted.
pub(super) async fn run(arguments: &Arguments, args: &SimulatorArgs, terminal: &Terminal) -> Exit {
    match serve(arguments, args, terminal).await {
        Ok(()) => Exit::Done,
        Err(failure) => failure.report("simulator", arguments.common.output, terminal),
    }
}

async fn serve(arguments: &Arguments, args: &SimulatorArgs, terminal: &Terminal) -> Result<(), Failure> {
    let settings = Settings::resolve(&arguments.common)?;
    let behaviour = match &args.behaviour {
        Some(json) => serde_json::from_str(json).map_err(|error| {
            let message = "--behaviour could not be read".to_owned();
            Failure::Usage(format!("{message}: {error}"), "docs/simulator.md lists the switches".to_owned())
        })?,
        None => Behaviour::default(),
    };
    let behaviour = Behaviour { control: args.control, ..behaviour };
    let failed = |error: &dyn std::error::Error| Failure::Error(chain(error), None);
    let tenant = Tenant::open(&settings.current.join(&args.tenant), Some(&settings.state_dir), args.reset)
        .map_err(|error| failed(&error))?;
    let n_jobs = tenant.n_jobs();
    if tenant.seed_changed() {
        terminal
            .note("the tenant's files changed since the simulator first read them; --reset starts afresh");
    }
    let running = Simulator::start(tenant, behaviour, args.listen).await.map_err(|error| failed(&error))?;
    terminal.data(&format!("{}\n", running.url()));
    terminal.note(&format!("{n_jobs} jobs; user `simulator`, password `simulator`; Ctrl-C ends it"));
    // Nothing is to be done if the signal can not be waited for: the process is ended from outside then.
    let _ = tokio::signal::ctrl_c().await;
    running.stop().await;
    Ok(())
}
