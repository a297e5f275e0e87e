//! Python's `repr` and `str`.
//!
//! Differs: a set shows its items in the order in which they arrived. What characters are printable is a matter of the
//!          Unicode version, here unicode-properties'; CPython 3.11's is 14.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

use super::compare::{DEPTH, Kind};
use super::exception::Exception;
use super::value::{Array, Global, Make, Object, Proxy, Step, Value};

/// The most bytes that a `repr` may have.
const LIMIT: usize = 64 << 20;

/// CPython's `sys.get_int_max_str_digits()`.
const DIGITS: usize = 4300;

impl Value {
    /// Python's `repr(x)`. An object of an unknown class is shown as by `object.__repr__`.
    ///
    /// Errors: `ValueError` for an integer of more than 4300 digits, `RecursionError` past a depth of 950, `MemoryError`
    /// past 64 MiB.
    pub fn repr(&self) -> Result<String, Exception> {
        let mut writer = Writer {
            out: String::new(),
            open: HashSet::new(),
            depth: DEPTH,
        };
        writer.value(self)?;
        Ok(writer.out)
    }

    /// Python's `str(x)`. A lone surrogate, which no Rust string can hold, becomes what `repr` shows for it, such as
    /// `\ud800`.
    ///
    /// Errors: as [`Value::repr`].
    pub fn str(&self) -> Result<String, Exception> {
        match self {
            Value::Str(text) => Ok(text.to_string()),
            Value::Surrogates(bytes) => {
                let mut out = String::new();
                for code in code_points(bytes) {
                    match char::from_u32(code) {
                        Some(char) => out.push(char),
                        None => out += &format!("\\u{code:04x}"),
                    }
                }
                Ok(out)
            }
            value => match exception(value) {
                Some((class, arguments)) => exception_str(&class, &arguments),
                None => self.repr(),
            },
        }
    }
}

/// What Python's `repr` shows; where that fails, a short text that says so.
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

/// The same as `Display`: what Python shows.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

struct Writer {
    out: String,
    /// The containers of knots that are being written.
    open: HashSet<usize>,
    depth: usize,
}

type Written = Result<(), Exception>;

