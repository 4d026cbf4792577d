//! Members that a rule leaves alone: what a manifest declares of them is neither compared nor sent.
//!
//! A rule stands in a manifest (`metadata.ignore`) or, for many jobs, in the configuration (`ignore`). A member under
//! a rule is treated like one that no manifest declares: its live value stays, also where it travels inside of a block
//! that is sent whole. Rules name members by JSON Pointer and are held against the one table.
//!
//! Pure: which day it is, is given. What rules do to a plan is `plan::ignored`'s business.

use globset::{Glob, GlobMatcher};
use jiff::civil::Date;
use serde_json::{Map, Value, json};

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::diff::{escape, unescape};
use crate::job::{self, JOB, Member, Owner, Type, canonical, nearest};
use crate::source::Place;

/// Finding: a pointer that no rule may hold.
pub const CODE_MEMBER: &str = "ignored-member";
/// Finding: a rule whose last day is past.
pub const CODE_EXPIRED: &str = "expired-ignore";
/// Finding: a rule that has nothing to act on.
pub const CODE_UNUSED: &str = "unused-ignore";

/// A rule of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Which manifests it is for, by their keys.
    pub keys: Glob,
    /// JSON Pointer of the member, as [`member`] accepts it.
    pub member: String,
    /// Why the member is left alone, for people.
    pub reason: String,
    /// The last day on which the rule holds, in UTC; for good without it.
    pub until: Option<Date>,
    /// Where the keys stand.
    pub keys_place: Place,
    /// Where the member stands: what a message shows of the rule.
    pub place: Place,
    /// Where the last day stands.
    pub until_place: Option<Place>,
}

/// One member that is left alone in one manifest, and which rule says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// JSON Pointer of the member.
    pub member: String,
    /// Where the rule stands.
    pub place: Place,
    /// Why, where the rule says it.
    pub reason: Option<String>,
    /// The last day on which the rule holds.
    pub until: Option<Date>,
}

/// The rules of the configuration on one day.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    rules: Vec<(Rule, GlobMatcher)>,
    today: Option<Date>,
}

impl Rules {
    /// The rules as they are on a day, which is one of UTC.
    pub fn new(rules: Vec<Rule>, today: Date) -> Self {
        let rules = rules.into_iter().map(|rule| {
            let matcher = rule.keys.compile_matcher();
            (rule, matcher)
        });
        Self { rules: rules.collect(), today: Some(today) }
    }

    /// Whether a rule holds still: its last day counts.
    fn holds(&self, rule: &Rule) -> bool {
        match (rule.until, self.today) {
            (Some(until), Some(today)) => today <= until,
            (_, _) => true,
        }
    }

    /// The rules that hold for a manifest, in the order of the configuration.
    pub fn of_key(&self, key: &str) -> impl Iterator<Item = InForce> {
        let holding =
            self.rules.iter().filter(move |(rule, matcher)| self.holds(rule) && matcher.is_match(key));
        holding.map(|(rule, _)| InForce {
            member: rule.member.clone(),
            place: rule.place.clone(),
            reason: Some(rule.reason.clone()),
            until: rule.until,
        })
    }

    /// Of the members that rules are about, those that a manifest declares.
    pub fn declared_in(&self, declared: &Map<String, Value>) -> Vec<String> {
        let mut members: Vec<String> = self
            .rules
            .iter()
            .filter(|(rule, _)| is_declared(declared, &rule.member))
            .map(|(rule, _)| rule.member.clone())
            .collect();
        members.sort();
        members.dedup();
        members
    }

    /// All that what is remembered of manifests depends on: which rules there are, and which of them hold.
    pub fn facts(&self) -> Value {
        let facts =
            self.rules.iter().map(|(rule, _)| json!([rule.keys.glob(), rule.member, self.holds(rule)]));
        facts.collect()
    }

