//! Words in shared memory, for Python.

use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;

use crate::state::region;

/// So many numbers of 64 bits, at first 0, that all processes share which are forked later.
#[pyclass(frozen, module = "sipsieve._core")]
pub struct Words(pub region::Words);

impl Words {
    fn at(&self, place: usize) -> PyResult<&AtomicU64> {
        let missing = || PyIndexError::new_err(format!("word {place} of {}", self.0.len()));
        self.0.get(place).ok_or_else(missing)
    }

    /// Raises a word that is there.
    pub fn bump(&self, place: usize, by: u64) {
        if let Some(word) = self.0.get(place) {
            word.fetch_add(by, Ordering::Relaxed);
        }
    }

    /// Sets a word that is there.
    pub fn put(&self, place: usize, value: u64) {
        if let Some(word) = self.0.get(place) {
            word.store(value, Ordering::Relaxed);
        }
    }

    /// A word; 0 where there is none.
    pub fn read(&self, place: usize) -> u64 {
        self.0.get(place).map_or(0, |word| word.load(Ordering::Acquire))
    }
}

#[pymethods]
impl Words {
    #[new]
    fn new(count: usize) -> PyResult<Self> {
        Ok(Self(region::Words::shared(count)?))
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn __getitem__(&self, place: usize) -> PyResult<u64> {
        Ok(self.at(place)?.load(Ordering::Acquire))
    }

    fn __setitem__(&self, place: usize, value: u64) -> PyResult<()> {
        self.at(place)?.store(value, Ordering::Release);
        Ok(())
    }

    /// Raises a word and returns it.
    fn add(&self, place: usize, value: u64) -> PyResult<u64> {
        Ok(self.at(place)?.fetch_add(value, Ordering::AcqRel).wrapping_add(value))
    }

    /// So many words from a place on.
    fn row(&self, start: usize, count: usize) -> PyResult<Vec<u64>> {
        (start..start.saturating_add(count))
            .map(|place| self.__getitem__(place))
            .collect()
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Words>()
}
