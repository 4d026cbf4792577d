//! The configuration file `patchctl.yaml`: its members, and what is wrong with one.
//!
//! Pure: text in, settings or findings out. Where each setting finally comes from is the command line's business.

use std::collections::BTreeMap;
use std::sync::Arc;

use globset::Glob;
use jiff::civil::Date;
use serde::Deserialize;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::ignore::{self, Rule};
use crate::job::canonical;
use crate::plan::ConsoleChanges;
use crate::source::{Place, SourceFile, Span};
use crate::yaml;

/// Name of the file.
pub const FILE_NAME: &str = "patchctl.yaml";

/// The configuration file's members, all optional.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Config {
    /// The gateway's URL, or `sim:PATH`.
    pub gateway: Option<String>,
    /// The owner in our stamps: letters, digits, `.`, `_`, `-`.
    pub owner: Option<String>,
    /// The subscription these manifests are for; another one stops the run.
    pub customer_id: Option<String>,
    /// Where the manifests are, relative to the file.
    pub jobs: Option<String>,
    /// Where cache, journal and simulator keep their files, relative to the file.
    pub state_dir: Option<String>,
    /// A file that keeps what was applied last, instead of the jobs' descriptions; relative to the configuration.
    pub record: Option<String>,
    /// What updates carry.
    pub updates: Option<Updates>,
    /// Login names of the API users that write for this repository; beside the one that is logged in.
    pub api_users: Vec<String>,
    /// Calls that the gateway allows in an hour, where it does not say so itself; at least 1.
    pub calls_per_hour: Option<u64>,
    /// What `apply` does with what was changed in the console.
    pub console: Option<ConsoleChanges>,
    /// Names of tags, each with its UUID.
    pub tags: BTreeMap<String, String>,
    /// Members that are left alone in many jobs, as written.
    ignore: Vec<WrittenRule>,
    /// The same, held against the table of members.
    #[serde(skip)]
    pub ignore_rules: Vec<Rule>,
}

/// One entry of `ignore`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct WrittenRule {
    keys: String,
    member: String,
    reason: String,
    until: Option<String>,
}

/// What updates carry (DESIGN section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Updates {
    /// Minimal where the gateway is known to merge, else full.
    Auto,
    /// Only the members that change, each whole.
    Minimal,
    /// The whole job as read, overlaid with the changes.
    Full,
}

impl Updates {
    /// The word of the configuration file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Minimal => "minimal",
            Self::Full => "full",
        }
    }
}

/// Reads a configuration file's text.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(file: &Arc<SourceFile>) -> Result<Config, Diagnostics> {
    // The event pass first: it finds what the typed parse would swallow, such as a key written twice.
    let (documents, mut diagnostics) = yaml::parse(file);
    if documents.len() > 1 {
        let place = Place::new(file, documents[1].root.span);
        diagnostics
            .push(Diagnostic::error("config", "the configuration is one document").at(place, "a second one"));
    }
    if diagnostics.has_errors() {
        return Err(diagnostics);
    }
    let Some(document) = documents.first() else {
        return Ok(Config::default());
    };
    let mut config: Config = serde_yaml::from_str(&file.text).map_err(|error| {
        let at = error.location().map_or(0, |location| location.index()).min(file.text.len());
        let place = Place::new(file, Span::new(at, at));
        let mut diagnostics = Diagnostics::new();
        diagnostics.push(Diagnostic::error("config", message(&error)).at(place, ""));
        diagnostics
    })?;
    check(&config, file, document, &mut diagnostics);
    config.ignore_rules = ignore_rules(&config.ignore, file, document, &mut diagnostics);
    if diagnostics.has_errors() { Err(diagnostics) } else { Ok(config) }
}

/// The parser's message without the position, which the place says better.
fn message(error: &serde_yaml::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or_else(|| text.clone(), |(message, _)| message.to_owned())
}

fn check(config: &Config, file: &Arc<SourceFile>, document: &yaml::Document, diagnostics: &mut Diagnostics) {
    let place = |name: &str| {
        let span = document.root.value.get(name).map_or(document.root.span, |node| node.span);
        Place::new(file, span)
    };
    if let Some(owner) = &config.owner
        && !is_owner(owner)
    {
        let message = "`owner` must be of letters, digits, dots, dashes and underscores";
        diagnostics.push(Diagnostic::error("config", message).at(place("owner"), ""));
    }
    if let Some(id) = &config.customer_id
        && !canonical::is_uuid(id)
    {
        diagnostics
            .push(Diagnostic::error("config", "`customerId` must be a UUID").at(place("customerId"), ""));
    }
    if config.calls_per_hour == Some(0) {
        let message = "`callsPerHour` must be at least 1";
        diagnostics.push(Diagnostic::error("config", message).at(place("callsPerHour"), ""));
    }
    let tags = document.root.value.get("tags").and_then(|node| node.value.as_mapping()).unwrap_or_default();
    for entry in tags {
        if !config.tags.get(&entry.key).is_some_and(|id| canonical::is_uuid(id)) {
            let message = format!(
                "the tag `{}` must have the UUID of a tag, found {}",
                entry.key,
                entry.value.value.describe()
            );
            diagnostics.push(Diagnostic::error("config", message).at(Place::new(file, entry.value.span), ""));
        }
    }
}

