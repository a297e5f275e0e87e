//! Each method of each proxy.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use multiprocessing_managers::*;

use super::with_both;

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(20);

fn ints(values: impl IntoIterator<Item = i64>) -> Vec<Value> {
    values.into_iter().map(Value::from).collect()
}

#[test]
fn lists() {
    with_both(|manager| {
        let list = manager.list([3i64, 1, 2]).unwrap();
        list.append(5i64).unwrap();
        list.extend([9i64, 5]).unwrap();
        list.insert(0, 7i64).unwrap();
        assert_eq!(list.to_vec().unwrap(), ints([7, 3, 1, 2, 5, 9, 5]));
        assert_eq!(list.len().unwrap(), 7);
        assert_eq!(list.get(-2).unwrap(), 9i64.into());
        list.set(-2, 8i64).unwrap();
        assert_eq!(list.slice(1..3).unwrap(), ints([3, 1]));
        assert_eq!(list.slice(..=-1).unwrap(), ints([7, 3, 1, 2, 5, 8, 5]));
        assert_eq!(list.slice(-2..).unwrap(), ints([8, 5]));
        assert_eq!(list.slice(..=1).unwrap(), ints([7, 3]));
        assert!(list.contains(8i64).unwrap());
        assert_eq!(list.count(5i64).unwrap(), 2);
        assert_eq!(list.index(5i64).unwrap(), Some(4));
        assert_eq!(list.index(50i64).unwrap(), None);
        list.remove(5i64).unwrap();
        list.delete(0).unwrap();
        assert!(list.remove(50i64).unwrap_err().is("builtins", "ValueError"));
        list.sort().unwrap();
        list.reverse().unwrap();
        let items: Vec<_> = list.iter().map(Result::unwrap).collect();
        assert_eq!(items, ints([8, 5, 3, 2, 1]));
        assert_eq!(list.pop_at(0).unwrap(), 8i64.into());
        for expected in [1i64, 2, 3, 5] {
            assert_eq!(list.pop().unwrap(), Some(expected.into()));
        }
        assert!(list.is_empty().unwrap());
        assert_eq!(list.pop().unwrap(), None);
    });
}

#[test]
fn dicts() {
    with_both(|manager| {
        let dict = manager.dict([("a", 1i64), ("b", 2)]).unwrap();
        dict.set("c", 3i64).unwrap();
        dict.update([("d", 4i64)]).unwrap();
        assert_eq!(dict.len().unwrap(), 4);
        assert_eq!(dict.get("c").unwrap(), Some(3i64.into()));
        assert_eq!(dict.get("x").unwrap(), None);
        assert!(dict.contains("a").unwrap());
        assert_eq!(dict.setdefault("a", 9i64).unwrap(), 1i64.into());
        assert_eq!(dict.values().unwrap(), ints([1, 2, 3, 4]));
        let items = dict.items().unwrap();
        assert_eq!(items[1], ("b".into(), 2i64.into()));
        assert!(dict.remove("b").unwrap());
        assert!(!dict.remove("b").unwrap());
        let keys: Vec<Value> = ["a", "c", "d"].map(Value::from).into();
        assert_eq!(dict.keys().unwrap(), keys);
        let iterated: Vec<_> = dict.iter().unwrap().map(Result::unwrap).collect();
        assert_eq!(iterated, keys);
        // The iterators are objects of the server, and have been dropped.
        assert_eq!(manager.number_of_objects().unwrap(), 1);
        let mut iterator = dict.iter().unwrap();
        assert_eq!(dict.popitem().unwrap(), Some(("d".into(), 4i64.into())));
        let error = iterator.next().unwrap().unwrap_err();
        assert!(error.is("builtins", "RuntimeError"), "{error}");
        assert_eq!(dict.pop("c").unwrap(), Some(3i64.into()));
        assert_eq!(dict.pop("c").unwrap(), None);
        dict.clear().unwrap();
        assert_eq!(dict.popitem().unwrap(), None);
        assert!(dict.is_empty().unwrap());
        let error = dict.get(Value::list([])).unwrap_err();
        assert_eq!(error.to_string(), "TypeError: unhashable type: 'list'");
    });
}

#[test]
fn namespaces_values_and_arrays() {
    with_both(|manager| {
        let namespace = manager.namespace().unwrap();
        namespace.set("x", 1i64).unwrap();
        assert_eq!(namespace.get("x").unwrap(), Some(1i64.into()));
        assert_eq!(namespace.repr().unwrap(), "Namespace(x=1)");
        namespace.delete("x").unwrap();
        assert_eq!(namespace.get("x").unwrap(), None);

        let value = manager.value('i', 5i64).unwrap();
        value.set("text").unwrap();
        assert_eq!(value.get().unwrap(), "text".into());
        assert_eq!(value.repr().unwrap(), "Value('i', 'text')");

        let array = manager.array('h', [1i64, 2, 3]).unwrap();
        array.set(1, -2i64).unwrap();
        assert_eq!(array.get(1).unwrap(), (-2i64).into());
        assert_eq!(array.len().unwrap(), 3);
        let items: Vec<_> = array.iter().map(Result::unwrap).collect();
        assert_eq!(items, ints([1, -2, 3]));
        let Value::Array(slice) = array.slice(1..).unwrap() else {
            panic!("no array");
        };
        assert_eq!(slice.typecode, 'h');
        assert_eq!(
            slice.bytes,
            [(-2i16).to_ne_bytes(), 3i16.to_ne_bytes()].concat()
        );
        let error = array.set(0, 1i64 << 20).unwrap_err();
        assert!(error.is("builtins", "OverflowError"), "{error}");
    });
}

