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

    /// Lets go of the pages that this process has looked at; what stands there stays, and is mapped again when it is touched.
    pub fn let_go(&self) {
        self.region.let_go();
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
    use std::io;
    use std::ptr::{NonNull, null_mut};
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    use super::Words;

    /// Shared memory of whole words, given back with its last user.
    pub struct Region {
        at: NonNull<AtomicU64>,
        len: usize,
        /// A segment that outlives its processes.
        kept: bool,
    }

    // SAFETY: the words are atomics, the mapping lives as long as the region, and nobody gets a plain reference into it.
    unsafe impl Send for Region {}
    // SAFETY: as above.
    unsafe impl Sync for Region {}

    impl Region {
        /// Zeroed memory that processes forked later share. `len` in words, at least 1.
        pub fn anonymous(len: usize) -> io::Result<Region> {
            Region::map(len)
        }

        fn map(len: usize) -> io::Result<Region> {
            let bytes = bytes(len)?;
            // SAFETY: no address is asked for, so no mapping is replaced; the result is checked.
            let at = unsafe {
                libc::mmap(
                    null_mut(),
                    bytes,
                    libc::PROT_READ | libc::PROT_WRITE,
                    libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                    -1,
                    0,
                )
            };
            if at == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
            let at = NonNull::new(at.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
            Ok(Region { at, len, kept: false })
        }

        /// A segment of System V shared memory: it outlives its processes until the machine stops, and unlike a file nobody can
        /// cut it, which would kill whoever touches what is gone. Errors: `InvalidInput` where one of another size is there,
        /// `WouldBlock` where other processes hold it, `PermissionDenied` where it is another user's.
        pub fn kept(key: i32, len: usize) -> io::Result<Region> {
            let size = bytes(len)?;
            // SAFETY: a call without memory.
            let id = unsafe { libc::shmget(key, size, libc::IPC_CREAT | 0o600) };
            if id < 0 {
                return Err(io::Error::last_os_error());
            }
            let about = about(id)?;
            // SAFETY: a call without memory.
            let own = unsafe { libc::geteuid() };
            if about.shm_perm.uid != own && about.shm_perm.cuid != own {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            if about.shm_segsz != size {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            if about.shm_nattch > 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            // SAFETY: no address is asked for, so no mapping is replaced; the result is checked.
            let at = unsafe { libc::shmat(id, std::ptr::null(), 0) };
            if at as isize == -1 {
                return Err(io::Error::last_os_error());
            }
            let at = NonNull::new(at.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
            let region = Region { at, len, kept: true };
            // Of two that began at once neither has it.
            if self::about(id)?.shm_nattch > 1 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Ok(region)
        }

        pub(super) fn all(&self) -> &[AtomicU64] {
            // SAFETY: the mapping holds `len` words, is page-aligned, and lives as long as `self`; any bytes are a number.
            unsafe { std::slice::from_raw_parts(self.at.as_ptr(), self.len) }
        }

        pub(super) fn let_go(&self) {
            // SAFETY: the mapping is shared, so its contents stay where they are, in the file or the system's memory; only this
            // process's view of them is dropped.
            unsafe { libc::madvise(self.at.as_ptr().cast(), self.len * 8, libc::MADV_DONTNEED) };
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
            let at = self.at.as_ptr();
            if self.kept {
                // SAFETY: attached by `kept`, and nobody is left who refers to it.
                unsafe { libc::shmdt(at.cast()) };
            } else {
                // SAFETY: mapped with this length by `map`, and nobody is left who refers to it.
                unsafe { libc::munmap(at.cast(), self.len * 8) };
            }
        }
    }

    fn bytes(len: usize) -> io::Result<usize> {
        let bytes = len.checked_mul(8).filter(|&bytes| bytes > 0);
        bytes.ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }

    fn about(id: i32) -> io::Result<libc::shmid_ds> {
        // SAFETY: a struct of numbers, for which zeros are values.
        let mut about: libc::shmid_ds = unsafe { std::mem::zeroed() };
        // SAFETY: the call only writes the struct it is given.
        match unsafe { libc::shmctl(id, libc::IPC_STAT, &raw mut about) } {
            0 => Ok(about),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// Gives back a segment that `Region::kept` made, once its last process lets go of it. False: there is none, or it is another
/// user's.
pub fn remove_kept(key: i32) -> bool {
    // SAFETY: calls without memory.
    unsafe {
        let id = libc::shmget(key, 0, 0);
        id >= 0 && libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) == 0
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

/// Another, for hashes that are written down: nobody who reads them learns of `SECRET`.
pub static WRITTEN: LazyLock<super::hash::Secret> = LazyLock::new(|| super::hash::Secret::new(random()));

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
impl Words {
    pub fn let_go(&self) {}
}

#[cfg(all(loom, test))]
impl Deref for Words {
    type Target = [AtomicU64];

    fn deref(&self) -> &[AtomicU64] {
        &self.0
    }
}
