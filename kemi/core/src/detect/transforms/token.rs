//! What JSON Web Tokens carry (RFC 7519; PASSporT, RFC 8225): their claims reach databases as texts (CVE-2026-25554).

use super::base64::{decoded, is_url_digit};
use super::escapes;

/// How the base64url of a JSON object begins: `{"`.
const HEAD: &[u8] = b"eyJ";

/// Segments of a token that hold JSON: header and claims (RFC 7515 7.1); the third is a signature.
const SEGMENTS: usize = 2;

/// Texts taken out of one value; more come in one piece.
const MAX_TEXTS: usize = 24;

/// Whether the head of a token ends at a place, whose byte is `J`.
pub fn ends_head(value: &[u8], at: usize) -> bool {
    at >= 2 && value[..=at].ends_with(HEAD) && (at == 2 || !is_url_digit(value[at - 3]))
}

/// The texts in the tokens of a value: each name or text of their JSON that holds more than letters and digits, unescaped.
pub fn tokens(value: &[u8]) -> Vec<Vec<u8>> {
    let mut texts = Vec::new();
    let mut at = 0;
    while let Some(next) = memchr::memmem::find(&value[at..], HEAD) {
        at += next;
        if !ends_head(value, at + 2) {
            at += HEAD.len();
            continue;
        }
        for segment in 0..SEGMENTS {
            let end = at + value[at..].iter().take_while(|&&byte| is_url_digit(byte)).count();
            let json = decoded(&value[at..end]);
            at = end;
            strings(&json, &mut texts);
            if segment + 1 == SEGMENTS || value.get(at) != Some(&b'.') {
                break;
            }
            at += 1;
        }
    }
    texts
}

/// The strings of a JSON text, as far as it can be read as one.
fn strings(json: &[u8], texts: &mut Vec<Vec<u8>>) {
    let mut at = 0;
    while let Some(open) = memchr::memchr(b'"', &json[at..]) {
        let start = at + open + 1;
        if texts.len() >= MAX_TEXTS {
            texts.push(json[start..].to_vec());
            return;
        }
        let mut end = start;
        while end < json.len() && json[end] != b'"' {
            end += if json[end] == b'\\' { 2 } else { 1 };
        }
        let end = end.min(json.len());
        let text = &json[start..end];
        if !text.iter().all(u8::is_ascii_alphanumeric) {
            texts.push(plain(text));
        }
        at = (end + 1).min(json.len());
    }
}

/// A string of JSON without its escapes (RFC 8259 7).
fn plain(text: &[u8]) -> Vec<u8> {
    let mut made = Vec::with_capacity(text.len());
    let coded = escapes(text);
    let mut bytes = coded.iter().copied();
    while let Some(byte) = bytes.next() {
        match (byte, byte == b'\\') {
            (_, true) => match bytes.next() {
                Some(b'n' | b'r' | b't' | b'f' | b'b') => made.push(b' '),
                Some(other) => made.push(other),
                None => {}
            },
            (byte, false) => made.push(byte),
        }
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_read() {
        // {"alg":"HS256"} . {"sub":"x' or 1=1-- ","n\u0061me":"\u0024(id)"}
        let token = b"Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4JyBvciAxPTEtLSAiLCJuXHUwMDYxbWUiOiJcdTAwMjQoaWQpIn0.c2ln";
        assert_eq!(
            tokens(token),
            [b"x' or 1=1-- ".to_vec(), b"name".to_vec(), b"$(id)".to_vec()]
        );
        assert!(tokens(b"Hockey Journal").is_empty());
        assert!(tokens(b"aeyJhbGciOiJIUzI1NiJ9").is_empty());
    }

    #[test]
    fn many_strings_cost_no_more_than_their_length() {
        let deep = "eyJhIjoi".repeat(4000);
        assert!(tokens(deep.as_bytes()).len() <= MAX_TEXTS + 2);
    }
}
