//! Writes JSON text in printable ASCII, with what a sender wrote cut, escaped and without digest secrets.

/// What JSON text holds as it is: printable ASCII but `"` and `\`.
static SAFE: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0x20;
    while byte < 0x7f {
        table[byte] = byte != b'"' as usize && byte != b'\\' as usize;
        byte += 1;
    }
    table
};

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Names of the values that are never written (RFC 7616 3.3 to 3.5), in lower case.
const SECRETS: [&[u8]; 5] = [b"nonce", b"cnonce", b"response", b"rspauth", b"nextnonce"];

/// Writes the inside of a JSON string (RFC 8259 7).
pub fn text(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let mut rest = 0;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if SAFE[usize::from(byte)] {
            at += 1;
            continue;
        }
        out.extend_from_slice(bytes.get(rest..at).unwrap_or_default());
        if byte.is_ascii() {
            control(out, byte);
            at += 1;
        } else {
            let Some(character) = text.get(at..).and_then(|tail| tail.chars().next()) else {
                return;
            };
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                unicode(out, *unit);
            }
            at += character.len_utf8();
        }
        rest = at;
    }
    out.extend_from_slice(bytes.get(rest..).unwrap_or_default());
}

/// Writes a JSON string with its quotes.
pub fn string(out: &mut Vec<u8>, value: &str) {
    out.push(b'"');
    text(out, value);
    out.push(b'"');
}

/// Writes a number in decimal digits.
pub fn number(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [b'0'; 20];
    let mut length = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
        length += 1;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[20 - length..]);
}

/// Writes a number in hexadecimal digits.
pub fn hexadecimal(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [b'0'; 16];
    let mut length = 0;
    for digit in digits.iter_mut().rev() {
        *digit = HEX[(value & 15) as usize];
        value >>= 4;
        length += 1;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[16 - length..]);
}

/// Writes the inside of a JSON string from foreign bytes: UTF-8 where it is, `\xNN` where it is not, cut at `limit`
/// bytes with `…` behind, digest secrets replaced by `...`.
pub fn escaped(out: &mut Vec<u8>, value: &[u8], limit: usize) {
    let cut = value.get(..limit).unwrap_or(value);
    without_secrets(cut, |piece| bytes(out, piece));
    if value.len() > limit {
        out.extend_from_slice(b"\\u2026");
    }
}

/// Whether `escaped` writes a value just as it is.
pub fn stands(value: &[u8], limit: usize) -> bool {
    let mut has_secret = false;
    value.len() <= limit && value.iter().fold(true, |safe, &byte| safe & SAFE[usize::from(byte)]) && {
        secrets(value, |_, _, _| has_secret = true);
        !has_secret
    }
}

