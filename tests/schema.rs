//! The schema and the page of members: in step with what is committed, and with what the parser accepts.
#![expect(clippy::disallowed_methods, reason = "tests read the committed documents and examples")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use jsonschema::Validator;
use patchctl::job::{
    self, Element, Empty, JOB, Member, Owner, Platform, Type, canonical, page::members_page,
    schema::manifest_schema,
};
use patchctl::manifest::{self, Context, ReadScript, ScriptProblem};
use patchctl::source::SourceFile;
use proptest::prelude::*;
use serde_json::{Value, json};

const UUID: &str = "5f2b9d70-c3a4-4e18-8f65-1d7e06b4a92c";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

static SCHEMA: LazyLock<Validator> =
    LazyLock::new(|| jsonschema::validator_for(&manifest_schema()).expect("a schema"));

// --- what is committed -----------------------------------------------------------------------------------------

#[track_caller]
fn check_committed(path: &str, generated: &str, command: &str) {
    let committed = std::fs::read_to_string(root().join(path)).unwrap_or_default().replace("\r\n", "\n");
    let first = committed.lines().zip(generated.lines()).position(|(one, other)| one != other);
    let line = first.unwrap_or_else(|| committed.lines().count().min(generated.lines().count())) + 1;
    assert!(
        committed.trim_end() == generated.trim_end(),
        "{path} is not what the program generates, first at line {line}; run: {command}"
    );
}

#[test]
fn the_committed_page_of_members_is_the_generated_one() {
    check_committed("docs/members.md", &members_page(), "patchctl schema --members > docs/members.md");
}

#[test]
fn the_committed_schema_is_the_generated_one() {
    let generated = serde_json::to_string_pretty(&manifest_schema()).expect("JSON");
    check_committed("docs/manifest.schema.json", &generated, "patchctl schema > docs/manifest.schema.json");
}

#[test]
fn the_schema_is_one_by_the_meta_schema() {
    assert!(jsonschema::draft202012::meta::is_valid(&manifest_schema()));
}

// --- what the repository shows ---------------------------------------------------------------------------------

