//! Puts the lines of a Kamailio that runs without the guard together into messages.
//!
//! Lines of one process belong to one message until a line ends it. Nothing that a sender can write is taken for a
//! source: sources come from lines that are matched as a whole, from their fixed parts.

use std::borrow::Cow;
use std::collections::HashMap;

use super::batch::{Batch, Foreign};
use super::format::Format;
use super::log::Unread;
use super::quoted::{fragment, quoted, with_returns};
use super::rebuilt::put;
use super::xlog::{Told, patterns, xlog};
use super::{Skipped, digits, lines};

/// Seconds within which the lines of one message follow each other.
const TOGETHER: f64 = 2.0;

/// Processes followed at once; a Kamailio has tens of them.
const PROCESSES: usize = 4096;

/// Bytes of text kept of one message, and of one value of it.
const TEXT: usize = 65_535;
const VALUE: usize = 4096;

/// One log line of Kamailio, without its header.
#[derive(Clone, Debug)]
pub struct Line {
    /// Seconds since the epoch.
    pub time: f64,
    pub pid: u32,
    pub text: Vec<u8>,
}

/// What the log tells of one message.
#[derive(Debug, Default)]
pub struct Open {
    pub time: f64,
    /// Empty where no line names the source.
    pub ip: String,
    pub port: u16,
    pub transport: &'static str,
    pub method: Vec<u8>,
    pub cseq: Vec<u8>,
    pub call_id: Vec<u8>,
    pub uri: Vec<u8>,
    /// The message as far as it was printed; empty where it was not.
    pub message: Vec<u8>,
    /// Header values by lower-case name.
    pub headers: Vec<(Cow<'static, str>, Vec<u8>)>,
    pub refused: bool,
    pub limited: bool,
    pub answered: u16,
    /// What another program said of it.
    pub foreign: Option<Foreign>,
    /// Lines that told of it so far.
    pub lines: u32,
}

/// What a line means for its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// Nothing of a message.
    Nothing,
    More,
    End,
}

/// Messages of which lines have come, by process.
pub struct Join {
    open: HashMap<u32, Open>,
    formats: Vec<Format>,
}

impl Open {
    /// A header's value, where none is known yet.
    pub fn header(&mut self, name: impl Into<Cow<'static, str>>, value: Vec<u8>) {
        let name = name.into();
        if !value.is_empty() && !self.headers.iter().any(|(known, _)| *known == name) {
            self.set(name, value);
        }
    }

    /// A header's value, whatever was known.
    pub fn set(&mut self, name: impl Into<Cow<'static, str>>, mut value: Vec<u8>) {
        let name = name.into();
        self.headers.retain(|(known, _)| *known != name);
        if self.headers.len() < 64 {
            value.truncate(VALUE);
            self.headers.push((name, value));
        }
    }
}

impl Join {
    pub fn new(formats: Vec<Format>) -> Self {
        Self {
            open: HashMap::new(),
            formats,
        }
    }

    /// Takes a line; messages that it ends go into the batch.
    pub fn take(&mut self, line: &Line, batch: &mut Batch, skipped: &mut Skipped, unread: &mut Unread) {
        if self
            .open
            .get(&line.pid)
            .is_some_and(|known| (line.time - known.time).abs() > TOGETHER)
        {
            self.end(line.pid, batch);
        }
        let text = lines::level(&line.text).unwrap_or(&line.text);
        let prefix = prefix(text);
        if let Some(Prefix { call_id, .. }) = &prefix {
            let other = |known: &Open| !known.call_id.is_empty() && known.call_id != plain(call_id, 256);
            if *call_id != b"<null>" && self.open.get(&line.pid).is_some_and(other) {
                self.end(line.pid, batch);
            }
        }
        let rest = prefix.as_ref().map_or(text, |prefix| prefix.rest);
        let Some((module, function, said)) = origin(rest) else {
            skipped.count("Kamailio lines that tell of no message");
            return;
        };
        if self.open.len() >= PROCESSES && !self.open.contains_key(&line.pid) {
            let oldest = self
                .open
                .iter()
                .min_by(|one, other| one.1.time.total_cmp(&other.1.time))
                .map(|(pid, _)| *pid);
            if let Some(pid) = oldest {
                self.end(pid, batch);
            }
        }
        let mut open = self.open.remove(&line.pid).unwrap_or_else(|| Open {
            time: line.time,
            transport: "udp",
            ..Open::default()
        });
        let means = if module == b"script" {
            script(&mut open, text, said, &self.formats, skipped)
        } else {
            tell(&mut open, said, module, function)
        };
        if means == Means::Nothing {
            if open.lines > 0 {
                self.open.insert(line.pid, open);
            } else {
                skipped.count("Kamailio lines that tell of no message");
                if module == b"script" {
                    unread.note(said);
                }
            }
            return;
        }
        if let Some(prefix) = prefix {
            if open.method.is_empty() {
                open.method = prefix.method.to_ascii_uppercase();
            }
            if open.cseq.is_empty() && digits(prefix.cseq).is_some() {
                open.cseq = prefix.cseq.to_vec();
            }
            if prefix.call_id != b"<null>" {
                open.call_id = plain(prefix.call_id, 256);
            }
        }
        open.lines += 1;
        if means == Means::End {
            put(open, batch);
        } else {
            self.open.insert(line.pid, open);
        }
    }

