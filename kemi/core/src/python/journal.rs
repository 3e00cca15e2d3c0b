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
    /// Whether the log may end in half a line, and where it ends; see `journal::End`.
    end: region::Words,
    path: PathBuf,
}

fn end(words: &region::Words) -> Option<journal::End<'_>> {
    match &words[..] {
        [torn, at, ..] => Some(journal::End { torn, at }),
        _ => None,
    }
}

impl Journal {
    pub fn write(&mut self, line: &[u8], now: f64) -> bool {
        end(&self.end).is_some_and(|end| self.inner.append(line, now, end))
    }
}

#[pymethods]
impl Journal {
    /// Opens nothing yet. `end`: the workers' two common words about how the log ends; without, they are this process's alone.
    #[new]
    #[pyo3(signature = (path, end=None))]
    fn new(path: PathBuf, end: Option<&Bound<'_, Words>>) -> PyResult<Self> {
        let end = match end {
            Some(end) => end.get().0.clone(),
            None => region::Words::shared(2)?,
        };
        Ok(Self {
            inner: journal::Journal::new(&path),
            end,
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
        if let Some(end) = end(&self.end) {
            self.inner.mend(end);
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
