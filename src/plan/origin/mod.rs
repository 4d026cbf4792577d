//! Where each difference came from, by evidence alone (DESIGN section 5).
//!
//! Pure. The stamp says what was applied last and whether the live job is still as it was left; the manifest as of the
//! base says which member moved where; the ledger and `updatedBy` say whether somebody edited the job since. Where
//! they are silent or at odds the origin is unknown, with what would make it known: nobody is accused without evidence.

mod at_base;
mod judge;
#[cfg(test)]
mod tests;
mod trail;

use std::collections::BTreeMap;

pub(super) use judge::{Evidence, Finding};
pub use trail::{AtBase, DisabledBy, Left, NoTrails, Trail, Trails, Why};

use crate::job::TABLE_VERSION;
use crate::manifest::Manifest;
use crate::stamp::{Found, Stamp};

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