fn yaml_files(folder: &str) -> Vec<PathBuf> {
    let entries = walkdir::WalkDir::new(root().join(folder)).sort_by_file_name();
    let paths = entries.into_iter().map(|entry| entry.expect("a readable folder").into_path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")).collect()
}

fn documents(path: &Path) -> Vec<Value> {
    use serde::Deserialize as _;
    let text = std::fs::read_to_string(path).expect("a readable file");
    let documents = serde_yaml::Deserializer::from_str(&text);
    documents.map(|document| Value::deserialize(document).expect("YAML")).collect()
}

#[test]
fn manifests_of_the_repository_validate() {
    let mut n_documents = 0;
    for folder in ["jobs.d", "examples/manifests/minimal", "examples/manifests/linked-jobs"] {
        for path in yaml_files(folder) {
            for document in documents(&path) {
                let errors: Vec<_> = SCHEMA.iter_errors(&document).map(|error| error.to_string()).collect();
                assert_eq!(errors, [""; 0], "{}", path.display());
                n_documents += 1;
            }
        }
    }
    assert!(n_documents >= 14, "{n_documents}");
}

#[test]
fn broken_shapes_are_refused_and_nothing_else() {
    for path in yaml_files("examples/manifests/broken") {
        let name = path.file_stem().and_then(|name| name.to_str()).expect("a name");
        let expected = match name {
            "misspelt-member" | "server-owned-member" | "wrong-type" | "six-actions" => false,
            // Two manifests, two members, a file beside it, YAML itself: not the shape of one manifest.
            "same-key-twice" | "week-days-on-daily" | "missing-script-file" | "duplicate-key" => true,
            other => panic!("say here whether the schema can know what is wrong with {other}"),
        };
        let found = documents(&path).iter().all(|document| SCHEMA.is_valid(document));
        assert_eq!(found, expected, "{name}");
    }
}

// --- the same verdicts as the parser's -------------------------------------------------------------------------

/// Every script file there is, with the same content.
struct AnyScript;

impl ReadScript for AnyScript {
    fn read_script(&self, _manifest: &str, path: &str) -> Result<Vec<u8>, ScriptProblem> {
        match path {
            "" => Err(ScriptProblem { message: "is not relative".to_owned(), help: String::new() }),
            _ => Ok(b"exit 0\n".to_vec()),
        }
    }
}

/// Whether the parser takes a manifest without an error.
fn parses(manifest: &Value) -> bool {
    let text = serde_yaml::to_string(manifest).expect("YAML");
    let tags = BTreeMap::from([("known".to_owned(), UUID.to_owned())]);
    let context = Context { tags: &tags, allow_unknown_fields: false, scripts: &AnyScript };
    let parsed = manifest::parse(&SourceFile::new("jobs.d/a.yaml", text), context);
    !parsed.diagnostics.has_errors()
}

fn manifest_of(spec: Value) -> Value {
    json!({"apiVersion": "patchctl/v1", "kind": "DeploymentJob", "metadata": {"key": "a"}, "spec": spec})
}

/// A manifest that declares one member, with only what must stand around it.
fn manifest_with(path: &str, row: &Member, value: &Value) -> Value {
    let platform = row.platform.map_or(Platform::Windows, |(platform, _)| platform).as_str();
    let mut declared = value.clone();
    for part in path.split('.').rev() {
        let name = part.trim_end_matches("[]");
        if name.len() < part.len() {
            declared = json!([declared]);
        }
        let mut block = json!({ name: declared });
        // An action is told by its id, or by kind and name: give it the half that is not under test.
        if path.contains("Actions[]") && part == path.split('.').nth(1).unwrap_or_default() {
            let known = match name {
                "actionId" => json!({"action": "Install Software", "params": {"actionItem": "A"}}),
                _ => json!({ "actionId": UUID }),
            };
            for (name, value) in known.as_object().expect("an object") {
                block[name] = value.clone();
            }
        }
        declared = block;
    }
    let mut spec = json!({"name": "A", "platform": platform});
    for (name, value) in declared.as_object().expect("an object") {
        spec[name] = value.clone();
    }
    manifest_of(spec)
}

/// Values of every kind, good for some members and bad for others.
fn values() -> Vec<Value> {
    let mut values = vec![
        json!(null),
        json!(true),
        json!(false),
        json!(1.5),
        json!(1.0),
        json!(u64::MAX),
        json!([]),
        json!({}),
        json!({"nonsense": null}),
        json!([[]]),
        json!([null]),
        json!([{}]),
        json!([{"nonsense": 1}]),
        json!([1, 2]),
        json!([1.5]),
        json!([true]),
        json!(["known"]),
        json!(["unknown"]),
        json!([UUID, UUID.to_uppercase()]),
        json!(["5", " 07 "]),
        json!(["Tue", "thursday"]),
        json!(["Tuseday"]),
        json!(["a@acme.example", "b@acme.example"]),
        json!([" sun ", "SATURDA"]),
        json!(["0"]),
    ];
    values.extend(
        [-28, -27, -13, -2, -1, 0, 1, 2, 3, 5, 6, 7, 27, 28, 31, 32, 100, 101, 20_000].map(Value::from),
    );
    let texts = [
        "",
        " ",
        "x",
        "yes",
        "true",
        "known",
        UUID,
        "0",
        "-0",
        "+3",
        " 7 ",
        "007",
        "-27",
        "-28",
        "27",
        "28",
        "31",
        "32",
        "100",
        "101",
        "1.0",
        "1e1",
        "--1",
        "Sun",
        "su",
        "sunday",
        " SATURDAY ",
        "sundays",
        "Tue, Thu",
        "tue thu",
        "Tue,,Thu,",
        "Tue;Thu",
        "TueThu",
        ",",
        "0,0,1,0,1,0,0",
        "0, 0, 1, 0, 1, 0, 0",
        "0,0,2,0,0,0,0",
        "0,0,1,0,1,0",
        "2026-12-01T02:00",
        "2026-12-01 02:00:30",
        "2026-12-01t02:00:30.5",
        "2026-12-01",
        "2026-12-01T24:00",
        "2026-13-01T02:00",
        "2026-02-30T02:00",
        "2026-12-01T02:00Z",
        "2026-12-01T02:00+01:00",
        "2025-7-01 09:57:18 AM",
        "2025-7-1 9:57 pm",
        "2025-7-01 13:57:18 PM",
        "tomorrow, at noon",
        "a@acme.example, b@acme.example",
        "#!/bin/sh\nexit 0\n",
        "5f2b9d70-c3a4-4e18-8f65-1d7e06b4a92c/5f2b9d70-c3a4-4e18-8f65-1d7e06b4a92c/Script",
        "5f2b9d70-c3a4-4e18-8f65-1d7e06b4a92c/5f2b9d70-c3a4-4e18-8f65-1d7e06b4a92c/DetectionScript\n",
    ];
    values.extend(texts.map(Value::from));
    let mut choices = BTreeSet::new();
    job::walk(&mut |_, row| {
        if let Type::Choice(names) | Type::OpenChoice(names) = row.kind {
            choices.extend(
                names.iter().flat_map(|name| [(*name).to_owned(), name.to_uppercase(), format!(" {name} ")]),
            );
        }
    });
    values.extend(choices.into_iter().map(Value::from));
    values
}

/// The differences between schema and parser that are meant, each with the verdicts that it explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Difference {
    /// The parser takes the empty value of another kind for none, as API answers hold it; the schema does not.
    BlankOfAnotherKind,
    /// Which names the `tags` map holds is the configuration's business.
    UnknownTag,
    /// JSON does not tell 1.0 from 1, the parser does.
    WholeFloat,
    /// JSON has numbers beyond 64 bits, and the parser reads them as texts: good for a text, bad for a number.
    Beyond64Bits,
    /// The schema knows no calendar.
    DayOfMonth,
    /// Rules that look at more than one member: what tells an action, what goes into which list.
    CrossField,
}

