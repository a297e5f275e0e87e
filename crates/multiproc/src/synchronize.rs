//! [`Lock`] and [`RLock`]: locks between processes that survive the death of their owner.
//!
//! Python's `multiprocessing.Lock` is a semaphore: a killed owner blocks all other processes
//! ([cpython #88304](https://github.com/python/cpython/issues/88304)). These locks are POSIX robust mutexes: the next
//! owner gets the lock and is told. It then repairs the guarded data, or gives the lock up.
//!
//! Forked children use a lock directly. Pass it to other children as an argument of [`spawn`](crate::spawn()).
//!
//! # Examples
//!
//! A child dies while it holds the lock, and its parent recovers:
//!
//! ```
//! use multiproc::fork;
//! use multiproc::synchronize::{Acquired, Lock};
//!
//! fn main() -> std::io::Result<()> {
//!     let lock = Lock::new()?;
//!     let child = fork(|| -> std::io::Result<()> {
//!         let _guard = lock.lock()?;
//!         std::process::abort();
//!     })?;
//!     child.join()?;
//!     match lock.acquire(true, None)? {
//!         Acquired::OwnerDied(guard) => guard.repaired()?,
//!         acquired => panic!("{acquired:?}"),
//!     }
//!     drop(lock.lock()?);
//!     Ok(())
//! }
//! ```

use std::cell::{Cell, UnsafeCell};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{error, fmt, io};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Context, ensure};
use crate::reduction::{deserialize_fd, serialize_fd};
use crate::shared_memory::{self, Memory};

/// A process-shared robust pthread mutex in shared memory.
#[repr(C, align(64))]
pub(crate) struct RobustMutex {
    mutex: UnsafeCell<libc::pthread_mutex_t>,
    /// Not 0 after an owner gave up repairing. POSIX has ENOTRECOVERABLE for that, but with glibc 2.36 some waiting
    /// threads then never wake.
    refused: AtomicU32,
}

// SAFETY: threads may share a mutex, and all access goes through its functions.
unsafe impl Sync for RobustMutex {}
// SAFETY: a mutex is not tied to a thread; only a guard is.
unsafe impl Send for RobustMutex {}

/// The longest sleep before a thread tries to lock again. Usually the last owner wakes it earlier. But a woken thread may
/// be killed while another owner has the lock. The kernel then finds the lock taken and wakes no thread, and the owner
/// does not know that threads still wait.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Whether a thread may acquire a lock that it already holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// No: it gets [`LockError::Deadlock`].
    Lock,
    /// Yes, and it must release the lock as often.
    RLock,
}

/// The outcome of waiting for a lock. `G` is the guard that releases it.
#[derive(Debug)]
#[must_use]
pub enum Acquired<G> {
    /// The caller owns the lock.
    Locked(G),
    /// The caller owns the lock, and the last owner died with it. The guarded data may be inconsistent: repair it, then
    /// call [`Guard::repaired`]. Dropping the guard without calling it poisons the lock for good.
    OwnerDied(G),
    /// The lock was not free before the timeout.
    TimedOut,
}

impl<G> Acquired<G> {
    /// Wraps the guard.
    pub(crate) fn map<H>(self, wrap: impl FnOnce(G) -> H) -> Acquired<H> {
        match self {
            Acquired::Locked(guard) => Acquired::Locked(wrap(guard)),
            Acquired::OwnerDied(guard) => Acquired::OwnerDied(wrap(guard)),
            Acquired::TimedOut => Acquired::TimedOut,
        }
    }

    /// Returns the guard after a wait without a timeout, for a caller that cannot repair.
    pub(crate) fn whole(self) -> Result<G, LockError> {
        match self {
            Acquired::Locked(guard) => Ok(guard),
            // Dropping the guard without repairing poisons the lock for good.
            Acquired::OwnerDied(_) => Err(LockError::OwnerDied),
            Acquired::TimedOut => Err(LockError::Io(io::ErrorKind::TimedOut.into())),
        }
    }
}

