//! Counts messages that get no record of their own, in shared memory, so that no worker's death loses a count.
//!
//! A worker has two pages and writes one while the other is read. A page belongs to one interval and has 256 slots. A
//! slot: a word with the interval (24 bits) and the count (40), first and last time in microseconds, a check over the
//! key, the key. The timer process moves the counts of finished intervals to a place where they wait (`waiting.rs`) until they
//! are written: a count is taken out by compare-and-swap on its word, which fails where the slot means another interval by
//! then. While a page was not emptied, its worker goes on in the other one, for longer than an interval: nothing is lost.
//!
//! All of it is one segment of shared memory that outlives the server (`Region::kept`), so that `kill -9` loses no count; a
//! file beside the log (`snapshot.rs`) is for when the machine stops.

#[cfg(not(all(loom, test)))]
mod kept;
mod key;
mod writer;

use std::io;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};

use super::region::{AtomicU64, Words};
use super::waiting::{self, Place};
use key::overflow;
pub use key::{Entry, KEY_WORDS, Key, OVERFLOW, check, text_of};
pub use writer::{SlotHandle, Writer};

/// Slots in a page. The last ones take whatever finds no other, under the key `OVERFLOW`, one for each verdict.
pub const SLOTS: usize = 256;
/// As many as there are verdicts, and some to spare.
const LAST: usize = 8;
pub const SLOT_WORDS: usize = 4 + KEY_WORDS;
const HEAD_WORDS: usize = 8;
const PAGE_WORDS: usize = HEAD_WORDS + SLOTS * SLOT_WORDS;
pub const COUNT: u64 = (1 << 40) - 1;
/// More than a server counts before it is written: such a count is damage.
pub const MOST: u64 = 1 << 36;

/// The pages of all workers, and the counts that wait to be written.
pub struct Tallies {
    words: Words,
    workers: usize,
    interval: u64,
    /// Where what waits begins.
    waiting: usize,
    /// Whether they survive the server's end.
    pub durable: bool,
    /// Whether what the server before left was damaged, or of another version, and was given up or set aside.
    pub damaged: bool,
}

fn words_for(workers: usize) -> usize {
    HEAD_WORDS + workers * 2 * PAGE_WORDS + waiting::WORDS
}

impl Tallies {
    /// Pages in anonymous memory. `interval` in seconds, at least 1. Errors are the operating system's.
    pub fn new(workers: usize, interval: u64) -> io::Result<Tallies> {
        Ok(Tallies::over(Words::shared(words_for(workers))?, workers, interval))
    }

    fn over(words: Words, workers: usize, interval: u64) -> Tallies {
        Tallies {
            words,
            workers,
            interval: interval.max(1),
            waiting: HEAD_WORDS + workers * 2 * PAGE_WORDS,
            durable: false,
            damaged: false,
        }
    }

    /// How many workers have pages.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// Moves the counts of all finished intervals to where they wait, and says which; `now` in seconds since 1970. For the
    /// timer process alone.
    ///
    /// `everything` takes the running interval too.
    pub fn collect(&self, now: f64, everything: bool) -> Vec<Entry> {
        // A worker may still be writing what it began in the last second of an interval.
        let current = (now - 1.0).max(0.0) as u64 / self.interval;
        let mut entries = Vec::new();
        for page in 0..2 * self.workers {
            let at = HEAD_WORDS + page * PAGE_WORDS;
            if everything || self.load(at) < current {
                for slot in 0..(self.load(at + 1) as usize).min(SLOTS) {
                    entries.extend(self.take(at + HEAD_WORDS + slot * SLOT_WORDS));
                }
            }
        }
        // Whoever drains them looks at the pages of all workers, and would keep 12 MB mapped for a second's work.
        self.words.let_go();
        entries
    }

    /// Adds a count that comes from elsewhere to those that wait. False: there was no room. For the timer process alone.
    pub fn put(&self, entry: &Entry) -> bool {
        let key = text_of(entry.key());
        let Some(place) = self.place(&key, entry.verdict.as_bytes()) else {
            return false;
        };
        place.touch((entry.first * 1e6) as u64, (entry.last * 1e6) as u64);
        place.add(entry.messages);
        true
    }

    /// The counts that wait, by their place, the oldest first.
    pub fn waiting(&self) -> Vec<(usize, Entry)> {
        let places = waiting::places(self.waiting).filter(|&at| self.load(at) > 0);
        let mut found: Vec<(usize, Entry)> = places.filter_map(|at| Some((at, self.counted(at)?))).collect();
        found.sort_by(|(_, one), (_, other)| one.first.total_cmp(&other.first));
        found
    }