fn documented(path: &str, row: &Member, value: &Value) -> Option<Difference> {
    let is_list = matches!(row.kind, Type::Set(_) | Type::List(..) | Type::WeekDays | Type::Addresses);
    let is_block = matches!(row.kind, Type::Object(_));
    let takes_text = !matches!(row.kind, Type::Bool | Type::Set(_) | Type::Object(_) | Type::List(..));
    let numeric = matches!(row.kind, Type::Integer(..) | Type::WeekDay);
    match value {
        _ if matches!(row.kind, Type::Any) => None,
        Value::String(text) if text.is_empty() && !takes_text => Some(Difference::BlankOfAnotherKind),
        Value::Array(items) if items.is_empty() && !is_list => Some(Difference::BlankOfAnotherKind),
        Value::Object(members) if members.is_empty() && !is_block => Some(Difference::BlankOfAnotherKind),
        Value::Number(number) if numeric && number.as_f64() == Some(1.0) && number.as_i64().is_none() => {
            Some(Difference::WholeFloat)
        }
        Value::Number(number) if number.is_u64() && number.as_i64().is_none() => {
            Some(Difference::Beyond64Bits)
        }
        Value::String(text) if matches!(row.kind, Type::DateTime) && text.starts_with("2026-02-30") => {
            Some(Difference::DayOfMonth)
        }
        Value::Array(items) if matches!(row.kind, Type::Set(Element::Tag)) => {
            let unknown =
                |item: &Value| item.as_str().is_some_and(|tag| tag != "known" && !canonical::is_uuid(tag));
            (items.iter().all(Value::is_string) && items.iter().any(unknown))
                .then_some(Difference::UnknownTag)
        }
        Value::Array(items) if path.ends_with("Actions") && items == &[json!({})] => {
            Some(Difference::CrossField)
        }
        Value::String(text) if path == "postDeployActions[].defaultScriptType" && !text.is_empty() => {
            Some(Difference::CrossField)
        }
        _ => None,
    }
}

