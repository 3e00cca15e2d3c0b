//! Hides called and calling numbers in records, so that the same number stays recognisable and unreadable.

use blake2::digest::consts::U9;
use blake2::digest::{FixedOutput, KeyInit, Mac};
use blake2::{Blake2b512, Blake2bMac, Digest};

use super::text::{at, before, begins_word, is_space, is_word, part, run, stands};

/// Replaces numbers, or all user parts, by a keyed hash (BLAKE2b, RFC 7693).
pub struct Mask {
    keyed: Blake2bMac<U9>,
    every_user: bool,
}

impl Mask {
    /// `every_user`: user parts that are no numbers too. A key of any length.
    pub fn new(key: &[u8], every_user: bool) -> Self {
        // BLAKE2 takes up to 64 bytes of key, and this hash has 64.
        let key = Blake2b512::digest(key);
        Self {
            keyed: <Blake2bMac<U9> as KeyInit>::new(&key),
            every_user,
        }
    }

    /// Appends the mask of a number: the same for all ways of writing it with separators, `+` or `00`.
    pub fn number(&self, out: &mut String, number: &str) {
        // In two steps, since what stands beside a "%2b" may be one only without it.
        let plain = number.replace("%2b", "").replace("%2B", "");
        let plain: String = plain
            .chars()
            .filter(|c| !matches!(c, '+' | '(' | ')' | '.' | '-' | ' '))
            .collect();
        let plain = plain.strip_prefix("00").unwrap_or(&plain);
        let mut hash = self.keyed.clone();
        Mac::update(&mut hash, plain.as_bytes());
        out.push_str("masked-");
        for byte in hash.finalize_fixed() {
            for nibble in [byte >> 4, byte & 15] {
                out.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
            }
        }
    }

    /// Appends a text with the numbers in its URIs, and those that stand free, masked.
    pub fn text(&self, out: &mut String, text: &str) {
        let mut users = String::with_capacity(text.len());
        self.users(&mut users, text);
        self.loose(out, &users);
    }

    /// Appends a field's value: a user part as a whole, anything else by what stands in it.
    pub fn value(&self, out: &mut String, field: &str, text: &str) {
        if field.ends_with(".userinfo") && (self.every_user || is_number(text)) {
            self.number(out, text);
        } else {
            self.text(out, text);
        }
    }

    /// User part of a SIP URI, and a tel URI's number (RFC 3261 25.1, RFC 3966 3). A password after the user part has
    /// nothing to do with the number and is left to the rules.
    fn users(&self, out: &mut String, text: &str) {
        let bytes = text.as_bytes();
        let mut done = 0;
        let mut from = 0;
        // Where the next "@" or what can't stand before one is: looked for once, however many URIs stand before it.
        let mut stop = 0;
        // Every such URI has its colon behind the scheme.
        while let Some(found) = bytes.get(from..).and_then(|rest| memchr::memchr(b':', rest)) {
            let colon = from + found;
            from = colon + 1;
            let Some(scheme) = ["sip", "sips", "tel"].into_iter().find(|scheme| {
                colon
                    .checked_sub(scheme.len())
                    .is_some_and(|start| start >= done && stands(text, start, scheme) && begins_word(text, start))
            }) else {
                continue;
            };
            let user = colon + 1;
            let (end, count) = if scheme == "tel" {
                run(text, user, 128, |c| !matches!(c, ';' | '>' | '"') && !is_space(c))
            } else {
                run(text, user, 256, |c| {
                    !matches!(c, '@' | '<' | '>' | '"' | '\'' | ':' | ';') && !is_space(c)
                })
            };
            if count == 0 {
                continue;
            }
            if scheme != "tel" {
                if stop < end {
                    stop = run(text, end, usize::MAX, |c| {
                        !matches!(c, '@' | '<' | '>' | '"') && !is_space(c)
                    })
                    .0;
                }
                // The password and what else stands before the "@" has 256 characters at most.
                let length = stop - end;
                let near = length <= 256 || (length <= 1024 && part(text, end, stop).chars().count() <= 256);
                if bytes.get(stop) != Some(&b'@') || !near {
                    continue;
                }
            }
            out.push_str(part(text, done, user));
            let value = part(text, user, end);
            if self.every_user || scheme == "tel" || is_number(value) {
                self.number(out, value);
            } else {
                out.push_str(value);
            }
            done = end;
            from = end;
        }
        out.push_str(part(text, done, text.len()));
    }

