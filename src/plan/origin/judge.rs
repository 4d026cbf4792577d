//! The rules of evidence.

use serde_json::Value;

use super::super::{Origin, Policy, ignored};
use super::at_base::{BaseJob, BaseValue, is_same};
use super::trail::{AtBase, Trail, Why};
use crate::diff::FieldChange;
use crate::job::find_pointer;
use crate::manifest::Manifest;
use crate::normalise::{self, Normalised};
use crate::snapshot::{ApiUsers, Edit, LiveJob};
use crate::stamp::{self, Stamp};
use crate::{elements, patch, script};

/// What is concluded of one difference.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct Finding {
    /// Where it came from.
    pub(in super::super) origin: Origin,
    /// What the base would make of the member, where that is known.
    pub(in super::super) base: Option<Value>,
    /// Why the origin is not known.
    pub(in super::super) why: Option<Why>,
}

/// Who edited a job last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Editor {
    Ourselves,
    Another,
    /// The server does not say, or it is not known who we are.
    Unknown,
}

/// What speaks for and against, of one manifest and its live job.
pub(in super::super) struct Evidence<'a> {
    manifest: &'a Manifest,
    job: &'a LiveJob,
    desired: &'a Normalised,
    trail: &'a Trail,
    base: Option<BaseJob>,
    proof: Option<&'a Stamp>,
    /// Whether what was applied last is what the manifest says now.
    applied_is_desired: bool,
    /// Whether the live job is as our last write left it, status and contents of scripts left out.
    is_as_left: bool,
    /// Whether what was applied last is what the manifest of the base says.
    applied_is_base: bool,
    last: Edit,
    editor: Editor,
}

impl<'a> Evidence<'a> {
    pub(in super::super) fn new(
        manifest: &'a Manifest,
        job: &'a LiveJob,
        desired: &'a Normalised,
        proof: Option<&'a Stamp>,
        trail: &'a Trail,
        policy: &Policy,
    ) -> Self {
        let is_applied = |manifest: &Manifest| proof.is_some_and(|stamp| manifest.is_as_stamped(stamp));
        let (base, applied_is_base) = match &trail.base {
            AtBase::Manifest(base) => {
                // What was left alone when the base was applied is in no stamp; what is left alone now, in no difference.
                let applied = ignored::managed(&policy.ignore, base);
                let compared = ignored::leaving_out_as(&applied, manifest);
                (Some(BaseJob::new(&compared, manifest, &job.normalised)), is_applied(&applied))
            }
            AtBase::NoBase | AtBase::Unreadable | AtBase::Absent => (None, false),
        };
        let last = job.last_hand();
        Self {
            manifest,
            job,
            desired,
            trail,
            base,
            proof,
            applied_is_desired: is_applied(manifest),
            is_as_left: proof.is_some_and(|stamp| stamp.job == stamp::job_digest(&job.normalised)),
            applied_is_base,
            editor: editor(&last, &policy.api_users, trail),
            last,
        }
    }

    /// Who edited the job last, if it was another than ourselves.
    pub(in super::super) fn other_editor(&self) -> Option<&Edit> {
        (self.editor != Editor::Ourselves).then_some(&self.last)
    }

    /// Who is known to have changed the status, if it was another than ourselves.
    pub(in super::super) fn status_editor(&self) -> Option<Edit> {
        match &self.trail.disabled {
            Some(by) => Some(Edit { user_id: None, user: by.user.clone(), at: by.at }),
            None => self.other_editor().cloned(),
        }
    }

    /// Judges the differences of one job, in their order.
    pub(in super::super) fn judge(&self, fields: &[FieldChange]) -> Vec<Finding> {
        let mut findings: Vec<Finding> = fields.iter().map(|field| self.of(field)).collect();
        // What nobody declares follows from the schedule type, so it comes from where that one came from.
        let schedule = fields.iter().position(|field| field.pointer == "/scheduleType");
        let schedule = schedule.map(|at| (findings[at].origin, findings[at].why));
        for (field, finding) in fields.iter().zip(&mut findings) {
            if self.manifest.declared_at(&field.pointer).is_none()
                && normalise::at(&self.manifest.spec, &field.pointer).is_none()
                && let Some((origin, why)) = schedule
            {
                (finding.origin, finding.why) = (origin, why);
            }
        }
        findings
    }

