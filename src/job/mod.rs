//! The one table of the job object's members, and what can be read off it.
//!
//! Every member of a deployment job is one row of [`JOB`] (nested members are rows of the object they stand
//! in). Validation, normalisation, comparison, request building, the JSON Schema and the page of members in
//! the documentation are derived from it; adding an API member is adding a row. No other module lists members.

pub mod canonical;
pub mod page;
pub mod rules;
pub mod schema;
mod table;

use std::sync::LazyLock;

pub use table::JOB;

/// Version of the table's meaning: a stamp written under another version proves nothing.
///
/// It must be raised whenever a change to a row changes the canonical form of a value, because the digests in
/// the stamps are taken over that form.
pub const TABLE_VERSION: u32 = 1;

/// Who decides the value of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A person; a manifest may declare it.
    User,
    /// A person, but only while the job is being made (`type`, `platform`).
    UserAtCreation,
    /// A person, through the status call and not through an update (`status`).
    Status,
    /// A person, but the API answers with a storage path in place of the content.
    WriteOnly,
    /// The server; declaring it is an error.
    Server,
    /// Not documented; a manifest may declare it, with a warning, and nothing is concluded from its changes.
    Unknown,
}

/// Which values that look different mean the same "none" for a member.
///
/// `null` and an absent member are the same for every row; what else counts as none is said here.
/// Source: REFERENCE section 10 and, for numbers and booleans, the defaults of section 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Empty {
    /// Only `null` is none.
    Null,
    /// The empty text, list or object is none too.
    Blank,
    /// `false` is none too.
    False,
    /// `0` is none too.
    Zero,
    /// None means this documented default.
    Default(&'static str),
    /// An object whose members are all none is none (`onComplete`).
    AllMembers,
}

/// How an integer travels: as a JSON number or as digits in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// `15`
    Number,
    /// `"15"`
    Text,
}

/// What the elements of a set are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// A UUID.
    Uuid,
    /// The UUID of a tag, which a manifest may also give by the tag's name.
    Tag,
    /// The UUID of a post-action of the parent job, which a manifest may also give by the action's name.
    Action,
    /// A whole number.
    Integer,
}

/// The type of a member's value.
#[derive(Clone, Copy, Debug)]
pub enum Type {
    /// Free text.
    Text,
    /// One UUID.
    Uuid,
    /// The UUID of another job, which a manifest may also give by the key of that job's manifest ([`key_form`]).
    Job,
    /// One of the named values, whatever the case of its letters; nothing else is accepted.
    Choice(&'static [&'static str]),
    /// One of the named values, or one that is newer than this build (a warning).
    OpenChoice(&'static [&'static str]),
    /// `true` or `false`.
    Bool,
    /// A whole number from the first to the second bound, both included.
    Integer(i64, i64, Wire),
    /// Days of the week; on the wire seven flags from Sunday on, `0,0,1,0,1,0,0`.
    WeekDays,
    /// One day of the week; on the wire `"0"` for Sunday to `"6"`.
    WeekDay,
    /// A civil date and time without a zone; on the wire `2026-12-01 02:00:00 AM`.
    DateTime,
    /// A list whose order means nothing.
    Set(Element),
    /// E-mail addresses; on the wire one text with commas.
    Addresses,
    /// A block of members.
    Object(&'static [Member]),
    /// An ordered list of blocks, at most so many.
    List(&'static [Member], usize),
    /// The content of a script: base64 towards the API, a storage path from it.
    Script,
    /// Any JSON: the shape is not documented.
    Any,
}

/// A platform that jobs run on; the API knows no third (`[client]`, REFERENCE section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Platform {
    /// `Linux`
    Linux,
    /// `Windows`
    Windows,
}

impl Platform {
    /// All platforms, in the order in which they are listed.
    pub const ALL: [Self; 2] = [Self::Linux, Self::Windows];

    /// The API's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Linux => "Linux",
            Self::Windows => "Windows",
        }
    }

    /// Reads the API's spelling, whatever the case of the letters.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|platform| platform.as_str().eq_ignore_ascii_case(text))
    }
}

/// The two values of a job's `status` that a person can ask for (REFERENCE section 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettableStatus {
    /// `Enabled`; a one-way door for run-once jobs.
    Enabled,
    /// `Disabled`.
    Disabled,
}

