//! A fast path for small requests and replies. Most messages are small.
//!
//! It reads a call with a few numbers and texts in a fifth of the time that [`Reader`](super::read::Reader) takes (0.1
//! instead of 0.5 microseconds; `cargo test --release -p pickle-value --test pickle -- speed --ignored --nocapture`
//! measures it), because it builds values in one pass. It knows numbers, texts, bytes, tuples and empty dicts, and gives up
//! on everything else: objects that occur twice, containers that could contain themselves, and errors. Then the `Reader`
//! starts over.

use std::str::from_utf8;
use std::sync::Arc;

use super::limits::Limits;
use super::opcode::*;
use crate::value::Value;

/// How many values may be on the stack. Together with the length of the texts this bounds the memory.
const STACK: usize = 64;

/// How many containers there may be, which bounds their depth.
const CONTAINERS: usize = 16;

/// The memory that a message may take in addition to its length.
const MEMORY: usize = 64 << 10;

/// Reads a small request without keyword arguments, and returns the name of the object, the method and the arguments.
///
/// `None` only means that the request is not small: [`loads_with`](crate::loads_with) reads every request.
pub fn request<'a>(pickle: &'a [u8], limits: &Limits) -> Option<(&'a str, &'a str, Arc<[Value]>)> {
    let mut rest = pickle;
    begin(&mut rest)?;
    let [MARK] = take(&mut rest)? else {
        return None;
    };
    let (ident, name) = (text(&mut rest)?, text(&mut rest)?);
    let parts = values(&mut rest, limits, TUPLE)?;
    match <[Value; 2]>::try_from(parts).ok()? {
        [Value::Tuple(args), Value::Dict(keywords)] if keywords.is_empty() => {
            end(rest).then_some((ident, name, args))
        }
        _ => None,
    }
}

/// Reads a small reply, and returns its kind and value.
///
/// `None` only means that the reply is not small: [`loads_with`](crate::loads_with) reads every reply.
pub fn reply<'a>(pickle: &'a [u8], limits: &Limits) -> Option<(&'a str, Value)> {
    let mut rest = pickle;
    begin(&mut rest)?;
    let kind = text(&mut rest)?;
    let [value] = <[Value; 1]>::try_from(values(&mut rest, limits, TUPLE2)?).ok()?;
    end(rest).then_some((kind, value))
}

/// Skips what precedes the first value.
fn begin(rest: &mut &[u8]) -> Option<()> {
    let [PROTO, 3..=5] = take(rest)? else {
        return None;
    };
    if let Some((&FRAME, after)) = rest.split_first() {
        *rest = after;
        let length = usize::try_from(u64::from_le_bytes(take(rest)?)).ok()?;
        return (length <= rest.len()).then_some(());
    }
    Some(())
}

/// Takes a short text.
fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let [SHORT_BINUNICODE, length] = take(rest)? else {
        return None;
    };
    let text = from_utf8(part(rest, length.into())?).ok()?;
    *rest = rest.strip_prefix(&[MEMOIZE]).unwrap_or(rest);
    Some(text)
}

/// Whether only the end follows.
fn end(rest: &[u8]) -> bool {
    rest.strip_prefix(&[MEMOIZE]).unwrap_or(rest).first() == Some(&STOP)
}

/// Takes the values up to the opcode that ends them, and that opcode. For a pair that is the `TUPLE2` behind one value.
fn values(rest: &mut &[u8], limits: &Limits, last: u8) -> Option<Vec<Value>> {
    if limits.memory < rest.len().saturating_add(MEMORY) {
        return None;
    }
    let mut stack: Vec<Value> = Vec::with_capacity(8);
    // More than one at a time are rare.
    let mut mark = None;
    let mut containers = 0;
    loop {
        let (code, after) = rest.split_first()?;
        *rest = after;
        if *code == last && mark.is_none() && (last != TUPLE2 || stack.len() == 1) {
            return Some(stack);
        }
        // Items below the mark are out of reach.
        let above = stack.len() - mark.unwrap_or(0);
        let value = match *code {
            PROTO => match take(rest)? {
                [3..=5] => continue,
                _ => return None,
            },
            FRAME => match usize::try_from(u64::from_le_bytes(take(rest)?)) {
                Ok(length) if length <= rest.len() => continue,
                _ => return None,
            },
            // There is nothing that could be fetched: what is fetched is not known here.
            MEMOIZE if above > 0 => continue,
            MARK if mark.is_none() => {
                mark = Some(stack.len());
                continue;
            }
            NONE => Value::None,
            NEWTRUE => Value::Bool(true),
            NEWFALSE => Value::Bool(false),
            BININT1 => Value::Int(u8::from_le_bytes(take(rest)?).into()),
            BININT2 => Value::Int(u16::from_le_bytes(take(rest)?).into()),
            BININT => Value::Int(i32::from_le_bytes(take(rest)?).into()),
            BINFLOAT => Value::Float(f64::from_be_bytes(take(rest)?)),
            SHORT_BINUNICODE => {
                let [length] = take(rest)?;
                Value::Str(from_utf8(part(rest, length.into())?).ok()?.into())
            }
            BINUNICODE => {
                let length = u32::from_le_bytes(take(rest)?);
                Value::Str(from_utf8(part(rest, length)?).ok()?.into())
            }
            SHORT_BINBYTES => {
                let [length] = take(rest)?;
                Value::Bytes(part(rest, length.into())?.into())
            }
            BINBYTES => {
                let length = u32::from_le_bytes(take(rest)?);
                Value::Bytes(part(rest, length)?.into())
            }
            EMPTY_TUPLE => Value::Tuple(Arc::default()),
            EMPTY_DICT => Value::Dict([].into()),
            TUPLE1 | TUPLE2 | TUPLE3 => {
                let from = above.checked_sub(usize::from(*code - TUPLE1) + 1)?;
                Value::Tuple(stack.drain(mark.unwrap_or(0) + from..).collect())
            }
            TUPLE => Value::Tuple(stack.drain(mark.take()?..).collect()),
            _ => return None,
        };
        if matches!(value, Value::Tuple(_) | Value::Dict(_)) {
            containers += 1;
        }
        if stack.len() == STACK || containers > CONTAINERS.min(limits.depth) {
            return None;
        }
        stack.push(value);
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*taken)
}

