//! A set of rules, a bit each.

/// Sets that are held against each other are made for the same number of rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set(pub Vec<u64>);

impl Set {
    /// An empty set for so many rules.
    pub fn of(rules: usize) -> Self {
        Self(vec![0; rules.div_ceil(64).max(1)])
    }

    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|&word| word == 0)
    }

    pub fn has(&self, rule: u16) -> bool {
        self.0[usize::from(rule / 64)] >> (rule % 64) & 1 != 0
    }

    pub fn add(&mut self, rule: u16) {
        self.0[usize::from(rule / 64)] |= 1 << (rule % 64);
    }

    /// With what another set's words hold.
    pub fn join(&mut self, other: &[u64]) {
        for (word, other) in self.0.iter_mut().zip(other) {
            *word |= other;
        }
    }

    /// Without what is not in the other.
    pub fn keep(&mut self, other: &Self) {
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word &= other;
        }
    }

    /// Its rules, in their order.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        each(&self.0)
    }
}

/// The rules of a set, in their order.
pub fn each(words: &[u64]) -> impl Iterator<Item = u16> + '_ {
    words.iter().zip(0..).flat_map(|(&word, place): (&u64, u16)| {
        std::iter::successors(Some(word), |left| Some(left & left.wrapping_sub(1)))
            .take_while(|left| *left != 0)
            .map(move |left| place * 64 + left.trailing_zeros() as u16)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_was_added_in_order() {
        let mut set = Set::of(200);
        assert!(set.is_empty());
        for rule in [199, 0, 63, 64] {
            set.add(rule);
        }
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 63, 64, 199]);
        let mut other = Set::of(200);
        other.add(64);
        other.add(1);
        set.keep(&other);
        assert_eq!(set.iter().collect::<Vec<_>>(), [64]);
        assert!(set.has(64) && !set.has(1));
    }
}
