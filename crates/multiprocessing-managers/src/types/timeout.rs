//! Timeouts and flags as arguments of Python's functions, with CPython 3.11's errors.

use std::time::Duration;

use num_traits::{Signed, ToPrimitive};
use pickle_value::{Exception, Value};

use crate::args::Args;

/// Returns a number as a `float`, infinite if it is too large, for a comparison with a small one. Fails with the `TypeError`
/// of `value < 0` or `value > 0`, as `operator` says.
pub(crate) fn compared(value: &Value, operator: &str) -> Result<f64, Exception> {
    match value {
        Value::Float(number) => Ok(*number),
        Value::Long(number) if number.is_negative() => Ok(f64::NEG_INFINITY),
        Value::Long(_) => Ok(f64::INFINITY),
        value => match value.as_int() {
            Some(number) => Ok(number as f64),
            None => Err(Exception::type_error(format!(
                "'{operator}' not supported between instances of '{}' and 'int'",
                value.type_name()
            ))),
        },
    }
}

pub(crate) fn not_an_integer(value: &Value) -> Exception {
    let class = value.type_name();
    Exception::type_error(format!(
        "'{class}' object cannot be interpreted as an integer"
    ))
}

/// Converts seconds to nanoseconds, rounding away from zero: `_PyTime_FromSecondsObject`.
fn nanoseconds(timeout: &Value) -> Result<i64, Exception> {
    let too_large = || Exception::overflow_error("timestamp too large to convert to C _PyTime_t");
    match timeout {
        Value::Float(seconds) if seconds.is_nan() => {
            Err(Exception::value_error("Invalid value NaN (not a number)"))
        }
        Value::Float(seconds) => {
            let exact = seconds * 1e9;
            let rounded = if exact < 0.0 {
                exact.floor()
            } else {
                exact.ceil()
            };
            // Both bounds are exact: powers of two.
            if !(i64::MIN as f64..-(i64::MIN as f64)).contains(&rounded) {
                let text = "timestamp out of range for platform time_t";
                return Err(Exception::overflow_error(text));
            }
            Ok(rounded as i64)
        }
        Value::Long(_) => Err(too_large()),
        timeout => match timeout.as_int() {
            Some(seconds) => seconds.checked_mul(1_000_000_000).ok_or_else(too_large),
            None => Err(not_an_integer(timeout)),
        },
    }
}

/// Returns the time limit of `lock.acquire(blocking=True, timeout=-1)`, a C function: `None` for no limit, zero for not
/// waiting.
pub(crate) fn acquire(args: Args) -> Result<Option<Duration>, Exception> {
    const NAMES: [&str; 2] = ["blocking", "timeout"];
    let fail = |text: String| Err(Exception::type_error(text));
    let given = args.positional.len() + args.keywords.len();
    if given > NAMES.len() {
        let kind = if args.positional.is_empty() {
            "keyword "
        } else {
            ""
        };
        return fail(format!(
            "acquire() takes at most 2 {kind}arguments ({given} given)"
        ));
    }
    let argument = |index: usize| {
        let named = || {
            args.keywords
                .iter()
                .find(|(name, _)| **name == *NAMES[index])
        };
        args.positional
            .get(index)
            .or_else(|| named().map(|(_, value)| value))
    };
    let blocking = argument(0).map_or(Ok(true), |value| match value {
        Value::Long(_) => {
            let text = "Python int too large to convert to C long";
            Err(Exception::overflow_error(text))
        }
        value => match value.as_int() {
            None => Err(not_an_integer(value)),
            Some(number) if number > i64::from(i32::MAX) => Err(Exception::overflow_error(
                "signed integer is greater than maximum",
            )),
            Some(number) if number < i64::from(i32::MIN) => Err(Exception::overflow_error(
                "signed integer is less than minimum",
            )),
            Some(number) => Ok(number != 0),
        },
    })?;
    for (name, _) in &args.keywords {
        match NAMES.iter().position(|known| **known == **name) {
            Some(index) if index < args.positional.len() => {
                let index = index + 1;
                return fail(format!(
                    "argument for acquire() given by name ('{name}') and position ({index})"
                ));
            }
            Some(_) => {}
            None => {
                return fail(format!(
                    "'{name}' is an invalid keyword argument for acquire()"
                ));
            }
        }
    }
    const UNSET: i64 = -1_000_000_000;
    let timeout = argument(1).map_or(Ok(UNSET), nanoseconds)?;
    match (blocking, timeout) {
        (true, UNSET) => Ok(None),
        (false, UNSET) => Ok(Some(Duration::ZERO)),
        (false, _) => Err(Exception::value_error(
            "can't specify a timeout for a non-blocking call",
        )),
        (true, timeout) => match u64::try_from(timeout) {
            Ok(timeout) => Ok(Some(Duration::from_nanos(timeout))),
            Err(_) => Err(Exception::value_error("timeout value must be positive")),
        },
    }
}

/// Returns the time limit of `Condition.wait(timeout)`: `None` for no limit, zero for not waiting.
pub(crate) fn condition(timeout: &Value) -> Result<Option<Duration>, Exception> {
    match timeout {
        Value::None => Ok(None),
        timeout if compared(timeout, ">")? > 0.0 => {
            let nanoseconds = nanoseconds(timeout)?.unsigned_abs();
            Ok(Some(Duration::from_nanos(nanoseconds)))
        }
        // NaN too.
        _ => Ok(Some(Duration::ZERO)),
    }
}

/// Returns the time limit of a wait until `time() + timeout`, as semaphores and barriers make it. A NaN means no limit.
pub(crate) fn until(timeout: &Value) -> Result<Option<Duration>, Exception> {
    match timeout {
        Value::Float(seconds) if seconds.is_nan() => Ok(None),
        Value::None | Value::Complex(..) => condition(timeout),
        timeout => {
            as_float(timeout)?;
            condition(timeout)
        }
    }
}

/// Returns the time limit of a queue's `put` and `get` in seconds; `None` for no limit.
pub(crate) fn queue(timeout: &Value) -> Result<f64, Exception> {
    match timeout {
        Value::None => Ok(f64::NAN),
        timeout if compared(timeout, "<")? < 0.0 => Err(Exception::value_error(
            "'timeout' must be a non-negative number",
        )),
        timeout => as_float(timeout),
    }
}

/// Returns a queue's time limit once it has to wait.
pub(crate) fn of_seconds(seconds: f64) -> Result<Option<Duration>, Exception> {
    until(&Value::Float(seconds))
}

/// Returns the second operand of `time() + timeout`.
fn as_float(timeout: &Value) -> Result<f64, Exception> {
    let number = match timeout {
        Value::Float(number) => return Ok(*number),
        Value::Long(number) => number.to_f64().filter(|number| number.is_finite()),
        timeout => match timeout.as_int() {
            Some(number) => Some(number as f64),
            None => {
                return Err(Exception::type_error(format!(
                    "unsupported operand type(s) for +: 'float' and '{}'",
                    timeout.type_name()
                )));
            }
        },
    };
    number.ok_or_else(|| Exception::overflow_error("int too large to convert to float"))
}
