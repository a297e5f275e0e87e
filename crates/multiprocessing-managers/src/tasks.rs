//! Tasks: calls of functions that two programs know by the same name.
//!
//! In Python, one end puts `functools.partial(f, x)` into a queue and the other calls what it gets, which imports and runs
//! whatever a peer names. Here only functions that the worker has registered are called.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use pickle_value::{Exception, Partial, Value};

use crate::args::Args;

/// How deep partials may be nested, which also ends a circle of them.
const LAYERS: usize = 1000;

type Function = Arc<dyn Fn(&Args) -> Result<Value, Exception> + Send + Sync>;

/// The functions that a worker calls, by their Python names. Clones are independent.
///
/// ```
/// use multiprocessing_managers::{Args, Task, Tasks};
///
/// let tasks = Tasks::new().register("builtins.len", |args| Ok(args.positional.len().into()));
/// let task = Task::call("builtins", "len", Args::new([1.into(), 2.into()]));
/// assert_eq!(tasks.run(&task).unwrap(), 2.into());
/// ```
#[derive(Clone, Default)]
pub struct Tasks {
    functions: BTreeMap<String, Function>,
}

/// The reason why a task has no result.
///
/// ```
/// use multiprocessing_managers::{Args, Task, TaskError, Tasks};
///
/// let error = Tasks::new().run(&Task::call("os", "getpid", Args::default())).unwrap_err();
/// assert!(matches!(error, TaskError::Refused(_)));
/// ```
#[derive(Debug)]
pub enum TaskError {
    /// The task is not a call of a registered function. Nothing was called.
    Refused(String),
    /// The function raised.
    Raised(Exception),
}

impl Tasks {
    /// Creates an empty set of functions.
    pub fn new() -> Self {
        Tasks::default()
    }

    /// Registers a function as `module.name`, such as `tasks.run`, `__main__.server_exit` or `builtins.print`. A second
    /// function of the same name replaces the first.
    pub fn register(
        mut self,
        name: &str,
        function: impl Fn(&Args) -> Result<Value, Exception> + Send + Sync + 'static,
    ) -> Self {
        self.functions.insert(name.to_owned(), Arc::new(function));
        self
    }

    /// Calls a task from a queue: a function or a `functools.partial` of one. Blocks as long as the function does.
    ///
    /// # Errors
    ///
    /// [`TaskError::Refused`] for any other value and for a function that is not registered, [`TaskError::Raised`] if the
    /// function fails.
    pub fn run(&self, task: &Value) -> Result<Value, TaskError> {
        let (name, args) = call(task).map_err(TaskError::Refused)?;
        let Some(function) = self.functions.get(&name) else {
            let known: Vec<&str> = self.functions.keys().map(String::as_str).collect();
            let known = known.join(", ");
            let text = format!("no task is registered as `{name}`; there are: {known}");
            return Err(TaskError::Refused(text));
        };
        function(&args).map_err(TaskError::Raised)
    }
}

/// Creates tasks for a worker in either language. See [`Tasks`].
pub struct Task;

impl Task {
    /// Returns the function itself if there are no arguments, otherwise `functools.partial(module.name, *args, **keywords)`.
    ///
    /// ```
    /// use multiprocessing_managers::{Args, Task};
    ///
    /// let task = Task::call("builtins", "print", Args::new(["hello".into()]));
    /// assert_eq!(task.to_string(), "functools.partial(<built-in function print>, 'hello')");
    /// ```
    pub fn call(module: &str, name: &str, args: Args) -> Value {
        let function = Value::global(module.to_owned(), name.to_owned());
        if args.positional.is_empty() && args.keywords.is_empty() {
            return function;
        }
        Partial::new(function, args.positional, args.keywords).into()
    }
}

/// Returns the name of the function, and all its arguments.
fn call(task: &Value) -> Result<(String, Args), String> {
    let mut layers = vec![];
    let mut inner = task.clone();
    let name = loop {
        match &*inner.node() {
            Value::Global(function) => break function.to_string(),
            _ if layers.len() == LAYERS => return Err(format!("more than {LAYERS} partials")),
            _ => {}
        }
        let Some(layer) = Partial::of(&inner) else {
            let shown: String = task.to_string().chars().take(200).collect();
            return Err(format!(
                "{shown} is neither a function nor a partial of one"
            ));
        };
        inner = layer.function.clone();
        layers.push(layer);
    };
    let mut args = Args::default();
    for layer in layers.iter().rev() {
        args.positional.extend(layer.arguments.iter().cloned());
        let keywords = layer.keywords.node();
        let pairs = match &*keywords {
            Value::Dict(pairs) => &pairs[..],
            Value::None => &[],
            other => {
                return Err(format!(
                    "expected a dict of keywords of {name}, found {other}"
                ));
            }
        };
        for (key, value) in pairs {
            let Some(key) = key.as_str() else {
                return Err(format!(
                    "expected a str as a keyword of {name}, found {key}"
                ));
            };
            match args.keywords.iter_mut().find(|(known, _)| **known == *key) {
                Some((_, known)) => *known = value.clone(),
                None => args.keywords.push((key.into(), value.clone())),
            }
        }
    }
    Ok((name, args))
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TaskError::Refused(why) => write!(f, "refused: {why}"),
            TaskError::Raised(exception) => write!(f, "{exception}"),
        }
    }
}

