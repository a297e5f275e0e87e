//! From bytes to values, in two passes: the opcodes fill a flat arena of nodes, then the reachable nodes become values.
//!
//! The arena needs no special handling for cycles or depth, and an error only drops a few vectors. The second pass is
//! Tarjan's search for strongly connected components, with an explicit stack. Each component with several nodes, or with a
//! single node that contains itself, becomes a knot.

mod nodes;
mod text;
mod values;

use std::collections::HashMap;

use text::raw_unicode;
use values::LongKey;

use super::limits::{Error, Limits};
use super::opcode::*;
use crate::value::{Keep, Proxy, Value};

/// The end of a list of chunks.
const END: u32 = u32::MAX;

/// An item on the stack or in a container: a small value, or the index of a node.
#[derive(Clone, Copy)]
enum Item {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Node(u32),
}

/// An object with an identity. Its parts are in chunks.
struct Node<'a> {
    kind: Kind<'a>,
    first: u32,
    last: u32,
    /// The number of parts in all chunks.
    items: u32,
    hashable: bool,
    /// How often the node is a part. The last use can take the value without a clone.
    uses: u32,
    /// For the second pass: the time of the first visit, and the earliest node that this one reaches (later the index in a
    /// knot).
    order: u32,
    low: u32,
    height: u32,
    /// For a long key: the first equal one.
    same: u32,
    /// Whether its parts are being visited.
    open: bool,
    contains_itself: bool,
}

