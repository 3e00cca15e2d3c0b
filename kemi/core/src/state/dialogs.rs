//! Remembers the dialogs that were seen answered: nobody fills memory by answering calls.
//!
//! An entry is one word, changed by compare-and-swap only: 40 bits of the identity and 24 of the second in which the
//! dialog was answered. An identity may stand in any of eight places, one cache line; the oldest makes room.

use std::sync::atomic::Ordering::{AcqRel, Acquire};

use super::hash::{place, spread};
use super::region::{AtomicU64, Words};

/// Seconds that a dialog is remembered: half a day, as long as a call may last without a refresh.
pub const LIFE: i64 = 43200;

const WAYS: usize = 8;
const SECONDS: u64 = 0xFF_FFFF;

/// Entries of a page of memory, as the processor maps it.
const PAGE: usize = 512;

/// A table of dialogs that all workers share.
pub struct Dialogs {
    words: Words,
    /// A bit for each page that has an entry. Where it is not set nothing is read: a table in which little stands takes little
    /// memory, though all traffic is looked up in it.
    used: Words,
}

impl Dialogs {
    /// Room for that many dialogs, at least eight. Errors are the operating system's.
    pub fn new(dialogs: usize) -> std::io::Result<Dialogs> {
        let words = Words::shared(dialogs.max(1).div_ceil(WAYS) * WAYS)?;
        let used = Words::shared(words.len().div_ceil(PAGE).div_ceil(64))?;
        Ok(Dialogs { words, used })
    }

    fn first(&self, spread: u64) -> usize {
        place(spread, self.words.len() / WAYS) * WAYS
    }

    fn places(&self, first: usize) -> &[AtomicU64] {
        self.words.get(first..first + WAYS).unwrap_or_default()
    }

    /// The word and the bit for the page that an entry is on.
    fn page(&self, first: usize) -> Option<(&AtomicU64, u64)> {
        let page = first / PAGE;
        Some((self.used.get(page / 64)?, 1 << (page % 64)))
    }

    /// Remembers a dialog, from `now` (seconds) on for `LIFE` seconds.
    pub fn remember(&self, identity: u64, now: u64) {
        let spread = spread(identity);
        let tag = tag_of(spread);
        let fresh = tag << 24 | now & SECONDS;
        let first = self.first(spread);
        if let Some((used, bit)) = self.page(first) {
            used.fetch_or(bit, AcqRel);
        }
        loop {
            let mut chosen = None;
            for place in self.places(first) {
                let entry = place.load(Acquire);
                if entry >> 24 == tag {
                    chosen = Some((place, entry, i64::MAX));
                    break;
                }
                let since = if entry == 0 { i64::MAX - 1 } else { age(entry, now) };
                if chosen.is_none_or(|(_, _, most)| since > most) {
                    chosen = Some((place, entry, since));
                }
            }
            let Some((place, entry, _)) = chosen else { return };
            if entry == fresh || place.compare_exchange(entry, fresh, AcqRel, Acquire).is_ok() {
                return;
            }
        }
    }

    /// Whether that dialog was remembered within its life.
    pub fn knows(&self, identity: u64, now: u64) -> bool {
        let spread = spread(identity);
        let is_it = |entry: u64| entry >> 24 == tag_of(spread) && age(entry, now) <= LIFE;
        let first = self.first(spread);
        self.page(first)
            .is_some_and(|(used, bit)| used.load(Acquire) & bit != 0)
            && self.places(first).iter().any(|place| is_it(place.load(Acquire)))
    }
}

/// Never 0, so that an entry isn't either.
fn tag_of(spread: u64) -> u64 {
    spread & 0xFF_FFFF_FFFF | 1
}

/// Seconds since then; a little below 0 where another worker's clock was read later.
fn age(entry: u64, now: u64) -> i64 {
    let age = now.wrapping_sub(entry) & SECONDS;
    if age > SECONDS / 2 {
        age as i64 - SECONDS as i64 - 1
    } else {
        age as i64
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_dialog_is_known_for_its_life_and_the_oldest_makes_room() {
        let table = Dialogs::new(8).unwrap();
        table.remember(7, 100);
        assert_eq!(
            [99, 100, 43300, 43301].map(|now| table.knows(7, now)),
            [true, true, true, false]
        );
        let table = Dialogs::new(8).unwrap();
        (1..10).for_each(|name| table.remember(name, name));
        assert!(!table.knows(1, 9) && (2..10).all(|name| table.knows(name, 9)));
    }
}
