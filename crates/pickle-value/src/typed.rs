//! Rust types as Python values, with serde.

use std::borrow::Cow;
use std::cell::Cell;
use std::error::Error;
use std::fmt::{self, Display};
use std::vec::IntoIter;

use num_bigint::BigInt;
use num_traits::ToPrimitive;
use serde::de::{self, Deserialize, DeserializeOwned, DeserializeSeed, Unexpected, Visitor};
use serde::ser::{self, Serialize};

use crate::compare::STEPS;
use crate::exception::Exception;
use crate::value::{Make, Step, Value};

/// How deep values may be nested that become values of a Rust type, which may contain itself.
const DEPTH: usize = 128;

/// Converts a Rust value to a Python value.
///
/// The result is what a Python programmer would write: a struct becomes a dict of its fields, a tuple a tuple, a `Vec` a
/// list, `None` and `()` become `None`, and bytes (with serde_bytes) `bytes`. A variant of an enum becomes its name, or a
/// dict from its name to its content.
///
/// # Errors
///
/// Returns an error for a key of a map that Python does not hash, such as a list, and for errors of `Serialize` itself.
///
/// # Examples
///
/// ```
/// use pickle_value::{from_value, to_value};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Job {
///     number: u32,
///     name: Option<String>,
/// }
///
/// let value = to_value(&Job { number: 1, name: None }).unwrap();
/// assert_eq!(value.to_string(), "{'number': 1, 'name': None}");
/// let job: Job = from_value(&value).unwrap();
/// assert_eq!(job.number, 1);
/// ```
pub fn to_value<T: Serialize + ?Sized>(value: &T) -> Result<Value, SerdeError> {
    value.serialize(Writer)
}

/// Converts a Python value to a Rust value; the opposite of [`to_value`].
///
/// A list serves as a tuple and a tuple as a list, an integer as a float, and the attributes of an instance of an unknown
/// class as a struct.
///
/// # Errors
///
/// Returns an error for a value of another type or outside the range of the type, for values that are nested deeper than
/// 128 levels, and for more than 2**24 parts. A part counts each time the value refers to it, and each 64 bytes of text
/// count as one more.
pub fn from_value<T: DeserializeOwned>(value: &Value) -> Result<T, SerdeError> {
    T::deserialize(Reader {
        value: value.plain(),
        depth: DEPTH,
        steps: &Cell::new(STEPS),
    })
}

/// The error of a conversion, with the place in the value, such as ``field `n`: expected an integer, found str``.
///
/// ```
/// let error = pickle_value::from_value::<u8>(&300.into()).unwrap_err();
/// assert_eq!(error.to_string(), "invalid value: integer `300`, expected u8");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SerdeError(String);

impl SerdeError {
    fn at(self, place: impl Display) -> Self {
        SerdeError(format!("{place}: {}", self.0))
    }
}

impl Display for SerdeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for SerdeError {}

impl ser::Error for SerdeError {
    fn custom<T: Display>(text: T) -> Self {
        SerdeError(text.to_string())
    }
}

impl de::Error for SerdeError {
    fn custom<T: Display>(text: T) -> Self {
        SerdeError(text.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let found = match found {
            Unexpected::Bool(_) => "bool",
            Unexpected::Unsigned(_) | Unexpected::Signed(_) => "int",
            Unexpected::Float(_) => "float",
            Unexpected::Char(_) | Unexpected::Str(_) => "str",
            Unexpected::Bytes(_) => "bytes",
            Unexpected::Unit | Unexpected::Option => "NoneType",
            Unexpected::Seq => "list",
            Unexpected::Map => "dict",
            other => return SerdeError(format!("expected {expected}, found {other}")),
        };
        SerdeError(format!("expected {expected}, found {found}"))
    }
}

struct Writer;

/// A list, tuple, dict or variant that is being written.
struct Parts {
    items: Vec<Value>,
    pairs: Vec<(Value, Value)>,
    tuple: bool,
    /// The name of the variant whose content this is.
    variant: Option<&'static str>,
}

impl Parts {
    fn new(tuple: bool, variant: Option<&'static str>) -> Self {
        Parts {
            items: vec![],
            pairs: vec![],
            tuple,
            variant,
        }
    }

