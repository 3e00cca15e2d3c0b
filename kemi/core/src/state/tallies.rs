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

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use std::time::{Duration, Instant};

use super::hash::Secret;
use super::region::{AtomicU64, Words};
use super::waiting::{self, Place};
#[cfg(not(all(loom, test)))]
use super::{region, snapshot};

/// Slots in a page. The last ones take whatever finds no other, under the key `OVERFLOW`, one for each verdict.
pub const SLOTS: usize = 256;
/// As many as there are verdicts, and some to spare.
const LAST: usize = 8;
/// Address and method under which messages are counted that found no slot.
pub const OVERFLOW: (&str, &str) = ("0.0.0.0", "other");

/// The longest address, and what is kept of a method (which a stranger may choose), verdict, transport and rule id.
const WIDTHS: [usize; 5] = [45, 32, 8, 5, 64];
pub const KEY_WORDS: usize = 20;
pub const SLOT_WORDS: usize = 4 + KEY_WORDS;
const HEAD_WORDS: usize = 8;
const PAGE_WORDS: usize = HEAD_WORDS + SLOTS * SLOT_WORDS;
/// "sipsvTLY" and the layout's version.
const MAGIC: u64 = u64::from_be_bytes(*b"sipsvTLY");
const VERSION: u64 = 2;
pub const COUNT: u64 = (1 << 40) - 1;
/// More than a server counts before it is written: such a count is damage.
pub const MOST: u64 = 1 << 36;

/// What is counted together.
#[derive(Clone, Copy)]
pub struct Key<'a> {
    pub ip: &'a [u8],
    pub method: &'a [u8],
    pub verdict: &'a [u8],
    pub transport: &'a [u8],
    pub rule: &'a [u8],
}

/// A count of one interval: who sent, which method, what became of it, how many, from when to when (s), by which rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub ip: String,
    pub method: String,
    pub verdict: String,
    pub messages: u64,
    pub first: f64,
    pub last: f64,
    pub transport: String,
    pub rule: String,
}

/// Where a writer counts a key while its page lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotHandle {
    at: usize,
    epoch: u64,
}

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

    /// Pages that outlive the server: `path` names its file of counts, and by that its memory. Where they can't be had (no such
    /// folder, a link, another user's, held by another server for longer than `patience`) anonymous memory serves. A file that
    /// is damaged is renamed to `*.damaged`.
    #[cfg(not(all(loom, test)))]
    pub fn open(path: &Path, workers: usize, interval: u64, patience: Duration) -> io::Result<Tallies> {
        let Some((mut tallies, is_new)) = Tallies::kept(path, workers, interval, patience) else {
            return Tallies::new(workers, interval);
        };
        tallies.durable = true;
        // What is in memory is newer than any file.
        match snapshot::read(path) {
            Ok(entries) if is_new => entries.into_iter().for_each(|entry| {
                tallies.put(&entry);
            }),
            Ok(_) => {}
            Err(_) => {
                tallies.damaged = true;
                let mut aside = path.as_os_str().to_owned();
                aside.push(".damaged");
                std::fs::rename(path, aside)?;
            }
        }
        Ok(tallies)
    }

    /// The pages in kept memory, and whether they begin anew.
    #[cfg(not(all(loom, test)))]
    fn kept(path: &Path, workers: usize, interval: u64, patience: Duration) -> Option<(Tallies, bool)> {
        if std::fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) {
            return None;
        }
        let (key, name) = snapshot::key(path)?;
        let end = Instant::now() + patience;
        let mut damaged = false;
        let words = loop {
            match region::Region::kept(key, words_for(workers)) {
                Ok(region) => break region.words(),
                Err(error) if error.kind() == ErrorKind::WouldBlock && Instant::now() < end => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                // Of another size: another version's.
                Err(error) if error.kind() == ErrorKind::InvalidInput && !damaged => {
                    damaged = region::remove_kept(key);
                    if !damaged {
                        return None;
                    }
                }
                Err(_) => return None,
            }
        };
        let head = [MAGIC, VERSION, workers as u64, PAGE_WORDS as u64, name];
        let is_empty = words.iter().take(HEAD_WORDS).all(|word| word.load(Acquire) == 0);
        let is_ours = words.iter().zip(head).all(|(word, value)| word.load(Acquire) == value);
        let mut tallies = Tallies::over(words, workers, interval);
        if is_ours && tallies.is_sound() {
            tallies.recover();
            tallies.damaged = damaged;
            return Some((tallies, false));
        }
        if !is_empty {
            damaged = true;
            tallies.words.iter().for_each(|word| word.store(0, Release));
        }
        // The magic number last: a server that is killed here leaves nothing that is taken for a whole one.
        for (word, value) in tallies.words.iter().zip(head).rev() {
            word.store(value, Release);
        }
        tallies.damaged = damaged;
        Some((tallies, true))
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

    /// Ends what a server that was killed had begun.
    fn recover(&self) {
        let note = self.waiting;
        let (at, seen) = (self.load(note) as usize, self.load(note + 1));
        let (place, before) = (self.load(note + 2) as usize, self.load(note + 3));
        if at > 0 {
            let now = self.load(at);
            let taken = now & !COUNT != seen & !COUNT || now & COUNT < seen & COUNT;
            if taken && waiting::places(note).any(|known| known == place) {
                self.store(place, before + (seen & COUNT));
            }
            self.store(note, 0);
        }
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

    /// Whether what stands there can have been written by this code.
    fn is_sound(&self) -> bool {
        let waits = |at: usize| {
            let count = self.load(at);
            count == 0 || count <= MOST && self.load(at + 1).max(self.load(at + 2)) < 1 << 53 && self.read(at).is_some()
        };
        waiting::places(self.waiting).all(waits)
            && (0..2 * self.workers).all(|page| {
                let page = HEAD_WORDS + page * PAGE_WORDS;
                let (interval, used) = (self.load(page), self.load(page + 1) as usize);
                used <= SLOTS
                    && (0..used).all(|slot| {
                        let at = page + HEAD_WORDS + slot * SLOT_WORDS;
                        let count = self.load(at);
                        count & COUNT <= MOST
                            && count >> 40 == interval & 0xFF_FFFF
                            && self.load(at + 1).max(self.load(at + 2)) < 1 << 53
                            && self.read(at).is_some()
                    })
            })
    }
}

