//! The decision log's file, for Python.

use std::path::PathBuf;

use pyo3::prelude::*;

use crate::journal;
use crate::python::words::Words;
use crate::state::region;

/// One process's hold on the decision log; see `sipsieve.journal`.
#[pyclass(module = "sipsieve._core")]
pub struct Journal {
    pub inner: journal::Journal,
    /// Its first word is 1 while the log may end in half a line.
    torn: region::Words,
    path: PathBuf,
}

impl Journal {
    pub fn write(&mut self, line: &[u8], now: f64) -> bool {
        self.torn.first().is_some_and(|torn| self.inner.append(line, now, torn))
    }
}

#[pymethods]
impl Journal {
    /// Opens nothing yet. `torn`: the workers' common word; without, it is this process's alone.
    #[new]
    #[pyo3(signature = (path, torn=None))]
    fn new(path: PathBuf, torn: Option<&Bound<'_, Words>>) -> PyResult<Self> {
        let torn = match torn {
            Some(torn) => torn.get().0.clone(),
            None => region::Words::shared(1)?,
        };
        Ok(Self {
            inner: journal::Journal::new(&path),
            torn,
            path,
        })
    }

    #[getter]
    fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// Lines that this process has written.
    #[getter]
    fn written(&self) -> u64 {
        self.inner.written
    }

    /// Lines that it could not write.
    #[getter]
    fn lost(&self) -> u64 {
        self.inner.lost
    }

    /// Writes one line, its line end included. False: it could not be written, and was counted.
    fn append(&mut self, line: &[u8], now: f64) -> bool {
        self.write(line, now)
    }

    /// Looks whether a server that was killed left half a line; asked once, before any worker writes.
    fn mend(&self) {
        if let Some(torn) = self.torn.first() {
            self.inner.mend(torn);
        }
    }

    /// Lets go of the file; the next line opens it anew.
    fn close(&mut self) {
        self.inner.close();
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Journal>()
}
