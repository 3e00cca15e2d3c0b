//! Says who an address is: what it is counted and banned under, and which network of the policy it belongs to.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use crate::feeds::Action;
use crate::geo::{Place, Table};
use crate::sources::{Barred, Source, is_browser, is_connected};

/// One `[[network]]` of the policy.
#[derive(Clone, Copy, Debug)]
pub struct Network {
    pub address: IpAddr,
    /// Bits of the prefix.
    pub prefix: u8,
    /// Neither limited nor banned; still inspected.
    pub trusted: bool,
    /// Whether its own `mode` says to enforce; `None` where it has none.
    pub enforced: Option<bool>,
}

/// One `[[network]]` that is told by country or operator instead of by prefix.
#[derive(Clone, Debug)]
pub struct Area {
    pub condition: Condition,
    pub enforced: Option<bool>,
    /// What becomes of requests from it; `None`: what the rest of the policy says.
    pub action: Option<Action>,
}

/// Countries and autonomous systems that an address is asked for. What is not known of an address fits nothing.
#[derive(Clone, Debug, Default)]
pub struct Condition {
    pub countries: Vec<[u8; 2]>,
    pub asns: Vec<u32>,
    /// It fits addresses that are known to be in none of these.
    pub outside: bool,
}

/// The policy's networks, ready to be asked.
#[derive(Clone)]
pub struct Networks {
    /// By falling length of the prefix, so that the first that fits is the longest.
    networks: Vec<Network>,
    /// In the order of the policy; asked where no network fits.
    areas: Vec<Area>,
    /// `None` where the policy names no file.
    geo: Option<Arc<Table>>,
    ipv4_prefix: u8,
    ipv6_prefix: u8,
}

impl Network {
    /// Whether an address stands in it.
    pub fn holds(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                same_prefix(u32::from(own).into(), u32::from(other).into(), 32, self.prefix)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => same_prefix(own.into(), other.into(), 128, self.prefix),
            _ => false,
        }
    }
}

impl Condition {
    pub fn is_empty(&self) -> bool {
        self.countries.is_empty() && self.asns.is_empty()
    }

    /// Whether an address that is at home there fits: in each of the lists that are written, or known to be outside of each.
    pub fn holds(&self, place: &Place) -> bool {
        let by_country = |country: [u8; 2]| self.countries.contains(&country) != self.outside;
        let by_asn = self.asns.contains(&place.asn) != self.outside;
        !self.is_empty()
            && (self.countries.is_empty() || place.country.is_some_and(by_country))
            && (self.asns.is_empty() || place.asn > 0 && by_asn)
    }

    /// What it was told by, for people.
    fn told(&self, place: &Place) -> String {
        let mut told = Vec::with_capacity(2);
        if !self.countries.is_empty() {
            told.push(format!("country {}", place.country()));
        }
        if !self.asns.is_empty() {
            told.push(
                format!("AS{} {}", place.asn, place.organization())
                    .trim_end()
                    .to_owned(),
            );
        }
        told.join(", ")
    }
}

fn same_prefix(one: u128, other: u128, width: u32, prefix: u8) -> bool {
    let rest = width.saturating_sub(prefix.into());
    // A shift by all 128 bits is not defined: a prefix of no bits holds everything.
    rest >= 128 || (one ^ other) >> rest == 0
}

impl Networks {
    /// `networks` stand by falling length of their prefix. `ipv4_prefix`: 16, 24 or 32; `ipv6_prefix`: 32, 48, 64 or 128.
    pub fn new(networks: Vec<Network>, ipv4_prefix: u8, ipv6_prefix: u8) -> Self {
        Self {
            networks,
            areas: Vec::new(),
            geo: None,
            ipv4_prefix,
            ipv6_prefix,
        }
    }

    /// The same with what countries and operators have, and the table that knows them.
    pub fn with_areas(self, areas: Vec<Area>, geo: Option<Arc<Table>>) -> Self {
        Self { areas, geo, ..self }
    }

    /// The source of a message. `ip` as Kamailio writes it; one that can't be read is a stranger's.
    pub fn source(&self, ip: &str, port: u16, transport: &str) -> Source {
        let transport = transport.to_ascii_lowercase();
        let bare = ip.trim_matches(['[', ']']);
        let Ok(address) = bare.parse::<IpAddr>() else {
            return Source::new(ip, port, &transport, ip, &cell(ip, &transport));
        };
        let home = self.geo.as_ref().map_or(Place::default(), |geo| geo.find(address));
        let found = self.place(address);
        let network = found.map(|found| self.networks[found]);
        // Who is named by address is not asked where that is.
        let area = match found {
            None => self.areas.iter().position(|area| area.condition.holds(&home)),
            Some(_) => None,
        };
        let own = area.and_then(|area| self.areas.get(area));
        let index = found.or(area.map(|area| self.networks.len() + area));
        let key = self.key(address);
        let barred = own.and_then(|area| {
            let reason = format!("the source is in {}", area.condition.told(&home));
            area.action.map(|action| Barred { action, reason })
        });
        let mut source = Source::new(&spelled(address), port, &transport, &key, &cell(&key, &transport))
            .with_place(home)
            .with_barred(barred);
        source.trusted = network.is_some_and(|network| network.trusted);
        source.enforced = (network.and_then(|network| network.enforced)).or(own.and_then(|area| area.enforced));
        source.network = index.and_then(|index| i32::try_from(index).ok()).unwrap_or(-1);
        source
    }

