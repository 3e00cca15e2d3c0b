//! Readers of recorded traffic, for Python.

use std::borrow::Cow;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::{PyBytes, PyString};

use crate::bulk::events::Events;
use crate::bulk::format::Format;
use crate::bulk::join::Open;
use crate::bulk::rebuilt::put;
use crate::bulk::xlog::{address, transport_of};
use crate::bulk::{Batch, Foreign, Known, Recorded, capture, lines, log, replay, trial};
use crate::detect::Finding;
use crate::judge::Ban;
use crate::judge::limits::NAMES;
use crate::python::events::{Columns, columns};
use crate::python::judge::Judge;
use crate::python::record::Recorder;
use crate::sip::{PartKind, Span};

/// See `Messages::list`.
type Item<'py> = (f64, String, u16, &'static str, Bound<'py, PyBytes>, bool);

type Origin = (String, u16, String);
type Words = (Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>);
type Told = (
    f64,
    Origin,
    Words,
    Vec<(String, Vec<u8>)>,
    Vec<u8>,
    u16,
    bool,
    Option<(String, Vec<u8>)>,
);
/// See `Replay::new`.
type Live = (String, Vec<String>, u64);

/// See `Replay::bans`.
type Sentence = (String, u64, &'static str, u64, &'static str, String);

/// Messages that a reader found, on their way to `Replay`.
#[pyclass(frozen, module = "sipsieve._core")]
pub struct Messages(pub Batch);

#[pymethods]
impl Messages {
    /// What other programs' logs tell of messages; see the stub for what each item holds.
    #[staticmethod]
    fn told(items: Vec<Told>) -> Self {
        let mut batch = Batch::default();
        for (time, (ip, port, transport), (method, uri, call_id, cseq), headers, message, answered, refused, foreign) in
            items
        {
            let mut open = Open {
                time,
                ip: address(ip.as_bytes()).unwrap_or_default(),
                port,
                transport: transport_of(&transport),
                method,
                cseq,
                call_id,
                uri,
                message,
                answered,
                refused,
                foreign: foreign.map(|(program, said)| Foreign {
                    program: if program == "suricata" { "suricata" } else { "fail2ban" },
                    said,
                }),
                ..Open::default()
            };
            for (name, value) in headers {
                open.header(name, value);
            }
            put(open, &mut batch);
        }
        Self(batch)
    }

    fn __len__(&self) -> usize {
        self.0.items.len()
    }

    /// Each as time, address ("" where nobody names it), port, transport, bytes, and whether these are all.
    fn list<'py>(&self, py: Python<'py>) -> Vec<Item<'py>> {
        let one = |item: &Recorded| {
            let raw = PyBytes::new(py, self.0.raw(item));
            (
                item.time,
                item.ip.clone(),
                item.port,
                item.transport,
                raw,
                item.known == Known::Whole,
            )
        };
        self.0.items.iter().map(one).collect()
    }
}

/// Reads a capture, fed in pieces.
#[pyclass(module = "sipsieve._core")]
#[derive(Default)]
pub struct Capture(capture::Capture);

#[pymethods]
impl Capture {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// The messages that are complete with this piece.
    fn feed(&mut self, py: Python<'_>, data: &[u8]) -> Messages {
        Messages(py.detach(|| self.0.feed(data)))
    }

    /// What is left at the end of the file.
    fn finish(&mut self) -> Messages {
        Messages(self.0.finish())
    }

    /// What could not be read since this was last asked: kind and number.
    fn skipped(&mut self) -> Vec<(&'static str, u64)> {
        self.0.skipped.take()
    }

    /// Packets read so far.
    #[getter]
    fn packets(&self) -> u64 {
        self.0.packets()
    }
}

/// Reads a server's log, fed in pieces.
#[pyclass(module = "sipsieve._core")]
pub struct Log {
    inner: log::Log,
}

#[pymethods]
impl Log {
    /// `newest`: when the log was last written; `first_year`: of its first line, where lines name none; `formats`: as
    /// `xlog` has them; `offset(seconds)`: of the log's zone from UTC, in seconds, at a time of that zone.
    #[new]
    fn new(newest: f64, first_year: i64, formats: Vec<String>, offset: Py<PyAny>) -> PyResult<Self> {
        let read = |text: &String| {
            Format::new(text).map_err(|error| PyValueError::new_err(format!("{text:?} is no format of xlog: {error}")))
        };
        let formats = formats.iter().map(read).collect::<PyResult<Vec<_>>>()?;
        let offset = move |time: i64| {
            // What can't be told is UTC.
            Python::attach(|py| offset.call1(py, (time,)).and_then(|offset| offset.extract(py))).unwrap_or(0)
        };
        Ok(Self {
            inner: log::Log::new(newest, first_year, formats, Box::new(offset)),
        })
    }

    /// The messages that are complete with this piece.
    fn feed(&mut self, py: Python<'_>, data: &[u8]) -> Messages {
        Messages(py.detach(|| self.inner.feed(data)))
    }

