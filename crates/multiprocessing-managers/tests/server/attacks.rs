//! Hostile peers, with and without the key.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use multiprocessing_managers::*;

use super::*;

/// The time limit for another client's call during an attack. A debug build that runs other tests too is slower.
const SLOW: Duration = Duration::from_secs(if cfg!(debug_assertions) { 4 } else { 1 });

/// Starts a server with a short time limit for handshakes.
fn strict(place: &Address) -> Running {
    let limits = Limits {
        handshake: Duration::from_millis(300),
        ..Limits::default()
    };
    serve_with(place, Registry::sync_manager(), limits)
}

/// Runs an attack while a normal client makes its calls.
fn beside(place: &Address, attack: impl FnOnce()) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let client = scope.spawn(|| {
            let manager = Manager::connect(place, KEY).unwrap();
            let list = manager.list([1i64]).unwrap();
            loop {
                let last = over.load(Ordering::Acquire);
                let begun = Instant::now();
                assert_eq!(list.len().unwrap(), 1);
                assert!(begun.elapsed() < SLOW, "a call took {:?}", begun.elapsed());
                let begun = Instant::now();
                Manager::connect(place, KEY).unwrap();
                manager.list([2i64]).unwrap();
                assert!(begun.elapsed() < SLOW, "a list took {:?}", begun.elapsed());
                if last {
                    return;
                }
            }
        });
        struct Over<'a>(&'a AtomicBool);
        impl Drop for Over<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Release);
            }
        }
        let guard = Over(&over);
        attack();
        drop(guard);
        client.join().unwrap();
    });
}

/// The peer sees the end of its connection.
fn ends(raw: &mut Raw) {
    while let Ok(Some(_)) = raw.0.recv(usize::MAX) {}
    let left = raw.0.recv(usize::MAX);
    let waits = left.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
    assert!(!waits, "the connection goes on");
}

#[test]
fn strangers() {
    for place in places() {
        let running = strict(&place);
        let place = running.address();
        beside(place, || {
            // The peer sends nothing.
            let begun = Instant::now();
            ends(&mut Raw::stranger(place));
            assert!(begun.elapsed() < Duration::from_secs(5));
            // The peer sends a byte from time to time.
            let mut raw = Raw::stranger(place);
            raw.0.recv(300).unwrap();
            let begun = Instant::now();
            let mut bytes = [0, 0, 0, 100].into_iter().chain([0; 100]);
            while (&**raw.0.stream())
                .write_all(&[bytes.next().unwrap()])
                .is_ok()
            {
                thread::sleep(Duration::from_millis(100));
            }
            assert!(begun.elapsed() < Duration::from_secs(5));
            // The peer announces a large message.
            for header in [
                &[0x7f, 0xff, 0xff, 0xff][..],
                &[0xff; 4],
                &[0xff; 12],
                &[0, 0, 1, 1],
            ] {
                let mut raw = Raw::stranger(place);
                (&**raw.0.stream()).write_all(header).unwrap();
                ends(&mut raw);
            }
            // The peer has the key, and sends nothing.
            let begun = Instant::now();
            ends(&mut Raw::known(place));
            assert!(begun.elapsed() < Duration::from_secs(5));
        });
        let error = Manager::connect(place, b"wrong").err().unwrap();
        assert!(error.to_string().contains("rejected"), "{error}");
    }
}

/// A pickle instead of an answer, whose execution would be noticed.
#[test]
fn nothing_is_unpickled_for_strangers() {
    let running = serve(&unix());
    let place = running.address();
    let list = create(place, ["list".into()]);
    let append = request(Value::Str(list.clone()), "append", [Value::Int(1)]);
    let shutdown = request(Value::None, "shutdown", []);
    for pickle in [&append, &shutdown] {
        // At once, after the challenge, and after the server has been challenged too.
        for steps in 0..3 {
            let mut raw = Raw::stranger(place);
            if steps > 0 {
                raw.0.recv(300).unwrap();
            }
            if steps > 1 {
                raw.send_bytes(b"#CHALLENGE#01234567890123456789");
            }
            for _ in 0..3 {
                raw.send_bytes(pickle);
            }
            while let Ok(Some(frame)) = raw.0.recv(usize::MAX) {
                // No pickle comes back either.
                assert!(frame.starts_with(b"#CHALLENGE#") || frame == b"#FAILURE#");
            }
        }
        // The peer has the key, but sends a pickle instead of its verdict on the server's answer.
        let mut raw = Raw::stranger(place);
        half(&mut raw);
        raw.send_bytes(pickle);
        while let Ok(Some(frame)) = raw.0.recv(usize::MAX) {
            assert!(!frame.starts_with(&[0x80]), "{frame:?}");
        }
    }
    let length = Raw::accepted(place).ask(&*list, "__len__", []).unwrap();
    assert_eq!(length.1, Value::Int(0));
}