    /// A number in free text: six digits and more that are no part of an address, a word, or a longer number with
    /// dots. What came escaped or in base64 is not seen.
    fn loose(&self, out: &mut String, text: &str) {
        let bytes = text.as_bytes();
        let mut done = 0;
        let mut from = 0;
        while let Some(&byte) = bytes.get(from) {
            if !(byte.is_ascii_digit() || byte == b'+') {
                from += 1;
                continue;
            }
            let joined = before(text, from).is_some_and(|c| is_word(c) || matches!(c, '.' | '@' | ':' | '/' | '-'));
            match (!joined).then(|| loose_end(text, from)).flatten() {
                Some(end) => {
                    out.push_str(part(text, done, from));
                    self.number(out, part(text, from, end));
                    done = end;
                    from = end;
                }
                None => from += 1,
            }
        }
        out.push_str(part(text, done, text.len()));
    }
}

/// Behind the last digit of the number that begins here: 6 to 32 digits, each but the first with at most one separator
/// before it, and neither a word nor a dot behind them.
fn loose_end(text: &str, start: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut end = if bytes.get(start) == Some(&b'+') {
        start + 1
    } else {
        start
    };
    if !digit(end) {
        return None;
    }
    end += 1;
    let mut best = None;
    for count in 2..=32 {
        if matches!(bytes.get(end), Some(b'(' | b')' | b'-')) && digit(end + 1) {
            end += 2;
        } else if digit(end) {
            end += 1;
        } else {
            break;
        }
        if count >= 6 && !at(text, end).is_some_and(|c| is_word(c) || c == '.') {
            best = Some(end);
        }
    }
    best
}

/// What is a number: digits with visual separators (RFC 3966 5.1.1), dial-string signs, perhaps a plus.
fn is_number(text: &str) -> bool {
    let text = ["+", "%2b", "%2B"]
        .into_iter()
        .find_map(|plus| text.strip_prefix(plus))
        .unwrap_or(text);
    (2..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'*' | b'#' | b'(' | b')' | b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(every: bool, text: &str) -> String {
        let mut out = String::new();
        Mask::new(b"0123456789abcdef", every).text(&mut out, text);
        out
    }

    #[test]
    fn the_same_number_has_the_same_mask_however_it_is_written() {
        let one = masked(false, "tel:+1-202-555-0100");
        assert!(one.starts_with("tel:masked-"));
        assert_eq!(masked(false, "tel:0012025550100"), one);
        assert_eq!(
            masked(false, "<sip:%2B12025550100@h>"),
            format!("<sip:{}@h>", &one[4..])
        );
        assert_eq!(
            masked(false, "call +12025550100 now"),
            format!("call {} now", &one[4..])
        );
    }

    #[test]
    fn names_are_masked_where_all_users_are() {
        assert_eq!(masked(false, "sip:alice:secret@h"), "sip:alice:secret@h");
        assert!(masked(true, "sip:alice:secret@h").ends_with(":secret@h"));
        assert!(!masked(true, "sip:alice:secret@h").contains("alice"));
        assert_eq!(masked(true, "sip:host.example"), "sip:host.example");
    }

    #[test]
    fn what_stands_between_a_user_and_its_host_is_looked_through_once() {
        let far = format!("sip:1234567:{}@h", "é".repeat(256));
        assert_eq!(masked(true, &far), far);
        assert_ne!(masked(true, &far.replacen("éé", "é", 1)), far.replacen("éé", "é", 1));
        let many = "sip:a:".repeat(20_000);
        assert_eq!(masked(true, &many), many);
    }

    #[test]
    fn addresses_and_short_numbers_stay() {
        for text in ["10.20.30.40", "port:123456", "12345", "a1234567", "1234567.8"] {
            assert_eq!(masked(false, text), text);
        }
        assert!(masked(false, "123456-7890x").ends_with("-7890x"));
    }
}
