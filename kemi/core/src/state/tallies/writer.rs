//! Counts the messages of one worker in its two pages.

use std::sync::Arc;
use std::sync::atomic::Ordering::AcqRel;

use super::key::{Key, check, overflow, text_of};
use super::{COUNT, HEAD_WORDS, LAST, PAGE_WORDS, SLOT_WORDS, SLOTS, Tallies};
use crate::state::hash::Secret;

/// Where a writer counts a key while its page lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotHandle {
    at: usize,
    epoch: u64,
}

/// Slots by the hash of their key; open addressing, at most half full.
const INDEX: usize = 2 * SLOTS;

/// The one process that writes a worker's pages.
pub struct Writer {
    tallies: Arc<Tallies>,
    secret: Arc<Secret>,
    first: usize,
    page: usize,
    tag: u64,
    end: f64,
    epoch: u64,
    index: Box<[(u64, u16); INDEX]>,
}

impl Writer {
    /// Makes this process the writer of a worker's pages; `None` where there is no such worker.
    pub fn attach(tallies: Arc<Tallies>, secret: Arc<Secret>, worker: usize) -> Option<Writer> {
        let first = HEAD_WORDS + worker.checked_mul(2 * PAGE_WORDS)?;
        let index = Box::new([(0, 0); INDEX]);
        (worker < tallies.workers).then_some(Writer {
            tallies,
            secret,
            first,
            page: first,
            tag: 0,
            end: 0.0,
            epoch: 0,
            index,
        })
    }

    /// Counts one message at `now` (seconds since 1970).
    pub fn tally(&mut self, key: Key, now: f64) {
        let handle = self.slot(key, now);
        self.bump(handle, now);
    }

    /// Where a key is counted in the interval of `now`.
    pub fn slot(&mut self, key: Key, now: f64) -> SlotHandle {
        if !self.is_current(now) {
            self.turn(now);
        }
        let at = match self.find(key) {
            Ok(at) => at,
            Err(free) => self.open(key, free, now),
        };
        SlotHandle { at, epoch: self.epoch }
    }

    /// Counts one message; false where the handle is of another interval, and nothing was counted.
    #[inline]
    pub fn bump(&self, handle: SlotHandle, now: f64) -> bool {
        if handle.epoch != self.epoch || !self.is_current(now) {
            return false;
        }
        self.tallies.store(handle.at + 2, (now * 1e6) as u64);
        self.tallies
            .word(handle.at)
            .map(|word| word.fetch_add(1, AcqRel))
            .is_some()
    }

    /// A clock set back by more than an interval belongs to another one, too.
    fn is_current(&self, now: f64) -> bool {
        let left = now - self.end;
        self.epoch > 0 && left < 0.0 && left >= -(self.tallies.interval as f64)
    }

    fn turn(&mut self, now: f64) {
        let tallies = &self.tallies;
        let interval = now.max(0.0) as u64 / tallies.interval;
        self.end = (interval + 1) as f64 * tallies.interval as f64;
        let page = self.first + (interval & 1) as usize * PAGE_WORDS;
        let used = (tallies.load(page + 1) as usize).min(SLOTS);
        let is_left = (0..used).any(|slot| tallies.load(page + HEAD_WORDS + slot * SLOT_WORDS) & COUNT > 0);
        if is_left && self.epoch > 0 {
            // Nobody fetched what stands there: what is counted now goes on in the page that was written last.
            return;
        }
        if is_left {
            // A worker's first page holds what the one before it left: it is written on, too.
            self.page = page;
            self.tag = (tallies.load(page) & 0xFF_FFFF) << 40;
            self.epoch += 1;
            self.index.fill((0, 0));
            return;
        }
        self.page = page;
        tallies.store(page + 1, 0);
        tallies.store(page, interval);
        self.tag = (interval & 0xFF_FFFF) << 40;
        self.epoch += 1;
        self.index.fill((0, 0));
    }

    /// Where a key's slot stands, or the place in the index that it would have.
    fn find(&self, key: Key) -> Result<usize, (usize, u64)> {
        let hash = self.secret.identity(&key.fields()) | 1;
        let mut at = (hash >> 32) as usize % INDEX;
        loop {
            match self.index.get(at) {
                Some(&(known, slot)) if known == hash => return Ok(self.at(slot.into())),
                Some((0, _)) | None => return Err((at, hash)),
                Some(_) => at = (at + 1) % INDEX,
            }
        }
    }

    fn at(&self, slot: usize) -> usize {
        self.page + HEAD_WORDS + slot * SLOT_WORDS
    }

    fn open(&mut self, mut key: Key, mut free: (usize, u64), now: f64) -> usize {
        let used = self.tallies.load(self.page + 1) as usize;
        if used >= SLOTS - LAST {
            key = overflow(key.verdict);
            match self.find(key) {
                Ok(at) => return at,
                // There are not that many verdicts.
                Err(_) if used >= SLOTS => return self.at(SLOTS - 1),
                Err(place) => free = place,
            }
        }
        let (at, micro, text) = (self.at(used), (now * 1e6) as u64, text_of(key));
        // The interval first: from now on nobody takes this slot for what it was.
        self.tallies.store(at, self.tag);
        self.tallies.store(at + 1, micro);
        self.tallies.store(at + 2, micro);
        self.tallies.store(at + 3, check(&text));
        for (number, word) in text.into_iter().enumerate() {
            self.tallies.store(at + 4 + number, word);
        }
        self.tallies.store(self.page + 1, used as u64 + 1);
        if let Some(place) = self.index.get_mut(free.0) {
            *place = (free.1, used as u16);
        }
        at
    }
}
