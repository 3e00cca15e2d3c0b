//! The decision log's records for Python: values are turned into plain views, errors into exceptions.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::python::network::place_of;
use crate::record::{self, fields, indicators, json};
use crate::sip::Kind;

/// A finding as Python has it: rule, family, score, field, reason, excerpt.
type FindingTuple = (String, String, u32, String, String, Vec<u8>);

/// Formats records; knows what is the same in all of them.
#[pyclass(module = "sipsieve._core")]
pub struct Recorder {
    pub inner: record::Recorder,
    line: Vec<u8>,
}

#[pymethods]
impl Recorder {
    /// `mask_mode`: `off`, `numbers` or `users`. Raises ValueError for any other.
    #[new]
    #[pyo3(signature = (rules, policy, mode, excerpt_bytes=256, raw_bytes=0, mask_mode="off", mask_key=b"".as_slice(), record_bytes=2048, replay=false))]
    #[allow(clippy::too_many_arguments)] // Python gives them by name.
    fn new(
        rules: &str,
        policy: &str,
        mode: &str,
        excerpt_bytes: usize,
        raw_bytes: usize,
        mask_mode: &str,
        mask_key: &[u8],
        record_bytes: usize,
        replay: bool,
    ) -> PyResult<Self> {
        let mask = match mask_mode {
            "off" => None,
            "numbers" | "users" => Some(record::Mask::new(mask_key, mask_mode == "users")),
            _ => return Err(PyValueError::new_err("mask_mode: allowed: off, numbers, users")),
        };
        let settings = record::Settings {
            rules,
            policy,
            mode,
            excerpt_bytes,
            raw_bytes,
            replay,
            record_bytes,
            mask,
        };
        Ok(Self {
            inner: record::Recorder::new(settings),
            line: Vec::with_capacity(4096),
        })
    }

    /// One message's record: a line with its line end.
    #[pyo3(signature = (raw, now, ip, port, transport, identity, action, reason="", enforced=true, status=0,
                        kind=None, method=None, counters=None, ban=None, findings=Vec::new(), steady=None,
                        country="", asn=0, organization=""))]
    #[allow(clippy::too_many_arguments)]
    fn decision<'py>(
        &mut self,
        py: Python<'py>,
        raw: &[u8],
        now: f64,
        ip: &str,
        port: u16,
        transport: &str,
        identity: &str,
        action: &str,
        reason: &str,
        enforced: bool,
        status: u16,
        kind: Option<&str>,
        method: Option<&[u8]>,
        counters: Option<Vec<(String, u64)>>,
        ban: Option<(String, u64, String)>,
        findings: Vec<FindingTuple>,
        steady: Option<u64>,
        country: &str,
        asn: u32,
        organization: &str,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let mut message = crate::sip::parse(raw);
        match kind {
            None => {}
            Some("request") => message.kind = Kind::Request,
            Some("reply") => message.kind = Kind::Reply,
            Some("malformed") => message.kind = Kind::Malformed,
            Some(_) => return Err(PyValueError::new_err("kind: allowed: request, reply, malformed")),
        }
        if let Some(method) = method {
            message.method = method;
        }
        let findings: Vec<record::Finding> = (findings.iter())
            .map(|(rule, family, score, field, reason, excerpt)| record::Finding {
                rule,
                family,
                score: *score,
                field,
                reason,
                excerpt,
            })
            .collect();
        let counters = counters.unwrap_or_default();
        let counters: Vec<(&str, u64)> = counters.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        let ban = ban.as_ref().map(|(source, seconds, rule)| record::Ban {
            source,
            seconds: *seconds,
            rule,
        });
        self.line.clear();
        self.inner.decision(
            &mut self.line,
            &record::Decision {
                now,
                steady,
                ip,
                port,
                place: &place_of(country, asn, organization),
                transport,
                action,
                id: identity,
                number: None,
                reason: reason.as_bytes(),
                status,
                enforced,
                counters: &counters,
                ban,
                findings: &findings,
                message: &message,
            },
        );
        Ok(PyBytes::new(py, &self.line))
    }

    /// A count of messages that have no record of their own; `rule` where a flood of like records was folded.
    #[pyo3(signature = (ip, method, verdict, count, first, last, now, rule=""))]
    #[allow(clippy::too_many_arguments)]
    fn summary<'py>(
        &mut self,
        py: Python<'py>,
        ip: &str,
        method: &str,
        verdict: &str,
        count: u64,
        first: f64,
        last: f64,
        now: f64,
        rule: &str,
    ) -> Bound<'py, PyBytes> {
        self.line.clear();
        let summary = record::Summary {
            now,
            ip,
            method,
            action: verdict,
            count,
            first,
            last,
            rule,
        };
        self.inner.summary(&mut self.line, &summary);
        PyBytes::new(py, &self.line)
    }

    /// Something about the guard itself: a start, records lost, a failure. `detail`: what `json` can write.
    fn notice<'py>(
        &mut self,
        py: Python<'py>,
        action: &str,
        now: f64,
        detail: &Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        // Notices are rare: Python writes their details, whatever these are.
        let options = PyDict::new(py);
        options.set_item("separators", (",", ":"))?;
        let written: String = py
            .import("json")?
            .call_method("dumps", (detail,), Some(&options))?
            .extract()?;
        let written = written.replace('\x7f', "\\u007f");
        let members = written
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'))
            .unwrap_or_default();
        self.line.clear();
        self.inner.notice(&mut self.line, action, now, members.as_bytes());
        Ok(PyBytes::new(py, &self.line))
    }
}

