//! Tests of the whole pass: trees against `serde_yaml`, places, findings, hostile input.

use std::fmt::Write as _;

use proptest::prelude::*;
use serde::Deserialize as _;

use super::*;
use crate::source::{Place, Span};

/// Whether our tree is theirs; the one difference allowed is the one `scalar` names.
pub(super) fn same(ours: &Value, theirs: &serde_yaml::Value) -> bool {
    use serde_yaml::Value as Theirs;
    match (ours, theirs) {
        (Value::Null, Theirs::Null) => true,
        (Value::Bool(a), Theirs::Bool(b)) => a == b,
        (Value::Integer(a), Theirs::Number(b)) => b.as_i64() == Some(*a),
        (Value::Float(a), Theirs::Number(b)) => {
            b.is_f64() && b.as_f64().is_some_and(|b| *a == b || a.is_nan() && b.is_nan())
        }
        (Value::String(a), Theirs::String(b)) => a == b,
        (Value::String(a), Theirs::Number(b)) => scalar::is_large_integer(a) && !b.is_i64(),
        (Value::Sequence(a), Theirs::Sequence(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(&a.value, b))
        }
        (Value::Mapping(a), Theirs::Mapping(b)) => {
            a.len() == b.len()
                && a.iter().zip(b).all(|(a, (key, value))| {
                    (key.as_str() == Some(&a.key) || same(&scalar::plain(&a.key), key))
                        && same(&a.value.value, value)
                })
        }
        _ => false,
    }
}

/// All documents as `serde_yaml` reads them, if it accepts the whole file; empty ones left out.
fn theirs(text: &str) -> Option<Vec<serde_yaml::Value>> {
    let mut documents = Vec::new();
    for document in serde_yaml::Deserializer::from_str(text) {
        documents.push(serde_yaml::Value::deserialize(document).ok()?);
    }
    Some(documents)
}

fn read(text: &str) -> (Vec<Document>, Vec<Diagnostic>) {
    let (documents, diagnostics) = parse(&SourceFile::new("a.yaml", text));
    (documents, diagnostics.iter().cloned().collect())
}

/// Holds our reading to theirs and returns the codes of our findings.
#[track_caller]
fn check_same(text: &str) {
    let (documents, findings) = read(text);
    assert_eq!(findings, [], "{text:?}");
    let theirs = theirs(text).expect("serde_yaml accepts the text");
    let theirs: Vec<_> = theirs.iter().filter(|document| !document.is_null()).collect();
    assert_eq!(documents.len(), theirs.len(), "{text:?}");
    for (ours, theirs) in documents.iter().zip(theirs) {
        assert!(same(&ours.root.value, theirs), "{text:?}\nours: {:?}\ntheirs: {theirs:?}", ours.root.value);
    }
}

const MANIFEST: &str = r#"# weekly
apiVersion: patchctl/v1
kind: DeploymentJob
metadata: { key: windows-servers-weekly, id: c08769ba-aa65-4b77-b224-f2c789ce7970 }
spec:
  name: "Windows servers, weekly: \u00fc"
  description: >-
    folded text
    goes on

    second
  type: Install   # why
  startDateTime: 2026-12-01T02:00
  recurringWeekDays: [Tue, Thu]
  timeout: -1
  tags: &tags
  - one
  - 'it''s'
  -
  more: *tags
  nothing:
  preDeployActions:
    - action: Run Script
      params: { actionItem: Drain, timeout: 180, empty: }
      script: |
        Write-Host "a: b"

        exit 0
  postDeployActions: []
"#;

