//! Remembers facts about short-lived things, in a direct-mapped table: of two marks on one slot the later wins.
//!
//! A slot is two words: seconds (lower half) with value, and the identity XORed with that word. Whoever reads the one
//! of one writer and the other of another gets an identity that is nobody's, so a value is never taken for another's.

use std::sync::atomic::Ordering::{Acquire, Release};

use super::hash::{place, spread};
use super::region::{AtomicU64, Words};

/// Writers that meet on a slot write anew that many times.
const TRIES: usize = 4;

/// A table of marks that all workers share.
pub struct Marks {
    words: Words,
}

impl Marks {
    /// Room for that many marks, at least one. Errors are the operating system's.
    pub fn new(slots: usize) -> std::io::Result<Marks> {
        Ok(Marks {
            words: Words::shared(slots.max(1) * 2)?,
        })
    }

    fn slot(&self, identity: u64) -> Option<(&AtomicU64, &AtomicU64)> {
        let first = place(spread(identity), self.words.len() / 2) * 2;
        Some((self.words.get(first)?, self.words.get(first + 1)?))
    }

    /// Remembers `value` (not 0) for an identity, from `now` (seconds) on.
    pub fn mark(&self, identity: u64, value: u32, now: u64) {
        let Some((name, fact)) = self.slot(identity) else {
            return;
        };
        let new = u64::from(value) << 32 | now & 0xFFFF_FFFF;
        for _ in 0..TRIES {
            fact.store(new, Release);
            name.store(identity ^ new, Release);
            if fact.load(Acquire) == new && name.load(Acquire) == identity ^ new {
                return;
            }
        }
    }

    /// The value that was remembered within the last `life` seconds, 0 without.
    pub fn marked(&self, identity: u64, now: u64, life: u64) -> u32 {
        let Some((name, fact)) = self.slot(identity) else {
            return 0;
        };
        let fact = fact.load(Acquire);
        // Another worker may have read the clock a second later.
        let age = (now & 0xFFFF_FFFF) as i64 - (fact & 0xFFFF_FFFF) as i64;
        let is_it = name.load(Acquire) ^ fact == identity && age >= -1 && age <= life.min(i64::MAX as u64) as i64;
        if is_it { (fact >> 32) as u32 } else { 0 }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_mark_lasts_its_life() {
        let marks = Marks::new(64).unwrap();
        assert_eq!(marks.marked(0, 0, 9), 0);
        marks.mark(7, 2, 100);
        assert_eq!(
            [98, 99, 100, 109, 110].map(|now| marks.marked(7, now, 9)),
            [0, 2, 2, 2, 0]
        );
        assert_eq!(marks.marked(8, 100, 9), 0);
    }

    #[test]
    fn a_value_is_never_taken_for_another_s() {
        let marks = Marks::new(1).unwrap();
        std::thread::scope(|scope| {
            for worker in 1..4_u32 {
                let marks = &marks;
                scope.spawn(move || {
                    for round in 0..50_000 {
                        // As identities are: hashes, and no neighbours of each other.
                        marks.mark(spread(worker.into()), worker, round);
                        for name in 1..4 {
                            let found = marks.marked(spread(name.into()), round, u64::MAX);
                            assert!(found == 0 || found == name);
                        }
                    }
                });
            }
        });
    }
}
