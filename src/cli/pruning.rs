//! Which live jobs may go because their manifests did: finds the candidates and reads what judging them needs.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::StreamExt;

use super::identity::Identified;
use super::planning::{Request, job, read_failed, spill_failed};
use super::progress::Progress;
use super::session::Failure;
use crate::api::ReadApi;
use crate::details::Details;
use crate::inventory::Inventory;
use crate::ledger::Ledger;
use crate::plan::{Binding, Builder, Candidate, Evidence, Prune, PrunePolicy};
use crate::render::text::count;
use crate::snapshot::{ListRow, LiveJob};
use crate::source::{Place, SourceFile, Span};
use crate::stamp::Found;

/// What pruning looks at.
pub(super) struct Look<'a> {
    pub(super) inventory: &'a Inventory,
    /// Sorted by id.
    pub(super) rows: &'a [ListRow],
    pub(super) identified: &'a Identified,
    pub(super) ledger: &'a Ledger,
}

impl Look<'_> {
    /// The ids of live jobs that manifests are about, selected or not.
    fn managed(&self) -> BTreeSet<&str> {
        let bound = self.identified.bindings.iter().filter_map(Binding::id);
        bound.chain(self.identified.others.iter().map(String::as_str)).collect()
    }

    fn keys(&self) -> BTreeSet<&str> {
        self.inventory.summaries.iter().map(|summary| summary.key.as_str()).collect()
    }

    fn row(&self, id: &str) -> Option<&ListRow> {
        self.rows.binary_search_by(|row| row.id.as_str().cmp(id)).ok().map(|at| &self.rows[at])
    }

    /// How many live jobs are known to have lost their manifest.
    pub(super) fn n_orphans(&self) -> usize {
        let (keys, managed) = (self.keys(), self.managed());
        let orphans = self.ledger.orphans(&keys);
        orphans.filter(|(_, job)| self.row(&job.id).is_some() && !managed.contains(job.id.as_str())).count()
    }
}

