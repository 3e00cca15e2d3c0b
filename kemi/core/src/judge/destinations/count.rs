//! Counts calls under an entry of the policy's destinations: each once, by the minute and by the hour.

use super::{COUNTED, Entry, HOUR, MEASURES, Objection, Rate};
use crate::judge::counters::{Counters, Name, WINDOW};

/// What is added to a call's own counter where the call was refused, so that its repetitions are too.
const REFUSED: u64 = 1 << 20;

fn cell(of: u32) -> String {
    format!("d{of:08x}")
}

fn name<'n>(measure: usize, cell: &'n str, value: Option<u64>, window: u64, hour: bool) -> Name<'n> {
    /// As in `MEASURES`, for counters of an hour.
    const HOURS: [&str; 7] = [
        "expensive-hour",
        "abroad-hour",
        "countries-hour",
        "block-hour",
        "spellings-hour",
        "short-hour",
        "callers-hour",
    ];
    let limit = if hour { HOURS[measure] } else { MEASURES[measure] };
    Name {
        cell,
        limit,
        value,
        window,
    }
}

fn add(name: Name<'_>, amount: u64, hour: bool, counters: &impl Counters) -> i64 {
    if hour {
        counters.add_hour(name, amount)
    } else {
        counters.add(name, amount)
    }
}

fn get(name: Name<'_>, hour: bool, counters: &impl Counters) -> u64 {
    if hour {
        counters.get_hour(name)
    } else {
        counters.get(name)
    }
}

/// Counts a value that was not seen in this window.
pub(super) fn add_once(measure: usize, of: u32, value: u64, (window, hour): (u64, bool), counters: &impl Counters) {
    let cell = cell(of);
    if add(name(measure, &cell, Some(value), window, hour), 1, hour, counters) <= 1 {
        add(name(measure, &cell, None, window, hour), 1, hour, counters);
    }
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
        for (allowed, length, hour, unit) in [
            (rate.per_minute, WINDOW, false, "a minute"),
            (rate.per_hour, HOUR, true, "an hour"),
        ] {
            if allowed == 0 {
                continue;
            }
            let over = if claimed {
                let seen = self.total(measure, of, allowed, length, hour) + 1;
                (seen > allowed).then_some(seen)
            } else {
                self.once(measure, of, self.call, allowed, (length, hour))
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
            if let Some(seen) = self.once(measure, of, value, allowed, (HOUR, true)) {
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
            let seen = self.total(measure, of, allowed, HOUR, true);
            if seen > allowed {
                self.object(measure, format!("{seen} {what} in an hour, {allowed} are allowed"));
            }
        }
    }

    /// How much was counted in the length of a window up to now. Of the one before no more counts than was allowed: who went
    /// on trying is not kept out for longer.
    fn total(&self, measure: usize, of: u32, allowed: u64, length: u64, hour: bool) -> u64 {
        let cell = cell(of);
        let this = name(measure, &cell, None, self.now / length, hour);
        get(this, hour, self.counters) + self.rest(this, allowed, length, hour)
    }

    fn rest(&self, this: Name<'_>, allowed: u64, length: u64, hour: bool) -> u64 {
        let before = get(this.before(), hour, self.counters).min(allowed);
        before * (length - 1 - self.now % length) / length
    }

    /// Counts a value once; what it adds up to where that is too much, now or when the value was counted.
    fn once(&self, measure: usize, of: u32, value: u64, allowed: u64, (length, hour): (u64, bool)) -> Option<u64> {
        let cell = cell(of);
        let this = name(measure, &cell, None, self.now / length, hour);
        let own = Name {
            value: Some(value),
            ..this
        };
        let known = add(own, 1, hour, self.counters).unsigned_abs();
        if known > 1 {
            let seen = get(this, hour, self.counters) + self.rest(this, allowed, length, hour);
            return (known > REFUSED).then_some(seen.max(allowed + 1));
        }
        let seen = add(this, 1, hour, self.counters).unsigned_abs() + self.rest(this, allowed, length, hour);
        if seen <= allowed {
            return None;
        }
        add(own, REFUSED, hour, self.counters);
        Some(seen)
    }
}
