//! The containers against Python's own: the same random calls, good and bad, and the same answers.
//!
//! `CONTAINERS_SEED` repeats a run; `CONTAINERS_CALLS` says how many calls for each type.

use std::env;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use num_bigint::BigInt;

use super::super::args::Args;
use super::super::caller::Caller;
use super::super::exception::Exception;
use super::super::referent::{Failure, Referent, Reply};
use super::super::value::{Array, Make, Value};
use super::{Dict, List, Namespace, SharedArray, SharedValue};

const PRELUDE: &str = "
import array, sys
if sys.version_info[:2] != (3, 11):
    sys.exit(3)
from multiprocessing.managers import Array, Namespace, Value
o = i = None
def say(text):
    # An attribute's name is shown as it is; Rust's str holds no lone surrogates.
    text = text.encode('utf-8', 'backslashreplace').decode()
    print(text.replace('\\n', '\\\\n'))
def tell(e):
    return f'{type(e).__module__}.{type(e).__name__} {e.args!r}'
def show(x):
    try:
        return repr(x)
    except Exception as e:
        return tell(e)
def N(f, a, k):
    global o
    try:
        o = f(*a, **k)
        say(show(o))
    except Exception as e:
        say(tell(e))
def C(m, a, k):
    global i
    try:
        r = getattr(i if m == '__next__' else o, m)(*a, **k)
        if m == '__iter__':
            i, r = r, None
        elif m in ('__reversed__', 'keys', 'values', 'items'):
            r = list(r)
        r = show(r)
    except Exception as e:
        r = tell(e)
    say(r + ' | ' + show(o))
";