/// FNV-1a over words: tells damage, not forgery.
pub fn check(key: &[u64; KEY_WORDS]) -> u64 {
    key.iter().fold(0xcbf2_9ce4_8422_2325, |sum, word| {
        (sum ^ word).wrapping_mul(0x100_0000_01b3).rotate_left(29)
    })
}

/// A key as it is kept: fields cut to their widths, what is no ASCII or would end a field as "?".
pub fn text_of(key: Key) -> [u64; KEY_WORDS] {
    let mut text = [0_u8; KEY_WORDS * 8];
    let mut room = text.iter_mut();
    let mut put = |byte: u8| {
        if let Some(place) = room.next() {
            *place = byte;
        }
    };
    for (number, (field, width)) in key.fields().into_iter().zip(WIDTHS).enumerate() {
        if number > 0 {
            put(b'\t');
        }
        let characters = field.utf8_chunks().flat_map(|chunk| {
            let odd = (!chunk.invalid().is_empty()).then_some('?');
            chunk.valid().chars().chain(odd)
        });
        for character in characters.take(width) {
            put(if character.is_ascii_graphic() {
                character as u8
            } else {
                b'?'
            });
        }
    }
    let mut words = text
        .chunks_exact(8)
        .map(|word| word.try_into().map_or(0, u64::from_le_bytes));
    std::array::from_fn(|_| words.next().unwrap_or(0))
}

impl<'a> Key<'a> {
    fn fields(&self) -> [&'a [u8]; 5] {
        [self.ip, self.method, self.verdict, self.transport, self.rule]
    }
}

impl Entry {
    /// What is counted together with it.
    pub fn key(&self) -> Key<'_> {
        Key {
            ip: self.ip.as_bytes(),
            method: self.method.as_bytes(),
            verdict: self.verdict.as_bytes(),
            transport: self.transport.as_bytes(),
            rule: self.rule.as_bytes(),
        }
    }
}