    /// Says that so many messages of a count that waited are written. For the timer process alone.
    pub fn written(&self, at: usize, messages: u64) {
        if waiting::places(self.waiting).any(|place| place == at) {
            self.store(at, self.load(at).saturating_sub(messages));
        }
    }

    /// All counts that are not written yet, as they stand.
    pub fn unwritten(&self) -> Vec<Entry> {
        let pages = (0..2 * self.workers).map(|page| HEAD_WORDS + page * PAGE_WORDS);
        let slots = pages.flat_map(|page| {
            let used = (self.load(page + 1) as usize).min(SLOTS);
            (0..used).map(move |slot| page + HEAD_WORDS + slot * SLOT_WORDS)
        });
        let all = slots.chain(waiting::places(self.waiting));
        all.filter(|&at| self.load(at) & COUNT > 0)
            .filter_map(|at| self.counted(at))
            .collect()
    }

    fn word(&self, at: usize) -> Option<&AtomicU64> {
        self.words.get(at)
    }

    fn load(&self, at: usize) -> u64 {
        self.word(at).map_or(0, |word| word.load(Acquire))
    }

    fn store(&self, at: usize, value: u64) {
        if let Some(word) = self.word(at) {
            word.store(value, Release);
        }
    }

    fn counted(&self, at: usize) -> Option<Entry> {
        let mut entry = self.read(at)?;
        entry.messages = self.load(at) & COUNT;
        Some(entry)
    }

    /// Where a key waits: its own place, or where there is none the one of what found no room.
    fn place(&self, key: &[u64; KEY_WORDS], verdict: &[u8]) -> Option<Place<'_>> {
        let own = waiting::place(&self.words, self.waiting, key);
        own.or_else(|| waiting::place(&self.words, self.waiting, &text_of(overflow(verdict))))
    }

    /// Moves a slot's count to where it waits.
    ///
    /// What is about to be done is noted first, so that a server that is killed in between neither loses the count nor has it
    /// twice (`recover`).
    fn take(&self, at: usize) -> Option<Entry> {
        let mut seen = self.load(at);
        if seen & COUNT == 0 {
            return None;
        }
        let mut entry = self.read(at)?;
        let key: [u64; KEY_WORDS] = std::array::from_fn(|word| self.load(at + 4 + word));
        let place = self.place(&key, entry.verdict.as_bytes())?;
        let word = self.word(at)?;
        let note = self.waiting;
        let tag = seen & !COUNT;
        self.store(note + 2, place.at as u64);
        self.store(note + 3, self.load(place.at));
        place.touch(self.load(at + 1), self.load(at + 2));
        // Fails for good where the slot was given to another interval: then what was read may be of both.
        let taken = loop {
            if seen & !COUNT != tag || seen & COUNT == 0 {
                break 0;
            }
            self.store(note + 1, seen);
            self.store(note, at as u64);
            match word.compare_exchange(seen, tag, AcqRel, Acquire) {
                Ok(_) => break seen & COUNT,
                Err(now) => seen = now,
            }
        };
        if taken > 0 {
            place.add(taken);
        }
        self.store(note, 0);
        entry.messages = taken;
        (taken > 0).then_some(entry)
    }

    /// A slot's times and key; `None` where the check fails.
    fn read(&self, at: usize) -> Option<Entry> {
        let key: [u64; KEY_WORDS] = std::array::from_fn(|word| self.load(at + 4 + word));
        if self.load(at + 3) != check(&key) {
            return None;
        }
        let mut text = String::with_capacity(KEY_WORDS * 8);
        let bytes = key
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .take_while(|&byte| byte != 0);
        text.extend(bytes.map(|byte| {
            if byte == b'\t' || byte.is_ascii_graphic() {
                byte as char
            } else {
                '?'
            }
        }));
        let mut fields = text.split('\t').map(str::to_owned);
        let (ip, method, verdict) = (fields.next()?, fields.next()?, fields.next()?);
        let (transport, rule) = (fields.next()?, fields.next()?);
        let (first, last) = (self.load(at + 1) as f64 / 1e6, self.load(at + 2) as f64 / 1e6);
        let entry = Entry {
            ip,
            method,
            verdict,
            messages: 0,
            first,
            last,
            transport,
            rule,
        };
        fields.next().is_none().then_some(entry)
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
