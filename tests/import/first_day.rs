//! Whatever the live jobs are, the plan after an import has nothing to do.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use patchctl::simulator::Call;
use serde_json::{Value, json};

use crate::generated::{jobs, says_it_all};
use crate::setting::Setting;
use crate::support::dice::Dice;
use crate::support::live;

#[track_caller]
fn check_first_day(seed: u64, n_jobs: usize) {
    let (jobs, unsayable) = jobs(&mut Dice::seeded(seed), n_jobs);
    let by_id: BTreeMap<String, Value> =
        jobs.iter().map(|job| (job["id"].as_str().unwrap().to_owned(), job.clone())).collect();
    let setting = Setting::of(jobs);
    let imported = setting.json(&["import", "--all", "--into", "jobs.d/all"], 0);
    assert_eq!(imported["summary"]["files"], n_jobs);
    assert_eq!(imported["skipped"], json!([]));
    let files = imported["files"].as_array().unwrap();
    let keys: BTreeSet<&str> = files.iter().map(|file| file["key"].as_str().unwrap()).collect();
    assert_eq!(keys.len(), n_jobs);
    for file in files {
        let text = fs::read_to_string(setting.path(file["file"].as_str().unwrap())).unwrap();
        assert!(!text.contains("[patchctl:acme/"), "the stamp is ours to write:\n{text}");
        let read: Value = serde_yaml::from_str(&text).expect("YAML for others, too");
        assert_eq!(read["metadata"]["key"], file["key"]);
        assert_eq!(read["metadata"]["id"], file["id"]);
        says_it_all(&by_id[file["id"].as_str().unwrap()], file, &text, &unsayable);
    }
    // The generated jobs hold what a manifest leaves out, each kind of it.
    let left_out: BTreeSet<&str> = files
        .iter()
        .flat_map(|file| file["left_out"].as_array().unwrap())
        .map(|path| path.as_str().unwrap())
        .collect();
    assert!(left_out.contains("memberOfTheFuture") && left_out.contains("remediationQids"), "{left_out:?}");
    // What was read for the import is not read again for the plan.
    setting.simulator.clear_requests();
    setting.nothing_is_left(&imported);
    let n_reads = setting.simulator.requests().iter().filter(|request| request.call == Call::Get).count();
    assert_eq!(n_reads, 0, "the plan costs the list only");
    setting.nothing_was_written_to_the_server();
    // The second day: nothing to do, and nothing is written over.
    let before = contents(&setting.path("jobs.d"));
    let again = setting.json(&["import", "--all"], 0);
    assert_eq!((&again["summary"]["files"], &again["summary"]["bound"]), (&json!(0), &json!(n_jobs)));
    assert_eq!(contents(&setting.path("jobs.d")), before);
    setting.stop();
}

fn contents(folder: &Path) -> BTreeMap<std::path::PathBuf, Vec<u8>> {
    walkdir::WalkDir::new(folder)
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.is_file())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

#[test]
fn the_plan_after_an_import_of_500_jobs_is_empty() {
    check_first_day(1, 500);
}

#[test]
fn the_plan_after_an_import_of_other_jobs_is_empty() {
    for seed in 2..6 {
        check_first_day(seed, 60);
    }
}

#[test]
fn the_documented_samples_import_to_nothing_to_do() {
    let sample = |text: &str| -> Value { serde_json::from_str(text).unwrap() };
    let samples = [
        include_str!("../fixtures/samples/update-windows-ondemand.response.json"),
        include_str!("../fixtures/samples/update-linux-rollback.response.json"),
        include_str!("../fixtures/samples/update-chained-child.response.json"),
    ];
    let setting = Setting::of(samples.map(sample).to_vec());
    let imported = setting.json(&["import", "--all"], 0);
    assert_eq!(imported["summary"]["files"], 3);
    setting.nothing_is_left(&imported);
    let validated = setting.json(&["validate"], 0);
    assert_eq!(validated["summary"]["warnings"], 0, "{validated:#}");
    setting.stop();
}

#[test]
fn the_example_tenant_imports_to_nothing_to_do() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/tenant");
    let mut jobs = Vec::new();
    for path in contents(&folder).into_keys().filter(|path| !path.ends_with("tags.json")) {
        match serde_json::from_slice(&fs::read(path).unwrap()).unwrap() {
            Value::Array(several) => jobs.extend(several),
            one => jobs.push(one),
        }
    }
    let n_jobs = jobs.len();
    let setting = Setting::of(jobs);
    let imported = setting.json(&["import", "--all"], 0);
    let n_files = imported["summary"]["files"].as_u64().unwrap();
    let n_skipped = imported["summary"]["skipped"].as_u64().unwrap();
    assert_eq!(usize::try_from(n_files + n_skipped).unwrap(), n_jobs);
    assert!(n_files > 10, "{imported:#}");
    setting.nothing_is_left(&imported);
    setting.stop();
}

/// The member that a person adds is one update, and after that there is nothing left.
#[test]
fn a_script_put_beside_the_manifest_is_exactly_one_update() {
    let action = "aaaaaaaa-0000-4000-8000-000000000001";
    let mut jobs = live::tenant(&mut Dice::seeded(7), 12);
    for job in &mut jobs {
        job["status"] = "Disabled".into();
    }
    jobs[3]["preDeployActions"] = json!([{
        "actionId": action, "action": "Run Script", "actionType": "predeploy",
        "params": {"actionItem": "Drain", "timeout": 180}, "scriptType": "sh",
        "script": format!("{}/{action}/Script", live::CUSTOMER),
    }]);
    let id = jobs[3]["id"].as_str().unwrap().to_owned();
    let setting = Setting::of(jobs);
    let imported = setting.json(&["import", "--all"], 0);
    setting.nothing_is_left(&imported);
    let files = imported["files"].as_array().unwrap();
    let file = files.iter().find(|file| file["id"] == id.as_str()).unwrap();
    let (key, file) = (file["key"].as_str().unwrap(), file["file"].as_str().unwrap());
    // The line that the comment proposes is only to be uncommented.
    let text = fs::read_to_string(setting.path(file)).unwrap();
    let line = format!("      # scriptFile: scripts/{key}-drain.sh\n");
    let declared = text.replacen(&line, &line.replace("# ", ""), 1);
    setting.put(&format!("jobs.d/scripts/{key}-drain.sh"), "echo drained\n");
    assert_ne!(declared, text);
    setting.put(file, &declared);

    let plan = setting.json(&["plan", "--detailed-exitcode"], 2);
    assert_eq!(plan["summary"]["update"], 1, "{plan:#}");
    let changes = plan["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0]["key"], key);
    let fields = changes[0]["fields"].as_array().unwrap();
    assert_eq!(fields.len(), 1, "{fields:#?}");
    assert_eq!(fields[0]["path"], "/preDeployActions/0/script");
    setting.json(&["apply", "--auto-approve"], 0);
    setting.json(&["plan", "--detailed-exitcode"], 0);
    let path = format!("{}/{action}/Script", live::CUSTOMER);
    let script = setting.simulator.with_tenant(|tenant| tenant.script(&path).map(<[u8]>::to_vec));
    assert_eq!(script.as_deref(), Some(&b"echo drained\n"[..]));
    setting.stop();
}
