//! Everything that one manifest is judged by, put together for an explanation (`--why`).
//!
//! It is what the planner works with: rules have taken out what they leave alone, and links are resolved.

use std::borrow::Cow;

use super::bind::Binding;
use super::ignored;
use super::origin::{self, StampCounts};
use super::resolve::{ParentJob, Resolution, resolve};
use super::{Policy, in_force};
use crate::ignore::InForce;
use crate::manifest::Manifest;
use crate::snapshot::LiveJob;
use crate::stamp::{self, Found};

/// One manifest and its live job as the planner sees them.
#[derive(Clone, Debug)]
pub struct Grounds {
    /// The manifest, without what rules leave alone and with ids in the place of names, as far as they are known.
    pub manifest: Manifest,
    /// The live job that it is bound to.
    pub job: Option<LiveJob>,
    /// The rules that leave members alone.
    pub rules: Vec<InForce>,
    /// What was applied last, from the job's description or the record.
    pub stamp: Found,
    /// Whether that proves something: it is ours, of this manifest and table, and on this job only.
    pub is_proof: bool,
    /// Whether the stamp was written for what is declared now.
    pub is_as_declared: bool,
    /// Whether the live job is as the write left it that the stamp is of.
    pub is_as_left: bool,
    /// Whether the stamp was written with the scripts that are declared now.
    pub has_contents: bool,
    /// Whether declared scripts are taken for the live ones: proven by the stamp, and not to be sent again.
    pub scripts_are_known: bool,
}

impl Grounds {
    /// Looks at a manifest as [`super::Steps::linked`] does.
    pub fn of(
        policy: &Policy,
        stamps: &StampCounts,
        manifest: &Manifest,
        binding: &Binding,
        job: Option<&LiveJob>,
        parent: Option<&ParentJob>,
    ) -> Self {
        let is_bound = binding.id().is_some() && job.is_some();
        let rules = if is_bound { in_force(policy, manifest) } else { Vec::new() };
        let manifest = if is_bound { ignored::left_out(policy, manifest) } else { Cow::Borrowed(manifest) };
        let parent = parent.map(|parent| parent.leaving_out(policy));
        let manifest = match resolve(&manifest, parent.as_ref()) {
            Resolution::Resolved(resolved, _) => *resolved,
            Resolution::Plain | Resolution::Blocked(..) | Resolution::Wrong(_) => manifest.into_owned(),
        };
        let found = match (&policy.record, binding.id(), job) {
            (Some(record), Some(id), _) => record.of_job(&manifest.key, id),
            (None, _, Some(job)) => job.stamp.clone(),
            (_, _, _) => Found::None,
        };
        let is_proof = origin::proof(&found, &manifest, &policy.owner, stamps).is_some();
        let stamp = if let Found::Stamp(stamp) = &found { Some(stamp) } else { None };
        let is_as_left =
            stamp.zip(job).is_some_and(|(stamp, job)| stamp.job == stamp::job_digest(&job.normalised));
        let has_contents = stamp.is_some_and(|stamp| manifest.has_stamped_contents(stamp));
        let sends_scripts = policy.set_scripts.contains(&manifest.key);
        Self {
            scripts_are_known: is_proof && has_contents && !sends_scripts,
            is_as_declared: stamp.is_some_and(|stamp| manifest.is_as_stamped(stamp)),
            has_contents,
            is_as_left,
            is_proof,
            job: job.cloned(),
            rules,
            stamp: found,
            manifest,
        }
    }
}
