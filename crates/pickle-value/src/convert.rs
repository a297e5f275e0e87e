//! Python's values from Rust's, and the items of Python's containers.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use num_bigint::BigInt;
use num_traits::ToPrimitive;

use crate::compare::{Key, Range, Walk};
use crate::exception::Exception;
use crate::repr::code_points;
use crate::value::{Array, Value, is_surrogatepass};

/// How many items one call may make. `[0] * 10**12` raises a `MemoryError`, as Python does when it runs out of memory. This
/// many items take half a GiB.
pub const MOST: usize = 1 << 24;

impl Value {
    /// Returns a `bytes`. (`From<Vec<u8>>` makes a list of integers.)
    pub fn bytes(bytes: impl AsRef<[u8]>) -> Self {
        Value::Bytes(bytes.as_ref().into())
    }

    /// Returns the `str` that Python's `surrogatepass` decodes: UTF-8, with three bytes for each lone surrogate. Returns
    /// `None` for other bytes.
    pub fn text(bytes: &[u8]) -> Option<Self> {
        if let Ok(text) = std::str::from_utf8(bytes) {
            return Some(Value::Str(text.into()));
        }
        is_surrogatepass(bytes).then(|| Value::Surrogates(bytes.into()))
    }

    /// Returns a `dict`. Of equal keys it keeps the first, with the last value, as in Python.
    ///
    /// # Errors
    ///
    /// `TypeError` for a key that Python does not hash.
    ///
    /// # Examples
    ///
    /// ```
    /// use pickle_value::Value;
    ///
    /// let dict = Value::dict([(Value::from(1), "a"), (Value::from(true), "b")]).unwrap();
    /// assert_eq!(dict.to_string(), "{1: 'b'}");
    /// ```
    pub fn dict<K: Into<Value>, V: Into<Value>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, Exception> {
        let mut dict: Vec<(Value, Value)> = vec![];
        let mut places: HashMap<Key, usize> = HashMap::new();
        let mut walk = Walk::new();
        for (key, value) in pairs {
            let key = walk.hash(&key.into())?;
            match places.entry(key) {
                Entry::Occupied(place) => {
                    if let Some(pair) = dict.get_mut(*place.get()) {
                        pair.1 = value.into();
                    }
                }
                Entry::Vacant(place) => {
                    dict.push((place.key().value().clone(), value.into()));
                    place.insert(dict.len() - 1);
                }
            }
        }
        Ok(Value::Dict(dict.into()))
    }

    /// Returns a `set`.
    ///
    /// # Errors
    ///
    /// `TypeError` for an item that Python does not hash.
    pub fn set<T: Into<Value>>(items: impl IntoIterator<Item = T>) -> Result<Self, Exception> {
        Ok(Value::Set(distinct(items)?))
    }

    /// Returns a `frozenset`.
    ///
    /// # Errors
    ///
    /// As [`Value::set`].
    pub fn frozenset<T: Into<Value>>(
        items: impl IntoIterator<Item = T>,
    ) -> Result<Self, Exception> {
        Ok(Value::FrozenSet(distinct(items)?))
    }

    /// Returns the items that Python's `iter(self)` yields: the keys of a dict, the characters of a `str`, the integers of a
    /// `bytes`.
    ///
    /// # Errors
    ///
    /// `TypeError` for a value that is not iterable, `MemoryError` for more than [`MOST`] items.
    pub fn elements(&self) -> Result<Vec<Value>, Exception> {
        let many = match self.stored() {
            Value::Tuple(items)
            | Value::List(items)
            | Value::Set(items)
            | Value::FrozenSet(items) => items.len() > MOST,
            Value::Dict(pairs) => pairs.len() > MOST,
            Value::Str(text) => text.chars().nth(MOST).is_some(),
            Value::Surrogates(bytes) => code_points(bytes).nth(MOST).is_some(),
            Value::Bytes(bytes) | Value::ByteArray(bytes) => bytes.len() > MOST,
            Value::Array(array) => array.len()? > MOST,
            _ => false,
        };
        if many {
            return Err(Exception::memory_error());
        }
        let part = |part: &Value| self.part(part).into_owned();
        match self.stored() {
            Value::Tuple(items)
            | Value::List(items)
            | Value::Set(items)
            | Value::FrozenSet(items) => Ok(items.iter().map(part).collect()),
            Value::Dict(pairs) => Ok(pairs.iter().map(|(key, _)| part(key)).collect()),
            Value::Str(text) => Ok(text.chars().map(Value::from).collect()),
            Value::Surrogates(bytes) => Ok(code_points(bytes).map(character).collect()),
            Value::Bytes(bytes) | Value::ByteArray(bytes) => {
                Ok(bytes.iter().map(|byte| Value::from(*byte)).collect())
            }
            Value::Array(array) => (0..array.len()?).map(|index| array.item(index)).collect(),
            _ => {
                if let plain @ Value::List(_) = &*self.plain() {
                    return plain.elements();
                }
                if let Some(range) = Range::of(self) {
                    return range_elements(&range);
                }
                let text = format!("'{}' object is not iterable", self.type_name());
                Err(Exception::type_error(text))
            }
        }
    }
}

