//! The file that counts are kept in for when the machine stops: a line with a version and a check, then a line a count.
//!
//! It is written anew and put in the old one's place, so that there is a whole one at any time.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use blake2::{Blake2b512, Digest};

use super::tallies::{Entry, MOST};

/// What the first line begins with.
const NAME: &str = "sipsieve-counts 1 ";

/// Bytes that are read: as many as there are counts at the most, 200 each.
const LONGEST: u64 = 32 * 1024 * 1024;

/// The key of the memory that belongs to a file, and the hash of its name; `None` where there is no such folder.
pub fn key(path: &Path) -> Option<(i32, u64)> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).canonicalize().ok()?;
    let whole = folder.join(path.file_name()?);
    let bytes = std::os::unix::ffi::OsStrExt::as_bytes(whole.as_os_str());
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    });
    // Never 0, which means memory without a key.
    Some(((hash >> 33) as i32 | 1, hash | 1))
}

/// The counts as a file's content.
pub fn content(entries: &[Entry]) -> Vec<u8> {
    let mut lines = String::new();
    for entry in entries {
        let (first, last) = ((entry.first * 1e6) as u64, (entry.last * 1e6) as u64);
        let fields = [&entry.ip, &entry.method, &entry.verdict, &entry.transport, &entry.rule];
        lines.push_str(&format!("{}\t{first}\t{last}", entry.messages));
        for field in fields {
            lines.push('\t');
            lines.push_str(field);
        }
        lines.push('\n');
    }
    format!("{NAME}{}\n{lines}", sum(lines.as_bytes())).into_bytes()
}

/// What a file is known by: device, inode, bytes, and when it was written last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mark(u64, u64, u64, i64, i64);

/// The mark of what stands there now, be it a link; `None` where there is nothing.
pub fn mark(path: &Path) -> Option<Mark> {
    let found = std::fs::symlink_metadata(path).ok()?;
    Some(Mark(
        found.dev(),
        found.ino(),
        found.len(),
        found.mtime(),
        found.mtime_nsec(),
    ))
}

/// Puts a file with that content in place.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let written = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o640)
            // What stands there may be a link, or a pipe that nobody reads.
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(&new)?;
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(&new, path)?;
        File::open(
            path.parent()
                .filter(|folder| !folder.as_os_str().is_empty())
                .unwrap_or(Path::new(".")),
        )?
        .sync_all()
    };
    written().inspect_err(|_| {
        let _ = std::fs::remove_file(&new);
    })
}

/// The counts of a file; none where there is no file. Errors: `InvalidData` where it is damaged, or of another version.
pub fn read(path: &Path) -> io::Result<Vec<Entry>> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let file = match options.open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        file => file?,
    };
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes)?;
    parse(&bytes).ok_or_else(|| ErrorKind::InvalidData.into())
}

fn parse(bytes: &[u8]) -> Option<Vec<Entry>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (head, lines) = text.split_once('\n')?;
    if head.strip_prefix(NAME)? != sum(lines.as_bytes()) {
        return None;
    }
    lines.lines().map(entry).collect()
}

fn entry(line: &str) -> Option<Entry> {
    let mut fields = line.split('\t');
    let mut number = || fields.next()?.parse::<u64>().ok();
    let (messages, first, last) = (number()?, number()?, number()?);
    let mut text = || fields.next().map(str::to_owned);
    let entry = Entry {
        ip: text()?,
        method: text()?,
        verdict: text()?,
        messages,
        first: first as f64 / 1e6,
        last: last as f64 / 1e6,
        transport: text()?,
        rule: text()?,
    };
    (messages <= MOST && text().is_none()).then_some(entry)
}

fn sum(bytes: &[u8]) -> String {
    let digest = Blake2b512::digest(bytes);
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<Entry> {
        let entry = |ip: &str, messages| Entry {
            ip: ip.to_owned(),
            method: "INVITE".to_owned(),
            verdict: "drop".to_owned(),
            messages,
            first: 1.5,
            last: 2.25,
            transport: "udp".to_owned(),
            rule: String::new(),
        };
        vec![entry("192.0.2.1", 7), entry("2001:db8::1", 1 << 30)]
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(parse(&content(&entries())), Some(entries()));
        assert_eq!(parse(&content(&[])), Some(Vec::new()));
    }

    #[test]
    fn no_bit_can_be_changed_and_no_byte_taken() {
        let whole = content(&entries());
        for at in 0..whole.len() {
            assert_eq!(parse(&whole[..at]), None, "cut at {at}");
            for bit in 0..8 {
                let mut changed = whole.clone();
                changed[at] ^= 1 << bit;
                // Nothing is said of what the line end looks like.
                assert!(parse(&changed).is_none(), "bit {bit} of byte {at}");
            }
        }
    }
}
