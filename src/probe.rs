//! The probe: how a gateway takes updates, told by a scratch job (DESIGN section 6, "Smallest request").
//!
//! What the scratch job is, how it is known again, and what its fate says. Pure: sending and reading are
//! `apply::probe`'s, remembering is `probes`'. **No real job is ever a trial**, so everything here is about a job that
//! nothing but the probe has made, and [`proof`] is what must hold before one is written to or removed.

use std::collections::BTreeSet;

use base64::Engine as _;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::diff::{diff, top_level_name};
use crate::job::Platform;
use crate::normalise;
use crate::patch::Envelope;
use crate::snapshot::ListRow;

/// Calls that a probe takes if nothing goes wrong: make, read, change, read, remove, and read that it is gone.
pub const CALLS: usize = 6;

/// Calls that removing a scratch job of an earlier probe takes: read, remove, and read that it is gone.
pub const CALLS_OF_REMOVAL: usize = 3;

const NAME_START: &str = "patchctl probe ";
const NAME_END: &str = ", safe to delete";

/// What the one declared member of the trial is before and after it.
const BEFORE: &str = "before";
const AFTER: &str = "after";

/// A probe as the first step of a plan. Which scratch job it is is settled when it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The owner that the scratch job is named for.
    pub owner: String,
    /// The platform that it is made on: one that the plan writes to.
    pub platform: Platform,
}

impl Probe {
    /// The name that the scratch job will have, its own part left open.
    pub fn name(&self) -> String {
        name(&self.owner, "{uuid}")
    }
}

/// One scratch job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scratch {
    /// The owner that it is named for.
    pub owner: String,
    /// Its own part of the name.
    pub uuid: Uuid,
    /// Its platform.
    pub platform: Platform,
}

impl Scratch {
    /// Its name, which says what it is.
    pub fn name(&self) -> String {
        name(&self.owner, &self.uuid.to_string())
    }

    /// The body that makes it: Disabled, for no asset, with a script, with blocks.
    pub fn create_body(&self) -> Value {
        let script_type = match self.platform {
            Platform::Windows => "ps",
            Platform::Linux => "sh",
        };
        json!({
            "name": self.name(),
            "description": description(&self.owner, self.uuid),
            "type": "Install",
            "platform": self.platform.as_str(),
            "status": "Disabled",
            "scheduleType": "On-demand",
            "recurring": false,
            "preDeployActions": [{
                "action": "Run Script",
                "actionType": "predeploy",
                "params": {"actionItem": "patchctl probe", "timeout": 180},
                "script": base64::engine::general_purpose::STANDARD.encode("exit 0\n"),
                "scriptType": script_type,
            }],
            "preDeployment": {
                "userMessage": BEFORE,
                "description": "kept by a server that merges blocks",
                "deferment": {"count": 1, "interval": 1, "intervalUnit": "HOURS"},
            },
            "duringDeployment": {
                "userMessage": "kept by a server that merges",
                "description": "kept by a server that merges",
            },
        })
    }

    /// The trial: a minimal update. It carries what the job is known again by, which a replacing server would drop.
    pub fn patch_body(&self) -> Value {
        json!({
            "type": "Install",
            "name": self.name(),
            "description": description(&self.owner, self.uuid),
            "platform": self.platform.as_str(),
            "preDeployment": {"userMessage": AFTER},
        })
    }
}

fn name(owner: &str, uuid: &str) -> String {
    format!("{NAME_START}{owner} {uuid}{NAME_END}")
}

fn description(owner: &str, uuid: Uuid) -> String {
    format!("Made to learn how this server takes updates, and deleted again. [patchctl-probe {owner} {uuid}]")
}

/// Owner and own part of a scratch job's name; `None` for the name of any other job.
pub fn parse_name(text: &str) -> Option<(&str, Uuid)> {
    let inner = text.strip_prefix(NAME_START)?.strip_suffix(NAME_END)?;
    let (owner, uuid) = inner.rsplit_once(' ')?;
    let parsed = Uuid::parse_str(uuid).ok().filter(|parsed| parsed.to_string() == uuid)?;
    (!owner.is_empty()).then_some((owner, parsed))
}

/// A scratch job that is still there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its platform, where this build knows it.
    pub platform: Option<Platform>,
}

