//! Words in sets, of which only the pages that were written take memory.
//!
//! A page of shared memory that is only read takes memory as one that is written does, and what is asked of each message is asked
//! all over a table. So a bit for each page says whether anything stands there; where it is not set nothing is read.

use std::sync::atomic::Ordering::{AcqRel, Acquire};

use super::hash::place;
use super::region::{AtomicU64, Words};

/// Words of a set: one cache line.
pub const WAYS: usize = 8;

/// Words of a page of memory, as the processor maps it.
const PAGE: usize = 512;

/// A table of sets of words that all workers share.
pub struct Sparse {
    words: Words,
    /// A bit for each page that may have an entry. It is set before the first is written, and never taken back.
    used: Words,
}

impl Sparse {
    /// Room for that many words, at least a set. Errors are the operating system's.
    pub fn new(words: usize) -> std::io::Result<Self> {
        let words = Words::shared(words.max(1).div_ceil(WAYS) * WAYS)?;
        let used = Words::shared(words.len().div_ceil(PAGE).div_ceil(64))?;
        Ok(Self { words, used })
    }

    /// The set of an identity, spread, to be read: empty where nothing was written near it.
    pub fn read(&self, spread: u64) -> &[AtomicU64] {
        let first = self.first(spread);
        if self.is_used(first / PAGE) {
            self.set(first)
        } else {
            &[]
        }
    }

    /// The same, to be written.
    pub fn write(&self, spread: u64) -> &[AtomicU64] {
        let first = self.first(spread);
        let page = first / PAGE;
        if let Some(used) = self.used.get(page / 64).filter(|_| !self.is_used(page)) {
            used.fetch_or(1 << (page % 64), AcqRel);
        }
        self.set(first)
    }

    /// All words that may hold something.
    pub fn all(&self) -> impl Iterator<Item = &AtomicU64> {
        let pages = self.words.chunks(PAGE).enumerate();
        pages
            .filter(|(page, _)| self.is_used(*page))
            .flat_map(|(_, words)| words)
    }

    fn first(&self, spread: u64) -> usize {
        place(spread, self.words.len() / WAYS) * WAYS
    }

    fn set(&self, first: usize) -> &[AtomicU64] {
        self.words.get(first..first + WAYS).unwrap_or_default()
    }

    fn is_used(&self, page: usize) -> bool {
        self.used
            .get(page / 64)
            .is_some_and(|word| word.load(Acquire) >> (page % 64) & 1 != 0)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_nothing_near_an_empty_page() {
        let table = Sparse::new(4 * PAGE).expect("memory");
        let (one, other) = (1, u64::MAX);
        assert!(table.read(one).is_empty() && table.all().next().is_none());
        table.write(one)[3].store(9, std::sync::atomic::Ordering::Release);
        assert_eq!(table.read(one)[3].load(Acquire), 9);
        assert!(table.read(other).is_empty());
        assert_eq!(table.all().count(), PAGE);
        assert_eq!(table.all().filter(|word| word.load(Acquire) == 9).count(), 1);
    }
}
