//! Counts messages that get no record of their own, in shared memory, so that no worker's death loses a count.
//!
//! A worker has two pages and writes one while the other is read. A page belongs to one interval and has 256 slots. A
//! slot: a word with the interval (24 bits) and the count (40), first and last time in microseconds, a check over the
//! key, the key. A count is taken out by compare-and-swap on its word, which fails where the slot means another
//! interval by then: each count is handed out once, whoever takes it, worker or timer process.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

use super::hash::Secret;
use super::region::{AtomicU64, Region, Words, lock, reserve};

/// Slots in a page; the last one takes whatever finds no other, under the key `OVERFLOW`.
pub const SLOTS: usize = 256;
/// Address and method under which messages are counted that found no slot.
pub const OVERFLOW: (&str, &str) = ("0.0.0.0", "other");

/// The longest address, and what is kept of a method (which a stranger may choose), verdict, transport and rule id.
const WIDTHS: [usize; 5] = [45, 32, 8, 5, 64];
const KEY_WORDS: usize = 20;
const SLOT_WORDS: usize = 4 + KEY_WORDS;
const HEAD_WORDS: usize = 8;
const PAGE_WORDS: usize = HEAD_WORDS + SLOTS * SLOT_WORDS;
/// "sipsvTLY" and the layout's version.
const MAGIC: u64 = u64::from_be_bytes(*b"sipsvTLY");
const VERSION: u64 = 1;
const COUNT: u64 = (1 << 40) - 1;
/// More than a worker can count in an interval: such a count in a file is damage.
const MOST_IN_FILE: u64 = 1 << 36;

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

/// The pages of all workers.
pub struct Tallies {
    words: Words,
    workers: usize,
    interval: u64,
    /// Whether they survive the server's end.
    pub durable: bool,
    /// Whether the file was no ledger, or a damaged one, and was set aside.
    pub damaged: bool,
}

fn words_for(workers: usize) -> usize {
    HEAD_WORDS + workers * 2 * PAGE_WORDS
}

impl Tallies {
    /// Pages in anonymous memory. `interval` in seconds, at least 1. Errors are the operating system's.
    pub fn new(workers: usize, interval: u64) -> io::Result<Tallies> {
        let words = Words::shared(words_for(workers))?;
        Ok(Tallies {
            words,
            workers,
            interval: interval.max(1),
            durable: false,
            damaged: false,
        })
    }

    /// Pages in a file, so that counts survive `kill -9`; where it can't be had (not writable, a link, held by another
    /// server for longer than `patience`) anonymous memory serves. A file that is none of these pages, or a damaged
    /// one, is renamed to `*.damaged`, and one begun anew.
    pub fn open(path: &Path, workers: usize, interval: u64, patience: Duration) -> io::Result<Tallies> {
        let mut tallies = Tallies::new(workers, interval)?;
        let (words, damaged) = map(path, workers, patience);
        tallies.damaged = damaged;
        if let Some(words) = words {
            tallies.words = words;
            tallies.durable = true;
        }
        Ok(tallies)
    }

