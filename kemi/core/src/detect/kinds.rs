//! The kinds of bytes that stand in a value, and which kinds whatever a pattern matches must have: most values of ordinary
//! messages lack what nearly all patterns need, and are passed for the price of reading them once.

use std::cmp::Ordering;
use std::sync::LazyLock;

use regex_syntax::hir::{Class, Hir, HirKind};

use super::literals::frequency;

/// Kinds of bytes, a bit each: each letter in either case, digits, white space, each mark, bytes beyond ASCII, other controls;
/// a blank has a further bit, and so has other white space.
pub type Kinds = u64;

const LETTERS: Kinds = (1 << 26) - 1;
const DIGIT: Kinds = 1 << 26;
const WHITE: Kinds = 1 << 27;
const FIRST_MARK: u32 = 28;
pub const HIGH: Kinds = 1 << 60;
const CONTROL: Kinds = 1 << 61;
const BLANK: Kinds = 1 << 62;
const LINE: Kinds = 1 << 63;

const fn kind(byte: u8) -> Kinds {
    match byte.to_ascii_lowercase() {
        letter @ b'a'..=b'z' => 1 << (letter - b'a'),
        b'0'..=b'9' => DIGIT,
        b' ' => WHITE | BLANK,
        b'\t'..=b'\r' => WHITE | LINE,
        mark @ b'!'..=b'/' => 1 << (FIRST_MARK + (mark - b'!') as u32),
        mark @ b':'..=b'@' => 1 << (FIRST_MARK + 15 + (mark - b':') as u32),
        mark @ b'['..=b'`' => 1 << (FIRST_MARK + 22 + (mark - b'[') as u32),
        mark @ b'{'..=b'~' => 1 << (FIRST_MARK + 28 + (mark - b'{') as u32),
        0x80.. => HIGH,
        _ => CONTROL,
    }
}

const KINDS: [Kinds; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = kind(byte as u8);
        byte += 1;
    }
    table
};

static TABLE: [Kinds; 256] = KINDS;

/// The kind of a byte.
pub const fn of_byte(byte: u8) -> Kinds {
    KINDS[byte as usize]
}

/// The kinds of bytes that stand in a value.
pub fn of(value: &[u8]) -> Kinds {
    let mut chunks = value.chunks_exact(4);
    let mut known = 0;
    for four in &mut chunks {
        let two = TABLE[usize::from(four[0])] | TABLE[usize::from(four[1])];
        known |= two | TABLE[usize::from(four[2])] | TABLE[usize::from(four[3])];
    }
    chunks
        .remainder()
        .iter()
        .fold(known, |known, &byte| known | TABLE[usize::from(byte)])
}

/// The kinds of a class of bytes, to hold a value's against: one whose kinds are all among them has bytes of this class only, one
/// that shares a kind of mark has such a mark. The class must have all digits or none, and no white space but blanks.
pub const fn of_class(bytes: &[u8]) -> Kinds {
    let mut kinds = 0;
    let mut at = 0;
    while at < bytes.len() {
        kinds |= kind(bytes[at]);
        at += 1;
    }
    kinds
}

/// The kinds with all letters taken for one, so that values of one form have the same.
pub const fn form(kinds: Kinds) -> Kinds {
    kinds & !LETTERS | (kinds & LETTERS != 0) as u64
}

/// A place among `size` for a form.
pub const fn slot(form: Kinds, size: usize) -> usize {
    (form.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize % size
}

/// The bytes of a class; `None` where it has characters beyond ASCII.
fn bytes_of(class: &Class) -> Option<Vec<u8>> {
    let class = match class {
        Class::Bytes(class) => Some(class.clone()),
        Class::Unicode(class) => class.to_byte_class(),
    };
    class.map(|class| class.iter().flat_map(|range| range.start()..=range.end()).collect())
}

/// The kinds of bytes all of which stand in whatever a pattern matches.
pub fn common(hir: &Hir) -> Kinds {
    match hir.kind() {
        HirKind::Literal(literal) => of(&literal.0),
        HirKind::Class(class) => {
            let kinds = bytes_of(class).unwrap_or_default().into_iter().map(of_byte);
            kinds.reduce(|known, more| known & more).unwrap_or(0)
        }
        HirKind::Repetition(repetition) if repetition.min > 0 => common(&repetition.sub),
        HirKind::Capture(capture) => common(&capture.sub),
        HirKind::Concat(parts) => parts.iter().map(common).fold(0, |known, more| known | more),
        HirKind::Alternation(parts) => parts.iter().map(common).reduce(|known, more| known & more).unwrap_or(0),
        _ => 0,
    }
}

/// What kinds of bytes stand in whatever a pattern, or one way to match it, matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Needs {
    /// All of these.
    pub all: Kinds,
    /// And one of these: where a class of marks has to match, `all` says nothing.
    pub any: Kinds,
}

impl Needs {
    /// Whatever stands there.
    pub const NOTHING: Self = Self {
        all: 0,
        any: Kinds::MAX,
    };

