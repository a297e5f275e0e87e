//! `Monitor`: state in shared memory, a lock and events to wait for, all of which survive the death of any process.
//!
//! Python:  what `multiprocessing.Condition` is for
//! Differs: a change of the state is made beside the valid one and becomes valid by one store, so a process killed in
//!          the middle of a change has not made it. A waiter that is killed takes nobody's wake-up along for long.
//! Linux:   memfd, robust mutexes, and what event.rs needs.
//! Needs:   event.rs, shm_demo/robust.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! bytemuck = { version = "1", features = ["derive"] }
//! libc = "0.2"
//! rustix = { version = "1", features = ["fs", "mm"] }
//! ```

use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytemuck::Pod;
use rustix::fs::{FallocateFlags, MemfdFlags, fallocate, fstat, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use crate::event::Event;
use crate::robust::{Acquired, Guard, Kind, RobustMutex};

/// How many events there are to wait for.
pub const EVENTS: usize = 3;

/// How many marks there are to set.
pub const MARKS: usize = 256;

/// How long a waiter sleeps before it looks again. Usually it is woken earlier; not if the process that was woken in
/// its place was killed before it could act.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The space for the header, a page; what else is to be shared follows.
const HEADER: usize = 4096;

#[repr(C)]
struct Header<S> {
    lock: RobustMutex,
    /// The place of the valid state.
    valid: AtomicU32,
    events: [Event; EVENTS],
    marks: [AtomicU64; MARKS],
    states: [UnsafeCell<S>; 2],
}

/// A process's mapping of the shared memory. `S` is the state, plain data.
pub struct Monitor<S> {
    file: OwnedFd,
    memory: NonNull<u8>,
    size: usize,
    /// How many guards of the lock this process has.
    held: AtomicU32,
    state: PhantomData<S>,
}

// SAFETY: the memory belongs to no thread, and is reached under its lock or through atomics.
unsafe impl<S: Pod + Send> Send for Monitor<S> {}
// SAFETY: as above.
unsafe impl<S: Pod + Send> Sync for Monitor<S> {}

/// The right to look at the state and to change it. Dropping it gives the right back, and wakes who waits for what has
/// happened.
pub struct Locked<'a, S: Pod> {
    monitor: &'a Monitor<S>,
    /// `None` while this sleeps.
    guard: Option<Guard<'a>>,
    /// How many to wake of those who wait for each event.
    wake: [u32; EVENTS],
}

impl<S: Pod> Monitor<S> {
    /// Makes a monitor, with `extra` bytes of zeroed memory behind it. That takes memory only where it is used.
    pub fn new(state: S, extra: usize) -> Result<Monitor<S>> {
        ensure!(
            mem::size_of::<Header<S>>() <= HEADER,
            "the state is larger than a page"
        );
        let size = HEADER
            .checked_add(extra)
            .context("more memory than there are addresses")?;
        let file = memfd_create("monitor", MemfdFlags::CLOEXEC).context("make shared memory")?;
        ftruncate(&file, size as u64).context("size shared memory")?;
        // Otherwise a lack of memory would be told by a SIGBUS at the first write.
        fallocate(&file, FallocateFlags::empty(), 0, HEADER as u64)
            .context("fill shared memory")?;
        let monitor = Monitor::map(file, size)?;
        // SAFETY: the memory is new, zeroed and page-aligned, and nobody else knows it yet.
        unsafe { RobustMutex::init(monitor.memory.as_ptr().cast(), Kind::Lock) }
            .context("make a lock")?;
        monitor.lock()?.commit(state);
        Ok(monitor)
    }

    /// The monitor behind a descriptor that another process has sent or left to this one.
    pub fn from_fd(file: OwnedFd) -> Result<Monitor<S>> {
        let size = fstat(&file).context("look at the shared memory")?.st_size as usize;
        ensure!(size >= HEADER, "the descriptor is of no monitor");
        Monitor::map(file, size)
    }

