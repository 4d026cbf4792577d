//! Arguments of `drift`. The doc comments here are the help that people read.

use std::path::PathBuf;

use clap::Args;

use super::args::{PlanningArgs, ReadingArgs};
use crate::config::Updates;

/// Arguments of `drift`
#[derive(Clone, Debug, Args)]
pub struct DriftArgs {
    /// Commit that was applied last, to tell what Git changed from what was changed live
    #[arg(long, value_name = "REF")]
    pub base: Option<String>,
    /// What earlier runs saw is read from this file, and what this run sees is written to it [default: a file in the
    /// cache, for each gateway]
    #[arg(long, value_name = "FILE")]
    pub since: Option<PathBuf>,
    /// Show and count only what no earlier run saw
    #[arg(long)]
    pub new_only: bool,
    /// Count as drift also what Git changed and nobody applied yet
    #[arg(long, conflicts_with = "new_only")]
    pub include_pending: bool,
    /// List the live jobs that are in no manifest, and not only their number
    #[arg(long)]
    pub unmanaged: bool,
    /// Show what changed in scripts since the base, as text
    #[arg(long)]
    pub show_scripts: bool,
    /// List the members that ignore rules leave alone although declared and live differ
    #[arg(long)]
    pub show_ignored: bool,
    /// Print only why this member is equal or different, and all that this was concluded from
    #[arg(long, value_name = "KEY/MEMBER", conflicts_with_all = ["since", "new_only", "include_pending", "unmanaged", "show_scripts", "show_ignored"])]
    pub why: Option<String>,
    /// Start the embedded simulator afresh from its seed files
    #[arg(long)]
    pub reset: bool,
    /// How live jobs are read.
    #[command(flatten)]
    pub reading: ReadingArgs,
}

impl DriftArgs {
    /// The same as planning takes it; what allows or asks for writes has no place here.
    pub fn planning(&self) -> PlanningArgs {
        PlanningArgs {
            base: self.base.clone(),
            reset: self.reset,
            reading: self.reading.clone(),
            // What an update would carry is of no interest here, and nothing is to be found out for it.
            updates: Some(Updates::Full),
            ..PlanningArgs::default()
        }
    }
}
