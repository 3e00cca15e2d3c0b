//! The Python module `sipsieve._core`: types and errors at the border, nothing else.

mod account;
mod accounts;
mod bulk;
mod calls;
mod destinations;
mod detect;
mod enforcement;
mod events;
mod feeds;
mod geo;
mod guard;
mod inspection;
mod journal;
mod judge;
mod ledger;
mod memory;
mod network;
mod record;
mod sip;
mod tables;
mod words;

use pyo3::prelude::*;

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("VERSION", env!("CARGO_PKG_VERSION"))?;
    // Said by make/core.mk, which alone knows.
    module.add("PROFILED", option_env!("SIPSIEVE_PROFILED").is_some())?;
    words::register(module)?;
    guard::register(module)?;
    inspection::register(module)?;
    journal::register(module)?;
    judge::register(module)?;
    network::register(module)?;
    sip::register(module)?;
    detect::register(module)?;
    destinations::register(module)?;
    feeds::register(module)?;
    geo::register(module)?;
    memory::register(module)?;
    tables::register(module)?;
    ledger::register(module)?;
    record::register(module)?;
    bulk::register(module)?;
    events::register(module)?;
    Ok(())
}
