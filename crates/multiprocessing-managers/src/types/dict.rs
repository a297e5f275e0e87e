//! `dict` and its iterators.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::mem;
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use pickle_value::{Address, Exception, Global, Key, MOST, Proxy, Value, Walk};

use super::values::{elements, pairs};
use crate::args::Args;
use crate::caller::Caller;
use crate::referent::{Failure, Kept, Referent, Reply, referent};
use crate::sync::{Mutex, lock};

/// Keys and values, in the order in which the keys were inserted.
#[derive(Default)]
pub struct Table {
    places: HashMap<Key, u64>,
    entries: BTreeMap<u64, (Key, Value)>,
    next: u64,
}

/// A shared `dict`: Python's `SyncManager.dict`.
///
/// Each call is atomic. `keys`, `values` and `items` return lists, as CPython's server sends them. Updating a dict
/// from a proxy of itself uses the items from before the call. If as many items were removed as added, an iterator
/// continues with the next unseen item; CPython's may skip some.
///
/// ```
/// use multiprocessing_managers::types::Dict;
/// use multiprocessing_managers::{Args, Referent, Value};
///
/// let pairs = Value::dict([("a", 1)]).unwrap();
/// let dict = Dict::new(Args::new([pairs]).keyword("b", 2)).unwrap();
/// assert_eq!(dict.repr().unwrap(), "{'a': 1, 'b': 2}");
/// ```
pub struct Dict {
    table: Mutex<Table>,
    /// The dict itself, for its iterators.
    this: Weak<Dict>,
}

/// An iterator over the keys of a [`Dict`]. It keeps the dict alive.
pub struct DictIterator {
    state: Mutex<State>,
}

struct State {
    /// The dict as a proxy, so that the collector sees the reference; `None` at the end of the iteration.
    dict: Option<Value>,
    /// The number of keys at the start; `None` once it has changed.
    length: Option<usize>,
    next: u64,
    left: usize,
}

impl Table {
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn get(&self, key: &Key) -> Option<&Value> {
        let (_, value) = self.entries.get(self.places.get(key)?)?;
        Some(value)
    }

    /// Sets an item. If an equal key exists, keeps it and returns the new key and the old value.
    pub fn set(&mut self, key: Key, value: Value) -> Option<(Key, Value)> {
        let next = self.next;
        let place = *self.places.entry(key.clone()).or_insert(next);
        match self.entries.get_mut(&place) {
            Some((_, old)) => Some((key, mem::replace(old, value))),
            None => {
                self.next += 1;
                self.entries.insert(place, (key, value));
                None
            }
        }
    }

    pub fn remove(&mut self, key: &Key) -> Option<(Key, Value)> {
        let place = self.places.remove(key)?;
        self.entries.remove(&place)
    }

    fn pop(&mut self) -> Option<(Key, Value)> {
        let (place, (key, value)) = self.entries.pop_last()?;
        self.places.remove(&key);
        // The next key takes the same place, as in CPython, so an iterator past that place does not see it.
        self.next = place;
        Some((key, value))
    }

    pub fn pairs(&self) -> impl Iterator<Item = (&Value, &Value)> {
        self.entries
            .values()
            .map(|(key, value)| (key.value(), value))
    }

    /// Returns the dict as a value.
    pub fn copy(&self) -> Value {
        Value::Dict(
            self.pairs()
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
        )
    }
}

impl Dict {
    const EXPOSED: &[&str] = &[
        "__contains__",
        "__delitem__",
        "__getitem__",
        "__iter__",
        "__len__",
        "__setitem__",
        "clear",
        "copy",
        "get",
        "items",
        "keys",
        "pop",
        "popitem",
        "setdefault",
        "update",
        "values",
        "__iter__",
    ];

    /// Creates `dict()`, `dict(mapping)` or `dict(pairs)`, each with keywords.
    ///
    /// # Errors
    ///
    /// `TypeError` or `ValueError` for an argument that is neither a mapping nor pairs, `TypeError` for a key that Python does
    /// not hash.
    pub fn new(args: Args) -> Result<Arc<Self>, Exception> {
        let dict = Arc::new_cyclic(|this| Dict {
            table: Mutex::default(),
            this: this.clone(),
        });
        dict.update("dict", args)?;
        Ok(dict)
    }

    /// Calls the closure under the lock. Its result is dropped after the lock.
    fn with<R>(&self, f: impl FnOnce(&mut Table) -> R) -> R {
        f(&mut lock(&self.table))
    }