    pub fn of(hir: &Hir) -> Self {
        let all = common(hir);
        let told = choices(hir).into_iter().filter(|choice| choice & all == 0);
        Self {
            all,
            any: told.min_by(rarer).unwrap_or(Kinds::MAX),
        }
    }

    /// Whether a value with these kinds of bytes has them.
    pub fn are_in(self, kinds: Kinds) -> bool {
        self.all & !kinds == 0 && self.any & kinds != 0
    }

    /// Whether some value whose kinds are of a form (see `form`) has them.
    pub fn may_be_in(self, form_of: Kinds) -> bool {
        form(self.all) & !form_of == 0 && form(self.any) & form_of != 0
    }

    /// Both what this says and what the other does, as far as one choice can say it.
    pub fn and(self, other: Self) -> Self {
        Self {
            all: self.all | other.all,
            any: [self.any, other.any].into_iter().min_by(rarer).unwrap_or(Kinds::MAX),
        }
    }

    /// Whether all that this says holds wherever the other does.
    pub fn follow_from(self, other: Self) -> bool {
        self.all & !other.all == 0 && (other.any & !self.any == 0 || other.all & self.any != 0)
    }
}

/// Of a byte's kinds those that tell it from others.
const fn own_kind(byte: u8) -> Kinds {
    match kind(byte) & !WHITE {
        0 => WHITE,
        own => own,
    }
}

