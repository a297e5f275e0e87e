//! Connections, counts and failures.

use multiprocessing_managers::*;

use super::*;

#[test]
fn counts_are_given_back() {
    with_python(|python| {
        let manager = python.manager();
        let list = manager.list([1i64, 2]).unwrap();
        let clone = list.clone();
        assert_eq!(manager.number_of_objects().unwrap(), 1);
        drop(list);
        assert_eq!(clone.len().unwrap(), 2);
        drop(clone);
        assert_eq!(manager.number_of_objects().unwrap(), 0);
        assert_eq!(manager.debug_info().unwrap(), "");
    });
}

#[test]
fn over_tcp() {
    let Some(python) = Python::start(false) else {
        return;
    };
    limited(move || {
        let manager = python.manager();
        let dict = manager.dict([("a", 1i64)]).unwrap();
        assert_eq!(dict.get("a").unwrap(), Some(1i64.into()));
        let keys: Vec<_> = dict.iter().unwrap().map(Result::unwrap).collect();
        assert_eq!(keys, ["a".into()]);
        manager.shutdown().unwrap();
    });
}

#[test]
fn the_wrong_key_and_nobody_there() {
    with_python(|python| {
        let error = Manager::connect(&python.address, b"wrong").err().unwrap();
        assert!(matches!(error, Error::Auth(_)), "{error}");
        python.kill();
        let error = Manager::connect(&python.address, KEY).err().unwrap();
        assert!(matches!(error, Error::Io { .. }), "{error}");
    });
}

#[test]
fn every_kind_of_failure() {
    with_both(|manager| {
        let list = manager.list::<Value>([]).unwrap();
        let error = list.get(7).unwrap_err();
        assert!(error.is("builtins", "IndexError"), "{error}");
        assert_eq!(error.to_string(), "IndexError: list index out of range");
        let error = list.call("nothing", Args::default()).unwrap_err();
        assert!(matches!(&error, Error::Remote(text) if text.contains("nothing")));
        let error = manager.create("nothing", Args::default()).unwrap_err();
        assert!(matches!(&error, Error::Remote(text) if text.contains("KeyError")));
        let lock = manager.lock().unwrap();
        let error = lock.value().unwrap_err();
        assert!(matches!(&error, Error::Unserializable(_)), "{error}");
        let error = manager.attach(&Value::None).unwrap_err();
        assert!(matches!(&error, Error::Protocol(_)), "{error}");
        // The connection still works.
        list.append(1i64).unwrap();
        assert_eq!(list.repr().unwrap(), "[1]");
    });
}

#[test]
fn proxies_inside_of_values() {
    with_both(|manager| {
        let dict = manager.dict::<&str, Value>([]).unwrap();
        let inner = manager.list([1i64]).unwrap();
        let queue = manager.queue(0).unwrap();
        dict.set("list", &inner).unwrap();
        dict.set("queue", Value::list([Value::from(&queue)]))
            .unwrap();
        // An object stored in another object has no count, but is alive.
        drop((inner, queue));
        assert_eq!(manager.number_of_objects().unwrap(), 1);
        let value = dict.get("list").unwrap().unwrap();
        assert_eq!(manager.number_of_objects().unwrap(), 2);
        let inner = ListProxy::from(manager.attach(&value).unwrap());
        drop(value);
        inner.append(2i64).unwrap();
        assert_eq!(inner.to_vec().unwrap(), [1i64.into(), 2i64.into()]);
        let value = dict.get("queue").unwrap().unwrap();
        let Value::List(items) = &value else {
            panic!("{value}");
        };
        let queue = QueueProxy::from(manager.attach(&items[0]).unwrap());
        assert_eq!(queue.exposed().map(<[_]>::len), Some(9));
        queue.put(&inner).unwrap();
        let again = manager.attach(&queue.get().unwrap()).unwrap();
        assert_eq!(again.ident(), inner.ident());
        drop((queue, again, inner, value));
        assert_eq!(manager.number_of_objects().unwrap(), 1);
    });
}

#[test]
fn a_killed_server_leaves_nobody_waiting() {
    with_python(|python| {
        let manager = python.manager();
        let event = manager.event().unwrap();
        let lock = manager.lock().unwrap();
        let (sender, waiting) = mpsc::channel();
        let waiter = {
            let event = event.clone();
            thread::spawn(move || {
                event.is_set().unwrap();
                sender.send(()).unwrap();
                event.wait(None)
            })
        };
        let guard = lock.lock().unwrap();
        waiting.recv().unwrap();
        thread::sleep(Duration::from_millis(50));
        python.kill();
        let error = waiter.join().unwrap().unwrap_err();
        assert!(matches!(error, Error::Disconnected { .. }), "{error}");
        let error = event.set().unwrap_err();
        assert!(matches!(error, Error::Disconnected { .. }), "{error}");
        // This thread has lost its connection and cannot open another.
        let error = event.set().unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error}");
        let error = guard.release().unwrap_err();
        assert!(matches!(error, Error::Disconnected { .. }), "{error}");
    });
}

#[test]
fn a_server_that_ends_leaves_nobody_waiting() {
    limited(|| {
        let server = SyncManager::start().unwrap();
        let queue = server.queue(0).unwrap();
        let (sender, waiting) = mpsc::channel();
        let waiter = thread::spawn(move || {
            queue.len().unwrap();
            sender.send(()).unwrap();
            queue.get()
        });
        waiting.recv().unwrap();
        drop(server);
        let error = waiter.join().unwrap().unwrap_err();
        assert!(matches!(error, Error::Disconnected { .. }), "{error}");
    });
}

/// The server then releases the locks that the thread held.
#[test]
fn a_thread_that_ends_closes_its_connection() {
    limited(|| {
        let server = SyncManager::start().unwrap();
        let lock = server.rlock().unwrap();
        let other = lock.clone();
        let thread = thread::spawn(move || other.acquire(true, None).unwrap());
        assert!(thread.join().unwrap());
        drop(lock.lock().unwrap());
    });
}

#[test]
fn a_stopped_server_hears_no_farewell() {
    with_python(|python| {
        let manager = python.manager();
        let list = manager.list([1i64]).unwrap();
        manager.shutdown().unwrap();
        python.child.wait().unwrap();
        drop(list);
    });
}
