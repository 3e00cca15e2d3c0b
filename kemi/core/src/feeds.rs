//! Which list from outside an address stands on: sorted ranges in memory that all workers share, replaced as a whole.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{Ordering, fence};

use crate::state::region::Words;

/// Lists in one table.
pub const MOST_FEEDS: usize = 16;
/// Bytes of a list's name.
pub const NAME_BYTES: usize = 32;

/// Words of a list in the head of a half: action, start and count of its IPv4 ranges, and of those of IPv6, name.
const ROW: usize = 5 + NAME_BYTES / 8;
const HEAD: usize = 1 + MOST_FEEDS * ROW;
/// An IPv4 range is one word, start above end; one of IPv6 four.
const IPV6_WORDS: usize = 4;
/// A reader that is overtaken so often by new tables takes the address as not listed.
const TRIES: usize = 4;

/// Shorter prefixes are a mistake, or a list that was taken over by somebody.
const WIDEST_IPV4: u32 = 1 << 24;
const WIDEST_IPV6: u128 = 1 << (128 - 19);

/// What becomes of requests from an address on a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Note,
    Reject,
    Drop,
}

/// The list that an address is on, and the range of it that holds the address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub action: Action,
    pub feed: String,
    /// `192.0.2.0/24`, or `192.0.2.3-192.0.2.9` where it is no prefix.
    pub entry: String,
}

/// One list's ranges, sorted and apart from each other, and what was left out of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges {
    pub ipv4: Vec<(u32, u32)>,
    pub ipv6: Vec<(u128, u128)>,
    /// Lines that are no address, network or range.
    pub invalid: usize,
    /// The first of them, cut.
    pub first_invalid: String,
    /// Private, loopback, multicast and the like.
    pub private: usize,
    /// Wider than /8, or /19 of IPv6.
    pub wide: usize,
    pub expired: usize,
    /// When the next entry expires, in seconds since the epoch; 0: none does.
    pub next_expiry: u64,
}

impl Ranges {
    /// Reads lines of `ADDRESS`, `ADDRESS/PREFIX` or `ADDRESS-ADDRESS`, each perhaps followed by a blank and the second since the
    /// epoch from which it does not count any more. Linear but for the sorting.
    pub fn read(text: &str, private: bool, now: u64) -> Self {
        let mut made = Self::default();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            let Some(entry) = words.next() else { continue };
            let until = words.next().map_or(Ok(0), str::parse::<u64>);
            let (Some(range), Ok(until)) = (range(entry), until) else {
                if made.invalid == 0 {
                    made.first_invalid = line.chars().take(60).collect();
                }
                made.invalid += 1;
                continue;
            };
            if until > 0 && until <= now {
                made.expired += 1;
                continue;
            }
            if !made.take(range, private) {
                continue;
            }
            if until > 0 && (made.next_expiry == 0 || until < made.next_expiry) {
                made.next_expiry = until;
            }
        }
        merge(&mut made.ipv4);
        merge(&mut made.ipv6);
        made
    }

    fn take(&mut self, range: (IpAddr, IpAddr), private: bool) -> bool {
        if !private && PRIVATE.iter().any(|text| overlaps(range, text)) {
            self.private += 1;
            return false;
        }
        let wide = match range {
            (IpAddr::V4(first), IpAddr::V4(last)) => {
                let (first, last) = (u32::from(first), u32::from(last));
                let wide = last - first >= WIDEST_IPV4;
                if !wide {
                    self.ipv4.push((first, last));
                }
                wide
            }
            (IpAddr::V6(first), IpAddr::V6(last)) => {
                let (first, last) = (u128::from(first), u128::from(last));
                let wide = last - first >= WIDEST_IPV6;
                if !wide {
                    self.ipv6.push((first, last));
                }
                wide
            }
            _ => true,
        };
        self.wide += usize::from(wide);
        !wide
    }

    pub fn entries(&self) -> usize {
        self.ipv4.len() + self.ipv6.len()
    }

    /// The share of all IPv4 addresses, in thousandths.
    pub fn share(&self) -> u64 {
        let all: u64 = (self.ipv4.iter())
            .map(|&(first, last)| u64::from(last - first) + 1)
            .sum();
        (all * 1000) >> 32
    }

    fn words(&self) -> usize {
        self.ipv4.len() + self.ipv6.len() * IPV6_WORDS
    }
}