#[test]
fn verdicts_on_every_member_are_the_parsers() {
    let (values, mut wrong, mut met) = (values(), Vec::new(), BTreeSet::new());
    job::walk(&mut |path, row| {
        let mut verdicts = BTreeSet::new();
        for value in &values {
            let manifest = manifest_with(path, row, value);
            let (parser, schema) = (parses(&manifest), SCHEMA.is_valid(&manifest));
            verdicts.insert(schema);
            let explained = match documented(path, row, value) {
                Some(Difference::BlankOfAnotherKind) if !schema => Some(Difference::BlankOfAnotherKind),
                Some(Difference::Beyond64Bits) if schema != parser => Some(Difference::Beyond64Bits),
                Some(difference) if schema && !parser => Some(difference),
                Some(_) | None => None,
            };
            met.extend(explained);
            if parser != schema && explained.is_none() {
                wrong.push(format!("{path}: {value}: parser {parser}, schema {schema}"));
            }
        }
        let expected = match (row.owner, row.kind) {
            _ if row.name == "actionType" => BTreeSet::from([true, false]),
            (Owner::Server, _) => BTreeSet::from([false]),
            (_, Type::Any) => BTreeSet::from([true]),
            _ => BTreeSet::from([true, false]),
        };
        assert_eq!(verdicts, expected, "{path}: the values hold good and bad ones");
    });
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(met.len(), 6, "a difference that is documented is not met any more: {met:?}");
}

#[track_caller]
fn check(manifest: &Value, expected: bool) {
    assert_eq!(parses(manifest), expected, "the parser on {manifest}");
    assert_eq!(SCHEMA.is_valid(manifest), expected, "the schema on {manifest}");
}

#[test]
fn verdicts_on_the_header_are_the_parsers() {
    let good = manifest_of(json!({"name": "A", "platform": "linux"}));
    check(&good, true);
    let with = |pointer: &str, value: Value| {
        let mut manifest = good.clone();
        let (block, name) = pointer.rsplit_once('/').expect("a pointer");
        manifest.pointer_mut(block).expect("a block")[name] = value;
        manifest
    };
    let without = |name: &str| {
        let mut manifest = good.clone();
        manifest.as_object_mut().expect("an object").remove(name);
        manifest
    };
    for name in ["apiVersion", "kind", "metadata", "spec"] {
        check(&without(name), false);
        check(&with(&format!("/{name}"), json!(null)), false);
        check(&with(&format!("/{name}"), json!([])), false);
    }
    check(&with("/apiVersion", json!("patchctl/v2")), false);
    check(&with("/kind", json!("deploymentjob")), false);
    check(&with("/status", json!("Enabled")), false);
    check(&with("/spec/nonsense", json!(1)), false);
    check(&with("/metadata/labels", json!({})), false);
    for key in [json!("a-1"), json!(5), json!(-5), json!("-")] {
        check(&with("/metadata/key", key), true);
    }
    for key in
        [json!(null), json!(true), json!(1.5), json!(""), json!("A"), json!("a_b"), json!("a b"), json!("ä")]
    {
        check(&with("/metadata/key", key), false);
    }
    for id in [json!(UUID), json!(UUID.to_uppercase())] {
        check(&with("/metadata/id", id), true);
    }
    for id in [json!(null), json!(5), json!("x"), json!(format!("{UUID}0")), json!(format!(" {UUID}"))] {
        check(&with("/metadata/id", id), false);
    }
    for name in [json!("Old"), json!("2026"), json!(" ")] {
        check(&with("/metadata/previousName", name), true);
    }
    for name in [json!(null), json!(2026), json!(true), json!(""), json!(["Old"])] {
        check(&with("/metadata/previousName", name), false);
    }
    for protect in [json!(true), json!(false)] {
        check(&with("/metadata/protect", protect), true);
    }
    for protect in [json!(null), json!("true"), json!(1)] {
        check(&with("/metadata/protect", protect), false);
    }
    check(&json!([good]), false);
    check(&json!("text"), false);
}

