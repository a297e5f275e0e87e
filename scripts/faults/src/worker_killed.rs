//! A worker of a pool is killed, in a task or while it waits for one. Its task fails and says why; all other tasks are
//! done.

use std::os::fd::OwnedFd;
use std::process;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use multiproc::{Exit, Pool, PoolError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::{LONG, each};

const WORKERS: usize = 3;

/// How many tasks a round has.
const TASKS: u32 = 50;

/// Returns the task's number and the worker's pid.
pub fn work(number: u32) -> Result<(u32, u32)> {
    thread::sleep(Duration::from_millis(1));
    Ok((number, process::id()))
}

/// Kills a worker that has just done a task, and is about to take or do another.
pub fn in_task(rounds: u32) -> Result<String> {
    let pool = Pool::with_workers(WORKERS)?;
    let mut reported = 0;
    each(rounds, |round| {
        let mut done = [0; TASKS as usize];
        let mut failed = 0;
        for result in pool.imap_unordered(work, 0..TASKS, None)? {
            match result {
                Ok((number, worker)) => {
                    done[number as usize] += 1;
                    if done.iter().sum::<u32>() == 1 + round % 40 {
                        kill(worker)?;
                    }
                }
                Err(PoolError::WorkerDied(Exit::Signal(9))) => failed += 1,
                Err(error) => return Err(error.into()),
            }
        }
        let lost = done.iter().filter(|times| **times == 0).count();
        ensure!(
            done.iter().all(|times| *times <= 1),
            "a task was done twice"
        );
        ensure!(lost == failed, "{lost} tasks not done, {failed} reported");
        ensure!(failed <= 1, "{failed} tasks failed with one worker");
        reported += failed;
        Ok(format!("{TASKS} tasks, {failed} reported"))
    })?;
    pool.join()?;
    Ok(format!(
        "of {} tasks {reported} failed, and said so",
        rounds * TASKS
    ))
}

/// Kills a worker that waits for a task.
pub fn idle(rounds: u32) -> Result<String> {
    let pool = Pool::with_workers(WORKERS)?;
    let mut workers = map(&pool)?;
    each(rounds, |round| {
        let next = round as usize % workers.len();
        let worker = kill(workers[next])?;
        let limit = Timespec::try_from(LONG)?;
        let mut fds = [PollFd::new(&worker, PollFlags::IN)];
        let ended = poll(&mut fds, Some(&limit)).context("wait for its end")?;
        ensure!(ended == 1, "it has not ended");
        workers = map(&pool)?;
        Ok(format!("{TASKS} tasks done"))
    })?;
    pool.join()?;
    Ok(format!("{} tasks done, none failed", rounds * TASKS))
}

/// Returns the pids of the workers that have done the tasks, the last one first.
fn map(pool: &Pool) -> Result<Vec<u32>> {
    let done = pool.map(work, 0..TASKS, Some(1))?;
    let numbers = done.iter().map(|(number, _)| *number);
    ensure!(
        numbers.eq(0..TASKS),
        "the results are not the tasks' numbers"
    );
    let mut workers = vec![];
    for (_, worker) in done.into_iter().rev() {
        if !workers.contains(&worker) {
            workers.push(worker);
        }
    }
    Ok(workers)
}

fn kill(worker: u32) -> Result<OwnedFd> {
    let pid = Pid::from_raw(worker.cast_signed()).context("a worker's pid")?;
    let worker = pidfd_open(pid, PidfdFlags::empty()).context("find a worker")?;
    pidfd_send_signal(&worker, Signal::KILL).context("kill a worker")?;
    Ok(worker)
}