impl SettableStatus {
    /// The API's spelling, as it stands in the path of endpoint 6.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "Enabled",
            Self::Disabled => "Disabled",
        }
    }
}

/// How sure a statement about the API is: REFERENCE, "Marks".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// The vendor's documentation says so.
    Doc,
    /// Seen in a documented request or response.
    Sample,
    /// Read from the source of a public client.
    Client,
    /// Our conclusion.
    Inferred,
}

impl Evidence {
    /// Whether breaking a rule of this evidence is an error, not only a warning (DESIGN section 2).
    pub fn is_firm(self) -> bool {
        matches!(self, Self::Doc | Self::Sample)
    }

    /// The mark as REFERENCE writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Doc => "doc",
            Self::Sample => "sample",
            Self::Client => "client",
            Self::Inferred => "inferred",
        }
    }
}

/// The schedule types as bits, so that a row can name several.
pub mod schedules {
    /// `On-demand`
    pub const ON_DEMAND: u8 = 1;
    /// `Once`
    pub const ONCE: u8 = 2;
    /// `Daily`
    pub const DAILY: u8 = 4;
    /// `Weekly`
    pub const WEEKLY: u8 = 8;
    /// `Monthly`
    pub const MONTHLY: u8 = 16;
    /// Every type but `On-demand`.
    pub const TIMED: u8 = ONCE | DAILY | WEEKLY | MONTHLY;
    /// Every type.
    pub const ALL: u8 = ON_DEMAND | TIMED;

    /// The bit of a canonical `scheduleType`; all bits for one that this build does not know.
    pub fn bit(schedule_type: &str) -> u8 {
        match schedule_type {
            "On-demand" => ON_DEMAND,
            "Once" => ONCE,
            "Daily" => DAILY,
            "Weekly" => WEEKLY,
            "Monthly" => MONTHLY,
            _ => ALL,
        }
    }
}

/// One row: everything the program knows of one member.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// The API's name within the enclosing object.
    pub name: &'static str,
    /// The type of the value.
    pub kind: Type,
    /// Who decides the value.
    pub owner: Owner,
    /// Which values mean none.
    pub empty: Empty,
    /// The only platform it applies to, with how sure that is; `None` for both.
    pub platform: Option<(Platform, Evidence)>,
    /// The schedule types that use it, bits of [`schedules`].
    pub schedules: u8,
    /// Its name in the rows of the list call, where it stands there.
    pub in_list: Option<&'static str>,
    /// Whether the server changes it by itself while jobs run, so that its change says nothing of the job.
    pub volatile: bool,
    /// API release or date of the first sighting.
    pub since: &'static str,
    /// How sure type and values are.
    pub evidence: Evidence,
    /// One line for people, with units and ranges.
    pub summary: &'static str,
}

impl Member {
    /// Whether a manifest may declare it.
    pub fn is_settable(&self) -> bool {
        match self.owner {
            Owner::User | Owner::UserAtCreation | Owner::Status | Owner::WriteOnly | Owner::Unknown => true,
            Owner::Server => false,
        }
    }

    /// The rows of the block or of the list's blocks; none for anything else.
    pub fn members(&self) -> &'static [Self] {
        match self.kind {
            Type::Object(members) | Type::List(members, _) => members,
            Type::Text
            | Type::Uuid
            | Type::Job
            | Type::Choice(_)
            | Type::OpenChoice(_)
            | Type::Bool
            | Type::Integer(..)
            | Type::WeekDays
            | Type::WeekDay
            | Type::DateTime
            | Type::Set(_)
            | Type::Addresses
            | Type::Script
            | Type::Any => &[],
        }
    }
}

/// Finds a row by its name among the rows of one object.
pub fn find(members: &'static [Member], name: &str) -> Option<&'static Member> {
    members.iter().find(|member| member.name == name)
}

/// The name under which a manifest gives a row's job by its key in place of the UUID: `linkedJob` for `linkedJobId`.
pub fn key_form(row: &Member) -> Option<&'static str> {
    row.name.strip_suffix("Id").filter(|_| matches!(row.kind, Type::Job))
}

