//! The Python face of the shared tables: the same names and behaviour for tests, control and the timer process.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple};

use crate::judge::counters::{Name, overflow};
use crate::state::region::{self, SECRET};
use crate::state::{counters, dialogs, earned, marks, memory, retransmissions, snapshot, tallies};

/// The most entries that a table is made for: half a GiB of counters.
const MOST: usize = 1 << 23;

/// What the workers of a server that is being replaced may take to end.
const PATIENCE: Duration = Duration::from_secs(2);

fn size(number: usize, of: &str) -> PyResult<usize> {
    if (1..=MOST).contains(&number) {
        return Ok(number);
    }
    Err(PyValueError::new_err(format!(
        "{number} {of}: from 1 to {MOST} can be had"
    )))
}

/// Any Python integer, as its lower 64 bits.
struct Identity(u64);

impl<'a, 'py> FromPyObject<'a, 'py> for Identity {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Identity> {
        match object.extract::<u64>() {
            Ok(identity) => Ok(Identity(identity)),
            Err(_) => Ok(Identity(object.call_method1("__and__", (u64::MAX,))?.extract()?)),
        }
    }
}

/// identity(*parts: bytes) -> int: names a list of byte strings by a hash that no sender can foresee, the same in all
/// workers of a server.
#[pyfunction]
#[pyo3(signature = (*parts))]
fn identity(parts: &Bound<'_, PyTuple>) -> PyResult<u64> {
    let parts = parts
        .iter()
        .map(|part| Ok(part.cast_into::<PyBytes>()?))
        .collect::<PyResult<Vec<_>>>()?;
    Ok(SECRET.identity(&parts.iter().map(|part| part.as_bytes()).collect::<Vec<_>>()))
}

/// Counts(capacity): counters that all processes share which are forked later.
#[pyclass(frozen)]
struct Counts(Arc<counters::Counters>);

#[pymethods]
impl Counts {
    #[new]
    fn new(capacity: usize) -> PyResult<Counts> {
        Ok(Counts(Arc::new(counters::Counters::new(size(capacity, "counters")?)?)))
    }

    /// increase(name, window, amount=1): raises a counter and returns it; 0 where no place is left.
    #[pyo3(signature = (name, window, amount = 1))]
    fn increase(&self, name: &Bound<'_, PyString>, window: u64, amount: u64) -> u64 {
        self.0
            .increase(SECRET.identity(&[name.to_string_lossy().as_bytes()]), window, amount)
    }

    /// get(name, window): the counter, 0 where there is none.
    fn get(&self, name: &Bound<'_, PyString>, window: u64) -> u64 {
        self.0
            .get(SECRET.identity(&[name.to_string_lossy().as_bytes()]), window)
    }

    /// of(cell, limit, window, running): what is counted of a source by one of `LIMITS`, 0 where nothing is.
    fn of(&self, cell: &str, limit: &str, window: u64, running: u64) -> u64 {
        let name = Name {
            cell,
            limit,
            value: None,
            window,
        };
        self.0.get(name.identity(), running)
    }

    /// begun(window): how many counters began in that window.
    fn begun(&self, window: u64) -> u64 {
        self.0.begun(window)
    }

    /// forget(): all counters begin anew.
    fn forget(&self) {
        self.0.forget();
    }

    /// sweep(window): frees the places whose window is over, and returns how many there were.
    fn sweep(&self, window: u64) -> usize {
        self.0.sweep(window)
    }
}

/// RetransmissionFilter(slots): tells retransmissions from new messages, for all workers.
#[pyclass(frozen)]
struct RetransmissionFilter(Arc<retransmissions::Retransmissions>);

#[pymethods]
impl RetransmissionFilter {
    #[new]
    fn new(slots: usize) -> PyResult<Self> {
        Ok(Self(Arc::new(retransmissions::Retransmissions::new(size(
            slots, "slots",
        )?)?)))
    }

    /// copies(identity, now): how often this was seen within a transaction's life, this time included.
    fn copies(&self, identity: Identity, now: f64) -> u64 {
        self.0.copies(identity.0, now as u64)
    }
}

/// Answered(dialogs): remembers the dialogs that were seen answered, for all workers.
#[pyclass(frozen)]
struct Answered(Arc<dialogs::Dialogs>);

