//! A repository, a simulator, and runs of the program between the two.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Output};

use patchctl::simulator::{Behaviour, Call, Running, Simulator, Tenant};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::live;

pub(crate) struct Setting {
    folder: tempfile::TempDir,
    pub(crate) runtime: Runtime,
    pub(crate) simulator: Running,
}

impl Setting {
    pub(crate) fn of(jobs: Vec<Value>) -> Self {
        Self::behaving(jobs, Behaviour::default())
    }

    pub(crate) fn behaving(jobs: Vec<Value>, behaviour: Behaviour) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let tags = BTreeMap::from([(
            "f81f37b3-a32b-4aa0-a428-12cad6e37db1".to_owned(),
            "Windows: Pilot".to_owned(),
        )]);
        let tenant = Tenant::in_memory(jobs, tags).unwrap();
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let simulator = runtime.block_on(Simulator::start(tenant, behaviour, listen)).unwrap();
        let setting = Self { folder, runtime, simulator };
        setting.put("patchctl.yaml", "owner: acme\n");
        setting
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn put(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_patchctl"))
            .current_dir(self.folder.path())
            .env_clear()
            .envs([("QUALYS_USERNAME", "simulator"), ("QUALYS_PASSWORD", "simulator")])
            .args(arguments)
            .args(["--gateway", &self.simulator.url()])
            .output()
            .unwrap()
    }

    /// The document of a run with `--output json`, held to the published schema.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str], code: i32) -> Value {
        let output = self.run(&[arguments, &["--output", "json"]].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}\n{said}\n{}",
            String::from_utf8_lossy(&output.stdout)
        );
        let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        if document["command"] != "validate" {
            let schema: Value = serde_json::from_str(include_str!("../../docs/output.schema.json")).unwrap();
            let schema = jsonschema::validator_for(&schema).unwrap();
            let errors: Vec<String> = schema.iter_errors(&document).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{errors:?}");
        }
        document
    }

    #[track_caller]
    pub(crate) fn human(&self, arguments: &[&str], code: i32) -> String {
        let output = self.run(arguments);
        let both =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{both}");
        both
    }

    /// The plan has no step at all, and nothing but the warnings that the import foretold.
    #[track_caller]
    pub(crate) fn nothing_is_left(&self, imported: &Value) {
        let plan = self.json(&["plan", "--detailed-exitcode"], 0);
        assert_eq!(plan["changes"], json!([]));
        assert_eq!(plan["summary"]["unchanged"], imported["summary"]["files"]);
        // A status that is not known is reported whoever wrote the manifest; nothing else is.
        let is_other = |warning: &&Value| warning["code"] != "unknown-status";
        assert_eq!(plan["warnings"].as_array().unwrap().iter().find(is_other), None);
        let foretold: Vec<&Value> = imported["files"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|file| file["warnings"].as_array().unwrap())
            .collect();
        let validated = self.json(&["validate"], 0);
        let found = validated["diagnostics"].as_array().unwrap();
        assert_eq!(found.len(), foretold.len(), "{found:#?}");
        for finding in found {
            assert!(foretold.contains(&&finding["message"]), "{finding}");
            // The live job is unusual; nothing is said of how it was written down.
            let code = finding["code"].as_str().unwrap();
            assert!(["unusual-value", "job-rule"].contains(&code), "{finding}");
            assert_eq!(finding["severity"], "warning", "{finding}");
        }
    }

    /// No call but reads reached the server.
    #[track_caller]
    pub(crate) fn nothing_was_written_to_the_server(&self) {
        for request in self.simulator.requests() {
            assert!(matches!(request.call, Call::Auth | Call::List | Call::Get), "{request:?}");
        }
    }

    pub(crate) fn stop(self) {
        self.runtime.block_on(self.simulator.stop());
    }
}

/// One plain weekly job.
pub(crate) fn weekly(n: u8, name: &str, platform: &str) -> Value {
    json!({
        "customerId": live::CUSTOMER, "id": format!("00000000-0000-4000-8000-0000000000{n:02}"), "name": name,
        "type": "Install", "platform": platform, "status": "Disabled", "scheduleType": "Weekly",
        "startDateTime": "2026-1-05 03:00:00 AM", "recurring": true, "recurringWeekDays": "0,0,0,1,0,0,0",
        "timezoneType": "SPECIFIC_TZ", "timezone": "UTC", "assetTagIds": ["f81f37b3-a32b-4aa0-a428-12cad6e37db1"],
        "createdBy": {"user": {"id": "2c63888f-28f0-4481-be6d-dce7a7ace732", "name": "anna.k"}, "date": 1_780_000_000_000_i64},
        "updatedBy": {"user": null, "date": null},
    })
}

pub(crate) fn names_of(report: &Value, list: &str) -> Vec<String> {
    report[list].as_array().unwrap().iter().map(|job| job["name"].as_str().unwrap().to_owned()).collect()
}
