//! The items and pairs of a value, also of a proxy of an object of this server.

use pickle_value::{Exception, MOST, Make, Step, Value};

use crate::referent::referent;

/// Returns the items that Python's `iter(value)` yields, also for a proxy of an object of this server. CPython's server asks
/// such a proxy for one item after the other; this takes all at once. Fails as [`Value::elements`].
pub fn elements(value: &Value) -> Result<Vec<Value>, Exception> {
    match referent(value).and_then(|object| object.elements()) {
        Some(elements) if elements.len() > MOST => Err(Exception::memory_error()),
        Some(elements) => Ok(elements),
        None => value.elements(),
    }
}

/// Returns the pairs of a mapping: a dict, one of the dicts of `collections`, or a proxy of a dict of this server.
pub fn pairs(value: &Value) -> Option<Vec<(Value, Value)>> {
    if let Some(object) = referent(value) {
        return object.pairs();
    }
    match &*value.node() {
        Value::Dict(pairs) => Some(pairs.to_vec()),
        Value::Object(object) => {
            let Make::Call {
                callable,
                arguments,
            } = &object.make
            else {
                return None;
            };
            let Value::Global(class) = &*callable.node() else {
                return None;
            };
            let name = &*class.name;
            if class.module != "collections"
                || !["OrderedDict", "defaultdict", "Counter"].contains(&name)
            {
                return None;
            }
            let mut all = match &*arguments.node() {
                Value::Tuple(arguments) if name == "Counter" => arguments.first().and_then(pairs),
                _ => None,
            }
            .unwrap_or_default();
            for step in &object.steps {
                if let Step::Set(pairs) = step {
                    all.extend_from_slice(pairs);
                }
            }
            Some(all)
        }
        _ => None,
    }
}

/// Returns a message that ends in a `str`, which may have lone surrogates, and a quote.
pub fn quoted(before: &str, name: &Value) -> Value {
    let text = [
        before.as_bytes(),
        name.text_bytes().unwrap_or_default(),
        b"'",
    ]
    .concat();
    Value::text(&text).unwrap_or_else(|| before.into())
}
