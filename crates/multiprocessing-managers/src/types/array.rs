//! `Array`: a shared array of numbers of one type.

use std::sync::Arc;

use num_bigint::Sign;
use num_traits::ToPrimitive;
use pickle_value::{Array, Exception, MOST, Value};

use super::index::{Index, place};
use super::values::{elements, quoted};
use crate::args::Args;
use crate::caller::Caller;
use crate::referent::{Failure, Referent, Reply};
use crate::sync::{Mutex, lock};

/// A shared `array.array`: Python's `SyncManager.Array`.
///
/// Each call is atomic. An object of an unknown class is not accepted as a number, because the server cannot call its
/// `__index__`.
///
/// ```
/// use multiprocessing_managers::types::SharedArray;
/// use multiprocessing_managers::{Args, Referent};
///
/// let array = SharedArray::new(Args::new(["i".into(), [1, 2].into()])).unwrap();
/// assert_eq!(array.repr().unwrap(), "array('i', [1, 2])");
/// ```
pub struct SharedArray {
    array: Mutex<Array>,
}

impl SharedArray {
    const EXPOSED: &[&str] = &["__len__", "__getitem__", "__setitem__"];

    /// Creates `Array(typecode, sequence, lock=True)`; the lock is ignored.
    ///
    /// The typecode is one of `bBuhHiIlLqQfd`. The sequence is bytes in the order of memory, another array, a `str` for `u`,
    /// or an iterable of items.
    ///
    /// # Errors
    ///
    /// `TypeError` for items of another type, `OverflowError` for numbers out of range, `ValueError` for another typecode.
    pub fn new(args: Args) -> Result<Arc<Self>, Exception> {
        let [typecode, sequence, _lock] = args.bind(
            "Array",
            [
                ("typecode", None),
                ("sequence", None),
                ("lock", Some(true.into())),
            ],
        )?;
        let array = array(&typecode, &sequence)?;
        Ok(Arc::new(SharedArray {
            array: Mutex::new(array),
        }))
    }

    fn copy(&self) -> Array {
        lock(&self.array).clone()
    }

    fn get(&self, key: &Value) -> Result<Value, Exception> {
        let index = index(key)?;
        let array = lock(&self.array);
        match index {
            Index::At(at) => match place(at, array.len()?) {
                Some(place) => array.item(place),
                None => Err(Exception::index_error("array index out of range")),
            },
            Index::Slice(slice) => {
                let size = array.item_size()?;
                let places = slice.places(array.len()?);
                let bytes = match places.range() {
                    Some(range) => array.bytes[range.start * size..range.end * size].to_vec(),
                    None => {
                        let item = |place| &array.bytes[place * size..][..size];
                        places.each().flat_map(item).copied().collect()
                    }
                };
                let typecode = array.typecode;
                Ok(Value::Array(Arc::new(Array { typecode, bytes })))
            }
        }
    }

    fn set(&self, key: &Value, value: &Value) -> Result<(), Exception> {
        let index = index(key)?;
        let mut array = lock(&self.array);
        let (length, size) = (array.len()?, array.item_size()?);
        let slice = match index {
            Index::Slice(slice) => slice,
            Index::At(at) => {
                let Some(place) = place(at, length) else {
                    let text = "array assignment index out of range";
                    return Err(Exception::index_error(text));
                };
                let mut item = vec![];
                write(array.typecode, value, &mut item)?;
                array.bytes[place * size..][..size].copy_from_slice(&item);
                return Ok(());
            }
        };
        let node = value.node();
        let Value::Array(new) = &*node else {
            let name = value.type_name();
            return Err(Exception::type_error(format!(
                "can only assign array (not \"{name}\") to array slice"
            )));
        };
        if new.typecode != array.typecode {
            let text = "bad argument type for built-in operation";
            return Err(Exception::type_error(text));
        }
        let (places, given) = (slice.places(length), new.len()?);
        let new = &new.bytes[..given * size];
        if let Some(range) = places.range() {
            let range = range.start * size..range.end * size;
            array.bytes.splice(range, new.iter().copied());
        } else if given == 0 {
            let mut place = 0..length * size;
            array.bytes.retain(|_| {
                !place
                    .next()
                    .is_some_and(|byte| places.contains(byte / size))
            });
        } else {
            places.must_be("array", given)?;
            for (place, item) in places.each().zip(new.chunks_exact(size)) {
                array.bytes[place * size..][..size].copy_from_slice(item);
            }
        }
        Ok(())
    }
}