#[test]
fn hand_made_texts_mean_what_serde_yaml_says() {
    for text in [
        "",
        "# only a comment\n",
        "---\n# c\n---\na: 1\n...\n---\nb: 2\n",
        MANIFEST,
        &MANIFEST.replace('\n', "\r\n"),
        "a: yes\nb: 0755\nc: 1_000\nd: 2026-12-01\ne: 12:30:45\nf: ~\ng: .inf\nh: 0o17\n",
        "a: |\n  x\n   y\n\nb: |-\n  x\n\nc: |+\n  x\n\nd: >\n  x\n  y\n\n   z\n",
        "a: |2\n    x\n  y",
        "a: |\n  no newline at the end",
        "? a\n: b\n? c\n",
        "? |\n  block key\n: - a\n  - b\n",
        "- - a\n  - b\n-  - c\n- d: e\n  f:\n    - g\n",
        "[a, b: c, {d: e, f}, 'g', \"h\\n\\x41\", [], {}]",
        "{a: 1,\n b: [\n 1,\n 2,\n ],\n}\n",
        "a: 'b\n  c\n\n  d'\ne: f\n  g\n",
        "1: a\ntrue: b\n1.5: c\n~: d\n",
        "a: &x {b: &y [1]}\nc: *x\nd: *y\n&k e: 1\nf: *k\ng: {*k : 2}\n",
        "a: &x 1\nb: &x 2\nc: *x\n",
        "a: !!str 5\nb: !!int \"5\"\nc: !!float 5\nd: !!bool \"true\"\ne: !!null ~\nf: !!map {}\ng: !!seq []\n",
        "%YAML 1.2\n---\na: 1\n",
        "a:    # comment\n  # comment\n  - b # comment\n  # comment\n",
        "\u{FEFF}a: 1\n",
        "\"a b\": 1\n'c': 2\nd e: 3\n",
        "a: http://x.y/z?a=b#c\nb: a:b\nc: -1\nd: -x\ne: - \n".trim_end_matches("e: - \n"),
        "--- text\n--- [1]\n--- |\n x\n",
    ] {
        check_same(text);
    }
}

/// The texts of the values at a path, and where they lie.
#[track_caller]
fn check_span(text: &str, path: &[&str], expected: &str) {
    let file = SourceFile::new("a.yaml", text);
    let (documents, diagnostics) = parse(&file);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    let node =
        path.iter().fold(&documents[0].root, |node, step| match (step.parse::<usize>(), &node.value) {
            (Ok(index), Value::Sequence(items)) => &items[index],
            _ => node.value.get(step).expect("the member exists"),
        });
    assert_eq!(Place::new(&file, node.span).text(), expected);
    if expected.is_empty() {
        let before = text[..node.span.start].chars().last();
        assert!(matches!(before, Some(':' | '-')) || path.contains(&"k2"), "{before:?}");
    }
}

