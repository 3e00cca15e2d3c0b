//! A rule's pattern as an automaton that takes linear time.

use std::fmt;

use regex_automata::Input;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson;
use regex_automata::util::pool::Pool;

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
        let maker = dfa.clone();
        let make: MakeCache = Box::new(move || maker.create_cache());
        Ok(Self {
            dfa,
            caches: Pool::new(make),
        })
    }

    /// Takes time linear in `text`.
    pub fn is_match(&self, text: &[u8]) -> bool {
        let input = Input::new(text).earliest(true);
        // It has no byte to quit at and never gives up, so there is no error; were there one, it would not hide an attack.
        self.dfa
            .try_search_fwd(&mut self.caches.get(), &input)
            .map_or(true, |found| found.is_some())
    }

    /// How often there was no room for its states, so that it made them anew.
    #[cfg(test)]
    pub fn begun_anew(&self) -> usize {
        self.caches.get().clear_count()
    }
}
