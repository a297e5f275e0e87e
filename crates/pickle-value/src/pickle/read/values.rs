//! The second pass: from nodes to values.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use num_bigint::BigInt;

use super::super::limits::Error;
use super::{END, Item, Kind, Node, Reader, What};
use crate::token::{MANAGERS, as_token};
use crate::value::{Keep, Make, Object, Proxy, Step, Value};

/// A node whose parts are being visited: the next is at `at` in the pool.
struct Frame {
    node: u32,
    chunk: u32,
    at: u32,
}

impl<'a> Reader<'a, '_> {
    pub(super) fn finish(
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
                    // Its height and its component are known when it is finished.
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
                // An empty container is a level too.
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

    /// Makes the values of nodes that reach each other. The values of their other parts exist already.
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
            // Nodes without parts are not here: they became values at the first visit.
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
            // Several chunks in a row are one step.
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

    /// Returns the proxy that `RebuildProxy(class, token, 'pickle', keywords)` makes. With other arguments it stays a call.
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
        // The keywords are searched, and may be shared by many calls.
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

/// Returns the item as a part of a value. A node without a value yet is in the same knot.
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

/// The part of a key that decides which keys are the same.
#[derive(PartialEq, Eq, Hash)]
enum Key<'k> {
    None,
    Int(i64),
    Float(u64),
    Text(&'k [u8]),
    Bytes(&'k [u8]),
    Node(u32),
    /// A NaN, which does not even equal itself.
    Nan(usize),
}

/// A key that takes long to compare and hash, for each dict that contains it.
#[derive(PartialEq, Eq, Hash)]
pub(super) enum LongKey {
    Text(Arc<[u8]>),
    Bytes(Arc<[u8]>),
    Int(Arc<BigInt>),
}

/// A longer key, in bytes, is a [`LongKey`].
const SHORT: usize = 64;

fn key<'k>(nodes: &'k [Node], item: Item, index: usize) -> Key<'k> {
    match item {
        Item::None => Key::None,
        Item::Bool(flag) => Key::Int(flag.into()),
        Item::Int(number) => Key::Int(number),
        Item::Float(number) if number.is_nan() => Key::Nan(index),
        Item::Float(number) => match number as i64 {
            // The greatest i64 stands for all greater numbers.
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

/// Finds the first key that equals a long one, if it is not known yet.
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

/// Returns the first place of each key, if a key occurs twice.
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
