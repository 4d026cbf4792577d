//! Before and after, one kind of edit at a time.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::manifest::{ReadScript, ScriptProblem};
use crate::normalise;

const A: &str = "11111111-1111-4111-8111-111111111111";
const B: &str = "22222222-2222-4222-8222-222222222222";
const C: &str = "33333333-3333-4333-8333-333333333333";

struct Scripts;

impl ReadScript for Scripts {
    fn read_script(&self, _manifest: &str, path: &str) -> Result<Vec<u8>, ScriptProblem> {
        Ok(path.as_bytes().to_vec())
    }
}

/// What becomes of a whole file whose manifests are about one live job, given by what it says beside the usual.
fn accepted_into(text: &str, keys: &[&str], live: &Json, take: &dyn Fn(&str) -> bool) -> Accepted {
    let mut job = json!({
        "name": "N", "platform": "Windows", "type": "Install", "status": "Disabled", "scheduleType": "Weekly",
        "updatedBy": {"user": {"id": "u", "name": "anna.k"}, "date": 1_790_000_000_000_i64},
    });
    let members = job.as_object_mut().expect("an object");
    members.extend(live.as_object().expect("an object").clone());
    let live = LiveJob::new(job);
    let mut known = Known {
        tags: BTreeMap::from([("Servers".to_owned(), A.to_owned()), ("Lab".to_owned(), B.to_owned())]),
        keys: BTreeMap::from([(A.to_owned(), "parent-a".to_owned()), (B.to_owned(), "parent-b".to_owned())]),
        ..Known::default()
    };
    known.learn_actions(&live);
    let file = SourceFile::new("a.yaml", text);
    let tags = known.tags.clone();
    let manifests = manifest::Context { tags: &tags, allow_unknown_fields: true, scripts: &Scripts };
    let parsed = manifest::parse(&file, manifests);
    let errors: Vec<&String> =
        parsed.diagnostics.iter().filter(|f| is_error(f)).map(|f| &f.message).collect();
    assert!(errors.is_empty(), "{errors:?} in\n{text}");
    let jobs: Vec<Job<'_>> = keys
        .iter()
        .map(|key| {
            let manifest = parsed.manifests.iter().find(|manifest| manifest.key == *key).expect("there");
            let spec = resolved(manifest.as_declared(), &known);
            let desired = overlay::overlay(&spec, &live.normalised, false).desired;
            let mut fields = diff::diff(&live.normalised, &desired);
            let leftovers = overlay::schedule_leftovers(&live.raw, &live.normalised, &desired);
            fields.extend(leftovers.into_iter().map(|(row, before)| FieldChange {
                pointer: format!("/{}", row.name),
                before,
                after: Json::Null,
            }));
            let differences = fields.into_iter().map(|field| {
                let is_taken = take(&field.pointer);
                (field, is_taken)
            });
            Job { key, live: &live, differences: differences.collect() }
        })
        .collect();
    accept(&file, &jobs, Context { manifests, known: &known, ignore: &crate::ignore::Rules::default() })
}

const HEAD: &str = "apiVersion: patchctl/v1\nkind: DeploymentJob\nmetadata: {key: a, id: 00000000-0f3d-4b58-a2c7-d915e86b4f30}\n";

fn accepted(spec: &str, live: &Json) -> Accepted {
    accepted_into(&format!("{HEAD}{spec}"), &["a"], live, &|_| true)
}

/// The spec before, what is live, and the spec afterwards.
#[track_caller]
fn check(spec: &str, live: Json, expected: &str) {
    let found = accepted(spec, &live);
    let refused: Vec<_> = found.refused.iter().map(|one| (&one.pointer, &one.finding.message)).collect();
    assert!(refused.is_empty(), "{refused:?}");
    let text = found.text.expect("something to write");
    let text = text.strip_prefix(HEAD).or_else(|| text.strip_prefix(&HEAD.replace('\n', "\r\n")));
    assert_eq!(text.expect("the head is as it was"), expected);
    // What was accepted does not differ any more.
    let again = accepted(expected, &live);
    assert_eq!((again.text, again.members), (None, Vec::new()));
}

