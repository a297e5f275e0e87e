//! [`Value`], [`Array`] and [`Shared`]: plain data in shared memory.
//!
//! [`Value`] and [`Array`] have a lock, as in Python, and give access to the data only under the lock. A panic or an early
//! return releases the lock. If the owner dies, the next owner is told (see [`synchronize`](crate::synchronize)).
//! [`Shared`] holds atomics and has no lock.
//!
//! Forked children use them directly. Pass them to other children as arguments of [`spawn`](crate::spawn()).

use std::io;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicIsize, AtomicU8, AtomicU16,
    AtomicU32, AtomicU64, AtomicUsize,
};
use std::time::Duration;
use std::{fmt, ptr, slice};

use bytemuck::Pod;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::ensure;
use crate::reduction::{deserialize_fd, serialize_fd};
use crate::shared_memory::{DATA, Memory};
use crate::synchronize::{Acquired, Guard, Kind, LockError, Locked};

/// The alignment of all data.
const ALIGNMENT: usize = 64;

/// A value behind a lock, in shared memory: Python's `multiprocessing.Value`.
///
/// `T` is plain data: a number, an array of numbers, or a struct that derives
/// [`bytemuck::Pod`](https://docs.rs/bytemuck). It contains no pointers, and any bytes are a valid `T`. A type with an
/// alignment above 64 does not compile. Clones refer to the same value.
///
/// A value takes one page of memory and one descriptor. See [`Lock`](crate::Lock) for the cost of its lock.
///
/// # Examples
///
/// ```
/// use multiproc::{Value, fork};
///
/// fn main() -> std::io::Result<()> {
///     let counter = Value::new(0)?;
///     let child = fork(|| -> std::io::Result<()> {
///         *counter.lock()? += 1;
///         Ok(())
///     })?;
///     *counter.lock()? += 1;
///     assert!(child.join()?.success());
///     assert_eq!(counter.get()?, 2);
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct Value<T> {
    memory: Locked,
    data: PhantomData<T>,
}

/// A fixed number of values behind one lock, in shared memory: Python's `multiprocessing.Array`.
///
/// Python locks the array for each access to an element. Here one guard gives access to the whole slice. For `T`, see
/// [`Value`]; a zero-sized `T` does not compile. Clones refer to the same array.
///
/// # Examples
///
/// ```
/// use multiproc::{Array, fork};
///
/// fn main() -> std::io::Result<()> {
///     let numbers = Array::new(&[1, 2, 3])?;
///     let child = fork(|| -> std::io::Result<()> {
///         for number in numbers.lock()?.iter_mut() {
///             *number = -*number;
///         }
///         Ok(())
///     })?;
///     assert!(child.join()?.success());
///     assert_eq!(*numbers.lock()?, [-1, -2, -3]);
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct Array<T> {
    memory: Locked,
    data: PhantomData<T>,
}

/// Access to the data of a [`Value`] or an [`Array`]. Dropping it releases the lock.
///
/// # Examples
///
/// ```
/// use multiproc::Value;
///
/// let pair = Value::new([1, 2])?;
/// let mut data = pair.lock()?;
/// data.swap(0, 1);
/// assert_eq!(*data, [2, 1]);
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "dropping the data releases the lock"]
pub struct Data<'a, T: ?Sized> {
    data: &'a mut T,
    guard: Guard<'a>,
}

impl<T: Pod> Value<T> {
    /// Puts a value into new shared memory.
    ///
    /// # Errors
    ///
    /// Fails if the system has no memory or no descriptor left, or if the value takes more than half of the machine's
    /// memory.
    pub fn new(value: T) -> io::Result<Value<T>> {
        const { assert!(align_of::<T>() <= ALIGNMENT) };
        let memory = Locked::new::<Value<T>>(Kind::Lock, size_of::<T>())?;
        // SAFETY: the memory has aligned space for a T there, and is not shared yet.
        unsafe { memory.data().cast::<T>().write(value) };
        Ok(Value {
            memory,
            data: PhantomData,
        })
    }

