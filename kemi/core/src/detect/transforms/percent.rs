//! Percent-encodings.

use std::borrow::Cow;

use super::{hexadecimal, push_code, rewrite};

/// `%41` becomes `A` (RFC 3261 19.1.2, escaped = "%" HEXDIG HEXDIG).
pub fn percent(value: &[u8]) -> Cow<'_, [u8]> {
    rewrite(
        value,
        |byte| byte == b'%',
        |value, at, made| {
            made.push(hexadecimal(value, at + 1, 2)? as u8);
            Some(3)
        },
    )
}

/// `%u0041` becomes `A`, as Microsoft's servers read it.
pub fn percent_u(value: &[u8]) -> Cow<'_, [u8]> {
    rewrite(
        value,
        |byte| byte == b'%',
        |value, at, made| {
            if !matches!(value.get(at + 1)?, b'u' | b'U') {
                return None;
            }
            push_code(hexadecimal(value, at + 2, 4)?, made);
            Some(6)
        },
    )
}