/// The reason why a lock was not acquired.
#[derive(Debug)]
pub enum LockError {
    /// This thread holds the lock already, and the lock is not an [`RLock`]. Python's `Lock` would deadlock.
    Deadlock,
    /// The last owner died with the lock, and this method cannot repair the guarded data.
    OwnerDied,
    /// An owner died with the lock, and the next one did not repair the guarded data. The lock is poisoned for good.
    NotRecoverable,
    /// A system call failed.
    Io(io::Error),
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockError::Deadlock => f.write_str("this thread holds the lock already"),
            LockError::OwnerDied => {
                f.write_str("the owner of the lock died, and what it guards may be half done")
            }
            LockError::NotRecoverable => f.write_str(
                "an owner of the lock died, and its successor did not repair what it guards",
            ),
            LockError::Io(error) => write!(f, "cannot lock: {error}"),
        }
    }
}

impl error::Error for LockError {}

impl From<LockError> for io::Error {
    fn from(error: LockError) -> io::Error {
        match error {
            LockError::Io(error) => error,
            error => io::Error::other(error),
        }
    }
}

/// Owns a lock. Dropping it releases the lock.
///
/// A panic also releases the lock. The next owner is not told about it.
#[must_use = "dropping the guard releases the lock"]
pub struct Guard<'a> {
    lock: &'a RobustMutex,
    held: &'a AtomicU32,
    /// Whether the last owner died and the data is not repaired yet.
    broken: Cell<bool>,
    /// The lock belongs to the thread that acquired it, so the guard must not leave the thread.
    not_send: PhantomData<*mut ()>,
}

impl fmt::Debug for Guard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut guard = f.debug_struct("Guard");
        guard.field("broken", &self.broken).finish_non_exhaustive()
    }
}

impl RobustMutex {
    /// Makes a mutex of zeroed memory.
    ///
    /// # Safety
    ///
    /// `place` must be valid for reads and writes, aligned and not yet a mutex, and must stay mapped while any thread of
    /// this process uses it.
    pub(crate) unsafe fn init(place: *mut RobustMutex, kind: Kind) -> io::Result<()> {
        let mut attributes = MaybeUninit::uninit();
        let kind = match kind {
            Kind::Lock => libc::PTHREAD_MUTEX_ERRORCHECK,
            Kind::RLock => libc::PTHREAD_MUTEX_RECURSIVE,
        };
        // SAFETY: the attributes are a local variable of the right type.
        check(unsafe { libc::pthread_mutexattr_init(attributes.as_mut_ptr()) })?;
        // SAFETY: the attributes are initialised.
        check(unsafe { libc::pthread_mutexattr_settype(attributes.as_mut_ptr(), kind) })?;
        let shared = libc::PTHREAD_PROCESS_SHARED;
        // SAFETY: the attributes are initialised.
        check(unsafe { libc::pthread_mutexattr_setpshared(attributes.as_mut_ptr(), shared) })?;
        let robust = libc::PTHREAD_MUTEX_ROBUST;
        // SAFETY: the attributes are initialised.
        check(unsafe { libc::pthread_mutexattr_setrobust(attributes.as_mut_ptr(), robust) })?;
        // SAFETY: the caller guarantees that the place is valid, and a RobustMutex starts with its pthread mutex (repr C).
        check(unsafe { libc::pthread_mutex_init(place.cast(), attributes.as_ptr()) })
    }

