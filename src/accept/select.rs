//! Which differences are asked for: keys, members, and where a difference came from.

use thiserror::Error;

use crate::diff::escape;
use crate::job::{self, find_pointer};
use crate::plan::Origin;

/// One `KEY[/member]` of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The key, or a pattern of keys.
    pub key: String,
    /// JSON Pointer of a member or of what lies below it; `None` for all members.
    pub member: Option<String>,
}

/// Why a target can not be meant.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TargetError {
    /// There is no key before the member.
    #[error("`{0}` names no manifest")]
    NoKey(String),
    /// No member of a job has this path.
    #[error("`{path}` in `{target}` is no member of a job")]
    NoMember {
        /// The target as it was given.
        target: String,
        /// The path in it.
        path: String,
        /// The nearest path that there is.
        near: Option<String>,
    },
}

/// What is done with a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Its live value is accepted.
    Take,
    /// It was asked for, and is Git's own change.
    Refuse,
    /// It stays, and is told.
    Leave,
}

impl Target {
    /// Reads `KEY` or `KEY/member`; the member as a JSON Pointer or as the plan prints it, `a.b[0].c`.
    ///
    /// # Errors
    /// Where there is no key, or no member of this path.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let (key, path) = text.split_once('/').map_or((text, ""), |(key, path)| (key, path));
        let path = path.trim_matches('/');
        if key.is_empty() {
            return Err(TargetError::NoKey(text.to_owned()));
        }
        if path.is_empty() {
            return Ok(Self { key: key.to_owned(), member: None });
        }
        let is_dotted = !path.contains('/') && path.contains(['.', '[']);
        let member = if is_dotted {
            let parts = path.split(['.', '[', ']']).filter(|part| !part.is_empty());
            parts.map(|part| format!("/{}", escape(part))).collect()
        } else {
            format!("/{path}")
        };
        // A member that is newer than this build may be declared, too; then its first part is unknown as well.
        let first = member.split('/').nth(1).unwrap_or_default();
        let is_known = find_pointer(&member).is_some();
        if !is_known {
            let mut paths = Vec::new();
            job::walk(&mut |path, row| {
                if row.is_settable() {
                    paths.push(path.replace("[].", "/0/").replace('.', "/"));
                }
            });
            let asked = member.trim_start_matches('/');
            let near = job::nearest(asked, paths.iter().map(String::as_str)).map(str::to_owned);
            if near.is_some() || find_pointer(&format!("/{first}")).is_some() {
                return Err(TargetError::NoMember { target: text.to_owned(), path: path.to_owned(), near });
            }
        }
        Ok(Self { key: key.to_owned(), member: Some(member) })
    }

    /// Whether the key is one and no pattern.
    pub fn is_exact(&self) -> bool {
        !self.key.contains(['*', '?', '[', '{'])
    }

    /// Whether just this member is asked for, or one below it.
    pub fn is_about(&self, pointer: &str) -> bool {
        let rest = self.member.as_deref().and_then(|member| member.strip_prefix(pointer));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Whether a difference is, lies in, or holds what is asked for.
    ///
    /// An element of a list that came or went holds its members; a list whose order changed holds none.
    pub fn covers(&self, pointer: &str) -> bool {
        let Some(member) = &self.member else { return true };
        let is_below = |inner: &str, outer: &str| {
            inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        is_below(pointer, member)
    }
}

/// What is done with a difference, given the targets that name its key.
///
/// Without any target what changed in the console is taken. With one, also what is of unknown origin; a conflict is
/// taken only where its key is given as it is, because accepting it drops what Git says. What only Git changed is
/// never taken: there is nothing live to accept.
pub fn wish<'t>(
    origin: Origin,
    pointer: &str,
    no_targets: bool,
    of_key: impl Iterator<Item = &'t Target>,
) -> Wish {
    if no_targets {
        return match origin {
            Origin::Console => Wish::Take,
            Origin::Git | Origin::Both | Origin::Unknown => Wish::Leave,
        };
    }
    let covering: Vec<&Target> = of_key.filter(|target| target.covers(pointer)).collect();
    let is_exact = covering.iter().any(|target| target.is_exact());
    let is_member = covering.iter().any(|target| target.is_exact() && target.member.is_some());
    match origin {
        Origin::Console | Origin::Unknown if !covering.is_empty() => Wish::Take,
        Origin::Both if is_exact => Wish::Take,
        Origin::Git if is_member => Wish::Refuse,
        Origin::Console | Origin::Unknown | Origin::Both | Origin::Git => Wish::Leave,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_as_people_write_them() {
        let member = |text: &str| Target::parse(text).expect(text).member;
        assert_eq!(Target::parse("a-b").expect("a key").key, "a-b");
        assert_eq!(member("a"), None);
        assert_eq!(member("a/"), None);
        for text in [
            "a/postDeployment/rebootCountdown",
            "a//postDeployment/rebootCountdown",
            "a/postDeployment.rebootCountdown",
        ] {
            assert_eq!(member(text).as_deref(), Some("/postDeployment/rebootCountdown"));
        }
        assert_eq!(
            member("a/preDeployActions[0].params.timeout").as_deref(),
            Some("/preDeployActions/0/params/timeout")
        );
        assert_eq!(Target::parse("/name"), Err(TargetError::NoKey("/name".to_owned())));
        let wrong = Target::parse("a/timeot").expect_err("misspelt");
        assert!(matches!(wrong, TargetError::NoMember { near: Some(near), .. } if near == "timeout"));
    }

    #[test]
    fn what_is_taken_of_which_origin() {
        let key = Target::parse("a").expect("a key");
        let glob = Target::parse("a*").expect("a pattern");
        let member = Target::parse("a/timeout").expect("a member");
        let check = |target: Option<&Target>, expected: [Wish; 4]| {
            let origins = [Origin::Console, Origin::Unknown, Origin::Both, Origin::Git];
            let found = origins.map(|origin| wish(origin, "/timeout", target.is_none(), target.into_iter()));
            assert_eq!(found, expected, "{target:?}");
        };
        use Wish::{Leave, Refuse, Take};
        check(None, [Take, Leave, Leave, Leave]);
        check(Some(&key), [Take, Take, Take, Leave]);
        check(Some(&glob), [Take, Take, Leave, Leave]);
        check(Some(&member), [Take, Take, Take, Refuse]);
        assert_eq!(wish(Origin::Console, "/name", false, [&member].into_iter()), Leave);
        assert!(!member.covers("/timeoutUnit"));
    }
}
