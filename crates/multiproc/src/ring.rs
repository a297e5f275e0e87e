//! `Ring`: a queue of byte strings in shared memory, the basis of all queues and of the pool.
//!
//! Python's `multiprocessing.Queue` uses a pipe, a lock and a feeder thread instead. Here an item is in the queue when
//! `put` returns, and stays there even if its producer dies. Small items cost no system call.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Context, ensure};
use crate::event::Event;
use crate::reduction::{deserialize_fd, serialize_fd};
use crate::shared_memory::{DATA, Memory};
use crate::synchronize::{Acquired, Guard, Kind, RobustMutex};

/// The number of consumers that a ring can distinguish.
pub(crate) const MARKS: usize = 256;

/// The size of the item buffer, the "room". Memory is reserved only where an item is or was stored.
const ROOM: u64 = 8 << 20;

/// A larger item goes to a separate place, which holds one at a time. Smaller items take at most half of the room, so
/// each fits into an empty ring at any offset, even if it has to skip the end of the room.
const LARGE: u64 = ROOM / 2 - ALIGNMENT;

/// The size of the largest item.
const LARGEST: u64 = 256 << 20;

/// The alignment of items. On some machines, a copy to an address a few bytes into a page is 20 times slower.
const ALIGNMENT: u64 = 64;

/// Past this offset an empty ring restarts at the beginning, which is likelier to be cached.
const HOT: u64 = 256 << 10;

/// A producer checks whether the ring is empty every this many bytes, because the check costs a cache miss.
const LOOK: u64 = 16 << 10;

/// Memory is reserved in steps of this size.
const STEP: u64 = 1 << 20;

/// Stored instead of an item's size: the next item is at the start of the room.
const SKIP: u64 = u64::MAX;

/// The offsets of the room and of the large item in the shared memory.
const ITEMS: u64 = 4096;
const LARGE_ITEM: u64 = ITEMS + ROOM;
const SIZE: u64 = LARGE_ITEM + LARGEST;

/// The outcome of a `put` or a `get`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub(crate) enum Outcome<T> {
    Done(T),
    /// The time limit passed before there was room or an item.
    TimedOut,
    /// The ring is closed and, for a `get`, empty.
    Closed,
}

/// A queue of byte strings in shared memory, with one lock for producers and one for consumers.
///
/// Any number of producers and consumers in any number of processes may use it. Each item goes to exactly one consumer.
/// Items from one producer arrive in order. Clones share one mapping.
///
/// One atomic store puts an item, and another one takes it. A process killed before the store has changed nothing. A
/// process killed after the store may not have woken the waiting processes, which check again after 50 ms. (A consumer
/// killed right after it took an item of more than 4 MiB may leave the item's memory allocated until the next such item
/// is taken.) A ring can pass 2^46 items.
///
/// Cost: a `put` or a `get` takes an uncontended lock and one copy, plus a system call when a process sleeps.
#[derive(Debug, Clone)]
pub(crate) struct Ring(Arc<Memory>);

#[repr(C)]
struct Header {
    put: Side,
    get: Side,
    /// The maximum number of items, or 0 for no limit. It does not change.
    most: AtomicU64,
    closed: AtomicU32,
    /// The number of items that are done.
    done: AtomicU64,
    /// The number of the last large item plus one. If its producer was killed before the put, another item gets that
    /// number, and the next large item is delayed until that item is taken.
    large: AtomicU64,
    /// The number of reserved bytes in the room.
    reserved: AtomicU64,
    was_put: Event,
    was_got: Event,
    all_done: Event,
    /// For each consumer, the number plus one of the item that it took last, or was about to take when it was killed.
    marks: [AtomicU64; MARKS],
}

/// The producers' or the consumers' part. All of it changes only under this side's lock.
#[repr(C, align(64))]
struct Side {
    lock: RobustMutex,
    /// The [`At`] of the next item to be put, or of the oldest item.
    at: AtomicU64,
    /// A cached copy of the other side's `at`.
    seen: AtomicU64,
}

