//! Judges where a call goes: which numbers may be called, how often those that cost, and what looks like fraud.
//!
//! What is counted is counted once for each call, whatever it is repeated for (credentials, retransmissions). What a customer's
//! account is held to was accepted by the backend: whoever only writes its name uses nothing of it up.

mod count;
mod entry;

use std::net::IpAddr;

use super::counters::Counters;
use crate::engine::Seen;
use crate::numbering::{self, Plan, Prefixes};
use crate::sip::{dialog, names};
use crate::sources::Source;
use crate::state::region::SECRET;
use count::{Count, hour, minute};
pub use entry::{ABROAD, ALLOWED, EXPENSIVE, Entry, FORBIDDEN, OffHours, Payer, Rate};

/// The family of its findings.
pub const FAMILY: &str = "destinations";

/// What an entry counts, as its rules and counters are named.
pub const MEASURES: [&str; 7] = [
    "expensive",
    "abroad",
    "countries",
    "block",
    "spellings",
    "short",
    "callers",
];

/// The rules that fire; the first three need no counting.
pub const RULES: [&str; 10] = [
    "destination-forbidden",
    "destination-not-allowed",
    "destination-off-hours",
    "destination-expensive",
    "destination-abroad",
    "destination-countries",
    "destination-block",
    "destination-spellings",
    "destination-short",
    "destination-callers",
];
const COUNTED: usize = 3;

const CALLS_EXPENSIVE: usize = 0;
const CALLS_ABROAD: usize = 1;
const COUNTRIES: usize = 2;
const BLOCK: usize = 3;
const SPELLINGS: usize = 4;
const SHORT: usize = 5;
const CALLERS: usize = 6;

/// Seconds for which a call may ring (RFC 3261 13.3.1.1 has three minutes) until what is known of it is forgotten.
const RINGING: u64 = 300;

/// Digits at a number's end by which its spellings are told to be one number.
const TAIL: usize = 9;

/// All entries, with the table of countries and classes that they share.
#[derive(Debug, Default)]
pub struct Destinations {
    pub plan: Plan,
    pub entries: Vec<Entry>,
    /// Place of the country by prefix, and its name by place.
    pub countries: Prefixes,
    pub country_names: Vec<String>,
    /// Place of the class by prefix, and what it is called.
    pub classes: Prefixes,
    pub class_names: Vec<String>,
}

/// What speaks against a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objection {
    /// Its place in `RULES`.
    pub rule: usize,
    pub enforce: bool,
    pub reason: String,
}

/// Where a call goes.
struct Goal {
    number: Vec<u8>,
    country: Option<usize>,
    bits: u32,
    listed: bool,
    abroad: bool,
    /// For people: what it was told by.
    label: String,
}

/// Where a dialled number leads.
pub struct Told {
    /// International, without a plus.
    pub number: String,
    /// By its two letters; empty: of no country.
    pub country: String,
    /// For people: by which prefix that is known.
    pub label: String,
    pub dear: bool,
    pub abroad: bool,
}

impl Destinations {
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Where a Request-URI leads by the first entry, for whoever looks at recorded calls; `None` where no number out is dialled.
    pub fn told(&self, uri: &[u8]) -> Option<Told> {
        let number = self.plan.resolve(&numbering::dialled(uri)?)?;
        let goal = self.goal(self.entries.first()?, number);
        let country = goal.country.and_then(|place| self.country_names.get(place));
        Some(Told {
            number: String::from_utf8_lossy(&goal.number).into_owned(),
            country: country.cloned().unwrap_or_default(),
            label: goal.label,
            dear: goal.bits & EXPENSIVE > 0,
            abroad: goal.abroad,
        })
    }

    /// The entry that a request falls under: the first that fits.
    fn entry(&self, seen: &Seen<'_>, source: &Source) -> Option<&Entry> {
        let mut address = None;
        let from = seen
            .message
            .get(names::FROM)
            .map_or(&b""[..], |header| dialog::address_uri(&header.value));
        self.entries.iter().find(|entry| {
            if !entry.places.is_empty() && !entry.places.holds(source.place()) {
                return false;
            }
            if entry.networks.is_empty() {
                if source.trusted {
                    return false;
                }
            } else {
                let address: IpAddr = match *address.get_or_insert_with(|| source.ip().parse::<IpAddr>().ok()) {
                    Some(address) => address,
                    None => return false,
                };
                if !entry.networks.iter().any(|network| network.holds(address)) {
                    return false;
                }
            }
            let named = |list: &[String], text: &[u8]| list.iter().any(|one| one.as_bytes().eq_ignore_ascii_case(text));
            (entry.domains.is_empty() || named(&entry.domains, dialog::host(from)))
                && (entry.accounts.is_empty() || named(&entry.accounts, account(seen, from)))
        })
    }

