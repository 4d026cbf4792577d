//! Links between manifests, from text to plan, without a server: what is resolved, in which order, and how placeholders
//! are filled.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails it")]

use std::collections::BTreeMap;

use patchctl::links::Unfilled;
use patchctl::manifest::{self, Context, DesiredSet, ReadScript, ScriptProblem};
use patchctl::patch::Envelope;
use patchctl::plan::{self, Action, Binding, Change, Plan, Policy, RunOnce};
use patchctl::snapshot::{LiveJob, Snapshot};
use patchctl::source::SourceFile;
use patchctl::stamp::{self, Found};
use serde_json::{Value, json};

const PARENT: &str = "00000000-0000-4000-8000-000000000001";
const CHILD: &str = "00000000-0000-4000-8000-000000000002";
const STOP: &str = "bbbbbbbb-0000-4000-8000-000000000001";

struct NoScripts;

impl ReadScript for NoScripts {
    fn read_script(&self, _: &str, _: &str) -> Result<Vec<u8>, ScriptProblem> {
        Err(ScriptProblem { message: "is missing".to_owned(), help: String::new() })
    }
}

/// Manifests of these keys, each with lines for its `spec`.
fn set(manifests: &[(&str, &str)]) -> DesiredSet {
    let one = |(key, lines): &(&str, &str)| {
        format!(
            "apiVersion: patchctl/v1\nkind: DeploymentJob\nmetadata: {{ key: {key} }}\nspec:\n  name: {key}\n  type: \
             Install\n  platform: Windows\n  scheduleType: On-demand\n{lines}"
        )
    };
    let text = manifests.iter().map(one).collect::<Vec<_>>().join("---\n");
    let tags = BTreeMap::new();
    let context = Context { tags: &tags, allow_unknown_fields: false, scripts: &NoScripts };
    let (set, findings) = DesiredSet::join([manifest::parse(&SourceFile::new("a.yaml", text), context)]);
    assert!(!findings.has_errors(), "{findings:?}");
    set
}

fn live(id: &str, name: &str, members: Value) -> LiveJob {
    let mut job = json!({
        "id": id, "name": name, "type": "Install", "platform": "Windows", "scheduleType": "On-demand",
        "status": "Disabled", "description": "",
    });
    job.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    LiveJob::new(job)
}

fn stop() -> Value {
    json!([{"actionId": STOP, "action": "Run Script", "params": {"actionItem": "Stop"}, "scriptType": "ps"}])
}

/// The plan; `jobs` are in the order of the manifests, which is that of their keys.
fn plan_of(set: &DesiredSet, jobs: Vec<Option<LiveJob>>) -> Result<Plan, Vec<String>> {
    let id = |job: &LiveJob| job.raw["id"].as_str().unwrap().to_owned();
    let bindings: Vec<Binding> =
        jobs.iter().map(|job| job.as_ref().map_or(Binding::Missing, |job| Binding::Job(id(job)))).collect();
    let jobs = jobs.into_iter().flatten().map(|job| (id(&job), Some(job))).collect();
    let snapshot = Snapshot { rows: Vec::new(), jobs };
    let policy = Policy {
        owner: "team".to_owned(),
        envelope: Envelope::Minimal,
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
        ignore: patchctl::ignore::Rules::default(),
    };
    plan::build(set, &bindings, &snapshot, &policy)
        .map_err(|findings| findings.iter().map(|finding| finding.message.clone()).collect())
}

fn steps(plan: &Plan) -> Vec<(String, Vec<String>)> {
    plan.changes.iter().map(|change| (change.step(), change.after.clone())).collect()
}

fn step<'a>(plan: &'a Plan, key: &str) -> &'a Change {
    plan.changes.iter().find(|change| change.key == key).unwrap()
}

const NEW_ACTION: &str = "  postDeployActions:\n    - { action: Run Script, params: { actionItem: Stop }, scriptType: \
                          ps, script: exit 0 }\n";
const LINKED: &str = "  linkedJob: p\n  chainedJobRule:\n    - { field: postDeployAction, actionIds: [Stop], \
                      threshold: 90 }\n";

