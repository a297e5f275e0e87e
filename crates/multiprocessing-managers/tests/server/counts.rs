//! Reference counts and the lifetime of objects.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};

use multiprocessing_managers::types::{Dict, List, Namespace, Queue};
use multiprocessing_managers::*;

use super::*;

fn count(place: &Address) -> i64 {
    let (kind, number) = control(place, "number_of_objects", []);
    assert_eq!(kind, "#RETURN");
    number.as_int().unwrap()
}

#[test]
fn as_the_protocol_says() {
    for place in places() {
        let running = serve(&place);
        let place = running.address();
        let ident = create(place, ["list".into()]);
        let name = || Value::Str(ident.clone());
        let done = ("#RETURN".to_owned(), Value::None);
        assert_eq!(count(place), 1);
        assert_eq!(control(place, "incref", [name()]), done);
        assert_eq!(control(place, "decref", [name()]), done);
        assert_eq!(count(place), 1);
        let mut calls = Raw::accepted(place);
        assert_eq!(
            calls.ask(&*ident, "append", [Value::Int(1)]),
            Some(done.clone())
        );
        assert_eq!(control(place, "decref", [name()]), done);
        assert_eq!(count(place), 0);
        // Its name no longer exists.
        for function in ["incref", "decref"] {
            let (kind, text) = control(place, function, [name()]);
            assert_eq!(kind, "#TRACEBACK");
            let text = text.as_str().unwrap().to_owned();
            assert!(text.ends_with(&format!("KeyError: '{ident}'\n")), "{text}");
        }
        let (kind, _) = calls.ask(&*ident, "append", [Value::Int(1)]).unwrap();
        assert_eq!(kind, "#TRACEBACK");
        // The connection still works, and no name is reused.
        let other = create(place, ["list".into()]);
        assert_ne!(other, ident);
        let (kind, _) = calls.ask(&*other, "append", [Value::Int(1)]).unwrap();
        assert_eq!(kind, "#RETURN");
    }
}

#[test]
fn names_are_never_used_again() {
    let running = serve(&unix());
    let place = running.address();
    let mut names = HashSet::new();
    for _ in 0..200 {
        let ident = create(place, ["list".into()]);
        control(place, "decref", [Value::Str(ident.clone())]);
        assert!(names.insert(ident));
    }
    assert_eq!(running.number_of_objects(), 0);
}

#[test]
fn what_is_registered_has_one_name() {
    let mut registry = Registry::new();
    let queue = Queue::unbounded();
    let it = queue.clone();
    registry.register("it", move |_| Ok(it.clone()));
    let running = serve_with(&unix(), registry, Limits::default());
    let manager = Manager::connect(running.address(), KEY).unwrap();
    let first = manager.get_queue("it").unwrap();
    let second = manager.get_queue("it").unwrap();
    assert_eq!(first.ident(), second.ident());
    assert_eq!(running.number_of_objects(), 1);
    first.put(1i64).unwrap();
    drop(first);
    assert_eq!(running.number_of_objects(), 1);
    drop(second);
    assert_eq!(running.number_of_objects(), 0);
    // Its items stay alive.
    assert_eq!(manager.get_queue("it").unwrap().get().unwrap(), 1i64.into());
    assert!(queue.is_empty());
}

#[test]
fn what_is_stored_lives() {
    let running = serve(&unix());
    let manager = Manager::connect(running.address(), KEY).unwrap();
    let dict = manager.dict::<&str, Value>([]).unwrap();
    let list = manager.list([7i64]).unwrap();
    dict.set("a", &list).unwrap();
    drop(list);
    assert_eq!(running.number_of_objects(), 1);
    let again = |value: Value| ListProxy::from(manager.attach(&value).unwrap());
    let list = again(dict.get("a").unwrap().unwrap());
    assert_eq!(list.get(0).unwrap(), 7i64.into());
    drop(list);
    // The last reference comes out, and nothing else keeps the list.
    let list = again(dict.pop("a").unwrap().unwrap());
    assert_eq!(list.get(0).unwrap(), 7i64.into());
    assert_eq!(running.number_of_objects(), 2);
    drop(list);
    assert_eq!(running.number_of_objects(), 1);
}