#[test]
fn values_know_the_bytes_they_were_written_at() {
    check_span(MANIFEST, &["kind"], "DeploymentJob");
    check_span(MANIFEST, &["spec", "name"], r#""Windows servers, weekly: \u00fc""#);
    check_span(MANIFEST, &["spec", "description"], ">-\n    folded text\n    goes on\n\n    second");
    check_span(MANIFEST, &["spec", "recurringWeekDays"], "[Tue, Thu]");
    check_span(MANIFEST, &["spec", "recurringWeekDays", "1"], "Thu");
    check_span(MANIFEST, &["spec", "tags"], "- one\n  - 'it''s'\n  -");
    check_span(MANIFEST, &["spec", "tags", "2"], "");
    check_span(MANIFEST, &["spec", "more", "0"], "one");
    check_span(MANIFEST, &["spec", "nothing"], "");
    check_span(MANIFEST, &["spec", "preDeployActions", "0", "params", "empty"], "");
    check_span(
        MANIFEST,
        &["spec", "preDeployActions", "0", "script"],
        "|\n        Write-Host \"a: b\"\n\n        exit 0",
    );
    check_span("a:\n  b: 1\n  c: # |\n    |\n     x\n\nd: 2", &["a"], "b: 1\n  c: # |\n    |\n     x");
    check_span("a: |\nb: 1\n", &["a"], "|");
    check_span("a: &x !!str |2-\n   x\nb: 1\n", &["a"], "|2-\n   x");
    check_span(
        "a:\r\n  b: \"ü\"\r\n  c:\r\n  d: |\r\n    x\r\n",
        &["a"],
        "b: \"ü\"\r\n  c:\r\n  d: |\r\n    x",
    );
    check_span("a:\r\n  b: \"ü\"\r\n", &["a", "b"], "\"ü\"");
    check_span("a:\n- - x\n  - y\n- z\n", &["a"], "- - x\n  - y\n- z");
    check_span("a:\n- - x\n  - y\n- z\n", &["a", "0"], "- x\n  - y");
    check_span("a: # - no\n- x\n", &["a"], "- x");
    check_span("a: [b: 1, c]", &["a", "0"], "b: 1");
    check_span("a: {b: 1, c: *b}".replace("*b", "d").as_str(), &["a"], "{b: 1, c: d}");
    check_span("a: &x\n  b: 1\nc: *x\n", &["c"], "b: 1");
    check_span("? k1\n: v\n? k2\n? k3\n", &["k2"], "");
    check_span("--- # c\n- a\n", &[], "- a");
}

#[test]
fn documents_are_counted_without_the_empty_ones() {
    let (documents, findings) = read("# c\n---\na: 1\n---\n# empty\n---\nb: 2\n");
    assert_eq!(findings, []);
    assert_eq!(documents.iter().map(|document| document.index).collect::<Vec<_>>(), [1, 2]);
    assert!(read("---\n~\n").0[0].root.value.is_null());
}

#[test]
fn copies_know_their_alias_and_originals_their_anchor() {
    let text = "a: &x [1, [2]]\nb: *x\nc: [*x]\nd: 3\n";
    let (documents, _) = read(text);
    let get = |key| documents[0].root.value.get(key).expect("the member exists");
    assert!(get("a").anchored && get("a").via_alias.is_none());
    assert!(!get("d").anchored);
    let alias = get("b").via_alias.expect("came by an alias");
    assert_eq!(&text[alias.start..alias.end], "*x");
    let inner = &get("b").value.as_sequence().expect("a list")[1].value.as_sequence().expect("a list")[0];
    assert_eq!(inner.via_alias, Some(alias));
    assert_eq!(get("c").via_alias, None);
    assert_eq!(
        get("c").span,
        Span::new(text.find("[*x]").expect("is there"), text.find("\nd").expect("is there"))
    );
}

/// The places, codes and messages of all findings, a line each, in the order of the text.
fn findings(text: &str) -> Vec<String> {
    let (_, mut diagnostics) = parse(&SourceFile::new("a.yaml", text));
    diagnostics.sort();
    let line = |finding: &Diagnostic| {
        let (line, column) = finding.place.as_ref().map_or((0, 0), Place::line_column);
        format!("{line}:{column} {}: {}", finding.code, finding.message)
    };
    diagnostics.iter().map(line).collect()
}

#[track_caller]
fn check_findings(text: &str, expected: &[&str]) {
    assert_eq!(findings(text), expected, "{text:?}");
}

#[test]
fn independent_errors_are_reported_together() {
    check_findings(
        "a: 1\nb:\n  c: &x 1\n  c: 2\n  <<: {q: *nope, q: 1}\n  d: !Foo x\na: *y\n[1]: {z: 1, z: 2}\n",
        &[
            "4:3 yaml-duplicate-key: the key `c` is written twice in one mapping",
            "5:3 yaml-merge-key: merge keys (`<<`) are not supported",
            "5:11 yaml-alias: the alias `*nope` has no anchor before it",
            "5:18 yaml-duplicate-key: the key `q` is written twice in one mapping",
            "6:6 yaml-tag: the tag `!Foo` has no meaning here",
            "7:1 yaml-duplicate-key: the key `a` is written twice in one mapping",
            "7:4 yaml-alias: the alias `*y` has no anchor before it",
            "8:1 yaml-key: a list or mapping cannot be a key",
            "8:13 yaml-duplicate-key: the key `z` is written twice in one mapping",
        ],
    );
}

#[test]
fn keys_have_to_be_plain_names_written_once() {
    check_findings(
        "1: a\n\"1\": b\n",
        &["2:1 yaml-duplicate-key: the key `1` is written twice in one mapping"],
    );
    check_findings(
        "{a: 1, ? {b: 1, b: 2} : 3}",
        &[
            "1:10 yaml-key: a list or mapping cannot be a key",
            "1:17 yaml-duplicate-key: the key `b` is written twice in one mapping",
        ],
    );
    check_findings("a: &x [1]\n*x : 2\n", &["2:1 yaml-key: a list or mapping cannot be a key"]);
    check_findings("*x : 2\n", &["1:1 yaml-alias: the alias `*x` has no anchor before it"]);
    check_findings(": 2\n", &["1:1 yaml-key: a key is empty"]);
    check_findings("\"<<\": 2\n'': 1\n", &[]);
    let many: String = (0..40).map(|number| format!("k{}: x\n", number % 39)).collect();
    check_findings(&many, &["40:1 yaml-duplicate-key: the key `k0` is written twice in one mapping"]);
    let (_, findings) = read("a: 1\na: 2\na: 3\n");
    assert_eq!(findings.len(), 2);
    assert_eq!(findings[1].related[0].0.line_column(), (1, 1));
}

#[test]
fn what_was_left_out_is_told() {
    let complete = |text| read(text).0[0].complete;
    assert!(complete("a: 1\na: 2\nb: !x y\n"));
    assert!(!complete("a: *x\n"));
    assert!(!complete("<<: {a: 1}\n"));
    assert!(!complete("{[a]: 1}\n"));
    // An alias to a part that was left out is not told a second time.
    check_findings("<<: &x {a: 1}\nb: *x\n", &["1:1 yaml-merge-key: merge keys (`<<`) are not supported"]);
    assert_eq!(
        read("--- *x\n--- 1\n").0.iter().map(|document| document.complete).collect::<Vec<_>>(),
        [false, true]
    );
}

#[test]
fn tags_have_to_fit() {
    check_findings("a: !!int x\n", &["1:4 yaml-tag: the tag `!!int` does not fit a string \"x\""]);
    check_findings("a: !!seq {}\n", &["1:4 yaml-tag: the tag `!!seq` does not fit a mapping"]);
    check_findings("a: !!map x\n", &["1:4 yaml-tag: the tag `!!map` does not fit a string \"x\""]);
    check_findings("a: ! x\n", &["1:4 yaml-tag: the tag `!` has no meaning here"]);
    check_findings("a: !!binary x\n", &["1:4 yaml-tag: the tag `!!binary` has no meaning here"]);
    check_findings("a: !e!x x\n", &["1:4 yaml-tag: a tag cannot be read"]);
    check_findings("!Job\na: 1\n", &["1:1 yaml-tag: the tag `!Job` has no meaning here"]);
}

#[test]
fn syntax_errors_are_explained_and_end_the_file() {
    check_findings("a:\n\tb: 1\n", &["2:1 yaml-syntax: a tab is used as indentation"]);
    check_findings("a: b\n\tc: d\n", &["2:1 yaml-syntax: a tab is used as indentation"]);
    check_findings("a:\n  b: 1\n \tc: 1\n", &["3:2 yaml-syntax: a tab is used as indentation"]);
    check_findings("a: |\n\tx\n", &["2:1 yaml-syntax: a tab is used as indentation"]);
    check_findings("a: b: c\n", &["1:5 yaml-syntax: a `:` that makes a key is not allowed here"]);
    check_findings("a: 1\nb\nc: 2\n", &["2:1 yaml-syntax: a line inside a mapping has no `:`"]);
    check_findings("a: 1\n b: 2\n", &["2:3 yaml-syntax: a `:` that makes a key is not allowed here"]);
    check_findings("a: - b\n", &["1:4 yaml-syntax: a list with `- ` cannot start here"]);
    check_findings("a: [1, 2\n", &["1:4 yaml-syntax: the bracket `[` is never closed"]);
    check_findings("a: [1, 2\nb: 3\n", &["2:2 yaml-syntax: a `:` that makes a key is not allowed here"]);
    let bracket = &read("a: [1, 2\nb: 3\n").1[0].related[0];
    assert_eq!((bracket.0.line_column(), bracket.1.as_str()), ((1, 4), "this bracket is still open"));
    check_findings("a: [1}\n", &["1:4 yaml-syntax: the bracket `[` is closed by `}`"]);
    check_findings("a: 'x\nb: 1\n", &["1:4 yaml-syntax: a quoted text has no end"]);
    check_findings("a: \"C:\\x\"\n", &["1:4 yaml-syntax: an unknown escape stands in double quotes"]);
    check_findings("a: @x\n", &["1:4 yaml-syntax: the character `@` cannot start a value"]);
    check_findings("[a]\nb: 1\n", &["2:1 yaml-syntax: text follows the end of the document"]);
    check_findings("a: *\n", &["1:4 yaml-syntax: an alias or anchor has no name"]);
    check_findings("a: x\0y\n", &["1:5 yaml-encoding: the control character U+0000 is not allowed in YAML"]);
    check_findings(
        "a: \u{1b}[3m\n",
        &["1:4 yaml-encoding: the control character U+001B is not allowed in YAML"],
    );
    check_findings(
        "ä: \u{9b}\n",
        &["1:4 yaml-encoding: the control character U+009B is not allowed in YAML"],
    );

    let (documents, findings) = read("a: 1\na: 2\n---\nb: [\n");
    assert_eq!(documents.len(), 1);
    assert_eq!(
        findings.iter().map(|finding| finding.code).collect::<Vec<_>>(),
        [CODE_DUPLICATE_KEY, CODE_SYNTAX]
    );
}

#[test]
fn aliases_are_bounded() {
    check_findings("a: &x [*x]\n", &["1:8 yaml-alias: an alias repeats the very value it stands in"]);
    check_findings("a: &x {b: [*x]}\n", &["1:12 yaml-alias: an alias repeats the very value it stands in"]);
    let aliases = |count: usize| format!("a: &x 1\nb: [{}]\n", "*x,".repeat(count));
    check_findings(&aliases(1000), &[]);
    check_findings(&aliases(1001), &["2:3005 yaml-alias: the file holds more than the 1000 aliases allowed"]);
    let anchors: String = (0..1001).map(|_| "- &x 1\n").collect();
    check_findings(&anchors, &["1001:6 yaml-alias: the file holds more than the 1000 anchors allowed"]);
    let large = format!("a: &x {}\nb: [{}]\n", "y".repeat(100_000), "*x, ".repeat(20_000));
    let message = "yaml-alias: the aliases of this file stand for more than the 2097152 bytes allowed";
    check_findings(&large, &[&format!("2:{} {message}", 5 + 4 * 20)]);
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let inside = format!("*a{}, ", level - 1).repeat(10);
        writeln!(laughs, "a{level}: &a{level} [{inside}]").expect("a string takes any text");
    }
    assert_eq!(findings(&laughs).len(), 1, "{:?}", findings(&laughs));
    assert!(findings(&laughs)[0].contains(message));
}

