//! The header fields that have a meaning here, with what may stand in them and who acts on it.

use std::borrow::Cow;
use std::sync::LazyLock;

use super::grammar;

/// Its value is a name-addr or addr-spec with parameters (RFC 3261 25.1).
pub const ADDRESS: u8 = 1;
/// Its value is a token, word or text, and parameters after it (25.1).
pub const PARAMETERS: u8 = 2;
/// Digest = "Digest" LWS digest-param *(COMMA digest-param)   (25.1)
pub const CREDENTIALS: u8 = 4;
/// Other elements act on its value: nothing in it can be replaced but a display name.
pub const ROUTED: u8 = 8;

/// Bytes of a header name by which a field is known; the longest that is registered has 31.
pub const MAX_NAME: usize = 64;

/// Methods (RFC 3261, 3262, 3265, 3311, 3428, 3515, 3903, 6086).
pub const METHODS: [&str; 14] = [
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "OPTIONS",
    "REGISTER",
    "PRACK",
    "SUBSCRIBE",
    "NOTIFY",
    "PUBLISH",
    "INFO",
    "REFER",
    "MESSAGE",
    "UPDATE",
];

struct Entry {
    name: &'static str,
    /// Its compact form, 0 without: RFC 3261 7.3.3 and 20, RFC 3265 (o, u), 3515 (r), 3841 (a, j, d), 3892 (b), 4028 (x), 4474
    /// (y, n).
    compact: u8,
    flags: u8,
}

macro_rules! names {
    ($($id:ident = $name:literal, $compact:literal, $flags:expr;)*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        #[repr(u8)]
        enum Number { OTHER, $($id),* }
        $(pub const $id: u8 = Number::$id as u8;)*
        static ENTRIES: &[Entry] = &[
            Entry { name: "", compact: 0, flags: 0 },
            $(Entry { name: $name, compact: $compact, flags: $flags }),*
        ];
    };
}

/// Any header field that is not in the table.
pub const OTHER: u8 = Number::OTHER as u8;

