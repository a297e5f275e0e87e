//! `faults NAME ROUNDS` injects a fault into the libraries and checks their promise.
//!
//! The program prints a line at the end of each round. Its last line is `held: ...`, or `broken: ...` with exit code 1.
//! The folder `python` has a program for each fault that does the same with CPython's multiprocessing. `smoke faults`
//! runs both and compares them.

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
mod mount_shm;
mod parent_killed;
mod pipe_peer_killed;
mod producer_killed;
mod remote_worker_killed;
mod rlock_holder_killed;
mod without_shm;
mod worker_killed;

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use multiproc::{init, target, task};

/// Only a program that hangs takes longer than this.
const LONG: Duration = Duration::from_secs(15);

/// Causes the fault in this many rounds. Returns a description of the promise that held.
type Fault = fn(u32) -> Result<String>;

const FAULTS: &[(&str, Fault)] = &[
    ("worker_killed_in_task", worker_killed::in_task),
    ("worker_killed_idle", worker_killed::idle),
    ("producer_killed", producer_killed::run),
    ("consumer_killed", consumer_killed::run),
    ("lock_holder_killed", lock_holder_killed::run),
    ("rlock_holder_killed", rlock_holder_killed::run),
    ("pipe_peer_killed", pipe_peer_killed::run),
    ("parent_killed", parent_killed::run),
    ("fork_beside_thread", fork_beside_thread::run),
    ("descriptor_limit", descriptor_limit::run),
    ("remote_worker_killed", remote_worker_killed::run),
    (
        "manager_lock_holder_killed",
        manager_client_killed::with_lock,
    ),
    (
        "manager_rlock_holder_killed",
        manager_client_killed::with_rlock,
    ),
    ("manager_getter_killed", manager_client_killed::in_get),
    ("manager_acquirer_killed", manager_client_killed::in_acquire),
    ("manager_server_killed", manager_server_killed::run),
    ("manager_wrong_key", manager_strangers::wrong_key),
    ("manager_garbage", manager_strangers::garbage),
    ("manager_connections", manager_strangers::ten_thousand),
    ("manager_reader_stops", manager_values::reader_stops),
    ("manager_unknown_class", manager_values::unknown_class),
    ("shm_full", without_shm::full),
    ("shm_read_only", without_shm::read_only),
    ("interrupted", interrupted::run),
];

fn main() -> ExitCode {
    init([
        target(descriptor_limit::echo),
        target(manager::client),
        target(manager_server_killed::serve),
        target(parent_killed::peer),
        target(pipe_peer_killed::peer),
        target(remote_worker_killed::worker),
        task(interrupted::endless),
        task(worker_killed::work),
    ]);
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let [name, rounds] = match &args[..] {
        ["--shm", how, command @ ..] => return mount_shm::exec(how, command),
        [name, rounds] => [*name, *rounds],
        _ => return usage("expected NAME ROUNDS"),
    };
    let Some((_, run)) = FAULTS.iter().find(|fault| fault.0 == name) else {
        return usage(&format!("unknown fault {name:?}"));
    };
    let Ok(rounds) = rounds.parse() else {
        return usage(&format!("ROUNDS is {rounds:?}; expected a number"));
    };
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

/// Runs the rounds and prints a line after each.
fn each(rounds: u32, mut round: impl FnMut(u32) -> Result<String>) -> Result<()> {
    (1..=rounds).try_for_each(|number| {
        let what = round(number).with_context(|| format!("in round {number}"))?;
        println!("round {number}: {what}");
        Ok(())
    })
}

/// A number and some bytes. The sizes differ widely, and a torn item does not equal `item` of its number.
type Item = (u64, Vec<u8>);

fn item(number: u64) -> Item {
    let size = if number % 50 == 49 {
        100_000
    } else {
        number % 300
    };
    (number, vec![number as u8; size as usize])
}
