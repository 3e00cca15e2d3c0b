//! Memory that all workers share, as words that are only ever touched atomically.
#![allow(unsafe_code, reason = "a shared mapping is only to be had from the operating system")]

use std::ops::Deref;
#[cfg(not(all(loom, test)))]
pub use std::sync::atomic::AtomicU64;
use std::sync::{Arc, LazyLock};

#[cfg(all(loom, test))]
pub use loom::sync::atomic::AtomicU64;

#[cfg(not(all(loom, test)))]
pub use mapped::Region;

/// Words of a region. They keep the region mapped, and may be cloned and sent to any thread.
#[cfg(not(all(loom, test)))]
#[derive(Clone)]
pub struct Words {
    region: Arc<Region>,
    start: usize,
    len: usize,
}

#[cfg(not(all(loom, test)))]
impl Words {
    /// Zeroed words in an anonymous mapping that processes forked later share. Errors are the operating system's.
    pub fn shared(len: usize) -> std::io::Result<Words> {
        Ok(Region::anonymous(len)?.words())
    }

    /// Part of these words; `None` where they don't reach that far.
    pub fn cut(&self, start: usize, len: usize) -> Option<Words> {
        let end = start.checked_add(len)?;
        (end <= self.len).then(|| Words {
            region: self.region.clone(),
            start: self.start + start,
            len,
        })
    }
}

#[cfg(not(all(loom, test)))]
impl Deref for Words {
    type Target = [AtomicU64];

    fn deref(&self) -> &[AtomicU64] {
        self.region
            .all()
            .get(self.start..self.start + self.len)
            .unwrap_or_default()
    }
}

#[cfg(not(all(loom, test)))]
mod mapped {
    use std::fs::File;
    use std::io;
    use std::os::fd::AsRawFd;
    use std::ptr::{NonNull, null_mut};
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    use super::Words;

    /// A shared mapping of whole words, unmapped with its last user.
    pub struct Region {
        at: NonNull<AtomicU64>,
        len: usize,
        /// Open, and so locked, for as long as any process of this server lives.
        _file: Option<File>,
    }

    // SAFETY: the words are atomics, the mapping lives as long as the region, and nobody gets a plain reference into it.
    unsafe impl Send for Region {}
    // SAFETY: as above.
    unsafe impl Sync for Region {}

    impl Region {
        /// Zeroed memory that processes forked later share. `len` in words, at least 1.
        pub fn anonymous(len: usize) -> io::Result<Region> {
            Region::map(len, None)
        }

        /// A file's first `len` words; the file must be that long, and its blocks must be there (`reserve`).
        pub fn of_file(file: File, len: usize) -> io::Result<Region> {
            Region::map(len, Some(file))
        }

        fn map(len: usize, file: Option<File>) -> io::Result<Region> {
            let bytes = len
                .checked_mul(8)
                .filter(|&bytes| bytes > 0)
                .ok_or(io::ErrorKind::InvalidInput)?;
            let (descriptor, flags) = match &file {
                Some(file) => (file.as_raw_fd(), libc::MAP_SHARED),
                None => (-1, libc::MAP_SHARED | libc::MAP_ANONYMOUS),
            };
            // SAFETY: no address is asked for, so no mapping is replaced; the result is checked.
            let at = unsafe {
                libc::mmap(
                    null_mut(),
                    bytes,
                    libc::PROT_READ | libc::PROT_WRITE,
                    flags,
                    descriptor,
                    0,
                )
            };
            if at == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
            let at = NonNull::new(at.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
            Ok(Region { at, len, _file: file })
        }

        pub(super) fn all(&self) -> &[AtomicU64] {
            // SAFETY: the mapping holds `len` words, is page-aligned, and lives as long as `self`; any bytes are a number.
            unsafe { std::slice::from_raw_parts(self.at.as_ptr(), self.len) }
        }

        /// All its words.
        pub fn words(self) -> Words {
            let len = self.len;
            Words {
                region: Arc::new(self),
                start: 0,
                len,
            }
        }
    }

    impl Drop for Region {
        fn drop(&mut self) {
            // SAFETY: mapped with this length by `map`, and nobody is left who refers to it.
            unsafe { libc::munmap(self.at.as_ptr().cast(), self.len * 8) };
        }
    }
}

/// Takes a file for this process and its children; false where another server keeps it.
pub fn lock(file: &std::fs::File) -> bool {
    use std::os::fd::AsRawFd;
    // SAFETY: a call without memory, on a descriptor that is open.
    unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) == 0 }
}

/// Gives a file `bytes` bytes on disk: writing to a hole on a full disk would kill the worker with SIGBUS.
pub fn reserve(file: &std::fs::File, bytes: u64) -> std::io::Result<()> {
    use std::os::fd::AsRawFd;
    let size = libc::off_t::try_from(bytes).map_err(|_| std::io::ErrorKind::InvalidInput)?;
    // SAFETY: a call without memory, on a descriptor that is open.
    match unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, size) } {
        0 => Ok(()),
        code => Err(std::io::Error::from_raw_os_error(code)),
    }
}

/// Random words of the operating system. It does not answer before it has them.
pub fn random<const N: usize>() -> [u64; N] {
    std::array::from_fn(|_| {
        let mut bytes = [0_u8; 8];
        // SAFETY: the buffer has as many bytes as are asked for; so few come whole or not at all.
        while unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) } != 8 {}
        u64::from_le_bytes(bytes)
    })
}

/// The server's secret: drawn once, and before Kamailio forks, so that all workers have the same.
pub static SECRET: LazyLock<Arc<super::hash::Secret>> = LazyLock::new(|| Arc::new(super::hash::Secret::new(random())));

/// For the checker of interleavings: words that it watches.
#[cfg(all(loom, test))]
#[derive(Clone)]
pub struct Words(Arc<Vec<AtomicU64>>);

#[cfg(all(loom, test))]
impl Words {
    pub fn shared(len: usize) -> std::io::Result<Words> {
        Ok(Words(Arc::new((0..len).map(|_| AtomicU64::new(0)).collect())))
    }
}

#[cfg(all(loom, test))]
impl Deref for Words {
    type Target = [AtomicU64];

    fn deref(&self) -> &[AtomicU64] {
        &self.0
    }
}
