//! Decisions for Python: offline, in tests, and for operators.

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

use crate::detect::{Finding, Scratch};
use crate::judge::counters::{Counters, Name, Shared, WINDOW};
use crate::judge::limits::{Limits, NAMES};
use crate::judge::policy::{Action, Bodiless, LostBy, Policy, Tenant};
use crate::judge::{self, scoring};
use crate::python::accounts::accounts;
use crate::python::destinations::destinations;
use crate::python::inspection::Inspector;
use crate::python::memory::Memory;
use crate::python::network::{Networks, place_of};
use crate::sip::{Kind, PartKind, Span, grammar};
use crate::sources::{Barred, Source};
use crate::state::earned::Terms;

/// Decides on messages by one revision of policy, rules and networks; see `sipsieve.decision.engine`.
#[pyclass(frozen, module = "sipsieve._core")]
pub struct Judge {
    pub inner: Arc<judge::Judge>,
    inspector: Py<Inspector>,
}

/// The fields of Python's `Source`.
type SourceTuple = (
    String,
    u16,
    String,
    String,
    bool,
    Option<bool>,
    i32,
    String,
    String,
    u32,
    String,
    Option<(String, String)>,
);

fn source_of(fields: SourceTuple) -> Source {
    let (ip, port, transport, key, trusted, enforced, network, cell, country, asn, organization, barred) = fields;
    let barred = barred.and_then(|(name, reason)| {
        let action = crate::python::feeds::action(&name).ok()?;
        Some(Barred { action, reason })
    });
    let mut source = Source::new(&ip, port, &transport, &key, &cell)
        .with_place(place_of(&country, asn, &organization))
        .with_barred(barred);
    (source.trusted, source.enforced, source.network) = (trusted, enforced, network);
    source
}

/// Counters that Python keeps; the first exception is raised when the decision is made.
struct Foreign<'a, 'py> {
    counters: &'a Bound<'py, PyAny>,
    offence: &'a Bound<'py, PyAny>,
    error: RefCell<Option<PyErr>>,
}

impl<'py> Foreign<'_, 'py> {
    fn kept<T: Default>(&self, result: PyResult<T>) -> T {
        result.unwrap_or_else(|error| {
            self.error.borrow_mut().get_or_insert(error);
            T::default()
        })
    }

    fn ask<T: Default + for<'a> FromPyObject<'a, 'py, Error = PyErr>>(
        &self,
        method: &str,
        arguments: impl pyo3::call::PyCallArgs<'py>,
    ) -> T {
        let asked = self.counters.call_method1(method, arguments);
        self.kept(asked.and_then(|answer| answer.extract()))
    }

    fn tell(&self, method: &str, arguments: impl pyo3::call::PyCallArgs<'py>) {
        self.kept(self.counters.call_method1(method, arguments).map(drop));
    }
}

impl Counters for Foreign<'_, '_> {
    fn add(&self, name: Name<'_>, amount: u64) -> i64 {
        self.ask("add", (name.to_string(), amount))
    }

    fn get(&self, name: Name<'_>) -> u64 {
        self.ask("get", (name.to_string(),))
    }

    fn offence(&self, key: &str, scope: judge::Scope) -> u64 {
        self.kept(
            self.offence
                .call1((key, scope.letter()))
                .and_then(|answer| answer.extract()),
        )
    }

    fn mark(&self, identity: u64, value: u32, now: u64) {
        self.tell("mark", (identity, value, now));
    }

    fn marked(&self, identity: u64, now: u64, life: u64) -> u32 {
        self.ask("marked", (identity, now, life))
    }

    fn copies(&self, identity: u64, now: u64) -> u64 {
        self.ask("copies", (identity, now))
    }

    fn remember_dialog(&self, identity: u64, _now: u64) {
        self.tell("remember_dialog", (identity,));
    }

    fn knows_dialog(&self, identity: u64, _now: u64) -> bool {
        self.ask("knows_dialog", (identity,))
    }

