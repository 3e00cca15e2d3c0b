//! What a routing script wrote of a message: by the format that it was written with, or guessed.

use std::net::IpAddr;
use std::sync::LazyLock;

use regex_automata::meta::Regex;
use regex_automata::util::syntax;

use super::digits;
use super::format::Format;
use super::join::{Means, Open, plain};
use super::keys::{Key, keys};
use super::named::named;
use crate::sip::names::METHODS;

/// Bytes of a value.
const VALUE: usize = 512;

/// Addresses of a line that are looked at.
pub(super) const MOST: usize = 16;

const ADDRESS: &str = r"(\d{1,3}(?:\.\d{1,3}){3}|\[?[0-9a-fA-F:]{2,39}\]?)";

/// What is known of a script's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    Message,
    /// Several addresses, of which a sender may have written one.
    SourceUnclear,
    Nothing,
}

/// Patterns of lines with a fixed form.
pub struct Patterns {
    pub failed: Regex,
    pub failed_opensips: Regex,
    /// What both of these hold.
    pub malformed_words: memchr::memmem::Finder<'static>,
    /// What a URI begins with.
    uri: memchr::memmem::Finder<'static>,
    pub malformed: Regex,
    pub malformed_tail: Regex,
    pub pike_script: Regex,
    pub pike: Regex,
    pub(super) source: Regex,
    bare: Regex,
    method: Regex,
    account: Regex,
    account_source: Regex,
}

pub fn patterns() -> &'static Patterns {
    static PATTERNS: LazyLock<Patterns> = LazyLock::new(|| Patterns {
        failed: made(&format!(
            r"^core parsing of SIP message failed \({ADDRESS}:(\d{{1,5}})/(\d{{1,2}})\)\s*$"
        )),
        failed_opensips: made(&format!(
            r"^Unable to parse msg received from \[{ADDRESS}:(\d{{1,5}})\]\s*$"
        )),
        malformed_words: memchr::memmem::Finder::new("Malformed SIP request from "),
        uri: memchr::memmem::Finder::new("sip:"),
        malformed: made(&format!(r"^Malformed SIP request from {ADDRESS}:(\d{{1,5}})$")),
        malformed_tail: made(&format!(
            r"\}} <script>: Malformed SIP request from {ADDRESS}:(\d{{1,5}})\s*$"
        )),
        pike_script: made(&format!(
            r"^(?:ALERT: )?pike block\w* (\S{{1,32}}) from .* \(IP:{ADDRESS}:(\d{{1,5}})\)$"
        )),
        pike: made(&format!(
            r"(?i)PIKE - (?:UN)?BLOCK\w* (?:ip |node |)?{ADDRESS}(?:,|\s|$)"
        )),
        source: made(&format!(
            r"\b(?:src|si|src_ip|source|ip|IP|from|peer|via)(?: ?[=:] ?| )(?:udp:|tcp:|tls:)?[\[(]?{ADDRESS}[\])]?(?:[: ] ?(\d{{1,5}}))?(?:[^\d.:\w@]|$)"
        )),
        bare: made(&format!(
            r"(?:^|[\s\[(|,;>])(?:udp:|tcp:|tls:)?{ADDRESS}(?::(\d{{1,5}}))?(?:[\s\])|,;]|$)"
        )),
        method: made(&format!(r"\b(?:{})\b", METHODS.join("|"))),
        account: made(r"^ACC: [a-z ]{1,40}: timestamp=\d+;method=([A-Z]{1,16});.*?call_id=(.*?);code=(\d{3});"),
        account_source: made(r";src_ip=([0-9a-fA-F.:]{2,45});"),
    });
    &PATTERNS
}

/// Bytes, in linear time. Every pattern is of this module, so one that can't be compiled is a fault of its author's.
fn made(pattern: &str) -> Regex {
    compiled(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"))
}

pub fn compiled(pattern: &str) -> Result<Regex, String> {
    let syntax = syntax::Config::new()
        .unicode(false)
        .utf8(false)
        .dot_matches_new_line(true);
    let config = Regex::config().utf8_empty(false).nfa_size_limit(Some(10 << 20));
    let built = Regex::builder().syntax(syntax).configure(config).build(pattern);
    built.map_err(|error| error.to_string())
}

/// The groups of a pattern's first match, empty where one took no part.
pub fn captures<'t>(pattern: &Regex, text: &'t [u8]) -> Option<Vec<&'t [u8]>> {
    let mut found = pattern.create_captures();
    pattern.captures(text, &mut found);
    found.is_match().then(|| {
        let groups = found.iter().skip(1);
        groups
            .map(|span| span.and_then(|span| text.get(span.range())).unwrap_or_default())
            .collect()
    })
}

