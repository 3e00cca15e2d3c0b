//! The policy's networks, for Python.

use std::net::IpAddr;
use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::geo::{Place, code_of};
use crate::python::feeds::action;
use crate::python::geo::Geo;
use crate::{networks, sources};

/// See `sipsieve.network`.
#[pyclass(frozen, module = "sipsieve._core")]
pub struct Networks {
    pub inner: Arc<networks::Networks>,
}

/// The fields of Python's `Source`, in its order.
pub type SourceFields<'a> = (
    &'a str,
    u16,
    &'a str,
    &'a str,
    bool,
    Option<bool>,
    i32,
    &'a str,
    &'a str,
    u32,
    &'a str,
    Option<(&'static str, &'a str)>,
);

/// Countries, numbers of autonomous systems, and whether what lies outside of them is meant.
pub type ConditionFields = (Vec<String>, Vec<u32>, bool);

pub fn condition((countries, asns, outside): ConditionFields) -> PyResult<networks::Condition> {
    let letters = |text: &String| {
        let code = code_of(text);
        (code > 0)
            .then_some([(code >> 8) as u8, code as u8])
            .ok_or_else(|| PyValueError::new_err(format!("{text:?} is no country")))
    };
    Ok(networks::Condition {
        countries: countries.iter().map(letters).collect::<PyResult<_>>()?,
        asns,
        outside,
    })
}

/// What was known of an address, as Python has it: empty and 0 where nothing is.
pub fn place_of(country: &str, asn: u32, organization: &str) -> Place {
    Place {
        country: <[u8; 2]>::try_from(country.as_bytes()).ok(),
        asn,
        organization: (!organization.is_empty()).then(|| organization.into()),
    }
}

pub fn fields(source: &sources::Source) -> SourceFields<'_> {
    (
        source.ip(),
        source.port,
        source.transport(),
        source.key(),
        source.trusted,
        source.enforced,
        source.network,
        source.cell(),
        source.place().country(),
        source.place().asn,
        source.place().organization(),
        source
            .barred()
            .map(|barred| (barred.action.name(), barred.reason.as_str())),
    )
}

fn address(text: &str) -> PyResult<IpAddr> {
    text.parse()
        .map_err(|_| PyValueError::new_err(format!("{text:?} is no address")))
}

#[pymethods]
impl Networks {
    /// `networks`: (address, prefix, trusted, enforced or None) by falling prefix. `areas`: (condition, enforced or None, action or None)
    /// in the order of the policy; `geo` knows where addresses are at home.
    #[new]
    #[pyo3(signature = (networks, ipv4_prefix, ipv6_prefix, areas=Vec::new(), geo=None))]
    fn new(
        networks: Vec<(String, u8, bool, Option<bool>)>,
        ipv4_prefix: u8,
        ipv6_prefix: u8,
        areas: Vec<(ConditionFields, Option<bool>, Option<String>)>,
        geo: Option<&Bound<'_, Geo>>,
    ) -> PyResult<Self> {
        let mut made = Vec::with_capacity(networks.len());
        for (text, prefix, trusted, enforced) in networks {
            made.push(networks::Network {
                address: address(&text)?,
                prefix,
                trusted,
                enforced,
            });
        }
        let area = |(fields, enforced, name): (ConditionFields, Option<bool>, Option<String>)| {
            Ok(networks::Area {
                condition: condition(fields)?,
                enforced,
                action: name.map(|name| action(&name)).transpose()?,
            })
        };
        let areas = areas.into_iter().map(area).collect::<PyResult<_>>()?;
        let geo = geo.map(|geo| Arc::clone(&geo.get().table));
        let inner = networks::Networks::new(made, ipv4_prefix, ipv6_prefix).with_areas(areas, geo);
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The fields of a source: ip, port, transport, key, trusted, enforced, network, cell, country, asn, organization, barred (action
    /// and reason, or None).
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
    Ok(networks::key(address(text)?, prefix))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Networks>()?;
    module.add_function(wrap_pyfunction!(key, module)?)
}
