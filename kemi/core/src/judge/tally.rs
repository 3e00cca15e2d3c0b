//! Counts of a minute or an hour under 32-bit names: each value once, and by the time that slides.

use super::counters::{Counters, Name, WINDOW};

/// Seconds of the longer window.
pub const HOUR: u64 = 3600;

/// What is counted: its name by the minute, and by the hour.
#[derive(Clone, Copy, Debug)]
pub struct Tally {
    pub minute: &'static str,
    pub hour: &'static str,
}

/// One count: of what, of whom, over which time.
#[derive(Clone, Copy, Debug)]
pub struct Of {
    pub tally: Tally,
    /// A keyed hash of whose count it is.
    pub whose: u32,
    pub hourly: bool,
}

impl Of {
    pub fn minute(tally: Tally, whose: u32) -> Self {
        Self {
            tally,
            whose,
            hourly: false,
        }
    }

    pub fn hour(tally: Tally, whose: u32) -> Self {
        Self {
            tally,
            whose,
            hourly: true,
        }
    }

    pub fn length(self) -> u64 {
        if self.hourly { HOUR } else { WINDOW }
    }

    fn name(self, cell: &str, value: Option<u64>, now: u64) -> Name<'_> {
        Name {
            cell,
            limit: if self.hourly {
                self.tally.hour
            } else {
                self.tally.minute
            },
            value,
            window: now / self.length(),
        }
    }

    fn cell(self) -> String {
        format!("d{:08x}", self.whose)
    }

    fn get(self, name: Name<'_>, counters: &impl Counters) -> u64 {
        if self.hourly {
            counters.get_hour(name)
        } else {
            counters.get(name)
        }
    }

    /// Adds to the count of a value; how often it was added by now, 0 where no room is left.
    pub fn add_value(self, value: u64, amount: u64, now: u64, counters: &impl Counters) -> u64 {
        self.add(Some(value), amount, now, counters)
    }

    /// Adds one to the sum, and returns what it stands at in this window.
    pub fn add_one(self, now: u64, counters: &impl Counters) -> u64 {
        self.add(None, 1, now, counters)
    }

    fn add(self, value: Option<u64>, amount: u64, now: u64, counters: &impl Counters) -> u64 {
        let cell = self.cell();
        let name = self.name(&cell, value, now);
        let count = if self.hourly {
            counters.add_hour(name, amount)
        } else {
            counters.add(name, amount)
        };
        count.unsigned_abs()
    }

    /// Counts a value that was not seen in this window.
    pub fn once(self, value: u64, now: u64, counters: &impl Counters) {
        if self.add_value(value, 1, now, counters) <= 1 {
            self.add_one(now, counters);
        }
    }

    /// Whether a value was seen in this window or the one before.
    pub fn has(self, value: u64, now: u64, counters: &impl Counters) -> bool {
        let cell = self.cell();
        let name = self.name(&cell, Some(value), now);
        self.get(name, counters) > 0 || self.get(name.before(), counters) > 0
    }

    /// What this window holds.
    pub fn running(self, now: u64, counters: &impl Counters) -> u64 {
        let cell = self.cell();
        self.get(self.name(&cell, None, now), counters)
    }

    /// What the window before adds to the length of one up to now: its share, and of no more than was allowed, so that who
    /// tries on and on is not kept out for longer.
    pub fn rest(self, allowed: u64, now: u64, counters: &impl Counters) -> u64 {
        let cell = self.cell();
        let before = self.get(self.name(&cell, None, now).before(), counters).min(allowed);
        before * (self.length() - 1 - now % self.length()) / self.length()
    }

    /// How much was counted in the length of a window up to now.
    pub fn total(self, allowed: u64, now: u64, counters: &impl Counters) -> u64 {
        self.running(now, counters) + self.rest(allowed, now, counters)
    }
}
