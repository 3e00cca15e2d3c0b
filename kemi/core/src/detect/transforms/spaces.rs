//! White space and control bytes.

use std::borrow::Cow;

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c | 0xa0)
}

/// Any run of white space becomes one space.
pub fn spaces(value: &[u8]) -> Cow<'_, [u8]> {
    let runs = value.windows(2).any(|pair| pair == b"  ");
    if !runs && !value.iter().any(|&byte| byte != b' ' && is_space(byte)) {
        return Cow::Borrowed(value);
    }
    let mut made = Vec::with_capacity(value.len());
    let mut before = false;
    for &byte in value {
        let space = is_space(byte);
        if !space {
            made.push(byte);
        } else if !before {
            made.push(b' ');
        }
        before = space;
    }
    Cow::Owned(made)
}

/// `+` becomes a space, as form decoders read it.
pub fn plus(value: &[u8]) -> Cow<'_, [u8]> {
    if !value.contains(&b'+') {
        return Cow::Borrowed(value);
    }
    Cow::Owned(
        value
            .iter()
            .map(|&byte| if byte == b'+' { b' ' } else { byte })
            .collect(),
    )
}

/// NUL and other control bytes vanish, as parsers that skip them read it.
pub fn no_controls(value: &[u8]) -> Cow<'_, [u8]> {
    let dropped = |byte: u8| matches!(byte, 0..=8 | 0x0e..=0x1f | 0x7f);
    if !value.iter().any(|&byte| dropped(byte)) {
        return Cow::Borrowed(value);
    }
    Cow::Owned(value.iter().copied().filter(|&byte| !dropped(byte)).collect())
}