#[track_caller]
fn check_refused(spec: &str, live: Json, code: &str, words: &str) {
    let found = accepted(spec, &live);
    assert_eq!(found.text, None);
    let refused = found.refused.first().expect("a refusal");
    assert_eq!(refused.finding.code, code, "{}", refused.finding.message);
    assert!(refused.finding.message.contains(words), "{}", refused.finding.message);
}

#[test]
fn a_scalar_in_its_own_notation_and_nothing_else() {
    check(
        "# top\nspec:   # of it\n    name:   N\n    timeout:   5   # hours\n\n    # and\n    timeoutUnit: hours\n",
        json!({"timeout": 7, "timeoutUnit": "MINUTES"}),
        "# top\nspec:   # of it\n    name:   N\n    timeout:   7   # hours\n\n    # and\n    timeoutUnit: minutes\n",
    );
    check("spec: {name: N, timeout: \"5\"}\n", json!({"timeout": 7}), "spec: {name: N, timeout: \"7\"}\n");
    check("spec:\n  description: 'a'\n", json!({"description": "it's"}), "spec:\n  description: 'it''s'\n");
    check(
        "spec:\n  description: \"a\" # x\n",
        json!({"description": "b\tc"}),
        "spec:\n  description: \"b\\tc\" # x\n",
    );
    check("spec:\n  description: # todo\n", json!({"description": "b"}), "spec:\n  description: b # todo\n");
    check(
        "spec: {description: , name: N}\n",
        json!({"description": "b"}),
        "spec: {description: b , name: N}\n",
    );
    check("spec:\n  description: a\n  # after\n", json!({}), "spec:\n  description: null\n  # after\n");
    check("spec:\n  minimizeWindow: true\n", json!({}), "spec:\n  minimizeWindow: false\n");
    check(
        "spec:\n  filterType: All # or any\n",
        json!({"assetTagIds": [A]}),
        "spec:\n  filterType: Any # or any\n",
    );
    check("spec:\n  description: a", json!({"description": "b"}), "spec:\n  description: b");
}

#[test]
fn blocks_of_lines_stay_blocks() {
    check(
        "spec:\n  description: |\n      one\n      two\n\n  # after\n  name: N\n",
        json!({"description": "one\nthree\n"}),
        "spec:\n  description: |\n      one\n      three\n\n  # after\n  name: N\n",
    );
    check(
        "spec:\n  description: >-\n    one\n    two\n  name: N\n",
        json!({"description": "one two three"}),
        "spec:\n  description: >-\n    one two three\n  name: N\n",
    );
    check(
        "spec:\n  description: |\n    one\n  name: N\n",
        json!({}),
        "spec:\n  description: null\n  name: N\n",
    );
    check(
        "spec:\n  description: old\n  name: N\n",
        json!({"description": "a\nb"}),
        "spec:\n  description: |-\n    a\n    b\n  name: N\n",
    );
}

#[test]
fn line_ends_stay() {
    let spec = "spec:\r\n  name: N\r\n  description: |\r\n    a\r\n  timeout: 5 # h\r\n";
    let found = accepted_into(
        &(HEAD.replace('\n', "\r\n") + spec),
        &["a"],
        &json!({"description": "b\nc\n", "timeout": 6}),
        &|_| true,
    );
    let expected = "spec:\r\n  name: N\r\n  description: |\r\n    b\r\n    c\r\n  timeout: 6 # h\r\n";
    assert_eq!(found.text, Some(HEAD.replace('\n', "\r\n") + expected));
}