    /// What is odd about the rules: those whose last day is past, and, where `all` manifests are known, each with the
    /// members that it declares ([`Self::declared_in`]), those that have nothing to act on.
    pub fn findings(&self, all: Option<&[(&str, Vec<String>)]>) -> Diagnostics {
        let mut findings = Diagnostics::new();
        for (rule, matcher) in &self.rules {
            let member = dotted(&rule.member);
            if let (Some(until), false) = (rule.until, self.holds(rule)) {
                let place = rule.until_place.as_ref().unwrap_or(&rule.place).clone();
                let message =
                    format!("the rule that ignores `{member}` held until {until}, and does not any more");
                let help = "remove the rule, or give it another last day; declared values are compared and sent again";
                findings.push(
                    Diagnostic::warning(CODE_EXPIRED, message).at(place, "this day is past").help(help),
                );
                continue;
            }
            let Some(all) = all else { continue };
            let mut matching = all.iter().filter(|(key, _)| matcher.is_match(key)).peekable();
            if matching.peek().is_none() {
                let message = format!("the rule that ignores `{member}` matches no manifest");
                let finding = Diagnostic::warning(CODE_UNUSED, message).at(rule.keys_place.clone(), "");
                findings.push(finding.help("mend the pattern of keys, or remove the rule"));
            } else if !matching.any(|(_, declared)| declared.contains(&rule.member)) {
                let message = format!("no manifest that matches `{}` declares `{member}`", rule.keys.glob());
                let finding = Diagnostic::warning(CODE_UNUSED, message).at(rule.place.clone(), "");
                findings.push(finding.help("what is not declared is left alone anyway; remove the rule"));
            }
        }
        findings
    }
}

/// Why a pointer can stand in no rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// What is wrong with it.
    pub message: String,
    /// What to write in its place, where that is likely.
    pub fix: Option<String>,
    /// What to do.
    pub help: String,
}

impl Unusable {
    /// The finding, at the place of the pointer.
    pub fn finding(self, code: &'static str, place: Place) -> Diagnostic {
        let finding = Diagnostic::error(code, self.message).at(place.clone(), "");
        match self.fix {
            Some(fix) => finding.fix(place, fix, "did you mean this?").help(self.help),
            None => finding.help(self.help),
        }
    }
}

/// Holds a pointer against the table.
///
/// # Errors
/// Where it leads to no member, into a list, or to a member that is never left alone: what finds the job, whether it
/// is armed, its parent, and what the server sets by itself.
pub fn member(pointer: &str) -> Result<&'static Member, Unusable> {
    let unusable = |message: String, fix: Option<String>, help: &str| {
        Err(Unusable { message, fix, help: help.to_owned() })
    };
    let Some(rest) = pointer.strip_prefix('/').filter(|rest| !rest.is_empty()) else {
        let slashes = format!("/{}", pointer.trim().replace('.', "/"));
        let fix = (pointer != "/" && !pointer.is_empty() && member(&slashes).is_ok()).then_some(slashes);
        return unusable(
            format!("`{pointer}` is no pointer to a member of a job"),
            fix,
            "begin with a slash and write the names from the job's root, such as \
             /notification/notificationConfigs/recipientEmails",
        );
    };
    let mut rows = JOB;
    let mut found: Option<&'static Member> = None;
    let mut walked = String::new();
    for part in rest.split('/') {
        if let Some(list) = found.filter(|row| matches!(row.kind, Type::List(..) | Type::Set(_))) {
            return unusable(
                format!(
                    "`{pointer}` leads into a list: what stands in `{}` can be ignored only all together",
                    list.name
                ),
                Some(walked),
                "a rule names a whole list, or a member of a block that stands in no list",
            );
        }
        let name = unescape(part);
        let Some(row) = job::find(rows, &name) else {
            let near = nearest(&name, rows.iter().filter(|row| row.is_settable()).map(|row| row.name));
            let fix = near.map(|near| {
                let tail = rest_after(pointer, walked.len() + 1 + part.len());
                format!("{walked}/{}{tail}", escape(near))
            });
            let within = match found {
                None => "a job".to_owned(),
                Some(_) => format!("`{}`", dotted(&walked)),
            };
            let help = match found {
                Some(row) if rows.is_empty() => format!("`{}` is no block", row.name),
                Some(_) | None => {
                    "docs/members.md lists all members; one that is newer than this build can not be \
                                   ignored: leave it out of the manifest"
                        .to_owned()
                }
            };
            return unusable(format!("`{name}` is no member of {within}"), fix, &help);
        };
        walked = format!("{walked}/{}", escape(row.name));
        rows = row.members();
        found = Some(row);
    }
    let Some(row) = found else { return unusable(format!("`{pointer}` leads nowhere"), None, "") };
    let why = match (row.owner, walked.as_str()) {
        (Owner::Server, _) => Some((
            format!(
                "`{}` is set by the server: it is never compared, so there is nothing to ignore",
                row.name
            ),
            "remove it from the rule",
        )),
        (_, "/name" | "/platform" | "/type") => Some((
            format!("`{}` says which job is meant, and can not be ignored", row.name),
            "a manifest with `metadata.id` need not declare it",
        )),
        (_, "/status") => Some((
            "whether a job is armed is not left to a rule: `status` can not be ignored".to_owned(),
            "leave `status` out of the manifest to leave it alone",
        )),
        (_, "/linkedJobId") => Some((
            "the order of steps follows from `linkedJobId`, which can not be ignored".to_owned(),
            "leave the link out of the manifest to leave it alone",
        )),
        (_, _) => None,
    };
    match why {
        Some((message, help)) => unusable(message, None, help),
        None => Ok(row),
    }
}