    /// Acquires the value's lock, as [`Lock::acquire`](crate::Lock::acquire).
    ///
    /// # Errors
    ///
    /// Those of [`Lock::acquire`](crate::Lock::acquire).
    pub fn acquire(
        &self,
        block: bool,
        timeout: Option<Duration>,
    ) -> Result<Acquired<Data<'_, T>>, LockError> {
        let acquired = self.memory.acquire(block, timeout)?;
        Ok(acquired.map(|guard| {
            // SAFETY: the address holds a T, and no other thread or process refers to it while the guard lives.
            let data = unsafe { &mut *self.memory.data().cast::<T>() };
            Data { data, guard }
        }))
    }

    /// Acquires the value's lock, blocking until it is free.
    ///
    /// # Errors
    ///
    /// Those of [`Lock::lock`](crate::Lock::lock).
    pub fn lock(&self) -> Result<Data<'_, T>, LockError> {
        self.acquire(true, None)?.whole()
    }

    /// Returns a copy of the value, under its lock.
    ///
    /// # Errors
    ///
    /// Those of [`Value::lock`].
    pub fn get(&self) -> Result<T, LockError> {
        self.lock().map(|data| *data)
    }

    /// Replaces the value, under its lock.
    ///
    /// # Errors
    ///
    /// Those of [`Value::lock`].
    pub fn set(&self, value: T) -> Result<(), LockError> {
        self.lock().map(|mut data| *data = value)
    }
}

impl<T: Pod> Array<T> {
    /// Copies values into new shared memory.
    ///
    /// # Errors
    ///
    /// Those of [`Value::new`].
    pub fn new(values: &[T]) -> io::Result<Array<T>> {
        const { assert!(align_of::<T>() <= ALIGNMENT && size_of::<T>() > 0) };
        let memory = Locked::new::<Array<T>>(Kind::Lock, size_of_val(values))?;
        let first = memory.data().cast::<T>();
        // SAFETY: the memory has aligned space for the values there, and is not shared yet.
        unsafe { ptr::copy_nonoverlapping(values.as_ptr(), first, values.len()) };
        Ok(Array {
            memory,
            data: PhantomData,
        })
    }

    /// Acquires the array's lock, as [`Lock::acquire`](crate::Lock::acquire).
    ///
    /// # Errors
    ///
    /// Those of [`Lock::acquire`](crate::Lock::acquire).
    pub fn acquire(
        &self,
        block: bool,
        timeout: Option<Duration>,
    ) -> Result<Acquired<Data<'_, [T]>>, LockError> {
        let acquired = self.memory.acquire(block, timeout)?;
        let first = self.memory.data().cast::<T>();
        let length = self.memory.size() / size_of::<T>();
        Ok(acquired.map(|guard| {
            // SAFETY: `length` values are stored there, and no other thread or process refers to them while the guard lives.
            let data = unsafe { slice::from_raw_parts_mut(first, length) };
            Data { data, guard }
        }))
    }

    /// Acquires the array's lock, blocking until it is free.
    ///
    /// # Errors
    ///
    /// Those of [`Lock::lock`](crate::Lock::lock).
    pub fn lock(&self) -> Result<Data<'_, [T]>, LockError> {
        self.acquire(true, None)?.whole()
    }
}

impl<T: ?Sized> Data<'_, T> {
    /// Marks the data as consistent again, after [`Acquired::OwnerDied`]. Does nothing otherwise.
    ///
    /// # Errors
    ///
    /// Those of [`Guard::repaired`].
    pub fn repaired(&self) -> io::Result<()> {
        self.guard.repaired()
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Data<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.data.fmt(f)
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

/// An atomic, or an array of them, in shared memory without a lock. Python has no counterpart.
///
/// It dereferences to the atomic. Its operations are indivisible, so a killed process leaves nothing half done. Clones
/// refer to the same atomic.
///
/// # Examples
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use multiproc::{Shared, fork};
///
/// fn main() -> std::io::Result<()> {
///     let counter = Shared::new(AtomicU64::new(0))?;
///     let child = fork(|| {
///         counter.fetch_add(1, Ordering::Relaxed);
///     })?;
///     counter.fetch_add(1, Ordering::Relaxed);
///     assert!(child.join()?.success());
///     assert_eq!(counter.load(Ordering::Relaxed), 2);
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct Shared<T> {
    memory: Arc<Memory>,
    data: PhantomData<T>,
}

impl<T: Atomic> Shared<T> {
    const SIZE: usize = DATA + size_of::<T>();

    /// Puts an atomic into new shared memory.
    ///
    /// # Errors
    ///
    /// Those of [`Value::new`].
    pub fn new(value: T) -> io::Result<Shared<T>> {
        const { assert!(align_of::<T>() <= ALIGNMENT) };
        let memory = Memory::new::<Shared<T>>(Self::SIZE, Self::SIZE)?;
        // SAFETY: the memory has aligned space for a T there, and is not shared yet.
        unsafe { memory.data().cast::<T>().write(value) };
        Ok(Shared {
            memory: Arc::new(memory),
            data: PhantomData,
        })
    }
}

impl<T: Atomic> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the address holds a T, which threads and processes may use concurrently.
        unsafe { &*self.memory.data().cast::<T>() }
    }
}

