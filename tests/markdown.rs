//! Plans as Markdown: whatever stands in a plan, the document fits a comment, does nothing but be read, shows what is
//! dangerous and shows nothing that is private.

use std::collections::{BTreeMap, BTreeSet};

use patchctl::diagnostic::{Diagnostic, Diagnostics};
use patchctl::patch::Envelope;
use patchctl::plan::{Action, Change, Field, Guard, Origin, Plan};
use patchctl::render::markdown::plan::{Context, plan as markdown};
use patchctl::render::markdown::{MOST_CHARACTERS, length};
use patchctl::snapshot::Edit;
use patchctl::source::{Place, SourceFile, Span};
use proptest::prelude::*;
use serde_json::{Value, json};

const CONTEXT: Context<'_> = Context {
    owner: "acme",
    gateway: "gateway.example.com",
    applying: Some("Applying takes 3 calls."),
    is_saved: false,
};

fn place() -> Place {
    Place::new(&SourceFile::new("jobs.d/a.yaml", "kind: x\n"), Span::new(0, 4))
}

fn change(key: &str, action: Action) -> Change {
    Change {
        key: key.to_owned(),
        id: Some("00000000-0000-4000-8000-000000000001".to_owned()),
        name: format!("Job {key}"),
        platform: None,
        action,
        reason: "1 member differs".to_owned(),
        place: place(),
        fields: vec![field("/timeout", json!(4), json!(5))],
        request: None,
        after: Vec::new(),
        schedule: None,
        notes: Vec::new(),
        basis: None,
        is_one_way: false,
        unknown: Vec::new(),
        waiting: None,
        edited: None,
    }
}

fn field(path: &str, before: Value, after: Value) -> Field {
    Field { path: path.to_owned(), before, after, base: None, origin: Origin::Unknown, place: None }
}

fn plan_of(changes: Vec<Change>) -> Plan {
    Plan {
        n_manifests: changes.len(),
        changes,
        n_unchanged: 7,
        n_unmanaged: Some(2),
        envelope: Envelope::Minimal,
        n_orphans: 0,
        probe: None,
        leftovers: Vec::new(),
        guard: None,
        list_calls: BTreeMap::new(),
        tag_names: BTreeMap::new(),
        base: None,
        no_longer_managed: Vec::new(),
        ignored: Vec::new(),
        warnings: Diagnostics::new(),
    }
}

/// The document without its folded blocks.
fn unfolded(document: &str) -> String {
    let mut rest = document;
    let mut out = String::new();
    while let Some((before, after)) = rest.split_once("<details>") {
        out.push_str(before);
        rest = after.split_once("</details>").expect("each fold is closed").1;
    }
    out + rest
}

/// What is outside of code and of the HTML that is ours; what platforms would read for more than letters.
fn live_text(document: &str) -> String {
    let mut text = document.to_owned();
    for tag in ["<details>", "</details>", "<summary>", "</summary>"] {
        text = text.replace(tag, "");
    }
    let mut out = String::new();
    for line in text.lines().skip(1) {
        let mut rest = line;
        // Both kinds of code are closed in the line in which they are opened.
        while let Some(at) = rest.find(['`', '<']) {
            out.push_str(&rest[..at]);
            let close = if rest[at..].starts_with('`') { "`" } else { "</code>" };
            assert!(close == "`" || rest[at..].starts_with("<code>"), "HTML that is not ours: {line}");
            let inner = &rest[at + 1..];
            let end = inner.find(close).unwrap_or_else(|| panic!("code that is not closed: {line}"));
            rest = &inner[end + close.len()..];
        }
        out.push_str(rest);
        out.push('\n');
    }
    out
}

#[track_caller]
fn check_harmless(document: &str) {
    assert!(length(document) <= MOST_CHARACTERS, "{} characters", length(document));
    let live = live_text(document);
    let live = live.replace("\n#### ", "\n").replace("### ", "");
    for mark in ['@', '#', '<', '>', '[', ']', '~', '$', '\\', '{', '}', '&', '^'] {
        assert!(!live.contains(mark), "`{mark}` in {live}");
    }
    assert!(!live.contains("://") && !live.contains("www."), "{live}");
    // Every row of a table has as many cells as its head.
    let mut n_cells = None;
    for line in document.lines() {
        if line.starts_with('|') {
            let n = line.matches('|').count();
            assert_eq!(*n_cells.get_or_insert(n), n, "{line}");
        } else {
            n_cells = None;
        }
        assert!(!line.starts_with('/'), "GitLab takes it for an order: {line}");
    }
    assert!(document.matches("<details>").count() == document.matches("</details>").count());
}

