//! The nodes of the arena: containers, classes, and the results of known callables.

use std::borrow::Cow;
use std::sync::Arc;

use num_traits::ToPrimitive;

use super::super::limits::Error;
use super::super::names::of_python3;
use super::{Chunk, END, Item, Kind, Node, Reader, What};
use crate::token::MANAGERS;
use crate::value::{Array, Global, Object, Step, Value};

/// The longest name that is accepted.
const NAME: usize = 1000;
/// A pickle can repeat a name for a few bytes each time. Names up to this length may be repeated without limit.
const REPEATED: usize = 100;

/// The callables whose results have a variant of [`Value`] of their own.
enum Known {
    List,
    Set,
    FrozenSet,
    Bytes,
    ByteArray,
    Complex,
    Encode,
    Array,
    Reconstructor,
}

impl<'a> Reader<'a, '_> {
    pub(super) fn node(&mut self, kind: Kind<'a>, hashable: bool) -> Result<u32, Error> {
        self.charge(size_of::<Node>() + size_of::<Object>())?;
        let place = self.place(self.nodes.len())?;
        self.nodes.push(Node {
            kind,
            first: END,
            last: END,
            items: 0,
            hashable,
            uses: 0,
            order: 0,
            low: 0,
            height: 0,
            same: END,
            open: false,
            contains_itself: false,
        });
        Ok(place)
    }

    fn place(&self, length: usize) -> Result<u32, Error> {
        let place = u32::try_from(length).ok().filter(|place| *place < END);
        place.ok_or(Error::Memory(self.limits.memory))
    }

    pub(super) fn kind(&self, node: u32) -> &Kind<'a> {
        &self.nodes[node as usize].kind
    }

    pub(super) fn text(&self, item: Item) -> Option<&str> {
        match item {
            Item::Node(node) => match self.kind(node) {
                Kind::Str(text) => Some(text),
                Kind::Made(Value::Str(text)) => Some(text),
                _ => None,
            },
            _ => None,
        }
    }

    /// Returns the items of the node's first chunk.
    pub(super) fn parts(&self, node: u32) -> &[Item] {
        match self.chunks.get(self.nodes[node as usize].first as usize) {
            Some(chunk) => &self.pool[chunk.start as usize..chunk.end as usize],
            None => &[],
        }
    }

    pub(super) fn container(&mut self, kind: Kind<'a>) -> Result<(), Error> {
        let node = self.node(kind, false)?;
        self.push(Item::Node(node))
    }

    pub(super) fn made(&mut self, value: Value, bytes: usize) -> Result<(), Error> {
        self.charge(bytes)?;
        let hashable = !matches!(value, Value::ByteArray(_) | Value::Array(_));
        let node = self.node(Kind::Made(value), hashable)?;
        self.push(Item::Node(node))
    }

    /// Moves the stack from this index on into a new chunk of the node.
    pub(super) fn add(&mut self, node: u32, what: What, from: usize) -> Result<(), Error> {
        let start = self.pool.len();
        self.reserve(self.stack.len() - from)?;
        for item in &self.stack[from..] {
            if let Item::Node(part) = item {
                self.nodes[*part as usize].uses += 1;
            }
        }
        self.pool.extend_from_slice(&self.stack[from..]);
        self.stack.truncate(from);
        self.close(node, what, start)
    }

    fn reserve(&mut self, items: usize) -> Result<(), Error> {
        self.charge(items * (size_of::<Item>() + size_of::<Value>()))
    }

    /// Makes a chunk of the pool from `start` on.
    fn close(&mut self, node: u32, what: What, start: usize) -> Result<(), Error> {
        let (start, end) = (self.place(start)?, self.place(self.pool.len())?);
        if start == end {
            return Ok(());
        }
        let last = self.nodes[node as usize].last;
        self.nodes[node as usize].items += end - start;
        if let Some(chunk) = self.chunks.get_mut(last as usize)
            && (chunk.what, chunk.end) == (what, start)
            && what != What::State
        {
            chunk.end = end;
            return Ok(());
        }
        self.charge(size_of::<Chunk>() + size_of::<Step>())?;
        let next = END;
        let place = self.place(self.chunks.len())?;
        self.chunks.push(Chunk {
            what,
            start,
            end,
            next,
        });
        match self.chunks.get_mut(last as usize) {
            Some(chunk) => chunk.next = place,
            None => self.nodes[node as usize].first = place,
        }
        self.nodes[node as usize].last = place;
        Ok(())
    }

    fn hashable(&self, item: &Item) -> bool {
        !matches!(item, Item::Node(node) if !self.nodes[*node as usize].hashable)
    }

    /// Fails unless every `step`th item on the stack is hashable.
    pub(super) fn must_hash(&self, from: usize, step: usize) -> Result<(), Error> {
        match self.stack[from..]
            .iter()
            .step_by(step)
            .all(|item| self.hashable(item))
        {
            true => Ok(()),
            false => Err(self.malformed("an unhashable key")),
        }
    }

    pub(super) fn tuple(&mut self, length: usize) -> Result<(), Error> {
        let from = self.below(length)?;
        let item = self.tuple_of(from)?;
        self.push(item)
    }

    /// Makes a tuple. There is only one empty tuple, as in CPython.
    pub(super) fn tuple_of(&mut self, from: usize) -> Result<Item, Error> {
        let empty = from == self.stack.len();
        if let (true, Some(item)) = (empty, self.empty_tuple) {
            return Ok(item);
        }
        let hashable = self.stack[from..].iter().all(|item| self.hashable(item));
        let node = self.node(Kind::Tuple, hashable)?;
        if empty {
            self.empty_tuple = Some(Item::Node(node));
        } else {
            self.add(node, What::Parts, from)?;
        }
        Ok(Item::Node(node))
    }

    /// Returns the node below `from`, which an opcode changes.
    pub(super) fn target(&self, from: usize) -> Result<u32, Error> {
        let fence = self.marks.last().copied().unwrap_or(0);
        match from.checked_sub(1) {
            Some(place) if place >= fence => match self.stack.get(place) {
                Some(Item::Node(node)) => Ok(*node),
                _ => Err(self.malformed("a number with items or a state")),
            },
            _ => Err(self.malformed("nothing left on the stack")),
        }
    }

    pub(super) fn extend(&mut self, from: usize) -> Result<(), Error> {
        let target = self.target(from)?;
        if !matches!(self.kind(target), Kind::List | Kind::Call | Kind::New) {
            return Err(self.malformed("APPENDS to an object that is not a list"));
        }
        self.add(target, What::Extend, from)
    }

    pub(super) fn set(&mut self, from: usize) -> Result<(), Error> {
        let target = self.target(from)?;
        if !matches!(self.kind(target), Kind::Dict | Kind::Call | Kind::New) {
            return Err(self.malformed("SETITEMS to an object that is not a dict"));
        }
        self.set_items(target, from)
    }

    pub(super) fn set_items(&mut self, target: u32, from: usize) -> Result<(), Error> {
        if !(self.stack.len() - from).is_multiple_of(2) {
            return Err(self.malformed("a key without value"));
        }
        if matches!(self.kind(target), Kind::Dict) {
            self.must_hash(from, 2)?;
        }
        self.add(target, What::Set, from)
    }

    // Classes and their instances.

    pub(super) fn global(&mut self, module: &str, name: &str) -> Result<u32, Error> {
        if module.len() > NAME || name.len() > NAME {
            return Err(self.malformed("a name that is too long"));
        }
        let (module, name) = match self.protocol {
            0..=2 => of_python3(module, name),
            _ => (module, name),
        };
        let length = module.len() + name.len();
        if length > REPEATED && !self.copy(length) {
            return Err(self.malformed("too many long names"));
        }
        self.charge(length)?;
        let (module, name) = (name_of(module), name_of(name));
        let global = Value::Global(Arc::new(Global { module, name }));
        self.node(Kind::Made(global), true)
    }

    /// Fails for an item that cannot be callable.
    fn must_call(&self, item: Item) -> Result<(), Error> {
        match item {
            Item::Node(node) => match self.kind(node) {
                Kind::Call | Kind::New | Kind::Made(Value::Global(_)) => Ok(()),
                _ => Err(self.malformed("a call of an object that is not callable")),
            },
            _ => Err(self.malformed("a call of an object that is not callable")),
        }
    }

    fn must_be_tuple(&self, item: Item) -> Result<u32, Error> {
        match item {
            Item::Node(node) if matches!(self.kind(node), Kind::Tuple) => Ok(node),
            _ => Err(self.malformed("arguments that are not a tuple")),
        }
    }

    pub(super) fn call(&mut self, callable: Item, arguments: Item) -> Result<(), Error> {
        self.must_call(callable)?;
        let tuple = self.must_be_tuple(arguments)?;
        if let Some(known) = self.known(callable)
            && let Some(node) = self.builtin(known, tuple)?
        {
            return self.push(Item::Node(node));
        }
        let node = self.node(Kind::Call, true)?;
        let from = self.stack.len();
        self.stack.extend([callable, arguments]);
        self.add(node, What::Parts, from)?;
        self.push(Item::Node(node))
    }

    /// Does `NEWOBJ` and `NEWOBJ_EX`.
    pub(super) fn new_object(&mut self, from: usize) -> Result<(), Error> {
        self.must_call(self.stack[from])?;
        self.must_be_tuple(self.stack[from + 1])?;
        if let Some(Item::Node(keywords)) = self.stack.get(from + 2)
            && !matches!(self.kind(*keywords), Kind::Dict)
        {
            return Err(self.malformed("keywords that are not a dict"));
        } else if let Some(Item::None | Item::Bool(_) | Item::Int(_) | Item::Float(_)) =
            self.stack.get(from + 2)
        {
            return Err(self.malformed("keywords that are not a dict"));
        }
        let node = self.node(Kind::New, true)?;
        self.add(node, What::Parts, from)?;
        self.push(Item::Node(node))
    }

    /// Does `INST` and `OBJ`. Without arguments CPython does not call `__init__`.
    pub(super) fn instance(&mut self, class: Item, from: usize) -> Result<(), Error> {
        let arguments = self.tuple_of(from)?;
        let tuple = self.must_be_tuple(arguments)?;
        if !self.parts(tuple).is_empty() {
            return self.call(class, arguments);
        }
        let from = self.stack.len();
        self.stack.extend([class, arguments]);
        self.new_object(from)
    }

    fn known(&self, callable: Item) -> Option<Known> {
        let Item::Node(node) = callable else {
            return None;
        };
        let Kind::Made(Value::Global(global)) = self.kind(node) else {
            return None;
        };
        Some(match (&*global.module, &*global.name) {
            ("builtins", "list") => Known::List,
            ("builtins", "set") => Known::Set,
            ("builtins", "frozenset") => Known::FrozenSet,
            ("builtins", "bytes") => Known::Bytes,
            ("builtins", "bytearray") => Known::ByteArray,
            ("builtins", "complex") => Known::Complex,
            ("_codecs", "encode") => Known::Encode,
            ("array", "array") => Known::Array,
            ("array", "_array_reconstructor") => Known::Reconstructor,
            _ => return None,
        })
    }

    /// Makes the result of a known callable, if the arguments are those that picklers write; otherwise it stays a call.
    fn builtin(&mut self, known: Known, arguments: u32) -> Result<Option<u32>, Error> {
        let count = self.parts(arguments).len();
        let mut given = [Item::None; 4];
        match given.get_mut(..count) {
            Some(given) => given.copy_from_slice(self.parts(arguments)),
            None => return Ok(None),
        }
        let given = &given[..count];
        match known {
            Known::List => self.listed(Kind::List, What::Extend, given),
            Known::Set => self.listed(Kind::Set, What::Add, given),
            Known::FrozenSet => self.listed(Kind::FrozenSet, What::Parts, given),
            Known::Bytes if given.is_empty() => Ok(Some(self.node(Kind::Bytes(&[]), true)?)),
            Known::ByteArray if given.is_empty() => {
                Ok(Some(self.node(Kind::ByteArray(&[]), false)?))
            }
            Known::Bytes => Ok(None),
            Known::ByteArray => {
                let bytes = match *given {
                    [bytes] => self.copied(bytes),
                    [text, encoding] => self.latin1(text, encoding),
                    _ => None,
                };
                let Some(bytes) = bytes else {
                    return Ok(None);
                };
                self.charge(bytes.len())?;
                let value = Value::ByteArray(bytes.into());
                Ok(Some(self.node(Kind::Made(value), false)?))
            }
            Known::Encode => {
                let bytes = match *given {
                    [text, encoding] => self.latin1(text, encoding),
                    _ => None,
                };
                let Some(bytes) = bytes else {
                    return Ok(None);
                };
                self.charge(bytes.len())?;
                let value = Value::Bytes(bytes.into());
                Ok(Some(self.node(Kind::Made(value), true)?))
            }
            Known::Complex => match *given {
                [Item::Float(real), Item::Float(imaginary)] => {
                    let value = Value::Complex(real, imaginary);
                    Ok(Some(self.node(Kind::Made(value), true)?))
                }
                _ => Ok(None),
            },
            Known::Array => match *given {
                [typecode, items] => self.array_of(typecode, items),
                _ => Ok(None),
            },
            Known::Reconstructor => match *given {
                [class, typecode, Item::Int(format), bytes]
                    if matches!(self.known(class), Some(Known::Array))
                        && self.text(typecode).and_then(machine_format) == Some(format)
                        && self.raw(bytes).is_some() =>
                {
                    self.array_of(typecode, bytes)
                }
                _ => Ok(None),
            },
        }
    }

    /// Makes a container of the items of a list or tuple.
    fn listed(&mut self, kind: Kind<'a>, what: What, given: &[Item]) -> Result<Option<u32>, Error> {
        let hashed = !matches!(kind, Kind::List);
        let hashable = matches!(kind, Kind::FrozenSet);
        let source = match *given {
            [] => return Ok(Some(self.node(kind, hashable)?)),
            [Item::Node(source)] if matches!(self.kind(source), Kind::List | Kind::Tuple) => source,
            _ => return Ok(None),
        };
        let count = self.nodes[source as usize].items as usize;
        if !self.copy(count) {
            return Ok(None);
        }
        let mut ranges = self.ranges(source);
        if hashed && !ranges.all(|range| self.pool[range].iter().all(|item| self.hashable(item))) {
            return Err(self.malformed("an unhashable key"));
        }
        drop(ranges);
        self.reserve(count)?;
        let node = self.node(kind, hashable)?;
        let start = self.pool.len();
        let mut chunk = self.nodes[source as usize].first;
        while let Some(Chunk {
            start, end, next, ..
        }) = self.chunks.get(chunk as usize)
        {
            chunk = *next;
            for place in *start..*end {
                let item = self.pool[place as usize];
                if let Item::Node(part) = item {
                    self.nodes[part as usize].uses += 1;
                }
                self.pool.push(item);
            }
        }
        self.close(node, what, start)?;
        Ok(Some(node))
    }

    /// Returns the range of the node's parts in the pool.
    pub(super) fn ranges(
        &self,
        node: u32,
    ) -> impl Iterator<Item = std::ops::Range<usize>> + Clone + '_ {
        let first = self.chunks.get(self.nodes[node as usize].first as usize);
        let next = |chunk: &&Chunk| self.chunks.get(chunk.next as usize);
        std::iter::successors(first, next).map(|chunk| chunk.start as usize..chunk.end as usize)
    }

    fn raw(&self, item: Item) -> Option<&[u8]> {
        match item {
            Item::Node(node) => match self.kind(node) {
                Kind::Bytes(bytes) => Some(bytes),
                Kind::Made(Value::Bytes(bytes)) => Some(bytes),
                _ => None,
            },
            _ => None,
        }
    }

    fn copied(&mut self, bytes: Item) -> Option<Vec<u8>> {
        let length = self.raw(bytes)?.len();
        if !self.copy(length) {
            return None;
        }
        self.raw(bytes).map(<[u8]>::to_vec)
    }

    /// Returns the bytes that protocols 0 to 2 write as a `str`.
    fn latin1(&mut self, text: Item, encoding: Item) -> Option<Vec<u8>> {
        // A character of two bytes here may have been one byte in the pickle.
        let length = self.text(text)?.len() / 2;
        if !matches!(self.text(encoding)?, "latin1" | "latin-1") || !self.copy(length) {
            return None;
        }
        let letters = self.text(text)?.chars();
        letters.map(|c| u8::try_from(u32::from(c)).ok()).collect()
    }

    fn array_of(&mut self, typecode: Item, items: Item) -> Result<Option<u32>, Error> {
        let mut letters = self.text(typecode).unwrap_or_default().chars();
        let (Some(typecode), None) = (letters.next(), letters.next()) else {
            return Ok(None);
        };
        let Some(size) = Array::size_of(typecode) else {
            return Ok(None);
        };
        let list = match (self.raw(items), items) {
            (Some(bytes), _) if bytes.len().is_multiple_of(size) => None,
            (None, Item::Node(list)) if matches!(self.kind(list), Kind::List) => Some(list),
            _ => return Ok(None),
        };
        let bytes = if let Some(list) = list {
            let count = self.nodes[list as usize].items as usize;
            if !self.copy(count) {
                return Ok(None);
            }
            self.charge(count * size)?;
            let mut bytes = vec![];
            for item in self.ranges(list).flat_map(|range| &self.pool[range]) {
                if self.array_item(typecode, size, *item, &mut bytes).is_none() {
                    return Ok(None);
                }
            }
            bytes
        } else if let Some(bytes) = self.copied(items) {
            self.charge(bytes.len())?;
            bytes
        } else {
            return Ok(None);
        };
        let value = Value::Array(Arc::new(Array { typecode, bytes }));
        Ok(Some(self.node(Kind::Made(value), false)?))
    }

    fn array_item(&self, typecode: char, size: usize, item: Item, out: &mut Vec<u8>) -> Option<()> {
        let float = match item {
            Item::Float(number) => Some(number),
            _ => None,
        };
        match typecode {
            'd' => out.extend(float?.to_ne_bytes()),
            'f' => out.extend((float? as f32).to_ne_bytes()),
            'u' => {
                let mut letters = self.text(item)?.chars();
                out.extend(u32::from(letters.next()?).to_ne_bytes());
                return letters.next().is_none().then_some(());
            }
            typecode => {
                let number = match item {
                    Item::Int(number) => i128::from(number),
                    Item::Node(node) => match self.kind(node) {
                        Kind::Made(Value::Long(number)) => number.to_i128()?,
                        _ => return None,
                    },
                    _ => return None,
                };
                let bits = 8 * size as u32;
                let range = match typecode.is_ascii_lowercase() {
                    true => -(1 << (bits - 1))..1 << (bits - 1),
                    false => 0..1i128 << bits,
                };
                if !range.contains(&number) {
                    return None;
                }
                match size {
                    1 => out.push(number as u8),
                    2 => out.extend((number as u16).to_ne_bytes()),
                    4 => out.extend((number as u32).to_ne_bytes()),
                    _ => out.extend((number as u64).to_ne_bytes()),
                }
            }
        }
        Some(())
    }
}

