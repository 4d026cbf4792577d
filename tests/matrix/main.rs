#![expect(
    clippy::disallowed_methods,
    reason = "runs the real program against a simulator on a loopback socket, in folders of its own"
)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails, with the line")]

//! The matrix: one plan of ten mixed changes, on each of four servers, with everything that can go wrong at each of its
//! calls, one by one, and with the program killed at each of them.
//!
//! After each, one more `apply` must bring the plan to empty, or report precisely what a person must decide; and no job
//! may be in a state that neither the manifests nor the former live jobs nor the console describe. What is counted
//! stands in `docs/matrix.md`, and this test fails where the page says something else;
//! `MATRIX_UPDATE=1 cargo test --test matrix` writes it anew.
//!
//! `world` is the plan and its servers, `trouble` what goes wrong, `case` one run through it all, `oracle` what must
//! hold of the jobs, `page` the page.

#[allow(dead_code, reason = "shared with the tests of the commands")]
#[path = "../cli/support.rs"]
mod cli;
#[allow(dead_code, reason = "shared with the tests of the life of jobs")]
#[path = "../lifecycle/run.rs"]
mod run;
#[path = "../support/mod.rs"]
mod support;

mod case;
mod oracle;
mod page;
mod trouble;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::case::{Case, Verdict};
use crate::page::Page;
use crate::trouble::Trouble;
use crate::world::{Kind, World};

/// Cases at a time: they wait more than they work.
const N_WORKERS: usize = 12;

#[test]
fn the_matrix_is_as_published() {
    let worlds: Vec<World> = Kind::ALL.into_iter().map(World::of).collect();
    let mut cases = Vec::new();
    for world in &worlds {
        for trouble in Trouble::ALL {
            let calls = (1..=world.calls.len()).filter(|nth| trouble.is_met(world, *nth));
            cases.extend(calls.map(|nth| Case { world, trouble, nth }));
        }
    }
    // Those that wait first, so that the others have the processors meanwhile.
    cases.sort_by_key(|case| !case.trouble.waits());
    let next = AtomicUsize::new(0);
    let page = Mutex::new(Page::default());
    let lost = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..N_WORKERS {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let lived =
                        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case.live_through()));
                    let verdict = lived.unwrap_or_else(|panic| {
                        let words = panic.downcast_ref::<String>().map_or("no words", String::as_str);
                        lost.lock().unwrap().push(format!("{case}\n{words}"));
                        Verdict::Lost
                    });
                    page.lock().unwrap().count(case, &verdict);
                }
            });
        }
    });
    let mut lost = lost.into_inner().unwrap();
    lost.sort();
    assert!(lost.is_empty(), "{} of {} are lost:\n{}", lost.len(), cases.len(), lost.join("\n\n"));
    page.into_inner().unwrap().is_published(&worlds);
}