    /// What is left at the end of the file.
    fn finish(&mut self) -> Messages {
        Messages(self.inner.finish())
    }

    /// What could not be read since this was last asked: kind and number.
    fn skipped(&mut self) -> Vec<(&'static str, u64)> {
        self.inner.skipped.take()
    }

    /// Lines that were not understood since this was last asked, as many as are kept.
    fn unread<'py>(&mut self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        let lines = self.inner.unread.take();
        lines.iter().map(|line| PyBytes::new(py, line)).collect()
    }

    /// The first line that was not understood.
    #[getter]
    fn sample(&self) -> Option<String> {
        self.inner
            .unread
            .sample
            .as_ref()
            .map(|line| String::from_utf8_lossy(line).into_owned())
    }
}

/// How often the year changes in a log whose lines name none: fed in pieces, before it is read.
#[pyclass(module = "sipsieve._core")]
#[derive(Default)]
pub struct Years {
    inner: lines::Years,
    rest: Vec<u8>,
}

#[pymethods]
impl Years {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    fn feed(&mut self, data: &[u8]) {
        // A line's beginning is enough: what is cut between pieces is put together.
        self.rest.extend_from_slice(data);
        let rest = std::mem::take(&mut self.rest);
        let mut at = 0;
        for end in memchr::memchr_iter(b'\n', &rest) {
            self.inner.see_line(rest.get(at..end).unwrap_or_default());
            at = end + 1;
        }
        self.rest = rest.get(at..).unwrap_or_default().to_vec();
        self.rest.truncate(4096);
    }

    /// How many years the last line is behind the first, and its month (1 to 12; 0: no line without a year).
    fn found(&self) -> (i64, u8) {
        (self.inner.turns, self.inner.month)
    }
}

/// Puts recorded messages through the engine.
#[pyclass(unsendable, module = "sipsieve._core")]
pub struct Replay {
    inner: replay::Replay,
    recorder: Py<Recorder>,
}

#[pymethods]
impl Replay {
    /// `threads` look at messages, at least one. `live`: where servers that run are followed, what ids begin with, the
    /// servers' addresses, and the seconds after which bans are forgotten.
    #[new]
    #[pyo3(signature = (judge, recorder, threads, live=None))]
    fn new(judge: &Bound<'_, Judge>, recorder: Py<Recorder>, threads: usize, live: Option<Live>) -> Self {
        let mut inner = replay::Replay::new(std::sync::Arc::clone(&judge.get().inner), threads);
        if let Some((identity, servers, forget)) = live {
            inner = inner.following(replay::Sensor {
                identity,
                servers: servers.into_iter().collect(),
                forget,
            });
        }
        Self { inner, recorder }
    }

    /// The bans that followed since this was last asked: key, seconds, rule, the how-manieth, scope, reason.
    fn bans(&mut self) -> Vec<Sentence> {
        let told = |ban: Ban| {
            let scope = ban.scope.letter();
            (ban.key, ban.seconds, ban.rule, ban.offences, scope, ban.reason)
        };
        self.inner.bans().into_iter().map(told).collect()
    }

    /// The records of these messages, in their order, as lines.
    fn records<'py>(&mut self, py: Python<'py>, messages: &Bound<'py, Messages>) -> Bound<'py, PyBytes> {
        let batch = &messages.get().0;
        // A record of a few header fields is twice as long as they are.
        let mut out = Vec::with_capacity(batch.bytes.len().saturating_mul(2) + batch.bytes.len() / 4);
        let mut recorder = self.recorder.borrow_mut(py);
        let (inner, recorder, lines) = (&mut self.inner, &mut recorder.inner, &mut out);
        py.detach(|| inner.records(batch, recorder, lines));
        PyBytes::new(py, &out)
    }

    /// The events of these messages, in their order, as `event_columns` gives them.
    fn columns<'py>(&mut self, py: Python<'py>, messages: &Bound<'py, Messages>, input: &str) -> Columns<'py> {
        let batch = &messages.get().0;
        let mut events = Events::new(input);
        events.reserve(batch.items.len());
        let mut recorder = self.recorder.borrow_mut(py);
        let (inner, recorder, sink) = (&mut self.inner, &mut recorder.inner, &mut events);
        py.detach(|| inner.records(batch, recorder, sink));
        columns(py, &events)
    }
}

/// A recorded finding: rule, family, score, field, excerpt, removable.
type Found = (PyBackedStr, PyBackedStr, u8, PyBackedStr, PyBackedBytes, bool);

/// A recorded message: seconds of the steady clock, seconds since the epoch, address, port, transport, bytes, what is told of it, findings.
type Record = (u64, u64, PyBackedStr, u16, PyBackedStr, PyBackedBytes, u32, Vec<Found>);

/// What is told of a message, as bits of its number.
const WHOLE: u32 = 1;
const REFUSED: u32 = 2;
const COUNTED: u32 = 4;
const NOT_COUNTED: u32 = 8;
const IN_DIALOG: u32 = 16;
const NO_DIALOG: u32 = 32;
const PAST: u32 = 64;

