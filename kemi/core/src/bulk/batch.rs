//! Messages on their way from a reader to the engine.

use std::ops::Range;

/// How much of a message is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    Whole,
    /// Its end was not captured: what is missing tells nothing.
    Cut,
    /// What a log quotes of it, the rest filled in; see `record::UNKNOWN`.
    Quoted,
}

/// What another program than the server said of a message or of its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// `fail2ban`, `suricata`.
    pub program: &'static str,
    /// In its words.
    pub said: Vec<u8>,
}

/// One recorded message, or what is known of it.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Seconds since the epoch.
    pub time: f64,
    /// Empty where nobody names the source.
    pub ip: String,
    pub port: u16,
    /// `udp`, `tcp`, `tls`, `sctp`, `ws`, `wss`.
    pub transport: &'static str,
    /// Where its bytes stand in the batch.
    pub raw: Range<usize>,
    pub known: Known,
    /// The server's parser refused it.
    pub refused: bool,
    /// The server refused it as one too many.
    pub limited: bool,
    pub foreign: Option<Foreign>,
}

/// Messages with their bytes in one piece.
#[derive(Debug, Default)]
pub struct Batch {
    pub bytes: Vec<u8>,
    pub items: Vec<Recorded>,
}

impl Batch {
    pub fn raw(&self, item: &Recorded) -> &[u8] {
        self.bytes.get(item.raw.clone()).unwrap_or_default()
    }

    /// Adds a message's bytes, in pieces; where they stand.
    pub fn put(&mut self, pieces: &[&[u8]]) -> Range<usize> {
        let start = self.bytes.len();
        for piece in pieces {
            self.bytes.extend_from_slice(piece);
        }
        start..self.bytes.len()
    }
}
