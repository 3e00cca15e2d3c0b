//! Remembers which sources have earned trust: nobody fills memory with it, and it fades by itself.
//!
//! An entry is one word, changed by compare-and-swap only: 32 bits of the source's name, 8 of credit, 24 of the minute in
//! which the last was earned. A proof earns one credit a minute at the most, so that trust takes time whatever the volume; so many
//! minutes without a proof take one away. A name may stand in any of eight places, one cache line; a newcomer takes the place of
//! who has shown itself once or has nothing left, and of nobody else.

use std::sync::atomic::Ordering::{AcqRel, Acquire};

use super::hash::spread;
use super::region::{AtomicU64, SECRET};
use super::sparse::Sparse;

/// The most credits that are kept.
pub const MOST: u64 = 9;

/// Minutes between two tellings of a source that has all its credits.
const TOLD: u64 = 15;

const MINUTE: u64 = 0xFF_FFFF;

/// When trust is there, and how it goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Credits that are enough for standing, 1 to `MOST`; 0: nobody has any.
    pub enough: u64,
    /// Minutes without a proof in which one credit fades, from 1 on.
    pub fades: u64,
}

/// What a source is known by here; never 0. `key` as in `Source::key`.
pub fn name_of(key: &str) -> u32 {
    SECRET.identity(&[b"source", key.as_bytes()]) as u32 | 1
}

/// A table of sources that all workers share.
pub struct Earned {
    /// Strangers are asked for with each message, and most have nothing.
    words: Sparse,
}

impl Earned {
    /// Room for that many sources, at least eight. Errors are the operating system's.
    pub fn new(sources: usize) -> std::io::Result<Earned> {
        Ok(Earned {
            words: Sparse::new(sources)?,
        })
    }

    /// Empty where it is certain that the name has none.
    fn places(&self, name: u32) -> &[AtomicU64] {
        self.words.read(spread(name.into()))
    }

    /// Notes a proof that a source is where it says, at `now` (seconds). Returns its credit where that is worth telling: it has
    /// grown, or was not told for a while.
    pub fn earn(&self, name: u32, now: u64, terms: Terms) -> Option<u64> {
        let minute = (now / 60) & MINUTE;
        loop {
            let (place, entry) = self.place_for(name, minute, terms)?;
            let is_known = is_of(entry, name);
            if is_known && entry & MINUTE == minute {
                return None;
            }
            let before = if is_known { credit(entry, minute, terms) } else { 0 };
            let after = (before + 1).min(MOST);
            if place
                .compare_exchange(entry, word(name, after, minute), AcqRel, Acquire)
                .is_ok()
            {
                let is_news = after > before || minute / TOLD != (entry & MINUTE) / TOLD;
                return is_news.then_some(after);
            }
        }
    }

    /// The place of a name, or one that it may take; `None` where all belong to others that have more than a first proof.
    fn place_for(&self, name: u32, minute: u64, terms: Terms) -> Option<(&AtomicU64, u64)> {
        let mut least: Option<(&AtomicU64, u64, (u64, u64))> = None;
        for place in self.words.write(spread(name.into())) {
            let entry = place.load(Acquire);
            if is_of(entry, name) {
                return Some((place, entry));
            }
            let credit = credit(entry, minute, terms);
            // Of equals the one that was seen longest ago.
            let rank = (credit, MINUTE - age(entry, minute));
            if credit <= 1 && least.is_none_or(|(_, _, known)| rank < known) {
                least = Some((place, entry, rank));
            }
        }
        least.map(|(place, entry, _)| (place, entry))
    }

    /// Takes over what was known of a source before a restart, or is known elsewhere: `credit` as of `age` minutes before `now`
    /// (seconds). Who has as much already keeps that.
    pub fn restore(&self, name: u32, credit: u64, age: u64, now: u64, terms: Terms) {
        let minute = (now / 60) & MINUTE;
        let then = minute.wrapping_sub(age.min(MINUTE / 2)) & MINUTE;
        let fresh = word(name, credit.min(MOST), then);
        loop {
            let Some((place, entry)) = self.place_for(name, minute, terms) else {
                return;
            };
            let left = |word: u64| left(word, minute, terms);
            if is_of(entry, name) && left(entry) >= left(fresh) || left(fresh) == 0 {
                return;
            }
            if place.compare_exchange(entry, fresh, AcqRel, Acquire).is_ok() {
                return;
            }
        }
    }

    /// What is left of a source's credit at `now` (seconds).
    pub fn credit(&self, name: u32, now: u64, terms: Terms) -> u64 {
        let minute = (now / 60) & MINUTE;
        let entries = self.places(name).iter().map(|place| place.load(Acquire));
        let own = entries.into_iter().find(|&entry| is_of(entry, name));
        own.map_or(0, |entry| credit(entry, minute, terms))
    }

    /// Whether a source has standing: enough was earned that has not faded.
    pub fn has(&self, name: u32, now: u64, terms: Terms) -> bool {
        terms.enough > 0 && self.credit(name, now, terms) >= terms.enough
    }

    /// How many sources have standing.
    pub fn count(&self, now: u64, terms: Terms) -> usize {
        let minute = (now / 60) & MINUTE;
        let entries = self.words.all().map(|place| place.load(Acquire));
        let stands = |&entry: &u64| terms.enough > 0 && credit(entry, minute, terms) >= terms.enough;
        entries.filter(stands).count()
    }

