//! What the guard asks the adapter for while it has a message at hand; an answer that fails is reported, and the cautious one.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::guard::Guard;
use crate::judge::{self, Answer};
use crate::sources::Source;

/// The calls that the adapter gives; see `sipsieve_kemi`.
pub(super) struct Calls {
    /// Reads one of Kamailio's pseudo-variables.
    pub get: Py<PyAny>,
    /// () -> guard: the one to go on with when a newer revision was published.
    pub follow: Py<PyAny>,
    /// (error) -> code: what becomes of a message on which the guard failed.
    pub broken: Py<PyAny>,
    /// () -> bool | None: whether the reply at hand belongs to a transaction of this server.
    pub in_transaction: Py<PyAny>,
    /// (): an exception was left pending by the host's last call.
    pub pending: Py<PyAny>,
    /// (seconds): how long one decision in 64 took.
    pub took: Py<PyAny>,
    /// (key, scope) -> for the how-manieth time a source is to be banned; 0: it is not.
    pub offence: Py<PyAny>,
    /// (key, seconds, rule, offences, scope, reason, now): shuts a source out.
    pub ban: Py<PyAny>,
    /// (key, what, credit, now): a source has standing by that proof; credit 0: it lost what it had, for that reason.
    pub standing: Py<PyAny>,
    /// () -> bool: whether Kamailio can answer the request at hand.
    pub answerable: Py<PyAny>,
    /// (status, phrase, seconds): answers the request at hand; seconds: after which to try again, 0 for nothing of that.
    pub answer: Py<PyAny>,
    /// (key) -> bool: whether it is trusted, or this server's own.
    pub spared: Py<PyAny>,
    /// (bytes, by_route) -> 0: they are in place, 1: they can't be put there, 2: sipsieve.cfg does it and asks again.
    pub replace: Py<PyAny>,
}

impl Calls {
    /// `plan` holds each by its name.
    pub fn new(plan: &Bound<'_, PyDict>) -> PyResult<Self> {
        let call = |name: &str| named(plan, name).map(Bound::unbind);
        Ok(Self {
            get: call("get")?,
            follow: call("follow")?,
            broken: call("broken")?,
            in_transaction: call("in_transaction")?,
            pending: call("pending")?,
            took: call("took")?,
            offence: call("offence")?,
            ban: call("ban")?,
            standing: call("standing")?,
            answerable: call("answerable")?,
            answer: call("answer")?,
            replace: call("replace")?,
            spared: call("spared")?,
        })
    }
}

/// What a plan holds under a name.
pub(super) fn named<'py>(plan: &Bound<'py, PyDict>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    plan.get_item(name)?
        .ok_or_else(|| PyValueError::new_err(format!("{name}: not in the plan")))
}

impl Guard {
    /// Whether a source is neither trusted nor this server itself.
    pub(super) fn is_stranger(&self, py: Python<'_>, source: &Source) -> bool {
        let spared = self.calls.spared.call1(py, (source.key(),));
        let spared = self
            .account
            .report(py, spared.and_then(|spared| spared.extract::<bool>(py)));
        spared == Some(false)
    }

    pub(super) fn offence(&self, py: Python<'_>, key: &str, scope: judge::Scope) -> u64 {
        let asked = self.calls.offence.call1(py, (key, scope.letter()));
        (self.account.report(py, asked.and_then(|count| count.extract(py)))).unwrap_or(0)
    }

    pub(super) fn in_transaction(&self, py: Python<'_>) -> Option<bool> {
        let asked = self.calls.in_transaction.call0(py);
        (self.account.report(py, asked.and_then(|answer| answer.extract(py)))).flatten()
    }

    pub(super) fn answerable(&self, py: Python<'_>) -> bool {
        let asked = self.calls.answerable.call0(py);
        (self.account.report(py, asked.and_then(|answer| answer.extract(py)))).unwrap_or(false)
    }

    pub(super) fn answer(&self, py: Python<'_>, answer: Answer) {
        if answer.status > 0 {
            let told = (answer.status, answer.phrase, answer.retry_after);
            self.account.report(py, self.calls.answer.call1(py, told));
        }
    }

    pub(super) fn impose(&self, py: Python<'_>, ban: &judge::Ban, now: f64) {
        let told = (
            &ban.key,
            ban.seconds,
            ban.rule,
            ban.offences,
            ban.scope.letter(),
            &ban.reason,
            now,
        );
        self.account.report(py, self.calls.ban.call1(py, told));
    }
}
