//! Clients that are killed, or disconnect, while they hold or wait for something.

use std::collections::BTreeSet;
use std::sync::Mutex;

use multiprocessing_managers::types::{Lock, Queue, RLock, Semaphore};
use multiprocessing_managers::*;

use super::*;

/// The number of times that each kill is repeated.
fn rounds() -> u64 {
    env::var("ROUNDS").map_or(2, |rounds| rounds.parse().unwrap())
}

/// Starts a server whose `it()` returns the object.
fn serve_it(place: &Address, it: Arc<dyn Referent>) -> Running {
    let mut registry = Registry::sync_manager();
    registry.register("it", move |_| Ok(it.clone()));
    serve_with(place, registry, Limits::default())
}

fn call(object: &dyn Referent, caller: &Arc<Caller>, method: &str, args: Args) -> Value {
    match object.call(caller, method, args) {
        Ok(Reply::Value(value)) => value,
        Ok(Reply::Object(_)) => panic!("an object"),
        Err(failure) => panic!("{failure:?}"),
    }
}

/// A caller of this process acquires and releases it.
fn passes(object: &dyn Referent) -> bool {
    let caller = Caller::local();
    let limit = Args::new([true.into(), LIMIT.as_secs_f64().into()]);
    let passed = call(object, &caller, "acquire", limit) == Value::Bool(true);
    if passed {
        call(object, &caller, "release", Args::default());
    }
    passed
}

#[test]
fn what_a_killed_client_held_is_given_back() {
    for place in places() {
        for _ in 0..rounds() {
            let objects: [Arc<dyn Referent>; 3] = [
                Lock::new(Args::default()).unwrap(),
                RLock::new(Args::default()).unwrap(),
                Semaphore::bounded(Args::default()).unwrap(),
            ];
            for object in objects {
                let running = serve_it(&place, object.clone());
                let script = "
l, held = m.it(), m.list([1])
l.acquire()
say('acquired')
signal.pause()
";
                let Some(mut python) = Python::run(running.address(), script) else {
                    return;
                };
                assert_eq!(python.line(), "acquired");
                assert_eq!(running.number_of_objects(), 2);
                python.kill();
                assert!(passes(&*object), "{} {place}", object.typeid());
                until("forgotten", || running.number_of_objects() == 0);
            }
        }
    }
}

/// The killed client may have read the reply, or may hold the lock, or neither.
#[test]
fn a_killed_waiter_takes_nothing() {
    let mut dice = Dice(1);
    for place in places() {
        for _ in 0..rounds() {
            let objects: [Arc<dyn Referent>; 3] = [
                Lock::new(Args::default()).unwrap(),
                RLock::new(Args::default()).unwrap(),
                Semaphore::bounded(Args::default()).unwrap(),
            ];
            for object in objects {
                let running = serve_it(&place, object.clone());
                let owner = Caller::local();
                call(&*object, &owner, "acquire", Args::default());
                let script = "
l = m.it()
say('waits')
l.acquire()
signal.pause()
";
                let Some(mut python) = Python::run(running.address(), script) else {
                    return;
                };
                assert_eq!(python.line(), "waits");
                thread::sleep(Duration::from_micros(dice.roll(8000)));
                let release = || call(&*object, &owner, "release", Args::default());
                if dice.roll(2) == 0 {
                    python.kill();
                    release();
                } else {
                    release();
                    python.kill();
                }
                assert!(passes(&*object), "{} {place}", object.typeid());
            }
        }
    }
}

#[test]
fn a_client_that_ends_by_itself_leaves_a_lock_locked() {
    for place in places() {
        let object = Lock::new(Args::default()).unwrap();
        let running = serve_it(&place, object.clone());
        let Some(mut python) = Python::run(running.address(), "m.it().acquire(); say('done')\n")
        else {
            return;
        };
        assert_eq!(python.rest(), "done\n");
        assert!(python.0.wait().unwrap().success());
        until("forgotten", || running.number_of_objects() == 0);
        thread::sleep(Duration::from_millis(300));
        assert!(object.locked());
        // Any caller may release the lock.
        object.release().unwrap();
    }
}

#[test]
fn a_client_killed_while_it_creates_leaves_nothing() {
    let mut dice = Dice(5);
    for place in places() {
        let running = serve(&place);
        for _ in 0..rounds() {
            let script = "
say('creates')
all = []
while True:
    all.append(m.list())
    all.append(m.dict(a=all[-1]))
    del all[:-10]
";
            let Some(mut python) = Python::run(running.address(), script) else {
                return;
            };
            assert_eq!(python.line(), "creates");
            thread::sleep(Duration::from_micros(5000 + dice.roll(20_000)));
            python.kill();
            until("forgotten", || running.number_of_objects() == 0);
            thread::sleep(Duration::from_millis(5));
            assert_eq!(running.number_of_objects(), 0, "{place}");
        }
    }
}

