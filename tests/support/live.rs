//! Live jobs as the API could return them (REFERENCE section 5): every kind of schedule, platform, action and link,
//! and "none" in each form in which it is known to occur.

use serde_json::{Map, Value, json};

use super::actions;
use super::dice::Dice;

/// The subscription of all generated jobs.
pub(crate) const CUSTOMER: &str = "bc023fd7-4290-f28f-8181-95a46f519f52";

/// A way of saying nothing.
#[derive(Clone, Copy)]
pub(crate) enum Nothing {
    Null,
    Absent,
    Blank,
    List,
    Object,
    False,
    Zero,
}

use Nothing::{Absent, Blank, False, List, Null, Object, Zero};

/// Makes UUIDs that no other one of the same source equals, whatever the dice say.
#[derive(Default)]
pub(crate) struct Ids(u64);

impl Ids {
    pub(crate) fn next(&mut self) -> String {
        self.0 += 1;
        let spread = self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        format!("{:08x}-{:04x}-4000-8000-{:012x}", spread >> 32, (spread >> 16) & 0xffff, self.0)
    }
}

/// A job or a block of one, member by member.
pub(crate) struct Members<'a> {
    pub(crate) dice: &'a mut Dice,
    pub(crate) members: Map<String, Value>,
}

impl<'a> Members<'a> {
    pub(crate) fn new(dice: &'a mut Dice) -> Self {
        Self { dice, members: Map::new() }
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.members.insert(name.to_owned(), value.into());
    }

    /// Says nothing in one of several ways.
    pub(crate) fn nothing(&mut self, name: &str, ways: &[Nothing]) {
        let value = match self.dice.pick(ways) {
            Absent => return,
            Null => Value::Null,
            Blank => "".into(),
            List => json!([]),
            Object => json!({}),
            False => false.into(),
            Zero => 0.into(),
        };
        self.set(name, value);
    }

    /// The value in so many of a hundred cases, else nothing in one of several ways.
    pub(crate) fn maybe(&mut self, name: &str, percent: usize, value: Value, ways: &[Nothing]) {
        if self.dice.chance(percent) {
            self.set(name, value);
        } else {
            self.nothing(name, ways);
        }
    }

    pub(crate) fn text(&mut self, name: &str) {
        let text = text(self.dice);
        self.maybe(name, 70, text.into(), &[Blank, Null, Absent]);
    }

    pub(crate) fn bool(&mut self, name: &str) {
        self.maybe(name, 40, true.into(), &[False, Null, Absent]);
    }

    /// A number, as a number or as digits.
    pub(crate) fn number(&mut self, name: &str, number: i64) {
        let value = number_or_text(self.dice, number);
        self.set(name, value);
    }
}

/// A number as the API may write it.
pub(crate) fn number_or_text(dice: &mut Dice, number: i64) -> Value {
    if dice.chance(40) { number.to_string().into() } else { number.into() }
}

/// Any text that people write.
pub(crate) fn text(dice: &mut Dice) -> String {
    const TEXTS: [&str; 16] = [
        "Restart tonight",
        "Update läuft – bitte speichern ✔",
        "two\nlines",
        "ends with a blank ",
        "ends with a line\n",
        "  starts with blanks",
        "null",
        "no",
        "12",
        "quotes \" and ' and \\ and #: - [x] {y}",
        "tab\tand\r\nreturn",
        "😀 / ~ % $HOME",
        "2026-12-01T02:00",
        "see [patchctl: the tool] for more",
        ": colon first",
        "x",
    ];
    dice.pick(&TEXTS).to_owned()
}

/// A description: with the stamp of another manifest (a console clone copies it), two of them, or one that was cut.
fn description(dice: &mut Dice) -> String {
    const STAMP: &str = "[patchctl:acme/elsewhere 1:9f3ac21b:77e01c44:5e6f7a8b]";
    let text = text(dice);
    match dice.below(12) {
        9 => format!("{text}\n{STAMP}"),
        10 => format!("{text}\n{STAMP}\n{STAMP} "),
        11 => format!("{text}\n{}", &STAMP[..30]),
        _ => text,
    }
}

fn addresses(dice: &mut Dice) -> String {
    dice.pick(&[
        "ops@example.org",
        "ops@example.org,night@example.org",
        "b@example.org, a@example.org ,c@example.org",
        "a@example.org,a@example.org,",
    ])
    .to_owned()
}

