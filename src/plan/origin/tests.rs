//! Base × desired × live for every kind of member, and the evidence that there may be; expected origins by hand.

mod held;
mod older;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::manifest::{self, Context, ReadScript, ScriptProblem};
use crate::patch::Envelope;
use crate::plan::{Action, Binding, Change, Decisions, Origin, Policy, RunOnce, Steps};
use crate::snapshot::{ApiUsers, LiveJob};
use crate::source::SourceFile;
use crate::{normalise, overlay, stamp};

const ID: &str = "c08769ba-aa65-4b77-b224-f2c789ce7970";
const US: &str = "robot";
/// When our last write, the apply of the base, and the last edit were, in this order.
const WRITTEN: i64 = 1_000;
const APPLIED: i64 = 2_000;
const EDITED: i64 = 3_000;

struct NoFiles;

impl ReadScript for NoFiles {
    fn read_script(&self, _: &str, _: &str) -> Result<Vec<u8>, ScriptProblem> {
        Err(ScriptProblem { message: "is not there".to_owned(), help: String::new() })
    }
}

#[track_caller]
fn manifest(lines: &str) -> Manifest {
    let text = format!(
        "apiVersion: patchctl/v1\nkind: DeploymentJob\nmetadata:\n  key: k\nspec:\n  name: K\n  type: Install\n  \
         platform: Windows\n{lines}"
    );
    let tags = BTreeMap::new();
    let context = Context { tags: &tags, allow_unknown_fields: false, scripts: &NoFiles };
    let parsed = manifest::parse(&SourceFile::new("k.yaml", text.as_str()), context);
    let findings: Vec<&str> = parsed.diagnostics.iter().map(|finding| finding.message.as_str()).collect();
    let [manifest] =
        <[Manifest; 1]>::try_from(parsed.manifests).unwrap_or_else(|_| panic!("{findings:?}\n{text}"));
    manifest
}

/// A live job of which nothing is declared but who it is.
fn bare() -> Value {
    json!({
        "id": ID, "name": "K", "type": "Install", "platform": "Windows", "status": "Disabled",
        "scheduleType": "Daily", "recurring": true, "startDateTime": "2026-1-05 03:00:00 AM",
        "timezoneType": "SPECIFIC_TZ", "timezone": "UTC",
    })
}

/// The live job as a manifest makes it.
fn made_by(manifest: &Manifest) -> normalise::Normalised {
    overlay::overlay(&manifest.spec, &normalise::live(&bare()), true).desired
}

/// Who speaks, beside the three values.
#[derive(Clone)]
struct Speaks {
    /// What the stamp says was applied.
    stamp: Option<Manifest>,
    base: AtBase,
    applied_at: Option<i64>,
    left: Option<Left>,
    editor: Option<&'static str>,
    /// Whether another member, which nobody declares, was edited in the console, too.
    elsewhere: bool,
}

impl Trails for Speaks {
    fn of(&self, _: &Manifest, _: Option<&str>) -> Trail {
        let (base, left) = (self.base.clone(), self.left.clone());
        Trail { base, applied_at: self.applied_at, left, disabled: None }
    }
}

fn policy(decisions: Decisions) -> Policy {
    Policy {
        owner: "us".to_owned(),
        envelope: Envelope::Minimal,
        is_whole: true,
        now: EDITED,
        record: None,
        run_once: RunOnce::default(),
        api_users: ApiUsers::new([US.to_owned()]),
        decisions,
        set_scripts: Vec::new(),
        findings_stop: true,
        ignore: crate::ignore::Rules::default(),
        allow_script_loss: Vec::new(),
        tag_names: BTreeMap::new(),
    }
}

