//! Serialisation of values together with their file descriptors.
//!
//! CPython's `multiprocessing.reduction` does the same for pickles: a descriptor in an argument of a new process is
//! duplicated into that process. Here [`Fd`] and every type that wraps one (`Connection`, `Queue`, `Lock`, ...) implement
//! serde's traits. Their descriptors are sent over a Unix socket, and the rest is encoded with
//! [postcard](https://docs.rs/postcard).

use std::cell::RefCell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::{error, fmt};

use serde::de::{self, DeserializeOwned};
use serde::ser;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An owned file descriptor that can be an argument of a child process.
///
/// The child gets its own duplicate, which is close-on-exec and may have another number.
///
/// # Examples
///
/// ```
/// use std::fs::File;
/// use std::io::{Read, Write, pipe};
///
/// use multiproc::reduction::Fd;
/// use multiproc::{init, spawn, target};
///
/// fn main() -> std::io::Result<()> {
///     init([target(child)]);
///     let (reader, mut writer) = pipe()?;
///     let process = spawn(child, Fd::from(reader))?;
///     writer.write_all(b"Hello")?;
///     drop(writer);
///     assert!(process.join()?.success());
///     Ok(())
/// }
///
/// fn child(reader: Fd) -> std::io::Result<()> {
///     let mut text = String::new();
///     File::from(reader.into_inner()).read_to_string(&mut text)?;
///     assert_eq!(text, "Hello");
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct Fd(OwnedFd);

impl Fd {
    /// Returns the descriptor.
    pub fn into_inner(self) -> OwnedFd {
        self.0
    }
}

impl<T: Into<OwnedFd>> From<T> for Fd {
    fn from(fd: T) -> Fd {
        Fd(fd.into())
    }
}

impl AsFd for Fd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Serialize for Fd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_fd(self.as_fd(), serializer)
    }
}

impl<'de> Deserialize<'de> for Fd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Fd, D::Error> {
        deserialize_fd(deserializer).map(Fd)
    }
}

/// An error that encoding or decoding a value returns.
#[derive(Debug, Clone)]
pub struct EncodingError(String);

impl fmt::Display for EncodingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl error::Error for EncodingError {}

impl From<EncodingError> for std::io::Error {
    fn from(error: EncodingError) -> std::io::Error {
        std::io::Error::new(std::io::ErrorKind::InvalidData, error)
    }
}

/// The descriptors of the value that this thread is writing or reading.
enum Table {
    /// Descriptors cannot be sent with this value.
    Closed,
    Sending(Vec<OwnedFd>),
    Received(Vec<Option<OwnedFd>>),
}

/// A table in use. Dropping it, also in a panic, restores the table that was in use before.
struct Open(Option<Table>);

impl Open {
    fn new(table: Table) -> Open {
        Open(Some(TABLE.replace(table)))
    }

    /// Returns the table.
    fn close(mut self) -> Table {
        TABLE.replace(self.0.take().unwrap_or(Table::Closed))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(before) = self.0.take() {
            TABLE.replace(before);
        }
    }
}

