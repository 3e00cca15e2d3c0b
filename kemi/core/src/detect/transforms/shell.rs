//! What a shell takes out of a word.

use std::borrow::Cow;

use super::rewrite;

/// Quotes, escapes, carets and `$@` vanish and `${IFS}` is a space, as in a shell.
pub fn shell_noise(value: &[u8]) -> Cow<'_, [u8]> {
    let split = rewrite(
        value,
        |byte| byte == b'$',
        |value, at, made| {
            let length = field_separator(value, at)?;
            made.push(b' ');
            Some(length)
        },
    );
    match split {
        Cow::Borrowed(value) => without_marks(empty(value)),
        Cow::Owned(value) => Cow::Owned(without_marks(empty(&value)).into_owned()),
    }
}

/// The length of `$IFS`, `${IFS}`, `$IFS$9` or `${IFS%??}` at a place.
fn field_separator(value: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    at += usize::from(value.get(at) == Some(&b'{'));
    if !value.get(at..at + 3)?.eq_ignore_ascii_case(b"IFS") {
        return None;
    }
    at += 3;
    at += usize::from(value.get(at) == Some(&b'}'));
    match (value.get(at), value.get(at + 1)) {
        (Some(b'$'), Some(digit)) if digit.is_ascii_digit() => at += 2,
        (Some(b'%'), next) => {
            let most = if next == Some(&b'%') { 5 } else { 4 };
            let inner = value[at + 1..].iter().take(most + 1).position(|&byte| byte == b'}');
            at += inner.map_or(0, |inner| inner + 2);
        }
        _ => {}
    }
    Some(at - start)
}

/// Without parameters that are empty: `$@`, `$1`, `${*}`.
fn empty(value: &[u8]) -> Cow<'_, [u8]> {
    let is_parameter = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'@' | b'*');
    rewrite(
        value,
        |byte| byte == b'$',
        |value, at, _| match value.get(at + 1)? {
            b'{' if value.get(at + 2).is_some_and(is_parameter) && value.get(at + 3) == Some(&b'}') => Some(4),
            byte if is_parameter(byte) => Some(2),
            _ => None,
        },
    )
}

fn without_marks(value: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    let is_mark = |byte: u8| matches!(byte, b'\'' | b'"' | b'`' | b'\\' | b'^');
    if !value.iter().any(|&byte| is_mark(byte)) {
        return value;
    }
    Cow::Owned(value.iter().copied().filter(|&byte| !is_mark(byte)).collect())
}
