//! The rows. This file is data: it is long because the job object is.
//!
//! Source of everything here: REFERENCE sections 5 and 6.

use super::{Element, Empty, Evidence, Member, Owner, Platform, Type, Wire, schedules};
use Empty::{AllMembers, Blank, False, Zero};
use Evidence::{Client, Doc, Inferred, Sample};
use Owner::{Server, Status, Unknown, User, UserAtCreation, WriteOnly};

/// First sighting: the samples of 2022-11.
const OLD: &str = "2022-11 or earlier";
/// First sighting: the samples that came with API release 3.3 (2025-01-08).
const BY_3_3: &str = "3.3 or earlier";

const fn row(name: &'static str, owner: Owner, kind: Type, summary: &'static str) -> Member {
    let empty = match kind {
        Type::Bool => False,
        Type::Integer(..) | Type::Any => Empty::Null,
        // A block that nobody filled is answered as `null` or with members that are none: seen of onComplete
        // (REFERENCE 10), and taken to hold for the others.
        Type::Object(_) => AllMembers,
        Type::Text
        | Type::Uuid
        | Type::Job
        | Type::Choice(_)
        | Type::OpenChoice(_)
        | Type::WeekDays
        | Type::WeekDay
        | Type::DateTime
        | Type::Set(_)
        | Type::Addresses
        | Type::List(..)
        | Type::Script => Blank,
    };
    Member {
        name,
        kind,
        owner,
        empty,
        platform: None,
        schedules: schedules::ALL,
        in_list: None,
        volatile: false,
        since: OLD,
        evidence: Sample,
        summary,
    }
}

impl Member {
    const fn empty(mut self, empty: Empty) -> Self {
        self.empty = empty;
        self
    }
    const fn only(mut self, platform: Platform, evidence: Evidence) -> Self {
        self.platform = Some((platform, evidence));
        self
    }
    const fn used_by(mut self, schedules: u8) -> Self {
        self.schedules = schedules;
        self
    }
    const fn list(mut self, name: &'static str) -> Self {
        self.in_list = Some(name);
        self
    }
    const fn listed(mut self) -> Self {
        self.in_list = Some(self.name);
        self
    }
    const fn volatile(mut self) -> Self {
        self.volatile = true;
        self
    }
    const fn since(mut self, since: &'static str) -> Self {
        self.since = since;
        self
    }
    const fn evidence(mut self, evidence: Evidence) -> Self {
        self.evidence = evidence;
        self
    }
}

const TEXT: Type = Type::Text;
const BOOL: Type = Type::Bool;
const UUID: Type = Type::Uuid;
const COUNT: Type = Type::Integer(0, i64::MAX, Wire::Number);
const UUIDS: Type = Type::Set(Element::Uuid);
const TAGS: Type = Type::Set(Element::Tag);
const INTERVAL_UNITS: Type = Type::OpenChoice(&["MINUTES", "HOURS"]);
const WINDOW_UNITS: Type = Type::Choice(&["MINUTES", "HOURS"]);
const SCRIPT_TYPES: Type = Type::OpenChoice(&["ps", "sh"]);
const RELATION: Type = Type::Choice(&["Any", "All"]);

/// Who did something, and when.
const PERSON: &[Member] = &[
    row(
        "user",
        Server,
        Type::Object(&[
            row("id", Server, UUID, "The user's id"),
            row("name", Server, TEXT, "The user's login name"),
            row("fullName", Server, TEXT, "The user's full name").since("mitigation API").evidence(Doc),
        ]),
        "The user",
    ),
    row("date", Server, COUNT, "Milliseconds since 1970-01-01 UTC"),
    row("context", Server, Type::Any, "Not documented").since("mitigation API").evidence(Doc),
];

const DEFERMENT: &[Member] = &[
    row("count", User, COUNT, "How often the user may put it off"),
    row("interval", User, COUNT, "How long it is put off each time, in intervalUnit"),
    row("intervalUnit", User, INTERVAL_UNITS, "Unit of interval"),
];

const PRE_DEPLOYMENT: &[Member] = &[
    row("userMessage", User, TEXT, "Title of the message before deployment"),
    row("description", User, TEXT, "Text of the message before deployment"),
    row("deferment", User, Type::Object(DEFERMENT), "How the user may put the deployment off"),
];

