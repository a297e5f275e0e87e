//! `Memory`: shared memory without a name, which other processes get as a descriptor.
//!
//! Python:  `multiprocessing.heap.Arena`, which has a file with a name for a moment
//! Differs: there is no name to be left behind, whoever is killed.
//! Linux:   memfd.
//! Needs:   shm_demo/robust.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! libc = "0.2"
//! rustix = { version = "1", features = ["fs", "mm"] }
//! ```

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicU32;

use anyhow::{Context, Result, ensure};
use rustix::fs::{FallocateFlags, MemfdFlags, fallocate, fstat, ftruncate, memfd_create};
use rustix::io::retry_on_intr;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use crate::robust::{Acquired, Guard, RobustMutex};

/// How many locks there may be in a memory.
const LOCKS: usize = 2;

/// A process's mapping.
pub struct Memory {
    file: OwnedFd,
    start: NonNull<u8>,
    size: usize,
    /// How many guards of each lock this process has.
    held: [AtomicU32; LOCKS],
}

// SAFETY: the memory belongs to no thread; what is in it is reached under locks or through atomics.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// Makes zeroed memory, the first `filled` bytes of which are reserved. The others take memory only where they are used.
    pub fn new(size: usize, filled: u64) -> Result<Memory> {
        let file = memfd_create("queue", MemfdFlags::CLOEXEC).context("make shared memory")?;
        ftruncate(&file, size as u64).context("size shared memory")?;
        let memory = Memory::map(file, size)?;
        memory.reserve(0, filled)?;
        Ok(memory)
    }

    /// The memory of this size behind a descriptor that another process has sent or left to this one.
    pub fn from_fd(file: OwnedFd, size: usize) -> Result<Memory> {
        let stat = fstat(&file).context("look at the shared memory")?;
        ensure!(
            stat.st_size as usize == size,
            "the descriptor is of something else"
        );
        Memory::map(file, size)
    }

    fn map(file: OwnedFd, size: usize) -> Result<Memory> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping, where the kernel chooses, touches nobody's memory.
        let start = unsafe { mmap(ptr::null_mut(), size, access, MapFlags::SHARED, &file, 0) };
        let start = NonNull::new(start.context("map shared memory")?.cast())
            .context("mapped to nothing")?;
        Ok(Memory {
            file,
            start,
            size,
            held: Default::default(),
        })
    }

    /// Where it begins, at the beginning of a page.
    pub fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// Reserves memory. Without that, a lack of memory is told by a SIGBUS at the first write.
    pub fn reserve(&self, start: u64, length: u64) -> Result<()> {
        retry_on_intr(|| fallocate(&self.file, FallocateFlags::empty(), start, length))
            .context("reserve shared memory")
    }

    /// Gives memory back to the system. It reads as zeros then.
    pub fn release(&self, start: u64, length: u64) -> Result<()> {
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        retry_on_intr(|| fallocate(&self.file, hole, start, length))
            .context("release shared memory")
    }

    /// Waits for a lock in this memory, which has the number `number` there. If its owner was killed, `repair` comes first,
    /// and comes again if whoever does that is killed too.
    pub fn lock<'a>(
        &'a self,
        lock: &'a RobustMutex,
        number: usize,
        repair: impl FnOnce(),
    ) -> Result<Guard<'a>> {
        let held = self.held.get(number).context("no such lock")?;
        match lock.acquire(held, true, None).context("lock")? {
            Acquired::Locked(guard) => Ok(guard),
            Acquired::OwnerDied(guard) => {
                repair();
                guard.repaired().context("repair the lock")?;
                Ok(guard)
            }
            Acquired::TimedOut => anyhow::bail!("a wait without a limit timed out"),
        }
    }
}

impl AsFd for Memory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // Whoever has forgotten a guard still owns the lock: then the memory must stay.
        if self.held.iter_mut().all(|held| *held.get_mut() == 0) {
            // SAFETY: the mapping is this value's own, and nothing borrows it any more.
            unsafe { munmap(self.start.as_ptr().cast(), self.size) }.ok();
        }
    }
}