fn server_date(dice: &mut Dice) -> String {
    let hour = dice.between(1, 12);
    let half = dice.pick(&["AM", "PM"]);
    let (year, month, day) = (dice.between(2026, 2030), dice.between(1, 12), dice.between(1, 28));
    let (minute, second) = (dice.between(0, 59), dice.pick(&[0, 0, 30, 59]));
    // The month with and without a leading zero: both are in the documented samples.
    let month = if dice.chance(20) { format!("{month:02}") } else { month.to_string() };
    format!("{year}-{month}-{day:02} {hour:02}:{minute:02}:{second:02} {half}")
}

/// Some UUIDs, in any case of letters, not sorted.
pub(crate) fn uuids(dice: &mut Dice) -> Value {
    let count = dice.between(1, 4);
    (0..count)
        .map(|_| {
            let id = format!("{:08x}-1de6-4626-9ae8-{:012x}", dice.below(1 << 30), dice.below(1 << 30));
            if dice.chance(10) { id.to_uppercase() } else { id }
        })
        .collect()
}

/// What a job is made for.
pub(crate) struct Kind {
    /// Its name.
    pub(crate) name: String,
    /// Whether forms may occur that the real server takes in answers only (`On-Demand`).
    pub(crate) odd_spelling: bool,
}

/// One job; `parent` is the job that it may link to.
pub(crate) fn job(dice: &mut Dice, ids: &mut Ids, kind: &Kind, parent: Option<&Value>) -> Value {
    let platform = match parent {
        Some(parent) => parent["platform"].as_str().expect("generated with a platform"),
        None => dice.pick(&["Windows", "Linux"]),
    };
    let id = ids.next();
    let mut job = Members::new(dice);
    job.set("customerId", CUSTOMER);
    job.set("id", id);
    job.set("schemaVersion", "1.0");
    job.set("name", kind.name.as_str());
    let install_or_rollback = job.dice.pick(&["Install", "Install", "Rollback"]);
    job.set("type", install_or_rollback);
    job.set("platform", platform);
    let description = description(job.dice);
    job.maybe("description", 70, description.into(), &[Blank, Null, Absent]);
    schedule(&mut job, kind);
    windows(&mut job);
    targets(&mut job);
    patches(&mut job);
    blocks(&mut job, platform);
    notification(&mut job);
    actions::lists(&mut job, ids, platform);
    link(&mut job, parent);
    server_members(&mut job);
    if job.dice.chance(20) {
        let newer = job.dice.pick(&[
            json!("on"),
            json!({"level": 3, "tags": []}),
            json!([1, {"a": null}]),
            json!(null),
        ]);
        job.set("memberOfTheFuture", newer);
    }
    Value::Object(job.members)
}

fn schedule(job: &mut Members<'_>, kind: &Kind) {
    let schedule = job.dice.pick(&["On-demand", "Once", "Daily", "Weekly", "Monthly"]);
    let run_once = matches!(schedule, "On-demand" | "Once");
    let statuses: &[&str] = match schedule {
        "On-demand" => &["Disabled", "Disabled", "Prepared", "Completed", "Running"],
        "Once" => &["Disabled", "Disabled", "Enabled", "Completed with Failure"],
        _ => &["Disabled", "Enabled", "Enabled", "Scheduled"],
    };
    let status = job.dice.pick(statuses);
    job.set("status", status);
    let odd = kind.odd_spelling && schedule == "On-demand" && job.dice.chance(20);
    job.set("scheduleType", if odd { "On-Demand" } else { schedule });
    let start = server_date(job.dice);
    match schedule {
        "On-demand" => job.maybe("startDateTime", 80, start.into(), &[Null, Absent]),
        _ => job.set("startDateTime", start),
    }
    if run_once {
        job.nothing("recurring", &[False, Null, Absent]);
    } else {
        job.set("recurring", true);
    }
    week_days(job, schedule == "Weekly");
    monthly(job, schedule == "Monthly");
    zone(job, schedule == "On-demand");
}

/// Leftovers of an earlier schedule type occur: the server does not police them (REFERENCE 5.5).
fn leftover(dice: &mut Dice) -> bool {
    dice.chance(10)
}

fn week_days(job: &mut Members<'_>, used: bool) {
    if used || leftover(job.dice) {
        let days = job.dice.between(1, 127);
        let flags: Vec<&str> = (0..7).map(|day| if days >> day & 1 == 1 { "1" } else { "0" }).collect();
        job.set("recurringWeekDays", flags.join(","));
    } else if job.dice.chance(20) {
        job.set("recurringWeekDays", "0,0,0,0,0,0,0");
    } else {
        job.nothing("recurringWeekDays", &[Null, Absent, Blank]);
    }
}

