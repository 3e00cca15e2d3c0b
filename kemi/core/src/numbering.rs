//! Says which telephone number a request dials, and in which country and class of numbers it stands (ITU-T E.164, RFC 3966).

use std::collections::HashMap;

use memchr::memchr;

/// Digits of a number that is looked at: E.164 has 15, prefixes of a site come on top.
const MOST_DIGITS: usize = 32;

/// Digits of a prefix in a table.
const MOST_PREFIX: usize = 12;

/// What stands in a request's URI, reduced to digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialled {
    digits: [u8; MOST_DIGITS],
    length: usize,
    /// It began with a plus: an international number.
    plus: bool,
}

impl Dialled {
    /// The digits as they were dialled, without a plus.
    pub fn digits(&self) -> &[u8] {
        &self.digits[..self.length]
    }
}

/// What a Request-URI dials: `sip:+49-171@host`, `sip:0049171;phone-context=x@host`, `tel:+49(171)`, `sip:%2b49171@host`.
/// `None` where it is no number, or one of fewer than three or more than 32 digits. Linear in the first 256 bytes.
pub fn dialled(uri: &[u8]) -> Option<Dialled> {
    let colon = memchr(b':', &uri[..uri.len().min(8)])?;
    let scheme = &uri[..colon];
    let rest = &uri[colon + 1..];
    let rest = &rest[..rest.len().min(256)];
    let user = match memchr(b'@', rest) {
        Some(end) => &rest[..end],
        None if scheme.eq_ignore_ascii_case(b"tel") => rest,
        None => return None,
    };
    let mut made = Dialled {
        digits: [0; MOST_DIGITS],
        length: 0,
        plus: false,
    };
    let mut at = 0;
    while at < user.len() {
        let (byte, next) = match unescaped(&user[at..]) {
            Some(byte) => (byte, at + 3),
            None => (user[at], at + 1),
        };
        match byte {
            b'0'..=b'9' => {
                *made.digits.get_mut(made.length)? = byte;
                made.length += 1;
            }
            b'+' if made.length == 0 => made.plus = true,
            // visual-separator (RFC 3966 3), and blanks that phones send along.
            b'-' | b'.' | b'(' | b')' | b' ' => {}
            // Parameters of the number, or a password.
            b';' | b':' => break,
            _ => return None,
        }
        at = next;
    }
    (made.length >= 3).then_some(made)
}

fn unescaped(text: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = text else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()
}

/// How numbers are dialled at a site: `[dialling]` of the policy. Prefixes are digits.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The code of the site's country; empty: not known.
    pub country: Vec<u8>,
    /// What an international number begins with, beside a plus.
    pub international: Vec<Vec<u8>>,
    /// What a number of another area begins with.
    pub national: Vec<Vec<u8>>,
    /// What gives a line out, before a number that begins with one of the above.
    pub outside: Vec<Vec<u8>>,
    /// What a number is that has no prefix.
    pub bare: Bare,
}

/// What a number without a prefix is, where it has at least seven digits; shorter ones are the site's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bare {
    #[default]
    Inside,
    National,
    International,
}

/// Digits from which a number without a prefix may lead out.
const SHORTEST: usize = 7;

impl Plan {
    /// The international number, without a plus: country code first. `None` where the call stays at the site.
    pub fn resolve(&self, dialled: &Dialled) -> Option<Vec<u8>> {
        let digits = dialled.digits();
        if dialled.plus {
            return Some(digits.to_vec());
        }
        let line = longest(&self.outside, digits);
        let after = line.and_then(|line| self.prefixed(&digits[line..]));
        if let Some(number) = after.or_else(|| self.prefixed(digits)) {
            return Some(number);
        }
        match self.bare {
            Bare::International if digits.len() >= SHORTEST => Some(digits.to_vec()),
            Bare::National if digits.len() >= SHORTEST => self.at_home(digits),
            _ => None,
        }
    }

    fn prefixed(&self, digits: &[u8]) -> Option<Vec<u8>> {
        let abroad = longest(&self.international, digits);
        let home = longest(&self.national, digits);
        match (abroad, home) {
            (Some(abroad), home) if home.is_none_or(|home| abroad >= home) => Some(digits[abroad..].to_vec()),
            (_, Some(home)) => self.at_home(&digits[home..]),
            _ => None,
        }
    }

