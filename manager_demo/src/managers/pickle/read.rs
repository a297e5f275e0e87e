//! From bytes to values, in two passes: the opcodes fill a flat arena, then what can be reached becomes values.
//!
//! The arena makes neither a cycle nor depth a special case, and what goes wrong half-way is only a few vectors. The second
//! pass is Tarjan's search for strongly connected components with a stack of its own; each that has more than one node, or
//! one that contains itself, is a knot.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use num_bigint::BigInt;
use num_traits::{Num, ToPrimitive};

use super::super::value::{
    Array, DIGITS, Global, Keep, Make, Object, Proxy, Step, Value, is_surrogatepass,
};
use super::names::of_python3;
use super::opcode::*;
use super::{Error, Limits, MANAGERS, as_token};

/// No name in Python is longer.
const NAME: usize = 1000;
/// A pickle can repeat a long name at a few bytes each time; one that is no longer may be.
const REPEATED: usize = 100;
/// No chunk.
const END: u32 = u32::MAX;

/// What lies on the stack and in containers: a small value, or the place of a node.
#[derive(Clone, Copy)]
enum Item {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Node(u32),
}

/// What has an identity. Its parts are in chunks.
struct Node<'a> {
    kind: Kind<'a>,
    first: u32,
    last: u32,
    /// How many parts there are in all chunks.
    items: u32,
    hashable: bool,
    /// How often it is a part: the value can be moved to the last one.
    uses: u32,
    /// The second pass's: when it was first seen, and the first that it reaches (or its place in a knot).
    order: u32,
    low: u32,
    height: u32,
    /// If it is a long key: the first one that is equal.
    same: u32,
    /// Its parts are being visited.
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

/// Some parts of a node: a range of the pool, which is never empty.
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

/// The callables that make a value of its own kind here.
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

pub(super) struct Reader<'a, 'l> {
    pickle: &'a [u8],
    at: usize,
    /// Where the present opcode began.
    opcode: usize,
    /// The last opcode.
    previous: u8,
    protocol: u8,
    stack: Vec<Item>,
    marks: Vec<usize>,
    memo: Vec<Item>,
    /// What was put at an index beyond the end of `memo`.
    sparse: HashMap<u64, Item>,
    nodes: Vec<Node<'a>>,
    chunks: Vec<Chunk>,
    pool: Vec<Item>,
    empty_tuple: Option<Item>,
    limits: &'l Limits,
    memory: usize,
    /// How many items and bytes may still be copied out of what could be shared.
    copies: usize,
    /// The first of equal long keys.
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
            nodes: Vec::with_capacity(16),
            chunks: Vec::with_capacity(16),
            pool: Vec::with_capacity(32),
            empty_tuple: None,
            limits,
            memory: limits.memory,
            // The bytes of a bytearray of an old protocol are copied out of a str, and then once more.
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
                    let number = number.ok_or(self.malformed("a float that is none"))?;
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
                    let text = raw_unicode(line).ok_or(self.malformed("a broken str"))?;
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
                        _ => return Err(self.malformed("ADDITEMS to what is no set")),
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
                    // The object lies above its class.
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
                    // Only a hint: frames or none, the opcodes are the same.
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

    /// Whether so much may be copied: all in all no more than a few times the pickle's length, whatever it shares.
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