fn monthly(job: &mut Members<'_>, used: bool) {
    let way = if used { Some(job.dice.below(4)) } else { leftover(job.dice).then(|| job.dice.below(4)) };
    if way == Some(0) {
        let day = job.dice.between(1, 31);
        job.number("dayOfMonth", day);
    } else {
        job.nothing("dayOfMonth", &[Null, Absent, Blank, Zero]);
    }
    if way == Some(1) {
        job.set("recurringLastDayOfMonth", true);
    } else {
        job.nothing("recurringLastDayOfMonth", &[Null, Absent, False]);
    }
    if way == Some(2) {
        let (which, day) = (job.dice.between(1, 5), job.dice.between(0, 6));
        job.number("recurringDayOfMonth", which);
        job.number("recurringWeekDayOfMonth", day);
    } else {
        job.nothing("recurringDayOfMonth", &[Null, Absent, Zero]);
        job.nothing("recurringWeekDayOfMonth", &[Null, Absent]);
    }
    if way == Some(3) {
        let days = job.dice.between(-27, 27);
        job.number("monthlyRecurringType", 1);
        job.number("patchTuesdayPlusXDays", days);
    } else {
        job.maybe("monthlyRecurringType", 20, "0".into(), &[Null, Absent, Zero]);
        job.nothing("patchTuesdayPlusXDays", &[Null, Absent]);
    }
}