    fn contains(&self, key: Value) -> Result<bool, Exception> {
        let key = Key::new(key)?;
        Ok(self.with(|table| table.get(&key).is_some()))
    }

    fn get(&self, key: Value) -> Result<Option<Value>, Exception> {
        let key = Key::new(key)?;
        Ok(self.with(|table| table.get(&key).cloned()))
    }

    fn get_item(&self, key: Value) -> Result<Value, Exception> {
        self.get(key.clone())?
            .ok_or_else(|| Exception::key_error(key))
    }

    fn set(&self, key: Value, value: Value) -> Result<(), Exception> {
        let key = Key::new(key)?;
        drop(self.with(|table| table.set(key, value)));
        Ok(())
    }

    fn delete(&self, key: Value) -> Result<(), Exception> {
        let hashed = Key::new(key.clone())?;
        match self.with(|table| table.remove(&hashed)) {
            Some(_) => Ok(()),
            None => Err(Exception::key_error(key)),
        }
    }

    fn pop(&self, key: Value, default: Option<Value>) -> Result<Value, Exception> {
        let missing = |key| default.ok_or_else(|| Exception::key_error(key));
        // CPython does not hash a key for an empty dict.
        if self.with(|table| table.len()) == 0 {
            return missing(key);
        }
        let hashed = Key::new(key.clone())?;
        match self.with(|table| table.remove(&hashed)) {
            Some((_, value)) => Ok(value),
            None => missing(key),
        }
    }

    fn pop_item(&self) -> Result<Value, Exception> {
        match self.with(Table::pop) {
            Some((key, value)) => Ok(Value::tuple([key.into_value(), value])),
            None => {
                let text = "popitem(): dictionary is empty".into();
                Err(Exception::key_error(text))
            }
        }
    }

    fn set_default(&self, key: Value, default: Value) -> Result<Value, Exception> {
        let key = Key::new(key)?;
        Ok(self.with(|table| match table.get(&key) {
            Some(value) => value.clone(),
            None => {
                table.set(key.clone(), default.clone());
                default.clone()
            }
        }))
    }

    fn update(&self, function: impl Display, args: Args) -> Result<(), Exception> {
        let keywords = args.keywords;
        let positional = Args::new(args.positional);
        let [other] = positional.at_most(function, 0)?;
        let (mut new, mut walk) = (vec![], Walk::new());
        let mut result = other
            .as_ref()
            .map_or(Ok(()), |other| collect(other, &mut walk, &mut new));
        if result.is_ok() {
            let named = keywords
                .into_iter()
                .map(|(name, value)| (name.into(), value));
            result = hash(named, &mut walk, &mut new);
        }
        // Items before the first error stay, as in CPython.
        let old: Vec<_> = self.with(|table| {
            let set = |(key, value)| table.set(key, value);
            new.into_iter().map(set).collect()
        });
        drop(old);
        result
    }

    fn iterator(&self) -> DictIterator {
        let left = self.with(|table| table.len());
        DictIterator {
            state: Mutex::new(State {
                dict: self.this.upgrade().map(reference),
                length: Some(left),
                next: 0,
                left,
            }),
        }
    }
}

