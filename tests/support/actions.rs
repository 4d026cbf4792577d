//! The actions of generated live jobs (REFERENCE 5.8).

use serde_json::{Value, json};

use super::live::{CUSTOMER, Ids, Members, Nothing};

use Nothing::{Absent, Blank, List, Null};

/// The most actions of one list.
pub(crate) const MOST: usize = 5;

/// Writes both lists.
pub(crate) fn lists(job: &mut Members<'_>, ids: &mut Ids, platform: &str) {
    for (list, action_type) in [("preDeployActions", "predeploy"), ("postDeployActions", "postdeploy")] {
        let count = if job.dice.chance(60) { job.dice.below(MOST) + 1 } else { 0 };
        if count == 0 {
            job.nothing(list, &[Null, List, Absent]);
            continue;
        }
        let twins = job.dice.chance(10);
        let actions: Vec<Value> = (0..count)
            .map(|at| {
                let item = if twins { "Drain".to_owned() } else { format!("Step {at}") };
                action(job, ids, platform, action_type, &item)
            })
            .collect();
        job.set(list, actions);
    }
}

fn action(job: &mut Members<'_>, ids: &mut Ids, platform: &str, action_type: &str, item: &str) -> Value {
    let kinds: &[&str] = match platform {
        "Windows" => {
            &["Run Script", "Run Script", "Install Software", "Change Registry Key", "Uninstall Software"]
        }
        _ => &["Run Script"],
    };
    let kind = job.dice.pick(kinds);
    let id = ids.next();
    let mut action = Members::new(job.dice);
    action.set("actionId", id.as_str());
    action.set("action", kind);
    action.set("actionType", action_type);
    let make_cache = platform == "Linux" && action_type == "predeploy" && action.dice.chance(25);
    let mut params = Members::new(action.dice);
    params.set("actionItem", item);
    params.number("timeout", 180);
    if kind == "Install Software" {
        params.set("downloadURL", "https://downloads.example.org/npp.7.5.8.Installer.exe");
        params.number("downloadProtocol", 0);
        params.number("installMethod", 0);
        let checksum = "613f36bf5e98be7e56b7ea0c678cfb8534077c2ec1cbe839a854dd0a60278ebb";
        params.maybe("fileChecksum", 80, checksum.into(), &[Blank, Null, Absent]);
    } else if params.dice.chance(20) {
        params.nothing("downloadURL", &[Blank, Null]);
    }
    if params.dice.chance(5) {
        params.set("newerParameter", json!([true]));
    }
    let params = Value::Object(params.members);
    action.set("params", params);
    if make_cache {
        action.set("defaultScriptType", "MakeCache");
        action.nothing("script", &[Blank, Null, Absent]);
        action.set("scriptType", "sh");
    } else {
        action.nothing("defaultScriptType", &[Absent, Null, Blank]);
        action.maybe("script", 85, format!("{CUSTOMER}/{id}/Script").into(), &[Blank, Null, Absent]);
        let language = if platform == "Windows" { "ps" } else { "sh" };
        action.maybe("scriptType", 90, language.into(), &[Null, Absent]);
    }
    if kind == "Install Software" {
        let path = format!("{CUSTOMER}/{id}/DetectionScript");
        action.maybe("detectionScript", 50, path.into(), &[Blank, Null, Absent]);
        action.maybe("detectionScriptType", 70, "ps".into(), &[Null, Absent]);
    } else {
        action.nothing("detectionScript", &[Absent, Null, Blank]);
    }
    action.maybe("actionLinkedToJob", 20, true.into(), &[Nothing::False, Absent]);
    Value::Object(action.members)
}
