//! Decides on recorded messages as a server would have that ran one policy: by a running server's tables, at the recorded time.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::replay::{TOGETHER, look, shared_out};
use super::{Batch, Known};
use crate::detect::{Finding, Scratch};
use crate::engine::Seen;
use crate::judge::counters::{Counters, Name, Shared, WINDOW};
use crate::judge::limits::{self, Counts};
use crate::judge::offences::Offences;
use crate::judge::tally::HOUR;
use crate::judge::{Ban, Judge, Scope, Verdict};
use crate::sip::{self, Defect, Kind, dialog};
use crate::sources::Source;
use crate::state::marks::Marks;
use crate::state::memory::Memory;
use crate::state::region::SECRET;
use crate::structure;

/// Senders known at a time.
const MOST_SENDERS: usize = 65_536;

/// Windows after which places are freed whose window is long over: the tables tell 4,096 windows apart.
const SWEEP: u64 = 512;

/// Challenges and credentials remembered, 32 MiB: a server's table is smaller, and loses one of some 10,000 to another by a
/// chance that is new with each start; two runs over one recording are to say the same.
const MARKS: usize = 1 << 21;

/// What a record tells of its message besides the message itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told {
    /// The message is all there; else its bytes stand for it, and its findings are those that were recorded.
    pub whole: bool,
    /// The server's parser refused it.
    pub refused: bool,
    /// Whether it counted: a retransmission does not.
    pub counted: Option<bool>,
    /// Whether it belonged to a dialog that the guard had seen answered.
    pub in_dialog: Option<bool>,
    /// It is on record though its source was banned: another worker had it in hand.
    pub past: bool,
    /// An INVITE of which is not known whether it has a body.
    pub bodiless_unknown: bool,
}

/// One recorded message.
pub struct Entry<'a> {
    /// Seconds of the guard's steady clock.
    pub now: u64,
    /// Seconds since the epoch.
    pub wall: u64,
    pub ip: &'a str,
    pub port: u16,
    pub transport: &'a str,
    pub raw: &'a [u8],
    pub told: Told,
    /// Those of the record; of a whole message what is found counts instead.
    pub findings: Vec<Finding<'a>>,
}

/// What would have become of a message.
pub struct Outcome {
    /// It would have been dropped unread, because of a ban.
    pub shut_out: bool,
    pub verdict: Verdict,
    pub enforced: bool,
    pub trusted: bool,
    pub rules: Vec<String>,
    pub field: String,
    pub reason: String,
    pub counts: Counts,
    pub ban: Option<Ban>,
    /// Of an answer: whose request it was, where that was counted as a failure.
    pub requester: String,
    pub kind: Kind,
    /// Of an answer: the CSeq's.
    pub method: String,
    /// Of an answer, else 0.
    pub status: u16,
    /// What a request and its answers have in common; 0 where it can't be told.
    pub transaction: u64,
}

/// A running server's counters, where the record does not know better.
struct Recorded<'a, C: Counters> {
    shared: &'a C,
    told: Told,
}

impl<C: Counters> Counters for Recorded<'_, C> {
    fn add(&self, name: Name<'_>, amount: u64) -> i64 {
        self.shared.add(name, amount)
    }

    fn get(&self, name: Name<'_>) -> u64 {
        self.shared.get(name)
    }

    fn add_hour(&self, name: Name<'_>, amount: u64) -> i64 {
        self.shared.add_hour(name, amount)
    }

    fn get_hour(&self, name: Name<'_>) -> u64 {
        self.shared.get_hour(name)
    }

    fn wall(&self, now: u64) -> u64 {
        self.shared.wall(now)
    }

    fn offence(&self, key: &str, scope: Scope) -> u64 {
        self.shared.offence(key, scope)
    }

    fn mark(&self, identity: u64, value: u32, now: u64) {
        self.shared.mark(identity, value, now);
    }

    fn marked(&self, identity: u64, now: u64, life: u64) -> u32 {
        self.shared.marked(identity, now, life)
    }

    fn copies(&self, identity: u64, now: u64) -> u64 {
        let copies = self.shared.copies(identity, now);
        match self.told.counted {
            Some(true) => 1,
            Some(false) => 2,
            None => copies,
        }
    }

    fn remember_dialog(&self, identity: u64, now: u64) {
        self.shared.remember_dialog(identity, now);
    }

    fn knows_dialog(&self, identity: u64, now: u64) -> bool {
        self.told
            .in_dialog
            .unwrap_or_else(|| self.shared.knows_dialog(identity, now))
    }

    fn earn(&self, key: &str, proof: &'static str, now: u64) {
        self.shared.earn(key, proof, now);
    }

    fn has_earned(&self, key: &str, now: u64) -> bool {
        self.shared.has_earned(key, now)
    }

    fn disgraced(&self, key: &str, why: &str) {
        self.shared.disgraced(key, why);
    }
}

