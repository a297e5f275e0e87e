//! Python's values and pickles, as data.
//!
//! [`loads`] reads what `pickle.dumps` writes, in every protocol from 0 to 5, and [`dumps`] writes protocol 4. Nothing is
//! imported or executed. A class is represented by its name. An object of a class that only Python knows is represented by
//! the calls that would construct it, and is written back unchanged.
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
//! // os.system("ls") is only a name and an argument here.
//! let attack = loads(b"cos\nsystem\n(Vls\ntR.")?;
//! assert_eq!(attack.called("os", "system").unwrap()[0], Value::from("ls"));
//! # Ok::<(), pickle_value::Error>(())
//! ```
//!
//! A [`Value`] behaves as in Python: [`==`](Value#impl-PartialEq-for-Value), [`Value::less_than`], [`Key`] for hashing,
//! [`Value::repr`], [`Value::str`], [`Value::elements`] for iterating. Object identity, cyclic values, lone
//! surrogates, big integers and `array.array` survive a round trip.
//!
//! [`Limits`] bound the memory and the nesting depth that a hostile pickle can use. Comparing, hashing and showing a value
//! are bounded too. The tests compare random values of all protocols with CPython's pickler in both directions.
//!
//! # Features
//!
//! - `serde`: `to_value`, `from_value` and `TryFrom<Value>` convert to and from Rust's own types.
//!
//! # Related crates
//!
//! serde-pickle also converts pickles to Rust types. It rejects or replaces objects of unknown classes. This crate keeps
//! them, with identity and cycles, so that a program can forward objects that it does not understand.

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
