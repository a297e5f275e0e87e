//! Objects that refer to each other in a circle, and to which nobody else refers: `l.append(l)`.
//!
//! A reference inside of a stored value keeps its object alive by an [`Arc`], which is enough but for circles. To find
//! these, the collector counts, for each object that no client refers to, the references it sees inside of such objects.
//! An object with more references than that is in use by somebody: so is all that it refers to. The rest is garbage.
//!
//! Why it takes nothing away that is in use, though other threads go on: it holds the lock of the table of names, so
//! nobody can begin to use an object by its name; who began before has a reference, which is counted first of all. And
//! a reference inside of a value of which there is any other clone is never counted among those seen: that clone may be
//! in somebody's hands.

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::referent::{Kept, Referent};
use super::value::Value;

/// Those of the objects, to which no client refers, that only refer to each other.
pub(super) fn garbage(objects: Vec<Arc<dyn Referent>>) -> Vec<Arc<dyn Referent>> {
    let at = |object: &Arc<dyn Referent>| Arc::as_ptr(object).cast::<()>() as usize;
    // One of them is in `objects`.
    let before: Vec<usize> = objects.iter().map(Arc::strong_count).collect();
    let mut seen: HashMap<usize, usize> = HashMap::new();
    let mut edges: HashMap<usize, Vec<usize>> = HashMap::new();
    for object in &objects {
        let targets = edges.entry(at(object)).or_default();
        object.visit(&mut |value| unshared(value, &mut |target| targets.push(target)));
        targets
            .iter()
            .for_each(|target| *seen.entry(*target).or_default() += 1);
    }
    let in_use = |(object, before): (&Arc<dyn Referent>, &usize)| {
        let inside = seen.get(&at(object)).copied().unwrap_or(0);
        (*before > 1 + inside).then(|| at(object))
    };
    let mut left: Vec<usize> = objects.iter().zip(&before).filter_map(in_use).collect();
    let mut live = HashSet::new();
    while let Some(object) = left.pop() {
        if live.insert(object) {
            left.extend(edges.get(&object).into_iter().flatten());
        }
    }
    objects
        .into_iter()
        .filter(|object| !live.contains(&at(object)))
        .collect()
}

/// Shows where the objects lie to which a value refers, as far as nothing on the way to them is shared.
fn unshared(value: &Value, see: &mut dyn FnMut(usize)) {
    let mut left = vec![value];
    while let Some(value) = left.pop() {
        match value {
            Value::Proxy(proxy) if Arc::strong_count(proxy) == 1 => {
                let keep = proxy
                    .keep
                    .as_ref()
                    .filter(|keep| Arc::strong_count(keep) == 1);
                let kept = keep.and_then(|keep| (&**keep as &dyn Any).downcast_ref::<Kept>());
                if let Some(Kept(object)) = kept {
                    see(Arc::as_ptr(object).cast::<()>() as usize);
                }
            }
            Value::Tuple(v) | Value::List(v) | Value::Set(v) | Value::FrozenSet(v)
                if Arc::strong_count(v) == 1 =>
            {
                left.extend(v.iter());
            }
            Value::Dict(v) if Arc::strong_count(v) == 1 => {
                left.extend(v.iter().flat_map(|(key, value)| [key, value]));
            }
            Value::Object(v) if Arc::strong_count(v) == 1 => left.extend(v.parts()),
            _ => {}
        }
    }
}
