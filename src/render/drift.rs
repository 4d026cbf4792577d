//! A drift report as text for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::plan::Writer;
use super::text::{Layout, Tone, clean, count, dotted, value};
use super::when::Now;
use crate::drift::{Difference, JobDrift, Kind, Report, Resolved, State, Unmanaged};
use crate::job::Platform;
use crate::plan::{Action, Field, Origin};
use crate::snapshot::Edit;

/// Jobs that wait for a decision and are named in the last words; more of them are counted.
const MOST_HELD: usize = 5;

/// What a report is shown with, beside itself.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Where the live jobs were read, as people know the gateway.
    pub gateway: &'a str,
    /// What the reading cost, in words.
    pub calls: &'a str,
    /// What time it is, and where.
    pub now: &'a Now,
    /// Names of tags by UUID.
    pub tag_names: &'a BTreeMap<String, String>,
    /// When the oldest of the jobs that were not asked for was read; `None` where all were.
    pub oldest_read: Option<i64>,
    /// Whether live jobs that no manifest is about are listed, and not only counted.
    pub lists_unmanaged: bool,
    /// Whether only what is new is shown.
    pub only_new: bool,
    /// Whether differences that rules leave alone are shown above.
    pub shows_ignored: bool,
    /// What goes with the commands that are named, each flag after a blank: where this run was told to look.
    pub flags: &'a str,
}

/// Renders a report: what drifted, what is resolved, what waits in Git, the summary last.
pub fn drift(report: &Report<'_>, context: Context<'_>, layout: &Layout) -> String {
    let mut out = String::new();
    let writer = Drift { layout, context, values: Writer { layout, tag_names: context.tag_names } };
    for job in &report.drifted {
        writer.job(&mut out, job);
        out.push('\n');
    }
    for resolved in &report.resolved {
        writer.resolved(&mut out, resolved);
    }
    if !report.resolved.is_empty() {
        out.push('\n');
    }
    if context.lists_unmanaged
        && let Some(unmanaged) = report.unmanaged.as_deref().filter(|unmanaged| !unmanaged.is_empty())
    {
        writer.unmanaged(&mut out, unmanaged);
        out.push('\n');
    }
    writer.summary(&mut out, report);
    out
}

/// What drifted, in words, without a full stop: `2 members of 1 job, 1 job is gone`. Empty where nothing did.
pub fn counted(report: &Report<'_>) -> String {
    let has = |kind: Kind| move |job: &&JobDrift<'_>| job.differences.iter().any(|d| d.kind == kind);
    let n_jobs = |kind: Kind| report.drifted.iter().filter(has(kind)).count();
    let mut parts = Vec::new();
    let n = report.count(Kind::Member);
    if n > 0 {
        parts.push(format!("{} of {}", count(n, "member"), count(n_jobs(Kind::Member), "job")));
    }
    match report.count(Kind::Missing) {
        0 => {}
        1 => parts.push("1 job is gone".to_owned()),
        n => parts.push(format!("{n} jobs are gone")),
    }
    match report.count(Kind::Unverified) {
        0 => {}
        n => parts.push(format!("{} can not be verified", count(n, "script"))),
    }
    match report.count(Kind::Unclear) {
        0 => {}
        n => parts.push(format!("{} can not be compared", count(n, "job"))),
    }
    match report.count(Kind::Create) {
        0 => {}
        1 => parts.push("1 job is not made yet".to_owned()),
        n => parts.push(format!("{n} jobs are not made yet")),
    }
    parts.join(", ")
}

/// Who edited a job and when, as a sentence without its full stop; empty where there is nothing to say.
pub fn blame(job: &JobDrift<'_>, now: &Now) -> String {
    let is = |kind: Kind| job.differences.iter().any(|difference| difference.kind == kind);
    // Whoever edited the job last has nothing to do with what waits in Git.
    if is(Kind::Create) || job.differences.iter().all(|difference| difference.origin == Origin::Git) {
        return String::new();
    }
    let Some(Edit { user, at, .. }) = &job.edited else {
        return if is(Kind::Missing) { String::new() } else { "who changed it is not known".to_owned() };
    };
    let who = user.as_deref().filter(|user| !user.is_empty());
    let when = at.map_or_else(String::new, |at| format!(" on {}", now.moment(at)));
    let is_live = |d: &Difference<'_>| matches!(d.origin, Origin::Console | Origin::Both);
    match who {
        None if at.is_none() => "who changed it, and when, is not known".to_owned(),
        None => format!("last edited{when}; by whom is not known"),
        Some(who) if job.is_before_ours => {
            format!("edited by {}{when}, before our last write", clean(who))
        }
        // Our own call, such as one that enabled the job, stands where the name of the other editor stood.
        Some(who) if job.is_our_edit => {
            format!(
                "last edited by {}, our own API user,{when}: who made the change is not known",
                clean(who)
            )
        }
        Some(who) if is(Kind::Member) && job.differences.iter().any(is_live) => {
            format!("changed in the console by {}{when}", clean(who))
        }
        Some(who) => format!("last edited by {}{when}", clean(who)),
    }
}