/// A type that processes may use concurrently: std's atomics and arrays of them. `AtomicPtr` is not included, because an
/// address is meaningless in another process.
///
/// # Safety
///
/// The type must consist only of such atomics.
pub unsafe trait Atomic: 'static {}

macro_rules! atomics {
    ($($Atomic:ty)+) => {
        $(
            // SAFETY: it is an atomic without a pointer.
            unsafe impl Atomic for $Atomic {}
        )+
    };
}

atomics! {
    AtomicBool AtomicI8 AtomicI16 AtomicI32 AtomicI64 AtomicIsize AtomicU8 AtomicU16 AtomicU32 AtomicU64 AtomicUsize
}

// SAFETY: an array consists only of its elements.
unsafe impl<T: Atomic, const N: usize> Atomic for [T; N] {}

impl<T> Clone for Value<T> {
    fn clone(&self) -> Value<T> {
        Value {
            memory: self.memory.clone(),
            data: PhantomData,
        }
    }
}

impl<T> Clone for Array<T> {
    fn clone(&self) -> Array<T> {
        Array {
            memory: self.memory.clone(),
            data: PhantomData,
        }
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Shared<T> {
        Shared {
            memory: self.memory.clone(),
            data: PhantomData,
        }
    }
}

/// The value can be serialised only as an argument of [`spawn`](crate::spawn()).
impl<T> Serialize for Value<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.memory.serialize(serializer)
    }
}

/// The array can be serialised only as an argument of [`spawn`](crate::spawn()).
impl<T> Serialize for Array<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.memory.serialize(serializer)
    }
}

/// The atomic can be serialised only as an argument of [`spawn`](crate::spawn()).
impl<T> Serialize for Shared<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_fd(self.memory.as_fd(), serializer)
    }
}

impl<'de, T: Pod> Deserialize<'de> for Value<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value<T>, D::Error> {
        let memory = Locked::deserialize::<Value<T>, D>(deserializer)?;
        has_size(memory.size(), size_of::<T>()).map_err(D::Error::custom)?;
        Ok(Value {
            memory,
            data: PhantomData,
        })
    }
}

impl<'de, T: Pod> Deserialize<'de> for Array<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Array<T>, D::Error> {
        let memory = Locked::deserialize::<Array<T>, D>(deserializer)?;
        Ok(Array {
            memory,
            data: PhantomData,
        })
    }
}

impl<'de, T: Atomic> Deserialize<'de> for Shared<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Shared<T>, D::Error> {
        let memory = Memory::open::<Shared<T>>(deserialize_fd(deserializer)?)
            .and_then(|memory| {
                has_size(memory.size(), Self::SIZE)?;
                Ok(memory)
            })
            .map_err(D::Error::custom)?;
        Ok(Shared {
            memory: Arc::new(memory),
            data: PhantomData,
        })
    }
}

