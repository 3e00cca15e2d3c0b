//! Puts recorded messages through the engine: looked at on all cores, judged in their order, written down as records.
//!
//! Nothing is carried out, and time is the recording's.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use super::events::Events;
use super::{Batch, Known, Recorded};
use crate::detect::{Finding, Scratch};
use crate::engine::{Engine, Seen};
use crate::judge::counters::{Counters, Name};
use crate::judge::limits::NAMES;
use crate::judge::offences::Offences;
use crate::judge::{Ban, Decision, Judge, Scope, Verdict};
use crate::record;
use crate::sip::Kind;
use crate::sources::Source;
use crate::structure;

/// What is kept of each kind; when there is more, what there is belongs to times long past.
const MOST: usize = 500_000;

/// Senders known at a time.
const MOST_SENDERS: usize = 16_384;

/// Messages looked at before they are judged: as many as keep all cores busy for some milliseconds.
pub(super) const TOGETHER: usize = 2048;

/// Seconds of a transaction's life (RFC 3261 17.1).
const TRANSACTION: u64 = 32;

/// What Kamailio's own limit found.
const PIKE: record::Finding<'static> = record::Finding {
    rule: "pike",
    family: "limits",
    score: 5,
    field: "source",
    reason: "pike: too many requests",
    excerpt: b"",
};

/// What sets a sensor, which follows servers that are live, apart from the reading of a recording.
#[derive(Debug)]
pub struct Sensor {
    /// What the ids of its records begin with.
    pub identity: String,
    /// The servers' own addresses: what they sent is theirs, and is not judged.
    pub servers: HashSet<String>,
    /// Seconds after which a source's earlier bans are forgotten.
    pub forget: u64,
}

/// Counters of this process alone: exact, bounded by forgetting everything. Nobody is shut out of a recording.
#[derive(Default)]
struct Memory(RefCell<Tables>);

#[derive(Default)]
struct Tables {
    counts: Table<u64>,
    copies: Table<(u64, u64)>,
    dialogs: HashSet<u64, Identities>,
    marks: Table<(u64, u32)>,
    /// When the message in hand was sent.
    now: u64,
    /// No bans are made without.
    offences: Option<Offences>,
}

/// By identities, which are hashes with a secret already: nobody chooses where they come to lie.
type Table<V> = HashMap<u64, V, Identities>;
type Identities = BuildHasherDefault<Identity>;

#[derive(Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, identity: u64) {
        self.0 = identity;
    }
}

fn bounded<V>(table: &mut Table<V>) -> &mut Table<V> {
    if table.len() >= MOST {
        table.clear();
    }
    table
}

impl Counters for Memory {
    fn add(&self, name: Name<'_>, amount: u64) -> i64 {
        let mut tables = self.0.borrow_mut();
        let count = bounded(&mut tables.counts).entry(name.identity()).or_insert(0);
        *count = count.saturating_add(amount);
        i64::try_from(*count).unwrap_or(i64::MAX)
    }

    fn get(&self, name: Name<'_>) -> u64 {
        self.0.borrow().counts.get(&name.identity()).copied().unwrap_or(0)
    }

    fn offence(&self, key: &str, scope: Scope) -> u64 {
        let mut tables = self.0.borrow_mut();
        let now = tables.now;
        (tables.offences.as_mut()).map_or(0, |offences| offences.count(key, scope, now))
    }

    fn mark(&self, identity: u64, value: u32, now: u64) {
        bounded(&mut self.0.borrow_mut().marks).insert(identity, (now, value));
    }

    fn marked(&self, identity: u64, now: u64, life: u64) -> u32 {
        let tables = self.0.borrow();
        let known = tables.marks.get(&identity);
        known
            .filter(|(since, _)| now.abs_diff(*since) <= life)
            .map_or(0, |known| known.1)
    }

    fn copies(&self, identity: u64, now: u64) -> u64 {
        let mut tables = self.0.borrow_mut();
        let known = bounded(&mut tables.copies).entry(identity).or_insert((now, 0));
        if now.abs_diff(known.0) > TRANSACTION {
            *known = (now, 0);
        }
        known.1 += 1;
        known.1
    }

    fn remember_dialog(&self, identity: u64, _now: u64) {
        let dialogs = &mut self.0.borrow_mut().dialogs;
        if dialogs.len() >= MOST {
            dialogs.clear();
        }
        dialogs.insert(identity);
    }