/// What takes the counts of what finds no other room.
fn overflow(verdict: &[u8]) -> Key<'_> {
    Key {
        ip: OVERFLOW.0.as_bytes(),
        method: OVERFLOW.1.as_bytes(),
        verdict,
        transport: b"",
        rule: b"",
    }
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

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn key<'a>(ip: &'a str, verdict: &'a str) -> Key<'a> {
        Key {
            ip: ip.as_bytes(),
            method: b"INVITE",
            verdict: verdict.as_bytes(),
            transport: b"udp",
            rule: b"",
        }
    }

    fn sum(entries: &[Entry]) -> u64 {
        entries.iter().map(|entry| entry.messages).sum()
    }

    #[test]
    fn each_count_is_handed_out_once() {
        let tallies = Arc::new(Tallies::new(2, 10).unwrap());
        let mut writer = Writer::attach(tallies.clone(), Arc::new(Secret::new([1, 2])), 1).unwrap();
        let handle = writer.slot(key("192.0.2.1", "allow"), 100.0);
        assert!((0..5).all(|second| writer.bump(handle, 100.0 + f64::from(second))));
        assert!(!writer.bump(handle, 110.0));
        assert!(tallies.collect(105.0, false).is_empty());
        let entries = tallies.collect(112.0, false);
        assert_eq!(
            (sum(&entries), entries[0].last, entries[0].ip.as_str()),
            (5, 104.0, "192.0.2.1")
        );
        assert!(tallies.collect(112.0, true).is_empty());
        let waiting = tallies.waiting();
        assert_eq!((waiting.len(), &waiting[0].1), (1, &entries[0]));
        tallies.written(waiting[0].0, 5);
        assert!(tallies.waiting().is_empty() && tallies.unwritten().is_empty());
    }

    #[test]
    fn what_is_not_fetched_is_not_lost() {
        let tallies = Arc::new(Tallies::new(1, 10).unwrap());
        let mut writer = Writer::attach(tallies.clone(), Arc::new(Secret::new([1, 2])), 0).unwrap();
        for number in 0..100 {
            writer.tally(key("a", "allow"), 100.0 + f64::from(number) * 7.0);
        }
        assert_eq!(sum(&tallies.unwritten()), 100);
        assert_eq!(sum(&tallies.collect(900.0, true)), 100);
    }

    #[test]
    fn more_than_can_wait_stays_with_the_workers() {
        let tallies = Arc::new(Tallies::new(1, 10).unwrap());
        let mut writer = Writer::attach(tallies.clone(), Arc::new(Secret::new([1, 2])), 0).unwrap();
        for number in 0..40_000 {
            writer.tally(key(&format!("{number}"), "allow"), f64::from(number));
            if number % 100 == 0 {
                tallies.collect(f64::from(number), false);
            }
        }
        assert_eq!(sum(&tallies.unwritten()), 40_000);
        tallies.collect(1e6, true);
        assert_eq!(sum(&tallies.unwritten()), 40_000);
    }

    #[test]
    fn what_a_killed_server_had_begun_is_ended() {
        let tallies = Arc::new(Tallies::new(1, 10).unwrap());
        let mut writer = Writer::attach(tallies.clone(), Arc::new(Secret::new([1, 2])), 0).unwrap();
        (0..3).for_each(|_| writer.tally(key("a", "allow"), 100.0));
        // The tenth interval is counted in the first page.
        let slot = HEAD_WORDS + HEAD_WORDS;
        let seen = tallies.load(slot);
        assert_eq!(seen & COUNT, 3);
        let place = tallies.place(&text_of(key("a", "allow")), b"allow").unwrap().at;
        for taken in [false, true] {
            // Killed before, or after, the count was taken out of its page.
            tallies.store(slot, if taken { seen & !COUNT } else { seen });
            tallies.store(tallies.waiting + 1, seen);
            tallies.store(tallies.waiting + 2, place as u64);
            tallies.store(tallies.waiting + 3, 0);
            tallies.store(tallies.waiting, slot as u64);
            tallies.recover();
            assert_eq!(
                (tallies.load(slot) & COUNT, tallies.load(place)),
                if taken { (0, 3) } else { (3, 0) }
            );
        }
    }

    #[test]
    fn collecting_while_a_worker_writes_loses_none() {
        let tallies = Arc::new(Tallies::new(1, 1).unwrap());
        let done = std::sync::atomic::AtomicBool::new(false);
        let mut collected = 0;
        std::thread::scope(|scope| {
            let mut writer = Writer::attach(tallies.clone(), Arc::new(Secret::new([1, 2])), 0).unwrap();
            let done = &done;
            scope.spawn(move || {
                for number in 0..200_000 {
                    let ip = format!("{}", number % 300);
                    writer.tally(
                        key(&ip, ["allow", "drop", "reject"][number % 3]),
                        number as f64 / 1000.0,
                    );
                }
                done.store(true, Release);
            });
            while !done.load(Acquire) {
                collected += sum(&tallies.collect(0.0, true));
            }
        });
        collected += sum(&tallies.collect(0.0, true));
        assert_eq!(collected, 200_000);
        let waiting = tallies.waiting();
        assert_eq!(waiting.iter().map(|(_, entry)| entry.messages).sum::<u64>(), 200_000);
    }

    #[test]
    fn the_memory_outlives_its_server() {
        let folder = std::env::temp_dir().join(format!("sipsieve-tallies-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("ledger");
        let open = || Tallies::open(&path, 1, 10, Duration::ZERO).unwrap();
        let tallies = Arc::new(open());
        assert!(tallies.durable && !tallies.damaged);
        assert!(!open().durable, "another server holds it");
        let mut writer = Writer::attach(tallies.clone(), Arc::new(Secret::new([1, 2])), 0).unwrap();
        writer.tally(key("a", "allow"), 100.0);
        snapshot::write(&path, &snapshot::content(&tallies.unwritten())).unwrap();
        drop((writer, tallies));
        // As after `kill -9`; the file is not counted once more.
        let again = open();
        assert_eq!((again.durable, sum(&again.unwritten())), (true, 1));
        drop(again);
        // As after a stop of the machine.
        assert!(region::remove_kept(snapshot::key(&path).unwrap().0));
        let again = open();
        assert_eq!(
            (again.durable, again.damaged, sum(&again.unwritten())),
            (true, false, 1)
        );
        // Of another version.
        again.store(1, 77);
        drop(again);
        assert!(open().damaged);
        assert!(region::remove_kept(snapshot::key(&path).unwrap().0));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
