//! `list`: a shared list.

use std::mem;
use std::sync::Arc;

use pickle_value::{Exception, MOST, Make, Object, Step, Value, Walk};

use super::index::{Index, Slice, clamped, place};
use super::sort;
use super::values::elements;
use crate::args::Args;
use crate::caller::Caller;
use crate::referent::{Failure, Referent, Reply};
use crate::sync::{Mutex, lock};

/// A shared `list`: Python's `SyncManager.list`.
///
/// Each call is atomic, and makes at most [`MOST`] items. `sort` accepts no `key`, because the server does not execute
/// client code. `l.extend(l)` doubles the list; CPython's server never returns.
///
/// ```
/// use multiprocessing_managers::types::List;
/// use multiprocessing_managers::{Args, Referent};
///
/// let list = List::new(Args::new([[3, 1, 2].into()])).unwrap();
/// assert_eq!(list.repr().unwrap(), "[3, 1, 2]");
/// ```
pub struct List {
    items: Mutex<Vec<Value>>,
}

impl List {
    const EXPOSED: &[&str] = &[
        "__add__",
        "__contains__",
        "__delitem__",
        "__getitem__",
        "__len__",
        "__mul__",
        "__reversed__",
        "__rmul__",
        "__setitem__",
        "append",
        "count",
        "extend",
        "index",
        "insert",
        "pop",
        "remove",
        "reverse",
        "sort",
        "__imul__",
    ];

    /// Creates `list()` or `list(iterable)`.
    ///
    /// # Errors
    ///
    /// `TypeError` for an argument that is not iterable, `MemoryError` for more than [`MOST`] items.
    pub fn new(args: Args) -> Result<Arc<Self>, Exception> {
        let [iterable] = args.several("list", 0)?;
        let items = iterable.as_ref().map_or(Ok(vec![]), elements)?;
        Ok(Arc::new(List {
            items: Mutex::new(items),
        }))
    }

    /// Calls the closure under the lock. Its result is dropped after the lock.
    fn with<R>(&self, f: impl FnOnce(&mut Vec<Value>) -> R) -> R {
        f(&mut lock(&self.items))
    }

    fn copy(&self) -> Vec<Value> {
        self.with(|items| items.clone())
    }

    fn get(&self, key: &Value) -> Result<Value, Exception> {
        let index = index(key)?;
        self.with(|items| match index {
            Index::At(at) => match place(at, items.len()) {
                Some(place) => Ok(items[place].clone()),
                None => Err(Exception::index_error("list index out of range")),
            },
            Index::Slice(slice) => {
                let places = slice.places(items.len());
                Ok(Value::list(places.each().map(|place| items[place].clone())))
            }
        })
    }

    fn set(&self, key: &Value, value: Value) -> Result<(), Exception> {
        let slice = match index(key)? {
            Index::Slice(slice) => slice,
            Index::At(at) => {
                return self
                    .with(|items| match place(at, items.len()) {
                        Some(place) => Ok(mem::replace(&mut items[place], value)),
                        None => Err(out_of_range()),
                    })
                    .map(drop);
            }
        };
        let mut new =
            elements(&value).map_err(|error| match error.is("builtins", "TypeError") {
                true if slice.places(0).range().is_some() => {
                    Exception::type_error("can only assign an iterable")
                }
                true => Exception::type_error("must assign iterable to extended slice"),
                false => error,
            })?;
        self.with(|items| {
            let places = slice.places(items.len());
            if let Some(range) = places.range() {
                return Ok(items.splice(range, new.drain(..)).collect::<Vec<_>>());
            }
            places.must_be("sequence", new.len())?;
            let swap = |(place, new)| mem::replace(&mut items[place], new);
            Ok(places.each().zip(new.drain(..)).map(swap).collect())
        })
        .map(drop)
    }

    fn delete(&self, key: &Value) -> Result<(), Exception> {
        match index(key)? {
            Index::At(at) => self
                .with(|items| match place(at, items.len()) {
                    Some(place) => Ok(items.remove(place)),
                    None => Err(out_of_range()),
                })
                .map(drop),
            Index::Slice(slice) => {
                drop(self.with(|items| cut(items, &slice)));
                Ok(())
            }
        }
    }

    fn extend(&self, iterable: &Value) -> Result<(), Exception> {
        let new = elements(iterable)?;
        self.with(|items| items.extend(new));
        Ok(())
    }

    fn insert(&self, at: &Value, item: Value) -> Result<(), Exception> {
        let at = size(at)?;
        self.with(|items| {
            let length = items.len();
            let place = match at < 0 {
                true => (at + length as i64).max(0),
                false => at.min(length as i64),
            };
            items.insert(place as usize, item);
        });
        Ok(())
    }

