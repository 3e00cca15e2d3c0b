//! Counts what happens to an account, whatever addresses it happens from: refused and accepted credentials, calls, numbers.
//!
//! Anybody can write a customer's name into credentials, so nothing counts but what the backend answered. What is refused then
//! are credentials of addresses that the account does not know: where they were accepted before, it goes on.

use super::counters::Counters;
use super::credentials::is_refusal;
use super::tally::{Of, Tally};
use crate::engine::Seen;
use crate::sip::dialog;
use crate::sources::Source;
use crate::state::region::SECRET;

/// The family of its findings.
pub const FAMILY: &str = "accounts";

/// The rules that fire.
pub const RULES: [&str; 7] = [
    "account-guesses",
    "account-failures",
    "account-spray",
    "account-sources",
    "account-calls",
    "account-numbers",
    "domain-calls",
];

/// Seconds for which an answer is waited for: a call may ring (RFC 3261 13.3.1.1 has three minutes).
const WAITING: u64 = 300;

const GUESSES: Tally = tally("account-guesses");
const FAILURES: Tally = tally("account-failures");
const SPRAY: Tally = tally("account-spray");
const SOURCES: Tally = tally("account-sources");
const TRIED: Tally = tally("account-tried");
const CALLS: Tally = Tally {
    minute: "account-calls-minute",
    hour: "account-calls",
};
const NUMBERS: Tally = tally("account-numbers");
const DOMAIN_CALLS: Tally = Tally {
    minute: "domain-calls-minute",
    hour: "domain-calls",
};

const fn tally(hour: &'static str) -> Tally {
    Tally { minute: hour, hour }
}

/// What accounts of a domain are held to; 0: to nothing.
#[derive(Clone, Debug, Default)]
pub struct Bounds {
    pub enforce: bool,
    /// Different accounts for which one address's credentials are refused in an hour.
    pub guesses: u64,
    /// Refused credentials of one account in an hour, from all addresses together.
    pub failures: u64,
    /// Different addresses whose credentials are refused in an hour, of a domain.
    pub spray: u64,
    /// Different addresses whose credentials for one account are accepted in an hour.
    pub sources: u64,
    /// Answered calls of one account.
    pub calls_per_minute: u64,
    pub calls_per_hour: u64,
    /// Different numbers that one account reaches in an hour.
    pub numbers: u64,
    /// Answered calls of all accounts of a domain.
    pub domain_per_minute: u64,
    pub domain_per_hour: u64,
    /// Accounts that are held to nothing.
    pub exempt: Vec<String>,
}

impl Bounds {
    fn is_off(&self) -> bool {
        let all = [
            self.guesses,
            self.failures,
            self.spray,
            self.sources,
            self.calls_per_minute,
            self.calls_per_hour,
            self.numbers,
            self.domain_per_minute,
            self.domain_per_hour,
        ];
        all.iter().all(|&bound| bound == 0)
    }
}

/// `[accounts]` and each `[[domain]]` of the policy.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    bounds: Bounds,
    /// Realms in lower case, each with its own.
    domains: Vec<(String, Bounds)>,
    /// Anything is counted at all.
    is_on: bool,
}

/// What speaks against credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objection {
    /// Its place in `RULES`.
    pub rule: usize,
    pub enforce: bool,
    pub reason: String,
}

impl Accounts {
    /// For all accounts, and by realm.
    pub fn new(bounds: Bounds, domains: Vec<(String, Bounds)>) -> Self {
        let is_on = !bounds.is_off() || !domains.iter().all(|(_, own)| own.is_off());
        Self { bounds, domains, is_on }
    }

    pub fn is_empty(&self) -> bool {
        !self.is_on
    }

