//! The policy's accounts and domains as Python hands them over.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::judge::accounts::{Accounts, Bounds};

fn bounds(plan: &Bound<'_, PyDict>) -> PyResult<Bounds> {
    let of = |name: &str| {
        plan.get_item(name)?
            .ok_or_else(|| PyValueError::new_err(format!("{name}: not in the plan of accounts")))
    };
    Ok(Bounds {
        enforce: of("enforce")?.extract()?,
        guesses: of("guesses_per_hour")?.extract()?,
        failures: of("failures_per_hour")?.extract()?,
        spray: of("spray_per_hour")?.extract()?,
        sources: of("sources_per_hour")?.extract()?,
        calls_per_minute: of("calls_per_minute")?.extract()?,
        calls_per_hour: of("calls_per_hour")?.extract()?,
        numbers: of("numbers_per_hour")?.extract()?,
        domain_per_minute: of("domain_per_minute")?.extract()?,
        domain_per_hour: of("domain_per_hour")?.extract()?,
        exempt: of("exempt")?.extract()?,
    })
}

/// `plan`: the bounds for all, and those of each domain by its realm; see `judge::accounts`.
pub fn accounts(plan: &Bound<'_, PyAny>) -> PyResult<Accounts> {
    let (own, domains): (Bound<'_, PyDict>, Vec<(String, Bound<'_, PyDict>)>) = plan.extract()?;
    let own = bounds(&own)?;
    let domains = domains
        .into_iter()
        .map(|(name, plan)| Ok((name.to_lowercase(), bounds(&plan)?)));
    Ok(Accounts::new(own, domains.collect::<PyResult<_>>()?))
}
