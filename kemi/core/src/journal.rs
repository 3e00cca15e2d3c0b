//! Appends lines to the decision log: never blocks, counts what it could not write, follows the file when it is rotated.

use std::fs::{File, Metadata, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Seconds between looks at whether the log was rotated away.
const LOOK_EVERY: f64 = 1.0;

/// How often a file is read that grows meanwhile.
const LOOKS: usize = 8;

/// One process's hold on the decision log.
///
/// Each line is one `write` to a file opened to append, which POSIX makes atomic against the other workers. A short write
/// (a full disk) leaves half a line, and so may whoever cuts the file: whoever writes next ends that line first. Words that
/// all workers share say so, and how long the file is at least; only where it is shorter is its end read.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: Option<File>,
    /// The same file, to read how it ends; `None` where it can't be, as of a pipe.
    reading: Option<File>,
    /// Device and inode of `file`.
    identity: (u64, u64),
    /// When the path was looked at, in seconds since the epoch.
    looked: f64,
    /// Lines that this process has written, and those it could not write.
    pub written: u64,
    pub lost: u64,
    /// Bytes that the file had when it was looked at, and what this process has written since.
    pub size: u64,
    line: Vec<u8>,
}

impl Journal {
    /// Opens nothing yet: each process opens the log for itself, with its first line.
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            file: None,
            reading: None,
            identity: (0, 0),
            looked: f64::NEG_INFINITY,
            written: 0,
            lost: 0,
            size: 0,
            line: Vec::new(),
        }
    }

    /// Writes one line, its line end included. `now` in seconds since the epoch; `shared` is what all workers know of the file's
    /// end. False: it could not be written, and was counted.
    pub fn append(&mut self, line: &[u8], now: f64, shared: End<'_>) -> bool {
        // Asked first: what others write from here on makes the file longer than that, never shorter.
        let at_least = shared.at.load(Ordering::Relaxed);
        let mut about = self.about();
        // A clock that was set back is no reason never to look again.
        if (now - self.looked).abs() >= LOOK_EVERY || about.as_ref().is_none_or(|found| found.nlink() == 0) {
            self.look(now);
            about = self.about();
        }
        let (Some(file), Some(about)) = (self.file.as_mut(), about) else {
            self.lost += 1;
            return false;
        };
        let ending = shared.torn.load(Ordering::Relaxed) != 0;
        let is_cut = about.is_file() && about.len() < at_least;
        let ending = ending || is_cut && self.reading.as_ref().is_some_and(ends_in_half);
        if is_cut {
            shared.at.store(about.len(), Ordering::Relaxed);
        }
        let line = if ending {
            self.line.clear();
            self.line.push(b'\n');
            self.line.extend_from_slice(line);
            &self.line
        } else {
            line
        };
        let done = loop {
            match file.write(line) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                done => break done.unwrap_or(0),
            }
        };
        shared.at.fetch_max(about.len() + done as u64, Ordering::Relaxed);
        if done == line.len() {
            if ending {
                shared.torn.store(0, Ordering::Relaxed);
            }
            self.written += 1;
            self.size += done as u64;
            return true;
        }
        if done > 0 {
            shared.torn.store(1, Ordering::Relaxed);
        }
        self.lost += 1;
        false
    }

    /// Looks whether a server that was killed left half a line; asked once, before any worker writes.
    pub fn mend(&self, shared: End<'_>) {
        // Not blocking: the path may be a pipe that nobody reads yet.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(&self.path);
        let torn = file.is_ok_and(|file| file.metadata().is_ok_and(|found| found.is_file()) && ends_in_half(&file));
        shared.torn.store(u64::from(torn), Ordering::Relaxed);
    }

    /// Lets go of the file; the next line opens it anew.
    pub fn close(&mut self) {
        self.file = None;
        self.reading = None;
        self.looked = f64::NEG_INFINITY;
    }

    /// Whether the log has as many bytes as that. Looks once a second, also while nothing is written.
    pub fn holds(&mut self, bytes: u64, now: f64) -> bool {
        if self.size >= bytes && (now - self.looked).abs() >= LOOK_EVERY {
            self.look(now);
        }
        self.size >= bytes
    }

    /// What the system says of the file that is open.
    fn about(&self) -> Option<Metadata> {
        self.file.as_ref().and_then(|file| file.metadata().ok())
    }

    /// Opens the file anew if it was moved, removed or never opened.
    fn look(&mut self, now: f64) {
        self.looked = now;
        if let (Some(_), Ok(there)) = (&self.file, std::fs::metadata(&self.path)) {
            if (there.dev(), there.ino()) == self.identity {
                self.size = there.len();
                return;
            }
        }
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
        // A log that was open goes on, moved or not; but what is written into one that was removed, with its folder perhaps,
        // nobody reads. One that never was is tried again in a second.
        if self.about().is_some_and(|found| found.nlink() == 0) {
            self.file = None;
        }
        if let Ok(file) = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o640)
            .custom_flags(flags)
            .open(&self.path)
        {
            if let Ok(found) = file.metadata() {
                self.identity = (found.dev(), found.ino());
                self.size = found.len();
                self.file = Some(file);
                self.reading = self.readable();
            }
        }
    }

    /// The file that is open once more, to be read; `None` where it may not be, or is none that keeps what was written.
    fn readable(&self) -> Option<File> {
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(&self.path)
            .ok()?;
        let found = file.metadata().ok()?;
        (found.is_file() && (found.dev(), found.ino()) == self.identity).then_some(file)
    }
}

