//! The lists of all platforms that a run is about, read side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future;

use super::progress::shown;
use crate::api::{ApiError, Listed, ReadApi};
use crate::job::Platform;
use crate::lean::Lean;
use crate::render::text::count;
use crate::snapshot::{ListRow, Snapshot};
use crate::terminal::Terminal;

/// What the lists say.
pub(super) struct Lists {
    /// All rows, sorted by id.
    pub(super) rows: Vec<ListRow>,
    /// The subscriptions in them, in small letters.
    pub(super) customers: BTreeSet<String>,
    /// How many calls each platform's list takes.
    pub(super) list_calls: BTreeMap<Platform, usize>,
}

/// Calls of a list with one page of jobs: that page, and the empty one behind it.
const CALLS_OF_ONE_PAGE: usize = 2;

impl Lists {
    /// Reads the lists of these platforms once more, where they have several pages, and adds what was not seen before.
    ///
    /// While pages are read one by one a job may be deleted, and those behind it move up by a place: one of them may
    /// slip from a page that is still to be read into one that was. The API gives no sign of it. A job that was seen in
    /// either reading is there.
    ///
    /// # Errors
    /// As [`read`].
    pub(super) async fn look_again<A: ReadApi>(
        &mut self,
        api: &A,
        platforms: &[Platform],
        terminal: &Terminal,
    ) -> Result<(), ApiError> {
        let has_pages = |platform: &&Platform| {
            self.list_calls.get(platform).is_some_and(|n_calls| *n_calls > CALLS_OF_ONE_PAGE)
        };
        let platforms: Vec<Platform> = platforms.iter().filter(has_pages).copied().collect();
        if platforms.is_empty() {
            return Ok(());
        }
        let again = read(api, platforms, terminal).await?;
        let ids: BTreeSet<&str> = again.rows.iter().map(|row| row.id.as_str()).collect();
        // The later sight is the fresher one.
        self.rows.retain(|row| !ids.contains(row.id.as_str()));
        drop(ids);
        self.rows.extend(again.rows);
        self.rows = Snapshot::new(std::mem::take(&mut self.rows)).rows;
        self.customers.extend(again.customers);
        Ok(())
    }
}

/// Reads each list to its end. Page follows page within a list, because only an empty one says that it was the last;
/// lists do not wait for each other.
///
/// # Errors
/// The first failure of any of them: then none of them counts, and what is on its way is given up.
pub(super) async fn read<A: ReadApi>(
    api: &A,
    platforms: impl IntoIterator<Item = Platform>,
    terminal: &Terminal,
) -> Result<Lists, ApiError> {
    let n_rows = AtomicUsize::new(0);
    let make = |row: &Lean<'_>| {
        n_rows.fetch_add(1, Ordering::Relaxed);
        let customer = row.get("customerId").and_then(Lean::as_str).map(str::to_ascii_lowercase);
        (customer, ListRow::of(row))
    };
    let read = platforms.into_iter().map(async |platform| {
        let listed = api.list_rows(platform.as_str(), make).await;
        listed.map(|Listed { rows, n_calls }| (platform, n_calls, rows))
    });
    let words = || format!("reading the lists: {} so far", count(n_rows.load(Ordering::Relaxed), "job"));
    let (mut all, mut customers, mut list_calls) = (Vec::new(), BTreeSet::new(), BTreeMap::new());
    for (platform, n_calls, rows) in shown(terminal, words, future::try_join_all(read)).await? {
        list_calls.insert(platform, n_calls);
        for (customer, row) in rows {
            customers.extend(customer);
            all.extend(row);
        }
    }
    Ok(Lists { rows: Snapshot::new(all).rows, customers, list_calls })
}