#[test]
fn days_and_sets_stay_lists_of_what_people_write() {
    let days = |flags: &str| json!({"recurringWeekDays": flags});
    check(
        "spec: {scheduleType: Weekly, recurringWeekDays: [Tue, Thu]}\n",
        days("0,0,1,1,0,0,0"),
        "spec: {scheduleType: Weekly, recurringWeekDays: [Tue, Wed]}\n",
    );
    check(
        "spec:\n  recurringWeekDays:\n    # first\n    - tuesday\n    - friday # late\n  name: N\n",
        days("0,0,1,0,1,0,0"),
        "spec:\n  recurringWeekDays:\n    # first\n    - tuesday\n    - thursday\n  name: N\n",
    );
    check(
        "spec:\n  recurringWeekDays: Tue, Thu # x\n",
        days("0,0,1,1,0,0,0"),
        "spec:\n  recurringWeekDays: Tue, Wed # x\n",
    );
    check(
        "spec:\n  recurringWeekDays: \"0,0,1,0,1,0,0\"\n",
        days("0,0,1,1,0,0,0"),
        "spec:\n  recurringWeekDays: \"0,0,1,1,0,0,0\"\n",
    );
    check(
        "spec:\n  assetTagIds: [Servers]\n",
        json!({"assetTagIds": [A, B, C]}),
        &format!("spec:\n  assetTagIds: [Servers, Lab, {C}]\n"),
    );
    check(
        "spec:\n  assetTagIds: # whose\n  # of the lab\n  - Lab\n  # all\n  - Servers\nmore: 1\n"
            .replace("more: 1\n", "")
            .as_str(),
        json!({"assetTagIds": [A]}),
        "spec:\n  assetTagIds: # whose\n  # all\n  - Servers\n",
    );
    check(
        "spec:\n  assetTagIds: # whose\n  - Lab\n  name: N\n",
        json!({}),
        "spec:\n  assetTagIds: [] # whose\n  name: N\n",
    );
    check(
        "spec:\n  assetTagIds: null # yet\n",
        json!({"assetTagIds": [A]}),
        "spec:\n  assetTagIds: [Servers] # yet\n",
    );
    check("spec:\n  assetTagIds: [ Lab ]\n", json!({}), "spec:\n  assetTagIds: []\n");
}

#[test]
fn lists_in_brackets_over_several_lines() {
    check(
        &format!("spec:\n  assetIds: [\n    {A}, # one\n    {B} # two\n  ]\n"),
        json!({"assetIds": [B, C]}),
        &format!("spec:\n  assetIds: [\n    {B}, # two\n    {C}\n  ]\n"),
    );
    check(
        &format!("spec:\n  assetIds: [\n    {A}, # one\n    {B}, # two\n  ]\n"),
        json!({"assetIds": [A]}),
        &format!("spec:\n  assetIds: [\n    {A}, # one\n  ]\n"),
    );
    check(
        &format!("spec:\n  assetIds: [{A},\n    {B}]\n"),
        json!({"assetIds": [A, B, C]}),
        &format!("spec:\n  assetIds: [{A},\n    {B}, {C}]\n"),
    );
}

#[test]
fn addresses_as_text_or_list() {
    let live =
        json!({"notification": {"notificationConfigs": {"recipientEmails": "a@x.example,c@x.example"}}});
    let spec = |value: &str| {
        format!("spec:\n  notification: {{notificationConfigs: {{recipientEmails: {value}}}}}\n")
    };
    check(&spec("\"c@x.example, b@x.example\""), live.clone(), &spec("\"c@x.example, a@x.example\""));
    check(&spec("[c@x.example, b@x.example]"), live, &spec("[c@x.example, a@x.example]"));
}

