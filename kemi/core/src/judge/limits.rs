//! Counts what a source sends in a minute, and says when that is more than the policy allows.

use super::Scope;
use super::counters::{Counters, Name, WINDOW};
use crate::engine::Seen;
use crate::sip::dialog;
use crate::sources::Source;
use crate::state::region::SECRET;

/// The limits by name, as in the policy. The first four are rates of everyday requests.
pub const NAMES: [&str; 10] = [
    "invite",
    "register",
    "other",
    "dialog",
    "http",
    "targets",
    "auth_failures",
    "malformed",
    "findings",
    "source_ports",
];
pub const DIALOG: usize = 3;
const HTTP: usize = 4;
pub const TARGETS: usize = 5;
pub const AUTH_FAILURES: usize = 6;
const MALFORMED: usize = 7;
const FINDINGS: usize = 8;
const SOURCE_PORTS: usize = 9;

/// The rules that fire where a limit is passed, in the order of `NAMES`.
pub const RULES: [&str; 10] = [
    "limit-invite",
    "limit-register",
    "limit-other",
    "limit-dialog",
    "limit-http",
    "limit-targets",
    "limit-auth-failures",
    "limit-malformed",
    "limit-findings",
    "limit-source-ports",
];

/// Copies of one message that RFC 3261 17.1 lets a client send in 32 s (11: timers E and F at T1 = 500 ms, T2 = 4 s). More
/// than these are not retransmissions and count.
pub const RETRANSMISSIONS: u64 = 11;

/// Distinct values counted of one source, as a multiple of what it may have: more tell nothing new.
const DISTINCT: u64 = 4;

/// A limit made ready: up to `quiet` nothing needs a second look.
#[derive(Clone, Copy, Debug, Default)]
pub struct Row {
    /// 0: no such limit is kept.
    pub per_minute: u64,
    pub burst: u64,
    pub quiet: u64,
}

/// The limits of one network, in the order of `NAMES`.
pub type Profile = [Row; 10];

/// The policy's limits over shared counters. Holds no state of its own.
#[derive(Debug)]
pub struct Limits {
    pub enabled: bool,
    /// How many times a rate of requests must be passed for a ban; 0 never.
    pub ban_factor: u64,
    /// By `Source::network`; the last is for addresses in none.
    profiles: Vec<Profile>,
}

/// A limit that was passed: what was counted against what is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excess {
    /// Its place in `NAMES`.
    pub limit: usize,
    pub seen: u64,
    pub allowed: u64,
    /// It was passed by so much, or is of such a kind, that the source is shut out.
    pub ban: bool,
    /// What a rate of requests may be, the burst included; 0 where the factor of bans has no say.
    pub rate: u64,
    /// What the evidence can have come from.
    pub scope: Scope,
}

impl Excess {
    pub fn rule(&self) -> &'static str {
        RULES[self.limit]
    }

    /// The same with another factor of bans: how many times a rate must be passed; 0 never.
    pub fn by_factor(self, factor: u64) -> Excess {
        if self.rate == 0 {
            return self;
        }
        Excess {
            ban: factor > 0 && factor * self.rate < self.seen,
            ..self
        }
    }

    /// For the log.
    pub fn reason(&self) -> String {
        let name = NAMES[self.limit].replace('_', " ");
        format!("{} {name} in a minute, {} are allowed", self.seen, self.allowed)
    }
}

/// What was counted of one message: a limit's place in `NAMES`, and its count.
pub type Counts = Vec<(usize, u64)>;

impl Limits {
    /// `profiles` by network, the last for addresses in none: how many a minute, and how many more once in a while.
    pub fn new(enabled: bool, ban_factor: u64, profiles: &[[(u64, u64); 10]]) -> Self {
        let profiles = profiles.iter().map(profile).collect();
        Self {
            enabled,
            ban_factor,
            profiles,
        }
    }

    fn row(&self, limit: usize, source: &Source) -> Row {
        let place = usize::try_from(source.network).unwrap_or(usize::MAX);
        let profile = self.profiles.get(place).or(self.profiles.last());
        profile.map_or(Row::default(), |profile| profile[limit])
    }

