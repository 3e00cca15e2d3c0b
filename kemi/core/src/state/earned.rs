//! Remembers which sources have earned trust: nobody fills memory with it, and it fades by itself.
//!
//! An entry is one word, changed by compare-and-swap only: 32 bits of the source's name, 8 of credit, 24 of the minute in
//! which the last was earned. A proof earns one credit a minute at the most, so that trust takes time whatever the volume; an
//! eighth of a day takes one away. A name may stand in any of eight places, one cache line; the least credit makes room.

use std::sync::atomic::Ordering::{AcqRel, Acquire};

use super::hash::{place, spread};
use super::region::{AtomicU64, SECRET, Words};

/// The most credits that are kept.
pub const MOST: u64 = 9;

/// Minutes in which one credit fades.
pub const FADES: u64 = 180;

const WAYS: usize = 8;
const MINUTE: u64 = 0xFF_FFFF;

/// What a source is known by here; never 0. `key` as in `Source::key`.
pub fn name_of(key: &str) -> u32 {
    SECRET.identity(&[b"source", key.as_bytes()]) as u32 | 1
}

/// A table of sources that all workers share.
pub struct Earned {
    words: Words,
}

impl Earned {
    /// Room for that many sources, at least eight. Errors are the operating system's.
    pub fn new(sources: usize) -> std::io::Result<Earned> {
        Ok(Earned {
            words: Words::shared(sources.max(1).div_ceil(WAYS) * WAYS)?,
        })
    }

    fn places(&self, name: u32) -> &[AtomicU64] {
        let first = place(spread(name.into()), self.words.len() / WAYS) * WAYS;
        self.words.get(first..first + WAYS).unwrap_or_default()
    }

    /// Notes a proof that a source is where it says, at `now` (seconds).
    pub fn earn(&self, name: u32, now: u64) {
        let minute = (now / 60) & MINUTE;
        loop {
            let mut chosen: Option<(&AtomicU64, u64, u64)> = None;
            for place in self.places(name) {
                let entry = place.load(Acquire);
                let credit = credit(entry, minute);
                if entry >> 32 == u64::from(name) && entry != 0 {
                    if entry & MINUTE == minute {
                        return;
                    }
                    chosen = Some((place, entry, credit));
                    break;
                }
                if chosen.is_none_or(|(_, _, least)| credit < least) {
                    chosen = Some((place, entry, credit));
                }
            }
            let Some((place, entry, credit)) = chosen else { return };
            let before = if entry >> 32 == u64::from(name) { credit } else { 0 };
            let fresh = u64::from(name) << 32 | (before + 1).min(MOST) << 24 | minute;
            if place.compare_exchange(entry, fresh, AcqRel, Acquire).is_ok() {
                return;
            }
        }
    }

    /// Whether a source has earned that much (1 to `MOST`) that has not faded.
    pub fn has(&self, name: u32, now: u64, enough: u64) -> bool {
        let minute = (now / 60) & MINUTE;
        self.places(name).iter().any(|place| {
            let entry = place.load(Acquire);
            entry >> 32 == u64::from(name) && credit(entry, minute) >= enough.max(1)
        })
    }

    /// Takes away what a source has earned.
    pub fn lose(&self, name: u32) {
        for place in self.places(name) {
            let entry = place.load(Acquire);
            if entry >> 32 == u64::from(name) {
                // Who earns at the same moment begins anew with the next proof.
                let _ = place.compare_exchange(entry, 0, AcqRel, Acquire);
            }
        }
    }
}

/// What is left of an entry's credit.
fn credit(entry: u64, minute: u64) -> u64 {
    let age = minute.wrapping_sub(entry & MINUTE) & MINUTE;
    // Another worker may have read the clock a minute later.
    let age = if age > MINUTE / 2 { 0 } else { age };
    (entry >> 24 & 0xFF).saturating_sub(age / FADES)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const ENOUGH: u64 = 3;

    fn proven(table: &Earned, name: u32, minutes: std::ops::Range<u64>) {
        minutes.for_each(|minute| table.earn(name, minute * 60));
    }

    #[test]
    fn trust_takes_time_whatever_the_volume_and_fades() {
        let table = Earned::new(64).unwrap();
        (0..1000).for_each(|_| table.earn(7, 600));
        assert!(!table.has(7, 600, ENOUGH));
        proven(&table, 7, 11..13);
        assert!(table.has(7, 13 * 60, ENOUGH));
        assert!(!table.has(7, 13 * 60 + FADES * 60, ENOUGH));
        proven(&table, 7, 13..100);
        assert!(table.has(7, (99 + (MOST - ENOUGH) * FADES + FADES - 1) * 60, ENOUGH));
        assert!(!table.has(7, (99 + (MOST - ENOUGH + 1) * FADES) * 60, ENOUGH));
    }

    #[test]
    fn trust_can_be_lost_and_is_nobody_else_s() {
        let table = Earned::new(8).unwrap();
        proven(&table, 7, 0..5);
        assert!(table.has(7, 300, ENOUGH) && !table.has(8, 300, ENOUGH) && !table.has(0, 300, ENOUGH));
        table.lose(8);
        assert!(table.has(7, 300, ENOUGH));
        table.lose(7);
        assert!(!table.has(7, 300, ENOUGH));
    }

    #[test]
    fn newcomers_push_out_who_has_least() {
        let table = Earned::new(8).unwrap();
        proven(&table, 7, 0..9);
        (100..10_000).for_each(|name| table.earn(name, 600));
        assert!(table.has(7, 600, ENOUGH));
    }
}
