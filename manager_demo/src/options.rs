//! The command line of serve: an option, a value, an option, a value; what is wrong is said in one line.
//!
//! Python:  `argparse`
//! Differs: the standard library parses no options. This does for seven; a program with more takes the crate clap.
//! Needs:   managers
//!
//! ```cargo
//! [dependencies]
//! ```

use std::path::PathBuf;
use std::time::Duration;

use crate::managers::{Address, Limits};

pub const HELP: &str = "\
serve --authkey-file FILE [OPTION VALUE]...             a server, until SIGINT or SIGTERM
  --authkey-file FILE    the key, which nobody else should be able to read; a newline at its end is no part of it
  --address ADDRESS      where it listens; port 0 is any that is free [127.0.0.1:9697]
  --connections NUMBER   how many there may be at once; a client has one for each thread, and for a moment more [4096]
  --strangers NUMBER     how many of them may not have shown yet that they know the key [1024]
  --handshake SECONDS    how long they may take for that [10]
  --message BYTES        the largest message [268435456]
serve --authkey-file FILE --connect ADDRESS             a session with a server that runs
An ADDRESS is HOST:PORT, [IPV6]:PORT, /PATH, unix:PATH or unix:@NAME. Python's clients know no IPv6.
What the server refuses, and why, it says on stderr.";

#[derive(Debug)]
pub struct Options {
    pub authkey_file: PathBuf,
    pub address: Address,
    pub connect: Option<Address>,
    pub limits: Limits,
}

const FILE: &str = "the path of a file";
const ADDRESS: &str = "an address, such as 127.0.0.1:9697, [::1]:9697 or /tmp/manager.sock";
const NUMBER: &str = "a whole number from 1 to 1000000000";
const SECONDS: &str = "seconds, more than 0 and at most 1000000";

/// The options, or what is right.
pub fn parse(args: &[String]) -> Result<Options, String> {
    let mut options = Options {
        authkey_file: PathBuf::new(),
        address: Address::Tcp("127.0.0.1".to_owned(), 9697),
        connect: None,
        limits: Limits::default(),
    };
    let limits = &mut options.limits;
    for pair in args.chunks(2) {
        let (name, value) = (&*pair[0], pair.get(1).map_or("", String::as_str));
        let file = Some(value).filter(|path| !path.is_empty());
        let address = value.parse().ok();
        let (takes, taken) = match name {
            "--authkey-file" => (FILE, file.map(|path| options.authkey_file = path.into())),
            "--address" => (ADDRESS, address.map(|address| options.address = address)),
            "--connect" => (
                ADDRESS,
                address.map(|address| options.connect = Some(address)),
            ),
            "--connections" => (NUMBER, number(value).map(|n| limits.connections = n)),
            "--strangers" => (NUMBER, number(value).map(|n| limits.strangers = n)),
            "--handshake" => (SECONDS, seconds(value).map(|time| limits.handshake = time)),
            "--message" => (NUMBER, number(value).map(|bytes| limits.message = bytes)),
            _ => return Err(format!("there is no option {name:?}; --help names all")),
        };
        taken.ok_or_else(|| match pair.get(1) {
            Some(value) => format!("{name} takes {takes}, not {value:?}"),
            None => format!("{name} needs a value: {takes}"),
        })?;
    }
    if options.authkey_file.as_os_str().is_empty() {
        return Err("--authkey-file FILE is missing; --help says more".to_owned());
    }
    match (&options.connect, args.len()) {
        (Some(_), 5..) => Err("beside --connect there is only --authkey-file".to_owned()),
        _ => Ok(options),
    }
}

fn number(text: &str) -> Option<usize> {
    text.parse()
        .ok()
        .filter(|number| (1..=1_000_000_000).contains(number))
}

fn seconds(text: &str) -> Option<Duration> {
    let seconds = text
        .parse()
        .ok()
        .filter(|seconds| *seconds > 0.0 && *seconds <= 1e6)?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        super::parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn each_option_has_its_place() {
        let options = "--authkey-file F --address unix:@x --connections 1 --strangers 2 --handshake 0.5 --message 3";
        let options = parse(options).unwrap();
        assert_eq!(options.authkey_file, PathBuf::from("F"));
        assert_eq!(Ok(options.address), "unix:@x".parse());
        assert_eq!(options.connect, None);
        let limits = options.limits;
        assert_eq!(
            [limits.connections, limits.strangers, limits.message],
            [1, 2, 3]
        );
        assert_eq!(limits.handshake, Duration::from_millis(500));
        let options = parse("--connect [::1]:5 --authkey-file F").unwrap();
        assert_eq!(options.connect, Some(Address::Tcp("::1".to_owned(), 5)));
    }

    #[test]
    fn what_is_wrong_is_said_in_one_line() {
        let wrong = |line| parse(line).unwrap_err();
        assert_eq!(
            wrong("--handshake inf"),
            format!("--handshake takes {SECONDS}, not \"inf\"")
        );
        assert_eq!(
            wrong("--message 5 --message"),
            format!("--message needs a value: {NUMBER}")
        );
        assert_eq!(
            wrong("--address x"),
            format!("--address takes {ADDRESS}, not \"x\"")
        );
        assert_eq!(
            wrong("--authkey-file"),
            format!("--authkey-file needs a value: {FILE}")
        );
        assert_eq!(wrong("x"), "there is no option \"x\"; --help names all");
        assert_eq!(
            wrong("--message 5"),
            "--authkey-file FILE is missing; --help says more"
        );
        assert_eq!(
            wrong("--connect a:1 --authkey-file F --message 5"),
            "beside --connect there is only --authkey-file"
        );
    }
}
