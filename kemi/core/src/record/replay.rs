//! Copies a message so that it can be judged again later: each byte of a secret is replaced, all else stays where it was.

use memchr::memmem;

use super::decision::Finding;
use super::findings::NO_PAYLOAD;
use super::json;
use super::recorder::Recorder;
use crate::state::hash::Secret;
use crate::state::region::WRITTEN;

/// Bytes of a header field's name that are looked at.
const MAX_NAME: usize = 64;

/// Bytes of a user part with its password.
const MAX_USER: usize = 512;

/// Findings that are compared; a message with more of them is not said to be the same.
const MAX_COMPARED: usize = 16;

/// What a header field's name holds whose value is a secret.
const SECRET_NAMES: [&[u8]; 6] = [b"authorization", b"cookie", b"token", b"secret", b"passw", b"api-key"];

/// Lines of SDP that hold keys or passwords: RFC 8866 5.12, RFC 4568 9.1, RFC 8839 5.4, RFC 4567 3.1.
const SDP: [&[u8]; 4] = [b"k=", b"a=crypto:", b"a=ice-pwd:", b"a=key-mgmt:"];

/// Encodings of a body that leave its text as it is (RFC 2045 6.1, RFC 3261 20.12).
const PLAIN: [&[u8]; 4] = [b"identity", b"7bit", b"8bit", b"binary"];

/// A copy of one message, used again for the next.
#[derive(Default)]
pub struct Copy {
    pub bytes: Vec<u8>,
    removed: bool,
    /// Something was removed that is no plain token: rules may see another message.
    odd: bool,
}

impl Copy {
    /// Copies the first `limit` bytes of a message without its secrets: digest secrets, credentials of any other scheme,
    /// passwords in URIs, cookies and tokens, keys and passwords in SDP. A nonce becomes a hash by `key`, so that the same
    /// stays the same; of all else each byte becomes an `x`.
    pub fn take(&mut self, raw: &[u8], limit: usize, key: &Secret) {
        let raw = raw.get(..limit).unwrap_or(raw);
        self.bytes.clear();
        self.bytes.extend_from_slice(raw);
        (self.removed, self.odd) = (false, false);
        json::secrets(raw, |name, start, end| {
            let quoted = raw.get(start) == Some(&b'"');
            let inner = start + usize::from(quoted);
            let closed = quoted && end > inner && raw.get(end - 1) == Some(&b'"');
            let inner_end = end - usize::from(closed);
            if name.ends_with(b"nonce") && name != b"cnonce" {
                self.hash(raw, inner, inner_end, key);
            } else {
                self.remove(raw, inner, inner_end);
            }
        });
        self.lines(raw);
        self.passwords(raw);
    }

    /// Whether what rules found in the message is found in the copy, and nothing else. `findings`: of the message.
    pub fn is_exact(&self, raw: &[u8], findings: &[Finding]) -> bool {
        if !self.removed {
            return true;
        }
        let texts = || findings.iter().filter(|finding| !NO_PAYLOAD.contains(&finding.family));
        if self.odd || texts().nth(MAX_COMPARED).is_some() {
            return false;
        }
        texts().all(|finding| {
            // Nothing is shown of what stands in credentials; what was unfolded stands in no message as it is shown.
            let finder = memmem::Finder::new(finding.excerpt);
            let before = finder.find_iter(raw).count();
            !finding.excerpt.is_empty() && before > 0 && finder.find_iter(&self.bytes).count() == before
        })
    }

    /// Header fields and lines of SDP that are secrets, wherever they stand: in parts of a body, in what can't be parsed.
    fn lines(&mut self, raw: &[u8]) {
        let mut start = 0;
        // What follows the next empty line is in no text that could be read here.
        let mut opaque = false;
        while start < raw.len() {
            let mut end = line_end(raw, start);
            let line = raw.get(start..end).unwrap_or_default();
            if line.is_empty() && opaque {
                self.remove(raw, end, raw.len());
                self.odd = true;
                return;
            }
            if let Some(prefix) = SDP.iter().find(|prefix| begins(line, prefix)) {
                let from = match (prefix.ends_with(b"crypto:"), memmem::find(line, b"inline:")) {
                    (true, Some(at)) => at + b"inline:".len(),
                    _ => prefix.len(),
                };
                self.remove(raw, start + from, end);
            } else if let Some(colon) = (line.iter().take(MAX_NAME)).position(|&byte| byte == b':') {
                let name = line.get(..colon).unwrap_or_default().trim_ascii();
                let value = start + colon + 1;
                if is_secret(name) {
                    end = folded_end(raw, end);
                    self.remove(raw, value + scheme(raw.get(value..end).unwrap_or_default()), end);
                } else if is_encoding(name) {
                    let value = raw.get(value..end).unwrap_or_default().trim_ascii();
                    opaque |= !PLAIN.iter().any(|plain| value.eq_ignore_ascii_case(plain));
                }
            }
            let is_pair = raw.get(end..).is_some_and(|rest| rest.starts_with(b"\r\n"));
            start = end + if is_pair { 2 } else { 1 };
        }
    }

