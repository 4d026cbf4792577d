//! What `doctor` found, as one screen for people and as JSON for programs. Judges nothing and asks nothing.

use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

use super::json::FORMAT_VERSION;
use super::text::{Layout, Tone, clean};

/// Where a setting came from, in the order in which one wins over the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The command line.
    Flag,
    /// The environment.
    Environment,
    /// `patchctl.yaml`.
    File,
    /// Nobody said anything.
    Default,
}

impl Origin {
    const ALL: [Self; 4] = [Self::Flag, Self::Environment, Self::File, Self::Default];

    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Environment => "environment",
            Self::File => "file",
            Self::Default => "default",
        }
    }

    fn heading(self) -> &'static str {
        match self {
            Self::Flag => "flags",
            Self::Environment => "environment",
            Self::File => "file",
            Self::Default => "defaults",
        }
    }
}

/// One setting with its value, fit to be shown, and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its name, words joined by `_`; variables of the environment by their own name.
    pub name: &'static str,
    /// Its value; never a password or token.
    pub value: String,
    /// Where the value came from.
    pub origin: Origin,
}

impl Setting {
    /// A setting.
    pub fn new(name: &'static str, value: String, origin: Origin) -> Self {
        Self { name, value, origin }
    }
}

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// As it should be.
    Ok,
    /// Runs work, but something should be looked at.
    Warning,
    /// Runs do not work.
    Failed,
    /// Not looked at, because a check before it failed.
    NotChecked,
}

impl Status {
    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::NotChecked => "not_checked",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "FAILED",
            Self::NotChecked => "-",
        }
    }

    fn tone(self) -> Tone {
        match self {
            Self::Ok => Tone::Good,
            Self::Warning => Tone::Changed,
            Self::Failed => Tone::Danger,
            Self::NotChecked => Tone::Faint,
        }
    }
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its name, one word; part of the JSON contract.
    pub name: &'static str,
    /// What it came to.
    pub status: Status,
    /// What was found.
    pub message: String,
    /// What to do; there is always something for a warning and a failure.
    pub help: Option<String>,
}

impl Check {
    /// All is well.
    pub fn ok(name: &'static str, message: impl Into<String>) -> Self {
        Self { name, status: Status::Ok, message: message.into(), help: None }
    }

    /// Something should be looked at.
    pub fn warning(name: &'static str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { name, status: Status::Warning, message: message.into(), help: Some(help.into()) }
    }

    /// Runs do not work.
    pub fn failed(name: &'static str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { name, status: Status::Failed, message: message.into(), help: Some(help.into()) }
    }

    /// Not looked at, because of the check named.
    pub fn not_checked(name: &'static str, because_of: &str) -> Self {
        let message = format!("not checked, because of {because_of}");
        Self { name, status: Status::NotChecked, message, help: None }
    }
}

/// All that was found, in the order in which it was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Report {
    /// The settings; none where the configuration can not be read.
    pub settings: Vec<Setting>,
    /// The checks, `configuration` first.
    pub checks: Vec<Check>,
}

impl Report {
    /// How many checks came to this.
    pub fn count(&self, status: Status) -> usize {
        self.checks.iter().filter(|check| check.status == status).count()
    }
}

/// Columns before a message: status, name and the blanks between.
const INDENT: usize = 24;

/// The report for people; `calls` says what it cost.
pub fn text(report: &Report, calls: &str, layout: &Layout) -> String {
    let mut out = String::new();
    // Checks in a row that were not done for one reason are one line: the failure is what must be seen.
    let same = |a: &Check, b: &Check| a.status == Status::NotChecked && a.message == b.message;
    for checks in report.checks.chunk_by(same) {
        let [check, ..] = checks else { continue };
        let Check { name, status, message, help } = check;
        let head = layout.paint(status.tone(), &format!("{:<9}", status.word()));
        if *status == Status::NotChecked {
            let names: Vec<&str> = checks.iter().map(|check| check.name).collect();
            let text = layout.wrap(&format!("{}: {message}", names.join(", ")), INDENT, INDENT);
            let text = layout.paint(Tone::Faint, text.trim_start());
            out.push_str(&format!("{head}{:<15}{text}\n", ""));
            continue;
        }
        let message = layout.wrap(&clean(message), INDENT, INDENT);
        out.push_str(&format!("{head}{name:<15}{}\n", message.trim_start()));
        if let Some(help) = help {
            out.push_str(&layout.wrap(&format!("= help: {}", clean(help)), INDENT, INDENT + 8));
            out.push('\n');
        }
        if *name == "configuration" {
            settings(&report.settings, layout, &mut out);
        }
    }
    out.push('\n');
    out.push_str(&format!("{}; {calls}.\n", summary(report, layout)));
    out
}

