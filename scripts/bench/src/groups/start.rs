//! Start a child that does nothing, and wait for its end.

use std::process::Command;
use std::{io, ptr};

use anyhow::{Context, Result, ensure};
use multiproc::forkserver::ForkServer;
use multiproc::{Exit, fork, spawn};
use rustix::process::{Pid, WaitOptions, waitpid};

use crate::case::Goal::{Over, Within};
use crate::case::{Case, Group, Unit, limit, ours, peer, python};
use crate::workers::{Line, lines, time};

pub const GROUP: Group = Group {
    name: "start",
    title: "start and join a child that does nothing",
    cases: &[
        Case {
            name: "fork",
            unit: Unit::Time,
            contestants: &[
                python("CPython", "fork", 150),
                ours(
                    "fork",
                    800,
                    forked,
                    &[Over("CPython", 10.0), Within("vfork", 3.0)],
                ),
                limit("vfork", 2000, vforked),
            ],
        },
        Case {
            name: "spawn",
            unit: Unit::Time,
            contestants: &[
                python("CPython", "spawn", 8),
                peer("procspawn", 100, procspawned),
                ours("spawn", 150, spawned, &[Over("CPython", 45.0)]),
                limit("vfork+exec true", 250, executed),
            ],
        },
        Case {
            name: "forkserver",
            unit: Unit::Time,
            contestants: &[
                python("CPython", "forkserver", 40),
                ours("ForkServer", 800, served, &[Over("CPython", 30.0)]),
                limit("vfork", 2000, vforked),
            ],
        },
    ],
};

fn succeeded(exit: Exit) -> Result<()> {
    ensure!(exit == Exit::Code(0), "a child failed: {exit}");
    Ok(())
}

/// The child.
pub fn nothing((): ()) {}

fn forked(count: u64) -> Result<f64> {
    time(count, |_| succeeded(fork(|| ())?.join()?))
}

fn spawned(count: u64) -> Result<f64> {
    time(count, |_| succeeded(spawn(nothing, ())?.join()?))
}

fn served(count: u64) -> Result<f64> {
    let server = ForkServer::start()?;
    time(count, |_| succeeded(server.spawn(nothing, ())?.join()?))
}

fn procspawned(count: u64) -> Result<f64> {
    // In the children it does not return.
    procspawn::init();
    time(count, |_| {
        let number = procspawn::spawn(7_u32, |number| number).join();
        ensure!(number.context("a child failed")? == 7, "a wrong number");
        Ok(())
    })
}

fn executed(count: u64) -> Result<f64> {
    // std starts this command with posix_spawn, which is a vfork and an exec.
    let mut command = Command::new("/bin/true");
    time(count, |_| {
        let status = command.status().context("run /bin/true")?;
        ensure!(status.success(), "/bin/true failed: {status}");
        Ok(())
    })
}

fn vforked(count: u64) -> Result<f64> {
    let mut stack = lines(64 << 10);
    time(count, |_| {
        let pid = vfork(&mut stack)?;
        let ended = waitpid(Some(pid), WaitOptions::empty()).context("wait for the child")?;
        let (_, status) = ended.context("the child has not ended")?;
        succeeded(status.into())
    })
}

/// Starts a child that shares this process's memory and ends at once. This process waits until then.
fn vfork(stack: &mut [Line]) -> Result<Pid> {
    extern "C" fn end(_: *mut libc::c_void) -> libc::c_int {
        // SAFETY: ending the process has no precondition.
        unsafe { libc::_exit(0) }
    }
    // The stack grows down from its end.
    let top = stack.as_mut_ptr_range().end.cast();
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: the child has a stack of its own and only ends. Until then the kernel suspends this thread, which is the
    // only one.
    let pid = unsafe { libc::clone(end, top, flags, ptr::null_mut()) };
    Pid::from_raw(pid)
        .filter(|_| pid > 0)
        .ok_or_else(io::Error::last_os_error)
        .context("vfork")
}
