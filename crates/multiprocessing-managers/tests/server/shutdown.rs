//! How a server ends.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use multiprocessing_managers::*;

use super::*;

/// As long as an end may take, with a client that does not read.
const SOON: Duration = Duration::from_secs(3);

/// An object whose one method takes a while.
struct Slow(AtomicBool);

impl Referent for Slow {
    fn typeid(&self) -> &'static str {
        "Slow"
    }

    fn exposed(&self) -> &'static [&'static str] {
        &["work"]
    }

    fn call(&self, _: &Arc<Caller>, _: &str, _: Args) -> Result<Reply, Failure> {
        self.0.store(true, Ordering::Release);
        thread::sleep(Duration::from_millis(300));
        Ok("done".into())
    }

    fn repr(&self) -> Result<String, Failure> {
        Ok("slow".to_owned())
    }

    fn value(&self) -> Result<Value, Failure> {
        Err(Exception::type_error("none").into())
    }
}

fn slow(place: &Address) -> (Running, Arc<Slow>) {
    let slow = Arc::new(Slow(AtomicBool::new(false)));
    let it = slow.clone();
    let mut registry = Registry::sync_manager();
    registry.register("slow", move |_| Ok(it.clone()));
    (serve_with(place, registry, Limits::default()), slow)
}

#[test]
fn replies_arrive_and_who_waits_is_told() {
    for place in places() {
        let (running, slow) = slow(&place);
        let place = running.address().clone();
        let manager = Manager::connect(&place, KEY).unwrap();
        let object = manager.create("slow", Args::default()).unwrap();
        let event = manager.event().unwrap();
        let worker = thread::spawn(move || object.call("work", Args::default()));
        let (sender, waits) = mpsc::channel();
        let waiter = thread::spawn(move || {
            event.is_set().unwrap();
            sender.send(()).unwrap();
            event.wait(None)
        });
        waits.recv().unwrap();
        until("at work", || slow.0.load(Ordering::Acquire));
        let begun = Instant::now();
        running.shutdown();
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
        assert_eq!(worker.join().unwrap().unwrap(), "done".into());
        let error = waiter.join().unwrap().unwrap_err();
        assert!(matches!(error, Error::Disconnected { .. }), "{error}");
        assert!(Manager::connect(&place, KEY).is_err());
    }
}

#[test]
fn a_client_that_does_not_read_delays_it_by_a_second() {
    for place in places() {
        let running = serve(&place);
        let place = running.address();
        let list = create(place, ["list".into()]);
        let mut calls = Raw::accepted(place);
        let large = Value::from("x".repeat(20 << 20).as_str());
        assert_eq!(calls.ask(&*list, "append", [large]).unwrap().0, "#RETURN");
        calls.send(&*list, "#GETVALUE", []);
        // And a stranger, and one in the middle of a message.
        let _stranger = Raw::stranger(place);
        let half = Raw::accepted(place);
        use std::io::Write;
        (&**half.0.stream()).write_all(&[0, 0, 1, 0, 1, 1]).unwrap();
        thread::sleep(MOMENT);
        let begun = Instant::now();
        running.shutdown();
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    }
}

#[test]
fn a_client_shuts_it_down() {
    for place in places() {
        let running = serve(&place);
        let manager = Manager::connect(running.address(), KEY).unwrap();
        manager.shutdown().unwrap();
        let begun = Instant::now();
        running.join();
        assert!(begun.elapsed() < SOON);
    }
}

#[test]
fn the_file_of_the_socket_goes_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    for drops in [true, false] {
        let running = serve(&Address::Unix(path.clone()));
        Manager::connect(running.address(), KEY).unwrap();
        assert!(path.exists());
        match drops {
            true => drop(running),
            false => drop(running.shutdown()),
        }
        assert!(!path.exists());
    }
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

#[test]
#[ignore = "run in a process of its own"]
fn alone_nothing_is_left() {
    let descriptors = || fs::read_dir("/proc/self/fd").unwrap().count();
    let before = (threads(), descriptors());
    for place in places() {
        for _ in 0..5 {
            let running = serve(&place);
            let place = running.address();
            let lock = create(place, ["Lock".into()]);
            let mut all: Vec<Raw> = (0..20).map(|_| Raw::accepted(place)).collect();
            // One of them has it, the others wait.
            for raw in &mut all {
                raw.send(&*lock, "acquire", []);
            }
            let strangers: Vec<Raw> = (0..20).map(|_| Raw::stranger(place)).collect();
            thread::sleep(MOMENT);
            assert!(threads() > before.0 + 20);
            drop(running);
            drop((all, strangers));
        }
    }
    until("as before", || (threads(), descriptors()) == before);
}

#[test]
fn nothing_is_left() {
    alone(module_path!(), "alone_nothing_is_left");
}

/// A function of the program's own goes on as long as it likes; the server does not wait for it.
#[test]
fn a_call_without_end_is_left() {
    let (begun, has_begun) = mpsc::channel();
    let (end, may_end) = mpsc::channel::<()>();
    let may_end = std::sync::Mutex::new(may_end);
    let mut registry = Registry::new();
    registry.register("stuck", move |_| {
        begun.send(()).unwrap();
        lock(&may_end).recv().ok();
        Err(Exception::memory_error())
    });
    let running = serve_with(&unix(), registry, Limits::default());
    let place = running.address().clone();
    let client =
        thread::spawn(move || Manager::connect(&place, KEY)?.create("stuck", Args::default()));
    has_begun.recv_timeout(LIMIT).unwrap();
    assert_eq!(running.shutdown().left, 1);
    drop(end);
    assert!(client.join().unwrap().is_err());
}