    /// Up to the next newline, without it.
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
            _ => Err(self.malformed("a name that is no UTF-8")),
        }
    }

    /// The index of a memo, in decimals.
    fn index(&mut self) -> Result<u64, Error> {
        let line = self.line()?;
        let index = std::str::from_utf8(line)
            .ok()
            .and_then(|text| text.trim().parse().ok());
        index.ok_or(self.malformed("a memo index that is none"))
    }

    // The stack. What lies below the last mark is out of reach.

    fn push(&mut self, item: Item) -> Result<(), Error> {
        self.charge(size_of::<Item>())?;
        self.stack.push(item);
        Ok(())
    }

    /// The place of the `count`th item from the top.
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

    /// Takes the last mark away; what lay above it lies from there on.
    fn mark(&mut self) -> Result<usize, Error> {
        self.marks.pop().ok_or(self.malformed("no mark"))
    }

    fn discard(&mut self, previous: u8) -> Result<(), Error> {
        if self.marks.last() == Some(&self.stack.len()) {
            self.marks.pop();
            return Ok(());
        }
        let gone = self.pop()?;
        // A reduction of six parts: `setter(object, state)`, called for what it does. It cannot be kept, and must not be
        // lost. A call is dropped too where an object's arguments contain it; then the same is fetched at once.
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

    /// Whether the next opcode fetches what the same callable made.
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

    // Nodes.

    fn node(&mut self, kind: Kind<'a>, hashable: bool) -> Result<u32, Error> {
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

    fn kind(&self, node: u32) -> &Kind<'a> {
        &self.nodes[node as usize].kind
    }

    fn text(&self, item: Item) -> Option<&str> {
        match item {
            Item::Node(node) => match self.kind(node) {
                Kind::Str(text) => Some(text),
                Kind::Made(Value::Str(text)) => Some(text),
                _ => None,
            },
            _ => None,
        }
    }

    /// What is in the node's first chunk.
    fn parts(&self, node: u32) -> &[Item] {
        match self.chunks.get(self.nodes[node as usize].first as usize) {
            Some(chunk) => &self.pool[chunk.start as usize..chunk.end as usize],
            None => &[],
        }
    }

    fn container(&mut self, kind: Kind<'a>) -> Result<(), Error> {
        let node = self.node(kind, false)?;
        self.push(Item::Node(node))
    }

    fn made(&mut self, value: Value, bytes: usize) -> Result<(), Error> {
        self.charge(bytes)?;
        let hashable = !matches!(value, Value::ByteArray(_) | Value::Array(_));
        let node = self.node(Kind::Made(value), hashable)?;
        self.push(Item::Node(node))
    }

    /// Moves the stack from there on into a new chunk of the node.
    fn add(&mut self, node: u32, what: What, from: usize) -> Result<(), Error> {
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

    /// Makes a chunk of what is in the pool from `start` on.
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

    /// Every `step`th item on the stack is a key.
    fn must_hash(&self, from: usize, step: usize) -> Result<(), Error> {
        match self.stack[from..]
            .iter()
            .step_by(step)
            .all(|item| self.hashable(item))
        {
            true => Ok(()),
            false => Err(self.malformed("an unhashable key")),
        }
    }

    fn tuple(&mut self, length: usize) -> Result<(), Error> {
        let from = self.below(length)?;
        let item = self.tuple_of(from)?;
        self.push(item)
    }

    /// There is only one empty tuple, as in CPython.
    fn tuple_of(&mut self, from: usize) -> Result<Item, Error> {
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

    /// What lies below `from`, to which something is done.
    fn target(&self, from: usize) -> Result<u32, Error> {
        let fence = self.marks.last().copied().unwrap_or(0);
        match from.checked_sub(1) {
            Some(place) if place >= fence => match self.stack.get(place) {
                Some(Item::Node(node)) => Ok(*node),
                _ => Err(self.malformed("a number with items or a state")),
            },
            _ => Err(self.malformed("nothing left on the stack")),
        }
    }

    fn extend(&mut self, from: usize) -> Result<(), Error> {
        let target = self.target(from)?;
        if !matches!(self.kind(target), Kind::List | Kind::Call | Kind::New) {
            return Err(self.malformed("APPENDS to what is no list"));
        }
        self.add(target, What::Extend, from)
    }

    fn set(&mut self, from: usize) -> Result<(), Error> {
        let target = self.target(from)?;
        if !matches!(self.kind(target), Kind::Dict | Kind::Call | Kind::New) {
            return Err(self.malformed("SETITEMS to what is no dict"));
        }
        self.set_items(target, from)
    }

    fn set_items(&mut self, target: u32, from: usize) -> Result<(), Error> {
        if !(self.stack.len() - from).is_multiple_of(2) {
            return Err(self.malformed("a key without value"));
        }
        if matches!(self.kind(target), Kind::Dict) {
            self.must_hash(from, 2)?;
        }
        self.add(target, What::Set, from)
    }

    // Numbers and text.

    fn number(&mut self, line: &[u8]) -> Result<Item, Error> {
        let error = self.malformed("an integer that is none");
        let text = std::str::from_utf8(line).map_err(|_| error.clone())?.trim();
        if let Ok(number) = text.parse() {
            return Ok(Item::Int(number));
        }
        let (negative, digits) = match text.as_bytes() {
            [b'-', digits @ ..] => (true, digits),
            [b'+', digits @ ..] => (false, digits),
            digits => (false, digits),
        };
        let (radix, digits) = match digits {
            [b'0', b'x' | b'X', digits @ ..] => (16, digits),
            [b'0', b'o' | b'O', digits @ ..] => (8, digits),
            [b'0', b'b' | b'B', digits @ ..] => (2, digits),
            digits => (10, digits),
        };
        let fine = digits
            .first()
            .is_some_and(|first| char::from(*first).is_digit(radix));
        if !fine || radix == 10 && digits.len() > DIGITS {
            return Err(error);
        }
        let digits = std::str::from_utf8(digits).map_err(|_| error.clone())?;
        let number = BigInt::from_str_radix(digits, radix).map_err(|_| error)?;
        self.integer(if negative { -number } else { number }, digits.len())
    }

    fn integer(&mut self, number: BigInt, bytes: usize) -> Result<Item, Error> {
        match number.to_i64() {
            Some(number) => Ok(Item::Int(number)),
            None => {
                self.charge(bytes)?;
                let number = Value::Long(Arc::new(number));
                Ok(Item::Node(self.node(Kind::Made(number), true)?))
            }
        }
    }

    /// Little-endian, in two's complement.
    fn long(&mut self, length: u64) -> Result<(), Error> {
        let bytes = self.take(length)?;
        let item = if bytes.len() <= 8 {
            let negative = bytes.last().is_some_and(|last| *last >= 0x80);
            let mut number = [if negative { 0xff } else { 0 }; 8];
            number[..bytes.len()].copy_from_slice(bytes);
            Item::Int(i64::from_le_bytes(number))
        } else {
            self.integer(BigInt::from_signed_bytes_le(bytes), bytes.len())?
        };
        self.push(item)
    }

    fn bytes(&mut self, length: u64, kind: fn(&'a [u8]) -> Kind<'a>) -> Result<(), Error> {
        let bytes = self.take(length)?;
        self.charge(bytes.len())?;
        let kind = kind(bytes);
        let hashable = !matches!(kind, Kind::ByteArray(_));
        let node = self.node(kind, hashable)?;
        self.push(Item::Node(node))
    }

    fn unicode(&mut self, length: u64) -> Result<(), Error> {
        let bytes = self.take(length)?;
        self.charge(bytes.len())?;
        let kind = match std::str::from_utf8(bytes) {
            Ok(text) => Kind::Str(text),
            Err(_) if is_surrogatepass(bytes) => Kind::Surrogates(bytes),
            Err(_) => return Err(self.malformed("a str that is no UTF-8")),
        };
        let node = self.node(kind, true)?;
        self.push(Item::Node(node))
    }

    /// A `str` of Python 2. CPython takes it for ASCII too, unless told otherwise.
    fn ascii(&mut self, length: u64) -> Result<(), Error> {
        let bytes = self.take(length)?;
        self.charge(bytes.len())?;
        match std::str::from_utf8(bytes) {
            Ok(text) if text.is_ascii() => {
                let node = self.node(Kind::Str(text), true)?;
                self.push(Item::Node(node))
            }
            _ => Err(self.malformed("a str of Python 2 that is no ASCII")),
        }
    }

    fn string(&mut self) -> Result<(), Error> {
        let line = self.line()?;
        let inner = match line {
            [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] => inner,
            _ => return Err(self.malformed("the STRING opcode argument must be quoted")),
        };
        let bytes = unescape(inner).ok_or(self.malformed("a broken str"))?;
        match String::from_utf8(bytes) {
            Ok(text) if text.is_ascii() => self.made(Value::from(text), line.len()),
            _ => Err(self.malformed("a str of Python 2 that is no ASCII")),
        }
    }

    // Classes, and what they make.

    fn global(&mut self, module: &str, name: &str) -> Result<u32, Error> {
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

    /// Something that can be called, as far as one can know.
    fn must_call(&self, item: Item) -> Result<(), Error> {
        match item {
            Item::Node(node) => match self.kind(node) {
                Kind::Call | Kind::New | Kind::Made(Value::Global(_)) => Ok(()),
                _ => Err(self.malformed("a call of what is no function")),
            },
            _ => Err(self.malformed("a call of what is no function")),
        }
    }

    fn must_be_tuple(&self, item: Item) -> Result<u32, Error> {
        match item {
            Item::Node(node) if matches!(self.kind(node), Kind::Tuple) => Ok(node),
            _ => Err(self.malformed("arguments that are no tuple")),
        }
    }

    fn call(&mut self, callable: Item, arguments: Item) -> Result<(), Error> {
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

    /// `NEWOBJ` and `NEWOBJ_EX`.
    fn new_object(&mut self, from: usize) -> Result<(), Error> {
        self.must_call(self.stack[from])?;
        self.must_be_tuple(self.stack[from + 1])?;
        if let Some(Item::Node(keywords)) = self.stack.get(from + 2)
            && !matches!(self.kind(*keywords), Kind::Dict)
        {
            return Err(self.malformed("keywords that are no dict"));
        } else if let Some(Item::None | Item::Bool(_) | Item::Int(_) | Item::Float(_)) =
            self.stack.get(from + 2)
        {
            return Err(self.malformed("keywords that are no dict"));
        }
        let node = self.node(Kind::New, true)?;
        self.add(node, What::Parts, from)?;
        self.push(Item::Node(node))
    }

    /// `INST` and `OBJ`. Without arguments CPython does not call the class's `__init__`.
    fn instance(&mut self, class: Item, from: usize) -> Result<(), Error> {
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

    /// What the call makes, if these are the arguments that picklers write; else it stays a call.
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

    /// A container of the items of a list or tuple.
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

    /// Where the node's parts lie in the pool.
    fn ranges(&self, node: u32) -> impl Iterator<Item = std::ops::Range<usize>> + Clone + '_ {
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

    /// The bytes of which protocols 0 to 2 make a `str`.
    fn latin1(&mut self, text: Item, encoding: Item) -> Option<Vec<u8>> {
        // A character may be two bytes here that was one in the pickle.
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

// The second pass.

/// A node whose parts are being visited: the next is at `at` in the pool.
struct Frame {
    node: u32,
    chunk: u32,
    at: u32,
}

impl<'a> Reader<'a, '_> {
    fn finish(
        mut self,
        root: Item,
        keep: &mut dyn FnMut(&Proxy) -> Option<Keep>,
    ) -> Result<Value, Error> {
        let Item::Node(start) = root else {
            return Ok(small(root));
        };
        self.nodes[start as usize].uses += 1;
        let mut frames = Vec::with_capacity(16);
        // Nodes that were seen and are not part of a finished component.
        let mut seen = Vec::with_capacity(16);
        let mut order = 0;
        self.enter(start, &mut frames, &mut seen, &mut order)?;
        while let Some(frame) = frames.last_mut() {
            let node = frame.node;
            if let Some(chunk) = self.chunks.get(frame.chunk as usize) {
                if frame.at == chunk.end {
                    frame.chunk = chunk.next;
                    frame.at = self
                        .chunks
                        .get(chunk.next as usize)
                        .map_or(0, |next| next.start);
                    continue;
                }
                let item = self.pool[frame.at as usize];
                frame.at += 1;
                let Item::Node(part) = item else {
                    continue;
                };
                let visited = &self.nodes[part as usize];
                let (made, unseen) = (matches!(visited.kind, Kind::Made(_)), visited.order == 0);
                let (height, first, open) = (visited.height, visited.order, visited.open);
                if unseen && !made {
                    // Its height, and what it reaches, are looked at when it is finished.
                    if self.enter(part, &mut frames, &mut seen, &mut order)? {
                        continue;
                    }
                }
                let node = &mut self.nodes[node as usize];
                if !unseen && !made {
                    node.low = node.low.min(first);
                }
                if !open {
                    node.height = node.height.max(height + 1);
                } else if first == node.order {
                    node.contains_itself = true;
                }
                continue;
            }
            frames.pop();
            let finished = &mut self.nodes[node as usize];
            finished.open = false;
            let (height, low) = (finished.height, finished.low);
            if height as usize > self.limits.depth {
                return Err(Error::Depth(self.limits.depth));
            }
            if low == finished.order {
                let first = seen.iter().rposition(|member| *member == node).unwrap_or(0);
                self.component(&seen[first..], keep);
                seen.truncate(first);
            }
            if let Some(outer) = frames.last() {
                let outer = &mut self.nodes[outer.node as usize];
                outer.low = outer.low.min(low);
                outer.height = outer.height.max(height + 1);
            }
        }
        Ok(value(&mut self.nodes, root))
    }

    /// Makes a value of a node without parts, or begins to visit its parts.
    fn enter(
        &mut self,
        place: u32,
        frames: &mut Vec<Frame>,
        seen: &mut Vec<u32>,
        order: &mut u32,
    ) -> Result<bool, Error> {
        let node = &mut self.nodes[place as usize];
        let leaf = match node.kind {
            Kind::Str(text) => Value::Str(text.into()),
            Kind::Surrogates(text) => Value::Surrogates(text.into()),
            Kind::Bytes(bytes) => Value::Bytes(bytes.into()),
            Kind::ByteArray(bytes) => Value::ByteArray(bytes.into()),
            Kind::Made(_) => return Ok(false),
            _ => {
                *order += 1;
                (node.order, node.low) = (*order, *order);
                // A container is a level, also if it is empty.
                (node.open, node.height) = (true, 1);
                let chunk = node.first;
                let at = self
                    .chunks
                    .get(chunk as usize)
                    .map_or(0, |chunk| chunk.start);
                frames.push(Frame {
                    node: place,
                    chunk,
                    at,
                });
                seen.push(place);
                return Ok(true);
            }
        };
        node.kind = Kind::Made(leaf);
        Ok(false)
    }

    /// Makes the values of nodes that reach each other, whose other parts are made.
    fn component(&mut self, members: &[u32], keep: &mut dyn FnMut(&Proxy) -> Option<Keep>) {
        if let [only] = members
            && !self.nodes[*only as usize].contains_itself
        {
            let made = self.make(*only);
            let made = match self.proxy(&made) {
                Some(mut proxy) => {
                    proxy.keep = keep(&proxy);
                    Value::Proxy(Arc::new(proxy))
                }
                None => made,
            };
            self.nodes[*only as usize].kind = Kind::Made(made);
            return;
        }
        for (index, member) in members.iter().enumerate() {
            self.nodes[*member as usize].low = index as u32;
        }
        let knot: Arc<[Value]> = members.iter().map(|member| self.make(*member)).collect();
        for (index, member) in members.iter().enumerate() {
            self.nodes[*member as usize].kind = Kind::Made(Value::Knot(knot.clone(), index));
        }
    }

    fn make(&mut self, node: u32) -> Value {
        match self.nodes[node as usize].kind {
            Kind::Tuple => Value::Tuple(self.items(node)),
            Kind::List => Value::List(self.items(node)),
            Kind::Set => Value::Set(self.distinct(node)),
            Kind::FrozenSet => Value::FrozenSet(self.distinct(node)),
            Kind::Dict => Value::Dict(self.pairs(node)),
            Kind::Call | Kind::New => self.object(node),
            // A node without parts is no component: it was made when it was first seen.
            _ => Value::None,
        }
    }

    fn items(&mut self, node: u32) -> Arc<[Value]> {
        let Node { first, last, .. } = self.nodes[node as usize];
        if first != last {
            let places: Vec<usize> = self.ranges(node).flatten().collect();
            let place = |place: &usize| value(&mut self.nodes, self.pool[*place]);
            return places.iter().map(place).collect();
        }
        let range = self.ranges(node).next().unwrap_or(0..0);
        values(&mut self.nodes, &self.pool[range]).collect()
    }

    fn distinct(&mut self, node: u32) -> Arc<[Value]> {
        let items: Vec<Item> = self
            .ranges(node)
            .flat_map(|range| &self.pool[range])
            .copied()
            .collect();
        let kept = match first_places(&mut self.nodes, &mut self.long_keys, items.len(), |index| {
            items[index]
        }) {
            None => items,
            Some(first) => {
                let kept = items.iter().zip(first).enumerate();
                kept.filter(|(index, (_, first))| index == first)
                    .map(|(_, (item, _))| *item)
                    .collect()
            }
        };
        values(&mut self.nodes, &kept).collect()
    }

    fn pairs(&mut self, node: u32) -> Arc<[(Value, Value)]> {
        let Node { first, last, .. } = self.nodes[node as usize];
        let gathered: Vec<Item>;
        let mut items: &[Item] = &[];
        if first == last {
            if let Some(range) = self.ranges(node).next() {
                items = &self.pool[range];
            }
        } else {
            gathered = self
                .ranges(node)
                .flat_map(|range| &self.pool[range])
                .copied()
                .collect();
            items = &gathered;
        }
        let (items, _) = items.as_chunks::<2>();
        let unique;
        let items = match first_places(&mut self.nodes, &mut self.long_keys, items.len(), |index| {
            items[index][0]
        }) {
            None => items,
            Some(first) => {
                let mut last = items.to_vec();
                for (pair, first) in items.iter().zip(&first) {
                    last[*first][1] = pair[1];
                }
                let kept = last.iter().zip(first).enumerate();
                let kept = kept.filter(|(index, (_, first))| index == first);
                unique = kept.map(|(_, (pair, _))| *pair).collect::<Vec<_>>();
                &unique
            }
        };
        let nodes = &mut self.nodes;
        items
            .iter()
            .map(|[k, v]| (value(nodes, *k), value(nodes, *v)))
            .collect()
    }

    fn object(&mut self, node: u32) -> Value {
        let new = matches!(self.kind(node), Kind::New);
        let parts = self.ranges(node).next().unwrap_or(0..0);
        let mut parts = values(&mut self.nodes, &self.pool[parts]);
        let (first, second) = (parts.next(), parts.next());
        let (class, arguments) = (first.unwrap_or(Value::None), second.unwrap_or(Value::None));
        let keywords = parts.next();
        drop(parts);
        let make = match new {
            true => Make::New {
                class,
                arguments,
                keywords,
            },
            false => Make::Call {
                callable: class,
                arguments,
            },
        };
        let mut steps = vec![];
        let mut next = self.chunks[self.nodes[node as usize].first as usize].next;
        while let Some(chunk) = self.chunks.get(next as usize) {
            next = chunk.next;
            let items = &self.pool[chunk.start as usize..chunk.end as usize];
            let mut values = values(&mut self.nodes, items);
            // What came in several parts is one step.
            match (chunk.what, steps.last_mut()) {
                (What::State, _) => steps.push(Step::State(values.next().unwrap_or(Value::None))),
                (What::Add, Some(Step::Add(before))) => before.extend(values),
                (What::Add, _) => steps.push(Step::Add(values.collect())),
                (What::Set, last) => {
                    let pairs = std::iter::from_fn(|| Some((values.next()?, values.next()?)));
                    match last {
                        Some(Step::Set(before)) => before.extend(pairs),
                        _ => steps.push(Step::Set(pairs.collect())),
                    }
                }
                (What::Parts | What::Extend, Some(Step::Extend(before))) => before.extend(values),
                (What::Parts | What::Extend, _) => steps.push(Step::Extend(values.collect())),
            }
        }
        Value::Object(Arc::new(Object { make, steps }))
    }

    /// The proxy that `RebuildProxy(class, token, 'pickle', keywords)` makes. What else such a call may be stays a call.
    fn proxy(&mut self, value: &Value) -> Option<Proxy> {
        let Value::Object(object) = value else {
            return None;
        };
        let Make::Call {
            callable: Value::Global(callable),
            arguments: Value::Tuple(arguments),
        } = &object.make
        else {
            return None;
        };
        if callable.name != "RebuildProxy"
            || callable.module != MANAGERS
            || !object.steps.is_empty()
        {
            return None;
        }
        let [
            Value::Global(class),
            token,
            Value::Str(serializer),
            Value::Dict(keywords),
        ] = &arguments[..]
        else {
            return None;
        };
        // The keywords are looked through, and may be those of many calls.
        if **serializer != *"pickle" || !self.copy(keywords.len()) {
            return None;
        }
        let (typeid, address, ident) = as_token(token)?;
        let exposed = keywords
            .iter()
            .find(|(key, _)| key.as_str() == Some("exposed"));
        let exposed = match exposed {
            None | Some((_, Value::None)) => None,
            Some((_, Value::Tuple(names) | Value::List(names))) if self.copy(names.len()) => {
                let names = names.iter().map(|name| match name {
                    Value::Str(name) => Some(name.clone()),
                    _ => None,
                });
                Some(names.collect::<Option<Arc<[_]>>>()?)
            }
            Some(_) => return None,
        };
        Some(Proxy {
            class: class.clone(),
            typeid,
            address,
            ident,
            exposed,
            keep: None,
        })
    }
}

fn small(item: Item) -> Value {
    match item {
        Item::None | Item::Node(_) => Value::None,
        Item::Bool(flag) => Value::Bool(flag),
        Item::Int(number) => Value::Int(number),
        Item::Float(number) => Value::Float(number),
    }
}

fn values<'n, 'a: 'n>(
    nodes: &'n mut [Node<'a>],
    items: &'n [Item],
) -> impl ExactSizeIterator<Item = Value> + 'n {
    items.iter().map(|item| value(nodes, *item))
}

/// The item as a part of a value. What is not made yet is in the same knot.
fn value(nodes: &mut [Node], item: Item) -> Value {
    let Item::Node(place) = item else {
        return small(item);
    };
    let node = &mut nodes[place as usize];
    let Kind::Made(value) = &mut node.kind else {
        return Value::Inner(node.low as usize);
    };
    node.uses = node.uses.saturating_sub(1);
    match node.uses {
        0 => std::mem::replace(value, Value::None),
        _ => value.clone(),
    }
}

/// What makes keys the same, as far as it is looked at.
#[derive(PartialEq, Eq, Hash)]
enum Key<'k> {
    None,
    Int(i64),
    Float(u64),
    Text(&'k [u8]),
    Bytes(&'k [u8]),
    Node(u32),
    /// Not a number, which is not even equal to itself.
    Nan(usize),
}

/// A key that would take long to compare and to hash for each dict that has it.
#[derive(PartialEq, Eq, Hash)]
enum LongKey {
    Text(Arc<[u8]>),
    Bytes(Arc<[u8]>),
    Int(Arc<BigInt>),
}

/// What is longer, in bytes, is a [`LongKey`].
const SHORT: usize = 64;

fn key<'k>(nodes: &'k [Node], item: Item, index: usize) -> Key<'k> {
    match item {
        Item::None => Key::None,
        Item::Bool(flag) => Key::Int(flag.into()),
        Item::Int(number) => Key::Int(number),
        Item::Float(number) if number.is_nan() => Key::Nan(index),
        Item::Float(number) => match number as i64 {
            // The greatest i64 stands for all that is greater.
            whole if whole as f64 == number && whole != i64::MAX => Key::Int(whole),
            _ => Key::Float(number.to_bits()),
        },
        Item::Node(place) => {
            let node = &nodes[place as usize];
            match &node.kind {
                _ if node.same != END => Key::Node(node.same),
                Kind::Made(Value::Str(text)) => Key::Text(text.as_bytes()),
                Kind::Made(Value::Surrogates(text)) => Key::Text(text),
                Kind::Made(Value::Bytes(bytes)) => Key::Bytes(bytes),
                _ => Key::Node(place),
            }
        }
    }
}

/// Finds out what the key is the same as, if it is a long one and that is not known yet.
fn know(nodes: &mut [Node], long_keys: &mut HashMap<LongKey, u32>, item: Item) {
    let Item::Node(place) = item else {
        return;
    };
    let node = &mut nodes[place as usize];
    if node.same != END {
        return;
    }
    let key = match &node.kind {
        Kind::Made(Value::Str(text)) if text.len() > SHORT => LongKey::Text(text.clone().into()),
        Kind::Made(Value::Surrogates(text)) if text.len() > SHORT => LongKey::Text(text.clone()),
        Kind::Made(Value::Bytes(bytes)) if bytes.len() > SHORT => LongKey::Bytes(bytes.clone()),
        Kind::Made(Value::Long(number)) => LongKey::Int(number.clone()),
        _ => return,
    };
    node.same = *long_keys.entry(key).or_insert(place);
}

/// Where each key is first, if one is there twice.
fn first_places(
    nodes: &mut [Node],
    long_keys: &mut HashMap<LongKey, u32>,
    count: usize,
    item: impl Fn(usize) -> Item,
) -> Option<Vec<usize>> {
    (0..count).for_each(|index| know(nodes, long_keys, item(index)));
    let key = |index| key(nodes, item(index), index);
    if count <= 8 {
        if !(1..count).any(|index| (0..index).any(|before| key(before) == key(index))) {
            return None;
        }
    } else {
        let mut keys = HashSet::with_capacity(count);
        if (0..count).all(|index| keys.insert(key(index))) {
            return None;
        }
    }
    let mut places = HashMap::new();
    Some(
        (0..count)
            .map(|index| *places.entry(key(index)).or_insert(index))
            .collect(),
    )
}

/// Names that are made often are not made again.
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

/// Python's `raw-unicode-escape`, as UTF-8 with surrogates in three bytes.
fn raw_unicode(line: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        let mut code = u32::from(*byte);
        if let (b'\\', Some((next, after))) = (byte, after.split_first()) {
            rest = after;
            let digits = match next {
                b'u' => 4,
                b'U' => 8,
                other => {
                    text.push(b'\\');
                    push_code(&mut text, u32::from(*other))?;
                    continue;
                }
            };
            code = hexadecimal(rest.get(..digits)?)?;
            rest = &rest[digits..];
        }
        push_code(&mut text, code)?;
    }
    Some(text)
}

fn push_code(text: &mut Vec<u8>, code: u32) -> Option<()> {
    match char::from_u32(code) {
        Some(letter) => text.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
        None if code > 0xffff => return None,
        None => text.extend([
            0xe0 | (code >> 12) as u8,
            0x80 | (code >> 6 & 0x3f) as u8,
            0x80 | (code & 0x3f) as u8,
        ]),
    }
    Some(())
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| {
        Some(number << 4 | char::from(*digit).to_digit(16)?)
    })
}

/// What stands between the quotes of a `str` of Python 2.
fn unescape(line: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'\\' {
            text.push(*byte);
            continue;
        }
        let (escape, after) = rest.split_first()?;
        rest = after;
        let byte = match escape {
            b'\\' | b'\'' | b'"' => *escape,
            b'a' => 7,
            b'b' => 8,
            b't' => b'\t',
            b'n' => b'\n',
            b'v' => 11,
            b'f' => 12,
            b'r' => b'\r',
            b'x' => {
                let code = hexadecimal(rest.get(..2)?)?;
                rest = &rest[2..];
                code as u8
            }
            b'0'..=b'7' => {
                let mut code = u32::from(escape - b'0');
                for _ in 0..2 {
                    let Some((digit @ b'0'..=b'7', after)) = rest.split_first() else {
                        break;
                    };
                    code = code << 3 | u32::from(digit - b'0');
                    rest = after;
                }
                code as u8
            }
            other => {
                text.push(b'\\');
                *other
            }
        };
        text.push(byte);
    }
    Some(text)
}

/// What `array._array_reconstructor` calls the form in which this machine has such items.
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
