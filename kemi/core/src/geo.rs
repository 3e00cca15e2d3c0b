//! Which country and which network operator an address belongs to: read from files in MaxMind's format into a table that all
//! workers share.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use maxminddb::{MaxMindDbError, Reader, WithinOptions};
use serde::Deserialize;

use crate::state::halves::{Half, Halves, last_before};

/// Words in front of a half: where the IPv4 and IPv6 starts of countries and of operators begin and how many they are, and those of
/// the operators' names.
const HEAD: usize = 10;
/// An IPv6 start is its address and its value; one of IPv4 is both in one word.
const IPV6_WORDS: usize = 3;
/// Bytes of an operator's name that are kept; a word in front of it says which number it belongs to.
pub const NAME_BYTES: usize = 48;
const NAME_WORDS: usize = 1 + NAME_BYTES / 8;
/// Networks of a sound file for each node of its tree, with room to spare.
const MOST_PER_NODE: usize = 3;

/// What a file is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Country,
    Operator,
}

/// Where an address is at home. Zeros, and no name, where that is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// ISO 3166's two letters.
    pub country: Option<[u8; 2]>,
    /// The autonomous system's number.
    pub asn: u32,
    pub organization: Option<Arc<str>>,
}

impl Place {
    pub fn country(&self) -> &str {
        (self.country.as_ref())
            .and_then(|code| std::str::from_utf8(code).ok())
            .unwrap_or("")
    }

    pub fn organization(&self) -> &str {
        self.organization.as_deref().unwrap_or("")
    }
}

/// One file, made ready: from which address on which value holds. 0: not known.
#[derive(Debug, Default)]
pub struct File {
    pub ipv4: Vec<(u32, u32)>,
    pub ipv6: Vec<(u128, u32)>,
    /// Names by the number of the autonomous system.
    pub names: Vec<(u32, String)>,
    /// When it was made, in seconds since the epoch, and what it calls itself.
    pub built: u64,
    pub database: String,
}

#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    country: Option<Country<'a>>,
    #[serde(borrow)]
    registered_country: Option<Country<'a>>,
    country_code: Option<&'a str>,
    autonomous_system_number: Option<u32>,
    autonomous_system_organization: Option<&'a str>,
    #[serde(borrow)]
    asn: Option<Asn<'a>>,
    as_name: Option<&'a str>,
}

/// Some files have a table with names in all languages, some the code alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum Country<'a> {
    Code(&'a str),
    Table {
        #[serde(borrow)]
        iso_code: Option<&'a str>,
    },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Asn<'a> {
    Number(u32),
    Text(&'a str),
}

impl Record<'_> {
    fn country(&self) -> u32 {
        let of = |country: &Option<Country<'_>>| match country {
            Some(Country::Code(code)) => code_of(code),
            Some(Country::Table { iso_code }) => iso_code.map_or(0, code_of),
            None => 0,
        };
        [
            of(&self.country),
            self.country_code.map_or(0, code_of),
            of(&self.registered_country),
        ]
        .into_iter()
        .find(|&code| code > 0)
        .unwrap_or(0)
    }

    fn asn(&self) -> u32 {
        let other = || match self.asn {
            Some(Asn::Number(number)) => Some(number),
            Some(Asn::Text(text)) => text.trim_start_matches("AS").parse().ok(),
            None => None,
        };
        self.autonomous_system_number.or_else(other).unwrap_or(0)
    }
}

/// A country as a number; 0 for what is no two letters.
pub fn code_of(text: &str) -> u32 {
    match text.as_bytes() {
        &[one, other] if one.is_ascii_alphabetic() && other.is_ascii_alphabetic() => {
            u32::from(one.to_ascii_uppercase()) << 8 | u32::from(other.to_ascii_uppercase())
        }
        _ => 0,
    }
}

fn letters(code: u32) -> Option<[u8; 2]> {
    (code > 0).then_some([(code >> 8) as u8, code as u8])
}

/// Values from an address on, as they come in rising order; what lies between is not known.
struct Starts<T> {
    made: Vec<(T, u32)>,
    /// Behind what was given so far; `None` behind the last address.
    next: Option<T>,
}

impl<T: Copy + Ord> Starts<T> {
    fn take(&mut self, first: T, behind: Option<T>, value: u32) {
        if let Some(next) = self.next {
            if next < first {
                self.push(next, 0);
            }
            self.push(first, value);
        }
        self.next = behind;
    }

    fn push(&mut self, first: T, value: u32) {
        if self.made.last().map_or(0, |last| last.1) != value {
            self.made.push((first, value));
        }
    }

    fn end(mut self) -> Vec<(T, u32)> {
        if let Some(next) = self.next {
            self.push(next, 0);
        }
        self.made
    }
}

