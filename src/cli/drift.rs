#![expect(
    clippy::disallowed_methods,
    reason = "keeps what was seen in a file, and tells times by the clock and in the reader's zone"
)]

//! `patchctl drift`: shows who changed what in the live jobs; is never given a way to write.

use std::io;
use std::path::{Path, PathBuf};

use super::args::{Arguments, Output, PlanningArgs};
use super::cost;
use super::drift_args::DriftArgs;
use super::planning::{Made, Request};
use super::session::{Failure, Session};
use super::settings::Settings;
use super::why::Question;
use super::{Exit, again, pretty, record};
use crate::api::ReadApi;
use crate::drift::seen::{Problem, Seen, Whose};
use crate::drift::{self, DeclaredScript, EditedScripts, Facts, Report};
use crate::elements;
use crate::files::{self, Readers};
use crate::fingerprint;
use crate::inventory::Inventory;
use crate::plan::{self, Action};
use crate::render;
use crate::render::when::Now;
use crate::script;
use crate::snapshot::{Edit, ListRow};
use crate::terminal::Terminal;

/// Compares, shows what drifted, and remembers what it saw.
pub(super) async fn run(arguments: &Arguments, args: &DriftArgs, terminal: &Terminal) -> Exit {
    match check(arguments, args, terminal).await {
        Ok(true) => Exit::Differences,
        Ok(false) => Exit::Done,
        Err(failure) => failure.report_to("drift", &arguments.common, terminal),
    }
}

/// Says whether there is drift.
async fn check(arguments: &Arguments, args: &DriftArgs, terminal: &Terminal) -> Result<bool, Failure> {
    let settings = Settings::resolve(&arguments.common)?;
    let record = record::load(&settings)?;
    let planning = args.planning();
    let request = Request {
        findings_stop: false,
        shows_ignored: args.show_ignored,
        ..Request::new(&settings, &arguments.common, &planning, terminal, record.as_ref())
    };
    let inventory = request.take_inventory()?;
    let question = Question::read(args.why.as_deref(), &arguments.common, &inventory)?;
    let request = question.as_ref().map_or(request, |question| question.narrow(request));
    let session = Session::open(&settings, &planning, terminal).await?;
    let made = make_plan(request, &inventory, &session).await;
    let n_cached = made.as_ref().map_or(0, |made| made.n_cached);
    let found = made.and_then(|made| {
        if let Some(question) = &question {
            // Whatever the answer is: a question is no check.
            return question.tell("drift", &made, &session, terminal).map(|()| false);
        }
        let run = Run { request, args, planning: &planning, inventory: &inventory, session: &session };
        run.report(&made, arguments, terminal)
    });
    session.end(terminal, n_cached, found).await
}

/// The plan, made through what can only read.
async fn make_plan(request: Request<'_>, inventory: &Inventory, session: &Session) -> Result<Made, Failure> {
    let known = || session.client.simulator_updates();
    request.make_plan(inventory, &session.client, known, &session.identity).await
}

/// One run, and what it looks at.
struct Run<'a> {
    request: Request<'a>,
    args: &'a DriftArgs,
    planning: &'a PlanningArgs,
    inventory: &'a Inventory,
    session: &'a Session,
}

