//! The page of all members for people, in Markdown; and the words for a row that the JSON Schema shares.
//!
//! Everything is read off the rows of the table, so the page cannot know less or more than the program does.
//! It writes no file and judges no value: what may be written is said by `canonical`, what goes together by
//! `rules`.

use std::fmt::Write as _;

use super::{Element, Empty, Evidence, JOB, Member, Owner, Type, canonical, find, schedules};

/// Returns the whole page of members: an introduction, then one table for each block.
///
/// The same program always returns the same text. Lines end with `\n`, the last one too.
pub fn members_page() -> String {
    let mut page = String::from(INTRODUCTION);
    let groups = groups();
    let of_root = |wanted: fn(&Member) -> bool| JOB.iter().filter(move |member| wanted(member));
    section(
        &mut page,
        DECLARED,
        of_root(|member| member.is_settable() && member.owner != Owner::Unknown),
        &groups,
    );
    blocks(&mut page, "Blocks", groups.iter().filter(|group| group.declared), &groups);
    section(&mut page, UNDOCUMENTED, of_root(|member| member.owner == Owner::Unknown), &groups);
    section(&mut page, OF_THE_SERVER, of_root(|member| !member.is_settable()), &groups);
    blocks(&mut page, "Blocks of the server", groups.iter().filter(|group| !group.declared), &groups);
    page
}

/// The members that find the live job, which are never none (DESIGN section 3).
pub(super) const IDENTITY: [&str; 2] = ["name", "platform"];

const INTRODUCTION: &str = "\
# Members of a deployment job

<!-- Generated: `patchctl schema --members > docs/members.md`. A test compares; do not edit. -->

These are the members that stand below `spec:` in a manifest, under the API's own names and in its own nesting. What a manifest
does not mention is not compared, not sent and not changed; a member that is declared as `null` is managed as none. `name` and
`platform` find the live job and are never none.

Values may be written the way people write them; the API gets its own form:

| value | written | remarks |
| --- | --- | --- |
| text | `Print servers, weekly` | a text that looks like a number or like true needs quotes |
| one of several names | `Weekly`, `weekly` | small and capital letters are the same |
| true or false | `true` | `yes` and `on` are texts in YAML, and refused |
| whole number | `15`, `\"15\"` | both are the same |
| days of the week | `[Tue, Thu]`, `Tue, Thu`, `\"0,0,1,0,1,0,0\"` | short or long English names; the flags begin with Sunday |
| day of the week | `Sun`, `Sunday`, `0` | 0 is Sunday, 6 is Saturday |
| date and time | `2026-12-01T02:00`, `2026-12-01 02:00:00 AM` | no zone: that is `timezone` |
| parent job | `linkedJob: app-servers-stop`, `linkedJobId: 1e5d8b04-c6f9-4a72-b3e1-905c7da2f846` | by the key of its manifest, or by UUID; not both |
| list of the parent's post-actions | `[Stop services, 86f3a2e7-5d1c-4b90-8e64-c07f9b3d15a2]` | the names are their `params.actionItem` |
| list of tags | `[Workstations, 5f2b9d70-c3a4-4e18-8f65-1d7e06b4a92c]` | names come from `tags:` in `patchctl.yaml` |
| e-mail addresses | `[a@acme.example, b@acme.example]`, `a@acme.example, b@acme.example` | |
| script | `script:` with the text, or `scriptFile:` with a path | the path begins at the manifest; not both |

How sure a line is: **doc**: the vendor's documentation says so. **sample**: seen in a documented request or response.
**client**: read from the source of a public client. **inferred**: our conclusion. *Since* is the API release or date at which a
member was first seen, which proves nothing about older ones. An empty cell below *used by* means every job.
";

const DECLARED: (&str, &str) = ("What a manifest declares", "");
const UNDOCUMENTED: (&str, &str) = (
    "Members that are not documented",
    "A manifest may declare them, with a warning: it is not known whether a person or the server decides.\n",
);
const OF_THE_SERVER: (&str, &str) = (
    "Members of the server",
    "Declaring one is an error. They are listed because answers of the API and `plan --output json` may show them.\n",
);