#[test]
fn depth_is_bounded() {
    let flow = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let block =
        |depth: usize| (0..depth).map(|level| format!("{}k:\n", " ".repeat(level))).collect::<String>();
    let dashes = |depth| format!("{}x\n", "- ".repeat(depth));
    check_findings(&flow(64), &[]);
    check_findings(&block(64), &[]);
    check_findings(&dashes(64), &[]);
    let message = "yaml-depth: lists and mappings are nested more than 64 deep";
    check_findings(&flow(65), &[&format!("1:65 {message}")]);
    check_findings(&flow(100_000), &[&format!("1:65 {message}")]);
    check_findings(&"[".repeat(100_000), &[&format!("1:65 {message}")]);
    check_findings(&"{a: ".repeat(100_000), &[&format!("1:257 {message}")]);
    for deep in [block(65), block(1400), dashes(65), dashes(100_000)] {
        assert_eq!(findings(&deep).len(), 1);
        assert!(findings(&deep)[0].ends_with(message), "{:?}", findings(&deep));
    }
    // Keys inside keys are one mistake.
    let keys = findings(&"? ".repeat(100_000));
    assert_eq!(
        keys,
        ["1:3 yaml-key: a list or mapping cannot be a key".to_owned(), format!("1:129 {message}")]
    );
    let mixed = format!("a:\n  b:\n  - {}\n", flow(62));
    check_findings(&mixed, &[&format!("3:66 {message}")]);
    // Each level adds an alias to the level before: the text is flat, the tree is not.
    let mut chain = String::from("a0: &a0 [x]\n");
    for level in 1..70 {
        writeln!(chain, "a{level}: &a{level} [*a{}]", level - 1).expect("a string takes any text");
    }
    assert_eq!(findings(&chain), [format!("64:12 {message}")]);
}

