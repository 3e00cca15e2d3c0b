//! Reads a list of addresses into sorted ranges that are apart from each other, and counts what is left out of it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::IPV6_WORDS;

/// Shorter prefixes are a mistake, or a list that was taken over by somebody.
const WIDEST_IPV4: u32 = 1 << 24;
const WIDEST_IPV6: u128 = 1 << (128 - 19);

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

    pub(super) fn words(&self) -> usize {
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
pub(super) fn range(text: &str) -> Option<(IpAddr, IpAddr)> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