    /// Takes away what a source has earned; whether there was anything.
    pub fn lose(&self, name: u32) -> bool {
        let mut lost = false;
        for place in self.places(name) {
            let mut entry = place.load(Acquire);
            while is_of(entry, name) {
                match place.compare_exchange(entry, 0, AcqRel, Acquire) {
                    Ok(_) => {
                        lost = true;
                        break;
                    }
                    // It earned at the same moment.
                    Err(now) => entry = now,
                }
            }
        }
        lost
    }
}

fn word(name: u32, credit: u64, minute: u64) -> u64 {
    u64::from(name) << 32 | credit << 24 | minute
}

fn is_of(entry: u64, name: u32) -> bool {
    entry != 0 && entry >> 32 == u64::from(name)
}

/// Minutes since an entry's last proof.
fn age(entry: u64, minute: u64) -> u64 {
    let age = minute.wrapping_sub(entry & MINUTE) & MINUTE;
    // Another worker may have read the clock a minute later.
    if age > MINUTE / 2 { 0 } else { age }
}

/// What is left of an entry's credit.
fn credit(entry: u64, minute: u64, terms: Terms) -> u64 {
    (entry >> 24 & 0xFF).saturating_sub(age(entry, minute) / terms.fades.max(1))
}

/// Minutes that an entry's credit still lasts.
fn left(entry: u64, minute: u64, terms: Terms) -> u64 {
    ((entry >> 24 & 0xFF) * terms.fades.max(1)).saturating_sub(age(entry, minute))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const TERMS: Terms = Terms { enough: 3, fades: 180 };

    fn proven(table: &Earned, name: u32, minutes: std::ops::Range<u64>) {
        minutes.for_each(|minute| {
            table.earn(name, minute * 60, TERMS);
        });
    }

    #[test]
    fn trust_takes_time_whatever_the_volume_and_fades() {
        let table = Earned::new(64).unwrap();
        (0..1000).for_each(|_| {
            table.earn(7, 600, TERMS);
        });
        assert!(!table.has(7, 600, TERMS));
        proven(&table, 7, 11..13);
        assert!(table.has(7, 13 * 60, TERMS));
        assert!(!table.has(7, 13 * 60 + TERMS.fades * 60, TERMS));
        proven(&table, 7, 13..100);
        let last = 99 + (MOST - TERMS.enough + 1) * TERMS.fades;
        assert!(table.has(7, (last - 1) * 60, TERMS) && !table.has(7, last * 60, TERMS));
        assert!(!table.has(7, 99 * 60, Terms { enough: 0, ..TERMS }));
        assert_eq!((table.count(100 * 60, TERMS), table.count(last * 60, TERMS)), (1, 0));
    }

    #[test]
    fn trust_can_be_lost_and_is_nobody_else_s() {
        let table = Earned::new(8).unwrap();
        proven(&table, 7, 0..5);
        let has = |name| table.has(name, 300, TERMS);
        assert!(has(7) && !has(8) && !has(0));
        assert!(!table.lose(8) && has(7));
        assert!(table.lose(7) && !has(7));
    }

    #[test]
    fn newcomers_push_out_nobody_who_has_shown_itself_twice() {
        let table = Earned::new(8).unwrap();
        (1..=8).for_each(|name| proven(&table, name, 0..3));
        (100..10_000).for_each(|name| {
            table.earn(name, 600, TERMS);
        });
        assert!((1..=8).all(|name| table.has(name, 600, TERMS)));
        // What has faded makes room.
        let later = 60 * TERMS.fades * 3;
        assert_eq!(table.earn(100, later, TERMS), Some(1));
    }

    #[test]
    fn what_is_told_is_what_is_new() {
        let table = Earned::new(8).unwrap();
        let told: Vec<_> = (0..40).map(|minute| table.earn(7, minute * 60, TERMS)).collect();
        assert_eq!(told[..9], [1, 2, 3, 4, 5, 6, 7, 8, 9].map(Some));
        assert_eq!(told[9..].iter().filter(|told| told.is_some()).count(), 2);
    }

    #[test]
    fn what_was_earned_elsewhere_or_before_counts_by_its_age() {
        let table = Earned::new(8).unwrap();
        // A machine that has just started: the proof is older than its clock.
        table.restore(7, 4, 200, 60, TERMS);
        assert_eq!(table.credit(7, 60, TERMS), 3);
        table.restore(7, 2, 0, 60, TERMS);
        assert_eq!(table.credit(7, 60, TERMS), 3);
        table.restore(7, 9, 0, 60, TERMS);
        assert_eq!(table.credit(7, 60, TERMS), 9);
        table.restore(8, 9, 9 * TERMS.fades, 60, TERMS);
        assert_eq!(table.credit(8, 60, TERMS), 0);
    }

    #[test]
    fn what_is_lost_is_lost_whoever_earns_meanwhile() {
        let table = Earned::new(8).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| proven(&table, 7, 0..20_000));
            scope.spawn(|| {
                (0..20_000).for_each(|_| {
                    table.lose(7);
                })
            });
        });
        table.lose(7);
        assert_eq!(table.credit(7, 20_000 * 60, TERMS), 0);
    }
}