/// An address, with or without brackets, as written.
pub fn address(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?.trim_matches(['[', ']']);
    text.parse::<IpAddr>().ok().map(|_| text.to_owned())
}

/// A transport by its name, in any case; UDP where it is none.
pub fn transport_of(name: &str) -> &'static str {
    ["udp", "tcp", "tls", "sctp", "ws", "wss"]
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(name))
        .unwrap_or("udp")
}

/// What Kamailio writes for what is not there.
pub fn is_null(value: &[u8]) -> bool {
    value.is_empty() || value == b"<null>" || value == b"(null)" || value == b"null" || value == b"-"
}

/// Takes what a script's line says.
pub fn xlog(open: &mut Open, text: &[u8], formats: &[Format]) -> Told {
    for format in formats {
        if let Some(told) = format.read(open, text) {
            return told;
        }
    }
    guess(open, text)
}

/// A value: up to the quote or bracket that closes it, else to the next key; whether it was closed. `None` for nothing.
fn value(text: &[u8], start: usize, next: usize) -> Option<(&[u8], bool)> {
    let rest = text.get(start..)?;
    if rest.starts_with(b"<null>") {
        return None;
    }
    let close = match rest.first()? {
        b'"' => b'"',
        b'\'' => b'\'',
        b'[' => b']',
        b'<' => b'>',
        b'(' => b')',
        _ => {
            let until = text.get(start..next.max(start)).unwrap_or_default();
            let until = until.trim_ascii_end();
            let until = until
                .strip_suffix(b",")
                .or_else(|| until.strip_suffix(b";"))
                .or_else(|| until.strip_suffix(b"|"));
            let until = until
                .unwrap_or_else(|| text.get(start..next.max(start)).unwrap_or_default())
                .trim_ascii();
            return (!is_null(until)).then_some((until, false));
        }
    };
    // The value itself may hold what closes it: the last one before the next key counts.
    let until = text.get(start + 1..next.max(start + 1)).unwrap_or(&rest[1..]);
    let end = memchr::memrchr(close, until).or_else(|| memchr::memchr(close, &rest[1..]))?;
    let value = &rest[1..1 + end];
    (!is_null(value)).then_some((value, true))
}

/// One of the usual styles.
fn guess(open: &mut Open, text: &[u8]) -> Told {
    let keys = keys(text);
    let mut sources = Sources::default();
    let mut port = 0;
    let mut values: Vec<(&'static str, &[u8])> = Vec::new();
    // Free text of the sender's begins here: an address behind it may be his. One in quotes ends where they do.
    let mut free = text.len();
    // A URI of his begins here; it holds no space.
    let mut foreign = patterns().uri.find(text).unwrap_or(text.len());
    for (
        number,
        Key {
            begin,
            name,
            value: start,
        },
    ) in keys.iter().enumerate()
    {
        let next = keys.get(number + 1).map_or(text.len(), |key| key.begin);
        let Some((value, closed)) = value(text, *start, next) else {
            continue;
        };
        let name = match *name {
            "srcip" | "src_ip" | "source_ip" | "source ip" | "sourceip" | "src" | "source" | "si" | "ip" | "peer" => {
                if let Some((ip, port)) = endpoint(value) {
                    sources.add(ip, port, *begin > free);
                }
                continue;
            }
            "srcport" | "src_port" | "port" | "sp" => {
                let count = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
                if *begin <= free {
                    port = port.max(digits(&value[..count]).unwrap_or(0));
                }
                continue;
            }
            "method" | "rm" | "m" | "cs" | "cseq" | "status" | "rs" | "code" | "proto" => continue,
            "fu" | "from" | "caller" | "f" if endpoint(value).is_some() => continue,
            "fu" | "from" | "caller" | "f" => "from",
            "tu" | "to" | "callee" | "t" => "to",
            "ru" | "ruri" | "r-uri" | "request-uri" | "uri" | "r" => "uri",
            "ci" | "callid" | "call-id" | "call_id" | "cid" | "id" => "call-id",
            _ => "user-agent",
        };
        foreign = foreign.min(*begin);
        if name == "user-agent" && !closed {
            free = free.min(*start);
        }
        values.push((name, value));
    }
    for (at, [ip, port]) in named(text) {
        if let Some(ip) = address(ip) {
            sources.add(ip, digits(port).unwrap_or(0), at >= free);
        }
    }
    if sources.found.is_empty() && !sources.doubtful {
        for (at, [ip, port]) in all(&patterns().bare, text) {
            // Behind a URI it stands alone: in brackets with its port, or between bars.
            let before = at.checked_sub(1).and_then(|at| text.get(at));
            let alone = before == Some(&b'|') || (before.is_some_and(|byte| b"[(".contains(byte)) && !port.is_empty());
            if let Some(ip) = address(ip).filter(|_| at < foreign || alone) {
                sources.add(ip, digits(port).unwrap_or(0), at >= free);
            }
        }
    }
    let (sources, doubtful) = (sources.found, sources.doubtful);
    let (ip, own) = match sources.as_slice() {
        [] if doubtful => return Told::SourceUnclear,
        [] => return Told::Nothing,
        [one] => one.clone(),
        _ => return Told::SourceUnclear,
    };
    open.ip = ip;
    open.port = if own > 0 { own } else { port.min(65535) as u16 };
    if open.method.is_empty() {
        // Most lines begin with it: a search costs more than a look.
        let count = text.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        if METHODS.iter().any(|method| method.as_bytes() == &text[..count]) && !text.get(count).is_some_and(is_word) {
            open.method = text[..count].to_vec();
        } else if let Some(method) = patterns().method.find(text) {
            open.method = text[method.range()].to_vec();
        }
    }
    for (name, value) in values {
        take(open, name, value);
    }
    Told::Message
}

/// The addresses that a line names.
#[derive(Default)]
struct Sources {
    found: Vec<(String, u16)>,
    /// There are such behind free text of the sender's.
    doubtful: bool,
}

impl Sources {
    fn add(&mut self, ip: String, port: u64, behind: bool) {
        let port = port.min(65535) as u16;
        if behind {
            self.doubtful = true;
            return;
        }
        match self.found.iter_mut().find(|(known, _)| *known == ip) {
            Some(known) => known.1 = known.1.max(port),
            None => self.found.push((ip, port)),
        }
    }
}

/// All matches of a pattern with two groups: where the first begins, and both.
pub(super) fn all<'t>(pattern: &'t Regex, text: &'t [u8]) -> impl Iterator<Item = (usize, [&'t [u8]; 2])> {
    pattern.captures_iter(text).take(MOST).map(move |found| {
        let at = found.get_group(1).map_or(0, |span| span.start);
        let groups = [1, 2].map(|group| {
            found
                .get_group(group)
                .and_then(|span| text.get(span.range()))
                .unwrap_or_default()
        });
        (at, groups)
    })
}

