//! What messages are counted by, and how that is kept in words of shared memory.

/// Address and method under which messages are counted that found no slot.
pub const OVERFLOW: (&str, &str) = ("0.0.0.0", "other");

/// The longest address, and what is kept of a method (which a stranger may choose), verdict, transport and rule id.
const WIDTHS: [usize; 5] = [45, 32, 8, 5, 64];
pub const KEY_WORDS: usize = 20;

/// What is counted together.
#[derive(Clone, Copy)]
pub struct Key<'a> {
    pub ip: &'a [u8],
    pub method: &'a [u8],
    pub verdict: &'a [u8],
    pub transport: &'a [u8],
    pub rule: &'a [u8],
}

/// A count of one interval: who sent, which method, what became of it, how many, from when to when (s), by which rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub ip: String,
    pub method: String,
    pub verdict: String,
    pub messages: u64,
    pub first: f64,
    pub last: f64,
    pub transport: String,
    pub rule: String,
}

/// FNV-1a over words: tells damage, not forgery.
pub fn check(key: &[u64; KEY_WORDS]) -> u64 {
    key.iter().fold(0xcbf2_9ce4_8422_2325, |sum, word| {
        (sum ^ word).wrapping_mul(0x100_0000_01b3).rotate_left(29)
    })
}

/// A key as it is kept: fields cut to their widths, what is no ASCII or would end a field as "?".
pub fn text_of(key: Key) -> [u64; KEY_WORDS] {
    let mut text = [0_u8; KEY_WORDS * 8];
    let mut room = text.iter_mut();
    let mut put = |byte: u8| {
        if let Some(place) = room.next() {
            *place = byte;
        }
    };
    for (number, (field, width)) in key.fields().into_iter().zip(WIDTHS).enumerate() {
        if number > 0 {
            put(b'\t');
        }
        let characters = field.utf8_chunks().flat_map(|chunk| {
            let odd = (!chunk.invalid().is_empty()).then_some('?');
            chunk.valid().chars().chain(odd)
        });
        for character in characters.take(width) {
            put(if character.is_ascii_graphic() {
                character as u8
            } else {
                b'?'
            });
        }
    }
    let mut words = text
        .chunks_exact(8)
        .map(|word| word.try_into().map_or(0, u64::from_le_bytes));
    std::array::from_fn(|_| words.next().unwrap_or(0))
}

impl<'a> Key<'a> {
    pub(super) fn fields(&self) -> [&'a [u8]; 5] {
        [self.ip, self.method, self.verdict, self.transport, self.rule]
    }
}

impl Entry {
    /// What is counted together with it.
    pub fn key(&self) -> Key<'_> {
        Key {
            ip: self.ip.as_bytes(),
            method: self.method.as_bytes(),
            verdict: self.verdict.as_bytes(),
            transport: self.transport.as_bytes(),
            rule: self.rule.as_bytes(),
        }
    }
}

/// What takes the counts of what finds no other room.
pub(super) fn overflow(verdict: &[u8]) -> Key<'_> {
    Key {
        ip: OVERFLOW.0.as_bytes(),
        method: OVERFLOW.1.as_bytes(),
        verdict,
        transport: b"",
        rule: b"",
    }
}
