//! Python's values and pickles, as data.
//!
//! [`loads`] reads what `pickle.dumps` writes, in every protocol from 0 to 5, and [`dumps`] writes protocol 4. Nothing is ever
//! imported or executed: a class is only its name, and an object of a class that only Python knows is the calls that would
//! make it. Such objects are kept, and written as they were read.
//!
//! ```
//! use pickle_value::{Value, dumps, loads};
//!
//! // pickle.dumps({"name": "spam", "sizes": [1, 2.5]}, protocol=2)
//! let pickle = b"\x80\x02}q\x00(X\x04\x00\x00\x00nameq\x01X\x04\x00\x00\x00spamq\x02\
//!     X\x05\x00\x00\x00sizesq\x03]q\x04(K\x01G@\x04\x00\x00\x00\x00\x00\x00eu.";
//! let value = loads(pickle)?;
//! assert_eq!(value.to_string(), "{'name': 'spam', 'sizes': [1, 2.5]}");
//! assert_eq!(loads(&dumps(&value))?, value);
//!
//! // os.system("ls") is a name and an argument here.
//! let attack = loads(b"cos\nsystem\n(Vls\ntR.")?;
//! assert_eq!(attack.called("os", "system").unwrap()[0], Value::from("ls"));
//! # Ok::<(), pickle_value::Error>(())
//! ```
//!
//! A [`Value`] behaves as in Python: [`==`](Value#impl-PartialEq-for-Value), [`Value::less_than`], [`Key`] for hashing,
//! [`Value::repr`], [`Value::str`], [`Value::elements`] for iterating. Values that contain themselves, identity, lone
//! surrogates, big integers and `array.array` survive a round trip.
//!
//! A hostile pickle costs no more than [`Limits`] allow in memory and depth, and comparing, hashing or showing a value is
//! limited too. CPython's pickler is the reference: random values of all protocols are compared with it in both directions.
//!
//! # Features
//!
//! - `serde`: `to_value`, `from_value` and `TryFrom<Value>` convert to and from Rust's own types.
//!
//! # Neighbours
//!
//! serde-pickle converts pickles to Rust types too. It refuses or replaces objects of unknown classes; this crate keeps them, with
//! identity and circles, so that a program can pass on what it does not understand.

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
pub use compare::{Key, Walk};
pub use convert::{DictKey, MOST};
pub use exception::Exception;
pub use partial::Partial;
pub use pickle::{Error, Limits, dump_into, dumps, loads, loads_with};
#[cfg(feature = "serde")]
pub use typed::{SerdeError, from_value, to_value};
pub use value::{Array, Global, Keep, Make, Object, Proxy, Step, Value};

/// The messages of `multiprocessing.managers`: tokens, addresses, requests and replies.
pub mod managers {
    pub use crate::pickle::{dump_reply_into, dump_request_into, small_reply, small_request};
    pub use crate::token::{address_value, as_address, as_token, token};
}
