//! Limits on what reading a pickle costs, and the errors of reading one.

use std::{error, fmt};

/// Limits on what reading a pickle costs.
///
/// ```
/// use pickle_value::{Error, Limits, loads_with};
///
/// let limits = Limits { depth: 2, ..Limits::default() };
/// let error = loads_with(b"]]]aa.", &limits, &mut |_| None).unwrap_err();
/// assert_eq!(error, Error::Depth(2));
/// ```
#[derive(Debug, Clone)]
pub struct Limits {
    /// How deep containers and objects may be nested. The arguments and the state of an object count as one level more. A
    /// reference from within a container back to it does not count.
    pub depth: usize,
    /// How many bytes the values and the reader's own tables may take, estimated while reading.
    pub memory: usize,
}

impl Default for Limits {
    /// Returns limits of 1000 levels and 1 GiB.
    fn default() -> Self {
        Limits {
            depth: 1000,
            memory: 1 << 30,
        }
    }
}

/// The reason why a pickle is refused.
///
/// ```
/// use pickle_value::{Error, loads};
///
/// assert_eq!(loads(b"K").unwrap_err(), Error::Truncated);
/// assert_eq!(loads(b"\xff").unwrap_err().to_string(), "unknown opcode 0xff at byte 0");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The pickle ends early.
    Truncated,
    /// A byte is not an opcode of protocols 0 to 5.
    Opcode {
        /// The byte.
        code: u8,
        /// Its offset in the pickle.
        at: usize,
    },
    /// An opcode makes no sense where it stands, or is not supported.
    Malformed {
        /// What is wrong.
        what: &'static str,
        /// The offset of the opcode in the pickle.
        at: usize,
    },
    /// The values are nested deeper than [`Limits::depth`], the value here.
    Depth(usize),
    /// The values take more memory than [`Limits::memory`], the value here.
    Memory(usize),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Truncated => write!(f, "the pickle ends early"),
            Error::Opcode { code, at } => write!(f, "unknown opcode {code:#04x} at byte {at}"),
            Error::Malformed { what, at } => write!(f, "{what} at byte {at}"),
            Error::Depth(limit) => write!(f, "the pickle is nested more than {limit} levels deep"),
            Error::Memory(limit) => write!(f, "the pickle takes more than {limit} bytes of memory"),
        }
    }
}

impl error::Error for Error {}
