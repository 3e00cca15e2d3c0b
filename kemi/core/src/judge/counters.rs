//! What is counted of sources by the minute, and remembered of messages, in the tables that all workers share.

use super::Scope;
use crate::state::counters::Counters as Table;
use crate::state::earned::{Terms, name_of};
use crate::state::memory::Memory;
use crate::state::region::SECRET;

/// Length of a window of the limits in seconds; the policy speaks of minutes.
pub const WINDOW: u64 = 60;

/// Counters that the sources share which find no room for their own.
const BUCKETS: u64 = 256;

/// A counter's name: whose, of what, of which value where distinct ones are counted, in which window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name<'a> {
    /// See `Source::cell`.
    pub cell: &'a str,
    /// A limit's name, as in the policy.
    pub limit: &'a str,
    pub value: Option<u64>,
    pub window: u64,
}

impl Name<'_> {
    /// What it is known by in a table.
    pub fn identity(&self) -> u64 {
        let window = self.window.to_le_bytes();
        match self.value {
            None => SECRET.identity(&[self.cell.as_bytes(), self.limit.as_bytes(), &window]),
            Some(value) => SECRET.identity(&[
                self.cell.as_bytes(),
                self.limit.as_bytes(),
                &window,
                &value.to_le_bytes(),
            ]),
        }
    }

    /// The same in the window before.
    pub fn before(mut self) -> Self {
        self.window = self.window.wrapping_sub(1);
        self
    }
}

/// As it is written for Python's counters: `192.0.2.1:u:invite:7`, `192.0.2.1:u:targets=5f:7`.
impl std::fmt::Display for Name<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.value {
            None => write!(out, "{}:{}:{}", self.cell, self.limit, self.window),
            Some(value) => write!(out, "{}:{}={value:x}:{}", self.cell, self.limit, self.window),
        }
    }
}

/// What messages are judged with. Times are seconds of a clock that never steps.
pub trait Counters {
    /// Adds to a counter and returns it; negative where it is shared with other sources.
    fn add(&self, name: Name<'_>, amount: u64) -> i64;
    /// A counter as it stands, 0 where there is none.
    fn get(&self, name: Name<'_>) -> u64;
    /// The same as `add` and `get` for counters whose window is an hour.
    fn add_hour(&self, name: Name<'_>, amount: u64) -> i64 {
        self.add(name, amount)
    }
    fn get_hour(&self, name: Name<'_>) -> u64 {
        self.get(name)
    }
    /// Seconds since the epoch at `now`; of a recording the clock is that already.
    fn wall(&self, now: u64) -> u64 {
        now
    }
    /// Notes that a source is to be banned: for the how-manieth time; 0 where it is, must not be, or no room is left.
    fn offence(&self, key: &str, scope: Scope) -> u64;
    /// Remembers a fact about a short-lived thing: `value` from 1 on.
    fn mark(&self, identity: u64, value: u32, now: u64);
    /// The fact remembered within `life` seconds, else 0.
    fn marked(&self, identity: u64, now: u64, life: u64) -> u32;
    /// How often this message was seen within a transaction's life, this time included.
    fn copies(&self, identity: u64, now: u64) -> u64;
    fn remember_dialog(&self, identity: u64, now: u64);
    fn knows_dialog(&self, identity: u64, now: u64) -> bool;
    /// Notes a proof that a source is where it says; see `state::earned`. `proof`: what it did.
    fn earn(&self, key: &str, proof: &'static str, now: u64);
    /// Whether a source has shown often enough that it is where it says. `key` as in `Source::key`.
    fn has_earned(&self, key: &str, now: u64) -> bool;
    /// Takes away what a source has earned, for a reason.
    fn disgraced(&self, key: &str, why: &str);
}

/// The counters of a running server: exact over all workers, and bounded.
///
/// When as many counters began in a window as the policy's capacity, new names share `BUCKETS` of them; who had a counter in
/// the window before still gets one, so that a flood of forged sources does not push out those who were there.
pub struct Shared<'a, F: Fn(&str, Scope) -> u64, T: Fn(&str, &str, u64)> {
    pub tables: &'a Memory,
    /// The running window.
    pub window: u64,
    /// Seconds since the epoch.
    pub wall: u64,
    /// Seconds of a clock that never steps.
    pub now: u64,
    /// See `Counters::offence`.
    pub offence: F,
    /// When sources have standing.
    pub terms: Terms,
    /// (key, what, credit): a source has standing by that proof; credit 0: it lost what it had, for that reason.
    pub told: T,
}

impl<F: Fn(&str, Scope) -> u64, T: Fn(&str, &str, u64)> Shared<'_, F, T> {
    fn add_to(&self, counters: &Table, window: u64, name: Name<'_>, amount: u64) -> i64 {
        let identity = name.identity();
        // Strangers share when there are too many of them; who has standing keeps its own.
        let stands = || {
            let key = name.cell.rsplit_once(':').map(|(key, _)| key);
            key.is_some_and(|key| self.has_earned(key, self.now))
        };
        if counters.admits(identity, || name.before().identity(), window) || stands() {
            let count = counters.increase(identity, window, amount);
            if count > 0 {
                return count as i64;
            }
        }
        let together = &self.tables.together;
        together.increase(overflow(self.window), self.window, 1);
        if name.value.is_some() {
            // A distinct value counts by being new, which can't be known here.
            return 0;
        }
        let bucket = SECRET.identity(&[name.cell.as_bytes()]) % BUCKETS;
        let bucket = Name {
            cell: "",
            value: Some(bucket),
            ..name
        };
        -(together.increase(bucket.identity(), self.window, amount).max(1) as i64)
    }
}

impl<F: Fn(&str, Scope) -> u64, T: Fn(&str, &str, u64)> Counters for Shared<'_, F, T> {
    fn add(&self, name: Name<'_>, amount: u64) -> i64 {
        self.add_to(&self.tables.counters, self.window, name, amount)
    }

