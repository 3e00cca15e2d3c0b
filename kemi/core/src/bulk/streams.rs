//! Puts TCP segments in order and cuts the stream into SIP messages (RFC 3261 18.3).

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use super::Skipped;
use crate::sip;
use crate::structure;

/// Directions of connections followed at a time; the one that was silent longest goes first.
const MOST: usize = 16_384;

/// Bytes of one message, and of what waits for a segment that was not seen yet.
const LONGEST: usize = 256 * 1024;

/// Bytes after which a stream that began in the middle of something is no SIP.
const RESYNC: usize = 16 * 1024;

/// Segments that wait for one that was not seen yet.
const WAITING: usize = 64;

const SYN: u8 = 2;
const RST: u8 = 4;

/// One direction of a connection.
pub type Key = (IpAddr, u16, IpAddr, u16);

/// A TCP segment.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    pub sequence: u32,
    pub flags: u8,
    pub payload: &'a [u8],
    /// Bytes that the capture left out.
    pub missing: usize,
}

#[derive(Debug, Default)]
struct Stream {
    /// When it last said something.
    time: f64,
    /// What comes next; `None` before the first segment.
    next: Option<u32>,
    /// What came too early, by how far ahead of `next` it lay when it came.
    early: BTreeMap<u32, Vec<u8>>,
    waiting: usize,
    text: Vec<u8>,
    /// Bytes of `text` in which no header section ends.
    looked: usize,
    /// Bytes that `text` must have before another look tells anything new.
    needed: usize,
    /// Nothing of SIP: what is said of it was said.
    other: bool,
}

/// All connections that are open.
#[derive(Debug, Default)]
pub struct Streams {
    open: HashMap<Key, Stream>,
}

impl Streams {
    /// Takes a segment; hands each message that is complete now to `each`.
    pub fn take(
        &mut self,
        key: Key,
        time: f64,
        segment: &Segment<'_>,
        skipped: &mut Skipped,
        mut each: impl FnMut(&[u8]),
    ) {
        if segment.flags & (SYN | RST) != 0 {
            self.open.remove(&key);
            if segment.flags & RST != 0 {
                return;
            }
        }
        if segment.payload.is_empty() && segment.flags & SYN == 0 {
            return;
        }
        if self.open.len() >= MOST && !self.open.contains_key(&key) {
            // A quarter at a time, so that a flood of connections does not look through all of them for each.
            let mut times: Vec<f64> = self.open.values().map(|stream| stream.time).collect();
            times.sort_by(f64::total_cmp);
            let bar = times.get(MOST / 4).copied().unwrap_or(time);
            self.open.retain(|_, stream| stream.time > bar);
        }
        let stream = self.open.entry(key).or_default();
        stream.time = time;
        let sequence = if segment.flags & SYN != 0 {
            stream.next = Some(segment.sequence.wrapping_add(1));
            segment.sequence.wrapping_add(1)
        } else {
            segment.sequence
        };
        let next = *stream.next.get_or_insert(sequence);
        let ahead = sequence.wrapping_sub(next);
        if stream.other || segment.payload.is_empty() {
            return;
        }
        if ahead < 1 << 31 && ahead > 0 {
            // Of two that begin alike the longer one is kept.
            let kept = stream.early.entry(sequence).or_default();
            if kept.len() < segment.payload.len() {
                stream.waiting += segment.payload.len() - kept.len();
                *kept = segment.payload.to_vec();
            }
            if stream.early.len() < WAITING && stream.waiting <= LONGEST {
                return;
            }
            // What is missing was never captured: goes on with what is there.
            skipped.count("TCP segments that are not in the capture");
            stream.clear();
            stream.next = stream.nearest(next);
            stream.follow(skipped, &mut each);
        } else {
            stream.add(sequence, segment.payload);
        }
        if segment.missing > 0 {
            skipped.count("TCP segments cut by the capture (snaplen)");
            stream.clear();
            stream.next = stream.next.map(|next| next.wrapping_add(segment.missing as u32));
        }
        stream.follow(skipped, &mut each);
    }

    /// What waits at the end of a capture, by connection.
    pub fn finish(&mut self, skipped: &mut Skipped, mut each: impl FnMut(&Key, f64, &[u8])) {
        let mut left: Vec<(Key, Stream)> = self.open.drain().collect();
        left.sort_by(|one, other| one.1.time.total_cmp(&other.1.time).then(one.0.cmp(&other.0)));
        for (key, mut stream) in left {
            while let Some(next) = stream.next.filter(|_| !stream.early.is_empty()) {
                skipped.count("TCP segments that are not in the capture");
                stream.clear();
                stream.next = stream.nearest(next);
                let time = stream.time;
                stream.follow(skipped, &mut |message| each(&key, time, message));
            }
        }
    }
}