/// One block of members, at every path at which it stands in the same form.
struct Group {
    paths: Vec<String>,
    rows: &'static [Member],
    /// Whether a manifest may declare it.
    declared: bool,
    /// The table without links, by which equal blocks are known.
    table: String,
}

impl Group {
    fn heading(&self) -> String {
        self.paths.iter().map(|path| format!("`{path}`")).collect::<Vec<_>>().join(", ")
    }

    /// The fragment that GitHub and GitLab give to the heading: small letters and digits, blanks as dashes.
    fn anchor(&self) -> String {
        let kept = |c: &char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '_');
        self.heading()
            .chars()
            .filter(kept)
            .map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() })
            .collect()
    }
}

/// All blocks below the root in the order of the table; blocks of equal rows stand together.
fn groups() -> Vec<Group> {
    fn gather(rows: &'static [Member], prefix: &str, declared: bool, found: &mut Vec<Group>) {
        for member in rows.iter().filter(|member| !member.members().is_empty()) {
            let rows = member.members();
            let declared = declared && member.is_settable();
            let path = block_path(prefix, member);
            let prefix = format!("{path}.");
            let table = table(rows.iter(), &prefix, &|member| values(member));
            match found.iter_mut().find(|group| group.table == table && group.declared == declared) {
                Some(group) => group.paths.push(path.clone()),
                None => found.push(Group { paths: vec![path.clone()], rows, declared, table }),
            }
            gather(rows, &prefix, declared, found);
        }
    }
    let mut found = Vec::new();
    gather(JOB, "", true, &mut found);
    found
}

/// The path of a block below `spec`; brackets mark a list of blocks.
fn block_path(prefix: &str, member: &Member) -> String {
    let brackets = if matches!(member.kind, Type::List(..)) { "[]" } else { "" };
    format!("{prefix}{}{brackets}", member.name)
}

fn section<'a>(
    page: &mut String,
    (title, text): (&str, &str),
    rows: impl Iterator<Item = &'a Member>,
    groups: &[Group],
) {
    let gap = if text.is_empty() { "" } else { "\n" };
    write!(page, "\n## {title}\n\n{text}{gap}{}", linked_table(rows, "", groups)).expect(STRINGS_GROW);
}

fn blocks<'a>(page: &mut String, title: &str, shown: impl Iterator<Item = &'a Group>, groups: &[Group]) {
    write!(page, "\n## {title}\n").expect(STRINGS_GROW);
    for group in shown {
        let prefix = group.paths.first().map(|path| format!("{path}.")).unwrap_or_default();
        let table = linked_table(group.rows.iter(), &prefix, groups);
        write!(page, "\n### {}\n\n{table}", group.heading()).expect(STRINGS_GROW);
    }
}

const STRINGS_GROW: &str = "internal error: a string takes any text";

/// A table in which blocks lead to their own tables.
fn linked_table<'a>(rows: impl Iterator<Item = &'a Member>, prefix: &str, groups: &[Group]) -> String {
    table(rows, prefix, &|member| {
        let path = block_path(prefix, member);
        match groups.iter().find(|group| group.paths.contains(&path)) {
            Some(group) => format!("[{}](#{})", values(member), group.anchor()),
            None => values(member),
        }
    })
}

