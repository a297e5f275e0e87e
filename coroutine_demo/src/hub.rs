//! Run greenlets: functions with a stack each that take turns on one thread.
//!
//! Python:  gevent's hub; `run(main)` is `gevent.spawn(main).join()`, `me.spawn` is `gevent.spawn`, `me.sleep` is `gevent.sleep`
//! Differs: gevent finds the current greenlet by itself; here it is an argument, so the reader sees which calls may switch. Only
//!          `sleep` is here; gevent also patches sockets and locks. All greenlets end with `main`.
//! Order:   the greenlet that is due first runs first. If two are due at the same instant, the first sleeper runs first.
//!
//! `sleep` switches to another greenlet; any other blocking call, such as `thread::sleep`, blocks all of them. When `main`
//! returns, the others end where they sleep: their stacks are unwound, and their destructors run. These must not sleep.
//! Unwinding needs `panic = "unwind"`; otherwise the program aborts. A panic of a greenlet reaches the caller of `run`, and ends the
//! others in the same way. Each has 1 MiB of stack, of which only touched pages use memory; an overflow hits a guard page and
//! raises SIGSEGV. A spawn maps a stack. A switch is a few dozen instructions without a system call, besides reading the clock.
//!
//! ```cargo
//! [dependencies]
//! corosensei = "0.3"
//! ```

use std::cell::{Cell, RefCell};
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::rc::Rc;
use std::time::{Duration, Instant};
use std::{io, mem, thread};

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};

const STACK: usize = 1024 * 1024;

/// The longest sleep, which an `Instant` can still represent: thirty years.
const FOREVER: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// The running greenlet's handle to itself, with which it sleeps and spawns others.
pub struct Greenlet<'a> {
    /// Takes the time at which the greenlet goes on.
    yielder: &'a Yielder<(), Instant>,
    queue: Rc<Queue>,
}

/// The greenlets that sleep or have not begun, the next one first.
#[derive(Default)]
struct Queue {
    heap: RefCell<BinaryHeap<Reverse<Entry>>>,
    pushed: Cell<u64>,
}

struct Entry {
    due: Instant,
    number: u64,
    body: Body,
}

enum Body {
    Main,
    Other(Coroutine<(), Instant, ()>),
}

/// Runs `main`, and the greenlets that it spawns, until `main` returns.
///
/// # Errors
///
/// The system's error if it refuses memory for the stack.
pub fn run<T: 'static>(main: impl FnOnce(&Greenlet) -> T + 'static) -> io::Result<T> {
    let queue = Rc::new(Queue::default());
    let _ends = EndsAll(&queue);
    let shared = Rc::clone(&queue);
    let mut main = Coroutine::with_stack(DefaultStack::new(STACK)?, move |yielder, ()| {
        main(&Greenlet {
            yielder,
            queue: shared,
        })
    });
    queue.push(Instant::now(), Body::Main);
    loop {
        match queue.next() {
            Body::Main => match main.resume(()) {
                CoroutineResult::Yield(due) => queue.push(due, Body::Main),
                CoroutineResult::Return(value) => return Ok(value),
            },
            Body::Other(mut other) => {
                if let CoroutineResult::Yield(due) = other.resume(()) {
                    queue.push(due, Body::Other(other));
                }
            }
        }
    }
}

impl Greenlet<'_> {
    /// Starts a greenlet, which begins after those that are due now.
    ///
    /// # Errors
    ///
    /// The system's error if it refuses memory for the stack.
    pub fn spawn(&self, body: impl FnOnce(&Greenlet) + 'static) -> io::Result<()> {
        let queue = Rc::clone(&self.queue);
        let body = Coroutine::with_stack(DefaultStack::new(STACK)?, move |yielder, ()| {
            body(&Greenlet { yielder, queue })
        });
        self.queue.push(Instant::now(), Body::Other(body));
        Ok(())
    }

    /// Runs other greenlets until `duration` has passed; with zero, those that are due now.
    pub fn sleep(&self, duration: Duration) {
        self.yielder.suspend(Instant::now() + duration.min(FOREVER));
    }
}