impl Referent for SharedArray {
    fn typeid(&self) -> &'static str {
        "Array"
    }

    fn exposed(&self) -> &'static [&'static str] {
        Self::EXPOSED
    }

    fn call(&self, _caller: &Arc<Caller>, method: &str, args: Args) -> Result<Reply, Failure> {
        Ok(match method {
            "__len__" => {
                let [] = args.slot(method)?;
                lock(&self.array).len()?.into()
            }
            "__getitem__" => {
                let [key] = args.slot(method)?;
                self.get(&key)?.into()
            }
            "__setitem__" => {
                let [key, value] = args.slot(method)?;
                self.set(&key, &value)?.into()
            }
            _ => return Err(Failure::no_method(method)),
        })
    }

    fn repr(&self) -> Result<String, Failure> {
        Ok(Value::Array(Arc::new(self.copy())).repr()?)
    }

    fn value(&self) -> Result<Value, Failure> {
        Ok(Value::Array(Arc::new(self.copy())))
    }

    fn elements(&self) -> Option<Vec<Value>> {
        let array = lock(&self.array);
        let length = array.len().ok()?.min(MOST + 1);
        (0..length).map(|index| array.item(index).ok()).collect()
    }
}

fn index(key: &Value) -> Result<Index, Exception> {
    Index::of(key)?.ok_or_else(|| Exception::type_error("array indices must be integers"))
}

fn array(typecode: &Value, sequence: &Value) -> Result<Array, Exception> {
    let Some(code) = character(typecode) else {
        let name = match &*typecode.node() {
            Value::None => "None".into(),
            typecode => typecode.type_name(),
        };
        return Err(Exception::type_error(format!(
            "array() argument 1 must be a unicode character, not {name}"
        )));
    };
    let what = match &*sequence.node() {
        Value::Str(_) | Value::Surrogates(_) => "str",
        Value::Array(array) if array.typecode == 'u' => "unicode array",
        _ => "",
    };
    if code != u32::from('u') && !what.is_empty() {
        let before = format!("cannot use a {what} to initialize an array with typecode '");
        let text = quoted(&before, typecode);
        return Err(Exception::new("builtins", "TypeError", [text]));
    }
    // A surrogate is not a typecode.
    let typecode = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    let mut array = Array {
        typecode,
        bytes: vec![],
    };
    match &*sequence.node() {
        Value::Bytes(bytes) | Value::ByteArray(bytes) => {
            if bytes.len() % array.item_size()? != 0 {
                let text = "bytes length not a multiple of item size";
                return Err(Exception::value_error(text));
            }
            array.bytes = bytes.to_vec();
        }
        // Its items may be invalid code points.
        Value::Array(other) if other.typecode == typecode => array = (**other).clone(),
        sequence => {
            let items = elements(sequence)?;
            array.item_size()?;
            for item in items {
                write(typecode, &item, &mut array.bytes)?;
            }
        }
    }
    Ok(array)
}

/// Returns the code point of a `str` of length 1.
fn character(value: &Value) -> Option<u32> {
    match &*value.node() {
        Value::Str(text) => {
            let mut chars = text.chars();
            let first = chars.next()?;
            chars.next().is_none().then_some(u32::from(first))
        }
        Value::Surrogates(bytes) => match bytes[..] {
            [a, b, c] => {
                let [a, b, c] = [a & 0xf, b & 0x3f, c & 0x3f].map(u32::from);
                Some(a << 12 | b << 6 | c)
            }
            _ => None,
        },
        _ => None,
    }
}

/// The minimum and the maximum, and CPython's messages for numbers below and above them.
type Limit = (i128, i128, &'static str, &'static str);

const LONG: Limit = {
    let text = "Python int too large to convert to C long";
    (i64::MIN as i128, i64::MAX as i128, text, text)
};
const UNSIGNED_LONG: Limit = (
    0,
    u64::MAX as i128,
    "can't convert negative value to unsigned int",
    "Python int too large to convert to C unsigned long",
);
const INT: Limit = (
    i32::MIN as i128,
    i32::MAX as i128,
    "signed integer is less than minimum",
    "signed integer is greater than maximum",
);
const SHORT: Limit = (
    i16::MIN as i128,
    i16::MAX as i128,
    "signed short integer is less than minimum",
    "signed short integer is greater than maximum",
);

/// Returns the limits of a type in the order in which CPython checks them.
fn limits(typecode: char) -> &'static [Limit] {
    match typecode {
        'b' => &[
            LONG,
            SHORT,
            (
                -128,
                127,
                "signed char is less than minimum",
                "signed char is greater than maximum",
            ),
        ],
        'B' => &[
            LONG,
            (
                0,
                255,
                "unsigned byte integer is less than minimum",
                "unsigned byte integer is greater than maximum",
            ),
        ],
        'h' => &[LONG, SHORT],
        'H' => &[
            LONG,
            INT,
            (
                0,
                u16::MAX as i128,
                "unsigned short is less than minimum",
                "unsigned short is greater than maximum",
            ),
        ],
        'i' => &[LONG, INT],
        'I' => &[
            UNSIGNED_LONG,
            (
                0,
                u32::MAX as i128,
                "",
                "unsigned int is greater than maximum",
            ),
        ],
        'L' => &[UNSIGNED_LONG],
        'q' => &[(
            i64::MIN as i128,
            i64::MAX as i128,
            "int too big to convert",
            "int too big to convert",
        )],
        'Q' => &[(
            0,
            u64::MAX as i128,
            "can't convert negative int to unsigned",
            "int too big to convert",
        )],
        _ => &[LONG],
    }
}