#[test]
fn queues() {
    with_both(|manager| {
        let queue = manager.queue(1).unwrap();
        assert_eq!(queue.get_nowait().unwrap(), None);
        assert_eq!(queue.get_timeout(SHORT).unwrap(), None);
        assert_eq!(queue.put_nowait(1i64).unwrap(), Put::Done);
        assert_eq!(queue.put_nowait(2i64).unwrap(), Put::Full);
        assert_eq!(queue.put_timeout(2i64, SHORT).unwrap(), Put::Full);
        assert!(queue.is_full().unwrap());
        assert_eq!(queue.len().unwrap(), 1);
        assert_eq!(queue.get().unwrap(), 1i64.into());
        assert!(queue.is_empty().unwrap());
        queue.task_done().unwrap();
        queue.join().unwrap();
        let error = queue.task_done().unwrap_err();
        assert!(error.is("builtins", "ValueError"), "{error}");
        // A blocked `get` and a blocked `join` in other threads.
        let joinable = manager.joinable_queue(0).unwrap();
        let worker = joinable.clone();
        let worker = thread::spawn(move || {
            let item = worker.get().unwrap();
            worker.task_done().unwrap();
            item
        });
        joinable.put("item").unwrap();
        joinable.join().unwrap();
        assert_eq!(worker.join().unwrap(), "item".into());
    });
}

#[test]
fn a_thread_owns_its_rlock() {
    with_both(|manager| {
        let rlock = manager.rlock().unwrap();
        let guard = rlock.lock().unwrap();
        let again = rlock.lock().unwrap();
        thread::scope(|scope| {
            let other = scope.spawn(|| {
                assert!(!rlock.acquire(false, None).unwrap());
                assert!(!rlock.acquire(true, Some(SHORT)).unwrap());
                let error = rlock.release().unwrap_err();
                assert!(error.is("builtins", "RuntimeError"), "{error}");
            });
            other.join().unwrap();
            drop(again);
            guard.release().unwrap();
            scope.spawn(|| drop(rlock.lock().unwrap()));
        });
        assert!(rlock.release().unwrap_err().is("builtins", "RuntimeError"));
    });
}

#[test]
fn locks_and_semaphores() {
    with_both(|manager| {
        let lock = manager.lock().unwrap();
        assert!(lock.acquire(true, None).unwrap());
        // The lock has no owner.
        thread::scope(|scope| scope.spawn(|| lock.release().unwrap()).join().unwrap());
        let guard = lock.lock().unwrap();
        assert!(!lock.acquire(true, Some(SHORT)).unwrap());
        drop(guard);
        assert!(lock.acquire(false, None).unwrap());
        let error = lock.acquire(false, Some(SHORT)).unwrap_err();
        assert!(error.is("builtins", "ValueError"), "{error}");

        let semaphore = manager.semaphore(2).unwrap();
        let guards = [semaphore.lock().unwrap(), semaphore.lock().unwrap()];
        assert!(!semaphore.acquire(false, None).unwrap());
        drop(guards);
        assert!(semaphore.acquire(true, Some(Duration::MAX)).unwrap());
        let bounded = manager.bounded_semaphore(1).unwrap();
        assert!(bounded.release().unwrap_err().is("builtins", "ValueError"));
    });
}

#[test]
fn conditions_events_and_barriers() {
    with_both(|manager| {
        let lock = manager.lock().unwrap();
        for condition in [
            manager.condition().unwrap(),
            manager.condition_with(&lock).unwrap(),
        ] {
            let value = manager.value('i', 0i64).unwrap();
            let ready = || Ok(value.get()? == 1i64.into());
            let (sender, waiting) = mpsc::channel();
            thread::scope(|scope| {
                let waiter = scope.spawn(|| {
                    let _guard = condition.lock().unwrap();
                    sender.send(()).unwrap();
                    condition.wait_for(ready, Some(LONG)).unwrap()
                });
                waiting.recv().unwrap();
                let guard = condition.lock().unwrap();
                value.set(1i64).unwrap();
                condition.notify(1).unwrap();
                guard.release().unwrap();
                assert!(waiter.join().unwrap());
            });
            let _guard = condition.lock().unwrap();
            assert!(!condition.wait(Some(SHORT)).unwrap());
            value.set(0i64).unwrap();
            assert!(!condition.wait_for(ready, Some(SHORT)).unwrap());
            condition.notify_all().unwrap();
        }
        let error = manager.condition().unwrap().notify(1).unwrap_err();
        assert!(error.is("builtins", "RuntimeError"), "{error}");

        let event = manager.event().unwrap();
        assert!(!event.wait(Some(SHORT)).unwrap());
        thread::scope(|scope| {
            let waiter = scope.spawn(|| event.wait(None).unwrap());
            event.set().unwrap();
            assert!(waiter.join().unwrap());
        });
        assert!(event.is_set().unwrap());
        event.clear().unwrap();
        assert!(!event.is_set().unwrap());

        let barrier = manager.barrier(2, Some(LONG)).unwrap();
        assert_eq!(barrier.parties().unwrap(), 2);
        thread::scope(|scope| {
            let other = scope.spawn(|| barrier.wait(None).unwrap());
            let places = barrier.wait(None).unwrap() + other.join().unwrap();
            assert_eq!(places, 1);
        });
        assert_eq!(barrier.n_waiting().unwrap(), 0);
        let error = barrier.wait(Some(SHORT)).unwrap_err();
        assert!(error.is("threading", "BrokenBarrierError"), "{error}");
        assert!(barrier.broken().unwrap());
        barrier.reset().unwrap();
        assert!(!barrier.broken().unwrap());
        barrier.abort().unwrap();
        assert!(barrier.broken().unwrap());
    });
}