#[test]
fn nested_members_and_blocks_that_were_none() {
    check(
        "spec:\n  postDeployment:\n    rebootCountdown: { interval: 15, intervalUnit: MINUTES } # x\n",
        json!({"postDeployment": {"rebootCountdown": {"interval": 5, "intervalUnit": "MINUTES"}}}),
        "spec:\n  postDeployment:\n    rebootCountdown: { interval: 5, intervalUnit: MINUTES } # x\n",
    );
    check(
        "spec:\n  preDeployment: null # quiet\n  name: N\n",
        json!({"preDeployment": {"userMessage": "Soon", "deferment": {"count": 3}}}),
        "spec:\n  preDeployment: # quiet\n    userMessage: Soon\n    deferment: { count: 3 }\n  name: N\n",
    );
    check(
        "spec: {preDeployment: null}\n",
        json!({"preDeployment": {"userMessage": "Soon"}}),
        "spec: {preDeployment: {userMessage: Soon}}\n",
    );
}

#[test]
fn a_schedule_of_another_type() {
    check(
        "spec:\n  scheduleType: Weekly # often\n  startDateTime: 2026-12-01 02:00\n  recurringWeekDays: [Tue]\n",
        json!({"scheduleType": "Monthly", "startDateTime": "2027-1-05 03:00:00 AM", "dayOfMonth": "15", "recurring": true}),
        "spec:\n  scheduleType: Monthly # often\n  dayOfMonth: 15\n  startDateTime: 2027-01-05 03:00\n  recurringWeekDays: []\n",
    );
    check(
        "spec: {scheduleType: On-demand}\n",
        json!({"scheduleType": "Weekly", "startDateTime": "2027-1-05 03:00:00 AM", "recurringWeekDays": "0,0,1,0,1,0,0", "recurring": true}),
        "spec: {scheduleType: Weekly, startDateTime: 2027-01-05T03:00, recurringWeekDays: [Tue, Thu]}\n",
    );
}

fn action(item: &str, id: &str, timeout: u32) -> Json {
    json!({
        "actionId": id, "action": "Run Script", "params": {"actionItem": item, "timeout": timeout},
        "script": format!("c/{id}/Script"), "scriptType": "ps",
    })
}

const ACTIONS: &str = "spec:
  preDeployActions:
    # drain first
    - action: Run Script
      params: { actionItem: Drain, timeout: 60 } # seconds?
      scriptFile: drain.ps1

    # then tell
    - action: Run Script
      params:
        actionItem: Tell
        timeout: 60
      # no script: the live one
  name: N
";

#[test]
fn a_member_inside_of_an_action() {
    let found = accepted_into(
        &format!("{HEAD}{ACTIONS}"),
        &["a"],
        &json!({"preDeployActions": [action("Drain", A, 90), action("Tell", B, 60)]}),
        &|pointer| !is_script(pointer),
    );
    assert_eq!(found.refused, []);
    assert_eq!(found.text, Some(format!("{HEAD}{}", ACTIONS.replacen("timeout: 60 }", "timeout: 90 }", 1))));
}

#[test]
fn actions_that_come_and_go() {
    let take = |pointer: &str| !is_script(pointer);
    let after = |live: Json| {
        let found =
            accepted_into(&format!("{HEAD}{ACTIONS}"), &["a"], &json!({"preDeployActions": live}), &take);
        assert_eq!(found.refused, []);
        found.text.expect("something").replace(HEAD, "")
    };
    assert_eq!(
        after(json!([action("Tell", B, 60)])),
        "spec:\n  preDeployActions:\n    # then tell\n    - action: Run Script\n      params:\n        actionItem: Tell\n        timeout: 60\n      # no script: the live one\n  name: N\n"
            .replace("Actions:\n    # then", "Actions:\n\n    # then")
    );
    assert_eq!(
        after(json!([action("Drain", A, 60)])),
        "spec:\n  preDeployActions:\n    # drain first\n    - action: Run Script\n      params: { actionItem: Drain, timeout: 60 } # seconds?\n      scriptFile: drain.ps1\n  name: N\n"
    );
    assert_eq!(after(json!([])), "spec:\n  preDeployActions: []\n\n  name: N\n".replace("[]\n\n", "[]\n"));
    let three = after(json!([action("Drain", A, 60), action("New", C, 30), action("Tell", B, 60)]));
    assert!(three.starts_with(&ACTIONS[..ACTIONS.find("\n    # then").expect("there")]), "{three}");
    assert!(three.ends_with(&ACTIONS[ACTIONS.find("    # then").expect("there")..]), "{three}");
    assert!(three.contains(&format!("\n\n    - actionId: {C}\n      action: Run Script\n")), "{three}");
}

