//! Columns of values in the memory layout of Apache Arrow, so that a database takes them as they are.

/// A bit for each row, the first in the lowest.
#[derive(Debug, Default)]
pub struct Bits {
    bytes: Vec<u8>,
    count: usize,
}

impl Bits {
    pub fn push(&mut self, bit: bool) {
        if self.count % 8 == 0 {
            self.bytes.push(0);
        }
        if let Some(last) = self.bytes.last_mut() {
            *last |= u8::from(bit) << (self.count % 8);
        }
        self.count += 1;
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// What a column's rows hold, beside whether they hold anything.
#[derive(Debug)]
enum Values {
    Numbers { width: usize, bytes: Vec<u8> },
    Truths(Bits),
    Texts { ends: Vec<u8>, bytes: Vec<u8> },
}

/// A column of numbers, truths or texts; each row may be without one.
#[derive(Debug)]
pub struct Column {
    there: Bits,
    values: Values,
}

impl Column {
    /// Numbers of so many bytes, at most eight.
    pub fn numbers(width: usize) -> Self {
        let bytes = Vec::new();
        Self::of(Values::Numbers { width, bytes })
    }

    pub fn truths() -> Self {
        Self::of(Values::Truths(Bits::default()))
    }

    pub fn texts() -> Self {
        // A text begins where the one before ends, and the first at 0.
        let ends = vec![0; 4];
        Self::of(Values::Texts {
            ends,
            bytes: Vec::new(),
        })
    }

    fn of(values: Values) -> Self {
        let there = Bits::default();
        Self { there, values }
    }

    /// Makes room for so many more rows; for texts for where they end.
    pub fn reserve(&mut self, rows: usize) {
        match &mut self.values {
            Values::Numbers { width, bytes } => bytes.reserve(rows.saturating_mul(*width)),
            Values::Texts { ends, .. } => ends.reserve(rows.saturating_mul(4)),
            Values::Truths(_) => {}
        }
    }

    /// Adds a row to a column of numbers. What is not of the column's kind is nothing.
    pub fn number(&mut self, value: Option<i64>) {
        if let Values::Numbers { width, bytes } = &mut self.values {
            bytes.extend_from_slice(&value.unwrap_or(0).to_le_bytes()[..*width]);
            self.there.push(value.is_some());
        }
    }

    pub fn truth(&mut self, value: Option<bool>) {
        if let Values::Truths(bits) = &mut self.values {
            bits.push(value.unwrap_or(false));
            self.there.push(value.is_some());
        }
    }

    pub fn text(&mut self, value: Option<&[u8]>) {
        match value {
            Some(value) => self.joined(&[value]),
            None => self.end_text(false),
        }
    }

    /// Adds a row with a text that is given in pieces.
    pub fn joined(&mut self, pieces: &[&[u8]]) {
        if let Values::Texts { bytes, .. } = &mut self.values {
            for piece in pieces {
                bytes.extend_from_slice(piece);
            }
        }
        self.end_text(true);
    }

    fn end_text(&mut self, is_there: bool) {
        if let Values::Texts { ends, bytes } = &mut self.values {
            ends.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
            self.there.push(is_there);
        }
    }

    /// Which rows hold something, and what: one piece of memory of numbers and truths, of texts their ends and their bytes.
    pub fn buffers(&self) -> Vec<&[u8]> {
        let there = self.there.bytes();
        match &self.values {
            Values::Numbers { bytes, .. } => vec![there, bytes],
            Values::Truths(bits) => vec![there, bits.bytes()],
            Values::Texts { ends, bytes } => vec![there, ends, bytes],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_lie_as_arrow_has_them() {
        let (mut numbers, mut truths, mut texts) = (Column::numbers(4), Column::truths(), Column::texts());
        for row in 0..9 {
            numbers.number((row != 1).then_some(row - 1));
            truths.truth((row % 2 == 0).then_some(row == 8));
            match row {
                0 => texts.text(Some(b"ab")),
                1 => texts.joined(&[b"ab", b"c"]),
                _ => texts.text(None),
            }
        }
        let [there, values] = numbers.buffers()[..] else {
            panic!()
        };
        assert_eq!(there, [0b1111_1101, 1]);
        assert_eq!(values[..12], [255, 255, 255, 255, 0, 0, 0, 0, 1, 0, 0, 0]);
        assert_eq!(truths.buffers(), [&[0b0101_0101, 1][..], &[0, 1]]);
        let [there, ends, bytes] = texts.buffers()[..] else {
            panic!()
        };
        assert_eq!((there, bytes), (&[3, 0][..], &b"ababc"[..]));
        assert_eq!(ends[..12], [0, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0]);
        assert_eq!(ends.len(), 40);
    }
}
