//! The Python face of all that the workers share, made before Kamailio forks.

use std::path::PathBuf;
use std::time::Duration;

use pyo3::prelude::*;

use super::ledger::Ledger;
use super::tables::{Answered, Counts, Earned, Marks, RetransmissionFilter, size};
use crate::judge::counters::overflow;
use crate::state::region::SECRET;
use crate::state::{memory, tallies};

/// What the workers of a server that is being replaced may take to end.
const PATIENCE: Duration = Duration::from_secs(2);

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
            ledger: Py::new(py, Ledger::over(tables.tallies.clone(), ledger_path))?,
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
    module.add_class::<Memory>()
}
