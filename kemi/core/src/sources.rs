//! Where a message came from, as a worker keeps it: thousands of them, in little memory.

use crate::feeds::{Action, Listed};
use crate::geo::Place;

/// That requests from a country or an operator are not wanted, and what becomes of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Barred {
    pub action: Action,
    pub reason: String,
}

/// Where a message came from. A worker keeps thousands of them, so its texts stand in one piece of memory, and what few have in
/// another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The address, the key, the cell and the transport, one behind the other.
    texts: Box<str>,
    /// Where the first three of them end.
    ends: [u32; 3],
    /// Index of its network in the order given; -1 for none.
    pub network: i32,
    pub port: u16,
    pub trusted: bool,
    pub enforced: Option<bool>,
    /// Over a transport whose handshake shows that the peer receives what is sent to its address.
    pub connected: bool,
    rare: Option<Box<Rare>>,
}

/// What is known of few sources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rare {
    listed: Option<Listed>,
    place: Place,
    barred: Option<Barred>,
}

static NOWHERE: Place = Place {
    country: None,
    asn: 0,
    organization: None,
};

impl Source {
    /// A stranger's, over that transport, in lower case. See `ip`, `key` and `cell` for what the rest is.
    pub fn new(ip: &str, port: u16, transport: &str, key: &str, cell: &str) -> Self {
        let mut texts = String::with_capacity(ip.len() + key.len() + cell.len() + transport.len());
        let ends = [ip, key, cell].map(|text| {
            texts.push_str(text);
            // Addresses are short; what is not could only be cut.
            u32::try_from(texts.len()).unwrap_or(u32::MAX)
        });
        texts.push_str(transport);
        Self {
            texts: texts.into_boxed_str(),
            ends,
            network: -1,
            port,
            trusted: false,
            enforced: None,
            connected: is_connected(transport),
            rare: None,
        }
    }

    fn text(&self, start: u32, end: u32) -> &str {
        self.texts.get(start as usize..end as usize).unwrap_or_default()
    }

    /// Its address in one spelling, whatever Kamailio writes (RFC 5952); what can't be read stays as it is.
    pub fn ip(&self) -> &str {
        self.text(0, self.ends[0])
    }

    /// What limits and bans are kept under: `203.0.113.7`, or an IPv6 /64 as `2001:db8:0:1`.
    pub fn key(&self) -> &str {
        self.text(self.ends[0], self.ends[1])
    }

    /// What its counters' names begin with. Datagrams, whose source can be forged, and WebSockets, which any page opens in
    /// its visitor's name, are counted apart from other connections, so that nobody can use up another's share.
    pub fn cell(&self) -> &str {
        self.text(self.ends[1], self.ends[2])
    }

    /// In lower case: `udp`, `tcp`, `tls`, `ws`, `wss`, `sctp`.
    pub fn transport(&self) -> &str {
        self.texts.get(self.ends[2] as usize..).unwrap_or_default()
    }

    /// The list from outside that it stands on; who has the lists looks there.
    pub fn listed(&self) -> Option<&Listed> {
        self.rare.as_ref()?.listed.as_ref()
    }

    /// Where its address is at home, as far as that is known.
    pub fn place(&self) -> &Place {
        self.rare.as_ref().map_or(&NOWHERE, |rare| &rare.place)
    }

    pub fn barred(&self) -> Option<&Barred> {
        self.rare.as_ref()?.barred.as_ref()
    }

    /// Sets what few have.
    fn with(mut self, set: impl FnOnce(&mut Rare)) -> Self {
        let mut rare = self.rare.take().map(|rare| *rare).unwrap_or_default();
        set(&mut rare);
        self.rare = (rare != Rare::default()).then(|| Box::new(rare));
        self
    }

    pub fn with_listed(self, listed: Option<Listed>) -> Self {
        self.with(|rare| rare.listed = listed)
    }

    pub fn with_place(self, place: Place) -> Self {
        self.with(|rare| rare.place = place)
    }

    pub fn with_barred(self, barred: Option<Barred>) -> Self {
        self.with(|rare| rare.barred = barred)
    }

    /// The same, neither limited nor banned.
    pub fn spared(&self) -> Self {
        Self {
            trusted: true,
            ..self.clone()
        }
    }

    /// The same, counted under another cell.
    pub fn with_cell(&self, cell: &str) -> Self {
        let other = Self::new(self.ip(), self.port, self.transport(), self.key(), cell);
        Self {
            texts: other.texts,
            ends: other.ends,
            ..self.clone()
        }
    }

    /// Whether a page in somebody's browser may have sent it, in that somebody's name.
    pub fn is_browser(&self) -> bool {
        is_browser(self.transport())
    }
}

/// Whether a page in somebody's browser may have sent it, in that somebody's name.
pub fn is_browser(transport: &str) -> bool {
    matches!(transport, "ws" | "wss")
}

/// Whether a transport's handshake shows that the peer receives what is sent to its address.
pub fn is_connected(transport: &str) -> bool {
    matches!(transport, "tcp" | "tls" | "ws" | "wss" | "sctp")
}