const DURING_DEPLOYMENT: &[Member] = &[
    row("userMessage", User, TEXT, "Title of the message during deployment"),
    row("description", User, TEXT, "Text of the message during deployment"),
];

const POST_DEPLOYMENT: &[Member] = &[
    row("suppressReboots", User, BOOL, "Whether the reboot after deployment is left out"),
    row("rebootHonorOnUserLogin", User, BOOL, "Whether a logged-in user's wishes hold for the reboot")
        .since(BY_3_3),
    row(
        "rebootOption",
        User,
        Type::Object(&[
            row("userMessage", User, TEXT, "Title of the message that asks for the reboot"),
            row("description", User, TEXT, "Text of the message that asks for the reboot"),
            row("deferment", User, Type::Object(DEFERMENT), "How the user may put the reboot off"),
        ]),
        "The question before the reboot",
    ),
    row(
        "rebootCountdown",
        User,
        Type::Object(&[
            row("interval", User, COUNT, "Length of the countdown, in intervalUnit"),
            row("intervalUnit", User, INTERVAL_UNITS, "Unit of interval"),
            row("userMessage", User, TEXT, "Title of the countdown"),
            row("description", User, TEXT, "Text of the countdown"),
        ]),
        "The countdown to a reboot that can not be put off any more",
    ),
    row(
        "onComplete",
        User,
        Type::Object(&[
            row("userMessage", User, TEXT, "Title of the message after deployment"),
            row("description", User, TEXT, "Text of the message after deployment"),
            row("alwaysShowCompletedPrompt", User, BOOL, "Whether the message is shown in every case")
                .only(Platform::Windows, Doc)
                .since("3.3")
                .evidence(Doc),
        ]),
        "The message when all is done",
    ),
];

const NOTIFICATION: &[Member] = &[
    row(
        "notificationTypes",
        User,
        Type::Object(&[row("email", User, BOOL, "Whether e-mail is sent")]),
        "How people are told",
    ),
    row(
        "notificationConfigs",
        User,
        Type::Object(&[
            row("recipientEmails", User, Type::Addresses, "Who is told"),
            row(
                "completedPercentage",
                User,
                Type::Integer(1, 100, Wire::Text),
                "Share of assets done at which completion is told, 1 to 100 percent",
            ),
        ]),
        "Who is told, and at which share",
    ),
    row(
        "notificationEvents",
        User,
        Type::Object(&[
            row("onJobStart", User, BOOL, "Whether the start is told"),
            row("onJobComplete", User, BOOL, "Whether the completion is told"),
        ]),
        "What is told",
    ),
];

const ACTION_PARAMS: &[Member] = &[
    row(
        "actionItem",
        User,
        TEXT,
        "Display name of the action; with its kind it tells actions of a list apart",
    ),
    row("timeout", User, COUNT, "How long the action may take; the unit is not documented, 180 is usual"),
    row("downloadURL", User, TEXT, "Where the software is fetched from; Install Software only"),
    row("downloadProtocol", User, COUNT, "0 is probably https; Install Software only"),
    row("installMethod", User, COUNT, "Not documented, 0 is usual; Install Software only"),
    row("fileChecksum", User, TEXT, "SHA-256 of the download; Install Software only"),
    row("remediationScope", Server, BOOL, "Seen only in the parent's summary").since(BY_3_3),
];

const ACTION: &[Member] = &[
    row("actionId", User, UUID, "Made by the server; declare it to rename an action or to tell two apart"),
    row(
        "action",
        User,
        Type::OpenChoice(&["Run Script", "Install Software", "Change Registry Key", "Uninstall Software"]),
        "Kind of action; Linux jobs run scripts only",
    ),
    row(
        "actionType",
        Server,
        Type::OpenChoice(&["predeploy", "postdeploy"]),
        "Follows from the list it stands in",
    ),
    row("params", User, Type::Object(ACTION_PARAMS), "Parameters of the action"),
    row(
        "script",
        WriteOnly,
        Type::Script,
        "The script; declared as text in `script` or by path in `scriptFile`",
    ),
    row("scriptType", User, SCRIPT_TYPES, "Language of the script"),
    row(
        "detectionScript",
        WriteOnly,
        Type::Script,
        "Says whether the software is there; `detectionScript` or `detectionScriptFile`; Install Software only",
    ),
    row("detectionScriptType", User, SCRIPT_TYPES, "Language of the detection script"),
    row(
        "defaultScriptType",
        User,
        Type::OpenChoice(&["MakeCache"]),
        "A built-in script: MakeCache refreshes the package cache",
    )
    .only(Platform::Linux, Doc)
    .since("3.5")
    .evidence(Doc),
    row("actionLinkedToJob", Server, BOOL, "Whether a rule of another job refers to the action")
        .since(BY_3_3),
];

