//! `communicate`: sends a command its input and reads both its outputs, all at once and within a time limit.
//!
//! Python:  `subprocess.Popen(..., start_new_session=True)`, `communicate(input, timeout)`, `os.killpg`
//! Differs: when the time is over Python kills nothing; here the command's whole process group dies.
//!
//! ```cargo
//! [dependencies]
//! rustix = { version = "1", features = ["process"] }
//! ```

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;
use std::{error, fmt, thread};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// Why there is no complete output.
#[derive(Debug)]
pub enum Error {
    /// The command could not be started; there is no such program, for one.
    Start { program: String, error: io::Error },
    /// The time was over, and the command's process group was killed. What it had said until then is here.
    TimedOut { timeout: Duration, output: Output },
    /// A pipe failed.
    Io(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Start { program, error } => write!(f, "start {program}: {error}"),
            Error::TimedOut { timeout, .. } => write!(f, "no end after {timeout:?}"),
            Error::Io(error) => write!(f, "talk to the command: {error}"),
        }
    }
}

impl error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        Error::Io(error)
    }
}

/// Starts `command`, writes `input` to its stdin and closes it, and reads stdout and stderr to their ends. Each pipe has
/// a thread of its own: whoever fills one pipe while its peer fills another would wait for ever.
///
/// Blocks until the command has ended and both outputs are closed, for `timeout` at most. The command leads a process
/// group of its own, so that a kill reaches what it has started itself; hence Ctrl-C does not reach it, and it should
/// end when its pipes do. A descendant that leaves the group and keeps a pipe open is waited for.
pub fn communicate(
    command: &mut Command,
    input: &[u8],
    timeout: Duration,
) -> Result<Output, Error> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .spawn()
        .map_err(|error| Error::Start { program, error })?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let pid = Pid::from_child(&child);
    let (working, all_done) = mpsc::channel::<()>();
    let (written, stdout, stderr, timed_out) = thread::scope(|scope| {
        // Each thread's sender is dropped when the thread is done; when all are, the channel is closed.
        let pump = |mut from: Option<Box<dyn Read + Send>>| {
            let working = working.clone();
            scope.spawn(move || {
                let mut bytes = Vec::new();
                let read = from
                    .as_mut()
                    .map_or(Ok(0), |from| from.read_to_end(&mut bytes));
                drop(working);
                read.map(|_| bytes)
            })
        };
        let stdout = pump(stdout.map(|pipe| Box::new(pipe) as _));
        let stderr = pump(stderr.map(|pipe| Box::new(pipe) as _));
        let writing = working.clone();
        let written = scope.spawn(move || {
            let written = stdin.map_or(Ok(()), |mut pipe| pipe.write_all(input));
            drop(writing);
            written
        });
        // Waits without reaping: until `child.wait` below, no other process can get the pid.
        scope.spawn(move || {
            let ended = waitid(
                WaitId::Pid(pid),
                WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
            );
            drop(working);
            ended.is_ok()
        });
        let timed_out = all_done.recv_timeout(timeout) == Err(RecvTimeoutError::Timeout);
        if timed_out {
            // It may have ended by itself in this moment.
            kill_process_group(pid, Signal::KILL).ok();
        }
        (written.join(), stdout.join(), stderr.join(), timed_out)
    });
    let panicked = |_| io::Error::other("a thread panicked");
    match written.map_err(panicked)? {
        // A command need not read its input to the end.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(error.into()),
        _ => {}
    }
    let (stdout, stderr) = (stdout.map_err(panicked)??, stderr.map_err(panicked)??);
    let output = Output {
        status: child.wait()?,
        stdout,
        stderr,
    };
    if timed_out {
        Err(Error::TimedOut { timeout, output })
    } else {
        Ok(output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_command_need_not_read_its_input() {
        let output = communicate(&mut sh("exit 3"), &vec![0; 1 << 20], LONG).unwrap();
        assert_eq!(output.status.code(), Some(3));
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = communicate(&mut Command::new("no-such-command"), b"", LONG).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("start no-such-command: No such file"),
            "{error}"
        );
    }

    #[test]
    fn a_timeout_keeps_what_was_said() {
        let started = std::time::Instant::now();
        let error = communicate(
            &mut sh("echo said; sleep 1000"),
            b"",
            Duration::from_millis(300),
        )
        .unwrap_err();
        let Error::TimedOut { output, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(output.stdout, b"said\n");
        assert!(started.elapsed() < LONG);
    }

    #[test]
    fn closed_outputs_do_not_hide_a_running_command() {
        let error = communicate(
            &mut sh("exec >&- 2>&-; sleep 1000"),
            b"",
            Duration::from_millis(100),
        )
        .unwrap_err();
        assert!(matches!(error, Error::TimedOut { .. }));
    }
}