/// A value, and what makes it in Python.
type Pair = (Value, String);

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % sides
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len())]
    }

    fn small(&mut self) -> Pair {
        let number = self.roll(13) as i64 - 6;
        (number.into(), number.to_string())
    }

    fn integer(&mut self) -> Pair {
        let power = |power: u32| BigInt::from(2).pow(power);
        let (number, source): (BigInt, _) = match self.roll(40) {
            0 => (power(70), "2**70"),
            1 => (-power(70), "-2**70"),
            2 => (power(62), "2**62"),
            3 => (power(64), "2**64"),
            4 => (power(63), "2**63"),
            5 => (-power(63) - 1, "-2**63-1"),
            6 => return (true.into(), "True".into()),
            7 => return (false.into(), "False".into()),
            _ => return self.small(),
        };
        (number.into(), source.to_owned())
    }

    /// What fits into some types of an array, and not into others.
    fn number(&mut self) -> Pair {
        match self.roll(4) {
            0 => self.integer(),
            1 => self.atom(),
            _ => {
                let bits = [7, 8, 15, 16, 31, 32, 63, 64][self.roll(8)];
                let number: BigInt = (BigInt::from(1) << bits) - self.roll(3);
                let number = if self.roll(3) == 0 { -number } else { number };
                let source = number.to_string();
                (number.into(), source)
            }
        }
    }

    fn atom(&mut self) -> Pair {
        let text = |text: &str, source: &str| (Value::from(text), source.to_owned());
        let float = |number: f64, source: &str| (Value::from(number), source.to_owned());
        match self.roll(20) {
            0 => (Value::None, "None".into()),
            1 => text("", "''"),
            2 | 3 => text("a", "'a'"),
            4 => text("b", "'b'"),
            5 => text("ab", "'ab'"),
            6 => text("é\n", "'é\\n'"),
            7 => text("it's", "\"it's\""),
            8 => (
                Value::Surrogates([0xed, 0xa0, 0x80].into()),
                "'\\ud800'".into(),
            ),
            9 => (Value::bytes(b"abcd"), "b'abcd'".into()),
            10 => (Value::ByteArray([1, 2].into()), "bytearray([1, 2])".into()),
            11 => float(1.0, "1.0"),
            12 => float(-0.5, "-0.5"),
            13 => float(f64::INFINITY, "float('inf')"),
            14 => (Value::Complex(1.0, 2.0), "(1+2j)".into()),
            15 => (Value::global("builtins", "OSError"), "OSError".into()),
            _ => self.integer(),
        }
    }

    fn many(&mut self, depth: usize) -> (Vec<Value>, String) {
        let length = self.roll(5);
        let (values, sources): (Vec<_>, Vec<_>) = (0..length).map(|_| self.any(depth)).unzip();
        let source: String = sources.iter().flat_map(|source| [source, ","]).collect();
        (values, source)
    }

    fn slice(&mut self) -> Pair {
        let mut part = || match self.roll(12) {
            0..4 => (Value::None, "None".to_owned()),
            4..10 => self.small(),
            10 => self.integer(),
            _ => self.atom(),
        };
        let (values, sources): (Vec<_>, Vec<_>) = (0..3).map(|_| part()).unzip();
        let slice = Value::call(Value::global("builtins", "slice"), values);
        (slice, format!("slice({})", sources.join(",")))
    }

    fn numbers(&mut self, typecode: char) -> Pair {
        let numbers: Vec<i32> = (0..self.roll(4)).map(|_| self.roll(9) as i32).collect();
        let bytes = |number: &i32| match typecode {
            'b' => vec![*number as u8],
            'd' => f64::from(*number).to_ne_bytes().to_vec(),
            _ => number.to_ne_bytes().to_vec(),
        };
        let bytes = numbers.iter().flat_map(bytes).collect();
        let source = format!("array.array('{typecode}', {numbers:?})");
        (Value::Array(Arc::new(Array { typecode, bytes })), source)
    }

    fn any(&mut self, depth: usize) -> Pair {
        if depth == 0 || self.roll(3) > 0 {
            return self.atom();
        }
        match self.roll(9) {
            0 | 1 => {
                let (values, source) = self.many(depth - 1);
                (Value::tuple(values), format!("({source})"))
            }
            2 | 3 => {
                let (values, source) = self.many(depth - 1);
                (Value::list(values), format!("[{source}]"))
            }
            4 => {
                let (key, value) = (self.key(), self.any(depth - 1));
                let dict = Value::Dict([(key.0, value.0)].into());
                (dict, format!("{{{}: {}}}", key.1, value.1))
            }
            5 => {
                let (item, source) = self.key();
                (Value::Set([item].into()), format!("{{{source}}}"))
            }
            6 => {
                let bounds = [self.small(), self.small()];
                let source = format!("range({}, {})", bounds[0].1, bounds[1].1);
                let range = Value::global("builtins", "range");
                (Value::call(range, bounds.map(|(value, _)| value)), source)
            }
            7 => {
                let typecode = ['b', 'i', 'd'][self.roll(3)];
                self.numbers(typecode)
            }
            _ => self.slice(),
        }
    }

    /// A key that has a hash; there are few.
    fn key(&mut self) -> Pair {
        let tuple = |value: Value| Value::tuple([value]);
        let (value, source): (Value, _) = match self.roll(14) {
            0 => (1.into(), "1"),
            1 => (1.0.into(), "1.0"),
            2 => (true.into(), "True"),
            3 => (0.into(), "0"),
            4 => ((-0.0).into(), "-0.0"),
            5 => ("a".into(), "'a'"),
            6 => ("b".into(), "'b'"),
            7 => (Value::bytes(b"a"), "b'a'"),
            8 => (Value::None, "None"),
            9 => (tuple(1.into()), "(1,)"),
            10 => (tuple(1.0.into()), "(1.0,)"),
            11 => (BigInt::from(2).pow(70).into(), "2**70"),
            12 => (2f64.powi(70).into(), "2.0**70"),
            _ => (Value::FrozenSet([].into()), "frozenset()"),
        };
        (value, source.to_owned())
    }
}

/// A call's arguments, both ways.
#[derive(Default)]
struct Call {
    args: Args,
    positional: String,
    keywords: String,
}

impl Call {
    fn of(pairs: impl IntoIterator<Item = Pair>) -> Self {
        let mut call = Call::default();
        for (value, source) in pairs {
            call.args.positional.push(value);
            call.positional.push_str(&source);
            call.positional.push(',');
        }
        call
    }

    fn keyword(&mut self, name: &str, (value, source): Pair) {
        if self.args.keywords.iter().all(|(known, _)| **known != *name) {
            self.args.keywords.push((name.into(), value));
            self.keywords.push_str(&format!("'{name}': {source},"));
        }
    }

    /// The call as it is, or now and then another one, most likely a wrong one.
    fn or_wrong(self, dice: &mut Dice) -> Self {
        let mut call = self;
        if dice.roll(12) == 0 {
            let count = dice.roll(5);
            call = Call::of((0..count).map(|_| dice.any(1)));
        }
        while dice.roll(20) == 0 {
            let names = [
                "x", "value", "reverse", "key", "default", "lock", "typecode", "a b",
            ];
            let name = dice.pick(&names);
            // A class is a key that can be called.
            let value = if name == "key" {
                dice.integer()
            } else {
                dice.any(1)
            };
            call.keyword(name, value);
        }
        call
    }
}

