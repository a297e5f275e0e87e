//! Search files for a word with three processes between two queues.
//!
//! Python:  `files.put(path)`, `matches.get()`, and a sentinel for each worker
//! Differs: closing a queue ends it for all its consumers. A thread closes the second queue when all workers have ended,
//!          even by a signal, so the reader never waits for a dead worker.
//! Order:   the files are read in any order; the matches of one file stay in order.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! multiproc = "0.1"
//! ```

use std::path::PathBuf;
use std::{fs, process, thread};

use anyhow::{Context, Result, anyhow, ensure};
use multiproc::{Process, Queue, fork};

/// Where to search, and for what.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
const WORD: &str = "fn main";
const WORKERS: usize = 3;

/// The worker's pid, the file, and the number of a line.
type Match = (u32, PathBuf, usize);

pub fn main() -> Result<()> {
    println!("main process pid is {}", process::id());
    let (files, matches) = (Queue::new()?, Queue::new()?);
    // Fork before the thread starts.
    let mut workers = Vec::new();
    for _ in 0..WORKERS {
        workers.push(fork(|| search(&files, &matches))?);
    }
    for entry in fs::read_dir(FOLDER).context(FOLDER)? {
        let path = entry.context(FOLDER)?.path();
        if path.is_file() {
            files.put(&path)?;
        }
    }
    files.close()?;
    thread::scope(|scope| {
        let joined = scope.spawn(|| join_and_close(workers, &matches));
        let mut count = 0;
        for found in matches.iter() {
            let (worker, path, line) = found?;
            println!("worker {worker} found {}:{line}", path.display());
            count += 1;
        }
        println!("{count} matches");
        joined.join().map_err(|_| anyhow!("the thread panicked"))?
    })
}

fn search(files: &Queue<PathBuf>, matches: &Queue<Match>) -> Result<()> {
    for path in files.iter() {
        let path = path?;
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        for (line, _) in (1..)
            .zip(text.lines())
            .filter(|(_, text)| text.contains(WORD))
        {
            matches.put(&(process::id(), path.clone(), line))?;
        }
    }
    Ok(())
}

/// Ends the matches when all workers have ended.
fn join_and_close(workers: Vec<Process>, matches: &Queue<Match>) -> Result<()> {
    let exits: Vec<_> = workers.into_iter().map(Process::join).collect();
    matches.close()?;
    for exit in exits {
        let exit = exit?;
        ensure!(exit.success(), "a worker failed: {exit}");
    }
    Ok(())
}
