//! What earlier runs of `drift` saw, so that each difference raises one alarm.
//!
//! A small document, one for each gateway and owner. It holds no values, only digests of them. Reading and writing the
//! file is the caller's business.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Difference, JobDrift, Kind, Report, Resolved, State};
use crate::fingerprint;

/// Version of the document; one of another version is not used.
const FORMAT: u32 = 1;

/// The member that the document begins with, by which it is told from files that are something else.
const MARK: &str = "patchctl_drift";

/// Whose runs they were.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whose {
    /// What tells the gateway from others.
    pub gateway: String,
    /// The owner in our stamps.
    pub owner: String,
    /// The subscription's id; empty where no live job told it.
    pub customer: String,
}

/// What the latest run saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    patchctl_drift: u32,
    #[serde(flatten)]
    whose: Whose,
    seen: Vec<Sight>,
}

/// One difference that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Sight {
    key: String,
    /// Name of the job, for the day on which it is resolved.
    name: String,
    kind: String,
    path: String,
    /// Digest of the live value, and of the edit where the value can not be read.
    value: String,
    /// When it was seen first, in milliseconds since 1970-01-01 UTC.
    since: i64,
}

/// Why a document can not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It is something else, which must not be overwritten.
    NotOurs,
    /// It is ours, and damaged or of another version.
    Damaged,
    /// It is about another gateway, owner or subscription.
    Other(Whose),
}

impl Seen {
    /// Nothing was seen yet.
    pub fn nothing(whose: Whose) -> Self {
        Self { patchctl_drift: FORMAT, whose, seen: Vec::new() }
    }

    /// Reads a document; an empty one is as good as none.
    ///
    /// # Errors
    /// Why it can not be used.
    pub fn parse(text: &str, whose: &Whose) -> Result<Self, Problem> {
        if text.trim().is_empty() {
            return Ok(Self::nothing(whose.clone()));
        }
        let inside = text.trim_start().strip_prefix('{').map(str::trim_start);
        if !inside.is_some_and(|inside| inside.starts_with(&format!("\"{MARK}\""))) {
            return Err(Problem::NotOurs);
        }
        let seen: Self = serde_json::from_str(text).map_err(|_| Problem::Damaged)?;
        if seen.patchctl_drift != FORMAT {
            return Err(Problem::Damaged);
        }
        let same_customer = seen.whose.customer == whose.customer
            || seen.whose.customer.is_empty()
            || whose.customer.is_empty();
        if (&seen.whose.gateway, &seen.whose.owner) != (&whose.gateway, &whose.owner) || !same_customer {
            return Err(Problem::Other(seen.whose));
        }
        Ok(seen)
    }

    /// The document as text.
    pub fn text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Says of each difference whether it is new, and of each that was seen before whether it is resolved; returns what
    /// is to be remembered.
    ///
    /// `now` is in milliseconds since 1970-01-01 UTC. Where the report is about some manifests only, `is_looked_at`
    /// says which; what is known of the others stays.
    pub fn compare(
        &self,
        report: &mut Report<'_>,
        whose: Whose,
        now: i64,
        is_looked_at: impl Fn(&str) -> bool,
    ) -> Self {
        let known: BTreeMap<(&str, &str, &str), &Sight> = self
            .seen
            .iter()
            .map(|sight| ((sight.key.as_str(), sight.kind.as_str(), sight.path.as_str()), sight))
            .collect();
        let mut seen: Vec<Sight> = Vec::new();
        let mut still: BTreeSet<(String, String, String)> = BTreeSet::new();
        for job in &mut report.drifted {
            let (edited, name) = (job.edited.as_ref().and_then(|edit| edit.at), job.name.clone());
            let key = job.key.clone();
            for difference in &mut job.differences {
                let kind = difference.kind.as_str();
                let value = value_of(difference, edited);
                let before = known.get(&(key.as_str(), kind, difference.path.as_str()));
                difference.state = match before.filter(|sight| sight.value == value) {
                    Some(sight) => State::Ongoing(sight.since),
                    None => State::New,
                };
                still.insert((key.clone(), kind.to_owned(), difference.path.clone()));
                seen.push(Sight {
                    key: key.clone(),
                    name: name.clone(),
                    kind: kind.to_owned(),
                    path: difference.path.clone(),
                    value,
                    since: difference.state.since().unwrap_or(now),
                });
            }
        }
        for sight in &self.seen {
            let slot = (sight.key.clone(), sight.kind.clone(), sight.path.clone());
            if !is_looked_at(&sight.key) {
                seen.push(sight.clone());
            } else if let (false, Some(kind)) = (still.contains(&slot), kind_of(&sight.kind)) {
                report.resolved.push(Resolved {
                    key: sight.key.clone(),
                    name: sight.name.clone(),
                    path: sight.path.clone(),
                    kind,
                    since: sight.since,
                });
            }
        }
        seen.sort_by(|a, b| (&a.key, &a.kind, &a.path).cmp(&(&b.key, &b.kind, &b.path)));
        let customer = if whose.customer.is_empty() { self.whose.customer.clone() } else { whose.customer };
        Self { patchctl_drift: FORMAT, whose: Whose { customer, ..whose }, seen }
    }
}

/// What makes a difference another one than before: its live value. Of a script that is the edit.
fn value_of(difference: &Difference<'_>, edited: Option<i64>) -> String {
    match difference.kind {
        Kind::Member | Kind::Create => fingerprint::short(&difference.is),
        Kind::Unverified => fingerprint::short(&serde_json::json!([edited])),
        Kind::Missing => String::new(),
        Kind::Unclear => fingerprint::short(&difference.words.as_str().into()),
    }
}

fn kind_of(word: &str) -> Option<Kind> {
    [Kind::Member, Kind::Missing, Kind::Unverified, Kind::Unclear, Kind::Create]
        .into_iter()
        .find(|kind| kind.as_str() == word)
}

impl Report<'_> {
    /// Leaves only what no earlier run saw; what is resolved stays.
    pub fn keep_new(&mut self) {
        for job in &mut self.drifted {
            job.differences.retain(|difference| difference.state == State::New);
        }
        self.drifted.retain(|job: &JobDrift<'_>| !job.differences.is_empty());
    }
}
