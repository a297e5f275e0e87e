//! Small messages, from bytes to values in one pass: what most calls and replies are.
//!
//! Only numbers, texts, tuples and empty dicts are known here. All else is for [`Reader`](super::read::Reader), which begins
//! again: what occurs twice, what can contain itself, and what is wrong.

use std::str::from_utf8;
use std::sync::Arc;

use super::super::value::Value;
use super::Limits;
use super::opcode::*;

/// How many values may lie on the stack. It bounds the memory, together with what the bytes of texts take.
const STACK: usize = 64;

/// How many containers there may be, so that they cannot be deep.
const CONTAINERS: usize = 16;

/// What a message of no bytes may take at most.
const MEMORY: usize = 64 << 10;

/// The value, if it is one that is known here.
pub(super) fn read(pickle: &[u8], limits: &Limits) -> Option<Value> {
    if limits.memory < pickle.len().saturating_add(MEMORY) {
        return None;
    }
    let mut rest = pickle;
    let mut stack: Vec<Value> = Vec::with_capacity(8);
    // More than one at a time are rare.
    let mut mark = None;
    let mut containers = 0;
    loop {
        let (code, after) = rest.split_first()?;
        rest = after;
        // What lies below the mark is out of reach.
        let above = stack.len() - mark.unwrap_or(0);
        let value = match *code {
            PROTO => match take(&mut rest)? {
                [3..=5] => continue,
                _ => return None,
            },
            FRAME => match usize::try_from(u64::from_le_bytes(take(&mut rest)?)) {
                Ok(length) if length <= rest.len() => continue,
                _ => return None,
            },
            // There is nothing that could be fetched: what is fetched is not known here.
            MEMOIZE if above > 0 => continue,
            MARK if mark.is_none() => {
                mark = Some(stack.len());
                continue;
            }
            STOP if mark.is_none() => return stack.pop(),
            NONE => Value::None,
            NEWTRUE => Value::Bool(true),
            NEWFALSE => Value::Bool(false),
            BININT1 => Value::Int(u8::from_le_bytes(take(&mut rest)?).into()),
            BININT2 => Value::Int(u16::from_le_bytes(take(&mut rest)?).into()),
            BININT => Value::Int(i32::from_le_bytes(take(&mut rest)?).into()),
            BINFLOAT => Value::Float(f64::from_be_bytes(take(&mut rest)?)),
            SHORT_BINUNICODE => {
                let [length] = take(&mut rest)?;
                Value::Str(from_utf8(part(&mut rest, length.into())?).ok()?.into())
            }
            BINUNICODE => {
                let length = u32::from_le_bytes(take(&mut rest)?);
                Value::Str(from_utf8(part(&mut rest, length)?).ok()?.into())
            }
            SHORT_BINBYTES => {
                let [length] = take(&mut rest)?;
                Value::Bytes(part(&mut rest, length.into())?.into())
            }
            BINBYTES => {
                let length = u32::from_le_bytes(take(&mut rest)?);
                Value::Bytes(part(&mut rest, length)?.into())
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
    use super::super::super::value::Proxy;
    use super::super::{dumps, read::Reader};
    use super::*;

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
