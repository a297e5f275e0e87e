//! `communicate`: sends a command its input and reads both its outputs, all at once and within a time limit.
//!
//! Python:  `subprocess.Popen(..., start_new_session=True)`, `communicate(input, timeout)`, `os.killpg`
//! Differs: when the time is over Python kills nothing; here the command's whole process group dies.
//! Linux:   pidfds, to wait for the pipes and the command at once.
//!
//! ```cargo
//! [dependencies]
//! rustix = { version = "1", features = ["event", "process"] }
//! ```

use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use std::{error, fmt, io};

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

/// How much is read at once.
const PIECE: usize = 64 << 10;

/// How long the outputs of a killed group may stay open.
const MOMENT: Duration = Duration::from_secs(1);

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

/// Starts `command`, writes `input` to its stdin and closes it, and reads stdout and stderr to their ends: whatever is
/// ready first. Whoever fills one pipe while its peer fills another would wait for ever.
///
/// Blocks until the command has ended and both outputs are closed, for `timeout` at most. Then the command is killed
/// with its process group, which it leads, so that the kill reaches what it has started itself. (Hence Ctrl-C does not
/// reach it: it should end when its pipes do.) A descendant that has left the group and keeps an output open is given
/// a moment, and then no longer listened to.
///
/// Cost: a `poll` and a `read` or `write` for what a pipe holds, 64 KiB as a rule.
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
    let pid = Pid::from_child(&child);
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let exchanged = exchange(&mut child, input, timeout, &mut stdout, &mut stderr);
    if !matches!(exchanged, Ok(true)) {
        // Until `wait` below, no other process can get the pid. The group may be gone.
        kill_process_group(pid, Signal::KILL).ok();
    }
    let output = Output {
        status: child.wait()?,
        stdout,
        stderr,
    };
    if exchanged? {
        Ok(output)
    } else {
        Err(Error::TimedOut { timeout, output })
    }
}

/// Writes and reads until all pipes are closed and the command has ended; false if it had to be killed for that.
fn exchange(
    child: &mut Child,
    mut input: &[u8],
    timeout: Duration,
    stdout: &mut Vec<u8>,
    stderr: &mut Vec<u8>,
) -> io::Result<bool> {
    let pid = Pid::from_child(child);
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    let mut stdin = child.stdin.take().map(OwnedFd::from);
    let mut outputs = [
        (child.stdout.take().map(OwnedFd::from), stdout),
        (child.stderr.take().map(OwnedFd::from), stderr),
    ];
    if let Some(stdin) = &stdin {
        // The outputs are read when there is something; a write could ask for more room than there is.
        ioctl_fionbio(stdin, true)?;
    }
    let mut running = true;
    let mut deadline = Instant::now().checked_add(timeout);
    let mut killed = false;
    while running || stdin.is_some() || outputs.iter().any(|(pipe, _)| pipe.is_some()) {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            if killed {
                return Ok(false);
            }
            killed = true;
            kill_process_group(pid, Signal::KILL).ok();
            deadline = Instant::now().checked_add(MOMENT);
            continue;
        }
        let ready = wait(
            &pidfd,
            running,
            &stdin,
            &outputs.each_ref().map(|(pipe, _)| pipe),
            left,
        )?;
        running &= !ready[0];
        if ready[1]
            && let Some(pipe) = &stdin
        {
            match rustix::io::write(pipe, input) {
                Ok(count) => input = &input[count..],
                Err(Errno::AGAIN | Errno::INTR) => {}
                // A command need not read its input to the end.
                Err(Errno::PIPE) => input = &[],
                Err(error) => return Err(error.into()),
            }
        }
        if input.is_empty() {
            stdin = None;
        }
        for (ready, (pipe, bytes)) in ready[2..].iter().zip(&mut outputs) {
            if *ready && let Some(open) = &pipe {
                bytes.reserve(PIECE);
                match rustix::io::read(open, spare_capacity(bytes)) {
                    Ok(0) => *pipe = None,
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }
    Ok(!killed)
}

/// Waits until the command has ended, its stdin can be written or one of its outputs read, in this order.
fn wait(
    pidfd: &OwnedFd,
    running: bool,
    stdin: &Option<OwnedFd>,
    outputs: &[&Option<OwnedFd>; 2],
    left: Option<Duration>,
) -> io::Result<[bool; 4]> {
    let wanted = [
        running.then_some((pidfd, PollFlags::IN)),
        stdin.as_ref().map(|pipe| (pipe, PollFlags::OUT)),
        outputs[0].as_ref().map(|pipe| (pipe, PollFlags::IN)),
        outputs[1].as_ref().map(|pipe| (pipe, PollFlags::IN)),
    ];
    let mut fds: Vec<PollFd> = wanted
        .iter()
        .flatten()
        .map(|(fd, flags)| PollFd::new(*fd, *flags))
        .collect();
    let left = left.and_then(|left| Timespec::try_from(left).ok());
    match poll(&mut fds, left.as_ref()) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let mut ready = fds.iter().map(|fd| !fd.revents().is_empty());
    Ok(wanted.map(|wanted| wanted.is_some() && ready.next().unwrap_or(false)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The limit of the limit: who has left the group is not killed, and not waited for either.
    #[test]
    fn a_descendant_that_left_is_not_waited_for() {
        let started = Instant::now();
        let script = "setsid sleep 4 & echo said; sleep 1000";
        let error = communicate(&mut sh(script), b"", Duration::from_millis(300)).unwrap_err();
        let Error::TimedOut { output, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(output.stdout, b"said\n");
        assert!(
            started.elapsed() < Duration::from_millis(3500),
            "{:?}",
            started.elapsed()
        );
    }

    #[test]
    fn both_ways_at_once() {
        let input = vec![b'.'; 1 << 20];
        let output = communicate(Command::new("tee").arg("/dev/stderr"), &input, LONG).unwrap();
        assert!(output.stdout == input && output.stderr == input && output.status.success());
    }

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
        let started = Instant::now();
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