fn told(bits: u32) -> trial::Told {
    let either = |yes: u32, no: u32| (bits & (yes | no) != 0).then_some(bits & yes != 0);
    trial::Told {
        whole: bits & WHOLE != 0,
        refused: bits & REFUSED != 0,
        counted: either(COUNTED, NOT_COUNTED),
        in_dialog: either(IN_DIALOG, NO_DIALOG),
        past: bits & PAST != 0,
        bodiless_unknown: false,
    }
}

/// Verdict, enforced, shut out, trusted, rules, field, reason, counts by limit, ban (key, seconds, rule) or None, whose request
/// an answer refused; and in a tuple of its own: 0 a request, 1 a reply, 2 neither, method, status, transaction.
type Outcome = (
    &'static str,
    bool,
    bool,
    bool,
    Vec<String>,
    String,
    String,
    Vec<(&'static str, u64)>,
    Option<(String, u64, &'static str)>,
    String,
    (u8, String, u16, u64),
);

fn outcome(outcome: trial::Outcome) -> Outcome {
    (
        outcome.verdict.name(),
        outcome.enforced,
        outcome.shut_out,
        outcome.trusted,
        outcome.rules,
        outcome.field,
        outcome.reason,
        outcome
            .counts
            .iter()
            .map(|&(limit, count)| (NAMES[limit], count))
            .collect(),
        outcome.ban.map(|ban| (ban.key, ban.seconds, ban.rule)),
        outcome.requester,
        (outcome.kind as u8, outcome.method, outcome.status, outcome.transaction),
    )
}

/// One policy over a recording; see `bulk::trial`.
#[pyclass(unsendable, module = "sipsieve._core")]
pub struct Trial {
    inner: trial::Trial,
    never: Py<PyAny>,
}

impl Trial {
    fn run<T>(
        &mut self,
        py: Python<'_>,
        work: impl FnOnce(&mut trial::Trial, &dyn Fn(&str) -> bool) -> T,
    ) -> PyResult<T> {
        let failed = std::cell::RefCell::new(None);
        let never = &self.never;
        let asked = |key: &str| {
            let answer = never
                .call1(py, (PyString::new(py, key),))
                .and_then(|answer| answer.extract(py));
            answer.unwrap_or_else(|error| {
                failed.borrow_mut().get_or_insert(error);
                true
            })
        };
        let done = work(&mut self.inner, &asked);
        match failed.take() {
            Some(error) => Err(error),
            None => Ok(done),
        }
    }
}

#[pymethods]
impl Trial {
    /// `capacity`, `most_bans`, `forget`: `limits.capacity`, `bans.capacity`, `bans.forget_seconds` of the policy;
    /// `never(key)`: whether a key must not be banned; `threads` look at messages, at least one.
    #[new]
    fn new(
        judge: &Bound<'_, Judge>,
        never: Py<PyAny>,
        capacity: usize,
        most_bans: usize,
        forget: u64,
        threads: usize,
    ) -> PyResult<Self> {
        let judge = std::sync::Arc::clone(&judge.get().inner);
        Ok(Self {
            inner: trial::Trial::new(judge, capacity, most_bans, forget, threads)?,
            never,
        })
    }

    /// What would have become of these recorded messages, in their order.
    fn records(&mut self, py: Python<'_>, records: Vec<Record>) -> PyResult<Vec<Outcome>> {
        let entries: Vec<trial::Entry<'_>> = (records.iter())
            .map(|(now, wall, ip, port, transport, raw, bits, findings)| trial::Entry {
                now: *now,
                wall: *wall,
                ip,
                port: *port,
                transport,
                raw,
                told: told(*bits),
                findings: findings.iter().map(found).collect(),
            })
            .collect();
        let outcomes = self.run(py, |inner, never| inner.entries(&entries, never))?;
        Ok(outcomes.into_iter().map(outcome).collect())
    }

    /// What would have become of what a reader found, in its order.
    fn messages(&mut self, py: Python<'_>, messages: &Bound<'_, Messages>) -> PyResult<Vec<Outcome>> {
        let outcomes = self.run(py, |inner, never| inner.batch(&messages.get().0, never))?;
        Ok(outcomes.into_iter().map(outcome).collect())
    }
}

fn found((rule, family, score, field, excerpt, removable): &Found) -> Finding<'_> {
    Finding {
        rule,
        family,
        score: *score,
        field: Cow::Borrowed(field),
        reason: Cow::Borrowed("as recorded"),
        excerpt: Cow::Borrowed(excerpt),
        span: Span::default(),
        part: PartKind::Text,
        removable: *removable,
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Messages>()?;
    module.add_class::<Replay>()?;
    module.add_class::<Trial>()?;
    module.add_class::<Log>()?;
    module.add_class::<Years>()?;
    module.add_class::<Capture>()
}
