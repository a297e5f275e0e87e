//! Items that are given to waiting callers, some of which give up or go away: each item is taken once, in order, and every
//! caller that is called wakes, or loom finds a deadlock.

//!
//! Only threads, locks and atomics are loom's, and `poll`, the eventfd and the clock a model (`src/sync/model.rs`); all else
//! is the library's own code. A wait without a time limit never ends by itself, so a lost wake-up is a deadlock, which
//! loom reports. `RUSTFLAGS="--cfg loom" cargo test -p multiprocessing-managers --test loom --release`

#![cfg(loom)]
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use loom::sync::Mutex;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread::{self, JoinHandle};
use multiprocessing_managers::sync::{OwnedFd, hang_up, socket, time_is_over};
use multiprocessing_managers::types::Lock;
use multiprocessing_managers::types::line::{Line, Place, Turn};
use multiprocessing_managers::{Args, Caller, Failure};

const SOME_TIME: Option<Duration> = Some(Duration::from_secs(1));

#[derive(Default)]
struct Store {
    things: Vec<u32>,
    line: Line<u32>,
}

impl Store {
    fn put(&mut self, thing: u32) {
        if let Err(thing) = self.line.give(thing) {
            self.things.push(thing);
        }
    }
}

type Shared = Arc<Mutex<Store>>;

/// Tries all interleavings with up to this many preemptions.
fn model(switches: usize, test: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(switches);
    model.check(test);
}

fn put(store: &Shared, thing: u32) {
    store.lock().unwrap().put(thing);
}

fn join(store: &Shared, caller: &Arc<Caller>) -> Place {
    store.lock().unwrap().line.join(caller, ()).unwrap()
}

/// Waits, and returns the item. An item of a caller that has gone away is put back.
fn wait(store: &Shared, place: Place, timeout: Option<Duration>) -> Option<u32> {
    let (turn, mut store) = place.wait(timeout, store, |store| &mut store.line);
    match turn {
        Turn::Given(thing) => return Some(thing),
        Turn::TimedOut => assert!(timeout.is_some()),
        Turn::Gone(given) => given.into_iter().for_each(|thing| store.put(thing)),
    }
    None
}

/// Starts a thread that waits at the next place of the line.
fn waiter(
    store: &Shared,
    caller: Arc<Caller>,
    timeout: Option<Duration>,
) -> JoinHandle<Option<u32>> {
    let place = join(store, &caller);
    let store = store.clone();
    thread::spawn(move || wait(&store, place, timeout))
}

fn remote() -> (Arc<Caller>, Arc<OwnedFd>) {
    let socket = Arc::new(socket().unwrap());
    (Caller::remote(socket.clone()), socket)
}

#[test]
fn first_come_first_served() {
    model(3, || {
        let store = Shared::default();
        let waiters = [1, 2].map(|_| waiter(&store, Caller::local(), None));
        put(&store, 1);
        put(&store, 2);
        let got = waiters.map(|waiter| waiter.join().unwrap());
        assert_eq!(got, [Some(1), Some(2)]);
    });
}

#[test]
fn a_caller_that_gives_up_was_given_it_or_leaves_it() {
    model(2, || {
        let store = Shared::default();
        let hasty = waiter(&store, Caller::local(), SOME_TIME);
        let patient = waiter(&store, Caller::local(), None);
        let clock = thread::spawn(time_is_over);
        put(&store, 1);
        put(&store, 2);
        let got = [hasty, patient].map(|waiter| waiter.join().unwrap());
        clock.join().unwrap();
        let left = &store.lock().unwrap().things;
        match got {
            [Some(1), Some(2)] => assert!(left.is_empty()),
            [None, Some(1)] => assert_eq!(*left, [2]),
            _ => panic!("{got:?}"),
        }
    });
}

#[test]
fn what_the_gone_were_given_is_for_the_next() {
    model(2, || {
        let store = Shared::default();
        let (caller, client) = remote();
        let gone = waiter(&store, caller, None);
        let next = waiter(&store, Caller::local(), None);
        let client = thread::spawn(move || hang_up(&client).unwrap());
        put(&store, 1);
        // The caller may have taken the item before it went away.
        if gone.join().unwrap().is_some() {
            put(&store, 1);
        }
        assert_eq!(next.join().unwrap(), Some(1));
        client.join().unwrap();
        let store = store.lock().unwrap();
        assert!(store.things.is_empty() && store.line.len() == 0);
    });
}

/// A caller that is called just as it gives up finds its eventfd readable at its next wait.
#[test]
fn a_stale_event_wakes_for_nothing() {
    model(3, || {
        let store = Shared::default();
        let caller = Caller::local();
        let place = join(&store, &caller);
        let waiter = thread::spawn({
            let store = store.clone();
            move || {
                let first = wait(&store, place, SOME_TIME);
                let mut state = store.lock().unwrap();
                let second = state.things.pop().or_else(|| {
                    let place = state.line.join(&caller, ()).unwrap();
                    drop(state);
                    wait(&store, place, None)
                });
                (first, second)
            }
        });
        let clock = thread::spawn(time_is_over);
        put(&store, 1);
        put(&store, 2);
        let got = waiter.join().unwrap();
        clock.join().unwrap();
        let left = &store.lock().unwrap().things;
        match got {
            (Some(1), Some(2)) => assert!(left.is_empty()),
            (None, Some(1)) => assert_eq!(*left, [2]),
            (None, Some(2)) => assert_eq!(*left, [1]),
            _ => panic!("{got:?}"),
        }
    });
}

/// A caller that goes away while it waits, or before it reads that it has the lock, passes the lock on.
#[test]
fn a_lock_is_held_by_one() {
    model(2, || {
        let lock = Lock::new(Args::default()).unwrap();
        let inside = Arc::new(AtomicBool::new(false));
        let be_inside = |inside: &AtomicBool| {
            assert!(!inside.swap(true, Ordering::Relaxed));
            inside.store(false, Ordering::Relaxed);
        };
        let start = |caller: Arc<Caller>, release: fn(&Lock, &Caller)| {
            let (lock, inside) = (lock.clone(), inside.clone());
            thread::spawn(move || {
                let acquired = lock.acquire(&caller, None);
                if acquired.is_ok() {
                    be_inside(&inside);
                    release(&lock, &caller);
                }
                acquired
            })
        };
        lock.acquire(&Caller::local(), None).unwrap();
        let (caller, client) = remote();
        let gone = start(caller, |_, caller| caller.receipt().unwrap().unread());
        let next = start(Caller::local(), |lock, _| lock.release().unwrap());
        let client = thread::spawn(move || hang_up(&client).unwrap());
        be_inside(&inside);
        lock.release().unwrap();
        let gone = gone.join().unwrap();
        assert!(matches!(gone, Ok(true) | Err(Failure::Gone)));
        assert!(next.join().unwrap().unwrap());
        client.join().unwrap();
        assert!(!lock.locked());
    });
}
