//! Tokens, by which `multiprocessing.managers` names shared objects, and the addresses in them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::address::Address;
use crate::value::{Make, Object, Step, Value};

pub(crate) const MANAGERS: &str = "multiprocessing.managers";

/// Returns the `multiprocessing.managers.Token` of a shared object.
///
/// ```
/// use pickle_value::managers::{as_token, token};
///
/// let address = "127.0.0.1:5000".parse().unwrap();
/// let token = token("list", &address, "7f3a");
/// assert_eq!(as_token(&token), Some(("list".into(), address, "7f3a".into())));
/// ```
pub fn token(typeid: impl Into<Arc<str>>, address: &Address, ident: impl Into<Arc<str>>) -> Value {
    let state = [
        Value::Str(typeid.into()),
        address_value(address),
        Value::Str(ident.into()),
    ];
    Value::Object(Arc::new(Object {
        make: Make::New {
            class: Value::global(MANAGERS, "Token"),
            arguments: Value::tuple([]),
            keywords: None,
        },
        steps: vec![Step::State(Value::tuple(state))],
    }))
}

/// Returns the type, the server and the name of the object if the value is a `Token`.
pub fn as_token(value: &Value) -> Option<(Arc<str>, Address, Arc<str>)> {
    let Value::Object(object) = value.stored() else {
        return None;
    };
    let (class, parts) = match (&object.make, &object.steps[..]) {
        (Make::New { class, .. }, [Step::State(state)]) => (class, state),
        (
            Make::Call {
                callable,
                arguments,
            },
            [],
        ) => (callable, arguments),
        _ => return None,
    };
    let (class, parts) = (value.part(class), value.part(parts));
    match (class.stored(), parts.stored()) {
        (Value::Global(class), Value::Tuple(items))
            if class.module == MANAGERS && class.name == "Token" =>
        {
            match &items[..] {
                [Value::Str(typeid), address, Value::Str(ident)] => Some((
                    typeid.clone(),
                    as_address(&parts.part(address))?,
                    ident.clone(),
                )),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Returns an address as Python writes it: a tuple for TCP, `bytes` for an abstract name, a `str` for a path.
pub fn address_value(address: &Address) -> Value {
    let path = match address {
        Address::Tcp(host, port) => {
            return Value::tuple([Value::from(&**host), Value::Int(i64::from(*port))]);
        }
        Address::Unix(path) => path.as_os_str().as_bytes(),
    };
    if path.first() == Some(&0) {
        return Value::Bytes(path.into());
    }
    match std::str::from_utf8(path) {
        Ok(path) => Value::from(path),
        Err(_) => Value::Surrogates(escaped(path).into()),
    }
}

/// Returns the address that a value stands for, if it is one.
///
/// A text of more than 255 bytes is not an address: no host and no Unix socket has a longer name. So the addresses of many
/// tokens take at most a small multiple of their pickle's size.
pub fn as_address(value: &Value) -> Option<Address> {
    const LONGEST: usize = 255;
    let unix = |path: &[u8]| Some(Address::Unix(PathBuf::from(OsStr::from_bytes(path))));
    match value.stored() {
        Value::Tuple(parts) => match &parts[..] {
            [Value::Str(host), Value::Int(port)] if host.len() <= LONGEST => {
                Some(Address::Tcp(host.to_string(), u16::try_from(*port).ok()?))
            }
            _ => None,
        },
        Value::Str(path) if path.len() <= LONGEST => unix(path.as_bytes()),
        Value::Bytes(path) if path.len() <= LONGEST => unix(path),
        // Each byte takes up to three.
        Value::Surrogates(text) if text.len() <= 3 * LONGEST => unix(&unescaped(text)?),
        _ => None,
    }
}

/// Encodes as Python's `surrogateescape`: a byte outside UTF-8 becomes the surrogate U+DC00 plus the byte.
fn escaped(bytes: &[u8]) -> Vec<u8> {
    let mut text = vec![];
    for chunk in bytes.utf8_chunks() {
        text.extend_from_slice(chunk.valid().as_bytes());
        for byte in chunk.invalid() {
            text.extend([0xed, 0xb0 | (byte >> 6), 0x80 | (byte & 0x3f)]);
        }
    }
    text
}

fn unescaped(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = vec![];
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        rest = match rest {
            // A surrogate is the only character that begins like this.
            [0xed, second @ 0xa0..=0xbf, third, after @ ..] => {
                if !matches!(second, 0xb2 | 0xb3) {
                    return None;
                }
                bytes.push((second << 6) | (third & 0x3f));
                after
            }
            _ => {
                bytes.push(*first);
                after
            }
        };
    }
    Some(bytes)
}