impl Queue {
    fn push(&self, due: Instant, body: Body) {
        let number = self.pushed.get();
        self.pushed.set(number + 1);
        let entry = Entry { due, number, body };
        self.heap.borrow_mut().push(Reverse(entry));
    }

    /// Waits until the first one is due. Main is always in the heap when it does not run.
    fn next(&self) -> Body {
        let next = self.heap.borrow_mut().pop();
        next.map_or(Body::Main, |Reverse(entry)| {
            thread::sleep(entry.due.saturating_duration_since(Instant::now()));
            entry.body
        })
    }
}

/// Ends the other greenlets at the end of `run`, also by a panic. Without it they and the queue keep each other alive.
struct EndsAll<'a>(&'a Queue);

impl Drop for EndsAll<'_> {
    fn drop(&mut self) {
        // A destructor on one of the stacks may spawn others, so the queue is not borrowed meanwhile.
        loop {
            let heap = mem::take(&mut *self.0.heap.borrow_mut());
            if heap.is_empty() {
                break;
            }
        }
    }
}

impl Entry {
    fn key(&self) -> (Instant, u64) {
        (self.due, self.number)
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    type Log = Rc<RefCell<Vec<&'static str>>>;

    /// Writes its name when it is dropped.
    struct Guard(&'static str, Log);

    impl Drop for Guard {
        fn drop(&mut self) {
            self.1.borrow_mut().push(self.0);
        }
    }

    #[test]
    fn the_earlier_is_first_and_a_tie_goes_to_who_asked_first() {
        let log = Log::default();
        let shared = Rc::clone(&log);
        let main = move |me: &Greenlet| {
            for (name, millis) in [("late", 20), ("a", 0), ("b", 0), ("early", 10)] {
                let log = Rc::clone(&shared);
                me.spawn(move |me| {
                    me.sleep(Duration::from_millis(millis));
                    log.borrow_mut().push(name);
                })?;
            }
            me.sleep(Duration::from_millis(200));
            io::Result::Ok(7)
        };
        assert_eq!(run(main).unwrap().unwrap(), 7);
        assert_eq!(*log.borrow(), ["a", "b", "early", "late"]);
    }

    #[test]
    fn those_left_when_main_returns_are_unwound() {
        let log = Log::default();
        let shared = Rc::clone(&log);
        run(move |me| {
            let (began, unborn) = (
                Guard("began", Rc::clone(&shared)),
                Guard("unborn", Rc::clone(&shared)),
            );
            me.spawn(move |me| {
                me.sleep(Duration::MAX);
                drop(began);
                unreachable!();
            })
            .unwrap();
            me.sleep(Duration::ZERO);
            me.spawn(move |_| drop(unborn)).unwrap();
        })
        .unwrap();
        log.borrow_mut().sort();
        assert_eq!(*log.borrow(), ["began", "unborn"]);
        assert_eq!(Rc::strong_count(&log), 1);
    }

    #[test]
    fn a_panic_goes_on_to_the_caller_and_ends_the_others() {
        let log = Log::default();
        let shared = Rc::clone(&log);
        let result = catch_unwind(AssertUnwindSafe(|| {
            run(move |me| {
                let guard = Guard("other", Rc::clone(&shared));
                me.spawn(move |me| {
                    me.sleep(Duration::MAX);
                    drop(guard);
                })
                .unwrap();
                me.spawn(|_| panic!("on purpose")).unwrap();
                let _guard = Guard("main", shared);
                me.sleep(Duration::MAX);
            })
        }));
        assert!(result.is_err());
        assert_eq!(*log.borrow(), ["main", "other"]);
        assert_eq!(Rc::strong_count(&log), 1);
    }
}
