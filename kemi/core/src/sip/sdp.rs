//! Finds the lines of a session description that hold text.

use memchr::memchr;

use super::model::Span;

/// Lines read one by one: a description has three of them and one more for each stream that it names.
pub const MAX_LINES: usize = 64;

/// Origin, session name, information, URI and e-mail address (RFC 8866 5.2 to 5.6). Lines end with CRLF or LF.
const fn has_text(name: u8) -> bool {
    matches!(name, b'o' | b's' | b'i' | b'u' | b'e')
}

/// Calls `line` with the span of each line of `raw[start..]` that holds text, line end not included; of more than `MAX_LINES`
/// one more span, which begins with the line after them and holds all that follows, so that nothing is left unread.
pub fn text_lines(raw: &[u8], start: usize, mut line: impl FnMut(Span)) {
    let mut at = start;
    let mut found = 0;
    while at < raw.len() {
        let stop = memchr(b'\n', &raw[at..]).map_or(raw.len(), |end| at + end);
        if stop > at + 1 && raw[at + 1] == b'=' && has_text(raw[at]) {
            if found == MAX_LINES {
                return line(Span {
                    start: at,
                    end: raw.len(),
                });
            }
            found += 1;
            let mut end = stop;
            while end > at && raw[end - 1] == b'\r' {
                end -= 1;
            }
            line(Span { start: at, end });
        }
        at = stop + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(raw: &[u8]) -> Vec<&[u8]> {
        let mut found = Vec::new();
        text_lines(raw, 0, |span| found.push(span.of(raw)));
        found
    }

    #[test]
    fn lines_with_text_are_found_whatever_ends_them() {
        assert_eq!(
            lines(b"v=0\r\no=- 1\r\ns=a call\nt=0 0\r\ne="),
            [&b"o=- 1"[..], b"s=a call", b"e="]
        );
        assert_eq!(lines(b""), Vec::<&[u8]>::new());
    }

    #[test]
    fn what_is_beyond_the_bound_comes_as_one() {
        let raw = b"s=x\n".repeat(80);
        let found = lines(&raw);
        assert_eq!(found.len(), MAX_LINES + 1);
        assert_eq!(found[MAX_LINES].len(), 16 * 4);
    }
}