    // Trust is earned in a running server only.
    fn earn(&self, _key: &str, _proof: &'static str, _now: u64) {}

    fn has_earned(&self, _key: &str, _now: u64) -> bool {
        false
    }

    fn disgraced(&self, _key: &str, _why: &str) {}
}

/// A domain's name in lower case, whether it bans, its lengths and factor of bans, its exceptions as (rule, field).
type TenantTuple = (String, bool, Vec<u64>, Option<u64>, Vec<(String, String)>);

fn policy_of(plan: &Bound<'_, PyDict>) -> PyResult<Policy> {
    let of = |name: &str| {
        plan.get_item(name)?
            .ok_or_else(|| PyValueError::new_err(format!("{name}: not in the plan")))
    };
    let actions: Vec<(String, String)> = of("actions")?.extract()?;
    let action = |(family, name): (String, String)| {
        let action = match name.as_str() {
            "reject" => Action::Reject,
            "drop" => Action::Drop,
            "scrub" => Action::Scrub,
            "log" => Action::Log,
            _ => return Err(PyValueError::new_err(format!("actions.{family}: {name:?}"))),
        };
        Ok((family, action))
    };
    Ok(Policy {
        enforce: of("enforce")?.extract()?,
        actions: actions.into_iter().map(action).collect::<PyResult<_>>()?,
        reject_score: of("reject_score")?.extract()?,
        scrub_score: of("scrub_score")?.extract()?,
        observed: of("observed")?.extract::<Vec<String>>()?.into_iter().collect(),
        bodiless: match of("bodiless")?.extract::<String>()?.as_str() {
            "reject" => Bodiless::Reject,
            "reject-initial" => Bodiless::RejectInitial,
            _ => Bodiless::Allow,
        },
        limits: Limits::new(
            of("limited")?.extract()?,
            of("ban_factor")?.extract()?,
            &of("profiles")?.extract::<Vec<[(u64, u64); 10]>>()?,
        ),
        accounts: accounts(&of("accounts")?)?,
        destinations: destinations(&of("destinations")?)?,
        drop_excess: of("drop_excess")?.extract()?,
        excess_status: of("excess_status")?.extract()?,
        bans: of("bans")?.extract()?,
        ban_steps: of("ban_steps")?.extract()?,
        udp_max_seconds: of("udp_max_seconds")?.extract()?,
        terms: Terms {
            enough: of("earned_minutes")?.extract()?,
            fades: of("fade_minutes")?.extract()?,
        },
        lost_by: {
            let named: Vec<String> = of("lost_by")?.extract()?;
            let has = |name: &str| named.iter().any(|one| one == name);
            LostBy {
                ban: has("ban"),
                attack: has("attack"),
                account: has("account"),
                destination: has("destination"),
            }
        },
        tenants: of("tenants")?
            .extract::<Vec<TenantTuple>>()?
            .into_iter()
            .map(|(name, bans, ban_steps, ban_factor, exceptions)| {
                let tenant = Tenant {
                    no_bans: !bans,
                    ban_steps,
                    ban_factor,
                    exceptions,
                };
                (name, tenant)
            })
            .collect(),
    })
}

#[pymethods]
impl Judge {
    /// `plan` holds by name what is described at `judge::policy::Policy` and `judge::limits::Limits::new`.
    #[new]
    fn new(
        inspector: &Bound<'_, Inspector>,
        networks: &Bound<'_, Networks>,
        plan: &Bound<'_, PyDict>,
    ) -> PyResult<Self> {
        let inner = judge::Judge {
            engine: Arc::clone(&inspector.get().engine),
            networks: Arc::clone(&networks.get().inner),
            policy: policy_of(plan)?,
        };
        Ok(Self {
            inner: Arc::new(inner),
            inspector: inspector.clone().unbind(),
        })
    }