/// What can be done about it, a sentence each: of members that differ, of jobs that wait for a decision, of scripts.
/// `flags` goes with each command.
pub fn next(report: &Report<'_>, flags: &str) -> Vec<String> {
    let of = |kind: Kind| {
        let jobs = report.drifted.iter();
        jobs.flat_map(|job| job.differences.iter().map(move |d| (job.key.as_str(), d)))
            .filter(move |(_, difference)| difference.kind == kind)
    };
    let is = |difference: &Difference<'_>, test: fn(Action) -> bool| {
        difference.step.is_some_and(|step| test(step.action))
    };
    let mut sentences = Vec::new();
    let members: Vec<_> = of(Kind::Member).collect();
    if !members.is_empty() {
        let key = only_key(members.iter().map(|(key, _)| *key));
        let (what, it, member) = match members.as_slice() {
            [(key, difference)] => ("the change", "it", format!("{key}{}", difference.path)),
            _ => ("a change", "one", format!("{key}/member")),
        };
        let mut ways = vec![format!("`patchctl accept {key}{flags}` takes {what} into its manifest")];
        if members.iter().any(|(_, difference)| is(difference, Action::writes)) {
            ways.push(format!("`patchctl apply --only {key}{flags}` puts {it} back"));
        }
        ways.push(format!("`patchctl drift --why {member}{flags}` tells how {it} was judged"));
        sentences.push(format!("Next: {}.", ways.join(", ")));
    }
    let is_held = |difference: &Difference<'_>| is(difference, |action| action == Action::Held);
    let mut held: Vec<&str> =
        members.iter().filter(|(_, difference)| is_held(difference)).map(|(key, _)| *key).collect();
    held.dedup();
    if !held.is_empty() {
        let jobs = if held.len() > MOST_HELD { count(held.len(), "job") } else { held.join(", ") };
        let key = only_key(held.into_iter());
        sentences.push(format!(
            "`patchctl apply` leaves {jobs} until somebody decides: with `--override {key}` Git wins."
        ));
    }
    if report.count(Kind::Unverified) > 0 {
        let key = only_key(of(Kind::Unverified).map(|(key, _)| key));
        sentences.push(format!(
            "For scripts in doubt: `patchctl apply --set-scripts {key}{flags}` sends those of Git again."
        ));
    }
    sentences
}

/// The key where it is just one, else `KEY`.
fn only_key<'k>(keys: impl Iterator<Item = &'k str>) -> &'k str {
    let mut keys: Vec<&str> = keys.collect();
    keys.dedup();
    if let [key] = keys.as_slice() { key } else { "KEY" }
}

/// The path of a difference with the name of the action it leads into; empty for the whole job.
pub fn path_words(difference: &Difference<'_>) -> String {
    let path = dotted(&difference.path);
    if difference.label.is_empty() { path } else { format!("{path} \"{}\"", clean(&difference.label)) }
}

struct Drift<'a> {
    layout: &'a Layout,
    context: Context<'a>,
    values: Writer<'a>,
}

