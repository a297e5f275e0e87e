//! System errors that name the failed operation.

use std::{fmt, io};

/// Prefixes a system error with the operation that failed, and keeps its kind.
pub(crate) trait Context<T> {
    fn context(self, attempted: impl fmt::Display) -> io::Result<T>;
}

impl<T, E: Into<io::Error>> Context<T> for Result<T, E> {
    #[inline]
    fn context(self, attempted: impl fmt::Display) -> io::Result<T> {
        match self {
            Ok(value) => Ok(value),
            Err(error) => Err(explain(error.into(), &attempted)),
        }
    }
}

impl<T> Context<T> for Option<T> {
    #[inline]
    fn context(self, missing: impl fmt::Display) -> io::Result<T> {
        match self {
            Some(value) => Ok(value),
            None => Err(other(&missing)),
        }
    }
}

#[cold]
fn explain(error: io::Error, attempted: &dyn fmt::Display) -> io::Error {
    io::Error::new(error.kind(), format!("{attempted}: {error}"))
}

#[cold]
fn other(missing: &dyn fmt::Display) -> io::Error {
    io::Error::other(missing.to_string())
}

/// Returns an [`io::ErrorKind::InvalidInput`] with this text unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err(::std::io::Error::new(
                ::std::io::ErrorKind::InvalidInput,
                format!($($text)+),
            ).into());
        }
    };
}

pub(crate) use ensure;
