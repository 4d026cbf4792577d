#![expect(
    clippy::disallowed_methods,
    reason = "reads the manifests of the repository and runs the real program"
)]

//! Damaged and hostile YAML: whatever a file holds, reading it ends with findings, never with a panic, and never with
//! more memory than a small CI runner has.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use patchctl::config;
use patchctl::manifest::{self, Context};
use patchctl::render::diagnostic::{RenderOptions, diagnostics};
use patchctl::yaml;

use support::dice::Dice;
use support::pipeline::NoScripts;

/// Mutants of each manifest; with the ten files of the repository some seconds in a debug build.
const MUTANTS: u64 = 400;

/// All manifests of a folder, and what is wrong on purpose in the examples.
fn manifests() -> Vec<(PathBuf, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in ["jobs.d", "examples/manifests"] {
        collect(&root.join(folder), &mut found);
    }
    found.sort();
    assert!(found.len() >= 8, "only {} manifests", found.len());
    found
}

fn collect(folder: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "yaml") {
            let text = fs::read(&path).expect("a manifest");
            found.push((path, text));
        }
    }
}

/// Everything that the program does with a file before it knows whether it is good.
fn read(bytes: Vec<u8>) {
    let Ok(file) = yaml::decode("fuzz.yaml", bytes) else { return };
    let tags = std::collections::BTreeMap::new();
    for allow_unknown_fields in [false, true] {
        let context = Context { tags: &tags, allow_unknown_fields, scripts: &NoScripts };
        let parsed = manifest::parse(&file, context);
        // What is shown has its own ways to fail: places at the end of a file, or in the middle of a character.
        let _ = diagnostics(&parsed.diagnostics, &RenderOptions { colour: true, width: 60 });
    }
    let _ = config::parse(&file);
}

/// Fragments that mean something to YAML, or to the reader behind it.
const SPLICES: [&str; 24] = [
    "&a ",
    "*a",
    "*a: ",
    "<<: *a",
    "? ",
    "- - - ",
    "{{{{",
    "[[[[",
    "}]",
    "'",
    "\"\\u",
    "\"\\ud800\"",
    "|+9\n",
    ">-\n",
    "!!binary ",
    "!<tag:x> ",
    "%YAML 9.9\n",
    "---\n",
    "...\n",
    "\t",
    "\u{feff}",
    "\u{85}",
    ".nan",
    "0x7fffffffffffffffffff",
];

fn mutant(dice: &mut Dice, text: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = text.to_vec();
    for _ in 0..=dice.below(4) {
        let at = dice.below(bytes.len() + 1);
        let end = (at + dice.below(200)).min(bytes.len());
        match dice.below(8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            1 => bytes.truncate(at),
            2 => {
                let part = bytes[at..end].to_vec();
                let to = dice.below(bytes.len() + 1);
                bytes.splice(to..to, part);
            }
            3 => drop(bytes.drain(at..end)),
            4 => {
                let from = dice.below(other.len());
                let part = &other[from..(from + 300).min(other.len())];
                bytes.splice(at..at, part.iter().copied());
            }
            5 => {
                let nested = dice.pick(&["[", "{a: ", "- ", "? ", "a:\n "]).repeat(dice.below(300));
                bytes.splice(at..at, nested.into_bytes());
            }
            6 => {
                // An alias in the place of a value, to an anchor before or behind it.
                let line = bytes[..at].iter().rposition(|byte| *byte == b':').map_or(0, |at| at + 1);
                let with = dice.pick(&[" &a", " *a", " *a\n", " &a *a"]);
                bytes.splice(line..line, with.bytes());
            }
            _ => {
                let splice = dice.pick(&SPLICES);
                bytes.splice(at..at, splice.bytes());
            }
        }
        if bytes.is_empty() {
            break;
        }
    }
    bytes
}

#[test]
fn mutations_of_every_manifest_never_panic() {
    let files = manifests();
    for (number, (path, text)) in files.iter().enumerate() {
        let other = &files[(number + 1) % files.len()].1;
        for seed in 0..MUTANTS {
            let mut dice = Dice::seeded(seed * 1000 + number as u64);
            let bytes = mutant(&mut dice, text, other);
            let kept = bytes.clone();
            if std::panic::catch_unwind(|| read(bytes)).is_err() {
                panic!("{} with seed {seed}:\n{}", path.display(), String::from_utf8_lossy(&kept));
            }
        }
    }
}

/// A file that is cut anywhere is what an interrupted checkout or a full disk leaves.
#[test]
fn a_file_cut_at_any_byte_never_panics() {
    for (_, text) in manifests() {
        for end in (0..text.len()).step_by(7) {
            read(text[..end].to_vec());
        }
    }
}

