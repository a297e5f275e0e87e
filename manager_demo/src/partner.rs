//! `Partner`: the program at the other end, this one again in a role or CPython, which does not outlive this one.
//!
//! Python:  `subprocess.Popen(..., stdin=PIPE)`
//! Differs: its stdin is a socket, which goes both ways. Through it the two tell each other where to meet, and the key,
//!          which on a command line all users of the machine could read.
//! Linux:   the parent-death signal.
//! Needs:   fork_demo/multiprocessing.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! libc = "0.2"
//! rustix = { version = "1", features = ["process"] }
//! ```

use std::fmt::Display;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};

use crate::multiprocessing::{Exit, Process};

/// A program that was started. Dropping it kills it.
pub struct Partner {
    name: String,
    process: Process,
    line: BufReader<UnixStream>,
}

impl Partner {
    /// Starts the command, with a socket for its stdin.
    ///
    /// The kernel kills it when the thread that started it ends, however that ends: best it is the main thread. What the
    /// program has started itself has to see to its own end.
    pub fn start(mut command: Command) -> Result<Partner> {
        let name = command.get_program().to_string_lossy().into_owned();
        let (ours, theirs) = UnixStream::pair().context("make a pair of sockets")?;
        let this = getpid();
        let end_with_parent = move || {
            set_parent_process_death_signal(Some(Signal::KILL))?;
            let alive = getppid() == Some(this); // It may have ended before the call above.
            alive.then_some(()).ok_or(io::ErrorKind::BrokenPipe.into())
        };
        // SAFETY: between fork and exec the closure makes two system calls, without heap or lock.
        unsafe { command.pre_exec(end_with_parent) };
        let child = command.stdin(OwnedFd::from(theirs)).spawn();
        let child = child.with_context(|| format!("start {name}"))?;
        Ok(Partner {
            name,
            process: Process::from(child),
            line: BufReader::new(ours),
        })
    }

    /// Sends it a line.
    pub fn tell(&mut self, line: impl Display) -> Result<()> {
        let line = format!("{line}\n");
        let told = self.line.get_ref().write_all(line.as_bytes());
        told.with_context(|| format!("tell {}", self.name))
    }

    /// Waits for a line of it, which fails when it has ended.
    pub fn hear(&mut self) -> Result<String> {
        read_line(&mut self.line).with_context(|| format!("hear {}", self.name))
    }

    /// Ends its stdin, and waits until it has ended; fails unless its exit code is 0.
    pub fn join(self) -> Result<()> {
        drop(self.line);
        let exit = self.process.join()?;
        ensure!(exit == Exit::Code(0), "{} failed: {exit}", self.name);
        Ok(())
    }
}

/// CPython, with a program.
pub fn python(program: &str) -> Command {
    let mut command = Command::new("python3");
    command.arg("-c").arg(program);
    command
}

/// In a role: waits for a line of the program that started this one.
pub fn told() -> Result<String> {
    read_line(&mut io::stdin().lock()).context("hear the program that started this one")
}

fn read_line(from: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    ensure!(line.pop() == Some('\n'), "it has ended");
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(program: &str) -> Partner {
        let mut command = Command::new("sh");
        command.arg("-c").arg(program);
        Partner::start(command).unwrap()
    }

    #[test]
    fn a_line_goes_each_way() {
        let mut partner = shell("read line; echo \"$line, too\" >&0; read line");
        partner.tell("hello").unwrap();
        assert_eq!(partner.hear().unwrap(), "hello, too");
        // Its second `read` finds the end.
        assert!(
            partner
                .join()
                .unwrap_err()
                .to_string()
                .contains("exit code 1")
        );
    }

    #[test]
    fn one_that_has_ended_is_heard_no_more() {
        let mut partner = shell("printf half >&0");
        let error = format!("{:#}", partner.hear().unwrap_err());
        assert_eq!(error, "hear sh: it has ended");
        partner.join().unwrap();
    }

    #[test]
    fn one_that_is_not_there_is_named() {
        let error = Partner::start(Command::new("no such program"))
            .map(drop)
            .unwrap_err();
        assert!(format!("{error:#}").starts_with("start no such program: "));
    }
}
