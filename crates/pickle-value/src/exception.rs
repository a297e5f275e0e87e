//! Python's exceptions, as values: what a server replies and a client is told.

use std::borrow::Cow;
use std::sync::Arc;
use std::{error, fmt};

use crate::value::{Global, Make, Object, Step, Value};

/// An exception, as its class and arguments. No Python runs, so a class is only a name.
#[derive(Clone)]
pub struct Exception {
    pub class: Global,
    pub args: Vec<Value>,
    /// Its attributes, where it has some that its arguments do not make.
    pub state: Option<Value>,
}

impl Exception {
    pub fn new(
        module: &'static str,
        name: &'static str,
        args: impl IntoIterator<Item = Value>,
    ) -> Self {
        let class = Global {
            module: Cow::Borrowed(module),
            name: Cow::Borrowed(name),
        };
        Exception {
            class,
            args: args.into_iter().collect(),
            state: None,
        }
    }

    fn builtin(name: &'static str, text: impl Into<String>) -> Self {
        Exception::new("builtins", name, [Value::from(text.into())])
    }

    pub fn type_error(text: impl Into<String>) -> Self {
        Exception::builtin("TypeError", text)
    }

    pub fn value_error(text: impl Into<String>) -> Self {
        Exception::builtin("ValueError", text)
    }

    pub fn index_error(text: impl Into<String>) -> Self {
        Exception::builtin("IndexError", text)
    }

    pub fn key_error(key: Value) -> Self {
        Exception::new("builtins", "KeyError", [key])
    }

    pub fn attribute_error(text: impl Into<String>) -> Self {
        Exception::builtin("AttributeError", text)
    }

    pub fn runtime_error(text: impl Into<String>) -> Self {
        Exception::builtin("RuntimeError", text)
    }

    pub fn overflow_error(text: impl Into<String>) -> Self {
        Exception::builtin("OverflowError", text)
    }

    pub fn memory_error() -> Self {
        Exception::new("builtins", "MemoryError", [])
    }

    pub fn recursion_error(text: impl Into<String>) -> Self {
        Exception::builtin("RecursionError", text)
    }

    pub fn stop_iteration() -> Self {
        Exception::new("builtins", "StopIteration", [])
    }

    /// What a queue says that has no item. CPython sends the name of its C module.
    pub fn empty() -> Self {
        Exception::new("_queue", "Empty", [])
    }

    pub fn full() -> Self {
        Exception::new("queue", "Full", [])
    }

    pub fn broken_barrier() -> Self {
        Exception::new("threading", "BrokenBarrierError", [])
    }

    /// Whether it is of this class; `queue.Empty` and `_queue.Empty` are the same.
    pub fn is(&self, module: &str, name: &str) -> bool {
        let alike = |module| if module == "_queue" { "queue" } else { module };
        alike(&self.class.module) == alike(module) && self.class.name == name
    }

    /// As it travels.
    pub fn to_value(&self) -> Value {
        let class = Value::global(self.class.module.clone(), self.class.name.clone());
        let made = Value::call(class, self.args.iter().cloned());
        match (&self.state, made) {
            (Some(state), Value::Object(object)) => {
                let Make::Call {
                    callable,
                    arguments,
                } = &object.make
                else {
                    return Value::Object(object);
                };
                let make = Make::Call {
                    callable: callable.clone(),
                    arguments: arguments.clone(),
                };
                let steps = vec![Step::State(state.clone())];
                Value::Object(Arc::new(Object { make, steps }))
            }
            (_, made) => made,
        }
    }

    /// An exception as it came, if it is one: the call of a class.
    pub fn from_value(value: &Value) -> Option<Self> {
        let Value::Object(object) = value.stored() else {
            return None;
        };
        let Make::Call {
            callable,
            arguments,
        } = &object.make
        else {
            return None;
        };
        let arguments = value.part(arguments);
        let (Value::Global(class), Value::Tuple(args)) = (callable, &*arguments.node()) else {
            return None;
        };
        let state = object.steps.iter().find_map(|step| match step {
            Step::State(state) => Some(value.part(state).into_owned()),
            _ => None,
        });
        Some(Exception {
            class: (**class).clone(),
            args: args.to_vec(),
            state,
        })
    }
}

/// As the last line of a traceback: `ValueError: n must be one or more`.
impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.class.module {
            "builtins" => write!(f, "{}", self.class.name)?,
            _ => write!(f, "{}", self.class)?,
        }
        match &self.args[..] {
            [] => Ok(()),
            [text] if self.class.name != "KeyError" && text.as_str().is_some() => {
                write!(f, ": {}", text.as_str().unwrap_or_default())
            }
            [one] => write!(f, ": {one}"),
            several => write!(f, ": {}", Value::tuple(several.iter().cloned())),
        }
    }
}

impl fmt::Debug for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl error::Error for Exception {}