/// The first half of a handshake, then the peer's own challenge.
fn half(raw: &mut Raw) {
    use hmac::{Hmac, KeyInit, Mac};
    let challenge = raw.0.recv(300).unwrap().unwrap().to_vec();
    let mut mac = Hmac::<md5::Md5>::new_from_slice(KEY).unwrap();
    mac.update(&challenge[11..]);
    raw.send_bytes(mac.finalize().as_bytes());
    assert_eq!(raw.0.recv(300).unwrap(), Some(&b"#WELCOME#"[..]));
    raw.send_bytes(b"#CHALLENGE#01234567890123456789");
}

/// Returns a pickle of lists nested to this depth.
fn nested(depth: usize) -> Vec<u8> {
    [&vec![b']'; depth][..], &vec![b'a'; depth - 1], b"."].concat()
}

/// Returns a tuple that contains the same tuple twice, nested `times` levels deep: 2 to the power of `times` parts.
fn doubled(times: usize) -> Value {
    (0..times).fold(Value::tuple([]), |value, _| {
        Value::tuple([value.clone(), value])
    })
}

fn bombs() -> Vec<Vec<u8>> {
    let mut bombs = vec![
        vec![],
        vec![b'.'],
        vec![0x80],
        b"N.".to_vec(),
        b"\x80\x04K\x01.".to_vec(),
        nested(100_000),
        // Nested tuples, then only their marks.
        [&b"("[..], b")", &vec![0x85; 100_000], b"t."].concat(),
        vec![b'('; 100_000],
        [&vec![b'('; 100_000][..], &vec![b't'; 100_000], b"."].concat(),
        // A memo index of four billion.
        b"Nr\xff\xff\xff\xff.".to_vec(),
        b"Nr\xff\xff\xff\x0f.".to_vec(),
        b"Np4294967295\n.".to_vec(),
        b"j\xff\xff\xff\xff.".to_vec(),
        // Announced lengths without the data.
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f.".to_vec(),
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.".to_vec(),
        b"\x96\xff\xff\xff\xff\xff\xff\xff\x7f.".to_vec(),
        b"B\xff\xff\xff\x7f.".to_vec(),
        b"X\xff\xff\xff\x7f.".to_vec(),
        b"\x8b\xff\xff\xff\x7f.".to_vec(),
        b"\x95\xff\xff\xff\xff\xff\xff\xff\xff.".to_vec(),
        // An integer of a million digits.
        [b"I", &vec![b'9'; 1_000_000][..], b"\n."].concat(),
        [b"L", &vec![b'9'; 1_000_000][..], b"L\n."].concat(),
        // A pickle that would run a command.
        b"cos\nsystem\n(S'false'\ntR.".to_vec(),
        b"\x80\x04\x95\x10\0\0\0\0\0\0\0".to_vec(),
        (0..=255).collect(),
    ];
    // Doublings: the same list again and again, in its copies.
    let mut pickle = b"]".to_vec();
    (0..100_000).for_each(|_| pickle.extend(b"2"));
    bombs.push([&pickle[..], &vec![0x86; 99_999], b"."].concat());
    let mut pickle = b"(".to_vec();
    (0..50_000).for_each(|_| pickle.extend(b"]2ee"));
    bombs.push([&pickle[..], b"l."].concat());
    bombs
}