#[test]
fn a_job_is_found_by_name_and_platform_or_by_its_id() {
    let with_id = |spec: Value| {
        let mut manifest = manifest_of(spec);
        manifest["metadata"]["id"] = json!(UUID);
        manifest
    };
    check(&manifest_of(json!({"name": "A"})), false);
    check(&manifest_of(json!({"platform": "Linux"})), false);
    check(&with_id(json!({})), true);
    check(&with_id(json!({"name": "A"})), true);
    check(&with_id(json!({"name": null})), false);
    check(&with_id(json!({"name": ""})), false);
    check(&with_id(json!({"platform": null})), false);
    check(&with_id(json!({"platform": ""})), false);
    check(&with_id(json!({"platform": " WINDOWS "})), true);
}

#[test]
fn a_script_stands_in_place_or_in_a_file() {
    for list in ["preDeployActions", "postDeployActions"] {
        for name in ["script", "detectionScript"] {
            let file = format!("{name}File");
            let action = |members: Value| {
                let mut action = members;
                action["actionId"] = json!(UUID);
                manifest_of(json!({"name": "A", "platform": "Windows", list: [action]}))
            };
            check(&action(json!({ &file: "scripts/a.ps1" })), true);
            for path in [json!(null), json!(""), json!(5), json!(["a.ps1"])] {
                check(&action(json!({ &file: path })), false);
            }
            check(&action(json!({ name: "exit 0", &file: "a.ps1" })), false);
            check(&action(json!({ &file: "a.ps1", name: null })), false);
        }
        let both = json!({"actionId": UUID, "script": "exit 0", "detectionScriptFile": "a.ps1"});
        check(&manifest_of(json!({"name": "A", "platform": "Windows", list: [both]})), true);
        let action = json!({ "actionId": UUID });
        check(&manifest_of(json!({"name": "A", "platform": "Windows", list: vec![action.clone(); 5]})), true);
        check(&manifest_of(json!({"name": "A", "platform": "Windows", list: vec![action; 6]})), false);
    }
    check(&manifest_of(json!({"name": "A", "platform": "Windows", "descriptionFile": "a.md"})), false);
}

/// The settable rows of the root, each with its own part of the schema.
static MEMBERS: LazyLock<Vec<(Validator, &Member)>> = LazyLock::new(|| {
    let schema = manifest_schema();
    let part = |row: &Member| {
        jsonschema::validator_for(&schema["properties"]["spec"]["properties"][row.name]).expect("a schema")
    };
    JOB.iter().filter(|row| row.is_settable()).map(|row| (part(row), row)).collect()
});

fn numbers_of_the_root() -> impl Iterator<Item = &'static (Validator, &'static Member)> {
    MEMBERS.iter().filter(|(_, row)| matches!(row.kind, Type::Integer(..) | Type::WeekDay))
}

fn member(name: &str) -> &'static (Validator, &'static Member) {
    MEMBERS.iter().find(|(_, row)| row.name == name).expect("a row")
}

/// Whether the parser takes a value, with or without a warning.
fn is_taken(row: &Member, value: &Value) -> bool {
    canonical::canonical(row, value).map_or_else(|mismatch| mismatch.tolerable, |_| true)
}

