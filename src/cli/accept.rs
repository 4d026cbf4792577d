//! `patchctl accept`: what was changed in the console into the manifests; is never given a way to write to the API.
//!
//! A file is written whole and at once, with its permissions, if it is still what was read; or left as it is with the
//! reason. What is put where is the business of `accept` in the core.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use globset::{Glob, GlobMatcher};

use super::args::{AcceptArgs, Arguments, Output, PlanningArgs};
use super::cost;
use super::planning::{Made, Request, spill_failed};
use super::session::{Failure, Session};
use super::settings::Settings;
use super::write_ids::MARK;
use super::{Exit, pretty, record, show};
use crate::accept::{self, Context, Job, Target, TargetError, Wish};
use crate::api::ReadApi;
use crate::diagnostic::Diagnostic;
use crate::diff::FieldChange;
use crate::files;
use crate::import::Known;
use crate::inventory::Inventory;
use crate::job::nearest;
use crate::load::{self, RepositoryScripts};
use crate::manifest;
use crate::plan::{Action, Change, Field, Origin};
use crate::render;
use crate::render::accept::{File, Member, Report};
use crate::render::text::{count, dotted};
use crate::snapshot::LiveJob;
use crate::terminal::Terminal;
use crate::yaml;

impl AcceptArgs {
    /// Everything that could let an apply do more is off: nothing is applied here.
    fn planning(&self) -> PlanningArgs {
        PlanningArgs {
            updates: None,
            no_probe: true,
            set_scripts: Vec::new(),
            allow_script_loss: Vec::new(),
            overrides: Vec::new(),
            base: self.base.clone(),
            allow_create: Vec::new(),
            allow_run_once: Vec::new(),
            prune: None,
            max_deletes: None,
            reset: self.reset,
            reading: self.reading.clone(),
        }
    }
}

/// Accepts and says what was written.
pub(super) async fn run(arguments: &Arguments, args: &AcceptArgs, terminal: &Terminal) -> Exit {
    match accept(arguments, args, terminal).await {
        Ok(exit) => exit,
        Err(failure) => failure.report("accept", arguments.common.output, terminal),
    }
}

async fn accept(arguments: &Arguments, args: &AcceptArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    // Refused before anything is read: a pipeline that forgot the flag learns it at once.
    if !args.auto_approve && !args.dry_run && !Terminal::can_ask() {
        let message = "accept asks before it writes, and there is no terminal".to_owned();
        let help = "give --auto-approve where nobody is there to answer, or --dry-run to see the change";
        return Err(Failure::Usage(message, help.to_owned()));
    }
    let asked = Asked::of(&args.targets)?;
    let common = &arguments.common;
    let settings = Settings::resolve(common)?;
    let record = record::load(&settings)?;
    let planning = args.planning();
    let request = Request {
        // What a console edit broke is no reason not to take it into Git: the manifest is judged when it is planned.
        findings_stop: false,
        // To tell somebody who asks for such a member why there is nothing to accept.
        shows_ignored: !args.targets.is_empty(),
        ..Request::new(&settings, common, &planning, terminal, record.as_ref())
    };
    let inventory = request.take_inventory()?;
    asked.check_keys(&inventory)?;
    let session = Session::open(&settings, &planning, terminal).await?;
    let known = || session.client.simulator_updates();
    let made = request.make_plan(&inventory, &session.client, known, &session.identity).await;
    let n_cached = made.as_ref().map_or(0, |made| made.n_cached);
    let exit = match made {
        Ok(mut made) => {
            let run =
                Run { asked: &asked, args, arguments, settings: &settings, terminal, inventory: &inventory };
            run.finish(&mut made, &session)
        }
        Err(failure) => Err(failure),
    };
    session.end(terminal, n_cached, exit).await
}

/// What was asked for.
struct Asked(Vec<(Target, GlobMatcher)>);

