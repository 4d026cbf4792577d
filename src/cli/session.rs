#![expect(
    clippy::disallowed_methods,
    reason = "reads certificate files and the time for the jitter of retries"
)]

//! A way to the live jobs: the gateway, or the simulator inside the process; and how a command ends that has none.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use serde_json::{Value, json};

use super::args::{Common, ConnectionArgs, Output, PlanningArgs};
use super::cost::Spent;
use super::settings::{Settings, SettingsError, Target};
use super::waiting::notices;
use super::{Exit, pretty, show};
use crate::api::{self, CaFile, Client, Credentials, Gateway};
use crate::apply::chain;
use crate::diagnostic::Diagnostics;
use crate::render;
use crate::render::markdown;
use crate::simulator::{self, Behaviour, Simulator, Tenant};
use crate::terminal::Terminal;

/// Why a command ends before it has done what it is for.
#[derive(Debug)]
pub(super) enum Failure {
    /// Manifests or configuration are wrong.
    Findings(Diagnostics),
    /// Anything else: what happened, outermost first, and what to do.
    Error(Vec<String>, Option<String>),
    /// The arguments do not fit.
    Usage(String, String),
    /// Any of them after calls were made: what those cost.
    Costed(Box<Self>, Value),
}

impl Failure {
    fn error(error: &dyn std::error::Error, help: String) -> Self {
        Self::Error(chain(error), Some(help))
    }

    /// The same as [`Failure::report`] for a command whose comments are found by their owner.
    ///
    /// Where not even the settings can be read, the comment names no owner.
    pub(super) fn report_to(&self, command: &str, common: &Common, terminal: &Terminal) -> Exit {
        if common.output == Output::Markdown {
            let settings = Settings::resolve(common).ok();
            terminal.data(&self.markdown(command, settings.as_ref().map(|settings| &*settings.owner)));
        }
        self.report(command, common.output, terminal)
    }

    /// It as a comment in a pull request.
    fn markdown(&self, command: &str, owner: Option<&str>) -> String {
        match self {
            Self::Findings(found) => markdown::findings::errors(command, owner, found),
            Self::Error(lines, help) => markdown::findings::error(command, owner, lines, help.as_deref()),
            Self::Usage(message, help) => {
                markdown::findings::error(command, owner, std::slice::from_ref(message), Some(help))
            }
            Self::Costed(failure, _) => failure.markdown(command, owner),
        }
    }

    /// Shows it, in the form asked for, and chooses the exit status.
    pub(super) fn report(&self, command: &str, output: Output, terminal: &Terminal) -> Exit {
        self.report_with(None, command, output, terminal)
    }

    fn report_with(&self, api: Option<&Value>, command: &str, output: Output, terminal: &Terminal) -> Exit {
        let (findings, error) = match self {
            Self::Costed(failure, api) => return failure.report_with(Some(api), command, output, terminal),
            Self::Findings(findings) => {
                show(terminal, findings);
                (render::diagnostic::diagnostics_json(findings), Value::Null)
            }
            Self::Error(lines, help) => {
                terminal.error(lines, help.as_deref());
                (json!([]), json!({"message": lines, "help": help}))
            }
            Self::Usage(message, help) => {
                terminal.error(std::slice::from_ref(message), Some(help));
                (json!([]), json!({"message": [message], "help": help}))
            }
        };
        let (n_errors, n_warnings) = match self {
            Self::Findings(findings) => findings.counts(),
            Self::Error(..) | Self::Usage(..) | Self::Costed(..) => (1, 0),
        };
        if output == Output::Json {
            let mut document = json!({
                "format_version": render::json::FORMAT_VERSION,
                "command": command,
                "summary": {"errors": n_errors, "warnings": n_warnings},
                "error": error,
                "diagnostics": findings,
            });
            if let Some(api) = api {
                document["api"] = api.clone();
            }
            terminal.data(&pretty(&document));
        }
        match self {
            Self::Findings(_) | Self::Error(..) | Self::Costed(..) => Exit::Failed,
            Self::Usage(..) => Exit::Usage,
        }
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        match error {
            SettingsError::Config(findings) => Self::Findings(findings),
            SettingsError::Message(message, help) => Self::Error(vec![message], Some(help)),
            SettingsError::Gateway(error) => Self::error(&error, error.help()),
        }
    }
}

/// A way to the live jobs.
pub(super) struct Session {
    /// The client.
    pub(super) client: Client,
    /// The gateway as people know it.
    pub(super) gateway: String,
    /// What tells this gateway's cache from that of others.
    pub(super) identity: String,
    /// The embedded simulator, kept alive as long as the session.
    simulator: Option<simulator::Running>,
}

impl Session {
    /// Opens the way; for `sim:` starts the simulator inside the process.
    pub(super) async fn open(
        settings: &Settings,
        planning: &PlanningArgs,
        terminal: &Terminal,
    ) -> Result<Self, Failure> {
        Self::log_in(settings, &planning.reading.connection, planning.reset, terminal).await
    }