/// The number of items put or taken, and the offset of the next one. The offset counts through the room twice, and the
/// second half stands for the same memory: that distinguishes a full ring from an empty one. Both numbers fit into one
/// atomic word.
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

    /// Moves past one item that starts at `place` and occupies `space` bytes.
    fn after(self, place: u64, space: u64) -> At {
        At {
            count: self.count + 1,
            place: (place + space) % (2 * ROOM),
        }
    }
}

/// The space that an item occupies in the room: its size, padded to keep the bytes aligned, and the bytes.
fn space(size: u64) -> u64 {
    if size > LARGE {
        ALIGNMENT
    } else {
        ALIGNMENT + size.next_multiple_of(ALIGNMENT)
    }
}

/// The next offset that is the start of the room.
fn beginning(place: u64) -> u64 {
    (place / ROOM + 1) % 2 * ROOM
}

impl Ring {
    /// Makes a ring for at most `most` items, or without a limit if `most` is 0.
    pub(crate) fn new(most: usize) -> io::Result<Ring> {
        const { assert!(DATA + size_of::<Header>() <= ITEMS as usize) };
        let memory = Memory::new::<Ring>(SIZE as usize, ITEMS as usize)?;
        for side in [0, 1] {
            let lock: *mut Side = memory.data().cast::<Side>().wrapping_add(side);
            // SAFETY: the memory is new, zeroed, aligned and not shared yet, and a side starts with its lock.
            unsafe { RobustMutex::init(lock.cast(), Kind::Lock) }.context("make a lock")?;
        }
        let ring = Ring(Arc::new(memory));
        ring.header().most.store(most as u64, Ordering::Relaxed);
        Ok(ring)
    }

    /// Opens a ring from a descriptor that another process sent.
    fn open(file: OwnedFd) -> io::Result<Ring> {
        let memory = Memory::open::<Ring>(file)?;
        ensure!(
            memory.size() == SIZE as usize,
            "the ring has {} bytes instead of {SIZE}",
            memory.size()
        );
        Ok(Ring(Arc::new(memory)))
    }

    /// Adds an item, blocking until there is room or `until` has passed.
    pub(crate) fn put(&self, item: &[u8], until: Option<Instant>) -> io::Result<Outcome<()>> {
        let header = self.header();
        loop {
            let guard = self.lock_put()?;
            if header.closed.load(Ordering::Relaxed) != 0 {
                return Ok(Outcome::Closed);
            }
            if self.put_locked(item)? {
                drop(guard);
                header.was_put.happened(1);
                return Ok(Outcome::Done(()));
            }
            let ready = || self.is_writable(item.len() as u64);
            if !self.wait(&header.was_got, Some(guard), ready, until)? {
                return Ok(Outcome::TimedOut);
            }
        }
    }