#[pymethods]
impl Answered {
    #[new]
    fn new(dialogs: usize) -> PyResult<Answered> {
        Ok(Answered(Arc::new(dialogs::Dialogs::new(size(dialogs, "dialogs")?)?)))
    }

    /// remember(identity, now): remembers a dialog, from now on for its life.
    fn remember(&self, identity: Identity, now: f64) {
        self.0.remember(identity.0, now as u64);
    }

    /// knows(identity, now): whether that dialog was remembered within its life.
    fn knows(&self, identity: Identity, now: f64) -> bool {
        self.0.knows(identity.0, now as u64)
    }
}

/// Marks(slots): remembers facts about short-lived things, for all workers.
#[pyclass(frozen)]
struct Marks(Arc<marks::Marks>);

#[pymethods]
impl Marks {
    #[new]
    fn new(slots: usize) -> PyResult<Marks> {
        Ok(Marks(Arc::new(marks::Marks::new(size(slots, "slots")?)?)))
    }

    /// mark(identity, value, now): remembers `value` (1 to 2**32 - 1).
    fn mark(&self, identity: Identity, value: u32, now: f64) {
        self.0.mark(identity.0, value, now as u64);
    }

    /// marked(identity, now, life): the value that was remembered within the last `life` seconds, 0 without.
    fn marked(&self, identity: Identity, now: f64, life: u64) -> u32 {
        self.0.marked(identity.0, now as u64, life)
    }
}

fn terms(enough: u64, fades: u64) -> earned::Terms {
    earned::Terms { enough, fades }
}

/// Earned(sources): remembers which sources have earned trust, for all workers. A source goes by its key.
#[pyclass(frozen)]
struct Earned(Arc<earned::Earned>);

#[pymethods]
impl Earned {
    #[new]
    fn new(sources: usize) -> PyResult<Earned> {
        Ok(Earned(Arc::new(earned::Earned::new(size(sources, "sources")?)?)))
    }

    /// earn(key, now, fades): notes a proof that a source is where it says. The credit, None where that is no news.
    fn earn(&self, key: &str, now: f64, fades: u64) -> Option<u64> {
        self.0.earn(earned::name_of(key), now as u64, terms(1, fades))
    }

    /// has(key, now, enough, fades): whether a source has earned that much that has not faded.
    fn has(&self, key: &str, now: f64, enough: u64, fades: u64) -> bool {
        self.0.has(earned::name_of(key), now as u64, terms(enough, fades))
    }

    /// credit(key, now, fades): what is left of a source's credit.
    fn credit(&self, key: &str, now: f64, fades: u64) -> u64 {
        self.0.credit(earned::name_of(key), now as u64, terms(1, fades))
    }

    /// restore(key, credit, age, now, fades): takes over what was known of a source `age` minutes ago, if that is more.
    fn restore(&self, key: &str, credit: u64, age: u64, now: f64, fades: u64) {
        self.0
            .restore(earned::name_of(key), credit, age, now as u64, terms(1, fades));
    }

    /// count(now, enough, fades): how many sources have earned that much.
    fn count(&self, now: f64, enough: u64, fades: u64) -> usize {
        self.0.count(now as u64, terms(enough, fades))
    }

    /// lose(key): takes away what a source has earned; whether there was anything.
    fn lose(&self, key: &str) -> bool {
        self.0.lose(earned::name_of(key))
    }
}

/// A count of one interval: who sent, which method, what became of it, how many, from when to when (s), by which rule.
#[pyclass(frozen, eq, get_all, name = "Entry")]
#[derive(PartialEq)]
pub struct Entry {
    ip: String,
    method: String,
    verdict: String,
    messages: u64,
    first: f64,
    last: f64,
    transport: String,
    rule: String,
}

#[pymethods]
impl Entry {
    #[new]
    #[pyo3(signature = (ip, method, verdict, messages, first, last, transport = String::new(), rule = String::new()))]
    #[allow(
        clippy::too_many_arguments,
        reason = "one for each field, as a Python caller names them"
    )]
    fn new(
        ip: String,
        method: String,
        verdict: String,
        messages: u64,
        first: f64,
        last: f64,
        transport: String,
        rule: String,
    ) -> Entry {
        Entry {
            ip,
            method,
            verdict,
            messages,
            first,
            last,
            transport,
            rule,
        }
    }

    fn __repr__(&self) -> String {
        let Entry {
            ip,
            method,
            verdict,
            messages,
            first,
            last,
            transport,
            rule,
        } = self;
        format!("Entry({ip:?}, {method:?}, {verdict:?}, {messages}, {first}, {last}, {transport:?}, {rule:?})")
    }
}

