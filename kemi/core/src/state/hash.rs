//! Names of things by a keyed hash, so that a sender who chooses bytes can't aim at a place in a table.
//!
//! The construction has a bound that can be proven against senders who never see a hash (which is so: identities leave
//! the process nowhere). Blocks of 1 KiB go through NH (Black et al., UMAC, RFC 4418 5.2, here with words of 64 bits):
//! two different blocks of one length collide with a probability of 2^-64. Part lengths and block sums then are the
//! coefficients of a polynomial modulo 2^61 - 1, taken at a secret point: two different lists of n coefficients collide
//! with a probability of n / 2^60, which for 64 KiB is below 2^-51. SipHash-1-3 at the end hides the sum.

/// Words of a block, and of the key that belongs to it.
const BLOCK: usize = 128;
const PRIME: u64 = (1 << 61) - 1;

/// What identities are keyed with: made from 128 random bits before Kamailio forks, the same in all workers.
pub struct Secret {
    block: [u64; BLOCK],
    point: u64,
    end: [u64; 2],
}

impl Secret {
    /// Stretches 128 random bits to the key.
    pub fn new(seed: [u64; 2]) -> Secret {
        let word = |number: usize| siphash(seed, number as u64);
        Secret {
            block: std::array::from_fn(word),
            point: word(BLOCK) & PRIME,
            end: [word(BLOCK + 1), word(BLOCK + 2)],
        }
    }

    /// Names a list of byte strings; ("ab", "c") is another list than ("a", "bc").
    pub fn identity(&self, parts: &[&[u8]]) -> u64 {
        let mut sum = 1; // The leading coefficient: a list and one with zeros before it differ.
        for part in parts {
            sum = self.part(sum, part);
        }
        siphash(self.end, sum)
    }

    /// A part's length comes first and says how many coefficients follow, so that no two lists have the same ones. Up
    /// to seven bytes stand in one coefficient with their number, and bit 60 says that they do.
    fn part(&self, sum: u64, part: &[u8]) -> u64 {
        if part.len() < 8 {
            let bytes = part.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
            return self.step(sum, 1 << 60 | (part.len() as u64) << 56 | bytes);
        }
        let mut sum = self.step(sum, part.len() as u64 & (PRIME >> 1));
        for block in part.chunks(BLOCK * 8) {
            let folded = self.nh(block);
            sum = self.step(sum, folded as u64 & PRIME);
            sum = self.step(sum, (folded >> 61) as u64 & PRIME);
            sum = self.step(sum, (folded >> 122) as u64);
        }
        sum
    }

    /// Sums the products of pairs of words, each with its key added. What is missing at the end counts as zeros.
    fn nh(&self, block: &[u8]) -> u128 {
        let (mut one, mut other) = (0_u128, 0_u128);
        let fours = block.chunks_exact(32);
        let mut rest = fours.remainder();
        let mut keys = self.block.chunks_exact(4);
        // Two sums, so that one addition need not wait for the other.
        for (four, key) in fours.zip(keys.by_ref()) {
            one = one.wrapping_add(product(&four[..16], &key[..2]));
            other = other.wrapping_add(product(&four[16..], &key[2..]));
        }
        let mut keys = self.block.chunks_exact(2).skip(block.len() / 32 * 2);
        if let Some((pair, end)) = rest.split_at_checked(16) {
            one = one.wrapping_add(product(pair, keys.next().unwrap_or_default()));
            rest = end;
        }
        if !rest.is_empty() {
            let mut pair = [0_u8; 16];
            pair[..rest.len()].copy_from_slice(rest);
            other = other.wrapping_add(product(&pair, keys.next().unwrap_or_default()));
        }
        one.wrapping_add(other)
    }

