//! Lists from outside, for Python.

use std::net::IpAddr;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::feeds::{Action, Ranges, Table};

/// The lists in force, in memory that processes share which are forked later.
#[pyclass(frozen, module = "sipsieve._core")]
pub struct Feeds {
    pub table: Table,
}

/// One list that was read: entries, invalid lines, the first of them, private, too wide, expired, when the next expires, and the share
/// of all IPv4 addresses in thousandths.
type Report = (usize, usize, String, usize, usize, usize, u64, u64);

fn report(ranges: &Ranges) -> Report {
    (
        ranges.entries(),
        ranges.invalid,
        ranges.first_invalid.clone(),
        ranges.private,
        ranges.wide,
        ranges.expired,
        ranges.next_expiry,
        ranges.share(),
    )
}

pub fn action(name: &str) -> PyResult<Action> {
    match name {
        "note" => Ok(Action::Note),
        "reject" => Ok(Action::Reject),
        "drop" => Ok(Action::Drop),
        _ => Err(PyValueError::new_err(format!("{name:?} is no action of a feed"))),
    }
}

#[pymethods]
impl Feeds {
    /// Room for so many ranges.
    #[new]
    fn new(capacity: usize) -> PyResult<Self> {
        Ok(Self {
            table: Table::new(capacity)?,
        })
    }

    /// Puts lists in force: name, action, whether private addresses count, text each. Raises `ValueError` where there is no room.
    fn publish(&self, py: Python<'_>, feeds: Vec<(String, String, bool, String)>, now: u64) -> PyResult<Vec<Report>> {
        let actions = feeds.iter().map(|feed| action(&feed.1)).collect::<PyResult<Vec<_>>>()?;
        py.detach(|| {
            let read: Vec<Ranges> = (feeds.iter())
                .map(|(_, _, private, text)| Ranges::read(text, *private, now))
                .collect();
            let named: Vec<_> = (feeds.iter().zip(&actions).zip(&read))
                .map(|((feed, &action), ranges)| (feed.0.as_str(), action, ranges))
                .collect();
            if !self.table.publish(&named) {
                return Err(PyValueError::new_err(
                    "the lists have more entries than feeds.capacity, or are too many",
                ));
            }
            Ok(read.iter().map(report).collect())
        })
    }

    /// The list that holds an address: its name, the entry, the action; None where none does.
    fn find(&self, ip: &str) -> Option<(String, String, &'static str)> {
        let found = self.table.find(ip.trim_matches(['[', ']']).parse::<IpAddr>().ok()?)?;
        Some((found.feed, found.entry, found.action.name()))
    }

    /// Changes with each table; 0 before the first.
    #[getter]
    fn generation(&self) -> u64 {
        self.table.generation()
    }
}

/// What a list holds, without putting it in force.
#[pyfunction]
fn read_feed(text: &str, private: bool, now: u64) -> Report {
    report(&Ranges::read(text, private, now))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("MOST_FEEDS", crate::feeds::MOST_FEEDS)?;
    module.add_class::<Feeds>()?;
    module.add_function(wrap_pyfunction!(read_feed, module)?)
}