/// The settings, one paragraph for each place they came from.
fn settings(settings: &[Setting], layout: &Layout, out: &mut String) {
    for origin in Origin::ALL {
        let shown: Vec<String> = settings
            .iter()
            .filter(|setting| setting.origin == origin)
            .map(|setting| format!("{} {}", shown_name(setting.name), clean(&setting.value)))
            .collect();
        if shown.is_empty() {
            continue;
        }
        // A pair stays in one line: its blanks are put back after wrapping.
        let pairs: Vec<String> = shown.iter().map(|pair| pair.replace(' ', "\u{a0}")).collect();
        let heading = format!("{}:", origin.heading());
        let indent = INDENT + heading.width() + 1;
        let text = layout.wrap(&format!("{heading} {}", pairs.join(", ")), INDENT, indent);
        out.push_str(&layout.paint(Tone::Faint, &text.replace('\u{a0}', " ")));
        out.push('\n');
    }
}

/// A setting's name as people write it; a variable of the environment keeps its own.
fn shown_name(name: &str) -> String {
    if name.starts_with(|first: char| first.is_ascii_uppercase()) {
        name.to_owned()
    } else {
        name.replace('_', "-")
    }
}

fn summary(report: &Report, layout: &Layout) -> String {
    let counts = [Status::Failed, Status::Warning, Status::Ok, Status::NotChecked];
    let parts: Vec<String> = counts
        .into_iter()
        .map(|status| (report.count(status), status))
        .filter(|(count, _)| *count > 0)
        .map(|(count, status)| {
            let words = match (status, count) {
                (Status::Failed, _) => format!("{count} failed"),
                (Status::Warning, 1) => "1 warning".to_owned(),
                (Status::Warning, _) => format!("{count} warnings"),
                (Status::Ok, _) => format!("{count} ok"),
                (Status::NotChecked, _) => format!("{count} not checked"),
            };
            layout.paint(status.tone(), &words)
        })
        .collect();
    parts.join(", ")
}

/// The report for programs; `api` holds the calls that were made, by kind.
pub fn json(report: &Report, api: Value) -> Value {
    let settings = report.settings.iter().map(
        |Setting { name, value, origin }| json!({"name": name, "value": value, "origin": origin.as_str()}),
    );
    let checks = report.checks.iter().map(
        |Check { name, status, message, help }| json!({"name": name, "status": status.as_str(), "message": message, "help": help}),
    );
    json!({
        "format_version": FORMAT_VERSION,
        "command": "doctor",
        "summary": {
            "ok": report.count(Status::Ok),
            "warning": report.count(Status::Warning),
            "failed": report.count(Status::Failed),
            "not_checked": report.count(Status::NotChecked),
        },
        "settings": settings.collect::<Vec<_>>(),
        "checks": checks.collect::<Vec<_>>(),
        "api": api,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report {
            settings: vec![
                Setting::new("gateway", "https://gateway.qg1.apps.qualys.eu".to_owned(), Origin::Flag),
                Setting::new("jobs", "jobs.d".to_owned(), Origin::Default),
                Setting::new("state_dir", ".patchctl".to_owned(), Origin::Default),
                Setting::new("owner", "acme\u{1b}[2J".to_owned(), Origin::File),
            ],
            checks: vec![
                Check::ok("configuration", "patchctl.yaml"),
                Check::warning("clock", "the gateway is ahead", "set the clock"),
                Check::failed("credentials", "refused", "check them"),
                Check::not_checked("permission", "credentials"),
                Check::not_checked("list", "credentials"),
            ],
        }
    }

    #[test]
    fn for_people() {
        let layout = Layout { colour: false, width: 76 };
        insta::assert_snapshot!(text(&report(), "2 calls (2 auth)", &layout), @r"
        ok       configuration  patchctl.yaml
                                flags: gateway https://gateway.qg1.apps.qualys.eu
                                file: owner acme\u{1b}[2J
                                defaults: jobs jobs.d, state-dir .patchctl
        warning  clock          the gateway is ahead
                                = help: set the clock
        FAILED   credentials    refused
                                = help: check them
        -                       permission, list: not checked, because of
                                credentials

        1 failed, 1 warning, 1 ok, 2 not checked; 2 calls (2 auth).
        ");
    }

    #[test]
    fn for_programs() {
        let json = json(&report(), json!({"auth": 2}));
        assert_eq!(json["summary"], json!({"ok": 1, "warning": 1, "failed": 1, "not_checked": 2}));
        assert_eq!(
            json["checks"][4],
            json!({"name": "list", "status": "not_checked", "message": "not checked, because of credentials", "help": null})
        );
        assert_eq!(json["settings"][1], json!({"name": "jobs", "value": "jobs.d", "origin": "default"}));
    }
}
