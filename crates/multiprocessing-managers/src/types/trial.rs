//! What the tests of the types share.

use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use pickle_value::{Address, Exception, Global, Proxy, Value};

use crate::args::Args;
use crate::caller::{Caller, Gone};
use crate::referent::{Failure, Kept, Referent, Reply};

/// The time after which a test counts as hanging.
pub const LIMIT: Duration = Duration::from_secs(20);

/// Long enough to notice an event that should not happen.
pub const MOMENT: Duration = Duration::from_millis(30);

pub fn local() -> Arc<Caller> {
    Caller::local()
}

/// A caller, and its client.
pub fn remote() -> (Arc<Caller>, UnixStream) {
    let (server, client) = UnixStream::pair().unwrap();
    (Caller::remote(Arc::new(server)), client)
}

/// What a server does when a connection ends: `read` says whether the client read the last reply.
pub fn leave(caller: &Arc<Caller>, read: bool, how: Gone) {
    match caller.receipt() {
        Some(receipt) if read => receipt.unconfirmed(how),
        Some(receipt) => receipt.unread(),
        None => {}
    }
    for object in caller.held() {
        object.gone(caller.id(), Gone::Left);
        if how == Gone::Killed {
            object.gone(caller.id(), how);
        }
    }
}

/// Waits for another thread to get somewhere.
pub fn until(mut reached: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !reached() {
        assert!(begun.elapsed() < LIMIT, "nothing happens");
        thread::sleep(Duration::from_millis(1));
    }
}

pub fn args<const N: usize>(values: [Value; N]) -> Args {
    Args::new(values)
}

/// The answer as Python would show it.
pub fn call(object: &dyn Referent, caller: &Arc<Caller>, method: &str, args: Args) -> String {
    match object.call(caller, method, args) {
        Ok(Reply::Value(value)) => source(&value),
        Ok(Reply::Object(_)) => "an object".to_owned(),
        Err(Failure::Raised(exception)) => raised(&exception),
        Err(other) => format!("{other:?}"),
    }
}

fn raised(exception: &Exception) -> String {
    let text = exception.args.first().and_then(Value::as_str);
    format!("{}: {}", exception.class, text.unwrap_or_default())
}

/// The value in Python.
pub fn source(value: &Value) -> String {
    match value {
        Value::None => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::Long(number) => number.to_string(),
        Value::Float(number) => format!("{number:?}").replace("NaN", "nan"),
        Value::Complex(real, imaginary) => format!("complex({real:?}, {imaginary:?})"),
        Value::Str(text) => format!("'{text}'"),
        Value::Tuple(values) => {
            let values = values.iter().map(|value| source(value) + ", ");
            format!("({})", values.collect::<String>())
        }
        Value::List(values) => {
            let values = values.iter().map(|value| source(value) + ", ");
            format!("[{}]", values.collect::<String>())
        }
        _ => "?".to_owned(),
    }
}

/// Unusual and invalid timeouts, flags and counts.
pub fn strange() -> Vec<Value> {
    let large = num_bigint::BigInt::from(10).pow(30);
    let largest = num_bigint::BigInt::from(10).pow(400);
    vec![
        Value::Int(0),
        Value::Int(-1),
        Value::Int(-2),
        Value::Int(9_223_372_037),
        Value::Bool(false),
        Value::Float(-0.0),
        Value::Float(0.01),
        Value::Float(-0.5),
        Value::Float(-1e-10),
        Value::Float(9_223_372_036.9),
        Value::Float(1e300),
        Value::Float(f64::INFINITY),
        Value::Float(f64::NEG_INFINITY),
        Value::Long(Arc::new(large.clone())),
        Value::Long(Arc::new(-large)),
        Value::Long(Arc::new(largest.clone())),
        Value::Long(Arc::new(-largest)),
        Value::from("a"),
        Value::from(""),
        Value::list([]),
        Value::tuple([Value::Int(1)]),
        Value::Complex(0.0, 1.0),
    ]
}

pub type Make = fn(Args) -> Result<Arc<dyn Referent>, Exception>;

/// Makes each call on a new object, here and in Python, and compares the answers. `prepare` is called first.
pub fn compare(make: Make, class: &str, with: Args, prepare: &[&str], calls: &[(&str, Args)]) {
    let mut script = String::from(SCRIPT);
    let mut ours = vec![];
    for (method, args) in calls {
        let before: String = prepare.iter().map(|name| format!("o.{name}(); ")).collect();
        let new = format!("{class}{}", call_source(&with));
        let args_source = call_source(args);
        script += &format!("o = {new}; {before}show(lambda: o.{method}{args_source})\n");
        let object = make(with.clone()).unwrap();
        let caller = local();
        for name in prepare {
            call(&*object, &caller, name, Args::default());
        }
        ours.push(call(&*object, &caller, method, args.clone()));
    }
    let Some(theirs) = python(&script) else {
        return;
    };
    assert_eq!(theirs.len(), calls.len());
    for (((method, args), ours), theirs) in calls.iter().zip(ours).zip(theirs) {
        assert_eq!(ours, theirs, "{class}.{method}{}", call_source(args));
    }
}

