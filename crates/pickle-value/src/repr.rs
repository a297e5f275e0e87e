//! Python's `repr` and `str`.
//!
//! A set shows its items in pickle order. The set of printable characters depends on the Unicode version: here that of the
//! crate unicode-properties, in CPython 3.11 version 14.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

use crate::compare::{DEPTH, Kind, levels, weight};
use crate::exception::Exception;
use crate::partial::Partial;
use crate::value::{Array, DIGITS, Global, Make, Object, Proxy, Step, Value};

/// The maximum number of bytes in a `repr`. Parts that are visited but not shown count too.
const LIMIT: usize = 64 << 20;

/// The text before the quote.
const BYTEARRAY: &str = "bytearray(b";

impl Value {
    /// Returns Python's `repr(self)`. An object of an unknown class is shown as `object.__repr__` does.
    ///
    /// # Errors
    ///
    /// `ValueError` for an integer of more than 4300 digits, `RecursionError` beyond a depth of 950, `MemoryError` beyond
    /// 64 MiB.
    ///
    /// # Examples
    ///
    /// ```
    /// use pickle_value::Value;
    ///
    /// assert_eq!(Value::from((1.0, "it's")).repr().unwrap(), "(1.0, \"it's\")");
    /// ```
    pub fn repr(&self) -> Result<String, Exception> {
        let mut writer = Writer::new(LIMIT);
        writer.value(self).map_err(|exception| *exception)?;
        Ok(writer.out)
    }

    /// Returns roughly the first `limit` bytes of [`Value::repr`], without computing the rest. The attributes of a Namespace
    /// may be in a different order.
    ///
    /// # Errors
    ///
    /// As [`Value::repr`], for the part that is shown.
    pub fn repr_within(&self, limit: usize) -> Result<String, Exception> {
        let mut writer = Writer::new(limit.min(LIMIT));
        match writer.value(self) {
            Err(_) if writer.full => Ok(writer.out),
            result => result.map(|()| writer.out).map_err(|exception| *exception),
        }
    }

    /// Returns Python's `str(self)`. A lone surrogate, which a Rust string cannot hold, is escaped as in a `repr`, such as
    /// `\ud800`.
    ///
    /// # Errors
    ///
    /// As [`Value::repr`].
    pub fn str(&self) -> Result<String, Exception> {
        let mut value = Cow::Borrowed(self);
        // An exception with one argument is shown as that argument, which may be an exception too.
        for _ in 0..DEPTH {
            let Some((class, arguments)) = exception(&value) else {
                return match &*value {
                    Value::Str(text) => Ok(text.to_string()),
                    Value::Surrogates(bytes) => Ok(with_lone_surrogates(bytes)),
                    value => value.repr(),
                };
            };
            match &arguments[..] {
                [] => return Ok(String::new()),
                [key] if class.name == "KeyError" => return key.repr(),
                [one] => value = Cow::Owned(one.clone()),
                [Value::Int(number), Value::Str(text)] if is_os_error(&class) => {
                    return Ok(format!("[Errno {number}] {text}"));
                }
                [Value::Int(number), Value::Str(text), file] if is_os_error(&class) => {
                    return Ok(format!("[Errno {number}] {text}: {}", file.repr()?));
                }
                several => return Value::tuple(several.iter().cloned()).repr(),
            }
        }
        let text = "maximum recursion depth exceeded while getting the str of an object";
        Err(Exception::recursion_error(text))
    }
}

fn with_lone_surrogates(bytes: &[u8]) -> String {
    let mut out = String::new();
    for code in code_points(bytes) {
        match char::from_u32(code) {
            Some(char) => out.push(char),
            None => out += &escaped(code),
        }
    }
    out
}

/// Shows Python's `repr`, or a short note if it fails.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.repr() {
            Ok(text) => f.write_str(&text),
            Err(exception) => {
                let class = &exception.class.name;
                write!(f, "<{} whose repr fails: {class}>", self.type_name())
            }
        }
    }
}

/// Shows Python's `repr`, as `Display` does.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

struct Writer {
    out: String,
    /// The maximum number of bytes in `out`.
    room: usize,
    /// Whether output was cut off.
    full: bool,
    /// The containers of knots that are being written.
    open: HashSet<usize>,
    depth: usize,
}

/// The box keeps stack frames small, because up to 950 may be nested.
type Written = Result<(), Box<Exception>>;

impl Writer {
    fn new(room: usize) -> Self {
        Writer {
            out: String::new(),
            room,
            full: false,
            open: HashSet::new(),
            depth: DEPTH,
        }
    }

    fn left(&self) -> usize {
        self.room.saturating_sub(self.out.len())
    }

