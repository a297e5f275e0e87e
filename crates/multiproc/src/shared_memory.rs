//! `Memory`: anonymous shared memory, which other processes map through its descriptor.
//!
//! It corresponds to Python's `multiprocessing.heap.Arena`. A memfd has no name in the file system, so a killed process
//! leaks nothing: the kernel frees the memory with its last mapping and descriptor.

use std::any::{TypeId, type_name};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicU32;

use rustix::fs::{
    FallocateFlags, MemfdFlags, SealFlags, fallocate, fcntl_add_seals, fcntl_get_seals, fstat,
    ftruncate, memfd_create,
};
use rustix::io::retry_on_intr;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::system::sysinfo;

use crate::error::{Context, ensure};

/// The offset of the owner's data, after the [`Stamp`]. Processors fetch cache lines in pairs, so it is aligned to a pair.
pub(crate) const DATA: usize = 128;

/// The maximum number of locks in a memory.
const LOCKS: usize = 2;

/// The first bytes of each memory. Change it when the layout of any memory changes.
const MAGIC: u64 = u64::from_le_bytes(*b"mproc 01");

/// The header of each memory. It does not change after the memory is made.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    magic: u64,
    /// A hash of the type that the memory holds.
    kind: u64,
}

impl Stamp {
    fn of<K: 'static>() -> Stamp {
        let mut hasher = DefaultHasher::new();
        TypeId::of::<K>().hash(&mut hasher);
        Stamp {
            magic: MAGIC,
            kind: hasher.finish(),
        }
    }
}

/// The seals fix the size of a memory, so a mapping stays valid.
fn seals() -> SealFlags {
    SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL
}

/// A process's mapping of shared memory.
#[derive(Debug)]
pub(crate) struct Memory {
    file: OwnedFd,
    start: NonNull<u8>,
    size: usize,
    held: [AtomicU32; LOCKS],
}

// SAFETY: the mapping is not tied to a thread; all access to its contents is under locks or through atomics.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// Makes zeroed memory for a `K`, and reserves its first `filled` bytes. The rest takes up memory only where it is used.
    ///
    /// # Errors
    ///
    /// Fails if `filled` is more than half of the machine's memory, the usual size of `/dev/shm`. The kernel would not
    /// refuse; it would kill processes.
    pub(crate) fn new<K: 'static>(size: usize, filled: usize) -> io::Result<Memory> {
        let machine = sysinfo();
        let half = u128::from(machine.totalram) * u128::from(machine.mem_unit) / 2;
        ensure!(
            filled as u128 <= half,
            "{filled} bytes of shared memory are more than half of the machine's memory ({half} bytes)"
        );
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = memfd_create("multiproc", flags).context("make shared memory")?;
        ftruncate(&file, size as u64).context("size shared memory")?;
        fcntl_add_seals(&file, seals()).context("seal the size of shared memory")?;
        let memory = Memory::map(file, size)?;
        memory.reserve(0, filled as u64)?;
        // SAFETY: a memory starts with aligned space for a stamp, and this one is not shared yet.
        unsafe { memory.stamp().write(Stamp::of::<K>()) };
        Ok(memory)
    }

    /// Maps memory from a descriptor that another process sent.
    ///
    /// # Errors
    ///
    /// Fails if the descriptor does not refer to memory that [`Memory::new`] made for a `K`.
    pub(crate) fn open<K: 'static>(file: OwnedFd) -> io::Result<Memory> {
        let expected = type_name::<K>();
        let sealed = fcntl_get_seals(&file).is_ok_and(|seals| seals.contains(self::seals()));
        ensure!(
            sealed,
            "the descriptor is not shared memory of a {expected}: it is not a memfd, or its size is not sealed"
        );
        let stat = fstat(&file).context("get the size of shared memory")?;
        let size = usize::try_from(stat.st_size).unwrap_or_default();
        ensure!(
            size >= DATA,
            "the descriptor is not shared memory of a {expected}: it has {size} bytes"
        );
        let memory = Memory::map(file, size)?;
        // SAFETY: a memory starts with aligned space for a stamp, and any bytes are a valid stamp.
        let stamp = unsafe { memory.stamp().read() };
        ensure!(
            stamp == Stamp::of::<K>(),
            "the descriptor is not shared memory of a {expected}, but of another type"
        );
        Ok(memory)
    }

    fn map(file: OwnedFd, size: usize) -> io::Result<Memory> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address that the kernel chooses overlaps no other.
        let start = unsafe { mmap(ptr::null_mut(), size, access, MapFlags::SHARED, &file, 0) };
        let start = NonNull::new(start.context("map shared memory")?.cast())
            .context("shared memory was mapped at address 0")?;
        Ok(Memory {
            file,
            start,
            size,
            held: Default::default(),
        })
    }

    fn stamp(&self) -> *mut Stamp {
        self.start().cast()
    }

    /// Returns the address of the memory, which is page-aligned.
    pub(crate) fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// Returns the address of the owner's data.
    pub(crate) fn data(&self) -> *mut u8 {
        self.start().wrapping_add(DATA)
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Returns this process's count of guards for the lock with this number. The memory stays mapped while a count is not
    /// zero: a forgotten guard still owns its lock, and glibc keeps the lock's address.
    pub(crate) fn held(&self, lock: usize) -> &AtomicU32 {
        &self.held[lock]
    }

    /// Reserves memory. Without it, a lack of memory causes a SIGBUS at the first write.
    pub(crate) fn reserve(&self, start: u64, length: u64) -> io::Result<()> {
        retry_on_intr(|| fallocate(&self.file, FallocateFlags::empty(), start, length))
            .context("reserve shared memory")
    }

    /// Returns memory to the system. It then reads as zeros.
    pub(crate) fn release(&self, start: u64, length: u64) -> io::Result<()> {
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        retry_on_intr(|| fallocate(&self.file, hole, start, length))
            .context("release shared memory")
    }
}