fn distinct<T: Into<Value>>(items: impl IntoIterator<Item = T>) -> Result<Arc<[Value]>, Exception> {
    let mut seen = HashSet::new();
    let mut kept = vec![];
    let mut walk = Walk::new();
    for item in items {
        let key = walk.hash(&item.into())?;
        if !seen.contains(&key) {
            kept.push(key.value().clone());
            seen.insert(key);
        }
    }
    Ok(kept.into())
}

/// Returns a `str` of one code point.
fn character(code: u32) -> Value {
    match char::from_u32(code) {
        Some(char) => Value::from(char),
        None => {
            let low = |shift: u32| 0x80 | (code >> shift & 0x3f) as u8;
            Value::Surrogates([0xe0 | (code >> 12) as u8, low(6), low(0)].into())
        }
    }
}

fn range_elements(range: &Range) -> Result<Vec<Value>, Exception> {
    let len = range.len.to_usize().filter(|len| *len <= MOST);
    let len = len.ok_or_else(Exception::memory_error)?;
    if let (Some(start), Some(step)) = (range.start.to_i64(), range.step.to_i64())
        && let Some(way) = step.checked_mul(len as i64)
        && start.checked_add(way).is_some()
    {
        return Ok((0..len as i64)
            .map(|n| Value::Int(start + n * step))
            .collect());
    }
    let mut next = range.start.clone();
    let mut items = Vec::with_capacity(len);
    for _ in 0..len {
        items.push(Value::from(next.clone()));
        next += &range.step;
    }
    Ok(items)
}

impl Array {
    /// Returns the size of an item in bytes, as on 64-bit Linux.
    ///
    /// # Errors
    ///
    /// `ValueError` for an unknown typecode.
    pub fn item_size(&self) -> Result<usize, Exception> {
        Array::size_of(self.typecode).ok_or_else(|| {
            Exception::value_error("bad typecode (must be b, B, u, h, H, i, I, l, L, q, Q, f or d)")
        })
    }

    /// Returns the number of items.
    ///
    /// # Errors
    ///
    /// As [`Array::item_size`].
    pub fn len(&self) -> Result<usize, Exception> {
        Ok(self.bytes.len() / self.item_size()?)
    }