    /// How many workers have pages.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// The entries of all finished intervals, each handed out once; `now` in seconds since 1970.
    ///
    /// `everything` takes the running interval too.
    pub fn drain(&self, now: f64, everything: bool) -> Vec<Entry> {
        // A worker may still be writing what it began in the last second of an interval.
        let current = (now - 1.0).max(0.0) as u64 / self.interval;
        let mut entries = Vec::new();
        for page in 0..2 * self.workers {
            let at = HEAD_WORDS + page * PAGE_WORDS;
            if everything || self.load(at) < current {
                self.take(at, &mut entries);
            }
        }
        entries
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

    /// Takes a page's counts out.
    fn take(&self, page: usize, entries: &mut Vec<Entry>) {
        for slot in 0..(self.load(page + 1) as usize).min(SLOTS) {
            let at = page + HEAD_WORDS + slot * SLOT_WORDS;
            let mut seen = self.load(at);
            if seen & COUNT == 0 {
                continue;
            }
            let Some(mut entry) = self.read(at) else { continue };
            let Some(word) = self.word(at) else { continue };
            // Fails for good where the slot was given to another interval: then what was read may be of both.
            let tag = seen & !COUNT;
            while seen & !COUNT == tag && seen & COUNT != 0 {
                match word.compare_exchange(seen, tag, AcqRel, Acquire) {
                    Ok(_) => {
                        entry.messages = seen & COUNT;
                        entries.push(entry);
                        break;
                    }
                    Err(now) => seen = now,
                }
            }
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
        (0..2 * self.workers).all(|page| {
            let page = HEAD_WORDS + page * PAGE_WORDS;
            let (interval, used) = (self.load(page), self.load(page + 1) as usize);
            used <= SLOTS
                && (0..used).all(|slot| {
                    let at = page + HEAD_WORDS + slot * SLOT_WORDS;
                    let count = self.load(at);
                    count & COUNT <= MOST_IN_FILE
                        && count >> 40 == interval & 0xFF_FFFF
                        && self.load(at + 1).max(self.load(at + 2)) < 1 << 53
                        && self.read(at).is_some()
                })
        })
    }
}

/// The file's words, and whether one had to be set aside.
fn map(path: &Path, workers: usize, patience: Duration) -> (Option<Words>, bool) {
    let Ok(file) = open(path, patience) else {
        return (None, false);
    };
    let len = words_for(workers);
    let head = [
        MAGIC,
        VERSION,
        workers as u64,
        PAGE_WORDS as u64,
        MAGIC ^ VERSION ^ workers as u64 ^ PAGE_WORDS as u64,
    ];
    let begin = |file: File| -> io::Result<Words> {
        reserve(&file, len as u64 * 8)?;
        let words = Region::of_file(file, len)?.words();
        // The magic number last: a server that is killed here leaves no file that is taken for a whole one.
        for (word, value) in words.iter().zip(head).rev() {
            word.store(value, Release);
        }
        Ok(words)
    };
    let size = file.metadata().map_or(0, |about| about.len());
    if size == 0 {
        return (begin(file).ok(), false);
    }
    if size == len as u64 * 8 {
        let Ok(region) = reserve(&file, size).and_then(|()| Region::of_file(file, len)) else {
            return (None, false);
        };
        let words = region.words();
        if words.iter().zip(head).all(|(word, value)| word.load(Relaxed) == value) {
            let tallies = Tallies {
                words,
                workers,
                interval: 1,
                durable: true,
                damaged: false,
            };
            if tallies.is_sound() {
                return (Some(tallies.words), false);
            }
        }
    }
    let mut aside = path.as_os_str().to_owned();
    aside.push(".damaged");
    let anew = std::fs::rename(path, aside)
        .and_then(|()| open(path, Duration::ZERO))
        .and_then(begin);
    (anew.ok(), true)
}

/// Opens the file and takes it for this server.
fn open(path: &Path, patience: Duration) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o640)
        .custom_flags(libc::O_NOFOLLOW);
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(ErrorKind::InvalidInput.into());
    }
    let end = Instant::now() + patience;
    while !lock(&file) {
        if Instant::now() > end {
            return Err(ErrorKind::WouldBlock.into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(file)
}

/// FNV-1a over words: tells damage, not forgery.
fn check(key: &[u64; KEY_WORDS]) -> u64 {
    key.iter().fold(0xcbf2_9ce4_8422_2325, |sum, word| {
        (sum ^ word).wrapping_mul(0x100_0000_01b3).rotate_left(29)
    })
}

/// A key as it is kept: fields cut to their widths, what is no ASCII or would end a field as "?".
fn text_of(key: Key) -> [u64; KEY_WORDS] {
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

    /// Counts one message at `now` (seconds since 1970). `left` gets entries that nobody drained in time, nearly
    /// always none.
    pub fn tally(&mut self, key: Key, now: f64, left: &mut Vec<Entry>) {
        let handle = self.slot(key, now, left);
        self.bump(handle, now);
    }

    /// Where a key is counted in the interval of `now`. `left` as for `tally`.
    pub fn slot(&mut self, key: Key, now: f64, left: &mut Vec<Entry>) -> SlotHandle {
        if !self.is_current(now) {
            self.turn(now, left);
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

    fn turn(&mut self, now: f64, left: &mut Vec<Entry>) {
        let interval = now.max(0.0) as u64 / self.tallies.interval;
        self.page = self.first + (interval & 1) as usize * PAGE_WORDS;
        self.tallies.take(self.page, left);
        self.tallies.store(self.page + 1, 0);
        self.tallies.store(self.page, interval);
        self.tag = (interval & 0xFF_FFFF) << 40;
        self.end = (interval + 1) as f64 * self.tallies.interval as f64;
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
        if used >= SLOTS - 1 {
            let (ip, method) = (OVERFLOW.0.as_bytes(), OVERFLOW.1.as_bytes());
            key = Key {
                ip,
                method,
                verdict: key.verdict,
                transport: b"",
                rule: b"",
            };
            match self.find(key) {
                Ok(at) => return at,
                // A second kind of verdict among the overflow shares the last slot.
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
        let mut left = Vec::new();
        let handle = writer.slot(key("192.0.2.1", "allow"), 100.0, &mut left);
        assert!((0..5).all(|second| writer.bump(handle, 100.0 + f64::from(second))));
        assert!(!writer.bump(handle, 110.0));
        assert!(tallies.drain(105.0, false).is_empty());
        let entries = tallies.drain(112.0, false);
        assert_eq!(
            (sum(&entries), entries[0].last, entries[0].ip.as_str()),
            (5, 104.0, "192.0.2.1")
        );
        assert!(tallies.drain(112.0, true).is_empty());
        writer.tally(key("a", "allow"), 120.0, &mut left);
        writer.tally(key("a", "allow"), 140.0, &mut left);
        assert_eq!(sum(&left), 1);
    }

    #[test]
    fn draining_while_a_worker_writes_loses_none() {
        let tallies = Arc::new(Tallies::new(1, 1).unwrap());
        let done = std::sync::atomic::AtomicBool::new(false);
        let (mut left, mut drained) = (Vec::new(), 0);
        std::thread::scope(|scope| {
            let mut writer = Writer::attach(tallies.clone(), Arc::new(Secret::new([1, 2])), 0).unwrap();
            let (left, done) = (&mut left, &done);
            scope.spawn(move || {
                for number in 0..200_000 {
                    let ip = format!("{}", number % 300);
                    writer.tally(
                        key(&ip, ["allow", "drop", "reject"][number % 3]),
                        number as f64 / 1000.0,
                        left,
                    );
                }
                done.store(true, Release);
            });
            while !done.load(Acquire) {
                drained += sum(&tallies.drain(0.0, true));
            }
        });
        assert_eq!(drained + sum(&left) + sum(&tallies.drain(0.0, true)), 200_000);
    }
}