    fn goal(&self, entry: &Entry, number: Vec<u8>) -> Goal {
        let country = self.countries.find(&number);
        let class = self.classes.find(&number);
        let explicit = entry.prefixes.find(&number);
        let at = |bits: &[u32], found: Option<(usize, u32)>| {
            let place = found.and_then(|(_, place)| usize::try_from(place).ok());
            (place, place.and_then(|place| bits.get(place)).copied().unwrap_or(0))
        };
        let (country_at, by_country) = at(&entry.countries, country);
        let (class_at, by_class) = at(&entry.classes, class);
        let own = explicit.map_or(0, |(_, bits)| bits);
        let mut bits = by_country | by_class | own;
        if own & FORBIDDEN == 0 && own & ALLOWED > 0 {
            // What is written digit by digit is meant.
            bits &= !FORBIDDEN;
        }
        let code = &self.plan.country;
        let home = !code.is_empty() && number.starts_with(code) && self.is_home(&number, country);
        let shown = explicit
            .or(class)
            .or(country)
            .map_or(number.len().min(3), |(length, _)| length);
        let what = (class_at.and_then(|place| self.class_names.get(place)))
            .or(country_at.and_then(|place| self.country_names.get(place)));
        let digits = String::from_utf8_lossy(&number[..shown.min(number.len())]).into_owned();
        let label = what.map_or(format!("+{digits}"), |what| format!("+{digits} ({what})"));
        Goal {
            country: country_at,
            bits,
            listed: bits & ALLOWED > 0,
            abroad: !home,
            label,
            number,
        }
    }

    /// Codes such as +1 are shared by countries: one is home where it is the country of the bare code.
    fn is_home(&self, number: &[u8], country: Option<(usize, u32)>) -> bool {
        let own = self.countries.find(&self.plan.country);
        match (own, country) {
            (Some((_, own)), Some((_, other))) => own == other,
            _ => number.starts_with(&self.plan.country),
        }
    }

    /// What speaks against a request that starts a call, once it is counted. Costs nothing where no number is dialled.
    pub fn judge(&self, seen: &Seen<'_>, source: &Source, now: u64, counters: &impl Counters) -> Option<Objection> {
        let dialled = numbering::dialled(seen.message.uri.of(seen.message.raw))?;
        let entry = self.entry(seen, source)?;
        let call_id = dialog::call_id(&seen.message)?;
        let call = SECRET.identity(&[b"dialled", call_id]);
        let mut count = Count {
            entry,
            call,
            now,
            counters,
            objection: None,
        };
        let own = payer(entry, &[b"source", source.cell().as_bytes()]);
        let digits = dialled.digits();
        if entry.spellings_per_hour > 0 && digits.len() >= TAIL {
            let tail = &digits[digits.len() - TAIL..];
            let cell = payer(entry, &[b"tail", tail, &own.to_be_bytes()]);
            let value = SECRET.identity(&[digits]);
            count.different(
                SPELLINGS,
                cell,
                value,
                entry.spellings_per_hour,
                "ways of dialling one number",
            );
        }
        let Some(number) = self.plan.resolve(&dialled) else {
            return count.objection;
        };
        let goal = self.goal(entry, number);
        let costs = goal.bits & EXPENSIVE > 0;
        let off = entry.off_hours.as_ref().filter(|off| off.holds(counters.wall(now)));
        if goal.bits & FORBIDDEN > 0 {
            return Some(count.refused(0, format!("{} is forbidden", goal.label)));
        }
        if entry.exclusive && goal.abroad && !goal.listed {
            return Some(count.refused(1, format!("{} is not among what is allowed", goal.label)));
        }
        let refused = off.map_or(0, |off| off.refuse);
        if refused & EXPENSIVE > 0 && costs || refused & ABROAD > 0 && goal.abroad {
            return Some(count.refused(2, format!("{} is not called at this time", goal.label)));
        }
        let or = |other: Option<Rate>, rate: Rate| other.filter(|other| !other.is_none()).unwrap_or(rate);
        let expensive = or(off.map(|off| off.expensive), entry.expensive);
        let abroad = or(off.map(|off| off.abroad), entry.abroad);
        let whose = match entry.payer {
            Payer::Source => Some(own),
            // Claimed until the backend accepts it: it is only asked how it stands.
            Payer::Account => proof(seen).map(|user| payer(entry, &[b"account", user])),
            Payer::Domain => proof(seen).map(|_| payer(entry, &[b"domain", &host_of(seen)])),
        };
        let claimed = entry.payer != Payer::Source;
        for (measure, counts, rate) in [(CALLS_EXPENSIVE, costs, expensive), (CALLS_ABROAD, goal.abroad, abroad)] {
            if let (true, Some(whose)) = (counts, whose) {
                count.calls(measure, whose, rate, claimed, &goal.label);
            }
        }
        if goal.abroad {
            if let Some(country) = goal.country {
                count.different(COUNTRIES, own, country as u64, entry.countries_per_hour, "countries");
            }
        }
        let value = goal.number.iter().fold(0, |sum: u64, digit| {
            sum.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'))
        });
        if goal.abroad || costs {
            let cell = payer(entry, &[b"hundred", &(value / 100).to_be_bytes(), &own.to_be_bytes()]);
            count.different(
                BLOCK,
                cell,
                value,
                entry.block_per_hour,
                "numbers of one block of a hundred",
            );
        }
        let range = payer(entry, &[b"range", &(value / 100).to_be_bytes()]);
        let whose = whose.unwrap_or(own);
        if goal.abroad || costs {
            count.standing(SHORT, whose, entry.short_per_hour, "short calls");
        }
        if costs {
            count.standing(
                CALLERS,
                range,
                entry.callers_per_hour,
                "callers of one block of a hundred",
            );
        }
        let objection = count.objection;
        let watches_answers = claimed || entry.short_per_hour > 0 || entry.callers_per_hour > 0;
        if watches_answers && (goal.abroad || costs) {
            if let Some(transaction) = transaction(seen) {
                let seconds = if entry.short_per_hour > 0 {
                    entry.short_seconds.min(255) as u32
                } else {
                    0
                };
                let flags = 1
                    | u32::from(claimed) << 1
                    | u32::from(costs) << 2
                    | u32::from(goal.abroad) << 3
                    | u32::from(costs && entry.callers_per_hour > 0) << 4
                    | seconds << 8;
                counters.mark(fact(b"payer", transaction), whose, now);
                counters.mark(fact(b"flags", transaction), flags, now);
                counters.mark(fact(b"range", transaction), range, now);
            }
        }
        objection
    }