    /// Adds items from the front while there is room, and returns how many. Fails only if the first item cannot be added.
    pub(crate) fn put_some(&self, items: &[&[u8]]) -> io::Result<usize> {
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
            self.header().was_put.happened(count as u32);
        }
        Ok(count)
    }

    /// Takes the oldest item into `item`, blocking until there is one or `until` has passed. The caller chooses `consumer`,
    /// a number below [`MARKS`], for [`Ring::taken_by`].
    pub(crate) fn get_into(
        &self,
        item: &mut Vec<u8>,
        consumer: Option<usize>,
        until: Option<Instant>,
    ) -> io::Result<Outcome<()>> {
        loop {
            let guard = self.lock_get()?;
            // Nothing is put after the close.
            let closed = self.header().closed.load(Ordering::Acquire) != 0;
            if self.get_locked(item, consumer)? {
                drop(guard);
                self.notify_got(1);
                return Ok(Outcome::Done(()));
            }
            if closed {
                return Ok(Outcome::Closed);
            }
            let was_put = &self.header().was_put;
            if !self.wait(was_put, Some(guard), || self.is_readable(), until)? {
                return Ok(Outcome::TimedOut);
            }
        }
    }

    /// Takes the oldest items, at most `most`, blocking until there is one.
    pub(crate) fn get_some(&self, most: usize) -> io::Result<Outcome<Vec<Vec<u8>>>> {
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

    /// Closes the ring for all processes. A `put` then fails; consumers can still drain the ring.
    pub(crate) fn close(&self) -> io::Result<()> {
        let header = self.header();
        // With the lock, a running `put` finishes first.
        let guard = self.lock_put()?;
        header.closed.store(1, Ordering::Release);
        drop(guard);
        header.was_put.happened(u32::MAX);
        header.was_got.happened(u32::MAX);
        Ok(())
    }

    /// Returns the number of items, which may be outdated already.
    pub(crate) fn len(&self) -> usize {
        let header = self.header();
        // Load in this order, so that the difference is never negative.
        let got = At::load(&header.get.at, Ordering::Acquire);
        let put = At::load(&header.put.at, Ordering::Acquire);
        (put.count - got.count) as usize
    }

    /// Returns the number of the item that `consumer` took last; the first item put has the number 0. If the consumer was
    /// killed, that item is either taken or still in the ring.
    pub(crate) fn taken_by(&self, consumer: usize) -> io::Result<Option<u64>> {
        let guard = self.lock_get()?;
        let mark = self.mark(consumer)?.load(Ordering::Relaxed);
        drop(guard);
        Ok(mark.checked_sub(1))
    }

    /// Counts one item as done. Returns false if all items put so far are done already.
    pub(crate) fn task_done(&self) -> bool {
        let header = self.header();
        let mut put = 0;
        // Each attempt reloads the number of items put: a new item may be put, taken and done in between.
        let more = |done| {
            put = At::load(&header.put.at, Ordering::Acquire).count;
            (done < put).then_some(done + 1)
        };
        let done = header
            .done
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
        if done.is_ok_and(|done| done + 1 == put) {
            header.all_done.happened(u32::MAX);
        }
        done.is_ok()
    }

    /// Blocks until all items put so far are done or `until` has passed. Returns whether they are done.
    pub(crate) fn join(&self, until: Option<Instant>) -> io::Result<bool> {
        let header = self.header();
        let all_done = || {
            let done = header.done.load(Ordering::Acquire);
            done >= At::load(&header.put.at, Ordering::Acquire).count
        };
        while !all_done() {
            if !self.wait(&header.all_done, None, all_done, until)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn header(&self) -> &Header {
        // SAFETY: `new` made an aligned header there, and all its parts are `Sync`.
        unsafe { &*self.0.data().cast::<Header>() }
    }

    fn lock_put(&self) -> io::Result<Guard<'_>> {
        // A killed producer either put its item or changed nothing.
        self.lock(&self.header().put.lock, 0, || {})
    }

    fn lock_get(&self) -> io::Result<Guard<'_>> {
        let header = self.header();
        self.lock(&header.get.lock, 1, || {
            // A killed consumer may have marked an item that it did not take; another consumer will take it.
            let got = At::load(&header.get.at, Ordering::Relaxed);
            for mark in &header.marks {
                if mark.load(Ordering::Relaxed) > got.count {
                    mark.store(0, Ordering::Relaxed);
                }
            }
        })
    }

    /// Acquires a lock of this ring, and runs `repair` if the last owner was killed. If this process is killed in `repair`,
    /// the next owner runs it again.
    fn lock<'a>(
        &'a self,
        lock: &'a RobustMutex,
        number: usize,
        repair: impl FnOnce(),
    ) -> io::Result<Guard<'a>> {
        let acquired = lock.acquire(self.0.held(number), true, None);
        match acquired.context("lock a queue")? {
            Acquired::OwnerDied(guard) => {
                repair();
                guard.repaired().context("repair the lock of a queue")?;
                Ok(guard)
            }
            acquired => Ok(acquired.whole()?),
        }
    }

    fn mark(&self, consumer: usize) -> io::Result<&AtomicU64> {
        let mark = self.header().marks.get(consumer);
        mark.context(format_args!(
            "the consumer's number {consumer} is not below {MARKS}"
        ))
    }

    /// Releases the lock and sleeps until the event happens or `until` has passed; does not sleep if `ready` is true.
    /// Returns false immediately if `until` has passed already. May return early.
    fn wait(
        &self,
        event: &Event,
        guard: Option<Guard>,
        ready: impl Fn() -> bool,
        until: Option<Instant>,
    ) -> io::Result<bool> {
        if until.is_some_and(|until| until <= Instant::now()) {
            return Ok(false);
        }
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

    /// Returns whether there is an item or the ring is closed. The caller holds the consumers' lock.
    fn is_readable(&self) -> bool {
        let header = self.header();
        let put = At::load(&header.put.at, Ordering::Acquire);
        let got = At::load(&header.get.at, Ordering::Relaxed);
        put.count != got.count || header.closed.load(Ordering::Acquire) != 0
    }

    /// Returns whether there is room for an item of this size or the ring is closed. The caller holds the producers' lock.
    fn is_writable(&self, size: u64) -> bool {
        let header = self.header();
        let got = At::load(&header.get.at, Ordering::Acquire);
        let put = At::load(&header.put.at, Ordering::Relaxed);
        header.closed.load(Ordering::Relaxed) != 0 || self.place(put, got, size).is_some()
    }

    /// Returns the offset for an item of `size` bytes, if there is room.
    fn place(&self, put: At, got: At, size: u64) -> Option<u64> {
        let header = self.header();
        let most = header.most.load(Ordering::Relaxed);
        if most > 0 && put.count - got.count >= most {
            return None;
        }
        let large = header.large.load(Ordering::Relaxed);
        // If a producer was killed between announcing a large item and putting it, `large` is greater than `put`.
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

    /// Adds an item if there is room. The caller holds the producers' lock.
    fn put_locked(&self, item: &[u8]) -> io::Result<bool> {
        let size = item.len() as u64;
        ensure!(
            size <= LARGEST,
            "an item of {size} bytes is too large for a queue, which takes {LARGEST} at most"
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
        // SAFETY: the target is inside the memory, and no consumer reads it before the item is put.
        let bytes = unsafe { self.0.start().add(bytes as usize) };
        // SAFETY: as above, and the item is not part of the memory.
        unsafe { ptr::copy_nonoverlapping(item.as_ptr(), bytes, item.len()) };
        put.after(place, space)
            .store(&header.put.at, Ordering::Release);
        Ok(true)
    }

    /// Takes the oldest item, if there is one. The caller holds the consumers' lock.
    fn get_locked(&self, item: &mut Vec<u8>, consumer: Option<usize>) -> io::Result<bool> {
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
            "the memory of a queue is damaged"
        );
        item.clear();
        item.reserve(size as usize);
        // SAFETY: the offset is inside the memory.
        let bytes = unsafe { self.0.start().add(bytes as usize) };
        // SAFETY: an item of this size is stored there, no producer writes to it, and the vector has room for it.
        unsafe { ptr::copy_nonoverlapping(bytes, item.as_mut_ptr(), size as usize) };
        // SAFETY: the copy has initialised these bytes.
        unsafe { item.set_len(size as usize) };
        if let Some(consumer) = consumer {
            // The mark is valid only once this many items are taken.
            self.mark(consumer)?.store(got.count + 1, Ordering::Relaxed);
        }
        got.after(place, space(size))
            .store(&header.get.at, Ordering::Release);
        if size > LARGE {
            self.release_large(got.count + 1)?;
        }
        Ok(true)
    }

    /// Wakes producers. While more than half of the room is in use, it does not wake them for each item, because more room
    /// will be free soon.
    fn notify_got(&self, count: u32) {
        let header = self.header();
        let got = At::load(&header.get.at, Ordering::Relaxed);
        let put = At::load(&header.get.seen, Ordering::Relaxed);
        let unread = (put.place + 2 * ROOM - got.place) % (2 * ROOM);
        if header.most.load(Ordering::Relaxed) > 0 || unread <= ROOM / 2 {
            header.was_got.happened(count);
        }
    }

    /// Releases the memory of a large item, unless a producer has put another one there. The caller holds the consumers'
    /// lock, and `taken` items are taken.
    fn release_large(&self, taken: u64) -> io::Result<()> {
        let guard = self.lock_put()?;
        if self.header().large.load(Ordering::Relaxed) <= taken {
            self.0.release(LARGE_ITEM, LARGEST)?;
        }
        drop(guard);
        Ok(())
    }

    /// Reserves the room's memory up to `end`.
    fn reserve(&self, end: u64) -> io::Result<()> {
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
        // SAFETY: places are multiples of the alignment, so a size fits before the end of the room.
        unsafe { self.0.start().add((ITEMS + place % ROOM) as usize) }.cast()
    }

    /// Writes an item's size at an offset that [`Ring::place`] returned.
    fn write_size(&self, place: u64, size: u64) {
        // SAFETY: no consumer reads it before the item is put.
        unsafe { self.size_at(place).write(size) }
    }

    /// Reads an item's size where the item begins.
    fn read_size(&self, place: u64) -> u64 {
        // SAFETY: no producer writes there before the item is taken.
        unsafe { self.size_at(place).read() }
    }
}

/// A ring can be serialised only as an argument of a child process.
impl Serialize for Ring {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_fd(self.0.as_fd(), serializer)
    }
}

