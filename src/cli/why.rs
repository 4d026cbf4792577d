//! `--why KEY/member`: what the conclusion about one member was drawn from, and nothing else.

use serde_json::json;

use super::args::{Common, Output};
use super::planning::{Made, Request};
use super::session::{Failure, Session};
use super::{cost, pretty};
use crate::inventory::Inventory;
use crate::job::nearest;
use crate::plan::{Change, Grounds};
use crate::render::{self, json::FORMAT_VERSION};
use crate::terminal::Terminal;
use crate::why::{Explanation, Unknown, explain, parse};

/// The member that is asked about.
#[derive(Clone, Debug)]
pub(super) struct Question {
    key: String,
    /// JSON Pointer.
    member: String,
    /// The flags that every command shares, with the selection narrowed to the one manifest.
    common: Common,
}

impl Question {
    /// Reads `KEY/member`, where that is asked, and finds the manifest.
    pub(super) fn read(
        text: Option<&str>,
        common: &Common,
        inventory: &Inventory,
    ) -> Result<Option<Self>, Failure> {
        let Some(text) = text else { return Ok(None) };
        if common.output == Output::Markdown {
            let message = "--why has no Markdown form".to_owned();
            return Err(Failure::Usage(message, "use --output human or json".to_owned()));
        }
        let (key, member) = parse(text).map_err(failure)?;
        let keys = || inventory.summaries.iter().map(|summary| summary.key.as_str());
        if !keys().any(|known| known == key) {
            let help = match nearest(&key, keys()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`patchctl validate -v` lists the keys of all manifests".to_owned(),
            };
            return Err(Failure::Error(vec![format!("no manifest has the key `{key}`")], Some(help)));
        }
        let common = Common { only: vec![key.clone()], ..common.clone() };
        Ok(Some(Self { key, member, common }))
    }

    /// The run that answers it: about the one manifest, with its grounds kept.
    pub(super) fn narrow<'a>(&'a self, request: Request<'a>) -> Request<'a> {
        Request { common: &self.common, why: Some(&self.key), ..request }
    }

    /// Answers it from a plan that was made for it.
    fn answer<'m>(&self, made: &'m Made) -> Result<(Explanation, &'m Grounds), Failure> {
        let Some(grounds) = &made.looked_at else {
            let message = format!("internal error: the manifest `{}` was not looked at", self.key);
            return Err(Failure::Error(vec![message], Some("please report this".to_owned())));
        };
        let changes: Vec<Change> =
            made.plan.changes.iter().filter(|change| change.key == self.key).cloned().collect();
        let explanation = explain(grounds, &self.member, &changes).map_err(failure)?;
        Ok((explanation, grounds))
    }

    /// Prints the answer.
    pub(super) fn tell(
        &self,
        command: &str,
        made: &Made,
        session: &Session,
        terminal: &Terminal,
    ) -> Result<(), Failure> {
        let (explanation, grounds) = self.answer(made)?;
        match self.common.output {
            Output::Human => {
                terminal.data(&render::why::why(&explanation, grounds, &terminal.layout()));
            }
            Output::Json => terminal.data(&pretty(&json!({
                "format_version": FORMAT_VERSION,
                "command": command,
                "why": render::why::json(&explanation, grounds),
                "api": cost::json(&session.client, made.n_cached),
            }))),
            // Refused when the question was read.
            Output::Markdown => {}
        }
        Ok(())
    }
}

fn failure(unknown: Unknown) -> Failure {
    Failure::Error(vec![unknown.message], Some(unknown.help))
}
