//! Takes the tallies up again that a server left, in memory that outlives it or in their file.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::{Duration, Instant};

use super::{COUNT, HEAD_WORDS, MOST, PAGE_WORDS, SLOT_WORDS, SLOTS, Tallies, words_for};
use crate::state::{region, snapshot, waiting};

/// "sipsvTLY" and the layout's version.
const MAGIC: u64 = u64::from_be_bytes(*b"sipsvTLY");
const VERSION: u64 = 2;

fn set_aside(path: &Path) -> io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".damaged");
    std::fs::rename(path, aside)
}

impl Tallies {
    /// Pages that outlive the server: `path` names its file of counts, and by that its memory. Where they can't be had (no such
    /// folder, a link, another user's, held by another server for longer than `patience`) anonymous memory serves. A file that
    /// is damaged, or can't be read, is renamed to `*.damaged`.
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
                // Where it can't be moved it is written anew in its place: no file of ours keeps a server from its start.
                let _ = set_aside(path);
            }
        }
        Ok(tallies)
    }

    /// The pages in kept memory, and whether they begin anew.
    fn kept(path: &Path, workers: usize, interval: u64, patience: Duration) -> Option<(Tallies, bool)> {
        let (key, name) = snapshot::key(path)?;
        let end = Instant::now() + patience;
        let (mut damaged, mut is_removed) = (false, false);
        match std::fs::symlink_metadata(path) {
            Ok(found) if found.is_symlink() => return None,
            // A folder or a pipe.
            Ok(found) if !found.is_file() => {
                set_aside(path).ok()?;
                damaged = true;
            }
            _ => {}
        }
        let words = loop {
            match region::Region::kept(key, words_for(workers)) {
                Ok(region) => break region.words(),
                Err(error) if error.kind() == ErrorKind::WouldBlock && Instant::now() < end => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                // Of another size: another version's.
                Err(error) if error.kind() == ErrorKind::InvalidInput && !is_removed => {
                    is_removed = region::remove_kept(key);
                    damaged = true;
                    if !is_removed {
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

    /// Ends what a server that was killed had begun.
    pub(super) fn recover(&self) {
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
