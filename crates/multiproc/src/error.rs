//! Errors of the system that say what was attempted.

use std::{fmt, io};

/// Puts what was attempted in front of the system's reason, and keeps the reason's kind.
pub(crate) trait Context<T> {
    fn context(self, attempted: impl fmt::Display) -> io::Result<T>;
}

impl<T, E: Into<io::Error>> Context<T> for Result<T, E> {
    fn context(self, attempted: impl fmt::Display) -> io::Result<T> {
        self.map_err(|error| {
            let error: io::Error = error.into();
            io::Error::new(error.kind(), format!("{attempted}: {error}"))
        })
    }
}

impl<T> Context<T> for Option<T> {
    fn context(self, missing: impl fmt::Display) -> io::Result<T> {
        self.ok_or_else(|| io::Error::other(missing.to_string()))
    }
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
