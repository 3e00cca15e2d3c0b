//! The way of each message inside Kamailio: looked at, and passed, counted and written down where nothing is odd; else
//! handed to Python, which judges.

use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use pyo3::exceptions::{PyRuntimeError, PyUnicodeDecodeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple};

use crate::detect::Scratch;
use crate::engine::Seen;
use crate::python::inspection::{Inspection, Inspector, dialog_identity};
use crate::python::journal::Journal;
use crate::python::network::Networks;
use crate::python::record::Recorder;
use crate::python::state::Memory;
use crate::python::words::Words;
use crate::record;
use crate::sip::{Kind, dialog};
use crate::sources::Source;
use crate::state::memory::Memory as Tables;
use crate::state::region::SECRET;
use crate::state::{clock, tallies};

/// What Kamailio's script is told: the host's routing goes on; the message ends here.
const PASS: i64 = 1;
const STOP: i64 = 2;

/// Length of a window of the limits in seconds; the policy speaks of minutes.
const WINDOW: u64 = 60;

/// Copies of one message that RFC 3261 17.1 lets a client send in 32 s (11: timers E and F at T1 = 500 ms, T2 = 4 s).
const RETRANSMISSIONS: u64 = 11;

/// Senders known at a time, some 700 bytes each.
const MOST_SENDERS: usize = 4096;

/// One decision in 64 is timed: two looks at the clock cost more than the rest of the account.
const TIMED: u64 = 63;

/// Counters of requests, by their place in `Sender::counters`.
const INVITE: usize = 0;
const REGISTER: usize = 1;
const OTHER: usize = 2;
const DIALOG: usize = 3;
const COUNTERS: [&str; 4] = ["invite", "register", "other", "dialog"];

/// Seconds for which a nonce is remembered; servers' nonces live for 30 to 300 s.
const NONCE_LIFE: u64 = 300;

/// What is remembered of credentials: who sent them is not shown, or is.
const CLAIMED: u32 = 1;
const PROVEN: u32 = 2;

/// Final answers to an INVITE or to credentials may tell against whoever sent the request: from here on Python learns.
const FIRST_FAILURE: u16 = 400;

/// Who sends: what is the same for all messages of an address, port and transport.
struct Sender {
    source: Source,
    /// Python's `Source`, made when Python is first asked.
    python: Option<Py<PyAny>>,
    /// Its counters in the window that was asked for last.
    counters: [Option<Counter>; 4],
    /// Counts up to these need no second look; -1: not counted.
    quiet: [i64; 4],
    limited: bool,
    /// What makes the same bytes another message: the port and the address that they come from.
    salt: u64,
    /// Its number among transports on the scoreboard.
    transport: usize,
}

/// What a counter is known by in a window, and in the one before.
#[derive(Clone, Copy)]
struct Counter {
    window: u64,
    identity: u64,
    before: u64,
}

/// What was counted of a message that is passed.
struct Counted {
    counter: usize,
    count: u64,
}

/// What becomes of a message that the core has looked at.
enum Way {
    Passed(Option<Counted>),
    /// Counted, and more than quiet; a count of 0 found no room.
    Over(Counted),
    /// Python judges.
    Judged,
}

impl Sender {
    /// What one of its counters is known by in a window.
    fn counter(&mut self, counter: usize, window: u64) -> Counter {
        if let Some(known) = self.counters[counter].filter(|known| known.window == window) {
            return known;
        }
        let name = |window: u64| format!("{}:{}:{window}", self.source.cell, COUNTERS[counter]);
        let identity = |window| SECRET.identity(&[name(window).as_bytes()]);
        let made = Counter {
            window,
            identity: identity(window),
            before: identity(window.wrapping_sub(1)),
        };
        self.counters[counter] = Some(made);
        made
    }
}