/// The steps towards a manifest for a live job that is as another manifest makes it.
fn steps(desired: &Manifest, live: &Manifest, speaks: &Speaks, decisions: Decisions) -> Vec<Change> {
    let mut raw = Value::Object(made_by(live).members().clone());
    raw["id"] = ID.into();
    if speaks.elsewhere {
        raw["minimizeWindow"] = true.into();
    }
    if let Some(applied) = &speaks.stamp {
        let stamp = stamp::expected("us", "k", applied.as_declared(), &made_by(applied));
        raw["description"] = stamp::join(raw["description"].as_str(), &stamp).into();
    }
    raw["updatedBy"] = match speaks.editor {
        Some(user) => json!({"user": {"id": "1", "name": user}, "date": EDITED}),
        None => json!({"user": null, "date": EDITED}),
    };
    for (name, list) in raw.as_object_mut().expect("an object") {
        for (at, action) in list.as_array_mut().into_iter().flatten().enumerate() {
            if let (true, Some(action)) = (name.ends_with("Actions"), action.as_object_mut()) {
                action.insert("actionId".to_owned(), format!("{at}").into());
                if action.contains_key("script") {
                    action.insert("script".to_owned(), format!("customer/{at}/Script").into());
                }
            }
        }
    }
    let job = LiveJob::new(raw);
    let binding = Binding::Job(ID.to_owned());
    let policy = policy(decisions);
    let steps = Steps::of(&policy, &StampCounts::default(), speaks, desired, &binding, Some(&job));
    steps.changes().to_vec()
}

/// The one origin of all differences below a path; `None` where there are none.
#[track_caller]
fn origin(steps: &[Change], path: &str) -> Option<Origin> {
    let fields = steps.iter().flat_map(|change| &change.fields);
    let mut origins: Vec<Origin> =
        fields.filter(|field| field.path.starts_with(path)).map(|field| field.origin).collect();
    origins.dedup();
    assert!(origins.len() <= 1, "{origins:?}");
    origins.pop()
}

