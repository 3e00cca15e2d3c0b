//! Says which records of a flood are written and which are only counted.

use std::collections::HashSet;
use std::sync::atomic::Ordering::{AcqRel, Acquire};

use crate::state::region::Words;

/// Kinds of decision that one process writes in a second after the budget is spent, one record each.
const KINDS: usize = 64;

/// The server's budget of bytes a second, and what one process has seen of this second. What repeats beyond the budget is
/// counted; what is new in this second is written still.
pub struct Throttle {
    /// The second (upper half), and how many bytes all processes have written in it.
    spent: Words,
    /// Bytes a second; 0: no bound.
    budget: u64,
    second: u64,
    seen: HashSet<u64>,
}

const BYTES: u64 = 0xFFFF_FFFF;

/// Seconds by which a process that had to wait may be late. Further back the clock was set.
const LATE: u64 = 2;

impl Throttle {
    /// `spent`: one word that all processes share.
    pub fn new(spent: Words, budget: u64) -> Self {
        Self {
            spent,
            budget,
            second: 0,
            seen: HashSet::new(),
        }
    }

    /// Whether a decision gets its own record. `kind` tells decisions apart that an operator would, whoever sent them.
    pub fn writes(&mut self, kind: u64, second: u64) -> bool {
        if self.second != second {
            self.second = second;
            self.seen.clear();
        }
        let spent = self.spent.first().map_or(0, |word| word.load(Acquire));
        let is_left = self.budget == 0 || !runs(spent, second) || spent & BYTES < self.budget;
        if is_left {
            if self.seen.len() < KINDS {
                self.seen.insert(kind);
            }
            return true;
        }
        self.seen.len() < KINDS && self.seen.insert(kind)
    }

    /// Takes a record's bytes from the budget.
    pub fn spend(&self, bytes: usize, second: u64) {
        let Some(word) = self.spent.first() else { return };
        let mut known = word.load(Acquire);
        loop {
            // A process that is late counts for the second that runs by now: were that one begun anew, the next would begin
            // this one anew, and so on without an end to the budget.
            let (of, base) = if runs(known, second) {
                (known >> 32, known & BYTES)
            } else {
                (second & BYTES, 0)
            };
            let next = of << 32 | (base + bytes as u64).min(BYTES);
            match word.compare_exchange_weak(known, next, AcqRel, Acquire) {
                Ok(_) => return,
                Err(now) => known = now,
            }
        }
    }
}

/// Whether what is spent counts against a record of that second: it is of that one, or of the next few.
fn runs(spent: u64, second: u64) -> bool {
    (spent >> 32).wrapping_sub(second) & BYTES <= LATE
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_repeats_beyond_the_budget_is_counted_and_what_is_new_is_written() {
        let spent = Words::shared(1).unwrap();
        let (mut one, mut other) = (Throttle::new(spent.clone(), 1000), Throttle::new(spent, 1000));
        assert!(one.writes(1, 7) && other.writes(1, 7));
        one.spend(600, 7);
        other.spend(600, 7);
        assert!(!one.writes(1, 7) && !other.writes(1, 7));
        assert!(one.writes(2, 7) && !one.writes(2, 7));
        // A flood of new kinds has a bound too.
        assert_eq!((0..1000).filter(|&kind| one.writes(kind, 7)).count(), KINDS - 2);
        assert!(one.writes(1, 8));
    }

    #[test]
    fn who_is_late_does_not_begin_the_second_anew() {
        let spent = Words::shared(1).unwrap();
        let (mut one, mut late) = (Throttle::new(spent.clone(), 1000), Throttle::new(spent, 1000));
        assert!(one.writes(1, 8) && late.writes(1, 7));
        one.spend(900, 8);
        late.spend(200, 7);
        assert!(!one.writes(1, 8) && !late.writes(1, 7));
        // A clock that was set back has a budget, too.
        assert!(late.writes(1, 4));
        late.spend(1000, 4);
        assert!(!late.writes(1, 4));
    }

    #[test]
    fn no_budget_is_no_bound() {
        let mut throttle = Throttle::new(Words::shared(1).unwrap(), 0);
        throttle.spend(1 << 40, 7);
        assert!((0..1000).all(|_| throttle.writes(1, 7)));
    }
}
