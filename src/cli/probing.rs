#![expect(clippy::disallowed_methods, reason = "when a probe told something needs the time")]

//! What updates carry: chosen when the plan is made, and settled by a probe where nothing is known of the gateway.

use uuid::Uuid;

use super::planning::Request;
use super::settings::Settings;
use crate::api::{UpdatesKnown, WriteApi};
use crate::apply::probe::{Probing, Removal};
use crate::config::Updates;
use crate::patch::Envelope;
use crate::plan::{Action, Change, Outcome, OutcomeKind, Plan};
use crate::probe::Scratch;
use crate::probes::Probes;
use crate::render::probe::Done;
use crate::saved::Judged;
use crate::terminal::Terminal;

/// What updates carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// It is known.
    Settled(Envelope),
    /// A probe is to tell.
    Open,
}

impl Choice {
    /// What requests are planned with: before a probe, with what changes and nothing else.
    pub(super) fn planned(self) -> Envelope {
        match self {
            Self::Settled(envelope) => envelope,
            Self::Open => Envelope::Minimal,
        }
    }
}

/// Opens what probes told of a gateway; `is_reset` forgets it.
pub(super) fn open(settings: &Settings, identity: &str, is_reset: bool, terminal: &Terminal) -> Probes {
    let mut probes = Probes::open(&settings.state_dir, identity, is_reset, jiff::Timestamp::now());
    if let Some(note) = probes.note.take() {
        terminal.note(&note);
    }
    probes
}

impl Request<'_> {
    /// Whether updates carry the changes only, by what is known of the gateway (DESIGN section 6).
    ///
    /// What the simulator says of itself wins over what is remembered of it.
    pub(super) fn choose(&self, announced: Option<UpdatesKnown>, probes: &Probes) -> Choice {
        let updates = self.planning.updates.unwrap_or(self.settings.updates);
        let known = announced.or_else(|| probes.known());
        Choice::Settled(match (updates, known) {
            (Updates::Full, _) | (Updates::Auto, Some(UpdatesKnown::Replace)) => Envelope::Full,
            (Updates::Minimal, Some(UpdatesKnown::Replace)) => {
                self.terminal.note(
                    "this gateway replaces jobs, and `updates: minimal` would wipe what is not sent; using full",
                );
                Envelope::Full
            }
            (Updates::Minimal, None) => {
                self.terminal.note(
                    "`updates: minimal` on a gateway that is not known to merge: if it replaces jobs, whatever an \
                     update does not carry is lost, scripts for good",
                );
                Envelope::Minimal
            }
            (Updates::Minimal | Updates::Auto, Some(UpdatesKnown::Merge)) => Envelope::Minimal,
            (Updates::Auto, None) if self.planning.no_probe => {
                if self.terminal.is_verbose() {
                    self.terminal.note(
                        "it is not known whether this gateway merges updates, so they carry the whole job; \
                         set `updates: minimal` where you know that it does",
                    );
                }
                Envelope::Full
            }
            (Updates::Auto, None) => return Choice::Open,
        })
    }
}

/// Removes what earlier probes left, and carries out the plan's probe: it settles what updates carry.
pub(super) async fn carry_out<A: WriteApi>(
    plan: &mut Plan,
    judged: &Judged,
    probes: &mut Probes,
    probing: &Probing<'_, A>,
    terminal: &Terminal,
) -> Done {
    let mut done = Done::default();
    if plan.guard.is_some() {
        return done;
    }
    for leftover in &plan.leftovers {
        let removal = probing.remove_leftover(leftover).await;
        if removal == Removal::Gone {
            probes.scratch_gone(&leftover.name);
        }
        done.removals.push((leftover.clone(), removal));
    }
    // Of a saved plan, no update may be left to carry out.
    let is_going =
        |(at, change): (usize, &Change)| change.action == Action::Update && !judged.decided.contains_key(&at);
    if let Some(planned) = plan.probe.as_ref().filter(|_| plan.changes.iter().enumerate().any(is_going)) {
        let scratch =
            Scratch { owner: planned.owner.clone(), uuid: Uuid::new_v4(), platform: planned.platform };
        let probed = probing.probe(&scratch, || probes.scratch_sent(&scratch)).await;
        plan.envelope = probed.verdict.map_or(Envelope::Full, |verdict| verdict.envelope());
        if let Some(verdict) = probed.verdict {
            probes.learn(verdict);
        }
        if probed.left.is_none() {
            probes.scratch_gone(&scratch.name());
        }
        done.probe = Some((scratch.name(), probed));
    }
    save(probes, terminal);
    done
}

/// Forgets what a probe told where a write has moved what was not sent.
pub(super) fn doubt(probes: &mut Probes, outcomes: &[Outcome], terminal: &Terminal) {
    if outcomes.iter().any(|outcome| outcome.kind == OutcomeKind::Collateral) {
        probes.forget();
        save(probes, terminal);
    }
}

/// Keeps what a run learned; where that fails, the next run probes once more.
pub(super) fn save(probes: &mut Probes, terminal: &Terminal) {
    if let Err(error) = probes.save() {
        terminal.note(&format!("what the probe told could not be kept: {error}; the next run probes again"));
    }
}