/// One table; of members that are all the server's, without the columns that help to declare one.
fn table<'a>(
    rows: impl Iterator<Item = &'a Member>,
    prefix: &str,
    values: &dyn Fn(&Member) -> String,
) -> String {
    let rows: Vec<&Member> = rows.collect();
    let declared = rows.iter().any(|member| member.is_settable());
    let cells = |member: &Member| {
        let mut cells = vec![format!("`{}`", member.name), member.summary.to_owned(), values(member)];
        if declared {
            cells.extend([
                decided_by(member).to_owned(),
                none(member, prefix),
                used_by(member).unwrap_or_default(),
            ]);
        }
        cells.extend([member.since.to_owned(), member.evidence.as_str().to_owned()]);
        cells
    };
    let mut header = vec!["member", "what it is", "value"];
    if declared {
        header.extend(["decided by", "none", "used by"]);
    }
    header.extend(["since", "source"]);
    let mut table = line(&header);
    table.push_str(&line(&vec!["---"; header.len()]));
    for member in rows {
        table.push_str(&line(&cells(member)));
    }
    table
}

fn line(cells: &[impl AsRef<str>]) -> String {
    let cells = cells.iter().map(|cell| cell.as_ref().replace('|', "\\|"));
    format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
}

/// Says what may be written, how strictly, and whether its order means something.
pub(super) fn values(member: &Member) -> String {
    let expected = canonical::expectation(member);
    match member.kind {
        Type::Any => "anything".to_owned(),
        _ if !member.is_settable() => expected,
        Type::OpenChoice(_) => format!("{expected}; another text with a warning"),
        Type::Integer(..) if !range_is_firm(member) => format!("{expected}; any other with a warning"),
        Type::Set(_) | Type::WeekDays | Type::Addresses => format!("{expected}; order means nothing"),
        Type::List(..) => format!("{expected}; order is kept"),
        Type::Job => match super::key_form(member) {
            Some(name) => format!("{expected}; or `{name}: KEY`, the key of its manifest"),
            None => expected,
        },
        Type::Text
        | Type::Uuid
        | Type::Choice(_)
        | Type::Bool
        | Type::Integer(..)
        | Type::WeekDay
        | Type::DateTime
        | Type::Object(_)
        | Type::Script => expected,
    }
}

/// Whether a number outside of the row's range is an error, not only a warning (`canonical` decides it so).
pub(super) fn range_is_firm(member: &Member) -> bool {
    member.evidence == Evidence::Doc
}

/// Says in a few words who decides the value.
pub(crate) fn decided_by(member: &Member) -> &'static str {
    match member.owner {
        Owner::User => "you",
        Owner::UserAtCreation => "you, when the job is created",
        Owner::Status => "you, by a call of its own",
        Owner::WriteOnly => "you; cannot be read back",
        Owner::Server => "the server",
        Owner::Unknown => "not documented",
    }
}

/// Says which values mean none, and what none is read as where that is no `null`; nothing of the server's members.
fn none(member: &Member, prefix: &str) -> String {
    if !member.is_settable() {
        return String::new();
    }
    if prefix.is_empty() && IDENTITY.contains(&member.name) {
        return "never".to_owned();
    }
    let blank = match member.kind {
        Type::Set(_) | Type::List(..) | Type::WeekDays | Type::Addresses => "[]",
        Type::Object(_) => "{}",
        Type::Text
        | Type::Uuid
        | Type::Job
        | Type::Choice(_)
        | Type::OpenChoice(_)
        | Type::Bool
        | Type::Integer(..)
        | Type::WeekDay
        | Type::DateTime
        | Type::Script
        | Type::Any => "\"\"",
    };
    match member.empty {
        Empty::Null => "`null`".to_owned(),
        Empty::Blank => format!("`null`, `{blank}`"),
        Empty::False => "`null` is `false`".to_owned(),
        Empty::Zero => "`null`, `0`".to_owned(),
        Empty::Default(value) => format!("`null` is `{value}`"),
        Empty::AllMembers => "`null`, or every member none".to_owned(),
    }
}

/// Says to which platform and schedule types a member means something; nothing where it does to every job.
pub(super) fn used_by(member: &Member) -> Option<String> {
    let platform =
        member.platform.map(|(platform, evidence)| format!("{} ({})", platform.as_str(), evidence.as_str()));
    let schedules = (member.schedules != schedules::ALL).then(|| {
        let used = |name: &&str| schedules::bit(name) & member.schedules != 0;
        schedule_types().iter().copied().filter(used).collect::<Vec<_>>().join(", ")
    });
    match (platform, schedules) {
        (None, None) => None,
        (Some(words), None) | (None, Some(words)) => Some(words),
        (Some(platform), Some(schedules)) => Some(format!("{platform}; {schedules}")),
    }
}

