//! Files in a payload, of Unix and of Windows.

use crate::record::text::{begins_word, is_word, part, run, stands};

const FOLDERS: [&str; 11] = [
    "etc", "tmp", "var", "proc", "usr", "bin", "home", "root", "opt", "dev/shm", "boot",
];

/// `"/" folder "/" 2*120(word / "." / "/" / "-")` or `ALPHA ":\" 2*120(word / "\" / "." / "-")`
pub(super) fn files<'a>(text: &'a str, mut each: impl FnMut(&'a str)) {
    let bytes = text.as_bytes();
    let mut from = 0;
    while let Some(position) = bytes.get(from..).and_then(|rest| memchr::memchr2(b'/', b'\\', rest)) {
        let slash = from + position;
        let (start, name, other) = if bytes.get(slash) == Some(&b'/') {
            let folder = FOLDERS
                .iter()
                .find(|folder| stands(text, slash + 1, folder) && bytes.get(slash + 1 + folder.len()) == Some(&b'/'));
            (Some(slash), folder.map(|folder| slash + folder.len() + 2), '/')
        } else {
            let drive = slash.checked_sub(2).filter(|&drive| {
                drive >= from && bytes[drive].is_ascii_alphabetic() && bytes.get(drive + 1) == Some(&b':')
            });
            (drive, drive.map(|_| slash + 1), '\\')
        };
        let mut next = slash + 1;
        if let (Some(start), Some(name)) = (start, name) {
            if begins_word(text, start) {
                let (end, count) = run(text, name, 120, |c| is_word(c) || c == other || matches!(c, '.' | '-'));
                if count >= 2 {
                    each(part(text, start, end));
                    next = end;
                }
            }
        }
        from = next;
    }
}