    fn item<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), SerdeError> {
        let value = to_value(item).map_err(|e| e.at(format_args!("item {}", self.items.len())))?;
        self.items.push(value);
        Ok(())
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &str, field: &T) -> Result<(), SerdeError> {
        let value = to_value(field).map_err(|e| e.at(format_args!("field `{name}`")))?;
        self.pairs.push((name.into(), value));
        Ok(())
    }

    fn sequence(self) -> Value {
        let value = match self.tuple {
            true => Value::tuple(self.items),
            false => Value::list(self.items),
        };
        variant(self.variant, value)
    }

    fn dict(self) -> Result<Value, SerdeError> {
        let dict = Value::dict(self.pairs).map_err(ser::Error::custom)?;
        Ok(variant(self.variant, dict))
    }
}

fn variant(name: Option<&'static str>, content: Value) -> Value {
    match name {
        Some(name) => Value::Dict([(name.into(), content)].into()),
        None => content,
    }
}

macro_rules! write_from {
    ($($method:ident $type:ty,)*) => {$(
        fn $method(self, value: $type) -> Result<Value, SerdeError> {
            Ok(value.into())
        }
    )*};
}

impl ser::Serializer for Writer {
    type Ok = Value;
    type Error = SerdeError;
    type SerializeSeq = Parts;
    type SerializeTuple = Parts;
    type SerializeTupleStruct = Parts;
    type SerializeTupleVariant = Parts;
    type SerializeMap = Parts;
    type SerializeStruct = Parts;
    type SerializeStructVariant = Parts;