/// What all workers know of how the log ends.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// 1 while it may end in half a line.
    pub torn: &'a AtomicU64,
    /// Bytes that it has at least, if nobody cut it.
    pub at: &'a AtomicU64,
}

/// Whether a file's last byte is no line end. A line that another worker is just writing is waited for: the system shows
/// a longer file page by page.
fn ends_in_half(file: &File) -> bool {
    let mut before = None;
    for _ in 0..LOOKS {
        let Ok(size) = file.metadata().map(|found| found.len()) else {
            return false;
        };
        if size == 0 || before == Some(size) {
            return size > 0;
        }
        let mut last = [b'\n'];
        if file.read_exact_at(&mut last, size - 1).is_ok() && last == [b'\n'] {
            return false;
        }
        before = Some(size);
    }
    // It grows and grows: others write. At worst a line is empty.
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> PathBuf {
        let folder = std::env::temp_dir().join(format!(
            "sipsieve-journal-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        std::fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    fn end(words: &[AtomicU64; 2]) -> End<'_> {
        End {
            torn: &words[0],
            at: &words[1],
        }
    }

    #[test]
    fn a_rotated_log_is_followed_within_a_second() {
        let folder = folder();
        let (path, moved) = (folder.join("log"), folder.join("log.1"));
        let words = [AtomicU64::new(0), AtomicU64::new(0)];
        let mut journal = Journal::new(&path);
        assert!(journal.append(b"one\n", 100.0, end(&words)));
        std::fs::rename(&path, &moved).expect("moved");
        assert!(journal.append(b"two\n", 100.5, end(&words)));
        assert!(journal.append(b"three\n", 101.5, end(&words)));
        assert_eq!(std::fs::read(&moved).expect("read"), b"one\ntwo\n");
        assert_eq!(std::fs::read(&path).expect("read"), b"three\n");
        assert_eq!((journal.written, journal.lost), (3, 0));
        std::fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn a_log_whose_folder_is_gone_is_not_written_on() {
        let folder = folder().join("gone");
        std::fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("log");
        let words = [AtomicU64::new(0), AtomicU64::new(0)];
        let mut journal = Journal::new(&path);
        assert!(journal.append(b"one\n", 100.0, end(&words)));
        std::fs::remove_dir_all(&folder).expect("removed");
        assert!(!journal.append(b"two\n", 100.1, end(&words)));
        assert_eq!((journal.written, journal.lost), (1, 1));
        std::fs::create_dir_all(&folder).expect("a folder");
        assert!(journal.append(b"three\n", 103.0, end(&words)));
        assert_eq!(std::fs::read(&path).expect("read"), b"three\n");
        std::fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn half_a_line_is_ended_before_the_next() {
        let folder = folder();
        let path = folder.join("log");
        std::fs::write(&path, b"{\"half").expect("written");
        let words = [AtomicU64::new(0), AtomicU64::new(0)];
        let mut journal = Journal::new(&path);
        journal.mend(end(&words));
        assert_eq!(words[0].load(Ordering::Relaxed), 1);
        assert!(journal.append(b"whole\n", 1.0, end(&words)));
        assert_eq!(words[0].load(Ordering::Relaxed), 0);
        assert_eq!(std::fs::read(&path).expect("read"), b"{\"half\nwhole\n");
        std::fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn a_log_that_was_cut_within_a_line_goes_on_with_a_line_of_its_own() {
        let folder = folder();
        let path = folder.join("log");
        let words = [AtomicU64::new(0), AtomicU64::new(0)];
        let (mut one, mut other) = (Journal::new(&path), Journal::new(&path));
        for (journal, line) in [(&mut one, b"first\n"), (&mut other, b"other\n")] {
            assert!(journal.append(line, 1.0, end(&words)));
        }
        let cut = |size| {
            let file = OpenOptions::new().write(true).open(&path).expect("opened");
            file.set_len(size).expect("cut");
        };
        // Longer than what the one wrote last.
        cut(9);
        assert!(one.append(b"third\n", 1.1, end(&words)));
        assert!(other.append(b"fourth\n", 1.1, end(&words)));
        assert_eq!(std::fs::read(&path).expect("read"), b"first\noth\nthird\nfourth\n");
        cut(6);
        assert!(one.append(b"fifth\n", 1.2, end(&words)));
        cut(0);
        assert!(one.append(b"sixth\n", 1.2, end(&words)));
        assert_eq!(std::fs::read(&path).expect("read"), b"sixth\n");
        assert_eq!((one.written, one.lost), (4, 0));
        std::fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn what_can_not_be_written_is_counted() {
        let words = [AtomicU64::new(0), AtomicU64::new(0)];
        let mut journal = Journal::new(Path::new("/nowhere/at/all"));
        assert!(!journal.append(b"line\n", 1.0, end(&words)));
        assert_eq!((journal.written, journal.lost), (0, 1));
    }
}
