//! The page: what was counted, and whether the published one says the same.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::case::{Case, Verdict};
use crate::trouble::Trouble;
use crate::world::{Kind, World};

/// How many cases of one trouble ended how.
#[derive(Clone, Copy, Default)]
struct Counts {
    cases: usize,
    at_once: usize,
    after_one_more: usize,
    reported: usize,
    lost: usize,
}

impl Counts {
    fn add(&mut self, verdict: &Verdict) {
        self.cases += 1;
        match verdict {
            Verdict::AtOnce => self.at_once += 1,
            Verdict::AfterOneMore => self.after_one_more += 1,
            Verdict::Reported(_) => self.reported += 1,
            Verdict::Lost => self.lost += 1,
        }
    }

    fn row(self) -> String {
        let Self { cases, at_once, after_one_more, reported, lost } = self;
        format!("{cases} | {at_once} | {after_one_more} | {reported} | {lost} |")
    }
}

/// What was counted.
#[derive(Default)]
pub(crate) struct Page {
    counts: BTreeMap<(Kind, Trouble), Counts>,
    /// How often each report was given.
    reports: BTreeMap<String, usize>,
    total: Counts,
    /// Console edits that a whole body overwrote unseen.
    n_overwritten: usize,
}

/// Where it stands.
const PATH: &str = "docs/matrix.md";

const HEAD: &str = "| | cases | at once | after one more run | reported | lost |\n| --- | ---: | ---: | ---: | ---: | ---: |\n";

impl Page {
    pub(crate) fn count(&mut self, case: &Case<'_>, verdict: &Verdict) {
        self.counts.entry((case.world.kind, case.trouble)).or_default().add(verdict);
        self.total.add(verdict);
        self.n_overwritten += usize::from(case.is_overwritten());
        if let Verdict::Reported(steps) = verdict {
            *self.reports.entry(steps.join(", ")).or_default() += 1;
        }
    }

    /// Compares it with the published one, or publishes it where `MATRIX_UPDATE` is set.
    #[track_caller]
    pub(crate) fn is_published(&self, worlds: &[World]) {
        let path = crate::cli::sources().join(PATH);
        let text = self.text(worlds);
        if std::env::var_os("MATRIX_UPDATE").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let published = std::fs::read_to_string(&path).unwrap_or_default();
        let differs = published.lines().zip(text.lines()).find(|(published, measured)| published != measured);
        assert!(
            published == text,
            "{PATH} says something else; first: {differs:#?}\n`MATRIX_UPDATE=1` writes it anew"
        );
    }

    fn text(&self, worlds: &[World]) -> String {
        let mut text = INTRODUCTION.to_owned();
        let _ = writeln!(text, "\nThe steps of the plan: {}.\n", worlds[0].steps.join(", "));
        let _ = writeln!(text, "## All together\n\n{HEAD}| all | {}", self.total.row());
        for world in worlds {
            let counts = self.counts.iter().filter(|((kind, _), _)| *kind == world.kind);
            let mut sum = Counts::default();
            let mut rows = String::new();
            for ((_, trouble), counts) in counts {
                let _ = writeln!(rows, "| {} | {}", trouble.words(), counts.row());
                sum.cases += counts.cases;
                sum.at_once += counts.at_once;
                sum.after_one_more += counts.after_one_more;
                sum.reported += counts.reported;
                sum.lost += counts.lost;
            }
            let _ = writeln!(
                text,
                "\n## A server that {}\n\n{} calls without trouble.\n\n{HEAD}{rows}| **all** | {}",
                world.kind.words(),
                world.calls.len(),
                sum.row()
            );
        }
        let _ = writeln!(text, "\n## What was reported\n\n{REPORTS}");
        let _ = writeln!(text, "| outcome and key of the steps that were left | cases |\n| --- | ---: |");
        for (steps, n) in &self.reports {
            let _ = writeln!(text, "| {steps} | {n} |");
        }
        let _ = writeln!(text, "\n## What nobody can see\n\n{UNSEEN}\n\nCases: {}.", self.n_overwritten);
        text
    }
}

const INTRODUCTION: &str = "# The matrix: every fault at every call

One `apply` of ten mixed changes is run again and again against the [simulator](simulator.md), which is each of four servers in turn. In each
run one thing goes wrong at one of its calls: first at call 1, then at call 2, and so on to the last. Then one more `apply` is run without any
trouble, and a `plan`. A trouble that only differs by whether the call was carried out is met once at calls that read.

| | means |
| --- | --- |
| at once | the run did all it planned in spite of the trouble, and the plan after it is empty |
| after one more run | the next run did the rest, and the plan after it is empty |
| reported | something is left, and the next run names it, says why, and what a person must decide |
| lost | anything else. **Must be 0** |

After the run with the trouble, and after the next, every job is compared member by member: each member has its former value, the declared one,
or the one that the console gave it; the content of a job is all former or all declared; no second job is there; what no manifest declares is as
it was; and the **true contents of scripts** behind their paths and the chained rules are compared, not what the answers say of them. A
case in which any of this does not hold is lost.

This page is written by the test and compared with what it measures in every run of `cargo test`. To repeat it:

```console
$ cargo test --test matrix
$ MATRIX_UPDATE=1 cargo test --test matrix     # write this page anew
```
";

const REPORTS: &str = "A create whose answer was lost, and whose job is not in the list, is never sent a second time without a word from a \
person (`--allow-create KEY`): two jobs that patch the same servers are the accident to prevent. A job that was edited in the console is not \
deleted, because somebody may have made it their own.
";

const UNSEEN: &str = "The API has no conditional write. On a server that replaces jobs, the body of an update is the whole \
job as it was read just before; an edit in the console between that read and the write, which are two calls in a row, is \
overwritten with the value of a moment before, and nothing that can be read afterwards tells. That holds for members that \
no manifest declares, too. On servers that merge only the members of the change are sent, and the edit stays.";
