//! Says who an address is: what it is counted and banned under, and which network of the policy it belongs to.

use std::fmt::Write as _;
use std::net::IpAddr;

use crate::feeds::Listed;

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

/// Where a message came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// In one spelling, whatever Kamailio writes (RFC 5952); what can't be read stays as it is.
    pub ip: String,
    pub port: u16,
    /// In lower case: `udp`, `tcp`, `tls`, `ws`, `wss`, `sctp`.
    pub transport: String,
    /// What limits and bans are kept under: `203.0.113.7`, or an IPv6 /64 as `2001:db8:0:1`.
    pub key: String,
    pub trusted: bool,
    pub enforced: Option<bool>,
    /// Index of its network in the order given; -1 for none.
    pub network: i32,
    /// What its counters' names begin with. Datagrams, whose source can be forged, and WebSockets, which any page opens in
    /// its visitor's name, are counted apart from other connections, so that nobody can use up another's share.
    pub cell: String,
    /// Over a transport whose handshake shows that the peer receives what is sent to its address.
    pub connected: bool,
    /// The list from outside that it stands on; who has the lists looks there.
    pub listed: Option<Listed>,
}

/// The policy's networks, ready to be asked.
#[derive(Clone, Debug)]
pub struct Networks {
    /// By falling length of the prefix, so that the first that fits is the longest.
    networks: Vec<Network>,
    ipv4_prefix: u8,
    ipv6_prefix: u8,
}

impl Source {
    /// Whether a page in somebody's browser may have sent it, in that somebody's name.
    pub fn is_browser(&self) -> bool {
        is_browser(&self.transport)
    }
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
            ipv4_prefix,
            ipv6_prefix,
        }
    }

    /// The source of a message. `ip` as Kamailio writes it; one that can't be read is a stranger's.
    pub fn source(&self, ip: &str, port: u16, transport: &str) -> Source {
        let transport = transport.to_ascii_lowercase();
        let connected = is_connected(&transport);
        let bare = ip.trim_matches(['[', ']']);
        let Ok(address) = bare.parse::<IpAddr>() else {
            return Source {
                ip: ip.to_owned(),
                port,
                cell: cell(ip, &transport),
                transport,
                key: ip.to_owned(),
                trusted: false,
                enforced: None,
                network: -1,
                connected,
                listed: None,
            };
        };
        let place = self.place(address);
        let network = place.map(|place| self.networks[place]);
        let key = self.key(address);
        Source {
            ip: spelled(address),
            port,
            cell: cell(&key, &transport),
            transport,
            key,
            trusted: network.is_some_and(|network| network.trusted),
            enforced: network.and_then(|network| network.enforced),
            network: place.and_then(|place| i32::try_from(place).ok()).unwrap_or(-1),
            connected,
            listed: None,
        }
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

/// Whether a page in somebody's browser may have sent it, in that somebody's name.
fn is_browser(transport: &str) -> bool {
    matches!(transport, "ws" | "wss")
}

/// Whether a transport's handshake shows that the peer receives what is sent to its address.
pub fn is_connected(transport: &str) -> bool {
    matches!(transport, "tcp" | "tls" | "ws" | "wss" | "sctp")
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
            assert_eq!(
                (source.ip.as_str(), source.key.as_str()),
                ("2001:db8:0:1::5", "2001:db8:0:1")
            );
        }
        let mapped = networks.source("::ffff:192.0.2.8", 5060, "udp");
        assert!(mapped.trusted);
        assert_eq!(mapped.ip, "::ffff:c000:208");
        assert_eq!(networks.source("no address", 1, "udp").key, "no address");
    }
}
