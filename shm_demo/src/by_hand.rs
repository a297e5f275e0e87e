//! Share a number and an array with a child through the shared_memory crate.
//!
//! Python:  `Value('d', 0.0)`, `Array('i', range(10))`
//! Differs: the memory has a name, by which the child opens it. Each access is atomic; in Python each access takes the lock.
//!          The parent sees all changes once the child has ended.
//! Order:   as in value_array, whose trace and Python this example shares.
//! Lacks:   - A lock for a change of several steps (counter), which goes to the next owner when its holder is killed
//!            (holder_killed).
//!          - Any plain type, not only atomics (sharedctypes).
//!          - Memory without a name; here a kill at the wrong moment leaves a file in /dev/shm (fault parent_killed).
//!          - An error when /dev/shm is full; here the first access ends the process with SIGBUS (fault shm_full).
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! shared_memory = "0.12"
//! ```

use std::process::{self, Command};
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering::Relaxed};
use std::{env, os::unix::process::parent_id};

use anyhow::{Context, Result, ensure};
use shared_memory::{Shmem, ShmemConf};

/// Set in the child only: the name of the shared memory.
const MEMORY: &str = "BY_HAND_MEMORY";

/// What the memory holds. Any bytes are a value of it.
#[repr(C)]
struct Shared {
    /// The bits of an `f64`.
    number: AtomicU64,
    array: [AtomicI32; 10],
}

pub fn main() -> Result<()> {
    if let Ok(name) = env::var(MEMORY) {
        // SAFETY: this process has one thread, so nothing reads the environment meanwhile.
        unsafe { env::remove_var(MEMORY) };
        return child(&name);
    }
    let memory = ShmemConf::new()
        .size(size_of::<Shared>())
        .create()
        .context("create shared memory")?;
    let shared = view(&memory)?;
    shared.number.store(0_f64.to_bits(), Relaxed);
    for (n, value) in shared.array.iter().zip(0..) {
        n.store(value, Relaxed);
    }
    let status = Command::new(env::current_exe().context("find this program's file")?)
        .args(env::args_os().skip(1))
        .env(MEMORY, memory.get_os_id())
        .status()
        .context("run the child")?;
    ensure!(status.success(), "the child failed: {status}");
    let number = f64::from_bits(shared.number.load(Relaxed));
    let array = shared.array.each_ref().map(|n| n.load(Relaxed));
    println!("{number}");
    println!("{array:?}");
    Ok(())
}

fn child(name: &str) -> Result<()> {
    let mut memory = ShmemConf::new()
        .os_id(name)
        .open()
        .with_context(|| format!("open the shared memory {name}"))?;
    // An owner unlinks the name when it drops the memory. The parent's mapping stays.
    memory.set_owner(true);
    let shared = view(&memory)?;
    shared.number.store(3.1415927_f64.to_bits(), Relaxed);
    for n in &shared.array {
        n.store(-n.load(Relaxed), Relaxed);
    }
    drop(memory);
    println!("child process {} ppid is {}", process::id(), parent_id());
    Ok(())
}

/// The memory as a `Shared`.
fn view(memory: &Shmem) -> Result<&Shared> {
    let (size, needed) = (memory.len(), size_of::<Shared>());
    ensure!(
        size >= needed,
        "the memory has {size} bytes instead of {needed}"
    );
    // SAFETY: the memory is large enough, as checked above, and lies at the beginning of a page, so it is aligned. It
    // stays mapped while `memory` is borrowed. A `Shared` is atomics only, so any bytes are a value and any process may
    // change them at any time.
    Ok(unsafe { &*memory.as_ptr().cast::<Shared>() })
}
