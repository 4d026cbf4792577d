//! `patchctl validate`: offline, without credentials.

use serde_json::json;

use super::args::{Arguments, Output, ValidateArgs};
use super::planning::load_manifests;
use super::session::Failure;
use super::settings::Settings;
use super::{Exit, pretty, show};
use crate::render::diagnostic::diagnostics_json;
use crate::render::json::FORMAT_VERSION;
use crate::render::markdown::findings::valid;
use crate::render::text::count;
use crate::terminal::Terminal;

/// Checks the manifests and says what is wrong with them.
pub(super) fn run(arguments: &Arguments, _args: &ValidateArgs, terminal: &Terminal) -> Exit {
    let common = &arguments.common;
    let loaded = Settings::resolve(common)
        .map_err(Failure::from)
        .and_then(|settings| load_manifests(&settings, common).map(|loaded| (settings, loaded)));
    let (settings, (set, warnings)) = match loaded {
        Ok(loaded) => loaded,
        Err(failure) => return failure.report_to("validate", common, terminal),
    };
    match common.output {
        Output::Human => {
            show(terminal, &warnings);
            let mut text = String::new();
            if common.verbose {
                for manifest in &set.manifests {
                    text.push_str(&format!("{}  {}\n", manifest.key, manifest.place()));
                }
            }
            let n = count(set.manifests.len(), "manifest");
            let verb = if set.manifests.len() == 1 { "is" } else { "are" };
            text.push_str(&format!("{n} in {} {verb} valid.\n", settings.shown(&settings.jobs)));
            terminal.data(&text);
        }
        Output::Json => {
            let keys: Vec<_> = set
                .manifests
                .iter()
                .map(|manifest| {
                    let place = manifest.place();
                    json!({"key": manifest.key, "source": {"file": place.file.path, "line": place.line_column().0}})
                })
                .collect();
            terminal.data(&pretty(&json!({
                "format_version": FORMAT_VERSION,
                "command": "validate",
                "summary": {"manifests": set.manifests.len(), "errors": 0, "warnings": warnings.counts().1},
                "manifests": keys,
                "diagnostics": diagnostics_json(&warnings),
            })));
        }
        Output::Markdown => {
            show(terminal, &warnings);
            let folder = settings.shown(&settings.jobs).to_string();
            terminal.data(&valid(&settings.owner, set.manifests.len(), &folder, &warnings));
        }
    }
    Exit::Done
}