    /// Passwords in SIP URIs (RFC 3261 19.1.1).
    fn passwords(&mut self, raw: &[u8]) {
        let mut from = 0;
        // Where the next "@" or what can't stand before one is: looked for once, however many URIs stand before it.
        let mut stop = 0;
        while let Some(found) = raw.get(from..).and_then(|rest| memchr::memchr(b':', rest)) {
            let user = from + found + 1;
            from = user;
            let before = raw.get(user.saturating_sub(5)..user - 1).unwrap_or_default();
            if !(ends(before, b"sip") || ends(before, b"sips")) {
                continue;
            }
            if stop < user {
                stop = user
                    + raw
                        .get(user..)
                        .map_or(0, |rest| rest.iter().take_while(|&&byte| !stops(byte)).count());
            }
            if raw.get(stop) != Some(&b'@') || stop - user > MAX_USER {
                continue;
            }
            let name = raw.get(user..stop).unwrap_or_default();
            if let Some(colon) = memchr::memchr(b':', name) {
                self.remove(raw, user + colon + 1, stop);
                from = stop;
            }
        }
    }

    fn remove(&mut self, raw: &[u8], start: usize, end: usize) {
        let (Some(from), Some(to)) = (raw.get(start..end), self.bytes.get_mut(start..end)) else {
            return;
        };
        for (&byte, place) in from.iter().zip(to) {
            if byte.is_ascii_whitespace() {
                continue;
            }
            self.removed = true;
            self.odd |= !is_plain(byte);
            *place = b'x';
        }
    }

    fn hash(&mut self, raw: &[u8], start: usize, end: usize, key: &Secret) {
        let (Some(from), Some(to)) = (raw.get(start..end), self.bytes.get_mut(start..end)) else {
            return;
        };
        self.removed |= !from.is_empty();
        self.odd |= !from.iter().all(|&byte| is_plain(byte));
        let hash = format!("{:016x}", key.identity(&[from]));
        for (byte, place) in hash.bytes().cycle().zip(to.iter_mut()) {
            *place = byte;
        }
    }
}

impl Recorder {
    /// The message without its secrets, and whether it would be judged as it was.
    pub(super) fn kept(&mut self, out: &mut Vec<u8>, raw: &[u8], findings: &[Finding]) {
        let Some(copy) = self.replay.as_mut() else { return };
        copy.take(raw, self.raw_bytes, &WRITTEN);
        let mut exact = copy.is_exact(raw, findings);
        self.plain.clear();
        json::exact_text(&mut self.plain, &copy.bytes);
        out.extend_from_slice(b",\"raw\":\"");
        match &self.mask {
            None => json::text(out, &self.plain),
            Some(mask) => {
                self.masked.clear();
                mask.text(&mut self.masked, &self.plain);
                exact &= self.masked == self.plain;
                json::text(out, &self.masked);
            }
        }
        out.extend_from_slice(match (raw.len() > self.raw_bytes, exact) {
            (true, _) => b"\",\"kept\":\"cut\"",
            (false, true) => b"\",\"kept\":\"exact\"",
            (false, false) => b"\",\"kept\":\"changed\"",
        });
    }
}

/// What stands in secrets that are no attack.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'+' | b'/' | b'=' | b'.' | b'_' | b'~' | b'-' | b'|' | b'^' | b':' | b','
        )
}

/// Ends a user part with its password.
fn stops(byte: u8) -> bool {
    matches!(byte, b'@' | b'<' | b'>' | b'"') || byte.is_ascii_whitespace()
}

fn is_secret(name: &[u8]) -> bool {
    SECRET_NAMES
        .iter()
        .any(|word| name.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word)))
}

fn is_encoding(name: &[u8]) -> bool {
    [&b"content-encoding"[..], b"e", b"content-transfer-encoding"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
}

/// Bytes of a value before its secret: a scheme's name with the space behind it; of digest credentials, whose secrets have
/// names, all of it.
fn scheme(value: &[u8]) -> usize {
    let begin = value.len() - value.trim_ascii_start().len();
    let name = (value.get(begin..).unwrap_or_default().iter())
        .take_while(|byte| byte.is_ascii_alphanumeric())
        .count();
    let end = begin + name;
    match value.get(end) {
        Some(b' ' | b'\t')
            if value
                .get(begin..end)
                .unwrap_or_default()
                .eq_ignore_ascii_case(b"digest") =>
        {
            value.len()
        }
        Some(b' ' | b'\t') => end,
        _ => begin,
    }
}

fn line_end(raw: &[u8], start: usize) -> usize {
    let rest = raw.get(start..).unwrap_or_default();
    start + memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len())
}