/// The names of the schedule types, as the row of `scheduleType` gives them.
fn schedule_types() -> &'static [&'static str] {
    match find(JOB, "scheduleType").map(|member| member.kind) {
        Some(Type::Choice(names)) => names,
        _ => &[],
    }
}

/// What one element of a set is, to follow "must be".
pub(super) fn element(element: Element) -> &'static str {
    match element {
        Element::Uuid => "a UUID",
        Element::Tag => "a tag's UUID or a name of the `tags` map",
        Element::Action => "the name or UUID of a post-action of the parent",
        Element::Integer => "a whole number",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_stands_on_the_page_below_the_heading_of_its_block() {
        let page = members_page();
        super::super::walk(&mut |path, member| {
            let (block, name) = path.rsplit_once('.').unwrap_or(("", path));
            let heading = page.lines().position(|line| {
                line.strip_prefix("### ").is_some_and(|line| line.contains(&format!("`{block}`")))
            });
            let start = if block.is_empty() { Some(0) } else { heading };
            let start = start.unwrap_or_else(|| panic!("no heading for {block}"));
            let row = format!("| `{name}` | {}", member.summary.replace('|', "\\|"));
            assert!(page.lines().skip(start).any(|line| line.starts_with(&row)), "{path}: {row}");
        });
    }

    #[test]
    fn every_row_has_the_cells_of_its_header() {
        let page = members_page();
        let cells = |line: &str| line.replace("\\|", "").matches('|').count();
        let mut expected = 0;
        for line in page.lines() {
            match line.starts_with('|') {
                true if expected == 0 => expected = cells(line),
                true => assert_eq!(cells(line), expected, "{line}"),
                false => expected = 0,
            }
        }
        assert!(page.ends_with("|\n"));
    }

    #[test]
    fn links_lead_to_headings() {
        let page = members_page();
        let anchors: Vec<String> = groups().iter().map(Group::anchor).collect();
        let links = page.split("](#").skip(1).map(|rest| rest.split(')').next().unwrap_or_default());
        let mut n_links = 0;
        for link in links {
            assert!(anchors.iter().any(|anchor| anchor == link), "{link}");
            n_links += 1;
        }
        assert!(n_links >= anchors.len());
        assert!(anchors.contains(&"predeployactions-postdeployactions".to_owned()), "{anchors:?}");
    }

    #[track_caller]
    fn check(name: &str, expected: [&str; 4]) {
        let member = find(JOB, name).expect("a member");
        let used_by = used_by(member).unwrap_or_default();
        assert_eq!(
            [values(member).as_str(), decided_by(member), &none(member, ""), &used_by],
            expected,
            "{name}"
        );
    }

    #[test]
    fn rows_in_words() {
        check("dayOfMonth", ["a whole number from 1 to 31", "you", "`null`, `0`", "Monthly"]);
        check("filterType", ["`Any` or `All`", "you", "`null` is `Any`", ""]);
        check("opportunisticDownloads", ["true or false", "you", "`null` is `false`", "Windows (client)"]);
        check("platform", ["`Windows` or `Linux`", "you, when the job is created", "never", ""]);
        let status = "`Enabled` or `Disabled`; another text with a warning";
        check("status", [status, "you, by a call of its own", "`null`, `\"\"`", ""]);
        let start = "a date and time such as 2026-12-01T02:00";
        check("startDateTime", [start, "you", "`null`, `\"\"`", "Once, Daily, Weekly, Monthly"]);
        check("assetIds", ["a list of UUIDs; order means nothing", "you", "`null`, `[]`", ""]);
    }
}
