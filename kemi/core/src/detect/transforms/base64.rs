//! Texts in base64.

use std::borrow::Cow;

/// Letters of the shortest word that is taken for base64.
const MIN_WORD: usize = 12;

/// The texts that stand in base64 in a value, one to a line; empty where there is none.
pub fn unbase64(value: &[u8]) -> Cow<'_, [u8]> {
    let mut made: Vec<u8> = Vec::new();
    for word in value
        .split(|&byte| digit(byte).is_none())
        .filter(|word| word.len() >= MIN_WORD && word.len() % 4 != 1)
    {
        let start = made.len();
        if start > 0 {
            made.push(b'\n');
        }
        let text = made.len();
        push(word, &mut made);
        let printable = made[text..].iter().filter(|byte| matches!(byte, 0x20..0x7f)).count();
        if printable * 100 < 95 * (made.len() - text) {
            made.truncate(start);
        }
    }
    Cow::Owned(made)
}

/// What digits of base64 or base64url stand for.
pub fn decoded(digits: &[u8]) -> Vec<u8> {
    let mut made = Vec::with_capacity(digits.len() * 3 / 4);
    push(digits, &mut made);
    made
}

fn push(digits: &[u8], made: &mut Vec<u8>) {
    let value_of = |byte| match byte {
        b'-' => 62,
        b'_' => 63,
        byte => u32::from(digit(byte).unwrap_or(0)),
    };
    for group in digits.chunks(4) {
        let bits = group.iter().fold(0, |bits: u32, &byte| (bits << 6) | value_of(byte));
        let bytes = (bits << (6 * (4 - group.len()))).to_be_bytes();
        made.extend_from_slice(&bytes[1..group.len().max(1)]);
    }
}

pub const fn is_digit(byte: u8) -> bool {
    digit(byte).is_some()
}

/// RFC 4648 5: the alphabet for URLs and file names.
pub const fn is_url_digit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}
