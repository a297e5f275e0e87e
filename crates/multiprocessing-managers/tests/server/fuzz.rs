//! Random requests: the server answers them or closes their connection, and no other.
//!
//! `PROPTEST_CASES` says how many.

use std::sync::{LazyLock, Mutex};

use multiprocessing_managers::*;
use proptest::prelude::*;

use super::*;

/// Names of methods and functions, and some that are none.
const METHODS: &[&str] = &[
    "__add__",
    "__contains__",
    "__delattr__",
    "__delitem__",
    "__getattribute__",
    "__getitem__",
    "__imul__",
    "__iter__",
    "__len__",
    "__mul__",
    "__next__",
    "__repr__",
    "__reversed__",
    "__rmul__",
    "__setattr__",
    "__setitem__",
    "__str__",
    "#GETVALUE",
    "abort",
    "accept_connection",
    "acquire",
    "append",
    "clear",
    "close",
    "copy",
    "count",
    "create",
    "debug_info",
    "decref",
    "dummy",
    "empty",
    "extend",
    "full",
    "get",
    "get_methods",
    "get_nowait",
    "incref",
    "index",
    "insert",
    "is_set",
    "items",
    "join",
    "keys",
    "notify",
    "notify_all",
    "number_of_objects",
    "pop",
    "popitem",
    "put",
    "put_nowait",
    "qsize",
    "release",
    "remove",
    "reset",
    "reverse",
    "send",
    "set",
    "setdefault",
    "sort",
    "task_done",
    "throw",
    "update",
    "values",
    "wait",
    "",
    "no",
];

const TYPES: &[&str] = &[
    "list",
    "dict",
    "Namespace",
    "Lock",
    "RLock",
    "Semaphore",
    "BoundedSemaphore",
    "Condition",
    "Event",
    "Barrier",
    "Queue",
    "JoinableQueue",
    "Value",
    "Array",
];

fn method() -> impl Strategy<Value = &'static str> {
    prop::sample::select(METHODS)
}

/// Any value of a request: small numbers are indices and counts, short strings names and typecodes.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::None),
        any::<bool>().prop_map(Value::Bool),
        (-3..9i64).prop_map(Value::Int),
        any::<i64>().prop_map(Value::Int),
        (-2.0..2.0f64).prop_map(Value::Float),
        any::<f64>().prop_map(Value::Float),
        any::<(f64, f64)>().prop_map(|(a, b)| Value::Complex(a, b)),
        "[abBdux]{0,2}".prop_map(Value::from),
        "\\PC{0,9}".prop_map(Value::from),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(|b| Value::Bytes(b.into())),
        prop::collection::vec(any::<u8>(), 0..9).prop_map(|b| Value::ByteArray(b.into())),
        prop::collection::vec(any::<u8>(), 9..20)
            .prop_map(|b| { Value::from(num_bigint::BigInt::from_signed_bytes_le(&b)) }),
        prop::sample::select(TYPES).prop_map(Value::from),
        method().prop_map(Value::from),
        Just(Value::global("builtins", "list")),
        Just(Value::global("os", "system")),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        let some = || prop::collection::vec(inner.clone(), 0..5);
        let functions =
            prop::sample::select(&["slice", "range", "list", "dict", "reversed", "set", "x"][..]);
        prop_oneof![
            some().prop_map(Value::tuple),
            some().prop_map(Value::list),
            (0..5i64, some())
                .prop_map(|(n, v)| Value::Dict((n..).map(Value::Int).zip(v).collect())),
            prop::collection::vec(("[a-z_]{1,9}", inner.clone()), 0..4).prop_map(|pairs| {
                Value::Dict(
                    pairs
                        .into_iter()
                        .map(|(k, v)| (Value::from(k.as_str()), v))
                        .collect(),
                )
            }),
            (functions, some())
                .prop_map(|(name, v)| Value::call(Value::global("builtins", name), v)),
            some().prop_map(|v| Value::call(Value::global("array", "array"), v)),
        ]
    })
}