    fn end(&mut self, pid: u32, batch: &mut Batch) {
        if let Some(open) = self.open.remove(&pid) {
            put(open, batch);
        }
    }

    /// Ends all messages.
    pub fn finish(&mut self, batch: &mut Batch) {
        let mut left: Vec<(u32, Open)> = self.open.drain().collect();
        left.sort_by(|one, other| one.1.time.total_cmp(&other.1.time).then(one.0.cmp(&other.0)));
        for (_, open) in left {
            put(open, batch);
        }
    }
}

/// `{1 1 INVITE call-id} `: what a sender wrote stands between the braces.
struct Prefix<'a> {
    cseq: &'a [u8],
    method: &'a [u8],
    call_id: &'a [u8],
    rest: &'a [u8],
}

fn prefix(text: &[u8]) -> Option<Prefix<'_>> {
    let inside = text.strip_prefix(b"{1 ").or_else(|| text.strip_prefix(b"{2 "))?;
    // The Call-ID may hold a brace: the first one counts behind which a line's origin stands.
    let mut ends = memchr::memchr_iter(b'}', inside).filter(|at| inside.get(at + 1) == Some(&b' '));
    let end = ends.find(|&at| inside.get(at + 2..).is_some_and(is_origin))?;
    let mut words = inside[..end].splitn(2, |&byte| byte == b' ');
    let (cseq, behind) = (words.next()?, words.next().unwrap_or_default());
    // Where the message has no CSeq that can be read, no method stands here.
    let count = behind.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let (method, call_id) = match behind.strip_prefix(b"<null> ") {
        Some(call_id) => (&b""[..], call_id),
        None if (1..=32).contains(&count) && behind.get(count) == Some(&b' ') => {
            (&behind[..count], &behind[count + 1..])
        }
        None => (&b""[..], behind),
    };
    Some(Prefix {
        cseq,
        method,
        call_id,
        rest: &inside[end + 2..],
    })
}

/// Whether a text begins like `<core> [`, `pike [` or `<script>: `.
fn is_origin(text: &[u8]) -> bool {
    let (name, rest) = module(text);
    !name.is_empty() && (rest.starts_with(b":") || rest.starts_with(b" ["))
}

fn module(text: &[u8]) -> (&[u8], &[u8]) {
    let start = usize::from(text.first() == Some(&b'<'));
    let inside = text.get(start..).unwrap_or_default();
    let count = inside
        .iter()
        .take(33)
        .take_while(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || **byte == b'_')
        .count();
    let (name, rest) = inside.split_at(count.min(inside.len()));
    if count > 32 {
        return (b"", rest);
    }
    (name, rest.strip_prefix(b">").unwrap_or(rest))
}

/// Module, function ("" without one), and what a line says: `module [file:line]: function(): text`.
fn origin(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (name, mut rest) = module(text);
    if name.is_empty() {
        return None;
    }
    if let Some(place) = rest.strip_prefix(b" [") {
        let end = memchr::memchr(b']', place.get(..160.min(place.len()))?)?;
        rest = place.get(end + 1..)?;
    }
    let rest = rest.strip_prefix(b":")?;
    let rest = rest.strip_prefix(b" ").unwrap_or(rest);
    let count = rest
        .iter()
        .take(65)
        .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_')
        .count();
    if (1..=64).contains(&count) {
        if let Some(said) = rest[count..].strip_prefix(b"(): ") {
            return Some((name, &rest[..count], said));
        }
    }
    Some((name, b"", rest))
}

/// Undoes rsyslog's escapes of control characters (`#012` is a line feed).
pub fn plain(text: &[u8], limit: usize) -> Vec<u8> {
    if memchr::memchr(b'#', text).is_none() {
        return text.get(..limit).unwrap_or(text).to_vec();
    }
    let mut out = Vec::with_capacity(text.len().min(limit));
    let mut at = 0;
    while at < text.len() && out.len() < limit {
        let octal = text
            .get(at + 1..at + 4)
            .filter(|code| text[at] == b'#' && code.iter().all(|d| (b'0'..=b'7').contains(d)));
        let code = octal.map(|code| code.iter().fold(0u32, |code, digit| code * 8 + u32::from(digit - b'0')));
        match code {
            Some(code @ (0..=31 | 127)) => {
                out.push(code as u8);
                at += 4;
            }
            _ => {
                out.push(text[at]);
                at += 1;
            }
        }
    }
    out
}

