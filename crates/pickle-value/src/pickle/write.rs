//! From values to bytes.
//!
//! Values that can occur twice are memoized: those with several owners, and those of a knot. Pending work is on an
//! explicit stack, so there is no recursion.
//!
//! A list, dict, set or object is memoized before it is filled, as in CPython. A tuple that contains itself (or an object
//! whose arguments do) is found again while its items are written, and is started over; at the end, `POP` discards the
//! earlier start, also as in CPython. A tuple that is found too often is built immediately from containers that are filled
//! later, so that nested tuples cannot make a pickle grow without limit.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::slice;
use std::sync::Arc;

use super::opcode::*;
use crate::token::{MANAGERS, address_value};
use crate::value::{Global, Make, Object, Proxy, Step, Value};

/// The number of times that a value is started over. CPython starts over without limit, which can take quadratic time.
const BEGUN: u8 = 8;

/// The knot that contains a value.
type Knot<'v> = Option<&'v Arc<[Value]>>;

/// The identity of an object: [`Value::id`], and the kind, because empty slices of different kinds may share an address.
type Id = (usize, u8);

/// A value that is neither a [`Value::Knot`] nor a [`Value::Inner`].
#[derive(Clone, Copy)]
struct Found<'v> {
    value: &'v Value,
    knot: Knot<'v>,
    /// Its identity, if it can occur again.
    id: Option<Id>,
}