/// Takes the scratch jobs out of the rows of a list, so that nothing else ever binds, imports or removes one; returns
/// those of an owner.
///
/// Those of other owners are left to their owners.
pub fn take_leftovers(rows: &mut Vec<ListRow>, owner: &str) -> Vec<Leftover> {
    let mut leftovers = Vec::new();
    rows.retain(|row| match parse_name(&row.name) {
        None => true,
        Some((whose, _)) => {
            if whose == owner {
                let leftover =
                    Leftover { id: row.id.clone(), name: row.name.clone(), platform: row.platform };
                leftovers.push(leftover);
            }
            false
        }
    });
    leftovers
}

/// Whether a job is beyond doubt a scratch job of this owner: by its name, by the line in its description, and because
/// it can not do anything. Only such a one is ever written to or removed.
///
/// # Errors
/// What speaks against it, in words that follow "because".
pub fn proof(job: &Value, owner: &str) -> Result<(), String> {
    let text = |name: &str| job.get(name).and_then(Value::as_str);
    let is_empty = |name: &str| match job.get(name) {
        None | Some(Value::Null) => true,
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::String(text)) => text.is_empty(),
        Some(_) => false,
    };
    let Some((whose, uuid)) = text("name").and_then(parse_name) else {
        return Err("it does not have the name of a scratch job".to_owned());
    };
    if whose != owner {
        return Err(format!("it belongs to the owner `{whose}`"));
    }
    if text("description").map(str::trim) != Some(description(owner, uuid).as_str()) {
        return Err("its description is not the one that a probe writes".to_owned());
    }
    if normalise::is_armed(text("status")) {
        return Err(format!("its status is `{}`", text("status").unwrap_or_default().escape_debug()));
    }
    match ["assetIds", "assetTagIds", "matchAllTagIds", "linkedJobId"]
        .into_iter()
        .find(|name| !is_empty(name))
    {
        Some(name) => Err(format!("it has `{name}`")),
        None => Ok(()),
    }
}

/// What a gateway does with the members that an update does not mention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It keeps them, inside of blocks, too.
    Merge,
    /// It keeps them at the top; a block that is sent takes the place of the former one.
    MergeTop,
    /// It drops them, or some of them.
    Replace,
    /// It does not take an update that does not mention them.
    Refuses,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Merge, Self::MergeTop, Self::Replace, Self::Refuses];

    /// The word in files and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Merge => "merge",
            Self::MergeTop => "merge-top",
            Self::Replace => "replace",
            Self::Refuses => "refuses",
        }
    }

    /// Reads the word again.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.as_str() == word)
    }

    /// What updates carry there. A block goes out whole, so the two kinds of merging are one to us.
    pub fn envelope(self) -> Envelope {
        match self {
            Self::Merge | Self::MergeTop => Envelope::Minimal,
            Self::Replace | Self::Refuses => Envelope::Full,
        }
    }

    /// The same for people, to follow "the gateway".
    pub fn words(self) -> &'static str {
        match self {
            Self::Merge => "merges updates, inside of blocks, too",
            Self::MergeTop => "merges updates member by member, each whole",
            Self::Replace => "replaces the job: what an update does not carry is lost",
            Self::Refuses => "refuses updates that carry only what changes",
        }
    }
}

/// Whether a scratch job that was read back was stored as it was sent, so that something can be told from it.
pub fn is_usable(before: &Value) -> bool {
    let kept = "/duringDeployment/userMessage";
    let is_text =
        |pointer: &str| before.pointer(pointer).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    is_text(kept)
        && is_text("/preDeployActions/0/actionId")
        && is_text("/preDeployActions/0/script")
        && is_text("/preDeployment/description")
        && before.pointer("/preDeployment/userMessage").and_then(Value::as_str) == Some(BEFORE)
}