fn has_size(size: usize, right: usize) -> io::Result<()> {
    ensure!(
        size == right,
        "the shared memory has {size} bytes instead of {right}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::mem;
    use std::sync::atomic::Ordering;
    use std::thread;

    use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

    use super::*;
    use crate::shared_memory::tests::{inode, is_mapped};
    use crate::synchronize::tests::{send, stays_mapped};

    /// To a robust mutex, a thread that ends without releasing the lock is like a killed process.
    fn die_with<T: Pod + Send + Sync>(value: &Value<T>) {
        let value = value.clone();
        thread::spawn(move || mem::forget(value.lock().unwrap()))
            .join()
            .unwrap();
    }

    #[test]
    fn the_next_owner_is_told_and_repairs() {
        let value = Value::new(1_u64).unwrap();
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
    fn an_owner_that_does_not_repair_gives_the_lock_up_for_all() {
        let value = Value::new(1_u64).unwrap();
        die_with(&value);
        assert!(matches!(value.get(), Err(LockError::OwnerDied)));
        assert!(matches!(value.get(), Err(LockError::NotRecoverable)));
    }

    /// The owner is a process here, because its death must wake the waiting threads.
    #[test]
    fn waiting_threads_are_refused_too() {
        for _ in 0..20 {
            let value = Value::new(0_u64).unwrap();
            // SAFETY: the child only locks and sleeps, which takes only atomic operations and system calls.
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
                kill_process(owner, Signal::KILL).unwrap();
                assert!(waiting.into_iter().all(|waiting| waiting.join().unwrap()));
            });
            waitpid(Some(owner), WaitOptions::empty()).unwrap();
        }
    }

    #[test]
    fn data_is_aligned_and_holds_what_was_put_in() {
        let array = Array::new(&[1_i32, 2, 3]).unwrap();
        let mut data = array.lock().unwrap();
        assert_eq!(data.as_ptr().addr() % ALIGNMENT, 0);
        data.iter_mut().for_each(|n| *n = -*n);
        assert_eq!(*data, [-1, -2, -3]);
        assert!(Array::<i32>::new(&[]).unwrap().lock().unwrap().is_empty());
        let shared = Shared::new([const { AtomicU8::new(7) }; 100]).unwrap();
        assert_eq!(shared.as_ptr().addr() % ALIGNMENT, 0);
        assert_eq!(shared[99].load(Ordering::Relaxed), 7);
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
        assert!(Locked::new::<()>(Kind::Lock, usize::MAX).is_err());
        assert!(Locked::new::<()>(Kind::Lock, 1 << 50).is_err());
    }

    #[test]
    fn memory_stays_mapped_only_for_forgotten_data() {
        let value = || Value::new(1).unwrap();
        assert!(!stays_mapped(value(), |value| &value.memory, drop));
        assert!(!stays_mapped(
            value(),
            |value| &value.memory,
            |value| {
                value.set(value.get().unwrap()).unwrap();
            }
        ));
        assert!(stays_mapped(
            value(),
            |value| &value.memory,
            |value| {
                mem::forget(value.lock().unwrap());
            }
        ));
        let shared = Shared::new(AtomicBool::new(true)).unwrap();
        let inode = inode(&shared.memory);
        drop(shared.clone());
        assert!(is_mapped(inode));
        drop(shared);
        assert!(!is_mapped(inode));
    }

    #[test]
    fn data_travels_to_another_process() {
        let value = Value::new(1_u64).unwrap();
        let same: Value<u64> = send(&value).unwrap();
        same.set(2).unwrap();
        assert_eq!(value.get().unwrap(), 2);
        let array = Array::new(&[1_u8, 2, 3]).unwrap();
        let same: Array<u8> = send(&array).unwrap();
        assert_eq!(*same.lock().unwrap(), [1, 2, 3]);
        let shared = Shared::new(AtomicI64::new(-1)).unwrap();
        let same: Shared<AtomicI64> = send(&shared).unwrap();
        same.fetch_sub(1, Ordering::Relaxed);
        assert_eq!(shared.load(Ordering::Relaxed), -2);
    }

    /// A `&mut` to the data of a `Value` and a reference to an atomic must not point to the same memory.
    #[test]
    fn data_of_another_type_is_refused() {
        let value = Value::new(1_u64).unwrap();
        assert!(send::<_, Value<i64>>(&value).is_err());
        assert!(send::<_, Array<u64>>(&value).is_err());
        assert!(send::<_, Shared<AtomicU64>>(&value).is_err());
        let shared = Shared::new(AtomicU8::new(2)).unwrap();
        assert!(send::<_, Shared<AtomicBool>>(&shared).is_err());
        assert!(send::<_, Value<u8>>(&shared).is_err());
    }
}
