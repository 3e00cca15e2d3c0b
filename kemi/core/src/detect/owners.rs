//! The rules that each literal stands for, with what they take beside it, side by side in memory.

use super::kinds::Needs;
use super::set::Set;

/// Some of a literal's rules.
#[derive(Clone, Copy, Debug)]
pub struct Group<'o> {
    /// What they take beside it.
    pub needs: Needs,
    /// The rules, as a `Set` has them.
    pub rules: &'o [u64],
}

/// Words of a group before its set of rules.
const NEEDS: usize = 2;

impl<'o> Group<'o> {
    /// From its words.
    fn read(words: &'o [u64]) -> Option<Self> {
        let (&[all, any], rules) = words.split_first_chunk::<NEEDS>()?;
        Some(Self {
            needs: Needs { all, any },
            rules,
        })
    }
}

/// Where a literal's owners begin and end.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    start: u32,
    end: u32,
}

/// The owners of all literals: of each the set of its rules, and groups of those that need the same.
#[derive(Debug)]
pub struct Owners {
    words: Vec<u64>,
    /// Words of a set of rules.
    set: usize,
}

impl Owners {
    /// None yet, of so many rules.
    pub fn new(rules: usize) -> Self {
        Self {
            words: Vec::new(),
            set: Set::of(rules).0.len(),
        }
    }

    /// A place for the next literal's; the one before it has all of its own then.
    pub fn begin(&mut self) -> Place {
        let start = self.words.len();
        self.words.resize(start + self.set, 0);
        Place {
            start: start as u32,
            end: self.words.len() as u32,
        }
    }

    /// Adds a rule to the literal begun last, which stands there, with what the rule takes beside it.
    pub fn add(&mut self, place: &mut Place, rule: u16, needs: Needs) {
        let (head, size) = ([needs.all, needs.any], NEEDS + self.set);
        let start = place.start as usize;
        let first = start + self.set;
        let mut groups = self.words[first..].chunks_exact(size);
        let at = match groups.position(|group| group.starts_with(&head)) {
            Some(number) => first + number * size,
            None => {
                let at = self.words.len();
                self.words.extend(head);
                self.words.resize(at + size, 0);
                at
            }
        };
        let (word, bit) = (usize::from(rule / 64), 1 << (rule % 64));
        self.words[start + word] |= bit;
        self.words[at + NEEDS + word] |= bit;
        place.end = self.words.len() as u32;
    }

    /// A literal's rules: all of them, and in groups; one may be in more than one.
    pub fn of(&self, place: Place) -> (&[u64], impl Iterator<Item = Group<'_>>) {
        let (all, groups) = self.words[place.start as usize..place.end as usize].split_at(self.set);
        (all, groups.chunks_exact(NEEDS + self.set).filter_map(Group::read))
    }

    /// How much memory they take.
    pub fn bytes(&self) -> usize {
        self.words.len() * size_of::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_has_all_its_rules_and_a_group_for_each_need() {
        let mut owners = Owners::new(70);
        let marks = Needs { all: 1, any: 6 };
        let mut first = owners.begin();
        owners.add(&mut first, 3, Needs::NOTHING);
        owners.add(&mut first, 69, marks);
        owners.add(&mut first, 4, marks);
        let mut second = owners.begin();
        owners.add(&mut second, 3, marks);
        let (all, groups) = owners.of(first);
        assert_eq!(all, [0b11000, 0b100000]);
        let shown: Vec<_> = groups.map(|group| (group.needs, group.rules.to_vec())).collect();
        assert_eq!(
            shown,
            [(Needs::NOTHING, vec![0b1000, 0]), (marks, vec![0b10000, 0b100000])]
        );
        assert_eq!(owners.of(second).0, [0b1000, 0]);
    }
}