    /// Opens the way and logs in; `reset` makes the simulator start afresh.
    pub(super) async fn log_in(
        settings: &Settings,
        connection: &ConnectionArgs,
        reset: bool,
        terminal: &Terminal,
    ) -> Result<Self, Failure> {
        let target = settings.target()?;
        let session = Self::connect(target, settings, connection, reset, terminal).await?;
        // First of all, so that a wrong address or password is told as what it is and not as a list that broke off.
        match session.client.log_in().await {
            Ok(()) => Ok(session),
            Err(error) => {
                let mut lines = vec![format!("could not log in to {}", session.gateway)];
                lines.extend(chain(&error));
                let failure = Failure::Error(lines, Some(format!("{}; nothing was changed", error.help())));
                session.end(terminal, 0, Err(failure)).await
            }
        }
    }

    /// Opens the way to a target without asking it anything yet; `reset` makes the simulator start afresh.
    pub(super) async fn connect(
        target: Target,
        settings: &Settings,
        connection: &ConnectionArgs,
        reset: bool,
        terminal: &Terminal,
    ) -> Result<Self, Failure> {
        let (gateway, credentials, shown, identity, running) = match target {
            Target::Simulator(path, text) => {
                let (url, credentials, running) = start_simulator(settings, &path, reset, terminal).await?;
                // Its port is another one each time.
                let path = std::fs::canonicalize(&path).unwrap_or(path);
                (url, credentials, text, format!("sim:{}", path.display()), Some(running))
            }
            Target::Gateway(_, _) if reset => {
                let help = "leave it out; it forgets what the simulator keeps between runs";
                return Err(Failure::Usage(
                    "--reset is for the embedded simulator".to_owned(),
                    help.to_owned(),
                ));
            }
            Target::Gateway(gateway, credentials) => {
                let (shown, identity) = (gateway.host(), gateway.url().to_string());
                (gateway, credentials, shown, identity, None)
            }
        };
        let seed = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| u64::from(since.subsec_nanos()));
        let mut client = api::Settings::documented(gateway, credentials, seed);
        client.ca_certificates = certificates(&connection.cacert)?;
        client.page_size = NonZeroU32::new(connection.page_size()).unwrap_or(client.page_size);
        client.concurrency = NonZeroUsize::new(connection.concurrency()).unwrap_or(client.concurrency);
        client.max_wait = connection.max_wait();
        client.request_timeout = connection.call_timeout();
        client.notices = notices(*terminal);
        let client = Client::new(client).map_err(|error| Failure::error(&error, error.help()))?;
        Ok(Self { client, gateway: shown, identity, simulator: running })
    }

    /// Ends the way: tells what the run cost, with what came of it where that is a failure, and ends the embedded
    /// simulator, so that its files are free again. `n_cached` jobs were remembered and not asked for.
    pub(super) async fn end<T>(
        self,
        terminal: &Terminal,
        n_cached: usize,
        done: Result<T, Failure>,
    ) -> Result<T, Failure> {
        let spent = self.stop().await;
        spent.tell(terminal, n_cached);
        done.map_err(|failure| Failure::Costed(Box::new(failure), spent.json(n_cached)))
    }

    /// Ends the embedded simulator, and returns what the run cost.
    pub(super) async fn stop(self) -> Spent {
        let spent = Spent::of(&self.client);
        if let Some(simulator) = self.simulator {
            simulator.stop().await;
        }
        spent
    }
}

async fn start_simulator(
    settings: &Settings,
    path: &std::path::Path,
    reset: bool,
    terminal: &Terminal,
) -> Result<(Gateway, Credentials, simulator::Running), Failure> {
    let failed = |error: &dyn std::error::Error, help: &str| Failure::error(error, help.to_owned());
    let tenant = Tenant::open(path, Some(&settings.state_dir), reset).map_err(|error| {
        let help = match error {
            simulator::SimulatorError::InUse { .. } => "wait for the other run, or give another --state-dir",
            _ => "`sim:` takes a folder of JSON files, each one a job or a list of jobs",
        };
        failed(&error, help)
    })?;
    if tenant.seed_changed() {
        terminal.note(&format!(
            "the files of {} changed since the simulator first read them; --reset starts afresh from them",
            settings.shown(path)
        ));
    }
    let login = simulator::Credentials::random();
    let behaviour = Behaviour { users: vec![login.clone()], ..Behaviour::default() };
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let running = Simulator::start(tenant, behaviour, listen)
        .await
        .map_err(|error| failed(&error, "the simulator listens on a free port of the loopback address"))?;
    let gateway = Gateway::parse(&running.url()).map_err(|error| failed(&error, "please report this"))?;
    let credentials = Credentials::User { name: login.user, password: login.password.into() };
    Ok((gateway, credentials, running))
}

fn certificates(paths: &[PathBuf]) -> Result<Vec<CaFile>, Failure> {
    let read = |path: &PathBuf| {
        let named = |pem| CaFile { name: path.display().to_string(), pem };
        std::fs::read(path).map(named).map_err(|error| {
            let message = format!("could not read the certificates in `{}`", path.display());
            Failure::Error(vec![message, error.to_string()], Some("--cacert takes a PEM file".to_owned()))
        })
    };
    paths.iter().map(read).collect()
}
