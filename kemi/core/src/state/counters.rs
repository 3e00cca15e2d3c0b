//! Counters of the running window and the one before, exact across all workers, in a fixed piece of memory.
//!
//! An entry is one word that is only changed by compare-and-swap: 28 bits of the name, 12 of the window, 24 of the
//! count. A name has eight places, one cache line; a place whose window is over is free. Nothing is locked, so a worker
//! that is killed leaves nothing behind. The window's 12 bits come round after 4096 windows (68 hours of minutes);
//! `sweep` at least once in that time keeps an entry of then from being taken for one of now.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};

use super::hash::{place, spread};
use super::region::{AtomicU64, Words};

const WAYS: usize = 8;
const WINDOW: u64 = 0xFFF;

/// Where a counter stops.
pub const MOST: u64 = 0xFF_FFFF;

/// A table of counters that all workers share.
pub struct Counters {
    words: Words,
    sets: usize,
    /// How many counters may begin in a window.
    capacity: u64,
    /// The running window (upper half) and how many began in it.
    begun: Words,
}

impl Counters {
    /// Room for `capacity` counters of a window, and as many of the one before: eight places for each, some have
    /// neighbours. Errors are the operating system's.
    pub fn new(capacity: usize) -> std::io::Result<Counters> {
        let sets = capacity.max(1).next_power_of_two();
        Ok(Counters {
            words: Words::shared(sets * WAYS)?,
            sets,
            capacity: capacity.max(1) as u64,
            begun: Words::shared(1)?,
        })
    }

    fn places(&self, spread: u64) -> &[AtomicU64] {
        let first = place(spread, self.sets) * WAYS;
        self.words.get(first..first + WAYS).unwrap_or_default()
    }

    /// Raises a counter by `amount` in one go and returns it; 0 where no place is left. It stops at `MOST`.
    ///
    /// `window` is the running one. One name belongs to one window, and carries the window's number in what it is
    /// hashed from.
    pub fn increase(&self, identity: u64, window: u64, amount: u64) -> u64 {
        let spread = spread(identity);
        let (places, name) = (self.places(spread), name_of(spread));
        let amount = amount.min(MOST);
        'again: loop {
            let mut free = None;
            for place in places {
                let mut entry = place.load(Acquire);
                if !is_live(entry, window) {
                    free = free.or(Some((place, entry)));
                    continue;
                }
                while entry >> 36 == name {
                    let count = (entry & MOST).saturating_add(amount).min(MOST);
                    if count == entry & MOST {
                        return count;
                    }
                    match place.compare_exchange_weak(entry, entry & !MOST | count, AcqRel, Acquire) {
                        Ok(_) => return count,
                        // Another worker was faster; or the place is another's by now.
                        Err(now) if now >> 36 != name => continue 'again,
                        Err(now) => entry = now,
                    }
                }
            }
            let Some((place, old)) = free else { return 0 };
            let count = amount;
            if place
                .compare_exchange(old, name << 36 | (window & WINDOW) << 24 | count, AcqRel, Acquire)
                .is_ok()
            {
                self.begin(window);
                return count;
            }
        }
    }

    fn begin(&self, window: u64) {
        let Some(word) = self.begun.first() else { return };
        let mut known = word.load(Acquire);
        loop {
            let count = if known >> 32 == window & 0xFFFF_FFFF {
                (known & 0xFFFF_FFFF) + 1
            } else {
                1
            };
            // A worker that is late counts for the window that runs by now.
            match word.compare_exchange_weak(known, (window & 0xFFFF_FFFF) << 32 | count, AcqRel, Acquire) {
                Ok(_) => return,
                Err(now) => known = now,
            }
        }
    }

    /// How many counters began in a window.
    pub fn begun(&self, window: u64) -> u64 {
        let known = self.begun.first().map_or(0, |word| word.load(Acquire));
        if known >> 32 == window & 0xFFFF_FFFF {
            known & 0xFFFF_FFFF
        } else {
            0
        }
    }

    /// Whether a name may have a counter of its own in a window: while they are not all given out; and who has one, or had
    /// one in the window before (`before` names it), so that a flood of forged sources does not push out those who were
    /// there.
    pub fn admits(&self, identity: u64, before: impl FnOnce() -> u64, window: u64) -> bool {
        self.begun(window) < self.capacity || self.get(identity, window) > 0 || self.get(before(), window) > 0
    }

    /// A counter as it stands, 0 where there is none.
    pub fn get(&self, identity: u64, window: u64) -> u64 {
        let spread = spread(identity);
        let name = name_of(spread);
        let entries = self.places(spread).iter().map(|place| place.load(Acquire));
        entries
            .into_iter()
            .find(|&entry| entry >> 36 == name && is_live(entry, window))
            .map_or(0, |entry| entry & MOST)
    }

    /// Whether none ever began, so that there is nothing to look through, which would take memory for all of the table.
    fn is_fresh(&self) -> bool {
        self.begun.first().is_none_or(|word| word.load(Acquire) == 0)
    }

    /// All counters begin anew.
    pub fn forget(&self) {
        if self.is_fresh() {
            return;
        }
        for place in self.words.iter() {
            if place.load(Acquire) != 0 {
                place.store(0, Release);
            }
        }
        if let Some(word) = self.begun.first() {
            word.store(0, Release);
        }
    }

    /// Frees the places whose window is over, and returns how many there were; for the timer process.
    pub fn sweep(&self, window: u64) -> usize {
        if self.is_fresh() {
            return 0;
        }
        let over = |place: &&AtomicU64| {
            let entry = place.load(Acquire);
            entry != 0 && !is_live(entry, window) && place.compare_exchange(entry, 0, AcqRel, Acquire).is_ok()
        };
        self.words.iter().filter(over).count()
    }
}

/// Of the window, the one before, or, to a writer that is a little late, the next one.
fn is_live(entry: u64, window: u64) -> bool {
    entry != 0 && (window.wrapping_add(1).wrapping_sub(entry >> 24) & WINDOW) <= 2
}

/// Tells names of one set apart, and is never 0.
fn name_of(spread: u64) -> u64 {
    spread & 0xFFF_FFFF | 1
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn counters_live_for_their_window_and_the_next() {
        let counters = Counters::new(16).unwrap();
        assert_eq!([1, 1, 3].map(|amount| counters.increase(9, 4095, amount)), [1, 2, 5]);
        assert_eq!([4095, 4096, 4097].map(|window| counters.get(9, window)), [5, 5, 0]);
        assert_eq!(counters.increase(9, 4097, 1), 1);
        assert_eq!(
            (counters.sweep(4098), counters.sweep(4099), counters.get(9, 4097)),
            (0, 1, 0)
        );
    }

    #[test]
    fn a_full_set_says_so_and_stays_as_it_is() {
        let counters = Counters::new(1).unwrap();
        let given = (0..100).filter(|&name| counters.increase(name, 1, 1) == 1).count();
        assert_eq!(given, 8);
        assert_eq!(counters.increase(1000, 1, 1), 0);
        assert_eq!(counters.increase(1000, 3, MOST + 9), MOST);
        assert_eq!(counters.increase(1000, 3, 1), MOST);
    }

    #[test]
    fn none_is_lost_among_threads() {
        let counters = Counters::new(4).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..80_000).for_each(|number| assert_ne!(counters.increase(number % 8, 7, 1), 0)));
            }
        });
        assert_eq!([0, 1, 2, 3, 4, 5, 6, 7].map(|name| counters.get(name, 7)), [40_000; 8]);
    }
}
