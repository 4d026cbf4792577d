//! Which runs are undone, told by the journals of the runs that undid them.

use std::collections::{BTreeMap, BTreeSet};

use super::past::PastRun;

/// What became of a run since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since<'a> {
    /// It stands.
    Stands,
    /// Of some of its jobs it is undone; the last run that did it.
    InPart(&'a str),
    /// It is undone as a whole; the last run that did it.
    Undone(&'a str),
}

/// The jobs of each run that are undone, with the run that did it.
#[derive(Debug, Default)]
pub struct Undoings<'a>(BTreeMap<&'a str, BTreeMap<&'a str, &'a str>>);

impl<'a> Undoings<'a> {
    /// Tells by all runs, newest first: what a revert undid stands again where the revert itself was undone.
    pub fn of(newest_first: impl IntoIterator<Item = &'a PastRun>) -> Self {
        let mut undoings = Self::default();
        for run in newest_first {
            let Some(undoes) = &run.start.undoes else { continue };
            let taken_back: BTreeSet<&str> = undoings
                .0
                .get(run.start.run.as_str())
                .into_iter()
                .flat_map(|keys| keys.keys().copied())
                .collect();
            let touched = run.start.steps.iter().map(|step| &step.key).chain(&undoes.left_out);
            let done = touched.map(String::as_str).filter(|key| !run.incomplete.contains(*key));
            let undone = undoings.0.entry(undoes.run.as_str()).or_default();
            for key in done.filter(|key| !taken_back.contains(key)) {
                undone.entry(key).or_insert(run.start.run.as_str());
            }
        }
        undoings
    }

    /// What became of a run.
    pub fn since(&self, run: &PastRun) -> Since<'a> {
        let Some(undone) = self.0.get(run.start.run.as_str()) else { return Since::Stands };
        let by: Vec<Option<&'a str>> =
            run.jobs.iter().map(|job| undone.get(job.key.as_str()).copied()).collect();
        match by.iter().find_map(|by| *by) {
            None => Since::Stands,
            Some(last) if by.iter().all(Option::is_some) => Since::Undone(last),
            Some(last) => Since::InPart(last),
        }
    }
}