fn part<'a>(rest: &mut &'a [u8], length: u32) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(length as usize)?;
    *rest = after;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::super::{dumps, read::Reader};
    use super::*;
    use crate::value::Proxy;

    fn read(pickle: &[u8], limits: &Limits) -> Option<Value> {
        values(&mut &*pickle, limits, STOP)?.pop()
    }

    fn full(pickle: &[u8], limits: &Limits) -> Option<Value> {
        let keep = &mut |_: &Proxy| None;
        Reader::new(pickle, limits).read(keep).ok()
    }

    #[test]
    fn it_reads_what_the_full_reader_reads() {
        let limits = Limits::default();
        let text: Value = "x".repeat(300).into();
        let numbers = [0, -1, 255, 65535, 1 << 20].map(Value::Int);
        let small = Value::tuple([
            Value::None,
            Value::tuple(numbers),
            Value::tuple([text, "".into(), Value::bytes([7; 300]), Value::bytes("")]),
            Value::tuple([]),
            Value::Dict([].into()),
            Value::tuple([true.into(), false.into(), 1.5.into()]),
        ]);
        let mut requests = vec![dumps(&Value::tuple([1.into(), "a".into(), 2.5.into()]))];
        requests.push(dumps(&Value::tuple([Value::tuple([true.into()])])));
        for pickle in &requests {
            let read = read(pickle, &limits).unwrap();
            assert_eq!(Some(read), full(pickle, &limits));
        }
        // Every byte of it changed, and every length: what is read here is right, or refused.
        requests.push(dumps(&small));
        for pickle in &requests {
            for at in 0..pickle.len() {
                let mut changed = pickle.clone();
                for byte in 0..=255 {
                    changed[at] = byte;
                    if let Some(read) = read(&changed, &limits) {
                        let same = full(&changed, &limits).map(|full| dumps(&full));
                        assert_eq!(Some(dumps(&read)), same, "{changed:?}");
                    }
                }
                assert!(read(&pickle[..at], &limits).is_none());
            }
        }
    }

    #[test]
    fn requests_and_replies() {
        use super::super::{dump_reply_into, dump_request_into};
        let limits = Limits::default();
        let args = [1.into(), "x".into(), Value::tuple([2.into()])];
        let mut pickle = vec![];
        dump_request_into(Some("7f"), "put", &args, &[], &mut pickle);
        let asked = |pickle: &[u8]| {
            let (ident, name, args) = request(pickle, &limits)?;
            Some(Value::tuple([
                ident.into(),
                name.into(),
                Value::Tuple(args),
                Value::Dict([].into()),
            ]))
        };
        // CPython's form has frames and remembers each text and tuple.
        let cpython = b"\x80\x04\x95\x1d\0\0\0\0\0\0\0(\x8c\x027f\x94\x8c\x03put\x94K\x01\x8c\x01x\x94K\x02\x85\x94\x87\x94}\x94t\x94.";
        let whole = full(&pickle, &limits);
        assert_eq!(asked(&pickle), whole);
        assert_eq!(asked(cpython), whole);
        let mut answer = vec![];
        dump_reply_into("#RETURN", &args[2], &mut answer);
        let answered = |pickle: &[u8]| {
            let (kind, value) = reply(pickle, &limits)?;
            Some(Value::tuple([kind.into(), value]))
        };
        assert_eq!(answered(&answer), full(&answer, &limits));
        // Whatever byte is changed: what is read here is right, or refused.
        for pickle in [&pickle[..], cpython, &answer] {
            for at in 0..pickle.len() {
                let mut changed = pickle.to_vec();
                for byte in 0..=255 {
                    changed[at] = byte;
                    for read in [asked(&changed), answered(&changed)].into_iter().flatten() {
                        assert_eq!(Some(read), full(&changed, &limits), "{changed:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_deep_or_large_is_for_the_other_reader() {
        let nested = |levels: usize| [&[PROTO, 4, NONE][..], &vec![TUPLE1; levels], b"."].concat();
        let limits = Limits::default();
        assert!(read(&nested(CONTAINERS), &limits).is_some());
        assert!(read(&nested(CONTAINERS + 1), &limits).is_none());
        let shallow = Limits {
            depth: 3,
            ..Limits::default()
        };
        assert!(read(&nested(3), &shallow).is_some());
        assert!(read(&nested(4), &shallow).is_none());
        let wide = |count: usize| [&[PROTO, 4][..], &vec![NONE; count], b"."].concat();
        assert!(read(&wide(STACK), &limits).is_some());
        assert!(read(&wide(STACK + 1), &limits).is_none());
        let small = Limits {
            memory: MEMORY,
            ..Limits::default()
        };
        assert!(read(&wide(1), &small).is_none());
    }
}
