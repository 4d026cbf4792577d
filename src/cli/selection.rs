//! Which manifests a run looks at.

use globset::{Glob, GlobSet, GlobSetBuilder};

use super::args::Common;
use super::session::Failure;
use crate::job::nearest;

/// The manifests that `--only` names; all without it.
pub(super) struct Selection(Option<GlobSet>);

impl Selection {
    /// A selection that matches nothing is an error, never "no changes".
    pub(super) fn of(common: &Common, keys: &[String]) -> Result<Self, Failure> {
        if common.only.is_empty() {
            return Ok(Self(None));
        }
        let mut globs = GlobSetBuilder::new();
        for pattern in &common.only {
            let glob = Glob::new(pattern).map_err(|error| {
                Failure::Usage(format!("--only `{pattern}` is no pattern: {error}"), "use * and ?".to_owned())
            })?;
            globs.add(glob);
        }
        let globs = globs.build().map_err(|error| {
            Failure::Usage(format!("--only can not be used: {error}"), "use simpler patterns".to_owned())
        })?;
        if keys.iter().any(|key| globs.is_match(key)) {
            return Ok(Self(Some(globs)));
        }
        let near = common.only.iter().find_map(|pattern| nearest(pattern, keys.iter().map(String::as_str)));
        let help = near.map_or_else(
            || format!("there are {} manifests; `patchctl validate -v` lists their keys", keys.len()),
            |near| format!("did you mean `{near}`?"),
        );
        let patterns = common.only.join("`, `");
        Err(Failure::Error(vec![format!("no manifest matches --only `{patterns}`")], Some(help)))
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.0.as_ref().is_none_or(|globs| globs.is_match(key))
    }
}