/// The calls that the adapter gives; see `sipsieve_kemi`.
struct Calls {
    /// Reads one of Kamailio's pseudo-variables.
    get: Py<PyAny>,
    /// (where, inspection, source, steady) -> code: decides on a message and carries it out.
    judge: Py<PyAny>,
    /// (where, inspection, source, counter, count, steady) -> code: goes on with a message that was counted.
    over: Py<PyAny>,
    /// (entries): counts that the timer process did not fetch in time.
    left: Py<PyAny>,
    /// () -> guard: the one to go on with when a newer revision was published.
    follow: Py<PyAny>,
    /// (error) -> code: what becomes of a message on which the guard failed.
    broken: Py<PyAny>,
    /// (error): counts and logs a failure that changes nothing for the message.
    failed: Py<PyAny>,
    /// () -> bool | None: whether the reply at hand belongs to a transaction of this server.
    in_transaction: Py<PyAny>,
    /// (): an exception was left pending by the host's last call.
    pending: Py<PyAny>,
    /// (seconds): how long one decision in 64 took.
    took: Py<PyAny>,
}

struct Work {
    scratch: Scratch,
    senders: HashMap<String, Sender>,
    line: Vec<u8>,
    passed: u64,
    handed_on: u64,
}

/// Decides on each message of one process, by one revision of policy and rules.
#[pyclass(unsendable, module = "sipsieve._core")]
pub struct Guard {
    inspector: Py<Inspector>,
    networks: Arc<crate::sources::Networks>,
    recorder: Py<Recorder>,
    memory: Py<Memory>,
    journal: Py<Journal>,
    /// The number of this process's last record, which Python's own records share.
    sequence: Py<Words>,
    calls: Calls,
    /// ("$mb",)
    whole_message: Py<PyTuple>,
    /// Python's `Source`.
    source_class: Py<PyAny>,
    /// The number of the newest revision, where all processes see it, and the one that this guard decides by.
    head: Py<Words>,
    number: u64,
    /// The scoreboard, and where this process's row begins in it; where records are counted in the row, by method and
    /// transport; the cells of records written and of messages passed here.
    board: Py<Words>,
    row: usize,
    cells: Vec<Vec<usize>>,
    methods: Vec<String>,
    transports: Vec<String>,
    written: usize,
    short: usize,
    /// By network of the policy, the last for addresses in none: see `Sender::quiet`.
    quiet: Vec<[i64; 4]>,
    limited: bool,
    /// One in so many passed messages gets a record; 0 none.
    every: u64,
    /// How this process's records are named, before their number.
    prefix: String,
    work: RefCell<Work>,
}

