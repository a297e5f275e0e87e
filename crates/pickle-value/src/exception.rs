//! Python's exceptions.

use std::borrow::Cow;
use std::sync::Arc;
use std::{error, fmt};

use crate::value::{Global, Make, Object, Step, Value};

/// A Python exception: its class, by name, and its arguments.
///
/// Operations on values fail as Python's do, so their errors are exceptions too.
///
/// ```
/// use pickle_value::{Exception, Value};
///
/// let error = Exception::value_error("n must be one or more");
/// assert!(error.is("builtins", "ValueError"));
/// assert_eq!(error.to_string(), "ValueError: n must be one or more");
/// let error = Value::from(1).less_than(&Value::from("a")).unwrap_err();
/// assert!(error.is("builtins", "TypeError"));
/// ```
#[derive(Clone)]
pub struct Exception {
    /// The class.
    pub class: Global,
    /// The arguments that the class was called with.
    pub args: Vec<Value>,
    /// Attributes that the arguments do not make.
    pub state: Option<Value>,
}

impl Exception {
    /// Creates an exception of the class `module.name`.
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

    /// Creates a `TypeError` with this text.
    pub fn type_error(text: impl Into<String>) -> Self {
        Exception::builtin("TypeError", text)
    }

    /// Creates a `ValueError` with this text.
    pub fn value_error(text: impl Into<String>) -> Self {
        Exception::builtin("ValueError", text)
    }

    /// Creates an `IndexError` with this text.
    pub fn index_error(text: impl Into<String>) -> Self {
        Exception::builtin("IndexError", text)
    }

    /// Creates a `KeyError` of the key that is missing.
    pub fn key_error(key: Value) -> Self {
        Exception::new("builtins", "KeyError", [key])
    }

    /// Creates an `AttributeError` with this text.
    pub fn attribute_error(text: impl Into<String>) -> Self {
        Exception::builtin("AttributeError", text)
    }

    /// Creates a `RuntimeError` with this text.
    pub fn runtime_error(text: impl Into<String>) -> Self {
        Exception::builtin("RuntimeError", text)
    }

    /// Creates an `OverflowError` with this text.
    pub fn overflow_error(text: impl Into<String>) -> Self {
        Exception::builtin("OverflowError", text)
    }

    /// Creates a `MemoryError`.
    pub fn memory_error() -> Self {
        Exception::new("builtins", "MemoryError", [])
    }

    /// Creates a `RecursionError` with this text.
    pub fn recursion_error(text: impl Into<String>) -> Self {
        Exception::builtin("RecursionError", text)
    }

    /// Creates a `StopIteration`.
    pub fn stop_iteration() -> Self {
        Exception::new("builtins", "StopIteration", [])
    }

    /// Creates a `queue.Empty`, under the name that CPython's server sends: that of its C module.
    pub fn empty() -> Self {
        Exception::new("_queue", "Empty", [])
    }

    /// Creates a `queue.Full`.
    pub fn full() -> Self {
        Exception::new("queue", "Full", [])
    }

    /// Creates a `threading.BrokenBarrierError`.
    pub fn broken_barrier() -> Self {
        Exception::new("threading", "BrokenBarrierError", [])
    }

    /// Whether the exception is of exactly this class; subclasses are not known. `queue.Empty` and `_queue.Empty` are the
    /// same.
    pub fn is(&self, module: &str, name: &str) -> bool {
        let alike = |module| if module == "_queue" { "queue" } else { module };
        alike(&self.class.module) == alike(module) && self.class.name == name
    }

    /// Returns the exception as Python pickles it.
    pub fn to_value(&self) -> Value {
        let steps = self.state.iter().cloned().map(Step::State).collect();
        Value::Object(Arc::new(Object {
            make: Make::Call {
                callable: Value::Global(Arc::new(self.class.clone())),
                arguments: Value::tuple(self.args.iter().cloned()),
            },
            steps,
        }))
    }

    /// Returns the exception that a value stands for, if the value is the call of a class or function.
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

/// The last line of a traceback, such as `ValueError: n must be one or more`.
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
