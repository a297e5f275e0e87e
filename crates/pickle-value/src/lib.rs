//! Python's values and pickles, as data.

#![warn(missing_docs)]

mod address;
mod compare;
mod convert;
mod exception;
mod partial;
mod pickle;
mod repr;
mod token;
#[cfg(feature = "serde")]
mod typed;
mod value;

pub use address::{Address, InvalidAddress};
pub use compare::{Key, Walk, text};
pub use convert::{DictKey, MOST};
pub use exception::Exception;
pub use partial::Partial;
pub use pickle::{Error, Limits, dump_into, dumps, loads, loads_with};
#[cfg(feature = "serde")]
pub use typed::{SerdeError, from_value, to_value};
pub use value::{Array, Global, Keep, Make, Object, Proxy, Step, Value};

/// What `multiprocessing.managers` sends.
pub mod managers {
    pub use crate::pickle::{dump_reply_into, dump_request_into, small_reply, small_request};
    pub use crate::token::{address_value, as_address, as_token, token};
}
