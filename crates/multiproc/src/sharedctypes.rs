//! `Lock`, `RLock`, `Value` and `Array` in shared memory, for a process and the children it forks (not those it spawns).
//!
//! Python:  `multiprocessing.Lock`, `RLock`, `Value`, `Array`
//! Differs: data is reached through its lock, and released by `Drop`; the owner's death is reported to the next owner.
//!          A panic or an early return is not: it releases the lock, whatever is half done.
//! Cost:    to make one takes some system calls and a fork, which grows with the memory in use.
//! Linux:   the segment's name is removed as soon as it is mapped, so whoever is killed, nothing is left behind.
//! Needs:   robust.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! bytemuck = "1"
//! libc = "0.2"
//! rustix = { version = "1", features = ["fs", "process", "shm"] }
//! shared_memory = "0.12"
//! ```

use std::ffi::CString;
use std::io::{self, Read};
use std::marker::PhantomData;
use std::mem::{self, ManuallyDrop};
use std::net::Shutdown;
use std::ops::{Deref, DerefMut};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Duration;
use std::{process, ptr, slice};

use anyhow::{Context, Result, ensure};
use bytemuck::Pod;
use rustix::fs::{FallocateFlags, Mode, fallocate};
use rustix::io::retry_on_intr;
use rustix::process::{Pid, WaitOptions, setsid, waitpid};
use rustix::shm;
use shared_memory::{Shmem, ShmemConf, ShmemError};

use crate::robust::{Acquired, Error, Guard, Kind, RobustMutex};

/// Shared memory that begins with a lock; what the lock guards follows 64 bytes later, aligned to 64 bytes.
struct Segment {
    shmem: ManuallyDrop<Shmem>,
    /// How many guards of the lock this process has.
    held: AtomicU32,
}

// SAFETY: the memory belongs to no thread, and is reached through the lock alone.
unsafe impl Send for Segment {}
// SAFETY: as above.
unsafe impl Sync for Segment {}

/// The lock's size, and so the place of the data.
const DATA: usize = mem::size_of::<RobustMutex>();

impl Segment {
    fn new(kind: Kind, data: usize) -> Result<Segment> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "/shm_demo.{}.{}",
            process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let size = DATA
            .checked_add(data)
            .context("more memory than there are addresses")?;
        // What is mapped stays until the last process has unmapped it. The name could only be left behind.
        let unlinker = Unlinker::start(&name)?;
        let mut shmem = ShmemConf::new()
            .os_id(&name)
            .size(size)
            .create()
            .map_err(reason)
            .context("make shared memory")?;
        shmem.set_owner(false);
        let file =
            shm::open(&name, shm::OFlags::RDWR, Mode::empty()).context("open shared memory")?;
        drop(unlinker);
        // Otherwise a full /dev/shm would be told by a SIGBUS at the first write.
        retry_on_intr(|| fallocate(&file, FallocateFlags::empty(), 0, size as u64))
            .context("fill shared memory")?;
        let segment = Segment {
            shmem: ManuallyDrop::new(shmem),
            held: AtomicU32::new(0),
        };
        // SAFETY: the segment is new, zeroed, page-aligned and large enough, and does not move.
        unsafe { RobustMutex::init(segment.shmem.as_ptr().cast(), kind) }.context("make a lock")?;
        Ok(segment)
    }

    fn acquire(
        &self,
        block: bool,
        timeout: Option<Duration>,
    ) -> Result<Acquired<Guard<'_>>, Error> {
        // SAFETY: `new` has made a mutex there, and the memory lives as long as this segment.
        let mutex = unsafe { &*self.shmem.as_ptr().cast::<RobustMutex>() };
        mutex.acquire(&self.held, block, timeout)
    }

    /// Where the data begins.
    fn data(&self) -> *mut u8 {
        // SAFETY: the segment has at least DATA bytes.
        unsafe { self.shmem.as_ptr().add(DATA) }
    }
}

/// The crate tells the system's reasons as bare numbers.
fn reason(error: ShmemError) -> anyhow::Error {
    match error {
        ShmemError::MapCreateFailed(code) | ShmemError::UnknownOsError(code) => {
            io::Error::from_raw_os_error(code.cast_signed()).into()
        }
        error => error.into(),
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // Whoever has forgotten a guard still owns the lock: then the memory must stay.
        if *self.held.get_mut() == 0 {
            // SAFETY: this is the only place that drops the mapping, and nobody uses the segment after it.
            unsafe { ManuallyDrop::drop(&mut self.shmem) };
        }
    }
}

