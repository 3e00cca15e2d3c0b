//! All texts of a small language, to ask of a pattern whether it matches one of them.

/// What leads on from a state: bytes, each with where it leads to.
type Edges = Vec<(u8, u32)>;

/// Texts, as an automaton that reads one byte after the other.
#[derive(Debug)]
pub struct Language {
    /// By state. The first is where every text begins.
    edges: Vec<Edges>,
    /// States in which a text may end.
    ends: Vec<bool>,
    /// By byte: the states that it leads to.
    behind: Vec<Vec<u32>>,
}

impl Language {
    /// Just these words.
    pub fn of(words: impl Iterator<Item = Vec<u8>>) -> Self {
        let mut made = Self {
            edges: vec![Edges::new()],
            ends: vec![false],
            behind: Vec::new(),
        };
        for word in words {
            let mut at = 0;
            for byte in word {
                at = match made.step(at, byte) {
                    Some(next) => next,
                    None => {
                        let next = made.add(Edges::new());
                        made.edges[at as usize].push((byte, next));
                        next
                    }
                };
            }
            made.ends[at as usize] = true;
        }
        made.indexed()
    }

    /// One or more of these words, with a comma between two, and maybe a blank behind it. No word has a comma.
    pub fn listed(mut self) -> Self {
        let words = self.edges[0].iter().copied();
        let comma = (b',', self.add(words.chain([(b' ', 0)]).collect()));
        for (edges, ends) in self.edges.iter_mut().zip(&self.ends) {
            if *ends {
                edges.push(comma);
            }
        }
        self.indexed()
    }

    /// So many digits at the most, and one at least, a blank, and one of these words.
    pub fn behind_number(mut self, digits: usize) -> Self {
        // The words begin at a state of their own from now on.
        let words = std::mem::take(&mut self.edges[0]);
        let start = self.add(words);
        let mut at = 0;
        for _ in 0..digits {
            let next = self.add(vec![(b' ', start)]);
            self.edges[at as usize].extend((b'0'..=b'9').map(|digit| (digit, next)));
            at = next;
        }
        self.indexed()
    }

    fn add(&mut self, edges: Edges) -> u32 {
        self.edges.push(edges);
        self.ends.push(false);
        (self.edges.len() - 1) as u32
    }

    fn indexed(mut self) -> Self {
        self.behind = vec![Vec::new(); 256];
        for (byte, next) in self.edges.iter().flatten() {
            self.behind[usize::from(*byte)].push(*next);
        }
        self
    }

    fn step(&self, state: u32, byte: u8) -> Option<u32> {
        let mut edges = self.edges[state as usize].iter();
        edges.find(|(known, _)| *known == byte).map(|(_, next)| *next)
    }

    /// Whether a text in lower case stands in one of its texts, in either case.
    pub fn has(&self, part: &[u8]) -> bool {
        let Some((first, rest)) = part.split_first() else {
            return true;
        };
        let cases = |byte: u8| [byte, byte.to_ascii_uppercase()];
        let begun = cases(*first).map(|byte| self.behind[usize::from(byte)].iter().copied());
        let mut places: Vec<u32> = begun.into_iter().flatten().collect();
        for byte in rest {
            let behind = |place| cases(*byte).map(|byte| self.step(place, byte));
            places = places.into_iter().flat_map(behind).flatten().collect();
            places.sort_unstable();
            places.dedup();
        }
        !places.is_empty()
    }

    /// Where each byte leads to from a state.
    pub fn next(&self, state: u32) -> impl Iterator<Item = (u8, u32)> + '_ {
        self.edges[state as usize].iter().copied()
    }

    /// Whether a text may end there.
    pub fn ends(&self, state: u32) -> bool {
        self.ends[state as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(language: &Language, text: &str) -> bool {
        let end = text.bytes().try_fold(0, |state, byte| language.step(state, byte));
        end.is_some_and(|state| language.ends(state))
    }

    #[test]
    fn it_has_its_texts_and_no_others() {
        let words = || ["ab", "abc", "d"].into_iter().map(|word| word.as_bytes().to_vec());
        let (plain, listed, numbered) = (
            Language::of(words()),
            Language::of(words()).listed(),
            Language::of(words()).behind_number(2),
        );
        for (text, expected) in [
            ("ab", [true, true, false]),
            ("a", [false; 3]),
            ("", [false; 3]),
            ("d,ab, abc", [false, true, false]),
            ("d,  d", [false; 3]),
            ("d,", [false; 3]),
            ("17 d", [false, false, true]),
            ("17", [false; 3]),
            ("17 17 d", [false; 3]),
            ("177 d", [false; 3]),
            (" d", [false; 3]),
        ] {
            assert_eq!(
                [&plain, &listed, &numbered].map(|language| has(language, text)),
                expected,
                "{text}"
            );
        }
        for (part, expected) in [
            ("bc", true),
            ("", true),
            ("c", true),
            ("ac", false),
            ("ab, d", true),
            ("b,a", true),
            (",,", false),
        ] {
            assert_eq!(listed.has(part.as_bytes()), expected, "{part}");
        }
        assert!(Language::of([b"AB".to_vec()].into_iter()).has(b"ab"));
    }
}
