//! A short text that is copied, compared and put together without memory of its own: rules make hundreds of thousands at a start.

use std::ops::Deref;

/// Bytes that are kept: one more than is looked for, so that a longer text is told from one that ends there.
const ROOM: usize = super::literals::LONGEST + 1;

/// The first nine bytes of a text. In order like the bytes themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text {
    /// Zero behind the text.
    bytes: [u8; ROOM],
    size: u8,
}

impl Text {
    /// What is kept of `text`.
    pub fn of(text: &[u8]) -> Self {
        Self::default().and(text)
    }

    /// This text with `more` behind it, as far as there is room.
    pub fn and(mut self, more: &[u8]) -> Self {
        let size = usize::from(self.size);
        let taken = more.len().min(ROOM - size);
        self.bytes[size..size + taken].copy_from_slice(&more[..taken]);
        // At most nine.
        self.size = (size + taken) as u8;
        self
    }
}

impl Deref for Text {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.size)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_in_the_order_of_their_bytes_and_cut_at_their_room() {
        let mut texts: Vec<&[u8]> = vec![b"b", b"", b"a\0\0", b"ab", b"a", b"a\0", b"abcdefgh", b"abcdefghi"];
        let mut made: Vec<Text> = texts.iter().map(|text| Text::of(text)).collect();
        texts.sort_unstable();
        made.sort_unstable();
        assert!(made.iter().map(|text| &**text).eq(texts));
        assert_eq!(&*Text::of(b"abc").and(b"defghijkl"), b"abcdefghi");
        assert_eq!(&*Text::of(b"").and(b""), b"");
    }
}
