//! A made-up repository: manifests as people write them, and the live jobs that match them.
//!
//! One job is one JSON value in the API's names. The manifest is that value as YAML, with the members that people
//! write in another way replaced; the live job is the same value with what the server adds. Everything follows from
//! the number of the job, so two runs measure the same bytes.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

/// The live jobs, in the generated folder.
pub(crate) const TENANT_FILE: &str = "tenant.json";

/// The ids of the live jobs, one a line, in the generated folder.
pub(crate) const IDS_FILE: &str = "ids.txt";

/// The subscription of all jobs.
const CUSTOMER: &str = "bc023fd7-4290-f28f-8181-95a46f519f52";

/// Any number; another one gives other jobs of the same kind.
const SEED: u64 = 20_261_123;

const WORDS: [&str; 24] = [
    "servers",
    "restart",
    "updates",
    "weekend",
    "please",
    "save",
    "your",
    "work",
    "before",
    "the",
    "window",
    "closes",
    "services",
    "return",
    "by",
    "themselves",
    "after",
    "a",
    "few",
    "minutes",
    "call",
    "helpdesk",
    "with",
    "questions",
];

/// Members that a live job has and this one does not use.
const NULL_MEMBERS: [&str; 26] = [
    "assetIds",
    "matchAllTagIds",
    "exclusionAssetIds",
    "approvedPatches",
    "disabledPatches",
    "dayOfMonth",
    "recurringDayOfMonth",
    "recurringWeekDayOfMonth",
    "monthlyRecurringType",
    "patchTuesdayPlusXDays",
    "recurringLastDayOfMonth",
    "recurringWeekDays",
    "deletedBy",
    "jobTriggerStatus",
    "completionPercent",
    "totalAssetCount",
    "assetResultReceivedCount",
    "linkedJobId",
    "linkedToJob",
    "linkedJobs",
    "jobStartCountdown",
    "passwordAction",
    "additionalDynamicQQLType",
    "additionalDynamicPatchesQQL",
    "customPatchURLId",
    "minimizeWindow",
];

/// Switches that are off.
const FALSE_MEMBERS: [&str; 5] =
    ["opportunisticDownloads", "continueOnPatchFailure", "readOnly", "isVulnContext", "isAssetImported"];

/// Writes manifests, live jobs and a configuration, and returns the size of all manifests in bytes.
pub(crate) fn write(folder: &Path, n_manifests: usize) -> Result<usize, Box<dyn Error>> {
    fs::write(folder.join("patchctl.yaml"), "owner: bench\n")?;
    let mut live = Vec::new();
    let mut ids = String::new();
    let mut n_bytes = 0;
    for number in 0..n_manifests {
        let job = Job::new(number);
        let platform = if job.is_windows { "windows" } else { "linux" };
        let manifests = folder.join("jobs.d").join(platform);
        fs::create_dir_all(&manifests)?;
        let text = job.manifest();
        n_bytes += text.len();
        fs::write(manifests.join(format!("{}.yaml", job.key)), text)?;
        live.push(job.live());
        let _ = writeln!(ids, "{}", job.id);
    }
    fs::write(folder.join(IDS_FILE), ids)?;
    fs::write(folder.join(TENANT_FILE), serde_json::to_vec(&live)?)?;
    Ok(n_bytes)
}

/// One job, in the words of the API.
struct Job {
    key: String,
    is_windows: bool,
    spec: Map<String, Value>,
    /// Members that the manifest writes in another way.
    readable: Map<String, Value>,
    id: String,
}