#[test]
fn the_order_is_parents_first_else_that_of_the_keys() {
    let set = set(&[
        ("a", "  timeout: 5\n  linkedJob: m\n"),
        ("b", "  timeout: 5\n"),
        ("c", "  timeout: 5\n  linkedJob: z\n"),
        (
            "m",
            "  timeout: 5\n  linkedJob: z\n  status: Enabled\n  assetTagIds: [f81f37b3-a32b-4aa0-a428-12cad6e37db1]\n",
        ),
        ("z", "  timeout: 5\n"),
    ]);
    let plan = plan_of(&set, vec![None, None, None, None, None]).unwrap();
    let after = |steps: &[&str]| steps.iter().map(|step| (*step).to_owned()).collect::<Vec<_>>();
    let expected = [
        ("z:create", after(&[])),
        ("m:create", after(&["z:create"])),
        ("m:enable", after(&["m:create", "z:create"])),
        ("a:create", after(&["m:create"])),
        ("b:create", after(&[])),
        ("c:create", after(&["z:create"])),
    ];
    assert_eq!(steps(&plan), expected.map(|(step, after)| (step.to_owned(), after)));
}

#[test]
fn a_created_child_is_filled_with_the_ids_of_its_created_parent() {
    let set = set(&[("c", LINKED), ("p", NEW_ACTION)]);
    let plan = plan_of(&set, vec![None, None]).unwrap();
    let change = step(&plan, "c");
    let before = change.request.as_ref().unwrap().body.clone();
    assert_eq!(before["linkedJobId"], "{id of p}");
    assert_eq!(before["chainedJobRule"][0]["actionIds"], json!(["{action Stop of p}"]));

    let made = BTreeMap::from([("p".to_owned(), live(PARENT, "p", json!({"postDeployActions": stop()})))]);
    let change = plan::filled(change, &made).unwrap().unwrap();
    let (body, basis) = (change.request.unwrap().body, change.basis.unwrap());
    assert_eq!(
        (&body["linkedJobId"], &body["chainedJobRule"][0]["actionIds"]),
        (&json!(PARENT), &json!([STOP]))
    );
    assert_eq!(
        (&basis.declared["linkedJobId"], basis.desired.text("linkedJobId")),
        (&json!(PARENT), Some(PARENT))
    );
    let field = change.fields.iter().find(|field| field.path == "/linkedJobId").unwrap();
    assert_eq!(field.after, PARENT);

    // The stamp is that of the plan of the day after, when the parent is there.
    let parent = made["p"].clone();
    let tomorrow = plan_of(&set, vec![None, Some(parent)]).unwrap();
    assert_eq!(step(&tomorrow, "c").request.as_ref().unwrap().body, body);
    assert_ne!(before["description"], body["description"]);
    let Found::Stamp(stamp) = stamp::split(body["description"].as_str().unwrap()).1 else { panic!("{body}") };
    assert_eq!((stamp.owner.as_str(), stamp.key.as_str()), ("team", "c"));
}

#[test]
fn an_updated_child_is_filled_in_its_basis_too() {
    let set = set(&[("c", LINKED), ("p", NEW_ACTION)]);
    let child = || Some(live(CHILD, "c", json!({"description": "Mine"})));
    let today = plan_of(&set, vec![child(), None]).unwrap();
    let change = step(&today, "c");
    let made = BTreeMap::from([("p".to_owned(), live(PARENT, "p", json!({"postDeployActions": stop()})))]);
    let filled = plan::filled(change, &made).unwrap().unwrap();

    let tomorrow = plan_of(&set, vec![child(), Some(made["p"].clone())]).unwrap();
    let expected = step(&tomorrow, "c");
    assert_eq!(filled.request, expected.request);
    let (found, expected) = (filled.basis.unwrap(), expected.basis.as_ref().unwrap());
    assert_eq!(
        (&found.desired, &found.description, &found.stamp),
        (&expected.desired, &expected.description, &expected.stamp)
    );
    assert!(found.description.unwrap().starts_with("Mine\n[patchctl:team/c "));

    // What is not there is said, and nothing is half filled on the way out.
    let nobody = plan::filled(change, &BTreeMap::new()).unwrap_err();
    assert_eq!(nobody, Unfilled::Parent { key: "p".to_owned() });
    let bare = BTreeMap::from([("p".to_owned(), live(PARENT, "p", json!({})))]);
    let error = plan::filled(change, &bare).unwrap_err();
    assert_eq!(error, Unfilled::Action { name: "Stop".to_owned(), key: "p".to_owned() });
    // A step that waits for nothing is left as it is.
    assert!(plan::filled(step(&today, "p"), &made).unwrap().is_none());
}

