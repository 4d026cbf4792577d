//! The pure core from texts and live jobs to a plan, as the commands do it.

use std::collections::BTreeMap;

use patchctl::diagnostic::Diagnostics;
use patchctl::ignore::Rules;
use patchctl::manifest::{self, Context, DesiredSet, ReadScript, ScriptProblem};
use patchctl::patch::Envelope;
use patchctl::plan::{self, Action, Binding, Change, Plan, Policy, RunOnce};
use patchctl::render;
use patchctl::render::diagnostic::RenderOptions;
use patchctl::render::text::Layout;
use patchctl::snapshot::{ListRow, LiveJob, Snapshot};
use patchctl::source::SourceFile;
use serde_json::{Value, json};

use super::dice::Dice;
use super::manifest::Draft;

/// The owner of all stamps in these tests.
pub(crate) const OWNER: &str = "acme";

/// There are no script files here.
pub(crate) struct NoScripts;

impl ReadScript for NoScripts {
    fn read_script(&self, _manifest: &str, _path: &str) -> Result<Vec<u8>, ScriptProblem> {
        Err(ScriptProblem { message: "is not there".to_owned(), help: String::new() })
    }
}

/// A manifest file: its path and text.
pub(crate) type File = (String, String);

/// One file for each draft.
pub(crate) fn files(dice: &mut Dice, drafts: &[Draft]) -> Vec<File> {
    drafts.iter().map(|draft| (format!("jobs.d/{}.yaml", draft.key), draft.text(dice))).collect()
}

/// Reads manifests.
pub(crate) fn parse(files: &[File]) -> (DesiredSet, Diagnostics) {
    let tags = BTreeMap::new();
    let context = Context { tags: &tags, allow_unknown_fields: false, scripts: &NoScripts };
    DesiredSet::join(
        files
            .iter()
            .map(|(path, text)| manifest::parse(&SourceFile::new(path.as_str(), text.as_str()), context)),
    )
}

/// Errors as lines; empty where there are only warnings.
pub(crate) fn errors(diagnostics: &Diagnostics) -> String {
    let options = RenderOptions { colour: false, width: 100 };
    if diagnostics.has_errors() {
        render::diagnostic::diagnostics(diagnostics, &options)
    } else {
        String::new()
    }
}

/// Reads manifests without errors.
#[track_caller]
pub(crate) fn parsed(files: &[File]) -> DesiredSet {
    let (set, diagnostics) = parse(files);
    assert_eq!(errors(&diagnostics), "", "of\n{}", files[0].1);
    set
}

/// Plans manifests against live jobs, answered in the order given.
#[track_caller]
pub(crate) fn planned(files: &[File], jobs: &[Value], envelope: Envelope) -> Plan {
    planned_under(Rules::default(), files, jobs, envelope)
}

/// The same under rules that leave members alone.
#[track_caller]
pub(crate) fn planned_under(ignore: Rules, files: &[File], jobs: &[Value], envelope: Envelope) -> Plan {
    let set = parsed(files);
    let rows = jobs.iter().filter_map(|job| ListRow::read(&list_row(job)));
    let mut snapshot = Snapshot::new(rows.collect());
    let (bindings, diagnostics) = plan::bind(&set, &snapshot.rows);
    assert_eq!(errors(&diagnostics), "");
    for binding in &bindings {
        if let Binding::Job(id) = binding {
            let job = jobs.iter().find(|job| job["id"] == id.as_str());
            snapshot.jobs.insert(id.clone(), job.cloned().map(LiveJob::new));
        }
    }
    let policy = Policy {
        owner: OWNER.to_owned(),
        envelope,
        is_whole: true,
        now: 1_790_000_000_000,
        record: None,
        run_once: RunOnce { allowed: Vec::new(), can_ask: true },
        api_users: patchctl::snapshot::ApiUsers::default(),
        decisions: patchctl::plan::Decisions::default(),
        set_scripts: Vec::new(),
        allow_script_loss: Vec::new(),
        tag_names: BTreeMap::new(),
        findings_stop: true,
        ignore,
    };
    match plan::build(&set, &bindings, &snapshot, &policy) {
        Ok(plan) => plan,
        Err(diagnostics) => panic!("{}\nof\n{}\nlive\n{:#}", errors(&diagnostics), files[0].1, jobs[0]),
    }
}

/// Plans one manifest against one job.
#[track_caller]
pub(crate) fn planned_one(draft: &Draft, live: &Value, envelope: Envelope) -> Plan {
    let files = files(&mut Dice::seeded(1), std::slice::from_ref(draft));
    planned(&files, std::slice::from_ref(live), envelope)
}

fn list_row(job: &Value) -> Value {
    let tags = job["assetTagIds"].as_array().into_iter().flatten();
    let tags: Vec<Value> = tags.map(|id| json!({"id": id, "name": format!("tag {id}")})).collect();
    json!({"id": job["id"], "name": job["name"], "platform": job["platform"], "tags": tags})
}

/// The plan as people and programs see it.
pub(crate) fn shown(plan: &Plan) -> (String, String) {
    let context =
        render::plan::Context { gateway: "test", calls: "no calls", applying: None, is_saved: false };
    let layout = Layout { colour: true, width: 80 };
    let json = render::json::plan(plan, json!({}));
    (render::plan::plan(plan, context, &layout), serde_json::to_string_pretty(&json).expect("plain data"))
}

/// The update of a plan about one job, if it has one.
pub(crate) fn update(plan: &Plan) -> Option<&Change> {
    plan.changes.iter().find(|change| change.action == Action::Update)
}

/// The body of an update.
pub(crate) fn body(change: &Change) -> &Value {
    &change.request.as_ref().expect("an update has a request").body
}