    fn at_home(&self, digits: &[u8]) -> Option<Vec<u8>> {
        (!self.country.is_empty()).then(|| [&self.country, digits].concat())
    }
}

/// The length of the longest prefix behind which something stands.
fn longest(prefixes: &[Vec<u8>], digits: &[u8]) -> Option<usize> {
    let fits = |prefix: &&Vec<u8>| digits.len() > prefix.len() && digits.starts_with(prefix);
    prefixes.iter().filter(fits).map(Vec::len).max()
}

/// Prefixes of international numbers, each with a value; of several that fit the longest counts.
#[derive(Clone, Debug, Default)]
pub struct Prefixes {
    known: HashMap<u64, u32>,
    longest: usize,
}

impl Prefixes {
    /// Prefixes of up to twelve digits; what is longer, or no number, is left out.
    pub fn new(prefixes: &[(String, u32)]) -> Self {
        let mut made = Self::default();
        for (prefix, value) in prefixes {
            let digits = prefix.as_bytes();
            if (1..=MOST_PREFIX).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit) {
                *made.known.entry(digits.iter().fold(1, appended)).or_insert(0) |= value;
                made.longest = made.longest.max(digits.len());
            }
        }
        made
    }

    /// The length of the longest prefix that fits, and its value.
    pub fn find(&self, number: &[u8]) -> Option<(usize, u32)> {
        let mut found = None;
        let mut key = 1;
        for (place, digit) in number.iter().take(self.longest).enumerate() {
            key = appended(key, digit);
            if let Some(&value) = self.known.get(&key) {
                found = Some((place + 1, value));
            }
        }
        found
    }
}

fn appended(key: u64, digit: &u8) -> u64 {
    key * 10 + u64::from(digit.wrapping_sub(b'0'))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn of(uri: &str) -> Option<String> {
        dialled(uri.as_bytes()).map(|found| {
            format!(
                "{}{}",
                if found.plus { "+" } else { "" },
                String::from_utf8_lossy(found.digits())
            )
        })
    }

    #[test]
    fn a_number_is_read_however_it_is_written() {
        for uri in [
            "sip:+49171@h",
            "tel:+49-(171)",
            "TEL:%2b49171;ext=3",
            "sips:%2B49.171;phone-context=x@h;user=phone",
            "sip:+49171:secret@h",
        ] {
            assert_eq!(of(uri).as_deref(), Some("+49171"), "{uri}");
        }
        for uri in [
            "sip:h",
            "sip:alice@h",
            "sip:12@h",
            "sip:49+171@h",
            "",
            "sip:",
            "tel:",
            "sip:%4@h",
        ] {
            assert_eq!(of(uri), None, "{uri}");
        }
        assert_eq!(of(&format!("sip:{}@h", "1".repeat(33))), None);
    }

    #[test]
    fn the_site_s_prefixes_say_where_a_number_is() {
        let texts = |all: &[&str]| all.iter().map(|text| text.as_bytes().to_vec()).collect::<Vec<_>>();
        let plan = Plan {
            country: b"49".to_vec(),
            international: texts(&["00", "011"]),
            national: texts(&["0"]),
            outside: texts(&["9"]),
            bare: Bare::Inside,
        };
        let resolved = |digits: &str| {
            let found = dialled(format!("sip:{digits}@h").as_bytes()).expect("a number");
            plan.resolve(&found)
                .map(|number| String::from_utf8_lossy(&number).into_owned())
        };
        for (digits, number) in [
            ("+442079460000", Some("442079460000")),
            ("00442079460000", Some("442079460000")),
            ("900442079460000", Some("442079460000")),
            ("011442079460000", Some("442079460000")),
            ("0171123456", Some("49171123456")),
            ("90171123456", Some("49171123456")),
            ("9171", None),
            ("442079460000", None),
        ] {
            assert_eq!(resolved(digits).as_deref(), number, "{digits}");
        }
    }

    #[test]
    fn the_longest_prefix_counts() {
        let known =
            [("1", 1), ("1876", 2), ("1876", 4), ("", 8), ("12x", 8)].map(|(prefix, value)| (prefix.to_owned(), value));
        let prefixes = Prefixes::new(&known);
        assert_eq!(prefixes.find(b"18765551234"), Some((4, 6)));
        assert_eq!(prefixes.find(b"187"), Some((1, 1)));
        assert_eq!(prefixes.find(b"44"), None);
    }
}