impl File {
    /// Reads a whole file. Errors say what is wrong with it, for an operator. Time and memory are linear in its size.
    pub fn read(bytes: &[u8], kind: Kind) -> Result<Self, String> {
        let damaged = |error: MaxMindDbError| format!("is damaged, or in no format of MaxMind's: {error}");
        let reader = Reader::from_source(bytes).map_err(damaged)?;
        let most = (reader.metadata().node_count as usize).saturating_mul(MOST_PER_NODE);
        let (mut ipv4, mut ipv6) = (
            Starts {
                made: Vec::new(),
                next: Some(0_u32),
            },
            Starts {
                made: Vec::new(),
                next: Some(0_u128),
            },
        );
        let mut values: HashMap<usize, u32> = HashMap::new();
        let mut names: HashMap<u32, String> = HashMap::new();
        for (number, network) in reader.networks(WithinOptions::default()).map_err(damaged)?.enumerate() {
            if number > most {
                return Err("is damaged: its tree has a loop".to_owned());
            }
            let network = network.map_err(damaged)?;
            let Some(offset) = network.offset() else { continue };
            let value = match values.get(&offset) {
                Some(&known) => known,
                None => {
                    let record = match network.decode::<Record<'_>>() {
                        Ok(record) => record,
                        // Another thing under such a name says nothing of the address.
                        Err(MaxMindDbError::Decoding { .. }) => None,
                        Err(error) => return Err(damaged(error)),
                    };
                    let value = record.as_ref().map_or(0, |record| match kind {
                        Kind::Country => record.country(),
                        Kind::Operator => record.asn(),
                    });
                    let name = record.and_then(|record| record.autonomous_system_organization.or(record.as_name));
                    if let (Kind::Operator, Some(name), true) = (kind, name, value > 0) {
                        names.entry(value).or_insert_with(|| cut(name).to_owned());
                    }
                    values.insert(offset, value);
                    value
                }
            };
            let network = network.network().map_err(damaged)?;
            let size = 128 - u32::from(network.prefix());
            match network.ip() {
                IpAddr::V4(first) => {
                    let first = u32::from(first);
                    let behind = 1_u64
                        .checked_shl(32_u32.saturating_sub(network.prefix().into()))
                        .map_or(0, |size| u64::from(first) + size);
                    ipv4.take(first, u32::try_from(behind).ok(), value);
                }
                IpAddr::V6(first) => {
                    let first = u128::from(first);
                    let behind = 1_u128.checked_shl(size).and_then(|size| first.checked_add(size));
                    ipv6.take(first, behind, value);
                }
            }
        }
        let mut names: Vec<(u32, String)> = names.into_iter().collect();
        names.sort_unstable();
        let made = Self {
            ipv4: ipv4.end(),
            ipv6: ipv6.end(),
            names,
            built: reader.metadata().build_epoch,
            database: reader.metadata().database_type.chars().take(80).collect(),
        };
        if made.ipv4.is_empty() && made.ipv6.is_empty() {
            let what = match kind {
                Kind::Country => "country",
                Kind::Operator => "autonomous system",
            };
            return Err(format!(
                "says of no address which {what} it belongs to: it is a {}",
                made.database
            ));
        }
        Ok(made)
    }

    fn words(&self) -> usize {
        self.ipv4.len() + self.ipv6.len() * IPV6_WORDS + self.names.len() * NAME_WORDS
    }
}

/// So much of a name as is kept, at a character's border.
fn cut(name: &str) -> &str {
    let end = (0..=NAME_BYTES.min(name.len()))
        .rev()
        .find(|&end| name.is_char_boundary(end));
    &name[..end.unwrap_or(0)]
}

/// Both files in force, in memory that all workers share.
pub struct Table {
    halves: Halves,
}

impl Table {
    /// Room for so many words in each half, which takes memory only once it is used. Errors are the operating system's.
    pub fn new(words: usize) -> std::io::Result<Self> {
        Ok(Self {
            halves: Halves::new(words.saturating_add(HEAD))?,
        })
    }

    /// Changes with each table; 0 before the first.
    pub fn generation(&self) -> u64 {
        self.halves.generation()
    }

    /// Puts files in force, instead of those before. One process may. False: there is no room, and the table stays as it is.
    pub fn publish(&self, country: Option<&File>, operator: Option<&File>) -> bool {
        let none = File::default();
        let (country, operator) = (country.unwrap_or(&none), operator.unwrap_or(&none));
        if HEAD + country.words() + operator.words() > self.halves.room() {
            return false;
        }
        self.halves.replace(|half| {
            let mut at = HEAD;
            for (row, file) in [(0, country), (4, operator)] {
                half.put(row, at as u64);
                half.put(row + 1, file.ipv4.len() as u64);
                for &(first, value) in &file.ipv4 {
                    half.put(at, u64::from(first) << 32 | u64::from(value));
                    at += 1;
                }
                half.put(row + 2, at as u64);
                half.put(row + 3, file.ipv6.len() as u64);
                for &(first, value) in &file.ipv6 {
                    half.put_wide(at, first);
                    half.put(at + 2, value.into());
                    at += IPV6_WORDS;
                }
            }
            half.put(8, at as u64);
            half.put(9, operator.names.len() as u64);
            for (asn, name) in &operator.names {
                half.put(at, (*asn).into());
                half.put_text(at + 1, name, NAME_BYTES / 8);
                at += NAME_WORDS;
            }
        });
        true
    }

