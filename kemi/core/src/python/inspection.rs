//! What Python is shown of a message that was looked at.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString};

use crate::detect::{Finding, Scratch, Settings};
use crate::engine::{Engine, Seen};
use crate::judge::dialog_identity;
use crate::patches::{Patches, Spec, TestSpec};
use crate::python::detect::{Model, Ruleset};
use crate::sip::{Kind, dialog, grammar, http};
use crate::state::region::SECRET;
use crate::structure;

/// Looks at messages by one set of rules; see `sipsieve.engine`.
#[pyclass(frozen, module = "sipsieve._core")]
pub struct Inspector {
    pub engine: Arc<Engine>,
    pub maker: Maker,
}

/// Makes Python's `Finding` of the core's.
pub struct Maker {
    class: Py<PyAny>,
    /// Python's names of the kinds of parts, in the order of `sip::PartKind`.
    parts: Vec<Py<PyAny>>,
}

/// One message as it was seen. What few messages need is read again when it is asked for.
#[pyclass(frozen, module = "sipsieve._core")]
pub struct Inspection {
    /// The message as received.
    #[pyo3(get)]
    raw: Py<PyBytes>,
    /// 0 a request, 1 a reply, 2 neither.
    #[pyo3(get)]
    kind: u8,
    /// Of a reply: the CSeq's.
    #[pyo3(get)]
    method: Py<PyString>,
    /// Of a reply, else 0.
    #[pyo3(get)]
    status: u16,
    /// A list that is the caller's to change.
    #[pyo3(get)]
    findings: Py<PyList>,
    #[pyo3(get)]
    malformed: bool,
    /// Whether a reply can be built at all (RFC 3261 8.2.6).
    #[pyo3(get)]
    answerable: bool,
    /// Whether a body is left when Content-Length is believed (RFC 3261 18.3).
    #[pyo3(get)]
    has_body: bool,
    /// Whether the To header field has a tag.
    #[pyo3(get)]
    to_tag: bool,
    /// What the server's parser refused.
    #[pyo3(get)]
    unparsable: bool,
    /// Not SIP but an HTTP request.
    #[pyo3(get)]
    http: bool,
    /// The dialog's identity (Call-ID and both tags), the same from either side; 0 without one.
    #[pyo3(get)]
    dialog: u64,
    /// The identity of Call-ID and CSeq number, the same in a request and its answers; 0 without one.
    #[pyo3(get)]
    transaction: u64,
    /// Whether a request has credentials that name their transaction.
    #[pyo3(get)]
    offers_credentials: bool,
}

/// Of a patch: id, reason, score, methods, cases.
type PatchTuple = (String, String, u8, Vec<String>, Vec<Vec<TestSpec>>);

fn patches_of(tuples: Vec<PatchTuple>) -> PyResult<Patches> {
    let specs = tuples.into_iter().map(|(id, reason, score, methods, cases)| Spec {
        id,
        reason,
        score,
        methods,
        cases,
    });
    Patches::new(specs.collect()).map_err(|error| pyo3::exceptions::PyValueError::new_err(error.to_string()))
}

impl Maker {
    pub fn finding<'py>(&self, py: Python<'py>, finding: &Finding<'_>) -> PyResult<Bound<'py, PyAny>> {
        let part = self.parts[finding.part as usize].clone_ref(py);
        self.class.bind(py).call1((
            finding.rule,
            finding.family,
            finding.score,
            finding.field.as_ref(),
            finding.reason.as_ref(),
            PyBytes::new(py, &finding.excerpt),
            (finding.span.start, finding.span.end),
            part,
            finding.removable,
        ))
    }
}

