//! `doctor --probe-updates`: the probe on its own, and the setting to commit.

use std::sync::Arc;

use uuid::Uuid;

use super::judge;
use crate::api::{ApiError, ReadApi};
use crate::apply::probe::{Probing, Removal};
use crate::apply::{Interrupt, chain};
use crate::cli::args::DoctorArgs;
use crate::cli::session::Session;
use crate::cli::settings::Settings;
use crate::cli::{apply, probing};
use crate::job::Platform;
use crate::patch::Envelope;
use crate::probe::{self, Leftover, Scratch};
use crate::probes::Probes;
use crate::render::doctor::Check;
use crate::render::probe::Done;
use crate::snapshot::ListRow;
use crate::terminal::Terminal;

/// Removes what earlier probes left, probes, and remembers what it told.
pub(super) async fn probe_updates(
    session: &Session,
    settings: &Settings,
    platform: Platform,
    args: &DoctorArgs,
    terminal: &Terminal,
) -> (Check, Done) {
    let mut probes = probing::open(settings, &session.identity, false, terminal);
    let mut done = Done::default();
    let leftovers = match leftovers(session, settings, platform, &mut probes).await {
        Ok(leftovers) => leftovers,
        Err(error) => {
            let check = Check::failed("updates", chain(&error).join(": "), error.help());
            return (check, done);
        }
    };
    let interrupt = Arc::new(Interrupt::default());
    apply::listen(&interrupt, *terminal).await;
    let probing = Probing {
        api: &session.client,
        owner: &settings.owner,
        settle_time: args.settle_time(),
        interrupt: &interrupt,
    };
    for leftover in leftovers {
        let removal = probing.remove_leftover(&leftover).await;
        if removal == Removal::Gone {
            probes.scratch_gone(&leftover.name);
        }
        done.removals.push((leftover, removal));
    }
    let scratch = Scratch { owner: settings.owner.clone(), uuid: Uuid::new_v4(), platform };
    let probed = probing.probe(&scratch, || probes.scratch_sent(&scratch)).await;
    if let Some(verdict) = probed.verdict {
        probes.learn(verdict);
    }
    if probed.left.is_none() {
        probes.scratch_gone(&scratch.name());
    }
    probing::save(&mut probes, terminal);
    done.probe = Some((scratch.name(), probed));
    (judge::probed(settings.updates, &done), done)
}

/// What updates carry after it.
pub(super) fn envelope(done: &Done) -> Envelope {
    let verdict = done.probe.as_ref().and_then(|(_, probed)| probed.verdict);
    verdict.map_or(Envelope::Full, |verdict| verdict.envelope())
}

/// The scratch jobs of earlier probes on this platform and on those where some may be.
async fn leftovers(
    session: &Session,
    settings: &Settings,
    platform: Platform,
    probes: &mut Probes,
) -> Result<Vec<Leftover>, ApiError> {
    let mut platforms = vec![platform];
    platforms.extend(probes.platforms().filter(|other| *other != platform));
    platforms.dedup();
    let mut leftovers = Vec::new();
    for platform in &platforms {
        let rows = session.client.list_jobs(platform.as_str()).await?;
        let mut rows: Vec<ListRow> = rows.iter().filter_map(ListRow::read).collect();
        leftovers.extend(probe::take_leftovers(&mut rows, &settings.owner));
    }
    probes.forget_unseen(&platforms, |name| leftovers.iter().any(|job| job.name == name));
    Ok(leftovers)
}