impl Referent for Dict {
    fn typeid(&self) -> &'static str {
        "dict"
    }

    fn exposed(&self) -> &'static [&'static str] {
        Self::EXPOSED
    }

    fn call(&self, _caller: &Arc<Caller>, method: &str, args: Args) -> Result<Reply, Failure> {
        let function = format_args!("dict.{method}");
        let list = |f: &dyn Fn((&Value, &Value)) -> Value| {
            Reply::Value(self.with(|table| Value::list(table.pairs().map(f))))
        };
        // `several` ensures that there is a first argument.
        let key = |key: Option<Value>| key.unwrap_or(Value::None);
        Ok(match method {
            "__len__" => {
                let [] = args.slot(method)?;
                self.with(|table| table.len()).into()
            }
            "__contains__" => self.contains(args.one(function)?)?.into(),
            "__getitem__" => self.get_item(args.one(function)?)?.into(),
            "__setitem__" => {
                let [key, value] = args.slot(method)?;
                self.set(key, value)?.into()
            }
            "__delitem__" => {
                let [key] = args.slot(method)?;
                self.delete(key)?.into()
            }
            "__iter__" => {
                let [] = args.slot(method)?;
                Reply::Object(Arc::new(self.iterator()))
            }
            "clear" => {
                args.none(function)?;
                self.clear();
                ().into()
            }
            "copy" => {
                args.none(function)?;
                self.with(|table| table.copy()).into()
            }
            "keys" => {
                args.none(function)?;
                list(&|(key, _)| key.clone())
            }
            "values" => {
                args.none(function)?;
                list(&|(_, value)| value.clone())
            }
            "items" => {
                args.none(function)?;
                list(&|(key, value)| Value::tuple([key.clone(), value.clone()]))
            }
            "get" => {
                let [wanted, default] = args.several(function, 1)?;
                let found = self.get(key(wanted))?;
                found.or(default).unwrap_or(Value::None).into()
            }
            "pop" => {
                let [wanted, default] = args.several(function, 1)?;
                self.pop(key(wanted), default)?.into()
            }
            "popitem" => {
                args.none(function)?;
                self.pop_item()?.into()
            }
            "setdefault" => {
                let [wanted, default] = args.several(function, 1)?;
                let default = default.unwrap_or(Value::None);
                self.set_default(key(wanted), default)?.into()
            }
            "update" => self.update(function, args)?.into(),
            _ => return Err(Failure::no_method(method)),
        })
    }

    fn repr(&self) -> Result<String, Failure> {
        Ok(self.with(|table| table.copy()).repr()?)
    }

    fn value(&self) -> Result<Value, Failure> {
        Ok(self.with(|table| table.copy()))
    }

    fn elements(&self) -> Option<Vec<Value>> {
        let keys = |table: &mut Table| {
            table
                .pairs()
                .map(|(key, _)| key.clone())
                .take(MOST + 1)
                .collect()
        };
        Some(self.with(keys))
    }

    fn pairs(&self) -> Option<Vec<(Value, Value)>> {
        let clone = |(key, value): (&Value, &Value)| (key.clone(), value.clone());
        Some(self.with(|table| table.pairs().map(clone).collect()))
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

/// Returns a proxy that is never sent.
fn reference(dict: Arc<Dict>) -> Value {
    Value::Proxy(Arc::new(Proxy {
        class: Arc::new(Global {
            module: "multiprocessing.managers".into(),
            name: "DictProxy".into(),
        }),
        typeid: dict.typeid().into(),
        address: Address::Unix(PathBuf::new()),
        ident: "".into(),
        exposed: None,
        keep: Some(Arc::new(Kept::new(dict))),
    }))
}

impl State {
    fn dict(&self) -> Option<Arc<Dict>> {
        let object: Arc<dyn Any + Send + Sync> = referent(self.dict.as_ref()?)?;
        object.downcast().ok()
    }
}

impl DictIterator {
    const EXPOSED: &[&str] = &["__next__", "send", "throw", "close"];

    fn next(&self) -> Result<Value, Exception> {
        let dict = lock(&self.state).dict();
        let Some(dict) = dict else {
            return Err(Exception::stop_iteration());
        };
        // Drop this before the dict, because this may be its last clone.
        let mut state = lock(&self.state);
        let table = lock(&dict.table);
        if state.length != Some(table.len()) {
            state.length = None;
            return Err(changed("changed size"));
        }
        let next = table.entries.range(state.next..).next();
        match next {
            Some((place, (key, _))) if state.left > 0 => {
                state.next = place + 1;
                state.left -= 1;
                Ok(key.value().clone())
            }
            _ => {
                state.dict = None;
                Err(next.map_or_else(Exception::stop_iteration, |_| changed("keys changed")))
            }
        }
    }
}

fn changed(what: &str) -> Exception {
    Exception::runtime_error(format!("dictionary {what} during iteration"))
}

impl Referent for DictIterator {
    fn typeid(&self) -> &'static str {
        "Iterator"
    }

    fn exposed(&self) -> &'static [&'static str] {
        Self::EXPOSED
    }

    fn call(&self, _caller: &Arc<Caller>, method: &str, args: Args) -> Result<Reply, Failure> {
        match method {
            "__next__" => {
                let [] = args.slot(method)?;
                Ok(self.next()?.into())
            }
            // `send`, `throw` and `close` are exposed, but only generators have them.
            _ => Err(Failure::no_method(method)),
        }
    }

    fn repr(&self) -> Result<String, Failure> {
        Ok(format!("<dict_keyiterator object at {self:p}>"))
    }

    /// Returns an iterator over a list of the remaining keys, as Python pickles it.
    fn value(&self) -> Result<Value, Failure> {
        let state = lock(&self.state);
        let mut left = vec![];
        if let Some(dict) = state.dict() {
            let table = lock(&dict.table);
            if state.length != Some(table.len()) {
                let error = changed("changed size");
                return Err(Failure::Unserializable(error.to_string()));
            }
            let keys = table.entries.range(state.next..).take(state.left);
            left = keys.map(|(_, (key, _))| key.value().clone()).collect();
        }
        let iter = Value::global("builtins", "iter");
        Ok(Value::call(iter, [Value::list(left)]))
    }

    fn visit(&self, see: &mut dyn FnMut(&Value)) {
        lock(&self.state).dict.iter().for_each(see);
    }

    fn clear(&self) {
        let dict = lock(&self.state).dict.take();
        drop(dict);
    }
}

