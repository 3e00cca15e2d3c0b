//! Countries and operators of addresses, for Python.

use std::net::IpAddr;
use std::panic::catch_unwind;
use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::geo::{File, Kind, Table};

/// The table in force, in memory that processes share which are forked later.
#[pyclass(frozen, module = "sipsieve._core")]
pub struct Geo {
    pub table: Arc<Table>,
}

/// One file in MaxMind's format that was read.
#[pyclass(frozen, module = "sipsieve._core")]
pub struct GeoFile {
    file: File,
}

#[pymethods]
impl GeoFile {
    /// `kind`: `country` or `asn`. Raises `ValueError` with what is wrong with the file.
    #[new]
    fn new(py: Python<'_>, content: &[u8], kind: &str) -> PyResult<Self> {
        let kind = match kind {
            "country" => Kind::Country,
            "asn" => Kind::Operator,
            _ => return Err(PyValueError::new_err("kind: allowed: country, asn")),
        };
        let read = py.detach(|| catch_unwind(|| File::read(content, kind)));
        let read = read.unwrap_or_else(|_| Err("is damaged: it can't be read".to_owned()));
        read.map(|file| Self { file }).map_err(PyValueError::new_err)
    }

    /// When it was made, in seconds since the epoch.
    #[getter]
    fn built(&self) -> u64 {
        self.file.built
    }

    /// What it calls itself.
    #[getter]
    fn database(&self) -> &str {
        &self.file.database
    }

    /// Ranges of IPv4 and IPv6 addresses, and names.
    #[getter]
    fn sizes(&self) -> (usize, usize, usize) {
        (self.file.ipv4.len(), self.file.ipv6.len(), self.file.names.len())
    }
}

#[pymethods]
impl Geo {
    /// Room for so many words of eight bytes, twice.
    #[new]
    fn new(words: usize) -> PyResult<Self> {
        Ok(Self {
            table: Arc::new(Table::new(words)?),
        })
    }

    /// Puts files in force instead of those before. Raises `ValueError` where there is no room.
    #[pyo3(signature = (country, asn))]
    fn publish(&self, country: Option<&Bound<'_, GeoFile>>, asn: Option<&Bound<'_, GeoFile>>) -> PyResult<()> {
        let file = |given: Option<&Bound<'_, GeoFile>>| given.map(|given| given.clone().unbind());
        let (country, asn) = (file(country), file(asn));
        let published = self.table.publish(
            country.as_ref().map(|given| &given.get().file),
            asn.as_ref().map(|given| &given.get().file),
        );
        (published.then_some(()))
            .ok_or_else(|| PyValueError::new_err("the files hold more ranges than there is room for"))
    }

    /// Country, autonomous system and its name; empty and 0 where they are not known.
    fn find(&self, ip: &str) -> (String, u32, String) {
        let place = ip
            .trim_matches(['[', ']'])
            .parse::<IpAddr>()
            .map(|ip| self.table.find(ip));
        place.map_or_else(
            |_| Default::default(),
            |place| (place.country().to_owned(), place.asn, place.organization().to_owned()),
        )
    }

    /// Changes with each table; 0 before the first.
    #[getter]
    fn generation(&self) -> u64 {
        self.table.generation()
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Geo>()?;
    module.add_class::<GeoFile>()
}
