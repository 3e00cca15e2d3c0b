//! Registered words (methods, option tags, event packages, media types) of which the values of some header fields are made:
//! proven once, at the start, to be matched by no rule, they are passed for the price of knowing each word.

use memchr::memchr;

use super::language::Language;
use super::rule::Rule;
use crate::sip::names::METHODS;
use crate::sip::{Header, PartKind, names};

/// Option tags, event packages, dispositions and media types as IANA has them registered, and those of the same kinds that
/// phones send unregistered. Not `199`, which behind another number and before a word is what Asterisk's Dial is told.
const OTHERS: [&str; 66] = [
    "100rel",
    "answermode",
    "early-session",
    "eventlist",
    "explicitsub",
    "from-change",
    "geolocation-http",
    "geolocation-sip",
    "gin",
    "gruu",
    "histinfo",
    "ice",
    "join",
    "multiple-refer",
    "norefersub",
    "nosub",
    "outbound",
    "path",
    "policy",
    "precondition",
    "pref",
    "privacy",
    "recipient-list-invite",
    "recipient-list-message",
    "record-aware",
    "replaces",
    "resource-priority",
    "sdp-anat",
    "sec-agree",
    "siprec",
    "tdialog",
    "timer",
    "trickle-ice",
    "uui",
    "callerid",
    "hold",
    "talk",
    "check-sync",
    "as-feature-event",
    "call-completion",
    "call-info",
    "conference",
    "dialog",
    "kpml",
    "line-seize",
    "message-summary",
    "poc-settings",
    "presence",
    "presence.winfo",
    "refer",
    "reg",
    "ua-profile",
    "vq-rtcpxr",
    "session",
    "render",
    "application/conference-info+xml",
    "application/dialog-info+xml",
    "application/dtmf-relay",
    "application/pidf+xml",
    "application/reginfo+xml",
    "application/sdp",
    "application/simple-message-summary",
    "message/sipfrag",
    "multipart/mixed",
    "multipart/related",
    "text/plain",
];

/// Bytes of the longest list that is read word by word; nothing ordinary has more.
const LONGEST: usize = 512;

/// Digits of a CSeq's number (RFC 3261 20.16: below 2^31).
const DIGITS: usize = 10;

/// Places of words, by what `place` says of them: six times as many as words.
const PLACES: usize = 512;

/// Header fields that may be no more than a list of such words.
const LISTS: [u8; 11] = [
    names::ALLOW,
    names::ALLOW_EVENTS,
    names::ACCEPT,
    names::CONTENT_DISPOSITION,
    names::CONTENT_ENCODING,
    names::CONTENT_TYPE,
    names::EVENT,
    names::PROXY_REQUIRE,
    names::REQUIRE,
    names::SUPPORTED,
    names::UNSUPPORTED,
];

/// What of these words no rule matches.
#[derive(Debug)]
pub struct Vocabulary {
    /// Numbers of words, counted from 1, at the place of each or one of the next.
    places: [u8; PLACES],
    /// Whether no rule matches a method as such, nor a CSeq.
    methods: bool,
    cseq: bool,
    /// By header field: whether it may be no more than a list of words, and no rule matches one.
    lists: [bool; names::COUNT],
}

impl Vocabulary {
    pub fn new(rules: &[Rule]) -> Self {
        let mut places = [0; PLACES];
        for (word, number) in words().zip(1..) {
            let mut at = place(word);
            while places[at] != 0 {
                at = (at + 1) % PLACES;
            }
            places[at] = number;
        }
        let untouched = |language: &Language, kind: PartKind, headers: &[u8]| {
            let is_for = |rule: &&Rule| {
                rule.takes(kind as usize) && headers.iter().any(|&header| rule.may_be_for(usize::from(header)))
            };
            !rules.iter().filter(is_for).any(|rule| rule.may_match(language))
        };
        let methods = || METHODS.iter().map(|method| method.as_bytes().to_vec());
        // What decodes forms reads `+` as a blank; nothing else is in a word that may be read in two ways.
        let read = words().flat_map(|word| {
            let blank = |byte: u8| if byte == b'+' { b' ' } else { byte };
            [word.to_vec(), word.iter().copied().map(blank).collect()]
        });
        let mut lists = [false; names::COUNT];
        let may_pass = untouched(&Language::of(read).listed(), PartKind::Text, &LISTS);
        for header in LISTS {
            lists[usize::from(header)] = may_pass;
        }
        Self {
            places,
            lists,
            methods: untouched(&Language::of(methods()), PartKind::Method, &[names::METHOD]),
            cseq: untouched(
                &Language::of(methods()).behind_number(DIGITS),
                PartKind::Text,
                &[names::CSEQ],
            ),
        }
    }

    /// Whether no rule matches methods, what a CSeq is, and lists of words.
    #[cfg(test)]
    pub fn untouched(&self) -> [bool; 3] {
        [self.methods, self.cseq, self.lists[usize::from(names::ALLOW)]]
    }

    /// Whether a header field's value is known to hold nothing that can be found: a list of known words, or a CSeq.
    pub fn is_all(&self, header: &Header<'_>) -> bool {
        let value = &*header.value;
        if header.folded || value.len() > LONGEST {
            return false;
        }
        if header.name.id == names::CSEQ {
            let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
            return self.cseq
                && (1..=DIGITS).contains(&digits)
                && value[digits..]
                    .split_first()
                    .is_some_and(|(&blank, method)| blank == b' ' && self.is_method(method));
        }
        self.lists[usize::from(header.name.id)] && self.is_list(value)
    }

