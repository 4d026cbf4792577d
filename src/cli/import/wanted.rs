//! Which live jobs the arguments choose.

use std::collections::BTreeSet;

use globset::{Glob, GlobMatcher};

use crate::cli::args::{Common, ImportArgs};
use crate::cli::session::Failure;
use crate::job::{Platform, canonical, nearest};
use crate::snapshot::ListRow;

/// Which jobs are asked for.
pub(super) struct Wanted {
    all: bool,
    ids: BTreeSet<String>,
    names: Vec<(String, GlobMatcher)>,
    platform: Option<Platform>,
}

impl Wanted {
    /// Reads the arguments; what names no job is wrong usage, because "all" must be meant.
    pub(super) fn of(common: &Common, args: &ImportArgs) -> Result<Self, Failure> {
        let usage = |message: String, help: &str| Err(Failure::Usage(message, help.to_owned()));
        if !common.only.is_empty() {
            let help = "choose live jobs with --id, --name, --platform or --all";
            return usage(
                "--only chooses manifests, and import is about jobs that have none".to_owned(),
                help,
            );
        }
        if !args.all && args.id.is_empty() && args.name.is_empty() && args.platform.is_none() {
            let help = "give --all, or choose with --id ID, --name GLOB or --platform Windows|Linux; \
                        --dry-run shows what would be written";
            return usage("import must be told which live jobs to write manifests for".to_owned(), help);
        }
        if let Some(id) = args.id.iter().find(|id| !canonical::is_uuid(id.trim())) {
            return usage(format!("--id `{id}` is not the UUID of a job"), "choose by name with --name GLOB");
        }
        let mut names = Vec::new();
        for pattern in &args.name {
            match Glob::new(pattern) {
                Ok(glob) => names.push((pattern.clone(), glob.compile_matcher())),
                Err(error) => {
                    let help = "use * and ?; a sign such as [ stands for itself behind a \\";
                    return usage(format!("--name `{pattern}` is no pattern: {error}"), help);
                }
            }
        }
        Ok(Self {
            all: args.all || (args.id.is_empty() && args.name.is_empty()),
            ids: args.id.iter().map(|id| id.trim().to_ascii_lowercase()).collect(),
            names,
            platform: args.platform.as_deref().and_then(Platform::parse),
        })
    }

    pub(super) fn platforms(&self) -> Vec<Platform> {
        self.platform.map_or_else(|| Platform::ALL.to_vec(), |platform| vec![platform])
    }

    pub(super) fn has(&self, row: &ListRow) -> bool {
        self.all || self.ids.contains(&row.id) || self.names.iter().any(|(_, glob)| glob.is_match(&row.name))
    }

    /// Everything that was asked for must be there: a name that matches nothing is most likely misspelt.
    pub(super) fn check(&self, rows: &[ListRow]) -> Result<(), Failure> {
        let among = self
            .platform
            .map_or("live jobs".to_owned(), |platform| format!("live {} jobs", platform.as_str()));
        let is_named = |glob: &GlobMatcher| rows.iter().any(|row| glob.is_match(&row.name));
        let ids = self
            .ids
            .iter()
            .filter(|id| !rows.iter().any(|row| row.id == **id))
            .map(|id| format!("--id {id}"));
        let names: Vec<&str> =
            self.names.iter().filter(|(_, glob)| !is_named(glob)).map(|(name, _)| name.as_str()).collect();
        let missing: Vec<String> = ids.chain(names.iter().map(|name| format!("--name `{name}`"))).collect();
        if !missing.is_empty() {
            let near = names.iter().find_map(|name| nearest(name, rows.iter().map(|row| row.name.as_str())));
            let help = near.map_or_else(
                || format!("{} {among} were listed; nothing was written", rows.len()),
                |near| format!("did you mean `{near}`? nothing was written"),
            );
            return Err(Failure::Error(vec![format!("no {among} match {}", missing.join(", "))], Some(help)));
        }
        if rows.is_empty() {
            let help = "is it the right subscription? a user sees only jobs of its own scope";
            return Err(Failure::Error(vec![format!("there are no {among}")], Some(help.to_owned())));
        }
        Ok(())
    }
}