/// Every item is with the consumer, in the queue, or reported as lost; at most one may be both consumed and reported.
#[test]
fn no_item_is_lost_in_silence() {
    const ITEMS: i64 = 2000;
    let mut dice = Dice(3);
    for place in places() {
        for _ in 0..rounds() {
            let queue = Queue::unbounded();
            let lost = Arc::new(Mutex::new(vec![]));
            let all = lost.clone();
            queue.on_lost(Box::new(move |item, how| lock(&all).push((item, how))));
            let running = serve_it(&place, queue.clone());
            let Some(mut python) = Python::run(
                running.address(),
                "
q = m.it()
say('gets')
while True:
    say(q.get())
",
            ) else {
                return;
            };
            assert_eq!(python.line(), "gets");
            (0..ITEMS).for_each(|item| queue.put(item.into(), None).unwrap());
            thread::sleep(Duration::from_micros(dice.roll(30_000)));
            python.kill();
            let text = python.rest();
            // A line may be torn by the kill.
            let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
            let said: BTreeSet<i64> = whole.lines().map(|line| line.parse().unwrap()).collect();
            until("forgotten", || running.number_of_objects() == 0);
            // Within 200 ms the server knows whether the connection's last item was read.
            thread::sleep(Duration::from_millis(300));
            let mut left = BTreeSet::new();
            while !queue.is_empty() {
                left.insert(queue.get(None).unwrap().as_int().unwrap());
            }
            let lost = std::mem::take(&mut *lock(&lost));
            assert!(lost.len() <= 1, "{lost:?}");
            for (item, how) in lost {
                assert_eq!(how, Gone::Killed);
                assert!(left.insert(item.as_int().unwrap()));
            }
            assert!(said.intersection(&left).count() <= 1, "{place}: come twice");
            let all = said.union(&left).count() as i64;
            assert_eq!(
                all,
                ITEMS,
                "{place}: {} said, {} left",
                said.len(),
                left.len()
            );
        }
    }
}

/// The client disconnects between its request and the reply.
#[test]
fn what_was_not_read_is_put_back() {
    for place in places() {
        let queue = Queue::unbounded();
        let running = serve_it(&place, queue.clone());
        let place = running.address();
        let told = Arc::new(Mutex::new(vec![]));
        let all = told.clone();
        queue.on_lost(Box::new(move |item, how| lock(&all).push((item, how))));
        for round in 0..50 {
            let ident = create(place, ["it".into()]);
            let mut calls = Raw::accepted(place);
            queue.put(Value::Int(round), None).unwrap();
            calls.send(&*ident, "get", []);
            if round % 2 == 0 {
                until("taken", || queue.is_empty());
            }
            drop(calls);
            let item = queue.get(Some(LIMIT)).unwrap();
            assert_eq!(item, Value::Int(round), "{place}");
        }
        assert!(lock(&told).is_empty());
        let lock = create(place, ["Lock".into()]);
        for round in 0..50 {
            let mut calls = Raw::accepted(place);
            calls.send(&*lock, "acquire", []);
            if round % 2 == 0 {
                thread::sleep(Duration::from_millis(2));
            }
            drop(calls);
            let mut next = Raw::accepted(place);
            let acquired = next.ask(&*lock, "acquire", [true.into(), 10.0.into()]);
            assert_eq!(acquired.unwrap().1, Value::Bool(true), "{place} {round}");
            next.ask(&*lock, "release", []).unwrap();
        }
    }
}

/// The client read the item and sent nothing more: the hook is told how it ended.
#[test]
fn an_item_in_the_hands_of_the_killed_is_reported() {
    for place in places() {
        for (killed, how) in [(true, Gone::Killed), (false, Gone::Left)] {
            let queue = Queue::unbounded();
            let told = Arc::new(Mutex::new(vec![]));
            let all = told.clone();
            queue.on_lost(Box::new(move |item, how| lock(&all).push((item, how))));
            let running = serve_it(&place, queue.clone());
            queue.put(7i64.into(), None).unwrap();
            let script = "q = m.it()\nsay(q.get())\nsys.stdin.read()\n";
            let Some(mut python) = Python::run(running.address(), script) else {
                return;
            };
            assert_eq!(python.line(), "7");
            if killed {
                python.kill();
            } else {
                drop(python.0.stdin.take());
                python.0.wait().unwrap();
            }
            until("reported", || !lock(&told).is_empty());
            assert_eq!(*lock(&told), [(7i64.into(), how)]);
        }
    }
}