/// What a line of Kamailio's own code says.
fn tell(open: &mut Open, text: &[u8], module: &[u8], function: &[u8]) -> Means {
    let find = |pattern: &regex_automata::meta::Regex| super::xlog::captures(pattern, text);
    match (module, function) {
        (b"core", b"receive_msg") => {
            open.refused = true;
            if let Some([ip, port, protocol, ..]) = find(&patterns().failed).as_deref() {
                open.ip = super::xlog::address(ip).unwrap_or_default();
                open.port = digits(port).unwrap_or(0).min(65535) as u16;
                open.transport = match *protocol {
                    b"2" => "tcp",
                    b"3" => "tls",
                    b"4" => "sctp",
                    b"5" => "ws",
                    b"6" => "wss",
                    _ => "udp",
                };
                return Means::End;
            }
            if let Some([ip, port, ..]) = find(&patterns().failed_opensips).as_deref() {
                open.ip = super::xlog::address(ip).unwrap_or_default();
                open.port = digits(port).unwrap_or(0).min(65535) as u16;
                return Means::End;
            }
            if text.starts_with(b"required headers not found") {
                Means::End
            } else {
                Means::More
            }
        }
        (b"pike", _) => {
            let head = text.get(..20.min(text.len())).unwrap_or_default().to_ascii_uppercase();
            match find(&patterns().pike).as_deref() {
                Some([ip, ..]) if memchr::memmem::find(&head, b"UNBLOCK").is_none() => {
                    open.ip = super::xlog::address(ip).unwrap_or_default();
                    open.limited = true;
                    Means::More
                }
                _ => Means::Nothing,
            }
        }
        (b"acc", _) => super::xlog::accounted(open, text),
        _ => {
            let parser = ["parse", "check_", "get_hdr", "contact_parser", "skip_uri"];
            if module != b"sanity"
                && module != b"pv"
                && !parser.iter().any(|name| function.starts_with(name.as_bytes()))
            {
                return Means::Nothing;
            }
            let text = plain(text, TEXT);
            let printed = memchr::memmem::find(&text, b"message=<").filter(|_| function == b"parse_msg");
            if let Some(at) = printed {
                let body = text[at + 9..].trim_ascii_end();
                let body = body.strip_suffix(b">").unwrap_or(body);
                // Messages are printed up to their NUL, and lines may have lost their CR.
                open.message = if memchr::memmem::find(body, b"\r\n").is_some() {
                    body.to_vec()
                } else {
                    with_returns(body)
                };
            } else if let Some(inside) = quoted(&text) {
                fragment(open, function, &text, inside);
            }
            Means::More
        }
    }
}

/// A line that the routing script wrote. `whole` begins at the braces, `text` behind `<script>: `.
fn script(open: &mut Open, whole: &[u8], text: &[u8], formats: &[Format], skipped: &mut Skipped) -> Means {
    let text = text.trim_ascii_end();
    // The Call-ID stands before this and may itself hold such a line: only the end of the line counts.
    let known = patterns();
    // Most lines are none of these: a search for their fixed words costs a tenth of the pattern.
    let malformed = known.malformed_words.find(whole).and_then(|_| {
        super::xlog::captures(&known.malformed_tail, whole).or_else(|| super::xlog::captures(&known.malformed, text))
    });
    if let Some([ip, port, ..]) = malformed.as_deref() {
        open.ip = super::xlog::address(ip).unwrap_or_default();
        open.port = digits(port).unwrap_or(0).min(65535) as u16;
        open.refused = true;
        return Means::End;
    }
    let limited = (text.starts_with(b"pike block") || text.starts_with(b"ALERT: pike block"))
        .then(|| super::xlog::captures(&known.pike_script, text))
        .flatten();
    if let Some([method, ip, port, ..]) = limited.as_deref() {
        if open.method.is_empty() {
            open.method = method.to_vec();
        }
        open.ip = super::xlog::address(ip).unwrap_or_default();
        open.port = digits(port).unwrap_or(0).min(65535) as u16;
        open.limited = true;
        return Means::End;
    }
    match xlog(open, text, formats) {
        Told::Message => Means::End,
        Told::SourceUnclear => {
            skipped.count("xlog lines whose source can't be told from what a sender wrote");
            Means::Nothing
        }
        Told::Nothing => Means::Nothing,
    }
}