/// Removes a segment's name when it is dropped. If this process is killed before that, a child does.
struct Unlinker {
    name: CString,
    child: Pid,
    /// Its end tells the child that it is time.
    control: UnixStream,
}

impl Unlinker {
    fn start(name: &str) -> Result<Unlinker> {
        let (control, theirs) = UnixStream::pair().context("make a socket pair")?;
        let name = CString::new(name).context("a name for shared memory")?;
        // SAFETY: the child only makes system calls, so it does not matter what other threads are doing.
        let child = match unsafe { libc::fork() } {
            0 => {
                drop(control);
                // What is sent to the parent's group, from now on, is not for this process.
                setsid().ok();
                rustix::io::write(&theirs, &[0]).ok();
                retry_on_intr(|| rustix::io::read(&theirs, &mut [0])).ok();
                shm::unlink(&name).ok();
                // SAFETY: ending the process has no precondition.
                unsafe { libc::_exit(0) }
            }
            -1 => return Err(io::Error::last_os_error()).context("fork"),
            pid => Pid::from_raw(pid).context("fork returned no pid")?,
        };
        drop(theirs);
        let mut unlinker = Unlinker {
            name,
            child,
            control,
        };
        let ready = unlinker.control.read_exact(&mut [0]);
        ready.context("start a child to remove a name")?;
        Ok(unlinker)
    }
}

impl Drop for Unlinker {
    fn drop(&mut self) {
        // There is no name if making the segment has failed.
        shm::unlink(&self.name).ok();
        // Closing the socket would not do, if another thread has forked meanwhile.
        self.control.shutdown(Shutdown::Both).ok();
        retry_on_intr(|| waitpid(Some(self.child), WaitOptions::empty())).ok();
    }
}

/// A lock for this process and the children it forks.
pub struct Lock(Segment);

/// A lock that its owner may acquire again.
pub struct RLock(Segment);

impl Lock {
    pub fn new() -> Result<Lock> {
        Segment::new(Kind::Lock, 0).map(Lock)
    }

    /// Waits for the lock: not at all without `block`, for ever without a timeout.
    pub fn acquire(
        &self,
        block: bool,
        timeout: Option<Duration>,
    ) -> Result<Acquired<Guard<'_>>, Error> {
        self.0.acquire(block, timeout)
    }

    /// Waits for ever. The death of the last owner is an error, after which nobody gets the lock any more.
    pub fn lock(&self) -> Result<Guard<'_>, Error> {
        whole(self.acquire(true, None)?)
    }
}

impl RLock {
    pub fn new() -> Result<RLock> {
        Segment::new(Kind::RLock, 0).map(RLock)
    }

    /// Waits for the lock: not at all without `block`, for ever without a timeout.
    pub fn acquire(
        &self,
        block: bool,
        timeout: Option<Duration>,
    ) -> Result<Acquired<Guard<'_>>, Error> {
        self.0.acquire(block, timeout)
    }

    /// As [`Lock::lock`].
    pub fn lock(&self) -> Result<Guard<'_>, Error> {
        whole(self.acquire(true, None)?)
    }
}

/// A value behind a lock. `T` is plain data: any bytes are a value of it, and it holds no pointers.
pub struct Value<T> {
    segment: Segment,
    data: PhantomData<T>,
}

/// A fixed number of values behind one lock.
pub struct Array<T> {
    segment: Segment,
    length: usize,
    data: PhantomData<T>,
}

/// The data, for as long as its lock is held.
#[must_use = "the lock is released when this is dropped"]
pub struct Data<'a, T: ?Sized> {
    data: &'a mut T,
    guard: Guard<'a>,
}

impl<T: Pod> Value<T> {
    pub fn new(value: T) -> Result<Value<T>> {
        ensure!(
            mem::align_of::<T>() <= DATA,
            "the type needs a greater alignment than {DATA}"
        );
        let segment = Segment::new(Kind::Lock, mem::size_of::<T>())?;
        // SAFETY: the segment has room for a T there, aligned, and nobody else knows it yet.
        unsafe { segment.data().cast::<T>().write(value) };
        Ok(Value {
            segment,
            data: PhantomData,
        })
    }

