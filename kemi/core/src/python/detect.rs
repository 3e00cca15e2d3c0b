//! Rules, forms and scrubs, for Python.

use std::sync::Arc;

use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};

use crate::detect::{self, Exception, RuleSpec, transforms};
use crate::sip::Span;

/// Rules and their exceptions, compiled; see `sipsieve.detection.ruleset`.
#[pyclass(frozen, module = "sipsieve._core")]
pub struct Ruleset {
    pub inner: Arc<detect::Ruleset>,
}

/// A second opinion on free text; see `sipsieve.detection.opinion`.
#[pyclass(frozen, module = "sipsieve._core")]
pub struct Model {
    pub inner: Arc<detect::Model>,
}

#[pymethods]
impl Model {
    /// `content`: the file of weights. Raises ValueError with what is wrong with it.
    #[new]
    fn new(content: &[u8]) -> PyResult<Self> {
        let inner = detect::Model::from_bytes(content).map_err(PyValueError::new_err)?;
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The log-odds that a text is an attack; None for one without a mark, which is not looked at.
    fn score(&self, text: &[u8]) -> Option<f64> {
        self.inner.score(text)
    }

    /// The n-grams that speak most for an attack, the strongest first.
    fn strongest<'py>(&self, py: Python<'py>, text: &[u8]) -> Vec<Bound<'py, PyBytes>> {
        let grams = self.inner.strongest(text).into_iter();
        grams.map(|gram| PyBytes::new(py, gram)).collect()
    }
}

fn spec(rule: &Bound<'_, PyTuple>) -> PyResult<RuleSpec> {
    let confidence: String = rule.get_item(9)?.extract()?;
    Ok(RuleSpec {
        id: rule.get_item(0)?.extract()?,
        family: rule.get_item(1)?.extract()?,
        pattern: rule.get_item(2)?.extract()?,
        score: rule.get_item(3)?.extract()?,
        tight: rule.get_item(4)?.extract()?,
        reason: rule.get_item(5)?.extract()?,
        parts: rule.get_item(6)?.extract()?,
        headers: rule.get_item(7)?.extract()?,
        paranoia: rule.get_item(8)?.extract()?,
        sure: confidence == "high",
        as_sent: rule.get_item(10)?.extract()?,
        apart: rule.get_item(11)?.extract()?,
        made: rule.get_item(12)?.extract()?,
    })
}

#[pymethods]
impl Ruleset {
    /// `rules` as `Rule.spec` gives them; `exceptions` as (rule, field). Raises ValueError with the rule's id and why.
    #[new]
    fn new(rules: Vec<Bound<'_, PyTuple>>, exceptions: Vec<(String, String)>) -> PyResult<Self> {
        let specs = rules.iter().map(spec).collect::<PyResult<Vec<_>>>()?;
        let exceptions: Vec<_> = exceptions
            .into_iter()
            .map(|(rule, field)| Exception { rule, field })
            .collect();
        let inner =
            detect::Ruleset::new(specs, &exceptions).map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The numbers of the rules whose pattern is in a text, whatever their parts.
    #[pyo3(name = "match")]
    fn matching(&self, text: &[u8]) -> Vec<usize> {
        self.inner.matching(text)
    }

    /// By rule, the literals one of which stands in whatever it matches; none: it is tried on everything.
    fn literals<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let rules = PyList::empty(py);
        for rule in &self.inner.rules {
            let literals: Vec<_> = rule
                .literals()
                .iter()
                .map(|literal| PyBytes::new(py, &literal.bytes))
                .collect();
            rules.append((rule.spec.id.as_str(), literals))?;
        }
        Ok(rules)
    }

    /// Bytes that the prefilter takes, how many literals it has, and how many rules have none.
    fn size(&self) -> (usize, usize, usize) {
        self.inner.size()
    }
}

/// The forms of a value to match, as sent first. `stood`: where, as a part says. Raises ValueError for a name of no place.
#[pyfunction]
#[pyo3(signature = (value, stood="bare"))]
fn forms<'py>(py: Python<'py>, value: &[u8], stood: &str) -> PyResult<Vec<Bound<'py, PyBytes>>> {
    let place = transforms::Stood::ALL.iter().find(|place| place.as_str() == stood);
    let place = *place.ok_or_else(|| PyValueError::new_err(format!("{stood}: a value stands bare, quoted or user")))?;
    if !transforms::needs_decoding(value) {
        return Ok(vec![PyBytes::new(py, value)]);
    }
    let made = transforms::forms(value, place);
    Ok(made.iter().map(|form| PyBytes::new(py, form)).collect())
}

/// The names of the transforms, in the order in which forms are made.
#[pyfunction(name = "transforms")]
fn names() -> Vec<&'static str> {
    transforms::TRANSFORMS.iter().map(|(name, _)| *name).collect()
}

/// What a transform makes of a value. Raises KeyError for a name that is none.
#[pyfunction]
fn transform<'py>(py: Python<'py>, name: &str, value: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let found = transforms::TRANSFORMS.iter().find(|(known, _)| *known == name);
    let (_, made) = found.ok_or_else(|| PyKeyError::new_err(name.to_owned()))?;
    Ok(PyBytes::new(py, &made(value)))
}

/// The message with these (start, end) replaced, and no other byte changed.
#[pyfunction]
fn scrub<'py>(py: Python<'py>, raw: &[u8], spans: Vec<(usize, usize)>) -> Bound<'py, PyBytes> {
    let spans = spans.into_iter().map(|(start, end)| Span { start, end }).collect();
    PyBytes::new(py, &detect::scrub::scrub(raw, spans))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Ruleset>()?;
    module.add_class::<Model>()?;
    module.add_function(wrap_pyfunction!(forms, module)?)?;
    module.add_function(wrap_pyfunction!(names, module)?)?;
    module.add_function(wrap_pyfunction!(transform, module)?)?;
    module.add_function(wrap_pyfunction!(scrub, module)?)
}
