//! Remembers facts about short-lived things: a mark may stand in any of four slots, and the oldest makes room.
//!
//! A slot is two words: seconds (lower half) with value, and the identity XORed with that word. Whoever reads the one
//! of one writer and the other of another gets an identity that is nobody's, so a value is never taken for another's.

use std::sync::atomic::Ordering::{Acquire, Release};

use super::hash::{place, spread};
use super::region::{AtomicU64, Words};

/// Writers that meet on a slot write anew that many times.
const TRIES: usize = 4;

/// Slots of a set, which is one cache line.
const WAYS: usize = 4;

/// A table of marks that all workers share.
pub struct Marks {
    words: Words,
    sets: usize,
}

impl Marks {
    /// Room for that many marks, at least four. Errors are the operating system's.
    pub fn new(slots: usize) -> std::io::Result<Marks> {
        let sets = slots.max(1).div_ceil(WAYS);
        Ok(Marks {
            words: Words::shared(sets * WAYS * 2)?,
            sets,
        })
    }

    fn slots(&self, identity: u64) -> impl Iterator<Item = (&AtomicU64, &AtomicU64)> {
        let first = place(spread(identity), self.sets) * WAYS * 2;
        let set = self.words.get(first..first + WAYS * 2).unwrap_or_default();
        set.chunks_exact(2)
            .filter_map(|slot| Some((slot.first()?, slot.get(1)?)))
    }

    /// Remembers `value` (not 0) for an identity, from `now` (seconds) on.
    pub fn mark(&self, identity: u64, value: u32, now: u64) {
        let new = u64::from(value) << 32 | now & 0xFFFF_FFFF;
        for _ in 0..TRIES {
            let mut chosen: Option<(i64, (&AtomicU64, &AtomicU64))> = None;
            for (name, fact) in self.slots(identity) {
                let known = fact.load(Acquire);
                if known != 0 && name.load(Acquire) ^ known == identity {
                    chosen = Some((0, (name, fact)));
                    break;
                }
                let age = if known == 0 { i64::MAX } else { age(known, now) };
                if chosen.is_none_or(|(oldest, _)| age > oldest) {
                    chosen = Some((age, (name, fact)));
                }
            }
            let Some((_, (name, fact))) = chosen else { return };
            fact.store(new, Release);
            name.store(identity ^ new, Release);
            if fact.load(Acquire) == new && name.load(Acquire) == identity ^ new {
                return;
            }
        }
    }

    /// The value that was remembered within the last `life` seconds, 0 without.
    pub fn marked(&self, identity: u64, now: u64, life: u64) -> u32 {
        let life = life.min(i64::MAX as u64) as i64;
        let mut found = (i64::MAX, 0);
        for (name, fact) in self.slots(identity) {
            let fact = fact.load(Acquire);
            if fact == 0 || name.load(Acquire) ^ fact != identity {
                continue;
            }
            // Two workers that marked it at once may have taken a slot each: the later one's holds.
            let age = age(fact, now);
            if (-1..=life).contains(&age) && age < found.0 {
                found = (age, (fact >> 32) as u32);
            }
        }
        found.1
    }
}

/// Seconds since a mark; below 0 where another worker has read the clock a second later.
fn age(fact: u64, now: u64) -> i64 {
    (now & 0xFFFF_FFFF) as i64 - (fact & 0xFFFF_FFFF) as i64
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
    fn a_set_keeps_four_and_the_oldest_makes_room() {
        let marks = Marks::new(1).unwrap();
        (1..=4).for_each(|name| marks.mark(name, 9, 100 + name));
        assert_eq!([1, 2, 3, 4].map(|name| marks.marked(name, 105, 60)), [9; 4]);
        // Marked anew it stays where it is, and is the youngest.
        marks.mark(1, 8, 105);
        marks.mark(5, 7, 105);
        assert_eq!([1, 2, 3, 4, 5].map(|name| marks.marked(name, 105, 60)), [8, 0, 9, 9, 7]);
    }

    #[test]
    fn a_sixteenth_of_the_room_loses_nothing() {
        let marks = Marks::new(65_536).unwrap();
        (0..4096).for_each(|name| marks.mark(spread(name), 1, 7));
        assert_eq!(
            (0..4096).filter(|&name| marks.marked(spread(name), 7, 9) == 1).count(),
            4096
        );
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
