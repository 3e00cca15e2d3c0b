//! A second opinion on free text: a linear model over hashed n-grams of its characters and of its form, as
//! `tests/detection/train.py` trains it.

use std::fmt;

use super::kinds::{self, Kinds};
use super::register::is_session_name;
use crate::sip::{Part, PartKind, names};

/// The family and rule of its findings.
pub const FAMILY: &str = "model";
pub const RULE: &str = "second-opinion";

/// What it weighs: unsure, which takes the value out and tips nothing; sure, which adds to what else speaks against the message;
/// and beside a rule that is not sure of the same value, which decides.
pub const UNSURE: u8 = 3;
const SURE: u8 = 4;
pub const BESIDE: u8 = 5;
/// What a rule weighs that hints at something, and by itself or beside a sure opinion decides nothing.
const HINT: u8 = 1;
/// Log-odds above the threshold from which on it is sure: refusing a call asks for more than taking a name out.
const MARGIN: f64 = 1.5;

const MAGIC: &[u8; 8] = b"ngrams02";
const HEAD: usize = MAGIC.len() + 12;
/// Bits of an n-gram's hash that name its weight, characters of the longest, symbols of the shortest and the longest of a form,
/// and bytes of a text that are looked at.
const BITS: u32 = 18;
const LONGEST: usize = 5;
const FORMS: std::ops::RangeInclusive<usize> = 2..=6;
const MAX_TEXT: usize = 512;
/// Marks without one of which a text is not looked at: it holds no query and no command line.
pub const MARKS: Kinds = kinds::of_class(b"'\"`;|&<>${=#%*\\");
/// N-grams that a reason names.
const NAMED: usize = 3;
/// What stands before and behind a text, as no byte of one does.
const BEGIN: u32 = 2;
const END: u32 = 3;
/// What the hashes of n-grams (FNV-1a of 32 bits) and of a form's begin with.
const BASIS: u32 = 0x811c_9dc5;
const FORM_BASIS: u32 = 0xdacd_1738;

/// Weights of one byte for each bucket, with their scale; see `from_bytes`.
pub struct Model {
    scale: f64,
    bias: f64,
    threshold: f64,
    weights: Box<[i8]>,
}

impl fmt::Debug for Model {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            to,
            "Model of {} weights, threshold {}",
            self.weights.len(),
            self.threshold
        )
    }
}

/// What of a byte counts: its letter in small, that it is a digit, that it is beyond ASCII.
fn class(byte: u8) -> u32 {
    u32::from(match byte {
        b'0'..=b'9' => b'0',
        128.. => 128,
        other => other.to_ascii_lowercase(),
    })
}

/// What of a byte counts in a form: that it is a letter, a digit, or itself.
fn form_of(class: u32) -> u32 {
    match class {
        0x61..=0x7a | 128 => u32::from(b'a'),
        other => other,
    }
}

/// The symbols of a text between its markers. In a form, of letters, digits or spaces in a row one is left: `x;pkill kamailio`
/// is `a;a a`, whatever the words are, and `Kim; Su` is `a; a`.
struct Symbols {
    symbols: [u32; MAX_TEXT + 2],
    length: usize,
}

impl Symbols {
    fn written(text: &[u8]) -> Self {
        let text = &text[..text.len().min(MAX_TEXT)];
        let mut symbols = [END; MAX_TEXT + 2];
        symbols[0] = BEGIN;
        for (symbol, &byte) in symbols[1..].iter_mut().zip(text) {
            *symbol = class(byte);
        }
        let length = text.len() + 2;
        Self { symbols, length }
    }

    fn form(&self) -> Self {
        let mut symbols = [END; MAX_TEXT + 2];
        symbols[0] = BEGIN;
        let mut length = 1;
        for &symbol in &self.symbols[1..self.length - 1] {
            let symbol = form_of(symbol);
            let in_a_row = symbol == symbols[length - 1] && [b'a', b'0', b' '].map(u32::from).contains(&symbol);
            if !in_a_row {
                symbols[length] = symbol;
                length += 1;
            }
        }
        Self {
            symbols,
            length: length + 1,
        }
    }

