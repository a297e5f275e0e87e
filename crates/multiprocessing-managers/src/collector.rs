//! A collector of objects that only refer to each other in a circle, as after `l.append(l)`.
//!
//! A reference inside a stored value keeps its object alive by an [`Arc`], which suffices without circles. To find circles,
//! the collector counts the references that it sees inside the objects to which no client refers. An object with more
//! references than it saw is in use, and so is everything to which that object refers. The rest is garbage.
//!
//! It frees nothing that is in use although other threads go on. It holds the lock of the table of names, so no thread can
//! start to use an object by its name, and a thread that started before owns a reference, which was counted first. A value
//! that such a thread takes out of an object is either seen there, and then in use with the object, or not seen anywhere. A
//! shared value counts like an object: it is in use if it has more owners than the collector saw.

use std::any::Any;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use pickle_value::Value;

use crate::referent::{Kept, Referent};

/// Splits objects to which no client refers into those in use and those that only refer to each other.
pub(crate) fn sort_out(objects: Vec<Arc<dyn Referent>>) -> (Objects, Objects) {
    let at = |object: &Arc<dyn Referent>| Arc::as_ptr(object).cast::<()>() as usize;
    // `objects` is one of the owners.
    let node = |object| (at(object), Node::new(Arc::strong_count(object) - 1));
    let mut graph = Graph(objects.iter().map(node).collect());
    fence(Ordering::Acquire); // As in `container`.
    for object in &objects {
        object.visit(&mut |value| graph.look(at(object), value));
    }
    let live = graph.live();
    objects
        .into_iter()
        .partition(|object| live.contains(&at(object)))
}

type Objects = Vec<Arc<dyn Referent>>;

/// The objects and shared values, by address.
struct Graph(HashMap<usize, Node>);

struct Node {
    owners: usize,
    /// How many of the owners were seen.
    seen: usize,
    refers_to: Vec<usize>,
}

impl Node {
    fn new(owners: usize) -> Self {
        Node {
            owners,
            seen: 0,
            refers_to: vec![],
        }
    }
}

impl Graph {
    /// Follows the references in a value of the owner.
    fn look(&mut self, owner: usize, value: &Value) {
        if container(value).is_none() {
            return; // Most values are numbers and texts.
        }
        let mut left = vec![(owner, value)];
        while let Some((mut owner, value)) = left.pop() {
            let Some((at, owners)) = container(value) else {
                continue;
            };
            if owners > 1 {
                let known = match self.0.entry(at) {
                    Entry::Occupied(_) => true,
                    Entry::Vacant(entry) => {
                        entry.insert(Node::new(owners));
                        false
                    }
                };
                self.edge(owner, at);
                if known {
                    continue;
                }
                owner = at;
            }
            match value {
                Value::Proxy(proxy) => {
                    let keep = proxy.keep.as_ref();
                    // Another owner of `keep` is in use.
                    let keep = keep.filter(|keep| Arc::strong_count(keep) == 1);
                    let kept = keep.and_then(|keep| (&**keep as &dyn Any).downcast_ref::<Kept>());
                    if let Some(object) = kept.and_then(Kept::object) {
                        self.edge(owner, Arc::as_ptr(object).cast::<()>() as usize);
                    }
                }
                Value::Tuple(v) | Value::List(v) | Value::Set(v) | Value::FrozenSet(v) => {
                    left.extend(v.iter().map(|part| (owner, part)));
                }
                Value::Knot(v, _) => left.extend(v.iter().map(|part| (owner, part))),
                Value::Dict(v) => {
                    let parts = v.iter().flat_map(|(key, value)| [key, value]);
                    left.extend(parts.map(|part| (owner, part)));
                }
                Value::Object(v) => left.extend(v.parts().into_iter().map(|part| (owner, part))),
                _ => {}
            }
        }
    }

    fn edge(&mut self, from: usize, to: usize) {
        // Objects to which clients refer are not in the graph.
        if let Some(node) = self.0.get_mut(&to) {
            node.seen += 1;
            if let Some(node) = self.0.get_mut(&from) {
                node.refers_to.push(to);
            }
        }
    }

    /// Returns the nodes with an owner that was not seen, and all to which these refer.
    fn live(&self) -> HashSet<usize> {
        let in_use = |(at, node): (&usize, &Node)| (node.owners > node.seen).then_some(*at);
        let mut left: Vec<usize> = self.0.iter().filter_map(in_use).collect();
        let mut live = HashSet::new();
        while let Some(at) = left.pop() {
            if live.insert(at) {
                left.extend(self.0.get(&at).iter().flat_map(|node| &node.refers_to));
            }
        }
        live
    }
}

/// Returns the address of a value that may contain references, and the number of its owners.
fn container(value: &Value) -> Option<(usize, usize)> {
    fn of<T: ?Sized>(arc: &Arc<T>) -> Option<(usize, usize)> {
        let owners = Arc::strong_count(arc);
        // Everything a dropped owner did with its clone happens before this load.
        fence(Ordering::Acquire);
        Some((Arc::as_ptr(arc).cast::<()>() as usize, owners))
    }
    match value {
        Value::Proxy(v) => of(v),
        Value::Tuple(v) | Value::List(v) | Value::Set(v) | Value::FrozenSet(v) => of(v),
        Value::Knot(v, _) => of(v),
        Value::Dict(v) => of(v),
        Value::Object(v) => of(v),
        _ => None,
    }
}