    /// What a source's counters stand at in the window of `now`, zeros left out; for operators.
    pub fn standing(source: &Source, now: u64, counters: &impl Counters) -> Counts {
        let window = now / WINDOW;
        let count = |limit: usize| (limit, counters.get(name(source, limit, window)));
        (0..NAMES.len()).map(count).filter(|&(_, count)| count > 0).collect()
    }

    /// Counts a request: its class and the count in this window (0: it does not count), and what was passed.
    ///
    /// CANCEL is never counted (RFC 3261 9.1: it must get through for a call to be taken back).
    pub fn request(
        &self,
        seen: &Seen<'_>,
        in_dialog: bool,
        source: &Source,
        now: u64,
        counters: &impl Counters,
    ) -> (usize, u64, Option<Excess>) {
        let message = &seen.message;
        let limit = match message.method {
            b"CANCEL" => return (0, 0, None),
            _ if in_dialog => DIALOG,
            b"INVITE" => 0,
            b"REGISTER" => 1,
            _ => 2,
        };
        let row = self.row(limit, source);
        if row.per_minute == 0 {
            return (limit, 0, None);
        }
        // The same bytes from another port or address are another message.
        let salt = SECRET.identity(&[&source.port.to_be_bytes(), source.key().as_bytes()]);
        let copies = counters.copies(SECRET.identity(&[message.raw]) ^ salt, now);
        if 1 < copies && copies <= RETRANSMISSIONS {
            return (limit, 0, None);
        }
        let count = counters.add(name(source, limit, now / WINDOW), 1);
        if 0 <= count && count.unsigned_abs() <= row.quiet {
            return (limit, count.unsigned_abs(), None);
        }
        let mut excess = self.judge(limit, row, count, source, now, counters);
        // Only a source that is not quiet any more is asked whom it calls, so that the ordinary request costs one counter.
        if limit != DIALOG && count > 0 {
            let target = dialog::target(message);
            if !target.is_empty() {
                let mark = SECRET.identity(&[target]) & 0xFFFF_FFFF;
                let found = self.distinct(TARGETS, mark, source, now, counters);
                excess = found.and_then(|(_, excess)| excess).or(excess);
            }
        }
        (limit, count.unsigned_abs(), excess)
    }

    /// Counts an HTTP request.
    pub fn http(&self, source: &Source, now: u64, counters: &impl Counters, counts: &mut Counts) -> Option<Excess> {
        if self.row(HTTP, source).per_minute == 0 {
            return None;
        }
        let (count, excess) = self.add(HTTP, 1, source, now, counters);
        counts.push((HTTP, count));
        excess
    }

    /// Counts a message that tells against its source: malformed, hostile by `weight`, or an INVITE that failed.
    ///
    /// Ports count only here: twelve phones behind one address use twelve ports, but do not send garbage from them.
    pub fn suspicious(
        &self,
        source: &Source,
        now: u64,
        counters: &impl Counters,
        malformed: bool,
        weight: u64,
        counts: &mut Counts,
    ) -> Option<Excess> {
        let mut found = None;
        for (limit, amount) in [(MALFORMED, u64::from(malformed)), (FINDINGS, weight)] {
            if amount > 0 && self.row(limit, source).per_minute > 0 {
                let (count, excess) = self.add(limit, amount, source, now, counters);
                counts.push((limit, count));
                found = excess.or(found);
            }
        }
        if let Some((count, excess)) = self.distinct(SOURCE_PORTS, source.port.into(), source, now, counters) {
            counts.push((SOURCE_PORTS, count));
            found = excess.or(found);
        }
        found
    }

    /// Counts credentials that the backend refused. `scope`: all where they answered a challenge that had gone to this very
    /// source, so nobody forged it. The kinds are counted apart: forged failures must not add up with a typing error.
    pub fn auth_failure(&self, source: &Source, scope: Scope, now: u64, counters: &impl Counters) -> Option<Excess> {
        if self.row(AUTH_FAILURES, source).per_minute == 0 {
            return None;
        }
        let source = source.with_cell(&format!("{}:{}", source.key(), scope.letter()));
        self.add(AUTH_FAILURES, 1, &source, now, counters).1
    }

