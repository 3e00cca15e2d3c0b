//! Classes of bytes as literals are looked for, and how seldom three of them stand together in ordinary messages.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::literals::{LONGEST, frequency};

/// Messages as ordinary clients send them, of many forms.
pub const ORDINARY: &str = include_str!("../ordinary.txt");

/// Classes of bytes: a letter in either case, a digit, a mark; marks that are seldom share one.
pub const CLASSES: usize = 64;

/// Marks with a class of their own, and those that share one with the mark behind them.
const MARKS: &[u8] = b" \t.-_:;,/=@%\"'<($*+&\\|#`";
const SHARED: [(u8, u8); 9] = [
    (b'>', b'<'),
    (b')', b'('),
    (b'[', b'('),
    (b']', b'('),
    (b'{', b'$'),
    (b'}', b'$'),
    (b'^', b'`'),
    (b'~', b'`'),
    (b'!', b'`'),
];

/// The number of a byte's class, below 64; the same for a letter in either case.
static CLASS: [u8; 256] = {
    // Question marks, controls and bytes beyond ASCII have the last ones. Bytes that literals beyond ASCII begin with stand apart,
    // so that a name of another alphabet is not taken for the beginning of one.
    let mut table = [63; 256];
    table[0xc2] = 60;
    table[0xe2] = 60;
    table[0xe5] = 60;
    table[0xac] = 60;
    let mut byte = 0;
    while byte < 128 {
        let lower = (byte as u8).to_ascii_lowercase();
        table[byte] = match lower {
            b'a'..=b'z' => lower - b'a',
            b'0'..=b'9' => 26 + (lower - b'0'),
            b'?' => 61,
            0..=8 | 14..=31 | 127 => 62,
            _ => MARK_CLASSES[byte],
        };
        byte += 1;
    }
    table
};

const MARK_CLASSES: [u8; 128] = {
    let mut table = [61; 128];
    let mut at = 0;
    while at < MARKS.len() {
        table[MARKS[at] as usize] = 36 + at as u8;
        at += 1;
    }
    let mut byte = 10;
    while byte <= 13 {
        table[byte] = table[b'\t' as usize];
        byte += 1;
    }
    at = 0;
    while at < SHARED.len() {
        table[SHARED[at].0 as usize] = table[SHARED[at].1 as usize];
        at += 1;
    }
    table
};

pub const fn class(byte: u8) -> usize {
    CLASS[byte as usize] as usize
}

/// How often a text of one to eight bytes in lower case stands in ordinary messages, at a byte of them.
pub fn met(text: &[u8]) -> f64 {
    static KNOWN: LazyLock<HashMap<Vec<u8>, u32>> = LazyLock::new(|| {
        let all = ORDINARY.to_ascii_lowercase().into_bytes();
        let mut known = HashMap::new();
        for at in 0..all.len() {
            for size in 1..=LONGEST.min(all.len() - at) {
                *known.entry(all[at..at + size].to_vec()).or_default() += 1;
            }
        }
        known
    });
    f64::from(KNOWN.get(text).copied().unwrap_or_default()) / ORDINARY.len() as f64
}

/// How often three bytes stand together in ordinary messages, by their classes, with what their bytes alone make likely.
pub struct Seldom(Vec<u16>);

impl Seldom {
    pub fn of_ordinary() -> Self {
        let mut counts = vec![0u16; CLASSES * CLASSES * CLASSES];
        for three in ORDINARY.as_bytes().windows(3) {
            let count = &mut counts[triple(three)];
            *count = count.saturating_add(1);
        }
        Self(counts)
    }

    fn weight(&self, three: &[u8]) -> f64 {
        let alone: f64 = three.iter().map(|&byte| frequency(byte)).product();
        f64::from(self.0[triple(three)]) + alone * ORDINARY.len() as f64
    }

    /// Where the sign of a literal begins.
    pub fn sign(&self, text: &[u8]) -> usize {
        let weights = text.windows(3).map(|three| self.weight(three)).enumerate();
        weights
            .min_by(|(_, one), (_, other)| one.total_cmp(other))
            .map_or(0, |(at, _)| at)
    }
}

fn triple(three: &[u8]) -> usize {
    three.iter().fold(0, |all, &byte| all * CLASSES + class(byte))
}