    /// Acquires the lock. Returns immediately if `block` is false, otherwise after `timeout` at the latest.
    ///
    /// `held` counts this process's guards. The memory may be unmapped only while the count is zero.
    pub(crate) fn acquire<'a>(
        &'a self,
        held: &'a AtomicU32,
        block: bool,
        timeout: Option<Duration>,
    ) -> Result<Acquired<Guard<'a>>, LockError> {
        let mutex = self.mutex.get();
        // SAFETY: a RobustMutex is initialised before any reference to it exists.
        let mut result = unsafe { libc::pthread_mutex_trylock(mutex) };
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        while result == libc::EBUSY && block {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                break;
            }
            let slice = deadline(left.unwrap_or(LOOK_AGAIN).min(LOOK_AGAIN));
            // SAFETY: as above, and the deadline is a local variable.
            result = match unsafe { libc::pthread_mutex_timedlock(mutex, &slice) } {
                libc::ETIMEDOUT => libc::EBUSY,
                result => result,
            };
        }
        match result {
            0 | libc::EOWNERDEAD => {}
            libc::EBUSY => return Ok(Acquired::TimedOut),
            libc::EDEADLK => return Err(LockError::Deadlock),
            error => return Err(LockError::Io(io::Error::from_raw_os_error(error))),
        }
        // Only the lock's owner changes it, so a load and a store are enough.
        held.store(held.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        let guard = Guard {
            lock: self,
            held,
            broken: Cell::new(result == libc::EOWNERDEAD),
            not_send: PhantomData,
        };
        // The lock guarantees that the store of an owner that gave up happens-before this load.
        if self.refused.load(Ordering::Relaxed) != 0 {
            Err(LockError::NotRecoverable)
        } else if guard.broken.get() {
            Ok(Acquired::OwnerDied(guard))
        } else {
            Ok(Acquired::Locked(guard))
        }
    }
}

impl Guard<'_> {
    /// Marks the guarded data as consistent again, after [`Acquired::OwnerDied`]. Does nothing otherwise.
    ///
    /// # Errors
    ///
    /// Fails in a child forked while its parent owned the lock: the child does not own it.
    pub fn repaired(&self) -> io::Result<()> {
        if self.broken.get() {
            // SAFETY: the mutex is initialised, and this thread owns it.
            check(unsafe { libc::pthread_mutex_consistent(self.lock.mutex.get()) })?;
            self.broken.set(false);
        }
        Ok(())
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if self.broken.get() {
            self.lock.refused.store(1, Ordering::Relaxed);
            // Fails only if the mutex is already consistent.
            self.repaired().ok();
        }
        let held = self.held.load(Ordering::Relaxed);
        self.held.store(held - 1, Ordering::Relaxed);
        // SAFETY: the mutex is initialised. In a child forked by the owner the call fails and does nothing.
        unsafe { libc::pthread_mutex_unlock(self.lock.mutex.get()) };
    }
}

/// Returns the time of day after `timeout`; POSIX expects a `CLOCK_REALTIME` deadline.
fn deadline(timeout: Duration) -> libc::timespec {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let until = now.saturating_add(timeout);
    libc::timespec {
        tv_sec: until.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: until.subsec_nanos().into(),
    }
}

fn check(error: libc::c_int) -> io::Result<()> {
    if error == 0 {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(error))
    }
}

/// Shared memory that holds a lock and the data that it guards. Clones share one mapping.
#[derive(Debug, Clone)]
pub(crate) struct Locked(Arc<Memory>);

/// The offset of the data, a multiple of 64 bytes.
const DATA: usize = shared_memory::DATA + size_of::<RobustMutex>();

