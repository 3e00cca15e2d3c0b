//! Reads JSON strictly, and only what needs no second thought: whatever is odd is `None`, for another reader to judge.
//!
//! Odd is all that readers of JSON differ about: keys with escapes, numbers that are no plain integers where one is
//! asked for, lone surrogates, NUL, deep nesting, and everything that RFC 8259 does not allow.

use std::borrow::Cow;

/// Objects and arrays within each other.
const DEEPEST: usize = 32;

/// A text as it stands in JSON, its escapes undone.
pub type Text<'a> = Cow<'a, [u8]>;

/// Reads one document: valid UTF-8 without control characters.
pub struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

/// What a value holds that was passed over.
#[derive(Clone, Copy, Default)]
pub struct Holds {
    /// Escapes, spaces between its parts, or what is neither text, object nor array: it can be written in several ways.
    pub many_ways: bool,
}

impl<'a> Reader<'a> {
    /// `None` where the text is not what is read here.
    pub fn new(text: &'a [u8]) -> Option<Self> {
        let plain = text.iter().fold(true, |plain, &byte| plain & (byte >= 0x20));
        (plain && std::str::from_utf8(text).is_ok()).then_some(Self { text, at: 0 })
    }

    /// Whether nothing follows.
    pub fn ends(&mut self) -> bool {
        self.space();
        self.at == self.text.len()
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Passes over spaces; whether there were any.
    #[inline]
    fn space(&mut self) -> bool {
        let start = self.at;
        while self.peek() == Some(b' ') {
            self.at += 1;
        }
        self.at > start
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Option<()> {
        self.space();
        self.take(byte).then_some(())
    }

    #[inline]
    fn take(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    /// Reads an object: `member` is called behind each key and reads its value.
    pub fn object(&mut self, mut member: impl FnMut(&mut Self, &'a [u8]) -> Option<()>) -> Option<()> {
        self.expect(b'{')?;
        self.space();
        if self.take(b'}') {
            return Some(());
        }
        loop {
            let Text::Borrowed(key) = self.string()? else {
                return None;
            };
            self.expect(b':')?;
            member(self, key)?;
            self.space();
            if self.take(b'}') {
                return Some(());
            }
            self.expect(b',')?;
        }
    }

    /// Reads an array: `item` reads each of its values.
    pub fn array(&mut self, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.expect(b'[')?;
        self.space();
        if self.take(b']') {
            return Some(());
        }
        loop {
            item(self)?;
            self.space();
            if self.take(b']') {
                return Some(());
            }
            self.expect(b',')?;
        }
    }

    #[inline]
    pub fn string(&mut self) -> Option<Text<'a>> {
        self.expect(b'"')?;
        let rest = self.text.get(self.at..)?;
        let end = stop(rest)?;
        if rest[end] == b'"' {
            self.at += end + 1;
            return Some(Cow::Borrowed(&rest[..end]));
        }
        self.escaped(rest, end).map(Cow::Owned)
    }

    /// The same of a text with escapes, the first of which stands at `escape`.
    fn escaped(&mut self, rest: &'a [u8], mut escape: usize) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(escape + 64);
        let mut from = 0;
        loop {
            out.extend_from_slice(&rest[from..escape]);
            let (character, used) = unescaped(rest.get(escape + 1..)?)?;
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            from = escape + 1 + used;
            let next = from + stop(rest.get(from..)?)?;
            if rest[next] == b'"' {
                out.extend_from_slice(&rest[from..next]);
                self.at += next + 1;
                return Some(out);
            }
            escape = next;
        }
    }

    /// A number without sign, fraction or exponent, as it stands there; at most eighteen digits.
    pub fn digits(&mut self) -> Option<&'a [u8]> {
        self.space();
        let rest = self.text.get(self.at..)?;
        let count = rest.iter().take(19).take_while(|byte| byte.is_ascii_digit()).count();
        let digits = &rest[..count];
        if !(1..=18).contains(&count) || (count > 1 && digits[0] == b'0') {
            return None;
        }
        // What goes on is no integer.
        let ends = matches!(rest.get(count), Some(b',' | b'}' | b']' | b' '));
        self.at += count;
        ends.then_some(digits)
    }

    pub fn integer(&mut self) -> Option<i64> {
        let digits = self.digits()?;
        Some(
            digits
                .iter()
                .fold(0, |number, digit| number * 10 + i64::from(digit - b'0')),
        )
    }

    pub fn small(&mut self) -> Option<i32> {
        self.integer().and_then(|number| i32::try_from(number).ok())
    }

    pub fn boolean(&mut self) -> Option<bool> {
        self.space();
        let value = self.peek()? == b't';
        self.word(if value { b"true" } else { b"false" })?;
        Some(value)
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        let is_there = self.text.get(self.at..)?.starts_with(word);
        self.at += word.len();
        is_there.then_some(())
    }

    /// Passes over a value of any kind; gives it as it stands there, and what it holds.
    pub fn any(&mut self) -> Option<(&'a [u8], Holds)> {
        self.space();
        let start = self.at;
        let mut holds = Holds::default();
        self.pass(DEEPEST, &mut holds)?;
        Some((self.text.get(start..self.at)?, holds))
    }

    fn pass(&mut self, depth: usize, holds: &mut Holds) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        holds.many_ways |= self.space();
        match self.peek()? {
            b'"' => {
                holds.many_ways |= matches!(self.string()?, Cow::Owned(_));
                Some(())
            }
            open @ (b'{' | b'[') => {
                // In ASCII the closing one stands two behind the opening one.
                let close = open + 2;
                self.at += 1;
                holds.many_ways |= self.space();
                if self.take(close) {
                    return Some(());
                }
                loop {
                    if open == b'{' {
                        holds.many_ways |= self.space();
                        holds.many_ways |= matches!(self.string()?, Cow::Owned(_));
                        holds.many_ways |= self.space();
                        self.expect(b':')?;
                    }
                    self.pass(depth, holds)?;
                    holds.many_ways |= self.space();
                    if self.take(close) {
                        return Some(());
                    }
                    self.expect(b',')?;
                }
            }
            first => {
                holds.many_ways = true;
                match first {
                    b't' => self.word(b"true"),
                    b'f' => self.word(b"false"),
                    b'n' => self.word(b"null"),
                    _ => self.number(),
                }
            }
        }
    }

    /// Passes over a number (RFC 8259 6).
    fn number(&mut self) -> Option<()> {
        self.take(b'-');
        if !self.take(b'0') {
            self.some_digits()?;
        }
        if self.take(b'.') {
            self.some_digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.some_digits()?;
        }
        Some(())
    }

    fn some_digits(&mut self) -> Option<()> {
        let rest = self.text.get(self.at..)?;
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        (count > 0).then_some(())
    }
}

/// Where the first `"` or `\` stands. Texts of a record are short: eight bytes at once cost less here than what is made for
/// long ones.
#[inline]
fn stop(text: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGHS: u64 = ONES << 7;
    // The lowest high bit that is set stands where the byte is.
    let equal = |word: u64, byte: u8| {
        let rest = word ^ (ONES * u64::from(byte));
        rest.wrapping_sub(ONES) & !rest & HIGHS
    };
    let mut at = 0;
    while let Some(chunk) = text.get(at..at + 8) {
        let word = u64::from_le_bytes(chunk.try_into().ok()?);
        let found = equal(word, b'"') | equal(word, b'\\');
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let rest = text.get(at..)?;
    (rest.iter().position(|&byte| matches!(byte, b'"' | b'\\'))).map(|found| at + found)
}

/// The character that an escape stands for, and how many bytes behind the backslash it takes. A lone surrogate and NUL
/// are `None`.
fn unescaped(text: &[u8]) -> Option<(char, usize)> {
    let character = match text.first()? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let first = unit(text.get(1..5)?)?;
            if !(0xd800..0xdc00).contains(&first) {
                return char::from_u32(first).filter(|&c| c != '\0').map(|c| (c, 5));
            }
            let behind = text.get(5..)?.strip_prefix(b"\\u")?;
            let second = unit(behind.get(..4)?)?;
            let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
            return char::from_u32(0x10000 + ((first - 0xd800) << 10) + low).map(|c| (c, 11));
        }
        _ => return None,
    };
    Some((character, 1))
}

