//! `functools.partial`, in the two forms in which Python pickles it.

use std::borrow::Cow;
use std::sync::Arc;

use crate::value::{Global, Make, Object, Step, Value};

const PARTIAL: Global = Global {
    module: Cow::Borrowed("functools"),
    name: Cow::Borrowed("partial"),
};

/// A `functools.partial`: a function and the arguments that it is called with.
///
/// ```
/// use pickle_value::{Partial, Value};
///
/// let print = Value::global("builtins", "print");
/// let hello = Partial::new(print, [Value::from("hello")], []);
/// assert_eq!(
///     Value::from(hello).to_string(),
///     "functools.partial(<built-in function print>, 'hello')",
/// );
/// ```
#[derive(Clone, Debug)]
pub struct Partial {
    /// The function, a [`Value::Global`] or another partial.
    pub function: Value,
    /// The positional arguments.
    pub arguments: Arc<[Value]>,
    /// The keyword arguments, a `dict`, or `None`.
    pub keywords: Value,
}

impl Partial {
    /// Creates a partial of the function.
    pub fn new(
        function: Value,
        arguments: impl IntoIterator<Item = Value>,
        keywords: impl IntoIterator<Item = (Arc<str>, Value)>,
    ) -> Self {
        let keywords = keywords.into_iter().map(|(k, v)| (Value::Str(k), v));
        Partial {
            function,
            arguments: arguments.into_iter().collect(),
            keywords: Value::Dict(keywords.collect()),
        }
    }

    /// Returns the parts of the value if it is a `functools.partial`, as `pickle` or `multiprocessing` writes it.
    pub fn of(value: &Value) -> Option<Self> {
        let Value::Object(object) = value.stored() else {
            return None;
        };
        value.class().filter(|class| **class == PARTIAL)?;
        let Make::Call { arguments, .. } = &object.make else {
            return None;
        };
        let parts = match &object.steps[..] {
            [] => short_tuple(&value.part(arguments))?,
            [Step::State(state)] => short_tuple(&value.part(state))?,
            _ => return None,
        };
        let (function, arguments, keywords) = match &*parts {
            [function, arguments, keywords, ..] => (function, arguments.node(), keywords.clone()),
            [function] => (function, Cow::Owned(Value::tuple([])), Value::None),
            _ => return None,
        };
        match &*arguments {
            Value::Tuple(arguments) => Some(Partial {
                function: function.clone(),
                arguments: arguments.clone(),
                keywords,
            }),
            _ => None,
        }
    }
}

/// The form of `pickle`, which every CPython reads; the form of `multiprocessing` uses a private name.
impl From<Partial> for Value {
    fn from(partial: Partial) -> Self {
        let Partial {
            function,
            arguments,
            keywords,
        } = partial;
        let state = [
            function.clone(),
            Value::Tuple(arguments),
            keywords,
            Value::None,
        ];
        Value::Object(Arc::new(Object {
            make: Make::Call {
                callable: Value::Global(Arc::new(PARTIAL)),
                arguments: Value::tuple([function]),
            },
            steps: vec![Step::State(Value::tuple(state))],
        }))
    }
}

/// Returns the items of a tuple that is at most as long as the state of a partial.
fn short_tuple(value: &Value) -> Option<Arc<[Value]>> {
    match value.stored() {
        Value::Tuple(items) if items.len() <= 4 => {}
        _ => return None,
    }
    match &*value.node() {
        Value::Tuple(items) => Some(items.clone()),
        _ => None,
    }
}
