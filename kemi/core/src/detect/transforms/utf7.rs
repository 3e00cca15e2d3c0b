//! UTF-7 (RFC 2152), which some readers still guess where no charset is said.

use std::borrow::Cow;

use super::base64::{decoded, is_digit};
use super::rewrite;

/// `+ADw-` becomes `<`. Only what is ASCII in truth is decoded: anything else has no need of such a disguise.
pub fn utf7(value: &[u8]) -> Cow<'_, [u8]> {
    rewrite(
        value,
        |byte| byte == b'+',
        |value, at, made| {
            // The first unit of 16 bits that is ASCII begins with `A` (RFC 2152, rule 2).
            if value.get(at + 1) != Some(&b'A') {
                return None;
            }
            let length = value[at + 1..].iter().take_while(|&&byte| is_digit(byte)).count();
            let bytes = decoded(&value[at + 1..at + 1 + length]);
            let units = bytes.chunks_exact(2);
            if units.len() == 0 || !units.clone().all(|unit| unit[0] == 0 && matches!(unit[1], 0x20..0x7f)) {
                return None;
            }
            made.extend(units.map(|unit| unit[1]));
            let end = at + 1 + length;
            Some(end - at + usize::from(value.get(end) == Some(&b'-')))
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_disguised_ascii_is_decoded() {
        assert_eq!(&*utf7(b"+ADw-script+AD4-"), b"<script>");
        assert_eq!(&*utf7(b"x+ACc- or 1"), b"x' or 1");
        for plain in [&b"+15551234567"[..], b"Bob +Alice", b"A+ and B", b"+AAAA-", b"a+A"] {
            assert_eq!(&*utf7(plain), plain);
        }
    }
}