/// Adds the pairs of a mapping or of a sequence of pairs, up to the first item that is not a pair.
fn collect(other: &Value, walk: &mut Walk, into: &mut Vec<(Key, Value)>) -> Result<(), Exception> {
    if let Some(pairs) = pairs(other) {
        return hash(pairs, walk, into);
    }
    for (index, element) in elements(other)?.iter().enumerate() {
        let pair = elements(element).map_err(|error| match error.is("builtins", "TypeError") {
            true => Exception::type_error(format!(
                "cannot convert dictionary update sequence element #{index} to a sequence"
            )),
            false => error,
        })?;
        let length = pair.len();
        let Ok([key, value]) = <[Value; 2]>::try_from(pair) else {
            return Err(Exception::value_error(format!(
                "dictionary update sequence element #{index} has length {length}; 2 is required"
            )));
        };
        into.push((walk.hash(&key)?, value));
    }
    Ok(())
}

fn hash(
    pairs: impl IntoIterator<Item = (Value, Value)>,
    walk: &mut Walk,
    into: &mut Vec<(Key, Value)>,
) -> Result<(), Exception> {
    for (key, value) in pairs {
        into.push((walk.hash(&key)?, value));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::List;
    use crate::types::trial::{answer, local, proxy};

    fn dict(pairs: &[(&str, i64)]) -> Arc<Dict> {
        let pairs = Value::dict(pairs.iter().copied()).unwrap();
        Dict::new(Args::new([pairs])).unwrap()
    }

    fn iterator(dict: &Dict) -> Arc<dyn Referent> {
        match dict.call(&local(), "__iter__", Args::default()) {
            Ok(Reply::Object(iterator)) => iterator,
            _ => panic!("no iterator"),
        }
    }

    #[test]
    fn goes_on_when_others_remove() {
        let dict = dict(&[("a", 1), ("b", 2), ("c", 3)]);
        let keys = iterator(&dict);
        assert_eq!((keys.typeid(), keys.exposed()[0]), ("Iterator", "__next__"));
        assert_eq!(answer(&*keys, "__next__", []), "'a'");
        assert_eq!(answer(&*dict, "__delitem__", ["b".into()]), "None");
        let changed = "RuntimeError: dictionary changed size during iteration";
        assert_eq!(answer(&*keys, "__next__", []), changed);
        assert_eq!(
            answer(&*dict, "__setitem__", ["b".into(), 2.into()]),
            "None"
        );
        assert_eq!(answer(&*keys, "__next__", []), changed);
        let keys = iterator(&dict);
        for key in ["'a'", "'c'", "'b'", "StopIteration", "StopIteration"] {
            assert_eq!(answer(&*keys, "__next__", []), key);
        }
    }

    #[test]
    fn an_iterator_keeps_the_table() {
        let dict = dict(&[("a", 1), ("b", 2)]);
        let keys = iterator(&dict);
        drop(dict);
        assert_eq!(answer(&*keys, "__next__", []), "'a'");
        let rest = keys.value().unwrap().called("builtins", "iter").unwrap();
        assert_eq!(rest[0].to_string(), "['b']");
        assert!(
            keys.repr()
                .unwrap()
                .starts_with("<dict_keyiterator object at 0x")
        );
        for method in ["send", "throw", "close"] {
            let failed = format!("Traceback(\"KeyError: '{method}'\")");
            assert_eq!(answer(&*keys, method, []), failed);
        }
        keys.clear();
        assert_eq!(answer(&*keys, "__next__", []), "StopIteration");
    }

    #[test]
    fn takes_what_a_proxy_stands_for() {
        let (first, second) = (dict(&[("a", 1)]), dict(&[("a", 2), ("b", 3)]));
        let second = proxy("DictProxy", second);
        assert_eq!(answer(&*first, "update", [second.clone()]), "None");
        let itself = proxy("DictProxy", first.clone());
        assert_eq!(answer(&*first, "update", [itself]), "None");
        assert_eq!(first.repr().unwrap(), "{'a': 2, 'b': 3}");
        assert_eq!(
            Dict::new(Args::new([second.clone()]))
                .unwrap()
                .repr()
                .unwrap(),
            "{'a': 2, 'b': 3}"
        );
        // Iterated over it gives keys.
        let keys = List::new(Args::new([second])).unwrap();
        assert_eq!(keys.repr().unwrap(), "['a', 'b']");
        let pair = proxy("ListProxy", keys);
        assert_eq!(answer(&*first, "update", [Value::list([pair])]), "None");
        assert_eq!(first.repr().unwrap(), "{'a': 'b', 'b': 3}");
    }

    #[test]
    fn takes_the_dicts_of_collections() {
        use pickle_value::{Make, Object, Step};
        let ordered = Value::Object(Arc::new(Object {
            make: Make::Call {
                callable: Value::global("collections", "OrderedDict"),
                arguments: Value::tuple([]),
            },
            steps: vec![Step::Set(vec![
                ("b".into(), 1.into()),
                ("a".into(), 2.into()),
            ])],
        }));
        let counted = Value::dict([("a", 3)]).unwrap();
        let counter = Value::call(Value::global("collections", "Counter"), [counted]);
        let dict = Dict::new(Args::new([ordered])).unwrap();
        assert_eq!(answer(&*dict, "update", [counter]), "None");
        assert_eq!(dict.repr().unwrap(), "{'b': 1, 'a': 3}");
    }

    #[test]
    fn removes_from_the_middle_in_no_time() {
        let dict = dict(&[]);
        let numbers = 0..200_000i64;
        for number in numbers.clone() {
            dict.set(number.into(), number.into()).unwrap();
        }
        for number in numbers.clone().filter(|number| number % 3 != 0) {
            dict.delete(number.into()).unwrap();
        }
        let left: Vec<i64> = numbers.filter(|number| number % 3 == 0).collect();
        let keys = Referent::elements(&*dict).unwrap();
        assert!(keys.iter().map(|key| key.as_int().unwrap()).eq(left));
        assert_eq!(dict.with(|table| table.places.len()), keys.len());
    }

    #[test]
    fn makes_no_more_than_fits() {
        let range = Value::global("builtins", "range");
        let range = Value::call(range, [Value::from(MOST + 1)]);
        assert!(Dict::new(Args::new([range])).is_err());
    }

    #[test]
    fn one_update_takes_so_many_steps() {
        let double = |inner: Value, _| Value::tuple([inner.clone(), inner]);
        let key = (0..20).fold(Value::from(0.5), double);
        let pairs = Value::list((0..2000).map(|_| Value::tuple([key.clone(), 1.into()])));
        let dict = dict(&[]);
        let deep = "RecursionError: maximum recursion depth exceeded";
        assert_eq!(answer(&*dict, "update", [pairs]), deep);
        assert_eq!(answer(&*dict, "__len__", []), "1");
    }

    #[test]
    fn a_circle_is_there_as_long_as_an_iterator() {
        use crate::collector::sort_out;
        let garbage = |objects| sort_out(objects).1;
        let dict = dict(&[("a", 1)]);
        let itself = proxy("DictProxy", dict.clone());
        assert_eq!(answer(&*dict, "__setitem__", ["me".into(), itself]), "None");
        let keys = iterator(&dict);
        let weak = Arc::downgrade(&dict);
        assert!(garbage(vec![dict]).is_empty());
        assert_eq!(answer(&*keys, "__next__", []), "'a'");
        assert_eq!(answer(&*keys, "__next__", []), "'me'");
        drop(keys);
        assert_eq!(garbage(vec![weak.upgrade().unwrap()]).len(), 1);
        weak.upgrade().unwrap().clear();
        assert!(weak.upgrade().is_none());
    }

    #[test]
    fn an_iterator_in_its_own_dict_is_a_circle() {
        use crate::collector::sort_out;
        let garbage = |objects| sort_out(objects).1;
        let dict = dict(&[]);
        let keys = iterator(&dict);
        let inside = proxy("IteratorProxy", keys.clone());
        assert_eq!(answer(&*dict, "__setitem__", ["i".into(), inside]), "None");
        let weak = Arc::downgrade(&dict);
        for object in garbage(vec![dict, keys]) {
            object.clear();
        }
        assert!(weak.upgrade().is_none());
    }
}