/// Where a header field ends whose first line ends at `end`: lines that begin with a space go on.
fn folded_end(raw: &[u8], mut end: usize) -> usize {
    loop {
        let next = match raw.get(end..) {
            Some([b'\r', b'\n', b' ' | b'\t', ..]) => end + 2,
            Some([b'\r' | b'\n', b' ' | b'\t', ..]) => end + 1,
            _ => return end,
        };
        end = line_end(raw, next);
    }
}

fn begins(line: &[u8], prefix: &[u8]) -> bool {
    (line.get(..prefix.len())).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix))
}

fn ends(text: &[u8], word: &[u8]) -> bool {
    (text.len().checked_sub(word.len()))
        .and_then(|at| text.get(at..))
        .is_some_and(|end| end.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(raw: &str) -> (String, bool) {
        let mut copy = Copy::default();
        copy.take(raw.as_bytes(), 65535, &Secret::new([1, 2]));
        assert_eq!(copy.bytes.len(), raw.len());
        let exact = copy.is_exact(raw.as_bytes(), &[]);
        (String::from_utf8(copy.bytes).unwrap(), exact)
    }

    #[test]
    fn secrets_are_replaced_where_they_stand() {
        for (raw, copy) in [
            (
                "A: Digest response=\"0a1b\", qop=auth",
                "A: Digest response=\"xxxx\", qop=auth",
            ),
            (
                "Authorization: Digest username=\"a\"",
                "Authorization: Digest username=\"a\"",
            ),
            (
                "\r\nProxy-Authorization : Basic YTpi\r\nTo: b",
                "\r\nProxy-Authorization : Basic xxxx\r\nTo: b",
            ),
            (
                "authorization:\r\n Bearer a.b\r\n c\r\nTo: b",
                "authorization:\r\n Bearer xxx\r\n x\r\nTo: b",
            ),
            ("X-Auth-Token: ab\nTo: b", "X-Auth-Token: xx\nTo: b"),
            ("<sip:alice:pass@h:5060;a=b>", "<sip:alice:xxxx@h:5060;a=b>"),
            ("<sip:h:5060> <SIPS:a:b@c>", "<sip:h:5060> <SIPS:a:x@c>"),
            (
                "\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0Rm|2^20\r\nb",
                "\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:xxxxxxxxx\r\nb",
            ),
            (
                "\r\na=ice-pwd:asd8\r\na=ice-ufrag:8h",
                "\r\na=ice-pwd:xxxx\r\na=ice-ufrag:8h",
            ),
            ("\nk=clear:ab\n", "\nk=xxxxxxxx\n"),
        ] {
            assert_eq!(taken(raw).0, copy);
        }
    }

    #[test]
    fn the_same_nonce_stays_the_same_and_is_hidden() {
        let (copy, exact) = taken("nonce=\"abcdefgh\" nonce=\"abcdefgh\" nonce=\"abcdefgi\"");
        let parts: Vec<&str> = copy.split('"').collect();
        assert!(exact && parts[1] == parts[3] && parts[1] != parts[5] && parts[1] != "abcdefgh");
    }

    #[test]
    fn what_is_encoded_is_hidden_as_a_whole() {
        let (copy, exact) = taken("INVITE sip:a@b SIP/2.0\r\ne: gzip\r\nX: y\r\n\r\nabc\r\nd");
        assert!(!exact && copy.ends_with("X: y\r\n\r\nxxx\r\nx"), "{copy}");
        let plain = "INVITE sip:a@b SIP/2.0\r\nContent-Encoding: identity\r\n\r\nabc";
        assert_eq!(taken(plain), (plain.to_owned(), true));
    }

    #[test]
    fn an_attack_in_a_secret_is_said_to_be_changed() {
        assert!(taken("response=\"0123\"").1);
        assert!(!taken("response=\"' or 1=1\"").1);
        assert!(!taken("<sip:a:$(id)@h>").1);
        let raw = b"<sip:a:token@h> \"token\"";
        let finding = |excerpt| Finding {
            rule: "r",
            family: "sql",
            score: 5,
            field: "f",
            reason: "",
            excerpt,
        };
        let mut copy = Copy::default();
        copy.take(raw, 999, &Secret::new([1, 2]));
        assert!(copy.is_exact(raw, &[finding(b"sip")]));
        assert!(!copy.is_exact(raw, &[finding(b"token")]));
        assert!(!copy.is_exact(raw, &[finding(b"")]));
    }
}
