//! Puts IP fragments together.

use std::collections::HashMap;
use std::net::IpAddr;

use super::network::{Datagram, Fragment};

/// Packets put together at a time; the oldest goes first.
const MOST: usize = 4096;

/// Bytes of an IP packet's content.
const LONGEST: usize = 65_535;

/// Seconds that the parts of a packet may lie apart: RFC 791 3.2 and RFC 8200 4.5 give them 60.
const PATIENCE: f64 = 60.0;

type Key = (IpAddr, IpAddr, u8, u32);

#[derive(Debug, Default)]
struct Parts {
    time: f64,
    bytes: Vec<u8>,
    /// What is there, from and up to, in order.
    there: Vec<(usize, usize)>,
    /// The whole length, once the last part has come.
    length: Option<usize>,
}

/// A packet whose parts have come, all or those from its beginning on.
#[derive(Debug)]
pub struct Whole {
    pub time: f64,
    pub source: IpAddr,
    pub target: IpAddr,
    pub protocol: u8,
    pub content: Vec<u8>,
    /// Bytes that never came; at least 1 where the end is not known.
    pub missing: usize,
}

/// Packets of which parts have come.
#[derive(Debug, Default)]
pub struct Fragments {
    open: HashMap<Key, Parts>,
}

impl Fragments {
    /// Takes a part. The packet, where it is complete now; one that was given up for it.
    pub fn take(&mut self, time: f64, part: &Datagram<'_>, place: Fragment) -> (Option<Whole>, Option<Whole>) {
        let key = (part.source, part.target, part.protocol, place.identity);
        let mut given_up = None;
        if self
            .open
            .get(&key)
            .is_some_and(|known| (time - known.time).abs() > PATIENCE)
        {
            // The number is used again.
            given_up = self.open.remove(&key).and_then(|parts| whole(key, parts));
        } else if self.open.len() >= MOST && !self.open.contains_key(&key) {
            let oldest = self
                .open
                .iter()
                .min_by(|one, other| one.1.time.total_cmp(&other.1.time))
                .map(|(key, _)| *key);
            given_up = oldest.and_then(|key| self.open.remove(&key).and_then(|parts| whole(key, parts)));
        }
        let end = place.offset + part.content.len();
        if end > LONGEST {
            return (None, given_up);
        }
        let parts = self.open.entry(key).or_insert_with(|| Parts {
            time,
            ..Parts::default()
        });
        if parts.bytes.len() < end {
            parts.bytes.resize(end, 0);
        }
        if let Some(room) = parts.bytes.get_mut(place.offset..end) {
            room.copy_from_slice(part.content);
        }
        if !place.more {
            parts.length = Some(end + part.missing);
        }
        add(&mut parts.there, (place.offset, end));
        let complete = parts.length.is_some_and(|length| parts.there == [(0, length)]);
        let done = complete.then(|| self.open.remove(&key)).flatten();
        (done.and_then(|parts| whole(key, parts)), given_up)
    }

    /// What is left at the end of a capture.
    pub fn finish(&mut self) -> Vec<Whole> {
        let mut left: Vec<Whole> = self.open.drain().filter_map(|(key, parts)| whole(key, parts)).collect();
        left.sort_by(|one, other| one.time.total_cmp(&other.time));
        left
    }
}

/// Adds a stretch to those that are there, joined where they meet.
fn add(there: &mut Vec<(usize, usize)>, stretch: (usize, usize)) {
    if there.len() < 1024 {
        there.push(stretch);
    }
    there.sort_unstable();
    let mut joined: Vec<(usize, usize)> = Vec::with_capacity(there.len());
    for &(start, end) in there.iter() {
        match joined.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => joined.push((start, end)),
        }
    }
    *there = joined;
}

/// The packet up to where its first gap is; `None` without its beginning.
fn whole(key: Key, mut parts: Parts) -> Option<Whole> {
    let &(start, end) = parts.there.first()?;
    if start > 0 {
        return None;
    }
    parts.bytes.truncate(end);
    let missing = parts.length.map_or(1, |length| length.saturating_sub(end));
    let (source, target, protocol, _) = key;
    Some(Whole {
        time: parts.time,
        source,
        target,
        protocol,
        content: parts.bytes,
        missing,
    })
}
