use serde_json::{Value, json};

use super::*;

const ID: &str = "c08769ba-aa65-4b77-b224-f2c789ce7970";

fn known() -> Known {
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    Known {
        tags: [pair("Windows Servers", "3d8c1f52-7b0e-4a67-9d14-52c6a0f8e913")].into(),
        tag_names: [pair("1de6c626-de40-4dee-81f8-ae022cd9726a", "Do Not Patch")].into(),
        job_names: [pair("b5d1aaaa-0000-4000-8000-000000000001", "Parent: \n evil")].into(),
        ..Known::default()
    }
}

#[track_caller]
fn imported(job: Value) -> Imported {
    let job = LiveJob::new(job);
    let mut known = known();
    known.learn_actions(&job);
    manifest(&job, ID, "a-key", &known).expect("a manifest")
}

#[test]
fn a_whole_job_reads_like_what_people_write() {
    let imported = imported(json!({
        "id": ID, "name": "Windows servers, weekly", "type": "Install", "platform": "Windows", "status": "Enabled",
        "description": "For people\nof two lines \n[patchctl:acme/k 1:9f3ac21b:77e01c44:5e6f7a8b]",
        "scheduleType": "Weekly", "startDateTime": "2026-12-01 02:00:00 AM", "recurring": true,
        "recurringWeekDays": "0,0,1,0,1,0,0", "dayOfMonth": null, "timezoneType": "SPECIFIC_TZ",
        "timezone": "Europe/Berlin", "timeout": "4", "timeoutUnit": "HOURS", "filterType": "Any",
        "assetTagIds": ["3D8C1F52-7b0e-4a67-9d14-52c6a0f8e913"],
        "exclusionTagIds": ["1de6c626-de40-4dee-81f8-ae022cd9726a", "00000000-de40-4dee-81f8-ae022cd9726a"],
        "matchAllTagIds": [], "approvedPatches": null, "isDynamicPatchesQQL": true, "dynamicQQLType": 1,
        "dynamicPatchesQQL": "isSecurity:true and vendorSeverity:[Critical, Important]",
        "linkedJobId": "b5d1aaaa-0000-4000-8000-000000000001",
        "linkedToJob": [{"id": "b5d1aaaa-0000-4000-8000-000000000001", "chainedJobRule": [{
            "id": null, "field": "postDeployAction", "actionIds": ["07eed865-d8e2-4cba-9c2a-27eeeef0598a"],
            "threshold": 100, "condition": "Post Actions were successfully executed",
            "actionDetails": [{"actionId": "07eed865-d8e2-4cba-9c2a-27eeeef0598a", "params": {"actionItem": "Install Notepad"}}],
        }]}],
        "preDeployActions": [{
            "actionId": "aaaaaaaa-0000-4000-8000-000000000001", "action": "Run Script", "actionType": "predeploy",
            "params": {"actionItem": "Drain Ü", "timeout": 180}, "scriptType": "ps", "actionLinkedToJob": false,
            "script": "bc023fd7-4290-f28f-8181-95a46f519f52/aaaaaaaa-0000-4000-8000-000000000001/Script",
        }],
        "postDeployActions": [],
        "duringDeployment": {"userMessage": "", "description": ""},
        "postDeployment": {
            "suppressReboots": false, "onComplete": null, "newerSetting": {"a": 1},
            "rebootCountdown": {"interval": 15, "intervalUnit": "MINUTES", "userMessage": "Restart", "description": "a: b"},
        },
        "minimizeWindow": true,
        "notification": {"notificationConfigs": {"recipientEmails": "b@example.org, a@example.org", "completedPercentage": "80"}},
        "remediationQids": [91571], "memberOfTheFuture": {"level": 3}, "assetCount": 12,
    }));
    let expected = "\
apiVersion: patchctl/v1
kind: DeploymentJob
metadata:
  key: a-key
  id: c08769ba-aa65-4b77-b224-f2c789ce7970
spec:
  name: Windows servers, weekly
  description: |-
    For people
    of two lines
  type: Install
  platform: Windows
  status: Enabled

  scheduleType: Weekly
  startDateTime: 2026-12-01T02:00
  recurringWeekDays: [Tue, Thu]
  timezoneType: SPECIFIC_TZ
  timezone: Europe/Berlin
  timeout: 4
  timeoutUnit: HOURS

  assetTagIds: [Windows Servers]
  exclusionTagIds:
    - 00000000-de40-4dee-81f8-ae022cd9726a
    - 1de6c626-de40-4dee-81f8-ae022cd9726a # Do Not Patch

  isDynamicPatchesQQL: true
  dynamicPatchesQQL: isSecurity:true and vendorSeverity:[Critical, Important]
  dynamicQQLType: 1
  linkedJobId: b5d1aaaa-0000-4000-8000-000000000001 # Parent: \\n evil
  chainedJobRule:
    - field: postDeployAction
      actionIds:
        - 07eed865-d8e2-4cba-9c2a-27eeeef0598a # Install Notepad
      threshold: 100
      condition: Post Actions were successfully executed

  preDeployActions:
    - actionId: aaaaaaaa-0000-4000-8000-000000000001
      action: Run Script
      params: { actionItem: Drain Ü, timeout: 180 }
      # The live script is kept: the API never shows its content. To take it over, put it into a file:
      # scriptFile: scripts/a-key-drain-ue.ps1
      scriptType: ps

  postDeployment:
    rebootCountdown:
      interval: 15
      intervalUnit: MINUTES
      userMessage: Restart
      description: \"a: b\"
  minimizeWindow: true

  notification:
    notificationConfigs:
      recipientEmails: [a@example.org, b@example.org]
      completedPercentage: 80

# Left as they are live, because this build does not know them: memberOfTheFuture, postDeployment.newerSetting
# Left as they are live, because it is not documented who decides them: remediationQids
";
    assert_eq!(imported.text, expected);
    assert_eq!(imported.warnings, [""; 0]);
    assert_eq!(imported.unnamed_tags.len(), 1);
}

