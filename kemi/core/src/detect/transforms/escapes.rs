//! Backslash escapes of SIP and of scripting languages, and bytes as hexadecimal numbers.

use std::borrow::Cow;

use super::{hexadecimal, push_code, rewrite};

/// `\"` becomes `"` (RFC 3261 25.1, quoted-pair).
pub fn quoted_pair(value: &[u8]) -> Cow<'_, [u8]> {
    rewrite(
        value,
        |byte| byte == b'\\',
        |value, at, made| {
            if value.get(at + 1) == Some(&b'\\') {
                made.push(b'\\');
                return Some(2);
            }
            Some(1)
        },
    )
}

/// `\x41`, `\u0041`, `\u{41}` and `\101` become `A`, as scripting languages read them.
pub fn escapes(value: &[u8]) -> Cow<'_, [u8]> {
    rewrite(
        value,
        |byte| byte == b'\\',
        |value, at, made| match value.get(at + 1)? {
            b'x' => {
                made.push(hexadecimal(value, at + 2, 2)? as u8);
                Some(4)
            }
            b'u' if value.get(at + 2) == Some(&b'{') => {
                let digits = value[at + 3..]
                    .iter()
                    .take(7)
                    .take_while(|byte| byte.is_ascii_hexdigit())
                    .count();
                if !(1..=6).contains(&digits) || value.get(at + 3 + digits) != Some(&b'}') {
                    return None;
                }
                push_code(hexadecimal(value, at + 3, digits)?, made);
                Some(digits + 4)
            }
            b'u' => {
                push_code(hexadecimal(value, at + 2, 4)?, made);
                Some(6)
            }
            b'0'..=b'3' => {
                let octal = value.get(at + 1..at + 4)?.iter().try_fold(0u32, |sum, byte| {
                    matches!(byte, b'0'..=b'7').then(|| (sum << 3) | u32::from(byte - b'0'))
                })?;
                made.push(octal as u8);
                Some(4)
            }
            // Two octal digits: a mark that needs no third (`\\47`), but no letter, which paths of Windows may name.
            b'4'..=b'7' => {
                let (high, low) = (value[at + 1] - b'0', *value.get(at + 2)?);
                let octal = high << 3 | low.wrapping_sub(b'0');
                if !matches!(low, b'0'..=b'7') || !octal.is_ascii_punctuation() {
                    return None;
                }
                made.push(octal);
                Some(3)
            }
            _ => None,
        },
    )
}

/// `0x2e` becomes `.`; only for the punctuation that paths and markup are made of.
///
/// Before a letter that may be a digit too (`0x2fetc`), but not at the head of a longer number, as identifiers are.
pub fn hex_bytes(value: &[u8]) -> Cow<'_, [u8]> {
    rewrite(
        value,
        |byte| byte == b'0',
        |value, at, made| {
            if !matches!(value.get(at + 1)?, b'x' | b'X') {
                return None;
            }
            let byte = hexadecimal(value, at + 2, 2)? as u8;
            let is_digit = |place: usize| value.get(place).is_some_and(u8::is_ascii_hexdigit);
            let alone = matches!(byte, 0x20..=0x2f | 0x5c | 0x3a..=0x3f) && !is_digit(at + 4);
            let padded = value.get(at + 4) == Some(&b'0') && !matches!(value.get(at + 5), Some(b'x' | b'X'));
            let short = matches!(byte, 0x2e | 0x2f) || (byte == 0x5c && !padded);
            let longer = (4..8).all(|place| is_digit(at + place));
            if !alone && (!short || longer) {
                return None;
            }
            made.push(byte);
            Some(4)
        },
    )
}