/// What no list from outside may speak of unless the policy says so (RFC 6890).
const PRIVATE: [&str; 13] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "224.0.0.0/3",
    "::/96",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
];

fn overlaps(one: (IpAddr, IpAddr), text: &str) -> bool {
    // Addresses of one family are ordered as numbers are, and all of IPv4 before those of IPv6.
    range(text).is_some_and(|other| one.0 <= other.1 && other.0 <= one.1)
}

/// The first and last address that a text stands for. IPv4 that is mapped into IPv6 is IPv4.
fn range(text: &str) -> Option<(IpAddr, IpAddr)> {
    if let Some((first, last)) = text.split_once('-') {
        let (first, last) = (address(first)?, address(last)?);
        return (first.is_ipv4() == last.is_ipv4() && first <= last).then_some((first, last));
    }
    let Some((text, prefix)) = text.split_once('/') else {
        let one = address(text)?;
        return Some((one, one));
    };
    let prefix: u32 = prefix.parse().ok()?;
    match address(text)? {
        IpAddr::V4(one) if prefix <= 32 => {
            let rest = u32::MAX.checked_shr(prefix).unwrap_or(0);
            let first = u32::from(one) & !rest;
            Some((Ipv4Addr::from(first).into(), Ipv4Addr::from(first | rest).into()))
        }
        IpAddr::V6(one) if prefix <= 128 => {
            let rest = u128::MAX.checked_shr(prefix).unwrap_or(0);
            let first = u128::from(one) & !rest;
            Some((Ipv6Addr::from(first).into(), Ipv6Addr::from(first | rest).into()))
        }
        _ => None,
    }
}