    fn pop(&self, at: Option<Value>) -> Result<Value, Exception> {
        let at = at.as_ref().map_or(Ok(-1), size)?;
        self.with(|items| match place(at, items.len()) {
            Some(place) => Ok(items.remove(place)),
            None if items.is_empty() => Err(Exception::index_error("pop from empty list")),
            None => Err(Exception::index_error("pop index out of range")),
        })
    }

    /// Returns the place of the first item between the bounds that equals the value.
    fn find(&self, value: &Value, start: i64, stop: i64) -> Result<Option<usize>, Exception> {
        let mut walk = Walk::new();
        self.with(|items| {
            let length = items.len() as i64;
            let cut = |at: i64| {
                if at < 0 {
                    (at + length).max(0)
                } else {
                    at.min(length)
                }
            };
            for place in cut(start)..cut(stop) {
                let place = place as usize;
                if walk.equals(&items[place], value)? {
                    return Ok(Some(place));
                }
            }
            Ok(None)
        })
    }

    fn index(&self, args: Args) -> Result<usize, Exception> {
        let [value, start, stop] = args.several("list.index", 1)?;
        let bound = |value: Option<Value>, none| match value {
            None => Ok(none),
            Some(value) => clamped(&value).ok_or_else(|| {
                Exception::type_error("slice indices must be integers or have an __index__ method")
            }),
        };
        let value = value.unwrap_or(Value::None);
        let (start, stop) = (bound(start, 0)?, bound(stop, i64::MAX)?);
        match self.find(&value, start, stop)? {
            Some(place) => Ok(place),
            None => {
                let text = format!("{} is not in list", value.repr()?);
                Err(Exception::value_error(text))
            }
        }
    }

    fn count(&self, value: &Value) -> Result<usize, Exception> {
        let mut walk = Walk::new();
        self.with(|items| {
            let mut count = 0;
            for item in items.iter() {
                count += usize::from(walk.equals(item, value)?);
            }
            Ok(count)
        })
    }

    fn remove(&self, value: &Value) -> Result<(), Exception> {
        let mut walk = Walk::new();
        self.with(|items| {
            for place in 0..items.len() {
                if walk.equals(&items[place], value)? {
                    return Ok(items.remove(place));
                }
            }
            Err(Exception::value_error("list.remove(x): x not in list"))
        })
        .map(drop)
    }

    fn sort(&self, args: Args) -> Result<(), Exception> {
        let fail = |text: String| Err(Exception::type_error(text));
        let (given, named) = (args.positional.len(), args.keywords.len());
        if given + named > 2 {
            let keyword = if given == 0 { "keyword " } else { "" };
            let given = given + named;
            return fail(format!(
                "sort() takes at most 2 {keyword}arguments ({given} given)"
            ));
        }
        if given > 0 {
            return fail("sort() takes no positional arguments".to_owned());
        }
        let (mut key, mut reverse) = (Value::None, Value::Bool(false));
        for (name, value) in args.keywords {
            match &*name {
                "key" => key = value,
                "reverse" => reverse = value,
                name => {
                    let text = format!("'{name}' is an invalid keyword argument for sort()");
                    return fail(text);
                }
            }
        }
        let reverse = flag(&reverse)?;
        let mut walk = Walk::new();
        self.with(|items| {
            match &*key.node() {
                Value::None => {}
                _ if items.is_empty() => {}
                key @ (Value::Global(_) | Value::Object(_))
                    if !["range", "slice"].contains(&&*key.type_name()) =>
                {
                    let text = "sort() with a key calls it, which this server cannot";
                    return fail(text.to_owned());
                }
                key => {
                    return fail(format!("'{}' object is not callable", key.type_name()));
                }
            }
            // Reversed twice, equal items stay in order.
            if reverse {
                items.reverse();
            }
            let result = sort::sort(items, &mut |a, b| walk.less_than(a, b));
            if reverse {
                items.reverse();
            }
            result
        })
    }

    fn times(&self, factor: &Value, keep: bool) -> Result<Value, Exception> {
        let factor = match &*factor.node() {
            Value::Long(_) => {
                let text = "cannot fit 'int' into an index-sized integer";
                return Err(Exception::overflow_error(text));
            }
            factor => factor.as_int().ok_or_else(|| no_integer(factor))?,
        };
        let factor = usize::try_from(factor).unwrap_or(0);
        let (product, old) = self.with(|items| {
            let length = match items.len().checked_mul(factor) {
                Some(length) if length <= MOST => length,
                _ => return Err(Exception::memory_error()),
            };
            let mut product = Vec::with_capacity(length);
            while product.len() < length {
                product.extend_from_slice(items);
            }
            if !keep {
                return Ok((Value::List(product.into()), vec![]));
            }
            let reply = Value::list(product.iter().cloned());
            Ok((reply, mem::replace(items, product)))
        })?;
        drop(old);
        Ok(product)
    }

