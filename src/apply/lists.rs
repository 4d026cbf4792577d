//! The lists of live jobs, read anew before something is concluded from a name or from an absence.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::api::{ApiError, ReadApi};
use crate::job::Platform;
use crate::snapshot::ListRow;

/// What this run has read of the lists, by platform.
#[derive(Default)]
pub(super) struct Lists(BTreeMap<Platform, Vec<ListRow>>);

impl Lists {
    /// The rows of a platform, read once in a run.
    pub(super) async fn of<A: ReadApi>(
        &mut self,
        platform: Platform,
        api: &A,
    ) -> Result<&[ListRow], ApiError> {
        Ok(match self.0.entry(platform) {
            Entry::Occupied(rows) => rows.into_mut(),
            Entry::Vacant(place) => place.insert(read(platform, api).await?),
        })
    }

    /// Forgets a platform's rows, so that they are read anew.
    pub(super) fn forget(&mut self, platform: Platform) {
        self.0.remove(&platform);
    }

    /// Adds a job that was made meanwhile.
    pub(super) fn add(&mut self, platform: Platform, row: ListRow) {
        if let Some(rows) = self.0.get_mut(&platform) {
            rows.push(row);
        }
    }

    /// Drops a job that was removed meanwhile; its parent has a child less.
    pub(super) fn drop_job(&mut self, id: &str) {
        let row = self.0.values().flatten().find(|row| row.id == id);
        let parent = row.and_then(|row| row.linked_job_id.clone());
        for rows in self.0.values_mut() {
            rows.retain(|row| row.id != id);
            for row in rows.iter_mut().filter(|row| Some(&row.id) == parent.as_ref()) {
                row.n_children = row.n_children.map(|n| n.saturating_sub(1));
            }
        }
    }
}

/// Reads the rows of a platform, whatever was read before.
pub(super) async fn read<A: ReadApi>(platform: Platform, api: &A) -> Result<Vec<ListRow>, ApiError> {
    let listed = api.list_rows(platform.as_str(), ListRow::of).await?;
    Ok(listed.rows.into_iter().flatten().collect())
}