/// What may stand in the place of arguments, often what should.
fn arguments() -> impl Strategy<Value = Value> {
    prop_oneof![
        8 => prop::collection::vec(value(), 0..4).prop_map(Value::tuple),
        1 => value(),
    ]
}

fn keywords() -> impl Strategy<Value = Value> {
    let names = &[
        "block", "timeout", "blocking", "value", "maxsize", "reverse", "n", "x",
    ][..];
    let pair = (prop::sample::select(names), value());
    prop_oneof![
        4 => Just(Value::Dict([].into())),
        2 => prop::collection::vec(pair, 0..3)
            .prop_map(|v| Value::Dict(v.into_iter().map(|(k, v)| (Value::from(k), v)).collect())),
        1 => value(),
    ]
}

/// One server for all cases, with an object of each type.
struct Bed {
    running: Running,
    idents: Vec<Arc<str>>,
    /// The client that goes on, whatever the others do.
    calls: Raw,
}

impl Bed {
    fn new() -> Bed {
        let limits = Limits {
            message: 1 << 20,
            ..Limits::default()
        };
        let running = serve_with(&unix(), Registry::sync_manager(), limits);
        let place = running.address();
        let made = |typeid: &&str| match *typeid {
            "Value" => create(place, ["Value".into(), "i".into(), Value::Int(0)]),
            "Array" => create(
                place,
                ["Array".into(), "i".into(), Value::list([Value::Int(5)])],
            ),
            "Barrier" => create(place, ["Barrier".into(), Value::Int(1)]),
            typeid => create(place, [typeid.into()]),
        };
        let idents = TYPES.iter().map(made).collect();
        let calls = Raw::accepted(place);
        Bed {
            running,
            idents,
            calls,
        }
    }

    /// Sends the request to the server itself or to an object, and ends waits.
    fn survives(&mut self, request: &[u8], first: bool) {
        let place = self.running.address();
        let mut raw = match first {
            true => Raw::known(place),
            false => Raw::accepted(place),
        };
        let short = Some(Duration::from_millis(5));
        raw.0.stream().set_timeouts(short, Some(LIMIT)).unwrap();
        raw.send_bytes(request);
        match raw.0.recv(usize::MAX) {
            Ok(None) => {}
            Ok(Some(reply)) => {
                let reply = loads(reply).unwrap();
                let Value::Tuple(parts) = &reply else {
                    panic!("{reply}");
                };
                let kinds = [
                    "#RETURN",
                    "#PROXY",
                    "#ERROR",
                    "#TRACEBACK",
                    "#UNSERIALIZABLE",
                ];
                assert!(
                    parts.len() == 2 && kinds.contains(&parts[0].as_str().unwrap()),
                    "{reply}"
                );
            }
            // It waits for something, which ends when its client goes.
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "{error}"),
        }
        drop(raw);
        let event = self.idents[8].clone();
        let (kind, _) = self.calls.ask(&*event, "is_set", []).unwrap();
        // A `decref` may have hit it.
        assert!(kind == "#RETURN" || kind == "#TRACEBACK", "{kind}");
    }

    /// Makes a new bed when the containers have grown, or a request has shut the server down.
    fn renew(&mut self, often: u64) {
        static CASES: AtomicU64 = AtomicU64::new(0);
        let due = CASES.fetch_add(1, Ordering::Relaxed).is_multiple_of(often);
        let place = self.running.address();
        if due || Manager::connect(place, KEY).is_err() {
            *self = Bed::new();
        }
    }
}

static BED: LazyLock<Mutex<Bed>> = LazyLock::new(|| Mutex::new(Bed::new()));