fn unit(digits: &[u8]) -> Option<u32> {
    digits
        .iter()
        .try_fold(0, |unit, &digit| Some(unit * 16 + char::from(digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> Option<String> {
        let mut reader = Reader::new(text.as_bytes())?;
        let found = reader.string()?;
        reader.ends().then(|| String::from_utf8(found.into_owned()).unwrap())
    }

    #[test]
    fn texts_are_read_and_odd_ones_are_not() {
        for (text, said) in [
            (r#""""#, Some("")),
            (r#""a b""#, Some("a b")),
            (
                r#""\"\\\/\b\f\n\r\t\u0041\u2026\ud83d\ude00""#,
                Some("\"\\/\u{8}\u{c}\n\r\tA…😀"),
            ),
            ("\"é\"", Some("é")),
            (r#""\u0000""#, None),
            (r#""\ud83d""#, None),
            (r#""\ud83d\u0041""#, None),
            (r#""\ude00""#, None),
            (r#""\x41""#, None),
            (r#""\u00""#, None),
            (r#""a"#, None),
            (r#""a\""#, None),
            ("\"a\tb\"", None),
        ] {
            assert_eq!(string(text).as_deref(), said, "{text}");
        }
        assert!(Reader::new(b"\"\xff\"").is_none());
    }

    #[test]
    fn only_plain_integers_are_integers() {
        for (text, number) in [
            ("0,", Some(0)),
            ("123456789012345678}", Some(123_456_789_012_345_678)),
            ("1234567890123456789}", None),
            ("01,", None),
            ("1.0,", None),
            ("1e2,", None),
            ("-1,", None),
            ("7", None),
            ("\"7\",", None),
        ] {
            assert_eq!(Reader::new(text.as_bytes()).unwrap().integer(), number, "{text}");
        }
    }

    #[test]
    fn what_is_passed_over_is_checked() {
        let whole = |text: &str| {
            let mut reader = Reader::new(text.as_bytes()).unwrap();
            reader.any().filter(|_| reader.ends()).map(|(_, holds)| holds.many_ways)
        };
        for (text, many_ways) in [
            (r#"{"a":["b",{}],"c":[]}"#, false),
            (r#"{"a": "b"}"#, true),
            (r#"{"a":"\n"}"#, true),
            (r#"{"a":[0,-1.5e+3,true,false,null]}"#, true),
        ] {
            assert_eq!(whole(text), Some(many_ways), "{text}");
        }
        for text in [
            "{", "[1,]", "{\"a\"}", "{\"a\":}", "[01]", "[1.]", "[tru]", "[NaN]", "{} {}", "[-]", "[\"a]", "",
        ] {
            assert_eq!(whole(text), None, "{text}");
        }
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(whole(&deep(DEEPEST)).is_some());
        assert!(whole(&deep(DEEPEST + 1)).is_none());
    }
}
