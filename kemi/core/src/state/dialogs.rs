//! Remembers the dialogs that were seen answered: nobody fills memory by answering calls.
//!
//! An entry is one word, changed by compare-and-swap only: 40 bits of the identity and 24 of the second in which the
//! dialog was answered. An identity may stand in any of eight places, one cache line; the oldest makes room.

use std::sync::atomic::Ordering::{AcqRel, Acquire};

use super::hash::spread;
use super::sparse::Sparse;

/// Seconds that a dialog is remembered: half a day, as long as a call may last without a refresh.
pub const LIFE: i64 = 43200;

const SECONDS: u64 = 0xFF_FFFF;

/// A table of dialogs that all workers share.
pub struct Dialogs(Sparse);

impl Dialogs {
    /// Room for that many dialogs, at least eight. Errors are the operating system's.
    pub fn new(dialogs: usize) -> std::io::Result<Dialogs> {
        Ok(Dialogs(Sparse::new(dialogs)?))
    }

    /// Remembers a dialog, from `now` (seconds) on for `LIFE` seconds.
    pub fn remember(&self, identity: u64, now: u64) {
        let spread = spread(identity);
        let tag = tag_of(spread);
        let fresh = tag << 24 | now & SECONDS;
        let places = self.0.write(spread);
        loop {
            let mut chosen = None;
            for place in places {
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
        self.0.read(spread).iter().any(|place| is_it(place.load(Acquire)))
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