#[test]
fn jobs_that_run_once_are_declared_as_they_are() {
    let job = |schedule: &str, status: &str| {
        json!({"name": "a", "type": "Install", "platform": "Linux", "scheduleType": schedule, "status": status,
            "startDateTime": "2026-12-01 02:00:00 AM", "timezoneType": "SPECIFIC_TZ", "timezone": "UTC", "recurring": false})
    };
    let on_demand = imported(job("On-Demand", "Prepared")).text;
    assert!(
        on_demand.contains("  status: Enabled # live: Prepared; it runs once, so it can not be edited any more\n\n  scheduleType: On-demand\n"),
        "{on_demand}"
    );
    assert!(!on_demand.contains("startDateTime") && !on_demand.contains("timezone"), "{on_demand}");
    let once = imported(job("Once", "Enabled")).text;
    assert!(once.contains("  status: Enabled # it runs once, so"), "{once}");
    assert!(imported(job("Once", "Disabled")).text.contains("  status: Disabled\n"));
    assert!(imported(job("Daily", "Enabled")).text.contains("  status: Enabled\n"));
}

/// What the table can not read, or what breaks a firm rule, costs that member and says so.
#[test]
fn a_member_that_can_not_be_declared_is_left_out_with_the_reason() {
    let strange = imported(json!({
        "name": 5, "platform": "Windows", "scheduleType": "Yearly", "recurringWeekDays": {"Tue": true},
        "assetIds": "all", "timezone": ["UTC"], "postDeployment": [1], "preDeployActions": [null, 3],
        "customPatchURLId": 1.5, "status": true, "description": {"text": "a"},
    }));
    let left: Vec<&str> = strange.left_out.iter().map(|left| left.path.as_str()).collect();
    for name in [
        "name",
        "scheduleType",
        "recurringWeekDays",
        "assetIds",
        "timezone",
        "postDeployment",
        "preDeployActions",
    ] {
        assert!(left.contains(&name), "{name} of {left:?}\n{}", strange.text);
        assert!(
            strange.text.contains(&format!("because a manifest can not say it: {name} (")),
            "{}",
            strange.text
        );
    }
    let params = json!({"actionItem": "a"});
    let six = imported(json!({
        "name": "a", "platform": "Linux",
        "preDeployActions": vec![json!({"action": "Run Script", "params": params}); 6],
        "postDeployActions": [{"action": "Install Software", "params": params}],
    }));
    let left: Vec<&str> = six.left_out.iter().map(|left| left.path.as_str()).collect();
    assert_eq!(left, ["postDeployActions", "preDeployActions"], "{}", six.text);
    let nothing = imported(json!({}));
    assert!(nothing.text.ends_with("spec: {}\n"), "{}", nothing.text);
}

#[test]
fn an_unusual_value_is_declared_and_the_warning_is_foretold() {
    let imported = imported(json!({
        "name": "a", "platform": "Windows",
        "preDeployment": {"deferment": {"count": 1, "interval": 2, "intervalUnit": "DAYS"}},
    }));
    assert!(imported.text.contains("intervalUnit: DAYS"), "{}", imported.text);
    assert_eq!(imported.warnings.len(), 1, "{:?}", imported.warnings);
}

#[test]
fn no_two_scripts_are_proposed_the_same_file() {
    let action = |id: u8| {
        json!({"actionId": format!("aaaaaaaa-0000-4000-8000-00000000000{id}"), "action": "Install Software",
            "params": {"actionItem": "S1"}, "script": "a/b/Script", "scriptType": "sh", "detectionScript": "a/b/DetectionScript"})
    };
    let job = json!({"name": "a", "platform": "Windows", "preDeployActions": [action(1), action(2)], "postDeployActions": [action(3)]});
    let text = imported(job).text;
    let files: Vec<&str> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("# "))
        .filter(|line| line.contains("File: "))
        .collect();
    assert_eq!(files.len(), 6, "{text}");
    assert_eq!(files.iter().collect::<std::collections::BTreeSet<_>>().len(), 6, "{files:?}");
}
