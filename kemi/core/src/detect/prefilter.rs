//! Looks for many literals at once, in either case: what says which patterns are worth a try.
//!
//! Of each place in a text the first two bytes are looked up in a table, those that some literal begins with are followed by
//! the third, and what is left is compared. Ordinary text ends at the first look-up nearly always, and the tables that it
//! touches stay in the processor's first cache; an automaton over as many literals takes megabytes.

use std::ops::ControlFlow;

use super::literals::Literal;

/// What the first two bytes of a place may begin.
const ONE: u8 = 1;
const TWO: u8 = 2;
const MORE: u8 = 4;

/// Bits of the filter of three bytes.
const FILTER_BITS: u32 = 16;

/// Where a literal was found: the offset of its first byte, its length, and its number.
#[derive(Clone, Copy, Debug)]
pub struct Hit {
    pub start: u32,
    pub length: u16,
    pub literal: u16,
}

impl Hit {
    /// The offset behind it.
    pub fn end(self) -> usize {
        self.start as usize + usize::from(self.length)
    }
}

/// A literal with what it stands for. Literals have eight bytes at the most, so they are compared as one number.
#[derive(Debug)]
struct Word {
    /// Its bytes in lower case, the first one lowest; which of them are letters; which of the eight count.
    text: u64,
    letters: u64,
    mask: u64,
    length: u8,
    bound_before: bool,
    bound_behind: bool,
    /// Rules, each with the kinds of bytes that it takes beside the literal.
    owners: Vec<(u16, u64)>,
}

impl Word {
    fn new(literal: &Literal) -> Self {
        let (mut text, mut letters, mut mask) = (0, 0, 0);
        for (place, &byte) in literal.bytes.iter().take(8).enumerate() {
            text |= u64::from(byte) << (8 * place);
            mask |= 0xff << (8 * place);
            if byte.is_ascii_lowercase() {
                letters |= 0x20 << (8 * place);
            }
        }
        Self {
            text,
            letters,
            mask,
            length: literal.bytes.len().min(8) as u8,
            bound_before: literal.bound_before,
            bound_behind: literal.bound_behind,
            owners: Vec::new(),
        }
    }
}

/// Literals made ready.
#[derive(Debug)]
pub struct Prefilter {
    words: Vec<Word>,
    /// By the first two bytes, in lower case.
    pairs: Box<[u8; 1 << 16]>,
    /// Literals of one byte, and of two, by those.
    ones: Table,
    twos: Table,
    /// Which hashes of three bytes are there.
    filter: Box<[u64; 1 << (FILTER_BITS - 6)]>,
    /// Longer ones by their first three bytes.
    threes: Table,
}

/// Places looked at in one go.
const BLOCK: usize = 1024;

const LOWER: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).to_ascii_lowercase();
        byte += 1;
    }
    table
};

const fn hash(three: u32) -> usize {
    (three.wrapping_mul(0x9e37_79b1) >> (32 - FILTER_BITS)) as usize
}

fn three_of(bytes: &[u8]) -> u32 {
    u32::from(bytes[0]) << 16 | u32::from(bytes[1]) << 8 | u32::from(bytes[2])
}

/// Literals by what they begin with: open addressing over a power of two, at most half full.
#[derive(Debug, Default)]
struct Table {
    slots: Vec<(u32, Vec<u16>)>,
}

impl Table {
    fn new(mut entries: Vec<(u32, u16)>) -> Self {
        entries.sort_unstable();
        let size = (entries.len() * 2).next_power_of_two().max(2);
        let mut slots = vec![(0, Vec::new()); size];
        for (key, number) in entries {
            let mut at = hash(key) & (size - 1);
            while slots[at].0 != key && !slots[at].1.is_empty() {
                at = (at + 1) & (size - 1);
            }
            slots[at].0 = key;
            slots[at].1.push(number);
        }
        Self { slots }
    }

