//! Accounts for each decision of one process once: by its own record, or by a count in a summary record.

use std::cell::RefCell;
use std::collections::HashMap;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::detect::Finding;
use crate::judge::limits::{Counts, NAMES};
use crate::judge::pressure::Step;
use crate::judge::{Ban, Verdict, unproven};
use crate::python::journal::Journal;
use crate::python::memory::Memory;
use crate::python::record::Recorder;
use crate::python::words::Words;
use crate::record;
use crate::record::throttle::Throttle;
use crate::sip::Message;
use crate::sources::Source;
use crate::state::clock;
use crate::state::region::SECRET;
use crate::state::tallies;

/// What becomes of a message on which the guard itself failed.
pub const ERROR: &str = "error";

/// Where this process counts on the scoreboard; places are those in its row.
struct Board {
    words: Py<Words>,
    row: usize,
    methods: Vec<String>,
    actions: Vec<String>,
    transports: Vec<String>,
    /// Where the cells of records begin: by method, action, transport; the last of each takes what is not listed.
    messages: usize,
    families: HashMap<String, usize>,
    /// Records written, records lost, messages that passed here.
    written: usize,
    lost: usize,
    /// The step of shedding that holds, as the second and two bits; messages that were folded, and behind them those that
    /// were not even answered, and
    /// those that were not looked at.
    step: usize,
    folded: usize,
    short: usize,
}

/// What is put on record of one message.
pub struct Entry<'e, 'a> {
    /// Seconds since the epoch.
    pub now: f64,
    /// Seconds of the clock that it was decided by.
    pub steady: u64,
    pub source: &'e Source,
    /// A verdict's name, or `ERROR`.
    pub action: &'e str,
    pub enforced: bool,
    pub reason: &'e [u8],
    pub status: u16,
    pub counts: &'e Counts,
    pub ban: Option<&'e Ban>,
    pub findings: &'e [Finding<'a>],
    pub message: &'e Message<'a>,
}

/// What this process writes down.
pub struct Account {
    recorder: Py<Recorder>,
    journal: Py<Journal>,
    memory: Py<Memory>,
    /// The number of this process's last record, which Python's own records share.
    sequence: Py<Words>,
    board: Board,
    /// How this process's records are named, before their number.
    prefix: String,
    throttle: RefCell<Throttle>,
    /// Bytes of the log beyond which messages are only counted until it is rotated; 0: no bound.
    max_bytes: u64,
    line: RefCell<Vec<u8>>,
    /// (error): counts and logs a failure that changes nothing for the message.
    failed: Py<PyAny>,
}

impl Account {
    /// `plan` as for `Guard`.
    pub fn new(plan: &Bound<'_, PyDict>) -> PyResult<Self> {
        let of = |name: &str| {
            plan.get_item(name)?
                .ok_or_else(|| PyValueError::new_err(format!("{name}: not in the plan")))
        };
        let row: usize = of("row")?.extract()?;
        let families: usize = of("families_at")?.extract()?;
        let names: Vec<String> = of("families")?.extract()?;
        let board = Board {
            words: of("board")?.cast::<Words>()?.clone().unbind(),
            row,
            methods: of("methods")?.extract()?,
            actions: of("actions")?.extract()?,
            transports: of("transports")?.extract()?,
            messages: of("messages_at")?.extract()?,
            families: names.into_iter().zip(families..).collect(),
            written: of("written")?.extract()?,
            lost: of("lost")?.extract()?,
            step: of("step")?.extract()?,
            folded: of("folded")?.extract()?,
            short: of("short")?.extract()?,
        };
        if board.methods.is_empty() || board.actions.is_empty() || board.transports.is_empty() {
            return Err(PyValueError::new_err(
                "methods, actions and transports have at least one entry each",
            ));
        }
        Ok(Self {
            recorder: of("recorder")?.cast::<Recorder>()?.clone().unbind(),
            journal: of("journal")?.cast::<Journal>()?.clone().unbind(),
            memory: of("memory")?.cast::<Memory>()?.clone().unbind(),
            sequence: of("sequence")?.cast::<Words>()?.clone().unbind(),
            board,
            prefix: of("prefix")?.extract()?,
            throttle: RefCell::new(Throttle::new(
                of("spent")?.cast::<Words>()?.get().0.clone(),
                of("budget")?.extract()?,
            )),
            max_bytes: of("max_bytes")?.extract()?,
            line: RefCell::new(Vec::with_capacity(4096)),
            failed: of("failed")?.unbind(),
        })
    }

    /// Counts a message that passed.
    pub fn passed(&self) {
        self.board.words.get().bump(self.board.row + self.board.short, 1);
    }

    /// Puts a decision on record; where like ones flood the log, it is only counted.
    pub fn decision(&self, py: Python<'_>, entry: &Entry<'_, '_>) {
        self.families(entry);
        let rule = entry.findings.first().map_or("", |finding| finding.rule);
        if is_odd(entry) {
            let method = self.board.method(entry.message.method) as u64;
            let kind = SECRET.identity(&[&method.to_le_bytes(), entry.action.as_bytes(), rule.as_bytes()]);
            if !self.throttle.borrow_mut().writes(kind, entry.now as u64) {
                return self.tally(py, entry, rule);
            }
        }
        self.write(py, entry, rule);
    }

    /// Counts a decision on which less is done, for want of time, and that this is so.
    pub fn shed(&self, py: Python<'_>, entry: &Entry<'_, '_>, step: Step) {
        self.board.shed(step, clock::steady() as u64);
        self.families(entry);
        let rule = match step {
            Step::Unproven => unproven::RULE,
            _ => entry.findings.first().map_or("", |finding| finding.rule),
        };
        self.tally(py, entry, rule);
    }