enum Work<'v> {
    Op(u8),
    Items(slice::Iter<'v, Value>, Knot<'v>),
    Pairs(slice::Iter<'v, (Value, Value)>, Option<&'v Value>, Knot<'v>),
    Steps(slice::Iter<'v, Step>, Knot<'v>),
    /// Ends a tuple, frozenset or object whose parts are written. The flag says whether to fill it next.
    Close(Found<'v>, bool),
    /// Creates the value without its contents, unless it exists already, and leaves nothing on the stack.
    Shell(Found<'v>),
    ShellParts(Found<'v>),
    /// Fills the values that were made without their contents.
    Fill,
    Contents(Found<'v>),
    Get(Id),
    Write(&'v Value, Knot<'v>),
}

pub(super) struct Writer<'v, 'o> {
    out: &'o mut Vec<u8>,
    work: Vec<Work<'v>>,
    memo: HashMap<Id, u32, BuildHasherDefault<Places>>,
    memoized: u32,
    /// How often each value of a knot was started.
    begun: HashMap<Id, u8, BuildHasherDefault<Places>>,
    shells: HashSet<Id, BuildHasherDefault<Places>>,
    unfilled: Vec<Found<'v>>,
}

impl<'v, 'o> Writer<'v, 'o> {
    pub(super) fn new(out: &'o mut Vec<u8>) -> Self {
        Writer {
            out,
            work: vec![],
            memo: HashMap::default(),
            memoized: 0,
            begun: HashMap::default(),
            shells: HashSet::default(),
            unfilled: vec![],
        }
    }

    pub(super) fn write(mut self, value: &'v Value) {
        self.out.extend([PROTO, 4]);
        self.whole(value);
        self.out.push(STOP);
    }

    pub(super) fn write_reply(mut self, kind: &str, value: &'v Value) {
        self.out.extend([PROTO, 4]);
        self.leaf(TEXT, kind.as_bytes(), None);
        self.whole(value);
        self.out.extend([TUPLE2, STOP]);
    }

    pub(super) fn write_request(
        mut self,
        ident: Option<&str>,
        name: &str,
        args: &'v [Value],
        keywords: &'v [(Arc<str>, Value)],
    ) {
        self.out.extend([PROTO, 4, MARK]);
        match ident {
            Some(ident) => self.leaf(TEXT, ident.as_bytes(), None),
            None => self.out.push(NONE),
        }
        self.leaf(TEXT, name.as_bytes(), None);
        let tuple = match args.len() {
            0 => EMPTY_TUPLE,
            1 => TUPLE1,
            2 => TUPLE2,
            3 => TUPLE3,
            _ => {
                self.out.push(MARK);
                TUPLE
            }
        };
        args.iter().for_each(|value| self.whole(value));
        self.out.extend([tuple, EMPTY_DICT]);
        for (name, value) in keywords {
            self.leaf(TEXT, name.as_bytes(), None);
            self.whole(value);
            self.out.push(SETITEM);
        }
        self.out.extend([TUPLE, STOP]);
    }

    /// Writes a value with its parts.
    fn whole(&mut self, value: &'v Value) {
        self.value(value, None);
        while let Some(work) = self.work.last_mut() {
            match work {
                Work::Items(items, knot) => {
                    let knot = *knot;
                    if let Some(item) = items.next() {
                        self.value(item, knot);
                        continue;
                    }
                }
                Work::Pairs(pairs, value, knot) => {
                    let knot = *knot;
                    if let Some(value) = value.take() {
                        self.value(value, knot);
                        continue;
                    }
                    if let Some((k, v)) = pairs.next() {
                        *value = Some(v);
                        self.value(k, knot);
                        continue;
                    }
                }
                Work::Steps(steps, knot) => {
                    let knot = *knot;
                    if let Some(step) = steps.next() {
                        self.step(step, knot);
                        continue;
                    }
                }
                _ => {}
            }
            // An iterator of items that has ended is done.
            match self.work.pop() {
                Some(Work::Op(code)) => self.out.push(code),
                Some(Work::Close(found, fill)) => self.close(found, fill),
                Some(Work::Shell(found)) => self.shell(found),
                Some(Work::ShellParts(found)) => {
                    self.work.push(Work::Op(POP));
                    self.open(found, false);
                }
                Some(Work::Fill) => self.fill(),
                Some(Work::Contents(found)) => self.contents(found),
                Some(Work::Get(id)) => {
                    self.get(id);
                }
                Some(Work::Write(value, knot)) => self.value(value, knot),
                Some(Work::Items(..) | Work::Pairs(..) | Work::Steps(..)) | None => {}
            }
        }
    }

    fn value(&mut self, value: &'v Value, knot: Knot<'v>) {
        match value {
            Value::None => self.out.push(NONE),
            Value::Bool(true) => self.out.push(NEWTRUE),
            Value::Bool(false) => self.out.push(NEWFALSE),
            Value::Int(number) => self.int(*number),
            Value::Float(number) => {
                self.out.push(BINFLOAT);
                self.out.extend(number.to_be_bytes());
            }
            Value::Complex(real, imaginary) => {
                self.name("builtins", "complex");
                for number in [real, imaginary] {
                    self.out.push(BINFLOAT);
                    self.out.extend(number.to_be_bytes());
                }
                self.out.extend([TUPLE2, REDUCE]);
            }
            Value::Tuple(items) if items.is_empty() => self.out.push(EMPTY_TUPLE),
            value => match find(value, knot) {
                Some(found) => self.found(found),
                None => self.out.push(NONE),
            },
        }
    }

    fn found(&mut self, found: Found<'v>) {
        if let Some(id) = found.id
            && self.get(id)
        {
            return;
        }
        match found.value {
            Value::Long(number) => {
                let bytes = number.to_signed_bytes_le();
                match u8::try_from(bytes.len()) {
                    Ok(length) => self.out.extend([LONG1, length]),
                    Err(_) => {
                        self.out.push(LONG4);
                        self.out.extend((bytes.len() as u32).to_le_bytes());
                    }
                }
                self.out.extend(bytes);
                self.memoize(found.id);
            }
            Value::Str(text) => self.leaf(TEXT, text.as_bytes(), found.id),
            Value::Surrogates(text) => self.leaf(TEXT, text, found.id),
            Value::Bytes(bytes) => self.leaf(BYTES, bytes, found.id),
            Value::ByteArray(bytes) => {
                self.name("builtins", "bytearray");
                if bytes.is_empty() {
                    self.out.push(EMPTY_TUPLE);
                } else {
                    self.leaf(BYTES, bytes, None);
                    self.out.push(TUPLE1);
                }
                self.out.push(REDUCE);
                self.memoize(found.id);
            }
            Value::Array(array) => {
                self.name("array", "array");
                let mut letter = [0; 4];
                self.leaf(
                    TEXT,
                    array.typecode.encode_utf8(&mut letter).as_bytes(),
                    None,
                );
                self.leaf(BYTES, &array.bytes, None);
                self.out.extend([TUPLE2, REDUCE]);
                self.memoize(found.id);
            }
            Value::Global(global) => {
                self.name(&global.module, &global.name);
                self.memoize(found.id);
            }
            Value::Proxy(proxy) => {
                self.proxy(proxy);
                self.memoize(found.id);
            }
            Value::List(_) | Value::Dict(_) | Value::Set(_) => {
                self.empty(found);
                self.contents(found);
            }
            Value::Tuple(_) | Value::FrozenSet(_) | Value::Object(_) => {
                match (found.knot, found.id) {
                    (Some(_), Some(id)) if self.met_again(id) => {
                        let steps = [Work::Get(id), Work::Fill, Work::Shell(found)];
                        self.work.extend(steps);
                    }
                    _ => self.open(found, true),
                }
            }
            _ => self.out.push(NONE),
        }
    }

    /// Returns whether the value was started too often.
    fn met_again(&mut self, id: Id) -> bool {
        let begun = self.begun.entry(id).or_default();
        *begun = begun.saturating_add(1);
        *begun > BEGUN
    }

    /// Writes a container without its contents.
    fn empty(&mut self, found: Found<'v>) {
        self.out.push(match found.value {
            Value::List(_) => EMPTY_LIST,
            Value::Dict(_) => EMPTY_DICT,
            _ => EMPTY_SET,
        });
        self.memoize(found.id);
    }

    /// Writes the contents of the container on the stack.
    fn contents(&mut self, found: Found<'v>) {
        let knot = found.knot;
        match found.value {
            Value::List(items) => self.items(items, APPEND, APPENDS, knot),
            Value::Set(items) => self.items(items, 0, ADDITEMS, knot),
            Value::Dict(pairs) => self.pairs(pairs, knot),
            Value::Object(object) => self.work.push(Work::Steps(object.steps.iter(), knot)),
            _ => {}
        }
    }

    fn step(&mut self, step: &'v Step, knot: Knot<'v>) {
        match step {
            Step::State(state) => self
                .work
                .extend([Work::Op(BUILD), Work::Write(state, knot)]),
            Step::Extend(items) => self.items(items, APPEND, APPENDS, knot),
            Step::Add(items) => self.items(items, 0, ADDITEMS, knot),
            Step::Set(pairs) => self.pairs(pairs, knot),
        }
    }

    /// Writes items for the container on the stack. `one` is the opcode for a single item, if there is such an opcode.
    fn items(&mut self, items: &'v [Value], one: u8, many: u8, knot: Knot<'v>) {
        let op = match items.len() {
            0 => return,
            1 if one != 0 => one,
            _ => {
                self.out.push(MARK);
                many
            }
        };
        self.work
            .extend([Work::Op(op), Work::Items(items.iter(), knot)]);
    }

    fn pairs(&mut self, pairs: &'v [(Value, Value)], knot: Knot<'v>) {
        let op = match pairs.len() {
            0 => return,
            1 => SETITEM,
            _ => {
                self.out.push(MARK);
                SETITEMS
            }
        };
        self.work
            .extend([Work::Op(op), Work::Pairs(pairs.iter(), None, knot)]);
    }

    /// Starts a tuple, frozenset or object.
    fn open(&mut self, found: Found<'v>, fill: bool) {
        self.work.push(Work::Close(found, fill));
        match found.value {
            Value::Tuple(items) | Value::FrozenSet(items) => {
                if marked(found.value) {
                    self.out.push(MARK);
                }
                self.work.push(Work::Items(items.iter(), found.knot));
            }
            Value::Object(object) => {
                let parts = parts(object).into_iter().rev().flatten();
                self.work
                    .extend(parts.map(|part| Work::Write(part, found.knot)));
            }
            _ => {}
        }
    }

    fn close(&mut self, found: Found<'v>, fill: bool) {
        if let Some(id) = found.id
            && found.knot.is_some()
            && self.memo.contains_key(&id)
        {
            // The value has been created in the meantime.
            match found.value {
                value if marked(value) => self.out.push(POP_MARK),
                Value::Object(object) => {
                    self.out.extend(parts(object).iter().flatten().map(|_| POP));
                }
                Value::Tuple(items) => self.out.extend(items.iter().map(|_| POP)),
                _ => {}
            }
            self.get(id);
            return;
        }
        self.out.push(match found.value {
            Value::FrozenSet(_) => FROZENSET,
            Value::Tuple(items) => match items.len() {
                1 => TUPLE1,
                2 => TUPLE2,
                3 => TUPLE3,
                _ => TUPLE,
            },
            Value::Object(object) => match object.make {
                Make::Call { .. } => REDUCE,
                Make::New { keywords: None, .. } => NEWOBJ,
                Make::New { .. } => NEWOBJ_EX,
            },
            _ => return,
        });
        self.memoize(found.id);
        match found.value {
            Value::Object(object) if !object.steps.is_empty() => match fill {
                true => self.contents(found),
                false => self.unfilled.push(found),
            },
            _ => {}
        }
    }

    fn shell(&mut self, found: Found<'v>) {
        let Some(id) = found.id else {
            return;
        };
        if self.memo.contains_key(&id) {
            return;
        }
        let items: &[Value] = match found.value {
            Value::List(_) | Value::Dict(_) | Value::Set(_) => {
                self.empty(found);
                self.out.push(POP);
                self.unfilled.push(found);
                return;
            }
            Value::Tuple(items) | Value::FrozenSet(items) => items,
            Value::Object(_) => &[],
            _ => return,
        };
        if !self.shells.insert(id) {
            // A circle of only tuples and arguments, which Python cannot make.
            self.out.push(NONE);
            self.memoize(Some(id));
            self.out.push(POP);
            return;
        }
        self.work.push(Work::ShellParts(found));
        let first = self.work.len();
        let shell = |part: &'v Value| match part {
            Value::Inner(_) => find(part, found.knot).map(Work::Shell),
            _ => None,
        };
        self.work.extend(items.iter().filter_map(shell));
        if let Value::Object(object) = found.value {
            self.work
                .extend(parts(object).into_iter().flatten().filter_map(shell));
        }
        self.work[first..].reverse();
    }

    fn fill(&mut self) {
        for found in std::mem::take(&mut self.unfilled).into_iter().rev() {
            let Some(id) = found.id else {
                continue;
            };
            // The last entry is processed first.
            self.work
                .extend([Work::Op(POP), Work::Contents(found), Work::Get(id)]);
        }
    }

    fn int(&mut self, number: i64) {
        if let Ok(number) = u8::try_from(number) {
            self.out.extend([BININT1, number]);
        } else if let Ok(number) = u16::try_from(number) {
            self.out.push(BININT2);
            self.out.extend(number.to_le_bytes());
        } else if let Ok(number) = i32::try_from(number) {
            self.out.push(BININT);
            self.out.extend(number.to_le_bytes());
        } else {
            // The fewest bytes that keep the sign.
            let same = if number < 0 {
                number.leading_ones()
            } else {
                number.leading_zeros()
            };
            let length = (64 - same) as usize / 8 + 1;
            self.out.extend([LONG1, length as u8]);
            self.out.extend(&number.to_le_bytes()[..length]);
        }
    }

    fn leaf(&mut self, forms: [u8; 3], bytes: &[u8], id: Option<Id>) {
        let length = bytes.len();
        if let Ok(length) = u8::try_from(length) {
            self.out.extend([forms[0], length]);
        } else if let Ok(length) = u32::try_from(length) {
            self.out.push(forms[1]);
            self.out.extend(length.to_le_bytes());
        } else {
            self.out.push(forms[2]);
            self.out.extend((length as u64).to_le_bytes());
        }
        self.out.extend_from_slice(bytes);
        self.memoize(id);
    }

    fn name(&mut self, module: &str, name: &str) {
        self.leaf(TEXT, module.as_bytes(), None);
        self.leaf(TEXT, name.as_bytes(), None);
        self.out.push(STACK_GLOBAL);
    }

    /// Writes a global of the managers, at most once in a pickle.
    fn managers(&mut self, name: &'static str) {
        let id = (name.len(), MANAGERS_NAME);
        if !self.get(id) {
            self.name(MANAGERS, name);
            self.memoize(Some(id));
        }
    }

    /// Writes a text, at most once in a pickle if it has several owners.
    fn text(&mut self, text: &Arc<str>) {
        let place = Arc::as_ptr(text).cast::<()>() as usize;
        let id = (Arc::strong_count(text) > 1).then_some((place, STR));
        if !id.is_some_and(|id| self.get(id)) {
            self.leaf(TEXT, text.as_bytes(), id);
        }
    }

    fn global(&mut self, global: &Arc<Global>) {
        let place = Arc::as_ptr(global) as usize;
        let id = (Arc::strong_count(global) > 1).then_some((place, GLOBAL));
        if !id.is_some_and(|id| self.get(id)) {
            self.name(&global.module, &global.name);
            self.memoize(id);
        }
    }

    fn proxy(&mut self, proxy: &Proxy) {
        self.managers("RebuildProxy");
        self.out.push(MARK);
        self.global(&proxy.class);
        self.managers("Token");
        self.out.extend([EMPTY_TUPLE, NEWOBJ]);
        self.text(&proxy.typeid);
        match address_value(&proxy.address) {
            Value::Tuple(parts) => {
                for part in &parts[..] {
                    match part {
                        Value::Str(host) => self.leaf(TEXT, host.as_bytes(), None),
                        Value::Int(port) => self.int(*port),
                        _ => {}
                    }
                }
                self.out.push(TUPLE2);
            }
            Value::Str(path) => self.leaf(TEXT, path.as_bytes(), None),
            Value::Surrogates(path) => self.leaf(TEXT, &path, None),
            Value::Bytes(path) => self.leaf(BYTES, &path, None),
            _ => {}
        }
        self.text(&proxy.ident);
        self.out.extend([TUPLE3, BUILD]);
        self.leaf(TEXT, b"pickle", None);
        self.out.push(EMPTY_DICT);
        if let Some(exposed) = &proxy.exposed {
            self.leaf(TEXT, b"exposed", None);
            let place = Arc::as_ptr(exposed).cast::<()>() as usize;
            let id =
                (Arc::strong_count(exposed) > 1 && !exposed.is_empty()).then_some((place, EXPOSED));
            if !id.is_some_and(|id| self.get(id)) {
                self.out.push(MARK);
                for name in &exposed[..] {
                    self.text(name);
                }
                self.out.push(TUPLE);
                self.memoize(id);
            }
            self.out.push(SETITEM);
        }
        self.out.extend([TUPLE, REDUCE]);
    }

    fn memoize(&mut self, id: Option<Id>) {
        if let Some(id) = id {
            self.memo.insert(id, self.memoized);
            self.memoized += 1;
            self.out.push(MEMOIZE);
        }
    }

    /// Fetches the object if it is memoized.
    fn get(&mut self, id: Id) -> bool {
        let Some(index) = self.memo.get(&id) else {
            return false;
        };
        match u8::try_from(*index) {
            Ok(index) => self.out.extend([BINGET, index]),
            Err(_) => {
                self.out.push(LONG_BINGET);
                self.out.extend(index.to_le_bytes());
            }
        }
        true
    }
}

/// Opcodes for up to 255 bytes, up to 4 GiB, and more.
const TEXT: [u8; 3] = [SHORT_BINUNICODE, BINUNICODE, BINUNICODE8];
const BYTES: [u8; 3] = [SHORT_BINBYTES, BINBYTES, BINBYTES8];

// The kinds of ids.
const STR: u8 = 1;
const MANAGERS_NAME: u8 = 2;
const EXPOSED: u8 = 3;

fn find<'v>(value: &'v Value, knot: Knot<'v>) -> Option<Found<'v>> {
    let (knot, index) = match (value, knot) {
        (Value::Knot(knot, index), _) => (knot, *index),
        (Value::Inner(index), Some(knot)) => (knot, *index),
        (Value::Inner(_), None) => return None,
        _ => {
            let (kind, owners) = match value {
                Value::Str(v) => (STR, Arc::strong_count(v)),
                Value::Long(v) => (4, Arc::strong_count(v)),
                Value::Surrogates(v) => (5, Arc::strong_count(v)),
                Value::Bytes(v) => (6, Arc::strong_count(v)),
                Value::ByteArray(v) => (7, Arc::strong_count(v)),
                Value::Tuple(v) => (8, Arc::strong_count(v)),
                Value::List(v) => (9, Arc::strong_count(v)),
                Value::Set(v) => (10, Arc::strong_count(v)),
                Value::FrozenSet(v) => (11, Arc::strong_count(v)),
                Value::Dict(v) => (12, Arc::strong_count(v)),
                Value::Global(v) => (GLOBAL, Arc::strong_count(v)),
                Value::Object(v) => (13, Arc::strong_count(v)),
                Value::Array(v) => (14, Arc::strong_count(v)),
                Value::Proxy(v) => (15, Arc::strong_count(v)),
                _ => {
                    return Some(Found {
                        value,
                        knot,
                        id: None,
                    });
                }
            };
            // With one owner it can occur only once.
            let id = value.id().filter(|_| owners > 1).map(|id| (id, kind));
            return Some(Found {
                value,
                knot: None,
                id,
            });
        }
    };
    let value = knot.get(index)?;
    let id = Some((&raw const *value as usize, 0));
    match value {
        // A value of a knot is never a reference itself.
        Value::Inner(_) | Value::Knot(..) => None,
        _ => Some(Found {
            value,
            knot: Some(knot),
            id,
        }),
    }
}

/// Whether the items of the value are written above a mark.
fn marked(value: &Value) -> bool {
    match value {
        Value::Tuple(items) => items.len() > 3,
        value => matches!(value, Value::FrozenSet(_)),
    }
}

/// Returns the items that must be on the stack to make the object.
fn parts(object: &Object) -> [Option<&Value>; 3] {
    match &object.make {
        Make::Call {
            callable,
            arguments,
        } => [Some(callable), Some(arguments), None],
        Make::New {
            class,
            arguments,
            keywords,
        } => [Some(class), Some(arguments), keywords.as_ref()],
    }
}

/// A hash of addresses, which a peer cannot choose.
#[derive(Default)]
struct Places(u64);

impl Hasher for Places {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u8(*byte));
    }

    fn write_u8(&mut self, number: u8) {
        self.write_usize(number.into());
    }

    fn write_usize(&mut self, number: usize) {
        self.0 = (self.0.rotate_left(5) ^ number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0.rotate_left(32)
    }
}