impl Locked {
    /// Makes a lock with `size` bytes of zeroed data, for a `K`.
    pub(crate) fn new<K: 'static>(kind: Kind, size: usize) -> io::Result<Locked> {
        let size = DATA
            .checked_add(size)
            .context("more shared memory than there are addresses")?;
        let memory = Memory::new::<K>(size, size)?;
        // SAFETY: the memory is new, zeroed, aligned and large enough, and stays mapped while a guard lives.
        unsafe { RobustMutex::init(memory.data().cast(), kind) }.context("make a lock")?;
        Ok(Locked(Arc::new(memory)))
    }

    fn open<K: 'static>(file: OwnedFd) -> io::Result<Locked> {
        let memory = Memory::open::<K>(file)?;
        ensure!(memory.size() >= DATA, "the shared memory has no lock");
        Ok(Locked(Arc::new(memory)))
    }

    pub(crate) fn acquire(
        &self,
        block: bool,
        timeout: Option<Duration>,
    ) -> Result<Acquired<Guard<'_>>, LockError> {
        // SAFETY: `new` made a mutex there, and the memory stays mapped as long as this value lives.
        let mutex = unsafe { &*self.0.data().cast::<RobustMutex>() };
        mutex.acquire(self.0.held(0), block, timeout)
    }

    /// Returns the address of the data.
    pub(crate) fn data(&self) -> *mut u8 {
        self.0.start().wrapping_add(DATA)
    }

    /// Returns the size of the data.
    pub(crate) fn size(&self) -> usize {
        self.0.size() - DATA
    }

    pub(crate) fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_fd(self.0.as_fd(), serializer)
    }

    pub(crate) fn deserialize<'de, K: 'static, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Locked, D::Error> {
        Locked::open::<K>(deserialize_fd(deserializer)?).map_err(D::Error::custom)
    }
}

/// A mutual-exclusion lock between processes and threads: Python's `multiprocessing.Lock`.
///
/// Clones refer to the same lock. To guard data, use [`Value`](crate::Value) or [`Array`](crate::Array), which contain a
/// lock. Only the owner can release the lock; in Python, any process can.
///
/// An uncontended acquire or release is one atomic operation, without a system call. A lock takes one page of memory and
/// one descriptor.
///
/// # Examples
///
/// ```
/// use multiproc::{Lock, fork};
///
/// fn main() -> std::io::Result<()> {
///     let lock = Lock::new()?;
///     let child = fork(|| -> std::io::Result<()> {
///         let _guard = lock.lock()?;
///         println!("this line stays whole");
///         Ok(())
///     })?;
///     let guard = lock.lock()?;
///     println!("and so does this one");
///     drop(guard);
///     assert!(child.join()?.success());
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Lock(Locked);

/// A lock that its owner may acquire again: Python's `multiprocessing.RLock`.
///
/// The owner is a thread. It owns the lock until it has dropped all its guards. Otherwise it works like [`Lock`].
///
/// # Examples
///
/// ```
/// use multiproc::RLock;
///
/// let lock = RLock::new()?;
/// let outer = lock.lock()?;
/// let inner = lock.lock()?;
/// # drop((outer, inner));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct RLock(Locked);

macro_rules! lock {
    ($Lock:ident) => {
        impl $Lock {
            /// Makes a free lock.
            ///
            /// # Errors
            ///
            /// Fails when the system has no memory or no descriptor left.
            pub fn new() -> io::Result<$Lock> {
                Locked::new::<$Lock>(Kind::$Lock, 0).map($Lock)
            }

            /// Acquires the lock: Python's `acquire(block, timeout)`.
            ///
            /// Returns immediately if `block` is false. Otherwise blocks until the lock is free, at most for `timeout` if
            /// there is one. If the owner is killed, a waiting thread gets the lock within 50 ms, as
            /// [`Acquired::OwnerDied`].
            ///
            /// # Errors
            ///
            /// [`LockError::NotRecoverable`] if an owner died and the next one did not repair the data;
            /// [`LockError::Deadlock`] if this thread holds a `Lock` already.
            pub fn acquire(
                &self,
                block: bool,
                timeout: Option<Duration>,
            ) -> Result<Acquired<Guard<'_>>, LockError> {
                self.0.acquire(block, timeout)
            }

            /// Acquires the lock, blocking until it is free.
            ///
            /// # Errors
            ///
            /// Those of [`acquire`](Self::acquire), and [`LockError::OwnerDied`] when the last owner died with the lock.
            /// That error poisons the lock for good. Call `acquire` instead to repair the data.
            pub fn lock(&self) -> Result<Guard<'_>, LockError> {
                self.acquire(true, None)?.whole()
            }
        }

        /// The lock can be serialised only as an argument of [`spawn`](crate::spawn()).
        impl Serialize for $Lock {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.0.serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for $Lock {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$Lock, D::Error> {
                Locked::deserialize::<$Lock, D>(deserializer).map($Lock)
            }
        }
    };
}