    /// Calls `each` with the place, length and bucket of every n-gram of these lengths.
    fn walk(&self, basis: u32, lengths: std::ops::RangeInclusive<usize>, mut each: impl FnMut(usize, usize, usize)) {
        let symbols = &self.symbols[..self.length];
        for start in 0..symbols.len() {
            let mut hash = basis;
            for (length, symbol) in (1..=*lengths.end()).zip(&symbols[start..]) {
                hash = (hash ^ symbol).wrapping_mul(0x0100_0193);
                if length >= *lengths.start() {
                    let bucket = (hash >> (32 - BITS)) ^ (hash & ((1 << BITS) - 1));
                    each(start, length, bucket as usize);
                }
            }
        }
    }
}

impl Model {
    /// A model of its file: a magic word, scale, bias and threshold as little-endian floats of 32 bits, and a signed byte for
    /// each of 262,144 buckets. Anything else is an error that says what is wrong.
    pub fn from_bytes(content: &[u8]) -> Result<Self, String> {
        let size = HEAD + (1 << BITS);
        if content.len() != size || !content.starts_with(MAGIC) {
            let found = content.len();
            return Err(format!(
                "no weights of this version: {found} bytes; {size} that begin with ngrams02 are expected"
            ));
        }
        let float = |number: usize| {
            let at = MAGIC.len() + 4 * number;
            let bytes = [content[at], content[at + 1], content[at + 2], content[at + 3]];
            f64::from(f32::from_le_bytes(bytes))
        };
        let (scale, bias, threshold) = (float(0), float(1), float(2));
        if ![scale, bias, threshold].into_iter().all(f64::is_finite) {
            return Err("scale, bias and threshold are no numbers".to_owned());
        }
        Ok(Self {
            scale,
            bias,
            threshold,
            weights: content[HEAD..].iter().map(|&byte| byte as i8).collect(),
        })
    }

    /// The log-odds that a text is an attack; `None` for one without a mark. Linear in its first 512 bytes, and no more.
    pub fn score(&self, text: &[u8]) -> Option<f64> {
        if kinds::of(text) & MARKS == 0 {
            return None;
        }
        let (mut sum, mut count) = (0_i32, 0_u32);
        let mut add = |_, _, bucket: usize| {
            sum += i32::from(self.weights[bucket]);
            count += 1;
        };
        let written = Symbols::written(text);
        written.walk(BASIS, 1..=LONGEST, &mut add);
        written.form().walk(FORM_BASIS, FORMS, &mut add);
        Some(f64::from(sum) * self.scale / f64::from(count).sqrt() + self.bias)
    }

    /// The log-odds of a text that reads like an attack.
    pub fn alarm(&self, text: &[u8]) -> Option<f64> {
        self.score(text).filter(|&odds| odds > self.threshold)
    }

    /// The n-grams of characters that speak most for an attack, the strongest first; none lies within another.
    pub fn strongest<'t>(&self, text: &'t [u8]) -> Vec<&'t [u8]> {
        let mut best: Vec<(i32, usize, usize)> = Vec::with_capacity(64);
        Symbols::written(text).walk(BASIS, 1..=LONGEST, |start, length, bucket| {
            let weight = i32::from(self.weights[bucket]);
            // Markers are no bytes of the text.
            if weight > 0 && start > 0 && start + length <= text.len().min(MAX_TEXT) + 1 {
                best.push((weight, start - 1, start - 1 + length));
            }
        });
        best.sort_unstable_by_key(|&(weight, start, end)| (-weight, start, end));
        let mut named: Vec<(usize, usize)> = Vec::with_capacity(NAMED);
        for (_, start, end) in best {
            if named.len() < NAMED && named.iter().all(|&(low, high)| end <= low || high <= start) {
                named.push((start, end));
            }
        }
        named.into_iter().map(|(start, end)| &text[start..end]).collect()
    }

    /// What an opinion on a part weighs, alone or beside a rule that is not sure of it.
    ///
    /// A field of no standard holds what two programs agreed on, as JSON or a query's string, and taking it out would break them:
    /// there it is only noted, if no rule says the same, and so it is in a session's name while it is not sure.
    ///
    /// `weighed`: what the surest rule found in the part weighs. What no more than hints decides nothing, but is enough for a
    /// session's name to be taken out.
    pub fn weight(&self, part: &Part<'_>, odds: f64, weighed: u8) -> u8 {
        let is_sure = odds > self.threshold + MARGIN;
        match part.header.id {
            _ if weighed > HINT && is_sure => BESIDE,
            names::OTHER => 0,
            // Names of sessions have marks that people's hardly have.
            _ if !is_sure && weighed == 0 && is_session_name(part) => 0,
            _ if is_sure => SURE,
            _ => UNSURE,
        }
    }

    /// Why a text reads like an attack.
    pub fn reason(&self, odds: f64, text: &[u8]) -> String {
        let named: Vec<String> = self
            .strongest(text)
            .into_iter()
            .map(|gram| format!("\"{}\"", gram.escape_ascii()))
            .collect();
        format!(
            "reads like an attack, log-odds {odds:.1} over {:.2}, most for {}",
            self.threshold,
            named.join(", ")
        )
    }
}

