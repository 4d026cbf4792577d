//! The lists of all platforms that a run is about, read side by side.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future;

use crate::api::{ApiError, Listed, ReadApi};
use crate::job::Platform;
use crate::lean::Lean;
use crate::snapshot::{ListRow, Snapshot};

/// What the lists say.
pub(super) struct Lists {
    /// All rows, sorted by id.
    pub(super) rows: Vec<ListRow>,
    /// The subscriptions in them, in small letters.
    pub(super) customers: BTreeSet<String>,
    /// How many calls each platform's list takes.
    pub(super) list_calls: BTreeMap<Platform, usize>,
}

/// Reads each list to its end. Page follows page within a list, because only an empty one says that it was the last;
/// lists do not wait for each other.
///
/// # Errors
/// The first failure of any of them: then none of them counts, and what is on its way is given up.
pub(super) async fn read<A: ReadApi>(
    api: &A,
    platforms: impl IntoIterator<Item = Platform>,
) -> Result<Lists, ApiError> {
    let make = |row: &Lean<'_>| {
        let customer = row.get("customerId").and_then(Lean::as_str).map(str::to_ascii_lowercase);
        (customer, ListRow::of(row))
    };
    let read = platforms.into_iter().map(async |platform| {
        let listed = api.list_rows(platform.as_str(), make).await;
        listed.map(|Listed { rows, n_calls }| (platform, n_calls, rows))
    });
    let (mut all, mut customers, mut list_calls) = (Vec::new(), BTreeSet::new(), BTreeMap::new());
    for (platform, n_calls, rows) in future::try_join_all(read).await? {
        list_calls.insert(platform, n_calls);
        for (customer, row) in rows {
            customers.extend(customer);
            all.extend(row);
        }
    }
    Ok(Lists { rows: Snapshot::new(all).rows, customers, list_calls })
}