#[test]
fn a_child_whose_parent_is_blocked_is_blocked_where_it_needs_it() {
    // The parent ran already, and can not be edited.
    let parent = |members: Value| {
        let mut job = live(PARENT, "p", members).raw;
        job["status"] = "Completed".into();
        Some(LiveJob::new(job))
    };
    let lines = format!("{NEW_ACTION}  timeout: 5\n");
    let linked = |members: Value| {
        let mut all = json!({"linkedJobId": PARENT});
        all.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        Some(live(CHILD, "c", all))
    };
    let actions = |plan: &Plan| plan.changes.iter().map(|c| (c.key.clone(), c.action)).collect::<Vec<_>>();
    let both = [("p".to_owned(), Action::Blocked), ("c".to_owned(), Action::Blocked)];
    let tag = "f81f37b3-a32b-4aa0-a428-12cad6e37db1";

    // An action that will not be made.
    let new = set(&[("c", LINKED), ("p", &lines)]);
    let plan = plan_of(&new, vec![linked(json!({})), parent(json!({}))]).unwrap();
    assert_eq!(actions(&plan), both);
    assert_eq!(step(&plan, "c").reason, "its parent `p` is blocked");
    // A link that is new.
    let anew = set(&[("c", "  linkedJob: p\n"), ("p", "  timeout: 5\n")]);
    assert_eq!(
        actions(&plan_of(&anew, vec![Some(live(CHILD, "c", json!({}))), parent(json!({}))]).unwrap()),
        both
    );
    // To be armed, and content that is blocked with it.
    let armed = set(&[
        ("c", &format!("  linkedJob: p\n  status: Enabled\n  timeout: 6\n  assetTagIds: [{tag}]\n")),
        ("p", "  timeout: 5\n"),
    ]);
    let plan = plan_of(&armed, vec![linked(json!({})), parent(json!({}))]).unwrap();
    let kinds: Vec<Action> = plan.changes.iter().map(|change| change.action).collect();
    assert_eq!(kinds, [Action::Blocked, Action::Update, Action::Blocked]);
    // What has nothing to do with it.
    let other = set(&[("c", "  linkedJob: p\n  timeout: 6\n"), ("p", "  timeout: 5\n")]);
    let plan = plan_of(&other, vec![linked(json!({})), parent(json!({}))]).unwrap();
    assert_eq!(actions(&plan)[1], ("c".to_owned(), Action::Update));
    assert!(step(&plan, "c").after.is_empty());
}

#[test]
fn a_name_can_not_forge_a_placeholder() {
    let name = "{action Stop of p}";
    let forged =
        format!("  linkedJob: p\n  chainedJobRule:\n    - {{ actionIds: [\"{name}\"], threshold: 90 }}\n");
    let set = set(&[("c", &forged), ("p", &NEW_ACTION.replace("Stop", &format!("\"{name}\"")))]);
    let plan = plan_of(&set, vec![None, None]).unwrap();
    let ids = step(&plan, "c").request.as_ref().unwrap().body["chainedJobRule"][0]["actionIds"].clone();
    assert_eq!(ids, json!(["{action {action Stop of p} of p}"]));
    // Where there is no such action it is no more than a wrong name.
    let set = self::set(&[("c", &forged), ("p", NEW_ACTION)]);
    let messages = plan_of(&set, vec![None, None]).unwrap_err();
    assert_eq!(messages, ["`p` has no post-action called `{action Stop of p}`"]);
}

#[test]
fn an_action_of_another_kind_is_a_new_one_and_breaks_the_rule_of_the_old_one() {
    let set = set(&[
        ("c", &LINKED.replace("Stop", STOP)),
        ("p", "  postDeployActions:\n    - { action: Install Software, params: { actionItem: Stop } }\n"),
    ]);
    let rule = json!([{"field": "postDeployAction", "actionIds": [STOP], "threshold": 90}]);
    let child = live(CHILD, "c", json!({"linkedJobId": PARENT, "linkedToJob": [{"chainedJobRule": rule}]}));
    let parent = live(PARENT, "p", json!({"postDeployActions": stop()}));
    let plan = plan_of(&set, vec![Some(child), Some(parent)]).unwrap();
    assert_eq!(plan.changes.len(), 1);
    assert_eq!(plan.changes[0].action, Action::Blocked);
    assert!(plan.changes[0].reason.contains("which the rule of `c` waits for"), "{}", plan.changes[0].reason);
}
