#![expect(clippy::disallowed_methods, reason = "the age of what is remembered needs the time")]

//! `patchctl doctor`: looks at everything that a run needs, in the order in which a run needs it.
//!
//! It asks the gateway for as little as possible (the version without a login, a token, and one to three pages of a
//! list), writes nothing to it, and says what it cost. A check that depends on a failed one is not done and says so.
//! How updates work needs a job of its own to be told, so that is looked at, and written, only with `--probe-updates`.

mod judge;
#[cfg(test)]
mod judge_tests;
mod probe;

use std::collections::BTreeSet;

use secrecy::SecretString;
use serde_json::Value;

use self::judge::Login;
use super::args::{Arguments, Common, ConnectionArgs, DoctorArgs, Output};
use super::cost::Spent;
use super::planning::load_manifests;
use super::session::{Failure, Session};
use super::settings::{Place, Settings, Target};
use super::{Exit, pretty, probing};
use crate::api::{Credentials, ListProbe, in_words};
use crate::details::{CacheUse, Details};
use crate::job::Platform;
use crate::render;
use crate::render::doctor::{self, Check, Origin, Report, Setting, Status};
use crate::render::probe::Done;
use crate::render::text::count;
use crate::snapshot::ListRow;
use crate::terminal::Terminal;

/// Looks at everything and shows it.
pub(super) async fn run(arguments: &Arguments, args: &DoctorArgs, terminal: &Terminal) -> Exit {
    let mut report = Report::default();
    let mut probed = Done::default();
    let spent = examine(arguments, args, terminal, &mut report, &mut probed).await;
    match arguments.common.output {
        Output::Human => terminal.data(&doctor::text(&report, &spent.calls.to_string(), &terminal.layout())),
        Output::Json => {
            let mut json = doctor::json(&report, spent.json(0));
            render::probe::add_done(&mut json, None, &probed, probe::envelope(&probed));
            terminal.data(&pretty(&json));
        }
        // Refused before (`cli::run`).
        Output::Markdown => {}
    }
    spent.tell(terminal, 0);
    if report.count(Status::Failed) > 0 { Exit::Failed } else { Exit::Done }
}

/// The checks that need the network, in their order.
const ONLINE: [&str; 9] = [
    "network",
    "credentials",
    "permission",
    "list",
    "subscription",
    "clock",
    "throttling",
    "updates",
    "cache",
];

/// Fills the report; returns what it cost.
async fn examine(
    arguments: &Arguments,
    args: &DoctorArgs,
    terminal: &Terminal,
    report: &mut Report,
    probed: &mut Done,
) -> Spent {
    let common = &arguments.common;
    let settings = match Settings::resolve(common) {
        Ok(settings) => settings,
        Err(error) => {
            report.checks.push(failed("configuration", &error.into()));
            skip(report, &["manifests"], "configuration");
            skip(report, &ONLINE, "configuration");
            return Spent::default();
        }
    };
    report.settings = settings.described();
    report.settings.extend(described(&args.connection));
    let place = settings.place().map_err(Failure::from);
    report.checks.push(match &place {
        Ok(Place::Simulator(_, text)) => Check::ok("configuration", format!("`{text}`")),
        Ok(Place::Gateway(gateway)) => Check::ok("configuration", format!("`{gateway}`")),
        Err(failure) => failed("configuration", failure),
    });
    let platform = manifests(&settings, common, report);
    let Ok(place) = place else {
        skip(report, &ONLINE, "configuration");
        return Spent::default();
    };
    examine_gateway(&place, &settings, platform, args, terminal, (report, probed)).await
}

/// The settings that only flags give.
fn described(connection: &ConnectionArgs) -> Vec<Setting> {
    let ConnectionArgs { cacert, page_size, concurrency, max_wait, call_timeout } = connection;
    let flag = |is_given: bool| if is_given { Origin::Flag } else { Origin::Default };
    let mut settings = vec![
        Setting::new("page_size", connection.page_size().to_string(), flag(page_size.is_some())),
        Setting::new("concurrency", connection.concurrency().to_string(), flag(concurrency.is_some())),
        Setting::new("max_wait", in_words(connection.max_wait()), flag(max_wait.is_some())),
        Setting::new("call_timeout", in_words(connection.call_timeout()), flag(call_timeout.is_some())),
    ];
    settings
        .extend(cacert.iter().map(|path| Setting::new("cacert", path.display().to_string(), Origin::Flag)));
    settings
}