/// The same as text, before JSON's own escapes; appended to `out`.
pub fn escaped_text(out: &mut String, value: &[u8], limit: usize) {
    let cut = value.get(..limit).unwrap_or(value);
    without_secrets(cut, |piece| {
        for chunk in piece.utf8_chunks() {
            out.push_str(chunk.valid());
            for &byte in chunk.invalid() {
                out.push_str("\\x");
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    });
    if value.len() > limit {
        out.push('…');
    }
}

/// The same as text that `exact` escapes can be read back from: a backslash before an `x` is written as `\x5c`.
pub fn exact_text(out: &mut String, value: &[u8]) {
    for chunk in value.utf8_chunks() {
        let mut rest = chunk.valid();
        while let Some(at) = rest.find("\\x") {
            let (before, behind) = rest.split_at(at);
            out.push_str(before);
            out.push_str("\\x5c");
            rest = behind.get(1..).unwrap_or_default();
        }
        out.push_str(rest);
        for &byte in chunk.invalid() {
            out.push_str("\\x");
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

/// Bytes as the inside of a JSON string, `\xNN` for those that are not UTF-8.
fn bytes(out: &mut Vec<u8>, value: &[u8]) {
    if value.iter().all(|&byte| SAFE[usize::from(byte)]) {
        out.extend_from_slice(value);
        return;
    }
    for chunk in value.utf8_chunks() {
        text(out, chunk.valid());
        for &byte in chunk.invalid() {
            // The backslash is itself escaped.
            out.extend_from_slice(&[
                b'\\',
                b'\\',
                b'x',
                HEX[usize::from(byte >> 4)],
                HEX[usize::from(byte & 15)],
            ]);
        }
    }
}

fn control(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        _ => return unicode(out, u16::from(byte)),
    };
    out.extend_from_slice(&[b'\\', short]);
}

fn unicode(out: &mut Vec<u8>, unit: u16) {
    let nibble = |shift: u16| HEX[usize::from((unit >> shift) & 15)];
    out.extend_from_slice(&[b'\\', b'u', nibble(12), nibble(8), nibble(4), nibble(0)]);
}

/// Hands on the value in pieces, each secret replaced by `...`. All pieces end beside ASCII, so no character is torn.
fn without_secrets<'a>(value: &'a [u8], mut piece: impl FnMut(&'a [u8])) {
    let mut done = 0;
    secrets(value, |_, start, end| {
        piece(value.get(done..start).unwrap_or_default());
        piece(b"...");
        done = end;
    });
    piece(value.get(done..).unwrap_or_default());
}

/// Hands on each digest secret: its name in lower case, and where its value begins and ends, quotes included.
///
/// ```text
/// secret = ("nonce" / "cnonce" / "response" / "rspauth" / "nextnonce") SWS "=" SWS (quoted / *(any but "," ";" SP))
/// ```
/// Every secret has an equals sign, so the value is searched for these and looked at backwards. Nothing is looked at
/// twice: the space before two equals signs is not the same.
pub fn secrets(value: &[u8], mut found_at: impl FnMut(&'static [u8], usize, usize)) {
    let mut done = 0; // found up to here
    let mut from = 0; // searched up to here
    while let Some(found) = value.get(from..).and_then(|rest| memchr::memchr(b'=', rest)) {
        let equals = from + found;
        from = equals + 1;
        let Some(name) = named_secret(value, done, equals) else {
            continue;
        };
        let start = skip(value, equals + 1, is_space);
        let end = match value.get(start) {
            Some(b'"') => quoted_end(value, start + 1),
            _ => skip(value, start, |byte| !matches!(byte, b',' | b';') && !is_space(byte)),
        };
        found_at(name, start, end);
        done = end;
        from = end;
    }
}

/// The secret's name that stands, as a whole word that begins at `from` or later, before the equals sign.
fn named_secret(value: &[u8], from: usize, equals: usize) -> Option<&'static [u8]> {
    let before = value.get(from..equals)?;
    let space = before.iter().rev().take_while(|&&byte| is_space(byte)).count();
    let before = &before[..before.len() - space];
    SECRETS.into_iter().find(|name| {
        let Some(start) = before.len().checked_sub(name.len()) else {
            return false;
        };
        let boundary = (from + start).checked_sub(1).and_then(|at| value.get(at));
        before[start..].eq_ignore_ascii_case(name)
            && boundary.is_none_or(|&byte| !(byte.is_ascii_alphanumeric() || byte == b'_'))
    })
}

/// Behind a quoted value that began before `at`: its quote, its line's end (but not where it is folded), or the end.
fn quoted_end(value: &[u8], mut at: usize) -> usize {
    while let Some(&byte) = value.get(at) {
        let line = match byte {
            b'"' => return at + 1,
            b'\r' if value.get(at + 1) == Some(&b'\n') => 2,
            b'\r' => return at,
            b'\n' => 1,
            _ => {
                at += 1;
                continue;
            }
        };
        if !matches!(value.get(at + line), Some(b' ' | b'\t')) {
            return at;
        }
        at += line + 1;
    }
    at
}

fn skip(value: &[u8], from: usize, while_true: impl Fn(u8) -> bool) -> usize {
    let rest = value.get(from..).unwrap_or_default();
    from + rest.iter().take_while(|&&byte| while_true(byte)).count()
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: &[u8], limit: usize) -> String {
        let mut out = Vec::new();
        escaped(&mut out, value, limit);
        let mut plain = String::new();
        escaped_text(&mut plain, value, limit);
        let mut again = Vec::new();
        text(&mut again, &plain);
        assert_eq!(out, again);
        assert_eq!(stands(value, limit), out == value, "{value:?}");
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn only_printable_ascii_is_written() {
        assert_eq!(
            shown(b"sip:alice@example.com;user=phone", 32),
            "sip:alice@example.com;user=phone"
        );
        assert_eq!(shown(b"a\"\\\n\x01\x7f", 99), r#"a\"\\\n\u0001\u007f"#);
        assert_eq!(shown("é😀".as_bytes(), 99), r"\u00e9\ud83d\ude00");
        assert_eq!(shown(b"\xff\xe2\x82x", 99), r"\\xff\\xe2\\x82x");
        assert_eq!(shown(b"abcdef", 3), r"abc\u2026");
    }

    #[test]
    fn digest_secrets_are_not_written() {
        assert_eq!(
            shown(br#"Digest NONCE = "a b", cnonce=x;y"#, 99),
            r"Digest NONCE = ..., cnonce=...;y"
        );
        assert_eq!(
            shown(b"nonce=\"a\r\n b\r\nresponse=1", 99),
            r"nonce=...\r\nresponse=..."
        );
        assert_eq!(
            shown(b"xnonce=1 opaque=2 response==", 99),
            "xnonce=1 opaque=2 response=..."
        );
    }

    #[test]
    fn numbers_are_written_in_both_bases() {
        let mut out = Vec::new();
        number(&mut out, 0);
        number(&mut out, u64::MAX);
        hexadecimal(&mut out, u64::MAX);
        hexadecimal(&mut out, 0);
        assert_eq!(out, b"018446744073709551615ffffffffffffffff0");
    }
}
