//! Looks for many literals at once, in either case, to tell which patterns are worth a try.
//!
//! A literal's sign are those three bytes in a row of it that ordinary messages have least. At each place in a text two bytes are
//! looked up in a table, which tells the third ones that make a sign of them; where one follows, the literal itself is compared.
//! Ordinary text nearly always ends at the first look-up, and a table takes 32 KB, of which it touches few lines; an automaton over
//! as many literals takes megabytes. Each of a few forms of values has a table, of those literals alone that matter in such values.

use std::ops::ControlFlow;

use super::classes::{CLASSES, Seldom, class};
use super::kinds::{self, Kinds};
use super::literals::Literal;
use super::owners::{Group, Owners, Place};

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

/// What a literal stands for.
#[derive(Debug)]
struct Word {
    bound_before: bool,
    bound_behind: bool,
    length: u8,
    /// Where in it its sign stands, and all of it.
    sign: u8,
    whole: Probe,
    /// Which of the owners are its own.
    owners: Place,
}

/// A literal, or what of it begins with its sign. It has eight bytes at the most, so it is compared as one number.
#[derive(Clone, Copy, Debug, Default)]
struct Probe {
    /// Its bytes in lower case, the first one lowest; which of them are letters; which of the eight count.
    text: u64,
    letters: u64,
    mask: u64,
}

impl Probe {
    fn new(bytes: &[u8]) -> Self {
        let mut made = Self::default();
        for (place, &byte) in bytes.iter().take(8).enumerate() {
            made.text |= u64::from(byte) << (8 * place);
            made.mask |= 0xff << (8 * place);
            if byte.is_ascii_lowercase() {
                made.letters |= 0x20 << (8 * place);
            }
        }
        made
    }

    fn is(&self, eight: u64) -> bool {
        (eight | self.letters) & self.mask == self.text
    }
}

/// Literals made ready.
#[derive(Debug)]
pub struct Prefilter {
    /// Literals by their keys.
    words: Vec<Word>,
    probes: Vec<Probe>,
    /// Where in those lists the literals of each key begin.
    starts: Box<[u16; KEYS + 1]>,
    /// By the class of a byte: those of the next one with which they are, or begin, a literal of one byte or of two.
    shorts: Box<[u64; CLASSES]>,
    owners: Owners,
    filters: Vec<Filter>,
}

/// Bytes that values of one form are made of: of a token or host, of lists and parameters, any; and whether those values are
/// plain, so that no rule for code matters. Of plain lists those without digits, such as Allow, are told apart: a comma means
/// something to a rule behind a number alone.
const FORMS: [(&[u8], bool); 7] = [
    (b"a0.-_:@", false),
    (b"a0.-_:@ ,/;=<>[]", false),
    (b"", false),
    (b"a0.-_:~[]+#", true),
    (b"a0.-_:@=~[]", true),
    (b"a.-_:@=~[]/, ", true),
    (b"", true),
];

/// Third bytes, where a literal of one byte or of two begins.
const ANY: u64 = u64::MAX;

/// What stands for the end of a text, where a third byte is asked for: a byte that no word has.
const END: u8 = 0;

