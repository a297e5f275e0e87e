//! `Ring`: the fast transport. Items lie in shared memory, so that small ones cost no system call.
//!
//! Python:  the pipe and the locks inside `multiprocessing.Queue`
//! Differs: no pipe, no feeder thread. `put` returns when the item is in the queue and survives its producer.
//! Linux:   see monitor.rs.
//! Needs:   channel.rs, event.rs, monitor.rs, shm_demo/robust.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! bytemuck = { version = "1", features = ["derive"] }
//! libc = "0.2"
//! rustix = { version = "1", features = ["fs", "mm", "thread"] }
//! ```

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr;
use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use bytemuck::{Pod, Zeroable};

use crate::channel::{Channel, Counts, GOT, Outcome, PUT};
use crate::monitor::{Locked, Monitor};

/// Room for items. It takes memory only where an item lies, or lay since the ring was last empty.
const CAPACITY: u64 = 256 << 20;

/// An item must leave room for another.
const LARGEST: u64 = CAPACITY / 2 - ALIGNMENT;

/// Items begin at multiples of this, because on some machines a copy to an address a few bytes into a page is 20 times
/// slower.
const ALIGNMENT: u64 = 64;

/// Memory is reserved in steps of this, and an empty ring keeps one of them.
const STEP: u64 = 1 << 20;

/// In the place of an item's length: the next item is at the beginning.
const WRAP: u64 = u64::MAX;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub struct State {
    counts: Counts,
    /// Where the oldest item is, and where the next one goes. Equal if the ring is empty, and only then.
    head: u64,
    tail: u64,
    /// Up to where memory is reserved.
    reserved: u64,
}

impl AsMut<Counts> for State {
    fn as_mut(&mut self) -> &mut Counts {
        &mut self.counts
    }
}

/// A queue of byte strings in shared memory.
///
/// Cost: two uncontended atomic operations and a copy for a `put` or a `get`; a system call where somebody sleeps.
pub struct Ring(Monitor<State>);

impl Channel for Ring {
    type State = State;
    const NAME: &str = "ring";

    fn new(most: usize, _counted: bool) -> Result<Ring> {
        let state = State {
            counts: Counts::new(most),
            ..State::zeroed()
        };
        Monitor::new(state, CAPACITY as usize).map(Ring)
    }

    fn fds(&self) -> Vec<BorrowedFd<'_>> {
        vec![self.0.as_fd()]
    }

    fn from_fds(mut fds: Vec<OwnedFd>) -> Result<Ring> {
        let file = fds
            .pop()
            .filter(|_| fds.is_empty())
            .context("a ring is one descriptor")?;
        let monitor = Monitor::from_fd(file)?;
        ensure!(
            monitor.extra().1 as u64 == CAPACITY,
            "the descriptor is of no ring"
        );
        Ok(Ring(monitor))
    }

    fn put(&self, item: &[u8], until: Option<Instant>) -> Result<Outcome<()>> {
        let mut locked = self.0.lock()?;
        loop {
            if locked.state().counts.closed != 0 {
                return Ok(Outcome::Closed);
            }
            if self.put_locked(&mut locked, item)? {
                return Ok(Outcome::Done(()));
            }
            if !self.wait(&mut locked, GOT, until)? {
                return Ok(Outcome::TimedOut);
            }
        }
    }

    fn put_some(&self, items: &[&[u8]]) -> Result<usize> {
        let mut locked = self.0.lock()?;
        if locked.state().counts.closed != 0 {
            return Ok(0);
        }
        for (count, item) in items.iter().enumerate() {
            match self.put_locked(&mut locked, item) {
                Ok(true) => {}
                Err(error) if count == 0 => return Err(error),
                _ => return Ok(count),
            }
        }
        Ok(items.len())
    }

    fn get(&self, consumer: Option<usize>, until: Option<Instant>) -> Result<Outcome<Vec<u8>>> {
        let mut locked = self.0.lock()?;
        loop {
            if let Some(item) = self.get_locked(&mut locked, consumer)? {
                return Ok(Outcome::Done(item));
            }
            if locked.state().counts.closed != 0 {
                return Ok(Outcome::Closed);
            }
            if !self.wait(&mut locked, PUT, until)? {
                return Ok(Outcome::TimedOut);
            }
        }
    }

    fn get_some(&self, most: usize) -> Result<Outcome<Vec<Vec<u8>>>> {
        let mut items = Vec::new();
        let mut locked = self.0.lock()?;
        loop {
            while items.len() < most
                && let Some(item) = self.get_locked(&mut locked, None)?
            {
                items.push(item);
            }
            if !items.is_empty() {
                return Ok(Outcome::Done(items));
            }
            if locked.state().counts.closed != 0 {
                return Ok(Outcome::Closed);
            }
            self.wait(&mut locked, PUT, None)?;
        }
    }

    fn close(&self) -> Result<()> {
        let mut locked = self.0.lock()?;
        let mut state = locked.state();
        state.counts.closed = 1;
        locked.commit(state);
        locked.notify(PUT, true);
        locked.notify(GOT, true);
        Ok(())
    }

    fn is_empty(&self) -> Result<bool> {
        Ok(self.0.lock()?.state().counts.length == 0)
    }

    fn counts(&self) -> Result<Option<Locked<'_, State>>> {
        self.0.lock().map(Some)
    }

    fn wait(
        &self,
        locked: &mut Locked<'_, State>,
        event: usize,
        until: Option<Instant>,
    ) -> Result<bool> {
        locked.wait(event, until)
    }
}