impl<'de> Deserialize<'de> for Ring {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Ring, D::Error> {
        Ring::open(deserialize_fd(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod killed_anywhere;

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::thread;
    use std::time::Duration;

    use super::*;

    pub(super) fn get(ring: &Ring, until: Option<Instant>) -> io::Result<Outcome<Vec<u8>>> {
        let mut item = Vec::new();
        Ok(match ring.get_into(&mut item, None, until)? {
            Outcome::Done(()) => Outcome::Done(item),
            Outcome::TimedOut => Outcome::TimedOut,
            Outcome::Closed => Outcome::Closed,
        })
    }

    /// Compares a ring with a `VecDeque`, for items of all sizes with a total of at most `most` bytes.
    fn behaves_like_a_queue(most: usize) {
        let ring = Ring::new(0).unwrap();
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
                assert_eq!(get(&ring, None).unwrap(), Outcome::Done(item));
            }
            assert_eq!(ring.len(), model.len());
        }
        assert!(!model.is_empty());
        for item in model {
            assert_eq!(get(&ring, None).unwrap(), Outcome::Done(item));
        }
        assert!(ring.len() == 0);
    }

    #[test]
    fn items_come_in_order_wherever_they_lie() {
        for most in [5000, 100_000, 5 << 20] {
            behaves_like_a_queue(most);
        }
    }

