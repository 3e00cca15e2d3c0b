//! The policy as far as single messages are judged by it, made ready; its meaning is told in `kemi/sipsieve.toml`.

use std::collections::{HashMap, HashSet};

use super::accounts::Accounts;
use super::destinations::Destinations;
use super::limits::Limits;
use crate::detect::{Finding, glob};
use crate::sip::{Kind, Message, dialog, names};
use crate::state::earned::Terms;

/// What findings of a family lead to once a message's score is high enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Reject,
    Drop,
    Scrub,
    Log,
}

/// What becomes of an INVITE without a body: `[content_length_zero] invite`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bodiless {
    Reject,
    /// Only of one whose To has no tag.
    RejectInitial,
    Allow,
}

/// The policy's part in a decision. Immutable; shared by all workers.
#[derive(Debug)]
pub struct Policy {
    /// `mode` is `enforce`; a network may have its own.
    pub enforce: bool,
    /// By family; `Reject` for those that are not named.
    pub actions: HashMap<String, Action>,
    pub reject_score: u32,
    pub scrub_score: u32,
    /// Rules that are logged with what they would have done, and do nothing.
    pub observed: HashSet<String>,
    pub bodiless: Bodiless,
    pub limits: Limits,
    /// What accounts are held to; empty where the policy says nothing of it.
    pub accounts: Accounts,
    /// Where calls may go; empty where the policy says nothing of it.
    pub destinations: Destinations,
    /// What is over a limit is dropped, not answered.
    pub drop_excess: bool,
    /// The answer to what is over a limit: 403 or 503.
    pub excess_status: u16,
    pub bans: bool,
    /// Seconds of a source's first, second, … ban; the last holds for all that follow.
    pub ban_steps: Vec<u64>,
    /// The longest ban on evidence that can be forged.
    pub udp_max_seconds: u64,
    /// Minutes in which a source must have shown that it is where it says, to have standing; and how that fades.
    pub terms: Terms,
    pub lost_by: LostBy,
    /// What is different for messages to a domain, by its name in lower case.
    pub tenants: HashMap<String, Tenant>,
}

/// For what standing is lost, where nobody can have forged it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LostBy {
    pub ban: bool,
    /// A request that is refused for what stands in it.
    pub attack: bool,
    /// A request that is refused for what its account has done.
    pub account: bool,
    /// A call that is refused for where it goes.
    pub destination: bool,
}

/// What holds for messages to one domain instead of what holds for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tenant {
    /// Nobody is banned for them.
    pub no_bans: bool,
    /// As `Policy::ban_steps`; empty: those.
    pub ban_steps: Vec<u64>,
    /// How many times a rate of requests must be passed for a ban; 0 never.
    pub ban_factor: Option<u64>,
    /// Rules, and fields in which they do not count, with wildcards; an empty field is every one.
    pub exceptions: Vec<(String, String)>,
}

impl Tenant {
    fn excepts(&self, finding: &Finding<'_>) -> bool {
        self.exceptions.iter().any(|(rule, field)| {
            glob::matches(rule.as_bytes(), finding.rule.as_bytes())
                && (field.is_empty() || glob::matches(field.as_bytes(), finding.field.as_bytes()))
        })
    }
}

impl Policy {
    pub fn action(&self, family: &str) -> Action {
        self.actions.get(family).copied().unwrap_or(Action::Reject)
    }

    pub fn is_observed(&self, rule: &str) -> bool {
        !self.observed.is_empty() && self.observed.contains(rule)
    }

    /// What is different for a message's domain: that of the request's URI, and of an answer's To.
    pub fn tenant(&self, message: &Message<'_>) -> Option<&Tenant> {
        if self.tenants.is_empty() {
            return None;
        }
        let uri = match message.kind {
            Kind::Request => message.uri.of(message.raw),
            Kind::Reply => dialog::address_uri(&message.get(names::TO)?.value),
            Kind::Malformed => return None,
        };
        let host = dialog::host(uri).to_ascii_lowercase();
        self.tenants.get(std::str::from_utf8(&host).ok()?)
    }

    /// Takes out what does not count in messages to their domain.
    pub fn except(&self, message: &Message<'_>, findings: &mut Vec<Finding<'_>>) {
        if findings.is_empty() {
            return;
        }
        if let Some(tenant) = self.tenant(message).filter(|tenant| !tenant.exceptions.is_empty()) {
            findings.retain(|finding| !tenant.excepts(finding));
        }
    }

    /// How long a source's `offences`-th ban lasts, for messages to a tenant or to others.
    pub fn ban_seconds(&self, offences: u64, forgeable: bool, tenant: Option<&Tenant>) -> u64 {
        let step = usize::try_from(offences.max(1) - 1).unwrap_or(usize::MAX);
        let own = tenant.map(|tenant| &tenant.ban_steps).filter(|own| !own.is_empty());
        let steps = own.unwrap_or(&self.ban_steps);
        let seconds = steps.get(step).or(steps.last()).copied().unwrap_or(60);
        if forgeable {
            seconds.min(self.udp_max_seconds)
        } else {
            seconds
        }
    }
}