    fn add(&self, other: &Value) -> Result<Value, Exception> {
        match &*other.plain().node() {
            Value::List(more) => {
                let all = self.copy().into_iter().chain(more.iter().cloned());
                Ok(Value::list(all))
            }
            other => Err(Exception::type_error(format!(
                "can only concatenate list (not \"{}\") to list",
                other.type_name()
            ))),
        }
    }
}

impl Referent for List {
    fn typeid(&self) -> &'static str {
        "list"
    }

    fn exposed(&self) -> &'static [&'static str] {
        Self::EXPOSED
    }

    fn call(&self, _caller: &Arc<Caller>, method: &str, args: Args) -> Result<Reply, Failure> {
        let function = format_args!("list.{method}");
        Ok(match method {
            "__len__" => {
                let [] = args.slot(method)?;
                self.with(|items| items.len()).into()
            }
            "__getitem__" => self.get(&args.one(function)?)?.into(),
            "__setitem__" => {
                let [key, value] = args.slot(method)?;
                self.set(&key, value)?.into()
            }
            "__delitem__" => {
                let [key] = args.slot(method)?;
                self.delete(&key)?.into()
            }
            "__contains__" => {
                let [value] = args.slot(method)?;
                let found = self.find(&value, 0, i64::MAX)?;
                found.is_some().into()
            }
            "__add__" => {
                let [other] = args.slot(method)?;
                self.add(&other)?.into()
            }
            "__mul__" | "__rmul__" | "__imul__" => {
                let [factor] = args.slot(method)?;
                self.times(&factor, method == "__imul__")?.into()
            }
            "__reversed__" => {
                args.none(function)?;
                reversed(self.copy()).into()
            }
            "append" => {
                let item = args.one(function)?;
                self.with(|items| items.push(item));
                ().into()
            }
            "extend" => self.extend(&args.one(function)?)?.into(),
            "insert" => {
                let [at, item] = args.several(function, 2)?;
                let none = || Value::None;
                self.insert(&at.unwrap_or_else(none), item.unwrap_or_else(none))?
                    .into()
            }
            "pop" => {
                let [at] = args.several(function, 0)?;
                self.pop(at)?.into()
            }
            "index" => self.index(args)?.into(),
            "count" => self.count(&args.one(function)?)?.into(),
            "remove" => self.remove(&args.one(function)?)?.into(),
            "reverse" => {
                args.none(function)?;
                self.with(|items| items.reverse());
                ().into()
            }
            "sort" => self.sort(args)?.into(),
            _ => return Err(Failure::no_method(method)),
        })
    }

    fn repr(&self) -> Result<String, Failure> {
        Ok(Value::list(self.copy()).repr()?)
    }

    fn value(&self) -> Result<Value, Failure> {
        Ok(Value::list(self.copy()))
    }

    /// Returns at most one more than [`MOST`], which callers refuse.
    fn elements(&self) -> Option<Vec<Value>> {
        Some(self.with(|items| items.iter().take(MOST + 1).cloned().collect()))
    }

    fn visit(&self, see: &mut dyn FnMut(&Value)) {
        self.with(|items| items.iter().for_each(see));
    }

    fn clear(&self) {
        drop(self.with(mem::take));
    }
}

fn index(key: &Value) -> Result<Index, Exception> {
    Index::of(key)?.ok_or_else(|| {
        let name = key.type_name();
        let text = format!("list indices must be integers or slices, not {name}");
        Exception::type_error(text)
    })
}

/// Removes and returns the items of the slice.
fn cut(items: &mut Vec<Value>, slice: &Slice) -> Vec<Value> {
    let places = slice.places(items.len());
    if let Some(range) = places.range() {
        return items.drain(range).collect();
    }
    let mut place = 0..items.len();
    let (cut, rest) = mem::take(items)
        .into_iter()
        .partition(|_| place.next().is_some_and(|place| places.contains(place)));
    *items = rest;
    cut
}

/// Returns a reversed iterator over the list as it is now, as Python pickles it.
fn reversed(items: Vec<Value>) -> Value {
    let last = items.len() as i64 - 1;
    Value::Object(Arc::new(Object {
        make: Make::Call {
            callable: Value::global("builtins", "reversed"),
            arguments: Value::tuple([Value::list(items)]),
        },
        steps: vec![Step::State(Value::Int(last))],
    }))
}