#[test]
fn bad_pickles_of_those_who_know_the_key() {
    for place in places() {
        let running = serve(&place);
        let place = running.address();
        let list = create(place, ["list".into()]);
        beside(place, || {
            let mut calls = Raw::accepted(place);
            for bomb in bombs() {
                let begun = Instant::now();
                let start = bomb[..bomb.len().min(20)].escape_ascii().to_string();
                for first in [true, false] {
                    // The first of a connection, and a later one.
                    let mut raw = match first {
                        true => Raw::known(place),
                        false => Raw::accepted(place),
                    };
                    raw.send_bytes(&bomb);
                    let kind = raw.reply().map(|(kind, _)| kind);
                    let refused = kind.as_deref().is_none_or(|kind| kind == "#TRACEBACK");
                    assert!(refused, "{kind:?} for {start}");
                    if !first && kind.is_some() {
                        assert_eq!(raw.ask(&*list, "__len__", []).unwrap().0, "#RETURN");
                    }
                }
                assert!(begun.elapsed() < LIMIT, "{start}");
            }
            for header in [&[0x7f, 0xff, 0xff, 0xff][..], &[0xff; 12], &[0x80, 0, 0, 0]] {
                let mut raw = Raw::accepted(place);
                (&**raw.0.stream()).write_all(header).unwrap();
                ends(&mut raw);
            }
            assert_eq!(calls.ask(&*list, "__len__", []).unwrap().0, "#RETURN");
        });
    }
}

/// Small messages of values that are huge when written out: every operation on them ends, and does not slow other clients
/// down.
#[test]
fn small_messages_of_huge_values() {
    let running = serve(&unix());
    let place = running.address();
    let list = create(place, ["list".into()]);
    let dict = create(place, ["dict".into()]);
    let queue = create(place, ["Queue".into()]);
    beside(place, || {
        for times in [400] {
            let bomb = || doubled(times);
            let mut calls = Raw::accepted(place);
            let mut done = |ident: &str, method: &str, args: Vec<Value>| {
                let parts = [
                    ident.into(),
                    method.into(),
                    Value::tuple(args),
                    Value::Dict([].into()),
                ];
                let begun = Instant::now();
                assert!(calls.send_bytes(&dumps(&Value::tuple(parts))));
                let kind = calls.reply().map(|(kind, _)| kind);
                assert!(begun.elapsed() < LIMIT);
                kind
            };
            let fine = Some("#RETURN".to_owned());
            for method in ["append", "append"] {
                assert_eq!(done(&list, method, vec![bomb()]), fine);
            }
            assert_eq!(done(&list, "__getitem__", vec![Value::Int(0)]), fine);
            assert_eq!(done(&queue, "put", vec![bomb()]), fine);
            assert_eq!(done(&queue, "get", vec![]), fine);
            assert_eq!(done(&list, "#GETVALUE", vec![]), fine);
            // Each operation reaches its limit, which is slow in a debug build.
            let all = [
                (&list, "__contains__", vec![bomb()]),
                (&dict, "__setitem__", vec![bomb(), bomb()]),
                (&list, "__repr__", vec![]),
                (&list, "sort", vec![]),
                (&list, "remove", vec![bomb()]),
                (&dict, "get", vec![bomb()]),
                (&dict, "__repr__", vec![]),
            ];
            let few = if cfg!(debug_assertions) { 2 } else { all.len() };
            for (ident, method, args) in all.into_iter().take(few) {
                done(ident, method, args);
            }
            let debug = control(place, "debug_info", []).0;
            assert_eq!(debug, "#RETURN");
        }
    });
}

#[test]
#[ignore = "run in a process of its own"]
fn alone_attacks_take_little_memory() {
    let running = strict(&unix());
    let place = running.address();
    // The time that normal operations take.
    create(place, ["list".into()]);
    let before = status("VmHWM:");
    for _ in 0..20 {
        for header in [&[0x7f, 0xff, 0xff, 0xff][..], &[0xff; 12]] {
            for mut raw in [Raw::stranger(place), Raw::accepted(place)] {
                (&**raw.0.stream()).write_all(header).unwrap();
                ends(&mut raw);
            }
        }
        for bomb in bombs() {
            let mut raw = Raw::accepted(place);
            raw.send_bytes(&bomb);
            raw.reply();
        }
    }
    // A frame with a length within the limit and no data.
    let waiting: Vec<Raw> = (0..50)
        .map(|_| {
            let raw = Raw::accepted(place);
            (&**raw.0.stream())
                .write_all(&[0x0f, 0xff, 0xff, 0xff])
                .unwrap();
            raw
        })
        .collect();
    thread::sleep(MOMENT);
    drop(waiting);
    let grown = status("VmHWM:") - before;
    eprintln!("grown by {grown} KiB");
    assert!(grown < 100 << 10, "{grown} KiB");
}

#[test]
fn attacks_take_little_memory() {
    alone(module_path!(), "alone_attacks_take_little_memory");
}
