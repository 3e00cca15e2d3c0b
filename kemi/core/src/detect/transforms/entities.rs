//! Character references of HTML.

use std::borrow::Cow;

use super::{push_code, rewrite};

/// What browsers make of the numbers 128 to 159: characters of Windows' code page 1252.
const WINDOWS: [u32; 32] = [
    0x20ac, 0x81, 0x201a, 0x192, 0x201e, 0x2026, 0x2020, 0x2021, 0x2c6, 0x2030, 0x160, 0x2039, 0x152, 0x8d, 0x17d,
    0x8f, 0x90, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x2dc, 0x2122, 0x161, 0x203a, 0x153, 0x9d,
    0x17e, 0x178,
];

/// The longest name that is looked up; the longest there is has 31 letters.
const MAX_NAME: usize = 24;

/// `&lt;` and `&#x3c;` become `<`, as browsers read them.
pub fn entities(value: &[u8]) -> Cow<'_, [u8]> {
    rewrite(
        value,
        |byte| byte == b'&',
        |value, at, made| {
            if value.get(at + 1)? == &b'#' {
                numbered(value, at, made)
            } else {
                named(value, at, made)
            }
        },
    )
}

fn numbered(value: &[u8], at: usize, made: &mut Vec<u8>) -> Option<usize> {
    let (radix, start) = if matches!(value.get(at + 2)?, b'x' | b'X') {
        (16, at + 3)
    } else {
        (10, at + 2)
    };
    let digits = value[start..]
        .iter()
        .map_while(|&byte| char::from(byte).to_digit(radix));
    let (mut code, mut count) = (0u32, 0);
    for digit in digits {
        code = code.saturating_mul(radix).saturating_add(digit);
        count += 1;
    }
    if count == 0 {
        return None;
    }
    match code {
        0 | 0xd800..=0xdfff | 0x11_0000.. => push_code(0xfffd, made),
        0x80..=0x9f => push_code(WINDOWS[code as usize - 0x80], made),
        // What no text may hold is dropped.
        1..=8 | 0xb | 0xe..=0x1f | 0x7f | 0xfdd0..=0xfdef => {}
        _ if code & 0xfffe == 0xfffe => {}
        _ => push_code(code, made),
    }
    let end = start + count;
    Some(end - at + usize::from(value.get(end) == Some(&b';')))
}

fn named(value: &[u8], at: usize, made: &mut Vec<u8>) -> Option<usize> {
    let rest = &value[at + 1..];
    let length = rest
        .iter()
        .take(MAX_NAME + 1)
        .take_while(|byte| byte.is_ascii_alphabetic())
        .count();
    let name = &rest[..length];
    if (2..=MAX_NAME).contains(&length) && rest.get(length) == Some(&b';') {
        let text = std::str::from_utf8(&value[at..at + length + 2]).ok()?;
        let read = htmlize::unescape(text);
        if read == text {
            return None;
        }
        made.extend_from_slice(read.as_bytes());
        return Some(length + 2);
    }
    // Those that browsers know without a semicolon too; no digit or underscore goes on with the word.
    if rest
        .get(length)
        .is_some_and(|&byte| byte.is_ascii_digit() || byte == b'_')
    {
        return None;
    }
    let read = match name {
        b"lt" | b"LT" => b'<',
        b"gt" | b"GT" => b'>',
        b"amp" | b"AMP" => b'&',
        b"quot" | b"QUOT" => b'"',
        _ => return None,
    };
    made.push(read);
    Some(length + 1)
}