lock!(Lock);
lock!(RLock);

#[cfg(test)]
pub(crate) mod tests {
    use std::thread;

    use super::*;
    use crate::reduction::{decode_with_fds, encode, encode_with_fds};
    use crate::shared_memory::tests::{inode, is_mapped};

    /// Sends a value through a socket, back to this process.
    pub(crate) fn send<T: Serialize, U: serde::de::DeserializeOwned>(value: &T) -> io::Result<U> {
        let (bytes, fds) = encode_with_fds(value, Vec::new())?;
        Ok(decode_with_fds(&bytes, fds)?)
    }

    /// Returns whether this process still maps the memory after `drop_it` dropped the last value that uses it.
    pub(crate) fn stays_mapped<T>(value: T, memory: fn(&T) -> &Locked, drop_it: fn(T)) -> bool {
        let inode = inode(&*memory(&value).0);
        assert!(is_mapped(inode));
        drop_it(value);
        is_mapped(inode)
    }

    #[test]
    fn a_lock_excludes_and_times_out() {
        let lock = Lock::new().unwrap();
        let held = lock.lock().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                assert!(matches!(lock.acquire(false, None), Ok(Acquired::TimedOut)));
                let start = Instant::now();
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
        assert!(matches!(lock.lock(), Err(LockError::Deadlock)));
        let rlock = RLock::new().unwrap();
        let (first, second) = (rlock.lock().unwrap(), rlock.lock().unwrap());
        drop(first);
        thread::scope(|scope| {
            scope.spawn(|| assert!(matches!(rlock.acquire(false, None), Ok(Acquired::TimedOut))));
        });
        drop(second);
    }

    #[test]
    fn a_lock_travels_to_another_process() {
        let lock = Lock::new().unwrap();
        let same: Lock = send(&lock).unwrap();
        let guard = lock.lock().unwrap();
        assert!(matches!(same.lock(), Err(LockError::Deadlock)));
        drop(guard);
        drop(same.lock().unwrap());
        let error = send::<_, RLock>(&lock).unwrap_err().to_string();
        assert!(error.contains("RLock"), "{error}");
        assert!(encode(&lock, Vec::new()).is_err());
    }

    #[test]
    fn clones_are_one_lock() {
        let lock = Lock::new().unwrap();
        let clone = lock.clone();
        let _guard = lock.lock().unwrap();
        assert!(matches!(clone.lock(), Err(LockError::Deadlock)));
    }

    #[test]
    fn memory_stays_mapped_only_for_a_forgotten_guard() {
        let lock = || Lock::new().unwrap();
        assert!(!stays_mapped(lock(), |lock| &lock.0, drop));
        assert!(!stays_mapped(
            lock(),
            |lock| &lock.0,
            |lock| {
                drop(lock.lock().unwrap());
            }
        ));
        assert!(stays_mapped(
            lock(),
            |lock| &lock.0,
            |lock| {
                std::mem::forget(lock.lock().unwrap());
            }
        ));
    }

    #[test]
    fn the_errors_say_what_happened() {
        let texts = [
            (LockError::Deadlock, "holds the lock already"),
            (LockError::OwnerDied, "may be half done"),
            (LockError::NotRecoverable, "did not repair"),
            (
                LockError::Io(io::ErrorKind::TimedOut.into()),
                "cannot lock: timed out",
            ),
        ];
        for (error, text) in texts {
            assert!(error.to_string().contains(text), "{error}");
            let kind = io::Error::from(error).kind();
            assert_eq!(kind == io::ErrorKind::TimedOut, text.contains("timed out"));
        }
    }
}