    /// Decides on one message, by a server's `Memory`, or by counters that Python keeps. Never raises on input.
    ///
    /// Returns verdict, kind (0 a request, 1 a reply, 2 neither), method, enforced, status, phrase, retry_after, reason,
    /// findings, counts by name, ban or None, replacement or None.
    #[pyo3(signature = (raw, source, now, counters, offence, in_transaction, unparsable=false))]
    #[allow(clippy::too_many_arguments)]
    fn decide<'py>(
        &self,
        py: Python<'py>,
        raw: &[u8],
        source: SourceTuple,
        now: f64,
        counters: &Bound<'py, PyAny>,
        offence: &Bound<'py, PyAny>,
        in_transaction: &Bound<'py, PyAny>,
        unparsable: bool,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let source = source_of(source);
        let mut seen = self.inner.engine.look(raw, unparsable, &mut Scratch::default());
        let foreign = Foreign {
            counters,
            offence,
            error: RefCell::new(None),
        };
        let asked = || {
            foreign.kept(
                in_transaction
                    .call0()
                    .and_then(|answer| answer.extract::<Option<bool>>()),
            )
        };
        let decision = match counters.cast::<Memory>() {
            Ok(memory) => {
                let shared = Shared {
                    tables: &memory.get().tables,
                    window: now as u64 / WINDOW,
                    wall: now as u64,
                    now: now as u64,
                    offence: |key: &str, scope: judge::Scope| foreign.offence(key, scope),
                    terms: self.inner.policy.terms,
                    // Who has standing is told where a server runs.
                    told: |_: &str, _: &str, _: u64| {},
                };
                (self.inner).decide(&mut seen, &source, now as u64, &shared, &asked, unparsable)
            }
            Err(_) => (self.inner).decide(&mut seen, &source, now as u64, &foreign, &asked, unparsable),
        };
        if let Some(error) = foreign.error.take() {
            return Err(error);
        }
        let maker = &self.inspector.get().maker;
        let findings = PyList::empty(py);
        for finding in &decision.findings {
            findings.append(maker.finding(py, finding)?)?;
        }
        let counts: Vec<(&str, u64)> = decision
            .counts
            .iter()
            .map(|&(limit, count)| (NAMES[limit], count))
            .collect();
        let ban = decision.ban.as_ref();
        let ban = ban.map(|ban| {
            (
                &ban.key,
                ban.seconds,
                ban.rule,
                ban.offences,
                ban.scope.letter(),
                &ban.reason,
            )
        });
        let kind: u8 = match seen.message.kind {
            Kind::Request => 0,
            Kind::Reply => 1,
            Kind::Malformed => 2,
        };
        let made = decision.replacement.as_ref().map(|made| PyBytes::new(py, made));
        let first = (
            decision.verdict.name(),
            kind,
            grammar::ascii(seen.message.method),
            decision.enforced,
            decision.answer.status,
            decision.answer.phrase,
        );
        let rest = (
            decision.answer.retry_after,
            decision.reason,
            findings,
            counts,
            ban,
            made,
        );
        let (first, rest) = (first.into_pyobject(py)?, rest.into_pyobject(py)?);
        first.into_any().add(rest)?.cast_into::<PyTuple>().map_err(PyErr::from)
    }

    /// The findings whose scores add up, by their place; each is given as rule, family, score, excerpt.
    fn counted(&self, findings: Vec<(String, String, u8, Vec<u8>)>) -> Vec<usize> {
        let findings: Vec<Finding<'_>> = (findings.iter())
            .map(|(rule, family, score, excerpt)| Finding {
                rule,
                family,
                score: *score,
                field: Cow::Borrowed(""),
                reason: Cow::Borrowed(""),
                excerpt: Cow::Borrowed(excerpt),
                span: Span::default(),
                part: PartKind::Text,
                removable: false,
            })
            .collect();
        scoring::counted(&self.inner.policy, &findings)
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("LIMITS", NAMES.to_vec())?;
    module.add("ACCOUNT_RULES", judge::accounts::RULES.to_vec())?;
    module.add("DESTINATION_RULES", judge::destinations::RULES.to_vec())?;
    module.add("WINDOW", crate::judge::counters::WINDOW)?;
    module.add("FORGEABLE_MEMORY", crate::judge::offences::FORGEABLE_MEMORY)?;
    module.add_class::<Judge>()
}
