//! `Namespace`: an object with attributes.

use std::borrow::Cow;
use std::mem;
use std::sync::Arc;

use pickle_value::{Exception, Key, Make, Object, Step, Value, Walk};

use super::dict::Table;
use super::values::quoted;
use crate::args::Args;
use crate::caller::Caller;
use crate::referent::{Failure, Referent, Reply};
use crate::sync::{Mutex, lock};

/// The methods that every instance inherits.
const METHODS: &[&str] = &[
    "__delattr__",
    "__dir__",
    "__eq__",
    "__format__",
    "__ge__",
    "__getattribute__",
    "__getstate__",
    "__gt__",
    "__hash__",
    "__init__",
    "__le__",
    "__lt__",
    "__ne__",
    "__reduce__",
    "__reduce_ex__",
    "__repr__",
    "__setattr__",
    "__sizeof__",
    "__str__",
];

/// A shared object with attributes: Python's `multiprocessing.managers.Namespace`. Its class cannot be changed.
///
/// ```
/// use multiprocessing_managers::types::Namespace;
/// use multiprocessing_managers::{Args, Referent};
///
/// let namespace = Namespace::new(Args::default().keyword("x", 1)).unwrap();
/// assert_eq!(namespace.repr().unwrap(), "Namespace(x=1)");
/// ```
pub struct Namespace {
    /// The `__dict__`. A client may set one whose keys are not names.
    table: Mutex<Table>,
}

impl Namespace {
    const EXPOSED: &[&str] = &["__getattribute__", "__setattr__", "__delattr__"];

    /// Creates `Namespace(**attributes)`.
    ///
    /// # Errors
    ///
    /// `TypeError` for other arguments.
    pub fn new(args: Args) -> Result<Arc<Self>, Exception> {
        if !args.positional.is_empty() {
            let given = args.positional.len() + 1;
            return Err(Exception::type_error(format!(
                "Namespace.__init__() takes 1 positional argument but {given} were given"
            )));
        }
        let mut table = Table::default();
        for (name, value) in args.keywords {
            table.set(Key::new(name.into())?, value);
        }
        Ok(Arc::new(Namespace {
            table: Mutex::new(table),
        }))
    }

    /// Calls the closure under the lock. Its result is dropped after the lock.
    fn with<R>(&self, f: impl FnOnce(&mut Table) -> R) -> R {
        f(&mut lock(&self.table))
    }

    fn get(&self, name: Value) -> Result<Value, Exception> {
        let (key, text) = named(name)?;
        let class = || Value::global("multiprocessing.managers", "Namespace");
        let method = |of| {
            let name = Value::from(&*text);
            Value::call(Value::global("builtins", "getattr"), [of, name])
        };
        match &*text {
            "__class__" => return Ok(class()),
            "__dict__" => return Ok(self.with(|table| table.copy())),
            "__weakref__" => return Ok(Value::None),
            _ => {}
        }
        if let Some(value) = self.with(|table| table.get(&key).cloned()) {
            return Ok(value);
        }
        match &*text {
            "__doc__" => Ok(Value::None),
            "__module__" => Ok("multiprocessing.managers".into()),
            "__new__" => Ok(method(Value::global("builtins", "object"))),
            "__init_subclass__" | "__subclasshook__" => Ok(method(class())),
            // Python pickles a method with a copy of its object.
            name if METHODS.contains(&name) => Ok(method(self.pickled())),
            _ => Err(missing(key.value())),
        }
    }

    fn set(&self, name: Value, value: Value) -> Result<(), Exception> {
        let (key, text) = named(name)?;
        match &*text {
            "__class__" => Err(Exception::type_error(match value.type_name() {
                name if name == "type" => {
                    "__class__ assignment only supported for mutable types or ModuleType subclasses"
                        .to_owned()
                }
                name => format!("__class__ must be set to a class, not '{name}' object"),
            })),
            "__dict__" => {
                let Value::Dict(pairs) = &*value.node() else {
                    let name = value.type_name();
                    return Err(Exception::type_error(format!(
                        "__dict__ must be set to a dictionary, not a '{name}'"
                    )));
                };
                let (mut new, mut walk) = (Table::default(), Walk::new());
                for (key, value) in pairs.iter() {
                    new.set(walk.hash(key)?, value.clone());
                }
                drop(self.with(|table| mem::replace(table, new)));
                Ok(())
            }
            "__weakref__" => Err(not_writable()),
            _ => {
                drop(self.with(|table| table.set(key, value)));
                Ok(())
            }
        }
    }

