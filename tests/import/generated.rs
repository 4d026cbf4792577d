//! Live jobs that are hard to write down, and how much of them a manifest must say.

use std::collections::BTreeSet;

use patchctl::render::text::{clean, dotted};
use patchctl::{diff, job, normalise, overlay};
use serde_json::{Value, json};

use crate::support::dice::Dice;
use crate::support::{live, pipeline};

/// Names that are hard on keys, files and YAML.
pub(crate) const NAMES: [&str; 24] = [
    "Servers",
    "servers",
    "SERVERS!",
    "yes",
    "1e3",
    "- leading dash",
    "a: colon",
    "#hash",
    "two\nlines",
    "😀",
    "",
    "   ",
    "\"quoted\" and 'single'",
    "ends with blank ",
    "null",
    "con",
    "Arbeitsplätze",
    "月次パッチ",
    "[flow], {map}",
    "back\\slash",
    "\u{202e}turned",
    "tab\there",
    "../../etc/passwd",
    "%YAML 1.2",
];

/// Texts of several kinds of lines.
pub(crate) const DESCRIPTIONS: [&str; 8] = [
    "one\ntwo\n\n  three",
    "one \ntwo\t",
    "one\r\ntwo\r\n",
    "- a\n- b\n--- \n...",
    "\n\nlate",
    "trailing   ",
    "see [patchctl: the tool]\nfor more",
    "# not a comment\nkey: value",
];

/// A stamp of ours, as an apply left it, and one that was cut.
pub(crate) const STAMP: &str = "[patchctl:acme/of-old 1:9f3ac21b:77e01c44:5e6f7a8b]";

/// Jobs of every kind, with names, descriptions and stamps that are hard to write down; and which members of which job
/// no manifest can say.
pub(crate) fn jobs(dice: &mut Dice, n_jobs: usize) -> (Vec<Value>, BTreeSet<(String, String)>) {
    let mut unsayable = BTreeSet::new();
    let mut jobs = live::tenant(dice, n_jobs);
    for (at, job) in jobs.iter_mut().enumerate() {
        if dice.chance(50) {
            // Names may occur twice on one platform.
            let name = dice.pick(&NAMES);
            job["name"] = if dice.chance(30) { name.into() } else { format!("{name} {at}").into() };
        }
        if dice.chance(40) {
            let text = dice.pick(&DESCRIPTIONS);
            let text = match dice.below(4) {
                0 => text.to_owned(),
                1 => format!("{text}\n{STAMP}"),
                2 => format!("{text}\n[patchctl:acme/job-{at} 1:9f3ac21b:77e01c44:5e6f7a8b]"),
                _ => format!("{text}\n{}", "long ".repeat(400)),
            };
            job["description"] = text.into();
        }
        if dice.chance(20) {
            job["duringDeployment"] =
                json!({"userMessage": dice.pick(&NAMES), "description": dice.pick(&DESCRIPTIONS)});
        }
        if dice.chance(10) {
            job["postDeployment"]["newerBlock"] = json!({"a": [{"b": "\u{0}"}]});
        }
        if dice.chance(10) {
            job["newer member: with # signs\n"] = json!("x");
        }
        if dice.chance(5) {
            // What no manifest can say, must cost that member and nothing else.
            let (name, value) = dice.pick(&[
                ("timeoutUnit", json!("FORTNIGHTS")),
                ("customPatchURLId", json!({"id": 1})),
                ("filterType", json!("Some")),
                ("dayOfMonth", json!("last")),
            ]);
            job[name] = value;
            unsayable.insert((job["id"].as_str().unwrap().to_owned(), name.to_owned()));
        }
    }
    (jobs, unsayable)
}

/// Members that the generated jobs have and that manifests leave out: newer ones, and those that nobody has documented.
pub(crate) const LEFT_OUT: [&str; 11] = [
    "memberOfTheFuture",
    "newerSetting",
    "newerParameter",
    "newerBlock",
    "newer member: with # signs\n",
    "isAssetImported",
    "disabledPatches",
    "isVulnContext",
    "remediationQids",
    "passwordAction",
    "jobStartCountdown",
];

/// The manifest by itself says all of the job but what it says that it leaves out: laid over nothing, it gives the job.
#[track_caller]
pub(crate) fn says_it_all(live: &Value, file: &Value, text: &str, unsayable: &BTreeSet<(String, String)>) {
    let id = live["id"].as_str().unwrap();
    let left_out: Vec<&str> =
        file["left_out"].as_array().unwrap().iter().map(|path| path.as_str().unwrap()).collect();
    for path in &left_out {
        let name = path.rsplit('.').next().unwrap();
        let is_expected =
            LEFT_OUT.contains(&name) || unsayable.contains(&(id.to_owned(), (*path).to_owned()));
        assert!(is_expected, "{path} is left out of\n{text}\n{live:#}");
    }
    let set = pipeline::parsed(&[("a.yaml".to_owned(), text.to_owned())]);
    let live = normalise::live(live);
    let nothing = normalise::from_canonical(serde_json::Map::new());
    let alone = overlay::overlay(&set.manifests[0].spec, &nothing, false).desired;
    for difference in diff::diff(&live, &alone) {
        let path = dotted(&difference.pointer);
        let name = path.rsplit('.').next().unwrap();
        let is_said = left_out
            .iter()
            .map(|left| clean(left))
            .any(|left| left == path || left.starts_with(&format!("{path}.")));
        // A switch of a block that says nothing else is off, whether the block is there or not.
        let is_none = job::find_pointer(&difference.pointer)
            .is_some_and(|row| difference.before == job::canonical::unset(row));
        let follows = is_none
            || path == "recurring"
            || ["script", "detectionScript"].contains(&name)
            || (path == "status" && difference.after == "Enabled" && difference.before != "Disabled")
            || (path.starts_with("timezone") && live.schedule_type() == Some("On-demand"));
        assert!(is_said || follows, "{path}: {} is not said by\n{text}", difference.before);
    }
}