    fn bounds(&self, realm: &[u8]) -> &Bounds {
        let own = self
            .domains
            .iter()
            .find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(realm));
        own.map_or(&self.bounds, |(_, bounds)| bounds)
    }

    /// What speaks against a request with credentials, which is remembered until it is answered.
    pub fn judge(
        &self,
        seen: &Seen<'_>,
        in_dialog: bool,
        source: &Source,
        now: u64,
        counters: &impl Counters,
    ) -> Option<Objection> {
        let user = dialog::username(&seen.message)?;
        let realm = dialog::realm(&seen.message).unwrap_or_default().to_ascii_lowercase();
        let bounds = self.bounds(&realm);
        let is_exempt = bounds.exempt.iter().any(|name| name.as_bytes() == user);
        if bounds.is_off() || is_exempt {
            return None;
        }
        let account = hashed(&[b"account", user, &realm]);
        let who = hashed(&[b"address", source.cell().as_bytes()]);
        let domain = hashed(&[b"domain", &realm]);
        let is_call = seen.message.method == b"INVITE" && !in_dialog;
        let target = dialog::target(&seen.message);
        if let Some(transaction) = transaction(seen) {
            counters.mark(fact(b"account", transaction), account, now);
            counters.mark(fact(b"address", transaction), who, now);
            counters.mark(fact(b"realm", transaction), domain, now);
            if is_call {
                counters.mark(fact(b"number", transaction), hashed(&[b"number", target]), now);
            }
        }
        let total = |of: Of, allowed: u64| of.total(allowed, now, counters);
        let object = |rule: usize, reason: String| {
            Some(Objection {
                rule,
                enforce: bounds.enforce,
                reason,
            })
        };
        let is_known = || Of::hour(SOURCES, account).has(who.into(), now, counters);
        let over = |of: Of, allowed: u64| {
            let seen = if allowed > 0 { total(of, allowed) } else { 0 };
            (seen > allowed).then_some(seen)
        };
        if let Some(seen) = over(Of::hour(GUESSES, who), bounds.guesses) {
            if !is_known() {
                let allowed = bounds.guesses;
                return object(
                    0,
                    format!("credentials for {seen} accounts were refused in an hour, {allowed} are allowed"),
                );
            }
        }
        if let Some(seen) = over(Of::hour(FAILURES, account), bounds.failures) {
            if Of::hour(TRIED, account).has(who.into(), now, counters) && !is_known() {
                let allowed = bounds.failures;
                return object(
                    1,
                    format!("credentials of one account were refused {seen} times in an hour, {allowed} are allowed"),
                );
            }
        }
        if let Some(seen) = over(Of::hour(SPRAY, domain), bounds.spray) {
            if Of::hour(TRIED, domain).has(who.into(), now, counters) && !is_known() {
                let allowed = bounds.spray;
                return object(
                    2,
                    format!("credentials from {seen} addresses were refused in an hour, {allowed} are allowed"),
                );
            }
        }
        if bounds.sources > 0 {
            let seen = total(Of::hour(SOURCES, account), bounds.sources) + 1;
            if seen > bounds.sources && !Of::hour(SOURCES, account).has(who.into(), now, counters) {
                let allowed = bounds.sources;
                return object(
                    3,
                    format!("one account from {seen} addresses in an hour, {allowed} are allowed"),
                );
            }
        }
        if !is_call {
            return None;
        }
        for (rule, of, allowed, what) in [
            (
                4,
                Of::minute(CALLS, account),
                bounds.calls_per_minute,
                "calls of one account in a minute",
            ),
            (
                4,
                Of::hour(CALLS, account),
                bounds.calls_per_hour,
                "calls of one account in an hour",
            ),
            (
                6,
                Of::minute(DOMAIN_CALLS, domain),
                bounds.domain_per_minute,
                "calls of the domain in a minute",
            ),
            (
                6,
                Of::hour(DOMAIN_CALLS, domain),
                bounds.domain_per_hour,
                "calls of the domain in an hour",
            ),
        ] {
            if allowed > 0 && total(of, allowed) >= allowed {
                return object(
                    rule,
                    format!("{} {what}, {allowed} are allowed", total(of, allowed) + 1),
                );
            }
        }
        let numbers = Of::hour(NUMBERS, account);
        let number = hashed(&[b"number", target]);
        if bounds.numbers > 0
            && total(numbers, bounds.numbers) >= bounds.numbers
            && !numbers.has(number.into(), now, counters)
        {
            let seen = total(numbers, bounds.numbers) + 1;
            return object(
                5,
                format!(
                    "{seen} numbers of one account in an hour, {} are allowed",
                    bounds.numbers
                ),
            );
        }
        None
    }

    /// What an answer tells of credentials. `in_transaction` is asked only where something was remembered.
    pub fn answered(
        &self,
        seen: &Seen<'_>,
        now: u64,
        counters: &impl Counters,
        in_transaction: &dyn Fn() -> Option<bool>,
    ) {
        let status = seen.message.status;
        let is_call = seen.message.method == b"INVITE";
        let accepted = (200..300).contains(&status);
        // What an INVITE hears as 403 may be said of where it goes.
        let refused = is_refusal(status) && !(is_call && status == 403);
        if !accepted && !refused {
            return;
        }
        let Some(transaction) = transaction(seen) else { return };
        let known = |what: &[u8]| counters.marked(fact(what, transaction), now, WAITING);
        let (account, who, domain) = (known(b"account"), known(b"address"), known(b"realm"));
        if account == 0 || who == 0 || domain == 0 || in_transaction() != Some(true) {
            return;
        }
        if refused {
            // A stale nonce says that the password was right (RFC 7616 3.3).
            if dialog::challenge(&seen.message).is_some_and(|challenge| challenge.stale) {
                return;
            }
            Of::hour(GUESSES, who).once(account.into(), now, counters);
            Of::hour(FAILURES, account).once(transaction, now, counters);
            Of::hour(SPRAY, domain).once(who.into(), now, counters);
            Of::hour(TRIED, account).add_value(who.into(), 1, now, counters);
            Of::hour(TRIED, domain).add_value(who.into(), 1, now, counters);
            return;
        }
        Of::hour(SOURCES, account).once(who.into(), now, counters);
        let number = known(b"number");
        if is_call && number != 0 {
            for of in [
                Of::minute(CALLS, account),
                Of::hour(CALLS, account),
                Of::minute(DOMAIN_CALLS, domain),
                Of::hour(DOMAIN_CALLS, domain),
            ] {
                of.once(transaction, now, counters);
            }
            Of::hour(NUMBERS, account).once(number.into(), now, counters);
        }
    }
}

fn hashed(parts: &[&[u8]]) -> u32 {
    SECRET.identity(parts) as u32 | 1
}

fn fact(what: &[u8], of: u64) -> u64 {
    SECRET.identity(&[b"of credentials", what, &of.to_be_bytes()])
}

fn transaction(seen: &Seen<'_>) -> Option<u64> {
    let (call_id, number) = dialog::transaction(&seen.message)?;
    Some(SECRET.identity(&[b"credentials", call_id, number]))
}