    fn delete(&self, name: Value) -> Result<(), Exception> {
        let (key, text) = named(name)?;
        match &*text {
            "__class__" => Err(Exception::type_error("can't delete __class__ attribute")),
            "__dict__" => {
                self.clear();
                Ok(())
            }
            "__weakref__" => Err(not_writable()),
            _ => match self.with(|table| table.remove(&key)) {
                Some(_) => Ok(()),
                None => Err(missing(key.value())),
            },
        }
    }

    fn pickled(&self) -> Value {
        made("Namespace", self.with(|table| table.copy()))
    }
}

/// Returns an object of `multiprocessing.managers`, as Python pickles it.
pub(crate) fn made(class: &'static str, state: Value) -> Value {
    Value::Object(Arc::new(Object {
        make: Make::New {
            class: Value::global("multiprocessing.managers", class),
            arguments: Value::tuple([]),
            keywords: None,
        },
        steps: vec![Step::State(state)],
    }))
}

fn named(name: Value) -> Result<(Key, String), Exception> {
    let Some(text) = text(&name) else {
        let name = name.type_name();
        return Err(Exception::type_error(format!(
            "attribute name must be string, not '{name}'"
        )));
    };
    let text = text.into_owned();
    Ok((Key::new(name)?, text))
}

/// Returns the text of a `str`, with lone surrogates escaped as in a `repr`.
fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Str(text) => Some(Cow::Borrowed(text)),
        Value::Surrogates(_) => value.str().ok().map(Cow::Owned),
        _ => None,
    }
}

fn missing(name: &Value) -> Exception {
    let before = "'Namespace' object has no attribute '";
    Exception::new("builtins", "AttributeError", [quoted(before, name)])
}

fn not_writable() -> Exception {
    let text = "attribute '__weakref__' of 'Namespace' objects is not writable";
    Exception::attribute_error(text)
}

impl Referent for Namespace {
    fn typeid(&self) -> &'static str {
        "Namespace"
    }

    fn exposed(&self) -> &'static [&'static str] {
        Self::EXPOSED
    }

    fn call(&self, _caller: &Arc<Caller>, method: &str, args: Args) -> Result<Reply, Failure> {
        Ok(match method {
            "__getattribute__" => {
                let [name] = args.slot(method)?;
                self.get(name)?.into()
            }
            "__setattr__" => {
                let [name, value] = args.slot(method)?;
                self.set(name, value)?.into()
            }
            "__delattr__" => {
                let [name] = args.slot(method)?;
                self.delete(name)?.into()
            }
            _ => return Err(Failure::no_method(method)),
        })
    }

    fn repr(&self) -> Result<String, Failure> {
        Ok(self.pickled().repr()?)
    }

    fn value(&self) -> Result<Value, Failure> {
        Ok(self.pickled())
    }

    fn visit(&self, see: &mut dyn FnMut(&Value)) {
        self.with(|table| {
            for (key, value) in table.pairs() {
                see(key);
                see(value);
            }
        });
    }

    fn clear(&self) {
        drop(self.with(mem::take));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::trial::{answer, proxy};

    fn namespace() -> Arc<Namespace> {
        let args = Args::default()
            .keyword("b", 1)
            .keyword("a", "x")
            .keyword("_c", 2);
        Namespace::new(args).unwrap()
    }

    #[test]
    fn shows_public_names_in_order() {
        let namespace = namespace();
        assert_eq!(namespace.repr().unwrap(), "Namespace(a='x', b=1)");
        let itself = proxy("NamespaceProxy", namespace.clone());
        assert_eq!(
            answer(&*namespace, "__setattr__", ["me".into(), itself]),
            "None"
        );
        assert!(
            namespace
                .repr()
                .unwrap()
                .contains("me=<NamespaceProxy object")
        );
        let mut seen = 0;
        namespace.visit(&mut |_| seen += 1);
        assert_eq!((seen, Arc::strong_count(&namespace)), (8, 2));
        namespace.clear();
        assert_eq!(Arc::strong_count(&namespace), 1);
    }

    #[test]
    fn its_methods_are_sent_as_python_does() {
        let namespace = namespace();
        let get = |name: &str| namespace.get(name.into()).unwrap();
        let method = get("__init__").called("builtins", "getattr").unwrap();
        assert_eq!(method[1].as_str(), Some("__init__"));
        let Value::Object(object) = &method[0] else {
            panic!("{}", method[0]);
        };
        assert!(
            matches!(&object.make, Make::New { class: Value::Global(class), .. }
            if class.to_string() == "multiprocessing.managers.Namespace")
        );
        let [Step::State(state)] = &object.steps[..] else {
            panic!("no state");
        };
        assert_eq!(state.to_string(), "{'b': 1, 'a': 'x', '_c': 2}");
        assert!(matches!(get("__class__"), Value::Global(_)));
        let new = get("__new__").called("builtins", "getattr").unwrap();
        assert!(matches!(&new[0], Value::Global(class) if class.name == "object"));
    }
}
