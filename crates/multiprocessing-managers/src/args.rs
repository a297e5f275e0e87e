//! The arguments of a call, and how Python's functions bind them.

use std::fmt::Display;
use std::sync::Arc;

use pickle_value::{Exception, Value};

/// The arguments of a call.
///
/// ```
/// use multiprocessing_managers::Args;
///
/// let args = Args::new([1.into(), "two".into()]).keyword("end", "");
/// assert_eq!(args.positional.len(), 2);
/// let [first, second, end] = args.bind("f", [("a", None), ("b", None), ("end", None)]).unwrap();
/// assert_eq!((first, second.as_str(), end.as_str()), (1.into(), Some("two"), Some("")));
/// ```
#[derive(Clone, Default)]
pub struct Args {
    /// The positional arguments.
    pub positional: Vec<Value>,
    /// The keyword arguments, by name.
    pub keywords: Vec<(Arc<str>, Value)>,
}

/// The name of a parameter of a Python function, and its default; `None` for a required parameter.
pub type Parameter = (&'static str, Option<Value>);

impl Args {
    /// Creates positional arguments.
    pub fn new(positional: impl IntoIterator<Item = Value>) -> Self {
        Args {
            positional: positional.into_iter().collect(),
            keywords: vec![],
        }
    }

    /// Adds a keyword argument.
    pub fn keyword(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.keywords.push((name.into(), value.into()));
        self
    }

    /// Binds the arguments to the parameters of a function written in Python, and returns a value for each parameter.
    ///
    /// `function` is the qualified name that CPython shows in messages, such as `Queue.put`. A name with a dot is a method,
    /// whose `self` is counted and not listed.
    ///
    /// # Errors
    ///
    /// The `TypeError`s of CPython 3.11.
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

/// Binding to functions written in C, which take no arguments by name. All fail with the `TypeError`s of CPython 3.11, in
/// which `function` is the name, such as `list.append`.
impl Args {
    /// Fails if there are keyword arguments.
    ///
    /// # Errors
    ///
    /// `TypeError` for keyword arguments.
    pub fn no_keywords(&self, function: impl Display) -> Result<(), Exception> {
        if self.keywords.is_empty() {
            return Ok(());
        }
        let text = format!("{function}() takes no keyword arguments");
        Err(Exception::type_error(text))
    }

    /// Binds to a method without parameters.
    ///
    /// # Errors
    ///
    /// `TypeError` for any argument.
    pub fn none(self, function: impl Display) -> Result<(), Exception> {
        self.no_keywords(&function)?;
        match self.positional.len() {
            0 => Ok(()),
            given => Err(Exception::type_error(format!(
                "{function}() takes no arguments ({given} given)"
            ))),
        }
    }

    /// Binds to a method with one parameter.
    ///
    /// # Errors
    ///
    /// `TypeError` for another number of arguments.
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

    /// Binds to a function with `least` to `N` parameters.
    ///
    /// # Errors
    ///
    /// `TypeError` for another number of arguments.
    pub fn several<const N: usize>(
        self,
        function: impl Display,
        least: usize,
    ) -> Result<[Option<Value>; N], Exception> {
        self.no_keywords(&function)?;
        self.at_most(function, least)
    }

    /// Binds the positional arguments of a function with `least` to `N` parameters that accepts keywords too.
    ///
    /// # Errors
    ///
    /// `TypeError` for another number of positional arguments.
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

    /// Binds to a special method that fills a slot of a type, such as `__len__`.
    ///
    /// # Errors
    ///
    /// `TypeError` for another number of arguments.
    pub fn slot<const N: usize>(self, method: &str) -> Result<[Value; N], Exception> {
        self.no_keywords(format_args!("wrapper {method}"))?;
        <[Value; N]>::try_from(self.positional).map_err(|given| {
            // Some of CPython's wrappers leave out the name, but not the space after it. The differential test compares
            // the texts.
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
