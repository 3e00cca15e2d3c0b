//! Which list from outside an address stands on: sorted ranges in memory that all workers share, replaced as a whole.

mod ranges;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::state::halves::{Half, Halves, last_before};
pub use ranges::Ranges;

/// Lists in one table.
pub const MOST_FEEDS: usize = 16;
/// Bytes of a list's name.
pub const NAME_BYTES: usize = 32;

/// Words of a list in the head of a half: action, start and count of its IPv4 ranges, and of those of IPv6, name.
const ROW: usize = 5 + NAME_BYTES / 8;
const HEAD: usize = 1 + MOST_FEEDS * ROW;
/// An IPv4 range is one word, start above end; one of IPv6 four.
const IPV6_WORDS: usize = 4;

/// What becomes of requests from an address on a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Note,
    Reject,
    Drop,
}

impl Action {
    pub fn name(self) -> &'static str {
        match self {
            Action::Note => "note",
            Action::Reject => "reject",
            Action::Drop => "drop",
        }
    }
}

/// The list that an address is on, and the range of it that holds the address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub action: Action,
    pub feed: String,
    /// `192.0.2.0/24`, or `192.0.2.3-192.0.2.9` where it is no prefix.
    pub entry: String,
}

/// The lists in force, in memory that all workers share.
pub struct Table {
    halves: Halves,
}

impl Table {
    /// Room for so many ranges, which takes memory only once it is used. Errors are the operating system's.
    pub fn new(capacity: usize) -> std::io::Result<Self> {
        let halves = Halves::new(HEAD.saturating_add(capacity.saturating_mul(IPV6_WORDS)))?;
        Ok(Self { halves })
    }

    /// Changes with each table; 0 before the first.
    pub fn generation(&self) -> u64 {
        self.halves.generation()
    }

    /// Puts lists in force, in the order in which they are asked: name, action, ranges. One process may. False: there is no room,
    /// and the table stays as it is.
    pub fn publish(&self, feeds: &[(&str, Action, &Ranges)]) -> bool {
        let words: usize = feeds.iter().map(|(_, _, ranges)| ranges.words()).sum();
        if feeds.len() > MOST_FEEDS || HEAD + words > self.halves.room() {
            return false;
        }
        self.halves.replace(|half| {
            half.put(0, feeds.len() as u64);
            let mut at = HEAD;
            for (place, (name, action, ranges)) in feeds.iter().enumerate() {
                let row = 1 + place * ROW;
                let ipv6 = at + ranges.ipv4.len();
                let head = [*action as usize, at, ranges.ipv4.len(), ipv6, ranges.ipv6.len()];
                for (place, value) in head.into_iter().enumerate() {
                    half.put(row + place, value as u64);
                }
                half.put_text(row + 5, name, NAME_BYTES / 8);
                for &(first, last) in &ranges.ipv4 {
                    half.put(at, u64::from(first) << 32 | u64::from(last));
                    at += 1;
                }
                for &(first, last) in &ranges.ipv6 {
                    half.put_wide(at, first);
                    half.put_wide(at + 2, last);
                    at += IPV6_WORDS;
                }
            }
        });
        true
    }

    /// The first list that holds an address. Never waits for a writer.
    pub fn find(&self, address: IpAddr) -> Option<Listed> {
        let address = address.to_canonical();
        self.halves.read(|half| find_in(half, address))
    }
}

fn find_in(half: Half<'_>, address: IpAddr) -> Option<Listed> {
    let feeds = (half.get(0) as usize).min(MOST_FEEDS);
    (0..feeds).find_map(|place| {
        let row = 1 + place * ROW;
        let entry = match address {
            IpAddr::V4(address) => {
                let asked = u32::from(address);
                let (at, count) = (half.get(row + 1) as usize, half.get(row + 2) as usize);
                let before = last_before(count, |middle| half.get(at + middle) >> 32 <= u64::from(asked))?;
                let word = half.get(at + before);
                let (first, last) = ((word >> 32) as u32, word as u32);
                (asked <= last).then(|| {
                    spelled(
                        Ipv4Addr::from(first),
                        Ipv4Addr::from(last),
                        32,
                        last.wrapping_sub(first).into(),
                    )
                })?
            }
            IpAddr::V6(address) => {
                let asked = u128::from(address);
                let (at, count) = (half.get(row + 3) as usize, half.get(row + 4) as usize);
                let before = last_before(count, |middle| half.wide(at + middle * IPV6_WORDS) <= asked)?;
                let place = at + before * IPV6_WORDS;
                let (first, last) = (half.wide(place), half.wide(place + 2));
                let size = last.wrapping_sub(first);
                (asked <= last).then(|| spelled(Ipv6Addr::from(first), Ipv6Addr::from(last), 128, size))?
            }
        };
        Some(Listed {
            action: match half.get(row) {
                2 => Action::Drop,
                1 => Action::Reject,
                _ => Action::Note,
            },
            feed: half.text(row + 5, NAME_BYTES),
            entry,
        })
    })
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
    use super::ranges::range;
    use super::*;
    use crate::random::Random;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
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
        let mut random = Random(7);
        let mut next = |most: usize| random.below(most);
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