impl Drift<'_> {
    fn job(&self, out: &mut String, job: &JobDrift<'_>) {
        let (sign, word, tone) = match job.kind() {
            Kind::Missing => ('-', "missing", Tone::Danger),
            Kind::Unclear => ('!', "unclear", Tone::Danger),
            Kind::Member => ('~', "drifted", Tone::Changed),
            Kind::Unverified => ('?', "unverified", Tone::Changed),
            Kind::Create => ('+', "pending", Tone::Added),
        };
        let head = self.layout.paint(tone, &format!("{sign} {word}"));
        let key = self.layout.paint(Tone::Strong, &job.key);
        let platform =
            job.platform.map_or(String::new(), |platform: Platform| format!(" ({})", platform.as_str()));
        let _ = writeln!(out, "{head} {key}  \"{}\"{platform}  {}", clean(&job.name), self.state(job));
        let place =
            job.differences.iter().find_map(|difference| difference.place.as_ref()).unwrap_or(&job.place);
        let (line, _) = place.line_column();
        let blame = blame(job, self.context.now);
        let at = format!("{}:{line}", clean(&place.file.path));
        let text = if blame.is_empty() { at } else { format!("{at}: {blame}") };
        let _ = writeln!(out, "{}", self.layout.wrap(&text, 4, 6));
        for difference in job.differences.iter().filter(|difference| difference.kind != Kind::Unverified) {
            self.difference(out, difference);
        }
        self.unverified(out, job);
        let is_unproven = |d: &Difference<'_>| d.kind == Kind::Member && d.origin == Origin::Unknown;
        let members = job.differences.iter().filter(|d| d.kind == Kind::Member);
        match (members.clone().filter(|d| is_unproven(d)).count(), members.count()) {
            (0, _) => {}
            (1, 1) => self.note(out, "nothing proves whether Git or the console changed it"),
            (n, all) if n == all => self.note(out, "nothing proves whether Git or the console changed them"),
            (_, _) => {
                let unproven = job.differences.iter().filter(|d| is_unproven(d)).map(path_words);
                let unproven = unproven.collect::<Vec<_>>().join(", ");
                self.note(out, &format!("nothing proves whether Git or the console changed {unproven}"));
            }
        }
        for note in &job.notes {
            self.note(out, note);
        }
    }

    /// Since when it is known: the alarm that was raised already is not raised again.
    fn state(&self, job: &JobDrift<'_>) -> String {
        match job.since() {
            None => self.layout.paint(Tone::Strong, "new"),
            Some(since) if job.has_new() => {
                let n_new = job.differences.iter().filter(|d| d.state == State::New).count();
                let words = format!("{n_new} of {} new", job.differences.len());
                let since = format!("; drifting since {}", self.context.now.short(since));
                self.layout.paint(Tone::Strong, &words) + &self.layout.paint(Tone::Faint, &since)
            }
            Some(since) => {
                self.layout.paint(Tone::Faint, &format!("known since {}", self.context.now.short(since)))
            }
        }
    }

    fn difference(&self, out: &mut String, difference: &Difference<'_>) {
        let path = path_words(difference);
        match difference.kind {
            Kind::Member => {
                // What waits in Git goes from the live value to the declared one, all others went to the live one.
                let (before, after) = match difference.origin {
                    Origin::Git => (&difference.is, &difference.declared),
                    Origin::Console | Origin::Both | Origin::Unknown => (&difference.was, &difference.is),
                };
                let field = Field {
                    path: difference.path.clone(),
                    before: before.clone(),
                    after: after.clone(),
                    base: None,
                    origin: difference.origin,
                    place: None,
                };
                self.values.values(out, path, &field);
                match difference.origin {
                    Origin::Both => {
                        let wanted = value(&difference.declared);
                        self.note(out, &format!("changed in Git, too, and not applied: Git says {wanted}"));
                    }
                    Origin::Git => self.note(out, "changed in Git, and not applied yet"),
                    Origin::Unknown | Origin::Console => {}
                }
            }
            Kind::Missing | Kind::Unclear | Kind::Create | Kind::Unverified => {
                let _ = writeln!(out, "{}", self.layout.wrap(&clean(&difference.words), 4, 6));
            }
        }
    }

    /// All scripts of a job of which the same is to be said.
    fn unverified(&self, out: &mut String, job: &JobDrift<'_>) {
        let mut by_words: Vec<(&str, Vec<String>)> = Vec::new();
        for difference in job.differences.iter().filter(|difference| difference.kind == Kind::Unverified) {
            let path = path_words(difference);
            match by_words.iter_mut().find(|(words, _)| *words == difference.words) {
                Some((_, paths)) => paths.push(path),
                None => by_words.push((&difference.words, vec![path])),
            }
        }
        for (words, paths) in by_words {
            let text = format!("{} can not be verified: {}", paths.join(", "), clean(words));
            let _ = writeln!(out, "{}", self.layout.wrap(&text, 4, 6));
        }
    }

    fn note(&self, out: &mut String, note: &str) {
        let text = self.layout.wrap(&format!("= {}", clean(note)), 4, 6);
        let _ = writeln!(out, "{}", self.layout.paint(Tone::Changed, &text));
    }

    fn resolved(&self, out: &mut String, resolved: &Resolved) {
        let what = match (resolved.kind, resolved.path.as_str()) {
            (Kind::Missing, _) => "is there again".to_owned(),
            (_, "") => "can be compared again".to_owned(),
            (Kind::Unverified, path) => format!("{} is no longer in doubt", dotted(path)),
            (_, path) => dotted(path),
        };
        let sign = self.layout.paint(Tone::Good, "= resolved");
        let key = self.layout.paint(Tone::Strong, &clean(&resolved.key));
        let since = self.context.now.short(resolved.since);
        let _ = writeln!(out, "{sign} {key}  \"{}\"  {what}, known since {since}", clean(&resolved.name));
    }

    fn unmanaged(&self, out: &mut String, unmanaged: &[Unmanaged]) {
        let _ = writeln!(out, "{}", self.layout.paint(Tone::Strong, "Live jobs in no manifest:"));
        for job in unmanaged {
            let platform = job.platform.map_or("unknown platform", Platform::as_str);
            let _ = writeln!(out, "  \"{}\"  {}  ({platform})", clean(&job.name), clean(&job.id));
            let who = job.created.user.as_deref().map(clean);
            let when = job.created.at.map(|at| self.context.now.moment(at));
            let made = match (who, when) {
                (Some(who), Some(when)) => format!("made by {who} on {when}"),
                (Some(who), None) => format!("made by {who}"),
                (None, Some(when)) => format!("made on {when}"),
                (None, None) => continue,
            };
            let _ = writeln!(out, "{}", self.layout.paint(Tone::Faint, &self.layout.wrap(&made, 4, 6)));
        }
    }

    fn summary(&self, out: &mut String, report: &Report<'_>) {
        let mut say = |text: &str| {
            let _ = writeln!(out, "{}", self.layout.wrap(text, 0, 0));
        };
        if report.drifted.is_empty() {
            let what = if self.context.only_new { "No new drift." } else { "No drift." };
            let rest = match report.n_manifests {
                _ if self.context.only_new => String::new(),
                1 if self.context.shows_ignored => {
                    " But for what rules leave alone the live job is as Git had it last.".to_owned()
                }
                n if self.context.shows_ignored => {
                    format!(" But for what rules leave alone all {n} live jobs are as Git had them last.")
                }
                1 => " The live job is as Git had it last.".to_owned(),
                n => format!(" All {n} live jobs are as Git had them last."),
            };
            let rest = if report.pending.iter().any(|job| job.kind() == Kind::Create) {
                String::new()
            } else {
                rest
            };
            say(&(self.layout.paint(Tone::Good, what) + &rest));
        } else {
            let new = match (report.n_new(), report.n_differences()) {
                (0, _) => "nothing of it is new".to_owned(),
                (new, all) if new == all => "all of it is new".to_owned(),
                (new, _) => format!("{new} of it new"),
            };
            let clean_jobs =
                format!("{} of {} manifests have no drift", report.n_clean(), report.n_manifests);
            let head = self.layout.paint(Tone::Strong, "Drift:");
            say(&format!("{head} {}; {new}. {clean_jobs}.", counted(report)));
        }
        if !report.pending.is_empty() {
            say(&format!("Changed in Git and not applied yet, which is no drift: {}.", pending(report)));
        }
        let is_about_members = report.count(Kind::Member) + report.count(Kind::Unverified) > 0;
        if is_about_members {
            say(
                "The API keeps only the last editor of a job: an earlier change to it may be somebody else's.",
            );
        }
        next(report, self.context.flags).iter().for_each(|sentence| say(&clean(sentence)));
        let unmanaged = match report.unmanaged.as_ref().map_or(0, Vec::len) {
            0 => String::new(),
            n => {
                let are = if n == 1 { "is" } else { "are" };
                let how = if self.context.lists_unmanaged { "" } else { " (--unmanaged lists them)" };
                format!(" {} {are} in no manifest{how}.", count(n, "live job"))
            }
        };
        let oldest = self.context.oldest_read.and_then(|at| self.context.now.age(at)).map_or_else(
            String::new,
            |age| {
                format!(
                    " Jobs that the lists show unchanged were not read again; the oldest was read {age} ago."
                )
            },
        );
        say(&format!("Read from {}: {}.{oldest}{unmanaged}", self.context.gateway, self.context.calls));
    }
}

/// What waits in Git, job by job, in words.
pub fn pending(report: &Report<'_>) -> String {
    let jobs = report.pending.iter().map(|job| {
        let what = match job.kind() {
            Kind::Create => "no live job yet".to_owned(),
            Kind::Unclear | Kind::Missing => "see `patchctl plan`".to_owned(),
            Kind::Member | Kind::Unverified => count(job.differences.len(), "member"),
        };
        format!("{} ({what})", job.key)
    });
    jobs.collect::<Vec<_>>().join(", ")
}