/// Third bytes before which a word ends.
fn behind_words() -> u64 {
    let bytes = (0..=255).filter(|&byte| !is_word(byte));
    bytes.fold(0, |known, byte| known | 1 << class(byte))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Which places may begin a literal.
#[derive(Debug)]
struct Filter {
    /// It is for values with no other kinds of bytes than these.
    form: Kinds,
    plain: bool,
    /// By the classes of two bytes: the classes of third ones with which they are the sign of a literal.
    thirds: Box<[u64; CLASSES * CLASSES]>,
}

impl Filter {
    fn new(form: Kinds, plain: bool) -> Self {
        Self {
            form,
            plain,
            thirds: Box::new([0; CLASSES * CLASSES]),
        }
    }

    /// A literal, by its sign; which bytes may stand behind it.
    fn add(&mut self, text: &[u8], behind: u64) {
        match *text {
            [] => {}
            [one] => self.thirds[class(one) << 6..][..64].fill(ANY),
            [one, two] => self.thirds[class(one) << 6 | class(two)] |= behind,
            [one, two, three, ..] => self.thirds[class(one) << 6 | class(two)] |= 1 << class(three),
        }
    }
}

/// By what a literal is found: the class of its only byte, those of its two bytes, or a hash of those of its sign.
const PAIRS: usize = CLASSES;
const HASHES: usize = PAIRS + CLASSES * CLASSES;
const HASH_BITS: u32 = 12;
const KEYS: usize = HASHES + (1 << HASH_BITS);

/// The key of a literal by the classes of its sign's bytes, of so many.
fn key_of([one, two, three]: [usize; 3], length: usize) -> usize {
    match length {
        1 => one,
        2 => PAIRS + one * CLASSES + two,
        _ => {
            let all = (one * CLASSES + two) * CLASSES + three;
            HASHES + ((all as u32).wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS)) as usize
        }
    }
}

/// The key of a literal, from its sign on.
fn key_of_all(text: &[u8]) -> usize {
    let first = std::array::from_fn(|place| class(text.get(place).copied().unwrap_or(0)));
    key_of(first, text.len())
}

impl Prefilter {
    /// Of literals, each with the number of its rule; of `rules` rules, fewer than 65,536. `able`: whether values with no other kinds
    /// of bytes may be matched by a rule. `codeless`: whether a rule matters in plain ones.
    pub fn new(
        mut owned: Vec<(&Literal, u16)>,
        rules: usize,
        able: impl Fn(u16, Kinds) -> bool,
        codeless: impl Fn(u16) -> bool,
    ) -> Self {
        owned.retain(|(literal, _)| !literal.bytes.is_empty());
        let seldom = Seldom::of_ordinary();
        let sign = |literal: &Literal| seldom.sign(&literal.bytes);
        let key = |literal: &Literal| key_of_all(&literal.bytes[sign(literal)..]);
        owned.sort_by_cached_key(|(literal, rule)| (key(literal), **literal, *rule));
        let form = |bytes: &[u8]| {
            if bytes.is_empty() {
                Kinds::MAX
            } else {
                kinds::form(kinds::of(bytes))
            }
        };
        let mut filters = FORMS.map(|(bytes, plain)| Filter::new(form(bytes), plain));
        let (mut words, mut probes, mut starts): (Vec<Word>, Vec<Probe>, Vec<u16>) = Default::default();
        let mut before: Option<&Literal> = None;
        let mut owners = Owners::new(rules);
        let behind_words = behind_words();
        let mut shorts = Box::new([0u64; CLASSES]);
        for (literal, rule) in owned {
            let same = |known: &Literal| {
                known.bytes == literal.bytes
                    && known.bound_before == literal.bound_before
                    && known.bound_behind == literal.bound_behind
            };
            if !before.is_some_and(same) {
                starts.resize(key(literal) + 1, words.len() as u16);
                words.push(Word {
                    bound_before: literal.bound_before,
                    bound_behind: literal.bound_behind,
                    length: literal.bytes.len().min(8) as u8,
                    sign: sign(literal) as u8,
                    whole: Probe::new(&literal.bytes),
                    owners: owners.begin(),
                });
                probes.push(Probe::new(&literal.bytes[sign(literal)..]));
            }
            before = Some(literal);
            if let Some(word) = words.last_mut() {
                owners.add(&mut word.owners, rule, literal.needs);
            }
            let text = &literal.bytes[sign(literal)..];
            let ends_word = literal.bound_behind && text.last().is_some_and(|&byte| is_word(byte));
            let behind = if ends_word { behind_words } else { ANY };
            match *text {
                [one] => shorts[class(one)] = u64::MAX,
                [one, two] => shorts[class(one)] |= 1 << class(two),
                _ => {}
            }
            for filter in &mut filters {
                let matters = !filter.plain || codeless(rule);
                let may_stand = kinds::form(kinds::of(&literal.bytes)) & !filter.form == 0;
                if matters && may_stand && able(rule, filter.form) && literal.needs.may_be_in(filter.form) {
                    filter.add(text, behind);
                }
            }
        }
        let mut ends = Box::new([words.len() as u16; KEYS + 1]);
        ends[..starts.len()].copy_from_slice(&starts);
        Self {
            words,
            probes,
            starts: ends,
            shorts,
            owners,
            filters: filters.into(),
        }
    }

