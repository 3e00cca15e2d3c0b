//! The reader, for Python: what explains, tests and offline commands need.

use std::ops::ControlFlow;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::detect::transforms::Stood;
use crate::sip::parts::{Bodies, each};
use crate::sip::{self, Kind};
use crate::structure;

const fn kind_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Request => "request",
        Kind::Reply => "reply",
        Kind::Malformed => "malformed",
    }
}

/// A message as it was read: see `sipsieve.message.parse`.
#[pyfunction]
fn parse<'py>(py: Python<'py>, raw: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let message = sip::parse(raw);
    let headers = PyList::empty(py);
    for header in &message.headers {
        headers.append((
            header.name.text().as_ref(),
            PyBytes::new(py, header.raw_name),
            PyBytes::new(py, &header.value),
            header.start,
            header.value_start,
            header.end,
            header.folded,
        ))?;
    }
    let fields = (
        kind_of(message.kind),
        sip::grammar::ascii(message.method),
        message.status,
        PyBytes::new(py, message.uri.of(raw)),
        message.uri.start,
        (message.phrase.start, message.phrase.end),
        headers,
        message.body_start,
        defects(py, &message.defects)?,
    );
    Ok(fields.into_pyobject(py)?.into_any())
}

fn defects<'py>(py: Python<'py>, defects: &[sip::Defect<'_>]) -> PyResult<Bound<'py, PyList>> {
    let found = PyList::empty(py);
    for defect in defects {
        found.append((
            defect.rule,
            defect.field.as_ref(),
            defect.reason.as_ref(),
            PyBytes::new(py, &defect.excerpt),
        ))?;
    }
    Ok(found)
}

/// All defects of a message: those of reading it, and those that only a look at the whole shows.
#[pyfunction]
fn check<'py>(py: Python<'py>, raw: &[u8], max_bytes: usize) -> PyResult<Bound<'py, PyList>> {
    let mut message = sip::parse(raw);
    structure::check(&mut message, max_bytes);
    defects(py, &message.defects)
}

/// The parts of a message: see `sipsieve.message.parts`.
#[pyfunction]
fn parts<'py>(py: Python<'py>, raw: &[u8], sdp: bool, text_bodies: bool) -> PyResult<Bound<'py, PyList>> {
    let message = sip::parse(raw);
    let found = PyList::empty(py);
    let mut failed = None;
    each(&message, Bodies { sdp, text: text_bodies }, |part| {
        let added = found.append((
            part.kind.as_str(),
            part.field.to_string(),
            part.header.text().as_ref(),
            part.span.start,
            part.span.end,
            PyBytes::new(py, part.value),
            Stood::of(&part).as_str(),
        ));
        match added {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    });
    failed.map_or(Ok(found), Err)
}

/// The spans of the lines of `raw[start:]` that hold text, as a session description has them.
#[pyfunction]
#[pyo3(signature = (raw, start=0))]
fn text_lines(raw: &[u8], start: usize) -> Vec<(usize, usize)> {
    let mut spans = Vec::new();
    sip::sdp::text_lines(raw, start, true, |line| spans.push((line.start, line.end)));
    spans
}

/// Every structural rule: id, score, why.
#[pyfunction]
fn structural_checks() -> Vec<(&'static str, u8, &'static str)> {
    structure::CHECKS
        .iter()
        .map(|check| (check.id, check.score, check.why))
        .collect()
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(parse, module)?)?;
    module.add_function(wrap_pyfunction!(check, module)?)?;
    module.add_function(wrap_pyfunction!(parts, module)?)?;
    module.add_function(wrap_pyfunction!(text_lines, module)?)?;
    module.add_function(wrap_pyfunction!(structural_checks, module)?)
}
