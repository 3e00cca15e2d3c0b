//! What one entry of the policy's destinations says: whose calls it is for, what may be called, and how often.

use crate::networks::{Condition, Network};
use crate::numbering::Prefixes;

/// Bits of a prefix, country or class in an entry.
pub const ALLOWED: u32 = 1;
pub const FORBIDDEN: u32 = 2;
pub const EXPENSIVE: u32 = 4;

/// How many calls a minute and an hour; 0: any number.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rate {
    pub per_minute: u64,
    pub per_hour: u64,
}

impl Rate {
    pub(super) fn is_none(self) -> bool {
        self.per_minute == 0 && self.per_hour == 0
    }
}

/// Whose calls are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payer {
    Source,
    Account,
    Domain,
}

/// Times at which an entry is stricter. Minutes are those of the day at the site.
#[derive(Clone, Debug, Default)]
pub struct OffHours {
    pub from: u64,
    pub to: u64,
    /// All of Saturday and Sunday too.
    pub weekend: bool,
    /// Seconds since the epoch from which on, and how many seconds local time is ahead of UTC then.
    pub offsets: Vec<(u64, i64)>,
    /// Bits of what is refused then: `EXPENSIVE`, or that and all abroad (`ABROAD`).
    pub refuse: u32,
    /// Rates that hold instead, where they are not 0.
    pub expensive: Rate,
    pub abroad: Rate,
}

/// Calls abroad, in `OffHours::refuse`.
pub const ABROAD: u32 = 8;

impl OffHours {
    /// Whether it is such a time, in seconds since the epoch.
    pub(super) fn holds(&self, wall: u64) -> bool {
        let offset = (self.offsets.iter().rev()).find(|(since, _)| *since <= wall);
        let local = wall.saturating_add_signed(offset.map_or(0, |(_, ahead)| *ahead));
        // The epoch was a Thursday.
        if self.weekend && (local / 86_400 + 3) % 7 >= 5 {
            return true;
        }
        let minute = local / 60 % 1440;
        if self.from < self.to {
            self.from <= minute && minute < self.to
        } else {
            self.from <= minute || minute < self.to
        }
    }
}

/// One `[[destinations]]`.
#[derive(Debug)]
pub struct Entry {
    pub name: String,
    pub enforce: bool,
    /// Where nothing stands, it holds for all but trusted networks.
    pub networks: Vec<Network>,
    /// Countries and operators of callers; empty: any.
    pub places: Condition,
    /// Hosts of From in lower case.
    pub domains: Vec<String>,
    /// Users of the credentials, or of From where there are none.
    pub accounts: Vec<String>,
    pub payer: Payer,
    /// Only what is allowed may be called, beside the site's own country.
    pub exclusive: bool,
    /// Bits by prefix as the entry writes it.
    pub prefixes: Prefixes,
    /// Bits by country, and by class, in the order of the table.
    pub countries: Vec<u32>,
    pub classes: Vec<u32>,
    pub expensive: Rate,
    pub abroad: Rate,
    pub countries_per_hour: u64,
    pub block_per_hour: u64,
    pub spellings_per_hour: u64,
    /// Calls that end so many seconds after they were answered, or sooner, and how many an hour of these.
    pub short_seconds: u64,
    pub short_per_hour: u64,
    pub callers_per_hour: u64,
    pub off_hours: Option<OffHours>,
}