    /// Whether the array has no items.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Returns an item.
    ///
    /// # Errors
    ///
    /// `IndexError` beyond the end, `ValueError` for a number that is not a code point, and as [`Array::item_size`].
    pub fn item(&self, index: usize) -> Result<Value, Exception> {
        let size = self.item_size()?;
        let range = || Some(index.checked_mul(size)?..index.checked_add(1)?.checked_mul(size)?);
        let bytes = range().and_then(|range| self.bytes.get(range));
        Ok(match (self.typecode, bytes) {
            ('b', Some(&[a])) => Value::Int((a as i8).into()),
            ('B', Some(&[a])) => Value::Int(a.into()),
            ('h', Some(&[a, b])) => Value::Int(i16::from_ne_bytes([a, b]).into()),
            ('H', Some(&[a, b])) => Value::Int(u16::from_ne_bytes([a, b]).into()),
            (code, Some(&[a, b, c, d])) => {
                let bytes = [a, b, c, d];
                match (code, u32::from_ne_bytes(bytes)) {
                    ('i', _) => Value::Int(i32::from_ne_bytes(bytes).into()),
                    ('f', _) => Value::Float(f32::from_ne_bytes(bytes).into()),
                    ('I', number) => Value::Int(number.into()),
                    (_, code @ 0..=0x10_ffff) => character(code),
                    _ => {
                        let text = "chr() arg not in range(0x110000)";
                        return Err(Exception::value_error(text));
                    }
                }
            }
            (code, Some(&[a, b, c, d, e, f, g, h])) => {
                let bytes = [a, b, c, d, e, f, g, h];
                match code {
                    'd' => Value::Float(f64::from_ne_bytes(bytes)),
                    'L' | 'Q' => Value::from(u64::from_ne_bytes(bytes)),
                    _ => Value::Int(i64::from_ne_bytes(bytes)),
                }
            }
            _ => return Err(Exception::index_error("array index out of range")),
        })
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Str(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Str(text.into())
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Value::Str(text.as_str().into())
    }
}

impl From<Arc<str>> for Value {
    fn from(text: Arc<str>) -> Self {
        Value::Str(text)
    }
}

impl From<char> for Value {
    fn from(char: char) -> Self {
        // As in CPython, each of these is always the same object, so that many take little memory.
        static ASCII: LazyLock<Vec<Value>> = LazyLock::new(|| {
            ('\0'..='\x7f')
                .map(|char| Value::from(char.to_string()))
                .collect()
        });
        match ASCII.get(char as usize) {
            Some(text) => text.clone(),
            None => Value::Str((&*char.encode_utf8(&mut [0; 4])).into()),
        }
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Value::Bool(flag)
    }
}

macro_rules! from_small {
    ($($number:ty)*) => {$(
        impl From<$number> for Value {
            fn from(number: $number) -> Self {
                Value::Int(number.into())
            }
        }
    )*};
}

macro_rules! from_wide {
    ($($number:ty)*) => {$(
        impl From<$number> for Value {
            fn from(number: $number) -> Self {
                match i64::try_from(number) {
                    Ok(number) => Value::Int(number),
                    Err(_) => Value::Long(Arc::new(number.into())),
                }
            }
        }
    )*};
}

from_small!(i8 i16 i32 i64 u8 u16 u32);
from_wide!(isize usize u64 i128 u128);

impl From<BigInt> for Value {
    fn from(number: BigInt) -> Self {
        match number.to_i64() {
            Some(number) => Value::Int(number),
            None => Value::Long(Arc::new(number)),
        }
    }
}

impl From<f32> for Value {
    fn from(number: f32) -> Self {
        Value::Float(number.into())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Value::Float(number)
    }
}

impl From<()> for Value {
    fn from((): ()) -> Self {
        Value::None
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::None, Into::into)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Self {
        Value::list(items.into_iter().map(Into::into))
    }
}

impl<T: Into<Value>, const N: usize> From<[T; N]> for Value {
    fn from(items: [T; N]) -> Self {
        Value::list(items.map(Into::into))
    }
}

macro_rules! from_tuple {
    ($($T:ident)*) => {
        impl<$($T: Into<Value>),*> From<($($T,)*)> for Value {
            #[allow(non_snake_case)]
            fn from(($($T,)*): ($($T,)*)) -> Self {
                Value::tuple([$($T.into()),*])
            }
        }
    };
}

from_tuple!(A);
from_tuple!(A B);
from_tuple!(A B C);
from_tuple!(A B C D);

/// Rust types whose values make keys of a dict, with different keys for different values.
///
/// ```
/// use std::collections::BTreeMap;
///
/// use pickle_value::Value;
///
/// let map = BTreeMap::from([("a", 1), ("b", 2)]);
/// assert_eq!(Value::from(map).to_string(), "{'a': 1, 'b': 2}");
/// ```
pub trait DictKey: Into<Value> {}

macro_rules! dict_key {
    ($($key:ty)*) => {$( impl DictKey for $key {} )*};
}

dict_key!(&str String Arc<str> char bool i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize);

impl<K: DictKey, V: Into<Value>> From<BTreeMap<K, V>> for Value {
    fn from(map: BTreeMap<K, V>) -> Self {
        Value::Dict(map.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }
}

impl<K: DictKey, V: Into<Value>, S> From<HashMap<K, V, S>> for Value {
    fn from(map: HashMap<K, V, S>) -> Self {
        Value::Dict(map.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builtin(name: &'static str, arguments: impl IntoIterator<Item = Value>) -> Value {
        Value::call(Value::global("builtins", name), arguments)
    }

    fn array(typecode: char, bytes: impl Into<Vec<u8>>) -> Array {
        let bytes = bytes.into();
        Array { typecode, bytes }
    }

    #[test]
    fn an_integer_is_long_only_where_it_must_be() {
        assert!(matches!(Value::from(u64::MAX), Value::Long(_)));
        assert!(matches!(Value::from(i64::MAX as u64), Value::Int(i64::MAX)));
        assert!(matches!(
            Value::from(i64::MIN as i128),
            Value::Int(i64::MIN)
        ));
        assert!(matches!(Value::from(i64::MIN as i128 - 1), Value::Long(_)));
        assert!(matches!(Value::from(BigInt::from(5)), Value::Int(5)));
        assert_eq!(Value::from(usize::MAX).to_string(), usize::MAX.to_string());
    }

    #[test]
    fn rust_values_become_python_values() {
        let shown = |value: Value| value.to_string();
        assert_eq!(
            shown((1, "a", 'b', String::from("c")).into()),
            "(1, 'a', 'b', 'c')"
        );
        assert_eq!(shown(vec![Some(1.5), None].into()), "[1.5, None]");
        assert_eq!(shown([(); 2].into()), "[None, None]");
        assert_eq!(
            shown(BTreeMap::from([("a", true), ("b", false)]).into()),
            "{'a': True, 'b': False}"
        );
        assert_eq!(
            shown(HashMap::from([(1_u8, 0.1_f32)]).into()),
            "{1: 0.10000000149011612}"
        );
        assert_eq!(shown(Value::bytes("a")), "b'a'");
    }

    #[test]
    fn equal_keys_are_one_entry() {
        let pairs: [(Value, i64); 3] = [(1.into(), 1), ("a".into(), 2), (true.into(), 3)];
        assert_eq!(Value::dict(pairs).unwrap().to_string(), "{1: 3, 'a': 2}");
        let items: [Value; 3] = [1.0.into(), 1.into(), 2.into()];
        assert_eq!(Value::set(items).unwrap().to_string(), "{1.0, 2}");
        let error = Value::dict([(Value::list([]), 1)]).unwrap_err();
        assert_eq!(error.to_string(), "TypeError: unhashable type: 'list'");
    }

    #[test]
    fn lone_surrogates_are_text_and_nothing_else_is() {
        assert!(matches!(Value::text(b"a\xc3\xa9"), Some(Value::Str(_))));
        assert!(matches!(
            Value::text(b"\xed\xa0\x80\xed\xbf\xbf"),
            Some(Value::Surrogates(_))
        ));
        for bytes in [
            &b"\xff"[..],
            b"\xed\xa0",
            b"\xc3",
            b"\xed\xa0\x80\xff",
            b"\xf5\x80\x80\x80",
        ] {
            assert!(Value::text(bytes).is_none());
        }
    }

    #[test]
    fn elements_are_what_iterating_gives() {
        let of = |value: Value| match value.elements() {
            Ok(items) => Value::list(items).to_string(),
            Err(error) => error.to_string(),
        };
        assert_eq!(of("aé".into()), "['a', 'é']");
        assert_eq!(
            of(Value::text(b"a\xed\xa0\x80").unwrap()),
            r"['a', '\ud800']"
        );
        assert_eq!(of(Value::bytes([1, 255])), "[1, 255]");
        assert_eq!(of(Value::dict([("a", 1)]).unwrap()), "['a']");
        assert_eq!(of(Value::set([1, 2]).unwrap()), "[1, 2]");
        assert_eq!(of(builtin("list", [[1].into()])), "[1]");
        assert_eq!(of(Value::Array(Arc::new(array('b', [1, 255])))), "[1, -1]");
        let range = |a: i128, b: i128, c: i64| of(builtin("range", [a.into(), b.into(), c.into()]));
        assert_eq!(range(0, 3, 1), "[0, 1, 2]");
        assert_eq!(range(3, -2, -2), "[3, 1, -1]");
        assert_eq!(range(1 << 63, (1 << 63) + 1, 1), "[9223372036854775808]");
        assert_eq!(range((1 << 63) - 1, 1 << 63, 1), "[9223372036854775807]");
        assert_eq!(range(0, 1 << 40, 1), "MemoryError");
        assert_eq!(of(1.into()), "TypeError: 'int' object is not iterable");
        assert_eq!(
            of(Value::None),
            "TypeError: 'NoneType' object is not iterable"
        );
        let knot = Value::Knot([Value::List([Value::Inner(0)].into())].into(), 0);
        assert_eq!(of(knot), "[[[...]]]");
    }

    #[test]
    fn items_of_an_array_are_read_by_its_typecode() {
        let item =
            |typecode, bytes: &[u8]| array(typecode, bytes).item(0).map(|item| item.to_string());
        assert_eq!(item('b', &[255]).unwrap(), "-1");
        assert_eq!(item('B', &[255]).unwrap(), "255");
        assert_eq!(item('h', &[255; 2]).unwrap(), "-1");
        assert_eq!(item('H', &[255; 2]).unwrap(), "65535");
        assert_eq!(item('i', &[255; 4]).unwrap(), "-1");
        assert_eq!(item('I', &[255; 4]).unwrap(), "4294967295");
        assert_eq!(item('l', &[255; 8]).unwrap(), "-1");
        assert_eq!(item('Q', &[255; 8]).unwrap(), "18446744073709551615");
        assert_eq!(item('f', &1.5_f32.to_ne_bytes()).unwrap(), "1.5");
        assert_eq!(item('d', &1.5_f64.to_ne_bytes()).unwrap(), "1.5");
        assert_eq!(item('u', &97_u32.to_ne_bytes()).unwrap(), "'a'");
        assert_eq!(item('u', &0xd800_u32.to_ne_bytes()).unwrap(), r"'\ud800'");
        assert!(item('u', &[255; 4]).is_err());
        assert!(item('d', &[0; 7]).is_err());
        assert!(item('x', &[0; 8]).is_err());
    }
}
