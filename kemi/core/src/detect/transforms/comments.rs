//! Comments of SQL.

use std::borrow::Cow;

use memchr::memmem;

/// An SQL comment becomes one space, as databases read it; MySQL's `/*! … */` leaves what it holds.
pub fn comments(value: &[u8]) -> Cow<'_, [u8]> {
    replaced(value, b" ")
}

/// An SQL comment vanishes, as filters that delete them read it.
pub fn without_comments(value: &[u8]) -> Cow<'_, [u8]> {
    replaced(value, b"")
}

fn replaced<'v>(value: &'v [u8], instead: &[u8]) -> Cow<'v, [u8]> {
    if !value.contains(&b'*') {
        return Cow::Borrowed(value);
    }
    let mut made = Vec::new();
    let (mut kept, mut at) = (0, 0);
    // Where one is not closed none behind it is: looked for once, not from each.
    let mut closed = true;
    while at + 1 < value.len() {
        let end = match (value[at], value[at + 1]) {
            (b'/', b'*') if value.get(at + 2) == Some(&b'!') => {
                Some(at + 3 + value[at + 3..].iter().take_while(|byte| byte.is_ascii_digit()).count())
            }
            (b'/', b'*') if closed => {
                let close = memmem::find(&value[at + 2..], b"*/").map(|close| at + 2 + close + 2);
                closed = close.is_some();
                close
            }
            (b'*', b'/') => Some(at + 2),
            _ => None,
        };
        match end {
            Some(end) => {
                made.extend_from_slice(&value[kept..at]);
                made.extend_from_slice(instead);
                kept = end;
                at = end;
            }
            None => at += 1,
        }
    }
    if kept == 0 {
        return Cow::Borrowed(value);
    }
    made.extend_from_slice(&value[kept..]);
    Cow::Owned(made)
}
