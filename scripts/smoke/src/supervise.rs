//! The process between the harness and one program: it adopts whatever the program leaves behind.
//!
//! The harness starts its own executable again as `--supervise GRACE FOLDER PROGRAM ARGS...`. As a child subreaper this
//! process becomes the parent of every orphan below it, so nothing escapes: not by `setsid`, not by a double fork.
//! It exchanges lines of JSON with the harness over the socket on its stdin. If the harness dies, the socket closes, and
//! the supervisor kills everything, removes the folder and exits.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use anyhow::{Context, Result};
use nix::sys::signal::Signal::{SIGHUP, SIGINT, SIGQUIT};
use nix::sys::signal::{self, SigHandler};
use rustix::io::Errno;
use rustix::process::{self, Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitOptions};
use serde::{Deserialize, Serialize};

/// The first argument of a supervisor.
pub const ARGUMENT: &str = "--supervise";

/// How long the helpers of a killed program, such as a resource tracker, may take to clean up.
const MOMENT: Duration = Duration::from_secs(1);

/// From the supervisor to the harness.
#[derive(Serialize, Deserialize, Debug)]
pub enum Report {
    Started {
        pid: u32,
    },
    /// The program could not be started.
    Failed {
        error: String,
    },
    /// The program has ended, and so has everything below it.
    Ended {
        exit: Option<i32>,
        signal: Option<i32>,
        /// The processes that were still running when the grace period after the program had passed.
        left: Vec<String>,
        /// Children that had ended without being waited for by the program.
        unwaited: Vec<String>,
    },
}

/// From the harness to the supervisor.
#[derive(Serialize, Deserialize, Debug)]
pub enum Order {
    /// Sends a signal to the program, or to its whole process group.
    Signal { signal: i32, group: bool },
    /// Kills the program and all its descendants at once.
    Kill,
}

/// The supervisor's `main`: takes the arguments after [`ARGUMENT`].
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    match supervise(args.collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("supervisor: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn supervise(args: Vec<OsString>) -> Result<()> {
    let [grace, folder, program, args @ ..] = &args[..] else {
        anyhow::bail!("expected GRACE FOLDER PROGRAM ARGS...");
    };
    let grace = Duration::from_millis(
        grace
            .to_string_lossy()
            .parse()
            .context("the grace in milliseconds")?,
    );
    for ignored in [SIGHUP, SIGINT, SIGQUIT] {
        // Under `nohup`, or with `&` in a script, the harness ignores these signals, and the program would inherit that.
        // SAFETY: the default action runs no code of this process.
        unsafe { signal::signal(ignored, SigHandler::SigDfl) }
            .context("restore a signal's default action")?;
    }
    process::set_child_subreaper(Some(process::getpid())).context("become a subreaper")?;
    let mut harness = UnixStream::from(
        io::stdin()
            .as_fd()
            .try_clone_to_owned()
            .context("clone the socket")?,
    );
    let orders = BufReader::new(harness.try_clone().context("clone the socket")?);
    let child = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .process_group(0)
        .spawn();
    let child = match child {
        Ok(child) => child,
        Err(error) => {
            return send(
                &mut harness,
                &Report::Failed {
                    error: error.to_string(),
                },
            );
        }
    };
    let main = Pid::from_child(&child);
    let watched = watch(main, grace, &mut harness, orders);
    if watched.is_err() {
        // The harness has died, or a system call failed. No process may stay, and no other process removes the folder.
        while !matches!(process::wait(WaitOptions::NOHANG), Err(Errno::CHILD)) {
            kill_all();
        }
        fs::remove_dir_all(folder).context("remove the temporary folder")?;
    }
    watched
}

/// Reports the program's start and end to the harness, and carries out its orders in between.
fn watch(
    main: Pid,
    grace: Duration,
    harness: &mut UnixStream,
    orders: BufReader<UnixStream>,
) -> Result<()> {
    send(
        harness,
        &Report::Started {
            pid: main.as_raw_nonzero().get().cast_unsigned(),
        },
    )?;
    // Set to `None` when the pid is freed, so that no signal reaches another process with the same pid.
    let target = Arc::new(Mutex::new(Some(main)));
    let listener = Arc::clone(&target);
    thread::spawn(move || obey(orders, &listener));
    let report = reap(main, &target, grace)?;
    send(harness, &report)
}

fn send(harness: &mut UnixStream, report: &Report) -> Result<()> {
    let mut line = serde_json::to_vec(report)?;
    line.push(b'\n');
    harness.write_all(&line).context("report to the harness")
}

/// Carries out the harness's orders, and kills everything when the socket closes.
fn obey(orders: BufReader<UnixStream>, target: &Mutex<Option<Pid>>) {
    for line in orders.lines() {
        match line.ok().and_then(|line| serde_json::from_str(&line).ok()) {
            Some(Order::Signal { signal, group }) => {
                let target = target.lock().unwrap_or_else(PoisonError::into_inner);
                if let (Some(pid), Some(signal)) = (*target, Signal::from_named_raw(signal)) {
                    // The program may have just ended by itself.
                    let sent = if group {
                        process::kill_process_group(pid, signal)
                    } else {
                        process::kill_process(pid, signal)
                    };
                    sent.ok();
                }
            }
            Some(Order::Kill) => end_all(target),
            None => break,
        }
    }
    // Repeat until this process exits, because no descendant is left.
    loop {
        end_all(target);
    }
}

/// Kills the program, gives its helpers a moment to clean up, and kills the rest.
fn end_all(target: &Mutex<Option<Pid>>) {
    if let Some(main) = *target.lock().unwrap_or_else(PoisonError::into_inner) {
        process::kill_process_group(main, Signal::KILL).ok();
    }
    let deadline = Instant::now() + MOMENT;
    while !descendants().0.is_empty() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(5));
    }
    kill_all();
}