/// A pointer as messages write it.
fn dotted(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".")
}

fn rest_after(pointer: &str, at: usize) -> &str {
    pointer.get(at..).unwrap_or_default()
}

/// All pointers that a rule may hold, in the order of the table.
pub fn pointers() -> Vec<String> {
    let mut pointers = Vec::new();
    job::walk(&mut |path, _| {
        let pointer = format!("/{}", path.replace('.', "/"));
        if !path.contains("[]") && member(&pointer).is_ok() {
            pointers.push(pointer);
        }
    });
    pointers
}

/// Whether a manifest declares a member, be it with a block around it that it declares as none.
pub fn is_declared(declared: &Map<String, Value>, pointer: &str) -> bool {
    let mut parts = pointer.split('/').skip(1);
    let mut at = parts.next().and_then(|part| declared.get(&*unescape(part)));
    for part in parts {
        at = match at {
            Some(Value::Object(members)) => members.get(&*unescape(part)),
            // None of a block is none of each of its members.
            Some(Value::Null) => return true,
            Some(_) | None => None,
        };
    }
    at.is_some()
}

/// Takes a member out of what is declared, as if nobody had declared it.
///
/// A block that is declared as none is taken for its members, each declared as none, so that the one stays. A block in
/// which nothing is left is gone itself.
pub fn leave_out(declared: &mut Map<String, Value>, pointer: &str) {
    let parts: Vec<&str> = pointer.split('/').skip(1).collect();
    leave_out_of(JOB, declared, &parts);
}