    /// A ring that is often empty must not touch all of its memory.
    #[test]
    fn memory_is_used_again() {
        let ring = Ring::new(0).unwrap();
        let item = vec![7; 10_000];
        for _ in 0..5000 {
            assert_eq!(ring.put(&item, None).unwrap(), Outcome::Done(()));
            assert_eq!(get(&ring, None).unwrap(), Outcome::Done(item.clone()));
        }
        assert_eq!(ring.header().reserved.load(Ordering::Relaxed), STEP);
    }

    #[test]
    fn every_item_fits_into_an_empty_ring_wherever_it_begins() {
        let ring = Ring::new(0).unwrap();
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
            assert_eq!(get(&ring, now()).unwrap(), Outcome::Done(item));
        }
    }

    /// A producer can fill the whole room from any start offset.
    #[test]
    fn a_full_ring_has_room_for_what_was_taken() {
        let ring = Ring::new(0).unwrap();
        let item = vec![7; 100_000];
        let put = || ring.put(&item, Some(Instant::now())).unwrap() == Outcome::Done(());
        let taken = || get(&ring, None).unwrap() == Outcome::Done(item.clone());
        let all = (0..).take_while(|_| put()).count();
        assert_eq!(all as u64, ROOM / space(100_000));
        for _ in 0..3 * all {
            assert!(taken());
            assert!(put());
        }
        assert!((0..all).all(|_| taken()));
        assert!(ring.len() == 0);
    }