/// Whether it must be seen.
fn is_dangerous(change: &Change, armed: &BTreeSet<String>) -> bool {
    match change.action {
        Action::Delete | Action::Enable | Action::Blocked | Action::Held => true,
        Action::Create => armed.contains(&change.key),
        Action::Update | Action::Disable => {
            change.fields.iter().any(|field| field.after.is_null() && field.before.get("stored").is_some())
        }
    }
}

/// Text as somebody would write it who wants a comment to do more than be read.
fn hostile() -> impl Strategy<Value = String> {
    let bits = prop::sample::select(vec![
        "@anna",
        "</details>",
        "<!--",
        "-->",
        "<img src=x>",
        "|",
        "`",
        "```",
        "\\",
        "\n",
        "\r\n",
        "#12",
        "[a](b)",
        "![a](b)",
        "http://e.example/?token=SECRETQUERY",
        "https://u:SECRETPASS@e.example/x",
        "www.e.example",
        "SECRETMAIL@e.example",
        "\"SECRETMAIL\"@e.example",
        "/close",
        "~bug",
        "%m",
        "!1",
        "&e",
        ":x:",
        "$a$",
        "*b*",
        "_c_",
        "~~d~~",
        "- ",
        "1. ",
        "# ",
        "> ",
        "| a |",
        "0123abcd",
        "\u{202e}",
        "\u{200b}",
        "\u{e0041}",
        "漢",
        "a",
        " ",
        "  ",
        "key",
        "\t",
        "\u{1b}[2J",
        "GH-1",
        "==",
        "---",
        "<code>",
        "</code>",
        "{{x}}",
        "'",
        "\"",
        "(",
        ")",
        ".",
        ",",
        "SECRETMAIL@[192.0.2.1]",
    ]);
    prop::collection::vec(bits, 0..12).prop_map(|bits| bits.concat())
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        hostile().prop_map(Value::from),
        prop::collection::vec(hostile(), 0..20).prop_map(Value::from),
        (0_u32..4_000).prop_map(|n| Value::from("long ".repeat(n as usize))),
        hostile().prop_map(|text| json!({"action": text, "params": {"actionItem": text}})),
        Just(json!({"stored": "a/b/Script"})),
        Just(json!({"sha256": "ab".repeat(32), "bytes": 12})),
    ]
}

