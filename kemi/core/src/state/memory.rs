//! All tables of a server together.

use std::io;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use super::{counters, dialogs, earned, hash, marks, region, retransmissions, tallies};

/// Messages remembered to tell retransmissions: 2 MiB, 60 s at 4,000 new requests a second.
pub const RETRANSMISSIONS: usize = 262_144;
/// Challenges and credentials remembered: 1 MiB, 300 s at 200 registrations a second.
pub const MARKS: usize = 65_536;
/// Dialogs remembered: 4 MiB, half a day of twelve answered calls a second. Only what is written takes memory.
pub const DIALOGS: usize = 524_288;
/// Sources that earn trust: 2 MiB. Only what is written takes memory.
pub const SOURCES: usize = 262_144;

/// Counters that sources share: 256 of each of nine limits, with room to spare.
pub const TOGETHER: usize = 4096;

/// All tables of a server, to be made before Kamailio forks.
pub struct Memory {
    pub secret: Arc<hash::Secret>,
    pub counters: Arc<counters::Counters>,
    /// What the sources share which find no room among `counters`.
    pub together: Arc<counters::Counters>,
    /// What is counted by the hour. Only what is written takes memory.
    pub hours: Arc<counters::Counters>,
    pub retransmissions: Arc<retransmissions::Retransmissions>,
    pub dialogs: Arc<dialogs::Dialogs>,
    pub marks: Arc<marks::Marks>,
    pub earned: Arc<earned::Earned>,
    pub tallies: Arc<tallies::Tallies>,
}

impl Memory {
    /// `capacity` counters of a window; `ledger` names the file of the tallies, if any; `interval` in seconds.
    pub fn new(
        capacity: usize,
        ledger: Option<&Path>,
        workers: usize,
        interval: u64,
        patience: Duration,
    ) -> io::Result<Memory> {
        // Drawn before Kamailio forks, too.
        LazyLock::force(&region::WRITTEN);
        Ok(Memory {
            secret: region::SECRET.clone(),
            counters: Arc::new(counters::Counters::new(capacity)?),
            together: Arc::new(counters::Counters::new(TOGETHER)?),
            hours: Arc::new(counters::Counters::new(capacity)?),
            retransmissions: Arc::new(retransmissions::Retransmissions::new(RETRANSMISSIONS)?),
            dialogs: Arc::new(dialogs::Dialogs::new(DIALOGS)?),
            marks: Arc::new(marks::Marks::new(MARKS)?),
            earned: Arc::new(earned::Earned::new(SOURCES)?),
            tallies: Arc::new(match ledger {
                Some(path) => tallies::Tallies::open(path, workers, interval, patience)?,
                None => tallies::Tallies::new(workers, interval)?,
            }),
        })
    }

    /// Frees the counters whose window is over, and returns how many there were; for the timer process. `minute` and `hour`
    /// are the running windows of what is counted by either.
    pub fn sweep(&self, minute: u64, hour: u64) -> usize {
        self.counters.sweep(minute) + self.together.sweep(minute) + self.hours.sweep(hour)
    }
}