#[test]
fn size_documents_and_findings_are_bounded() {
    check_findings(
        &"a".repeat((1 << 20) + 1),
        &["0:0 yaml-size: `a.yaml` has 1048577 bytes, more than the 1048576 allowed"],
    );
    let documents = "--- x\n".repeat(1001);
    check_findings(&documents, &["1001:5 yaml-size: the file holds more than the 1000 documents allowed"]);
    let (_, findings) = read(&"- !x y\n".repeat(100_000));
    assert_eq!(findings.len(), 101);
    assert_eq!(findings[100].message, "the file has more than 100 errors");
    let one = Limits { documents: 1, ..Limits::default() };
    assert_eq!(parse_within(&SourceFile::new("a.yaml", "--- 1\n--- 2\n"), &one).0.len(), 1);
}

/// Hand-made pieces that mutations put into a manifest, so that more of them hit YAML's rules.
const PIECES: [&str; 30] = [
    " ", "\n", "\r\n", "\t", ":", ": ", "- ", "? ", "[", "]", "{", "}", ",", "#", " #", "&a ", "*a ", "!x ",
    "!!str ", "|", ">-\n", "'", "\"", "\\", "---\n", "...\n", "<<: ", "\u{FEFF}", "%", "~",
];

fn mutated() -> impl Strategy<Value = String> {
    let change = (any::<prop::sample::Index>(), 0..12_usize, prop::sample::select(PIECES.to_vec()));
    prop::collection::vec(change, 1..6).prop_map(|changes| {
        let mut characters: Vec<char> = MANIFEST.chars().collect();
        for (index, removed, piece) in changes {
            let at = index.index(characters.len());
            let end = (at + removed.saturating_sub(6)).min(characters.len());
            characters.splice(at..end, piece.chars());
        }
        characters.into_iter().collect()
    })
}