/// Reads the manifests; returns a platform that is in use.
fn manifests(settings: &Settings, common: &Common, report: &mut Report) -> Platform {
    const NAME: &str = "manifests";
    match load_manifests(settings, common) {
        Err(failure) => {
            report.checks.push(failed(NAME, &failure));
            Platform::Windows
        }
        Ok((set, warnings)) => {
            let message =
                format!("{} in {}", count(set.manifests.len(), "manifest"), settings.shown(&settings.jobs));
            report.checks.push(match warnings.counts().1 {
                0 => Check::ok(NAME, message),
                n => Check::warning(
                    NAME,
                    format!("{message}, with {}", count(n, "warning")),
                    "`patchctl validate` shows them",
                ),
            });
            set.manifests.iter().find_map(|manifest| manifest.platform()).unwrap_or(Platform::Windows)
        }
    }
}

/// The checks that need the network.
async fn examine_gateway(
    place: &Place,
    settings: &Settings,
    platform: Platform,
    args: &DoctorArgs,
    terminal: &Terminal,
    (report, probed): (&mut Report, &mut Done),
) -> Spent {
    let (target, no_login) = match (settings.target(), place) {
        (Ok(target), _) => (target, None),
        (Err(error), Place::Gateway(gateway)) => {
            // Whether the gateway is there can be seen without a login; nothing else is asked then.
            let nobody = Credentials::Token(SecretString::from(String::new()));
            (Target::Gateway(gateway.clone(), nobody), Some(Failure::from(error)))
        }
        (Err(error), Place::Simulator(..)) => {
            report.checks.push(failed("network", &error.into()));
            skip(report, &ONLINE[1..], "network");
            return Spent::default();
        }
    };
    let login = match &target {
        Target::Simulator(..) => Login::Simulator,
        Target::Gateway(_, Credentials::User { name, .. }) => Login::User(name.clone()),
        Target::Gateway(_, Credentials::Token(_)) => Login::GivenToken,
    };
    let session = match Session::connect(target, settings, &args.connection, false, terminal).await {
        Ok(session) => session,
        Err(failure) => {
            report.checks.push(failed("network", &failure));
            skip(report, &ONLINE[1..], "network");
            return Spent::default();
        }
    };
    let asking = Asking { session: &session, settings, platform, login: &login, args, terminal };
    *probed = ask(asking, no_login, report).await;
    if let Place::Simulator(_, text) = place {
        let message = format!("`{text}` is the embedded simulator: no call leaves this machine");
        report.checks.push(Check::ok("simulator", message));
    }
    session.stop().await
}

/// What the gateway is asked with.
#[derive(Clone, Copy)]
struct Asking<'a> {
    session: &'a Session,
    settings: &'a Settings,
    platform: Platform,
    login: &'a Login,
    args: &'a DoctorArgs,
    terminal: &'a Terminal,
}