impl Asked {
    fn of(targets: &[String]) -> Result<Self, Failure> {
        let read = |text: &String| {
            let target = Target::parse(text).map_err(|error| {
                let help = match &error {
                    TargetError::NoMember { near: Some(near), .. } => format!("did you mean `{near}`?"),
                    TargetError::NoMember { .. } => {
                        "`patchctl schema --members` lists all members".to_owned()
                    }
                    TargetError::NoKey(_) => "write KEY, or KEY/member".to_owned(),
                };
                Failure::Usage(error.to_string(), help)
            })?;
            let glob = Glob::new(&target.key).map_err(|error| {
                Failure::Usage(format!("`{}` is no pattern: {error}", target.key), "use * and ?".to_owned())
            })?;
            Ok((target, glob.compile_matcher()))
        };
        targets.iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// A key that no manifest has is never "nothing to accept".
    fn check_keys(&self, inventory: &Inventory) -> Result<(), Failure> {
        let keys = || inventory.summaries.iter().map(|summary| summary.key.as_str());
        for (target, glob) in &self.0 {
            if !keys().any(|key| glob.is_match(key)) {
                let help = match nearest(&target.key, keys()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!(
                        "there are {}; `patchctl validate -v` lists their keys",
                        count(inventory.summaries.len(), "manifest")
                    ),
                };
                return Err(Failure::Error(
                    vec![format!("no manifest has the key `{}`", target.key)],
                    Some(help),
                ));
            }
        }
        Ok(())
    }

    fn of_key(&self, key: &str) -> impl Iterator<Item = &Target> {
        self.0.iter().filter(move |(_, glob)| glob.is_match(key)).map(|(target, _)| target)
    }

    fn wish(&self, key: &str, field: &Field) -> Wish {
        accept::wish(field.origin, &field.path, self.0.is_empty(), self.of_key(key))
    }
}

/// One manifest with all that its steps would change.
struct Manifest<'p> {
    key: &'p str,
    live: LiveJob,
    fields: Vec<(&'p Field, bool)>,
}

/// What one run works with.
#[derive(Clone, Copy)]
struct Run<'a> {
    asked: &'a Asked,
    args: &'a AcceptArgs,
    arguments: &'a Arguments,
    settings: &'a Settings,
    terminal: &'a Terminal,
    inventory: &'a Inventory,
}

