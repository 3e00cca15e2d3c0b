//! Reads recorded traffic in bulk, for the analysis: captures and server logs in, messages out.
//!
//! Everything is fed in pieces as a file is read, and what is held between pieces is bounded.

pub mod batch;
pub mod capture;
pub mod columns;
pub mod container;
pub mod events;
pub mod format;
pub mod fragments;
pub mod hep;
pub mod join;
pub mod json;
pub mod keys;
pub mod lines;
pub mod log;
mod named;
pub mod network;
pub mod quoted;
pub mod rebuilt;
mod record;
pub mod replay;
pub mod streams;
pub mod trial;
pub mod xlog;

pub use batch::{Batch, Foreign, Known, Recorded};

/// Counts of what could not be read, by what it was.
#[derive(Debug, Default)]
pub struct Skipped(Vec<(&'static str, u64)>);

impl Skipped {
    pub fn count(&mut self, what: &'static str) {
        self.add(what, 1);
    }

    pub fn add(&mut self, what: &'static str, number: u64) {
        match self.0.iter_mut().find(|(known, _)| *known == what) {
            Some((_, count)) => *count += number,
            None => self.0.push((what, number)),
        }
    }

    /// What was counted since this was last asked.
    pub fn take(&mut self) -> Vec<(&'static str, u64)> {
        std::mem::take(&mut self.0)
    }
}

/// A number of the network's byte order, or of little endian; `None` beyond the end.
pub(crate) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

pub(crate) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// A decimal number of at most eighteen digits.
pub(crate) fn digits(text: &[u8]) -> Option<u64> {
    let fits = (1..=18).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    fits.then(|| {
        text.iter()
            .fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
    })
}
