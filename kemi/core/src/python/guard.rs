//! The way of each message inside Kamailio: read, looked at, judged, and handed on to be carried out.

use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use pyo3::exceptions::{PyRuntimeError, PyUnicodeDecodeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple};

use crate::detect::Scratch;
use crate::feeds::Listed;
use crate::judge::counters::{Shared, WINDOW};
use crate::judge::pressure::{Pressure, Step, Thresholds};
use crate::judge::{self, Answer, Verdict};
use crate::python::account::Account;
use crate::python::calls::{Calls, named};
use crate::python::enforcement::{Moment, Scrubbed, entry};
use crate::python::feeds::Feeds;
use crate::python::judge::Judge;
use crate::python::memory::Memory;
use crate::python::words::Words;
use crate::sip::Kind;
use crate::sources::Source;
use crate::state::clock;
use crate::state::region::SECRET;

/// What Kamailio's script is told: the host's routing goes on; the message ends here; new bytes are to be put in place.
pub(super) const PASS: i64 = 1;
pub(super) const STOP: i64 = 2;
pub(super) const REPLACE: i64 = 3;

/// Senders known at a time, some 170 bytes each: what a table of 4,096 places holds before it would double.
const MOST_SENDERS: usize = 3584;

/// One decision in 64 is timed: two looks at the clock cost more than the rest of the account.
const TIMED: u64 = 63;

#[derive(Default)]
pub(super) struct Work {
    scratch: Scratch,
    /// By `proto|address|port`.
    senders: HashMap<Box<str>, Source>,
    /// The lists that they were looked for on.
    lists: u64,
    pub scrubbed: Option<Scrubbed>,
    /// What the last odd message and its place are known by, and what became of it.
    last: (u64, i64),
    passed: u64,
    odd: u64,
    pressure: Pressure,
}

/// Decides on each message of one process, by one revision of policy and rules.
#[pyclass(unsendable, module = "sipsieve._core")]
pub struct Guard {
    pub(super) judge: Arc<judge::Judge>,
    memory: Py<Memory>,
    /// Lists from outside; `None` where the policy names none.
    pub(super) feeds: Option<Py<Feeds>>,
    pub(super) account: Account,
    pub(super) calls: Calls,
    /// ("$mb",)
    whole_message: Py<PyTuple>,
    /// The number of the newest revision, where all processes see it, and the one that this guard decides by.
    head: Py<Words>,
    number: u64,
    /// One in so many passed messages gets a record; 0 none.
    every: u64,
    /// From which share of its time on a process sheds work for strangers.
    shed: Thresholds,
    pub(super) work: RefCell<Work>,
}

#[pymethods]
impl Guard {
    /// `plan` holds by name what is described at the fields, at `Calls` and at `Account`.
    #[new]
    fn new(plan: &Bound<'_, PyDict>) -> PyResult<Self> {
        let py = plan.py();
        let of = |name: &str| named(plan, name);
        Ok(Self {
            judge: Arc::clone(&of("judge")?.cast::<Judge>()?.get().inner),
            memory: of("memory")?.cast::<Memory>()?.clone().unbind(),
            feeds: of("feeds")?.extract()?,
            account: Account::new(plan)?,
            calls: Calls::new(plan)?,
            whole_message: PyTuple::new(py, ["$mb"])?.unbind(),
            head: of("head")?.cast::<Words>()?.clone().unbind(),
            number: of("number")?.extract()?,
            every: of("every")?.extract()?,
            shed: Thresholds {
                fold: of("shed_fold")?.extract()?,
                silent: of("shed_silent")?.extract()?,
                unproven: of("shed_unproven")?.extract()?,
                strangers: of("shed_strangers")?.extract()?,
            },
            work: RefCell::default(),
        })
    }