#[test]
fn actions_in_another_order_take_their_lines_along() {
    let live = json!({"preDeployActions": [action("Tell", B, 90), action("Drain", A, 60)]});
    let found = accepted_into(&format!("{HEAD}{ACTIONS}"), &["a"], &live, &|pointer| !is_script(pointer));
    assert_eq!(found.refused, []);
    let expected = "spec:
  preDeployActions:
    # then tell
    - action: Run Script
      params:
        actionItem: Tell
        timeout: 90
      # no script: the live one

    # drain first
    - action: Run Script
      params: { actionItem: Drain, timeout: 60 } # seconds?
      scriptFile: drain.ps1
  name: N
";
    assert_eq!(found.text, Some(format!("{HEAD}{expected}")));
}

#[test]
fn the_first_action_of_a_list() {
    let found = accepted(
        "spec:\n  preDeployActions: [] # none\n  name: N\n",
        &json!({"preDeployActions": [action("New", C, 30)]}),
    );
    let text = found.text.expect("something");
    assert!(
        text.contains(&format!(
            "  preDeployActions: # none\n    - actionId: {C}\n      action: Run Script\n"
        )),
        "{text}"
    );
    assert!(text.contains("      # The live script is kept"), "{text}");
    assert!(text.ends_with("\n  name: N\n"), "{text}");
    let found = accepted(
        "{\"spec\": {\"preDeployActions\": []}, \"apiVersion\": \"patchctl/v1\"}\n"
            .replace("{\"spec\"", "spec: {\"name\": \"N\"}\n#")
            .split('#')
            .next()
            .expect("a part"),
        &json!({"name": "M"}),
    );
    assert!(found.text.expect("something").ends_with("spec: {\"name\": \"M\"}\n"));
}

#[test]
fn what_aliases_show_is_not_changed_for_everyone() {
    check_refused(
        "x: &t 5\nspec:\n  timeout: *t\n"
            .replace("x: &t 5\n", "")
            .replace("*t", "&t 5\n  downloadRandomizeTime: *t")
            .as_str(),
        json!({"timeout": 7, "downloadRandomizeTime": 5}),
        "accept-anchor",
        "`timeout` has the anchor `&t`, and a change would also change line 6",
    );
    check_refused(
        "spec:\n  timeout: &t 5\n  downloadRandomizeTime: *t\n",
        json!({"timeout": 5, "downloadRandomizeTime": 9}),
        "accept-anchor",
        "`downloadRandomizeTime` comes from the anchor `&t` on line 5",
    );
    // An anchor that nobody refers to is no obstacle.
    check("spec:\n  timeout: &t 5\n", json!({"timeout": 7}), "spec:\n  timeout: &t 7\n");
    // One refused, another one taken.
    let found = accepted(
        "spec:\n  timeout: &t 5\n  downloadRandomizeTime: *t\n  description: a\n",
        &json!({"timeout": 7, "downloadRandomizeTime": 5, "description": "b"}),
    );
    assert_eq!(found.members, [("a".to_owned(), "/description".to_owned())]);
    assert_eq!(found.refused.len(), 1);
    assert!(found.text.expect("something").ends_with("  description: b\n"));
}

#[test]
fn parents_by_key_and_by_id() {
    check(
        "spec:\n  linkedJob: parent-a # p\n",
        json!({"linkedJobId": B}),
        "spec:\n  linkedJob: parent-b # p\n",
    );
    check(
        "spec:\n  linkedJob: parent-a # p\n",
        json!({"linkedJobId": C}),
        &format!("spec:\n  linkedJobId: {C} # p\n"),
    );
    check("spec:\n  linkedJob: parent-a # p\n", json!({}), "spec:\n  linkedJob: null # p\n");
    check(
        &format!("spec:\n  linkedJobId: {A}\n"),
        json!({"linkedJobId": B}),
        &format!("spec:\n  linkedJobId: {B}\n"),
    );
}