    fn map(file: OwnedFd, size: usize) -> Result<Monitor<S>> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping, where the kernel chooses, touches nobody's memory.
        let memory = unsafe { mmap(ptr::null_mut(), size, access, MapFlags::SHARED, &file, 0) };
        let memory = NonNull::new(memory.context("map shared memory")?.cast())
            .context("mapped to nothing")?;
        Ok(Monitor {
            file,
            memory,
            size,
            held: AtomicU32::new(0),
            state: PhantomData,
        })
    }

    /// The memory behind the header, and its size. Who holds the lock may use it.
    pub fn extra(&self) -> (*mut u8, usize) {
        // SAFETY: the mapping is larger than the header.
        let extra = unsafe { self.memory.as_ptr().add(HEADER) };
        (extra, self.size - HEADER)
    }

    /// Gives memory behind the header back to the system. It reads as zeros then.
    pub fn release(&self, start: u64, length: u64) -> Result<()> {
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        fallocate(&self.file, hole, HEADER as u64 + start, length).context("release shared memory")
    }

    /// Reserves memory behind the header, so that writing to it cannot fail.
    pub fn reserve(&self, start: u64, length: u64) -> Result<()> {
        fallocate(
            &self.file,
            FallocateFlags::empty(),
            HEADER as u64 + start,
            length,
        )
        .context("reserve shared memory")
    }

    /// Waits for the lock. A process that died with it has left the state as it was before its last change.
    pub fn lock(&self) -> Result<Locked<'_, S>> {
        let guard = match self
            .header()
            .lock
            .acquire(&self.held, true, None)
            .context("lock")?
        {
            Acquired::Locked(guard) => guard,
            Acquired::OwnerDied(guard) => {
                guard.repaired().context("repair the lock")?;
                guard
            }
            Acquired::TimedOut => anyhow::bail!("a wait without a limit timed out"),
        };
        Ok(Locked {
            monitor: self,
            guard: Some(guard),
            wake: [0; EVENTS],
        })
    }
}

impl<S> Monitor<S> {
    fn header(&self) -> &Header<S> {
        // SAFETY: `new` has made the header; all its parts may be shared, the states under the lock.
        unsafe { &*self.memory.as_ptr().cast::<Header<S>>() }
    }
}

impl<S> AsFd for Monitor<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl<S> Drop for Monitor<S> {
    fn drop(&mut self) {
        // Whoever has forgotten a `Locked` still owns the lock: then the memory must stay.
        if *self.held.get_mut() == 0 {
            // SAFETY: the mapping is this value's own, and nothing borrows it any more.
            unsafe { munmap(self.memory.as_ptr().cast(), self.size) }.ok();
        }
    }
}

impl<S: Pod> Locked<'_, S> {
    /// The valid state.
    pub fn state(&self) -> S {
        let header = self.monitor.header();
        let valid = header.valid.load(Ordering::Relaxed) as usize % 2;
        // SAFETY: who holds the lock is alone with the states, and any bytes are a state.
        unsafe { *header.states[valid].get() }
    }

    /// Makes a state valid, by one store: a process killed before it has changed nothing.
    pub fn commit(&mut self, state: S) {
        let header = self.monitor.header();
        let next = (header.valid.load(Ordering::Relaxed) + 1) % 2;
        // SAFETY: who holds the lock is alone with the states.
        unsafe { *header.states[next as usize].get() = state };
        header.valid.store(next, Ordering::Release);
    }

    /// A number beside the state, for what each process keeps of its own: its changes are valid at once.
    pub fn mark(&self, number: usize) -> Result<&AtomicU64> {
        let marks = &self.monitor.header().marks;
        marks
            .get(number)
            .with_context(|| format!("the number {number} is not below {MARKS}"))
    }

    /// Wakes one that waits for `event`, or all of them, once this is dropped or waits itself.
    pub fn notify(&mut self, event: usize, all: bool) {
        self.wake[event] += self.monitor.header().events[event].happened(all);
    }

    /// Gives the lock back, sleeps until `event`, and takes the lock again. False when `until` has come.
    /// It may also wake for nothing, so the caller looks at the state again.
    pub fn wait(&mut self, event: usize, until: Option<Instant>) -> Result<bool> {
        let left = until.map_or(LOOK_AGAIN, |until| {
            until.saturating_duration_since(Instant::now())
        });
        if left.is_zero() {
            return Ok(false);
        }
        let event = &self.monitor.header().events[event];
        let seen = event.sleeper();
        self.unlock();
        event.sleep(seen, left.min(LOOK_AGAIN))?;
        self.guard = self.monitor.lock()?.guard.take();
        event.awake();
        Ok(true)
    }

    fn unlock(&mut self) {
        if self.guard.take().is_some() {
            for (event, wake) in self.monitor.header().events.iter().zip(&mut self.wake) {
                event.wake(mem::take(wake));
            }
        }
    }
}

impl<S: Pod> Drop for Locked<'_, S> {
    fn drop(&mut self) {
        self.unlock();
    }
}