impl Writer {
    fn text(&mut self, text: &str) -> Written {
        if self.out.len() + text.len() > LIMIT {
            return Err(Exception::memory_error());
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
        const DEEP: &str = "maximum recursion depth exceeded while getting the repr of an object";
        let depth = self.depth.checked_sub(1);
        self.depth = depth.ok_or_else(|| Exception::recursion_error(DEEP))?;
        // Only what belongs to a knot can contain itself.
        let id = value.id().filter(|_| matches!(value, Value::Knot(..)));
        match id {
            Some(id) if !self.open.insert(id) => self.again(value)?,
            _ => {
                self.compound(value)?;
                id.map(|id| self.open.remove(&id));
            }
        }
        self.depth += 1;
        Ok(())
    }

    /// What is being written already.
    fn again(&mut self, value: &Value) -> Written {
        match value.stored() {
            Value::Tuple(_) => self.text("(...)"),
            Value::List(_) => self.text("[...]"),
            Value::Dict(_) => self.text("{...}"),
            Value::Set(_) => self.text("set(...)"),
            Value::FrozenSet(_) => self.text("frozenset(...)"),
            Value::Object(_) if partial(value).is_some() => self.text("functools.partial(...)"),
            // Python has no guard here: it goes round until it is too deep.
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
            // 2**14288 has more digits; and what is longer takes its time.
            Value::Long(number) if number.bits() > 14288 => Err(too_long()),
            Value::Long(number) => {
                let text = number.to_string();
                if text.trim_start_matches('-').len() > DIGITS {
                    return Err(too_long());
                }
                self.text(&text)
            }
            Value::Complex(re, im) => self.text(&complex(*re, *im)),
            Value::Surrogates(bytes) => self.quoted("", code_points(bytes)),
            Value::Bytes(bytes) => self.bytes(bytes),
            Value::ByteArray(bytes) => {
                self.text("bytearray(")?;
                self.bytes(bytes)?;
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
        let has = |quote: char| codes.clone().any(|code| code == u32::from(quote));
        let quote = if has('\'') && !has('"') { '"' } else { '\'' };
        self.out += prefix;
        self.out.push(quote);
        for code in codes {
            if self.out.len() > LIMIT {
                return Err(Exception::memory_error());
            }
            let out = &mut self.out;
            match char::from_u32(code) {
                Some('\n') => *out += "\\n",
                Some('\r') => *out += "\\r",
                Some('\t') => *out += "\\t",
                Some('\\') => *out += "\\\\",
                Some(char) if char == quote => out.extend(['\\', char]),
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
        if !text.bytes().all(plain) {
            return self.quoted("", text.chars().map(u32::from));
        }
        self.text("'")?;
        self.text(text)?;
        self.text("'")
    }

    fn bytes(&mut self, bytes: &[u8]) -> Written {
        self.quoted("b", bytes.iter().map(|byte| u32::from(*byte)))
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
                return Err(Exception::value_error(text));
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
                // A third is the name of the file, which Python keeps elsewhere.
                [number, text, _] if is_os_error(&class) => &[number.clone(), text.clone()],
                arguments => arguments,
            };
            return self.bracketed("(", value, arguments, ")");
        }
        if let Some((function, arguments, keywords)) = partial(value) {
            return self.partial(&function, &arguments, &keywords);
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
        let named = |(key, value)| Some((Value::as_str(key)?, value));
        let mut shown: Vec<_> = pairs
            .iter()
            .map(|(key, value)| (key, value))
            .filter_map(named)
            .collect();
        shown.retain(|(name, _)| !name.starts_with('_'));
        shown.sort_by_cached_key(|(name, _)| format!("{name}="));
        self.text("Namespace(")?;
        for (index, (name, value)) in shown.into_iter().enumerate() {
            self.text(if index == 0 { "" } else { ", " })?;
            self.text(name)?;
            self.text("=")?;
            self.value(&state.part(value))?;
        }
        self.text(")")
    }

    #[inline(never)]
    fn partial(&mut self, function: &Value, arguments: &[Value], keywords: &Value) -> Written {
        self.text("functools.partial(")?;
        self.value(function)?;
        for argument in arguments {
            self.text(", ")?;
            self.value(argument)?;
        }
        if let Value::Dict(pairs) = keywords.stored() {
            for (name, value) in pairs.iter() {
                self.text(", ")?;
                self.text(&keywords.part(name).str()?)?;
                self.text("=")?;
                self.value(&keywords.part(value))?;
            }
        }
        self.text(")")
    }
}

fn escaped(code: u32) -> String {
    match code {
        0..=0xff => format!("\\x{code:02x}"),
        0x100..=0xffff => format!("\\u{code:04x}"),
        _ => format!("\\U{code:08x}"),
    }
}

fn too_long() -> Exception {
    Exception::value_error(format!(
        "Exceeds the limit ({DIGITS} digits) for integer string conversion; \
         use sys.set_int_max_str_digits() to increase the limit"
    ))
}

/// The shortest digits that read back as the same number, with an exponent where Python has one.
fn float(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse() {
        Ok(-4..=15) => format!("{number}"),
        Ok(exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", i32::abs(exponent))
        }
        Err(_) => scientific,
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

/// The code points of a text in UTF-8, lone surrogates among them.
pub(super) fn code_points(bytes: &[u8]) -> impl Iterator<Item = u32> + Clone {
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

/// The class and arguments of what seems to be an exception. Python alone would know for certain.
fn exception(value: &Value) -> Option<(Global, Vec<Value>)> {
    let class = value.class()?;
    let is = match (&*class.module, &*class.name) {
        // What stands in `builtins` and begins with a capital letter is nothing else.
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

const OS_ERRORS: [&str; 16] = [
    "BlockingIOError",
    "BrokenPipeError",
    "ChildProcessError",
    "ConnectionAbortedError",
    "ConnectionError",
    "ConnectionRefusedError",
    "ConnectionResetError",
    "FileExistsError",
    "FileNotFoundError",
    "InterruptedError",
    "IsADirectoryError",
    "NotADirectoryError",
    "OSError",
    "PermissionError",
    "ProcessLookupError",
    "TimeoutError",
];

fn is_os_error(class: &Global) -> bool {
    class.module == "builtins" && OS_ERRORS.contains(&&*class.name)
}

fn exception_str(class: &Global, arguments: &[Value]) -> Result<String, Exception> {
    let os = is_os_error(class);
    match arguments {
        [] => Ok(String::new()),
        [key] if class.name == "KeyError" => key.repr(),
        [one] => one.str(),
        [number, text] if os => Ok(format!("[Errno {}] {}", number.str()?, text.str()?)),
        [number, text, file] if os => Ok(format!(
            "[Errno {}] {}: {}",
            number.str()?,
            text.str()?,
            file.repr()?
        )),
        several => Value::tuple(several.iter().cloned()).repr(),
    }
}

/// The function, arguments and keywords of a `functools.partial`, in both forms in which it is sent.
fn partial(value: &Value) -> Option<(Value, Vec<Value>, Value)> {
    let Value::Object(object) = value.stored() else {
        return None;
    };
    value.class().filter(|class| **class == PARTIAL)?;
    let Make::Call { arguments, .. } = &object.make else {
        return None;
    };
    let made = value.part(arguments);
    let made = made.node();
    let Value::Tuple(made) = &*made else {
        return None;
    };
    let state = match &object.steps[..] {
        [] => None,
        [Step::State(state)] => Some(value.part(state)),
        _ => return None,
    };
    let state = state.as_ref().map(|state| state.node());
    let parts = match state.as_deref() {
        Some(Value::Tuple(state)) => state,
        _ => made,
    };
    let (function, arguments, keywords) = match &**parts {
        [function, arguments, keywords, ..] => (function, arguments.node(), keywords.clone()),
        [function] => (function, Cow::Owned(Value::tuple([])), Value::None),
        _ => return None,
    };
    match &*arguments {
        Value::Tuple(arguments) => Some((function.clone(), arguments.to_vec(), keywords)),
        _ => None,
    }
}

const PARTIAL: Global = Global {
    module: Cow::Borrowed("functools"),
    name: Cow::Borrowed("partial"),
};
