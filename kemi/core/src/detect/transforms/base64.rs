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
        for group in word.chunks(4) {
            let bits = group
                .iter()
                .fold(0u32, |bits, &byte| (bits << 6) | u32::from(digit(byte).unwrap_or(0)));
            let bytes = (bits << (6 * (4 - group.len()))).to_be_bytes();
            made.extend_from_slice(&bytes[1..group.len()]);
        }
        let printable = made[text..].iter().filter(|byte| matches!(byte, 0x20..0x7f)).count();
        if printable * 100 < 95 * (made.len() - text) {
            made.truncate(start);
        }
    }
    Cow::Owned(made)
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