    fn add_hour(&self, name: Name<'_>, amount: u64) -> i64 {
        self.add_to(&self.tables.hours, name.window, name, amount)
    }

    fn get_hour(&self, name: Name<'_>) -> u64 {
        self.tables.hours.get(name.identity(), name.window)
    }

    fn wall(&self, _now: u64) -> u64 {
        self.wall
    }

    fn get(&self, name: Name<'_>) -> u64 {
        self.tables.counters.get(name.identity(), self.window)
    }

    fn offence(&self, key: &str, scope: Scope) -> u64 {
        (self.offence)(key, scope)
    }

    fn mark(&self, identity: u64, value: u32, now: u64) {
        self.tables.marks.mark(identity, value, now);
    }

    fn marked(&self, identity: u64, now: u64, life: u64) -> u32 {
        self.tables.marks.marked(identity, now, life)
    }

    fn copies(&self, identity: u64, now: u64) -> u64 {
        self.tables.retransmissions.copies(identity, now)
    }

    fn remember_dialog(&self, identity: u64, now: u64) {
        self.tables.dialogs.remember(identity, now);
    }

    fn knows_dialog(&self, identity: u64, now: u64) -> bool {
        self.tables.dialogs.knows(identity, now)
    }

    fn earn(&self, key: &str, proof: &'static str, now: u64) {
        let credit = self.tables.earned.earn(name_of(key), now, self.terms);
        if let Some(credit) = credit.filter(|&credit| (1..=credit).contains(&self.terms.enough)) {
            (self.told)(key, proof, credit);
        }
    }

    fn has_earned(&self, key: &str, now: u64) -> bool {
        self.terms.enough > 0 && self.tables.earned.has(name_of(key), now, self.terms)
    }

    fn disgraced(&self, key: &str, why: &str) {
        let had = self.has_earned(key, self.now);
        if self.tables.earned.lose(name_of(key)) && had {
            (self.told)(key, why, 0);
        }
    }
}

/// What is counted under shared counters in a window, by its name in `Memory::together`.
pub fn overflow(window: u64) -> u64 {
    Name {
        cell: "",
        limit: "overflow",
        value: None,
        window,
    }
    .identity()
}
