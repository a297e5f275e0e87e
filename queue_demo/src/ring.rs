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

/// Room for items; a `put` waits at half of it at the earliest. It takes memory only where an item lies, or lay since
/// the ring was last empty.
const CAPACITY: u64 = 256 << 20;

/// An item must leave room for another.
const LARGEST: u64 = CAPACITY / 2 - ALIGNMENT;

/// Items begin at multiples of this, because on some machines a copy to an address a few bytes into a page is 20 times
/// slower.
const ALIGNMENT: u64 = 64;

/// Memory is reserved in steps of this.
const STEP: u64 = 1 << 20;

/// How much of it an empty ring keeps.
const KEPT: u64 = 16 * STEP;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub struct State {
    counts: Counts,
    /// Where the oldest item is, and where the next one goes. Equal if the ring is empty, and only then.
    head: u64,
    tail: u64,
    /// Where the items end that are read before those at the beginning; 0 if none were put there, in front of the head.
    wrapped: u64,
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

    fn get_into(
        &self,
        item: &mut Vec<u8>,
        consumer: Option<usize>,
        until: Option<Instant>,
    ) -> Result<Outcome<()>> {
        let mut locked = self.0.lock()?;
        loop {
            if self.get_locked(&mut locked, item, consumer)? {
                return Ok(Outcome::Done(()));
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
            while items.len() < most {
                let mut item = Vec::new();
                if !self.get_locked(&mut locked, &mut item, None)? {
                    break;
                }
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

/// Where the next item goes.
#[derive(Debug, PartialEq)]
enum Place {
    Tail,
    /// The beginning, which has been read: memory that was used is used again before more is taken.
    Beginning,
    /// Behind `wrapped`, once the items at the beginning have been moved there.
    Moved,
}

/// Where there is room for an item of `size` bytes, in one piece. The tail never reaches the head, which would look like
/// empty.
fn place(state: &State, size: u64) -> Option<Place> {
    let space = space(size);
    let end = state.tail + space;
    if state.wrapped > 0 {
        let moved = state.wrapped + end <= CAPACITY;
        return match end < state.head {
            true => Some(Place::Tail),
            false => moved.then_some(Place::Moved),
        };
    }
    match end <= state.reserved {
        true => Some(Place::Tail),
        false if space < state.head => Some(Place::Beginning),
        false => (end <= CAPACITY).then_some(Place::Tail),
    }
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
        item: &mut Vec<u8>,
        consumer: Option<usize>,
    ) -> Result<bool> {
        let state = locked.state();
        if state.head == state.tail {
            return Ok(false);
        }
        self.take(locked, item, consumer)?;
        locked.notify(GOT, false);
        Ok(true)
    }

    /// Writes an item to `place` and makes it the newest.
    fn write(&self, locked: &mut Locked<State>, place: Place, item: &[u8]) -> Result<()> {
        let mut state = locked.state();
        let begins = match place {
            Place::Tail => state.tail,
            Place::Beginning => 0,
            Place::Moved => state.wrapped + state.tail,
        };
        let end = begins + space(item.len() as u64);
        if end > state.reserved {
            let until = end.next_multiple_of(STEP).min(CAPACITY);
            self.0.reserve(state.reserved, until - state.reserved)?;
            state.reserved = until;
        }
        match place {
            Place::Tail => {}
            Place::Beginning => state.wrapped = state.tail,
            Place::Moved => {
                let (from, to) = (self.0.extra().0, self.length_at(state.wrapped).cast());
                // SAFETY: `place` has found free room there, behind all that is read before.
                unsafe { ptr::copy_nonoverlapping(from, to, state.tail as usize) };
                state.wrapped = 0;
            }
        }
        // SAFETY: `place` has found free room there, for the length and the bytes.
        unsafe { self.length_at(begins).write(item.len() as u64) };
        let bytes = self.bytes_at(begins);
        // SAFETY: as above; the item is this process's own memory.
        unsafe { ptr::copy_nonoverlapping(item.as_ptr(), bytes, item.len()) };
        state.counts.put();
        locked.commit(State { tail: end, ..state });
        Ok(())
    }

    /// Takes the oldest item out; there must be one.
    fn take(
        &self,
        locked: &mut Locked<State>,
        item: &mut Vec<u8>,
        consumer: Option<usize>,
    ) -> Result<()> {
        let mut state = locked.state();
        let place = state.head;
        // SAFETY: at the head of a ring that is not empty there is a length.
        let size = unsafe { self.length_at(place).read() };
        ensure!(
            size <= LARGEST && place + space(size) <= CAPACITY,
            "the ring's memory is damaged"
        );
        item.clear();
        item.reserve(size as usize);
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
        let mut head = place + space(size);
        if head == state.wrapped {
            (head, state.wrapped) = (0, 0);
        }
        if head != state.tail {
            locked.commit(State { head, ..state });
            return Ok(());
        }
        // An empty ring begins anew, so that a queue that is emptied now and then stays in the caches.
        let reserved = state.reserved.min(KEPT);
        locked.commit(State {
            head: 0,
            tail: 0,
            reserved,
            ..state
        });
        if state.reserved > reserved {
            self.0.release(reserved, state.reserved - reserved)?;
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    fn state(ring: &Ring) -> State {
        ring.0.lock().unwrap().state()
    }

    /// Against a queue that is known to be right, with items of all sizes, at most so many bytes of them at once.
    fn behaves_like_a_queue(most: usize) {
        let ring = Ring::new(0, false).unwrap();
        let (mut model, mut bytes, mut random) = (VecDeque::new(), 0, 1_u32);
        for n in 0..20_000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let size = (random >> 8) as usize % 3000;
            if random >> 31 == 0 && bytes + size <= most {
                let item = vec![n as u8; size];
                bytes += size;
                assert_eq!(ring.put(&item, None).unwrap(), Outcome::Done(()));
                model.push_back(item);
            } else if let Some(item) = model.pop_front() {
                bytes -= item.len();
                assert_eq!(ring.get(None, None).unwrap(), Outcome::Done(item));
            }
        }
        assert!(!model.is_empty());
        for item in model {
            assert_eq!(ring.get(None, None).unwrap(), Outcome::Done(item));
        }
        assert!(ring.is_empty().unwrap());
    }

    #[test]
    fn items_come_in_order_wherever_they_lie() {
        for most in [5000, 100_000, 5 << 20] {
            behaves_like_a_queue(most);
        }
    }

    /// A ring that is never empty and never holds much must not wander through all of its memory.
    #[test]
    fn memory_is_used_again() {
        let ring = Ring::new(0, false).unwrap();
        let item = vec![7; 64 << 10];
        let put = || assert_eq!(ring.put(&item, None).unwrap(), Outcome::Done(()));
        (0..10).for_each(|_| put());
        for _ in 0..5000 {
            put();
            assert_eq!(ring.get(None, None).unwrap(), Outcome::Done(item.clone()));
        }
        assert!(
            state(&ring).reserved <= 2 * STEP,
            "{}",
            state(&ring).reserved
        );
    }

    /// Also one that has begun anew at the beginning has room for all that may come.
    #[test]
    fn a_ring_grows_when_it_has_wrapped() {
        let ring = Ring::new(0, false).unwrap();
        let item = vec![7; 100_000];
        let put = || ring.put(&item, Some(Instant::now())).unwrap();
        while state(&ring).wrapped == 0 {
            assert_eq!(put(), Outcome::Done(()));
            assert_eq!(put(), Outcome::Done(()));
            assert_eq!(ring.get(None, None).unwrap(), Outcome::Done(item.clone()));
        }
        while put() == Outcome::Done(()) {}
        let state = state(&ring);
        let held = state.counts.length * space(100_000);
        assert!(held >= CAPACITY / 2, "only {held} bytes");
        for _ in 0..state.counts.length {
            assert_eq!(ring.get(None, None).unwrap(), Outcome::Done(item.clone()));
        }
        assert!(ring.is_empty().unwrap());
    }

    #[test]
    fn two_of_the_largest_items_fit() {
        let state = |tail, reserved| State {
            tail,
            reserved,
            ..State::zeroed()
        };
        assert_eq!(place(&state(0, 0), LARGEST), Some(Place::Tail));
        let first = space(LARGEST);
        assert_eq!(place(&state(first, first), LARGEST), Some(Place::Tail));
        assert_eq!(place(&state(2 * first, 2 * first), 1), None);
    }
}