/// A value as text, in any notation that a person might choose.
fn node(depth: u32) -> BoxedStrategy<(String, bool)> {
    let scalar = prop_oneof![
        "[a-z]{1,6}( [a-z0-9]{1,5}){0,2}",
        "-?[0-9]{1,12}",
        "[0-9]{1,3}\\.[0-9]{1,3}",
        "'[a-z:# ]{0,8}'",
        "\"[a-zäß:#\\[ ]{0,8}(\\\\n|\\\\u00fc)?\"",
        prop::sample::select(vec![
            "~",
            "null",
            "true",
            "no",
            "on",
            "0755",
            "0x1F",
            ".inf",
            "2026-12-01T02:00",
            "http://a.b/c#d"
        ])
        .prop_map(str::to_owned),
    ]
    .prop_map(|text| (text, false));
    scalar
        .prop_recursive(depth, 24, 4, |inner| {
            let key = "[a-z]{1,3}";
            let indented = |text: &str| text.replace('\n', "\n  ");
            let flow = inner.clone().prop_filter("one line", |(text, block)| !block && !text.contains('\n'));
            let flow_list = prop::collection::vec(flow.clone(), 0..4).prop_map(|items| {
                let items: Vec<_> = items.into_iter().map(|(text, _)| text).collect();
                (format!("[{}]", items.join(", ")), false)
            });
            let flow_map = prop::collection::btree_map(key, flow, 0..4).prop_map(|members| {
                let members: Vec<_> =
                    members.into_iter().map(|(key, (text, _))| format!("{key}: {text}")).collect();
                (format!("{{ {} }}", members.join(" , ")), false)
            });
            let block_list =
                prop::collection::vec((inner.clone(), any::<bool>()), 1..4).prop_map(move |items| {
                    let line = |((text, block), comment): ((String, bool), bool)| {
                        let gap = if comment { " # c: d\n  " } else { " " };
                        format!("-{}{}", if block { gap } else { " " }, indented(&text))
                    };
                    (items.into_iter().map(line).collect::<Vec<_>>().join("\n"), true)
                });
            let block_map = prop::collection::btree_map(key, inner, 1..4).prop_map(move |members| {
                let line = |(key, (text, block)): (String, (String, bool))| {
                    let gap = if block { "\n  " } else { " " };
                    format!("{key}:{gap}{}", indented(&text))
                };
                (members.into_iter().map(line).collect::<Vec<_>>().join("\n# c\n\n"), true)
            });
            let literal =
                ("[|>][+-]?", prop::collection::vec("[a-z:#]{1,5}|", 1..4)).prop_map(|(header, lines)| {
                    (
                        format!(
                            "{header}\n  x{}",
                            lines.into_iter().map(|line| format!("\n  {line}")).collect::<String>()
                        ),
                        false,
                    )
                });
            prop_oneof![flow_list, flow_map, block_list, block_map, literal]
        })
        .boxed()
}