pub fn entries(found: Vec<tallies::Entry>) -> Vec<Entry> {
    let face = |entry| {
        let tallies::Entry {
            ip,
            method,
            verdict,
            messages,
            first,
            last,
            transport,
            rule,
        } = entry;
        Entry {
            ip,
            method,
            verdict,
            messages,
            first,
            last,
            transport,
            rule,
        }
    };
    found.into_iter().map(face).collect()
}

/// Ledger(path, workers, interval, patience=2.0): counts messages that get no record of their own. `path` names a file,
/// so that they survive the server's end, or is "".
#[pyclass]
pub struct Ledger {
    tallies: Arc<tallies::Tallies>,
    pub writer: Option<tallies::Writer>,
    path: PathBuf,
    /// What the file holds, as far as this process has written it.
    saved: Vec<u8>,
}

#[pymethods]
impl Ledger {
    #[new]
    #[pyo3(signature = (path, workers, interval, patience = 2.0))]
    fn new(path: PathBuf, workers: usize, interval: u64, patience: f64) -> PyResult<Ledger> {
        let patience =
            Duration::try_from_secs_f64(patience).map_err(|error| PyValueError::new_err(error.to_string()))?;
        size(workers.saturating_mul(tallies::SLOTS), "slots of workers")?;
        let tallies = if path.as_os_str().is_empty() {
            tallies::Tallies::new(workers, interval)?
        } else {
            tallies::Tallies::open(&path, workers, interval, patience)?
        };
        Ok(Ledger {
            tallies: Arc::new(tallies),
            writer: None,
            path,
            saved: Vec::new(),
        })
    }

    /// Whether the counts survive the server's end.
    #[getter]
    fn durable(&self) -> bool {
        self.tallies.durable
    }

    /// Whether the file was no ledger, or a damaged one, and was set aside as `*.damaged`.
    #[getter]
    fn damaged(&self) -> bool {
        self.tallies.damaged
    }

    /// attach(worker): makes this process the writer of a worker's pages. Raises ValueError for a worker too many.
    fn attach(&mut self, worker: usize) -> PyResult<()> {
        let writer = tallies::Writer::attach(self.tallies.clone(), SECRET.clone(), worker);
        let missing = || PyValueError::new_err(format!("worker {worker} of {}", self.tallies.workers()));
        self.writer = Some(writer.ok_or_else(missing)?);
        Ok(())
    }

    /// tally(ip, method, verdict, now, transport="", rule=""): counts one message. Raises ValueError before `attach`.
    #[pyo3(signature = (ip, method, verdict, now, transport = "", rule = ""))]
    fn tally(&mut self, ip: &str, method: &str, verdict: &str, now: f64, transport: &str, rule: &str) -> PyResult<()> {
        let writer = self
            .writer
            .as_mut()
            .ok_or_else(|| PyValueError::new_err("no worker is attached"))?;
        let key = tallies::Key {
            ip: ip.as_bytes(),
            method: method.as_bytes(),
            verdict: verdict.as_bytes(),
            transport: transport.as_bytes(),
            rule: rule.as_bytes(),
        };
        writer.tally(key, now);
        Ok(())
    }

    /// collect(now, everything=False): moves the counts of finished intervals to those that wait, and returns them.
    #[pyo3(signature = (now, everything = false))]
    fn collect(&self, now: f64, everything: bool) -> Vec<Entry> {
        entries(self.tallies.collect(now, everything))
    }

    /// put(entry): adds a count from elsewhere to those that wait. False: there was no room.
    fn put(&self, entry: &Entry) -> bool {
        self.tallies.put(&tallies::Entry {
            ip: entry.ip.clone(),
            method: entry.method.clone(),
            verdict: entry.verdict.clone(),
            messages: entry.messages,
            first: entry.first,
            last: entry.last,
            transport: entry.transport.clone(),
            rule: entry.rule.clone(),
        })
    }

