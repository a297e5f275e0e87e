//! Start a thread that does nothing, and wait for its end, on one CPU. On two CPUs the figure would be the time to wake
//! one.

use std::sync::atomic::{AtomicU32, Ordering};
use std::{io, ptr, thread};

use anyhow::{Context, Result, anyhow, ensure};
use rustix::io::Errno;
use rustix::thread::futex;

use crate::case::Goal::{Over, Within};
use crate::case::{Case, Group, Unit, limit, ours, python};
use crate::workers::{Line, lines, pin, time};

pub const GROUP: Group = Group {
    name: "thread",
    title: "start and join a thread that does nothing, on one CPU",
    cases: &[Case {
        name: "start",
        unit: Unit::Time,
        contestants: &[
            python("CPython", "start", 5000),
            ours(
                "spawn",
                12_000,
                spawned,
                &[Over("CPython", 1.8), Within("clone+futex", 2.0)],
            ),
            ours(
                "scope",
                12_000,
                scoped,
                &[Over("CPython", 1.8), Within("clone+futex", 2.0)],
            ),
            limit("clone+futex", 25_000, cloned),
            limit("pthread", 20_000, created),
        ],
    }],
};

fn spawned(count: u64) -> Result<f64> {
    pin()?;
    time(count, |_| {
        let thread = thread::Builder::new().spawn(|| ());
        let thread = thread.context("start a thread")?;
        thread.join().map_err(|_| anyhow!("the thread panicked"))
    })
}

fn scoped(count: u64) -> Result<f64> {
    pin()?;
    time(count, |_| {
        thread::scope(|scope| {
            let thread = thread::Builder::new().spawn_scoped(scope, || ());
            let thread = thread.context("start a thread")?;
            thread.join().map_err(|_| anyhow!("the thread panicked"))
        })
    })
}

fn cloned(count: u64) -> Result<f64> {
    pin()?;
    let mut stack = lines(64 << 10);
    time(count, |_| clone(&mut stack))
}

/// Starts the smallest thread that the kernel allows, and joins it. The thread has only a stack of its own, and the
/// kernel sets a number to zero when it ends.
fn clone(stack: &mut [Line]) -> Result<()> {
    extern "C" fn end(_: *mut libc::c_void) -> libc::c_int {
        // SAFETY: ending the thread has no precondition, and the call, which does not return, sets no `errno`.
        unsafe { libc::syscall(libc::SYS_exit, 0) as libc::c_int }
    }
    // The stack grows down from its end.
    let top = stack.as_mut_ptr_range().end.cast();
    let flags = libc::CLONE_VM
        | libc::CLONE_FS
        | libc::CLONE_FILES
        | libc::CLONE_SIGHAND
        | libc::CLONE_THREAD
        | libc::CLONE_SYSVSEM
        | libc::CLONE_PARENT_SETTID
        | libc::CLONE_CHILD_CLEARTID;
    let alive = AtomicU32::new(0);
    let (none, thread) = (ptr::null_mut::<libc::c_void>(), alive.as_ptr());
    // SAFETY: the stack and the number stay until the number is zero, because the loop below waits for that. The thread
    // uses no other memory; in particular it does not use thread-locals, which it would share with this thread.
    let id = unsafe { libc::clone(end, top, flags, none, thread, none, thread) };
    ensure!(id > 0, "clone: {}", io::Error::last_os_error());
    loop {
        let id = alive.load(Ordering::Acquire);
        if id == 0 {
            return Ok(());
        }
        // The kernel's wake-up at the thread's end is not private, so this futex must not be private either.
        match futex::wait(&alive, futex::Flags::empty(), id, None) {
            Ok(()) | Err(Errno::AGAIN | Errno::INTR) => {}
            // Returning here would free memory that the thread may still use.
            Err(_) => thread::yield_now(),
        }
    }
}

fn created(count: u64) -> Result<f64> {
    extern "C" fn end(nothing: *mut libc::c_void) -> *mut libc::c_void {
        nothing
    }
    let code = |code: i32| match code {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    };
    pin()?;
    time(count, |_| {
        let mut thread = 0;
        let (attributes, argument) = (ptr::null(), ptr::null_mut());
        // SAFETY: `thread` has room for the thread's number, and `end` does not use its argument.
        let created = unsafe { libc::pthread_create(&mut thread, attributes, end, argument) };
        code(created).context("start a thread")?;
        // SAFETY: the thread was started above, and is joined only here.
        let joined = unsafe { libc::pthread_join(thread, ptr::null_mut()) };
        code(joined).context("join a thread")
    })
}
