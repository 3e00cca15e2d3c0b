//! Domain names in a payload: with a port, behind a command that fetches, of an e-mail address.

use super::run_of;
use crate::record::text::{at, before, begins_word, is_space, is_word, part, run, stands};

const FETCHERS: [&str; 11] = [
    "curl", "wget", "fetch", "ping", "nslookup", "dig", "host", "nc", "ncat", "ssh", "telnet",
];

/// `name (":" / "/" / " ") 2*5DIGIT`, the name in no longer one, the digits in no longer word.
pub(super) fn domains_with_port<'a>(text: &'a str, mut each: impl FnMut(&'a str, &'a str)) {
    let bytes = text.as_bytes();
    let mut from = 0;
    while let Some(&byte) = bytes.get(from) {
        let mut next = from + 1;
        if byte.is_ascii_alphanumeric() && begins_name(text, from) {
            let found = name_ends(bytes, from).into_iter().flatten().find_map(|end| {
                let digits = matches!(bytes.get(end), Some(b':' | b'/' | b' ')).then_some(end + 1)?;
                let port = run_of(bytes, digits, 5, |byte| byte.is_ascii_digit());
                (port >= digits + 2 && !at(text, port).is_some_and(is_word)).then_some((end, digits, port))
            });
            if let Some((end, digits, port)) = found {
                each(part(text, from, end), part(text, digits, port));
                next = port;
            }
        }
        from = next;
    }
}

/// `command 1*4SP *4("-" 1*20(any but SP) 1*4SP) name`
pub(super) fn fetched<'a>(text: &'a str, mut each: impl FnMut(&'a str)) {
    let bytes = text.as_bytes();
    let mut from = 0;
    while let Some(&byte) = bytes.get(from) {
        if byte.is_ascii_alphabetic() && begins_word(text, from) {
            if let Some((start, end)) = fetched_name(text, from) {
                each(part(text, start, end));
                from = end;
                continue;
            }
        }
        from += 1;
    }
}

fn fetched_name(text: &str, start: usize) -> Option<(usize, usize)> {
    let mut position = FETCHERS.iter().find_map(|command| {
        if !stands(text, start, command) {
            return None;
        }
        let (end, count) = run(text, start + command.len(), 4, is_space);
        (count > 0).then_some(end)
    })?;
    for _ in 0..4 {
        if text.as_bytes().get(position) != Some(&b'-') {
            break;
        }
        let (option, length) = run(text, position + 1, 20, |c| !is_space(c));
        let (end, spaces) = run(text, option, 4, is_space);
        if length == 0 || spaces == 0 {
            return None;
        }
        position = end;
    }
    let bytes = text.as_bytes();
    let end = name_ends(bytes, position)
        .into_iter()
        .flatten()
        .find(|&end| !at(text, end).is_some_and(|c| is_word(c) || c == '-'))?;
    begins_name(text, position).then_some((position, end))
}

/// Whether no name goes on into `at`.
fn begins_name(text: &str, at: usize) -> bool {
    !before(text, at).is_some_and(|c| is_word(c) || matches!(c, '.' | '-'))
}

/// Where a domain name that begins here can end, the longest first; what may follow is not looked at.
///
/// ```text
/// name = 1*5(ALNUM *62(ALNUM / "-") ".") 2*24ALPHA
/// ```
fn name_ends(bytes: &[u8], start: usize) -> [Option<usize>; 5] {
    labels_then_top(bytes, start, 63, true)
}

fn labels_then_top(bytes: &[u8], start: usize, most: usize, first_plain: bool) -> [Option<usize>; 5] {
    let mut ends = [None; 5];
    let mut position = start;
    for slot in ends.iter_mut().rev() {
        if first_plain && bytes.get(position) == Some(&b'-') {
            break;
        }
        let label = run_of(bytes, position, most, |byte| {
            byte.is_ascii_alphanumeric() || byte == b'-'
        });
        if label == position || bytes.get(label) != Some(&b'.') {
            break;
        }
        position = label + 1;
        let top = run_of(bytes, position, 24, |byte| byte.is_ascii_alphabetic());
        if top >= position + 2 && !bytes.get(top).is_some_and(|&byte| byte.is_ascii_alphanumeric()) {
            *slot = Some(top);
        }
    }
    ends
}

/// `1*64(ALNUM / "." / "_" / "%" / "+" / "-") "@" name`. The address of a SIP URI is a caller, not an e-mail address:
/// nothing begins behind a colon but that of `mailto:`.
pub(super) fn mails<'a>(text: &'a str, mut each: impl FnMut(&'a str)) {
    let bytes = text.as_bytes();
    if memchr::memchr(b'@', bytes).is_none() {
        return;
    }
    let local = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'%' | b'+' | b'-');
    let mut from = 0;
    while let Some(&byte) = bytes.get(from) {
        if !local(byte) {
            from += 1;
            continue;
        }
        let free = !before(text, from).is_some_and(|c| is_word(c) || matches!(c, '.' | '%' | '+' | ':' | '-'));
        let mailto = from.checked_sub(7).is_some_and(|start| stands(text, start, "mailto:"));
        // Nothing begins inside the run, so that it is walked once.
        let run_end = run_of(bytes, from, usize::MAX, local);
        let mut next = run_end;
        if (free || mailto) && run_end - from <= 64 && bytes.get(run_end) == Some(&b'@') {
            let end = labels_then_top(bytes, run_end + 1, 63, false)
                .into_iter()
                .flatten()
                .find(|&end| !at(text, end).is_some_and(is_word));
            if let Some(end) = end {
                each(part(text, from, end));
                next = end;
            }
        }
        from = next;
    }
}
