//! The Python face of the ledger of counts.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::tables::size;
use crate::state::region::{self, SECRET};
use crate::state::{snapshot, tallies};

/// A count of one interval: who sent, which method, what became of it, how many, from when to when (s), by which rule.
#[pyclass(frozen, eq, name = "Entry")]
#[derive(PartialEq)]
pub struct Entry(tallies::Entry);

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
        Entry(tallies::Entry {
            ip,
            method,
            verdict,
            messages,
            first,
            last,
            transport,
            rule,
        })
    }

    #[getter]
    fn ip(&self) -> &str {
        &self.0.ip
    }

    #[getter]
    fn method(&self) -> &str {
        &self.0.method
    }

    #[getter]
    fn verdict(&self) -> &str {
        &self.0.verdict
    }

    #[getter]
    fn messages(&self) -> u64 {
        self.0.messages
    }

    #[getter]
    fn first(&self) -> f64 {
        self.0.first
    }

    #[getter]
    fn last(&self) -> f64 {
        self.0.last
    }

    #[getter]
    fn transport(&self) -> &str {
        &self.0.transport
    }

    #[getter]
    fn rule(&self) -> &str {
        &self.0.rule
    }

    fn __repr__(&self) -> String {
        let tallies::Entry {
            ip,
            method,
            verdict,
            messages,
            first,
            last,
            transport,
            rule,
        } = &self.0;
        format!("Entry({ip:?}, {method:?}, {verdict:?}, {messages}, {first}, {last}, {transport:?}, {rule:?})")
    }
}

fn entries(found: Vec<tallies::Entry>) -> Vec<Entry> {
    found.into_iter().map(Entry).collect()
}

/// Ledger(path, workers, interval, patience=2.0): counts messages that get no record of their own. `path` names a file,
/// so that they survive the server's end, or is "".
#[pyclass]
pub struct Ledger {
    tallies: Arc<tallies::Tallies>,
    pub writer: Option<tallies::Writer>,
    path: PathBuf,
    /// What the file holds, as far as this process has written it, and by what that file is known.
    saved: Vec<u8>,
    mark: Option<snapshot::Mark>,
}

impl Ledger {
    /// Its file is `path`, none where that is empty.
    pub fn over(tallies: Arc<tallies::Tallies>, path: PathBuf) -> Ledger {
        Ledger {
            tallies,
            writer: None,
            path,
            saved: Vec::new(),
            mark: None,
        }
    }
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
        Ok(Ledger::over(Arc::new(tallies), path))
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
        self.tallies.put(&entry.0)
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

    /// save(): writes the file of counts anew where they changed, or somebody changed it. Raises OSError where it can't be.
    fn save(&mut self) -> PyResult<()> {
        if !self.tallies.durable {
            return Ok(());
        }
        let content = snapshot::content(&self.tallies.unwritten());
        if content != self.saved || snapshot::mark(&self.path) != self.mark {
            snapshot::write(&self.path, &content)?;
            self.saved = content;
            self.mark = snapshot::mark(&self.path);
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

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Entry>()?;
    module.add_class::<Ledger>()?;
    module.add("SLOTS", tallies::SLOTS)?;
    module.add("OVERFLOW", tallies::OVERFLOW)?;
    module.add_function(wrap_pyfunction!(remove_ledger, module)?)
}
