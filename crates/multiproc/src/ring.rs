//! `Ring`: the fast transport. Items lie in shared memory, so that small ones cost no system call.
//!
//! Python:  the pipe and the locks inside `multiprocessing.Queue`
//! Differs: no pipe, no feeder thread. `put` returns when the item is in the queue and survives its producer; it blocks
//!          while some megabytes are unread.
//! Linux:   see event.rs and memory.rs.
//! Needs:   channel.rs, event.rs, memory.rs, shm_demo/robust.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! libc = "0.2"
//! rustix = { version = "1", features = ["fs", "mm", "thread"] }
//! ```

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::channel::{ALL_DONE, Channel, EVENTS, GOT, MARKS, Outcome, PUT};
use crate::event::Event;
use crate::memory::Memory;
use crate::robust::{Guard, Kind, RobustMutex};

/// Room for items; memory is taken only where an item lies or has lain.
const ROOM: u64 = 8 << 20;

/// A larger item lies in a place of its own, one at a time. Others take half of the room at most: then they fit into an
/// empty ring wherever it begins, even if they have to leave out the end of the room.
const LARGE: u64 = ROOM / 2 - ALIGNMENT;

/// The size of the largest.
const LARGEST: u64 = 256 << 20;

/// Items begin at multiples of this, because on some machines a copy to an address a few bytes into a page is 20 times
/// slower.
const ALIGNMENT: u64 = 64;

/// Behind so much of the room, a ring that is empty begins anew at the beginning, which may still be in the caches.
const HOT: u64 = 256 << 10;

/// How often it is looked whether the ring is empty, in bytes: the look costs a cache line.
const LOOK: u64 = 16 << 10;

/// Memory is reserved in steps of this.
const STEP: u64 = 1 << 20;

/// In the place of an item's size: the next item is at the beginning of the room.
const SKIP: u64 = u64::MAX;

/// Where the room begins, and where a large item lies.
const ITEMS: u64 = 4096;
const LARGE_ITEM: u64 = ITEMS + ROOM;
const SIZE: u64 = LARGE_ITEM + LARGEST;

/// A queue of byte strings in shared memory, with a lock for producers and one for consumers.
///
/// An item is put by one atomic store, and taken by one. Who is killed before it has changed nothing; who is killed
/// after it has done all but wake those who wait, and these look again by themselves after 50 ms. (A consumer that is
/// killed right after it has taken an item of more than 4 MiB may leave its memory in use until the next such item is
/// taken.) Items are counted up to 2^46.
///
/// Cost: an uncontended lock and a copy for a `put` or a `get`; a system call where somebody sleeps.
pub struct Ring(Memory);

#[repr(C)]
struct Header {
    put: Side,
    get: Side,
    /// How many items there may be; 0 for any number. Does not change.
    most: AtomicU64,
    closed: AtomicU32,
    /// How many items are done.
    done: AtomicU64,
    /// The number of the item behind the large item that was put last, or was about to be when its producer was killed.
    /// Then another item has this number, and a large one waits in vain until that is taken.
    large: AtomicU64,
    /// Up to where memory is reserved.
    reserved: AtomicU64,
    events: [Event; EVENTS],
    marks: [AtomicU64; MARKS],
}

/// What the producers have, and the consumers. All of it changes under the side's lock.
#[repr(C, align(64))]
struct Side {
    lock: RobustMutex,
    /// The [`At`] of the next item to be put, or of the oldest.
    at: AtomicU64,
    /// The other side's, as it was when somebody here last needed to know.
    seen: AtomicU64,
}

/// How many items were put, or taken, and where the next one begins: in the room, or in a second one that stands for the
/// same memory. So a full ring is told from an empty one. In an atomic it takes one word.
#[derive(Clone, Copy)]
struct At {
    count: u64,
    place: u64,
}

const PLACES: u64 = 2 * ROOM / ALIGNMENT;

impl At {
    fn load(word: &AtomicU64, order: Ordering) -> At {
        let word = word.load(order);
        At {
            count: word / PLACES,
            place: word % PLACES * ALIGNMENT,
        }
    }

    fn store(self, word: &AtomicU64, order: Ordering) {
        word.store(self.count * PLACES + self.place / ALIGNMENT, order);
    }

    /// One item further, which begins at `place` and takes so much room.
    fn after(self, place: u64, space: u64) -> At {
        At {
            count: self.count + 1,
            place: (place + space) % (2 * ROOM),
        }
    }
}