    /// Finds literals in a text with these kinds of bytes, by their sign's place, until it is told to end: those that
    /// may tell something in such a text (of a plain one, if it is `plain`), and maybe some more. In a long text a literal that
    /// stands many times may be told less often.
    pub fn scan(&self, text: &[u8], kinds: Kinds, plain: bool, mut hit: impl FnMut(Hit) -> ControlFlow<()>) {
        let form = kinds::form(kinds);
        let fits = |filter: &&Filter| filter.plain == plain && form & !filter.form == 0;
        let Some(filter) = self.filters.iter().find(fits) else {
            return;
        };
        if text.len() >= LONG {
            let mut repeats = Repeats::default();
            self.search(filter, text, |at, short| {
                if repeats.knows(text, at) {
                    return ControlFlow::Continue(());
                }
                self.begin(text, at, short, &mut hit)
            });
        } else {
            self.search(filter, text, |at, short| self.begin(text, at, short, &mut hit));
        }
    }

    /// Tells the places at which a literal's sign may stand, and whether it may have less than three bytes.
    #[inline(always)]
    fn search(&self, filter: &Filter, text: &[u8], mut begin: impl FnMut(usize, bool) -> ControlFlow<()>) {
        let thirds = &*filter.thirds;
        let known = |pair: usize| thirds[pair & 0xfff];
        let short = |pair: usize| self.shorts[pair >> 6 & 0x3f] >> (pair & 0x3f) & 1 != 0;
        let mut pair = 0;
        for (number, &byte) in text.iter().enumerate() {
            // The place two bytes before this one.
            let (thirds, third) = (known(pair), class(byte));
            if thirds >> third & 1 != 0 && number >= 2 && begin(number - 2, short(pair)).is_break() {
                return;
            }
            pair = (pair << 6 | third) & 0xfff;
        }
        // At the end only those of one byte and of two are left.
        for (left, pair) in [(2, pair), (1, pair << 6)] {
            let ends = known(pair) >> class(END) & 1 != 0;
            if ends && text.len() >= left && begin(text.len() - left, true).is_break() {
                return;
            }
        }
    }