/// Kills all descendants, repeatedly until none is left: one of them may be forking.
fn kill_all() {
    loop {
        let (living, _) = descendants();
        for (pid, _) in &living {
            // The process may have ended, and another may have its pid. A pidfd always refers to the same process: if
            // the pid is still a descendant's, the pidfd is that descendant's.
            if let Ok(pidfd) = process::pidfd_open(*pid, PidfdFlags::empty())
                && descendants().0.iter().any(|(other, _)| other == pid)
            {
                process::pidfd_send_signal(pidfd, Signal::KILL).ok();
            }
        }
        thread::sleep(Duration::from_millis(5));
        if living.is_empty() {
            return;
        }
    }
}

/// Waits for the program, and then up to `grace` for its descendants to end by themselves.
fn reap(main: Pid, target: &Mutex<Option<Pid>>, grace: Duration) -> Result<Report> {
    let (mut exit, mut signal, mut unwaited) = (None, None, vec![]);
    let (all_gone, killer): (Sender<()>, Receiver<()>) = channel();
    let mut killer = Some(killer);
    let mut killing = None;
    loop {
        // Blocks until a child has ended, and leaves it unreaped.
        match process::waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
            Err(Errno::CHILD) => break,
            Err(Errno::INTR) => continue,
            ended => ended.context("wait for the program")?,
        };
        let mut target = target.lock().unwrap_or_else(PoisonError::into_inner);
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        let ended = match *target {
            Some(_) => process::waitid(WaitId::Pid(main), look)
                .context("look at the program")?
                .is_some(),
            None => false,
        };
        // Look once, while the program is a zombie: by now its orphans are children of this process, and each is in one
        // of the two lists.
        let (living, dead) = descendants();
        if !ended {
            for (pid, _) in dead.iter().filter(|(pid, _)| Some(*pid) != *target) {
                process::waitpid(Some(*pid), WaitOptions::NOHANG).context("reap an orphan")?;
            }
            continue;
        }
        let reaped =
            process::waitpid(Some(main), WaitOptions::NOHANG).context("reap the program")?;
        let (_, status) = reaped.context("the program has not ended")?;
        *target = None;
        (exit, signal) = (status.exit_status(), status.terminating_signal());
        unwaited = dead
            .into_iter()
            .filter(|(pid, _)| *pid != main)
            .map(|(_, name)| name)
            .collect();
        if let Some(killer) = killer.take() {
            killing = Some(thread::spawn(move || {
                let mut left = living;
                if !grace.is_zero() {
                    if killer.recv_timeout(grace) != Err(RecvTimeoutError::Timeout) {
                        return vec![];
                    }
                    left = descendants().0;
                }
                kill_all();
                left.into_iter().map(|(_, name)| name).collect()
            }));
        }
    }
    drop(all_gone);
    let left = killing
        .and_then(|killing| killing.join().ok())
        .unwrap_or_default();
    Ok(Report::Ended {
        exit,
        signal,
        left,
        unwaited,
    })
}

/// Pids, each with a readable name of the process.
type Processes = Vec<(Pid, String)>;

/// All descendants of this process: the living ones, and the zombies among its own children.
fn descendants() -> (Processes, Processes) {
    let mut children: BTreeMap<i32, Vec<(i32, bool, String)>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        // pid (name) state ppid ...: the name may contain anything, so split after the last parenthesis.
        let Some((head, tail)) = stat.rsplit_once(')') else {
            continue;
        };
        let Some((pid, name)) = head.split_once(" (") else {
            continue;
        };
        let mut fields = tail.split_whitespace();
        let (Some(state), Some(parent)) = (fields.next(), fields.next()) else {
            continue;
        };
        let (Ok(pid), Ok(parent)) = (pid.parse(), parent.parse::<i32>()) else {
            continue;
        };
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        let command = if command.is_empty() {
            name.to_owned()
        } else {
            command.trim_end().to_owned()
        };
        children.entry(parent).or_default().push((
            pid,
            state == "Z" || state == "X",
            format!("{pid} ({command})"),
        ));
    }
    let (mut living, mut dead) = (vec![], vec![]);
    let this = process::getpid().as_raw_nonzero().get();
    let mut queue = vec![this];
    while let Some(parent) = queue.pop() {
        for (pid, zombie, name) in children.remove(&parent).unwrap_or_default() {
            queue.push(pid);
            let Some(pid) = Pid::from_raw(pid) else {
                continue;
            };
            match zombie {
                false => living.push((pid, name)),
                true if parent == this => dead.push((pid, name)),
                true => {}
            }
        }
    }
    (living, dead)
}
