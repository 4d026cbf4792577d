//! The pages for people, held against the program: every code of a finding is explained, and every example does what
//! its page says.
#![expect(clippy::disallowed_methods, reason = "tests read the documents and the source")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use patchctl::config;
use patchctl::diagnostic::Diagnostics;
use patchctl::manifest::{self, Context, DesiredSet, ReadScript, ScriptProblem};
use patchctl::simulator::Behaviour;
use patchctl::source::SourceFile;
use serde_json::{Value, json};

/// A page of the repository, with the line ends of Unix.
#[track_caller]
fn page(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(root.join(path)).expect("a readable page").replace("\r\n", "\n")
}

/// The only script that examples may name.
struct OneScript;

impl ReadScript for OneScript {
    fn read_script(&self, _manifest: &str, path: &str) -> Result<Vec<u8>, ScriptProblem> {
        let problem =
            || ScriptProblem { message: "can not be read".to_owned(), help: "name another".to_owned() };
        if path == "scripts/drain.ps1" { Ok(b"exit 0".to_vec()) } else { Err(problem()) }
    }
}

/// What is wrong with a text of manifests, as `validate` would say it.
fn findings(text: &str) -> Diagnostics {
    let tags = BTreeMap::from([
        ("Windows Servers".to_owned(), "3d8c1f52-7b0e-4a67-9d14-52c6a0f8e913".to_owned()),
        ("Do Not Patch".to_owned(), "1de6c626-de40-4dee-81f8-ae022cd9726a".to_owned()),
    ]);
    let context = Context { tags: &tags, allow_unknown_fields: false, scripts: &OneScript };
    let file = SourceFile::new("example.yaml", text);
    DesiredSet::join([manifest::parse(&file, context)]).1
}

/// The fenced blocks of one language in a text, with the line before each.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<(&'a str, String)> {
    let fence = format!("```{language}");
    let mut blocks = Vec::new();
    let (mut before, mut open) = ("", None::<(&str, String)>);
    for line in text.lines() {
        match &mut open {
            None if line == fence => open = Some((before, String::new())),
            None => before = line,
            Some(_) if line == "```" => blocks.extend(open.take()),
            Some((_, block)) => {
                block.push_str(line);
                block.push('\n');
            }
        }
    }
    blocks
}

// --- codes -----------------------------------------------------------------------------------------------------

/// The codes that the source gives to findings, tests left out.
fn codes_of_source() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut codes = BTreeSet::new();
    for entry in walkdir::WalkDir::new(root) {
        let entry = entry.expect("a readable source folder");
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.ends_with(".rs") || name.ends_with("tests.rs") {
            continue;
        }
        let text = std::fs::read_to_string(entry.path()).expect("a readable source file");
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for start in ["error(", "warning(", "let code = ", "const CODE_"] {
            codes.extend(text.split(start).skip(1).filter_map(|rest| code_after(start, rest)));
        }
    }
    codes
}

/// The string in kebab case that follows, where a code would stand.
fn code_after(start: &str, rest: &str) -> Option<String> {
    let rest = if start == "const CODE_" { rest.split_once("&str = ")?.1 } else { rest };
    let (code, _) = rest.trim_start().strip_prefix('"')?.split_once('"')?;
    let is_code =
        code.split('-').all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase()));
    is_code.then(|| code.to_owned())
}

/// The sections of the page of errors: code, text.
fn sections() -> Vec<(String, String)> {
    let page = page("docs/errors.md");
    page.split("\n### `")
        .skip(1)
        .map(|section| {
            let (code, text) = section.split_once("`\n").expect("a heading that is a code");
            let text = text.split("\n## ").next().unwrap_or_default();
            (code.to_owned(), text.to_owned())
        })
        .collect()
}

#[test]
fn every_code_is_on_the_page_and_no_other() {
    let on_page: BTreeSet<String> = sections().into_iter().map(|(code, _)| code).collect();
    assert!(on_page.len() > 30, "the page could not be read: {on_page:?}");
    let in_source = codes_of_source();
    let missing: Vec<_> = in_source.difference(&on_page).collect();
    let unknown: Vec<_> = on_page.difference(&in_source).collect();
    assert!(missing.is_empty(), "docs/errors.md does not explain {missing:?}");
    assert!(unknown.is_empty(), "docs/errors.md explains what the program never says: {unknown:?}");
}

#[test]
fn every_example_of_a_code_has_that_finding() {
    let mut n_examples = 0;
    for (code, text) in sections() {
        for (_, example) in blocks(&text, "yaml") {
            n_examples += 1;
            let found = if code == "config" {
                config::parse(&SourceFile::new(config::FILE_NAME, example)).expect_err("a bad configuration")
            } else {
                findings(&example)
            };
            let codes: BTreeSet<&str> = found.iter().map(|finding| finding.code).collect();
            assert_eq!(codes, BTreeSet::from([code.as_str()]), "the example of `{code}`");
        }
    }
    assert!(n_examples > 20, "{n_examples}");
}

// --- examples that are right -----------------------------------------------------------------------------------

#[test]
fn the_manifests_on_the_pages_are_valid() {
    for path in ["README.md", "docs/manifest.md"] {
        let page = page(path);
        let examples: Vec<_> = blocks(&page, "yaml")
            .into_iter()
            .filter(|(before, _)| *before == "<!-- example: manifest -->")
            .collect();
        assert!(!examples.is_empty(), "{path}");
        for (_, example) in examples {
            let found = findings(&example);
            let messages: Vec<&str> = found.iter().map(|finding| finding.message.as_str()).collect();
            assert_eq!(messages, [""; 0], "{path}:\n{example}");
        }
    }
}

#[test]
fn the_switches_on_the_page_are_those_of_the_simulator() {
    let page = page("docs/simulator.md");
    let mut examples = blocks(&page, "json").into_iter().map(|(before, text)| {
        assert_eq!(before, "<!-- example: behaviour -->");
        serde_json::from_str::<Value>(&text).expect("JSON")
    });
    assert_eq!(examples.next(), Some(json!(Behaviour::default())), "all members with their defaults");
    let faults = examples.next().expect("an example of faults");
    let behaviour: Behaviour = serde_json::from_value(faults).expect("switches");
    assert_eq!(behaviour.fail_next.len(), 4);
    let effects: BTreeSet<_> =
        behaviour.fail_next.iter().map(|fault| format!("{:?}", fault.effect)).collect();
    assert_eq!(effects.len(), 4, "{effects:?}");
}

#[test]
fn the_map_names_every_module() {
    let map = page("ARCHITECTURE.md");
    let modules = page("src/lib.rs");
    for module in modules.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')) {
        assert!(map.contains(&format!("`{module}`")), "ARCHITECTURE.md does not name `{module}`");
    }
}

#[test]
fn links_between_the_pages_lead_somewhere() {
    let pages = [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "docs/drift.md",
        "docs/errors.md",
        "docs/ignore.md",
        "docs/import.md",
        "docs/journal.md",
        "docs/json.md",
        "docs/lifecycle.md",
        "docs/saved-plans.md",
        "docs/manifest.md",
        "docs/markdown.md",
        "docs/simulator.md",
        "examples/ci/README.md",
        "docs/why.md",
    ];
    for path in pages {
        let text = page(path);
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let folder = folder.parent().expect("a folder");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            if !file.is_empty() && !file.contains("://") {
                assert!(folder.join(file).exists(), "{path}: {link}");
            }
        }
    }
}