struct Script {
    source: String,
    answers: Vec<String>,
    calls: Vec<String>,
    caller: Arc<Caller>,
    iterator: Option<Arc<dyn Referent>>,
    /// Whether the dict has been left with a hole. CPython closes it when it adds keys, and an iterator skips some.
    hole: bool,
}

fn tell(exception: &Exception) -> String {
    let args = Value::tuple(exception.args.iter().cloned());
    format!("{} {args}", exception.class)
}

fn show(object: &dyn Referent) -> Result<String> {
    match object.repr() {
        Ok(text) => Ok(text),
        Err(Failure::Raised(exception)) => Ok(tell(&exception)),
        Err(failure) => bail!("{failure:?}"),
    }
}

impl Script {
    fn new() -> Result<Self> {
        Ok(Script {
            source: PRELUDE.to_owned(),
            answers: vec![],
            calls: vec![],
            caller: Caller::local(),
            iterator: None,
            hole: false,
        })
    }

    fn line(&mut self, line: String, answer: String) -> Result<()> {
        writeln!(self.source, "{line}")?;
        self.calls.push(line);
        self.answers.push(answer.replace('\n', "\\n"));
        Ok(())
    }

    fn object(&mut self, typeid: &str, call: Call) -> Result<Option<Arc<dyn Referent>>> {
        fn as_referent<T: Referent>(object: Arc<T>) -> Arc<dyn Referent> {
            object
        }
        (self.iterator, self.hole) = (None, false);
        let args = call.args;
        let made = match typeid {
            "list" => List::new(args).map(as_referent),
            "dict" => Dict::new(args).map(as_referent),
            "Namespace" => Namespace::new(args).map(as_referent),
            "Value" => SharedValue::new(args).map(as_referent),
            _ => SharedArray::new(args).map(as_referent),
        };
        let line = format!("N({typeid}, ({}), {{{}}})", call.positional, call.keywords);
        let answer = match &made {
            Ok(object) => show(&**object)?,
            Err(exception) => tell(exception),
        };
        self.line(line, answer)?;
        Ok(made.ok())
    }

    fn call(&mut self, object: &Arc<dyn Referent>, method: &str, call: Call) -> Result<()> {
        let to = match (method, &self.iterator) {
            ("__next__", Some(iterator)) => iterator,
            _ => object,
        };
        let answer = match to.call(&self.caller, method, call.args) {
            Ok(Reply::Object(iterator)) => {
                self.iterator = Some(iterator);
                "None".to_owned()
            }
            Ok(Reply::Value(value)) => match (method, &value) {
                ("__reversed__", Value::Object(object)) => match &object.make {
                    Make::Call { arguments, .. } => {
                        let mut items = arguments.elements()?[0].elements()?;
                        items.reverse();
                        Value::list(items).repr()?
                    }
                    Make::New { .. } => bail!("{value}"),
                },
                _ => value.repr().unwrap_or_else(|exception| tell(&exception)),
            },
            Err(Failure::Raised(exception)) => tell(&exception),
            Err(failure) => bail!("{method}: {failure:?}"),
        };
        match method {
            "pop" | "__delitem__" => self.hole = true,
            "__setitem__" | "setdefault" | "update" if self.hole => self.iterator = None,
            _ => {}
        }
        let line = format!(
            "C('{method}', ({}), {{{}}})",
            call.positional, call.keywords
        );
        let answer = format!("{answer} | {}", show(&**object)?);
        self.line(line, answer)
    }

    /// Does the same in Python, and compares.
    fn run(self, seed: u64) -> Result<()> {
        let child = Command::new("python3")
            .arg("-")
            .env("PYTHONIOENCODING", "utf-8:backslashreplace")
            .env("PYTHONUTF8", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = match child {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                eprintln!("skipped: there is no python3");
                return Ok(());
            }
            child => child.context("start python3")?,
        };
        // Python reads all of it before it writes anything.
        let mut stdin = child.stdin.take().context("python3's stdin")?;
        stdin.write_all(self.source.as_bytes())?;
        drop(stdin);
        let output = child.wait_with_output()?;
        ensure!(
            output.status.success(),
            "python3 ends with {}",
            output.status
        );
        let text = String::from_utf8(output.stdout)?;
        let theirs: Vec<&str> = text.lines().collect();
        ensure!(theirs.len() == self.answers.len(), "answers are missing");
        let mut different = vec![];
        for (index, (ours, theirs)) in self.answers.iter().zip(theirs).enumerate() {
            if ours != theirs {
                let start = self.calls[..=index]
                    .iter()
                    .rposition(|call| call.starts_with('N'))
                    .unwrap_or(0);
                let calls = self.calls[start..=index].join("\n");
                different.push(format!("{calls}\n  ours:   {ours}\n  python: {theirs}"));
            }
        }
        ensure!(
            different.is_empty(),
            "CONTAINERS_SEED={seed}: {} of {} answers differ:\n{}",
            different.len(),
            self.answers.len(),
            different[..different.len().min(10)].join("\n")
        );
        Ok(())
    }
}