/// What the trial says: `before` and `after` are the scratch job as it was **read** before and after `sent`.
///
/// `None` where the change does not show: the answer is an old copy, or the server did not store it. An answer to the
/// PATCH itself may be an echo and must never be given here.
pub fn judge(before: &Value, sent: &Value, after: &Value) -> Option<Verdict> {
    if after.pointer("/preDeployment/userMessage").and_then(Value::as_str) != Some(AFTER) {
        return None;
    }
    let sent: BTreeSet<&str> =
        sent.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    let same = |pointer: &str| before.pointer(pointer) == after.pointer(pointer);
    // A script's content can not be read. It hangs on the id of its action and on the path.
    let keeps_script = same("/preDeployActions/0/actionId") && same("/preDeployActions/0/script");
    let moved = diff(&normalise::live(before), &normalise::live(after));
    let keeps_the_rest = moved.iter().all(|field| sent.contains(&*top_level_name(&field.pointer)));
    if !keeps_script || !keeps_the_rest {
        // One member that is lost is one too many.
        return Some(Verdict::Replace);
    }
    let keeps_inner = same("/preDeployment/description") && same("/preDeployment/deferment");
    Some(if keeps_inner { Verdict::Merge } else { Verdict::MergeTop })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch() -> Scratch {
        Scratch { owner: "team".to_owned(), uuid: Uuid::from_u128(7), platform: Platform::Linux }
    }

    /// The job as a server stores it.
    fn stored() -> Value {
        let mut job = scratch().create_body();
        job["preDeployActions"][0]["actionId"] = json!("00000000-0000-4000-8000-0000000000aa");
        job["preDeployActions"][0]["script"] = json!("c/00000000-0000-4000-8000-0000000000aa/Script");
        job
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Value), expected: Option<Verdict>) {
        let (before, mut after) = (stored(), stored());
        after["preDeployment"]["userMessage"] = json!(AFTER);
        change(&mut after);
        assert!(is_usable(&before));
        assert_eq!(judge(&before, &scratch().patch_body(), &after), expected);
    }

    #[test]
    fn verdicts() {
        check(|_| {}, Some(Verdict::Merge));
        check(|job| job["preDeployment"] = json!({"userMessage": AFTER}), Some(Verdict::MergeTop));
        check(|job| *job = scratch().patch_body(), Some(Verdict::Replace));
        // One member is one too many, and a script under another id is another script.
        check(|job| job["duringDeployment"] = Value::Null, Some(Verdict::Replace));
        check(|job| job["preDeployActions"] = json!([]), Some(Verdict::Replace));
        check(|job| job["preDeployActions"][0]["actionId"] = json!("b"), Some(Verdict::Replace));
        check(|job| job["preDeployActions"][0]["script"] = json!("c/b/Script"), Some(Verdict::Replace));
        check(|job| job["preDeployActions"][0]["script"] = json!(""), Some(Verdict::Replace));
        // Not there, or not there yet.
        check(|job| *job = stored(), None);
        check(|job| *job = Value::Null, None);
    }

    #[test]
    fn names_are_known_again_and_others_are_not() {
        let name = scratch().name();
        assert_eq!(name, "patchctl probe team 00000000-0000-0000-0000-000000000007, safe to delete");
        assert_eq!(parse_name(&name), Some(("team", Uuid::from_u128(7))));
        for other in [
            "patchctl probe",
            "patchctl probe team, safe to delete",
            "patchctl probe 00000000-0000-0000-0000-000000000007, safe to delete",
            "patchctl probe team 00000000-0000-0000-0000-00000000000, safe to delete",
            "patchctl probe team 00000000-0000-0000-0000-000000000007",
            "patchctl probe team {00000000-0000-0000-0000-000000000007}, safe to delete",
            "Copy of patchctl probe team 00000000-0000-0000-0000-000000000007, safe to delete",
        ] {
            assert_eq!(parse_name(other), None, "{other}");
        }
    }

    #[test]
    fn only_what_is_ours_and_can_do_nothing_is_proved() {
        assert_eq!(proof(&stored(), "team"), Ok(()));
        assert_eq!(proof(&scratch().patch_body(), "team"), Ok(()), "also as a replacing server leaves it");
        let refused = |change: fn(&mut Value), words: &str| {
            let mut job = stored();
            change(&mut job);
            let reason = proof(&job, "team").expect_err(words);
            assert!(reason.contains(words), "{reason}");
        };
        refused(|job| job["name"] = json!("Servers"), "does not have the name");
        refused(|job| job["description"] = json!("mine now"), "description");
        refused(|job| job["status"] = json!("Enabled"), "`Enabled`");
        refused(|job| job["assetIds"] = json!(["a"]), "`assetIds`");
        refused(|job| job["assetTagIds"] = json!(["a"]), "`assetTagIds`");
        refused(|job| job["linkedJobId"] = json!("a"), "`linkedJobId`");
        assert!(proof(&stored(), "others").expect_err("another owner").contains("`team`"));
        assert!(proof(&Value::Null, "team").is_err());
    }

    #[test]
    fn words_are_read_again() {
        for verdict in Verdict::ALL {
            assert_eq!(Verdict::parse(verdict.as_str()), Some(verdict));
        }
        assert_eq!(Verdict::parse("perhaps"), None);
    }
}