impl Job {
    fn new(number: usize) -> Self {
        let mut dice = Dice(SEED ^ (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let is_windows = number.is_multiple_of(2);
        let key = format!("generated-job-{number:05}");
        let (schedule, readable) = schedule(number);
        let mut spec = members(json!({
            "name": format!("Generated job {number}"),
            "description": dice.words(24),
            "type": "Install",
            "platform": if is_windows { "Windows" } else { "Linux" },
        }));
        spec.extend(schedule);
        spec.extend(members(json!({
            "timezoneType": "SPECIFIC_TZ",
            "timezone": "Europe/Berlin",
            "timeout": 1 + dice.below(12),
            "timeoutUnit": "HOURS",
            "assetTagIds": dice.uuids(4),
            "filterType": "Any",
            "exclusionTagIds": dice.uuids(3),
            "exclusionFilterType": "Any",
            "coAuthorUserIds": dice.uuids(2),
            "isDynamicPatchesQQL": true,
            "dynamicQQLType": 1,
            "dynamicPatchesQQL": format!("isSuperseded:false and isSecurity:true and not title:\"{}\"", dice.words(4)),
            "preDeployment": {
                "userMessage": dice.lines(4),
                "description": dice.words(12),
                "deferment": { "count": dice.below(5), "interval": 1, "intervalUnit": "HOURS" },
            },
            "duringDeployment": { "userMessage": dice.words(16), "description": dice.words(12) },
            "postDeployment": {
                "suppressReboots": false,
                "rebootHonorOnUserLogin": is_windows,
                "rebootOption": {
                    "userMessage": dice.lines(2),
                    "description": dice.words(12),
                    "deferment": { "count": 3, "interval": 1, "intervalUnit": "HOURS" },
                },
                "rebootCountdown": {
                    "interval": 5 + dice.below(20),
                    "intervalUnit": "MINUTES",
                    "userMessage": dice.words(12),
                    "description": dice.words(8),
                },
                "onComplete": { "userMessage": dice.words(10), "description": dice.words(8) },
            },
            "notification": {
                "notificationTypes": { "email": true },
                "notificationConfigs": {
                    "recipientEmails": format!("patching@acme.example,team-{number}@acme.example"),
                    "completedPercentage": "80",
                },
                "notificationEvents": { "onJobStart": false, "onJobComplete": true },
            },
        })));
        let id = dice.uuid();
        Self { key, is_windows, spec, readable, id }
    }

    fn manifest(&self) -> String {
        let mut text = format!(
            "# Written by the benchmark.\napiVersion: patchctl/v1\nkind: DeploymentJob\nmetadata:\n  key: {}\nspec:\n",
            self.key
        );
        for (name, value) in &self.spec {
            yaml(&mut text, name, self.readable.get(name).unwrap_or(value), 2);
        }
        text
    }

    fn live(&self) -> Value {
        let person = json!({"user": {"id": CUSTOMER, "name": "acme_pm7"}, "date": 1_767_972_068_240_i64});
        let mut job = members(json!({
            "customerId": CUSTOMER, "id": self.id, "schemaVersion": "1.0", "status": "Disabled", "subCategory": "Patch",
            "createdBy": person, "updatedBy": person, "patchCount": 2, "assetCount": 12, "taggedAssetCount": 12,
            "applicableAssetCount": 12, "jobCategory": 3, "jobSource": 3, "downloadRandomizeTime": 0,
            "downloadRandomizeTimeUnit": "MINUTES", "preDeployActions": [], "postDeployActions": [],
            "remediationQids": [],
        }));
        job.extend(NULL_MEMBERS.iter().map(|name| ((*name).to_owned(), Value::Null)));
        job.extend(FALSE_MEMBERS.iter().map(|name| ((*name).to_owned(), false.into())));
        job.extend(self.spec.clone());
        Value::Object(job)
    }
}

/// The schedule of the n-th job, every kind in turn, and how the manifest writes it.
fn schedule(number: usize) -> (Map<String, Value>, Map<String, Value>) {
    let mut schedule = json!({"startDateTime": "2026-12-01 02:00:00 AM", "recurring": true});
    let more = match number % 6 {
        0 => json!({"scheduleType": "Daily"}),
        1 => json!({"scheduleType": "Weekly", "recurringWeekDays": "0,0,1,0,1,0,0"}),
        2 => json!({"scheduleType": "Monthly", "dayOfMonth": "15"}),
        3 => json!({"scheduleType": "Monthly", "recurringDayOfMonth": "2", "recurringWeekDayOfMonth": "0"}),
        4 => json!({"scheduleType": "Monthly", "monthlyRecurringType": "1", "patchTuesdayPlusXDays": "3"}),
        _ => json!({"scheduleType": "Once", "recurring": false}),
    };
    if let (Value::Object(schedule), Value::Object(more)) = (&mut schedule, more) {
        schedule.extend(more);
    }
    let readable = json!({
        "startDateTime": "2026-12-01T02:00", "recurringWeekDays": ["Tue", "Thu"], "dayOfMonth": 15,
        "recurringDayOfMonth": 2, "recurringWeekDayOfMonth": "Sun", "monthlyRecurringType": 1,
        "patchTuesdayPlusXDays": 3,
    });
    (members(schedule), members(readable))
}

fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

/// Writes one member: blocks indented, texts of several lines as a block literal, the rest as JSON, which is YAML.
fn yaml(text: &mut String, name: &str, value: &Value, indent: usize) {
    let blanks = " ".repeat(indent);
    match value {
        Value::Object(members) => {
            let _ = writeln!(text, "{blanks}{name}:");
            for (name, value) in members {
                yaml(text, name, value, indent + 2);
            }
        }
        Value::String(lines) if lines.contains('\n') => {
            let _ = writeln!(text, "{blanks}{name}: |-");
            for line in lines.lines() {
                let _ = writeln!(text, "{blanks}  {line}");
            }
        }
        other => {
            let _ = writeln!(text, "{blanks}{name}: {other}");
        }
    }
}

/// Numbers that look like chance and are the same each time (splitmix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn words(&mut self, n_words: usize) -> String {
        let words: Vec<&str> =
            (0..n_words).map(|_| WORDS[usize::from(self.next().to_le_bytes()[0]) % WORDS.len()]).collect();
        words.join(" ")
    }

    fn lines(&mut self, n_lines: usize) -> String {
        (0..n_lines).map(|_| self.words(12)).collect::<Vec<_>>().join("\n")
    }

    fn uuid(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xFFFF,
            high & 0xFFF,
            low >> 52,
            low & 0xFFFF_FFFF_FFFF
        )
    }

    fn uuids(&mut self, n_uuids: usize) -> Vec<String> {
        (0..n_uuids).map(|_| self.uuid()).collect()
    }
}