    /// What is known of an address. Never waits for a writer.
    pub fn find(&self, address: IpAddr) -> Place {
        let address = address.to_canonical();
        let found = self.halves.read(|half| {
            let asn = value(half, 4, address);
            let organization = (asn > 0).then(|| name(half, asn)).flatten();
            Some((value(half, 0, address), asn, organization))
        });
        let (country, asn, organization) = found.unwrap_or_default();
        Place {
            country: letters(country),
            asn,
            organization: organization.map(Arc::from),
        }
    }
}

fn value(half: Half<'_>, row: usize, address: IpAddr) -> u32 {
    let find = |row: usize, width: usize, is_before: &dyn Fn(usize) -> bool| {
        let at = half.get(row) as usize;
        let place = last_before(half.get(row + 1) as usize, |middle| {
            is_before(at.saturating_add(middle * width))
        })?;
        Some(half.get(at + place * width + width - 1) as u32)
    };
    let found = match address {
        IpAddr::V4(address) => {
            let asked = u64::from(u32::from(address));
            find(row, 1, &|place| half.get(place) >> 32 <= asked)
        }
        IpAddr::V6(address) => {
            let asked = u128::from(address);
            find(row + 2, IPV6_WORDS, &|place| half.wide(place) <= asked)
        }
    };
    found.unwrap_or(0)
}

fn name(half: Half<'_>, asn: u32) -> Option<String> {
    let (at, count) = (half.get(8) as usize, half.get(9) as usize);
    let place = last_before(count, |middle| half.get(at + middle * NAME_WORDS) <= u64::from(asn))?;
    let at = at + place * NAME_WORDS;
    (half.get(at) == u64::from(asn)).then(|| half.text(at + 1, NAME_BYTES))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn countries(ipv4: &[(u32, &str)]) -> File {
        File {
            ipv4: ipv4.iter().map(|&(first, code)| (first, code_of(code))).collect(),
            ipv6: vec![(0x2001_0db8 << 96, code_of("NL")), (0x2001_0db9 << 96, 0)],
            ..File::default()
        }
    }

    #[test]
    fn values_hold_from_one_start_to_the_next_and_gaps_are_not_known() {
        let mut starts = Starts {
            made: Vec::new(),
            next: Some(0_u32),
        };
        for (first, behind, value) in [(10, Some(20), 1), (20, Some(30), 1), (40, None, 2)] {
            starts.take(first, behind, value);
        }
        assert_eq!(starts.end(), [(10, 1), (30, 0), (40, 2)]);
    }

    #[test]
    fn an_address_is_found_in_both_families_and_by_both_files() {
        let table = Table::new(1000).expect("memory");
        assert_eq!(table.find(ip("192.0.2.1")), Place::default());
        let operators = File {
            ipv4: vec![(0xC000_0200, 64_500), (0xC000_0280, 0)],
            names: vec![(64_499, "Other".to_owned()), (64_500, "Example Networks".to_owned())],
            ..File::default()
        };
        assert!(table.publish(
            Some(&countries(&[(0xC000_0200, "de"), (0xC000_0300, "")])),
            Some(&operators)
        ));
        let found = table.find(ip("::ffff:192.0.2.1"));
        assert_eq!(
            (found.country(), found.asn, found.organization()),
            ("DE", 64_500, "Example Networks")
        );
        assert_eq!(table.find(ip("192.0.2.200")).asn, 0);
        assert_eq!(table.find(ip("2001:db8::7")).country(), "NL");
        for outside in ["192.0.1.255", "192.0.3.0", "2001:db9::", "::", "255.255.255.255"] {
            assert_eq!(table.find(ip(outside)), Place::default(), "{outside}");
        }
        assert!(!Table::new(3).expect("memory").publish(Some(&countries(&[])), None));
        assert!(table.publish(None, None));
        assert_eq!(table.find(ip("2001:db8::7")), Place::default());
    }

    #[test]
    fn what_is_no_file_is_told_and_names_are_cut_at_characters() {
        assert!(File::read(b"nonsense", Kind::Country).is_err());
        let long = "ü".repeat(40);
        assert_eq!(cut(&long).len(), NAME_BYTES);
        assert_eq!(cut(&format!("x{long}")).len(), NAME_BYTES - 1);
    }
}