names! {
    // No header fields: what else of a message is named like one.
    METHOD = "method", 0, 0;
    REQUEST_URI = "request_uri", 0, ROUTED;
    REASON_PHRASE = "reason_phrase", 0, 0;
    HEADER_NAME = "header_name", 0, 0;
    BODY = "body", 0, 0;
    SDP = "sdp", 0, 0;
    VIA = "via", b'v', ROUTED;
    FROM = "from", b'f', ADDRESS | ROUTED;
    TO = "to", b't', ADDRESS | ROUTED;
    CALL_ID = "call-id", b'i', ROUTED;
    CSEQ = "cseq", 0, ROUTED;
    CONTACT = "contact", b'm', ADDRESS | ROUTED;
    ROUTE = "route", 0, ADDRESS | ROUTED;
    RECORD_ROUTE = "record-route", 0, ADDRESS | ROUTED;
    CONTENT_LENGTH = "content-length", b'l', ROUTED;
    CONTENT_TYPE = "content-type", b'c', ROUTED;
    CONTENT_ENCODING = "content-encoding", b'e', ROUTED;
    MAX_FORWARDS = "max-forwards", 0, ROUTED;
    EXPIRES = "expires", 0, ROUTED;
    MIN_EXPIRES = "min-expires", 0, ROUTED;
    REQUIRE = "require", 0, ROUTED;
    PROXY_REQUIRE = "proxy-require", 0, ROUTED;
    SUPPORTED = "supported", b'k', ROUTED;
    UNSUPPORTED = "unsupported", 0, ROUTED;
    ALLOW = "allow", 0, ROUTED;
    EVENT = "event", b'o', PARAMETERS | ROUTED;
    ALLOW_EVENTS = "allow-events", b'u', ROUTED;
    SUBSCRIPTION_STATE = "subscription-state", 0, PARAMETERS | ROUTED;
    RACK = "rack", 0, ROUTED;
    RSEQ = "rseq", 0, ROUTED;
    SESSION_EXPIRES = "session-expires", b'x', PARAMETERS | ROUTED;
    MIN_SE = "min-se", 0, ROUTED;
    REPLACES = "replaces", 0, PARAMETERS | ROUTED;
    JOIN = "join", 0, PARAMETERS | ROUTED;
    SIP_ETAG = "sip-etag", 0, ROUTED;
    SIP_IF_MATCH = "sip-if-match", 0, ROUTED;
    REFER_TO = "refer-to", b'r', ADDRESS | ROUTED;
    MIME_VERSION = "mime-version", 0, ROUTED;
    REPLY_TO = "reply-to", 0, ADDRESS;
    REFERRED_BY = "referred-by", b'b', ADDRESS;
    P_ASSERTED_IDENTITY = "p-asserted-identity", 0, ADDRESS;
    P_PREFERRED_IDENTITY = "p-preferred-identity", 0, ADDRESS;
    REMOTE_PARTY_ID = "remote-party-id", 0, ADDRESS;
    DIVERSION = "diversion", 0, ADDRESS;
    HISTORY_INFO = "history-info", 0, ADDRESS;
    P_CALLED_PARTY_ID = "p-called-party-id", 0, ADDRESS;
    P_ASSOCIATED_URI = "p-associated-uri", 0, ADDRESS;
    PATH = "path", 0, ADDRESS;
    SERVICE_ROUTE = "service-route", 0, ADDRESS;
    ALERT_INFO = "alert-info", 0, ADDRESS;
    CALL_INFO = "call-info", 0, ADDRESS;
    ERROR_INFO = "error-info", 0, ADDRESS;
    ACCEPT_CONTACT_URI = "accept-contact-uri", 0, ADDRESS;
    PERMISSION_MISSING = "permission-missing", 0, ADDRESS;
    TRIGGER_CONSENT = "trigger-consent", 0, ADDRESS;
    P_SERVED_USER = "p-served-user", 0, ADDRESS;
    P_PROFILE_KEY = "p-profile-key", 0, ADDRESS;
    P_USER_DATABASE = "p-user-database", 0, ADDRESS;
    ACCEPT = "accept", 0, PARAMETERS;
    ACCEPT_CONTACT = "accept-contact", b'a', PARAMETERS;
    ACCEPT_ENCODING = "accept-encoding", 0, PARAMETERS;
    ACCEPT_LANGUAGE = "accept-language", 0, PARAMETERS;
    CONTENT_DISPOSITION = "content-disposition", 0, PARAMETERS;
    P_ACCESS_NETWORK_INFO = "p-access-network-info", 0, PARAMETERS;
    P_CHARGING_FUNCTION_ADDRESSES = "p-charging-function-addresses", 0, PARAMETERS;
    P_CHARGING_VECTOR = "p-charging-vector", 0, PARAMETERS;
    REASON = "reason", 0, PARAMETERS;
    REJECT_CONTACT = "reject-contact", b'j', PARAMETERS;
    RETRY_AFTER = "retry-after", 0, PARAMETERS;
    SECURITY_CLIENT = "security-client", 0, PARAMETERS;
    SECURITY_SERVER = "security-server", 0, PARAMETERS;
    SECURITY_VERIFY = "security-verify", 0, PARAMETERS;
    TARGET_DIALOG = "target-dialog", 0, PARAMETERS;
    USER_TO_USER = "user-to-user", 0, PARAMETERS;
    WARNING = "warning", 0, PARAMETERS;
    AUTHORIZATION = "authorization", 0, CREDENTIALS;
    PROXY_AUTHORIZATION = "proxy-authorization", 0, CREDENTIALS;
    WWW_AUTHENTICATE = "www-authenticate", 0, CREDENTIALS;
    PROXY_AUTHENTICATE = "proxy-authenticate", 0, CREDENTIALS;
    AUTHENTICATION_INFO = "authentication-info", 0, CREDENTIALS;
    USER_AGENT = "user-agent", 0, 0;
    SERVER = "server", 0, 0;
    SUBJECT = "subject", b's', 0;
    ORGANIZATION = "organization", 0, 0;
    REQUEST_DISPOSITION = "request-disposition", b'd', 0;
    IDENTITY_INFO = "identity-info", b'n', 0;
    IDENTITY = "identity", b'y', 0;
}