    /// Waits for the value's lock, as [`Lock::acquire`].
    pub fn acquire(
        &self,
        block: bool,
        timeout: Option<Duration>,
    ) -> Result<Acquired<Data<'_, T>>, Error> {
        let acquired = self.segment.acquire(block, timeout)?;
        Ok(acquired.map(|guard| {
            // SAFETY: the place holds a T, and while the guard lives no other thread or process refers to it.
            let data = unsafe { &mut *self.segment.data().cast::<T>() };
            Data { data, guard }
        }))
    }

    /// As [`Lock::lock`].
    pub fn lock(&self) -> Result<Data<'_, T>, Error> {
        whole(self.acquire(true, None)?)
    }

    /// Reads the value.
    pub fn get(&self) -> Result<T, Error> {
        self.lock().map(|data| *data)
    }

    /// Writes the value.
    pub fn set(&self, value: T) -> Result<(), Error> {
        self.lock().map(|mut data| *data = value)
    }
}

impl<T: Pod> Array<T> {
    pub fn new(values: &[T]) -> Result<Array<T>> {
        ensure!(
            mem::align_of::<T>() <= DATA,
            "the type needs a greater alignment than {DATA}"
        );
        let segment = Segment::new(Kind::Lock, mem::size_of_val(values))?;
        // SAFETY: the segment has room for the values there, aligned, and nobody else knows it yet.
        unsafe {
            ptr::copy_nonoverlapping(values.as_ptr(), segment.data().cast::<T>(), values.len())
        };
        Ok(Array {
            segment,
            length: values.len(),
            data: PhantomData,
        })
    }

    /// Waits for the array's lock, as [`Lock::acquire`].
    pub fn acquire(
        &self,
        block: bool,
        timeout: Option<Duration>,
    ) -> Result<Acquired<Data<'_, [T]>>, Error> {
        let acquired = self.segment.acquire(block, timeout)?;
        let first = self.segment.data().cast::<T>();
        Ok(acquired.map(|guard| {
            // SAFETY: `length` values begin there, and while the guard lives no other thread or process refers to them.
            let data = unsafe { slice::from_raw_parts_mut(first, self.length) };
            Data { data, guard }
        }))
    }

    /// As [`Lock::lock`].
    pub fn lock(&self) -> Result<Data<'_, [T]>, Error> {
        whole(self.acquire(true, None)?)
    }
}

/// Shared memory without a lock, for types that synchronise themselves: atomics.
pub struct Shared<T> {
    segment: Segment,
    data: PhantomData<T>,
}

impl<T: Atomic> Shared<T> {
    pub fn new(value: T) -> Result<Shared<T>> {
        let segment = Segment::new(Kind::Lock, mem::size_of::<T>())?;
        // SAFETY: the segment has room for a T there, aligned to 64 bytes, and nobody else knows it yet.
        unsafe { segment.data().cast::<T>().write(value) };
        Ok(Shared {
            segment,
            data: PhantomData,
        })
    }
}

impl<T: Atomic> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the place holds a T, which threads and processes may use at the same time.
        unsafe { &*self.segment.data().cast::<T>() }
    }
}

/// A type that processes may use at the same time.
///
/// # Safety
/// It must be an atomic, or made of atomics alone.
pub unsafe trait Atomic {}

// SAFETY: it is an atomic.
unsafe impl Atomic for AtomicI64 {}

impl<T: ?Sized> Data<'_, T> {
    /// Says that the data is whole again, after [`Acquired::OwnerDied`].
    pub fn repaired(&self) -> std::io::Result<()> {
        self.guard.repaired()
    }
}

impl<T: ?Sized> Deref for Data<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.data
    }
}

impl<T: ?Sized> DerefMut for Data<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.data
    }
}