    fn of(&self, key: u32) -> &[u16] {
        let mut at = hash(key) & (self.slots.len() - 1);
        loop {
            let (known, numbers) = &self.slots[at];
            if *known == key || numbers.is_empty() {
                return numbers;
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    fn len(&self) -> usize {
        self.slots.len()
    }
}

impl Prefilter {
    /// Literals with the number of the rule that each is of; there are fewer than 65,536.
    pub fn new(mut owned: Vec<(&Literal, u16)>) -> Self {
        owned.sort_unstable();
        let mut words: Vec<Word> = Vec::new();
        let mut before: Option<&Literal> = None;
        let mut texts: Vec<&[u8]> = Vec::new();
        for (literal, rule) in owned {
            let same = |known: &Literal| {
                known.bytes == literal.bytes
                    && known.bound_before == literal.bound_before
                    && known.bound_behind == literal.bound_behind
            };
            if !before.is_some_and(same) {
                words.push(Word::new(literal));
                texts.push(&literal.bytes);
            }
            before = Some(literal);
            if let Some(word) = words.last_mut() {
                word.owners.push((rule, literal.needs));
            }
        }
        let mut pairs = Box::new([0; 1 << 16]);
        let mut filter = Box::new([0; 1 << (FILTER_BITS - 6)]);
        let (mut ones, mut twos, mut threes) = (Vec::new(), Vec::new(), Vec::new());
        for (number, text) in texts.into_iter().enumerate() {
            let number = number as u16;
            match *text {
                [] => {}
                [one] => {
                    ones.push((one.into(), number));
                    for second in 0..256 {
                        pairs[usize::from(one) << 8 | second] |= ONE;
                    }
                }
                [one, two] => {
                    let pair = u16::from(one) << 8 | u16::from(two);
                    twos.push((pair.into(), number));
                    pairs[usize::from(pair)] |= TWO;
                }
                [one, two, ..] => {
                    let three = three_of(text);
                    threes.push((three, number));
                    filter[hash(three) >> 6] |= 1 << (hash(three) & 63);
                    pairs[usize::from(one) << 8 | usize::from(two)] |= MORE;
                }
            }
        }
        let (ones, twos, threes) = (Table::new(ones), Table::new(twos), Table::new(threes));
        Self {
            words,
            pairs,
            ones,
            twos,
            filter,
            threes,
        }
    }

    /// Finds literals in a text, by their first byte's place, until it is told to end.
    pub fn scan(&self, text: &[u8], mut hit: impl FnMut(Hit) -> ControlFlow<()>) {
        // Which places may begin a literal is told without a branch, and those few are looked at after.
        let mut places = [0u16; BLOCK];
        for (block, start) in text.chunks(BLOCK).zip((0..).step_by(BLOCK)) {
            let mut count = 0;
            let following = [start + block.len(), start + block.len() + 1].map(|at| text.get(at).copied().unwrap_or(0));
            let mut look = |at: usize, one: u8, two: u8, three: u8| {
                let key = usize::from(LOWER[usize::from(one)]) << 8 | usize::from(LOWER[usize::from(two)]);
                let hash = hash((key as u32) << 8 | u32::from(LOWER[usize::from(three)]));
                let long = (self.filter[hash >> 6] >> (hash & 63)) as u8 & 1;
                let begins = self.pairs[key];
                places[count] = at as u16;
                count += usize::from(begins & (ONE | TWO) != 0 || begins >> 2 & long != 0);
            };
            for (at, three) in block.windows(3).enumerate() {
                look(at, three[0], three[1], three[2]);
            }
            match *block {
                [.., one, two] => {
                    look(block.len() - 2, one, two, following[0]);
                    look(block.len() - 1, two, following[0], following[1]);
                }
                [one] => look(0, one, following[0], following[1]),
                [] => {}
            }
            for &at in &places[..count] {
                if self.begin(text, start + usize::from(at), &mut hit).is_break() {
                    return;
                }
            }
        }
    }

    /// Looks for literals that begin at a place.
    fn begin(&self, text: &[u8], at: usize, hit: &mut impl FnMut(Hit) -> ControlFlow<()>) -> ControlFlow<()> {
        let byte = |at: usize| text.get(at).map_or(0, |&byte| LOWER[usize::from(byte)]);
        let (one, two) = (byte(at), byte(at + 1));
        let key = usize::from(one) << 8 | usize::from(two);
        let begins = self.pairs[key];
        if begins & MORE != 0 {
            let three = (key as u32) << 8 | u32::from(byte(at + 2));
            self.compare(text, at, self.threes.of(three), hit)?;
        }
        if begins & TWO != 0 {
            self.compare(text, at, self.twos.of(key as u32), hit)?;
        }
        if begins & ONE != 0 {
            self.compare(text, at, self.ones.of(one.into()), hit)?;
        }
        ControlFlow::Continue(())
    }

    #[inline]
    fn compare(
        &self,
        text: &[u8],
        at: usize,
        numbers: &[u16],
        hit: &mut impl FnMut(Hit) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        if numbers.is_empty() {
            return ControlFlow::Continue(());
        }
        let there = eight(text, at);
        for &number in numbers {
            let word = &self.words[usize::from(number)];
            if (there | word.letters) & word.mask != word.text {
                continue;
            }
            let end = at + usize::from(word.length);
            let fits = end <= text.len()
                && (!word.bound_before || is_bound(text, at))
                && (!word.bound_behind || is_bound(text, end));
            if fits {
                hit(Hit {
                    start: at as u32,
                    length: word.length.into(),
                    literal: number,
                })?;
            }
        }
        ControlFlow::Continue(())
    }

    /// The rules that a literal stands for, each with the kinds of bytes that it takes beside it.
    pub fn owners(&self, literal: u16) -> &[(u16, u64)] {
        &self.words[usize::from(literal)].owners
    }

    /// How many literals there are, and about how many bytes they take.
    pub fn size(&self) -> (usize, usize) {
        let words: usize = self
            .words
            .iter()
            .map(|word| size_of::<Word>() + word.owners.len() * 16)
            .sum();
        let tables = (self.ones.len() + self.twos.len() + self.threes.len()) * 40;
        (self.words.len(), words + tables + (1 << 16) + (1 << (FILTER_BITS - 3)))
    }
}

/// The eight bytes at a place, the first one lowest; zeros behind the end.
fn eight(text: &[u8], at: usize) -> u64 {
    let rest = &text[at.min(text.len())..];
    if let Some(whole) = rest.first_chunk::<8>() {
        return u64::from_le_bytes(*whole);
    }
    let mut bytes = [0; 8];
    bytes[..rest.len()].copy_from_slice(rest);
    u64::from_le_bytes(bytes)
}

/// Whether a word begins or ends at a place.
fn is_bound(text: &[u8], at: usize) -> bool {
    let is_word = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    is_word(at.checked_sub(1).and_then(|before| text.get(before))) != is_word(text.get(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_of_any_length_are_found_in_either_case() {
        let literal = |text: &str, bound| Literal {
            bytes: text.as_bytes().to_vec(),
            bound_before: bound,
            bound_behind: bound,
            needs: 0,
        };
        let all = [
            literal("$", false),
            literal("or", true),
            literal("union", false),
            literal("un", false),
            literal("--", false),
        ];
        let owned = all.iter().zip(0..).collect();
        let prefilter = Prefilter::new(owned);
        let found = |text: &str| {
            let mut found = Vec::new();
            prefilter.scan(text.as_bytes(), |hit| {
                found.push(text[hit.start as usize..hit.end()].to_owned());
                ControlFlow::Continue(())
            });
            found
        };
        assert_eq!(found("x UNION$ or for$"), ["UNION", "UN", "$", "or", "$"]);
        assert_eq!(found("a--"), ["--"]);
        assert_eq!(found("$"), ["$"]);
        assert_eq!(found(""), Vec::<String>::new());
        assert_eq!(found("uNiO"), ["uN"]);
        // On the border of two blocks, too.
        for size in BLOCK - 6..BLOCK + 2 {
            assert_eq!(found(&format!("{}union", "x".repeat(size))), ["union", "un"]);
        }
    }
}
