//! Copies building blocks with loom's threads, locks and atomics, and a modelled channel and `poll`, in the
//! place of the real ones.

use std::path::Path;
use std::{env, error, fs};

const BLOCKS: &[&str] = &[
    "async_demo/src/async_queue.rs",
    "manager_demo/src/managers/caller.rs",
    "manager_demo/src/managers/types/line.rs",
    "manager_demo/src/managers/types/lock.rs",
    "thread_demo/src/thread_queue.rs",
    "thread_demo/src/timers.rs",
];

fn main() -> Result<(), Box<dyn error::Error>> {
    let folder = env::var("OUT_DIR")?;
    for block in BLOCKS {
        let path = Path::new("../..").join(block);
        println!("cargo::rerun-if-changed={}", path.display());
        let text: String = fs::read_to_string(&path)?
            .lines()
            // An included file has no header, and its tests stay where they are.
            .filter(|line| !line.starts_with("//!"))
            .take_while(|line| *line != "#[cfg(test)]")
            .map(|line| line.to_owned() + "\n")
            .collect();
        let text = match block.starts_with("manager_demo") {
            true => for_managers(&text),
            false => text,
        };
        let text = text
            .replace("std::sync::atomic", "loom::sync::atomic")
            .replace("std::sync::{", "crate::sync::{")
            .replace("std::thread::", "crate::thread::")
            .replace("crossbeam_channel", "crate::channel")
            .replace("tokio::sync::", "crate::tasks::");
        fs::write(
            Path::new(&folder).join(path.file_name().ok_or("no file")?),
            text,
        )?;
    }
    Ok(())
}

/// They wait in `poll`, look at a clock, and need weak references, which loom lacks.
fn for_managers(text: &str) -> String {
    text.replace("std::sync::atomic", "crate::poll")
        .replace("std::sync::{", "crate::poll::{")
        .replace("std::time::{", "crate::poll::{")
        .replace("std::os::fd", "crate::poll")
        .replace("rustix::event", "crate::poll")
        .replace("rustix::io", "crate::poll")
        .replace("pub(super)", "pub")
}