const CHAINED_JOB_RULE: &[Member] = &[
    row("field", User, Type::Choice(&["postDeployAction"]), "What the rule looks at")
        .since("3.3")
        .evidence(Doc),
    row("actionIds", User, Type::Set(Element::Action), "Post-actions of the parent job").since("3.3"),
    row(
        "threshold",
        User,
        Type::Integer(1, 100, Wire::Text),
        "Success rate that is needed, 1 to 100 percent",
    )
    .since("3.3")
    .evidence(Doc),
    row(
        "condition",
        User,
        Type::Choice(&["Post Actions were successfully executed"]),
        "What must have happened",
    )
    .since("3.3")
    .evidence(Doc),
    row("id", Server, Type::Any, "Null in all answers").since("3.3"),
    row("actionDetails", Server, Type::Any, "The parent's actions, repeated").since("3.3"),
];

/// The members with which the paragraphs of a written manifest begin, in the order of the paragraphs: identity,
/// schedule, targets, patches, actions, messages, notification. Each goes on to the next one of these in [`JOB`].
pub(super) const PARAGRAPHS: [&str; 7] = [
    "name",
    "scheduleType",
    "assetIds",
    "approvedPatches",
    "preDeployActions",
    "preDeployment",
    "notification",
];

/// Members that only rows of the list call hold and that move by themselves (REFERENCE 6).
pub(super) const LIST_ONLY_VOLATILE: [&str; 4] =
    ["nextScheduleDateTime", "lastScheduleDateTime", "linkedJobReferenceCount", "mitigationActionCount"];