    fn of(&self, field: &FieldChange) -> Finding {
        let value = match (&self.base, &self.trail.base) {
            (Some(base), _) => Some(base.value(field, &self.job.normalised, self.desired)),
            (None, AtBase::Absent) => Some(BaseValue::Undeclared),
            (None, AtBase::NoBase | AtBase::Unreadable | AtBase::Manifest(_)) => None,
        };
        let verdict = if field.pointer == "/status" {
            self.status(field, value.as_ref())
        } else if find_pointer(&field.pointer).is_some_and(patch::is_write_only)
            && script::declared_digest(&field.after).is_some()
        {
            self.script(field)
        } else {
            self.content(field, value.as_ref())
        };
        let base = match value {
            Some(BaseValue::Is(value)) => Some(value),
            Some(BaseValue::Undeclared | BaseValue::NotKnown) | None => None,
        };
        let (origin, why) = match verdict {
            Ok(origin) => (origin, None),
            Err(why) => (Origin::Unknown, Some(why)),
        };
        Finding { origin, base, why }
    }

    fn content(&self, field: &FieldChange, base: Option<&BaseValue>) -> Result<Origin, Why> {
        // The stamp first: it is on the job itself. A job that is as we left it was edited by nobody.
        match (self.proof.is_some(), self.applied_is_desired, self.is_as_left) {
            // Unless the stamp is older than the base, and somebody put the member back to what it was then.
            (true, false, true) if self.is_moved_since_base(field, base) => {}
            (true, false, true) => return Ok(Origin::Git),
            (true, true, true) => return Err(Why::AtOdds),
            (true, true, false) => return self.after_apply(field, base),
            (true, false, false) | (false, _, _) => {}
        }
        let value = match base {
            None if self.proof.is_some() => return Err(Why::BothMoved),
            None if matches!(self.trail.base, AtBase::Unreadable) => return Err(Why::NoBaseValue),
            None => return Err(Why::NothingApplied),
            Some(BaseValue::NotKnown) => return Err(Why::NoBaseValue),
            // Git declares what it did not declare before.
            Some(BaseValue::Undeclared) => return Ok(Origin::Git),
            Some(BaseValue::Is(value)) => value,
        };
        let is_desired = is_same(&field.pointer, value, &field.after);
        let is_live = is_same(&field.pointer, value, &field.before);
        match (is_desired, is_live) {
            (false, true) => Ok(Origin::Git),
            (true, true) => Err(Why::AtOdds),
            // Live is not what the base made of it. Whether somebody changed it depends on whether the base was applied.
            (true, false) | (false, false) => {
                if self.is_untouched() {
                    return Err(Why::NotKept);
                }
                let origin = if is_desired { Origin::Console } else { Origin::Both };
                let base_holds = self.applied_is_base || self.is_edited_since_base();
                match self.proof {
                    _ if base_holds => Ok(origin),
                    Some(_) => Err(Why::AtOdds),
                    // A conflict accuses nobody: it is shown, and a person decides.
                    None if origin == Origin::Both => Ok(origin),
                    None => Err(Why::NeverSeenSo),
                }
            }
        }
    }

    /// Where the manifest is what was applied last, and the job is not as it was left.
    fn after_apply(&self, field: &FieldChange, base: Option<&BaseValue>) -> Result<Origin, Why> {
        if self.is_untouched() {
            return Err(Why::NotKept);
        }
        // A member that is as it was before the last apply: put back by somebody, or never taken by the server.
        let is_as_before = match base {
            Some(BaseValue::Is(value)) => {
                is_same(&field.pointer, value, &field.before) && !is_same(&field.pointer, value, &field.after)
            }
            Some(BaseValue::Undeclared | BaseValue::NotKnown) | None => false,
        };
        if is_as_before && self.editor != Editor::Another { Err(Why::NotKept) } else { Ok(Origin::Console) }
    }

    /// Scripts can not be read, so of them it is only known what was sent.
    fn script(&self, field: &FieldChange) -> Result<Origin, Why> {
        match (self.proof, &self.trail.base) {
            // What was sent last is not what Git has; what somebody may have put there since can not be known.
            (Some(stamp), _) if !self.manifest.has_stamped_contents(stamp) => Ok(Origin::Git),
            (_, AtBase::Manifest(base)) if !self.is_same_script(base, field) => Ok(Origin::Git),
            (_, _) => Err(Why::Script),
        }
    }

    /// Whether the manifest of the base has the same script in the same action.
    fn is_same_script(&self, base: &Manifest, field: &FieldChange) -> bool {
        let mut parts = field.pointer.split('/').skip(1);
        let (Some(list), Some(Ok(position)), Some(name)) =
            (parts.next(), parts.next().map(str::parse::<usize>), parts.next())
        else {
            return false;
        };
        let blocks = |manifest: &Manifest| {
            let list = manifest.spec.get(list).and_then(Value::as_array);
            list.cloned().unwrap_or_default()
        };
        let (then, now) = (blocks(base), blocks(self.manifest));
        let Some(block) = now.get(position) else { return false };
        let label = elements::label(block, position);
        let found = then.iter().enumerate().find(|(at, other)| {
            let ids = (elements::action_id(block), elements::action_id(other));
            match ids {
                (Some(one), Some(other)) => one == other,
                (_, _) => elements::label(other, *at) == label,
            }
        });
        let digest = |block: &Value| block.get(name).and_then(script::declared_digest).map(str::to_owned);
        found.is_some_and(|(_, other)| digest(other) == digest(block))
    }