/// A reference in a reply lives until the next request of the same connection.
#[test]
fn a_reply_keeps_what_it_refers_to() {
    let running = serve(&unix());
    let place = running.address();
    let list = create(place, ["list".into()]);
    let dict = create(place, ["dict".into()]);
    let mut calls = Raw::accepted(place);
    for taken in [true, false] {
        let inner = create(place, ["list".into()]);
        let name = || Value::Str(inner.clone());
        let proxy = pickle_value::managers::token("list", place, inner.clone());
        // As clients send it.
        let rebuild = |token: Value| {
            Value::call(
                Value::global("multiprocessing.managers", "RebuildProxy"),
                [
                    Value::global("multiprocessing.managers", "ListProxy"),
                    token,
                    "pickle".into(),
                    Value::Dict([].into()),
                ],
            )
        };
        let set = calls.ask(&*dict, "__setitem__", ["a".into(), rebuild(proxy)]);
        assert_eq!(set.unwrap().0, "#RETURN");
        control(place, "decref", [name()]);
        assert_eq!(calls.ask(&*dict, "pop", ["a".into()]).unwrap().0, "#RETURN");
        if !taken {
            calls.ask(&*list, "__len__", []).unwrap();
        }
        let kind = control(place, "incref", [name()]).0;
        assert_eq!(kind, if taken { "#RETURN" } else { "#TRACEBACK" });
        calls.ask(&*list, "__len__", []).unwrap();
        let kind = control(place, "decref", [name()]).0;
        assert_eq!(kind, if taken { "#RETURN" } else { "#TRACEBACK" });
    }
    assert_eq!(count(place), 2);
}

/// All created objects that are still alive.
type Made = Arc<Mutex<Vec<Weak<dyn Referent>>>>;

fn living(made: &Made) -> usize {
    let mut made = lock(made);
    made.retain(|object| object.strong_count() > 0);
    made.len()
}

/// The containers, with a record of those that must be alive.
fn watched() -> (Registry, Made) {
    let made = Made::default();
    let mut registry = Registry::new();
    let mut add = |name: &str, make: fn(Args) -> Result<Arc<dyn Referent>, Exception>| {
        let made = made.clone();
        registry.register(name, move |args| {
            let object = make(args)?;
            lock(&made).push(Arc::downgrade(&object));
            Ok(object)
        });
    };
    add("list", |args| Ok(List::new(args)?));
    add("dict", |args| Ok(Dict::new(args)?));
    add("Namespace", |args| Ok(Namespace::new(args)?));
    add("Queue", |args| Ok(Queue::new(args)?));
    (registry, made)
}

/// How many of them may wait for the collector.
const BACKLOG: usize = 100;

#[test]
fn circles_are_collected() {
    let (registry, made) = watched();
    let running = serve_with(&unix(), registry, Limits::default());
    let manager = Manager::connect(running.address(), KEY).unwrap();
    for round in 0..300 {
        let list = manager.list::<Value>([]).unwrap();
        match round % 6 {
            0 => list.append(&list).unwrap(),
            1 => {
                let other = manager.list([&list]).unwrap();
                list.append(&other).unwrap();
            }
            2 => {
                let dict = manager.dict([("list", &list)]).unwrap();
                list.append(Value::tuple([Value::list([Value::from(&dict)])]))
                    .unwrap();
            }
            3 => {
                let namespace = manager.namespace().unwrap();
                namespace.set("list", &list).unwrap();
                list.append(&namespace).unwrap();
            }
            4 => {
                let queue = manager.queue(0).unwrap();
                queue.put(&list).unwrap();
                list.append(&queue).unwrap();
            }
            // The same value at two places of the circle.
            _ => {
                let inner = Value::list([Value::from(&list)]);
                list.extend([inner.clone(), inner]).unwrap();
            }
        }
        drop(list);
        let living = living(&made);
        assert!(living < BACKLOG, "{living} in round {round}");
    }
    assert_eq!(running.number_of_objects(), 0);
}