/// One policy over a recording.
pub struct Trial {
    judge: Arc<Judge>,
    tables: Memory,
    offences: RefCell<Offences>,
    senders: HashMap<String, Source>,
    swept: u64,
    threads: usize,
}

impl Trial {
    /// `capacity`: `limits.capacity` of the policy. `threads` look at messages, at least one. Errors are the operating system's.
    pub fn new(judge: Arc<Judge>, capacity: usize, most_bans: usize, forget: u64, threads: usize) -> io::Result<Self> {
        let mut tables = Memory::new(capacity, None, 1, 10, Duration::ZERO)?;
        tables.marks = Arc::new(Marks::new(MARKS)?);
        Ok(Self {
            judge,
            tables,
            offences: RefCell::new(Offences::new(most_bans, forget)),
            senders: HashMap::new(),
            swept: 0,
            threads: threads.clamp(1, 64),
        })
    }

    /// Decides on these messages, in their order. `never` says of a key that it must not be banned.
    pub fn entries<'e>(&mut self, entries: &[Entry<'e>], never: &dyn Fn(&str) -> bool) -> Vec<Outcome> {
        let judge = Arc::clone(&self.judge);
        let mut outcomes = Vec::with_capacity(entries.len());
        for entries in entries.chunks(TOGETHER) {
            let all = shared_out(entries, self.threads, |part| {
                let mut scratch = Scratch::default();
                let mut all = Vec::with_capacity(part.len());
                for entry in part {
                    all.push(seen(&judge, entry, &mut scratch));
                }
                all
            });
            for (entry, mut seen) in entries.iter().zip(all) {
                outcomes.push(self.one(entry, &mut seen, never));
            }
        }
        outcomes
    }

    /// Decides on what a reader found in a capture or a server's log, in its order.
    pub fn batch(&mut self, batch: &Batch, never: &dyn Fn(&str) -> bool) -> Vec<Outcome> {
        let judge = Arc::clone(&self.judge);
        let mut outcomes = Vec::with_capacity(batch.items.len());
        for items in batch.items.chunks(TOGETHER) {
            let all = shared_out(items, self.threads, |part| look(&judge.engine, batch, part));
            for (item, mut seen) in items.iter().zip(all) {
                let entry = Entry {
                    now: item.time as u64,
                    wall: item.time as u64,
                    ip: &item.ip,
                    port: item.port,
                    transport: item.transport,
                    raw: b"",
                    told: Told {
                        whole: true,
                        refused: item.refused,
                        bodiless_unknown: item.known != Known::Whole,
                        ..Told::default()
                    },
                    findings: Vec::new(),
                };
                outcomes.push(self.one(&entry, &mut seen, never));
            }
        }
        outcomes
    }

    fn one(&mut self, entry: &Entry<'_>, seen: &mut Seen<'_>, never: &dyn Fn(&str) -> bool) -> Outcome {
        let now = entry.now;
        let window = now / WINDOW;
        if window >= self.swept + SWEEP {
            self.tables.sweep(window, now / HOUR);
            self.swept = window;
        }
        let place = format!("{}|{}|{}", entry.transport, entry.port, entry.ip);
        if self.senders.len() >= MOST_SENDERS {
            self.senders.clear();
        }
        let networks = &self.judge.networks;
        let source =
            (self.senders.entry(place)).or_insert_with(|| networks.source(entry.ip, entry.port, entry.transport));
        if !entry.told.past && self.offences.borrow().hold(source, now) {
            return Outcome {
                shut_out: true,
                verdict: Verdict::Drop,
                trusted: source.trusted,
                ..about(seen)
            };
        }
        let spared =
            (entry.told.bodiless_unknown && seen.message.method == b"INVITE" && !structure::has_body(&seen.message))
                .then(|| source.spared());
        let judged = spared.as_ref().unwrap_or(source);
        let offences = &self.offences;
        let shared = Shared {
            tables: &self.tables,
            window,
            wall: entry.wall,
            now,
            terms: self.judge.policy.terms,
            told: |_: &str, _: &str, _: u64| {},
            offence: |key: &str, scope: Scope| {
                if never(key) {
                    return 0;
                }
                offences.borrow_mut().count(key, scope, now)
            },
        };
        let counters = Recorded {
            shared: &shared,
            told: entry.told,
        };
        // Answers are on record where the server had asked for them.
        let ours = || Some(true);
        let failed = seen.message.kind == Kind::Reply && seen.message.status >= 300;
        let requester = failed.then(|| dialog::requester(&seen.message)).flatten();
        let mut decision = self
            .judge
            .decide(seen, judged, now, &counters, &ours, entry.told.refused);
        if let Some(ban) = &decision.ban {
            offences.borrow_mut().impose(ban, now);
        }
        let mut failed = String::new();
        if let Some((ip, port)) = requester {
            let whose = networks.source(&ip, port, "udp");
            let count = limits::auth_failures(&whose, now, &shared);
            if count > 0 {
                decision.counts.push((limits::AUTH_FAILURES, count));
                failed = whose.ip().to_owned();
            }
        } else if seen.message.kind == Kind::Request {
            let count = limits::targets(source, now, &shared);
            if count > 0 {
                decision.counts.push((limits::TARGETS, count));
            }
        }
        Outcome {
            verdict: decision.verdict,
            enforced: decision.enforced,
            trusted: source.trusted,
            rules: decision
                .findings
                .iter()
                .map(|finding| finding.rule.to_owned())
                .collect(),
            field: (decision.findings.first()).map_or(String::new(), |finding| finding.field.to_string()),
            reason: decision.reason,
            counts: decision.counts,
            ban: decision.ban,
            requester: failed,
            ..about(seen)
        }
    }
}