enum Kind<'a> {
    Str(&'a str),
    Surrogates(&'a [u8]),
    Bytes(&'a [u8]),
    ByteArray(&'a [u8]),
    Tuple,
    List,
    Dict,
    Set,
    FrozenSet,
    /// Parts: callable, arguments.
    Call,
    /// Parts: class, arguments, and keywords if there are any.
    New,
    Made(Value),
}

/// Some parts of a node: a range of the pool, never empty.
struct Chunk {
    what: What,
    start: u32,
    end: u32,
    next: u32,
}

#[derive(Clone, Copy, PartialEq)]
enum What {
    Parts,
    State,
    Extend,
    Set,
    Add,
}

pub(super) struct Reader<'a, 'l> {
    pickle: &'a [u8],
    at: usize,
    /// The offset of the current opcode.
    opcode: usize,
    /// The opcode before.
    previous: u8,
    protocol: u8,
    stack: Vec<Item>,
    marks: Vec<usize>,
    memo: Vec<Item>,
    /// Items at indices beyond the end of `memo`.
    sparse: HashMap<u64, Item>,
    nodes: Vec<Node<'a>>,
    chunks: Vec<Chunk>,
    pool: Vec<Item>,
    empty_tuple: Option<Item>,
    limits: &'l Limits,
    memory: usize,
    /// How many more items and bytes may be copied out of objects that the pickle can use again.
    copies: usize,
    /// The first of each group of equal long keys.
    long_keys: HashMap<LongKey, u32>,
}

impl<'a, 'l> Reader<'a, 'l> {
    pub(super) fn new(pickle: &'a [u8], limits: &'l Limits) -> Self {
        Reader {
            pickle,
            at: 0,
            opcode: 0,
            previous: 0,
            protocol: 0,
            stack: Vec::with_capacity(16),
            marks: Vec::with_capacity(8),
            memo: Vec::with_capacity(16),
            sparse: HashMap::new(),
            // Less than 1 KiB, which malloc serves from a cache.
            nodes: Vec::with_capacity(12),
            chunks: Vec::with_capacity(16),
            pool: Vec::with_capacity(32),
            empty_tuple: None,
            limits,
            memory: limits.memory,
            // The bytes of a bytearray of an old protocol are copied out of a str, and then again.
            copies: pickle.len().saturating_mul(4),
            long_keys: HashMap::new(),
        }
    }

    pub(super) fn read(
        mut self,
        keep: &mut dyn FnMut(&Proxy) -> Option<Keep>,
    ) -> Result<Value, Error> {
        let root = self.run()?;
        self.finish(root, keep)
    }

    fn run(&mut self) -> Result<Item, Error> {
        loop {
            self.opcode = self.at;
            let code = self.byte()?;
            let previous = std::mem::replace(&mut self.previous, code);
            match code {
                STOP => return self.pop(),
                MARK => {
                    self.charge(size_of::<usize>())?;
                    self.marks.push(self.stack.len());
                }
                POP => self.discard(previous)?,
                POP_MARK => {
                    let from = self.mark()?;
                    self.stack.truncate(from);
                }
                DUP => {
                    let top = self.top()?;
                    self.push(top)?;
                }
                NONE => self.push(Item::None)?,
                NEWTRUE => self.push(Item::Bool(true))?,
                NEWFALSE => self.push(Item::Bool(false))?,
                INT => {
                    let item = match self.line()? {
                        b"00" => Item::Bool(false),
                        b"01" => Item::Bool(true),
                        line => self.number(line)?,
                    };
                    self.push(item)?;
                }
                LONG => {
                    let line = self.line()?;
                    let item = self.number(line.strip_suffix(b"L").unwrap_or(line))?;
                    self.push(item)?;
                }
                BININT => {
                    let number = i32::from_le_bytes(self.array()?);
                    self.push(Item::Int(number.into()))?;
                }
                BININT1 => {
                    let number = self.byte()?;
                    self.push(Item::Int(number.into()))?;
                }
                BININT2 => {
                    let number = u16::from_le_bytes(self.array()?);
                    self.push(Item::Int(number.into()))?;
                }
                LONG1 => {
                    let length = self.byte()?;
                    self.long(length.into())?;
                }
                LONG4 => {
                    let length = self.signed_length()?;
                    self.long(length)?;
                }
                FLOAT => {
                    let line = self.line()?;
                    let number = std::str::from_utf8(line).ok().and_then(|t| t.parse().ok());
                    let number = number.ok_or(self.malformed("an invalid float"))?;
                    self.push(Item::Float(number))?;
                }
                BINFLOAT => {
                    let number = f64::from_be_bytes(self.array()?);
                    self.push(Item::Float(number))?;
                }
                STRING => self.string()?,
                BINSTRING => {
                    let length = self.signed_length()?;
                    self.ascii(length)?;
                }
                SHORT_BINSTRING => {
                    let length = self.byte()?;
                    self.ascii(length.into())?;
                }
                UNICODE => {
                    let line = self.line()?;
                    let text = raw_unicode(line).ok_or(self.malformed("an invalid str"))?;
                    let text = match String::from_utf8(text) {
                        Ok(text) => Value::from(text),
                        Err(error) => Value::Surrogates(error.into_bytes().into()),
                    };
                    self.made(text, line.len())?;
                }
                SHORT_BINUNICODE => {
                    let length = self.byte()?;
                    self.unicode(length.into())?;
                }
                BINUNICODE => {
                    let length = u32::from_le_bytes(self.array()?);
                    self.unicode(length.into())?;
                }
                BINUNICODE8 => {
                    let length = u64::from_le_bytes(self.array()?);
                    self.unicode(length)?;
                }
                SHORT_BINBYTES => {
                    let length = self.byte()?;
                    self.bytes(length.into(), Kind::Bytes)?;
                }
                BINBYTES => {
                    let length = u32::from_le_bytes(self.array()?);
                    self.bytes(length.into(), Kind::Bytes)?;
                }
                BINBYTES8 => {
                    let length = u64::from_le_bytes(self.array()?);
                    self.bytes(length, Kind::Bytes)?;
                }
                BYTEARRAY8 => {
                    let length = u64::from_le_bytes(self.array()?);
                    self.bytes(length, Kind::ByteArray)?;
                }
                EMPTY_TUPLE => {
                    let item = self.tuple_of(self.stack.len())?;
                    self.push(item)?;
                }
                TUPLE1 => self.tuple(1)?,
                TUPLE2 => self.tuple(2)?,
                TUPLE3 => self.tuple(3)?,
                TUPLE => {
                    let from = self.mark()?;
                    let item = self.tuple_of(from)?;
                    self.push(item)?;
                }
                EMPTY_LIST => self.container(Kind::List)?,
                EMPTY_DICT => self.container(Kind::Dict)?,
                EMPTY_SET => self.container(Kind::Set)?,
                LIST => {
                    let from = self.mark()?;
                    let list = self.node(Kind::List, false)?;
                    self.add(list, What::Extend, from)?;
                    self.push(Item::Node(list))?;
                }
                DICT => {
                    let from = self.mark()?;
                    let dict = self.node(Kind::Dict, false)?;
                    self.set_items(dict, from)?;
                    self.push(Item::Node(dict))?;
                }
                FROZENSET => {
                    let from = self.mark()?;
                    self.must_hash(from, 1)?;
                    let set = self.node(Kind::FrozenSet, true)?;
                    self.add(set, What::Parts, from)?;
                    self.push(Item::Node(set))?;
                }
                APPEND => {
                    let from = self.below(1)?;
                    self.extend(from)?;
                }
                APPENDS => {
                    let from = self.mark()?;
                    self.extend(from)?;
                }
                SETITEM => {
                    let from = self.below(2)?;
                    self.set(from)?;
                }
                SETITEMS => {
                    let from = self.mark()?;
                    self.set(from)?;
                }
                ADDITEMS => {
                    let from = self.mark()?;
                    let target = self.target(from)?;
                    match self.kind(target) {
                        Kind::Set => self.must_hash(from, 1)?,
                        Kind::Call | Kind::New => {}
                        _ => return Err(self.malformed("ADDITEMS to an object that is not a set")),
                    }
                    self.add(target, What::Add, from)?;
                }
                BUILD => {
                    let from = self.below(1)?;
                    let target = self.target(from)?;
                    if !matches!(self.kind(target), Kind::Call | Kind::New) {
                        return Err(self.malformed("BUILD of what has no state"));
                    }
                    self.add(target, What::State, from)?;
                }
                GLOBAL => {
                    let (module, name) = self.two_lines()?;
                    let global = self.global(module, name)?;
                    self.push(Item::Node(global))?;
                }
                STACK_GLOBAL => {
                    let (name, module) = (self.pop()?, self.pop()?);
                    let (Some(module), Some(name)) = (self.text(module), self.text(name)) else {
                        return Err(self.malformed("STACK_GLOBAL without two str"));
                    };
                    let (module, name) = (module.to_owned(), name.to_owned());
                    let global = self.global(&module, &name)?;
                    self.push(Item::Node(global))?;
                }
                REDUCE => {
                    let (arguments, callable) = (self.pop()?, self.pop()?);
                    self.call(callable, arguments)?;
                }
                NEWOBJ => {
                    let from = self.below(2)?;
                    self.new_object(from)?;
                }
                NEWOBJ_EX => {
                    let from = self.below(3)?;
                    self.new_object(from)?;
                }
                INST => {
                    let (module, name) = self.two_lines()?;
                    let class = self.global(module, name)?;
                    let from = self.mark()?;
                    self.instance(Item::Node(class), from)?;
                }
                OBJ => {
                    let from = self.mark()?;
                    let class = *self
                        .stack
                        .get(from)
                        .ok_or(self.malformed("OBJ without class"))?;
                    self.instance(class, from + 1)?;
                    // The class is below its arguments.
                    self.stack.swap_remove(from);
                }
                PUT => {
                    let index = self.index()?;
                    self.put(index)?;
                }
                BINPUT => {
                    let index = self.byte()?;
                    self.put(index.into())?;
                }
                LONG_BINPUT => {
                    let index = u32::from_le_bytes(self.array()?);
                    self.put(index.into())?;
                }
                MEMOIZE => self.put((self.memo.len() + self.sparse.len()) as u64)?,
                GET => {
                    let index = self.index()?;
                    self.get(index)?;
                }
                BINGET => {
                    let index = self.byte()?;
                    self.get(index.into())?;
                }
                LONG_BINGET => {
                    let index = u32::from_le_bytes(self.array()?);
                    self.get(index.into())?;
                }
                PROTO => {
                    self.protocol = self.byte()?;
                    if self.protocol > 5 {
                        return Err(self.malformed("unsupported pickle protocol"));
                    }
                }
                FRAME => {
                    // Frames are only a hint.
                    let length = u64::from_le_bytes(self.array()?);
                    if length > (self.pickle.len() - self.at) as u64 {
                        return Err(Error::Truncated);
                    }
                }
                PERSID | BINPERSID => return Err(self.malformed("unsupported persistent id")),
                EXT1 | EXT2 | EXT4 => return Err(self.malformed("unsupported extension code")),
                NEXT_BUFFER | READONLY_BUFFER => {
                    return Err(self.malformed("unsupported out-of-band buffer"));
                }
                code => {
                    let at = self.opcode;
                    return Err(Error::Opcode { code, at });
                }
            }
        }
    }

    fn malformed(&self, what: &'static str) -> Error {
        let at = self.opcode;
        Error::Malformed { what, at }
    }

    fn charge(&mut self, bytes: usize) -> Result<(), Error> {
        match self.memory.checked_sub(bytes) {
            Some(left) => self.memory = left,
            None => return Err(Error::Memory(self.limits.memory)),
        }
        Ok(())
    }

    /// Whether this much may be copied. In total at most a few times the pickle's length is copied, however much it shares.
    fn copy(&mut self, count: usize) -> bool {
        let left = self.copies.checked_sub(count);
        self.copies = left.unwrap_or(self.copies);
        left.is_some()
    }

    // The bytes.

    fn take(&mut self, length: u64) -> Result<&'a [u8], Error> {
        let rest = self.pickle.get(self.at..).unwrap_or_default();
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let taken = rest.get(..length).ok_or(Error::Truncated)?;
        self.at += length;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Error> {
        let byte = *self.pickle.get(self.at).ok_or(Error::Truncated)?;
        self.at += 1;
        Ok(byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let taken = self.take(N as u64)?;
        taken.try_into().map_err(|_| Error::Truncated)
    }

    fn signed_length(&mut self) -> Result<u64, Error> {
        let length = i32::from_le_bytes(self.array()?);
        u64::try_from(length).map_err(|_| self.malformed("a negative length"))
    }

    /// Takes the bytes up to the next newline, and the newline.
    fn line(&mut self) -> Result<&'a [u8], Error> {
        let rest = self.pickle.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|byte| *byte == b'\n');
        let line = length.and_then(|n| rest.get(..n)).ok_or(Error::Truncated)?;
        self.at += line.len() + 1;
        Ok(line)
    }

    fn two_lines(&mut self) -> Result<(&'a str, &'a str), Error> {
        let (module, name) = (self.line()?, self.line()?);
        match (std::str::from_utf8(module), std::str::from_utf8(name)) {
            (Ok(module), Ok(name)) => Ok((module, name)),
            _ => Err(self.malformed("a name outside UTF-8")),
        }
    }

    /// Takes the index of a memo, in decimals.
    fn index(&mut self) -> Result<u64, Error> {
        let line = self.line()?;
        let index = std::str::from_utf8(line)
            .ok()
            .and_then(|text| text.trim().parse().ok());
        index.ok_or(self.malformed("an invalid memo index"))
    }

    // The stack. Items below the last mark are out of reach.

    fn push(&mut self, item: Item) -> Result<(), Error> {
        self.charge(size_of::<Item>())?;
        self.stack.push(item);
        Ok(())
    }

    /// Returns the index of the `count`th item from the top.
    fn below(&self, count: usize) -> Result<usize, Error> {
        let fence = self.marks.last().copied().unwrap_or(0);
        match self.stack.len().checked_sub(count) {
            Some(place) if place >= fence => Ok(place),
            _ => Err(self.malformed("nothing left on the stack")),
        }
    }

    fn top(&self) -> Result<Item, Error> {
        let place = self.below(1)?;
        Ok(self.stack[place])
    }

    fn pop(&mut self) -> Result<Item, Error> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    /// Removes the last mark, and returns the index of the first item above it.
    fn mark(&mut self) -> Result<usize, Error> {
        self.marks.pop().ok_or(self.malformed("no mark"))
    }

    fn discard(&mut self, previous: u8) -> Result<(), Error> {
        if self.marks.last() == Some(&self.stack.len()) {
            self.marks.pop();
            return Ok(());
        }
        let gone = self.pop()?;
        // A reduction of six parts calls `setter(object, state)` for its side effect, which cannot be kept and must not be
        // lost. A call is also dropped if an object's arguments contain the object; the next opcode then fetches that object.
        if previous == REDUCE
            && let (Item::Node(gone), Ok(Item::Node(top))) = (gone, self.top())
            && let [callable, Item::Node(arguments)] = *self.parts(gone)
            && let [Item::Node(first), _] = *self.parts(arguments)
            && matches!(self.kind(gone), Kind::Call)
            && first == top
            && !self.fetches_call_of(callable)
        {
            return Err(self.malformed("unsupported state setter"));
        }
        Ok(())
    }

    /// Whether the next opcode fetches an object that the same callable has made.
    fn fetches_call_of(&self, callable: Item) -> bool {
        let index = match *self.pickle.get(self.at..).unwrap_or_default() {
            [BINGET, index, ..] => u64::from(index),
            [LONG_BINGET, a, b, c, d, ..] => u64::from(u32::from_le_bytes([a, b, c, d])),
            [GET, ..] => return true,
            _ => return false,
        };
        match (self.memoized(index), callable) {
            (Some(Item::Node(made)), Item::Node(callable)) => {
                matches!(*self.parts(made), [Item::Node(by), ..] if by == callable)
            }
            _ => false,
        }
    }

    // The memo.

    fn put(&mut self, index: u64) -> Result<(), Error> {
        let top = self.top()?;
        self.charge(4 * size_of::<Item>())?;
        let length = self.memo.len() as u64;
        if index == length {
            self.memo.push(top);
            if !self.sparse.is_empty() {
                self.sparse.remove(&index);
            }
        } else if index < length {
            self.memo[index as usize] = top;
        } else {
            self.sparse.insert(index, top);
        }
        Ok(())
    }

    fn memoized(&self, index: u64) -> Option<Item> {
        let dense = usize::try_from(index)
            .ok()
            .and_then(|index| self.memo.get(index));
        dense.or_else(|| self.sparse.get(&index)).copied()
    }

    fn get(&mut self, index: u64) -> Result<(), Error> {
        let item = self.memoized(index);
        let item = item.ok_or(self.malformed("a memo index that was never put"))?;
        self.push(item)
    }
}