/// Foreign bytes as text: UTF-8 where it is, `\xNN` where it is not, cut, digest secrets replaced.
#[pyfunction]
#[pyo3(signature = (value, limit=record::MAX_VALUE))]
fn escaped(value: &[u8], limit: usize) -> String {
    let mut out = String::new();
    json::escaped_text(&mut out, value, limit);
    out
}

/// Seconds since the epoch as RFC 3339 in UTC, to the microsecond.
#[pyfunction]
fn timestamp(now: f64) -> String {
    let mut out = Vec::new();
    record::Clock::default().write(&mut out, now);
    String::from_utf8_lossy(&out).into_owned()
}

/// The indicators in a payload: kind and value, the most telling first.
#[pyfunction(name = "indicators")]
fn indicators_in(text: &str) -> Vec<(&'static str, String)> {
    indicators::in_payload(text)
        .into_iter()
        .map(|item| (item.kind, item.value))
        .collect()
}

/// At most eight indicators of a message's payloads.
#[pyfunction]
fn of_texts(texts: Vec<String>) -> Vec<(&'static str, String)> {
    let found = indicators::of_texts(texts.iter().map(String::as_str));
    found.into_iter().map(|item| (item.kind, item.value)).collect()
}

/// A text with its numbers masked; all user parts too with `every_user`. With `field`, as that field's value.
#[pyfunction]
#[pyo3(signature = (key, every_user, text, field=""))]
fn masked(key: &[u8], every_user: bool, text: &str, field: &str) -> String {
    let mut out = String::new();
    record::Mask::new(key, every_user).value(&mut out, field, text);
    out
}

/// The fields of all records: record, path, type, when present, what it holds, example.
#[pyfunction]
fn record_fields() -> Vec<(
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
)> {
    fields::FIELDS
        .iter()
        .map(|f| (f.record, f.path, f.kind, f.when, f.holds, f.example))
        .collect()
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Recorder>()?;
    module.add_function(wrap_pyfunction!(escaped, module)?)?;
    module.add_function(wrap_pyfunction!(timestamp, module)?)?;
    module.add_function(wrap_pyfunction!(indicators_in, module)?)?;
    module.add_function(wrap_pyfunction!(of_texts, module)?)?;
    module.add_function(wrap_pyfunction!(masked, module)?)?;
    module.add_function(wrap_pyfunction!(record_fields, module)?)?;
    Ok(())
}