/// Sets of kinds of each of which one stands in whatever a pattern matches.
fn choices(hir: &Hir) -> Vec<Kinds> {
    let of_bytes = |bytes: &[u8]| bytes.iter().fold(0, |known, &byte| known | own_kind(byte));
    match hir.kind() {
        HirKind::Literal(literal) => literal.0.iter().map(|&byte| own_kind(byte)).collect(),
        HirKind::Class(class) => bytes_of(class).map(|bytes| of_bytes(&bytes)).into_iter().collect(),
        HirKind::Repetition(repetition) if repetition.min > 0 => choices(&repetition.sub),
        HirKind::Capture(capture) => choices(&capture.sub),
        HirKind::Concat(parts) => parts.iter().flat_map(choices).collect(),
        HirKind::Alternation(parts) => {
            let rarest = parts.iter().map(|part| choices(part).into_iter().min_by(rarer));
            let either = rarest.reduce(|known, more| Some(known? | more?));
            either.flatten().into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// Which of two sets has the bytes that are met less often in ordinary messages.
fn rarer(one: &Kinds, other: &Kinds) -> Ordering {
    static MET: LazyLock<[f64; 64]> = LazyLock::new(|| {
        let mut met = [0.0; 64];
        for byte in 0..=255 {
            met[own_kind(byte).trailing_zeros() as usize] += frequency(byte);
        }
        met
    });
    let met = |kinds: Kinds| -> f64 {
        let bits = MET.iter().enumerate();
        bits.map(|(bit, met)| if kinds >> bit & 1 != 0 { *met } else { 0.0 })
            .sum()
    };
    met(*one).total_cmp(&met(*other))
}

/// Ways to be matched that are told apart for one pattern; of more only what they have in common counts.
const MOST: usize = 48;

/// Kinds of a class that are told apart.
const WIDEST: usize = 8;

/// Sets of kinds, by `form`, one of which stands whole in whatever a pattern matches. An empty set: nothing can be told.
pub fn ways(hir: &Hir) -> Vec<Kinds> {
    match hir.kind() {
        HirKind::Literal(literal) => vec![form(of(&literal.0))],
        HirKind::Class(class) => {
            let Some(bytes) = bytes_of(class) else {
                return vec![0];
            };
            let mut found = Vec::new();
            for byte in bytes {
                let one = form(of_byte(byte));
                if !found.contains(&one) {
                    found.push(one);
                }
            }
            if found.len() > WIDEST { vec![0] } else { found }
        }
        HirKind::Repetition(repetition) if repetition.min > 0 => ways(&repetition.sub),
        HirKind::Capture(capture) => ways(&capture.sub),
        HirKind::Concat(parts) => parts.iter().map(ways).fold(vec![0], |known, more| {
            let both = known.iter().flat_map(|one| more.iter().map(move |other| one | other));
            let both = least(both.collect());
            // To leave a part out tells less, and nothing wrong.
            if both.len() <= MOST { both } else { known }
        }),
        HirKind::Alternation(parts) => {
            let all = least(parts.iter().flat_map(ways).collect());
            if all.len() <= MOST {
                all
            } else {
                vec![all.into_iter().reduce(|known, more| known & more).unwrap_or(0)]
            }
        }
        _ => vec![0],
    }
}

/// Without sets that hold another one.
fn least(mut sets: Vec<Kinds>) -> Vec<Kinds> {
    sets.sort_unstable_by_key(|set| (set.count_ones(), *set));
    sets.dedup();
    let mut kept: Vec<Kinds> = Vec::with_capacity(sets.len());
    for set in sets {
        if !kept.iter().any(|known| known & !set == 0) {
            kept.push(set);
        }
    }
    kept
}

/// How much a kind tells: of a set, the bit by which it is found is the rarest in ordinary messages.
fn rarity(bit: u32) -> u32 {
    const COMMON: [Kinds; 8] = [
        1,
        DIGIT,
        of_byte(b'.'),
        of_byte(b' '),
        of_byte(b'-'),
        of_byte(b'/') | of_byte(b':'),
        of_byte(b';') | of_byte(b'=') | of_byte(b','),
        of_byte(b'<') | of_byte(b'>') | of_byte(b'@') | of_byte(b'"') | HIGH,
    ];
    COMMON
        .iter()
        .position(|kinds| kinds >> bit & 1 != 0)
        .map_or(COMMON.len() as u32, |place| place as u32)
}

/// Which patterns can be matched by values of a form: sets of kinds, each under the rarest of its kinds.
#[derive(Debug)]
pub struct Forms {
    by_bit: Vec<Vec<(Kinds, u16)>>,
    /// Patterns of which nothing is told.
    any: Vec<u16>,
}

impl Forms {
    /// `ways` of each pattern, in their order.
    pub fn new(patterns: impl Iterator<Item = Vec<Kinds>>) -> Self {
        let mut made = Self {
            by_bit: vec![Vec::new(); 64],
            any: Vec::new(),
        };
        for (ways, number) in patterns.zip(0..) {
            if ways.contains(&0) {
                made.any.push(number);
                continue;
            }
            for set in ways {
                let rarest = (0..64).filter(|bit| set >> bit & 1 != 0).max_by_key(|&bit| rarity(bit));
                if let Some(bit) = rarest {
                    made.by_bit[bit as usize].push((set, number));
                }
            }
        }
        made
    }

    /// Tells each pattern that a value of that form may be matched by; some more than once.
    pub fn able(&self, form: Kinds, mut able: impl FnMut(u16)) {
        self.any.iter().copied().for_each(&mut able);
        let mut left = form;
        while left != 0 {
            for &(set, number) in &self.by_bit[left.trailing_zeros() as usize] {
                if set & !form == 0 {
                    able(number);
                }
            }
            left &= left - 1;
        }
    }
}

/// Bytes by which a value may be read in more than one way, wherever they stand.
pub const ODD: Kinds = {
    let mut kinds = HIGH | CONTROL | LINE;
    let marks = b"%&\\\"'*+^`";
    let mut at = 0;
    while at < marks.len() {
        kinds |= of_byte(marks[at]);
        at += 1;
    }
    kinds
};

/// Whether a value with these kinds may hold two bytes that are read in more ways than one together: a variable of a shell, a
/// number of base 16, two blanks, the head of a JSON Web Token (`eyJ`).
pub const fn may_open(kinds: Kinds) -> bool {
    let token = of_byte(b'e') | of_byte(b'y') | of_byte(b'j');
    kinds & (of_byte(b'$') | BLANK) != 0 || (kinds & DIGIT != 0 && kinds & of_byte(b'x') != 0) || kinds & token == token
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::literals::parse;

    fn able(pattern: &str, value: &str) -> bool {
        let forms = Forms::new(std::iter::once(ways(&parse(pattern).expect("a pattern"))));
        let mut found = false;
        forms.able(form(of(value.as_bytes())), |_| found = true);
        found
    }

    #[test]
    fn a_pattern_is_for_values_that_have_what_it_needs() {
        for (pattern, yes, no) in [
            (r"'\s*or\s*'", "' OR '", "or"),
            (r"(?:;|\|)\s*cat", "a|b", "a&b"),
            (r"union\s+select", "a\tb", "a-b"),
            (r"\bor\b\s*[\d']", "x 'y", "x y"),
            (r"[^a]b", "xb", "..."),
        ] {
            assert_eq!((able(pattern, yes), able(pattern, no)), (true, false), "{pattern}");
        }
        // Nothing is told of what may be empty.
        assert!(able("a*", ""));
    }

    #[test]
    fn what_a_pattern_needs_is_one_of_a_class_too() {
        for (pattern, yes, no) in [
            (r"[;|&]\s*cat", "x|cat", "x cat"),
            (r"\s>\s?/\w", "a >/b", "a b/c"),
            (r"(?:'|\x22)or[=<]", "'or<1", "or<1"),
            (r"[^a]b", "xb", "ac"),
        ] {
            let needs = Needs::of(&parse(pattern).expect("a pattern"));
            let are_in = |value: &str| needs.are_in(of(value.as_bytes()));
            assert_eq!((are_in(yes), are_in(no)), (true, false), "{pattern}");
        }
        assert_eq!(Needs::of(&parse("a*").expect("a pattern")), Needs::NOTHING);
    }

    #[test]
    fn what_is_odd_is_so_for_a_byte_as_for_its_kind() {
        for byte in 0..=255 {
            let odd = crate::detect::transforms::is_odd(byte);
            assert_eq!(of_byte(byte) & ODD != 0, odd, "{byte}");
        }
    }
}