    /// waiting(): the counts that wait to be written, by their place, the oldest first.
    fn waiting(&self) -> Vec<(usize, Entry)> {
        let (places, found): (Vec<_>, Vec<_>) = self.tallies.waiting().into_iter().unzip();
        places.into_iter().zip(entries(found)).collect()
    }

    /// written(place, messages): so many of a count that waited are in the log.
    fn written(&self, place: usize, messages: u64) {
        self.tallies.written(place, messages);
    }

    /// save(): writes the file of counts anew where they changed. Raises OSError where it can't be.
    fn save(&mut self) -> PyResult<()> {
        if !self.tallies.durable {
            return Ok(());
        }
        let content = snapshot::content(&self.tallies.unwritten());
        if content != self.saved {
            snapshot::write(&self.path, &content)?;
            self.saved = content;
        }
        Ok(())
    }
}

/// remove_ledger(path): gives back the memory that outlives a server whose file of counts this is; counts that are in no log and
/// not in the file are lost. False: there was none.
#[pyfunction]
fn remove_ledger(path: PathBuf) -> bool {
    snapshot::key(&path).is_some_and(|(key, _)| region::remove_kept(key))
}

/// Memory(capacity, ledger_path, workers, interval): all that workers share, to be made before Kamailio forks.
#[pyclass(frozen)]
pub struct Memory {
    /// The tables themselves, for what is done to each message.
    pub tables: memory::Memory,
    #[pyo3(get)]
    counts: Py<Counts>,
    #[pyo3(get)]
    retransmissions: Py<RetransmissionFilter>,
    #[pyo3(get)]
    answered: Py<Answered>,
    #[pyo3(get)]
    marks: Py<Marks>,
    #[pyo3(get)]
    earned: Py<Earned>,
    #[pyo3(get)]
    pub ledger: Py<Ledger>,
}

#[pymethods]
impl Memory {
    #[new]
    fn new(py: Python<'_>, capacity: usize, ledger_path: PathBuf, workers: usize, interval: u64) -> PyResult<Memory> {
        size(capacity, "counters")?;
        size(workers.saturating_mul(tallies::SLOTS), "slots of workers")?;
        let path = (!ledger_path.as_os_str().is_empty()).then_some(ledger_path.as_path());
        let tables = memory::Memory::new(capacity, path, workers, interval, PATIENCE)?;
        Ok(Memory {
            counts: Py::new(py, Counts(tables.counters.clone()))?,
            retransmissions: Py::new(py, RetransmissionFilter(tables.retransmissions.clone()))?,
            answered: Py::new(py, Answered(tables.dialogs.clone()))?,
            marks: Py::new(py, Marks(tables.marks.clone()))?,
            earned: Py::new(py, Earned(tables.earned.clone()))?,
            ledger: Py::new(
                py,
                Ledger {
                    tallies: tables.tallies.clone(),
                    writer: None,
                    path: ledger_path,
                    saved: Vec::new(),
                },
            )?,
            tables,
        })
    }

    /// shared_by(window): how often sources found no counter of their own in that window.
    fn shared_by(&self, window: u64) -> u64 {
        self.tables.together.get(overflow(window), window)
    }

    /// forget(): all counters begin anew.
    fn forget(&self) {
        self.tables.counters.forget();
        self.tables.together.forget();
        self.tables.hours.forget();
    }

    /// sweep(minute, hour): frees the counters whose window is over, and returns how many there were.
    fn sweep(&self, minute: u64, hour: u64) -> usize {
        self.tables.sweep(minute, hour)
    }

    /// How many ledgers were damaged, and set aside, when this was made.
    #[getter]
    fn damaged(&self) -> usize {
        self.tables.tallies.damaged.into()
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    // Drawn before Kamailio forks.
    std::sync::LazyLock::force(&SECRET);
    module.add_class::<Counts>()?;
    module.add_class::<RetransmissionFilter>()?;
    module.add_class::<Answered>()?;
    module.add_class::<Marks>()?;
    module.add_class::<Earned>()?;
    module.add_class::<Entry>()?;
    module.add_class::<Ledger>()?;
    module.add_class::<Memory>()?;
    module.add("SLOTS", tallies::SLOTS)?;
    module.add("OVERFLOW", tallies::OVERFLOW)?;
    module.add_function(wrap_pyfunction!(remove_ledger, module)?)?;
    module.add_function(wrap_pyfunction!(identity, module)?)
}
