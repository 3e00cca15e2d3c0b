//! A table in shared memory that is replaced as a whole: readers use one half while the other is written, and never wait.

use std::sync::atomic::{Ordering, fence};

use super::region::{AtomicU64, Words};

/// A reader that is overtaken so often by new tables finds nothing.
const TRIES: usize = 4;

/// Two halves behind a number: one store turns all readers at once.
pub struct Halves {
    words: Words,
    half: usize,
}

/// One half. What lies outside of it reads as 0 and is not written.
#[derive(Clone, Copy)]
pub struct Half<'a>(&'a [AtomicU64]);

impl Halves {
    /// Two halves of so many words, which take memory only once they are used. Errors are the operating system's.
    pub fn new(half: usize) -> std::io::Result<Self> {
        let words = Words::shared(half.saturating_mul(2).saturating_add(1))?;
        Ok(Self { words, half })
    }

    /// Words of a half.
    pub fn room(&self) -> usize {
        self.half
    }

    /// Changes with each table; 0 before the first.
    pub fn generation(&self) -> u64 {
        self.words.first().map_or(0, |word| word.load(Ordering::Acquire))
    }

    /// Has `write` fill the half that nobody reads, and turns to it. One process may.
    pub fn replace(&self, write: impl FnOnce(Half<'_>)) {
        let generation = self.generation();
        // Who reads what is written from here on sees that the table was replaced before.
        fence(Ordering::Release);
        write(self.half(generation + 1));
        if let Some(word) = self.words.first() {
            word.store(generation + 1, Ordering::Release);
        }
    }

    /// What `look` finds in the table in force; `None` before the first.
    pub fn read<T>(&self, look: impl Fn(Half<'_>) -> Option<T>) -> Option<T> {
        for _ in 0..TRIES {
            let generation = self.generation();
            if generation == 0 {
                return None;
            }
            let found = look(self.half(generation));
            fence(Ordering::Acquire);
            if self.generation() == generation {
                return found;
            }
        }
        None
    }

    fn half(&self, generation: u64) -> Half<'_> {
        let start = 1 + (generation & 1) as usize * self.half;
        Half(self.words.get(start..start + self.half).unwrap_or_default())
    }
}

impl Half<'_> {
    pub fn get(self, place: usize) -> u64 {
        self.0.get(place).map_or(0, |word| word.load(Ordering::Relaxed))
    }

    pub fn put(self, place: usize, value: u64) {
        if let Some(word) = self.0.get(place) {
            word.store(value, Ordering::Relaxed);
        }
    }

    /// Two words as one number, the higher first.
    pub fn wide(self, place: usize) -> u128 {
        u128::from(self.get(place)) << 64 | u128::from(self.get(place.saturating_add(1)))
    }

    pub fn put_wide(self, place: usize, value: u128) {
        self.put(place, (value >> 64) as u64);
        self.put(place.saturating_add(1), value as u64);
    }

    /// A text's bytes in so many words, cut or filled up with zeros.
    pub fn put_text(self, place: usize, text: &str, words: usize) {
        let mut bytes = text.bytes();
        for word in 0..words {
            let next: [u8; 8] = std::array::from_fn(|_| bytes.next().unwrap_or(0));
            self.put(place + word, u64::from_le_bytes(next));
        }
    }

    /// So many bytes as text, without zeros at its end.
    pub fn text(self, place: usize, bytes: usize) -> String {
        let words = (0..bytes.div_ceil(8)).flat_map(|word| self.get(place.saturating_add(word)).to_le_bytes());
        let read: Vec<u8> = words.take(bytes).collect();
        String::from_utf8_lossy(&read).trim_end_matches('\0').to_owned()
    }
}

/// The last of `count` sorted places of which `is_before` holds.
pub fn last_before(count: usize, is_before: impl Fn(usize) -> bool) -> Option<usize> {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if is_before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low.checked_sub(1)
}