/// The rules of `ignore`, those that are wrong left out with a finding.
fn ignore_rules(
    written: &[WrittenRule],
    file: &Arc<SourceFile>,
    document: &yaml::Document,
    diagnostics: &mut Diagnostics,
) -> Vec<Rule> {
    let nodes =
        document.root.value.get("ignore").and_then(|node| node.value.as_sequence()).unwrap_or_default();
    let mut rules = Vec::new();
    for (WrittenRule { keys, member, reason, until }, node) in written.iter().zip(nodes) {
        let place = |name: &str| Place::new(file, node.value.get(name).map_or(node.span, |value| value.span));
        let n_before = diagnostics.counts().0;
        let mut wrong = |name: &str, message: String, help: &str| {
            diagnostics.push(Diagnostic::error("config", message).at(place(name), "").help(help));
        };
        if reason.trim().is_empty() {
            let help =
                "say why nobody minds what this member is; whoever reads the rule next year wants to know";
            wrong("reason", "`reason` must not be empty".to_owned(), help);
        }
        let glob = Glob::new(keys).map_err(|error| error.to_string());
        let glob =
            glob.and_then(|glob| if keys.is_empty() { Err("it is empty".to_owned()) } else { Ok(glob) });
        if let Err(error) = &glob {
            wrong(
                "keys",
                format!("`{keys}` is no pattern of keys: {error}"),
                "use * and ?, such as windows-*",
            );
        }
        let day = until.as_ref().map(|text| Date::strptime("%Y-%m-%d", text.trim()));
        if let Some(Err(_)) = &day {
            let text = until.as_deref().unwrap_or_default();
            let help = "the day itself still counts, in UTC";
            wrong("until", format!("`until` must be a day such as 2027-01-31, found `{text}`"), help);
        }
        if let Err(unusable) = ignore::member(member) {
            diagnostics.push(unusable.finding("config", place("member")));
        }
        if let (Ok(keys), true) = (glob, diagnostics.counts().0 == n_before) {
            rules.push(Rule {
                keys,
                member: member.clone(),
                reason: reason.trim().to_owned(),
                until: day.and_then(Result::ok),
                keys_place: place("keys"),
                place: place("member"),
                until_place: until.as_ref().map(|_| place("until")),
            });
        }
    }
    rules
}

/// Whether a text may stand as owner in a stamp.
pub fn is_owner(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

/// Makes an owner of a folder's name.
pub fn owner_of_folder(name: &str) -> String {
    let owner: String = name.chars().map(|c| if is_owner(&c.to_string()) { c } else { '-' }).collect();
    if owner.is_empty() { "patchctl".to_owned() } else { owner }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, expected: &str) {
        let found = parse(&SourceFile::new("patchctl.yaml", text)).expect_err("a bad file");
        let found: Vec<String> = found
            .iter()
            .map(|d| format!("{}: {}", d.place.as_ref().map(Place::to_string).unwrap_or_default(), d.message))
            .collect();
        assert_eq!(found.join("\n"), expected);
    }

    #[test]
    fn good_files() {
        assert_eq!(parse(&SourceFile::new("p", "")), Ok(Config::default()));
        assert_eq!(parse(&SourceFile::new("p", "# nothing yet\n")), Ok(Config::default()));
        let text = "gateway: sim:tenant\ncustomerId: bc023fd7-4290-f28f-8181-95a46f519f52\nupdates: full\n";
        let config = parse(&SourceFile::new("p", text)).expect("a good file");
        assert_eq!((config.gateway.as_deref(), config.updates), (Some("sim:tenant"), Some(Updates::Full)));
        let text = "ignore:\n- keys: windows-*\n  member: /timeout\n  reason: r\n  until: 2027-01-31\n";
        let [rule] =
            <[Rule; 1]>::try_from(parse(&SourceFile::new("p", text)).expect("a good file").ignore_rules)
                .expect("one rule");
        assert_eq!((rule.member.as_str(), rule.reason.as_str()), ("/timeout", "r"));
        assert_eq!(rule.until.expect("a day").to_string(), "2027-01-31");
        assert_eq!(rule.place.to_string(), "p:3:11");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        refused(
            "gateway: a\ngateway: b\n",
            "patchctl.yaml:2:1: the key `gateway` is written twice in one mapping",
        );
        refused(
            "owner: a b\n",
            "patchctl.yaml:1:8: `owner` must be of letters, digits, dots, dashes and underscores",
        );
        refused(
            "tags:\n  A: x\n",
            "patchctl.yaml:2:6: the tag `A` must have the UUID of a tag, found a string \"x\"",
        );
        let rule =
            |member: &str, rest: &str| format!("ignore:\n  - keys: 'a-*'\n    member: {member}\n{rest}");
        let reason = "    reason: r\n";
        refused(&rule("/timeot", reason), "patchctl.yaml:3:13: `timeot` is no member of a job");
        refused(&rule("/timeout", "    reason: ' '\n"), "patchctl.yaml:4:13: `reason` must not be empty");
        refused(
            &rule("/timeout", &format!("{reason}    until: 2027-02-30\n")),
            "patchctl.yaml:5:12: `until` must be a day such as 2027-01-31, found `2027-02-30`",
        );
        refused(
            "ignore:\n  - {keys: '[a', member: /timeout, reason: r}\n",
            "patchctl.yaml:2:12: `[a` is no pattern of keys: error parsing glob '[a': unclosed character class; missing ']'",
        );
        let missing = parse(&SourceFile::new("p", rule("/timeout", ""))).expect_err("a bad file");
        let missing = missing.iter().next().expect("a finding").clone();
        assert!(missing.message.contains("missing field `reason`"), "{}", missing.message);
        let unknown = parse(&SourceFile::new("p", "getaway: a\n")).expect_err("a bad file");
        let unknown = unknown.iter().next().expect("a finding").clone();
        assert!(unknown.message.contains("unknown field `getaway`"), "{}", unknown.message);
    }
}
