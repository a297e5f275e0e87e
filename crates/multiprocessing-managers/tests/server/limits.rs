//! More connections than the limits allow.

use multiprocessing_managers::*;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

use super::*;

fn limited(connections: usize, strangers: usize) -> Running {
    let limits = Limits {
        connections,
        strangers,
        ..Limits::default()
    };
    serve_with(&unix(), Registry::sync_manager(), limits)
}

/// Whether the server has closed the connection: nothing comes but the challenge.
fn ended(raw: &mut Raw) -> bool {
    while let Ok(Some(_)) = raw.0.recv(300) {}
    let again = raw.0.recv(300);
    !again.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

#[test]
fn one_connection_too_many() {
    let running = limited(4, 4);
    let place = running.address();
    let mut calls: Vec<Raw> = (0..4).map(|_| Raw::accepted(place)).collect();
    assert!(ended(&mut Raw::stranger(place)));
    calls.pop();
    // There is room again as soon as the server has noticed.
    until("accepted", || Manager::connect(place, KEY).is_ok());
    assert_eq!(calls[0].ask("nobody", "x", []).unwrap().0, "#TRACEBACK");
}

#[test]
fn the_oldest_stranger_is_ended() {
    let running = limited(100, 3);
    let place = running.address();
    let mut known = Raw::accepted(place);
    let mut strangers: Vec<Raw> = (0..3).map(|_| Raw::stranger(place)).collect();
    for raw in &mut strangers {
        raw.0.recv(300).unwrap().unwrap();
    }
    for _ in 0..20 {
        strangers.push(Raw::stranger(place));
        assert!(ended(&mut strangers.remove(0)));
        let last = strangers.last_mut().unwrap();
        assert!(
            last.0
                .recv(300)
                .unwrap()
                .unwrap()
                .starts_with(b"#CHALLENGE#")
        );
    }
    // A quick client gets in.
    Manager::connect(place, KEY).unwrap();
    assert_eq!(known.ask("nobody", "x", []).unwrap().0, "#TRACEBACK");
}

/// Returns the processor time of this process.
fn used() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.try_into().unwrap()
}

#[test]
#[ignore = "run in a process of its own"]
fn alone_without_descriptors() {
    let limit = Rlimit {
        current: Some(60),
        maximum: getrlimit(Resource::Nofile).maximum,
    };
    setrlimit(Resource::Nofile, limit).unwrap();
    for strangers in [true, false] {
        let running = serve(&unix());
        let place = running.address();
        let list = create(place, ["list".into()]);
        let mut calls = Raw::accepted(place);
        let connect = || Stream::connect(place, Some(LIMIT)).ok();
        // Each connection takes a descriptor at both ends.
        let mut all: Vec<Raw> = vec![];
        while let Some(stream) = connect() {
            let mut raw = Raw(Frames::new(stream));
            let short = Some(Duration::from_millis(300));
            raw.0.stream().set_timeouts(short, short).unwrap();
            if !strangers && auth::connect(&mut raw.0, KEY, LIMIT).is_err() {
                all.push(raw);
                break;
            }
            all.push(raw);
        }
        assert!(all.len() > 10, "{}", all.len());
        let before = used();
        let begun = Instant::now();
        // Connected clients go on.
        while begun.elapsed() < Duration::from_millis(1500) {
            assert_eq!(calls.ask(&*list, "__len__", []).unwrap().0, "#RETURN");
            thread::sleep(Duration::from_millis(50));
        }
        let spun = used() - before;
        assert!(
            spun < Duration::from_millis(400),
            "{spun:?} of {:?}",
            begun.elapsed()
        );
        drop(all);
        let begun = Instant::now();
        until("served again", || Manager::connect(place, KEY).is_ok());
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
}

#[test]
fn without_descriptors() {
    alone(module_path!(), "alone_without_descriptors");
}