/// How many numbers there are.
pub const COUNT: usize = ENTRIES.len();

/// The last of the names that no header field has.
const LAST_OF_OTHERS: u8 = SDP;

/// A slot for each value of `slot`, with the numbers that follow where several names fall on one.
static TABLE: LazyLock<[u8; 512]> = LazyLock::new(|| {
    let mut table = [OTHER; 512];
    for (number, entry) in ENTRIES.iter().enumerate().skip(usize::from(LAST_OF_OTHERS) + 1) {
        let mut at = slot(entry.name.as_bytes());
        while table[at] != OTHER {
            at = (at + 1) & 511;
        }
        // The table has fewer than 256 entries.
        table[at] = number as u8;
    }
    table
});

static COMPACT: LazyLock<[u8; 256]> = LazyLock::new(|| {
    let mut table = [OTHER; 256];
    for (number, entry) in ENTRIES.iter().enumerate().filter(|(_, entry)| entry.compact != 0) {
        table[usize::from(entry.compact)] = number as u8;
        table[usize::from(entry.compact.to_ascii_uppercase())] = number as u8;
    }
    table
});

/// Where to look for a name of more than one byte.
fn slot(name: &[u8]) -> usize {
    let at = |place: usize| usize::from(name[place] | 0x20);
    (at(0) * 7 + at(name.len() - 1) * 31 + at(name.len() / 2) * 57 + name.len() * 11) & 511
}

/// The number of a name in lower case; `OTHER` where it has none. `request_uri` and the like have one too.
pub fn number_of(name: &str) -> u8 {
    ENTRIES
        .iter()
        .skip(1)
        .position(|entry| entry.name == name)
        .map_or(OTHER, |at| at as u8 + 1)
}

/// A header field's name, in lower case with its compact form expanded (RFC 3261 7.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderName<'a> {
    /// Its number in the table; `OTHER` where it has none.
    pub id: u8,
    /// Tells names without a number from each other at the cost of one comparison, however many a message has.
    mark: u64,
    raw: &'a [u8],
}

