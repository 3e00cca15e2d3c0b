//! A rule's pattern as an automaton that takes linear time.

use std::collections::HashSet;
use std::fmt;

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson;
use regex_automata::util::pool::Pool;
use regex_automata::{Anchored, Input};
use regex_syntax::hir::Look;

use super::language::Language;

/// Bytes that a pattern's automaton may take: the largest of ours takes a tenth.
const NFA_BYTES: usize = 1 << 20;

/// Bytes of states that a process keeps of a pattern it has tried: enough for all that ordinary messages reach. Beyond that it
/// begins anew, so that hostile messages, which reach ever new states of every rule, don't make a worker grow.
const CACHE_BYTES: usize = 160 << 10;

type MakeCache = Box<dyn Fn() -> Cache + Send + Sync + std::panic::UnwindSafe + std::panic::RefUnwindSafe>;

/// A compiled pattern that tells whether it is in a text: one automaton, whose states are made as they are met.
pub struct Pattern {
    dfa: DFA,
    caches: Pool<Cache, MakeCache>,
    /// Bytes with which a text that it is in begins; `None` where it may be anywhere in one.
    first: Option<Box<[bool; 256]>>,
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pattern")
    }
}

impl Pattern {
    /// Fails with the compiler's words.
    pub fn new(hir: &regex_syntax::hir::Hir) -> Result<Self, String> {
        let nfa = thompson::Compiler::new()
            .configure(
                thompson::Config::new()
                    .utf8(false)
                    .nfa_size_limit(Some(NFA_BYTES))
                    .which_captures(thompson::WhichCaptures::None),
            )
            .build_from_hir(hir)
            .map_err(|error| error.to_string())?;
        let dfa = DFA::builder()
            .configure(
                DFA::config()
                    .cache_capacity(CACHE_BYTES)
                    // A pattern that needs more is given just that.
                    .skip_cache_capacity_check(true),
            )
            .build_from_nfa(nfa)
            .map_err(|error| error.to_string())?;
        let first = hir.properties().look_set_prefix().contains(Look::Start);
        let first = first.then(|| first_bytes(&dfa)).flatten();
        let maker = dfa.clone();
        let make: MakeCache = Box::new(move || maker.create_cache());
        Ok(Self {
            dfa,
            caches: Pool::new(make),
            first,
        })
    }

    /// Takes time linear in `text`.
    pub fn is_match(&self, text: &[u8]) -> bool {
        if let (Some(first), Some(&byte)) = (&self.first, text.first()) {
            if !first[usize::from(byte)] {
                return false;
            }
        }
        let input = Input::new(text).earliest(true);
        // It has no byte to quit at and never gives up, so there is no error; were there one, it would not hide an attack.
        self.dfa
            .try_search_fwd(&mut self.caches.get(), &input)
            .map_or(true, |found| found.is_some())
    }

    /// Whether it is in some text of a language; true, too, where that can't be told in the memory of one cache. Not for each
    /// message: its work is that of reading all texts at once.
    pub fn may_be_in(&self, language: &Language) -> bool {
        let mut cache = self.dfa.create_cache();
        let Ok(start) = self.dfa.start_state_forward(&mut cache, &Input::new("")) else {
            return true;
        };
        // A match is told by the state behind the byte that follows it.
        let mut known = HashSet::from([(0, start)]);
        let mut left = vec![(0, start)];
        while let Some((place, state)) = left.pop() {
            if language.ends(place)
                && !self
                    .dfa
                    .next_eoi_state(&mut cache, state)
                    .is_ok_and(|end| !end.is_match())
            {
                return true;
            }
            for (byte, behind) in language.next(place) {
                let Ok(next) = self.dfa.next_state(&mut cache, state, byte) else {
                    return true;
                };
                // States lose their numbers once the cache is full.
                if next.is_match() || cache.clear_count() > 0 {
                    return true;
                }
                if !next.is_dead() && known.insert((behind, next)) {
                    left.push((behind, next));
                }
            }
        }
        false
    }

    /// Bytes of states that this process keeps of it.
    pub fn held(&self) -> usize {
        self.caches.get().memory_usage()
    }

    /// How often there was no room for its states, so that it made them anew.
    #[cfg(test)]
    pub fn begun_anew(&self) -> usize {
        self.caches.get().clear_count()
    }
}

/// Bytes behind which an automaton that begins at a text's first byte may still match; `None` where it doesn't say.
fn first_bytes(dfa: &DFA) -> Option<Box<[bool; 256]>> {
    let mut cache = dfa.create_cache();
    let input = Input::new("").anchored(Anchored::Yes);
    let start = dfa.start_state_forward(&mut cache, &input).ok()?;
    let mut found = Box::new([true; 256]);
    for (byte, may) in (0..=255).zip(found.iter_mut()) {
        *may = !dfa.next_state(&mut cache, start, byte).ok()?.is_dead();
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::literals::parse;

    #[test]
    fn only_a_pattern_that_is_bound_to_the_start_asks_for_the_first_byte() {
        let made = |pattern: &str| Pattern::new(&parse(pattern).expect("a pattern")).expect("an automaton");
        let bound = made(r"^\s{0,4}-[a-z]|^\d+,");
        let first = bound.first.as_ref().expect("bytes");
        let allowed: Vec<u8> = (0..=255).filter(|&byte| first[usize::from(byte)]).collect();
        assert_eq!(allowed, b"\t\n\x0b\x0c\r -0123456789");
        assert!(bound.is_match(b" -a") && bound.is_match(b"7,") && !bound.is_match(b"x -a"));
        assert!(made("^a|b").first.is_none() && made("ab").first.is_none());
        assert!(made("^a?$").is_match(b""));
    }
}