/// What is told of a message before anything is decided on it.
fn about(seen: &Seen<'_>) -> Outcome {
    let message = &seen.message;
    let transaction = dialog::transaction(message).map_or(0, |(call_id, number)| {
        SECRET.identity(&[call_id, number, message.method]).max(1)
    });
    Outcome {
        shut_out: false,
        verdict: Verdict::Allow,
        enforced: true,
        trusted: false,
        rules: Vec::new(),
        field: String::new(),
        reason: String::new(),
        counts: Counts::new(),
        ban: None,
        requester: String::new(),
        kind: message.kind,
        method: String::from_utf8_lossy(message.method).into_owned(),
        status: message.status,
        transaction,
    }
}

/// What is seen of a message: all there is to see of a whole one, of another what its record tells.
fn seen<'a, 'e: 'a>(judge: &'a Judge, entry: &Entry<'e>, scratch: &mut Scratch) -> Seen<'a> {
    if entry.told.whole {
        return judge.engine.look(entry.raw, entry.told.refused, scratch);
    }
    let mut message = sip::parse(entry.raw);
    message.defects.clear();
    let findings = entry.findings.clone();
    // Of a defect it is asked which rule it broke, and nothing else.
    for check in structure::CHECKS {
        if findings.iter().any(|finding| finding.rule == check.id) {
            message.defects.push(Defect {
                rule: check.id,
                field: "".into(),
                reason: "".into(),
                excerpt: (&b""[..]).into(),
            });
        }
    }
    Seen {
        malformed: structure::is_malformed(&message),
        message,
        findings,
        more: Vec::new(),
    }
}
