//! The lists of live jobs, read anew before something is concluded from a name or from an absence.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::api::{ApiError, ReadApi};
use crate::job::Platform;
use crate::snapshot::ListRow;

/// For how long the rows of a platform are good where nothing made the run wait. A list may take dozens of calls, and a
/// run that makes many jobs goes on for long.
const GOOD_FOR: Duration = Duration::from_mins(5);

/// What this run has read of the lists, by platform.
#[derive(Default)]
pub(super) struct Lists(BTreeMap<Platform, Listed>);

/// The rows of a platform, and when they were read.
struct Listed {
    rows: Vec<ListRow>,
    at: Instant,
    /// For how long the run had waited by then.
    waited: Duration,
}

impl Listed {
    fn is_good<A: ReadApi>(&self, api: &A) -> bool {
        self.waited == api.waited() && self.at.elapsed() < GOOD_FOR
    }
}

impl Lists {
    /// The rows of a platform, read once in a run, and anew once the rate limit has made the run wait since: a wait may
    /// take many minutes, in which others make jobs and link them. Who waited in the middle of a list has read it.
    pub(super) async fn of<A: ReadApi>(
        &mut self,
        platform: Platform,
        api: &A,
    ) -> Result<&[ListRow], ApiError> {
        if !self.0.get(&platform).is_some_and(|listed| listed.is_good(api)) {
            let at = Instant::now();
            let rows = read(platform, api).await?;
            self.0.insert(platform, Listed { rows, at, waited: api.waited() });
        }
        Ok(self.0.get(&platform).map_or(&[], |listed| &listed.rows))
    }

    /// Forgets a platform's rows, so that they are read anew.
    pub(super) fn forget(&mut self, platform: Platform) {
        self.0.remove(&platform);
    }

    /// Adds a job that was made meanwhile.
    pub(super) fn add(&mut self, platform: Platform, row: ListRow) {
        if let Some(listed) = self.0.get_mut(&platform) {
            listed.rows.push(row);
        }
    }

    /// Drops a job that was removed meanwhile; its parent has a child less.
    pub(super) fn drop_job(&mut self, id: &str) {
        let rows = self.0.values().flat_map(|listed| &listed.rows);
        let parent = rows.into_iter().find(|row| row.id == id).and_then(|row| row.linked_job_id.clone());
        for listed in self.0.values_mut() {
            listed.rows.retain(|row| row.id != id);
            for row in listed.rows.iter_mut().filter(|row| Some(&row.id) == parent.as_ref()) {
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use serde_json::Value;

    use super::*;
    use crate::api::{CallCounts, Listed as Answer};
    use crate::lean::Lean;

    /// Counts how often the list is read, and waits where it is told to.
    #[derive(Default)]
    struct Gateway {
        n_lists: Mutex<usize>,
        waited: Mutex<Duration>,
    }

    impl ReadApi for Gateway {
        async fn list_jobs(&self, _platform: &str) -> Result<Vec<Value>, ApiError> {
            unreachable!("only rows are read")
        }

        async fn list_rows<T: Send>(
            &self,
            _platform: &str,
            _make: impl Fn(&Lean<'_>) -> T + Send + Sync,
        ) -> Result<Answer<T>, ApiError> {
            *self.n_lists.lock().unwrap() += 1;
            Ok(Answer { rows: Vec::new(), n_calls: 1 })
        }

        async fn get_job(&self, _id: &str) -> Result<Option<Value>, ApiError> {
            unreachable!("only rows are read")
        }

        async fn look_at_job<T: Send>(
            &self,
            _id: &str,
            _look: impl Fn(&[u8], &Lean<'_>) -> T + Send + Sync,
        ) -> Result<Option<T>, ApiError> {
            unreachable!("only rows are read")
        }

        fn calls(&self) -> CallCounts {
            CallCounts::default()
        }

        fn waited(&self) -> Duration {
            *self.waited.lock().unwrap()
        }
    }

    /// How often the list was read by the time its rows were there.
    async fn asked(lists: &mut Lists, platform: Platform, gateway: &Gateway) -> usize {
        lists.of(platform, gateway).await.unwrap();
        *gateway.n_lists.lock().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_is_read_once_unless_the_run_waits_or_takes_long() {
        let (mut lists, gateway) = (Lists::default(), Gateway::default());
        assert_eq!(asked(&mut lists, Platform::Windows, &gateway).await, 1);
        tokio::time::advance(GOOD_FOR / 2).await;
        assert_eq!(asked(&mut lists, Platform::Windows, &gateway).await, 1);
        assert_eq!(asked(&mut lists, Platform::Linux, &gateway).await, 2, "each platform has its own");
        *gateway.waited.lock().unwrap() += Duration::from_secs(1);
        assert_eq!(asked(&mut lists, Platform::Windows, &gateway).await, 3);
        assert_eq!(asked(&mut lists, Platform::Windows, &gateway).await, 3);
        tokio::time::advance(GOOD_FOR).await;
        assert_eq!(asked(&mut lists, Platform::Windows, &gateway).await, 4);
    }
}