    fn knows_dialog(&self, identity: u64, _now: u64) -> bool {
        self.0.borrow().dialogs.contains(&identity)
    }

    // Trust is earned in a running server only.
    fn earn(&self, _key: &str, _proof: &'static str, _now: u64) {}

    fn has_earned(&self, _key: &str, _now: u64) -> bool {
        false
    }

    fn disgraced(&self, _key: &str, _why: &str) {}
}

/// Where decisions on recorded messages go.
pub trait Sink {
    /// `quoted`: the message was put together from what a log quotes of it.
    fn take(&mut self, recorder: &mut record::Recorder, decision: &record::Decision<'_>, quoted: bool);
}

/// Appends their records, as lines.
impl Sink for Vec<u8> {
    fn take(&mut self, recorder: &mut record::Recorder, decision: &record::Decision<'_>, quoted: bool) {
        if quoted {
            recorder.quoted(self, decision);
        } else {
            recorder.decision(self, decision);
        }
    }
}

/// Columns of events. Most records need not be written for them.
impl Sink for Events {
    fn take(&mut self, recorder: &mut record::Recorder, decision: &record::Decision<'_>, quoted: bool) {
        if let Some(plain) = recorder.plain(decision, quoted) {
            return Events::take(self, &plain);
        }
        let mut line = Vec::new();
        line.take(recorder, decision, quoted);
        self.read(&line);
    }
}

/// The engine over recordings.
pub struct Replay {
    judge: Arc<Judge>,
    memory: Memory,
    senders: HashMap<Vec<u8>, Source>,
    place: Vec<u8>,
    number: u64,
    threads: usize,
    sensor: Option<Sensor>,
    bans: Vec<Ban>,
}

impl Replay {
    /// `threads` look at messages, at least one.
    pub fn new(judge: Arc<Judge>, threads: usize) -> Self {
        Self {
            judge,
            memory: Memory::default(),
            senders: HashMap::new(),
            place: Vec::new(),
            number: 0,
            threads: threads.clamp(1, 64),
            sensor: None,
            bans: Vec::new(),
        }
    }

    /// The same for servers that are live: with bans, where the policy has any.
    #[must_use]
    pub fn following(mut self, sensor: Sensor) -> Self {
        // As many bans as are kept at all: who finds no room is recorded message by message.
        self.memory.0.borrow_mut().offences = Some(Offences::new(usize::MAX, sensor.forget));
        self.sensor = Some(sensor);
        self
    }

    /// The bans that followed from messages since this was last asked.
    pub fn bans(&mut self) -> Vec<Ban> {
        std::mem::take(&mut self.bans)
    }

    /// What was decided on these messages, in their order.
    pub fn records(&mut self, batch: &Batch, recorder: &mut record::Recorder, out: &mut impl Sink) {
        let judge = Arc::clone(&self.judge);
        for items in batch.items.chunks(TOGETHER) {
            let all = shared_out(items, self.threads, |part| look(&judge.engine, batch, part));
            for (item, mut seen) in items.iter().zip(all) {
                self.one(item, &mut seen, recorder, out);
            }
        }
    }