/// Files that are small on disk and large for a careless reader. Each is under the reader's own limit of 1 MiB.
fn nasty() -> Vec<(&'static str, Vec<u8>)> {
    const MIB: usize = 1 << 20;
    let header = "apiVersion: patchctl/v1\nkind: DeploymentJob\nmetadata: {key: a}\nspec:\n";
    let laughs: String = (1..20)
        .map(|level| {
            let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
            format!("  a{level}: &a{level} [{aliases}]\n")
        })
        .collect();
    let big_anchor = format!("{header}  name: &a \"{}\"\n", "x".repeat(100_000));
    let merges: String =
        (1..20).map(|level| format!("  a{level}: &a{level} {{<<: [*a0, *a0], x: *a0}}\n")).collect();
    let fill = |text: &str| text.repeat(MIB / text.len() - 1);
    vec![
        ("billion-laughs", format!("{header}  a0: &a0 lol\n{laughs}").into_bytes()),
        (
            "quadratic-aliases",
            format!("{big_anchor}  tags: [{}]\n", vec!["*a"; 20_000].join(", ")).into_bytes(),
        ),
        ("merge-bomb", format!("{header}  a0: &a0 {{y: 1}}\n{merges}").into_bytes()),
        ("anchor-in-itself", format!("{header}  name: &a [*a]\n").into_bytes()),
        ("a-hundred-thousand-brackets", "[".repeat(100_000).into_bytes()),
        ("a-hundred-thousand-braces", "{a: ".repeat(100_000).into_bytes()),
        ("a-hundred-thousand-dashes", "- ".repeat(100_000).into_bytes()),
        ("question-marks", "? ".repeat(100_000).into_bytes()),
        ("keys-only", (0..100_000).map(|n| format!("k{n}:\n")).collect::<String>().into_bytes()),
        ("one-key-again-and-again", fill("a: 1\n").into_bytes()),
        (
            "unknown-members",
            format!("{header}{}", (0..60_000).map(|n| format!("  m{n}: 1\n")).collect::<String>()).into(),
        ),
        ("wrong-values", format!("{header}  assetIds: [{}]\n", fill("1,")).into_bytes()),
        ("actions", format!("{header}  preDeployActions: [{}]\n", fill("{},")).into_bytes()),
        ("documents", fill("---\na: 1\n").into_bytes()),
        ("empty-documents", fill("---\n").into_bytes()),
        ("anchors", fill("- &a x\n").into_bytes()),
        ("nulls-in-flow", format!("[{}]", fill(",~")).into_bytes()),
        ("one-line", format!("{header}  name: {}", fill("x ")).into_bytes()),
        ("one-open-quote", format!("{header}  name: \"{}", fill("\\x41")).into_bytes()),
        ("tags", fill("- !!str !x y\n").into_bytes()),
        ("over-the-limit", "x".repeat(64 * MIB).into_bytes()),
        ("no-utf-8", vec![0xff; MIB]),
        ("zeroes", vec![0; MIB]),
    ]
}

/// Address space that one `validate` may take, in KiB.
///
/// 256 MB is what a quarter of the smallest common CI runner has to spare beside Git and the rest of a pipeline. It is
/// a limit on addresses and so covers the program's own text and the reserve of each thread, too; a reader without
/// bounds takes 1.9 GB for the second of these files.
#[cfg(target_os = "linux")]
const MOST_KIB: u32 = 256 * 1024;

/// Processor time that one `validate` may take: a debug build takes a second or two for each file, so that only a
/// reader whose time grows faster than the file is stopped.
#[cfg(target_os = "linux")]
const MOST_CPU_SECONDS: u32 = 60;

#[test]
#[cfg(target_os = "linux")]
fn hostile_files_stay_within_256_mb() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in nasty() {
        let jobs = folder.path().join(name);
        fs::create_dir_all(&jobs).expect("a folder");
        fs::write(jobs.join("manifest.yaml"), bytes).expect("a file");
        let output = Command::new("sh")
            .arg("-c")
            .arg(format!("ulimit -v {MOST_KIB} && ulimit -t {MOST_CPU_SECONDS} && exec \"$0\" validate --jobs \"$1\" --output json"))
            .arg(env!("CARGO_BIN_EXE_patchctl"))
            .arg(&jobs)
            .current_dir(folder.path())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .output()
            .expect("a shell");
        let said = String::from_utf8_lossy(&output.stderr);
        let end: String = said.chars().take(2000).collect();
        assert_eq!(output.status.code(), Some(1), "{name}: {:?}\n{end}", output.status);
        assert!(!said.contains("panicked"), "{name}: {end}");
        // Nobody reads more, and a log service may refuse it.
        assert!(output.stderr.len() < 4 << 20, "{name}: {} bytes of findings", output.stderr.len());
    }
}