/// Finds the row that a JSON Pointer from the job's root leads to; list positions are passed over.
pub fn find_pointer(pointer: &str) -> Option<&'static Member> {
    let mut members = JOB;
    let mut found = None;
    for part in pointer.split('/').skip(1) {
        let in_list =
            found.is_some_and(|member: &Member| matches!(member.kind, Type::List(..) | Type::Set(_)));
        if in_list && part.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let member = find(members, part)?;
        members = member.members();
        found = Some(member);
    }
    found
}

/// The members that rows of the list call hold: name in the job object, name in the row.
///
/// Source: REFERENCE section 6.
pub fn list_columns() -> impl Iterator<Item = (&'static str, &'static str)> {
    JOB.iter().filter_map(|member| member.in_list.map(|name| (member.name, name)))
}

/// Whether a member of a list row moves by itself: counters, progress, run times (REFERENCE 5.2 and 6).
pub fn is_volatile_in_list(name: &str) -> bool {
    // Asked of every member of every row, so the table is gone through once.
    static NAMES: LazyLock<Vec<&str>> = LazyLock::new(|| {
        let in_table = JOB.iter().filter(|row| row.volatile).filter_map(|row| row.in_list);
        table::LIST_ONLY_VOLATILE.iter().copied().chain(in_table).collect()
    });
    NAMES.contains(&name)
}

/// The rows of the job in paragraphs, as a written manifest has them: what belongs together, actions before messages.
///
/// Every row that a manifest may declare is in exactly one.
pub fn paragraphs() -> impl Iterator<Item = &'static [Member]> {
    table::PARAGRAPHS.iter().map(|first| {
        let start = JOB.iter().position(|row| row.name == *first).unwrap_or(JOB.len());
        let starts_another = |row: &Member| row.name != *first && table::PARAGRAPHS.contains(&row.name);
        let length = JOB[start..].iter().position(starts_another).unwrap_or(JOB.len() - start);
        &JOB[start..start + length]
    })
}

/// Walks all rows, nested ones after the one they stand in, with their dotted path (`[]` marks a list).
pub fn walk(visit: &mut dyn FnMut(&str, &'static Member)) {
    fn inner(members: &'static [Member], prefix: &str, visit: &mut dyn FnMut(&str, &'static Member)) {
        for member in members {
            let path = format!("{prefix}{}", member.name);
            visit(&path, member);
            let brackets = if matches!(member.kind, Type::List(..)) { "[]" } else { "" };
            inner(member.members(), &format!("{path}{brackets}."), visit);
        }
    }
    inner(JOB, "", visit);
}

/// The known name nearest to a misspelt one, if any is near enough to be meant.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    known
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().min(name.len()) / 4)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_within_an_object_and_every_row_says_what_it_is() {
        let mut seen = BTreeSet::new();
        walk(&mut |path, member| {
            assert!(seen.insert(path.to_owned()), "{path} twice");
            assert!(
                !member.summary.is_empty() && !member.summary.ends_with('.'),
                "{path}: {}",
                member.summary
            );
            assert!(!member.since.is_empty(), "{path}");
            assert_ne!(member.schedules, 0, "{path}");
        });
        assert!(seen.len() > 130, "{}", seen.len());
    }

    #[test]
    fn every_row_is_in_one_paragraph() {
        let names: Vec<&str> = paragraphs().flatten().map(|row| row.name).collect();
        assert_eq!(names.len(), JOB.len());
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), JOB.len());
        assert!(paragraphs().all(|rows| !rows.is_empty()));
    }

    #[test]
    fn pointers_find_rows_through_lists() {
        assert_eq!(find_pointer("/preDeployActions/0/params/timeout").expect("a row").name, "timeout");
        assert_eq!(find_pointer("/postDeployment/rebootCountdown/interval").expect("a row").name, "interval");
        assert!(find_pointer("/nonsense").is_none());
        assert!(find_pointer("").is_none());
    }

    #[test]
    fn a_misspelt_name_finds_the_one_that_is_meant() {
        let names = || JOB.iter().map(|member| member.name);
        assert_eq!(nearest("recuringWeekDays", names()), Some("recurringWeekDays"));
        assert_eq!(nearest("timeZone", names()), Some("timezone"));
        assert_eq!(nearest("colour", names()), None);
    }
}
