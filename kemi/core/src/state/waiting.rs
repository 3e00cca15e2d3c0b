//! Counts that wait to be written into the log: in the same memory as the tallies, so that nothing is lost while it can't be.
//!
//! A place is laid out as a slot of a page (`tallies`), but its count has the whole word. A key may wait in any of sixteen
//! places. Only the timer process writes here.

use std::sync::atomic::Ordering::{Acquire, Release};

use super::region::Words;
use super::tallies::{KEY_WORDS, SLOT_WORDS, check};

const PLACES: usize = 4096;
const WAYS: usize = 16;

/// What is noted before a count is moved here: from where, which, to where, and what stood there.
const NOTE_WORDS: usize = 8;

pub const WORDS: usize = NOTE_WORDS + PLACES * SLOT_WORDS;

/// Where a key waits.
pub struct Place<'a> {
    words: &'a Words,
    pub at: usize,
}

/// All places; `start` is where this part of the memory begins.
pub fn places(start: usize) -> impl Iterator<Item = usize> {
    (0..PLACES).map(move |number| start + NOTE_WORDS + number * SLOT_WORDS)
}

/// The place of a key, found or made ready; `None` where there is no room.
pub fn place<'a>(words: &'a Words, start: usize, key: &[u64; KEY_WORDS]) -> Option<Place<'a>> {
    let sum = check(key);
    let load = |at: usize| words.get(at).map_or(0, |word| word.load(Acquire));
    let store = |at: usize, value: u64| {
        if let Some(word) = words.get(at) {
            word.store(value, Release);
        }
    };
    let first = sum as usize % (PLACES / WAYS) * WAYS;
    let mut free = None;
    for at in (first..first + WAYS).map(|number| start + NOTE_WORDS + number * SLOT_WORDS) {
        if load(at) == 0 {
            free = free.or(Some(at));
        } else if load(at + 3) == sum && (0..KEY_WORDS).all(|word| load(at + 4 + word) == key[word]) {
            return Some(Place { words, at });
        }
    }
    let at = free?;
    store(at + 1, u64::MAX);
    store(at + 2, 0);
    store(at + 3, sum);
    for (number, &word) in key.iter().enumerate() {
        store(at + 4 + number, word);
    }
    Some(Place { words, at })
}

impl Place<'_> {
    /// Widens what is counted here to these times, in microseconds.
    pub fn touch(&self, first: u64, last: u64) {
        if let Some(word) = self.words.get(self.at + 1) {
            word.fetch_min(first, Release);
        }
        if let Some(word) = self.words.get(self.at + 2) {
            word.fetch_max(last, Release);
        }
    }

    pub fn add(&self, messages: u64) {
        if let Some(word) = self.words.get(self.at) {
            word.fetch_add(messages, Release);
        }
    }
}