/// A tenth of the usual number: each opens connections.
fn config() -> ProptestConfig {
    let mut config = ProptestConfig::default();
    if env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 100;
    }
    config.max_shrink_iters = 200;
    config.failure_persistence = None;
    config
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_request(
        which in 0..TYPES.len() + 3,
        name in prop_oneof![9 => method().prop_map(Value::from), 1 => value()],
        arguments in arguments(),
        keywords in keywords(),
        changes in prop::collection::vec((any::<usize>(), any::<u8>()), 0..4),
        whole in any::<bool>(),
    ) {
        let mut bed = lock(&BED);
        bed.renew(500);
        let ident = match bed.idents.get(which) {
            Some(ident) => Value::Str(ident.clone()),
            None if which == TYPES.len() => "nobody".into(),
            None => Value::None,
        };
        let first = matches!(ident, Value::None);
        // Its end is what other tests are about.
        prop_assume!(!(first && name.as_str() == Some("shutdown")));
        let request = Value::tuple([ident, name, arguments, keywords]);
        let mut request = dumps(&request);
        if !whole {
            for (place, byte) in changes {
                let length = request.len();
                request[place % length] = byte;
            }
        }
        bed.survives(&request, first);
    }

    #[test]
    fn any_value_as_a_request(request in value(), first in any::<bool>()) {
        let mut bed = lock(&BED);
        bed.renew(500);
        bed.survives(&dumps(&request), first);
    }

    /// All types, without a server.
    #[test]
    fn any_calls(
        which in 0..TYPES.len(),
        made in prop::collection::vec(value(), 0..3),
        calls in prop::collection::vec((method(), prop::collection::vec(value(), 0..4), any::<bool>()), 1..30),
    ) {
        let types = Registry::sync_manager();
        let typeid = TYPES[which];
        let usual = match typeid {
            "Value" | "Array" => Args::new(["i".into(), Value::list([Value::Int(1), Value::Int(2)])]),
            "Barrier" => Args::new([Value::Int(2)]),
            _ => Args::default(),
        };
        let object = types.make(typeid, Args::new(made)).or_else(|_| types.make(typeid, usual));
        let object = object.unwrap();
        let begun = Instant::now();
        let (mut callers, mut others) = ([Caller::local(), Caller::local()], vec![]);
        for (method, values, second) in calls {
            let caller = &mut callers[usize::from(second)];
            let args = quick(&object, method, values);
            for target in [Some(&object), others.last()].into_iter().flatten().cloned().collect::<Vec<_>>() {
                if !target.exposed().contains(&method) {
                    continue;
                }
                match target.call(caller, method, args.clone()) {
                    Ok(Reply::Value(value)) => drop(dumps(&value)),
                    Ok(Reply::Object(object)) => others.push(object),
                    Err(Failure::Raised(exception)) => drop(dumps(&exception.to_value())),
                    Err(_) => {}
                }
                drop(caller.receipt());
            }
            object.repr().ok();
            if let Ok(value) = object.value() {
                dumps(&value);
                prop_assert!(referent(&value).is_none());
            }
        }
        prop_assert!(begun.elapsed() < LIMIT, "{:?}", begun.elapsed());
    }
}

/// The arguments of the form of a call that does not wait long.
fn quick(object: &Arc<dyn Referent>, method: &str, values: Vec<Value>) -> Args {
    let moment = || Value::Float(0.001);
    let rest = |n: usize| values.iter().skip(n).cloned();
    match (object.typeid(), method) {
        ("Queue", "join") => Args::new([Value::None]),
        ("Queue", "get") => Args::new([true.into(), moment()].into_iter().chain(rest(2))),
        ("Queue", "put") => {
            let item = values.first().cloned().unwrap_or(Value::None);
            Args::new([item, true.into(), moment()].into_iter().chain(rest(3)))
        }
        (_, "acquire") => Args::new([true.into(), moment()].into_iter().chain(rest(2))),
        (_, "wait") => Args::new([moment()].into_iter().chain(rest(1))),
        // What is large takes time, and has its own tests.
        (_, "__mul__" | "__rmul__" | "__imul__") => Args::new([Value::Int(2)]),
        _ => Args::new(values),
    }
}
