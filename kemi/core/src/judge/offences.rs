//! Remembers who is shut out, and how often that was, where Kamailio's tables are not at hand: over recordings, and for a sensor.
//!
//! It answers as `sipsieve.abuse.shared_counters` does from those tables.

use std::collections::HashMap;

use super::{Ban, Scope};
use crate::sources::Source;

/// Seconds that an offence is remembered which rests on what can be forged.
pub const FORGEABLE_MEMORY: u64 = 600;

/// Bans and offences that are kept, whatever is asked for; where there are more, those that are over go.
const MOST: usize = 100_000;

/// Times in seconds of the clock that the messages are judged by.
pub struct Offences {
    most: usize,
    forget: u64,
    /// Until when, and from what.
    standing: HashMap<String, (u64, Scope)>,
    /// How often, and until when that is remembered.
    counted: HashMap<(String, &'static str), (u64, u64)>,
}

impl Offences {
    /// At most `most` bans stand at once; `forget`: seconds for which an offence is remembered on evidence nobody can forge.
    pub fn new(most: usize, forget: u64) -> Self {
        Self {
            most: most.min(MOST),
            forget,
            standing: HashMap::new(),
            counted: HashMap::new(),
        }
    }

    /// Notes that a source is to be shut out: for the how-manieth time; 0 where it is, or where there is no room.
    pub fn count(&mut self, key: &str, scope: Scope, now: u64) -> u64 {
        if let Some(&(until, standing)) = self.standing.get(key) {
            if now < until && (scope.is_forgeable() || standing == Scope::All) {
                return 0;
            }
        }
        if self.standing.len() >= self.most {
            self.standing.retain(|_, (until, _)| now < *until);
            if self.standing.len() >= self.most {
                return 0;
            }
        }
        if self.counted.len() >= MOST {
            self.counted.retain(|_, (_, until)| now < *until);
            if self.counted.len() >= MOST {
                return 0;
            }
        }
        let memory = if scope.is_forgeable() {
            FORGEABLE_MEMORY
        } else {
            self.forget
        };
        let known = self.counted.entry((key.to_owned(), scope.letter())).or_insert((0, 0));
        *known = (if now < known.1 { known.0 + 1 } else { 1 }, now.saturating_add(memory));
        known.0
    }

    /// Shuts a source out.
    pub fn impose(&mut self, ban: &Ban, now: u64) {
        let until = now.saturating_add(ban.seconds);
        self.standing.insert(ban.key.clone(), (until, ban.scope));
    }

    /// Whether a source's messages are dropped unread.
    pub fn hold(&self, source: &Source, now: u64) -> bool {
        self.standing
            .get(source.key())
            .is_some_and(|&(until, scope)| now < until && (scope == Scope::All || scope == Scope::of(source)))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn ban(key: &str, scope: Scope) -> Ban {
        Ban {
            key: key.to_owned(),
            seconds: 60,
            rule: "limit-invite",
            offences: 1,
            scope,
            reason: String::new(),
        }
    }

    #[test]
    fn offences_are_counted_while_they_are_remembered() {
        let mut offences = Offences::new(10, 3600);
        assert_eq!(offences.count("a", Scope::All, 0), 1);
        offences.impose(&ban("a", Scope::All), 0);
        // It is shut out already, from all.
        assert_eq!(offences.count("a", Scope::All, 59), 0);
        assert_eq!(offences.count("a", Scope::All, 60), 2);
        assert_eq!(offences.count("a", Scope::All, 60 + 3600), 1);
        // What can be forged is forgotten sooner, and counted by itself.
        assert_eq!(offences.count("b", Scope::Datagrams, 0), 1);
        assert_eq!(offences.count("b", Scope::Datagrams, FORGEABLE_MEMORY), 1);
    }

    #[test]
    fn better_evidence_widens_a_ban_and_no_more_stand_than_there_is_room_for() {
        let mut offences = Offences::new(1, 3600);
        offences.impose(&ban("a", Scope::Datagrams), 0);
        assert_eq!(offences.count("a", Scope::Datagrams, 1), 0);
        assert_eq!(offences.count("b", Scope::All, 1), 0);
        assert_eq!(offences.count("b", Scope::All, 60), 1);
        let mut offences = Offences::new(2, 3600);
        offences.impose(&ban("a", Scope::Datagrams), 0);
        assert_eq!(offences.count("a", Scope::All, 1), 1);
    }
}
