//! A program and the processes that it starts.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use rustix::process::{
    Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, set_parent_process_death_signal,
};

/// A process and its group. They are killed when this is dropped or when the thread that started them ends.
pub struct Program {
    child: Child,
    pid: Pid,
    ended: OwnedFd,
    output: File,
    reaped: bool,
}

impl Program {
    pub fn start(command: &mut Command) -> Program {
        let output = tempfile::tempfile().unwrap();
        let stdout = output.try_clone().unwrap();
        Program::start_with(command.stdin(Stdio::null()).stdout(stdout), output)
    }

    /// Starts a program whose standard output is read while it runs. Its standard input is open as long.
    // Not every test uses it.
    #[allow(dead_code)]
    pub fn start_piped(command: &mut Command) -> (Program, ChildStdout) {
        let output = tempfile::tempfile().unwrap();
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut program = Program::start_with(command, output);
        let stdout = program.child.stdout.take().unwrap();
        (program, stdout)
    }

    fn start_with(command: &mut Command, output: File) -> Program {
        let stderr = output.try_clone().unwrap();
        command.stderr(stderr).process_group(0);
        // SAFETY: between fork and exec there is one system call, without heap or lock.
        unsafe { command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?)) };
        let child = command.spawn().unwrap();
        let pid = Pid::from_child(&child);
        let ended = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        Program {
            child,
            pid,
            ended,
            output,
            reaped: false,
        }
    }

    /// Waits for the end of the program. Kills it after the limit; then there is no status.
    pub fn end(mut self, limit: Duration) -> (Option<ExitStatus>, String) {
        let limit = Timespec::try_from(limit).unwrap();
        let mut ends = [PollFd::new(&self.ended, PollFlags::IN)];
        let in_time = retry_on_intr(|| poll(&mut ends, Some(&limit))).unwrap() > 0;
        let status = self.kill();
        let mut text = vec![];
        self.output.rewind().unwrap();
        self.output.read_to_end(&mut text).unwrap();
        let text = String::from_utf8_lossy(&text).into_owned();
        (in_time.then_some(status), text)
    }

    /// Kills the processes that are left.
    fn kill(&mut self) -> ExitStatus {
        // No other process has the number until this one is reaped, which happens only here.
        if !self.reaped {
            kill_process_group(self.pid, Signal::KILL).unwrap();
            self.reaped = true;
        }
        self.child.wait().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}
