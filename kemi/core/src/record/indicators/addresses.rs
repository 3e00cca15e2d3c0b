//! IP addresses in a payload, with their ports.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::run_of;
use crate::record::text::{before, part};

/// `4 numbers with dots [ 1*3(":" / "/" / " " / "," / "'" / DQUOTE) port ]`, in no longer number.
pub(super) fn addresses_v4<'a>(text: &'a str, mut each: impl FnMut(&'a str, Option<&'a str>)) {
    let bytes = text.as_bytes();
    let mut from = 0;
    while let Some(&byte) = bytes.get(from) {
        if !byte.is_ascii_digit() || before(text, from).is_some_and(|c| c.is_ascii_digit() || c == '.') {
            from += 1;
            continue;
        }
        let Some(end) = four_numbers(bytes, from) else {
            from += 1;
            continue;
        };
        let gap = run_of(bytes, end, 3, |byte| {
            matches!(byte, b':' | b'/' | b' ' | b',' | b'\'' | b'"')
        });
        let port = run_of(bytes, gap, 5, |byte| byte.is_ascii_digit());
        let ends = |at: usize| !bytes.get(at).is_some_and(|&byte| byte.is_ascii_digit() || byte == b'.');
        let address = part(text, from, end);
        if gap > end && port > gap && ends(port) {
            each(address, Some(part(text, gap, port)));
            from = port;
        } else if ends(end) {
            each(address, None);
            from = end;
        } else {
            from += 1;
        }
    }
}

/// Behind four numbers of one to three digits with dots between them.
fn four_numbers(bytes: &[u8], start: usize) -> Option<usize> {
    let mut end = start;
    for number in 0..4 {
        if number > 0 {
            if bytes.get(end) != Some(&b'.') {
                return None;
            }
            end += 1;
        }
        let digits = run_of(bytes, end, 3, |byte| byte.is_ascii_digit());
        if digits == end {
            return None;
        }
        end = digits;
    }
    Some(end)
}

/// `"[" 2*45(HEXDIG / ":" / ".") "]" [ ":" port ]`
pub(super) fn addresses_v6<'a>(text: &'a str, mut each: impl FnMut(&'a str, Option<&'a str>)) {
    let bytes = text.as_bytes();
    let mut from = 0;
    while let Some(position) = bytes.get(from..).and_then(|rest| memchr::memchr(b'[', rest)) {
        let start = from + position + 1;
        from = start;
        let end = run_of(bytes, start, 45, |byte| {
            byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')
        });
        if end < start + 2 || bytes.get(end) != Some(&b']') {
            continue;
        }
        let address = part(text, start, end);
        let port = run_of(bytes, end + 2, 5, |byte| byte.is_ascii_digit());
        if bytes.get(end + 1) == Some(&b':')
            && port > end + 2
            && !bytes.get(port).is_some_and(|byte| byte.is_ascii_digit())
        {
            each(address, Some(part(text, end + 2, port)));
            from = port;
        } else {
            each(address, None);
            from = end + 1;
        }
    }
}

pub(super) fn is_address(text: &str) -> bool {
    text.parse::<Ipv4Addr>().is_ok() || text.parse::<Ipv6Addr>().is_ok()
}
