//! What is known of how a manifest and its live job came to be what they are, beside the stamp.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::manifest::Manifest;

/// The manifest as it stood at the base: the commit that is taken for the one that was applied last.
#[derive(Clone, Debug, Default)]
pub enum AtBase {
    /// No base is known.
    #[default]
    NoBase,
    /// There is a base, and this manifest can not be read there.
    Unreadable,
    /// The base has no such manifest.
    Absent,
    /// The manifest.
    Manifest(Arc<Manifest>),
}

/// What our last write left on a job, as it was read back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// The job's id.
    pub id: String,
    /// `updatedBy.date` after our last write of any kind, milliseconds since 1970-01-01 UTC by the server's clock.
    pub at: i64,
    /// The same after our last write of content; `None` where only its status was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_at: Option<i64>,
    /// Login name that the server noted us under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The status that we gave the job, or found as the manifest wants it; `None` where neither is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Digest of what was declared by the stamp that was on the job then; `None` where it bore none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared: Option<String>,
    /// Whether no apply went through to its end after it: then the job was not left as of the commit applied last.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub since_applied: bool,
}

/// Who disabled a job in the console, as it was found when the job was not enabled again because of that.
///
/// What we write to the job afterwards is its last edit, and would hide it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisabledBy {
    /// The job's id.
    pub id: String,
    /// Login name of who edited the job last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// When, milliseconds since 1970-01-01 UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<i64>,
}

/// What is known of the past of one manifest and its job.
#[derive(Clone, Debug, Default)]
pub struct Trail {
    /// The manifest at the base.
    pub base: AtBase,
    /// The youngest edit that the apply of the base saw on any job, milliseconds since 1970-01-01 UTC by the server's
    /// clock: a younger edit came after that apply. `None` where it is not known when the base was applied.
    pub applied_at: Option<i64>,
    /// What our last write left, where an earlier run remembered it.
    pub left: Option<Left>,
    /// Who disabled the job, where an earlier run found that and did not enable it.
    pub disabled: Option<DisabledBy>,
}

/// Gives what is known of the past; asked only for manifests that differ from their jobs.
pub trait Trails {
    /// What is known of a manifest and of the live job that it is bound to; `name` and `id` find a manifest that had
    /// another key.
    fn of(&self, manifest: &Manifest, id: Option<&str>) -> Trail;
}

/// Nothing is known of the past.
#[derive(Clone, Copy, Debug)]
pub struct NoTrails;

impl Trails for NoTrails {
    fn of(&self, _: &Manifest, _: Option<&str>) -> Trail {
        Trail::default()
    }
}

/// Why an origin is not known; in words, what would make it known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// Neither a stamp nor a base.
    NothingApplied,
    /// Manifest and job both moved since the stamp, and there is no base.
    BothMoved,
    /// The base can not be read as far as this member is concerned.
    NoBaseValue,
    /// The base has what Git has, and nothing shows that the job ever was so.
    NeverSeenSo,
    /// The stamp says that something else was applied last than the base.
    AtOdds,
    /// Nobody edited the job since our last write, or it is as it was before: the server may not have kept what was
    /// sent.
    NotKept,
    /// A script whose content nobody knows.
    Script,
    /// A status of which nothing says who changed it.
    Status,
}

impl Why {
    /// Whether there is nothing yet that could be known: the job was never written by this repository.
    pub fn is_first_time(self) -> bool {
        matches!(self, Self::NothingApplied | Self::Script)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NothingApplied => {
                "who changed it is not known: the job bears no stamp of this manifest, and there is no base; name the \
                 commit that was applied last with --base, or apply once, which stamps the job"
            }
            Self::BothMoved => {
                "who changed it is not known: manifest and live job both changed since the last apply; with the commit \
                 that was applied last each member can be told (--base, or keep the state folder between runs)"
            }
            Self::NoBaseValue => {
                "who changed it is not known: the base does not tell what this member was to be; name a commit with \
                 --base that this build can read"
            }
            Self::NeverSeenSo => {
                "who changed it is not known: the base has what Git has, and nothing shows that the job ever was so; an \
                 apply that goes through, or its state folder, makes it known"
            }
            Self::AtOdds => {
                "who changed it is not known: by its stamp something else was applied last than the base, as after an \
                 apply that failed, one from another state folder, or a history that was rewritten; name the commit that \
                 was applied last with --base"
            }
            Self::NotKept => {
                "who changed it is not known: it may be that nobody did, and the server did not keep what was sent; \
                 another apply shows it"
            }
            Self::Script => {
                "whether the live script is the declared one is not known: no digest of it was recorded; the next apply \
                 sends it and records it"
            }
            Self::Status => {
                "who changed the status is not known: the stamp says nothing of it; --base, or the state folder of \
                 the last apply, together with an edit by another user, would tell"
            }
        })
    }
}