/// Makes an object from each set of arguments, here and in Python, and compares the exceptions.
pub fn compare_new(make: Make, class: &str, all: &[Args]) {
    let line = |args| {
        let args = call_source(args);
        format!("show(lambda: {class}{args} and None)\n")
    };
    let script = SCRIPT.to_owned() + &all.iter().map(line).collect::<String>();
    let Some(theirs) = python(&script) else {
        return;
    };
    assert_eq!(theirs.len(), all.len());
    for (args, theirs) in all.iter().zip(theirs) {
        let ours = match make(args.clone()) {
            Ok(_) => "None".to_owned(),
            Err(exception) => raised(&exception),
        };
        assert_eq!(ours, theirs, "{class}{}", call_source(args));
    }
}

fn call_source(args: &Args) -> String {
    let positional = args.positional.iter().map(source);
    let named = |(name, value): &(Arc<str>, Value)| format!("{name}={}", source(value));
    let keywords = args.keywords.iter().map(named);
    let all: Vec<String> = positional.chain(keywords).collect();
    format!("({})", all.join(", "))
}

const SCRIPT: &str = r#"
import queue, sys, threading
sys.set_int_max_str_digits(0)
inf, nan = float('inf'), float('nan')
def show(f):
    try:
        print(repr(f()))
    except Exception as e:
        print(f'{type(e).__module__}.{type(e).__qualname__}: {e}')
"#;

/// The lines that it prints; `None` if there is no Python 3.11.
fn python(script: &str) -> Option<Vec<String>> {
    let run = |script: &str| {
        let python = Command::new("python3")
            .args(["-c", script])
            .stdin(Stdio::null())
            .output();
        python.ok().filter(|output| output.status.success())
    };
    if run("import sys; sys.exit(sys.version_info[:2] != (3, 11))").is_none() {
        eprintln!("no Python 3.11 here: nothing to compare with");
        return None;
    }
    let output = run(script).unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    Some(lines.lines().map(str::to_owned).collect())
}

/// A random number generator. Its quality does not matter, as long as the numbers differ.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// Starts a thread that drops each client sent to it after a few microseconds.
pub fn reaper() -> (mpsc::SyncSender<UnixStream>, thread::JoinHandle<()>) {
    let (sender, clients) = mpsc::sync_channel::<UnixStream>(8);
    let mut dice = Dice(7);
    let reap = move || {
        for client in clients {
            thread::sleep(Duration::from_micros(dice.roll(300)));
            drop(client);
        }
    };
    (sender, thread::spawn(reap))
}

/// Eight threads acquire and release, and a third of their clients go away meanwhile. There are never more than `permits`
/// inside, and all permits are left at the end.
pub fn exclude(object: Arc<dyn Referent>, permits: usize) {
    let inside = Arc::new(AtomicUsize::new(0));
    let (doom, reaper) = reaper();
    let end = Instant::now() + Duration::from_millis(700);
    let threads = (1..=8).map(|number| {
        let (object, inside, doom) = (object.clone(), inside.clone(), doom.clone());
        thread::spawn(move || {
            let mut dice = Dice(number);
            while Instant::now() < end {
                let (caller, client) = remote();
                let (doomed, killed) = (dice.roll(3) == 0, dice.roll(4) == 0);
                let _client = if doomed {
                    doom.send(client).unwrap();
                    None
                } else {
                    Some(client)
                };
                let args = match dice.roll(3) {
                    0 => args([true.into(), 0.0002.into()]),
                    1 => args([false.into()]),
                    _ => Args::default(),
                };
                match &*call(&*object, &caller, "acquire", args) {
                    "True" => {}
                    "False" => continue,
                    other => {
                        assert_eq!((other, doomed), ("Gone", true));
                        continue;
                    }
                }
                assert!(inside.fetch_add(1, Ordering::SeqCst) < permits);
                thread::yield_now();
                inside.fetch_sub(1, Ordering::SeqCst);
                match (doomed, killed) {
                    (true, _) => leave(&caller, false, Gone::Left),
                    (_, true) if object.typeid() != "Semaphore" => {
                        leave(&caller, true, Gone::Killed);
                    }
                    _ => {
                        drop(caller.receipt());
                        let released = call(&*object, &caller, "release", Args::default());
                        assert_eq!(released, "None");
                    }
                }
            }
        })
    });
    let threads: Vec<_> = threads.collect();
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    drop(doom);
    reaper.join().unwrap();
    // Each from another caller, for RLock.
    let answers = (0..=permits).map(|_| call(&*object, &local(), "acquire", args([false.into()])));
    let taken = answers.filter(|answer| answer == "True").count();
    assert_eq!(taken, permits);
}

/// The answer of a container, as Python would show it.
pub fn answer<const N: usize>(object: &dyn Referent, method: &str, values: [Value; N]) -> String {
    match object.call(&local(), method, args(values)) {
        Ok(Reply::Value(value)) => value.to_string(),
        Ok(Reply::Object(object)) => format!("a new {}", object.typeid()),
        Err(Failure::Raised(exception)) => exception.to_string(),
        Err(other) => format!("{other:?}"),
    }
}

/// A proxy of an object, as its server keeps it.
pub fn proxy(class: &'static str, object: Arc<dyn Referent>) -> Value {
    let class = Global {
        module: "multiprocessing.managers".into(),
        name: class.into(),
    };
    Value::Proxy(Arc::new(Proxy {
        class: Arc::new(class),
        typeid: object.typeid().into(),
        address: Address::Tcp("127.0.0.1".to_owned(), 1),
        ident: "1".into(),
        exposed: None,
        keep: Some(Arc::new(Kept::new(object))),
    }))
}