/// `203.0.113.7`, `203.0.113.7:5060`, `udp:…`, `[2001:db8::1]:5060`, with other words behind.
fn endpoint(value: &[u8]) -> Option<(String, u64)> {
    let word = value
        .split(|byte| byte.is_ascii_whitespace() || b",;|)\"'".contains(byte))
        .next()?;
    let word = ["udp:", "tcp:", "tls:"]
        .iter()
        .find_map(|name| word.strip_prefix(name.as_bytes()))
        .unwrap_or(word);
    // Most values are URIs.
    if !(word.first()?.is_ascii_hexdigit() || b":[]".contains(word.first()?)) {
        return None;
    }
    if let Some(ip) = address(word) {
        return Some((ip, 0));
    }
    let colon = memchr::memrchr(b':', word)?;
    Some((address(&word[..colon])?, digits(&word[colon + 1..])?))
}

/// Takes a value of a message by its name.
pub fn take(open: &mut Open, name: &'static str, value: &[u8]) {
    if is_null(value) {
        return;
    }
    let value = plain(value, VALUE);
    match name {
        "uri" if open.uri.is_empty() => open.uri = value,
        "call-id" if open.call_id.is_empty() => open.call_id = value,
        "uri" | "call-id" => {}
        _ => open.header(name, value),
    }
}

/// A line of the acc module: a call and how it ended.
pub fn accounted(open: &mut Open, text: &[u8]) -> Means {
    let sources: Vec<[&[u8]; 1]> = patterns()
        .account_source
        .captures_iter(text)
        .take(2)
        .map(|found| {
            [found
                .get_group(1)
                .and_then(|span| text.get(span.range()))
                .unwrap_or_default()]
        })
        .collect();
    let account = captures(&patterns().account, text);
    let (Some([method, call_id, code, ..]), [[ip]]) = (account.as_deref(), sources.as_slice()) else {
        return Means::Nothing;
    };
    open.method = method.to_vec();
    open.call_id = call_id.get(..256).unwrap_or(call_id).to_vec();
    open.answered = digits(code).unwrap_or(0) as u16;
    open.ip = address(ip).unwrap_or_default();
    for (name, key) in [("from", &b";src_user="[..]), ("to", b";dst_user=")] {
        if let Some(at) = memchr::memmem::find(text, key) {
            let said = text[at + key.len()..]
                .split(|&byte| byte == b';')
                .next()
                .unwrap_or_default();
            open.header(name, [b"<sip:", said, b"@accounted.invalid>"].concat());
        }
    }
    Means::End
}
