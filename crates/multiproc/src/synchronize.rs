//! `RobustMutex`: a lock in shared memory that survives the death of its owner.
//!
//! Python:  `multiprocessing.Lock`, which is a semaphore: a killed owner blocks everybody for ever (cpython #88304)
//! Differs: the next owner gets the lock, and is told; it repairs what the lock guards, or refuses.
//! Linux:   robust mutexes.
//!
//! ```cargo
//! [dependencies]
//! libc = "0.2"
//! ```

use std::cell::{Cell, UnsafeCell};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{error, fmt, io};

/// A process-shared robust pthread mutex, to be placed in shared memory by [`RobustMutex::init`].
///
/// Cost: an uncontended acquire and release are an atomic operation each, without a system call; some 10 ns more than
/// a mutex that is not robust.
#[repr(C, align(64))]
pub struct RobustMutex {
    mutex: UnsafeCell<libc::pthread_mutex_t>,
    /// Not 0 when somebody has refused to repair. POSIX has that too, ENOTRECOVERABLE, but with glibc 2.36 some of those
    /// who wait then sleep for ever.
    refused: AtomicU32,
}

// SAFETY: a mutex is made to be used by many threads, and all access goes through its functions.
unsafe impl Sync for RobustMutex {}
// SAFETY: it belongs to no thread; only a guard does.
unsafe impl Send for RobustMutex {}

/// How long a thread sleeps for the lock before it looks again. Usually it is woken earlier; not if the one that was
/// woken in its place was killed when somebody else had the lock again: the kernel sees a lock that is taken, and whoever
/// has it knows of nobody who waits.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Whether a thread may acquire a lock that it holds already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// No: it gets [`Error::Deadlock`], where Python would wait for itself.
    Lock,
    /// Yes, and it must release as often.
    RLock,
}

/// What [`RobustMutex::acquire`] has come to; `G` is the guard that releases.
#[derive(Debug)]
#[must_use]
pub enum Acquired<G> {
    Locked(G),
    /// The last owner died with the lock. What it guards may be half done: repair it and say so with
    /// [`Guard::repaired`]. Who drops the guard without that refuses, and nobody gets the lock any more.
    OwnerDied(G),
    TimedOut,
}

impl<G> Acquired<G> {
    /// Wraps the guard.
    pub fn map<H>(self, wrap: impl FnOnce(G) -> H) -> Acquired<H> {
        match self {
            Acquired::Locked(guard) => Acquired::Locked(wrap(guard)),
            Acquired::OwnerDied(guard) => Acquired::OwnerDied(wrap(guard)),
            Acquired::TimedOut => Acquired::TimedOut,
        }
    }
}

#[derive(Debug)]
pub enum Error {
    /// This thread holds the lock already, and it is no [`Kind::RLock`].
    Deadlock,
    /// The last owner died with the lock, and the caller cannot repair.
    OwnerDied,
    /// An owner died with the lock, and its successor did not repair what it guards.
    NotRecoverable,
    Os(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Deadlock => f.write_str("this thread holds the lock already"),
            Error::OwnerDied => {
                f.write_str("the owner of the lock died, and what it guards may be half done")
            }
            Error::NotRecoverable => {
                f.write_str("an owner of the lock died, and nobody repaired what it guards")
            }
            Error::Os(error) => write!(f, "lock: {error}"),
        }
    }
}

impl error::Error for Error {}

/// Holds the lock; dropping it releases, also by a panic, of which the next owner is not told.
#[must_use = "the lock is released when the guard is dropped"]
pub struct Guard<'a> {
    lock: &'a RobustMutex,
    held: &'a AtomicU32,
    /// Whether the last owner died and nothing was repaired yet.
    broken: Cell<bool>,
    /// The lock belongs to the thread that acquired it, so the guard must not leave it.
    not_send: PhantomData<*mut ()>,
}

impl RobustMutex {
    /// Makes a mutex of zeroed memory.
    ///
    /// # Safety
    /// `place` must be valid for reads and writes, aligned, not yet a mutex, and stay where it is for as long as any
    /// thread of any process uses it.
    pub unsafe fn init(place: *mut RobustMutex, kind: Kind) -> io::Result<()> {
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
        // SAFETY: the caller vouches for the place; a RobustMutex begins with its pthread mutex (repr C).
        check(unsafe { libc::pthread_mutex_init(place.cast(), attributes.as_ptr()) })
    }

    /// Acquires the lock. With `block` false it does not wait; with a timeout it waits for so long at most.
    ///
    /// `held` counts this process's guards. Who unmaps the memory must see it at zero: a guard that was forgotten still
    /// owns the lock, and glibc keeps the lock's address.
    pub fn acquire<'a>(
        &'a self,
        held: &'a AtomicU32,
        block: bool,
        timeout: Option<Duration>,
    ) -> Result<Acquired<Guard<'a>>, Error> {
        let mutex = self.mutex.get();
        // SAFETY: a RobustMutex is initialised before anybody gets a reference to it.
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
            libc::EDEADLK => return Err(Error::Deadlock),
            error => return Err(Error::Os(io::Error::from_raw_os_error(error))),
        }
        // Only the lock's owner changes it, so it need not be one operation.
        held.store(held.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        let guard = Guard {
            lock: self,
            held,
            broken: Cell::new(result == libc::EOWNERDEAD),
            not_send: PhantomData,
        };
        // Under the lock, and so never too late.
        if self.refused.load(Ordering::Relaxed) != 0 {
            Err(Error::NotRecoverable)
        } else if guard.broken.get() {
            Ok(Acquired::OwnerDied(guard))
        } else {
            Ok(Acquired::Locked(guard))
        }
    }
}

impl Guard<'_> {
    /// Says that what the lock guards is whole again, after [`Acquired::OwnerDied`].
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
            // It can only fail if nothing is broken.
            self.repaired().ok();
        }
        let held = self.held.load(Ordering::Relaxed);
        self.held.store(held - 1, Ordering::Relaxed);
        // SAFETY: the mutex is initialised. In a child forked by the owner this is an error, and does nothing.
        unsafe { libc::pthread_mutex_unlock(self.lock.mutex.get()) };
    }
}

/// The time of day after `timeout`, which is what POSIX wants.
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