    #[test]
    fn large_items_have_one_place() {
        let ring = Ring::new(0).unwrap();
        let now = || Some(Instant::now());
        let large = |byte| vec![byte; LARGE as usize + 1];
        assert_eq!(ring.put(&large(1), now()).unwrap(), Outcome::Done(()));
        assert_eq!(ring.put(&large(2), now()).unwrap(), Outcome::TimedOut);
        assert_eq!(ring.put(&[3], now()).unwrap(), Outcome::Done(()));
        assert_eq!(get(&ring, None).unwrap(), Outcome::Done(large(1)));
        assert_eq!(ring.put(&large(4), now()).unwrap(), Outcome::Done(()));
        assert_eq!(get(&ring, None).unwrap(), Outcome::Done(vec![3]));
        assert_eq!(get(&ring, None).unwrap(), Outcome::Done(large(4)));
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

    /// A large item takes no room from small ones.
    #[test]
    fn a_large_item_leaves_unread_small_ones_alone() {
        let ring = Ring::new(0).unwrap();
        let (small, large) = (vec![1; 100], vec![2; 12 << 20]);
        for _ in 0..3 {
            for item in [&small, &large, &small] {
                assert_eq!(ring.put(item, None).unwrap(), Outcome::Done(()));
            }
            for item in [&small, &large, &small] {
                assert_eq!(get(&ring, None).unwrap(), Outcome::Done(item.clone()));
            }
        }
    }

    #[test]
    fn the_memory_of_a_large_item_is_given_back() {
        let ring = Ring::new(0).unwrap();
        let blocks = || rustix::fs::fstat(&*ring.0).unwrap().st_blocks;
        let before = blocks();
        assert_eq!(
            ring.put(&vec![2; 12 << 20], None).unwrap(),
            Outcome::Done(())
        );
        assert!(blocks() >= before + (12 << 20) / 512);
        assert!(matches!(get(&ring, None).unwrap(), Outcome::Done(_)));
        assert!(blocks() <= before + (STEP as i64 / 512));
    }

    #[test]
    fn some_are_put_until_one_cannot_be() {
        let ring = Ring::new(3).unwrap();
        let too_large = vec![0; LARGEST as usize + 1];
        let error = ring.put_some(&[&too_large]).unwrap_err().to_string();
        assert!(error.contains("268435457 bytes is too large"), "{error}");
        assert_eq!(ring.put_some(&[b"a", &too_large, b"b"]).unwrap(), 1);
        assert_eq!(ring.put_some(&[b"b", b"c", b"d"]).unwrap(), 2);
        assert_eq!(ring.put_some(&[b"d"]).unwrap(), 0);
        let items =
            |items: &[&[u8]]| Outcome::Done(items.iter().map(|item| item.to_vec()).collect());
        assert_eq!(ring.get_some(2).unwrap(), items(&[b"a", b"b"]));
        assert_eq!(ring.get_some(1).unwrap(), items(&[b"c"]));
        assert_eq!(ring.put_some(&[b"d"]).unwrap(), 1);
        ring.close().unwrap();
        assert_eq!(ring.put_some(&[b"e"]).unwrap(), 0);
        assert_eq!(ring.get_some(9).unwrap(), items(&[b"d"]));
        assert_eq!(ring.get_some(9).unwrap(), Outcome::Closed);
    }

    #[test]
    fn the_last_item_of_each_consumer_is_known() {
        let ring = Ring::new(0).unwrap();
        let take = |consumer| {
            let mut item = Vec::new();
            assert_eq!(ring.put(&[1], None).unwrap(), Outcome::Done(()));
            let got = ring.get_into(&mut item, Some(consumer), None).unwrap();
            assert_eq!(got, Outcome::Done(()));
        };
        assert_eq!(ring.taken_by(MARKS - 1).unwrap(), None);
        [0, MARKS - 1, 0].into_iter().for_each(take);
        assert_eq!(ring.taken_by(0).unwrap(), Some(2));
        assert_eq!(ring.taken_by(MARKS - 1).unwrap(), Some(1));
        let error = ring.taken_by(MARKS).unwrap_err().to_string();
        assert!(error.contains("256 is not below 256"), "{error}");
    }

    /// Tests the checks between counting a process as a sleeper and sleeping. A wrong answer would cost 50 ms, or keep a
    /// core busy.
    #[test]
    fn a_process_sleeps_only_while_it_must() {
        let ring = Ring::new(2).unwrap();
        let state = || (ring.is_readable(), ring.is_writable(1));
        assert_eq!(state(), (false, true));
        assert_eq!(ring.put_some(&[b"a", b"b"]).unwrap(), 2);
        assert_eq!(state(), (true, false));
        assert_eq!(get(&ring, None).unwrap(), Outcome::Done(b"a".to_vec()));
        assert_eq!(state(), (true, true));
        assert_eq!(
            ring.get_some(1).unwrap(),
            Outcome::Done(vec![b"b".to_vec()])
        );
        assert_eq!(state(), (false, true));
        assert_eq!(ring.put_some(&[b"c", b"d"]).unwrap(), 2);
        ring.close().unwrap();
        assert_eq!(state(), (true, true));
        assert_eq!(
            ring.get_some(2).unwrap(),
            Outcome::Done(vec![b"c".to_vec(), b"d".to_vec()])
        );
        assert_eq!(state(), (true, true));
        let ring = Ring::new(0).unwrap();
        let large = vec![1; 5 << 20];
        assert_eq!(ring.put_some(&[&large]).unwrap(), 1);
        assert!(ring.is_writable(1));
        assert!(!ring.is_writable(5 << 20));
    }

    /// A sleeper recovers from a lost wake-up after 50 ms, so hundreds of wake-ups below 10 ms each mean that none was lost.
    #[test]
    fn waking_is_prompt() {
        const ROUNDS: u32 = 300;
        let (there, back) = (Ring::new(1).unwrap(), Ring::new(1).unwrap());
        let full = Ring::new(1).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                while let Outcome::Done(item) = get(&there, None).unwrap() {
                    assert_eq!(back.put(&item, None).unwrap(), Outcome::Done(()));
                    // The other thread blocks in `join`, then in `put`.
                    thread::sleep(Duration::from_micros(100));
                    assert!(there.task_done());
                    thread::sleep(Duration::from_micros(100));
                    assert!(matches!(get(&full, None).unwrap(), Outcome::Done(_)));
                }
            });
            let start = Instant::now();
            for _ in 0..ROUNDS {
                assert_eq!(full.put(&[1], None).unwrap(), Outcome::Done(()));
                assert_eq!(there.put(&[1], None).unwrap(), Outcome::Done(()));
                assert_eq!(get(&back, None).unwrap(), Outcome::Done(vec![1]));
                assert!(there.join(None).unwrap());
                assert_eq!(full.put(&[1], None).unwrap(), Outcome::Done(()));
                assert_eq!(get(&full, None).unwrap(), Outcome::Done(vec![1]));
            }
            let waited = start.elapsed();
            there.close().unwrap();
            assert!(waited < ROUNDS * Duration::from_millis(10), "{waited:?}");
        });
    }

    #[test]
    fn only_a_ring_is_opened() {
        let memory = Memory::new::<Ring>(SIZE as usize - 1, 4096).unwrap();
        let error = Ring::open(memory.as_fd().try_clone_to_owned().unwrap()).unwrap_err();
        assert!(error.to_string().contains("instead of"), "{error}");
        let memory = Memory::new::<u8>(SIZE as usize, 4096).unwrap();
        let error = Ring::open(memory.as_fd().try_clone_to_owned().unwrap()).unwrap_err();
        assert!(error.to_string().contains("Ring"), "{error}");
    }
}
