//! Values that stand in nearly every message, held against all rules once, at the start.

use super::kinds;
use super::ruleset::{Place, Ruleset, Search};
use crate::sip::parts::plain::{FLAGS, PROTOCOLS};
use crate::sip::{HeaderName, PartKind, names};

/// Digits of Content-Length, Max-Forwards, Expires and the like; more are looked at.
const DIGITS: usize = 11;

/// Those of `PROTOCOLS` that no rule matches, wherever it is for; each with whether a search would find a rule worth a try, by
/// level of paranoia.
#[derive(Debug, Default)]
pub struct Settled {
    protocols: Vec<(&'static [u8], Vec<bool>)>,
    /// Whether no rule matches any of them, nor of `FLAGS`.
    pub all: bool,
    /// A number of less digits than these is matched by no rule, wherever it stands.
    pub digits: usize,
}

impl Settled {
    /// `levels`: how many levels of paranoia the rules have.
    pub fn new(rules: &Ruleset, levels: usize) -> Self {
        let mut search = Search::default();
        let mut wanted = |value: &[u8], paranoia| {
            let place = Place {
                kind: Some(PartKind::Text),
                header: HeaderName::known(names::VIA),
                paranoia,
                plain: true,
            };
            rules.want(value, kinds::of(value), place, false, &mut search)
        };
        let is_untouched = |value: &&&[u8]| !rules.rules.iter().any(|rule| rule.is_match(value));
        // A level has eight bits.
        let protocols: Vec<_> = PROTOCOLS
            .iter()
            .filter(is_untouched)
            .map(|value| (*value, (0..levels).map(|level| wanted(value, level as u8)).collect()))
            .collect();
        Self {
            digits: rules.shortest(kinds::of(b"0")).min(DIGITS),
            all: protocols.len() == PROTOCOLS.len() && FLAGS.iter().all(|flag| is_untouched(&flag)),
            protocols,
        }
    }

    /// For a plain text in a Via that no rule matches: whether a search would find one worth a try, by which such a text is
    /// counted. `None` where that is not known from the start.
    pub fn of(&self, value: &[u8], paranoia: u8) -> Option<bool> {
        let (_, wanted) = self.protocols.iter().find(|(known, _)| *known == value)?;
        wanted.get(usize::from(paranoia)).or(wanted.last()).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::RuleSpec;

    fn ruleset(pattern: &str) -> Ruleset {
        let spec = RuleSpec {
            id: "a".to_owned(),
            family: "sip".to_owned(),
            pattern: pattern.to_owned(),
            ..RuleSpec::default()
        };
        Ruleset::new(vec![spec], &[]).expect("a pattern")
    }

    #[test]
    fn what_a_rule_matches_is_never_settled() {
        for (pattern, udp, tcp) in [
            ("nothing", Some(false), Some(false)),
            ("udp!", Some(false), Some(false)),
            ("2.0/udp$", None, Some(false)),
            ("udpx?", None, Some(false)),
            ("sip/.{50}", Some(true), Some(true)),
        ] {
            let settled = ruleset(pattern).settled;
            let found = [b"SIP/2.0/UDP", b"SIP/2.0/TCP"].map(|value| settled.of(value, 9));
            assert_eq!(found, [udp, tcp], "{pattern}");
            assert_eq!(settled.of(b"SIP/2.0/udp", 1), None);
        }
    }
}