/// All members of a job, in the order in which people want to read them.
pub const JOB: &[Member] = &[
    // 5.1 Identity and bookkeeping
    row("name", User, TEXT, "Display name; with the platform it finds the live job").listed(),
    row("description", User, TEXT, "Free text; patchctl keeps its stamp at the end, which is not compared"),
    row("type", UserAtCreation, Type::Choice(&["Install", "Rollback"]), "What the job does with patches")
        .listed()
        .evidence(Doc),
    row("platform", UserAtCreation, Type::Choice(&["Windows", "Linux"]), "Which machines").listed(),
    row("status", Status, Type::OpenChoice(&["Enabled", "Disabled"]), "Whether the job is armed").listed(),
    // 5.5 Schedule
    row(
        "scheduleType",
        User,
        Type::Choice(&["On-demand", "Once", "Daily", "Weekly", "Monthly"]),
        "How often it runs; an On-demand job starts when it is enabled",
    )
    .listed()
    .evidence(Doc),
    row("startDateTime", User, Type::DateTime, "First run, in `timezone`; On-demand jobs: the server's")
        .used_by(schedules::TIMED)
        .listed(),
    row(
        "recurring",
        User,
        BOOL,
        "True for Daily, Weekly and Monthly; follows scheduleType when that changes",
    )
    .list("isRecurring")
    .evidence(Doc),
    row("recurringWeekDays", User, Type::WeekDays, "Days of the week, `[Tue, Thu]`")
        .used_by(schedules::WEEKLY)
        .listed()
        .evidence(Doc),
    row("dayOfMonth", User, Type::Integer(1, 31, Wire::Text), "Day of the month, 1 to 31")
        .used_by(schedules::MONTHLY)
        .listed()
        .evidence(Doc)
        .empty(Zero),
    row("recurringLastDayOfMonth", User, BOOL, "Whether it runs on the last day of the month")
        .used_by(schedules::MONTHLY)
        .listed()
        .evidence(Doc),
    row(
        "monthlyRecurringType",
        User,
        Type::Integer(0, 1, Wire::Text),
        "1: relative to Patch Tuesday; 0: not",
    )
    .used_by(schedules::MONTHLY)
    .listed()
    .evidence(Doc)
    .empty(Zero),
    row(
        "patchTuesdayPlusXDays",
        User,
        Type::Integer(-27, 27, Wire::Text),
        "Days after Patch Tuesday, -27 to 27; negative is before",
    )
    .used_by(schedules::MONTHLY)
    .listed()
    .evidence(Doc),
    row(
        "recurringDayOfMonth",
        User,
        Type::Integer(1, 5, Wire::Text),
        "Which one of the month's recurringWeekDayOfMonth: 1 first to 5 fifth",
    )
    .used_by(schedules::MONTHLY)
    .listed()
    .evidence(Doc)
    .empty(Zero),
    row("recurringWeekDayOfMonth", User, Type::WeekDay, "Day of the week for recurringDayOfMonth")
        .used_by(schedules::MONTHLY)
        .listed()
        .evidence(Doc),
    row(
        "timezoneType",
        User,
        Type::Choice(&["SPECIFIC_TZ", "AGENT_TZ"]),
        "A named zone, or each machine's own",
    )
    .listed(),
    row("timezone", User, TEXT, "IANA name such as Europe/Berlin; means nothing with AGENT_TZ").listed(),
    row(
        "timeout",
        User,
        Type::Integer(-1, 10_080, Wire::Number),
        "Patch window in timeoutUnit: 1 to 168 hours, 1 to 10080 minutes; -1 none",
    )
    .evidence(Client),
    row("timeoutUnit", User, WINDOW_UNITS, "Unit of timeout"),
    row(
        "downloadRandomizeTime",
        User,
        Type::Integer(0, 120, Wire::Number),
        "Downloads start spread over so long: up to 2 hours or 120 minutes, less than timeout",
    )
    .empty(Zero)
    .evidence(Client),
    row("downloadRandomizeTimeUnit", User, WINDOW_UNITS, "Unit of downloadRandomizeTime"),
    // 5.3 Targets
    row("assetIds", User, UUIDS, "Assets by their Patch Management UUID"),
    row("assetTagIds", User, TAGS, "Tags whose assets take part").list("tags"),
    row("filterType", User, RELATION, "Whether an asset needs any or all of assetTagIds")
        .empty(Empty::Default("Any"))
        .listed()
        .evidence(Doc),
    row("matchAllTagIds", User, TAGS, "Tags that must all match").list("matchAllTags").evidence(Client),
    row("exclusionTagIds", User, TAGS, "Tags whose assets take no part").list("exclusionTags"),
    row(
        "exclusionFilterType",
        User,
        RELATION,
        "Whether an asset is left out by any or all of exclusionTagIds",
    )
    .empty(Empty::Default("Any"))
    .listed()
    .evidence(Doc),
    row("exclusionAssetIds", User, UUIDS, "Assets that take no part").listed(),
    row("isAssetImported", Unknown, BOOL, "Flag of the console's asset import")
        .listed()
        .since(BY_3_3)
        .evidence(Inferred),
    row("coAuthorUserIds", User, UUIDS, "Users who may edit the job").listed(),
    // 5.4 What to install
    row("approvedPatches", User, UUIDS, "Patches by UUID").evidence(Doc),
    row("disabledPatches", Unknown, UUIDS, "Probably superseded or withdrawn patches")
        .listed()
        .evidence(Inferred),
    row("isDynamicPatchesQQL", User, BOOL, "Whether patches are chosen by query when the job runs")
        .listed()
        .evidence(Client),
    row("dynamicPatchesQQL", User, TEXT, "The query").listed(),
    row(
        "dynamicQQLType",
        User,
        Type::Integer(0, 2, Wire::Number),
        "0 none, 1 patch query, 2 vulnerability query",
    )
    .empty(Zero)
    .listed()
    .evidence(Client),
    row("additionalDynamicPatchesQQL", User, TEXT, "Second query"),
    row(
        "additionalDynamicQQLType",
        User,
        Type::Integer(0, 2, Wire::Text),
        "0 none, 1 patch query, 2 vulnerability query",
    )
    .empty(Zero)
    .evidence(Client),
    row("linkedJobId", User, Type::Job, "The parent job, whose patches this job takes")
        .listed()
        .evidence(Doc),
    row(
        "chainedJobRule",
        User,
        Type::List(CHAINED_JOB_RULE, usize::MAX),
        "What must have happened on the parent job",
    )
    .since("3.3")
    .evidence(Doc),
    row(
        "customPatchURLId",
        User,
        Type::Integer(0, i64::MAX, Wire::Text),
        "Id of a custom patch download URL",
    ),
    // 5.6 Messages, reboot and switches
    row("preDeployment", User, Type::Object(PRE_DEPLOYMENT), "Message before deployment"),
    row("duringDeployment", User, Type::Object(DURING_DEPLOYMENT), "Message during deployment"),
    row("postDeployment", User, Type::Object(POST_DEPLOYMENT), "Reboot, and messages after deployment"),
    row("minimizeWindow", User, BOOL, "Whether the deployment window starts minimised")
        .only(Platform::Windows, Inferred),
    row("opportunisticDownloads", User, BOOL, "Whether patches are fetched before the run")
        .only(Platform::Windows, Client),
    row("continueOnPatchFailure", User, BOOL, "Whether the run goes on after a patch failed")
        .only(Platform::Linux, Client)
        .empty(Empty::Null),
    // 5.7 Notification
    row("notification", User, Type::Object(NOTIFICATION), "Who is told of start and completion"),
    // 5.8 Actions
    row(
        "preDeployActions",
        User,
        Type::List(ACTION, 5),
        "Actions before the patches, in this order, at most 5",
    ),
    row(
        "postDeployActions",
        User,
        Type::List(ACTION, 5),
        "Actions after the patches, in this order, at most 5",
    ),
    // Server-owned and undocumented members
    row("id", Server, UUID, "Made by the server; the manifest names it in metadata.id").listed(),
    row("customerId", Server, UUID, "The subscription").listed(),
    row("schemaVersion", Server, TEXT, "\"1.0\" so far").listed(),
    row("createdBy", Server, Type::Object(PERSON), "Who made the job, and when").list("created"),
    row("updatedBy", Server, Type::Object(PERSON), "Who changed it last, and when").list("updated"),
    row("deletedBy", Server, Type::Object(PERSON), "Who deleted it, and when"),
    row("jobCategory", Server, COUNT, "3 in all samples").list("category"),
    row("jobSource", Server, COUNT, "3 in all samples, probably the public API").listed(),
    row("subCategory", Server, TEXT, "\"Patch\" in all samples").listed().since(BY_3_3),
    row("readOnly", Server, BOOL, "Probably whether the caller may not edit").listed(),
    row("patchCount", Server, COUNT, "Counter").listed().volatile(),
    row("assetCount", Server, COUNT, "Counter").listed().volatile(),
    row("taggedAssetCount", Server, COUNT, "Counter").listed().volatile(),
    row("applicableAssetCount", Server, COUNT, "Counter").listed().volatile(),
    row("jobTriggerStatus", Server, Type::Any, "State of the run").list("triggerStatus").volatile(),
    row("completionPercent", Server, COUNT, "Counter").listed().volatile(),
    row("totalAssetCount", Server, COUNT, "Counter").listed().volatile(),
    row("assetResultReceivedCount", Server, COUNT, "Counter").listed().volatile(),
    row("linkedToJob", Server, Type::Any, "Summaries of the parent jobs, with the rules on them")
        .since(BY_3_3),
    row("linkedJobs", Server, Type::Any, "Probably the child jobs"),
    row("passwordAction", Unknown, Type::Any, "Not documented").since(BY_3_3),
    row("jobStartCountdown", Unknown, Type::Any, "Not documented").since(BY_3_3),
    row("isVulnContext", Unknown, BOOL, "Probably a job made from the vulnerabilities view")
        .listed()
        .since(BY_3_3),
    row("remediationQids", Unknown, Type::Set(Element::Integer), "Vulnerabilities by number")
        .listed()
        .since(BY_3_3),
];
