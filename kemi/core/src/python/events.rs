//! Decision records as columns, for Python.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::bulk::columns::Column;
use crate::bulk::events::{COLUMNS, Events};

/// A column's pieces of memory, as Arrow has them: which rows hold something, for texts where each ends, and the values.
pub type Buffers<'py> = Vec<Bound<'py, PyBytes>>;

/// See `event_columns`.
pub type Columns<'py> = (
    usize,
    Vec<Buffers<'py>>,
    (Buffers<'py>, usize, Vec<Buffers<'py>>),
    Bound<'py, PyBytes>,
);

/// Records of today's form among lines of JSON, as columns; see the stub.
#[pyfunction]
fn event_columns<'py>(py: Python<'py>, lines: &[u8], input: &str) -> Columns<'py> {
    let events = py.detach(|| {
        let mut events = Events::new(input);
        events.read(lines);
        events
    });
    columns(py, &events)
}

/// What was put into columns.
pub fn columns<'py>(py: Python<'py>, events: &Events) -> Columns<'py> {
    let bytes = |bytes: &[u8]| PyBytes::new(py, bytes);
    let all = |columns: &[Column]| {
        let one = |column: &Column| column.buffers().into_iter().map(bytes).collect();
        columns.iter().map(one).collect()
    };
    let (columns, findings) = events.columns();
    let places = vec![bytes(events.found.bytes()), bytes(&events.found_ends)];
    (
        events.rows,
        all(columns),
        (places, events.findings, all(findings)),
        bytes(&events.rest),
    )
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let names: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
    module.add("EVENT_COLUMNS", names)?;
    module.add_function(wrap_pyfunction!(event_columns, module)?)
}
