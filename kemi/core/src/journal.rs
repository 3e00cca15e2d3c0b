//! Appends lines to the decision log: never blocks, counts what it could not write, follows the file when it is rotated.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Seconds between looks at whether the log was rotated away.
const LOOK_EVERY: f64 = 1.0;

/// One process's hold on the decision log.
///
/// Each line is one `write` to a file opened to append, which POSIX makes atomic against the other workers. A short write
/// (a full disk) leaves half a line: a word that all workers share makes whoever writes next end that line first.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: Option<File>,
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
            identity: (0, 0),
            looked: f64::NEG_INFINITY,
            written: 0,
            lost: 0,
            size: 0,
            line: Vec::new(),
        }
    }

    /// Writes one line, its line end included. `now` in seconds since the epoch; `torn` is 1 while the file may end in
    /// half a line. False: it could not be written, and was counted.
    pub fn append(&mut self, line: &[u8], now: f64, torn: &AtomicU64) -> bool {
        // A clock that was set back is no reason never to look again.
        if (now - self.looked).abs() >= LOOK_EVERY || self.is_gone() {
            self.look(now);
        }
        let Some(file) = self.file.as_mut() else {
            self.lost += 1;
            return false;
        };
        let ending = torn.load(Ordering::Relaxed) != 0;
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
        if done == line.len() {
            if ending {
                torn.store(0, Ordering::Relaxed);
            }
            self.written += 1;
            self.size += done as u64;
            return true;
        }
        if done > 0 {
            torn.store(1, Ordering::Relaxed);
        }
        self.lost += 1;
        false
    }

    /// Looks whether a server that was killed left half a line; asked once, before any worker writes.
    pub fn mend(&self, torn: &AtomicU64) {
        // Not blocking: the path may be a pipe that nobody reads yet.
        let Ok(file) = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(&self.path)
        else {
            return;
        };
        let Ok(size) = file.metadata().map(|found| found.len()) else {
            return;
        };
        let mut last = [b'\n'];
        if size > 0 && file.read_exact_at(&mut last, size - 1).is_err() {
            return;
        }
        torn.store(u64::from(last != [b'\n']), Ordering::Relaxed);
    }

    /// Lets go of the file; the next line opens it anew.
    pub fn close(&mut self) {
        self.file = None;
        self.looked = f64::NEG_INFINITY;
    }

    /// Whether the log has as many bytes as that. Looks once a second, also while nothing is written.
    pub fn holds(&mut self, bytes: u64, now: f64) -> bool {
        if self.size >= bytes && (now - self.looked).abs() >= LOOK_EVERY {
            self.look(now);
        }
        self.size >= bytes
    }

    /// Whether the file that is open was removed: nobody will read it.
    fn is_gone(&self) -> bool {
        let about = self.file.as_ref().and_then(|file| file.metadata().ok());
        about.is_some_and(|found| found.nlink() == 0)
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
        if self.is_gone() {
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
            }
        }
    }
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

    #[test]
    fn a_rotated_log_is_followed_within_a_second() {
        let folder = folder();
        let (path, moved) = (folder.join("log"), folder.join("log.1"));
        let torn = AtomicU64::new(0);
        let mut journal = Journal::new(&path);
        assert!(journal.append(b"one\n", 100.0, &torn));
        std::fs::rename(&path, &moved).expect("moved");
        assert!(journal.append(b"two\n", 100.5, &torn));
        assert!(journal.append(b"three\n", 101.5, &torn));
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
        let torn = AtomicU64::new(0);
        let mut journal = Journal::new(&path);
        assert!(journal.append(b"one\n", 100.0, &torn));
        std::fs::remove_dir_all(&folder).expect("removed");
        assert!(!journal.append(b"two\n", 100.1, &torn));
        assert_eq!((journal.written, journal.lost), (1, 1));
        std::fs::create_dir_all(&folder).expect("a folder");
        assert!(journal.append(b"three\n", 103.0, &torn));
        assert_eq!(std::fs::read(&path).expect("read"), b"three\n");
        std::fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn half_a_line_is_ended_before_the_next() {
        let folder = folder();
        let path = folder.join("log");
        std::fs::write(&path, b"{\"half").expect("written");
        let torn = AtomicU64::new(0);
        let mut journal = Journal::new(&path);
        journal.mend(&torn);
        assert_eq!(torn.load(Ordering::Relaxed), 1);
        assert!(journal.append(b"whole\n", 1.0, &torn));
        assert_eq!(torn.load(Ordering::Relaxed), 0);
        assert_eq!(std::fs::read(&path).expect("read"), b"{\"half\nwhole\n");
        std::fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn what_can_not_be_written_is_counted() {
        let torn = AtomicU64::new(0);
        let mut journal = Journal::new(Path::new("/nowhere/at/all"));
        assert!(!journal.append(b"line\n", 1.0, &torn));
        assert_eq!((journal.written, journal.lost), (0, 1));
    }
}