impl Inspection {
    pub fn of(py: Python<'_>, maker: &Maker, seen: &Seen<'_>, raw: Py<PyBytes>, unparsable: bool) -> PyResult<Self> {
        let message = &seen.message;
        let findings = PyList::empty(py);
        for finding in &seen.findings {
            findings.append(maker.finding(py, finding)?)?;
        }
        let transaction =
            dialog::transaction(message).map_or(0, |(call_id, number)| SECRET.identity(&[call_id, number]));
        Ok(Self {
            raw,
            kind: match message.kind {
                Kind::Request => 0,
                Kind::Reply => 1,
                Kind::Malformed => 2,
            },
            method: PyString::new(py, &grammar::ascii(message.method)).unbind(),
            status: message.status,
            findings: findings.unbind(),
            malformed: seen.malformed,
            answerable: structure::answerable(message),
            has_body: structure::has_body(message),
            to_tag: dialog::to_tag(message).is_some(),
            unparsable,
            http: message.kind == Kind::Malformed && http::is_request(message.raw),
            dialog: dialog_identity(seen),
            transaction,
            offers_credentials: transaction != 0 && dialog::credentials(message).is_some(),
        })
    }
}

#[pymethods]
impl Inspector {
    #[new]
    #[allow(clippy::too_many_arguments)]
    fn new(
        ruleset: &Bound<'_, Ruleset>,
        finding: Py<PyAny>,
        parts: Vec<Py<PyAny>>,
        paranoia: u8,
        max_bytes: usize,
        max_decoded_bytes: usize,
        max_value_bytes: usize,
        sdp: bool,
        text_bodies: bool,
        patches: Vec<PatchTuple>,
        model: Option<&Bound<'_, Model>>,
    ) -> PyResult<Self> {
        if parts.len() != 12 {
            return Err(pyo3::exceptions::PyValueError::new_err(
                "there are twelve kinds of parts",
            ));
        }
        let settings = Settings {
            paranoia,
            max_decoded_bytes,
            max_value_bytes,
            sdp,
            text_bodies,
        };
        let engine = Engine {
            ruleset: Arc::clone(&ruleset.get().inner),
            max_bytes,
            settings,
            patches: patches_of(patches)?,
            model: model.map(|model| Arc::clone(&model.get().inner)),
        };
        engine.warm();
        Ok(Self {
            engine: Arc::new(engine),
            maker: Maker { class: finding, parts },
        })
    }

    /// Looks at one message; never raises on input.
    #[pyo3(signature = (raw, unparsable=false))]
    fn inspect(&self, py: Python<'_>, raw: &Bound<'_, PyBytes>, unparsable: bool) -> PyResult<Inspection> {
        let mut scratch = Scratch::default();
        let seen = self.engine.look(raw.as_bytes(), unparsable, &mut scratch);
        Inspection::of(py, &self.maker, &seen, raw.clone().unbind(), unparsable)
    }
}

#[pymethods]
impl Inspection {
    /// What tells this message from others, 64 bits; the same in all workers of a server, not to be foreseen.
    #[getter]
    fn identity(&self, py: Python<'_>) -> u64 {
        SECRET.identity(&[self.raw.as_bytes(py)])
    }

    /// Whom a request is for: the user of the Request-URI, of a REGISTER that of To (RFC 3261 10.2); b"" without.
    #[getter]
    fn target<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, dialog::target(&crate::sip::parse(self.raw.as_bytes(py))))
    }

    /// A request's offered nonce, or that of an answer's challenge; b"" without.
    #[getter]
    fn nonce<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let message = crate::sip::parse(self.raw.as_bytes(py));
        let nonce = match message.kind {
            Kind::Reply => dialog::challenge(&message).and_then(|challenge| challenge.nonce),
            _ => dialog::credentials(&message).and_then(|offer| offer.nonce),
        };
        PyBytes::new(py, nonce.as_deref().unwrap_or_default())
    }

    /// Whether an answer's challenge says that only the nonce was stale (RFC 7616 3.3).
    #[getter]
    fn stale(&self, py: Python<'_>) -> bool {
        let message = crate::sip::parse(self.raw.as_bytes(py));
        dialog::challenge(&message).is_some_and(|challenge| challenge.stale)
    }

    /// Whom a reply goes back to, as the Via below ours says: address and port; None where that can't be told.
    #[getter]
    fn requester(&self, py: Python<'_>) -> Option<(String, u16)> {
        dialog::requester(&crate::sip::parse(self.raw.as_bytes(py)))
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Inspector>()?;
    module.add_class::<Inspection>()
}
