//! Random choices that can be repeated, and made simpler when a test fails.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};

/// Where a run of choices begins and after how many of them all are the simplest one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Roll {
    pub(crate) seed: u64,
    pub(crate) length: usize,
}

/// More choices than any test draws.
const ENDLESS: usize = usize::MAX;

/// A source of choices: the first ones random, the rest the simplest, which is always number 0.
///
/// Shrinking `length` makes a failing case simpler from its end on, whatever is drawn in between.
#[derive(Clone, Debug)]
pub(crate) struct Dice {
    state: u64,
    left: usize,
}

impl Dice {
    pub(crate) fn new(roll: Roll) -> Self {
        Self { state: roll.seed, left: roll.length }
    }

    pub(crate) fn seeded(seed: u64) -> Self {
        Self::new(Roll { seed, length: ENDLESS })
    }

    /// The next choice: SplitMix64, which needs no state but a number.
    fn next(&mut self) -> u64 {
        if self.left == 0 {
            return 0;
        }
        self.left -= 1;
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `n`, without `n`; `n` must be more than 0.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        let n = u64::try_from(n).expect("a small number");
        usize::try_from(self.next() % n).expect("less than n")
    }

    /// A number from `low` to `high`, both included; the simplest is `low`.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = usize::try_from(high - low).expect("low is not more than high");
        low + i64::try_from(self.below(span + 1)).expect("within the bounds")
    }

    /// Yes in so many of a hundred cases; the simplest is no.
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) + percent >= 100
    }

    /// One of several; the simplest is the first.
    pub(crate) fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }

    /// Brings a list into any order.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, at - self.below(at + 1));
        }
    }
}

/// Any run of choices; a job takes about two hundred.
pub(crate) fn rolls(most: usize) -> impl Strategy<Value = Roll> {
    (any::<u64>().no_shrink(), 0..most).prop_map(|(seed, length)| Roll { seed, length })
}

/// So many cases, the same in every run; `PROPTEST_CASES` and the like take over where they are set.
pub(crate) fn config(cases: u32) -> Config {
    let set = Config::default();
    if set.cases != 256 || set.rng_seed != RngSeed::Random {
        return Config { failure_persistence: None, ..set };
    }
    Config {
        cases,
        rng_seed: RngSeed::Fixed(0x7061_7463_6863_746c),
        failure_persistence: None,
        max_shrink_iters: 400,
        ..set
    }
}