impl Request<'_> {
    /// Plans the removal of live jobs whose manifests are gone; returns the keys whose jobs are gone as well.
    pub(super) async fn prune<A: ReadApi>(
        &self,
        how: Prune,
        look: Look<'_>,
        details: &mut Details,
        builder: &mut Builder<'_>,
        api: &A,
    ) -> Result<Vec<String>, Failure> {
        let mut candidates = self.known(&look)?;
        let managed = look.managed();
        let unmanaged: Vec<&ListRow> =
            look.rows.iter().filter(|row| !managed.contains(row.id.as_str())).collect();
        let ids = candidates.keys().cloned().collect();
        self.read_all(ids, &look, details, api).await?;
        match how {
            Prune::Scan => {
                let ids: BTreeSet<String> = unmanaged.iter().map(|row| row.id.clone()).collect();
                self.read_all(ids, &look, details, api).await?;
                for row in &unmanaged {
                    let Some(live) = job(details, &row.id, api).await? else { continue };
                    if let Some(found) = self.stamped(row, &live, &look.keys()) {
                        candidates.entry(row.id.clone()).or_insert(found);
                    } else if let Found::Stamp(stamp) = &live.stamp
                        && stamp.owner == self.settings.owner
                    {
                        self.terminal.note(&format!(
                            "the live job {} `{}` bears our stamp of `{}`, whose manifest is about another job: a copy, or \
                             the same job under a former name; it is left alone",
                            row.id, row.name, stamp.key
                        ));
                    }
                }
            }
            // The console copies a stamp along with its job, and a copy is younger than what it was copied from.
            Prune::Known => {
                let begun = candidates.keys().filter_map(|id| look.row(id)).map(|row| row.created.at);
                let begun = begun.min();
                let younger = unmanaged.iter().filter(|row| {
                    begun.is_some_and(|begun| row.created.at.is_none() || row.created.at >= begun)
                });
                let ids = younger.map(|row| row.id.clone()).collect();
                self.read_all(ids, &look, details, api).await?;
            }
        }
        let mut judged = Vec::new();
        let mut gone = Vec::new();
        for candidate in candidates.into_values() {
            match job(details, &candidate.id, api).await? {
                Some(live) => judged.push((candidate, live)),
                None => gone.push(candidate.key),
            }
        }
        judged.sort_by(|(a, _), (b, _)| a.key.cmp(&b.key));
        let policy = PrunePolicy {
            owner_is_set: self.settings.owner_is_set(),
            folder_is_usual: self.settings.jobs_folder_is_usual(),
            empty_file: look.inventory.empty_file().map(str::to_owned),
            most: self.planning.max_deletes,
        };
        builder.prune(policy, &details.stamps(), look.rows, &judged);
        Ok(gone)
    }

    /// Jobs of manifests that were in the base, and of those that earlier runs bound, by id.
    fn known(&self, look: &Look<'_>) -> Result<BTreeMap<String, Candidate>, Failure> {
        let (keys, managed) = (look.keys(), look.managed());
        let mut candidates: BTreeMap<String, Candidate> = BTreeMap::new();
        for (key, bound) in look.ledger.orphans(&keys) {
            // Its manifest may have had several keys, one after the other, and been protected under one of them.
            let was_protected = candidates.get(&bound.id).is_some_and(|known| known.is_protected);
            let candidate = Candidate {
                key: key.to_owned(),
                id: bound.id.clone(),
                name: bound.name.clone(),
                platform: bound.platform(),
                is_protected: bound.protect || was_protected,
                evidence: Evidence::Ledger,
                place: self.nowhere(),
            };
            candidates.insert(bound.id.clone(), candidate);
        }
        let base = self.read_base(look.ledger)?;
        for standing in base.iter().flat_map(|base| base.manifests.values()) {
            if keys.contains(standing.key.as_str()) {
                continue;
            }
            let known = look.ledger.bound(&standing.key).map(|bound| bound.id.clone());
            let named = || {
                let name = standing.name.as_deref()?;
                let mut rows =
                    look.rows.iter().filter(|row| row.name == name && row.platform == standing.platform);
                // Two of one name: which of them it was can not be told.
                rows.next().filter(|_| rows.next().is_none()).map(|row| row.id.clone())
            };
            let Some(id) = standing.id.clone().or(known).or_else(named) else { continue };
            let is_protected =
                standing.protect || candidates.get(&id).is_some_and(|known| known.is_protected);
            let candidate = Candidate {
                key: standing.key.clone(),
                id: id.clone(),
                name: standing.name.clone().unwrap_or_default(),
                platform: standing.platform,
                is_protected,
                evidence: Evidence::Base,
                place: standing.place.clone(),
            };
            candidates.insert(id, candidate);
        }
        // Under another key or name it may be managed still.
        candidates.retain(|id, _| !managed.contains(id.as_str()));
        Ok(candidates)
    }

    /// A live job without a manifest that bears our stamp.
    fn stamped(&self, row: &ListRow, live: &LiveJob, keys: &BTreeSet<&str>) -> Option<Candidate> {
        let Found::Stamp(stamp) = &live.stamp else { return None };
        // A copy of a managed job bears the stamp of a key that is there: it is no job of a removed manifest.
        let is_ours = stamp.owner == self.settings.owner && !keys.contains(stamp.key.as_str());
        is_ours.then(|| Candidate {
            key: stamp.key.clone(),
            id: row.id.clone(),
            name: row.name.clone(),
            platform: row.platform,
            is_protected: false,
            evidence: Evidence::Stamp,
            place: self.nowhere(),
        })
    }

    /// In place of a manifest of which only the name is known.
    fn nowhere(&self) -> Place {
        let folder = self.settings.shown(&self.settings.jobs);
        Place::new(&SourceFile::new(folder.as_str(), ""), Span::new(0, 0))
    }

    /// Reads whole jobs that are not known yet; many calls are told before they are made.
    async fn read_all<A: ReadApi>(
        &self,
        ids: BTreeSet<String>,
        look: &Look<'_>,
        details: &mut Details,
        api: &A,
    ) -> Result<(), Failure> {
        let unread = ids.into_iter().filter(|id| !details.is_known(id));
        let missing = details.missing(unread.collect::<Vec<_>>().into_iter(), look.rows);
        if missing.is_empty() {
            return Ok(());
        }
        self.terminal.note(&format!(
            "--prune reads {} that no manifest names, to look for our stamp",
            count(missing.len(), "live job")
        ));
        let mut progress = Progress::new(self.terminal, missing.len());
        let reads = futures_util::stream::iter(missing).map(|id| async move {
            let job = api.get_job(&id).await;
            (id, job)
        });
        let mut reads =
            std::pin::pin!(reads.buffer_unordered(self.planning.reading.connection.concurrency()));
        while let Some((id, job)) = reads.next().await {
            let job = job.map_err(read_failed)?;
            progress.step();
            details.put(&id, job.as_ref(), look.row(&id)).map_err(|error| spill_failed(&error))?;
        }
        Ok(())
    }
}