proptest! {
    #[test]
    fn numbers_in_texts(text in "[ +-]{0,2}[0-9]{0,3}[ .]?") {
        for (schema, row) in numbers_of_the_root() {
            let value = Value::from(text.as_str());
            prop_assert_eq!(schema.is_valid(&value), is_taken(row, &value), "{}: {:?}", row.name, text);
        }
    }

    #[test]
    fn numbers(number in -200_i64..200) {
        for (schema, row) in numbers_of_the_root() {
            let value = Value::from(number);
            prop_assert_eq!(schema.is_valid(&value), is_taken(row, &value), "{}: {}", row.name, number);
        }
    }

    #[test]
    fn days_in_a_text(text in "([, ]{0,2}(sun|Mond|TUESDAY|wed|thurs|fri|satur|sa|x|0|1)){0,8}[, ]{0,2}") {
        let (schema, row) = member("recurringWeekDays");
        let value = Value::from(text.as_str());
        prop_assert_eq!(schema.is_valid(&value), is_taken(row, &value), "{:?}", text);
    }

    /// Days up to 28 are in every month, so that the schema needs no calendar.
    #[test]
    fn iso_dates(text in "20[0-9]{2}-[01][0-9]-[012][0-8][ T][0-2][0-9]:[0-6][0-9](:[0-6][0-9](\\.[0-9]{1,3})?)?(Z|[+]01:00)?") {
        let (schema, row) = member("startDateTime");
        let value = Value::from(text.as_str());
        prop_assert_eq!(schema.is_valid(&value), is_taken(row, &value), "{:?}", text);
    }

    #[test]
    fn dates_of_the_server(text in "20[0-9]{2}-[01]?[0-9]-[012]?[1-8] [01]?[0-9]:[0-6][0-9](:[0-6][0-9])? ([AaPp][Mm])?") {
        let (schema, row) = member("startDateTime");
        let value = Value::from(text.as_str());
        prop_assert_eq!(schema.is_valid(&value), is_taken(row, &value), "{:?}", text);
    }

    /// Whatever the form: an editor never marks a date that the parser takes.
    #[test]
    fn no_date_is_refused_that_the_parser_takes(text in " ?[+-]?[0-9]{1,6}[-/]?[0-9]{1,2}[-/]?[0-9]{1,2} ?[Tt]? ?[0-9]{1,2}:?([0-9]{2})?:?([0-9]{2})?([.,][0-9]{1,9})? ?([AP]M)? ?") {
        let (schema, row) = member("startDateTime");
        let value = Value::from(text.as_str());
        prop_assert!(schema.is_valid(&value) || !is_taken(row, &value), "{:?}", text);
    }

    #[test]
    fn names_in_any_case(flips in prop::collection::vec(any::<bool>(), 40), blanks in " {0,2}") {
        for (schema, row) in MEMBERS.iter() {
            let Type::Choice(names) = row.kind else { continue };
            for name in names {
                let letters = name.chars().zip(&flips);
                let flipped = letters.map(|(c, up)| if *up { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() });
                let text = format!("{blanks}{}{blanks}", flipped.collect::<String>());
                let value = Value::from(text.as_str());
                prop_assert!(schema.is_valid(&value) && is_taken(row, &value), "{}: {:?}", row.name, text);
                let value = Value::from(format!("{text}x"));
                prop_assert!(!schema.is_valid(&value) && !is_taken(row, &value), "{}: {:?}", row.name, value);
            }
        }
    }
}

#[test]
fn none_that_a_row_names_is_accepted() {
    for (schema, row) in MEMBERS.iter().filter(|(_, row)| !["name", "platform", "status"].contains(&row.name))
    {
        assert!(schema.is_valid(&json!(null)), "{}", row.name);
        match row.empty {
            Empty::False => assert!(schema.is_valid(&json!(false)), "{}", row.name),
            Empty::Zero => {
                assert!(schema.is_valid(&json!(0)) && schema.is_valid(&json!("0")), "{}", row.name)
            }
            Empty::Default(value) => assert!(schema.is_valid(&json!(value)), "{}", row.name),
            Empty::Null | Empty::Blank | Empty::AllMembers => {}
        }
    }
}