    /// The status is written by a call of its own, of which the stamp says nothing.
    fn status(&self, field: &FieldChange, base: Option<&BaseValue>) -> Result<Origin, Why> {
        let is_armed = |value: &Value| normalise::is_armed(value.as_str());
        let wanted = is_armed(&field.after);
        // It was told before, and nobody has decided since.
        if wanted && self.trail.disabled.is_some() {
            return Ok(Origin::Console);
        }
        let at_base = match base {
            Some(BaseValue::Is(Value::Null) | BaseValue::Undeclared) => Some(None),
            Some(BaseValue::Is(value)) => Some(Some(is_armed(value))),
            Some(BaseValue::NotKnown) | None => None,
        };
        let left = self.trail.left.as_ref();
        let left_status = left.and_then(|left| left.status.as_deref()).map(|s| normalise::is_armed(Some(s)));
        let as_applied = self.trail.applied_at.filter(|_| at_base == Some(Some(wanted)));
        // What was applied since with nothing left over, and wanted another status or none, is younger than our write.
        let is_over = self.trail.applied_at.is_some()
            && left.is_some_and(|left| !left.since_applied)
            && at_base.is_some_and(|then| then != Some(wanted));
        // When the job is known to have been as the manifest says it.
        let as_left = left.filter(|_| left_status == Some(wanted) && !is_over).map(|left| left.at);
        if let Some(at) = as_left.max(as_applied) {
            let is_later = self.last.at.is_some_and(|last| last > at);
            return match self.editor {
                Editor::Another if is_later => Ok(Origin::Console),
                Editor::Another | Editor::Ourselves | Editor::Unknown => Err(Why::Status),
            };
        }
        match (left_status, at_base) {
            // We left it so, and it was not yet what Git says now.
            (Some(_), _) => Ok(Origin::Git),
            (None, Some(then)) if then != Some(wanted) => Ok(Origin::Git),
            (None, Some(_)) if self.applied_is_base && self.editor == Editor::Another => Ok(Origin::Console),
            (None, None) if self.proof.is_none() => Err(Why::NothingApplied),
            (None, _) => Err(Why::Status),
        }
    }

    /// Whether nobody edited the job since we wrote its content, so that what differs is what the server made of it.
    fn is_untouched(&self) -> bool {
        let written = self.trail.left.as_ref().and_then(|left| left.content_at);
        written.is_some() && written == self.last.at
    }

    /// Whether the member is not what the base made of it, and somebody else edited the job since.
    fn is_moved_since_base(&self, field: &FieldChange, base: Option<&BaseValue>) -> bool {
        let is_live = |value: &Value| is_same(&field.pointer, value, &field.before);
        matches!(base, Some(BaseValue::Is(value)) if !is_live(value)) && self.is_edited_since_base()
    }

    /// Whether somebody else edited the job after the base was applied to it, and nothing was written in between.
    fn is_edited_since_base(&self) -> bool {
        let left = self.trail.left.as_ref();
        if self.editor != Editor::Another || left.is_some_and(|left| left.since_applied) {
            return false;
        }
        // Another stamp than the one that was there after our last write: a run from another state folder wrote since.
        let seen = left.and_then(|left| left.declared.as_ref());
        if let (Some(stamp), Some(seen)) = (self.proof, seen)
            && stamp.declared != *seen
            && !self.applied_is_base
        {
            return false;
        }
        self.trail.applied_at.is_some_and(|at| self.last.at.is_some_and(|last| last > at))
    }
}

fn editor(last: &Edit, api_users: &ApiUsers, trail: &Trail) -> Editor {
    let Some(user) = &last.user else { return Editor::Unknown };
    let left = trail.left.as_ref();
    // Whatever the server calls us, this very edit was ours.
    if left.is_some_and(|left| last.at == Some(left.at)) {
        return Editor::Ourselves;
    }
    let wrote_as = left.and_then(|left| left.user.as_deref());
    if api_users.has(user) || wrote_as.is_some_and(|name| name.eq_ignore_ascii_case(user)) {
        return Editor::Ourselves;
    }
    if api_users.are_known() || wrote_as.is_some() { Editor::Another } else { Editor::Unknown }
}