fn whole<G>(acquired: Acquired<G>) -> Result<G, Error> {
    match acquired {
        Acquired::Locked(guard) => Ok(guard),
        // Dropping the guard unrepaired makes this final.
        Acquired::OwnerDied(_) => Err(Error::OwnerDied),
        // There was no time limit.
        Acquired::TimedOut => Err(Error::Os(std::io::ErrorKind::TimedOut.into())),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    #[test]
    fn a_lock_excludes_and_times_out() {
        let lock = Lock::new().unwrap();
        let held = lock.lock().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                assert!(matches!(lock.acquire(false, None), Ok(Acquired::TimedOut)));
                let start = std::time::Instant::now();
                let timeout = Duration::from_millis(50);
                assert!(matches!(
                    lock.acquire(true, Some(timeout)),
                    Ok(Acquired::TimedOut)
                ));
                assert!(start.elapsed() >= timeout);
            });
        });
        drop(held);
        assert!(matches!(lock.acquire(false, None), Ok(Acquired::Locked(_))));
    }

    #[test]
    fn only_an_rlock_may_be_acquired_twice() {
        let lock = Lock::new().unwrap();
        let _held = lock.lock().unwrap();
        assert!(matches!(lock.lock(), Err(Error::Deadlock)));
        let rlock = RLock::new().unwrap();
        let (first, second) = (rlock.lock().unwrap(), rlock.lock().unwrap());
        drop(first);
        thread::scope(|scope| {
            scope.spawn(|| assert!(matches!(rlock.acquire(false, None), Ok(Acquired::TimedOut))));
        });
        drop(second);
    }

    /// A thread that ends without releasing is to a robust mutex what a killed process is.
    fn die_with<T: Pod + Send + Sync>(value: &Arc<Value<T>>) {
        let value = Arc::clone(value);
        thread::spawn(move || mem::forget(value.lock().unwrap()))
            .join()
            .unwrap();
    }

    #[test]
    fn the_next_owner_is_told_and_repairs() {
        let value = Arc::new(Value::new(1_u64).unwrap());
        die_with(&value);
        let Ok(Acquired::OwnerDied(mut data)) = value.acquire(true, None) else {
            panic!("not told")
        };
        *data = 2;
        data.repaired().unwrap();
        drop(data);
        assert_eq!(value.get().unwrap(), 2);
    }

    #[test]
    fn who_does_not_repair_refuses_for_all() {
        let value = Arc::new(Value::new(1_u64).unwrap());
        die_with(&value);
        assert!(matches!(value.get(), Err(Error::OwnerDied)));
        assert!(matches!(value.get(), Err(Error::NotRecoverable)));
    }

    /// The owner is a process, because those who wait are to be woken by its death.
    #[test]
    fn who_waits_is_refused_too() {
        for _ in 0..20 {
            let value = Value::new(0_u64).unwrap();
            // SAFETY: the child only locks, which is all atomic operations and system calls, and sleeps.
            let owner = match unsafe { libc::fork() } {
                0 => {
                    let _held = value.lock();
                    // SAFETY: sleeping has no precondition.
                    unsafe { libc::pause() };
                    // SAFETY: ending the process has no precondition.
                    unsafe { libc::_exit(0) }
                }
                pid => Pid::from_raw(pid).unwrap(),
            };
            while !matches!(value.acquire(false, None), Ok(Acquired::TimedOut)) {
                thread::yield_now();
            }
            thread::scope(|scope| {
                let waiting = [(); 6].map(|()| scope.spawn(|| value.get().is_err()));
                thread::sleep(Duration::from_millis(10));
                rustix::process::kill_process(owner, rustix::process::Signal::KILL).unwrap();
                assert!(waiting.into_iter().all(|waiting| waiting.join().unwrap()));
            });
            waitpid(Some(owner), WaitOptions::empty()).unwrap();
        }
    }

    #[test]
    fn data_is_aligned_and_holds_what_was_put_in() {
        let array = Array::new(&[1_i32, 2, 3]).unwrap();
        let mut data = array.lock().unwrap();
        assert_eq!(data.as_ptr().addr() % 64, 0);
        data.iter_mut().for_each(|n| *n = -*n);
        assert_eq!(*data, [-1, -2, -3]);
        assert!(Array::<i32>::new(&[]).unwrap().lock().unwrap().is_empty());
    }

    #[test]
    fn threads_lose_no_increment() {
        let value = Value::new(0_u64).unwrap();
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..1000).for_each(|_| *value.lock().unwrap() += 1));
            }
        });
        assert_eq!(value.get().unwrap(), 8000);
    }

    #[test]
    fn more_than_there_is_memory_is_an_error() {
        assert!(Segment::new(Kind::Lock, usize::MAX).is_err());
        assert!(Segment::new(Kind::Lock, 1 << 50).is_err());
    }
}
