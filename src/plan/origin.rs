//! Where a difference came from, by the evidence of the stamp (DESIGN section 5).
//!
//! Without a commit to compare with, the stamp alone speaks: it says whether the manifest or the live job is
//! still what it was when we wrote last. Where it is silent or both moved, the origin is unknown.

use std::collections::BTreeMap;

use super::Origin;
use crate::job::TABLE_VERSION;
use crate::manifest::Manifest;
use crate::snapshot::LiveJob;
use crate::stamp::{self, Found, Stamp};

/// How often each stamp stands on the jobs that were read; a console clone copies it.
#[derive(Clone, Debug, Default)]
pub struct StampCounts(BTreeMap<(String, String), usize>);

impl StampCounts {
    /// Counts the stamp of one job.
    pub fn add(&mut self, found: &Found) {
        if let Found::Stamp(stamp) = found {
            *self.0.entry((stamp.owner.clone(), stamp.key.clone())).or_default() += 1;
        }
    }

    /// Whether no second job bears this stamp.
    pub fn is_unique(&self, stamp: &Stamp) -> bool {
        self.0.get(&(stamp.owner.clone(), stamp.key.clone())).is_none_or(|count| *count == 1)
    }
}

/// The job's stamp, if it proves something: ours, of this manifest, of this table, and on this job only.
pub(super) fn proof<'a>(
    found: &'a Found,
    manifest: &Manifest,
    owner: &str,
    counts: &StampCounts,
) -> Option<&'a Stamp> {
    let Found::Stamp(stamp) = found else { return None };
    let ours = stamp.owner == owner && stamp.key == manifest.key;
    (ours && counts.is_unique(stamp) && stamp.table_version == TABLE_VERSION).then_some(stamp)
}

/// Says where all differences of a job came from.
pub(super) fn of_job(proof: Option<&Stamp>, manifest: &Manifest, job: &LiveJob) -> Origin {
    let Some(stamp) = proof else { return Origin::Unknown };
    let same_desired = stamp.declared == stamp::declared_digest(manifest.as_declared())
        && stamp.contents == stamp::contents_digest(&manifest.spec);
    let same_live = stamp.job == stamp::job_digest(&job.normalised);
    match (same_desired, same_live) {
        (true, false) => Origin::Console,
        (false, true) => Origin::Git,
        // Both moved: which member moved where can only be told with the manifest as it was applied.
        (false, false) | (true, true) => Origin::Unknown,
    }
}