/// What an item takes: its length, in a place of its own that keeps the bytes aligned, and the bytes.
fn space(size: u64) -> u64 {
    ALIGNMENT + size.next_multiple_of(ALIGNMENT)
}

/// Where an item of `size` bytes fits, in one piece. The tail never reaches the head, which would look like empty.
fn place(state: &State, size: u64) -> Option<u64> {
    let State { head, tail, .. } = *state;
    let end = tail + space(size);
    if tail < head {
        return (end < head).then_some(tail);
    }
    // Behind the tail there is always room for one more length, which says that the items go on at the beginning.
    let fits = end + ALIGNMENT <= CAPACITY;
    let wraps = space(size) < head;
    if fits { Some(tail) } else { wraps.then_some(0) }
}

impl Ring {
    /// Adds an item, if there is room.
    fn put_locked(&self, locked: &mut Locked<State>, item: &[u8]) -> Result<bool> {
        let size = item.len() as u64;
        ensure!(
            size <= LARGEST,
            "an item of {size} bytes is larger than {LARGEST}"
        );
        let state = locked.state();
        let room = state.counts.has_room().then(|| place(&state, size));
        let Some(place) = room.flatten() else {
            return Ok(false);
        };
        self.write(locked, place, item)?;
        locked.notify(PUT, false);
        Ok(true)
    }

    /// Takes the oldest item, if there is one.
    fn get_locked(
        &self,
        locked: &mut Locked<State>,
        consumer: Option<usize>,
    ) -> Result<Option<Vec<u8>>> {
        let state = locked.state();
        if state.head == state.tail {
            return Ok(None);
        }
        let item = self.take(locked, consumer)?;
        locked.notify(GOT, false);
        Ok(Some(item))
    }

    /// Writes an item to `place` and makes it the newest.
    fn write(&self, locked: &mut Locked<State>, place: u64, item: &[u8]) -> Result<()> {
        let mut state = locked.state();
        let end = place + space(item.len() as u64);
        if end + ALIGNMENT > state.reserved {
            let until = (end + ALIGNMENT).next_multiple_of(STEP).min(CAPACITY);
            self.0.reserve(state.reserved, until - state.reserved)?;
            state.reserved = until;
        }
        if place != state.tail {
            // SAFETY: `place` has seen to the room for a length at the tail.
            unsafe { self.length_at(state.tail).write(WRAP) };
        }
        // SAFETY: `place` has found free room there, for the length and the bytes.
        unsafe { self.length_at(place).write(item.len() as u64) };
        let bytes = self.bytes_at(place);
        // SAFETY: as above; the item is this process's own memory.
        unsafe { ptr::copy_nonoverlapping(item.as_ptr(), bytes, item.len()) };
        state.counts.put();
        locked.commit(State { tail: end, ..state });
        Ok(())
    }

    /// Takes the oldest item out; there must be one.
    fn take(&self, locked: &mut Locked<State>, consumer: Option<usize>) -> Result<Vec<u8>> {
        let mut state = locked.state();
        let mut place = state.head;
        // SAFETY: at the head of a ring that is not empty there is a length.
        let mut size = unsafe { self.length_at(place).read() };
        if size == WRAP {
            place = 0;
            // SAFETY: behind a wrap the next item is at the beginning.
            size = unsafe { self.length_at(place).read() };
        }
        ensure!(
            size <= LARGEST && place + space(size) <= CAPACITY,
            "the ring's memory is damaged"
        );
        let mut item = Vec::with_capacity(size as usize);
        // SAFETY: an item of this size lies there, and the vector has room for it.
        unsafe { ptr::copy_nonoverlapping(self.bytes_at(place), item.as_mut_ptr(), size as usize) };
        // SAFETY: these bytes are initialised now.
        unsafe { item.set_len(size as usize) };
        state.counts.got();
        if let Some(consumer) = consumer {
            // It holds as soon as so many are taken, which is when the state is valid.
            locked
                .mark(consumer)?
                .store(state.counts.taken, Ordering::Relaxed);
        }
        let head = place + space(size);
        if head != state.tail {
            locked.commit(State { head, ..state });
            return Ok(item);
        }
        // An empty ring begins anew, so that a queue that is emptied now and then stays in the caches.
        let reserved = state.reserved.min(STEP);
        locked.commit(State {
            head: 0,
            tail: 0,
            reserved,
            ..state
        });
        if state.reserved > reserved {
            self.0.release(reserved, state.reserved - reserved)?;
        }
        Ok(item)
    }

    fn length_at(&self, place: u64) -> *mut u64 {
        // SAFETY: places are inside the memory; the caller sees to what is there.
        unsafe { self.0.extra().0.add(place as usize) }.cast()
    }

    fn bytes_at(&self, place: u64) -> *mut u8 {
        // SAFETY: an item's bytes follow its length, inside the memory.
        unsafe { self.0.extra().0.add((place + ALIGNMENT) as usize) }
    }
}