impl std::error::Error for TaskError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks() -> Tasks {
        let say = |args: &Args| {
            let keywords = args.keywords.iter();
            let keywords = keywords.map(|(name, value)| format!("{name}={value}"));
            let positional = args.positional.iter().map(Value::to_string);
            let all: Vec<String> = positional.chain(keywords).collect();
            Ok(all.join(" ").into())
        };
        Tasks::new()
            .register("builtins.print", say)
            .register("__main__.fail", |_| Err(Exception::value_error("no")))
    }

    fn said(task: &Value) -> String {
        match tasks().run(task) {
            Ok(value) => value.as_str().unwrap().to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn functions_and_partials() {
        let print = Task::call("builtins", "print", Args::default());
        assert!(matches!(print, Value::Global(_)));
        assert_eq!(said(&print), "");
        let args = Args::new([1i64.into(), "x".into()]).keyword("sep", 2i64);
        let task = Task::call("builtins", "print", args);
        assert_eq!(said(&task), "1 'x' sep=2");
        // multiprocessing's form, around the other.
        let rebuild = Value::global("multiprocessing.reduction", "_rebuild_partial");
        let keywords = [("end".into(), 4i64.into()), ("sep".into(), 3i64.into())];
        let args = Value::tuple([5i64.into()]);
        let outer = Value::call(rebuild, [task, args, Value::Dict(keywords.into())]);
        assert_eq!(said(&outer), "1 'x' 5 sep=3 end=4");
    }

    /// `partial(print, 'a', sep='x')`, by `pickle` with protocol 2 and by multiprocessing.
    #[test]
    fn pickles_of_python() {
        let plain = b"\x80\x02cfunctools\npartial\nq\x00c__builtin__\nprint\nq\x01\x85q\x02Rq\x03(h\x01X\x01\x00\x00\
            \x00aq\x04\x85q\x05}q\x06X\x03\x00\x00\x00sepq\x07X\x01\x00\x00\x00xq\x08sNtq\tb.";
        let forking = b"\x80\x04\x95^\x00\x00\x00\x00\x00\x00\x00\x8c\x19multiprocessing.reduction\x94\x8c\x10\
            _rebuild_partial\x94\x93\x94\x8c\x08builtins\x94\x8c\x05print\x94\x93\x94\x8c\x01a\x94\x85\x94}\x94\
            \x8c\x03sep\x94\x8c\x01x\x94s\x87\x94R\x94.";
        for pickle in [&plain[..], forking] {
            assert_eq!(said(&pickle_value::loads(pickle).unwrap()), "'a' sep='x'");
        }
    }

    #[test]
    fn what_is_refused() {
        let stranger = Task::call("os", "system", Args::new(["ls".into()]));
        let text = "refused: no task is registered as `os.system`; there are: __main__.fail, builtins.print";
        assert_eq!(said(&stranger), text);
        assert_eq!(
            said(&1i64.into()),
            "refused: 1 is neither a function nor a partial of one"
        );
        let made = Value::call(Value::global("builtins", "print"), []);
        assert!(said(&made).starts_with("refused: "));
        let failing = Task::call("__main__", "fail", Args::default());
        assert_eq!(said(&failing), "ValueError: no");
    }

    /// A partial of itself, and one of many.
    #[test]
    fn partials_have_a_limit() {
        let rebuild = |function: Value| {
            let callable = Value::global("multiprocessing.reduction", "_rebuild_partial");
            Value::call(
                callable,
                [function, Value::tuple([]), Value::Dict([].into())],
            )
        };
        let circle = Value::Knot([rebuild(Value::Inner(0))].into(), 0);
        assert!(call(&circle).is_err());
        let print = Value::global("builtins", "print");
        let nested = |layers| (0..layers).fold(print.clone(), |inner, _| rebuild(inner));
        assert_eq!(call(&nested(LAYERS)).unwrap().0, "builtins.print");
        assert!(call(&nested(LAYERS + 1)).is_err());
    }
}