impl AsFd for Memory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if self.held.iter_mut().all(|held| *held.get_mut() == 0) {
            // SAFETY: this value owns the mapping, and nothing borrows it any more.
            unsafe { munmap(self.start.as_ptr().cast(), self.size) }.ok();
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs::{self, File};

    use super::*;

    /// Returns whether this process maps the memory with this descriptor's inode.
    pub(crate) fn is_mapped(inode: u64) -> bool {
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let inode = inode.to_string();
        maps.lines().any(|line| {
            line.contains("memfd:multiproc") && line.split_whitespace().nth(4) == Some(&inode)
        })
    }

    pub(crate) fn inode(memory: impl AsFd) -> u64 {
        fstat(memory).unwrap().st_ino
    }

    fn refused<K: 'static>(file: impl Into<OwnedFd>) -> String {
        Memory::open::<K>(file.into()).unwrap_err().to_string()
    }

    #[test]
    fn memory_is_shared_and_starts_as_zeros() {
        let memory = Memory::new::<u8>(DATA + 8, DATA + 8).unwrap();
        let other = Memory::open::<u8>(memory.file.try_clone().unwrap()).unwrap();
        assert_eq!(other.size(), DATA + 8);
        let (ours, theirs) = (memory.data().cast::<u64>(), other.data().cast::<u64>());
        // SAFETY: eight aligned bytes of the memory are there, and only this thread uses them.
        assert_eq!(unsafe { theirs.read() }, 0);
        // SAFETY: as above.
        unsafe { ours.write(7) };
        // SAFETY: as above.
        assert_eq!(unsafe { theirs.read() }, 7);
    }

    #[test]
    fn only_memory_of_the_same_type_is_opened() {
        let memory = Memory::new::<u8>(DATA, DATA).unwrap();
        let error = refused::<u16>(memory.file.try_clone().unwrap());
        assert!(error.ends_with("a u16, but of another type"), "{error}");
        let error = refused::<u8>(File::open("/dev/zero").unwrap());
        assert!(error.contains("it is not a memfd"), "{error}");
        let open = memfd_create("other", MemfdFlags::ALLOW_SEALING).unwrap();
        let error = refused::<u8>(open.try_clone().unwrap());
        assert!(error.contains("its size is not sealed"), "{error}");
        fcntl_add_seals(&open, seals()).unwrap();
        let error = refused::<u8>(open);
        assert!(error.ends_with("it has 0 bytes"), "{error}");
        let zeros = memfd_create("other", MemfdFlags::ALLOW_SEALING).unwrap();
        ftruncate(&zeros, 4096).unwrap();
        fcntl_add_seals(&zeros, seals()).unwrap();
        assert!(refused::<u8>(zeros).ends_with("of another type"));
    }

    #[test]
    fn the_size_does_not_change() {
        let memory = Memory::new::<u8>(DATA, DATA).unwrap();
        assert!(ftruncate(&memory, 0).is_err());
        assert!(ftruncate(&memory, 1 << 20).is_err());
    }

    #[test]
    fn more_than_the_machine_has_is_an_error() {
        let error = Memory::new::<u8>(1 << 46, 1 << 46).unwrap_err().to_string();
        assert!(error.contains("half of the machine's memory"), "{error}");
        assert!(Memory::new::<u8>(usize::MAX, 0).is_err());
    }

    #[test]
    fn memory_is_unmapped_when_dropped() {
        let memory = Memory::new::<u8>(DATA, DATA).unwrap();
        let inode = inode(&memory);
        assert!(is_mapped(inode));
        drop(memory);
        assert!(!is_mapped(inode));
    }
}
