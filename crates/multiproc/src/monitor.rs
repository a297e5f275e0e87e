//! `Monitor`: state in shared memory, a lock and events to wait for, all of which survive the death of any process.
//!
//! Python:  what `multiprocessing.Condition` is for
//! Differs: a change of the state is made beside the valid one and becomes valid by one store, so a process killed in
//!          the middle of a change has not made it. A waiter that is killed takes nobody's wake-up along for long.
//! Linux:   see event.rs and memory.rs.
//! Needs:   channel.rs, event.rs, memory.rs, shm_demo/robust.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! bytemuck = { version = "1", features = ["derive"] }
//! libc = "0.2"
//! rustix = { version = "1", features = ["fs", "mm", "thread"] }
//! ```

use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use bytemuck::Pod;

use crate::channel::{EVENTS, MARKS};
use crate::event::Event;
use crate::memory::Memory;
use crate::robust::{Guard, Kind, RobustMutex};

/// The size of the memory.
const SIZE: usize = 4096;

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
    memory: Memory,
    state: PhantomData<S>,
}

// SAFETY: the state is reached under the lock.
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
    /// Makes a monitor.
    pub fn new(state: S) -> Result<Monitor<S>> {
        ensure!(
            mem::size_of::<Header<S>>() <= SIZE,
            "the state is larger than a page"
        );
        let memory = Memory::new(SIZE, SIZE as u64)?;
        // SAFETY: the memory is new, zeroed and page-aligned, and nobody else knows it yet.
        unsafe { RobustMutex::init(memory.start().cast(), Kind::Lock) }.context("make a lock")?;
        let monitor = Monitor {
            memory,
            state: PhantomData,
        };
        monitor.lock()?.commit(state);
        Ok(monitor)
    }

    /// The monitor behind a descriptor that another process has sent or left to this one.
    pub fn from_fd(file: OwnedFd) -> Result<Monitor<S>> {
        Ok(Monitor {
            memory: Memory::from_fd(file, SIZE).context("a monitor")?,
            state: PhantomData,
        })
    }

    /// Waits for the lock. A process that died with it has left the state as it was before its last change.
    pub fn lock(&self) -> Result<Locked<'_, S>> {
        Ok(Locked {
            monitor: self,
            guard: Some(self.memory.lock(&self.header().lock, 0, || {})?),
            wake: [0; EVENTS],
        })
    }

    fn header(&self) -> &Header<S> {
        // SAFETY: `new` has made the header; all its parts may be shared, the states under the lock.
        unsafe { &*self.memory.start().cast::<Header<S>>() }
    }
}

impl<S> AsFd for Monitor<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.memory.as_fd()
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

    /// Takes back the marks that are greater.
    pub fn limit_marks(&self, most: u64) {
        for mark in &self.monitor.header().marks {
            if mark.load(Ordering::Relaxed) > most {
                mark.store(0, Ordering::Relaxed);
            }
        }
    }

    /// A number beside the state, for what each process keeps of its own: its changes are valid at once.
    pub fn mark(&self, number: usize) -> Result<&AtomicU64> {
        let marks = &self.monitor.header().marks;
        marks
            .get(number)
            .with_context(|| format!("the number {number} is not below {MARKS}"))
    }

    /// Wakes so many more that wait for `event`, once this is dropped or waits itself.
    pub fn notify(&mut self, event: usize, more: u32) {
        self.wake[event] = self.wake[event].saturating_add(more);
    }

    /// Gives the lock back, sleeps until `event` or `until`, and takes the lock again. False if `until` had come before
    /// that. It may also wake for nothing, so the caller looks at the state again.
    pub fn wait(&mut self, event: usize, until: Option<Instant>) -> Result<bool> {
        if until.is_some_and(|until| until <= Instant::now()) {
            return Ok(false);
        }
        let event = &self.monitor.header().events[event];
        // There is no need to look once more: nobody can change the state meanwhile.
        let count = event.sleeper();
        self.unlock();
        let slept = event.sleep(count, until);
        event.awake();
        self.guard = self.monitor.lock()?.guard.take();
        slept.map(|()| true)
    }

    fn unlock(&mut self) {
        if self.guard.take().is_some() {
            for (event, wake) in self.monitor.header().events.iter().zip(&mut self.wake) {
                if *wake > 0 {
                    event.happened(mem::take(wake));
                }
            }
        }
    }
}

impl<S: Pod> Drop for Locked<'_, S> {
    fn drop(&mut self) {
        self.unlock();
    }
}