    fn one(&mut self, item: &Recorded, seen: &mut Seen<'_>, recorder: &mut record::Recorder, out: &mut impl Sink) {
        if (self.sensor.as_ref()).is_some_and(|sensor| sensor.servers.contains(&item.ip)) {
            return;
        }
        self.place.clear();
        self.place.extend_from_slice(&item.port.to_le_bytes());
        for text in [item.transport, "|", &item.ip] {
            self.place.extend_from_slice(text.as_bytes());
        }
        if !self.senders.contains_key(&self.place) {
            if self.senders.len() >= MOST_SENDERS {
                self.senders.clear();
            }
            let source = self.judge.networks.source(&item.ip, item.port, item.transport);
            self.senders.insert(self.place.clone(), source);
        }
        let Some(source) = self.senders.get(&self.place) else {
            return;
        };
        // Whether an INVITE has a body can't be told where its end was not captured: it counts for nothing.
        let unknown =
            item.known == Known::Cut && seen.message.method == b"INVITE" && !structure::has_body(&seen.message);
        let spared = unknown.then(|| source.spared());
        let judged = spared.as_ref().unwrap_or(source);
        // A capture is taken at the server, so its replies are answers to what it was sent. A stranger's reply, which may be
        // sent to have somebody banned, belongs to nobody knows what.
        let is_live = self.sensor.is_some();
        let ours = || (!is_live || judged.trusted).then_some(true);
        let now = item.time as u64;
        self.memory.0.borrow_mut().now = now;
        let decision = self.judge.decide(seen, judged, now, &self.memory, &ours, item.refused);
        self.number += 1;
        let identity = self.sensor.as_ref().map_or("replay-", |sensor| &sensor.identity);
        write_down(item, seen, source, &decision, (identity, self.number), recorder, out);
        if let Some(ban) = decision.ban {
            if let Some(offences) = &mut self.memory.0.borrow_mut().offences {
                offences.impose(&ban, now);
            }
            self.bans.push(ban);
        }
    }
}

/// What becomes of items, in their order, worked on by that many threads, at least one.
pub(super) fn shared_out<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    work: impl Fn(&[T]) -> Vec<R> + Sync,
) -> Vec<R> {
    let share = items.len().div_ceil(threads).max(64);
    std::thread::scope(|scope| {
        let mut parts = items.chunks(share);
        let first = parts.next().unwrap_or_default();
        let work = &work;
        let others: Vec<_> = parts.map(|part| scope.spawn(move || work(part))).collect();
        let mut all = work(first);
        for other in others {
            all.extend(other.join().unwrap_or_default());
        }
        all
    })
}

/// Looks at messages; what is not known of one tells nothing against it.
pub(super) fn look<'a>(engine: &'a Engine, batch: &'a Batch, items: &[Recorded]) -> Vec<Seen<'a>> {
    let mut scratch = Scratch::default();
    let one = |item: &Recorded| {
        let raw = batch.bytes.get(item.raw.clone()).unwrap_or_default();
        let mut seen = engine.look(raw, item.refused, &mut scratch);
        match item.known {
            Known::Whole => {}
            Known::Cut => {
                seen.findings.retain(|finding| finding.family != structure::FAMILY);
                seen.malformed = false;
            }
            Known::Quoted => seen.findings.retain(|finding| finding.rule != "header-missing"),
        }
        seen
    };
    items.iter().map(one).collect()
}

/// Writes a record as the guard would have, had it watched.
fn write_down(
    item: &Recorded,
    seen: &Seen<'_>,
    source: &Source,
    decision: &Decision<'_>,
    (identity, number): (&str, u64),
    recorder: &mut record::Recorder,
    out: &mut impl Sink,
) {
    // Of a message that is known in part, that it has no body is not known.
    let is_told = |finding: &&Finding<'_>| item.known == Known::Whole || finding.rule != "content-length-zero";
    let shown = |finding: &'_ Finding<'_>| is_told(&finding);
    let mut findings: Vec<record::Finding<'_>> = (decision.findings.iter().filter(|finding| shown(finding)))
        .map(Into::into)
        .collect();
    let mut verdict = decision.verdict;
    if item.known != Known::Whole && !item.refused && findings.is_empty() {
        verdict = Verdict::Allow;
    }
    if item.limited {
        findings.push(PIKE);
        verdict = Verdict::Drop;
    }
    if let Some(foreign) = &item.foreign {
        findings.push(record::Finding {
            rule: foreign.program,
            family: "foreign",
            score: 5,
            field: "source",
            reason: "said by another program",
            excerpt: &foreign.said,
        });
    }
    if item.refused && verdict == Verdict::Allow {
        verdict = Verdict::Drop;
    }
    let allowed = verdict == Verdict::Allow;
    let counts: Vec<(&str, u64)> = decision
        .counts
        .iter()
        .map(|&(limit, count)| (NAMES[limit], count))
        .collect();
    let told = record::Decision {
        now: item.time,
        steady: Some(item.time as u64),
        ip: source.ip(),
        port: item.port,
        place: source.place(),
        transport: item.transport,
        action: verdict.name(),
        id: identity,
        number: Some(number),
        reason: if allowed { b"" } else { decision.reason.as_bytes() },
        status: if allowed || seen.message.kind == Kind::Reply {
            0
        } else {
            decision.answer.status
        },
        // Nothing of ours was carried out; what the server itself refused was.
        enforced: item.refused || item.limited,
        counters: &counts,
        ban: decision.ban.as_ref().map(|ban| record::Ban {
            source: &ban.key,
            seconds: ban.seconds,
            rule: ban.rule,
        }),
        findings: &findings,
        message: &seen.message,
    };
    out.take(recorder, &told, item.known == Known::Quoted);
}
