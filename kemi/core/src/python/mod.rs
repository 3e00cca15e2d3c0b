//! The Python module `sipsieve._core`: types and errors at the border, nothing else.

mod detect;
mod record;
mod sip;
mod state;

use pyo3::prelude::*;

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("VERSION", env!("CARGO_PKG_VERSION"))?;
    sip::register(module)?;
    detect::register(module)?;
    state::register(module)?;
    record::register(module)?;
    Ok(())
}