proptest! {
    #[test]
    fn generated_texts_mean_what_serde_yaml_says((text, _) in node(4), windows in any::<bool>()) {
        let text = if windows { format!("{text}\n").replace('\n', "\r\n") } else { format!("{text}\n") };
        let (documents, findings) = read(&text);
        prop_assert_eq!(findings, [], "{}", text);
        let theirs = theirs(&text).expect("serde_yaml accepts the text");
        if !theirs[0].is_null() {
            prop_assert!(same(&documents[0].root.value, &theirs[0]), "{text}\n{:?}\n{theirs:?}", documents[0]);
        }
    }

    #[test]
    fn mutated_manifests_never_panic_and_mean_what_serde_yaml_says(text in mutated()) {
        let (documents, findings) = read(&text);
        if let (Some(theirs), []) = (theirs(&text), &findings[..]) {
            let theirs: Vec<_> = theirs.iter().filter(|document| !document.is_null()).collect();
            let ours: Vec<_> = documents.iter().filter(|document| !document.root.value.is_null()).collect();
            prop_assert_eq!(ours.len(), theirs.len(), "{}", text);
            for (ours, theirs) in ours.iter().zip(theirs) {
                prop_assert!(same(&ours.root.value, theirs), "{text}\nours: {ours:#?}\ntheirs: {theirs:#?}");
            }
        }
        check_places(&text, &documents, &findings)?;
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[\\PC\n\t:&*!\\[{-]{0,80}") {
        if let Ok(file) = decode("a.yaml", bytes) {
            let _ = parse(&file);
        }
        let (documents, findings) = read(&text);
        check_places(&text, &documents, &findings)?;
    }
}

/// Each place lies in the text, on character boundaries, and children lie in their parents.
fn check_places(text: &str, documents: &[Document], findings: &[Diagnostic]) -> Result<(), TestCaseError> {
    fn walk(text: &str, node: &Node) -> Result<(), TestCaseError> {
        let Span { start, end } = node.span;
        prop_assert!(text.get(start..end).is_some(), "{node:?}");
        let inside = |child: &Node| {
            let at = match node.via_alias {
                None => child.via_alias.unwrap_or(child.span),
                Some(_) => return true,
            };
            start <= at.start && at.end <= end
        };
        match &node.value {
            Value::Sequence(items) => items.iter().try_for_each(|item| {
                prop_assert!(inside(item), "{text}\n{node:?}");
                walk(text, item)
            }),
            Value::Mapping(entries) => entries.iter().try_for_each(|entry| {
                prop_assert!(inside(&entry.value), "{text}\n{node:?}");
                prop_assert!(text.get(entry.key_span.start..entry.key_span.end).is_some());
                walk(text, &entry.value)
            }),
            _ => Ok(()),
        }
    }
    for finding in findings {
        let place = finding.place.as_ref().expect("a finding in a text has a place");
        prop_assert!(text.get(place.span.start..place.span.end).is_some(), "{finding:?}");
    }
    documents.iter().try_for_each(|document| walk(text, &document.root))
}