fn number(name: &str, or: u64) -> Result<u64> {
    match env::var(name) {
        Ok(text) => text.parse().context(name.to_owned()),
        Err(_) => Ok(or),
    }
}

/// Makes calls until there are enough, on one object after the other.
fn compare(
    typeid: &str,
    mut make: impl FnMut(&mut Dice) -> Call,
    mut next: impl FnMut(&mut Dice) -> (&'static str, Call),
) -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as u64;
    let seed = number("CONTAINERS_SEED", now)? | 1;
    let calls = number("CONTAINERS_CALLS", 4000)? as usize;
    println!("{typeid}: CONTAINERS_SEED={seed}");
    let mut dice = Dice(seed);
    let mut script = Script::new()?;
    while script.answers.len() < calls {
        let call = make(&mut dice).or_wrong(&mut dice);
        let Some(object) = script.object(typeid, call)? else {
            continue;
        };
        for _ in 0..dice.roll(40) {
            let (method, call) = next(&mut dice);
            if method == "__next__" && script.iterator.is_none() {
                continue;
            }
            let call = call.or_wrong(&mut dice);
            script.call(&object, method, call)?;
            // What cannot be ordered is left as Python leaves it up to here; see sort.rs.
            if object.elements().is_some_and(|items| items.len() > 63) {
                break;
            }
        }
    }
    script.run(seed)
}

fn index(dice: &mut Dice) -> Pair {
    match dice.roll(10) {
        0..5 => dice.small(),
        5..8 => dice.slice(),
        8 => dice.integer(),
        _ => dice.any(1),
    }
}

#[test]
fn list() -> Result<()> {
    let make = |dice: &mut Dice| {
        let (mut values, mut source) = dice.many(1);
        if dice.roll(3) == 0 {
            // Numbers, which can be sorted.
            let count = dice.roll(64);
            let (numbers, sources): (Vec<_>, Vec<_>) = (0..count).map(|_| dice.small()).unzip();
            (values, source) = (numbers, sources.join(",") + ",");
            if count == 0 {
                source.clear();
            }
        }
        match dice.roll(8) {
            0 => Call::default(),
            1 => Call::of([dice.any(2)]),
            _ => Call::of([(Value::list(values), format!("[{source}]"))]),
        }
    };
    compare("list", make, |dice| {
        let methods = &List::EXPOSED;
        let method = methods[dice.roll(methods.len())];
        let call = match method {
            "__getitem__" | "__delitem__" => Call::of([index(dice)]),
            "__setitem__" => {
                let depth = 1 + dice.roll(2);
                let value = dice.any(depth);
                let items = dice.many(1);
                let list = (Value::list(items.0), format!("[{}]", items.1));
                let value = if dice.roll(2) == 0 { list } else { value };
                Call::of([index(dice), value])
            }
            "insert" => {
                let at = if dice.roll(9) == 0 {
                    dice.any(1)
                } else {
                    dice.integer()
                };
                Call::of([at, dice.any(2)])
            }
            "pop" if dice.roll(2) == 0 => Call::of([dice.integer()]),
            "index" => {
                let mut pairs = vec![dice.atom()];
                for _ in 0..dice.roll(3) {
                    pairs.push(if dice.roll(9) == 0 {
                        dice.any(1)
                    } else {
                        dice.integer()
                    });
                }
                Call::of(pairs)
            }
            "__mul__" | "__rmul__" | "__imul__" => {
                let wrong = dice.roll(6) == 0;
                let factor = if wrong { dice.any(1) } else { dice.small() };
                // So great a one may fit into the memory, and takes long.
                let fits = factor.0.as_int().is_none_or(|factor| factor < 3);
                Call::of([if fits { factor } else { (2.into(), "2".into()) }])
            }
            "append" | "extend" | "count" | "remove" | "__contains__" | "__add__" => {
                Call::of([dice.any(2)])
            }
            "sort" if dice.roll(2) == 0 => {
                let mut call = Call::default();
                call.keyword("reverse", dice.integer());
                call
            }
            _ => Call::default(),
        };
        (method, call)
    })
}

