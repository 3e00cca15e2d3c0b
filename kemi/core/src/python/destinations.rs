//! The policy's destinations as Python hands them over.

use std::net::IpAddr;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::judge::destinations::{Destinations, Entry, OffHours, Payer, Rate};
use crate::networks::Network;
use crate::numbering::{Bare, Plan, Prefixes};
use crate::python::network::condition;

fn of<'py>(plan: &Bound<'py, PyDict>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    plan.get_item(name)?
        .ok_or_else(|| PyValueError::new_err(format!("{name}: not in the plan of destinations")))
}

fn texts(plan: &Bound<'_, PyDict>, name: &str) -> PyResult<Vec<Vec<u8>>> {
    let texts: Vec<String> = of(plan, name)?.extract()?;
    Ok(texts.into_iter().map(String::into_bytes).collect())
}

fn rate(plan: &Bound<'_, PyDict>, name: &str) -> PyResult<Rate> {
    let (per_minute, per_hour) = of(plan, name)?.extract()?;
    Ok(Rate { per_minute, per_hour })
}

fn prefixes(plan: &Bound<'_, PyDict>, name: &str) -> PyResult<Prefixes> {
    Ok(Prefixes::new(&of(plan, name)?.extract::<Vec<(String, u32)>>()?))
}

fn network((address, prefix): (String, u8)) -> PyResult<Network> {
    let address: IpAddr = (address.parse()).map_err(|_| PyValueError::new_err(format!("{address:?} is no address")))?;
    Ok(Network {
        address,
        prefix,
        trusted: false,
        enforced: None,
    })
}

fn off_hours(plan: &Bound<'_, PyDict>) -> PyResult<Option<OffHours>> {
    let plan = of(plan, "off_hours")?;
    if plan.is_none() {
        return Ok(None);
    }
    let plan = plan.cast::<PyDict>()?;
    Ok(Some(OffHours {
        from: of(plan, "from")?.extract()?,
        to: of(plan, "to")?.extract()?,
        weekend: of(plan, "weekend")?.extract()?,
        offsets: of(plan, "offsets")?.extract()?,
        refuse: of(plan, "refuse")?.extract()?,
        expensive: rate(plan, "expensive")?,
        abroad: rate(plan, "abroad")?,
    }))
}

fn entry(plan: &Bound<'_, PyDict>) -> PyResult<Entry> {
    let networks: Vec<(String, u8)> = of(plan, "networks")?.extract()?;
    Ok(Entry {
        name: of(plan, "name")?.extract()?,
        enforce: of(plan, "enforce")?.extract()?,
        networks: networks.into_iter().map(network).collect::<PyResult<_>>()?,
        places: condition(of(plan, "places")?.extract()?)?,
        domains: of(plan, "domains")?.extract()?,
        accounts: of(plan, "accounts")?.extract()?,
        payer: match of(plan, "per")?.extract::<String>()?.as_str() {
            "account" => Payer::Account,
            "domain" => Payer::Domain,
            _ => Payer::Source,
        },
        exclusive: of(plan, "exclusive")?.extract()?,
        prefixes: prefixes(plan, "prefixes")?,
        countries: of(plan, "countries")?.extract()?,
        classes: of(plan, "classes")?.extract()?,
        expensive: rate(plan, "expensive")?,
        abroad: rate(plan, "abroad")?,
        countries_per_hour: of(plan, "countries_per_hour")?.extract()?,
        block_per_hour: of(plan, "block_per_hour")?.extract()?,
        spellings_per_hour: of(plan, "spellings_per_hour")?.extract()?,
        short_seconds: of(plan, "short_seconds")?.extract()?,
        short_per_hour: of(plan, "short_per_hour")?.extract()?,
        callers_per_hour: of(plan, "callers_per_hour")?.extract()?,
        off_hours: off_hours(plan)?,
    })
}

/// `plan` holds by name what is described at `judge::destinations` and `numbering::Plan`; None: nothing is looked at.
pub fn destinations(plan: &Bound<'_, PyAny>) -> PyResult<Destinations> {
    if plan.is_none() {
        return Ok(Destinations::default());
    }
    let plan = plan.cast::<PyDict>()?;
    let entries: Vec<Bound<'_, PyDict>> = of(plan, "entries")?.extract()?;
    Ok(Destinations {
        plan: Plan {
            country: of(plan, "country")?.extract::<String>()?.into_bytes(),
            international: texts(plan, "international")?,
            national: texts(plan, "national")?,
            outside: texts(plan, "outside")?,
            bare: match of(plan, "bare")?.extract::<String>()?.as_str() {
                "national" => Bare::National,
                "international" => Bare::International,
                _ => Bare::Inside,
            },
        },
        entries: entries.iter().map(entry).collect::<PyResult<_>>()?,
        countries: prefixes(plan, "countries")?,
        country_names: of(plan, "country_names")?.extract()?,
        classes: prefixes(plan, "classes")?,
        class_names: of(plan, "class_names")?.extract()?,
    })
}

/// Tells where recorded calls went, by the table and the way of dialling that the guard goes by.
#[pyclass(frozen, module = "sipsieve._core")]
pub struct Numbers {
    inner: Destinations,
}

#[pymethods]
impl Numbers {
    /// `plan` as for a judge; its first entry says what is dear.
    #[new]
    fn new(plan: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self {
            inner: destinations(plan)?,
        })
    }

    /// Of a Request-URI: the international number without a plus, its country ("" none), what it is for people, whether it is
    /// dear, and abroad; None where no number out is dialled.
    fn find(&self, uri: &[u8]) -> Option<(String, String, String, bool, bool)> {
        let told = self.inner.told(uri)?;
        Some((told.number, told.country, told.label, told.dear, told.abroad))
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Numbers>()
}