/// What an item takes in the room: its size, in a place of its own that keeps the bytes aligned, and the bytes.
fn space(size: u64) -> u64 {
    if size > LARGE {
        ALIGNMENT
    } else {
        ALIGNMENT + size.next_multiple_of(ALIGNMENT)
    }
}

/// The next beginning of the room.
fn beginning(place: u64) -> u64 {
    (place / ROOM + 1) % 2 * ROOM
}

impl Channel for Ring {
    const NAME: &str = "ring";

    fn new(most: usize, _counted: bool) -> Result<Ring> {
        const { assert!(size_of::<Header>() <= ITEMS as usize) };
        let memory = Memory::new(SIZE as usize, ITEMS)?;
        for side in [0, 1] {
            let lock: *mut Side = memory.start().cast::<Side>().wrapping_add(side);
            // SAFETY: the memory is new, zeroed and page-aligned, nobody else knows it yet, and a side begins with its
            // lock.
            unsafe { RobustMutex::init(lock.cast(), Kind::Lock) }.context("make a lock")?;
        }
        let ring = Ring(memory);
        ring.header().most.store(most as u64, Ordering::Relaxed);
        Ok(ring)
    }

    fn fds(&self) -> Vec<BorrowedFd<'_>> {
        vec![self.0.as_fd()]
    }

    fn from_fds(mut fds: Vec<OwnedFd>) -> Result<Ring> {
        let file = fds
            .pop()
            .filter(|_| fds.is_empty())
            .context("a ring is one descriptor")?;
        Memory::from_fd(file, SIZE as usize)
            .map(Ring)
            .context("a ring")
    }

    fn put(&self, item: &[u8], until: Option<Instant>) -> Result<Outcome<()>> {
        let header = self.header();
        loop {
            let guard = self.lock_put()?;
            if header.closed.load(Ordering::Relaxed) != 0 {
                return Ok(Outcome::Closed);
            }
            if self.put_locked(item)? {
                drop(guard);
                header.events[PUT].happened(1);
                return Ok(Outcome::Done(()));
            }
            let ready = || {
                let room = self.has_room(item.len() as u64);
                header.closed.load(Ordering::Relaxed) != 0 || room
            };
            if !self.wait(GOT, Some(guard), ready, until)? {
                return Ok(Outcome::TimedOut);
            }
        }
    }

    fn put_some(&self, items: &[&[u8]]) -> Result<usize> {
        let guard = self.lock_put()?;
        if self.header().closed.load(Ordering::Relaxed) != 0 {
            return Ok(0);
        }
        let mut count = 0;
        for item in items {
            match self.put_locked(item) {
                Ok(true) => count += 1,
                Err(error) if count == 0 => return Err(error),
                _ => break,
            }
        }
        drop(guard);
        if count > 0 {
            self.header().events[PUT].happened(count as u32);
        }
        Ok(count)
    }

    fn get_into(
        &self,
        item: &mut Vec<u8>,
        consumer: Option<usize>,
        until: Option<Instant>,
    ) -> Result<Outcome<()>> {
        loop {
            let guard = self.lock_get()?;
            // Nothing is put after that.
            let closed = self.header().closed.load(Ordering::Acquire) != 0;
            if self.get_locked(item, consumer)? {
                drop(guard);
                self.notify_got(1);
                return Ok(Outcome::Done(()));
            }
            if closed {
                return Ok(Outcome::Closed);
            }
            if !self.wait(PUT, Some(guard), || self.is_readable(), until)? {
                return Ok(Outcome::TimedOut);
            }
        }
    }

    fn get_some(&self, most: usize) -> Result<Outcome<Vec<Vec<u8>>>> {
        let mut items = Vec::new();
        let mut first = Vec::new();
        match self.get_into(&mut first, None, None)? {
            Outcome::Done(()) => items.push(first),
            _ => return Ok(Outcome::Closed),
        }
        let guard = self.lock_get()?;
        while items.len() < most {
            let mut item = Vec::new();
            if !self.get_locked(&mut item, None)? {
                break;
            }
            items.push(item);
        }
        drop(guard);
        self.notify_got(items.len() as u32);
        Ok(Outcome::Done(items))
    }

    fn close(&self) -> Result<()> {
        let header = self.header();
        // A `put` that has begun comes before it.
        let guard = self.lock_put()?;
        header.closed.store(1, Ordering::Release);
        drop(guard);
        header.events[PUT].happened(u32::MAX);
        header.events[GOT].happened(u32::MAX);
        Ok(())
    }

    fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == Some(0))
    }

    fn len(&self) -> Result<Option<usize>> {
        let header = self.header();
        // In this order, so that it is never less than none.
        let got = At::load(&header.get.at, Ordering::Acquire);
        let put = At::load(&header.put.at, Ordering::Acquire);
        Ok(Some((put.count - got.count) as usize))
    }

    fn taken_by(&self, consumer: usize) -> Result<Option<u64>> {
        let guard = self.lock_get()?;
        let got = At::load(&self.header().get.at, Ordering::Relaxed);
        let mark = self.mark(consumer)?.load(Ordering::Relaxed);
        drop(guard);
        Ok(mark.checked_sub(1).filter(|number| *number < got.count))
    }

    fn task_done(&self) -> Result<bool> {
        let header = self.header();
        let mut put = 0;
        // Whoever has an item that was put later may be done with it first, so it is looked again each time.
        let more = |done| {
            put = At::load(&header.put.at, Ordering::Acquire).count;
            (done < put).then_some(done + 1)
        };
        let done = header
            .done
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
        if done.is_ok_and(|done| done + 1 == put) {
            header.events[ALL_DONE].happened(u32::MAX);
        }
        Ok(done.is_ok())
    }

    fn join(&self, until: Option<Instant>) -> Result<bool> {
        let header = self.header();
        let all_done = || {
            let done = header.done.load(Ordering::Acquire);
            done >= At::load(&header.put.at, Ordering::Acquire).count
        };
        while !all_done() {
            if !self.wait(ALL_DONE, None, all_done, until)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Ring {
    fn header(&self) -> &Header {
        // SAFETY: `new` has made the header, at the beginning of a page; all its parts may be shared.
        unsafe { &*self.0.start().cast::<Header>() }
    }

    fn lock_put(&self) -> Result<Guard<'_>> {
        self.0.lock(&self.header().put.lock, 0, || {})
    }

    fn lock_get(&self) -> Result<Guard<'_>> {
        let header = self.header();
        self.0.lock(&header.get.lock, 1, || {
            // Who was killed may have marked an item that it has not taken, and that another one will take.
            let got = At::load(&header.get.at, Ordering::Relaxed);
            for mark in &header.marks {
                if mark.load(Ordering::Relaxed) > got.count {
                    mark.store(0, Ordering::Relaxed);
                }
            }
        })
    }

    fn mark(&self, consumer: usize) -> Result<&AtomicU64> {
        let mark = self.header().marks.get(consumer);
        mark.with_context(|| format!("the number {consumer} is not below {MARKS}"))
    }

    /// Gives the lock back and sleeps until the event or `until`; not at all if it is `ready`. False if `until` had come
    /// before that.
    fn wait(
        &self,
        event: usize,
        guard: Option<Guard>,
        ready: impl Fn() -> bool,
        until: Option<Instant>,
    ) -> Result<bool> {
        if until.is_some_and(|until| until <= Instant::now()) {
            return Ok(false);
        }
        let event = &self.header().events[event];
        let count = event.sleeper();
        let slept = if ready() {
            Ok(())
        } else {
            drop(guard);
            event.sleep(count, until)
        };
        event.awake();
        slept.map(|()| true)
    }

    /// For a consumer: whether there is an item, or none will come.
    fn is_readable(&self) -> bool {
        let header = self.header();
        let put = At::load(&header.put.at, Ordering::Acquire);
        let got = At::load(&header.get.at, Ordering::Relaxed);
        put.count != got.count || header.closed.load(Ordering::Acquire) != 0
    }

    /// For a producer: whether an item of this size can be put, after a look at the consumers' side.
    fn has_room(&self, size: u64) -> bool {
        let header = self.header();
        let got = At::load(&header.get.at, Ordering::Acquire);
        got.store(&header.put.seen, Ordering::Relaxed);
        let put = At::load(&header.put.at, Ordering::Relaxed);
        self.place(put, got, size).is_some()
    }

    /// Where an item of `size` bytes begins, if there is room.
    fn place(&self, put: At, got: At, size: u64) -> Option<u64> {
        let header = self.header();
        let most = header.most.load(Ordering::Relaxed);
        if most > 0 && put.count - got.count >= most {
            return None;
        }
        let large = header.large.load(Ordering::Relaxed);
        // A producer that was killed may have said that it would put one.
        if size > LARGE && got.count < large && large <= put.count {
            return None;
        }
        let (space, offset) = (space(size), put.place % ROOM);
        let anew = put.count == got.count && offset >= HOT.max(space);
        let place = if anew || offset + space > ROOM {
            beginning(put.place)
        } else {
            put.place
        };
        let used = (place + space + 2 * ROOM - got.place) % (2 * ROOM);
        (used <= ROOM).then_some(place)
    }

    /// Adds an item, if there is room. The caller has the producers' lock.
    fn put_locked(&self, item: &[u8]) -> Result<bool> {
        let size = item.len() as u64;
        ensure!(
            size <= LARGEST,
            "an item of {size} bytes is larger than {LARGEST}"
        );
        let header = self.header();
        let put = At::load(&header.put.at, Ordering::Relaxed);
        let seen = At::load(&header.put.seen, Ordering::Relaxed);
        let space = space(size);
        let look = put.place % LOOK + space >= LOOK;
        let mut found = None;
        if !look {
            found = self.place(put, seen, size);
        }
        if found.is_none() {
            let got = At::load(&header.get.at, Ordering::Acquire);
            got.store(&header.put.seen, Ordering::Relaxed);
            found = self.place(put, got, size);
        }
        let Some(place) = found else {
            return Ok(false);
        };
        if place != put.place {
            self.reserve(put.place % ROOM + ALIGNMENT)?;
            self.write_size(put.place, SKIP);
        }
        self.reserve(place % ROOM + space)?;
        let bytes = if size > LARGE {
            self.0.reserve(LARGE_ITEM, size)?;
            header.large.store(put.count + 1, Ordering::Relaxed);
            LARGE_ITEM
        } else {
            ITEMS + place % ROOM + ALIGNMENT
        };
        self.write_size(place, size);
        // SAFETY: inside the memory, in room that no consumer reads before the item is put.
        let bytes = unsafe { self.0.start().add(bytes as usize) };
        // SAFETY: as above; the item is this process's own memory.
        unsafe { ptr::copy_nonoverlapping(item.as_ptr(), bytes, item.len()) };
        put.after(place, space)
            .store(&header.put.at, Ordering::Release);
        Ok(true)
    }

    /// Takes the oldest item, if there is one. The caller has the consumers' lock.
    fn get_locked(&self, item: &mut Vec<u8>, consumer: Option<usize>) -> Result<bool> {
        let header = self.header();
        let got = At::load(&header.get.at, Ordering::Relaxed);
        if At::load(&header.get.seen, Ordering::Relaxed).count == got.count {
            let put = At::load(&header.put.at, Ordering::Acquire);
            put.store(&header.get.seen, Ordering::Relaxed);
            if put.count == got.count {
                return Ok(false);
            }
        }
        let mut place = got.place;
        let mut size = self.read_size(place);
        if size == SKIP {
            place = beginning(place);
            size = self.read_size(place);
        }
        let bytes = if size > LARGE {
            LARGE_ITEM
        } else {
            ITEMS + place % ROOM + ALIGNMENT
        };
        ensure!(
            size <= LARGEST && bytes + size <= SIZE,
            "the ring's memory is damaged"
        );
        item.clear();
        item.reserve(size as usize);
        // SAFETY: inside the memory.
        let bytes = unsafe { self.0.start().add(bytes as usize) };
        // SAFETY: an item of this size lies there, no producer writes there, and the vector has room for it.
        unsafe { ptr::copy_nonoverlapping(bytes, item.as_mut_ptr(), size as usize) };
        // SAFETY: these bytes are initialised now.
        unsafe { item.set_len(size as usize) };
        if let Some(consumer) = consumer {
            // It holds as soon as so many are taken.
            self.mark(consumer)?.store(got.count + 1, Ordering::Relaxed);
        }
        got.after(place, space(size))
            .store(&header.get.at, Ordering::Release);
        if size > LARGE {
            self.release_large(got.count + 1)?;
        }
        Ok(true)
    }

    /// Wakes producers. Who waits for memory is not woken for each item: there will soon be more of it, or it looks
    /// again.
    fn notify_got(&self, count: u32) {
        let header = self.header();
        let got = At::load(&header.get.at, Ordering::Relaxed);
        let put = At::load(&header.get.seen, Ordering::Relaxed);
        let unread = (put.place + 2 * ROOM - got.place) % (2 * ROOM);
        if header.most.load(Ordering::Relaxed) > 0 || unread <= ROOM / 2 {
            header.events[GOT].happened(count);
        }
    }

    /// Gives the memory of a large item back; not if a producer has put another one there. The caller has the consumers'
    /// lock, and has taken so many items.
    fn release_large(&self, taken: u64) -> Result<()> {
        let guard = self.lock_put()?;
        if self.header().large.load(Ordering::Relaxed) <= taken {
            self.0.release(LARGE_ITEM, LARGEST)?;
        }
        drop(guard);
        Ok(())
    }

    /// Reserves the room up to `end`.
    fn reserve(&self, end: u64) -> Result<()> {
        let reserved = &self.header().reserved;
        let before = reserved.load(Ordering::Relaxed);
        if end > before {
            let until = end.next_multiple_of(STEP);
            self.0.reserve(ITEMS + before, until - before)?;
            reserved.store(until, Ordering::Relaxed);
        }
        Ok(())
    }

    fn size_at(&self, place: u64) -> *mut u64 {
        // SAFETY: places are multiples of the alignment, so there is room for a size before the room's end.
        unsafe { self.0.start().add((ITEMS + place % ROOM) as usize) }.cast()
    }

    /// For a producer, where it has found room.
    fn write_size(&self, place: u64, size: u64) {
        // SAFETY: no consumer reads it before the item is put.
        unsafe { self.size_at(place).write(size) }
    }

    /// For a consumer, where an item begins.
    fn read_size(&self, place: u64) -> u64 {
        // SAFETY: no producer writes there before the item is taken.
        unsafe { self.size_at(place).read() }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

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
            assert_eq!(ring.len().unwrap(), Some(model.len()));
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

    /// A ring that is often empty must not wander through all of its memory.
    #[test]
    fn memory_is_used_again() {
        let ring = Ring::new(0, false).unwrap();
        let item = vec![7; 10_000];
        for _ in 0..5000 {
            assert_eq!(ring.put(&item, None).unwrap(), Outcome::Done(()));
            assert_eq!(ring.get(None, None).unwrap(), Outcome::Done(item.clone()));
        }
        assert_eq!(ring.header().reserved.load(Ordering::Relaxed), STEP);
    }

    #[test]
    fn every_item_fits_into_an_empty_ring_wherever_it_begins() {
        let ring = Ring::new(0, false).unwrap();
        let now = || Some(Instant::now());
        for size in [
            0,
            1_000_000,
            LARGE,
            LARGE - 1,
            3,
            LARGE / 2,
            LARGE,
            LARGE + 1,
            LARGE,
        ] {
            let item = vec![7; size as usize];
            assert_eq!(ring.put(&item, now()).unwrap(), Outcome::Done(()), "{size}");
            assert_eq!(ring.get(None, now()).unwrap(), Outcome::Done(item));
        }
    }

    /// All the room is used, from wherever the ring begins.
    #[test]
    fn a_full_ring_has_room_for_what_was_taken() {
        let ring = Ring::new(0, false).unwrap();
        let item = vec![7; 100_000];
        let put = || ring.put(&item, Some(Instant::now())).unwrap() == Outcome::Done(());
        let taken = || ring.get(None, None).unwrap() == Outcome::Done(item.clone());
        let all = (0..).take_while(|_| put()).count();
        assert_eq!(all as u64, ROOM / space(100_000));
        for _ in 0..3 * all {
            assert!(taken());
            assert!(put());
        }
        assert!((0..all).all(|_| taken()));
        assert!(ring.is_empty().unwrap());
    }

    #[test]
    fn large_items_have_one_place() {
        let ring = Ring::new(0, false).unwrap();
        let now = || Some(Instant::now());
        let large = |byte| vec![byte; LARGE as usize + 1];
        assert_eq!(ring.put(&large(1), now()).unwrap(), Outcome::Done(()));
        assert_eq!(ring.put(&large(2), now()).unwrap(), Outcome::TimedOut);
        assert_eq!(ring.put(&[3], now()).unwrap(), Outcome::Done(()));
        assert_eq!(ring.get(None, None).unwrap(), Outcome::Done(large(1)));
        assert_eq!(ring.put(&large(4), now()).unwrap(), Outcome::Done(()));
        assert_eq!(ring.get(None, None).unwrap(), Outcome::Done(vec![3]));
        assert_eq!(ring.get(None, None).unwrap(), Outcome::Done(large(4)));
        assert!(ring.put(&vec![5; LARGEST as usize + 1], now()).is_err());
    }

    #[test]
    fn positions_fit_a_word() {
        let word = AtomicU64::new(0);
        for (count, place) in [(0, 0), (1, ALIGNMENT), (1 << 45, 2 * ROOM - ALIGNMENT)] {
            At { count, place }.store(&word, Ordering::Relaxed);
            let at = At::load(&word, Ordering::Relaxed);
            assert_eq!((at.count, at.place), (count, place));
        }
    }
}