    /// Decides on the message at hand: 1 where the host's routing goes on, 2 where the message ends here, 3 where new
    /// bytes are to be put in place. `where` is `proto|address|port`; read from Kamailio where empty.
    #[pyo3(signature = (msg=None, r#where=None))]
    fn message(&self, py: Python<'_>, msg: Option<&Bound<'_, PyAny>>, r#where: Option<&Bound<'_, PyString>>) -> i64 {
        let _ = msg;
        // What the host's last call left would make this one look as if it had failed.
        if PyErr::take(py).is_some() {
            let _ = self.calls.pending.call0(py);
        }
        self.guarded(py, || self.decide(py, r#where, false))
    }

    /// Asked where `message` gave no usable code: an exception that the host's last call left pending makes the
    /// interpreter report it as failed, though it had done its work.
    #[pyo3(signature = (msg=None, r#where=None))]
    fn again(&self, py: Python<'_>, msg: Option<&Bound<'_, PyAny>>, r#where: Option<&Bound<'_, PyString>>) -> i64 {
        let known = self.at_hand(py, r#where, |place, raw| Ok(SECRET.identity(&[place.as_bytes(), raw])));
        PyErr::take(py);
        match (known, self.work.try_borrow().map(|work| work.last)) {
            (Ok(known), Ok((last, code))) if known == last && code != 0 => code,
            _ => self.message(py, msg, r#where),
        }
    }

    /// Asked after sipsieve.cfg put scrubbed bytes in place: looks whether they are, and records.
    #[pyo3(signature = (msg=None, r#where=None))]
    fn replaced(&self, py: Python<'_>, msg: Option<&Bound<'_, PyAny>>, r#where: Option<&Bound<'_, PyString>>) -> i64 {
        let _ = msg;
        self.guarded(py, || {
            let missing = || PyRuntimeError::new_err("asked about a scrub that was not begun");
            let scrubbed = self.work.borrow_mut().scrubbed.take().ok_or_else(missing)?;
            let there = self.at_hand(py, r#where, |_, raw| Ok(raw == scrubbed.replacement));
            let code = self.settle(py, scrubbed, there.unwrap_or(false));
            self.work.borrow_mut().last.1 = code;
            Ok(code)
        })
    }

    /// Records a message that Kamailio's parser refused. Never answers: that would crash the server.
    #[pyo3(signature = (msg=None, r#where=None))]
    fn unparsable(&self, py: Python<'_>, msg: Option<&Bound<'_, PyAny>>, r#where: Option<&Bound<'_, PyString>>) -> i64 {
        let _ = msg;
        let decided = catch_unwind(AssertUnwindSafe(|| self.decide(py, r#where, true)));
        let decided = decided.unwrap_or_else(|_| Err(PyRuntimeError::new_err("a panic of the core")));
        if self.account.report(py, decided).is_none() {
            let place = r#where
                .and_then(|place| place.to_str().ok())
                .filter(|place| !place.is_empty());
            self.fail(
                py,
                place.unwrap_or("udp|0.0.0.0|0"),
                b"",
                true,
                0,
                "could not be looked at",
            );
        }
        PASS
    }

    /// Records a message on which the guard failed: `reason`, whether it passes, and the answer, 0 for none.
    fn fail(&self, py: Python<'_>, place: &str, raw: &[u8], passes: bool, status: u16, reason: &str) -> i64 {
        let recorded = catch_unwind(AssertUnwindSafe(|| {
            self.failed_on(py, place, &crate::sip::parse(raw), passes, status, reason)
        }));
        if !matches!(recorded, Ok(Ok(()))) {
            // It can't even be read: what it was is not on record, but that it was.
            let _ = self.failed_on(py, place, &crate::sip::parse(b""), passes, 0, reason);
        }
        if passes { PASS } else { STOP }
    }

    /// How many messages passed here, and how many were odd.
    fn counts(&self) -> (u64, u64) {
        self.work.try_borrow().map_or((0, 0), |work| (work.passed, work.odd))
    }
}

impl Guard {
    /// The code that `work` gives; what it fails with becomes what the policy says.
    fn guarded(&self, py: Python<'_>, work: impl FnOnce() -> PyResult<i64>) -> i64 {
        let error = match catch_unwind(AssertUnwindSafe(work)) {
            Ok(Ok(code)) => return code,
            Ok(Err(error)) => error,
            Err(_) => PyRuntimeError::new_err("a panic of the core"),
        };
        // `broken` never raises; if it could not even be called, nobody looked at the message.
        let code = self
            .calls
            .broken
            .call1(py, (error.into_value(py),))
            .and_then(|code| code.extract(py));
        PyErr::take(py);
        code.unwrap_or(STOP)
    }

    /// Reads the message at hand, and where it came from.
    fn at_hand<T>(
        &self,
        py: Python<'_>,
        place: Option<&Bound<'_, PyString>>,
        work: impl FnOnce(&str, &[u8]) -> PyResult<T>,
    ) -> PyResult<T> {
        let asked;
        let place = match place.map(|place| place.to_str()).transpose()? {
            Some(place) if !place.is_empty() => place,
            _ => {
                asked = self.asked(py)?;
                asked.as_str()
            }
        };
        match self.calls.get.bind(py).call1(self.whole_message.bind(py)) {
            Ok(text) => {
                let text = text.cast_into::<PyString>()?;
                work(place, text.to_str()?.as_bytes())
            }
            // A byte that is not UTF-8: the exception holds the message as received.
            Err(error) if error.is_instance_of::<PyUnicodeDecodeError>(py) => {
                let object = error.value(py).getattr("object")?.cast_into::<PyBytes>()?;
                work(place, object.as_bytes())
            }
            Err(error) => Err(error),
        }
    }

    /// `proto|address|port` of the message at hand.
    fn asked(&self, py: Python<'_>) -> PyResult<String> {
        let mut found = Vec::with_capacity(3);
        for name in ["$proto", "$si", "$sp"] {
            found.push(self.calls.get.bind(py).call1((name,))?.str()?.to_string());
        }
        Ok(found.join("|"))
    }

    fn decide(&self, py: Python<'_>, place: Option<&Bound<'_, PyString>>, unparsable: bool) -> PyResult<i64> {
        if self.head.get().read(0) != self.number {
            let other = self.calls.follow.call0(py)?;
            let other = other.bind(py).cast::<Self>()?.clone();
            if !std::ptr::eq(self, &*other.borrow()) {
                return other.borrow().decide_here(py, place, unparsable);
            }
        }
        self.decide_here(py, place, unparsable)
    }

    fn decide_here(&self, py: Python<'_>, place: Option<&Bound<'_, PyString>>, unparsable: bool) -> PyResult<i64> {
        // One whose new bytes sipsieve.cfg never asked about again has its record now.
        let left = self
            .work
            .try_borrow_mut()
            .ok()
            .and_then(|mut work| work.scrubbed.take());
        if let Some(scrubbed) = left {
            self.settle_record(py, &scrubbed, false, Answer::NONE);
        }
        let by_route = place.is_some_and(|place| !place.is_empty().unwrap_or(true));
        self.at_hand(py, place, |place, raw| self.look(py, place, raw, by_route, unparsable))
    }

    fn look(&self, py: Python<'_>, place: &str, raw: &[u8], by_route: bool, unparsable: bool) -> PyResult<i64> {
        let began = clock::wall();
        let now = clock::steady() as u64;
        let moment = Moment {
            wall: began,
            steady: now,
        };
        let mut work = self
            .work
            .try_borrow_mut()
            .map_err(|_| PyRuntimeError::new_err("a message within a message"))?;
        let Work {
            scratch,
            senders,
            lists,
            passed,
            odd,
            pressure,
            ..
        } = &mut *work;
        if let Some(feeds) = &self.feeds {
            let newest = feeds.get().table.generation();
            if *lists != newest {
                senders.clear();
                *lists = newest;
            }
        }
        let source = match senders.get(place) {
            Some(source) => source,
            None => {
                if senders.len() >= MOST_SENDERS {
                    senders.clear();
                }
                let mut source = self.meet(place)?;
                if let Some(listed) = self.listed(py, &source) {
                    source = source.with_listed(Some(listed));
                }
                if source.barred().is_some() && !self.is_stranger(py, &source) {
                    source = source.with_barred(None);
                }
                senders.entry(place.into()).or_insert(source)
            }
        };
        let tables = &self.memory.get().tables;
        let counters = Shared {
            tables,
            window: now / WINDOW,
            wall: began as u64,
            now,
            offence: |key: &str, scope: judge::Scope| self.offence(py, key, scope),
            terms: self.judge.policy.terms,
            told: |key: &str, what: &str, credit: u64| {
                let told = self.calls.standing.call1(py, (key, what, credit, began));
                self.account.report(py, told);
            },
        };
        // Asked before the look, which is what this step saves.
        if self.shed.strangers > 0 && !source.trusted && !self.judge.has_earned(source, now, &counters) {
            pressure.meet(now);
        }
        let may_turn_away = self.shed.unproven > 0 || self.shed.strangers > 0;
        if may_turn_away && !unparsable && pressure.step(now, self.shed) == Step::Unproven {
            let message = crate::sip::parse(raw);
            if let Some(decision) = self.judge.unproven(&message, source, now, &counters) {
                *odd += 1;
                let source = source.clone();
                drop(work);
                self.turn_away(py, decision, &message, &source, moment);
                if let Ok(mut work) = self.work.try_borrow_mut() {
                    work.last = (SECRET.identity(&[place.as_bytes(), raw]), STOP);
                    work.pressure.spend(now, clock::wall() - began);
                }
                return Ok(STOP);
            }
        }
        let mut seen = self.judge.engine.look(raw, unparsable, scratch);
        let in_transaction = || self.in_transaction(py);
        let mut decision = self
            .judge
            .decide(&mut seen, source, now, &counters, &in_transaction, unparsable);
        if decision.verdict == Verdict::Allow && decision.findings.is_empty() {
            if let Some(ban) = &decision.ban {
                self.impose(py, ban, began);
            }
            *passed += 1;
            let number = *passed;
            self.account.passed();
            let entry = entry(&decision, source, &seen.message, moment);
            // HTTP is counted only: it is not for this log to say who loads which page.
            if self.every > 0 && number % self.every == 0 && seen.message.kind != Kind::Malformed {
                self.account.decision(py, &entry);
            } else {
                self.account.count(py, &entry);
            }
            if number & TIMED == 0 {
                let _ = self.calls.took.call1(py, (clock::wall() - began,));
            }
            return Ok(PASS);
        }
        *odd += 1;
        let timed = *odd & TIMED == 0;
        let source = source.clone();
        let is_stranger = !source.trusted && !self.judge.has_earned(&source, now, &counters);
        let step = if is_stranger {
            pressure.step(now, self.shed)
        } else {
            Step::Full
        };
        // Kamailio may call back into Python while it answers.
        drop(work);
        let code = self.carry_out(py, &mut decision, &seen, &source, moment, by_route, unparsable, step);
        if let Ok(mut work) = self.work.try_borrow_mut() {
            work.last = (SECRET.identity(&[place.as_bytes(), raw]), code);
            if is_stranger {
                work.pressure.spend(now, clock::wall() - began);
            }
        }
        if timed {
            let _ = self.calls.took.call1(py, (clock::wall() - began,));
        }
        Ok(code)
    }

    pub(super) fn meet(&self, place: &str) -> PyResult<Source> {
        let mut words = place.splitn(3, '|');
        let (Some(transport), Some(ip), Some(port)) = (words.next(), words.next(), words.next()) else {
            return Err(PyValueError::new_err("where a message came from is proto|address|port"));
        };
        let port: u16 = port
            .parse()
            .map_err(|_| PyValueError::new_err("a port is a number up to 65535"))?;
        Ok(self.judge.networks.source(ip, port, transport))
    }

    /// The list that a stranger stands on, other than the server itself.
    fn listed(&self, py: Python<'_>, source: &Source) -> Option<Listed> {
        let feeds = self.feeds.as_ref().filter(|_| !source.trusted)?;
        let found = feeds.get().table.find(source.ip().parse().ok()?)?;
        self.is_stranger(py, source).then_some(found)
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Guard>()
}