#[pymethods]
impl Guard {
    /// `plan` holds by name what is described at the fields and at `Calls`.
    #[new]
    fn new(plan: &Bound<'_, PyDict>) -> PyResult<Self> {
        let py = plan.py();
        let of = |name: &str| {
            plan.get_item(name)?
                .ok_or_else(|| PyValueError::new_err(format!("{name}: not in the plan")))
        };
        let call = |name: &str| of(name).map(Bound::unbind);
        let methods: Vec<String> = of("methods")?.extract()?;
        let transports: Vec<String> = of("transports")?.extract()?;
        let cell = of("cell")?;
        let mut cells = Vec::with_capacity(methods.len());
        for method in &methods {
            let row = transports
                .iter()
                .map(|transport| cell.call1((method, "allow", transport))?.extract());
            cells.push(row.collect::<PyResult<Vec<usize>>>()?);
        }
        let quiet: Vec<[i64; 4]> = of("quiet")?.extract()?;
        if quiet.is_empty() || methods.is_empty() || transports.is_empty() {
            return Err(PyValueError::new_err(
                "quiet, methods and transports have at least one entry each",
            ));
        }
        Ok(Self {
            inspector: of("inspector")?.cast::<Inspector>()?.clone().unbind(),
            networks: Arc::clone(&of("networks")?.cast::<Networks>()?.get().inner),
            recorder: of("recorder")?.cast::<Recorder>()?.clone().unbind(),
            memory: of("memory")?.cast::<Memory>()?.clone().unbind(),
            journal: of("journal")?.cast::<Journal>()?.clone().unbind(),
            sequence: of("sequence")?.cast::<Words>()?.clone().unbind(),
            calls: Calls {
                get: call("get")?,
                judge: call("judge")?,
                over: call("over")?,
                left: call("left")?,
                follow: call("follow")?,
                broken: call("broken")?,
                failed: call("failed")?,
                in_transaction: call("in_transaction")?,
                pending: call("pending")?,
                took: call("took")?,
            },
            whole_message: PyTuple::new(py, ["$mb"])?.unbind(),
            source_class: call("source")?,
            head: of("head")?.cast::<Words>()?.clone().unbind(),
            number: of("number")?.extract()?,
            board: of("board")?.cast::<Words>()?.clone().unbind(),
            cells,
            methods,
            transports,
            row: of("row")?.extract()?,
            written: of("written")?.extract::<usize>()? + of("row")?.extract::<usize>()?,
            short: of("short")?.extract::<usize>()? + of("row")?.extract::<usize>()?,
            quiet,
            limited: of("limited")?.extract()?,
            every: of("every")?.extract()?,
            prefix: of("prefix")?.extract()?,
            work: RefCell::new(Work {
                scratch: Scratch::default(),
                senders: HashMap::new(),
                line: Vec::with_capacity(2048),
                passed: 0,
                handed_on: 0,
            }),
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
        let decided = catch_unwind(AssertUnwindSafe(|| self.decide(py, r#where)));
        let error = match decided {
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

    /// How many messages passed here, and how many were handed on.
    fn counts(&self) -> (u64, u64) {
        self.work
            .try_borrow()
            .map_or((0, 0), |work| (work.passed, work.handed_on))
    }
}

impl Guard {
    fn decide(&self, py: Python<'_>, place: Option<&Bound<'_, PyString>>) -> PyResult<i64> {
        if self.head.get().read(0) != self.number {
            let other = self.calls.follow.call0(py)?;
            let other = other.bind(py).cast::<Self>()?.clone();
            if !std::ptr::eq(self, &*other.borrow()) {
                return other.borrow().decide_here(py, place);
            }
        }
        self.decide_here(py, place)
    }

    fn decide_here(&self, py: Python<'_>, place: Option<&Bound<'_, PyString>>) -> PyResult<i64> {
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
                self.look(py, place, text.to_str()?.as_bytes())
            }
            // A byte that is not UTF-8: the exception holds the message as received.
            Err(error) if error.is_instance_of::<PyUnicodeDecodeError>(py) => {
                let object = error.value(py).getattr("object")?.cast_into::<PyBytes>()?;
                self.look(py, place, object.as_bytes())
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

    fn look(&self, py: Python<'_>, place: &str, raw: &[u8]) -> PyResult<i64> {
        let began = clock::wall();
        let steady = clock::steady();
        let inspector = self.inspector.get();
        let mut work = self
            .work
            .try_borrow_mut()
            .map_err(|_| PyRuntimeError::new_err("a message within a message"))?;
        let Work {
            scratch,
            senders,
            line,
            passed,
            handed_on,
        } = &mut *work;
        let seen = inspector.engine.look(raw, false, scratch);
        if !senders.contains_key(place) {
            if senders.len() >= MOST_SENDERS {
                senders.clear();
            }
            senders.insert(place.to_owned(), self.meet(place)?);
        }
        let Some(sender) = senders.get_mut(place) else {
            return Err(PyRuntimeError::new_err("a sender that was just met is gone"));
        };
        let memory = &self.memory.get().tables;
        let way = match seen.message.kind {
            _ if !seen.findings.is_empty() || seen.malformed => Way::Judged,
            Kind::Request => self.request(&seen, sender, memory, steady),
            Kind::Reply => self.reply(py, &seen, memory, steady)?,
            Kind::Malformed => Way::Judged,
        };
        match way {
            Way::Passed(counted) => {
                *passed += 1;
                let number = *passed;
                self.board.get().bump(self.short, 1);
                if self.every > 0 && number % self.every == 0 {
                    self.record(py, &seen, sender, line, counted.as_ref(), began);
                } else {
                    self.tally(py, &seen, sender, began);
                }
                if number & TIMED == 0 {
                    let _ = self.calls.took.call1(py, (clock::wall() - began,));
                }
                Ok(PASS)
            }
            Way::Over(_) | Way::Judged => {
                *handed_on += 1;
                let source = self.python_source(py, sender)?;
                let bytes = PyBytes::new(py, raw).unbind();
                let inspection = Inspection::of(py, &inspector.maker, &seen, bytes, false)?;
                // Python may ask for other messages to be looked at, and for this guard's counts.
                drop(work);
                let code = match way {
                    Way::Over(Counted { counter, count }) => self
                        .calls
                        .over
                        .call1(py, (place, inspection, source, COUNTERS[counter], count, steady))?,
                    _ => self.calls.judge.call1(py, (place, inspection, source, steady))?,
                };
                code.extract(py)
            }
        }
    }

    /// A request in which nothing is odd: counted.
    fn request(&self, seen: &Seen<'_>, sender: &mut Sender, memory: &Tables, steady: f64) -> Way {
        let message = &seen.message;
        if message.method == b"INVITE" && message.body().is_empty() {
            // Whether it may be without an offer is the policy's to say.
            return Way::Judged;
        }
        if !sender.limited {
            return Way::Passed(None);
        }
        let now = steady as u64;
        if let Some(offer) = dialog::credentials(message) {
            self.offered(seen, &offer, sender, memory, now);
        }
        let mut counter = match message.method {
            b"CANCEL" => return Way::Passed(None),
            b"INVITE" => INVITE,
            b"REGISTER" => REGISTER,
            _ => OTHER,
        };
        let identity = dialog_identity(seen);
        if identity != 0 && memory.dialogs.knows(identity, now) {
            counter = DIALOG;
        }
        let quiet = sender.quiet[counter];
        if quiet < 0 {
            return Way::Passed(None);
        }
        let copies = memory
            .retransmissions
            .copies(SECRET.identity(&[message.raw]) ^ sender.salt, now);
        if 1 < copies && copies <= RETRANSMISSIONS {
            return Way::Passed(None);
        }
        let window = now / WINDOW;
        let Counter { identity, before, .. } = sender.counter(counter, window);
        let count = if memory.counters.admits(identity, || before, window) {
            memory.counters.increase(identity, window, 1)
        } else {
            0
        };
        if count == 0 || count > quiet as u64 {
            return Way::Over(Counted { counter, count });
        }
        Way::Passed(Some(Counted { counter, count }))
    }

    /// As `challenge.offered`: remembers that a request carries credentials, and whether they come from where they say.
    fn offered(&self, seen: &Seen<'_>, offer: &dialog::Offer<'_>, sender: &Sender, memory: &Tables, now: u64) {
        let Some((call_id, number)) = dialog::transaction(&seen.message) else {
            return;
        };
        let known = |nonce: &[u8]| {
            let identity = SECRET.identity(&[nonce, sender.source.key.as_bytes()]);
            memory.marks.marked(identity, now, NONCE_LIFE) > 0
        };
        let proven = sender.source.connected || offer.nonce.as_deref().is_some_and(known);
        let value = if proven { PROVEN } else { CLAIMED };
        memory.marks.mark(SECRET.identity(&[call_id, number]), value, now);
    }

    /// A reply in which nothing is odd: a dialog that it sets up is remembered.
    fn reply(&self, py: Python<'_>, seen: &Seen<'_>, memory: &Tables, steady: f64) -> PyResult<Way> {
        let message = &seen.message;
        if message.status >= FIRST_FAILURE {
            return Ok(Way::Judged);
        }
        if message.method == b"INVITE" && (200..300).contains(&message.status) {
            let identity = dialog_identity(seen);
            if identity != 0 && self.calls.in_transaction.call0(py)?.extract::<Option<bool>>(py)? != Some(false) {
                memory.dialogs.remember(identity, steady as u64);
            }
        }
        Ok(Way::Passed(None))
    }

    fn meet(&self, place: &str) -> PyResult<Sender> {
        let mut words = place.splitn(3, '|');
        let (Some(transport), Some(ip), Some(port)) = (words.next(), words.next(), words.next()) else {
            return Err(PyValueError::new_err("where a message came from is proto|address|port"));
        };
        let port: u16 = port
            .parse()
            .map_err(|_| PyValueError::new_err("a port is a number up to 65535"))?;
        let source = self.networks.source(ip, port, transport);
        let place = usize::try_from(source.network).unwrap_or(usize::MAX);
        let quiet = *self.quiet.get(place).or(self.quiet.last()).unwrap_or(&[0; 4]);
        let last = self.transports.len() - 1;
        Ok(Sender {
            python: None,
            counters: [None; 4],
            quiet,
            limited: self.limited && !source.trusted,
            salt: SECRET.identity(&[&port.to_be_bytes(), source.key.as_bytes()]),
            transport: self
                .transports
                .iter()
                .position(|name| *name == source.transport)
                .unwrap_or(last),
            source,
        })
    }

    fn python_source(&self, py: Python<'_>, sender: &mut Sender) -> PyResult<Py<PyAny>> {
        if let Some(known) = &sender.python {
            return Ok(known.clone_ref(py));
        }
        let made = self
            .source_class
            .call1(py, crate::python::network::fields(&sender.source))?;
        sender.python = Some(made.clone_ref(py));
        Ok(made)
    }

    /// Counts a passed message for its summary record.
    fn tally(&self, py: Python<'_>, seen: &Seen<'_>, sender: &Sender, now: f64) {
        let key = tallies::Key {
            ip: sender.source.ip.as_bytes(),
            method: seen.message.method,
            verdict: b"allow",
            transport: sender.source.transport.as_bytes(),
            rule: b"",
        };
        let mut left = Vec::new();
        if let Ok(mut ledger) = self.memory.get().ledger.try_borrow_mut(py) {
            if let Some(writer) = ledger.writer.as_mut() {
                writer.tally(key, now, &mut left);
            }
        }
        if !left.is_empty() {
            let left = crate::python::state::entries(left);
            self.report(py, self.calls.left.call1(py, (left,)));
        }
    }

    /// Writes a passed message's own record; what can't be written is tallied.
    fn record(
        &self,
        py: Python<'_>,
        seen: &Seen<'_>,
        sender: &Sender,
        line: &mut Vec<u8>,
        counted: Option<&Counted>,
        now: f64,
    ) {
        let counters = counted.map(|counted| (COUNTERS[counted.counter], counted.count));
        let sequence = self.sequence.get();
        sequence.bump(0, 1);
        let number = sequence.read(0);
        line.clear();
        let (Ok(mut recorder), Ok(mut journal)) = (self.recorder.try_borrow_mut(py), self.journal.try_borrow_mut(py))
        else {
            return self.tally(py, seen, sender, now);
        };
        recorder.inner.decision(
            line,
            &record::Decision {
                now,
                ip: &sender.source.ip,
                port: sender.source.port,
                transport: &sender.source.transport,
                action: "allow",
                id: &self.prefix,
                number: Some(number),
                reason: b"",
                status: 0,
                enforced: true,
                counters: counters.as_slice(),
                ban: None,
                findings: &[],
                message: &seen.message,
            },
        );
        if journal.write(line, now) {
            let method = self
                .methods
                .iter()
                .position(|name| name.as_bytes() == seen.message.method);
            let cell = self.cells[method.unwrap_or(self.methods.len() - 1)][sender.transport];
            self.board.get().bump(self.row + cell, 1);
            self.board.get().put(self.written, journal.inner.written);
        } else {
            drop((recorder, journal));
            self.tally(py, seen, sender, now);
        }
    }

    fn report(&self, py: Python<'_>, result: PyResult<Py<PyAny>>) {
        if let Err(error) = result {
            let _ = self.calls.failed.call1(py, (error.into_value(py),));
        }
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Guard>()
}
