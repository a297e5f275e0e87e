//! The address of a manager's server, and its text.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::str::FromStr;

/// The address of a manager's server.
///
/// Its text is `HOST:PORT`, `[IPV6]:PORT`, `/PATH`, `unix:PATH`, or `unix:@NAME` for a name in Linux's abstract namespace.
/// An empty host stands for every IPv4 address of the machine, port 0 for any free port.
///
/// ```
/// use pickle_value::Address;
///
/// let address: Address = "127.0.0.1:5000".parse().unwrap();
/// assert_eq!(address, Address::Tcp("127.0.0.1".to_owned(), 5000));
/// assert_eq!("unix:/tmp/socket".parse(), Ok(Address::Unix("/tmp/socket".into())));
/// assert!("localhost".parse::<Address>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// The name or number of a host, and a port.
    Tcp(String, u16),
    /// The path of a Unix socket. A path that begins with a NUL byte is a name in Linux's abstract namespace.
    Unix(PathBuf),
}

impl Address {
    /// Returns the address of a Unix socket in Linux's abstract namespace.
    pub fn from_abstract_name(name: &[u8]) -> Self {
        Address::Unix(OsString::from_vec([&[0], name].concat()).into())
    }

    /// Returns the name in Linux's abstract namespace, if the address has one.
    pub fn abstract_name(&self) -> Option<&[u8]> {
        match self {
            Address::Unix(path) => path.as_os_str().as_bytes().strip_prefix(&[0]),
            Address::Tcp(..) => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Address::Tcp(host, port) => write!(f, "{host}:{port}"),
            Address::Unix(path) => match self.abstract_name() {
                Some(name) => write!(f, "unix:@{}", OsStr::from_bytes(name).display()),
                None if path.is_absolute() => write!(f, "{}", path.display()),
                // A path that begins with an @ would read as an abstract name.
                None if path.as_os_str().as_bytes().starts_with(b"@") => {
                    write!(f, "unix:./{}", path.display())
                }
                None => write!(f, "unix:{}", path.display()),
            },
        }
    }
}

/// The error of a text that does not parse as an [`Address`].
///
/// ```
/// use pickle_value::Address;
///
/// let error = "localhost".parse::<Address>().unwrap_err();
/// assert!(error.to_string().starts_with("invalid address \"localhost\": expected HOST:PORT"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidAddress(String);

impl fmt::Display for InvalidAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = &self.0;
        let forms = "HOST:PORT, [IPV6]:PORT, /PATH, unix:PATH or unix:@NAME";
        write!(f, "invalid address {text:?}: expected {forms}")
    }
}

impl std::error::Error for InvalidAddress {}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        parse(text).ok_or_else(|| InvalidAddress(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Address> {
    let path = text.strip_prefix("unix:");
    if let Some(path) = path.or(text.starts_with('/').then_some(text)) {
        let name = path.strip_prefix('@');
        let valid = !path.contains('\0') && !name.unwrap_or(path).is_empty();
        return valid.then(|| match name {
            Some(name) => Address::from_abstract_name(name.as_bytes()),
            None => Address::Unix(path.into()),
        });
    }
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(host) => {
            let (number, _zone) = host.split_once('%').unwrap_or((host, ""));
            number.parse::<Ipv6Addr>().ok()?;
            host
        }
        None => host,
    };
    let bracketed = host.len() + port.len() + 1 < text.len();
    let forbidden = |c: char| c.is_whitespace() || c.is_control() || "[]/".contains(c);
    if host.contains(forbidden) || host.contains(':') != bracketed {
        return None;
    }
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    Some(Address::Tcp(
        host.to_owned(),
        port.parse().ok().filter(|_| digits)?,
    ))
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Address::Tcp(address.ip().to_string(), address.port())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_of_addresses() {
        let tcp = |host: &str, port| Address::Tcp(host.to_owned(), port);
        let unix = |path: &str| Address::Unix(path.into());
        for (text, address) in [
            ("127.0.0.1:9697", tcp("127.0.0.1", 9697)),
            ("localhost:0", tcp("localhost", 0)),
            (":65535", tcp("", 65535)),
            ("[::1]:5000", tcp("::1", 5000)),
            ("[fe80::1%eth0]:5000", tcp("fe80::1%eth0", 5000)),
            ("/tmp/x.sock", unix("/tmp/x.sock")),
            ("unix:x.sock", unix("x.sock")),
            ("unix:./@x", unix("./@x")),
            ("unix:@abstract", unix("\0abstract")),
        ] {
            assert_eq!(text.parse(), Ok(address.clone()));
            assert_eq!(address.to_string(), text);
        }
        assert_eq!("unix:/tmp/x".parse(), Ok(unix("/tmp/x")));
        assert_eq!(unix("@x").to_string(), "unix:./@x");
        for text in [
            "",
            ":",
            "localhost",
            "localhost:",
            "localhost:+1",
            "localhost:65536",
            "localhost:-1",
            "a b:1",
            "::1:5000",
            "[::1]",
            "[::1]:",
            "[localhost]:1",
            "[]:1",
            "::1",
            "unix:",
            "unix:@",
            "unix:a\0b",
            "http://x:80",
            "x.sock",
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(
                error.starts_with("invalid address ") && !error.contains('\n'),
                "{text}"
            );
        }
        let address = Address::from(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 7)));
        assert_eq!(address.to_string(), "[::1]:7");
    }

    proptest! {
        #[test]
        fn any_text_is_an_address_or_not(text in r"(unix:|/|\[)?[a:@/.1%\PC]{0,12}(\])?(:[0-9]{1,6})?") {
            if let Ok(address) = text.parse::<Address>() {
                prop_assert_eq!(address.to_string().parse(), Ok(address));
            }
        }
    }
}