/// FNV-1a of a name's first 64 bytes in lower case.
fn mark_of(raw: &[u8]) -> u64 {
    raw.iter().take(MAX_NAME).fold(0xcbf2_9ce4_8422_2325, |mark, byte| {
        (mark ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Whether a text is a name of letters, digits and dashes, given in lower case, in either case: eight bytes at a time, since
/// each header field of each message is asked.
fn is_spelled(raw: &[u8], name: &[u8]) -> bool {
    // Of the bytes of such names letters alone have bit 6; it is moved to where the cases differ.
    let eight = |raw: u64, name: u64| raw | (name & 0x4040_4040_4040_4040) >> 1 == name;
    if raw.len() != name.len() {
        return false;
    }
    let (Some(raw_end), Some(name_end)) = (raw.last_chunk::<8>(), name.last_chunk::<8>()) else {
        return name.eq_ignore_ascii_case(raw);
    };
    let starts = raw.chunks_exact(8).zip(name.chunks_exact(8));
    let number = |bytes: &[u8]| bytes.first_chunk::<8>().map_or(0, |eight| u64::from_le_bytes(*eight));
    starts.into_iter().all(|(raw, name)| eight(number(raw), number(name)))
        && eight(u64::from_le_bytes(*raw_end), u64::from_le_bytes(*name_end))
}

impl<'a> HeaderName<'a> {
    /// Of a name as sent, without white space.
    pub fn read(raw: &'a [u8]) -> Self {
        if let [byte] = raw {
            return Self::new(COMPACT[usize::from(*byte)], raw);
        }
        let mut id = OTHER;
        if (2..=MAX_NAME).contains(&raw.len()) {
            let mut at = slot(raw);
            while TABLE[at] != OTHER {
                if is_spelled(raw, ENTRIES[usize::from(TABLE[at])].name.as_bytes()) {
                    id = TABLE[at];
                    break;
                }
                at = (at + 1) & 511;
            }
        }
        Self::new(id, raw)
    }

    fn new(id: u8, raw: &'a [u8]) -> Self {
        let mark = if id == OTHER { mark_of(raw) } else { 0 };
        Self { id, mark, raw }
    }

    /// One of the table's.
    pub const fn known(id: u8) -> HeaderName<'static> {
        HeaderName { id, mark: 0, raw: b"" }
    }

    fn flags(self) -> u8 {
        ENTRIES[usize::from(self.id)].flags
    }

    pub fn has(self, flags: u8) -> bool {
        self.flags() & flags != 0
    }

    /// As text; other bytes than ASCII as `\xNN`, 64 bytes of it at the most.
    pub fn text(self) -> Cow<'static, str> {
        if self.id != OTHER {
            return Cow::Borrowed(ENTRIES[usize::from(self.id)].name);
        }
        let mut text = grammar::ascii(&self.raw[..self.raw.len().min(MAX_NAME)]);
        text.make_ascii_lowercase();
        Cow::Owned(text)
    }

    /// Whether two names are the same, for numbering header fields in the log. Names made to have one mark count as the same:
    /// all that comes of it is another number.
    pub fn same(self, other: HeaderName<'_>) -> bool {
        self.id == other.id && self.mark == other.mark
    }

    /// Whether it is that name, given in lower case.
    pub fn is(self, name: &str) -> bool {
        if self.id != OTHER {
            return ENTRIES[usize::from(self.id)].name == name;
        }
        if self.raw.len() > MAX_NAME || !self.raw.is_ascii() {
            return self.text() == name;
        }
        self.raw.eq_ignore_ascii_case(name.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case_and_in_its_compact_form() {
        for (number, entry) in ENTRIES.iter().enumerate().skip(usize::from(LAST_OF_OTHERS) + 1) {
            assert_eq!(usize::from(HeaderName::read(entry.name.as_bytes()).id), number);
            assert_eq!(
                usize::from(HeaderName::read(entry.name.to_uppercase().as_bytes()).id),
                number
            );
            if entry.compact != 0 {
                assert_eq!(usize::from(HeaderName::read(&[entry.compact]).id), number);
            }
        }
    }

    #[test]
    fn a_name_with_one_byte_changed_is_another_one() {
        for entry in ENTRIES.iter().skip(usize::from(LAST_OF_OTHERS) + 1) {
            let name = entry.name.as_bytes();
            for at in 0..name.len() {
                for byte in 0..=255 {
                    let mut raw = name.to_vec();
                    raw[at] = byte;
                    assert_eq!(is_spelled(&raw, name), raw.eq_ignore_ascii_case(name), "{raw:?}");
                }
            }
        }
    }

    #[test]
    fn other_names_are_shown_in_lower_case() {
        assert_eq!(HeaderName::read(b"X-Customer").text(), "x-customer");
        assert_eq!(HeaderName::read(b"To\x01").text(), "to\u{1}");
        assert_eq!(HeaderName::read(b"\xff").text(), "\\xff");
        assert_eq!(HeaderName::read(b"request_uri").id, OTHER);
        assert!(HeaderName::read(b"X-Foo").is("x-foo"));
        assert!(HeaderName::read(b"X-Foo").same(HeaderName::read(b"x-fOO")));
        assert!(!HeaderName::read(b"X-Foo").same(HeaderName::read(b"X-Fop")));
        assert!(HeaderName::read(b"f").same(HeaderName::read(b"From")));
    }
}