    /// Counts a decision that gets no record of its own.
    pub fn count(&self, py: Python<'_>, entry: &Entry<'_, '_>) {
        self.tally(py, entry, "");
    }

    fn families(&self, entry: &Entry<'_, '_>) {
        for (place, finding) in entry.findings.iter().enumerate() {
            let families = entry.findings[..place].iter().map(|known| known.family);
            if !families.into_iter().any(|known| known == finding.family) {
                self.board.found(finding.family);
            }
        }
    }

    fn write(&self, py: Python<'_>, entry: &Entry<'_, '_>, rule: &str) {
        let (Ok(mut recorder), Ok(mut journal)) = (self.recorder.try_borrow_mut(py), self.journal.try_borrow_mut(py))
        else {
            return self.tally(py, entry, rule);
        };
        if self.max_bytes > 0 && journal.inner.holds(self.max_bytes, entry.now) {
            drop((recorder, journal));
            return self.tally(py, entry, rule);
        }
        let sequence = self.sequence.get();
        sequence.bump(0, 1);
        let mut line = self.line.borrow_mut();
        line.clear();
        let counts: Vec<(&str, u64)> = entry
            .counts
            .iter()
            .map(|&(limit, count)| (NAMES[limit], count))
            .collect();
        let findings: Vec<record::Finding<'_>> = entry.findings.iter().map(Into::into).collect();
        recorder.inner.decision(
            &mut line,
            &record::Decision {
                now: entry.now,
                steady: Some(entry.steady),
                ip: entry.source.ip(),
                port: entry.source.port,
                place: entry.source.place(),
                transport: entry.source.transport(),
                action: entry.action,
                id: &self.prefix,
                number: Some(sequence.read(0)),
                reason: entry.reason,
                status: entry.status,
                enforced: entry.enforced,
                counters: &counts,
                ban: entry.ban.map(|ban| record::Ban {
                    source: &ban.key,
                    seconds: ban.seconds,
                    rule: ban.rule,
                }),
                findings: &findings,
                message: entry.message,
            },
        );
        let written = journal.write(&line, entry.now);
        self.board.journal(journal.inner.written, journal.inner.lost);
        if written {
            if is_odd(entry) {
                self.throttle.borrow_mut().spend(line.len(), entry.now as u64);
            }
            self.board
                .record(entry.message.method, entry.action, entry.source.transport());
        } else {
            drop((recorder, journal));
            // What has no record becomes a count, and the count is written when writing works again.
            self.tally(py, entry, rule);
        }
    }

    fn tally(&self, py: Python<'_>, entry: &Entry<'_, '_>, rule: &str) {
        let method = entry.message.method;
        let key = tallies::Key {
            ip: entry.source.ip().as_bytes(),
            method,
            verdict: entry.action.as_bytes(),
            transport: entry.source.transport().as_bytes(),
            rule: rule.as_bytes(),
        };
        let memory = self.memory.get();
        let counted = match memory.ledger.try_borrow_mut(py) {
            Ok(mut ledger) => match ledger.writer.as_mut() {
                Some(writer) => {
                    writer.tally(key, entry.now);
                    Ok(())
                }
                None => Err(PyValueError::new_err("no worker is attached")),
            },
            Err(error) => Err(error.into()),
        };
        if let Err(error) = counted {
            self.report::<()>(py, Err(error));
        }
    }

    /// Tells of a failure that changes nothing for the message.
    pub fn report<T>(&self, py: Python<'_>, result: PyResult<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                let _ = self.failed.call1(py, (error.into_value(py),));
                // What could not even be told must not be taken for an exception of the host's next call.
                PyErr::take(py);
                None
            }
        }
    }
}

impl Board {
    fn method(&self, method: &[u8]) -> usize {
        let known = self.methods.iter().position(|name| name.as_bytes() == method);
        known.unwrap_or(self.methods.len() - 1)
    }

    fn record(&self, method: &[u8], action: &str, transport: &str) {
        let place = |names: &[String], name: &str| {
            let known = names.iter().position(|known| known == name);
            known.unwrap_or(names.len() - 1)
        };
        let row = self.method(method) * self.actions.len() + place(&self.actions, action);
        let cell = self.messages + row * self.transports.len() + place(&self.transports, transport);
        self.words.get().bump(self.row + cell, 1);
    }

    /// The step that holds, with its second, and one more message that it took something from.
    fn shed(&self, step: Step, second: u64) {
        let words = self.words.get();
        words.put(self.row + self.step, second << 2 | step as u64);
        let place = match step {
            Step::Full | Step::Folded => 0,
            Step::Silent => 1,
            Step::Unproven => 2,
        };
        words.bump(self.row + self.folded + place, 1);
    }

    fn found(&self, family: &str) {
        if let Some(place) = self.families.get(family).or(self.families.get("other")) {
            self.words.get().bump(self.row + place, 1);
        }
    }

    fn journal(&self, written: u64, lost: u64) {
        let words = self.words.get();
        words.put(self.row + self.written, written);
        words.put(self.row + self.lost, lost);
    }
}

/// Whether a stranger can cause such records at will: those of ordinary messages are the policy's to ask for.
fn is_odd(entry: &Entry<'_, '_>) -> bool {
    entry.action != Verdict::Allow.name() || !entry.findings.is_empty()
}
