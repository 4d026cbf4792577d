//! What can not be edited, and what a person does about it.

use super::{At, Editor};
use crate::diagnostic::Diagnostic;
use crate::diff::FieldChange;
use crate::job::{Member, Type, canonical};
use crate::render::text::dotted;
use crate::source::Place;
use crate::stamp;
use crate::yaml::Node;

impl Editor<'_> {
    pub(super) fn check_anchor(
        &self,
        at: &At<'_>,
        field: &FieldChange,
        whole: bool,
    ) -> Result<(), Diagnostic> {
        self.copies.forbid(self.file, at.node, &field.pointer, whole).map_or(Ok(()), Err)
    }

    /// An alias may go, and what it stands for stays; what others show may not.
    pub(super) fn check_removal(
        &self,
        item: &Node,
        field: &FieldChange,
        at: &At<'_>,
    ) -> Result<(), Diagnostic> {
        if item.via_alias.is_some() && at.node.via_alias.is_none() {
            return Ok(());
        }
        self.copies.forbid(self.file, item, &field.pointer, true).map_or(Ok(()), Err)
    }

    /// Whether a manifest can say the live value at all: a newer server may answer what this build can not read.
    pub(super) fn check_sayable(
        &self,
        row: &Member,
        field: &FieldChange,
        at: &At<'_>,
    ) -> Result<(), Diagnostic> {
        if field.pointer == "/description" && field.before.as_str().is_some_and(stamp::is_in) {
            let message = "the live description holds the line that patchctl writes, and something behind it";
            let place = Place::new(self.file, at.node.span);
            return Err(Diagnostic::error("accept-value", message).at(place, "").help(
                "write what was added into the manifest by hand, without the part in brackets; apply puts the line in order",
            ));
        }
        let found = canonical::canonical(row, &field.before);
        let is_sayable = match &found {
            Ok(value) => *value == field.before || field.before.is_null(),
            Err(mismatch) => mismatch.tolerable,
        };
        if is_sayable || matches!(row.kind, Type::Object(_) | Type::List(..) | Type::Any) {
            return Ok(());
        }
        let message = format!(
            "the live value of `{}` can not be said in a manifest: it must be {}, found {}",
            dotted(&field.pointer),
            canonical::expectation(row),
            crate::render::text::value(&field.before)
        );
        let place = Place::new(self.file, at.node.span);
        Err(Diagnostic::error("accept-value", message)
            .at(place, "")
            .help("set it to a value that can be said"))
    }

    pub(super) fn script(&self, field: &FieldChange) -> Diagnostic {
        let edit = self.job.live.last_edit();
        let who = edit.user.unwrap_or_else(|| "an unknown user".to_owned());
        let when = edit.at.and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
        let when = when.map_or(String::new(), |at| format!(" on {}", at.strftime("%Y-%m-%d at %H:%M UTC")));
        let message = format!(
            "the live content of `{}` can not be read back, so it can not be accepted; the job was edited last by \
             {who}{when}",
            dotted(&field.pointer)
        );
        let finding = self.manifest.at_member(Diagnostic::error("accept-script", message), &field.pointer);
        finding.help("ask them for the script and put it into the file, or let apply set the declared one")
    }

    pub(super) fn notation(&self, field: &FieldChange, at: Option<&At<'_>>) -> Diagnostic {
        let message =
            format!("`{}` stands in a notation that is not edited by a program", dotted(&field.pointer));
        let finding = Diagnostic::error("accept-notation", message);
        let finding = match at {
            Some(at) => finding.at(Place::new(self.file, at.node.span), ""),
            None => self.manifest.at_member(finding, &field.pointer),
        };
        let live = crate::render::text::value(&field.before);
        finding.help(format!("write it by hand; the live value is {live}"))
    }
}
