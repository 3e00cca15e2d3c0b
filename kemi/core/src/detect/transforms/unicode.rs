//! Characters that read like ASCII, that nobody sees, or that are written in too many bytes.

use std::borrow::Cow;
use std::sync::LazyLock;

use unicode_normalization::char::{canonical_combining_class, decompose_compatible};

use super::rewrite;

/// UTF-8 in more bytes than needed becomes the ASCII character that lax decoders make of it.
pub fn overlong(value: &[u8]) -> Cow<'_, [u8]> {
    rewrite(value, begins_overlong, |value, at, made| {
        let length = match value[at] {
            0xc0 | 0xc1 => 2,
            0xe0 => 3,
            0xf0 => 4,
            0xf8 => 5,
            _ => 6,
        };
        let bytes = value.get(at..at + length)?;
        let tail = &bytes[1..];
        let fits = match length {
            2 => true,
            3 => matches!(tail[0], 0x80..=0x9f) && is_tail(tail[1]),
            _ => {
                tail[..length - 3].iter().all(|&byte| byte == 0x80)
                    && tail[length - 3..].iter().all(|&byte| is_tail(byte))
            }
        };
        if !fits {
            return None;
        }
        // Six bits of the last byte, one of the byte before it.
        made.push(((bytes[length - 2] & 1) << 6) | (bytes[length - 1] & 0x3f));
        Some(length)
    })
}

/// Whether bytes beyond ASCII mean nothing in a value but themselves: no character of UTF-8 is among them, nor what lax decoders
/// take for the first byte of one, nor the white space of Latin-1.
pub fn is_undecodable(value: &[u8]) -> bool {
    // Nearly always the first of them tells.
    let first = value.iter().position(|byte| !byte.is_ascii()).unwrap_or(value.len());
    let begun = &value[first..value.len().min(first + 4)];
    begun.utf8_chunks().next().is_none_or(|chunk| chunk.valid().is_empty())
        && value[first..].utf8_chunks().all(|chunk| {
            chunk.valid().is_ascii()
                && !chunk
                    .invalid()
                    .iter()
                    .any(|&byte| begins_overlong(byte) || byte == 0xa0)
        })
}

const fn begins_overlong(byte: u8) -> bool {
    matches!(byte, 0xc0 | 0xc1 | 0xe0 | 0xf0 | 0xf8 | 0xfc)
}

const fn is_tail(byte: u8) -> bool {
    matches!(byte, 0x80..=0xbf)
}

/// Full-width and compatibility forms, look-alikes and typographic quotes become ASCII; invisible characters and accents go.
/// Bytes that are not UTF-8 stay.
pub fn plain_unicode(value: &[u8]) -> Cow<'_, [u8]> {
    if value.is_ascii() {
        return Cow::Borrowed(value);
    }
    let mut made = Vec::with_capacity(value.len());
    for chunk in value.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_ascii() {
                made.push(character as u8);
                continue;
            }
            // Their canonical order is of no matter: what it moves are accents, which go.
            decompose_compatible(look_alike(character), |character| {
                let character = look_alike(character);
                if !is_unseen(character) {
                    made.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
            });
        }
        made.extend_from_slice(chunk.invalid());
    }
    Cow::Owned(made)
}

/// What nobody sees, and accents.
fn is_unseen(character: char) -> bool {
    if character < '\u{ad}' {
        return false;
    }
    matches!(
        character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e01ef}'
    ) || canonical_combining_class(character) != 0
}

/// Characters that read like an ASCII one and that compatibility forms leave alone: what they read like, then they.
const LOOK_ALIKES: &[(char, &str)] = &[
    ('\'', "‘’‚‛′ʹʻʼʽˈ＇´‵"),
    ('"', "“”„‟″«»ʺ˝"),
    ('-', "‐‑‒–—―−﹣"),
    ('/', "∕⁄⧸╱"),
    ('\\', "∖⧵﹨╲"),
    ('<', "‹〈⟨˂"),
    ('>', "›〉⟩˃"),
    (':', "꞉׃∶"),
    ('.', "․‧"),
    ('|', "ǀ∣│"),
    ('a', "аɑα"),
    ('e', "еҽ"),
    ('o', "оοօ"),
    ('c', "с"),
    ('p', "р"),
    ('x', "х"),
    ('y', "у"),
    ('i', "іı"),
    ('s', "ѕſ"),
    ('d', "ԁ"),
    ('h', "һ"),
    ('n', "ոɴ"),
    ('l', "ⅼʟ"),
    ('g', "ց"),
    ('r', "ʀ"),
    ('t', "ᴛ"),
    ('u', "ᴜ"),
    ('b', "ʙ"),
    ('A', "АΑ"),
    ('B', "ВΒ"),
    ('E', "ЕΕ"),
    ('K', "КΚ"),
    ('M', "МΜ"),
    ('H', "НΗ"),
    ('O', "ОΟ"),
    ('P', "РΡ"),
    ('C', "С"),
    ('T', "ТΤ"),
    ('X', "ХΧ"),
    ('Y', "УΥ"),
    ('S', "Ѕ"),
    ('I', "ІΙ"),
    ('J', "Ј"),
    ('N', "Ν"),
    ('Z', "Ζ"),
    // Ligatures of eight and eighteen Arabic letters, of which nothing else is made.
    ('ص', "ﷺ"),
    ('ج', "ﷻ"),
];

static TABLE: LazyLock<Vec<(char, char)>> = LazyLock::new(|| {
    let mut table: Vec<(char, char)> = LOOK_ALIKES
        .iter()
        .flat_map(|&(plain, others)| others.chars().map(move |other| (other, plain)))
        .collect();
    table.sort_unstable();
    table
});

fn look_alike(character: char) -> char {
    // Below the first of them nothing is looked up.
    if character < '\u{ab}' {
        return character;
    }
    TABLE
        .binary_search_by_key(&character, |&(other, _)| other)
        .map_or(character, |at| TABLE[at].1)
}
