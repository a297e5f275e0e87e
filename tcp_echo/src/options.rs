//! The command line of serve: an option, a value, an option, a value; what is wrong is said in one line.
//!
//! Python:  `argparse`
//! Differs: the standard library parses no options. This does for six; a program with more takes the crate clap.
//! Needs:   server.rs
//!
//! ```cargo
//! [dependencies]
//! ```

use std::net::SocketAddr;
use std::time::Duration;

use crate::server::Limits;

pub const HELP: &str = "\
serve --connect IP:PORT     a session with a server that runs
serve [OPTION VALUE]...     a server, until SIGINT or SIGTERM
  --addr IP:PORT            where it listens; port 0 is any that is free [127.0.0.1:8081]
  --connections NUMBER      clients served at once; further ones are told so and closed [256]
  --line BYTES              the longest line; a longer one ends its connection [65536]
  --idle SECONDS            how long a client may take to send a line, or to read its answer [60]
  --drain SECONDS           how long all may take to end their lines when the server stops [5]";

#[derive(Debug, Default)]
pub struct Options {
    pub addr: Option<SocketAddr>,
    pub connect: Option<SocketAddr>,
    pub limits: Limits,
}

const ADDRESS: &str = "an IP address and a port, such as 127.0.0.1:8081 or [::1]:8081";
const NUMBER: &str = "a whole number from 1 to 1000000000";
const SECONDS: &str = "seconds, more than 0 and at most 1000000";

/// The options, or what is right.
pub fn parse(args: &[String]) -> Result<Options, String> {
    let mut options = Options::default();
    let limits = &mut options.limits;
    for pair in args.chunks(2) {
        let (name, value) = (&*pair[0], pair.get(1).map_or("", String::as_str));
        let (takes, taken) = match name {
            "--addr" => (
                ADDRESS,
                value.parse().ok().map(|addr| options.addr = Some(addr)),
            ),
            "--connect" => (
                ADDRESS,
                value.parse().ok().map(|addr| options.connect = Some(addr)),
            ),
            "--connections" => (
                NUMBER,
                number(value).map(|number| limits.connections = number),
            ),
            "--line" => (NUMBER, number(value).map(|bytes| limits.line = bytes)),
            "--idle" => (SECONDS, seconds(value).map(|time| limits.idle = time)),
            "--drain" => (SECONDS, seconds(value).map(|time| limits.drain = time)),
            _ => return Err(format!("there is no option {name:?}; --help names all")),
        };
        taken.ok_or_else(|| match pair.get(1) {
            Some(value) => format!("{name} takes {takes}, not {value:?}"),
            None => format!("{name} needs a value: {takes}"),
        })?;
    }
    match (options.connect, args.len()) {
        (Some(_), 3..) => Err("--connect stands alone".to_owned()),
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
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        super::parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn each_option_has_its_place() {
        let options =
            parse("--addr [::1]:0 --connections 1 --line 2 --idle 0.5 --drain 4").unwrap();
        assert_eq!(options.addr, "[::1]:0".parse().ok());
        let limits = Limits {
            connections: 1,
            line: 2,
            idle: Duration::from_millis(500),
            drain: Duration::from_secs(4),
        };
        assert_eq!((options.connect, options.limits), (None, limits));
    }

    #[test]
    fn what_is_wrong_is_said_in_one_line() {
        let wrong = |line| parse(line).unwrap_err();
        assert_eq!(
            wrong("--idle inf"),
            format!("--idle takes {SECONDS}, not \"inf\"")
        );
        assert_eq!(
            wrong("--line 5 --line"),
            format!("--line needs a value: {NUMBER}")
        );
        assert_eq!(
            wrong("--addr :80"),
            format!("--addr takes {ADDRESS}, not \":80\"")
        );
        assert_eq!(wrong("x"), "there is no option \"x\"; --help names all");
        assert_eq!(
            wrong("--connect 1.1.1.1:1 --idle 1"),
            "--connect stands alone"
        );
    }
}