/// A member with three values, and what it is when it is not declared.
struct Kind {
    name: &'static str,
    path: &'static str,
    values: [&'static str; 3],
}

const KINDS: [Kind; 7] = [
    Kind {
        name: "scalar",
        path: "/timeout",
        values: ["  timeout: 60\n", "  timeout: 90\n", "  timeout: 120\n"],
    },
    Kind {
        name: "text",
        path: "/description",
        values: ["  description: one\n", "  description: two\n", "  description: three\n"],
    },
    Kind {
        name: "set",
        path: "/assetTagIds",
        values: [
            "  assetTagIds: [f81f37b3-a32b-4aa0-a428-12cad6e37db1]\n",
            "  assetTagIds: [f81f37b3-a32b-4aa0-a428-12cad6e37db1, f81f37b3-a32b-4aa0-a428-12cad6e37db2]\n",
            "  assetTagIds: [f81f37b3-a32b-4aa0-a428-12cad6e37db3]\n",
        ],
    },
    Kind {
        name: "nested block",
        path: "/postDeployment/rebootCountdown",
        values: [
            "  postDeployment: {rebootCountdown: {interval: 10}}\n",
            "  postDeployment: {rebootCountdown: {interval: 15}}\n",
            "  postDeployment: {rebootCountdown: {interval: 5}}\n",
        ],
    },
    Kind {
        name: "member of an action",
        path: "/preDeployActions/0/params/timeout",
        values: [
            "  preDeployActions: [{action: Install Software, params: {actionItem: X, timeout: 60}}]\n",
            "  preDeployActions: [{action: Install Software, params: {actionItem: X, timeout: 90}}]\n",
            "  preDeployActions: [{action: Install Software, params: {actionItem: X, timeout: 120}}]\n",
        ],
    },
    Kind {
        name: "ordered list",
        path: "/preDeployActions",
        values: [
            "  preDeployActions: [{action: Install Software, params: {actionItem: X}}, {action: Install Software, params: {actionItem: Y}}, {action: Install Software, params: {actionItem: Z}}]\n",
            "  preDeployActions: [{action: Install Software, params: {actionItem: Y}}, {action: Install Software, params: {actionItem: X}}, {action: Install Software, params: {actionItem: Z}}]\n",
            "  preDeployActions: [{action: Install Software, params: {actionItem: Z}}, {action: Install Software, params: {actionItem: X}}, {action: Install Software, params: {actionItem: Y}}]\n",
        ],
    },
    Kind {
        name: "none",
        path: "/timeout",
        values: ["  timeout: null\n", "  timeout: 90\n", "  timeout: 120\n"],
    },
];

fn at(manifest: &Manifest) -> AtBase {
    AtBase::Manifest(Arc::new(manifest.clone()))
}

/// Evidence that agrees: the base was applied, and Anna edited the job since.
fn agreeing(base: &Manifest) -> Speaks {
    Speaks {
        stamp: Some(base.clone()),
        base: at(base),
        applied_at: None,
        left: None,
        editor: Some("anna"),
        elsewhere: false,
    }
}

#[test]
fn three_values_tell_where_a_difference_came_from() {
    const A: usize = 0;
    const B: usize = 1;
    const C: usize = 2;
    use Origin::{Both, Console, Git};
    // base, desired, live
    let table = [
        ((A, A, A), None),
        ((A, A, B), Some(Console)),
        ((A, A, C), Some(Console)),
        ((A, B, A), Some(Git)),
        ((A, C, A), Some(Git)),
        ((A, B, B), None),
        ((A, B, C), Some(Both)),
        ((A, C, B), Some(Both)),
        ((B, A, A), None),
        ((B, B, A), Some(Console)),
        ((B, A, B), Some(Git)),
        ((B, A, C), Some(Both)),
        ((B, C, A), Some(Both)),
        ((C, C, B), Some(Console)),
        ((C, B, C), Some(Git)),
        ((C, A, B), Some(Both)),
    ];
    for kind in KINDS {
        let manifests = kind.values.map(manifest);
        for ((base, desired, live), expected) in table {
            // What else was edited must not be taken for this member.
            for elsewhere in [false, true] {
                let speaks = Speaks { elsewhere, ..agreeing(&manifests[base]) };
                let steps = steps(&manifests[desired], &manifests[live], &speaks, Decisions::default());
                let words = format!("{}: base {base} desired {desired} live {live} {elsewhere}", kind.name);
                assert_eq!(origin(&steps, kind.path), expected, "{words}");
                let field = steps.iter().flat_map(|change| &change.fields).find(|f| f.path == kind.path);
                if let Some(field) = field.filter(|_| kind.name != "ordered list") {
                    let would = made_by(&manifests[base]).at(kind.path).cloned().unwrap_or(Value::Null);
                    assert_eq!(field.base, Some(would), "{words}");
                }
            }
        }
    }
}

/// An action that comes or goes, on either side.
#[test]
fn blocks_of_lists() {
    let x = "{action: Install Software, params: {actionItem: X}}";
    let y = "{action: Install Software, params: {actionItem: Y}}";
    let only = manifest(&format!("  preDeployActions: [{x}]\n"));
    let both = manifest(&format!("  preDeployActions: [{x}, {y}]\n"));
    let none = manifest("  preDeployActions: []\n");
    let undeclared = manifest("");
    use Origin::{Console, Git};
    for (words, base, desired, live, expected) in [
        ("added in Git", &only, &both, &only, Git),
        ("removed in Git", &both, &only, &both, Git),
        ("added in the console", &only, &only, &both, Console),
        ("removed in the console", &both, &both, &only, Console),
        ("all added in Git", &none, &both, &none, Git),
        ("all removed in the console", &both, &both, &none, Console),
        ("first declared now", &undeclared, &both, &undeclared, Git),
    ] {
        for elsewhere in [false, true] {
            let speaks = Speaks { elsewhere, ..agreeing(base) };
            let steps = steps(desired, live, &speaks, Decisions::default());
            assert_eq!(origin(&steps, "/preDeployActions"), Some(expected), "{words} {elsewhere}");
        }
    }
}

#[test]
fn what_was_not_declared_at_the_base_came_from_git() {
    for kind in KINDS {
        let [a, b, _] = kind.values.map(manifest);
        for base in [at(&manifest("")), AtBase::Absent] {
            let speaks = Speaks { base, ..agreeing(&manifest("")) };
            let steps = steps(&a, &b, &speaks, Decisions::default());
            assert_eq!(origin(&steps, kind.path), Some(Origin::Git), "{}", kind.name);
            assert!(steps[0].fields.iter().all(|field| field.base.is_none()));
        }
    }
}

/// Members that follow from the schedule type are not declared by anybody, and came from where that came from.
#[test]
fn what_follows_from_the_schedule_type_came_with_it() {
    let weekly = manifest("  scheduleType: Weekly\n  recurringWeekDays: [Tue]\n");
    let monthly = manifest("  scheduleType: Monthly\n  recurringDayOfMonth: 3\n");
    let origins = |desired, live, base| {
        let steps = steps(desired, live, &agreeing(base), Decisions::default());
        steps[0].fields.iter().map(|field| field.origin).collect::<Vec<_>>()
    };
    assert!(origins(&weekly, &monthly, &weekly).iter().all(|origin| *origin == Origin::Console));
    assert!(origins(&weekly, &monthly, &monthly).iter().all(|origin| *origin == Origin::Git));
}

/// All evidence that there may be, over the three ways in which values can differ.
#[test]
fn evidence_that_is_missing_or_at_odds_accuses_nobody() {
    use Origin::{Both, Console, Git, Unknown};
    let [a, b, c] = ["  timeout: 60\n", "  timeout: 90\n", "  timeout: 120\n"].map(manifest);
    let other = manifest("  timeout: 61\n  filterType: All\n");
    let left = |at: i64, content_at: i64, since_applied: bool| {
        let user = Some(US.to_owned());
        Some(Left {
            id: ID.to_owned(),
            at,
            content_at: Some(content_at),
            user,
            status: None,
            declared: None,
            since_applied,
        })
    };
    let nobody = Speaks {
        stamp: None,
        base: AtBase::NoBase,
        applied_at: None,
        left: None,
        editor: Some("anna"),
        elsewhere: true,
    };
    let of_base = Speaks { base: at(&a), ..nobody.clone() };
    let stamped = |stamp: &Manifest, speaks: &Speaks| Speaks { stamp: Some(stamp.clone()), ..speaks.clone() };
    let known = Speaks { applied_at: Some(APPLIED), ..of_base.clone() };
    let written = |left: Option<Left>, speaks: &Speaks| Speaks { left, ..speaks.clone() };
    let by = |editor: Option<&'static str>, speaks: &Speaks| Speaks { editor, ..speaks.clone() };
    // Base a. Live was edited; Git was edited; both were, with other values.
    let table: Vec<(&str, Speaks, [Origin; 3])> = vec![
        ("nothing", nobody.clone(), [Unknown, Unknown, Unknown]),
        ("a stamp of the base, no base", stamped(&a, &nobody), [Console, Unknown, Unknown]),
        ("a stamp of something else, no base", stamped(&other, &nobody), [Unknown, Unknown, Unknown]),
        ("a base alone", of_base.clone(), [Unknown, Git, Both]),
        ("a base that was applied", known.clone(), [Console, Git, Both]),
        ("our own edit is the last", by(Some(US), &known), [Unknown, Git, Both]),
        ("our own, in capitals", by(Some("ROBOT"), &known), [Unknown, Git, Both]),
        ("nobody says who edited", by(None, &known), [Unknown, Git, Both]),
        (
            "edited before the apply",
            Speaks { applied_at: Some(EDITED + 1), ..of_base.clone() },
            [Unknown, Git, Both],
        ),
        ("a stamp of the base", stamped(&a, &of_base), [Console, Git, Both]),
        ("a stamp of the base, our own edit", by(Some(US), &stamped(&a, &of_base)), [Console, Git, Both]),
        // A failed apply in between, another repository's history, a force-push.
        ("a stamp of something else", stamped(&other, &of_base), [Unknown, Git, Unknown]),
        // Declared since without a change to be written, so the stamp is older than the base.
        ("an old stamp, and a base that was applied", stamped(&other, &known), [Console, Git, Both]),
        (
            "an old stamp, a base that was applied, and a write since",
            written(left(WRITTEN, WRITTEN, true), &stamped(&other, &known)),
            [Unknown, Git, Unknown],
        ),
        (
            "nobody edited since we wrote",
            written(left(EDITED, EDITED, true), &stamped(&a, &of_base)),
            [Unknown, Git, Unknown],
        ),
        (
            "our status call is the last edit",
            written(left(EDITED, WRITTEN, true), &by(Some(US), &stamped(&a, &of_base))),
            [Console, Git, Both],
        ),
    ];
    for (words, speaks, expected) in table {
        for ((desired, live), expected) in [(&a, &b), (&b, &a), (&b, &c)].into_iter().zip(expected) {
            let steps = steps(desired, live, &speaks, Decisions::default());
            let timeout = |manifest: &Manifest| manifest.spec["timeout"].clone();
            let row = format!("{words}: Git {}, live {}", timeout(desired), timeout(live));
            assert_eq!(origin(&steps, "/timeout"), Some(expected), "{row}");
            // Whoever is told that it is not known is told what would make it known.
            assert_eq!(steps[0].unknown.len(), usize::from(expected == Unknown), "{row}");
        }
    }
}

/// The stamp is on the job itself, so it wins over a base that may not have been applied.
#[test]
fn what_the_stamp_proves() {
    use Origin::{Console, Git, Unknown};
    let [a, b, c] = ["  timeout: 60\n", "  timeout: 90\n", "  timeout: 120\n"].map(manifest);
    let speaks = |stamp: &Manifest, base: AtBase, editor| Speaks {
        stamp: Some(stamp.clone()),
        base,
        applied_at: None,
        left: None,
        editor,
        elsewhere: false,
    };
    for (words, stamp, base, editor, desired, live, expected) in [
        // A failed apply before a scheduled drift: what is checked out was never applied to this job.
        ("failed apply", &a, at(&b), Some(US), &b, &a, Git),
        ("failed apply, without a base", &a, AtBase::NoBase, Some(US), &b, &a, Git),
        // Two merges, the second one not applied: the job is as the first one made it.
        ("two merges with one apply", &b, at(&a), Some(US), &c, &b, Git),
        // A revert commit: Git says again what the base said, and the job what was applied in between.
        ("revert commit", &b, at(&a), Some(US), &a, &b, Git),
        // The base is older than what was applied, and then somebody edited.
        ("squash merge", &b, at(&a), Some("anna"), &b, &c, Console),
        // Put back to what it was before the last apply, or never taken by the server.
        ("put back", &b, at(&a), Some("anna"), &b, &a, Console),
        ("not taken", &b, at(&a), Some(US), &b, &a, Unknown),
    ] {
        let steps = steps(desired, live, &speaks(stamp, base, editor), Decisions::default());
        assert_eq!(origin(&steps, "/timeout"), Some(expected), "{words}");
    }
}

#[test]
fn scripts_are_known_by_their_digests() {
    let script = |text: &str| {
        manifest(&format!(
            "  preDeployActions: [{{action: Run Script, params: {{actionItem: X}}, scriptType: ps, script: {text}}}]\n"
        ))
    };
    let [a, b, c] = ["one", "two", "three"].map(script);
    let path = "/preDeployActions/0/script";
    use Origin::{Git, Unknown};
    // What the stamp says was sent, base, desired.
    for (words, stamp, base, desired, expected) in [
        ("as applied", Some(&a), at(&a), &a, None),
        ("edited in Git", Some(&a), at(&a), &b, Some(Git)),
        ("edited in Git, no base", Some(&a), AtBase::NoBase, &b, Some(Git)),
        ("reverted in Git", Some(&b), at(&a), &a, Some(Git)),
        ("edited twice, applied once", Some(&b), at(&a), &c, Some(Git)),
        ("never recorded", None, AtBase::NoBase, &a, Some(Unknown)),
        ("never recorded, same at the base", None, at(&a), &a, Some(Unknown)),
        ("never recorded, edited in Git", None, at(&a), &b, Some(Git)),
    ] {
        let speaks = Speaks {
            stamp: stamp.cloned(),
            base,
            applied_at: None,
            left: None,
            editor: Some("anna"),
            elsewhere: false,
        };
        let steps = steps(desired, &a, &speaks, Decisions::default());
        assert_eq!(origin(&steps, path), expected, "{words}");
    }
}

#[test]
fn of_the_status_the_stamp_says_nothing() {
    let [on, off, none] = ["  status: Enabled\n", "  status: Disabled\n", ""].map(|status| {
        manifest(&format!(
            "{status}  assetTagIds: [f81f37b3-a32b-4aa0-a428-12cad6e37db1]\n  dynamicPatchesQQL: x\n"
        ))
    });
    use Origin::{Console, Git, Unknown};
    let left = |status: &str, at: i64| {
        let (user, status) = (Some(US.to_owned()), Some(status.to_owned()));
        Some(Left {
            id: ID.to_owned(),
            at,
            content_at: None,
            user,
            status,
            declared: None,
            since_applied: true,
        })
    };
    let over = |status: &str| left(status, WRITTEN).map(|left: Left| Left { since_applied: false, ..left });
    // base, desired, live, stamp, applied at, left, editor
    let table = [
        ("nothing known", AtBase::NoBase, &on, &off, true, None, None, "anna", Unknown),
        ("switched in Git", at(&off), &on, &off, true, None, None, "anna", Git),
        ("first declared", at(&none), &on, &off, true, None, None, "anna", Git),
        ("switched by another", at(&on), &on, &off, true, None, None, "anna", Console),
        ("armed by another", at(&off), &off, &on, true, None, None, "anna", Console),
        ("no stamp, no ledger", at(&on), &on, &off, false, None, None, "anna", Unknown),
        ("no stamp, applied", at(&on), &on, &off, false, Some(APPLIED), None, "anna", Console),
        ("the last edit is ours", at(&on), &on, &off, true, Some(APPLIED), None, US, Unknown),
        ("we left it on", AtBase::NoBase, &on, &off, true, None, left("Enabled", WRITTEN), "anna", Console),
        (
            "we left it on, and edited",
            AtBase::NoBase,
            &on,
            &off,
            true,
            None,
            left("Enabled", WRITTEN),
            US,
            Unknown,
        ),
        (
            "nobody since we left it on",
            AtBase::NoBase,
            &on,
            &off,
            true,
            None,
            left("Enabled", EDITED),
            "anna",
            Unknown,
        ),
        ("we left it off", AtBase::NoBase, &on, &off, true, None, left("Disabled", WRITTEN), "anna", Git),
        ("it ran", AtBase::NoBase, &off, &on, true, None, left("Prepared", WRITTEN), US, Git),
        ("agreed to, then Git", at(&off), &on, &off, true, Some(APPLIED), over("Enabled"), "anna", Git),
        (
            "no longer declared, then Git",
            at(&none),
            &on,
            &off,
            true,
            Some(APPLIED),
            over("Enabled"),
            "anna",
            Git,
        ),
        (
            "left on after the base",
            at(&off),
            &on,
            &off,
            true,
            Some(APPLIED),
            left("Enabled", WRITTEN),
            "anna",
            Console,
        ),
        (
            "an older base, of a pull request",
            at(&off),
            &on,
            &off,
            true,
            None,
            over("Enabled"),
            "anna",
            Console,
        ),
        (
            "left on before a base that says so",
            at(&on),
            &on,
            &off,
            true,
            Some(APPLIED),
            over("Enabled"),
            "anna",
            Console,
        ),
    ];
    for (words, base, desired, live, is_stamped, applied_at, left, editor, expected) in table {
        let stamp = is_stamped.then(|| desired.clone());
        let editor = if editor == US { US } else { "anna" };
        let speaks = Speaks { stamp, base, applied_at, left, editor: Some(editor), elsewhere: false };
        let steps = steps(desired, live, &speaks, Decisions::default());
        assert_eq!(origin(&steps, "/status"), Some(expected), "{words}");
        // What the console switched off is not switched on again by itself.
        let is_held = steps.iter().any(|change| change.action == Action::Held);
        let is_off = made_by(live).text("status") == Some("Disabled");
        assert_eq!(is_held, expected == Console && is_off, "{words}");
    }
}
