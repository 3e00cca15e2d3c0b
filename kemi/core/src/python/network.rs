//! The policy's networks, for Python.

use std::net::IpAddr;
use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::sources;

/// See `sipsieve.network`.
#[pyclass(frozen, module = "sipsieve._core")]
pub struct Networks {
    pub inner: Arc<sources::Networks>,
}

/// The fields of Python's `Source`, in its order.
pub type SourceFields<'a> = (&'a str, u16, &'a str, &'a str, bool, Option<bool>, i32, &'a str);

pub fn fields(source: &sources::Source) -> SourceFields<'_> {
    (
        &source.ip,
        source.port,
        &source.transport,
        &source.key,
        source.trusted,
        source.enforced,
        source.network,
        &source.cell,
    )
}

fn address(text: &str) -> PyResult<IpAddr> {
    text.parse()
        .map_err(|_| PyValueError::new_err(format!("{text:?} is no address")))
}

#[pymethods]
impl Networks {
    /// `networks`: (address, prefix, trusted, enforced or None) by falling prefix.
    #[new]
    fn new(networks: Vec<(String, u8, bool, Option<bool>)>, ipv4_prefix: u8, ipv6_prefix: u8) -> PyResult<Self> {
        let mut made = Vec::with_capacity(networks.len());
        for (text, prefix, trusted, enforced) in networks {
            made.push(sources::Network {
                address: address(&text)?,
                prefix,
                trusted,
                enforced,
            });
        }
        Ok(Self {
            inner: Arc::new(sources::Networks::new(made, ipv4_prefix, ipv6_prefix)),
        })
    }

    /// The fields of a source: ip, port, transport, key, trusted, enforced, network, cell.
    fn source<'py>(&self, py: Python<'py>, ip: &str, port: u32, transport: &str) -> PyResult<Bound<'py, PyAny>> {
        let source = self
            .inner
            .source(ip, u16::try_from(port).unwrap_or(u16::MAX), transport);
        Ok(fields(&source).into_pyobject(py)?.into_any())
    }
}

/// What an address is counted and banned under, at that prefix.
#[pyfunction]
fn key(text: &str, prefix: u8) -> PyResult<String> {
    Ok(sources::key(address(text)?, prefix))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Networks>()?;
    module.add_function(wrap_pyfunction!(key, module)?)
}