/// Whether a part is free text of which an opinion is asked: names, also of sessions, what devices call themselves, what a reason
/// says, and what stands where a URL belongs and is none.
pub fn is_asked(part: &Part<'_>) -> bool {
    match part.kind {
        PartKind::DisplayName => true,
        PartKind::Text => match part.header.id {
            names::USER_AGENT | names::SERVER | names::SUBJECT | names::ORGANIZATION | names::OTHER => true,
            // Where a URL belongs, what has a space is none; it is taken out of its brackets.
            names::CALL_INFO | names::ALERT_INFO => part.value.contains(&b' ') && !part.value.starts_with(b"<"),
            _ => false,
        },
        PartKind::Parameter => part.quoted && part.header.id == names::REASON,
        PartKind::Body => is_session_name(part),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content() -> Vec<u8> {
        let mut content = MAGIC.to_vec();
        for number in [0.5_f32, -1.0, 1.5] {
            content.extend(number.to_le_bytes());
        }
        content.resize(HEAD + (1 << BITS), 0);
        content
    }

    #[test]
    fn what_is_no_model_is_refused() {
        assert!(Model::from_bytes(&content()).is_ok());
        assert!(Model::from_bytes(&content()[1..]).is_err());
        let mut other = content();
        other[7] = b'1';
        assert!(Model::from_bytes(&other).is_err());
        let mut endless = content();
        endless[8..12].copy_from_slice(&f32::NAN.to_le_bytes());
        assert!(Model::from_bytes(&endless).unwrap_err().contains("no numbers"));
    }

    #[test]
    fn a_text_without_a_mark_is_not_looked_at_and_a_long_one_only_so_far() {
        let model = Model::from_bytes(&content()).expect("a model");
        assert_eq!(model.score(b"Bob Smith (East) 1/2"), None);
        assert_eq!(model.score(b"it's"), Some(-1.0));
        let mut grams = 0;
        Symbols::written(&[b'\''; 100_000]).walk(BASIS, 1..=LONGEST, |_, _, _| grams += 1);
        assert_eq!(grams, 514 * 5 - 10);
    }

    #[test]
    fn a_form_says_what_is_no_word() {
        let form = |text: &[u8]| {
            let form = Symbols::written(text).form();
            form.symbols[1..form.length - 1]
                .iter()
                .map(|&symbol| symbol as u8 as char)
                .collect::<String>()
        };
        assert_eq!(form(b"x;pkill kamailio"), "a;a a");
        assert_eq!(form("Jos\u{e9}  100-20 &&".as_bytes()), "a 0-0 &&");
        assert_eq!(form(b""), "");
        assert_eq!(Symbols::written(&[b'a'; 1000]).form().length, 3);
    }

    #[test]
    fn the_strongest_are_named_once_each() {
        let mut content = content();
        content[HEAD..].fill(1);
        let model = Model::from_bytes(&content).expect("a model");
        let text = b"ab'\"\x1b";
        let named = model.strongest(text);
        assert_eq!(named.first(), Some(&&text[..1]));
        assert!(named.len() <= NAMED);
        assert!(!model.reason(2.0, b"\x1b[2J'").contains('\x1b'));
    }
}