/// Returns a name, without an allocation if it is common.
fn name_of(name: &str) -> Cow<'static, str> {
    Cow::Borrowed(match name {
        "builtins" => "builtins",
        "slice" => "slice",
        "range" => "range",
        "getattr" => "getattr",
        "__main__" => "__main__",
        "array" => "array",
        MANAGERS => MANAGERS,
        "RebuildProxy" => "RebuildProxy",
        "Token" => "Token",
        "AutoProxy" => "AutoProxy",
        "ListProxy" => "ListProxy",
        "DictProxy" => "DictProxy",
        "multiprocessing.reduction" => "multiprocessing.reduction",
        "_rebuild_partial" => "_rebuild_partial",
        "_queue" => "_queue",
        "Empty" => "Empty",
        "queue" => "queue",
        "Full" => "Full",
        "KeyError" => "KeyError",
        "IndexError" => "IndexError",
        "ValueError" => "ValueError",
        "StopIteration" => "StopIteration",
        name => return Cow::Owned(name.to_owned()),
    })
}

/// Returns the number that `array._array_reconstructor` has for this machine's form of such items.
///
/// Source: CPython 3.11, `Modules/arraymodule.c`, `enum machine_format_code`.
fn machine_format(typecode: &str) -> Option<i64> {
    let format = match typecode {
        "B" => return Some(0),
        "b" => return Some(1),
        "H" => 2,
        "h" => 4,
        "I" => 6,
        "i" => 8,
        "L" | "Q" => 10,
        "l" | "q" => 12,
        "f" => 14,
        "d" => 16,
        "u" => 20,
        _ => return None,
    };
    Some(format + i64::from(cfg!(target_endian = "big")))
}
