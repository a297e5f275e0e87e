//! Python's indices and slices.

use std::ops::Range;

use num_bigint::Sign;
use pickle_value::{Exception, Value};

/// The key of `sequence[key]`.
pub enum Index {
    At(i64),
    Slice(Slice),
}

/// A slice of a sequence of any length.
pub struct Slice {
    start: Option<i64>,
    stop: Option<i64>,
    step: i64,
}

/// The items of a sequence that a slice selects.
pub struct Places {
    start: i64,
    stop: i64,
    step: i64,
    pub count: usize,
}

impl Index {
    /// Returns `None` if the value is neither an integer nor a slice.
    pub fn of(key: &Value) -> Result<Option<Index>, Exception> {
        let key = key.node();
        if let Value::Long(_) = *key {
            return Err(Exception::index_error(
                "cannot fit 'int' into an index-sized integer",
            ));
        }
        if let Some(index) = key.as_int() {
            return Ok(Some(Index::At(index)));
        }
        let none = Value::None;
        let (start, stop, step) = match key.called("builtins", "slice").as_deref() {
            Some([stop]) => (none.clone(), stop.clone(), none),
            Some([start, stop]) => (start.clone(), stop.clone(), none),
            Some([start, stop, step]) => (start.clone(), stop.clone(), step.clone()),
            _ => return Ok(None),
        };
        // CPython checks the step first too.
        let step = bound(&step)?.unwrap_or(1).max(-i64::MAX);
        if step == 0 {
            return Err(Exception::value_error("slice step cannot be zero"));
        }
        let (start, stop) = (bound(&start)?, bound(&stop)?);
        Ok(Some(Index::Slice(Slice { start, stop, step })))
    }
}

fn bound(value: &Value) -> Result<Option<i64>, Exception> {
    if let Value::None = *value.node() {
        return Ok(None);
    }
    clamped(value).map(Some).ok_or_else(|| {
        Exception::type_error("slice indices must be integers or None or have an __index__ method")
    })
}

/// Returns an integer, clamped to `i64`; `None` for other values.
pub fn clamped(value: &Value) -> Option<i64> {
    match &*value.node() {
        Value::Long(number) if number.sign() == Sign::Minus => Some(i64::MIN),
        Value::Long(_) => Some(i64::MAX),
        value => value.as_int(),
    }
}

/// Returns the place of an item, if it exists. Negative indices count from the end.
pub fn place(index: i64, length: usize) -> Option<usize> {
    let index = if index < 0 {
        index + length as i64
    } else {
        index
    };
    usize::try_from(index).ok().filter(|place| *place < length)
}

impl Slice {
    pub fn places(&self, length: usize) -> Places {
        let (length, step) = (length as i64, self.step);
        let down = step < 0;
        let cut = |index: Option<i64>, none: i64| match index {
            None => none,
            Some(index) if index < 0 => (index + length).max(if down { -1 } else { 0 }),
            Some(index) => index.min(if down { length - 1 } else { length }),
        };
        let (start, stop) = match down {
            true => (cut(self.start, length - 1), cut(self.stop, -1)),
            false => (cut(self.start, 0), cut(self.stop, length)),
        };
        let way = if down { start - stop } else { stop - start };
        let count = if way > 0 {
            (way - 1) / step.abs() + 1
        } else {
            0
        };
        Places {
            start,
            stop,
            step,
            count: count as usize,
        }
    }
}

impl Places {
    /// Returns the places, if the slice has no step.
    pub fn range(&self) -> Option<Range<usize>> {
        let start = self.start.max(0) as usize;
        (self.step == 1).then(|| start..start.max(self.stop.max(0) as usize))
    }

    pub fn each(&self) -> impl Iterator<Item = usize> + use<> {
        let (start, step) = (self.start, self.step);
        (0..self.count as i64).map(move |index| (start + index * step) as usize)
    }

    pub fn contains(&self, place: usize) -> bool {
        let way = place as i64 - self.start;
        way % self.step == 0 && (0..self.count as i64).contains(&(way / self.step))
    }

    /// Fails unless this many items can be set.
    pub fn must_be(&self, what: &str, given: usize) -> Result<(), Exception> {
        let count = self.count;
        if given == count {
            return Ok(());
        }
        Err(Exception::value_error(format!(
            "attempt to assign {what} of size {given} to extended slice of size {count}"
        )))
    }
}
