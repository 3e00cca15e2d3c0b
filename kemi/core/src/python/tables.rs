//! The Python face of the tables that all workers share, but for the ledger.

use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple};

use crate::judge::counters::Name;
use crate::state::region::SECRET;
use crate::state::{counters, dialogs, earned, marks, retransmissions};

/// The most entries that a table is made for: half a GiB of counters.
const MOST: usize = 1 << 23;

pub fn size(number: usize, of: &str) -> PyResult<usize> {
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
pub struct Counts(pub Arc<counters::Counters>);

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
pub struct RetransmissionFilter(pub Arc<retransmissions::Retransmissions>);

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
pub struct Answered(pub Arc<dialogs::Dialogs>);

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
pub struct Marks(pub Arc<marks::Marks>);

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
pub struct Earned(pub Arc<earned::Earned>);

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

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Counts>()?;
    module.add_class::<RetransmissionFilter>()?;
    module.add_class::<Answered>()?;
    module.add_class::<Marks>()?;
    module.add_class::<Earned>()?;
    module.add_function(wrap_pyfunction!(identity, module)?)
}