fn address(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// Sorts, and makes one of ranges that overlap, so that a look-up finds one of them.
fn merge<T: Copy + Ord>(ranges: &mut Vec<(T, T)>) {
    ranges.sort_unstable();
    ranges.dedup_by(|next, kept| {
        let overlaps = next.0 <= kept.1;
        if overlaps {
            kept.1 = kept.1.max(next.1);
        }
        overlaps
    });
}

/// Two halves, of which readers use one while the other is written: all of them turn at once, by one store.
pub struct Table {
    words: Words,
    half: usize,
}

impl Table {
    /// Room for so many ranges, which takes memory only once it is used. Errors are the operating system's.
    pub fn new(capacity: usize) -> std::io::Result<Self> {
        let half = HEAD + capacity.saturating_mul(IPV6_WORDS);
        let words = Words::shared(half.saturating_mul(2).saturating_add(1))?;
        Ok(Self { words, half })
    }

    /// Changes with each table; 0 before the first.
    pub fn generation(&self) -> u64 {
        self.words.first().map_or(0, |word| word.load(Ordering::Acquire))
    }

    /// Puts lists in force, in the order in which they are asked: name, action, ranges. One process may. False: there is no room,
    /// and the table stays as it is.
    pub fn publish(&self, feeds: &[(&str, Action, &Ranges)]) -> bool {
        let words: usize = feeds.iter().map(|(_, _, ranges)| ranges.words()).sum();
        if feeds.len() > MOST_FEEDS || HEAD + words > self.half {
            return false;
        }
        let generation = self.generation();
        let start = self.start(generation + 1);
        // Who reads what is written from here on sees that the table was replaced before.
        fence(Ordering::Release);
        let put = |place: usize, value: u64| {
            if let Some(word) = self.words.get(start + place) {
                word.store(value, Ordering::Relaxed);
            }
        };
        put(0, feeds.len() as u64);
        let mut at = HEAD;
        for (place, (name, action, ranges)) in feeds.iter().enumerate() {
            let row = 1 + place * ROW;
            let ipv6 = at + ranges.ipv4.len();
            let head = [*action as usize, at, ranges.ipv4.len(), ipv6, ranges.ipv6.len()];
            for (place, value) in head.into_iter().enumerate() {
                put(row + place, value as u64);
            }
            let mut bytes = [0_u8; NAME_BYTES];
            bytes.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
            for (place, word) in bytes.chunks_exact(8).enumerate() {
                put(
                    row + 5 + place,
                    word.iter()
                        .rev()
                        .fold(0, |number, &byte| (number << 8) | u64::from(byte)),
                );
            }
            for &(first, last) in &ranges.ipv4 {
                put(at, u64::from(first) << 32 | u64::from(last));
                at += 1;
            }
            for &(first, last) in &ranges.ipv6 {
                for (place, value) in [first >> 64, first, last >> 64, last].into_iter().enumerate() {
                    put(at + place, value as u64);
                }
                at += IPV6_WORDS;
            }
        }
        if let Some(word) = self.words.first() {
            word.store(generation + 1, Ordering::Release);
        }
        true
    }

    /// The first list that holds an address. Never waits for a writer.
    pub fn find(&self, address: IpAddr) -> Option<Listed> {
        let address = address.to_canonical();
        for _ in 0..TRIES {
            let generation = self.generation();
            if generation == 0 {
                return None;
            }
            let found = self.find_in(self.start(generation), address);
            fence(Ordering::Acquire);
            if self.generation() == generation {
                return found;
            }
        }
        None
    }

    fn start(&self, generation: u64) -> usize {
        1 + (generation & 1) as usize * self.half
    }

    fn find_in(&self, start: usize, address: IpAddr) -> Option<Listed> {
        let get = |place: usize| {
            let word = self.words.get(start.saturating_add(place));
            word.map_or(0, |word| word.load(Ordering::Relaxed))
        };
        let wide = |place: usize| u128::from(get(place)) << 64 | u128::from(get(place + 1));
        let feeds = (get(0) as usize).min(MOST_FEEDS);
        (0..feeds).find_map(|place| {
            let row = 1 + place * ROW;
            let entry = match address {
                IpAddr::V4(address) => {
                    let asked = u32::from(address);
                    let (at, count) = (get(row + 1) as usize, get(row + 2) as usize);
                    let before = count_before(count, |middle| get(at + middle) >> 32 <= u64::from(asked))?;
                    let word = get(at + before);
                    let (first, last) = ((word >> 32) as u32, word as u32);
                    (asked <= last)
                        .then(|| spelled(Ipv4Addr::from(first), Ipv4Addr::from(last), 32, (last - first).into()))?
                }
                IpAddr::V6(address) => {
                    let asked = u128::from(address);
                    let (at, count) = (get(row + 3) as usize, get(row + 4) as usize);
                    let before = count_before(count, |middle| wide(at + middle * IPV6_WORDS) <= asked)?;
                    let (first, last) = (wide(at + before * IPV6_WORDS), wide(at + before * IPV6_WORDS + 2));
                    let size = last.wrapping_sub(first);
                    (asked <= last).then(|| spelled(Ipv6Addr::from(first), Ipv6Addr::from(last), 128, size))?
                }
            };
            let name: Vec<u8> = (0..NAME_BYTES / 8)
                .flat_map(|word| get(row + 5 + word).to_le_bytes())
                .collect();
            Some(Listed {
                action: match get(row) {
                    2 => Action::Drop,
                    1 => Action::Reject,
                    _ => Action::Note,
                },
                feed: String::from_utf8_lossy(&name).trim_end_matches('\0').to_owned(),
                entry,
            })
        })
    }
}

/// The last of `count` sorted places of which `is_before` holds.
fn count_before(count: usize, is_before: impl Fn(usize) -> bool) -> Option<usize> {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if is_before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low.checked_sub(1)
}

fn spelled<T: std::fmt::Display + Into<IpAddr> + Copy>(first: T, last: T, width: u32, size: u128) -> String {
    if size == 0 {
        return first.to_string();
    }
    let bits = size.trailing_ones();
    let start = match first.into() {
        IpAddr::V4(first) => u32::from(first).into(),
        IpAddr::V6(first) => u128::from(first),
    };
    if size.checked_add(1).is_none_or(u128::is_power_of_two) && start & size == 0 {
        return format!("{first}/{}", width.saturating_sub(bits));
    }
    format!("{first}-{last}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn lines_become_sorted_ranges_and_what_is_left_out_is_counted() {
        let text = "203.0.113.9\n198.51.100.0/24\n198.51.100.7\n198.51.100.250-198.51.101.3\n\nnonsense <b>\n10.0.0.1\n\
                    0.0.0.0/0\n::ffff:203.0.113.10\n2001:db8::/32\n192.0.2.1 50\n192.0.2.2 200\n8.0.0.0/7\n2001::/16\n1.2.3.4/33\n";
        let made = Ranges::read(text, false, 100);
        assert_eq!((made.ipv4.len(), made.ipv6.len()), (4, 1));
        assert_eq!((made.invalid, made.first_invalid.as_str()), (2, "nonsense <b>"));
        assert_eq!(
            (made.private, made.wide, made.expired, made.next_expiry),
            (2, 2, 1, 200)
        );
        assert_eq!(Ranges::read("10.0.0.1", true, 0).entries(), 1);
    }

    #[test]
    fn the_first_list_that_holds_an_address_is_named_with_its_range() {
        let table = Table::new(100).expect("memory");
        assert_eq!((table.find(ip("192.0.2.1")), table.generation()), (None, 0));
        let one = Ranges::read("192.0.2.0/24\n2001:db8::/32\n203.0.113.3-203.0.113.9", false, 0);
        let two = Ranges::read("192.0.2.7\n198.51.100.1", false, 0);
        assert!(table.publish(&[("one", Action::Note, &one), ("two", Action::Drop, &two)]));
        let found = |text: &str| {
            table
                .find(ip(text))
                .map(|found| (found.feed, found.entry, found.action))
        };
        let is = |feed: &str, entry: &str, action| Some((feed.to_owned(), entry.to_owned(), action));
        assert_eq!(found("192.0.2.7"), is("one", "192.0.2.0/24", Action::Note));
        assert_eq!(found("::ffff:192.0.2.7"), is("one", "192.0.2.0/24", Action::Note));
        assert_eq!(found("2001:db8:1::9"), is("one", "2001:db8::/32", Action::Note));
        assert_eq!(found("203.0.113.5"), is("one", "203.0.113.3-203.0.113.9", Action::Note));
        assert_eq!(found("198.51.100.1"), is("two", "198.51.100.1", Action::Drop));
        for outside in [
            "192.0.1.255",
            "192.0.3.0",
            "203.0.113.2",
            "203.0.113.10",
            "2001:db9::",
            "198.51.100.2",
        ] {
            assert_eq!(found(outside), None, "{outside}");
        }
        assert!(table.publish(&[]));
        assert_eq!((found("192.0.2.7"), table.generation()), (None, 2));
        let many = Ranges {
            ipv4: vec![(1, 1); 401],
            ..Ranges::default()
        };
        assert!(!table.publish(&[("many", Action::Drop, &many)]));
        assert_eq!(table.generation(), 2);
    }

    #[test]
    fn a_look_up_says_what_a_walk_through_all_ranges_says() {
        let mut state = 7_u64;
        let mut next = |most: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % most
        };
        let table = Table::new(500).expect("memory");
        for _ in 0..50 {
            let text: String = (0..60)
                .map(|_| format!("192.0.{}.{}/{}\n", next(4), next(256), 22 + next(11)))
                .collect();
            let ranges = Ranges::read(&text, false, 0);
            assert!(ranges.ipv4.windows(2).all(|pair| pair[0].1 < pair[1].0));
            assert!(table.publish(&[("a", Action::Note, &ranges)]));
            for _ in 0..200 {
                let asked = u32::from_be_bytes([192, 0, next(6) as u8, next(256) as u8]);
                let held = text.lines().any(|line| {
                    range(line).is_some_and(|(first, last)| {
                        let asked = IpAddr::from(Ipv4Addr::from(asked));
                        first <= asked && asked <= last
                    })
                });
                assert_eq!(table.find(Ipv4Addr::from(asked).into()).is_some(), held);
            }
        }
    }

    #[test]
    fn readers_see_one_table_or_the_other_while_it_is_replaced() {
        let table = Table::new(4000).expect("memory");
        let all = |last: u8| {
            let lines: String = (0..1000)
                .map(|n| format!("192.{}.{}.{last}\n", n / 250, n % 250))
                .collect();
            Ranges::read(&lines, false, 0)
        };
        let (odd, even) = (all(1), all(2));
        assert!(table.publish(&[("odd", Action::Drop, &odd)]));
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for round in 0..300 {
                    let one = if round % 2 == 0 { ("even", &even) } else { ("odd", &odd) };
                    assert!(table.publish(&[(one.0, Action::Drop, one.1)]));
                }
            });
            while !writer.is_finished() {
                for n in [0_u32, 500, 999] {
                    let place = format!("192.{}.{}", n / 250, n % 250);
                    if let Some(found) = table.find(ip(&format!("{place}.1"))) {
                        assert_eq!((found.feed.as_str(), found.entry), ("odd", format!("{place}.1")));
                    }
                    if let Some(found) = table.find(ip(&format!("{place}.2"))) {
                        assert_eq!((found.feed.as_str(), found.entry), ("even", format!("{place}.2")));
                    }
                }
            }
        });
    }
}