fn zone(job: &mut Members<'_>, on_demand: bool) {
    let zone = job.dice.pick(&["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]);
    if on_demand {
        job.set("timezoneType", "SPECIFIC_TZ");
        job.set("timezone", "UTC");
    } else if job.dice.chance(30) {
        job.set("timezoneType", "AGENT_TZ");
        job.maybe("timezone", 30, zone.into(), &[Null, Absent, Blank]);
    } else {
        job.set("timezoneType", "SPECIFIC_TZ");
        job.set("timezone", zone);
    }
}

fn windows(job: &mut Members<'_>) {
    match job.dice.below(4) {
        0 => {
            job.nothing("timeout", &[Null, Absent]);
            job.maybe("timeoutUnit", 50, "HOURS".into(), &[Null, Absent]);
        }
        1 => {
            job.number("timeout", -1);
            job.maybe("timeoutUnit", 50, "HOURS".into(), &[Null, Absent]);
        }
        2 => {
            let hours = job.dice.between(1, 168);
            job.number("timeout", hours);
            job.set("timeoutUnit", "HOURS");
        }
        _ => {
            let minutes = job.dice.between(1, 10_080);
            job.number("timeout", minutes);
            job.set("timeoutUnit", "MINUTES");
        }
    }
    if job.dice.chance(40) {
        let (time, unit) = job.dice.pick(&[(2, "HOURS"), (30, "MINUTES"), (120, "MINUTES")]);
        job.number("downloadRandomizeTime", time);
        job.set("downloadRandomizeTimeUnit", unit);
    } else {
        job.nothing("downloadRandomizeTime", &[Null, Absent, Zero, Blank]);
        job.nothing("downloadRandomizeTimeUnit", &[Null, Absent, Blank]);
    }
}

fn targets(job: &mut Members<'_>) {
    for name in [
        "assetIds",
        "assetTagIds",
        "matchAllTagIds",
        "exclusionTagIds",
        "exclusionAssetIds",
        "coAuthorUserIds",
    ] {
        let ids = uuids(job.dice);
        job.maybe(name, 40, ids, &[Null, List, Absent]);
    }
    for name in ["filterType", "exclusionFilterType"] {
        let relation = job.dice.pick(&["Any", "All"]);
        job.maybe(name, 80, relation.into(), &[Null, Absent]);
    }
    job.maybe("isAssetImported", 20, true.into(), &[False, Null, Absent]);
}

fn patches(job: &mut Members<'_>) {
    let ids = uuids(job.dice);
    job.maybe("approvedPatches", 40, ids, &[Null, List, Absent]);
    let ids = uuids(job.dice);
    job.maybe("disabledPatches", 10, ids, &[Null, List, Absent]);
    if job.dice.chance(40) {
        job.set("isDynamicPatchesQQL", true);
        job.set("dynamicPatchesQQL", "missingPatch:true and (severity:\"Critical\" or kb:`500*`)");
        let kind = job.dice.between(1, 2);
        job.number("dynamicQQLType", kind);
    } else {
        job.nothing("isDynamicPatchesQQL", &[False, Null, Absent]);
        job.nothing("dynamicPatchesQQL", &[Null, Blank, Absent]);
        job.nothing("dynamicQQLType", &[Null, Zero, Absent]);
    }
    job.maybe("additionalDynamicPatchesQQL", 20, "vulnerabilities.severity:5".into(), &[Null, Blank, Absent]);
    let kind = job.dice.pick(&["1", "2"]);
    job.maybe("additionalDynamicQQLType", 20, kind.into(), &[Null, Blank, Absent]);
    let url = job.dice.pick(&[json!("1008"), json!(1008)]);
    job.maybe("customPatchURLId", 20, url, &[Null, Absent]);
    job.nothing("isVulnContext", &[Null, False, Absent]);
    let qids = job.dice.pick(&[json!([91_571, 90_001]), json!(["91571"])]);
    job.maybe("remediationQids", 20, qids, &[Null, List, Absent]);
}

fn deferment(dice: &mut Dice) -> Value {
    let mut block = Members::new(dice);
    let (count, interval) = (block.dice.between(0, 9), block.dice.between(1, 60));
    block.number("count", count);
    block.number("interval", interval);
    let unit = block.dice.pick(&["HOURS", "MINUTES", "DAYS"]);
    block.maybe("intervalUnit", 90, unit.into(), &[Null, Absent]);
    newer(&mut block);
    Value::Object(block.members)
}

/// A member that this build does not know, in a block.
fn newer(block: &mut Members<'_>) {
    if block.dice.chance(5) {
        block.set("newerSetting", json!({"mode": "x"}));
    }
}

fn blocks(job: &mut Members<'_>, platform: &str) {
    let mut block = Members::new(job.dice);
    block.text("userMessage");
    block.text("description");
    let putting_off = deferment(block.dice);
    block.maybe("deferment", 70, putting_off, &[Null, Absent]);
    newer(&mut block);
    let block = Value::Object(block.members);
    job.maybe("preDeployment", 80, block, &[Null, Absent, Object]);

    let mut block = Members::new(job.dice);
    block.text("userMessage");
    block.text("description");
    let block = Value::Object(block.members);
    job.maybe("duringDeployment", 80, block, &[Null, Absent, Object]);

    let block = post_deployment(job.dice, platform);
    job.maybe("postDeployment", 85, block, &[Null, Absent, Object]);

    if platform == "Windows" {
        job.bool("minimizeWindow");
        job.bool("opportunisticDownloads");
        job.nothing("continueOnPatchFailure", &[False, Null, Absent]);
    } else {
        job.nothing("minimizeWindow", &[Null, False, Absent]);
        job.nothing("opportunisticDownloads", &[Null, False, Absent]);
        job.bool("continueOnPatchFailure");
    }
}

fn post_deployment(dice: &mut Dice, platform: &str) -> Value {
    let mut block = Members::new(dice);
    block.bool("suppressReboots");
    block.bool("rebootHonorOnUserLogin");
    let mut option = Members::new(block.dice);
    option.text("userMessage");
    option.text("description");
    let putting_off = deferment(option.dice);
    option.maybe("deferment", 70, putting_off, &[Null, Absent]);
    let option = Value::Object(option.members);
    block.maybe("rebootOption", 80, option, &[Null, Absent]);
    let mut countdown = Members::new(block.dice);
    let interval = countdown.dice.between(0, 60);
    countdown.number("interval", interval);
    countdown.set("intervalUnit", "MINUTES");
    countdown.text("userMessage");
    countdown.text("description");
    newer(&mut countdown);
    let countdown = Value::Object(countdown.members);
    block.maybe("rebootCountdown", 80, countdown, &[Null, Absent]);
    let mut complete = Members::new(block.dice);
    complete.text("userMessage");
    complete.text("description");
    if platform == "Windows" {
        complete.bool("alwaysShowCompletedPrompt");
    } else {
        complete.nothing("alwaysShowCompletedPrompt", &[False, Null, Absent]);
    }
    let complete = Value::Object(complete.members);
    let empty = json!({"userMessage": "", "description": "", "alwaysShowCompletedPrompt": false});
    let complete = if block.dice.chance(70) { complete } else { empty };
    block.maybe("onComplete", 80, complete, &[Null, Absent]);
    Value::Object(block.members)
}

fn notification(job: &mut Members<'_>) {
    let mut types = Members::new(job.dice);
    types.bool("email");
    let types = Value::Object(types.members);
    let mut configs = Members::new(job.dice);
    let recipients = addresses(configs.dice);
    configs.maybe("recipientEmails", 70, recipients.into(), &[Null, Blank, Absent]);
    let share = configs.dice.between(1, 100);
    let share = number_or_text(configs.dice, share);
    configs.maybe("completedPercentage", 80, share, &[Null, Absent]);
    let configs = Value::Object(configs.members);
    let mut events = Members::new(job.dice);
    events.bool("onJobStart");
    events.bool("onJobComplete");
    newer(&mut events);
    let events = Value::Object(events.members);
    let mut block = Members::new(job.dice);
    block.maybe("notificationTypes", 90, types, &[Null, Absent]);
    block.maybe("notificationConfigs", 90, configs, &[Null, Absent]);
    block.maybe("notificationEvents", 90, events, &[Null, Absent]);
    let block = Value::Object(block.members);
    job.maybe("notification", 70, block, &[Null, Absent]);
}

fn link(job: &mut Members<'_>, parent: Option<&Value>) {
    let Some(parent) = parent else {
        job.nothing("linkedJobId", &[Null, Blank, Absent]);
        job.nothing("linkedToJob", &[Null, Absent]);
        job.nothing("linkedJobs", &[Null, Absent]);
        return;
    };
    job.set("linkedJobId", parent["id"].clone());
    let ids: Vec<Value> = parent["postDeployActions"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|action| action["actionId"].clone())
        .collect();
    let threshold = job.dice.between(1, 100);
    let rule = json!([{
        "id": null,
        "field": "postDeployAction",
        "actionIds": ids,
        "threshold": number_or_text(job.dice, threshold),
        "condition": "Post Actions were successfully executed",
        "actionDetails": parent["postDeployActions"],
    }]);
    let rule = if job.dice.chance(80) { rule } else { Value::Null };
    job.set(
        "linkedToJob",
        json!([{
            "customerId": CUSTOMER, "id": parent["id"], "name": parent["name"], "type": parent["type"],
            "status": parent["status"], "createdBy": parent["createdBy"], "linkedJobReferenceCount": 1,
            "schedule": parent["scheduleType"], "previousRun": null, "nextRun": null, "chainedJobRule": rule,
        }]),
    );
    job.set("linkedJobs", Value::Null);
}

fn server_members(job: &mut Members<'_>) {
    let user = json!({"id": "c4c71f94-4ef6-7e6f-8260-11704fa58172", "name": "quays_rw17"});
    let created = 1_700_000_000_000 + job.dice.between(0, 1_000_000);
    job.set("createdBy", json!({"user": user, "date": created}));
    let never = json!({"user": null, "date": null});
    let updated = json!({"user": user, "date": created + 5_000});
    let updated = if job.dice.chance(70) { updated } else { never.clone() };
    job.set("updatedBy", updated);
    job.maybe("deletedBy", 30, never, &[Null, Absent]);
    for name in ["jobCategory", "jobSource"] {
        job.set(name, 3);
    }
    job.maybe("subCategory", 60, "Patch".into(), &[Absent]);
    job.set("readOnly", false);
    for name in [
        "patchCount",
        "assetCount",
        "taggedAssetCount",
        "applicableAssetCount",
        "jobTriggerStatus",
        "completionPercent",
        "totalAssetCount",
        "assetResultReceivedCount",
    ] {
        let count = job.dice.between(0, 500);
        let count = number_or_text(job.dice, count);
        job.maybe(name, 50, count, &[Null, Zero, Absent]);
    }
    job.maybe("passwordAction", 10, json!({"kind": "none"}), &[Null, Absent]);
    job.maybe("jobStartCountdown", 10, json!({"interval": 5}), &[Null, Absent]);
}

/// A subscription of so many jobs, some of them linked to earlier ones.
pub(crate) fn tenant(dice: &mut Dice, n_jobs: usize) -> Vec<Value> {
    let mut ids = Ids::default();
    let mut jobs: Vec<Value> = Vec::new();
    for n in 0..n_jobs {
        let words = dice.pick(&["Servers", "Arbeitsplätze", "Web: tier \"A\"", "no", "db #1", "  spaced  "]);
        let kind = Kind { name: format!("{words} {n}"), odd_spelling: false };
        let parent = (n > 0 && dice.chance(15)).then(|| dice.pick(&jobs));
        jobs.push(job(dice, &mut ids, &kind, parent.as_ref()));
    }
    jobs
}

/// One job by itself; linked to a parent that is in no list in some cases.
pub(crate) fn lone(dice: &mut Dice) -> Value {
    let mut ids = Ids::default();
    let kind = |name: &str| Kind { name: name.to_owned(), odd_spelling: true };
    let linked = dice.chance(25);
    let parent = job(dice, &mut ids, &kind("Parent"), None);
    if linked { job(dice, &mut ids, &kind("Child"), Some(&parent)) } else { parent }
}