impl Stream {
    fn clear(&mut self) {
        self.text.clear();
        (self.looked, self.needed) = (0, 0);
    }

    /// Where the first segment begins that waits.
    fn nearest(&self, next: u32) -> Option<u32> {
        self.early
            .keys()
            .min_by_key(|sequence| sequence.wrapping_sub(next))
            .copied()
            .or(Some(next))
    }

    /// Adds what a segment says beyond what is known.
    fn add(&mut self, sequence: u32, payload: &[u8]) {
        let Some(next) = self.next else { return };
        let known = next.wrapping_sub(sequence) as usize;
        if let Some(new) = payload.get(known..) {
            self.text.extend_from_slice(new);
            self.next = Some(next.wrapping_add(new.len() as u32));
        }
    }

    /// Adds what waited and fits now, and cuts off what is complete.
    fn follow(&mut self, skipped: &mut Skipped, each: &mut impl FnMut(&[u8])) {
        self.cut(skipped, each);
        while let Some(next) = self.next {
            let fits = self
                .early
                .keys()
                .find(|sequence| next.wrapping_sub(**sequence) < 1 << 31)
                .copied();
            let Some((sequence, payload)) = fits.and_then(|sequence| self.early.remove_entry(&sequence)) else {
                return;
            };
            self.waiting = self.waiting.saturating_sub(payload.len());
            self.add(sequence, &payload);
            self.cut(skipped, each);
        }
    }

    fn cut(&mut self, skipped: &mut Skipped, each: &mut impl FnMut(&[u8])) {
        if self.text.len() < self.needed {
            return;
        }
        let mut at = 0;
        loop {
            let rest = self.text.get(at..).unwrap_or_default();
            // Keep-alives stand between messages (RFC 5626 3.5.1).
            let blank = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n' | 0)).count();
            let rest = rest.get(blank..).unwrap_or_default();
            at += blank;
            if rest.is_empty() {
                break;
            }
            if is_tls(rest) {
                skipped.count("TLS connections (can't be read)");
                self.other = true;
                at = self.text.len();
                break;
            }
            // Where nothing was cut off, the look goes on where the last one ended.
            let from = if at == 0 {
                self.looked.saturating_sub(3).min(rest.len())
            } else {
                0
            };
            let end = memchr::memmem::find(rest.get(from..).unwrap_or_default(), b"\r\n\r\n");
            let Some(head) = end.map(|end| from + end + 4) else {
                self.looked = rest.len();
                if rest.len() > LONGEST || (rest.len() > RESYNC && !could_be_sip(rest)) {
                    skipped.count("TCP connections that hold no SIP");
                    self.other = true;
                    at = self.text.len();
                }
                break;
            };
            let header = rest.get(..head).unwrap_or_default();
            if !could_be_sip(header) {
                (self.looked, self.needed) = (0, 0);
                // The middle of a message, or no SIP at all: goes on where one begins, or behind the empty line.
                let mut lines = memchr::memchr_iter(b'\n', header).map(|end| end + 1);
                at += lines
                    .find(|&line| header.get(line..).is_some_and(could_be_sip))
                    .unwrap_or(head);
                continue;
            }
            let length = structure::content_length(&sip::parse(header)).unwrap_or(0);
            let length = usize::try_from(length).unwrap_or(usize::MAX).min(LONGEST);
            let Some(message) = rest.get(..head + length) else {
                // Of this message `looked` and `needed` count from its own beginning.
                (self.looked, self.needed) = (0, head + length);
                break;
            };
            each(message);
            (self.looked, self.needed) = (0, 0);
            at += message.len();
        }
        self.text.drain(..at);
    }
}

/// Whether a connection's first bytes are a TLS record (RFC 8446 5.1).
fn is_tls(bytes: &[u8]) -> bool {
    matches!(bytes, [0x14..=0x17, 3, 0..=4, ..])
}

/// Whether a text begins like a request or a reply: a version stands in its first line.
pub fn could_be_sip(text: &[u8]) -> bool {
    let line = text.get(..text.len().min(2048)).unwrap_or_default();
    let line = line
        .get(..memchr::memchr(b'\n', line).unwrap_or(line.len()))
        .unwrap_or_default()
        .trim_ascii();
    if line
        .get(..5)
        .is_some_and(|start| start == b"SIP/2" || start == b"SIP/3" || start == b"SIP/1")
    {
        return true;
    }
    let version = line.rsplit(|&byte| byte == b' ').next().unwrap_or_default();
    let method = line.split(|&byte| byte == b' ').next().unwrap_or_default();
    version.get(..4).is_some_and(|name| name.eq_ignore_ascii_case(b"SIP/"))
        && (3..=32).contains(&method.len())
        && method.iter().all(u8::is_ascii_graphic)
}
