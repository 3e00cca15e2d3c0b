//! Counts calls under an entry of the policy's destinations: each once, by the minute and by the hour.

use super::{COUNTED, Entry, MEASURES, Objection, Rate};
use crate::judge::counters::Counters;
use crate::judge::tally::{Of, Tally};

/// What is added to a call's own counter where the call was refused, so that its repetitions are too.
const REFUSED: u64 = 1 << 20;

const TALLIES: [Tally; 7] = [
    tally("expensive", "expensive-hour"),
    tally("abroad", "abroad-hour"),
    tally("countries", "countries-hour"),
    tally("block", "block-hour"),
    tally("spellings", "spellings-hour"),
    tally("short", "short-hour"),
    tally("callers", "callers-hour"),
];

const fn tally(minute: &'static str, hour: &'static str) -> Tally {
    Tally { minute, hour }
}

/// A measure's count over an hour.
pub(super) fn hour(measure: usize, whose: u32) -> Of {
    Of::hour(TALLIES[measure], whose)
}

/// A measure's count over a minute.
pub(super) fn minute(measure: usize, whose: u32) -> Of {
    Of::minute(TALLIES[measure], whose)
}

/// One call while it is counted; the first objection stands.
pub(super) struct Count<'a, C: Counters> {
    pub entry: &'a Entry,
    pub call: u64,
    pub now: u64,
    pub counters: &'a C,
    pub objection: Option<Objection>,
}

impl<C: Counters> Count<'_, C> {
    pub fn refused(&self, rule: usize, reason: String) -> Objection {
        Objection {
            rule,
            enforce: self.entry.enforce,
            reason: format!("{}: {reason}", self.entry.name),
        }
    }

    fn object(&mut self, measure: usize, reason: String) {
        if self.objection.is_none() {
            self.objection = Some(self.refused(COUNTED + measure, reason));
        }
    }

    /// Calls of a kind, counted here, or where they are answered (`claimed`).
    pub fn calls(&mut self, measure: usize, of: u32, rate: Rate, claimed: bool, label: &str) {
        for (allowed, counted, unit) in [
            (rate.per_minute, minute(measure, of), "a minute"),
            (rate.per_hour, hour(measure, of), "an hour"),
        ] {
            if allowed == 0 {
                continue;
            }
            let over = if claimed {
                let seen = counted.total(allowed, self.now, self.counters) + 1;
                (seen > allowed).then_some(seen)
            } else {
                self.once(counted, self.call, allowed)
            };
            if let Some(seen) = over {
                let kind = MEASURES[measure];
                self.object(
                    measure,
                    format!("{label}: {seen} {kind} calls in {unit}, {allowed} are allowed"),
                );
            }
        }
    }

    /// Different values in an hour.
    pub fn different(&mut self, measure: usize, of: u32, value: u64, allowed: u64, what: &str) {
        if allowed > 0 {
            if let Some(seen) = self.once(hour(measure, of), value, allowed) {
                self.object(
                    measure,
                    format!("{seen} different {what} in an hour, {allowed} are allowed"),
                );
            }
        }
    }

    /// What answers and ends of calls have counted.
    pub fn standing(&mut self, measure: usize, of: u32, allowed: u64, what: &str) {
        if allowed > 0 {
            let seen = hour(measure, of).total(allowed, self.now, self.counters);
            if seen > allowed {
                self.object(measure, format!("{seen} {what} in an hour, {allowed} are allowed"));
            }
        }
    }

    /// Counts a value once; what it adds up to where that is too much, now or when the value was counted.
    fn once(&self, of: Of, value: u64, allowed: u64) -> Option<u64> {
        let (now, counters) = (self.now, self.counters);
        let known = of.add_value(value, 1, now, counters);
        if known > 1 {
            return (known > REFUSED).then(|| of.total(allowed, now, counters).max(allowed + 1));
        }
        let seen = of.add_one(now, counters) + of.rest(allowed, now, counters);
        if seen <= allowed {
            return None;
        }
        of.add_value(value, REFUSED, now, counters);
        Some(seen)
    }
}