fn any_change() -> impl Strategy<Value = Change> {
    let paths = prop::sample::select(vec![
        "/name",
        "/description",
        "/assetTagIds",
        "/notification/notificationConfigs/recipientEmails",
        "/preDeployActions/0",
        "/preDeployActions/0/script",
        "/preDeployActions",
        "/x~1y",
        "/status",
    ]);
    let origins = prop::sample::select(vec![Origin::Git, Origin::Console, Origin::Both, Origin::Unknown]);
    let a_field = (paths, value(), value(), prop::option::of(value()), origins)
        .prop_map(|(path, before, after, base, origin)| Field { base, origin, ..field(path, before, after) });
    (
        prop::sample::select(Action::ALL.to_vec()),
        (hostile(), hostile(), hostile(), hostile()),
        prop::collection::vec(a_field, 0..6),
        prop::collection::vec(hostile(), 0..4),
        any::<bool>(),
        prop::option::of((hostile(), hostile())),
    )
        .prop_map(|(action, (name, reason, path, user), fields, notes, is_one_way, schedule)| Change {
            name,
            reason,
            fields,
            notes,
            schedule,
            is_one_way: is_one_way && action == Action::Enable,
            place: Place::new(&SourceFile::new(path, "x\n"), Span::new(0, 1)),
            edited: Some(Edit { user_id: None, user: Some(user), at: Some(1_790_000_000_000) }),
            after: vec!["a:create".to_owned()],
            ..change("", action)
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_plan_fits_and_does_nothing_but_be_read(
        mut changes in prop::collection::vec(any_change(), 0..25),
        tag in hostile(),
        guard in prop::option::of(hostile()),
        warnings in prop::collection::vec(hostile(), 0..5),
    ) {
        for (at, change) in changes.iter_mut().enumerate() {
            change.key = format!("key-{at}-end");
        }
        let mut plan = plan_of(changes);
        plan.tag_names = BTreeMap::from([("a".to_owned(), tag)]);
        plan.guard = guard.map(|text| Guard { reason: text.clone(), help: text });
        for text in warnings {
            plan.warnings.push(Diagnostic::warning("late", text.clone()).at(place(), text.clone()).help(text));
        }
        let document = markdown(&plan, CONTEXT);
        check_harmless(&document);
        prop_assert!(document.starts_with("<!-- patchctl:plan acme -->\n"));
        prop_assert!(!document.contains("SECRET"), "{document}");
        let armed: BTreeSet<String> =
            plan.changes.iter().filter(|c| c.action == Action::Enable).map(|c| c.key.clone()).collect();
        let seen = unfolded(&document);
        for change in &plan.changes {
            prop_assert!(document.contains(&change.key), "{}", change.key);
            if is_dangerous(change, &armed) {
                prop_assert!(seen.contains(&change.key), "{} is folded: {document}", change.key);
            }
        }
    }
}

#[test]
fn ten_thousand_steps_fit_and_what_is_left_out_is_counted() {
    let mut changes: Vec<Change> = (0..10_000).map(|n| change(&format!("job-{n}"), Action::Update)).collect();
    changes[9_998].action = Action::Delete;
    changes[9_999].action = Action::Blocked;
    let document = markdown(&plan_of(changes), CONTEXT);
    check_harmless(&document);
    assert!(length(&document) > 50_000, "there is room for more than {}", length(&document));
    let seen = unfolded(&document);
    assert!(seen.contains("### Plan: 9,998 to update, 1 to delete, 1 blocked, 7 unchanged"), "{seen}");
    assert!(seen.contains("**delete (can not be taken back)** `job-9998`: `Job job-9998`\n"), "{seen}");
    assert!(seen.contains("**blocked** `job-9999`: `Job job-9999`\n"), "{seen}");
    let n_shown = document.matches("- update `").count() + document.matches("<summary>update").count();
    let n_left = 9_998 - n_shown;
    assert!(n_shown > 1_000 && n_left > 1_000, "{n_shown}");
    let digits = n_left.to_string();
    let told = format!("Not shown for lack of room: {},{} more steps", &digits[..1], &digits[1..]);
    assert!(seen.contains(&told), "{told}: {seen}");
}

#[test]
fn dangerous_steps_get_shorter_before_one_is_left_out() {
    // One line with the reason, then the bare line, then a count.
    for (n, is_all_there, sign) in [
        (400, true, "; 1 member differs\n"),
        (1_500, true, "\n- delete `job-"),
        (9_000, false, "\n- delete `job-"),
    ] {
        let changes = (0..n).map(|at| change(&format!("job-{at}"), Action::Delete)).collect();
        let document = markdown(&plan_of(changes), CONTEXT);
        check_harmless(&document);
        let n_shown = document.matches("`job-").count();
        assert_eq!(n_shown == n, is_all_there, "{n}: {n_shown} are shown");
        assert!(document.contains(sign), "{n}: {document}");
        let told = "**Not shown for lack of room, and to be looked at as well: ";
        assert_eq!(document.contains(told), !is_all_there, "{n}");
        assert!(!document.contains("<details>"), "{n}");
    }
}

#[test]
fn the_worst_stands_first() {
    let mut one_way = change("armed-for-good", Action::Enable);
    one_way.is_one_way = true;
    let mut loses = change("loses", Action::Update);
    loses.fields = vec![field(
        "/preDeployActions/0",
        json!({"action": "Run Script", "script": {"stored": "x"}}),
        json!(null),
    )];
    let changes = vec![
        change("plain", Action::Update),
        change("held", Action::Held),
        change("blocked", Action::Blocked),
        change("new", Action::Create),
        change("new", Action::Enable),
        loses,
        change("goes", Action::Delete),
        one_way,
        change("quiet", Action::Create),
        change("off", Action::Disable),
    ];
    let seen = unfolded(&markdown(&plan_of(changes), CONTEXT));
    let found: Vec<&str> = seen
        .lines()
        .filter(|line| line.starts_with("**"))
        .filter_map(|line| line.split(": ").next())
        .collect();
    assert_eq!(
        found,
        [
            "**enable (one-way door)** `armed-for-good`",
            "**delete (can not be taken back)** `goes`",
            "**update (removes a script that can not be read back)** `loses`",
            "**create (the job will run)** `new`",
            "**enable (the job will run)** `new`",
            "**blocked** `blocked`",
            "**held** `held`",
        ]
    );
}

#[test]
fn who_changed_what_is_said_where_it_is_known() {
    let edit = Edit { user_id: None, user: Some("anna.k".to_owned()), at: Some(1_790_000_000_000) };
    let mut held = change("held", Action::Held);
    held.edited = Some(edit);
    held.fields = vec![
        Field { origin: Origin::Both, base: Some(json!(3)), ..field("/timeout", json!(4), json!(5)) },
        Field { origin: Origin::Console, ..field("/timeoutUnit", json!("HOURS"), json!("MINUTES")) },
        Field { origin: Origin::Git, ..field("/priority", json!(null), json!(1)) },
        field("/recurring", json!(true), json!(false)),
    ];
    let document = markdown(&plan_of(vec![held]), CONTEXT);
    for line in [
        "Last edited in the console or over the API by `anna.k` on 2026-09-21 at 14:13 UTC",
        "| member | live | declared | changed by |",
        "| `timeout` | `4` | `5` | **both**; it was `3` |",
        "| `timeoutUnit` | `HOURS` | `MINUTES` | console |",
        "| `priority` | (none) | `1` | Git |",
        "| `recurring` | `true` | `false` |  |",
    ] {
        assert!(document.lines().any(|one| one == line), "no `{line}` in:\n{document}");
    }
}

#[test]
fn a_plan_without_changes_is_one_line() {
    let mut plan = plan_of(Vec::new());
    plan.n_manifests = 13;
    assert_eq!(
        markdown(&plan, CONTEXT),
        "<!-- patchctl:plan acme -->\n**No changes.** All 13 live jobs are as declared in Git, at `gateway.example.com`.\n"
    );
}

#[test]
fn what_stops_the_plan_stands_above_all() {
    let mut plan = plan_of(vec![change("goes", Action::Delete)]);
    plan.guard = Some(Guard {
        reason: "it deletes 1 of 2 managed jobs".to_owned(),
        help: "--max-deletes 1".to_owned(),
    });
    let document = markdown(&plan, CONTEXT);
    let at = |text: &str| document.find(text).unwrap_or_else(|| panic!("no `{text}` in {document}"));
    assert!(
        at("**Stopped: nothing of this would be applied.** it deletes 1 of 2 managed jobs.") < at("Gateway")
    );
    assert!(at("Gateway") < at("**delete"));
    // A guard's words are cut at a length of their own, so that the rest has room.
    plan.guard.as_mut().unwrap().reason = "x ".repeat(100_000);
    check_harmless(&markdown(&plan, CONTEXT));
}

#[test]
fn what_a_saved_plan_decides_is_counted_where_it_is_too_much() {
    let held = |n: usize| {
        let mut enable = change(&format!("{n:03}{}", "`|<&".repeat(100)), Action::Enable);
        enable.reason = "&<@|*_`[".repeat(1_000);
        Change { action: Action::Held, waiting: Some(Box::new(enable.clone())), ..enable }
    };
    let plan = plan_of((0..100).map(held).collect());
    let text = markdown(&plan, Context { is_saved: true, ..CONTEXT });
    assert!(length(&text) <= MOST_CHARACTERS, "{}", length(&text));
    assert!(text.contains("**Approving this saved plan decides these 100 held steps for Git:**"), "{text}");
    let n_named = text.matches("- **enable (the job will run)** ").count();
    assert!(
        n_named > 0 && text.contains(&format!("\n- **and {} more**, which are `held`", 100 - n_named)),
        "{text}"
    );
}