impl Run<'_> {
    /// Makes the report and shows it; says whether there is drift.
    fn report(&self, made: &Made, arguments: &Arguments, terminal: &Terminal) -> Result<bool, Failure> {
        let now = jiff::Timestamp::now().as_millisecond();
        let edited_scripts = self.edited_scripts(made)?;
        let facts = Facts {
            bindings: &made.bindings,
            rows: &made.rows,
            others: &made.others,
            api_users: &made.api_users,
            edited_scripts: &edited_scripts,
        };
        let mut report = drift::report(&made.plan, facts, self.args.include_pending);
        let memory = self.memory(made);
        let before = memory.as_ref().map_or_else(
            || Ok(Seen::nothing(self.whose(made))),
            |memory| memory.read(&self.whose(made), terminal),
        )?;
        // Of a manifest that is gone, a run over all of them knows that nothing differs any more.
        let is_whole = self.request.common.only.is_empty();
        let is_looked_at = |key: &str| is_whole || made.bindings.contains_key(key);
        let seen = before.compare(&mut report, self.whose(made), now, is_looked_at);
        if self.args.new_only {
            report.keep_new();
        }
        self.show(&report, made, now, arguments, terminal)?;
        // What nobody could read was not told.
        if Terminal::lost_output().is_none()
            && let Some(memory) = memory
            && let Err(error) = memory.write(&seen)
        {
            terminal.note(&format!(
                "what this run saw could not be kept in `{}`, so the next one will call it new again: {error}",
                memory.path.display()
            ));
        }
        Ok(!report.drifted.is_empty())
    }

    fn show(
        &self,
        report: &Report<'_>,
        made: &Made,
        now: i64,
        arguments: &Arguments,
        terminal: &Terminal,
    ) -> Result<(), Failure> {
        let oldest_read = if made.n_cached > 0 { made.details.oldest_read() } else { None };
        let client = &self.session.client;
        let zone = jiff::tz::TimeZone::try_system().unwrap_or(jiff::tz::TimeZone::UTC);
        let reader = Now { at: now, zone };
        match arguments.common.output {
            Output::Human => {
                // Cron sends a mail for every word.
                if self.args.new_only && report.drifted.is_empty() && report.resolved.is_empty() {
                    return Ok(());
                }
                let context = render::drift::Context {
                    gateway: &self.session.gateway,
                    calls: &client.calls().to_string(),
                    now: &reader,
                    tag_names: &made.plan.tag_names,
                    oldest_read,
                    lists_unmanaged: self.args.unmanaged,
                    only_new: self.args.new_only,
                    shows_ignored: self.args.show_ignored && !made.plan.ignored.is_empty(),
                    flags: &again::flags(self.request.common),
                };
                if self.args.show_scripts {
                    let texts = self.request.script_texts(made)?;
                    terminal.data(&render::scripts::scripts(&texts, &terminal.layout()));
                }
                if self.args.show_ignored {
                    terminal.data(&render::ignored::ignored(&made.plan.ignored, &terminal.layout()));
                }
                terminal.data(&render::drift::drift(report, context, &terminal.layout()));
            }
            Output::Markdown => {
                if self.args.show_ignored {
                    terminal.note(render::ignored::NOT_IN_MARKDOWN);
                }
                let context = render::markdown::drift::Context {
                    owner: &self.request.settings.owner,
                    gateway: &self.session.gateway,
                    now: &reader,
                    tag_names: &made.plan.tag_names,
                    lists_unmanaged: self.args.unmanaged,
                };
                terminal.data(&render::markdown::drift::drift(report, context));
            }
            Output::Json => {
                let context = render::drift_json::Context {
                    api: cost::json(client, made.n_cached),
                    now,
                    oldest_read,
                    lists_unmanaged: self.args.unmanaged,
                };
                let mut json = render::drift_json::drift(report, &made.plan, context);
                if self.args.show_ignored {
                    json["ignored"] = render::ignored::json(&made.plan.ignored);
                }
                terminal.data(&pretty(&json));
            }
        }
        Ok(())
    }

    /// The jobs with scripts that somebody else edited since they were sent: by the rows of the lists, and by what was
    /// remembered before writes of ours, so it costs no call.
    fn edited_scripts(&self, made: &Made) -> Result<Vec<EditedScripts>, Failure> {
        let settings = self.request.settings;
        let shown = |path: &Path| settings.shown(path);
        let mut found = Vec::new();
        let mut n_scripts = 0;
        for summary in self.inventory.summaries.iter().filter(|summary| summary.has_scripts) {
            let Some(id) = made.bindings.get(&summary.key).and_then(|binding| binding.id()) else { continue };
            let Some(row) = row_of(&made.rows, id) else { continue };
            n_scripts += 1;
            let last = row.last_edit();
            let is_before_ours = last.by_others(&made.api_users).is_none();
            let edited = if is_before_ours {
                let doubt = made.ledger.script_doubt(&summary.key).filter(|doubt| doubt.id == id);
                doubt.map(|doubt| Edit { user_id: None, user: doubt.user.clone(), at: doubt.at })
            } else {
                Some(last)
            };
            let is_compared = !made.plan.changes.iter().any(|change| {
                change.key == summary.key && change.action == Action::Blocked && change.fields.is_empty()
            });
            let Some(edited) = edited.filter(|_| is_compared) else { continue };
            let (manifest, _) =
                self.inventory.manifest(summary, self.request.sources(&shown)).map_err(Failure::Findings)?;
            // A rule that leaves actions alone leaves their scripts alone.
            let manifest = plan::managed(&settings.ignore, &manifest);
            let scripts = script::all_declared(&manifest.spec);
            if scripts.is_empty() {
                continue;
            }
            let scripts = scripts.into_iter().map(|(path, value)| DeclaredScript {
                label: label_of(&manifest.spec, &path),
                value: value.clone(),
                place: manifest.declared_at(&path).map(|(key, _)| key),
                path,
            });
            found.push(EditedScripts {
                key: summary.key.clone(),
                id: row.id.clone(),
                name: row.name.clone(),
                platform: row.platform.or_else(|| manifest.platform()),
                place: manifest.place(),
                edited,
                is_before_ours,
                scripts: scripts.collect(),
            });
        }
        if !made.api_users.are_known() && n_scripts > 0 {
            self.request.terminal.note(
                "whether somebody else edited jobs with scripts can not be told with a token: it does not say which \
                 user we write as",
            );
        }
        Ok(found)
    }

    fn whose(&self, made: &Made) -> Whose {
        Whose {
            gateway: self.session.identity.clone(),
            owner: self.request.settings.owner.clone(),
            customer: made.subscription.clone(),
        }
    }

    /// Where what was seen is kept; nowhere with `--no-cache` alone.
    fn memory(&self, made: &Made) -> Option<Memory> {
        if let Some(path) = &self.args.since {
            return Some(Memory { path: path.clone(), is_named: true, is_reset: false });
        }
        let Whose { gateway, owner, .. } = self.whose(made);
        let name = fingerprint::short(&serde_json::json!([gateway, owner]));
        let path = self.request.settings.state_dir.join("cache").join(format!("drift-{name}.json"));
        let memory = Memory { path, is_named: false, is_reset: self.planning.reset };
        (!self.planning.reading.no_cache).then_some(memory)
    }
}