    write_from! {
        serialize_bool bool, serialize_char char, serialize_str &str, serialize_f32 f32, serialize_f64 f64,
        serialize_i8 i8, serialize_i16 i16, serialize_i32 i32, serialize_i64 i64, serialize_i128 i128,
        serialize_u8 u8, serialize_u16 u16, serialize_u32 u32, serialize_u64 u64, serialize_u128 u128,
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<Value, SerdeError> {
        Ok(Value::bytes(bytes))
    }

    fn serialize_none(self) -> Result<Value, SerdeError> {
        Ok(Value::None)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, SerdeError> {
        to_value(value)
    }

    fn serialize_unit(self) -> Result<Value, SerdeError> {
        Ok(Value::None)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Value, SerdeError> {
        Ok(Value::None)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Value, SerdeError> {
        Ok(variant.into())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Value, SerdeError> {
        to_value(value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        value: &T,
    ) -> Result<Value, SerdeError> {
        let value = to_value(value).map_err(|e| e.at(format_args!("variant `{name}`")))?;
        Ok(variant(Some(name), value))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Parts, SerdeError> {
        Ok(Parts::new(false, None))
    }

    fn serialize_tuple(self, _: usize) -> Result<Parts, SerdeError> {
        Ok(Parts::new(true, None))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Parts, SerdeError> {
        Ok(Parts::new(true, None))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts, SerdeError> {
        Ok(Parts::new(true, Some(variant)))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Parts, SerdeError> {
        Ok(Parts::new(false, None))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Parts, SerdeError> {
        Ok(Parts::new(false, None))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts, SerdeError> {
        Ok(Parts::new(false, Some(variant)))
    }
}

macro_rules! write_items {
    ($($trait:ident $method:ident,)*) => {$(
        impl ser::$trait for Parts {
            type Ok = Value;
            type Error = SerdeError;

            fn $method<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), SerdeError> {
                self.item(item)
            }

            fn end(self) -> Result<Value, SerdeError> {
                Ok(self.sequence())
            }
        }
    )*};
}

write_items! {
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field,
}

macro_rules! write_fields {
    ($($trait:ident)*) => {$(
        impl ser::$trait for Parts {
            type Ok = Value;
            type Error = SerdeError;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                field: &T,
            ) -> Result<(), SerdeError> {
                self.field(name, field)
            }

            fn end(self) -> Result<Value, SerdeError> {
                self.dict()
            }
        }
    )*};
}

write_fields!(SerializeStruct SerializeStructVariant);

impl ser::SerializeMap for Parts {
    type Ok = Value;
    type Error = SerdeError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), SerdeError> {
        let key = to_value(key).map_err(|e| e.at("key"))?;
        self.pairs.push((key, Value::None));
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), SerdeError> {
        if let Some((key, place)) = self.pairs.last_mut() {
            *place = to_value(value).map_err(|e| e.at(place_of(key)))?;
        }
        Ok(())
    }

    fn end(self) -> Result<Value, SerdeError> {
        self.dict()
    }
}

/// Describes the place of a key's value for a message.
fn place_of(key: &Value) -> String {
    match key {
        Value::Str(name) if name.len() <= 64 => format!("field `{name}`"),
        Value::Int(_) | Value::Bool(_) | Value::Float(_) => format!("key {key}"),
        _ => format!("value of a {}", key.type_name()),
    }
}

#[derive(Clone)]
struct Reader<'a> {
    value: Cow<'a, Value>,
    depth: usize,
    steps: &'a Cell<usize>,
}

impl<'a> Reader<'a> {
    /// Returns a reader of a part of the same value.
    fn part(&self, value: Value) -> Result<Reader<'a>, SerdeError> {
        let deep = || SerdeError(format!("nested deeper than {DEPTH}"));
        Ok(Reader {
            value: Cow::Owned(value.plain().into_owned()),
            depth: self.depth.checked_sub(1).ok_or_else(deep)?,
            steps: self.steps,
        })
    }

    fn spend(&self, bytes: usize) -> Result<(), SerdeError> {
        let left = self.steps.get().checked_sub(1 + bytes / 64);
        let long = || SerdeError("too many parts".to_owned());
        self.steps.set(left.ok_or_else(long)?);
        Ok(())
    }

    fn wrong(&self, expected: impl Display) -> SerdeError {
        SerdeError(format!(
            "expected {expected}, found {}",
            self.value.type_name()
        ))
    }

    fn integer<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        match &*self.value {
            Value::Int(number) => visitor.visit_i64(*number),
            Value::Long(number) => self.long(number, visitor),
            _ => Err(self.wrong("an integer")),
        }
    }

    fn long<'de, V: Visitor<'de>>(
        &self,
        number: &BigInt,
        visitor: V,
    ) -> Result<V::Value, SerdeError> {
        if let Some(number) = number.to_u64() {
            return visitor.visit_u64(number);
        }
        if let Some(number) = number.to_i128() {
            return visitor.visit_i128(number);
        }
        match number.to_u128() {
            Some(number) => visitor.visit_u128(number),
            None => Err(SerdeError(format!(
                "an integer of {} bits is too large",
                number.bits()
            ))),
        }
    }

    fn float<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        match &*self.value {
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Int(number) => visitor.visit_f64(*number as f64),
            Value::Long(number) => match number.to_f64().filter(|number| number.is_finite()) {
                Some(number) => visitor.visit_f64(number),
                None => Err(SerdeError("int too large to convert to float".to_owned())),
            },
            _ => Err(self.wrong("a number")),
        }
    }

    fn sequence<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        let items = self.value.elements().map_err(de::Error::custom)?;
        self.spend(items.len() * 8)?;
        let mut items = Items {
            of: &self,
            index: 0,
            items: items.into_iter(),
        };
        let result = visitor.visit_seq(&mut items)?;
        match items.items.len() {
            0 => Ok(result),
            left => Err(SerdeError(format!(
                "expected {} items, found {}",
                items.index,
                items.index + left
            ))),
        }
    }

    /// Returns the pairs of a dict, or the attributes of an object.
    fn pairs(&self) -> Option<Vec<(Value, Value)>> {
        let value = &*self.value;
        let (holder, pairs) = match value.stored() {
            Value::Dict(pairs) => (Cow::Borrowed(value), pairs.clone()),
            Value::Object(object) => {
                let (Make::New { .. }, [Step::State(state)]) = (&object.make, &object.steps[..])
                else {
                    return None;
                };
                let state = value.part(state);
                let Value::Dict(pairs) = state.stored() else {
                    return None;
                };
                let pairs = pairs.clone();
                (state, pairs)
            }
            _ => return None,
        };
        let part = |part: &Value| holder.part(part).into_owned();
        Some(
            pairs
                .iter()
                .map(|(key, value)| (part(key), part(value)))
                .collect(),
        )
    }
}

struct Items<'r, 'a> {
    of: &'r Reader<'a>,
    index: usize,
    items: IntoIter<Value>,
}

impl<'de> de::SeqAccess<'de> for &mut Items<'_, '_> {
    type Error = SerdeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, SerdeError> {
        let Some(item) = self.items.next() else {
            return Ok(None);
        };
        let index = self.index;
        self.index += 1;
        let item = self.of.part(item).and_then(|item| seed.deserialize(item));
        item.map(Some)
            .map_err(|e| e.at(format_args!("item {index}")))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Pairs<'r, 'a> {
    of: &'r Reader<'a>,
    pairs: IntoIter<(Value, Value)>,
    /// The pair whose value comes next.
    pair: (Value, Value),
}

impl<'de> de::MapAccess<'de> for Pairs<'_, '_> {
    type Error = SerdeError;

    fn next_key_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, SerdeError> {
        let Some(pair) = self.pairs.next() else {
            return Ok(None);
        };
        self.pair = pair;
        let key = self.of.part(self.pair.0.clone());
        let key = key.and_then(|key| seed.deserialize(key));
        key.map(Some).map_err(|e| e.at("key"))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<T::Value, SerdeError> {
        let value = self.of.part(self.pair.1.clone());
        let value = value.and_then(|value| seed.deserialize(value));
        value.map_err(|e| e.at(place_of(&self.pair.0)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.pairs.len())
    }
}

macro_rules! read_by {
    ($($by:ident: $($method:ident)*;)*) => {$($(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
            self.spend(0)?;
            self.$by(visitor)
        }
    )*)*};
}

impl<'de> de::Deserializer<'de> for Reader<'_> {
    type Error = SerdeError;

    read_by! {
        integer: deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
            deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128;
        float: deserialize_f32 deserialize_f64;
        deserialize_any: deserialize_bool deserialize_char deserialize_str deserialize_string deserialize_bytes
            deserialize_byte_buf deserialize_unit deserialize_map deserialize_identifier;
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        self.spend(0)?;
        match self.value.stored() {
            Value::None => visitor.visit_unit(),
            Value::Bool(flag) => visitor.visit_bool(*flag),
            Value::Int(number) => visitor.visit_i64(*number),
            Value::Long(number) => self.long(number, visitor),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Str(text) => {
                self.spend(text.len())?;
                visitor.visit_str(text)
            }
            Value::Surrogates(_) => Err(SerdeError("a str with lone surrogates".to_owned())),
            Value::Bytes(bytes) | Value::ByteArray(bytes) => {
                self.spend(bytes.len())?;
                visitor.visit_bytes(bytes)
            }
            Value::Tuple(_)
            | Value::List(_)
            | Value::Set(_)
            | Value::FrozenSet(_)
            | Value::Array(_) => self.sequence(visitor),
            _ => match self.pairs() {
                Some(pairs) => {
                    self.spend(pairs.len() * 8)?;
                    visitor.visit_map(Pairs {
                        of: &self,
                        pairs: pairs.into_iter(),
                        pair: (Value::None, Value::None),
                    })
                }
                // Of an object, only a range has elements.
                None if self.value.called("builtins", "range").is_some() => self.sequence(visitor),
                None => Err(SerdeError(format!(
                    "a {} has no Rust type",
                    self.value.type_name()
                ))),
            },
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        match &*self.value {
            Value::None => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, SerdeError> {
        self.deserialize_any(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, SerdeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        self.spend(0)?;
        match self.value.stored() {
            // A `str` or dict is iterable too, but hardly meant as a sequence.
            Value::Str(_) | Value::Surrogates(_) | Value::Dict(_) => Err(self.wrong("a list")),
            Value::Bytes(_) | Value::ByteArray(_) => self.sequence(visitor),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, SerdeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, SerdeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, SerdeError> {
        self.deserialize_any(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, SerdeError> {
        self.spend(0)?;
        let (name, content) = match self.value.stored() {
            Value::Str(_) => (self.value.clone().into_owned(), None),
            Value::Dict(pairs) if pairs.len() == 1 => {
                let part = |part: &Value| self.value.part(part).into_owned();
                let (name, content) = &pairs[0];
                (part(name), Some(self.part(part(content))?))
            }
            _ => return Err(self.wrong("the name of a variant, or a dict of one entry")),
        };
        let name = self.part(name)?;
        visitor.visit_enum(Variant { name, content })
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        self.spend(0)?;
        visitor.visit_unit()
    }
}

struct Variant<'a> {
    name: Reader<'a>,
    content: Option<Reader<'a>>,
}

impl<'a, 'de> de::EnumAccess<'de> for Variant<'a> {
    type Error = SerdeError;
    type Variant = Content<'a>;

    fn variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<(T::Value, Content<'a>), SerdeError> {
        let place = match &*self.name.value {
            Value::Str(name) => format!("variant `{name}`"),
            _ => "variant".to_owned(),
        };
        let variant = seed.deserialize(self.name)?;
        let reader = self.content;
        Ok((variant, Content { place, reader }))
    }
}

/// The content of a variant.
struct Content<'a> {
    place: String,
    reader: Option<Reader<'a>>,
}

impl<'a> Content<'a> {
    fn read<T>(
        self,
        read: impl FnOnce(Reader<'a>) -> Result<T, SerdeError>,
    ) -> Result<T, SerdeError> {
        let result = match self.reader {
            Some(reader) => read(reader),
            None => Err(SerdeError(
                "expected a dict of one entry, found str".to_owned(),
            )),
        };
        result.map_err(|e| e.at(self.place))
    }
}

impl<'de> de::VariantAccess<'de> for Content<'_> {
    type Error = SerdeError;

    fn unit_variant(self) -> Result<(), SerdeError> {
        match self.reader {
            None => Ok(()),
            Some(_) => self.read(<()>::deserialize),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<T::Value, SerdeError> {
        self.read(|reader| seed.deserialize(reader))
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, SerdeError> {
        self.read(|reader| de::Deserializer::deserialize_tuple(reader, len, visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, SerdeError> {
        self.read(|reader| de::Deserializer::deserialize_map(reader, visitor))
    }
}

/// A `TypeError`, for a function that is called with an argument of another type.
impl From<SerdeError> for Exception {
    fn from(error: SerdeError) -> Self {
        Exception::type_error(error.to_string())
    }
}

macro_rules! try_from {
    ($([$($T:ident)?] $type:ty,)*) => {$(
        impl<$($T: DeserializeOwned)?> TryFrom<&Value> for $type {
            type Error = SerdeError;

            fn try_from(value: &Value) -> Result<Self, SerdeError> {
                from_value(value)
            }
        }

        impl<$($T: DeserializeOwned)?> TryFrom<Value> for $type {
            type Error = SerdeError;

            fn try_from(value: Value) -> Result<Self, SerdeError> {
                from_value(&value)
            }
        }
    )*};
}

try_from!([] i8, [] i16, [] i32, [] i64, [] i128, [] isize, [] u8, [] u16, [] u32, [] u64, [] u128, [] usize,);
try_from!([] f32, [] f64, [] bool, [] char, [] String, [T] Vec<T>,);

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};
    use std::fmt::Debug;
    use std::sync::Arc;

    use serde::{Deserialize, Serialize};
    use serde_bytes::ByteBuf;

    use super::*;
    use crate::value::Object;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Job {
        n: u8,
        name: String,
        weight: Option<f64>,
        place: (i32, char),
        tags: Vec<Tag>,
        data: ByteBuf,
        big: u128,
        more: BTreeMap<i64, ()>,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Tag {
        Plain,
        Of(u8),
        Pair(u8, bool),
        Named { x: f32 },
        Nothing(()),
        Maybe(Option<Box<Tag>>),
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Wrapped(i8);

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Nested(Vec<Nested>);

    fn job() -> Job {
        Job {
            n: 1,
            name: "a".to_owned(),
            weight: None,
            place: (-1, 'c'),
            tags: vec![
                Tag::Plain,
                Tag::Of(1),
                Tag::Pair(1, true),
                Tag::Named { x: 1.5 },
                Tag::Nothing(()),
                Tag::Maybe(Some(Box::new(Tag::Plain))),
                Tag::Maybe(None),
            ],
            data: ByteBuf::from([0, 255]),
            big: u128::MAX,
            more: BTreeMap::from([(1, ()), (-1, ())]),
        }
    }

    #[track_caller]
    fn returns<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T, shown: &str) {
        let there = to_value(&value).unwrap();
        assert_eq!(there.to_string(), shown);
        assert_eq!(from_value::<T>(&there), Ok(value));
    }

    #[track_caller]
    fn fails<T: DeserializeOwned + Debug>(value: impl Into<Value>, text: &str) {
        assert_eq!(
            from_value::<T>(&value.into()).unwrap_err().to_string(),
            text
        );
    }

    #[test]
    fn types_return_as_they_were() {
        returns(
            job(),
            "{'n': 1, 'name': 'a', 'weight': None, 'place': (-1, 'c'), 'tags': ['Plain', {'Of': 1}, \
             {'Pair': (1, True)}, {'Named': {'x': 1.5}}, {'Nothing': None}, {'Maybe': 'Plain'}, {'Maybe': None}], \
             'data': b'\\x00\\xff', 'big': 340282366920938463463374607431768211455, 'more': {-1: None, 1: None}}",
        );
        returns(Wrapped(-1), "-1");
        returns(i128::MIN, "-170141183460469231731687303715884105728");
        returns(HashMap::from([((1, true), [1.5])]), "{(1, True): (1.5,)}");
        returns(vec![Some(1_u64), None], "[1, None]");
        returns((), "None");
    }

    #[test]
    fn near_types_do() {
        let pair: (f64, Vec<u8>) =
            from_value(&Value::list([1.into(), Value::tuple([2.into()])])).unwrap();
        assert_eq!(pair, (1.0, vec![2]));
        let range = Value::call(Value::global("builtins", "range"), [3.into()]);
        assert_eq!(from_value(&range), Ok(vec![0, 1, 2]));
        let view = Value::call(Value::global("builtins", "list"), [[1, 2].into()]);
        assert_eq!(from_value(&view), Ok((1, 2)));
        assert_eq!(from_value(&Value::bytes([1, 2])), Ok(vec![1_u8, 2]));
        assert_eq!(from_value(&Value::from([1, 2])), Ok(ByteBuf::from([1, 2])));
        assert_eq!(from_value(&Value::set([1]).unwrap()), Ok([1]));
        let attributes = Value::dict([("x", 2)]).unwrap();
        let object = Value::Object(Arc::new(Object {
            make: Make::New {
                class: Value::global("__main__", "Point"),
                arguments: Value::tuple([]),
                keywords: None,
            },
            steps: vec![Step::State(attributes)],
        }));
        assert_eq!(
            from_value(&object),
            Ok(HashMap::from([("x".to_owned(), 2)]))
        );
    }

    #[test]
    fn an_error_says_where_and_what() {
        let with = |name: &str, field: Value| {
            let pairs = to_value(&job()).unwrap();
            let Value::Dict(pairs) = pairs else {
                unreachable!()
            };
            let pairs = pairs
                .iter()
                .map(|(key, value)| match key.as_str() == Some(name) {
                    true => (key.clone(), field.clone()),
                    false => (key.clone(), value.clone()),
                });
            Value::dict(pairs).unwrap()
        };
        fails::<Job>(
            with("n", "a".into()),
            "field `n`: expected an integer, found str",
        );
        fails::<Job>(
            with("n", 300.into()),
            "field `n`: invalid value: integer `300`, expected u8",
        );
        fails::<Job>(
            with("weight", "a".into()),
            "field `weight`: expected a number, found str",
        );
        fails::<Job>(
            with("name", 1.into()),
            "field `name`: expected a string, found int",
        );
        fails::<Job>(
            with("tags", "ab".into()),
            "field `tags`: expected a list, found str",
        );
        let tags = Value::from([Value::from("Plain"), Value::dict([("Of", "x")]).unwrap()]);
        fails::<Job>(
            with("tags", tags),
            "field `tags`: item 1: variant `Of`: expected an integer, found str",
        );
        fails::<Job>(
            with("place", [1, 2].into()),
            "field `place`: item 1: expected a character, found int",
        );
        fails::<Job>(Value::Dict([].into()), "missing field `n`");
        fails::<Job>(1, "expected struct Job, found int");
        fails::<bool>(1, "expected a boolean, found int");
        fails::<(i8, i8)>([1, 2, 3], "expected 2 items, found 3");
        fails::<(i8, i8)>([1], "invalid length 1, expected a tuple of size 2");
        fails::<Tag>(
            "Of",
            "variant `Of`: expected a dict of one entry, found str",
        );
        fails::<Tag>(
            1,
            "expected the name of a variant, or a dict of one entry, found int",
        );
        fails::<u128>(
            Value::from(u128::MAX).to_big(1),
            "an integer of 129 bits is too large",
        );
        fails::<String>(Value::global("tasks", "run"), "a function has no Rust type");
        let unhashable = to_value(&HashMap::from([(vec![1], 1)])).unwrap_err();
        assert_eq!(unhashable.to_string(), "TypeError: unhashable type: 'list'");
    }

    impl Value {
        fn to_big(&self, shift: u32) -> Value {
            let Value::Long(number) = self else {
                unreachable!()
            };
            Value::from(&**number << shift)
        }
    }

    #[test]
    fn deep_circular_and_shared_values_end() {
        let deep = |depth| (1..depth).fold(Value::list([]), |inner, _| Value::list([inner]));
        assert!(from_value::<Nested>(&deep(100)).is_ok());
        let text = |value: &Value| from_value::<Nested>(value).unwrap_err().to_string();
        assert!(text(&deep(1000)).ends_with("item 0: nested deeper than 128"));
        let circle = Value::Knot([Value::List([Value::Inner(0)].into())].into(), 0);
        assert!(text(&circle).ends_with("nested deeper than 128"));
        let shared = (0..100).fold(Value::list([]), |v, _| Value::list([v.clone(), v]));
        let steps = &Cell::new(1000);
        let reader = Reader {
            value: shared.plain(),
            depth: DEPTH,
            steps,
        };
        let error = Nested::deserialize(reader).unwrap_err();
        assert!(error.to_string().ends_with("too many parts"));
    }

    #[test]
    fn python_values_become_rust_values() {
        assert_eq!(i64::try_from(&Value::from(5)), Ok(5));
        assert_eq!(u128::try_from(Value::from(u128::MAX)), Ok(u128::MAX));
        assert_eq!(f64::try_from(Value::from(5)), Ok(5.0));
        assert_eq!(String::try_from(Value::from("a")).as_deref(), Ok("a"));
        assert_eq!(Vec::<u8>::try_from(Value::from([1, 2])), Ok(vec![1, 2]));
        let text = |result: Result<u8, SerdeError>| result.unwrap_err().to_string();
        assert_eq!(
            text(u8::try_from(Value::from("a"))),
            "expected an integer, found str"
        );
        assert_eq!(
            text(u8::try_from(Value::from(300))),
            "invalid value: integer `300`, expected u8"
        );
    }
}
