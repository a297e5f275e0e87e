//! Objects that refer to each other in a circle, and to which nobody else refers: `l.append(l)`.
//!
//! A reference inside of a stored value keeps its object alive by an [`Arc`], which is enough but for circles. To find
//! these, the collector counts, for each object that no client refers to, the references it sees inside of such objects.
//! An object with more references than that is in use by somebody: so is all that it refers to. The rest is garbage.
//!
//! Why it takes nothing away that is in use, though other threads go on: it holds the lock of the table of names, so
//! nobody can begin to use an object by its name; who began before has a reference, which is counted first of all. What
//! such a thread takes out of an object is either seen there, and then in use with the object, or not seen anywhere. A
//! value that is shared counts like an object: it is in use if it has more owners than were seen.

use std::any::Any;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use pickle_value::Value;

use crate::referent::{Kept, Referent};

/// Of objects to which no client refers, those that are in use, and those that only refer to each other.
pub(crate) fn sort_out(objects: Vec<Arc<dyn Referent>>) -> (Objects, Objects) {
    let at = |object: &Arc<dyn Referent>| Arc::as_ptr(object).cast::<()>() as usize;
    // One owner is `objects`.
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

/// The objects and the shared values, by where they lie.
struct Graph(HashMap<usize, Node>);

struct Node {
    owners: usize,
    /// How many of the owners have been seen.
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
    /// Follows the references of a value that the owner has.
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
                    // A second one that keeps the object is in somebody's hands.
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
        // What is not here is an object to which a client refers.
        if let Some(node) = self.0.get_mut(&to) {
            node.seen += 1;
            if let Some(node) = self.0.get_mut(&from) {
                node.refers_to.push(to);
            }
        }
    }

    /// What has an owner that was not seen, and all that this refers to.
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

/// Where a value lies that may have references in it, and how many owners it has.
fn container(value: &Value) -> Option<(usize, usize)> {
    fn of<T: ?Sized>(arc: &Arc<T>) -> Option<(usize, usize)> {
        let owners = Arc::strong_count(arc);
        // Whoever has dropped it has done before all that he does with a clone.
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