    fn full(&mut self) -> Written {
        self.full = true;
        Err(Exception::memory_error().into())
    }

    /// Counts bytes that are visited but not shown.
    fn skip(&mut self, bytes: usize) -> Written {
        self.room = self.room.saturating_sub(bytes);
        if self.out.len() > self.room {
            return self.full();
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Written {
        if text.len() > self.left() {
            return self.full();
        }
        self.out += text;
        Ok(())
    }

    fn value(&mut self, value: &Value) -> Written {
        match value {
            Value::None => return self.text("None"),
            Value::Bool(flag) => return self.text(if *flag { "True" } else { "False" }),
            Value::Int(number) => return self.text(&number.to_string()),
            Value::Str(text) => return self.str(text),
            _ => {}
        }
        let levels = levels(value);
        self.depth = self.depth.checked_sub(levels).ok_or_else(too_deep)?;
        // Only values of a knot can contain themselves.
        let id = value.id().filter(|_| matches!(value, Value::Knot(..)));
        match id {
            Some(id) if !self.open.insert(id) => self.again(value)?,
            _ => {
                self.compound(value)?;
                id.map(|id| self.open.remove(&id));
            }
        }
        self.depth += levels;
        Ok(())
    }

    /// Writes a reference from a container to itself.
    fn again(&mut self, value: &Value) -> Written {
        match value.stored() {
            Value::Tuple(_) => self.text("(...)"),
            Value::List(_) => self.text("[...]"),
            Value::Dict(_) => self.text("{...}"),
            Value::Set(_) => self.text("set(...)"),
            Value::FrozenSet(_) => self.text("frozenset(...)"),
            Value::Object(_) if Partial::of(value).is_some() => self.text("functools.partial(...)"),
            // Python has no guard here either, and recurses up to its limit.
            _ => self.compound(value),
        }
    }

    fn compound(&mut self, value: &Value) -> Written {
        match value.stored() {
            Value::Float(number) => self.text(&with_point(float(*number))),
            Value::Tuple(items) => {
                self.text("(")?;
                self.items(value, items)?;
                self.text(if items.len() == 1 { ",)" } else { ")" })
            }
            Value::List(items) => self.bracketed("[", value, items, "]"),
            Value::Set(items) if items.is_empty() => self.text("set()"),
            Value::Set(items) => self.bracketed("{", value, items, "}"),
            Value::FrozenSet(items) if items.is_empty() => self.text("frozenset()"),
            Value::FrozenSet(items) => self.bracketed("frozenset({", value, items, "})"),
            Value::Dict(pairs) => self.dict(value, pairs),
            Value::Object(object) => self.object(value, object),
            stored => self.leaf(value, stored),
        }
    }

    #[inline(never)]
    fn leaf(&mut self, value: &Value, stored: &Value) -> Written {
        match stored {
            // 2**14288 has more digits than the limit, and converting longer numbers is slow.
            Value::Long(number) if number.bits() > 14288 => Err(too_long().into()),
            Value::Long(number) => {
                let text = number.to_string();
                if text.trim_start_matches('-').len() > DIGITS {
                    return Err(too_long().into());
                }
                self.text(&text)
            }
            Value::Complex(re, im) => self.text(&complex(*re, *im)),
            Value::Surrogates(bytes) => self.quoted("", code_points(bytes)),
            Value::Bytes(bytes) => self.bytes("b", bytes),
            Value::ByteArray(bytes) => {
                self.bytes(BYTEARRAY, bytes)?;
                self.text(")")
            }
            Value::Array(array) => self.array(array),
            Value::Global(global) => self.text(&global_repr(global, value)),
            Value::Proxy(proxy) => self.proxy(value, proxy),
            _ => self.text("<object>"),
        }
    }

    fn bracketed(&mut self, open: &str, value: &Value, items: &[Value], close: &str) -> Written {
        self.text(open)?;
        self.items(value, items)?;
        self.text(close)
    }

    fn items(&mut self, value: &Value, items: &[Value]) -> Written {
        for (index, item) in items.iter().enumerate() {
            self.text(if index == 0 { "" } else { ", " })?;
            self.value(&value.part(item))?;
        }
        Ok(())
    }

    fn dict(&mut self, dict: &Value, pairs: &[(Value, Value)]) -> Written {
        self.text("{")?;
        for (index, (key, value)) in pairs.iter().enumerate() {
            self.text(if index == 0 { "" } else { ", " })?;
            self.value(&dict.part(key))?;
            self.text(": ")?;
            self.value(&dict.part(value))?;
        }
        self.text("}")
    }

    fn quoted(&mut self, prefix: &str, codes: impl Iterator<Item = u32> + Clone) -> Written {
        // Characters that do not fit are not visited.
        let codes = codes.take(self.left() + 1);
        let has = |quote: char| codes.clone().any(|code| code == u32::from(quote));
        let quote = if has('\'') && !has('"') { '"' } else { '\'' };
        self.out += prefix;
        self.out.push(quote);
        for code in codes {
            if self.out.len() > self.room {
                return self.full();
            }
            let out = &mut self.out;
            match char::from_u32(code) {
                Some('\n') => *out += "\\n",
                Some('\r') => *out += "\\r",
                Some('\t') => *out += "\\t",
                Some('\\') => *out += "\\\\",
                // CPython escapes a single quote here even between double ones.
                Some(char) if char == quote || char == '\'' && prefix == BYTEARRAY => {
                    out.extend(['\\', char])
                }
                Some(char) if char.is_ascii() || prefix.is_empty() => match is_printable(char) {
                    true => out.push(char),
                    false => *out += &escaped(code),
                },
                _ => *out += &escaped(code),
            }
        }
        let mut end = [0; 4];
        self.text(quote.encode_utf8(&mut end))
    }

    fn str(&mut self, text: &str) -> Written {
        let plain = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'\'' | b'\\');
        if text.len() > self.left() || !text.bytes().all(plain) {
            return self.quoted("", text.chars().map(u32::from));
        }
        self.text("'")?;
        self.text(text)?;
        self.text("'")
    }

    fn bytes(&mut self, prefix: &str, bytes: &[u8]) -> Written {
        self.quoted(prefix, bytes.iter().map(|byte| u32::from(*byte)))
    }

    fn array(&mut self, array: &Array) -> Written {
        let length = array.len()?;
        let code = array.typecode;
        if length == 0 {
            return self.text(&format!("array('{code}')"));
        }
        self.text(&format!("array('{code}', "))?;
        if code == 'u' {
            let codes = array.bytes.chunks_exact(4);
            let codes = codes.map(|code| code.try_into().map_or(0, u32::from_ne_bytes));
            if let Some(code) = codes.clone().find(|code| *code > 0x10_ffff) {
                let text = format!("character U+{code:x} is not in range [U+0000; U+10ffff]");
                return Err(Exception::value_error(text).into());
            }
            self.quoted("", codes)?;
        } else {
            self.text("[")?;
            for index in 0..length {
                self.text(if index == 0 { "" } else { ", " })?;
                self.value(&array.item(index)?)?;
            }
            self.text("]")?;
        }
        self.text(")")
    }

    fn proxy(&mut self, value: &Value, proxy: &Proxy) -> Written {
        let class = value.type_name();
        self.text(&format!("<{class} object, typeid "))?;
        self.value(&Value::Str(proxy.typeid.clone()))?;
        self.text(&format!(" at {}>", address(value)))
    }

    #[inline(never)]
    fn object(&mut self, value: &Value, object: &Object) -> Written {
        self.skip(weight(value))?;
        if let Value::List(items) = &*value.plain() {
            return self.bracketed("[", value, items, "]");
        }
        if let Some(arguments) = value.called("builtins", "range") {
            let arguments = match &*arguments {
                [start, stop, Value::Int(1)] => &[start.clone(), stop.clone()],
                arguments => arguments,
            };
            return self.bracketed("range(", value, arguments, ")");
        }
        if let Some(arguments) = value.called("builtins", "slice") {
            return self.bracketed("slice(", value, &arguments, ")");
        }
        if let Some((class, arguments)) = exception(value) {
            self.text(class.last())?;
            let arguments = match &arguments[..] {
                // The third argument is a file name, which Python moves to an attribute.
                [number, text, _] if is_os_error(&class) => &[number.clone(), text.clone()],
                arguments => arguments,
            };
            return self.bracketed("(", value, arguments, ")");
        }
        if let Some(partial) = Partial::of(value) {
            return self.partial(&partial);
        }
        let class = value.class();
        if let Some(class) = class
            .as_deref()
            .filter(|class| class.module == "multiprocessing.managers")
            && let [Step::State(state)] = &object.steps[..]
            && matches!(object.make, Make::New { .. })
        {
            let state = value.part(state);
            match (&*class.name, state.stored()) {
                ("Namespace", Value::Dict(pairs)) => return self.namespace(&state, pairs),
                ("Value", Value::Dict(pairs)) => {
                    self.skip(pairs.len())?;
                    let get = |name| {
                        let mut named = pairs.iter().filter(|(key, _)| key.as_str() == Some(name));
                        named
                            .next()
                            .map(|(_, value)| state.part(value).into_owned())
                    };
                    if let (Some(code), Some(held)) = (get("_typecode"), get("_value")) {
                        return self.bracketed("Value(", value, &[code, held], ")");
                    }
                }
                _ => {}
            }
        }
        let name = match class {
            Some(class) if class.module == "builtins" => class.name.to_string(),
            Some(class) => class.to_string(),
            None => "object".to_owned(),
        };
        self.text(&format!("<{name} object at {}>", address(value)))
    }

    #[inline(never)]
    fn namespace(&mut self, state: &Value, pairs: &[(Value, Value)]) -> Written {
        self.skip(pairs.len())?;
        self.text("Namespace(")?;
        let start = self.out.len();
        let mut shown = vec![];
        for (key, value) in pairs {
            let name = state.part(key);
            let Some(bytes) = key.text_bytes() else {
                return Err(no_name(&name).into());
            };
            if bytes.starts_with(b"_") {
                continue;
            }
            if !shown.is_empty() {
                self.text(", ")?;
            }
            let from = self.out.len() - start;
            self.name(&name)?;
            let middle = self.out.len() - start;
            self.text("=")?;
            self.value(&state.part(value))?;
            shown.push((bytes, from, middle, self.out.len() - start));
        }
        // These bytes are in the order of the code points.
        let all = self.out.split_off(start);
        let bytes = all.as_bytes();
        shown.sort_by(|(a, _, i, j), (b, _, k, l)| {
            let values = (&bytes[*i..*j], &bytes[*k..*l]);
            a.iter().chain(values.0).cmp(b.iter().chain(values.1))
        });
        for (index, (_, from, _, end)) in shown.into_iter().enumerate() {
            self.out += if index == 0 { "" } else { ", " };
            self.out += &all[from..end];
        }
        self.text(")")
    }

    /// Writes a `str` without quotes.
    fn name(&mut self, name: &Value) -> Written {
        match name {
            Value::Str(text) => self.text(text),
            Value::Surrogates(bytes) => self.text(&with_lone_surrogates(bytes)),
            other => self.value(other),
        }
    }

    #[inline(never)]
    fn partial(&mut self, partial: &Partial) -> Written {
        let keywords = &partial.keywords;
        self.text("functools.partial(")?;
        self.value(&partial.function)?;
        for argument in &*partial.arguments {
            self.text(", ")?;
            self.value(argument)?;
        }
        if let Value::Dict(pairs) = keywords.stored() {
            for (name, value) in pairs.iter() {
                self.text(", ")?;
                self.name(&keywords.part(name))?;
                self.text("=")?;
                self.value(&keywords.part(value))?;
            }
        }
        self.text(")")
    }
}

/// The error of CPython's `Namespace.__repr__` for a key that is not a `str`: it calls `startswith`.
fn no_name(key: &Value) -> Exception {
    match key.stored() {
        Value::Bytes(_) => {
            Exception::type_error("startswith first arg must be bytes or a tuple of bytes, not str")
        }
        _ => {
            let name = key.type_name();
            let text = format!("'{name}' object has no attribute 'startswith'");
            Exception::attribute_error(text)
        }
    }
}

fn escaped(code: u32) -> String {
    match code {
        0..=0xff => format!("\\x{code:02x}"),
        0x100..=0xffff => format!("\\u{code:04x}"),
        _ => format!("\\U{code:08x}"),
    }
}

fn too_deep() -> Box<Exception> {
    const DEEP: &str = "maximum recursion depth exceeded while getting the repr of an object";
    Box::new(Exception::recursion_error(DEEP))
}

fn too_long() -> Exception {
    Exception::value_error(format!(
        "Exceeds the limit ({DIGITS} digits) for integer string conversion; \
         use sys.set_int_max_str_digits() to increase the limit"
    ))
}

/// Returns the shortest digits that read back as the same number, with an exponent where Python shows one.
fn float(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let places = digits.trim_start_matches('-').len().saturating_sub(2);
    let positional = (-4..16).contains(&exponent);
    // If two numbers of many digits are equally near, Rust shows the larger and Python the even one. With a given number of
    // digits, Rust shows the even one too.
    if places >= 14 {
        let decimals = usize::try_from(places as i32 - exponent).unwrap_or_default();
        let even = match positional {
            true => format!("{number:.decimals$}"),
            false => format!("{number:.places$e}"),
        };
        if even.parse() == Ok(number) {
            return if positional {
                even
            } else {
                python_exponent(&even)
            };
        }
    }
    match positional {
        true => format!("{number}"),
        false => python_exponent(&scientific),
    }
}

/// An exponent has a sign and at least two digits.
fn python_exponent(scientific: &str) -> String {
    let (digits, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    match exponent.strip_prefix('-') {
        Some(exponent) => format!("{digits}e-{exponent:0>2}"),
        None => format!("{digits}e+{exponent:0>2}"),
    }
}

fn with_point(mut number: String) -> String {
    if !number.contains(['.', 'e', 'n']) {
        number += ".0";
    }
    number
}

fn complex(re: f64, im: f64) -> String {
    let imaginary = float(im);
    if re == 0.0 && re.is_sign_positive() {
        return format!("{imaginary}j");
    }
    let sign = if imaginary.starts_with('-') { "" } else { "+" };
    format!("({}{sign}{imaginary}j)", float(re))
}

/// Python's `str.isprintable`.
fn is_printable(char: char) -> bool {
    use GeneralCategory::*;
    match char {
        ' '..='~' => true,
        '\0'..='\u{a0}' => false,
        _ => !matches!(
            char.general_category(),
            Control
                | Format
                | Surrogate
                | PrivateUse
                | Unassigned
                | LineSeparator
                | ParagraphSeparator
                | SpaceSeparator
        ),
    }
}

/// Returns the code points of UTF-8 with lone surrogates.
pub(crate) fn code_points(bytes: &[u8]) -> impl Iterator<Item = u32> + Clone {
    bytes
        .chunk_by(|_, next| next & 0xc0 == 0x80)
        .map(|char| match *char {
            [a] => a.into(),
            [a, b] => code(&[a & 0x1f, b]),
            [a, b, c] => code(&[a & 0xf, b, c]),
            [a, b, c, d] => code(&[a & 7, b, c, d]),
            _ => 0xfffd,
        })
}

fn code(bytes: &[u8]) -> u32 {
    let bits = |code, byte: &u8| code << 6 | u32::from(byte & 0x3f);
    bytes.iter().fold(0, bits)
}

fn address(value: &Value) -> String {
    format!("{:#x}", value.id().unwrap_or_default())
}

fn global_repr(global: &Global, value: &Value) -> String {
    match global.kind() {
        Kind::Class if global.module == "builtins" => format!("<class '{}'>", global.name),
        Kind::Class => format!("<class '{global}'>"),
        Kind::Builtin => format!("<built-in function {}>", global.name),
        Kind::Function => format!("<function {} at {}>", global.name, address(value)),
    }
}

/// Returns the class and arguments of a likely exception; only Python knows for certain.
fn exception(value: &Value) -> Option<(Global, Vec<Value>)> {
    let class = value.class()?;
    let is = match (&*class.module, &*class.name) {
        // All names of `builtins` with a capital letter are exceptions.
        ("builtins", _) => {
            class.kind() == Kind::Class && class.name.starts_with(|c: char| c.is_ascii_uppercase())
        }
        ("queue" | "_queue", "Empty" | "Full") => true,
        _ => ["Error", "Exception", "Warning"]
            .iter()
            .any(|end| class.name.ends_with(end)),
    };
    let exception = is.then(|| Exception::from_value(value))??;
    Some((exception.class, exception.args))
}

const OS_ERRORS: &str = "BlockingIOError BrokenPipeError ChildProcessError ConnectionAbortedError ConnectionError \
                         ConnectionRefusedError ConnectionResetError FileExistsError FileNotFoundError \
                         InterruptedError IsADirectoryError NotADirectoryError OSError PermissionError \
                         ProcessLookupError TimeoutError";

fn is_os_error(class: &Global) -> bool {
    class.module == "builtins" && OS_ERRORS.split(' ').any(|name| name == class.name)
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::Arc;

    use super::*;
    use crate::address::Address;

    fn long(text: &str) -> Value {
        Value::from(text.parse::<num_bigint::BigInt>().unwrap())
    }

    fn builtin(name: &'static str, arguments: impl IntoIterator<Item = Value>) -> Value {
        Value::call(Value::global("builtins", name), arguments)
    }

    fn new(module: &'static str, name: &'static str, state: Value) -> Value {
        Value::Object(Arc::new(Object {
            make: Make::New {
                class: Value::global(module, name),
                arguments: Value::tuple([]),
                keywords: None,
            },
            steps: vec![Step::State(state)],
        }))
    }

    #[track_caller]
    fn shows(value: impl Into<Value>, text: &str) {
        assert_eq!(value.into().repr().unwrap(), text);
    }

    /// The text with each address replaced by `0x`.
    fn without_addresses(text: &str) -> String {
        let mut parts = text.split("0x");
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            out += "0x";
            out += part.trim_start_matches(|char: char| char.is_ascii_hexdigit());
        }
        out
    }

    #[track_caller]
    fn shows_at(value: &Value, text: &str) {
        assert_eq!(without_addresses(&value.repr().unwrap()), text);
    }

    #[test]
    fn floats_are_shortest() {
        shows(1.0, "1.0");
        shows(-0.0, "-0.0");
        shows(0.1 + 0.2, "0.30000000000000004");
        shows(1e15, "1000000000000000.0");
        shows(1e16, "1e+16");
        shows(123456789012345680.0, "1.2345678901234568e+17");
        shows(0.0001, "0.0001");
        shows(0.00001, "1e-05");
        shows(1e100, "1e+100");
        let tie = f64::from(f32::from_bits(0x3f6b_b680));
        shows(tie, "0.9207534790039062");
        shows(-tie, "-0.9207534790039062");
        shows(1234567890123450.0, "1234567890123450.0");
        shows(5e-324, "5e-324");
        shows(f64::MAX, "1.7976931348623157e+308");
        shows(f64::NAN, "nan");
        shows(f64::NEG_INFINITY, "-inf");
        shows(Value::Complex(0.0, 1.0), "1j");
        shows(Value::Complex(-0.0, 1.0), "(-0+1j)");
        shows(Value::Complex(1.5, f64::NAN), "(1.5+nanj)");
        shows(Value::Complex(1.0, -f64::INFINITY), "(1-infj)");
    }

    #[test]
    fn long_integers_have_a_limit() {
        shows(1_i128 << 70, "1180591620717411303424");
        let nines = "9".repeat(4300);
        shows(long(&nines), &nines);
        shows(long(&format!("-{nines}")), &format!("-{nines}"));
        let limit = "ValueError: Exceeds the limit (4300 digits) for integer string conversion; \
                     use sys.set_int_max_str_digits() to increase the limit";
        for digits in [4301, 4302, 100_000] {
            let text = long(&"9".repeat(digits)).repr().unwrap_err().to_string();
            assert_eq!(text, limit);
        }
        let text = long(&format!("1{}", "0".repeat(4300))).repr();
        assert_eq!(text.unwrap_err().to_string(), limit);
        assert_eq!(
            long(&"9".repeat(4301)).to_string(),
            "<int whose repr fails: ValueError>"
        );
    }

    #[test]
    fn texts_are_quoted() {
        shows("it's", r#""it's""#);
        shows(r#"it's "it""#, r#"'it\'s "it"'"#);
        shows(
            "a\\b\n\t\r\0\u{7f}\u{a0}é\u{ad}\u{200b}\u{e000}😀\u{e0001}",
            r"'a\\b\n\t\r\x00\x7f\xa0é\xad\u200b\ue000😀\U000e0001'",
        );
        let lone = Value::text(b"a\xed\xa0\x80b").unwrap();
        shows(lone.clone(), r"'a\ud800b'");
        assert_eq!(lone.str().unwrap(), r"a\ud800b");
        shows(Value::bytes(b"it's\xff\n"), r#"b"it's\xff\n""#);
        shows(
            Value::ByteArray((*b"it's").into()),
            r#"bytearray(b"it\'s")"#,
        );
    }

    #[test]
    fn containers_are_shown_with_their_items() {
        shows((), "None");
        shows((1,), "(1,)");
        shows(Value::tuple([]), "()");
        shows([Some("a"), None], "['a', None]");
        shows(
            Value::dict([("a", 1), ("b", 2)]).unwrap(),
            "{'a': 1, 'b': 2}",
        );
        shows(Value::set([1]).unwrap(), "{1}");
        shows(Value::Set([].into()), "set()");
        shows(Value::FrozenSet([].into()), "frozenset()");
        shows(Value::frozenset([1]).unwrap(), "frozenset({1})");
        let array = |typecode, bytes: &[u8]| {
            let bytes = bytes.to_vec();
            Value::Array(Arc::new(Array { typecode, bytes }))
        };
        shows(array('i', &[]), "array('i')");
        shows(array('h', &[1, 0, 255, 255]), "array('h', [1, -1])");
        shows(
            array('u', &[97, 0, 0, 0, 39, 0, 0, 0]),
            "array('u', \"a'\")",
        );
        assert!(array('x', &[]).repr().is_err());
        assert!(array('u', &[255; 4]).repr().is_err());
    }

    #[test]
    fn circles_are_cut() {
        let knot = |values: Vec<Value>| Value::Knot(values.into(), 0);
        shows(
            knot(vec![Value::list([1.into(), Value::Inner(0)])]),
            "[1, [...]]",
        );
        shows(
            knot(vec![Value::Dict([(1.into(), Value::Inner(0))].into())]),
            "{1: {...}}",
        );
        let tuple = vec![
            Value::tuple([Value::Inner(1)]),
            Value::list([Value::Inner(0)]),
        ];
        shows(knot(tuple), "([(...)],)");
        let twice = Value::list([1.into()]);
        shows([twice.clone(), twice], "[[1], [1]]");
        let shared = knot(vec![
            Value::list([Value::Inner(1), Value::Inner(1)]),
            Value::list([Value::Inner(0)]),
        ]);
        shows(shared, "[[[...]], [[...]]]");
    }

    #[test]
    fn depth_and_length_are_bounded() {
        let deep = |depth| (0..depth).fold(Value::None, |inner, _| Value::list([inner]));
        assert!(deep(900).repr().is_ok());
        let text = deep(1000).repr().unwrap_err().to_string();
        let expected =
            "RecursionError: maximum recursion depth exceeded while getting the repr of an object";
        assert_eq!(text, expected);
        let bomb = (0..60).fold(Value::from("x".repeat(1000)), |v, _| {
            Value::list([v.clone(), v])
        });
        assert_eq!(bomb.repr().unwrap_err().to_string(), "MemoryError");
    }

    #[test]
    fn exceptions_are_shown_as_calls() {
        shows(builtin("ValueError", ["x".into()]), "ValueError('x')");
        shows(builtin("ValueError", []), "ValueError()");
        shows(
            builtin("ValueError", [1.into(), 2.into()]),
            "ValueError(1, 2)",
        );
        shows(Exception::empty().to_value(), "Empty()");
        let text = |value: Value| value.str().unwrap();
        assert_eq!(text(builtin("ValueError", ["x".into()])), "x");
        assert_eq!(text(builtin("KeyError", ["x".into()])), "'x'");
        assert_eq!(text(builtin("ValueError", [])), "");
        let nested = |depth| (0..depth).fold("x".into(), |inner, _| builtin("ValueError", [inner]));
        assert_eq!(text(nested(900)), "x");
        assert!(nested(2000).str().is_err());
        assert_eq!(text(builtin("ValueError", [1.into(), 2.into()])), "(1, 2)");
        let missing = builtin(
            "FileNotFoundError",
            [2.into(), "No such file".into(), "f".into()],
        );
        assert_eq!(text(missing.clone()), "[Errno 2] No such file: 'f'");
        shows(missing, "FileNotFoundError(2, 'No such file')");
    }

    #[test]
    fn objects_are_shown_as_python_shows_them() {
        shows(
            builtin("range", [0.into(), 3.into(), 1.into()]),
            "range(0, 3)",
        );
        shows(
            builtin("range", [0.into(), 3.into(), 2.into()]),
            "range(0, 3, 2)",
        );
        shows(
            builtin("slice", [Value::None, 1.into(), Value::None]),
            "slice(None, 1, None)",
        );
        shows(builtin("list", [[1].into()]), "[1]");
        shows(Value::global("builtins", "int"), "<class 'int'>");
        shows(
            Value::global("builtins", "print"),
            "<built-in function print>",
        );
        shows(Value::global("queue", "Queue"), "<class 'queue.Queue'>");
        shows_at(&Value::global("tasks", "run"), "<function run at 0x>");
        let task = new("__main__", "Task", Value::dict([("n", 1)]).unwrap());
        shows_at(&task, "<__main__.Task object at 0x>");
        assert_eq!(task.type_name(), "Task");
        shows_at(&builtin("object", []), "<object object at 0x>");
        let namespace = Value::from((("y", 1), ("x", "a"), ("_z", 0)));
        let pairs = namespace.elements().unwrap().into_iter().map(|pair| {
            let pair = pair.elements().unwrap();
            (pair[0].clone(), pair[1].clone())
        });
        let state = Value::dict(pairs).unwrap();
        shows(
            new("multiprocessing.managers", "Namespace", state),
            "Namespace(x='a', y=1)",
        );
        let state = Value::dict([("_typecode", Value::from("i")), ("_value", 5.into())]).unwrap();
        shows(
            new("multiprocessing.managers", "Value", state),
            "Value('i', 5)",
        );
    }

    #[test]
    fn a_partial_is_shown_in_both_its_forms() {
        let print = Value::global("builtins", "print");
        let keywords = Value::dict([("end", "")]).unwrap();
        let parts = [print.clone(), ("a", 1).into(), keywords.clone()];
        let sent = Value::call(
            Value::global("multiprocessing.reduction", "_rebuild_partial"),
            parts,
        );
        let text = "functools.partial(<built-in function print>, 'a', 1, end='')";
        shows(sent, text);
        let state = Value::tuple([print.clone(), ("a", 1).into(), keywords, Value::None]);
        let usual = Value::Object(Arc::new(Object {
            make: Make::Call {
                callable: Value::global("functools", "partial"),
                arguments: Value::tuple([print]),
            },
            steps: vec![Step::State(state)],
        }));
        shows(usual.clone(), text);
        assert_eq!(usual.type_name(), "functools.partial");
    }

    #[test]
    fn a_proxy_is_shown_as_the_client_sees_it() {
        let proxy = |class: &'static str, typeid: &str| {
            let (module, name) = ("multiprocessing.managers".into(), class.into());
            Value::Proxy(Arc::new(Proxy {
                class: Arc::new(Global { module, name }),
                typeid: typeid.into(),
                address: Address::Tcp("127.0.0.1".to_owned(), 1),
                ident: "1".into(),
                exposed: None,
                keep: None,
            }))
        };
        shows_at(
            &proxy("ListProxy", "list"),
            "<ListProxy object, typeid 'list' at 0x>",
        );
        shows_at(
            &proxy("AutoProxy", "Queue"),
            "<AutoProxy[Queue] object, typeid 'Queue' at 0x>",
        );
    }

    #[test]
    fn python_finds_the_same_characters_printable() {
        let program = "import unicodedata as u\n\
                       print(''.join('01?'[1 if chr(c).isprintable() else 2 if u.category(chr(c)) == 'Cn' else 0] \
                       for c in range(0x110000)))";
        let Ok(output) = Command::new("python3").args(["-c", program]).output() else {
            eprintln!("there is no python3");
            return;
        };
        for (code, theirs) in output.stdout.iter().take(0x11_0000).enumerate() {
            let ours = char::from_u32(code as u32).is_some_and(is_printable);
            // One of the two has a newer Unicode version and knows this character.
            let newer = *theirs == b'?';
            assert!(newer || ours == (*theirs == b'1'), "U+{code:x}");
        }
    }

    fn namespace(state: Value) -> Value {
        new("multiprocessing.managers", "Namespace", state)
    }

    #[test]
    fn what_is_not_shown_counts_too() {
        let private = (0..1_000_000).map(|index| (format!("_{index}"), 0));
        let state = Value::dict(private).unwrap();
        shows(namespace(state.clone()), "Namespace()");
        let many = Value::list((0..1000).map(|_| namespace(state.clone())));
        assert_eq!(many.repr().unwrap_err().to_string(), "MemoryError");
        let many =
            Value::list((0..1000).map(|_| new("multiprocessing.managers", "Value", state.clone())));
        assert_eq!(many.repr().unwrap_err().to_string(), "MemoryError");
    }

    #[test]
    fn a_chain_of_partials_has_a_depth() {
        let deep = (0..2000).fold(Value::from("x"), |inner, _| {
            let keywords = Value::Dict([(inner, Value::None)].into());
            let print = Value::global("builtins", "print");
            let rebuild = Value::global("multiprocessing.reduction", "_rebuild_partial");
            Value::call(rebuild, [print, Value::tuple([]), keywords])
        });
        assert!(deep.repr().unwrap_err().is("builtins", "RecursionError"));
        assert!(
            deep.repr_within(1000)
                .unwrap()
                .starts_with("functools.partial(")
        );
    }

    #[test]
    fn a_namespace_is_shown_in_the_order_of_its_text() {
        let lone = Value::text(b"\xed\xa0\x80").unwrap();
        let pairs: [(Value, i64); 5] = [
            ("\u{e000}".into(), 0),
            (lone, 1),
            ("a=0".into(), 2),
            ("a".into(), 1),
            ("_".into(), 3),
        ];
        let shown = "Namespace(a=0=2, a=1, \\ud800=1, \u{e000}=0)";
        shows(namespace(Value::dict(pairs).unwrap()), shown);
        let no_name = namespace(Value::dict([(1, 1)]).unwrap()).repr();
        assert_eq!(
            no_name.unwrap_err().to_string(),
            "AttributeError: 'int' object has no attribute 'startswith'"
        );
    }

    #[test]
    fn the_beginning_takes_little() {
        let within = |value: Value, limit| value.repr_within(limit).unwrap();
        let long = within(Value::from("x".repeat(10_000_000)), 75);
        assert!(
            long.starts_with("'xxxxxxxx") && (75..100).contains(&long.len()),
            "{long}"
        );
        let doubled = (0..60).fold(Value::None, |inner, _| Value::list([inner.clone(), inner]));
        assert!(within(doubled, 75).starts_with("[[[[[["));
        assert_eq!(within([1, 2].into(), 75), "[1, 2]");
        assert_eq!(within([1, 2].into(), 6), "[1, 2]");
        assert_eq!(within([1, 2].into(), 5), "[1, 2");
        let long = Value::from(num_bigint::BigInt::from(1) << 20_000);
        assert!(
            long.repr_within(75)
                .unwrap_err()
                .is("builtins", "ValueError")
        );
    }
}