impl Run<'_> {
    /// From the plan to files that are written.
    fn finish(&self, made: &mut Made, session: &Session) -> Result<Exit, Failure> {
        let mut report = Report { dry_run: self.args.dry_run, ..Report::default() };
        let mut read: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        self.decide(made, &mut report, &mut read)?;
        let is_json = self.arguments.common.output == Output::Json;
        let layout = self.terminal.layout();
        let text = render::accept::text(&report, &layout);
        let findings = report.findings();
        if !is_json {
            self.terminal.data(&text);
        } else if !self.args.auto_approve && !self.args.dry_run {
            // The question needs the change beside it, and stdout is for the one JSON document.
            self.terminal.say(&text);
        }
        if !findings.is_empty() {
            show(self.terminal, &findings);
        }
        let is_to_write = !report.files.is_empty() && !self.args.dry_run;
        if is_to_write && !self.args.auto_approve {
            self.approve(&report)?;
        }
        if is_to_write {
            for file in &mut report.files {
                self.write(file, &read);
            }
        }
        for file in &report.files {
            if let Some(error) = &file.error {
                let message = format!("`{}` was not written: {error}", file.path);
                self.terminal.error(&[message], Some("it is as it was; run it again"));
            }
        }
        if is_json {
            let api = cost::json(&session.client, made.n_cached);
            self.terminal.data(&pretty(&render::accept::json(&report, api)));
        } else {
            let next = self.next(&report, made);
            let calls = session.client.calls().to_string();
            self.terminal.data(&render::accept::summary(&report, &calls, next.as_deref(), &layout));
        }
        let has_failed = !report.refused.is_empty() || report.files.iter().any(|file| file.error.is_some());
        Ok(if has_failed { Exit::Failed } else { Exit::Done })
    }

    /// What is accepted, refused and left, and the texts of the files.
    fn decide(
        &self,
        made: &mut Made,
        report: &mut Report,
        read: &mut BTreeMap<String, Vec<u8>>,
    ) -> Result<(), Failure> {
        let keys: BTreeMap<String, String> =
            made.bound.iter().map(|(key, id)| (id.to_ascii_lowercase(), key.clone())).collect();
        let mut by_file: BTreeMap<String, Vec<Manifest<'_>>> = BTreeMap::new();
        let mut by_key: BTreeMap<&str, Vec<&Change>> = BTreeMap::new();
        for change in &made.plan.changes {
            by_key.entry(&change.key).or_default().push(change);
        }
        let mut members: BTreeMap<(String, String), Member> = BTreeMap::new();
        let mut parents: Vec<LiveJob> = Vec::new();
        for (key, changes) in by_key {
            let id = changes.iter().find_map(|change| change.id.as_deref());
            let live = match id.filter(|_| changes.iter().all(|change| change.action != Action::Create)) {
                Some(id) => made.details.job(id).map_err(|error| spill_failed(&error))?,
                None => None,
            };
            let (Some(id), Some(live)) = (id, live) else {
                self.without_job(key, &changes, report);
                continue;
            };
            let mut fields = Vec::new();
            for change in &changes {
                for field in &change.fields {
                    let member = member(change, id, field);
                    let wish = self.asked.wish(key, field);
                    fields.push((field, wish == Wish::Take));
                    match wish {
                        Wish::Take => drop(members.insert((key.to_owned(), field.path.clone()), member)),
                        Wish::Refuse => {
                            let finding = of_git(field);
                            report.refused.push((Some(member), finding));
                        }
                        Wish::Leave => {
                            let why = self.why_left(key, field);
                            report.left.push((member, why));
                        }
                    }
                }
            }
            if fields.is_empty() {
                self.without_job(key, &changes, report);
            }
            if fields.iter().any(|(_, is_taken)| *is_taken)
                && let Some((_, shown)) = self.inventory.file_of(key)
            {
                if let Some(parent) = live.raw.get("linkedJobId").and_then(serde_json::Value::as_str) {
                    // Only where it is remembered: its actions are named by it.
                    parents.extend(made.details.job(parent).ok().flatten());
                }
                by_file.entry(shown.to_owned()).or_default().push(Manifest { key, live, fields });
            }
        }
        self.tell_ignored(made);
        let mut known = Known { tags: self.settings.tags.clone(), keys, ..Known::default() };
        parents.iter().for_each(|job| known.learn_actions(job));
        by_file.values().flatten().for_each(|manifest| known.learn_actions(&manifest.live));
        for (shown, manifests) in by_file {
            self.edit(&shown, &manifests, &known, members_of(&mut members, &manifests), report, read)?;
        }
        Ok(())
    }

    /// Nothing is accepted of what a rule leaves alone, which is told to whoever asked for just that.
    fn tell_ignored(&self, made: &Made) {
        for ignored in &made.plan.ignored {
            let is_asked = self.asked.of_key(&ignored.key).any(|target| target.is_about(&ignored.path));
            if is_asked {
                self.terminal.note(&format!(
                    "`{}/{}` is left alone by the rule at {}, so nothing of it is accepted",
                    ignored.key,
                    dotted(&ignored.path),
                    ignored.rule
                ));
            }
        }
    }

    /// A manifest without a live job, or whose job is not to be touched, has nothing to be accepted.
    fn without_job(&self, key: &str, changes: &[&Change], report: &mut Report) {
        let is_asked = self.asked.of_key(key).any(Target::is_exact);
        if let Some(change) = changes.first().filter(|_| is_asked) {
            let reason = match change.action {
                Action::Create => "it has no live job yet",
                _ => change.reason.as_str(),
            };
            let message = format!("there is nothing to accept for `{key}`: {reason}");
            let finding = Diagnostic::error("accept-nothing-live", message).at(change.place.clone(), "");
            report.refused.push((None, finding.help("`patchctl plan` says more")));
        }
    }

    fn why_left(&self, key: &str, field: &Field) -> String {
        let is_named = self.asked.of_key(key).any(|target| target.covers(&field.path));
        match field.origin {
            Origin::Git => "because Git changed it and not the console: apply sends it".to_owned(),
            Origin::Both if is_named => {
                "because Git and the console both changed it: name the key itself to take the live value"
                    .to_owned()
            }
            Origin::Both => format!(
                "because Git and the console both changed it: `patchctl accept {key}` takes the live value"
            ),
            Origin::Unknown if self.asked.0.is_empty() => {
                format!(
                    "because nothing proves who changed it: `patchctl accept {key}` takes it all the same"
                )
            }
            Origin::Console | Origin::Unknown => "because it was not asked for".to_owned(),
        }
    }

    /// The new text of one file.
    fn edit(
        &self,
        shown: &str,
        manifests: &[Manifest<'_>],
        known: &Known,
        mut members: BTreeMap<(String, String), Member>,
        report: &mut Report,
        read: &mut BTreeMap<String, Vec<u8>>,
    ) -> Result<(), Failure> {
        let Some((path, _)) = manifests.first().and_then(|manifest| self.inventory.file_of(manifest.key))
        else {
            return Ok(());
        };
        let root = &self.settings.root;
        let fail =
            |finding: Diagnostic| Failure::Error(vec![finding.message], Some("run it again".to_owned()));
        let bytes = load::read_manifest(path, root, shown).map_err(fail)?;
        if !manifests.iter().all(|manifest| self.inventory.is_as_read(manifest.key, &bytes)) {
            let message = format!("`{shown}` changed while this run went on");
            return Err(Failure::Error(vec![message], Some("run it again; nothing was written".to_owned())));
        }
        let file = yaml::decode(shown, bytes.clone()).map_err(fail)?;
        let words = |path: &Path| self.settings.shown(path);
        let scripts = RepositoryScripts { root, shown: &words };
        let context = Context {
            manifests: manifest::Context {
                tags: &self.settings.tags,
                allow_unknown_fields: self.arguments.common.allow_unknown_fields,
                scripts: &scripts,
            },
            known,
            ignore: &self.settings.ignore,
        };
        let jobs: Vec<Job<'_>> = manifests
            .iter()
            .map(|manifest| Job {
                key: manifest.key,
                live: &manifest.live,
                differences: manifest.fields.iter().map(|(field, taken)| (plain(field), *taken)).collect(),
            })
            .collect();
        let accepted = accept::accept(&file, &jobs, context);
        for member in accepted.members {
            report.accepted.extend(members.remove(&member));
        }
        for refused in accepted.refused {
            let member = members.remove(&(refused.key, refused.pointer));
            report.refused.push((member, refused.finding));
        }
        if let Some(after) = accepted.text {
            read.insert(shown.to_owned(), bytes);
            let before = file.text.clone();
            report.files.push(File { path: shown.to_owned(), before, after, is_written: false, error: None });
        }
        Ok(())
    }

    fn approve(&self, report: &Report) -> Result<(), Failure> {
        let help = "nothing was written";
        if let Some(lost) = Terminal::lost_output() {
            // Nobody can say yes to what could not be shown.
            let lines = vec!["the change could not be shown".to_owned(), lost.cause];
            return Err(Failure::Error(lines, Some(help.to_owned())));
        }
        let question = format!(
            "Write {} into {}? Only `yes` is a yes: ",
            count(report.accepted.len(), "live value"),
            count(report.files.len(), "file")
        );
        if self.terminal.confirm(&question, "yes") {
            Ok(())
        } else {
            Err(Failure::Error(vec!["the change was not approved".to_owned()], Some(help.to_owned())))
        }
    }

    /// Writes a file that is still what was read.
    fn write(&self, file: &mut File, read: &BTreeMap<String, Vec<u8>>) {
        let place = self.inventory.summaries.iter().find_map(|summary| {
            self.inventory.file_of(&summary.key).filter(|(_, shown)| *shown == file.path)
        });
        let (Some((path, shown)), Some(bytes)) = (place, read.get(&file.path)) else { return };
        let written = match load::read_manifest(path, &self.settings.root, shown) {
            Ok(now) if now == *bytes => {
                let mark = if bytes.starts_with(MARK) { MARK } else { &[] };
                files::replace(path, &[mark, file.after.as_bytes()].concat())
                    .map_err(|error| error.to_string())
            }
            Ok(_) => Err("it changed while this run went on".to_owned()),
            Err(finding) => Err(finding.message),
        };
        match written {
            Ok(()) => file.is_written = true,
            Err(error) => file.error = Some(error),
        }
    }

    /// The keys of accepted jobs with scripts that others edited, too: what is stored for a script is never shown.
    fn with_doubtful_scripts<'r>(&self, report: &'r Report, made: &Made) -> BTreeSet<&'r str> {
        let has_scripts = |key: &str| {
            let mut summaries = self.inventory.summaries.iter();
            summaries.any(|summary| summary.key == key && summary.has_scripts)
        };
        let is_doubtful = |member: &&Member| {
            let by_others =
                member.edited.as_ref().is_some_and(|edit| edit.by_others(&made.api_users).is_some());
            (by_others || made.ledger.script_doubt(&member.key).is_some()) && has_scripts(&member.key)
        };
        report.accepted.iter().filter(is_doubtful).map(|member| member.key.as_str()).collect()
    }

    fn next(&self, report: &Report, made: &Made) -> Option<String> {
        if report.files.iter().any(|file| file.is_written) {
            let mut next = "Next: git diff, then commit it for review".to_owned();
            for key in self.with_doubtful_scripts(report, made) {
                let doubt = format!(
                    "Nobody can see whether the scripts of {key} were replaced as well: \
                     `patchctl apply --set-scripts {key}` sends those of Git"
                );
                next.push('\n');
                next.push_str(&self.terminal.layout().wrap(&doubt, 0, 0));
            }
            return Some(next);
        }
        (report.dry_run && !report.files.is_empty())
            .then(|| "Nothing was written. Next: the same command without --dry-run".to_owned())
    }
}