fn leave_out_of(rows: &'static [Member], declared: &mut Map<String, Value>, parts: &[&str]) {
    let [first, rest @ ..] = parts else { return };
    let name = unescape(first);
    if rest.is_empty() {
        declared.shift_remove(&*name);
        return;
    }
    let inner = job::find(rows, &name).map_or(&[][..], Member::members);
    let Some(value) = declared.get_mut(&*name) else { return };
    if value.is_null() {
        let settable = inner.iter().filter(|row| row.is_settable());
        *value =
            settable.map(|row| (row.name.to_owned(), canonical::unset(row))).collect::<Map<_, _>>().into();
    }
    let Some(members) = value.as_object_mut() else { return };
    let was_empty = members.is_empty();
    leave_out_of(inner, members, rest);
    if members.is_empty() && !was_empty {
        declared.shift_remove(&*name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{SourceFile, Span};

    #[track_caller]
    fn refused(pointer: &str, message: &str, fix: Option<&str>) {
        let found = member(pointer).expect_err(pointer);
        assert_eq!((found.message.as_str(), found.fix.as_deref()), (message, fix), "{pointer}");
        assert!(!found.help.is_empty(), "{pointer}");
    }

    #[test]
    fn pointers_are_held_against_the_table() {
        for pointer in [
            "/notification/notificationConfigs/recipientEmails",
            "/notification",
            "/preDeployActions",
            "/assetTagIds",
            "/description",
            "/postDeployment/rebootCountdown/interval",
        ] {
            assert!(member(pointer).is_ok(), "{pointer}");
        }
        refused("", "`` is no pointer to a member of a job", None);
        refused("/", "`/` is no pointer to a member of a job", None);
        refused(
            "notification.notificationConfigs.recipientEmails",
            "`notification.notificationConfigs.recipientEmails` is no pointer to a member of a job",
            Some("/notification/notificationConfigs/recipientEmails"),
        );
        refused(
            "/notification/notificationConfigs/recipientEmail",
            "`recipientEmail` is no member of `notification.notificationConfigs`",
            Some("/notification/notificationConfigs/recipientEmails"),
        );
        refused(
            "/notificaton/notificationConfigs",
            "`notificaton` is no member of a job",
            Some("/notification/notificationConfigs"),
        );
        refused(
            "/preDeployActions/0/params/timeout",
            "`/preDeployActions/0/params/timeout` leads into a list: what stands in `preDeployActions` can be ignored \
             only all together",
            Some("/preDeployActions"),
        );
        refused("/timezone/x", "`x` is no member of `timezone`", None);
        refused("/nonsense", "`nonsense` is no member of a job", None);
        refused("/notification/", "`` is no member of `notification`", None);
        for (pointer, message) in [
            (
                "/createdBy",
                "`createdBy` is set by the server: it is never compared, so there is nothing to ignore",
            ),
            ("/name", "`name` says which job is meant, and can not be ignored"),
            ("/status", "whether a job is armed is not left to a rule: `status` can not be ignored"),
            ("/linkedJobId", "the order of steps follows from `linkedJobId`, which can not be ignored"),
        ] {
            refused(pointer, message, None);
        }
        assert!(pointers().len() > 60 && pointers().iter().all(|pointer| member(pointer).is_ok()));
    }

    #[track_caller]
    fn check_left_out(declared: Value, pointer: &str, expected: Value) {
        let mut members = declared.as_object().expect("an object").clone();
        leave_out(&mut members, pointer);
        assert_eq!(Value::Object(members.clone()), expected, "{declared} without {pointer}");
        assert!(!is_declared(&members, pointer), "{members:?}");
    }

    #[test]
    fn what_is_left_out_is_not_declared_any_more_and_all_else_is() {
        let emails = "/notification/notificationConfigs/recipientEmails";
        check_left_out(json!({"name": "a"}), emails, json!({"name": "a"}));
        check_left_out(
            json!({"notification": {"notificationConfigs": {"recipientEmails": ["a"], "completedPercentage": 5}}}),
            emails,
            json!({"notification": {"notificationConfigs": {"completedPercentage": 5}}}),
        );
        // No trace stays, so that the digest of what is declared does not tell.
        check_left_out(
            json!({"notification": {"notificationConfigs": {"recipientEmails": ["a"]}}, "timeout": 3}),
            emails,
            json!({"timeout": 3}),
        );
        check_left_out(json!({"notification": {}}), emails, json!({"notification": {}}));
        check_left_out(
            json!({"notification": {"notificationConfigs": null}}),
            emails,
            json!({"notification": {"notificationConfigs": {"completedPercentage": null}}}),
        );
        check_left_out(json!({"assetTagIds": null, "timeout": 3}), "/assetTagIds", json!({"timeout": 3}));
        let mut all = json!({"notification": null}).as_object().expect("an object").clone();
        leave_out(&mut all, emails);
        assert!(is_declared(&all, "/notification/notificationEvents/onJobStart"), "{all:?}");
        assert!(is_declared(&all, "/notification/notificationTypes/email"), "{all:?}");
        assert!(!is_declared(&json!({"notification": 5}).as_object().expect("an object").clone(), emails));
    }

    fn rule(keys: &str, member: &str, until: Option<&str>) -> Rule {
        let place = Place::new(&SourceFile::new("patchctl.yaml", "ignore"), Span::new(0, 1));
        Rule {
            keys: Glob::new(keys).expect("a glob"),
            member: member.to_owned(),
            reason: "because".to_owned(),
            until: until.map(|day| day.parse().expect("a day")),
            keys_place: place.clone(),
            place,
            until_place: None,
        }
    }

    fn rules(until: Option<&str>, today: &str) -> Rules {
        Rules::new(vec![rule("web-*", "/timeout", until)], today.parse().expect("a day"))
    }

    #[test]
    fn the_last_day_still_counts() {
        for (today, n) in [("2027-01-30", 1), ("2027-01-31", 1), ("2027-02-01", 0)] {
            let rules = rules(Some("2027-01-31"), today);
            assert_eq!(rules.of_key("web-1").count(), n, "{today}");
            let expired = rules.findings(None);
            assert_eq!(expired.iter().map(|f| f.code).collect::<Vec<_>>(), vec![CODE_EXPIRED; 1 - n]);
        }
        assert_eq!(rules(None, "9999-01-01").of_key("web-1").count(), 1);
        assert_eq!(rules(None, "2027-01-01").of_key("db-1").count(), 0);
        assert_ne!(
            rules(Some("2027-01-31"), "2027-01-31").facts(),
            rules(Some("2027-01-31"), "2027-02-01").facts(),
            "what is remembered of manifests must not outlive the rule"
        );
    }

    #[test]
    fn a_rule_without_work_is_told_where_all_manifests_are_known() {
        let rules = rules(None, "2027-01-01");
        let messages = |all: Option<&[(&str, Vec<String>)]>| {
            rules.findings(all).iter().map(|finding| finding.message.clone()).collect::<Vec<_>>()
        };
        let timeout = || vec!["/timeout".to_owned()];
        assert_eq!(messages(None), [""; 0]);
        assert_eq!(messages(Some(&[("web-1", timeout())])), [""; 0]);
        assert_eq!(
            messages(Some(&[("db-1", timeout())])),
            ["the rule that ignores `timeout` matches no manifest"]
        );
        let undeclared = [("web-1", Vec::new()), ("db-1", timeout())];
        assert_eq!(messages(Some(&undeclared)), ["no manifest that matches `web-*` declares `timeout`"]);
    }
}