/// What `dict` and `update` take: a dict, or pairs.
fn mapping(dice: &mut Dice) -> Pair {
    let count = dice.roll(6);
    let mut pairs = vec![];
    let mut source = String::new();
    for _ in 0..count {
        let (key, value) = (dice.key(), dice.atom());
        source.push_str(&format!("({}, {}),", key.1, value.1));
        pairs.push(Value::tuple([key.0, value.0]));
    }
    match dice.roll(6) {
        0 => dice.any(2),
        1 => {
            let (value, text) = dice.any(1);
            pairs.push(value);
            (Value::list(pairs), format!("[{source}{text}]"))
        }
        _ => (Value::list(pairs), format!("[{source}]")),
    }
}

#[test]
fn dict() -> Result<()> {
    let make = |dice: &mut Dice| {
        let mut call = Call::of([mapping(dice)]);
        if dice.roll(4) == 0 {
            call.keyword("a", dice.atom());
        }
        call
    };
    compare("dict", make, |dice| {
        let methods = [Dict::EXPOSED, &["__next__"; 4]].concat();
        let method = methods[dice.roll(methods.len())];
        let key = if dice.roll(8) == 0 {
            dice.any(2)
        } else {
            dice.key()
        };
        let call = match method {
            "__getitem__" | "__delitem__" | "__contains__" => Call::of([key]),
            "__setitem__" => Call::of([key, dice.any(2)]),
            "get" | "pop" | "setdefault" => match dice.roll(2) {
                0 => Call::of([key]),
                _ => Call::of([key, dice.any(1)]),
            },
            "update" => Call::of([mapping(dice)]),
            "clear" if dice.roll(2) == 0 => Call::of([dice.any(1)]),
            _ => Call::default(),
        };
        (method, call)
    })
}

#[test]
fn namespace() -> Result<()> {
    const NAMES: [&str; 12] = [
        "a",
        "b",
        "ab",
        "_c",
        "é",
        "",
        "__dict__",
        "__class__",
        "__doc__",
        "__module__",
        "__weakref__",
        "x y",
    ];
    let make = |dice: &mut Dice| {
        let mut call = Call::default();
        for _ in 0..dice.roll(5) {
            call.keyword(dice.pick(&NAMES), dice.any(1));
        }
        call
    };
    compare("Namespace", make, |dice| {
        let methods = Namespace::EXPOSED;
        let method = methods[dice.roll(methods.len())];
        let name = dice.pick(&NAMES);
        let mut name = (name.into(), format!("'{name}'"));
        if dice.roll(10) == 0 {
            name = dice.small();
        }
        let call = match method {
            "__setattr__" => Call::of([name, dice.any(2)]),
            _ => Call::of([name]),
        };
        (method, call)
    })
}

#[test]
fn value() -> Result<()> {
    let make = |dice: &mut Dice| Call::of([dice.any(1), dice.any(2)]);
    compare("Value", make, |dice| match dice.roll(2) {
        0 => ("get", Call::default()),
        _ => ("set", Call::of([dice.any(2)])),
    })
}

#[test]
fn array() -> Result<()> {
    let make = |dice: &mut Dice| {
        let typecodes = [
            "b", "B", "u", "h", "H", "i", "I", "l", "L", "q", "Q", "f", "d", "x", "", "é", "ib",
        ];
        let typecode = dice.pick(&typecodes);
        let wrong = if dice.roll(6) > 0 { 9 } else { 0 };
        let (values, sources): (Vec<_>, Vec<_>) = (0..dice.roll(6))
            .map(|_| match (typecode, wrong) {
                ("u", 9) => ("é".into(), "'é'".into()),
                (_, 9) => {
                    let number = dice.roll(9);
                    (number.into(), number.to_string())
                }
                _ => dice.number(),
            })
            .unzip();
        let list = (Value::list(values), format!("[{}]", sources.join(",")));
        let sequence = if dice.roll(8) == 0 { dice.any(2) } else { list };
        Call::of([(typecode.into(), format!("'{typecode}'")), sequence])
    };
    compare("Array", make, |dice| match dice.roll(5) {
        0 => ("__len__", Call::default()),
        1 | 2 => ("__getitem__", Call::of([index(dice)])),
        _ => {
            let value = match dice.roll(3) {
                0 => {
                    let typecode = ['b', 'i', 'd'][dice.roll(3)];
                    dice.numbers(typecode)
                }
                1 => dice.number(),
                _ => dice.any(2),
            };
            ("__setitem__", Call::of([index(dice), value]))
        }
    })
}
