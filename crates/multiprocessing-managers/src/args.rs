//! The arguments of a call, and how Python's functions take them.

use std::fmt::Display;
use std::sync::Arc;

use pickle_value::{Exception, Value};

/// The arguments of a call.
#[derive(Clone, Default)]
pub struct Args {
    pub positional: Vec<Value>,
    pub keywords: Vec<(Arc<str>, Value)>,
}

/// A parameter of a Python function, and what it is if nobody says; `None` where somebody must.
pub type Parameter = (&'static str, Option<Value>);

impl Args {
    pub fn new(positional: impl IntoIterator<Item = Value>) -> Self {
        Args {
            positional: positional.into_iter().collect(),
            keywords: vec![],
        }
    }

    pub fn keyword(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.keywords.push((name.into(), value.into()));
        self
    }

    /// The parameters' values, as for `def function(self, *parameters)`, or for `def function(*parameters)` if there is
    /// no dot in the name. `function` is the qualified name that CPython puts in its messages, such as `Queue.put`.
    ///
    /// Errors: the `TypeError`s of CPython 3.11, word for word.
    pub fn bind<const N: usize>(
        self,
        function: &str,
        parameters: [Parameter; N],
    ) -> Result<[Value; N], Exception> {
        let fail = |text: String| Err(Exception::type_error(format!("{function}() {text}")));
        let own = usize::from(function.contains('.'));
        let given = own + self.positional.len();
        let required = own
            + parameters
                .iter()
                .filter(|(_, default)| default.is_none())
                .count();
        let names = parameters.each_ref().map(|(name, _)| *name);
        let mut values = self.positional.into_iter();
        let mut bound: [Option<Value>; N] = std::array::from_fn(|_| values.next());
        for (name, value) in self.keywords {
            match names.iter().position(|known| **known == *name) {
                None if own == 1 && &*name == "self" => {
                    return fail("got multiple values for argument 'self'".to_owned());
                }
                None => return fail(format!("got an unexpected keyword argument '{name}'")),
                Some(index) if bound[index].is_some() => {
                    return fail(format!("got multiple values for argument '{name}'"));
                }
                Some(index) => bound[index] = Some(value),
            }
        }
        let limit = own + N;
        if given > limit {
            let was = if given == 1 { "was" } else { "were" };
            let takes = match (required == limit, limit) {
                (true, 1) => "1 positional argument".to_owned(),
                (true, _) => format!("{limit} positional arguments"),
                (false, _) => format!("from {required} to {limit} positional arguments"),
            };
            return fail(format!("takes {takes} but {given} {was} given"));
        }
        let mut missing = vec![];
        let mut complete = parameters.map(|(name, default)| (name, default));
        for ((name, default), value) in complete.iter_mut().zip(bound) {
            match value {
                Some(value) => *default = Some(value),
                None if default.is_none() => missing.push(format!("'{name}'")),
                None => {}
            }
        }
        let count = missing.len();
        let list = match &missing[..] {
            [] => return Ok(complete.map(|(_, value)| value.unwrap_or(Value::None))),
            [one] => return fail(format!("missing 1 required positional argument: {one}")),
            [first, second] => format!("{first} and {second}"),
            [start @ .., last] => format!("{}, and {last}", start.join(", ")),
        };
        fail(format!(
            "missing {count} required positional arguments: {list}"
        ))
    }
}

/// How functions and methods written in C take their arguments: none by name.
///
/// Errors: the `TypeError`s of CPython 3.11, word for word. `function` is the name in them, such as `list.append`.
impl Args {
    pub fn no_keywords(&self, function: impl Display) -> Result<(), Exception> {
        if self.keywords.is_empty() {
            return Ok(());
        }
        let text = format!("{function}() takes no keyword arguments");
        Err(Exception::type_error(text))
    }

    /// As a method without arguments does.
    pub fn none(self, function: impl Display) -> Result<(), Exception> {
        self.no_keywords(&function)?;
        match self.positional.len() {
            0 => Ok(()),
            given => Err(Exception::type_error(format!(
                "{function}() takes no arguments ({given} given)"
            ))),
        }
    }

    /// As a method with one argument does.
    pub fn one(self, function: impl Display) -> Result<Value, Exception> {
        self.no_keywords(&function)?;
        let given = self.positional.len();
        match <[Value; 1]>::try_from(self.positional) {
            Ok([value]) => Ok(value),
            Err(_) => Err(Exception::type_error(format!(
                "{function}() takes exactly one argument ({given} given)"
            ))),
        }
    }

    /// As a function with `least` to `N` arguments does.
    pub fn several<const N: usize>(
        self,
        function: impl Display,
        least: usize,
    ) -> Result<[Option<Value>; N], Exception> {
        self.no_keywords(&function)?;
        self.at_most(function, least)
    }

    /// The same, for a function that takes some by name too.
    pub fn at_most<const N: usize>(
        self,
        function: impl Display,
        least: usize,
    ) -> Result<[Option<Value>; N], Exception> {
        let given = self.positional.len();
        if (least..=N).contains(&given) {
            let mut values = self.positional.into_iter();
            return Ok(std::array::from_fn(|_| values.next()));
        }
        let (bound, limit) = match given < least {
            _ if least == N => ("", N),
            true => ("at least ", least),
            false => ("at most ", N),
        };
        let name = function.to_string();
        let name = name.rsplit('.').next().unwrap_or(&name);
        let s = if limit == 1 { "" } else { "s" };
        Err(Exception::type_error(format!(
            "{name} expected {bound}{limit} argument{s}, got {given}"
        )))
    }

    /// As a special method does that is one of a type's slots, such as `__len__`.
    pub fn slot<const N: usize>(self, method: &str) -> Result<[Value; N], Exception> {
        self.no_keywords(format_args!("wrapper {method}"))?;
        <[Value; N]>::try_from(self.positional).map_err(|given| {
            // Some of CPython's wrappers leave out the name, but not the space behind it.
            let space = if N == 2 || method.ends_with("mul__") {
                " "
            } else {
                ""
            };
            let s = if N == 1 { "" } else { "s" };
            let given = given.len();
            Exception::type_error(format!("{space}expected {N} argument{s}, got {given}"))
        })
    }
}
