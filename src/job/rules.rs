//! Rules that look at more than one member: schedule, actions, windows, platform.
//!
//! They judge canonical members, either those a manifest declares (only contradictions among them count), or the
//! whole job as it would be (then what is missing counts too). DESIGN 2 says which evidence makes an error.

use serde_json::{Map, Value};

use super::{Evidence, JOB, Member, Owner, Platform, Type, schedules};

/// One broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// JSON Pointer of the member at fault; of a missing one where it should stand.
    pub pointer: String,
    /// What was found and what is allowed.
    pub message: String,
    /// What to do.
    pub help: String,
    /// How sure the rule is.
    pub evidence: Evidence,
}

/// How much of the job is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Only what a manifest declares: a member that is missing may be there live.
    Declared,
    /// The whole job: a member that is missing is missing.
    Whole,
}

/// Judges canonical members.
pub fn check(job: &Map<String, Value>, scope: Scope) -> Vec<Violation> {
    let mut rules = Rules { job, whole: scope == Scope::Whole, found: Vec::new() };
    let platform = rules.text("platform").and_then(Platform::parse);
    if let Some(platform) = platform {
        rules.members_of_other_platforms(JOB, job, "", platform);
    }
    rules.schedule();
    rules.monthly();
    rules.zone();
    rules.windows();
    rules.queries();
    rules.links();
    for row in JOB {
        if let (Type::List(rows, most), Some(Value::Array(items))) = (row.kind, job.get(row.name)) {
            rules.list_length(row, items.len(), most);
            if rows.iter().any(|row| row.owner == Owner::WriteOnly) {
                rules.actions(row.name, items, platform);
            }
        }
    }
    rules.found
}

/// Judges whether a whole job may be armed: the server refuses to enable one that breaks this (REFERENCE 8).
pub fn check_enabling(job: &Map<String, Value>) -> Vec<Violation> {
    let mut rules = Rules { job, whole: true, found: Vec::new() };
    rules.enabling();
    rules.found
}

struct Rules<'a> {
    job: &'a Map<String, Value>,
    whole: bool,
    found: Vec<Violation>,
}

impl<'a> Rules<'a> {
    fn say(
        &mut self,
        pointer: &str,
        evidence: Evidence,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let (message, help) = (message.into(), help.into());
        self.found.push(Violation { pointer: pointer.to_owned(), message, help, evidence });
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.job.get(name).and_then(Value::as_str)
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.job.get(name).and_then(Value::as_i64)
    }

    fn is_true(&self, name: &str) -> bool {
        self.job.get(name) == Some(&Value::Bool(true))
    }

    /// Whether a member says something.
    fn is_set(&self, name: &str) -> bool {
        self.job.get(name).is_some_and(|value| !says_nothing(value))
    }

    /// Whether a member surely says nothing: it is declared empty, or nothing of the job is unknown.
    fn is_missing(&self, name: &str) -> bool {
        !self.is_set(name) && (self.whole || self.job.contains_key(name))
    }