    /// A step of Horner's rule modulo 2^61 - 1; both below 2^61.
    fn step(&self, sum: u64, coefficient: u64) -> u64 {
        let product = u128::from(sum) * u128::from(self.point);
        let folded = (product as u64 & PRIME) + (product >> 61) as u64 + coefficient;
        let folded = (folded & PRIME) + (folded >> 61);
        if folded >= PRIME { folded - PRIME } else { folded }
    }
}

#[inline]
fn product(pair: &[u8], key: &[u64]) -> u128 {
    let (Some((one, other)), [first, second]) = (pair.split_first_chunk::<8>(), key) else {
        return 0;
    };
    let other = other.first_chunk::<8>().copied().unwrap_or_default();
    let one = u64::from_le_bytes(*one).wrapping_add(*first);
    u128::from(one) * u128::from(u64::from_le_bytes(other).wrapping_add(*second))
}

/// SipHash-1-3 (Aumasson and Bernstein) of one word.
fn siphash(key: [u64; 2], word: u64) -> u64 {
    let mut v = [
        key[0] ^ 0x736f_6d65_7073_6575,
        key[1] ^ 0x646f_7261_6e64_6f6d,
        key[0] ^ 0x6c79_6765_6e65_7261,
        key[1] ^ 0x7465_6462_7974_6573,
    ];
    let round = |v: &mut [u64; 4]| {
        v[0] = v[0].wrapping_add(v[1]);
        v[2] = v[2].wrapping_add(v[3]);
        v[1] = v[1].rotate_left(13) ^ v[0];
        v[3] = v[3].rotate_left(16) ^ v[2];
        v[0] = v[0].rotate_left(32);
        v[2] = v[2].wrapping_add(v[1]);
        v[0] = v[0].wrapping_add(v[3]);
        v[1] = v[1].rotate_left(17) ^ v[2];
        v[3] = v[3].rotate_left(21) ^ v[0];
        v[2] = v[2].rotate_left(32);
    };
    for block in [word, 8 << 56] {
        v[3] ^= block;
        round(&mut v);
        v[0] ^= block;
    }
    v[2] ^= 0xff;
    for _ in 0..3 {
        round(&mut v);
    }
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

/// Spreads an identity over all bits without losing any: tables take their place from one half, a tag from the other.
#[inline]
pub fn spread(identity: u64) -> u64 {
    let one = (identity ^ identity >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    let two = (one ^ one >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    two ^ two >> 32
}

/// A place among `count` from the upper half of a spread identity.
#[inline]
pub fn place(spread: u64, count: usize) -> usize {
    ((u128::from(spread >> 32) * count as u128) >> 32) as usize
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_apart() {
        let secret = Secret::new([1, 2]);
        let lists: [&[&[u8]]; 10] = [
            &[],
            &[b""],
            &[b"", b""],
            &[b"ab", b"c"],
            &[b"a", b"bc"],
            &[b"abc"],
            &[b"abc\0"],
            &[b"abc\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"],
            &[b"c", b"ab"],
            &[&[0; 5000]],
        ];
        let names: std::collections::HashSet<u64> = lists.iter().map(|list| secret.identity(list)).collect();
        assert_eq!(names.len(), lists.len());
        assert_ne!(secret.identity(&[b"a"]), Secret::new([1, 3]).identity(&[b"a"]));
    }

    #[test]
    fn every_byte_of_a_message_counts() {
        let secret = Secret::new([3, 4]);
        let mut message = vec![b'x'; 2100];
        let whole = secret.identity(&[&message]);
        for at in 0..message.len() {
            message[at] ^= 1;
            assert_ne!(secret.identity(&[&message]), whole, "{at}");
            message[at] ^= 1;
        }
    }

    #[test]
    fn places_are_evenly_used() {
        let secret = Secret::new([5, 6]);
        let mut used = [0; 64];
        for number in 0..64_000_u32 {
            used[place(spread(secret.identity(&[&number.to_le_bytes()])), 64)] += 1;
        }
        assert!(used.iter().all(|&count| (800..1200).contains(&count)), "{used:?}");
    }
}
