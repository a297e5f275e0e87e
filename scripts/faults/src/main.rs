//! What the building blocks do when the worst happens, one file a fault: `faults NAME ROUNDS [ring]`.
//!
//! Each round is a line as soon as it is over. The last line is `held: ...`, or `broken: ...` with exit code 1. Beside
//! each fault lies a Python program that does the same with multiprocessing. `smoke faults` runs both and compares.

mod consumer_killed;
mod descriptor_limit;
mod fork_beside_thread;
mod interrupted;
mod lock_holder_killed;
mod manager;
mod manager_client_killed;
mod manager_server_killed;
mod manager_strangers;
mod manager_values;
mod parent_killed;
mod pipe_peer_killed;
mod producer_killed;
mod remote_worker_killed;
mod rlock_holder_killed;
mod shm;
mod shm_full;
mod shm_read_only;
mod worker_killed;

/// The building blocks, which can do more than is asked of them here.
#[allow(dead_code)]
#[path = "../../../queue_demo/src/channel.rs"]
mod channel;
#[allow(dead_code)]
#[path = "../../../queue_demo/src/event.rs"]
mod event;
#[allow(dead_code)]
#[path = "../../../manager_demo/src/managers/mod.rs"]
mod managers;
#[allow(dead_code)]
#[path = "../../../queue_demo/src/memory.rs"]
mod memory;
#[allow(dead_code)]
#[path = "../../../queue_demo/src/monitor.rs"]
mod monitor;
#[allow(dead_code)]
#[path = "../../../fork_demo/src/multiprocessing.rs"]
mod multiprocessing;
#[allow(dead_code)]
#[path = "../../../pipe_demo/src/pipe.rs"]
mod pipe;
#[allow(dead_code)]
#[path = "../../../pool_demo/src/pool.rs"]
mod pool;
#[allow(dead_code)]
#[path = "../../../queue_demo/src/queues.rs"]
mod queues;
#[allow(dead_code)]
#[path = "../../../queue_demo/src/ring.rs"]
mod ring;
#[allow(dead_code)]
#[path = "../../../shm_demo/src/robust.rs"]
mod robust;
#[allow(dead_code)]
#[path = "../../../shm_demo/src/shared.rs"]
mod shared;
#[allow(dead_code)]
#[path = "../../../queue_demo/src/socket.rs"]
mod socket;

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::interrupted::Endless;
use crate::pool::{entry, serve};
use crate::ring::Ring;
use crate::socket::Socket;
use crate::worker_killed::Work;

/// Longer than anything takes that does not hang.
const LONG: Duration = Duration::from_secs(15);

/// What a fault does in so many rounds; the text says what held.
type Fault = fn(u32) -> Result<String>;

/// Each fault, on sockets and on the ring; the same where there is no queue in it.
const FAULTS: &[(&str, Fault, Fault)] = &[
    (
        "worker_killed_in_task",
        worker_killed::in_task::<Socket>,
        worker_killed::in_task::<Ring>,
    ),
    (
        "worker_killed_idle",
        worker_killed::idle::<Socket>,
        worker_killed::idle::<Ring>,
    ),
    (
        "producer_killed",
        producer_killed::run::<Socket>,
        producer_killed::run::<Ring>,
    ),
    (
        "consumer_killed",
        consumer_killed::run::<Socket>,
        consumer_killed::run::<Ring>,
    ),
    both("lock_holder_killed", lock_holder_killed::run),
    both("rlock_holder_killed", rlock_holder_killed::run),
    both("pipe_peer_killed", pipe_peer_killed::run),
    (
        "parent_killed",
        parent_killed::run::<Socket>,
        parent_killed::run::<Ring>,
    ),
    both("fork_beside_thread", fork_beside_thread::run),
    both("descriptor_limit", descriptor_limit::run),
    both("remote_worker_killed", remote_worker_killed::run),
    both(
        "manager_lock_holder_killed",
        manager_client_killed::with_lock,
    ),
    both(
        "manager_rlock_holder_killed",
        manager_client_killed::with_rlock,
    ),
    both("manager_getter_killed", manager_client_killed::in_get),
    both("manager_acquirer_killed", manager_client_killed::in_acquire),
    both("manager_server_killed", manager_server_killed::run),
    both("manager_wrong_key", manager_strangers::wrong_key),
    both("manager_garbage", manager_strangers::garbage),
    both("manager_connections", manager_strangers::ten_thousand),
    both("manager_reader_stops", manager_values::reader_stops),
    both("manager_unknown_class", manager_values::unknown_class),
    both("shm_full", shm_full::run),
    both("shm_read_only", shm_read_only::run),
    (
        "interrupted",
        interrupted::run::<Socket>,
        interrupted::run::<Ring>,
    ),
];

const fn both(name: &str, run: Fault) -> (&str, Fault, Fault) {
    (name, run, run)
}

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    if let ["--shm", how, command @ ..] = &args[..] {
        return shm::exec(how, command);
    }
    let other = match &args[..] {
        ["--remote-worker"] => Some(remote_worker_killed::work()),
        ["--manager-client", role] => Some(manager::work(role)),
        ["--manager-server"] => Some(manager_server_killed::serve()),
        _ => None,
    };
    match other {
        None => {}
        Some(Ok(())) => return ExitCode::SUCCESS,
        Some(Err(error)) => {
            eprintln!("faults: {args:?}: {error:#}");
            return ExitCode::FAILURE;
        }
    }
    let [name, rounds, rest @ ..] = &args[..] else {
        return usage("expected NAME ROUNDS [ring]");
    };
    let Some((_, on_socket, on_ring)) = FAULTS.iter().find(|fault| fault.0 == *name) else {
        return usage(&format!("there is no fault {name:?}"));
    };
    let Ok(rounds) = rounds.parse() else {
        return usage(&format!("{rounds:?} is no number of rounds"));
    };
    let tasks = [entry::<Work>(), entry::<Endless>()];
    let (served, run) = if rest.first() == Some(&"ring") {
        (serve::<Ring>(&tasks), on_ring)
    } else {
        (serve::<Socket>(&tasks), on_socket)
    };
    match served {
        Ok(false) => {}
        Ok(true) => return ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("faults: a worker: {error:#}");
            return ExitCode::FAILURE;
        }
    }
    match run(rounds) {
        Ok(what) => {
            println!("held: {what}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("broken: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn usage(wrong: &str) -> ExitCode {
    let names: Vec<_> = FAULTS.iter().map(|fault| fault.0).collect();
    eprintln!("faults: {wrong}; the faults are {}", names.join(", "));
    ExitCode::from(2)
}

/// Does the rounds, and prints a line after each.
fn each(rounds: u32, mut round: impl FnMut(u32) -> Result<String>) -> Result<()> {
    (1..=rounds).try_for_each(|number| {
        let what = round(number).with_context(|| format!("in round {number}"))?;
        println!("round {number}: {what}");
        Ok(())
    })
}

/// A number and some bytes, of very different sizes, and recognisable when torn.
type Item = (u64, Vec<u8>);

fn item(number: u64) -> Item {
    let size = if number % 50 == 49 {
        100_000
    } else {
        number % 300
    };
    (number, vec![number as u8; size as usize])
}