    /// Whether a message's method is known, and matched by no rule.
    pub fn passes(&self, method: &[u8]) -> bool {
        self.methods && self.is_method(method)
    }

    fn is_method(&self, word: &[u8]) -> bool {
        self.number(word).is_some_and(|number| number < METHODS.len())
    }

    /// `word *( COMMA [ SP ] word )`
    fn is_list(&self, value: &[u8]) -> bool {
        let mut rest = value;
        while let Some(comma) = memchr(b',', rest) {
            if self.number(&rest[..comma]).is_none() {
                return false;
            }
            rest = &rest[comma + 1..];
            rest = rest.strip_prefix(b" ").unwrap_or(rest);
        }
        self.number(rest).is_some()
    }

    /// Which word it is, from 0.
    fn number(&self, word: &[u8]) -> Option<usize> {
        let mut at = place(word);
        loop {
            let number = usize::from(self.places[at]).checked_sub(1)?;
            if known(number) == word {
                return Some(number);
            }
            at = (at + 1) % PLACES;
        }
    }
}

/// All words, methods first.
fn words() -> impl Iterator<Item = &'static [u8]> {
    METHODS.iter().chain(&OTHERS).map(|word| word.as_bytes())
}

fn known(number: usize) -> &'static [u8] {
    match METHODS.get(number) {
        Some(method) => method.as_bytes(),
        None => OTHERS[number - METHODS.len()].as_bytes(),
    }
}

/// Where a word is looked for first, by its length and three of its bytes.
fn place(word: &[u8]) -> usize {
    let byte = |at: usize| usize::from(word.get(at).copied().unwrap_or_default());
    let last = byte(word.len().wrapping_sub(1));
    (word.len() * 41 + byte(0) * 7 + byte(word.len() / 2) * 13 + last) % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::RuleSpec;
    use crate::detect::transforms::{Stood, forms};
    use crate::sip::parse;

    fn vocabulary(pattern: &str, parts: &[&str]) -> Vocabulary {
        let spec = RuleSpec {
            id: "a".to_owned(),
            family: "sip".to_owned(),
            pattern: pattern.to_owned(),
            parts: parts.iter().map(|part| (*part).to_owned()).collect(),
            ..RuleSpec::default()
        };
        Vocabulary::new(&[Rule::new(spec, &[]).expect("a pattern")])
    }

    fn is_all(vocabulary: &Vocabulary, field: &str) -> bool {
        let raw = format!("OPTIONS sip:a SIP/2.0\r\n{field}\r\n\r\n");
        vocabulary.is_all(&parse(raw.as_bytes()).headers[0])
    }

    #[test]
    fn lists_of_known_words_are_all_that_passes() {
        let known = Vocabulary::new(&[]);
        for field in [
            "Allow: INVITE, ACK,BYE",
            "k: replaces, 100rel",
            "Supported: timer",
            "CSeq: 2147483647 INVITE",
            "Content-Type: application/sdp",
            "Accept: application/sdp, application/dialog-info+xml",
            "Event: message-summary",
        ] {
            assert!(is_all(&known, field), "{field}");
        }
        for field in [
            "Allow: INVITE,  ACK",
            "Allow: INVITE,",
            "Allow: ,INVITE",
            "Allow:",
            "Allow: invite",
            "Allow: INVITE ACK",
            "Allow: INVITE,\r\n ACK",
            "Subject: timer",
            "Supported: timer;x",
            "Supported: timers",
            "CSeq: INVITE",
            "CSeq: 1  INVITE",
            "CSeq: 1 timer",
            "CSeq: 12345678901 ACK",
            "CSeq: 1 INVITE, ACK",
        ] {
            assert!(!is_all(&known, field), "{field}");
        }
        assert!(known.passes(b"PUBLISH") && !known.passes(b"timer") && !known.passes(b"PUBLISHED"));
    }

    #[test]
    fn what_a_rule_matches_passes_nowhere() {
        let lists = |pattern: &str| vocabulary(pattern, &[]).untouched()[2];
        for pattern in [
            "ack",
            "^invite",
            "bye, ?info",
            "talk$",
            "ack.*ack",
            r"info xml\b",
            ".",
            "",
            "[a-z],[a-z]",
            "ack,$|timer,i",
        ] {
            assert!(!lists(pattern), "{pattern}");
        }
        for pattern in ["acks", "ack;", r"invite\s\w", "ack,$", "^,", "or 1", "talk  "] {
            assert!(lists(pattern), "{pattern}");
        }
        for (pattern, cseq) in [
            (r"\d\d\d\d ack", false),
            ("7 [a-z]", false),
            ("ack \\d", true),
            (r"\d,", true),
        ] {
            assert_eq!(vocabulary(pattern, &[]).cseq, cseq, "{pattern}");
        }
        // Methods are asked for by name alone.
        assert!(vocabulary("ack", &[]).methods && !vocabulary("ack", &["method"]).methods);
        assert!(vocabulary("ack", &["method"]).untouched()[2]);
    }

    #[test]
    fn a_list_is_read_in_no_other_way_than_with_blanks_for_plus_signs() {
        let list: Vec<&[u8]> = words().collect();
        let list = list.join(&b", "[..]);
        let blank: Vec<u8> = list
            .iter()
            .map(|&byte| if byte == b'+' { b' ' } else { byte })
            .collect();
        for form in forms(&list, Stood::Bare) {
            assert!(*form == *list || *form == *blank);
        }
    }
}