fn row_of<'r>(rows: &'r [ListRow], id: &str) -> Option<&'r ListRow> {
    rows.binary_search_by(|row| row.id.as_str().cmp(id)).ok().map(|at| &rows[at])
}

/// What people call the action that a script belongs to.
fn label_of(spec: &serde_json::Map<String, serde_json::Value>, path: &str) -> String {
    let mut parts = path.split('/').skip(1);
    let (Some(list), Some(Ok(at))) = (parts.next(), parts.next().map(str::parse::<usize>)) else {
        return String::new();
    };
    spec.get(list)
        .and_then(|list| list.get(at))
        .map_or_else(String::new, |element| elements::label(element, at))
}

/// The file in which it is kept what was seen.
struct Memory {
    path: PathBuf,
    /// Whether a person named it, and so may have named another file than was meant.
    is_named: bool,
    /// Whether the jobs are others than before, because the simulator starts afresh.
    is_reset: bool,
}

impl Memory {
    /// What earlier runs saw. A file that is not there is the first run.
    fn read(&self, whose: &Whose, terminal: &Terminal) -> Result<Seen, Failure> {
        let nothing = || Seen::nothing(whose.clone());
        if self.is_reset {
            return Ok(nothing());
        }
        let shown = self.path.display();
        let refuse = |message: String, help: &str| Err(Failure::Error(vec![message], Some(help.to_owned())));
        let text = match std::fs::read(&self.path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(nothing()),
            Err(error) if self.is_named => {
                return refuse(
                    format!("--since `{shown}` can not be read: {error}"),
                    "name a file that this run may read and write; nothing was kept",
                );
            }
            Err(_) => return Ok(nothing()),
        };
        match (Seen::parse(&text, whose), self.is_named) {
            (Ok(seen), _) => Ok(seen),
            (Err(Problem::Damaged), _) => {
                terminal.note(&format!(
                    "`{shown}` is damaged or of another version, so everything is called new; it is written afresh"
                ));
                Ok(nothing())
            }
            (Err(Problem::NotOurs), true) => refuse(
                format!("--since `{shown}` is no file of `patchctl drift`"),
                "name another file; a missing one is begun. This one was left as it is",
            ),
            (Err(Problem::Other(other)), true) => refuse(
                format!(
                    "--since `{shown}` is about {} of the owner `{}`, and this run is about {} of `{}`",
                    other.gateway, other.owner, whose.gateway, whose.owner
                ),
                "keep one file for each gateway, owner and subscription. This one was left as it is",
            ),
            (Err(Problem::NotOurs | Problem::Other(_)), false) => Ok(nothing()),
        }
    }

    /// Writes the file whole or not at all, for its owner's eyes only.
    fn write(&self, seen: &Seen) -> io::Result<()> {
        if !self.is_named {
            std::fs::create_dir_all(self.path.parent().unwrap_or(Path::new(".")))?;
        }
        let text = seen.text();
        if std::fs::read(&self.path).is_ok_and(|former| former == text.as_bytes()) {
            return Ok(());
        }
        files::put(&self.path, text.as_bytes(), Readers::Owner)
    }
}