    fn add(
        &self,
        limit: usize,
        amount: u64,
        source: &Source,
        now: u64,
        counters: &impl Counters,
    ) -> (u64, Option<Excess>) {
        let count = counters.add(name(source, limit, now / WINDOW), amount);
        let excess = self.judge(limit, self.row(limit, source), count, source, now, counters);
        (count.unsigned_abs(), excess)
    }

    /// Whether a count is too much, seen over the last 60 seconds and not only since the window's border.
    ///
    /// What the window before held counts by the share of it that lies within these 60 seconds. The burst is there for who kept
    /// to the limit in the minute before. A negative count is that of many sources together: it may refuse, but tells against
    /// none of them.
    fn judge(
        &self,
        limit: usize,
        row: Row,
        count: i64,
        source: &Source,
        now: u64,
        counters: &impl Counters,
    ) -> Option<Excess> {
        let (seen, together) = (count.unsigned_abs(), count < 0);
        let (window, elapsed) = (now / WINDOW, now % WINDOW);
        let before = if together {
            0
        } else {
            counters.get(name(source, limit, window).before())
        };
        // The running second is in `seen`, so what is left of the window before is counted from its end.
        let estimate = seen + before * (WINDOW - 1 - elapsed) / WINDOW;
        let allowed = row.per_minute + if before <= row.per_minute { row.burst } else { 0 };
        if estimate <= allowed {
            return None;
        }
        // Too many calls are refused; who goes on and on is shut out.
        let far = limit > TARGETS || self.ban_factor > 0 && self.ban_factor * (row.per_minute + row.burst) < estimate;
        Some(Excess {
            limit,
            seen: estimate,
            allowed,
            // Any web page makes its visitors' browsers send HTTP: it tells nothing about the phones beside them.
            ban: !together && far && limit != HTTP,
            rate: if together || limit > TARGETS || limit == HTTP {
                0
            } else {
                row.per_minute + row.burst
            },
            scope: Scope::of(source),
        })
    }

    /// Counts a value that was not seen in this window; `None` where it was, or enough were.
    fn distinct(
        &self,
        limit: usize,
        value: u64,
        source: &Source,
        now: u64,
        counters: &impl Counters,
    ) -> Option<(u64, Option<Excess>)> {
        let row = self.row(limit, source);
        if row.per_minute == 0 {
            return None;
        }
        let total = name(source, limit, now / WINDOW);
        if counters.get(total) >= DISTINCT * (row.per_minute + row.burst) {
            return None;
        }
        if counters.add(
            Name {
                value: Some(value),
                ..total
            },
            1,
        ) != 1
        {
            return None;
        }
        let count = counters.add(total, 1);
        Some((
            count.unsigned_abs(),
            self.judge(limit, row, count, source, now, counters),
        ))
    }
}

/// Refused credentials of a source in the window of `now`, those counted most, whatever they can have come from.
pub fn auth_failures(source: &Source, now: u64, counters: &impl Counters) -> u64 {
    let of = |scope: Scope| {
        let cell = format!("{}:{}", source.key(), scope.letter());
        counters.get(Name {
            cell: &cell,
            limit: NAMES[AUTH_FAILURES],
            value: None,
            window: now / WINDOW,
        })
    };
    [Scope::All, Scope::Datagrams, Scope::WebSockets]
        .map(of)
        .into_iter()
        .max()
        .unwrap_or(0)
}

/// Different numbers and users that a source asked for in the window of `now`.
pub fn targets(source: &Source, now: u64, counters: &impl Counters) -> u64 {
    counters.get(name(source, TARGETS, now / WINDOW))
}

fn name(source: &Source, limit: usize, window: u64) -> Name<'_> {
    Name {
        cell: source.cell(),
        limit: NAMES[limit],
        value: None,
        window,
    }
}

/// Half of a limit can't be too much, whatever the window before held within reason; and whom a source calls is of no interest
/// before it made a quarter of the calls that would be too many.
fn profile(limits: &[(u64, u64); 10]) -> Profile {
    let targets = limits[TARGETS].0;
    let mut place = 0;
    limits.map(|(per_minute, burst)| {
        let mut quiet = per_minute / 2;
        if targets > 0 && place < DIALOG {
            quiet = quiet.min(targets / 4);
        }
        place += 1;
        Row {
            per_minute,
            burst,
            quiet,
        }
    })
}
