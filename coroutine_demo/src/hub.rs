//! Greenlets: functions with a stack each, which take turns on one thread and switch wherever one of them sleeps.
//!
//! Python:   gevent's hub; `run(main)` is `gevent.spawn(main).join()`, `me.spawn` is `gevent.spawn`, `me.sleep` is `gevent.sleep`
//! Differs:  gevent finds the current greenlet by itself, here it is an argument: who has no `me` cannot sleep, and the
//!           reader sees which calls may switch. Only `sleep` is here; gevent also patches sockets and locks.
//! Order:    who is due earlier runs earlier; of two that are due at the same instant, who asked first.
//! Blocks:   `sleep` switches; anything else that blocks, `thread::sleep` or a read, blocks all greenlets.
//! Ends:     with `main`. Others end where they sleep: their stacks are unwound, so their destructors run (which must not
//!           sleep). That needs `panic = "unwind"`; otherwise the program aborts.
//! Panics:   one greenlet's panic goes on to the caller of `run`, and ends the others in the same way.
//! Limits:   1 MiB of stack each, of which only touched pages are memory; who exceeds it meets a guard page: SIGSEGV.
//! Cost:     a spawn maps a stack; a switch is a few dozen instructions, no system call, besides that of the clock.
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

/// A sleep without end, short enough for an `Instant` to hold it: thirty years.
const FOREVER: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// The greenlet that runs, for itself: with it, it sleeps and spawns others.
pub struct Greenlet<'a> {
    /// Takes the time when it is to go on.
    yielder: &'a Yielder<(), Instant>,
    queue: Rc<Queue>,
}

/// Those that sleep or have not begun, the next one first.
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

/// Runs `main` and all that it spawns, until `main` returns. The error: there is no memory for its stack.
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
    /// Adds a greenlet, which begins when all that is due by now has run. The error: there is no memory for its stack.
    pub fn spawn(&self, body: impl FnOnce(&Greenlet) + 'static) -> io::Result<()> {
        let queue = Rc::clone(&self.queue);
        let body = Coroutine::with_stack(DefaultStack::new(STACK)?, move |yielder, ()| {
            body(&Greenlet { yielder, queue })
        });
        self.queue.push(Instant::now(), Body::Other(body));
        Ok(())
    }

    /// Lets the others run until `duration` has passed; with zero, those that are due by now.
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

    /// Waits until the first one is due. Main is in the heap whenever it does not run.
    fn next(&self) -> Body {
        let next = self.heap.borrow_mut().pop();
        next.map_or(Body::Main, |Reverse(entry)| {
            thread::sleep(entry.due.saturating_duration_since(Instant::now()));
            entry.body
        })
    }
}

/// Ends the greenlets that are left when `run` is over, also by a panic: they hold the queue that holds them.
struct EndsAll<'a>(&'a Queue);

impl Drop for EndsAll<'_> {
    fn drop(&mut self) {
        // A destructor on one of their stacks may spawn others, so nothing is borrowed meanwhile.
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