/// Appends the bytes of an item.
fn write(typecode: char, value: &Value, to: &mut Vec<u8>) -> Result<(), Exception> {
    match typecode {
        'u' => {
            let text = "array item must be unicode character";
            let code = character(value).ok_or_else(|| Exception::type_error(text))?;
            to.extend(code.to_ne_bytes());
        }
        'f' => to.extend((float(value)? as f32).to_ne_bytes()),
        'd' => to.extend(float(value)?.to_ne_bytes()),
        _ => {
            let number = integer(value)?;
            for (least, greatest, below, above) in limits(typecode) {
                if number < *least {
                    return Err(Exception::overflow_error(*below));
                }
                if number > *greatest {
                    return Err(Exception::overflow_error(*above));
                }
            }
            match typecode {
                'b' | 'B' => to.extend((number as u8).to_ne_bytes()),
                'h' | 'H' => to.extend((number as u16).to_ne_bytes()),
                'i' | 'I' => to.extend((number as u32).to_ne_bytes()),
                _ => to.extend((number as u64).to_ne_bytes()),
            }
        }
    }
    Ok(())
}

/// Returns the number, or a number of the same sign that is also too large for every array.
fn integer(value: &Value) -> Result<i128, Exception> {
    match &*value.node() {
        Value::Long(number) => Ok(number.to_i128().unwrap_or(match number.sign() {
            Sign::Minus => i128::MIN,
            _ => i128::MAX,
        })),
        value => value.as_int().map(i128::from).ok_or_else(|| {
            let name = value.type_name();
            let text = format!("'{name}' object cannot be interpreted as an integer");
            Exception::type_error(text)
        }),
    }
}

fn float(value: &Value) -> Result<f64, Exception> {
    match &*value.node() {
        Value::Float(number) => Ok(*number),
        Value::Long(number) => number
            .to_f64()
            .filter(|number| number.is_finite())
            .ok_or_else(|| Exception::overflow_error("int too large to convert to float")),
        value => value.as_int().map(|number| number as f64).ok_or_else(|| {
            let text = format!("must be real number, not {}", value.type_name());
            Exception::type_error(text)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::List;
    use crate::types::trial::{answer, proxy};

    #[test]
    fn is_sent_as_an_array() {
        let items = Value::list([1.into(), 2.into(), 3.into()]);
        let array = SharedArray::new(Args::new(["h".into(), items])).unwrap();
        let slice = |step: i64| {
            let slice = [Value::None, Value::None, step.into()];
            Value::call(Value::global("builtins", "slice"), slice)
        };
        assert_eq!(
            answer(&*array, "__getitem__", [slice(-2)]),
            "array('h', [3, 1])"
        );
        assert_eq!(array.value().unwrap().to_string(), "array('h', [1, 2, 3])");
        let itself = proxy("ArrayProxy", array.clone());
        assert_eq!(
            answer(&*array, "__setitem__", [slice(1), itself.clone()]),
            "TypeError: can only assign array (not \"ArrayProxy\") to array slice"
        );
        let copy = SharedArray::new(Args::new(["d".into(), itself])).unwrap();
        assert_eq!(copy.repr().unwrap(), "array('d', [1.0, 2.0, 3.0])");
        let list = List::new(Args::new([array.value().unwrap()])).unwrap();
        let list = proxy("ListProxy", list);
        let copy = SharedArray::new(Args::new(["b".into(), list])).unwrap();
        assert_eq!(copy.repr().unwrap(), "array('b', [1, 2, 3])");
    }

    #[test]
    fn half_an_item_does_no_harm() {
        let odd = Array {
            typecode: 'i',
            bytes: vec![1, 0, 0, 0, 2],
        };
        let odd = Value::Array(Arc::new(odd));
        let array = SharedArray::new(Args::new(["i".into(), odd.clone()])).unwrap();
        assert_eq!(answer(&*array, "__len__", []), "1");
        assert_eq!(
            answer(&*array, "__getitem__", [1.into()]),
            "IndexError: array index out of range"
        );
        let slice = Value::call(Value::global("builtins", "slice"), [Value::None]);
        assert_eq!(answer(&*array, "__setitem__", [slice.clone(), odd]), "None");
        assert_eq!(answer(&*array, "__getitem__", [slice]), "array('i', [1])");
    }
}