/// Asks the gateway and judges its answers.
async fn ask(asking: Asking<'_>, no_login: Option<Failure>, report: &mut Report) -> Done {
    let Asking { session, settings, platform, login, args, terminal } = asking;
    let mut probed = Done::default();
    let client = &session.client;
    let gateway = client.gateway();
    let probe = client.probe().await;
    report.checks.push(judge::network(&gateway.host(), gateway.url().scheme() == "https", &probe));
    if probe.is_err() {
        skip(report, &ONLINE[1..], "network");
        return probed;
    }
    let mut listed = None;
    match &no_login {
        Some(failure) => {
            report.checks.push(failed("credentials", failure));
            skip(report, &["permission", "list"], "credentials");
        }
        None => {
            let logged_in = client.log_in().await;
            if logged_in.is_ok() {
                listed = Some(client.probe_list(platform.as_str()).await);
            }
            report.checks.extend(judge::access(login, &logged_in, platform.as_str(), listed.as_ref()));
        }
    }
    let customers = listed.as_ref().and_then(|listed| listed.as_ref().ok()).map(customers);
    match &customers {
        Some(customers) => {
            report.checks.push(judge::subscription(customers, settings.customer_id.as_deref()));
        }
        None => skip(report, &["subscription"], "list"),
    }
    report.checks.push(judge::clock(client.clock_ahead()));
    report.checks.push(judge::throttling(client.limits_seen(), client.traffic()));
    let is_ours =
        report.checks.iter().all(|check| check.status != Status::Failed || check.name == "manifests");
    match &listed {
        // Nothing is made in a subscription that is not the configured one.
        Some(Ok(_)) if args.probe_updates && is_ours => {
            let (check, done) = probe::probe_updates(session, settings, platform, args, terminal).await;
            report.checks.push(check);
            probed = done;
        }
        Some(Ok(_)) if args.probe_updates => skip(report, &["updates"], "subscription"),
        Some(Err(_)) if args.probe_updates => skip(report, &["updates"], "list"),
        Some(listed) => report.checks.push(updates(session, settings, listed.as_ref().ok(), terminal)),
        None => skip(report, &["updates"], "credentials"),
    }
    match &customers {
        Some(customers) => report.checks.push(cache(session, settings, customers)),
        None => skip(report, &["cache"], "list"),
    }
    probed
}

/// What is known of updates, and whether the beginning of the list shows a scratch job that a probe left behind.
fn updates(session: &Session, settings: &Settings, listed: Option<&ListProbe>, terminal: &Terminal) -> Check {
    let probes = probing::open(settings, &session.identity, false, terminal);
    let announced = session.client.simulator_updates();
    let known = announced.or_else(|| probes.known());
    let told_on = probes.learned_on().filter(|_| announced.is_none());
    let rows = listed.map(|listed| listed.rows.as_slice()).unwrap_or_default();
    let mut rows = rows.iter().filter_map(ListRow::read).collect();
    let leftovers = crate::probe::take_leftovers(&mut rows, &settings.owner);
    judge::left_over(judge::updates(settings.updates, known, told_on), &leftovers)
}

/// The subscriptions that the rows name.
fn customers(probe: &ListProbe) -> BTreeSet<String> {
    let ids = probe.rows.iter().filter_map(|row| row.get("customerId").and_then(Value::as_str));
    ids.map(str::to_ascii_lowercase).collect()
}

/// Looks at the cache that a plan of this gateway and subscription would use.
fn cache(session: &Session, settings: &Settings, customers: &BTreeSet<String>) -> Check {
    let customer = customers.iter().cloned().collect::<Vec<_>>().join(",");
    let folder = settings.state_dir.join("cache");
    let now = jiff::Timestamp::now().as_millisecond();
    let details = Details::open(&folder, &session.identity, &customer, CacheUse::Full, now);
    let summary = details.summary();
    let shown = summary.path.as_deref().map(|path| settings.shown(path)).unwrap_or_default();
    judge::cache(&summary, &shown, details.note.as_deref())
}

fn skip(report: &mut Report, names: &[&'static str], because_of: &str) {
    report.checks.extend(names.iter().map(|name| Check::not_checked(name, because_of)));
}

/// A failure as a check.
fn failed(name: &'static str, failure: &Failure) -> Check {
    match failure {
        Failure::Findings(findings) => {
            let n_errors = findings.counts().0;
            let first =
                findings.iter().find(|finding| finding.severity == crate::diagnostic::Severity::Error);
            let (mut message, mut help) = (String::new(), None);
            if let Some(first) = first {
                let place = first.place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
                message = format!("{place}{}", first.message);
                help = first.help.first().cloned();
            }
            if n_errors > 1 {
                message.push_str(&format!(" (and {} more)", count(n_errors - 1, "error")));
                help = None;
            }
            Check::failed(
                name,
                message,
                help.unwrap_or_else(|| "`patchctl validate` shows all that is wrong".to_owned()),
            )
        }
        Failure::Error(lines, help) => {
            let help = help.clone().unwrap_or_else(|| "the message says why".to_owned());
            Check::failed(name, lines.join(": "), help)
        }
        Failure::Usage(message, help) => Check::failed(name, message.clone(), help.clone()),
        Failure::Costed(failure, _) => failed(name, failure),
    }
}