    /// Looks for literals whose sign stands at a place; `short`: for those of one byte and of two, too.
    #[inline(never)]
    fn begin(
        &self,
        text: &[u8],
        at: usize,
        short: bool,
        hit: &mut impl FnMut(Hit) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let there = eight(text, at);
        let [one, two, three, ..] = there.to_le_bytes();
        let classes = [one, two, three].map(class);
        for length in if short { 1..4 } else { 3..4 } {
            let key = key_of(classes, length);
            let (start, stop) = (usize::from(self.starts[key]), usize::from(self.starts[key + 1]));
            if start == stop {
                continue;
            }
            for (number, probe) in (start..).zip(&self.probes[start..stop]) {
                if probe.is(there) {
                    self.compare(text, at, number, hit)?;
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// Tells of a literal whose sign stands at a place with what follows it, if all of it is there and bounded as it is to.
    fn compare(
        &self,
        text: &[u8],
        at: usize,
        number: usize,
        hit: &mut impl FnMut(Hit) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let word = &self.words[number];
        let Some(at) = at.checked_sub(usize::from(word.sign)) else {
            return ControlFlow::Continue(());
        };
        let end = at + usize::from(word.length);
        let fits = end <= text.len()
            && (word.sign == 0 || word.whole.is(eight(text, at)))
            && (!word.bound_before || is_bound(text, at))
            && (!word.bound_behind || is_bound(text, end));
        if !fits {
            return ControlFlow::Continue(());
        }
        hit(Hit {
            start: at as u32,
            length: word.length.into(),
            literal: number as u16,
        })
    }

    /// The rules that a literal stands for, all of them, and in groups; one may be in more than one.
    pub fn owners(&self, literal: u16) -> (&[u64], impl Iterator<Item = Group<'_>>) {
        self.owners.of(self.words[usize::from(literal)].owners)
    }

    /// How many literals there are, and about how many bytes they take.
    pub fn size(&self) -> (usize, usize) {
        let words = self.words.len() * (size_of::<Word>() + size_of::<Probe>()) + self.owners.bytes();
        let filters = self.filters.len() * CLASSES * CLASSES * size_of::<u64>();
        (self.words.len(), words + filters + self.starts.len() * 2)
    }
}

/// Bytes from which on a text is long.
const LONG: usize = 256;

/// Places in a long text with what stands round them, so that what is repeated there is looked at once.
struct Repeats([u32; 64]);

impl Default for Repeats {
    fn default() -> Self {
        Self([0; 64])
    }
}

impl Repeats {
    /// Whether the same bytes stood round another place: all that says which literals have their sign there and are bounded.
    fn knows(&mut self, text: &[u8], at: usize) -> bool {
        // A literal's sign is in its last eight bytes, and its bounds are one byte before it and one behind it.
        let Some(here) = at.checked_sub(6).and_then(|from| text.get(from..from + 16)) else {
            return false;
        };
        let there = eight(text, at);
        let place = &mut self.0[(there.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58) as usize];
        let from = *place as usize;
        *place = at as u32;
        from >= 6 && text.get(from - 6..from + 10) == Some(here)
    }
}

/// The eight bytes at a place, the first one lowest; zeros behind the end.
fn eight(text: &[u8], at: usize) -> u64 {
    if let Some(whole) = text.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        return u64::from_le_bytes(*whole);
    }
    match text.last_chunk::<8>() {
        // The last eight, without those before the place.
        Some(last) if at < text.len() => u64::from_le_bytes(*last) >> (8 * (at + 8 - text.len())),
        _ => text
            .iter()
            .skip(at)
            .rev()
            .fold(0, |known, &byte| known << 8 | u64::from(byte)),
    }
}

/// Whether a word begins or ends at a place.
fn is_bound(text: &[u8], at: usize) -> bool {
    let is_word = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    is_word(at.checked_sub(1).and_then(|before| text.get(before))) != is_word(text.get(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::kinds::Needs;
    use crate::detect::text::Text;

    #[test]
    fn literals_of_any_length_are_found_in_either_case() {
        let literal = |text: &str, bound| Literal {
            bytes: Text::of(text.as_bytes()),
            bound_before: bound,
            bound_behind: bound,
            needs: Needs::NOTHING,
        };
        let all = [
            literal("$", false),
            literal("or", true),
            literal("union", false),
            literal("un", false),
            literal("--", false),
        ];
        let owned = all.iter().zip(0..).collect();
        let prefilter = Prefilter::new(owned, all.len(), |_, _| true, |_| true);
        let found = |text: &str| {
            let mut found = Vec::new();
            prefilter.scan(text.as_bytes(), u64::MAX, false, |hit| {
                found.push(text[hit.start as usize..hit.end()].to_owned());
                ControlFlow::Continue(())
            });
            found
        };
        assert_eq!(found("x UNION$ or for$"), ["UN", "UNION", "$", "or", "$"]);
        assert_eq!(found("a--"), ["--"]);
        assert_eq!(found("$"), ["$"]);
        assert_eq!(found(""), Vec::<String>::new());
        assert_eq!(found("uNiO"), ["uN"]);
    }
}