    /// The network with the longest prefix around an address: its index. An IPv4 address mapped into IPv6 is asked as IPv4.
    fn place(&self, address: IpAddr) -> Option<usize> {
        let asked = match address {
            IpAddr::V6(address) => address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4),
            address => address,
        };
        self.networks.iter().position(|network| network.holds(asked))
    }

    fn key(&self, address: IpAddr) -> String {
        key(
            address,
            if address.is_ipv4() {
                self.ipv4_prefix
            } else {
                self.ipv6_prefix
            },
        )
    }
}

/// What an address is counted and banned under, cut at whole octets of IPv4 and whole groups of IPv6.
pub fn key(address: IpAddr, prefix: u8) -> String {
    let mut key = String::with_capacity(40);
    // Writing to a String can't fail.
    let _ = match address {
        IpAddr::V4(address) => joined(&mut key, '.', &address.octets(), prefix / 8, |key, octet| {
            write!(key, "{octet}")
        }),
        IpAddr::V6(address) => joined(&mut key, ':', &address.segments(), prefix / 16, |key, group| {
            write!(key, "{group:x}")
        }),
    };
    key
}

fn joined<T: Copy>(
    text: &mut String,
    mark: char,
    numbers: &[T],
    most: u8,
    write: impl Fn(&mut String, T) -> std::fmt::Result,
) -> std::fmt::Result {
    for (place, &number) in numbers.iter().take(usize::from(most)).enumerate() {
        if place > 0 {
            text.push(mark);
        }
        write(text, number)?;
    }
    Ok(())
}

fn cell(key: &str, transport: &str) -> String {
    let mut cell = String::with_capacity(key.len() + 2);
    cell.push_str(key);
    cell.push_str(match transport {
        _ if is_browser(transport) => ":w",
        _ if is_connected(transport) => ":t",
        _ => ":u",
    });
    cell
}

/// An address as the log shows it: RFC 5952, but an IPv4 address that is mapped into IPv6 in hexadecimal, as bans are.
fn spelled(address: IpAddr) -> String {
    match address {
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(_) => {
                let [.., high, low] = address.segments();
                format!("::ffff:{high:x}:{low:x}")
            }
            None => IpAddr::V6(address).to_string(),
        },
        address => address.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks() -> Networks {
        let network = |text: &str, prefix, trusted, enforced| Network {
            address: text.parse().expect("an address"),
            prefix,
            trusted,
            enforced,
        };
        Networks::new(
            vec![
                network("192.0.2.7", 32, false, Some(false)),
                network("2001:db8::", 32, true, None),
                network("192.0.2.0", 24, true, None),
            ],
            32,
            64,
        )
    }

    #[test]
    fn the_longest_prefix_counts() {
        let networks = networks();
        let probe = networks.source("192.0.2.7", 5060, "UDP");
        assert_eq!((probe.trusted, probe.enforced, probe.network), (false, Some(false), 0));
        let other = networks.source("192.0.2.8", 5060, "tcp");
        assert_eq!((other.trusted, other.network, other.connected), (true, 2, true));
        assert_eq!(networks.source("198.51.100.1", 1, "udp").network, -1);
    }

    #[test]
    fn an_address_has_one_spelling_and_one_key() {
        let networks = networks();
        for text in ["2001:DB8:0:1:0:0:0:5", "[2001:db8:0:1::5]"] {
            let source = networks.source(text, 5060, "udp");
            assert_eq!((source.ip(), source.key()), ("2001:db8:0:1::5", "2001:db8:0:1"));
        }
        let mapped = networks.source("::ffff:192.0.2.8", 5060, "udp");
        assert!(mapped.trusted);
        assert_eq!(mapped.ip(), "::ffff:c000:208");
        assert_eq!(networks.source("no address", 1, "udp").key(), "no address");
    }

    #[test]
    fn a_country_counts_where_no_prefix_does_and_what_is_not_known_fits_nothing() {
        let geo = Table::new(100).expect("memory");
        let file = crate::geo::File {
            ipv4: vec![
                (0xC633_6400, crate::geo::code_of("DE")),
                (0xCB00_7100, crate::geo::code_of("NL")),
                (0xCB00_7200, 0),
            ],
            ..Default::default()
        };
        assert!(geo.publish(Some(&file), None));
        let area = |outside, action| Area {
            condition: Condition {
                countries: vec![*b"DE"],
                asns: vec![],
                outside,
            },
            enforced: Some(false),
            action,
        };
        let both = vec![area(false, None), area(true, Some(Action::Drop))];
        let networks = networks().with_areas(both, Some(Arc::new(geo)));
        let asked = |ip: &str| networks.source(ip, 5060, "udp");
        assert_eq!(asked("192.0.2.7").network, 0);
        let german = asked("198.51.100.1");
        assert_eq!(
            (
                german.network,
                german.enforced,
                german.barred(),
                german.place().country()
            ),
            (3, Some(false), None, "DE")
        );
        let other = asked("203.0.113.1");
        let barred = other.barred().expect("not wanted");
        assert_eq!(
            (other.network, barred.action, barred.reason.as_str()),
            (4, Action::Drop, "the source is in country NL")
        );
        let unknown = asked("203.0.114.1");
        assert_eq!((unknown.network, unknown.barred()), (-1, None));
    }
}