    /// A call was answered: what only the backend can say of it counts now. `dialog`: see `dialog_identity`.
    pub fn answered(&self, seen: &Seen<'_>, dialog: u64, now: u64, counters: &impl Counters) {
        let Some(transaction) = transaction(seen) else { return };
        let flags = counters.marked(fact(b"flags", transaction), now, RINGING);
        let whose = counters.marked(fact(b"payer", transaction), now, RINGING);
        if flags == 0 || whose == 0 {
            return;
        }
        let is = |bit: u32| flags >> bit & 1 == 1;
        for (measure, counts) in [(CALLS_EXPENSIVE, is(1) && is(2)), (CALLS_ABROAD, is(1) && is(3))] {
            if counts {
                minute(measure, whose).once(transaction, now, counters);
                hour(measure, whose).once(transaction, now, counters);
            }
        }
        let range = counters.marked(fact(b"range", transaction), now, RINGING);
        if is(4) && range != 0 {
            hour(CALLERS, range).once(whose.into(), now, counters);
        }
        if flags >> 8 > 0 && dialog != 0 {
            counters.mark(fact(b"talker", dialog), whose, now);
            counters.mark(fact(b"seconds", dialog), flags >> 8, now);
        }
    }

    /// A call ended: a short one counts.
    pub fn ended(&self, dialog: u64, now: u64, counters: &impl Counters) {
        let seconds = counters.marked(fact(b"seconds", dialog), now, 255);
        let whose = match seconds {
            0 => 0,
            seconds => counters.marked(fact(b"talker", dialog), now, seconds.into()),
        };
        if whose != 0 {
            hour(SHORT, whose).once(dialog, now, counters);
        }
    }
}

/// The user of the credentials, else of From.
fn account<'m>(seen: &'m Seen<'_>, from: &'m [u8]) -> &'m [u8] {
    proof(seen).unwrap_or_else(|| dialog::userinfo(from))
}

/// The user that the credentials name: what the backend will hold to be true or refuse.
fn proof<'m>(seen: &'m Seen<'_>) -> Option<&'m [u8]> {
    dialog::username(&seen.message)
}

fn host_of(seen: &Seen<'_>) -> Vec<u8> {
    let from = seen
        .message
        .get(names::FROM)
        .map_or(&b""[..], |header| dialog::address_uri(&header.value));
    dialog::host(from).to_ascii_lowercase()
}

fn transaction(seen: &Seen<'_>) -> Option<u64> {
    let (call_id, number) = dialog::transaction(&seen.message)?;
    Some(SECRET.identity(&[b"destination", call_id, number]))
}

fn fact(what: &[u8], of: u64) -> u64 {
    SECRET.identity(&[what, &of.to_be_bytes()])
}

/// What a counter of an entry is kept under; never 0.
fn payer(entry: &Entry, parts: &[&[u8]]) -> u32 {
    let all: Vec<&[u8]> = [entry.name.as_bytes()]
        .into_iter()
        .chain(parts.iter().copied())
        .collect();
    SECRET.identity(&all) as u32 | 1
}