fn out_of_range() -> Exception {
    Exception::index_error("list assignment index out of range")
}

fn no_integer(value: &Value) -> Exception {
    let name = value.type_name();
    Exception::type_error(format!(
        "'{name}' object cannot be interpreted as an integer"
    ))
}

/// Returns an integer that fits into C's `ssize_t`.
fn size(value: &Value) -> Result<i64, Exception> {
    match &*value.node() {
        Value::Long(_) => Err(Exception::overflow_error(
            "Python int too large to convert to C ssize_t",
        )),
        value => value.as_int().ok_or_else(|| no_integer(value)),
    }
}

/// Returns the truth of an integer that fits into C's `int`.
fn flag(value: &Value) -> Result<bool, Exception> {
    let number = clamped(value).ok_or_else(|| no_integer(&value.node()))?;
    match i32::try_from(number) {
        Ok(number) => Ok(number != 0),
        Err(_) => Err(Exception::overflow_error(
            "Python int too large to convert to C int",
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::types::trial::{answer, local, proxy};

    fn list(items: &[i64]) -> Arc<List> {
        let items = Value::list(items.iter().map(|item| Value::Int(*item)));
        List::new(Args::new([items])).unwrap()
    }

    #[test]
    fn makes_no_more_than_fits() {
        let list = list(&[0, 1]);
        let many = Value::Int(10i64.pow(12));
        for method in ["__mul__", "__rmul__", "__imul__"] {
            assert_eq!(answer(&*list, method, [many.clone()]), "MemoryError");
        }
        let range = Value::call(Value::global("builtins", "range"), [many]);
        assert_eq!(answer(&*list, "extend", [range.clone()]), "MemoryError");
        assert!(List::new(Args::new([range])).is_err());
        assert_eq!(list.repr().unwrap(), "[0, 1]");
    }

    #[test]
    fn takes_what_a_proxy_stands_for() {
        let (first, second) = (list(&[1, 2]), list(&[3]));
        let other = proxy("ListProxy", second);
        assert_eq!(answer(&*first, "extend", [other.clone()]), "None");
        let itself = proxy("ListProxy", first.clone());
        assert_eq!(answer(&*first, "extend", [itself.clone()]), "None");
        assert_eq!(first.repr().unwrap(), "[1, 2, 3, 1, 2, 3]");
        let slice = Value::call(Value::global("builtins", "slice"), [1.into(), Value::None]);
        assert_eq!(
            answer(&*first, "__setitem__", [slice, other.clone()]),
            "None"
        );
        assert_eq!(first.repr().unwrap(), "[1, 3]");
        assert_eq!(
            answer(&*first, "__add__", [other]),
            "TypeError: can only concatenate list (not \"ListProxy\") to list"
        );
        let array = Value::list([7.into()]);
        let array = crate::types::SharedArray::new(Args::new(["b".into(), array])).unwrap();
        let array = proxy("ArrayProxy", array);
        assert_eq!(answer(&*first, "extend", [array]), "None");
        assert_eq!(first.repr().unwrap(), "[1, 3, 7]");
    }

    #[test]
    fn may_hold_itself() {
        let list = list(&[]);
        let itself = proxy("ListProxy", list.clone());
        assert_eq!(answer(&*list, "append", [itself.clone()]), "None");
        assert_eq!(answer(&*list, "index", [itself]), "0");
        assert!(
            list.repr()
                .unwrap()
                .starts_with("[<ListProxy object, typeid 'list' at 0x")
        );
        let mut seen = 0;
        list.visit(&mut |value| seen += usize::from(matches!(value, Value::Proxy(_))));
        assert_eq!((seen, Arc::strong_count(&list)), (1, 2));
        list.clear();
        assert_eq!(Arc::strong_count(&list), 1);
    }

    #[test]
    fn gives_an_iterator_from_its_end() {
        let Ok(Reply::Value(value)) = list(&[1, 2]).call(&local(), "__reversed__", Args::default())
        else {
            panic!("no value");
        };
        let Value::Object(object) = value else {
            panic!("{value}");
        };
        assert!(matches!(object.steps[..], [Step::State(Value::Int(1))]));
    }

    #[test]
    fn calls_no_key() {
        let list = list(&[2, 1]);
        let args = Args::default().keyword("key", Value::global("builtins", "str"));
        let Err(Failure::Raised(error)) = list.call(&local(), "sort", args) else {
            panic!("sorted");
        };
        assert!(error.is("builtins", "TypeError"), "{error}");
        assert_eq!(list.repr().unwrap(), "[2, 1]");
        let hidden = "Traceback(\"KeyError: 'clear'\")";
        assert_eq!(answer(&*list, "clear", []), hidden);
    }

    /// A value of 20 tuples, in which a walk visits 2**20 tuples.
    fn doubled() -> Value {
        (0..20).fold(Value::from(0.5), |inner, _| {
            Value::tuple([inner.clone(), inner])
        })
    }

    #[test]
    fn one_call_takes_so_many_steps() {
        let list = List::new(Args::new([Value::list(vec![doubled(); 2000])])).unwrap();
        let deep = "RecursionError: maximum recursion depth exceeded in comparison";
        let begun = Instant::now();
        assert_eq!(answer(&*list, "count", [doubled()]), deep);
        let one = begun.elapsed();
        // The first is equal; the second differs in the end.
        assert_eq!(answer(&*list, "index", [doubled()]), "0");
        let other = Value::tuple([doubled(), Value::None]);
        let almost = Value::tuple([doubled(), 1.into()]);
        let list = List::new(Args::new([Value::list(vec![almost; 2000])])).unwrap();
        for method in ["index", "remove"] {
            assert_eq!(answer(&*list, method, [other.clone()]), deep);
        }
        let pairs = |_| Value::list([Value::tuple([doubled(), 0.into()]), 1.into()]);
        let list = List::new(Args::new([Value::list((0..2000).map(pairs))])).unwrap();
        assert_eq!(answer(&*list, "sort", []), deep);
        assert_eq!(answer(&*list, "__len__", []), "2000");
        assert!(begun.elapsed() < 20 * one, "{:?}, {one:?}", begun.elapsed());
    }

    #[test]
    fn long_integers_take_steps() {
        let power = |last: u32| Value::from((num_bigint::BigInt::from(1) << 8_000_000) + last);
        let items = (0..2000).map(|index| power(index % 2));
        // A single one would be the same object.
        let [a, b] = [power(1), power(1)];
        assert!(a.equals(&b).unwrap());
        let list = List::new(Args::new([Value::list(items.take(40))])).unwrap();
        let many = Value::list(list.copy().into_iter().cycle().take(20_000));
        let list = List::new(Args::new([many])).unwrap();
        let deep = "RecursionError: maximum recursion depth exceeded in comparison";
        assert_eq!(answer(&*list, "count", [a]), deep);
        assert_eq!(answer(&*list, "sort", []), deep);
    }

    #[test]
    fn ranges_of_long_integers_take_steps() {
        let range = |last: i64| {
            let power = |bits: u32| num_bigint::BigInt::from(1) << bits;
            let numbers = [power(4095), power(4096) - last, power(2048)];
            Value::call(Value::global("builtins", "range"), numbers.map(Value::from))
        };
        let list = List::new(Args::new([Value::list(vec![range(1); 200_000])])).unwrap();
        let deep = "RecursionError: maximum recursion depth exceeded in comparison";
        assert_eq!(answer(&*list, "count", [range(2)]), deep);
    }

    #[test]
    fn many_small_items_are_sorted() {
        let item = |index: i64| Value::tuple([(index * 7919 % 300_007).into(), "x".into()]);
        let list = List::new(Args::new([Value::list((0..300_007).map(item))])).unwrap();
        assert_eq!(answer(&*list, "sort", []), "None");
        assert_eq!(answer(&*list, "index", [(5, "x").into()]), "5");
        assert_eq!(answer(&*list, "count", [(5, "x").into()]), "1");
    }

    #[test]
    fn makes_no_more_items_than_most() {
        let bytes = Value::bytes(vec![0; MOST + 1]);
        assert!(List::new(Args::new([bytes])).is_err());
        let text = Value::from("é".repeat(MOST + 1));
        let list = list(&[]);
        assert_eq!(answer(&*list, "extend", [text]), "MemoryError");
        let bytes = Value::bytes(vec![0; MOST + 1]);
        let array = crate::types::SharedArray::new(Args::new(["b".into(), bytes])).unwrap();
        let array = proxy("ArrayProxy", array);
        assert_eq!(answer(&*list, "extend", [array]), "MemoryError");
        let most = List::new(Args::new([Value::bytes(vec![0; MOST])])).unwrap();
        assert_eq!(answer(&*most, "append", [0.into()]), "None");
        let most = proxy("ListProxy", most);
        assert_eq!(answer(&*list, "extend", [most]), "MemoryError");
        assert_eq!(list.repr().unwrap(), "[]");
    }
}