/// Objects in use are never lost while cycles are created and collected.
#[test]
fn nothing_is_collected_that_somebody_has() {
    let (registry, made) = watched();
    let running = serve_with(&unix(), registry, Limits::default());
    let address = running.address();
    let seconds: u64 = env::var("SECONDS").map_or(2, |seconds| seconds.parse().unwrap());
    let manager = Manager::connect(address, KEY).unwrap();
    let meeting = manager.list::<Value>([]).unwrap();
    let end = Instant::now() + Duration::from_secs(seconds);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for number in 1..=4 {
            let (meeting, manager, stop) = (meeting.clone(), &manager, &stop);
            scope.spawn(move || {
                let mut dice = Dice(number * 7919);
                let mut mine: Vec<ListProxy> = vec![];
                while Instant::now() < end && !stop.load(Ordering::Relaxed) {
                    let before = Stop(stop);
                    step(manager, &meeting, &mut mine, &mut dice);
                    std::mem::forget(before);
                }
            });
        }
    });
    // Empty the meeting, so that only cycles remain.
    while meeting.pop().unwrap().is_some() {}
    drop(meeting);
    // The more objects lived on, the later the collector runs again.
    for _ in 0..5000 {
        if living(&made) < BACKLOG {
            break;
        }
        let list = manager.list::<Value>([]).unwrap();
        list.append(&list).unwrap();
    }
    assert_eq!(running.number_of_objects(), 0);
    let living = living(&made);
    assert!(living < BACKLOG, "{living} are left");
}

/// Ends the other threads too if one fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn step(manager: &Manager, meeting: &ListProxy, mine: &mut Vec<ListProxy>, dice: &mut Dice) {
    let some = |mine: &[ListProxy], dice: &mut Dice| {
        let at = dice.roll(mine.len() as u64);
        mine[at as usize].clone()
    };
    match dice.roll(9) {
        0 | 1 => mine.push(manager.list::<Value>([]).unwrap()),
        _ if mine.is_empty() => {}
        2 => some(mine, dice).append(&some(mine, dice)).unwrap(),
        3 => meeting.append(&some(mine, dice)).unwrap(),
        4 => meeting
            .append(Value::tuple([Value::from(&some(mine, dice))]))
            .unwrap(),
        5 => {
            mine.swap_remove(dice.roll(mine.len() as u64) as usize);
        }
        6 => {
            // Out of the meeting, with everything that hangs on it.
            let value = match meeting.pop().unwrap() {
                Some(Value::Tuple(parts)) => parts[0].clone(),
                Some(value) => value,
                None => return,
            };
            let list = ListProxy::from(manager.attach(&value).unwrap());
            drop(value);
            list.len().unwrap();
            mine.push(list);
        }
        7 => {
            // Out of one's own, and the way there is gone at once.
            let list = some(mine, dice);
            if let Some(value) = list.pop().unwrap() {
                drop(list);
                mine.clear();
                let list = ListProxy::from(manager.attach(&value).unwrap());
                drop(value);
                list.len().unwrap();
                mine.push(list);
            }
        }
        _ => mine.iter().for_each(|list| assert!(list.len().is_ok())),
    }
    if mine.len() > 12 {
        mine.truncate(3);
    }
}

/// `for _ in range(100_000): l = m.list([l])`, then `del l`; and the same in a circle, which the collector empties.
#[test]
fn long_chains_are_let_go_of() {
    fn list(item: Value) -> Arc<List> {
        List::new(Args::new([Value::list([item])])).unwrap()
    }
    let chain = |mut last: Arc<List>| {
        for _ in 0..100_000 {
            last = list(proxy("ListProxy", last));
        }
        last
    };
    drop(chain(list(Value::None)));
    let first = list(Value::None);
    let whole = Args::new([proxy("ListProxy", chain(first.clone()))]);
    first.call(&Caller::local(), "append", whole).ok().unwrap();
    first.clear();
}