/// The members of these manifests, taken out.
fn members_of(
    members: &mut BTreeMap<(String, String), Member>,
    manifests: &[Manifest<'_>],
) -> BTreeMap<(String, String), Member> {
    let (these, others) = std::mem::take(members)
        .into_iter()
        .partition(|((key, _), _)| manifests.iter().any(|manifest| manifest.key == key));
    *members = others;
    these
}

fn member(change: &Change, id: &str, field: &Field) -> Member {
    Member {
        key: change.key.clone(),
        id: id.to_owned(),
        name: change.name.clone(),
        path: field.path.clone(),
        was: field.after.clone(),
        is: field.before.clone(),
        origin: field.origin,
        edited: change.edited.clone(),
        place: field.place.clone(),
    }
}

fn plain(field: &Field) -> FieldChange {
    FieldChange { pointer: field.path.clone(), before: field.before.clone(), after: field.after.clone() }
}

/// Why a change of Git's own is not given up.
fn of_git(field: &Field) -> Diagnostic {
    let path = render::text::dotted(&field.path);
    let message =
        format!("`{path}` was changed in Git and not in the console, so there is nothing to accept");
    let finding =
        Diagnostic::error("accept-git", message).help("apply sends it; to give it up, revert the commit");
    match &field.place {
        Some(place) => finding.at(place.clone(), "changed here"),
        None => finding,
    }
}
