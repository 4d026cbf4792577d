//! What is held until somebody decides, and what decides it.

use super::*;

#[test]
fn what_is_held_and_what_decides_it() {
    use crate::plan::ConsoleChanges::{Hold, Revert};
    let [a, b, c] = ["  timeout: 60\n", "  timeout: 90\n", "  timeout: 120\n"].map(manifest);
    for (words, desired, live, console, is_overridden, is_held, by_plan) in [
        ("git", &b, &a, Hold, false, false, false),
        ("console", &a, &b, Revert, false, false, false),
        ("console, hold", &a, &b, Hold, false, true, false),
        ("console, hold, overridden", &a, &b, Hold, true, false, false),
        ("both", &b, &c, Revert, false, true, true),
        ("both, overridden", &b, &c, Revert, true, false, false),
    ] {
        let overridden = is_overridden.then(|| "k".to_owned()).into_iter().collect();
        let steps = steps(desired, live, &agreeing(&a), Decisions { console, overridden });
        let [step] = steps.as_slice() else { panic!("{words}: {steps:?}") };
        assert_eq!(step.action == Action::Held, is_held, "{words}");
        assert_eq!(step.request.is_none(), is_held, "{words}");
        assert_eq!(step.waiting.is_some(), by_plan, "{words}");
        if is_held {
            assert!(
                step.reason.contains("last edited by anna on 1970-01-01 at 00:00 UTC"),
                "{}",
                step.reason
            );
        }
    }
}
