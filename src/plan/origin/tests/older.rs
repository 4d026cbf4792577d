//! Stamp and base, of which one is older than the other.

use super::*;

/// The stamp is older than a base for which nothing had to be written, and younger than one that another run left behind.
#[test]
fn a_stamp_and_a_base_of_which_one_is_older() {
    use Origin::{Both, Console, Git, Unknown};
    let [a, b, c] = ["  timeout: 60\n", "  timeout: 90\n", "  timeout: 120\n"].map(manifest);
    let digest = |manifest: &Manifest| stamp::declared_digest(manifest.as_declared());
    // The stamp on the job, the one after our last write, base, desired, live, editor.
    for (words, stamp, seen, base, desired, live, editor, expected) in [
        ("accepted, and put back", &a, Some(&a), &b, &b, &a, "anna", Console),
        ("the same, and Git moved on", &a, Some(&a), &b, &c, &a, "anna", Both),
        ("the same, not known what was left", &a, None, &b, &b, &a, "anna", Console),
        ("accepted, and only Git moved on", &a, Some(&a), &b, &c, &b, "anna", Git),
        ("accepted, and edited again", &a, Some(&a), &b, &b, &c, "anna", Console),
        ("accepted, our own edit", &a, Some(&a), &b, &b, &a, US, Git),
        ("written from elsewhere", &b, Some(&a), &a, &c, &b, "anna", Git),
        ("written from elsewhere, and reverted in Git", &b, Some(&a), &a, &a, &b, "anna", Git),
        ("written from elsewhere, then edited", &c, Some(&a), &a, &b, &c, "anna", Unknown),
        ("written from elsewhere, and reverted, then edited", &c, Some(&b), &a, &a, &c, "anna", Unknown),
        ("left by us, then edited", &a, Some(&a), &a, &b, &c, "anna", Both),
    ] {
        let left = Left {
            id: ID.to_owned(),
            at: WRITTEN,
            content_at: Some(WRITTEN),
            user: Some(US.to_owned()),
            status: None,
            declared: seen.map(digest),
            since_applied: false,
        };
        // Where it is as it was left, nothing else was edited.
        let elsewhere = words.ends_with("edited");
        let (stamp, base, left) = (Some(stamp.clone()), at(base), Some(left));
        let speaks = Speaks { stamp, base, applied_at: Some(APPLIED), left, editor: Some(editor), elsewhere };
        let steps = steps(desired, live, &speaks, Decisions::default());
        assert_eq!(origin(&steps, "/timeout"), Some(expected), "{words}");
    }
}
