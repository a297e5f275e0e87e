//! What a pickle may cost its reader, and why one is refused.

use std::{error, fmt};

/// What a pickle may cost whoever reads it.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How deep containers and objects lie in each other. An object's arguments and its state are one level more. In a
    /// knot, what refers back to a value around it is not counted.
    pub depth: usize,
    /// Bytes, for the values and what the reader needs meanwhile, estimated while it reads.
    pub memory: usize,
}

impl Default for Limits {
    /// A depth of 1000 and 1 GiB.
    fn default() -> Self {
        Limits {
            depth: 1000,
            memory: 1 << 30,
        }
    }
}

/// Why a pickle is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// It ends in the middle.
    Truncated,
    /// No opcode of protocols 0 to 5.
    Opcode { code: u8, at: usize },
    /// An opcode that makes no sense here, or that this reader does not know.
    Malformed { what: &'static str, at: usize },
    /// Deeper than [`Limits::depth`].
    Depth(usize),
    /// More than [`Limits::memory`].
    Memory(usize),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Truncated => write!(f, "pickle ends in the middle"),
            Error::Opcode { code, at } => write!(f, "unknown opcode {code:#04x} at byte {at}"),
            Error::Malformed { what, at } => write!(f, "{what} at byte {at}"),
            Error::Depth(limit) => write!(f, "pickle is more than {limit} levels deep"),
            Error::Memory(limit) => write!(f, "pickle needs more than {limit} bytes"),
        }
    }
}

impl error::Error for Error {}
