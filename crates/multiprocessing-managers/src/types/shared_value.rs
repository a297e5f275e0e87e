//! `Value`: one value.

use std::mem;
use std::sync::Arc;

use pickle_value::{Exception, Value};

use super::namespace::made;
use crate::args::Args;
use crate::caller::Caller;
use crate::referent::{Failure, Referent, Reply};
use crate::sync::{Mutex, lock};

/// A shared value: Python's `multiprocessing.managers.Value`.
///
/// Any value may be set, as in Python; the typecode is only shown.
///
/// ```
/// use multiprocessing_managers::types::SharedValue;
/// use multiprocessing_managers::{Args, Referent};
///
/// let value = SharedValue::new(Args::new(["i".into(), 7.into()])).unwrap();
/// assert_eq!(value.repr().unwrap(), "Value('i', 7)");
/// ```
pub struct SharedValue {
    typecode: Mutex<Value>,
    value: Mutex<Value>,
}

impl SharedValue {
    const EXPOSED: &[&str] = &["get", "set"];

    /// Creates `Value(typecode, value, lock=True)`; the lock is ignored.
    ///
    /// # Errors
    ///
    /// `TypeError` for missing or surplus arguments.
    pub fn new(args: Args) -> Result<Arc<Self>, Exception> {
        let [typecode, value, _lock] = args.bind(
            "Value.__init__",
            [
                ("typecode", None),
                ("value", None),
                ("lock", Some(true.into())),
            ],
        )?;
        Ok(Arc::new(SharedValue {
            typecode: Mutex::new(typecode),
            value: Mutex::new(value),
        }))
    }

    fn typecode(&self) -> Value {
        lock(&self.typecode).clone()
    }

    fn get(&self) -> Value {
        lock(&self.value).clone()
    }

    fn set(&self, value: Value) {
        let old = mem::replace(&mut *lock(&self.value), value);
        drop(old);
    }
}

impl Referent for SharedValue {
    fn typeid(&self) -> &'static str {
        "Value"
    }

    fn exposed(&self) -> &'static [&'static str] {
        Self::EXPOSED
    }

    fn call(&self, _caller: &Arc<Caller>, method: &str, args: Args) -> Result<Reply, Failure> {
        Ok(match method {
            "get" => {
                let [] = args.bind("Value.get", [])?;
                self.get().into()
            }
            "set" => {
                let [value] = args.bind("Value.set", [("value", None)])?;
                self.set(value);
                ().into()
            }
            _ => return Err(Failure::no_method(method)),
        })
    }

    fn repr(&self) -> Result<String, Failure> {
        let (typecode, value) = (self.typecode().repr()?, self.get().repr()?);
        Ok(format!("Value({typecode}, {value})"))
    }

    fn value(&self) -> Result<Value, Failure> {
        let typecode = ("_typecode".into(), self.typecode());
        let value = ("_value".into(), self.get());
        Ok(made("Value", Value::Dict([typecode, value].into())))
    }

    fn visit(&self, see: &mut dyn FnMut(&Value)) {
        see(&lock(&self.typecode));
        see(&lock(&self.value));
    }

    fn clear(&self) {
        let typecode = mem::replace(&mut *lock(&self.typecode), Value::None);
        drop(typecode);
        self.set(Value::None);
    }
}

#[cfg(test)]
mod tests {
    use pickle_value::{Object, Step};

    use super::*;
    use crate::types::trial::{answer, proxy};

    #[test]
    fn holds_anything() {
        let value = SharedValue::new(Args::new(["i".into(), 5.into()])).unwrap();
        assert_eq!(value.repr().unwrap(), "Value('i', 5)");
        assert_eq!(answer(&*value, "set", ["x".into()]), "None");
        assert_eq!(answer(&*value, "get", []), "'x'");
        let Value::Object(object) = value.value().unwrap() else {
            panic!("no object");
        };
        let Object { steps, .. } = &*object;
        assert!(matches!(&steps[..], [Step::State(state)]
            if state.to_string() == "{'_typecode': 'i', '_value': 'x'}"));
        value.set(proxy("ValueProxy", value.clone()));
        assert_eq!(Arc::strong_count(&value), 2);
        value.clear();
        assert_eq!(Arc::strong_count(&value), 1);
    }
}