thread_local! {
    static TABLE: RefCell<Table> = const { RefCell::new(Table::Closed) };
    /// The reason why the last descriptor was refused; postcard's errors carry no text.
    static REFUSAL: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Appends a value to `buffer`. Fails if the value contains a descriptor.
#[inline]
pub(crate) fn encode<T: Serialize + ?Sized>(
    value: &T,
    buffer: Vec<u8>,
) -> Result<Vec<u8>, EncodingError> {
    postcard::to_extend(value, buffer).map_err(|error| explain("write", type_name::<T>(), &error))
}

/// Reads a value that [`encode`] wrote.
#[inline]
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, EncodingError> {
    postcard::from_bytes(bytes).map_err(|error| explain("read", type_name::<T>(), &error))
}

/// Appends a value to `buffer` and returns duplicates of its descriptors.
pub(crate) fn encode_with_fds<T: Serialize + ?Sized>(
    value: &T,
    buffer: Vec<u8>,
) -> Result<(Vec<u8>, Vec<OwnedFd>), EncodingError> {
    let table = Open::new(Table::Sending(Vec::new()));
    let bytes = encode(value, buffer);
    match table.close() {
        Table::Sending(fds) => Ok((bytes?, fds)),
        _ => Err(EncodingError("the descriptors are lost".to_owned())),
    }
}

/// Reads a value that [`encode_with_fds`] wrote.
pub(crate) fn decode_with_fds<T: DeserializeOwned>(
    bytes: &[u8],
    fds: Vec<OwnedFd>,
) -> Result<T, EncodingError> {
    // The table is closed then, and refuses a value with a descriptor in it. Most children get none.
    if fds.is_empty() {
        return decode(bytes);
    }
    let _table = Open::new(Table::Received(fds.into_iter().map(Some).collect()));
    decode(bytes)
}

/// Writes a descriptor as its index among the descriptors sent with the value.
pub(crate) fn serialize_fd<S: Serializer>(
    fd: BorrowedFd<'_>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let place = TABLE.with_borrow_mut(|table| match table {
        Table::Sending(fds) => {
            fds.push(fd.try_clone_to_owned().map_err(|error| error.to_string())?);
            Ok((fds.len() - 1) as u32)
        }
        _ => Err(
            "a descriptor reaches another process only as an argument of spawn or of a fork server"
                .to_owned(),
        ),
    });
    match place {
        Ok(place) => place.serialize(serializer),
        Err(reason) => {
            let error = ser::Error::custom(&reason);
            REFUSAL.set(Some(reason));
            Err(error)
        }
    }
}

/// Takes a descriptor by its index among the descriptors received with the value.
pub(crate) fn deserialize_fd<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<OwnedFd, D::Error> {
    let place = u32::deserialize(deserializer)? as usize;
    let fd = TABLE.with_borrow_mut(|table| match table {
        Table::Received(fds) => fds.get_mut(place).and_then(Option::take),
        _ => None,
    });
    fd.ok_or_else(|| de::Error::custom("a descriptor did not come with the value"))
}

fn type_name<T: ?Sized>() -> &'static str {
    std::any::type_name::<T>()
}

#[cold]
fn explain(verb: &str, name: &str, error: &postcard::Error) -> EncodingError {
    let reason = REFUSAL.take().unwrap_or_else(|| error.to_string());
    EncodingError(format!("cannot {verb} a {name}: {reason}"))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write, pipe};

    use super::*;

    #[test]
    fn a_descriptor_travels_beside_its_value() {
        let (mut reader, writer) = pipe().unwrap();
        let (bytes, fds) = encode_with_fds(&(7, Fd::from(writer)), Vec::new()).unwrap();
        let (number, fd): (i32, Fd) = decode_with_fds(&bytes, fds).unwrap();
        std::fs::File::from(fd.into_inner())
            .write_all(b"x")
            .unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!((number, text.as_str()), (7, "x"));
    }

    #[test]
    fn an_ordinary_message_carries_no_descriptor() {
        let (reader, _writer) = pipe().unwrap();
        let error = encode(&Fd::from(reader), Vec::new()).unwrap_err();
        assert!(error.to_string().contains("only as an argument"), "{error}");
    }

    #[test]
    fn a_panic_while_writing_closes_the_table() {
        struct Panics(Fd);
        impl Serialize for Panics {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.0.serialize(serializer)?;
                panic!("intended")
            }
        }
        let (mut reader, writer) = pipe().unwrap();
        let value = Panics(Fd::from(writer));
        let written = std::panic::catch_unwind(|| encode_with_fds(&value, Vec::new()).is_ok());
        assert!(written.is_err());
        assert!(encode(&value.0, Vec::new()).is_err());
        drop(value);
        assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn a_missing_descriptor_is_an_error() {
        assert!(decode_with_fds::<Fd>(&[0], Vec::new()).is_err());
    }
}