#[test]
fn what_can_not_be_known_or_said_is_refused() {
    let live = json!({"preDeployActions": [action("Drain", A, 60)]});
    check_refused(
        "spec:\n  preDeployActions:\n  - action: Run Script\n    params: {actionItem: Drain}\n    script: echo\n",
        live,
        "accept-script",
        "can not be read back, so it can not be accepted; the job was edited last by anna.k on 2026-09-21 at",
    );
    check_refused("spec:\n  timeout: 5\n", json!({"timeout": {"odd": 1}}), "accept-value", "can not be said");
    check_refused(
        "spec:\n  assetIds: [&a {}]\n".replace("[&a {}]", &format!("[&x {A}, {B}]")).as_str(),
        json!({"assetIds": [A]}),
        "accept-notation",
        "notation",
    );
}

#[test]
fn only_what_is_taken() {
    let text = format!("{HEAD}spec:\n  timeout: 5\n  description: a\n");
    let live = json!({"timeout": 7, "description": "b"});
    let found = accepted_into(&text, &["a"], &live, &|pointer| pointer == "/timeout");
    assert_eq!(found.text, Some(text.replace("timeout: 5", "timeout: 7")));
    assert_eq!(accepted_into(&text, &["a"], &live, &|_| false), Accepted::default());
    let block = format!("{HEAD}spec:\n  preDeployment: null\n");
    let live = json!({"preDeployment": {"userMessage": "x", "description": "y"}});
    let found = accepted_into(&block, &["a"], &live, &|pointer| pointer.ends_with("userMessage"));
    assert_eq!(found.refused.first().map(|one| one.finding.code), Some("accept-together"));
}

#[test]
fn each_of_several_documents() {
    let one = "apiVersion: patchctl/v1\nkind: DeploymentJob\nmetadata: {key: a, id: 00000000-0f3d-4b58-a2c7-d915e86b4f30}\nspec:\n  timeout: 5 # a\n";
    let two = one.replace("key: a,", "key: b,").replace("# a", "# b");
    let text = format!("# first\n{one}---\n# only this\n---\n{two}...\n");
    let found = accepted_into(&text, &["b"], &json!({"timeout": 7}), &|_| true);
    assert_eq!(found.text, Some(text.replace("5 # b", "7 # b")));
    let found = accepted_into(&text, &["a", "b"], &json!({"timeout": 7}), &|_| true);
    assert_eq!(found.text, Some(text.replace("5 #", "7 #")));
}

#[test]
fn a_stamp_is_no_part_of_a_description() {
    let stamped = "b\n[patchctl:o/a 1:00000000:00000000:00000000]";
    check("spec:\n  description: a\n", json!({"description": stamped}), "spec:\n  description: b\n");
    assert_eq!(normalise::live(&json!({"description": stamped})).text("description"), Some("b"));
}

#[test]
fn a_status_is_written_as_manifests_say_it() {
    check("spec:\n  status: Disabled\n", json!({"status": "Prepared"}), "spec:\n  status: Enabled\n");
    check("spec:\n  status: enabled\n", json!({"status": "Disabled"}), "spec:\n  status: disabled\n");
}

#[test]
fn the_line_of_patchctl_is_never_taken_into_a_manifest() {
    let spec = "spec:\n  description: of one\n";
    let line = "[patchctl:acme/web 1:9f3ac21b:77e01c44:5e6f7a8b]";
    for description in
        [format!("of one\n{line} please call anna"), format!("{} and more", line.to_uppercase())]
    {
        check_refused(spec, json!({"description": description}), "accept-value", "line that patchctl writes");
    }
}