    /// REFERENCE 5.6 and 5.8: what one platform only has must be off or empty on the other.
    fn members_of_other_platforms(
        &mut self,
        rows: &'static [Member],
        members: &Map<String, Value>,
        prefix: &str,
        platform: Platform,
    ) {
        for row in rows {
            let Some(value) = members.get(row.name) else { continue };
            let pointer = || format!("{prefix}/{}", row.name);
            if let Some((only, evidence)) = row.platform
                && only != platform
                && !says_nothing(value)
            {
                let message = format!(
                    "`{}` is for {} jobs, and this is a {} job",
                    row.name,
                    only.as_str(),
                    platform.as_str()
                );
                self.say(&pointer(), evidence, message, "leave it out, or give it an empty or false value");
            }
            match (row.kind, value) {
                (Type::Object(rows), Value::Object(members)) => {
                    self.members_of_other_platforms(rows, members, &pointer(), platform);
                }
                (Type::List(rows, _), Value::Array(items)) => {
                    for (position, item) in items.iter().enumerate() {
                        if let Value::Object(members) = item {
                            self.members_of_other_platforms(
                                rows,
                                members,
                                &format!("{}/{position}", pointer()),
                                platform,
                            );
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// REFERENCE 5.5, "Cross-field rules".
    fn schedule(&mut self) {
        let Some(schedule_type) = self.text("scheduleType") else { return };
        let used = schedules::bit(schedule_type);
        for row in JOB.iter().filter(|row| row.schedules & used == 0) {
            if self.is_set(row.name) {
                let message =
                    format!("`{}` means nothing to a job whose scheduleType is {schedule_type}", row.name);
                let help = if row.name == "startDateTime" {
                    "the server fills it in by itself; leave it out"
                } else {
                    "leave it out; it is neither compared nor sent"
                };
                self.say(&format!("/{}", row.name), Evidence::Inferred, message, help);
            }
        }
        if used & schedules::TIMED == used && self.is_missing("startDateTime") {
            let message = format!("a {schedule_type} job needs `startDateTime`");
            self.say(
                "/startDateTime",
                Evidence::Doc,
                message,
                "add `startDateTime: 2026-12-01T02:00`, in `timezone`",
            );
        }
        if schedule_type == "Weekly" && self.is_missing("recurringWeekDays") {
            let message = "a Weekly job needs at least one day in `recurringWeekDays`";
            self.say(
                "/recurringWeekDays",
                Evidence::Inferred,
                message,
                "add `recurringWeekDays: [Tue, Thu]`",
            );
        }
        let recurs = !matches!(schedule_type, "On-demand" | "Once");
        if let Some(Value::Bool(declared)) = self.job.get("recurring")
            && *declared != recurs
        {
            let message = format!("`recurring` is {declared}, and a {schedule_type} job has {recurs}");
            self.say("/recurring", Evidence::Inferred, message, "leave it out; it follows scheduleType");
        }
    }

    /// A Monthly job takes exactly one of four ways to name its day (REFERENCE 5.5).
    fn monthly(&mut self) {
        if self.text("scheduleType") != Some("Monthly") {
            return;
        }
        let ways = [
            ("dayOfMonth", self.is_set("dayOfMonth")),
            ("recurringLastDayOfMonth", self.is_true("recurringLastDayOfMonth")),
            ("recurringDayOfMonth", self.is_set("recurringDayOfMonth")),
            ("monthlyRecurringType", self.number("monthlyRecurringType") == Some(1)),
        ];
        let chosen: Vec<&str> = ways.iter().filter(|(_, on)| *on).map(|(name, _)| *name).collect();
        let help = "give one of: dayOfMonth; recurringLastDayOfMonth: true; recurringDayOfMonth with \
                    recurringWeekDayOfMonth; monthlyRecurringType: 1 with patchTuesdayPlusXDays";
        match chosen.as_slice() {
            [] if self.whole => {
                self.say(
                    "/scheduleType",
                    Evidence::Inferred,
                    "a Monthly job needs to say on which day it runs",
                    help,
                );
            }
            [_, second, ..] => {
                let names = chosen.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" and ");
                let pointer = format!("/{second}");
                self.say(
                    &pointer,
                    Evidence::Inferred,
                    format!("{names} each name a day; only one may"),
                    help,
                );
            }
            [] | [_] => {}
        }
        for (one, other) in [
            ("recurringDayOfMonth", "recurringWeekDayOfMonth"),
            ("recurringWeekDayOfMonth", "recurringDayOfMonth"),
        ] {
            if self.is_set(one) && self.is_missing(other) {
                let message = format!("`{one}` needs `{other}`");
                self.say(&format!("/{one}"), Evidence::Inferred, message, "the second Sunday is 2 and Sun");
            }
        }
        if self.number("monthlyRecurringType") == Some(1) && self.is_missing("patchTuesdayPlusXDays") {
            let message = "`monthlyRecurringType: 1` needs `patchTuesdayPlusXDays`";
            self.say("/monthlyRecurringType", Evidence::Inferred, message, "0 is Patch Tuesday itself");
        }
        if self.is_set("patchTuesdayPlusXDays")
            && self.job.contains_key("monthlyRecurringType")
            && self.number("monthlyRecurringType") != Some(1)
        {
            let message = "`patchTuesdayPlusXDays` needs `monthlyRecurringType: 1`";
            self.say("/patchTuesdayPlusXDays", Evidence::Inferred, message, "add it, or leave this one out");
        }
    }

    /// Zone names are the API's own list, which is not stored here; IANA names are what clients send.
    fn zone(&mut self) {
        if let Some(zone) = self.text("timezone")
            && jiff::tz::TimeZone::get(zone).is_err()
        {
            let known: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
            let help = match super::nearest(zone, known.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "give a name such as Europe/Berlin or UTC".to_owned(),
            };
            self.say(
                "/timezone",
                Evidence::Client,
                format!("`{zone}` is no time zone of the IANA list"),
                help,
            );
        }
        let specific = self.text("timezoneType") == Some("SPECIFIC_TZ");
        let timed =
            self.text("scheduleType").is_some_and(|kind| schedules::bit(kind) & schedules::TIMED != 0);
        if specific && timed && self.is_missing("timezone") {
            let message = "`timezoneType: SPECIFIC_TZ` needs `timezone`";
            self.say("/timezoneType", Evidence::Inferred, message, "add `timezone: Europe/Berlin`");
        }
    }

    /// REFERENCE 5.5: patch window and spread of downloads.
    fn windows(&mut self) {
        let minutes = |value: i64, unit: &str| if unit == "HOURS" { value.saturating_mul(60) } else { value };
        let window = match (self.number("timeout"), self.text("timeoutUnit")) {
            (Some(-1), _) | (None, _) | (_, None) => None,
            (Some(timeout), Some(unit)) => Some(minutes(timeout, unit)),
        };
        if let Some(window) = window {
            let evidence = if window > 168 * 60 { Evidence::Doc } else { Evidence::Client };
            if !(1..=168 * 60).contains(&window) {
                let message =
                    "the patch window `timeout` must be 1 to 168 hours (10080 minutes), or -1 for none";
                self.say("/timeout", evidence, message, "the console allows no longer window");
            }
        }
        let spread = match (self.number("downloadRandomizeTime"), self.text("downloadRandomizeTimeUnit")) {
            (Some(spread), Some(unit)) => minutes(spread, unit),
            (None, _) | (_, None) => return,
        };
        if spread > 120 {
            let message = "`downloadRandomizeTime` is more than 2 hours";
            self.say(
                "/downloadRandomizeTime",
                Evidence::Client,
                message,
                "give at most 2 HOURS or 120 MINUTES",
            );
        } else if window.is_some_and(|window| spread > 0 && spread >= window) {
            let message = "`downloadRandomizeTime` is not less than the patch window `timeout`";
            self.say("/downloadRandomizeTime", Evidence::Client, message, "make it shorter than the window");
        }
    }

    fn queries(&mut self) {
        if self.is_true("isDynamicPatchesQQL") && self.is_missing("dynamicPatchesQQL") {
            let message = "`isDynamicPatchesQQL: true` needs a query in `dynamicPatchesQQL`";
            self.say(
                "/isDynamicPatchesQQL",
                Evidence::Client,
                message,
                "add the query, or choose patches by hand",
            );
        }
    }

    fn links(&mut self) {
        if self.is_set("chainedJobRule") && self.is_missing("linkedJobId") {
            let message = "`chainedJobRule` needs a parent job";
            let help = "add `linkedJob` with the key of its manifest, or `linkedJobId`";
            self.say("/chainedJobRule", Evidence::Inferred, message, help);
        }
    }

    /// An armed job needs something to do and something to do it to (REFERENCE 8, from the console's help).
    fn enabling(&mut self) {
        let work = [
            "approvedPatches",
            "dynamicPatchesQQL",
            "additionalDynamicPatchesQQL",
            "customPatchURLId",
            "linkedJobId",
            "preDeployActions",
            "postDeployActions",
        ];
        if !work.iter().any(|name| self.is_set(name)) {
            let message = "an enabled job needs at least one patch, query or action";
            self.say(
                "/status",
                Evidence::Doc,
                message,
                "give it something to do, or declare `status: Disabled`",
            );
        }
        let targets = ["assetIds", "assetTagIds", "matchAllTagIds"];
        if !targets.iter().any(|name| self.is_set(name)) {
            let message = "an enabled job needs at least one asset or tag";
            self.say(
                "/assetTagIds",
                Evidence::Doc,
                message,
                "add `assetTagIds:`, or declare `status: Disabled`",
            );
        }
    }

    fn list_length(&mut self, row: &Member, n_items: usize, most: usize) {
        if n_items > most {
            let message = format!("`{}` holds {n_items} actions, and a job takes at most {most}", row.name);
            self.say(
                &format!("/{}/{most}", row.name),
                Evidence::Doc,
                message,
                "join scripts, or use a second job",
            );
        }
    }

    /// REFERENCE 5.8.
    fn actions(&mut self, list: &str, actions: &[Value], platform: Option<Platform>) {
        for (position, action) in actions.iter().enumerate() {
            let pointer = format!("/{list}/{position}");
            let Some(members) = action.as_object() else { continue };
            let kind = members.get("action").and_then(Value::as_str);
            let known_by_id = members.get("actionId").is_some_and(|id| !says_nothing(id));
            let named = action.pointer("/params/actionItem").is_some_and(|item| !says_nothing(item));
            if !known_by_id && (kind.is_none() || !named) {
                let message =
                    "an action needs `action` and `params.actionItem`, or the `actionId` of a live one";
                self.say(
                    &pointer,
                    Evidence::Sample,
                    message,
                    "add `action: Run Script` and `params: { actionItem: Name }`",
                );
            }
            if let Some(kind) = kind {
                self.action_kind(&pointer, kind, members, platform);
            }
            if list == "postDeployActions"
                && members.get("defaultScriptType").is_some_and(|v| !says_nothing(v))
            {
                let message = "`defaultScriptType` is for actions before deployment";
                self.say(&format!("{pointer}/defaultScriptType"), Evidence::Doc, message, "move the action");
            }
            if platform == Some(Platform::Linux)
                && members.get("scriptType").and_then(Value::as_str) == Some("ps")
            {
                let message = "a PowerShell script on a Linux job";
                self.say(
                    &format!("{pointer}/scriptType"),
                    Evidence::Inferred,
                    message,
                    "Linux jobs run `sh`",
                );
            }
        }
    }

    fn action_kind(
        &mut self,
        pointer: &str,
        kind: &str,
        members: &Map<String, Value>,
        platform: Option<Platform>,
    ) {
        if platform == Some(Platform::Linux) && kind != "Run Script" {
            let message = format!("Linux jobs run scripts only, and this action is `{kind}`");
            self.say(&format!("{pointer}/action"), Evidence::Doc, message, "use `action: Run Script`");
        }
        if kind != "Run Script" {
            return;
        }
        // The parameters that the samples show with Install Software and never with Run Script.
        if members.get("detectionScript").is_some_and(|value| !says_nothing(value)) {
            let message = "`detectionScript` belongs to Install Software, and this action is Run Script";
            self.say(&format!("{pointer}/detectionScript"), Evidence::Sample, message, "leave it out");
        }
        let params = members.get("params").and_then(Value::as_object);
        for name in ["downloadURL", "fileChecksum"] {
            if params.and_then(|params| params.get(name)).is_some_and(|value| !says_nothing(value)) {
                let message = format!("`{name}` belongs to Install Software, and this action is Run Script");
                self.say(&format!("{pointer}/params/{name}"), Evidence::Sample, message, "leave it out");
            }
        }
    }
}

/// Whether a canonical value is none, whatever its member.
fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.values().all(says_nothing),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check_declared(job: Value, expected: &[(&str, Evidence)]) {
        compare(job, Scope::Declared, expected);
    }

    #[track_caller]
    fn check_whole(job: Value, expected: &[(&str, Evidence)]) {
        compare(job, Scope::Whole, expected);
    }

    #[track_caller]
    fn compare(job: Value, scope: Scope, expected: &[(&str, Evidence)]) {
        let found = check(job.as_object().expect("an object"), scope);
        let found: Vec<_> = found.iter().map(|v| (v.pointer.as_str(), v.evidence)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn schedules() {
        check_declared(json!({"scheduleType": "Weekly"}), &[]);
        check_whole(
            json!({"scheduleType": "Weekly"}),
            &[("/startDateTime", Evidence::Doc), ("/recurringWeekDays", Evidence::Inferred)],
        );
        check_declared(
            json!({"scheduleType": "Weekly", "recurringWeekDays": null, "startDateTime": null}),
            &[("/startDateTime", Evidence::Doc), ("/recurringWeekDays", Evidence::Inferred)],
        );
        check_declared(
            json!({"scheduleType": "Daily", "recurringWeekDays": ["Tue"], "dayOfMonth": null}),
            &[("/recurringWeekDays", Evidence::Inferred)],
        );
        check_whole(json!({"scheduleType": "On-demand", "recurring": false}), &[]);
        check_declared(
            json!({"scheduleType": "Once", "recurring": true}),
            &[("/recurring", Evidence::Inferred)],
        );
    }

    #[test]
    fn the_day_of_a_monthly_job() {
        let start = json!("2026-12-01T02:00:00");
        check_whole(json!({"scheduleType": "Monthly", "startDateTime": start, "dayOfMonth": 3}), &[]);
        check_whole(
            json!({"scheduleType": "Monthly", "startDateTime": start}),
            &[("/scheduleType", Evidence::Inferred)],
        );
        check_declared(
            json!({"scheduleType": "Monthly", "dayOfMonth": 3, "recurringLastDayOfMonth": true}),
            &[("/recurringLastDayOfMonth", Evidence::Inferred)],
        );
        check_whole(
            json!({"scheduleType": "Monthly", "startDateTime": start, "recurringDayOfMonth": 2}),
            &[("/recurringDayOfMonth", Evidence::Inferred)],
        );
        check_declared(json!({"scheduleType": "Monthly", "monthlyRecurringType": 1}), &[]);
        check_declared(
            json!({"scheduleType": "Monthly", "monthlyRecurringType": null, "patchTuesdayPlusXDays": 3}),
            &[("/patchTuesdayPlusXDays", Evidence::Inferred)],
        );
    }

    #[test]
    fn windows_and_zones() {
        check_declared(json!({"timeout": 168, "timeoutUnit": "HOURS"}), &[]);
        check_declared(json!({"timeout": -1, "timeoutUnit": "HOURS"}), &[]);
        check_declared(json!({"timeout": 169, "timeoutUnit": "HOURS"}), &[("/timeout", Evidence::Doc)]);
        check_declared(json!({"timeout": 0, "timeoutUnit": "MINUTES"}), &[("/timeout", Evidence::Client)]);
        check_declared(
            json!({"timeout": 1, "timeoutUnit": "HOURS", "downloadRandomizeTime": 60, "downloadRandomizeTimeUnit": "MINUTES"}),
            &[("/downloadRandomizeTime", Evidence::Client)],
        );
        check_declared(json!({"timezone": "Europe/Berlin"}), &[]);
        check_declared(json!({"timezone": "Europe/Berlim"}), &[("/timezone", Evidence::Client)]);
    }

    #[test]
    fn actions() {
        let run = json!({"action": "Run Script", "params": {"actionItem": "a"}});
        let install = json!({"action": "Install Software", "params": {"actionItem": "a"}});
        check_declared(json!({"platform": "Linux", "preDeployActions": [run]}), &[]);
        check_declared(
            json!({"platform": "Linux", "preDeployActions": [install]}),
            &[("/preDeployActions/0/action", Evidence::Doc)],
        );
        check_declared(
            json!({"preDeployActions": vec![run.clone(); 6]}),
            &[("/preDeployActions/5", Evidence::Doc)],
        );
        check_declared(
            json!({"preDeployActions": [{"params": {}}]}),
            &[("/preDeployActions/0", Evidence::Sample)],
        );
        check_declared(
            json!({"preDeployActions": [{"action": "Run Script", "params": {"actionItem": "a", "downloadURL": "https://x"}}]}),
            &[("/preDeployActions/0/params/downloadURL", Evidence::Sample)],
        );
    }

    #[test]
    fn platforms() {
        let prompt = json!({"postDeployment": {"onComplete": {"alwaysShowCompletedPrompt": true}}});
        let mut job = prompt.as_object().expect("an object").clone();
        job.insert("platform".to_owned(), json!("Linux"));
        let found = check(&job, Scope::Declared);
        assert_eq!(found[0].pointer, "/postDeployment/onComplete/alwaysShowCompletedPrompt");
        assert_eq!(found[0].evidence, Evidence::Doc);
        check_declared(json!({"platform": "Linux", "minimizeWindow": false}), &[]);
        check_declared(
            json!({"platform": "Linux", "minimizeWindow": true}),
            &[("/minimizeWindow", Evidence::Inferred)],
        );
    }
}
