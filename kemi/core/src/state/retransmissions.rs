//! Tells retransmissions from new messages: of a message's copies that several workers read at once just one is first.
//!
//! An entry is one word, changed by compare-and-swap only: 32 bits of the identity, 22 of the second of the first copy,
//! 10 of the number of copies. An identity may stand in any of eight places, one cache line; the oldest makes room.
//! Places only become younger, so two workers can't both put one identity in: that one of two would have to see the
//! other's place as older than it is, and then its compare-and-swap fails.

use std::sync::atomic::Ordering::{AcqRel, Acquire};

use super::hash::{place, spread};
use super::region::Words;

/// Seconds that a transaction lives: 64*T1 (RFC 3261 17.1.1.2, timers B and F).
pub const TRANSACTION: u64 = 32;

/// Where the number of copies stops.
pub const MOST: u64 = 0x3FF;

const WAYS: usize = 8;
const SECONDS: u64 = 0x3F_FFFF;

/// A table of messages that all workers share.
pub struct Retransmissions {
    words: Words,
    ways: usize,
}

impl Retransmissions {
    /// Room for about that many messages, at least one. Errors are the operating system's.
    pub fn new(slots: usize) -> std::io::Result<Retransmissions> {
        let ways = slots.clamp(1, WAYS);
        Ok(Retransmissions {
            words: Words::shared(slots.max(1) / ways * ways)?,
            ways,
        })
    }

    /// How often this identity was seen within a transaction's life, this time included; `now` in seconds.
    ///
    /// A second back still counts as the same time: another worker may have read the clock before.
    pub fn copies(&self, identity: u64, now: u64) -> u64 {
        let spread = spread(identity);
        let first = place(spread, self.words.len() / self.ways) * self.ways;
        let places = self.words.get(first..first + self.ways).unwrap_or_default();
        let tag = spread & 0xFFFF_FFFF;
        let fresh = tag << 32 | (now & SECONDS) << 10 | 1;
        let is_over = |entry: u64| age(entry, now) > TRANSACTION + 1;
        'again: loop {
            let mut oldest = None;
            for place in places {
                let entry = place.load(Acquire);
                if entry & MOST != 0 && entry >> 32 == tag {
                    let copies = entry & MOST;
                    let next = match (is_over(entry), copies) {
                        (true, _) => fresh,
                        (false, MOST) => return MOST,
                        (false, _) => entry + 1,
                    };
                    match place.compare_exchange(entry, next, AcqRel, Acquire) {
                        Ok(_) => return next & MOST,
                        Err(_) => continue 'again,
                    }
                }
                let since = if entry == 0 { u64::MAX } else { age(entry, now) };
                if oldest.is_none_or(|(_, _, most)| since > most) {
                    oldest = Some((place, entry, since));
                }
            }
            let Some((place, entry, _)) = oldest else { return 1 };
            if place.compare_exchange(entry, fresh, AcqRel, Acquire).is_ok() {
                return 1;
            }
        }
    }
}

/// Seconds since the first copy, and one.
fn age(entry: u64, now: u64) -> u64 {
    now.wrapping_add(1).wrapping_sub(entry >> 10) & SECONDS
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn copies_count_within_a_transaction() {
        let table = Retransmissions::new(64).unwrap();
        assert_eq!(
            [5, 5, 37, 38, 37, 4].map(|now| table.copies(9, now)),
            [1, 2, 3, 1, 2, 1]
        );
        (1..2000).for_each(|number| assert_eq!(table.copies(8, 5), number.min(MOST)));
    }

    #[test]
    fn the_oldest_makes_room() {
        let table = Retransmissions::new(8).unwrap();
        assert!((1..10).all(|name| table.copies(name, name) == 1));
        assert!((2..10).all(|name| table.copies(name, 10) == 2));
        assert_eq!(table.copies(1, 10), 1);
    }

    #[test]
    fn of_copies_seen_at_once_one_is_the_first() {
        let table = Retransmissions::new(1 << 20).unwrap();
        let firsts = std::sync::atomic::AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mine = (0..50_000).filter(|&name| table.copies(name, 5) == 1).count() as u64;
                    firsts.fetch_add(mine, AcqRel);
                });
            }
        });
        assert_eq!(firsts.into_inner(), 50_000);
        assert!((0..50_000).all(|name| table.copies(name, 5) == 5));
    }
}
