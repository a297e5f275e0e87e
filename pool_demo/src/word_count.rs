//! Count the words of many files with worker processes.
//!
//! Python:  `Pool().map(count, files)`, `collections.Counter`
//! Usage:   `word_count [FILE]...`, by default the files of this crate's `src`
//! Differs: if one file cannot be read, the whole `map` fails with an error that names the file.
//! Order:   the counts come in the order of the files.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! multiproc = "0.1"
//! ```

use std::collections::HashMap;
use std::path::PathBuf;
use std::{env, fs, process};

use anyhow::{Context, Result};
use multiproc::{Pool, init, task};

/// The folder whose files are counted when the command line names none.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src");

pub fn main() -> Result<()> {
    init([task(count)]);
    println!("main process pid is {}", process::id());
    // The files follow the program's name, and in a module of a larger program the module's name.
    let skipped = module_path!().split("::").count();
    let mut files: Vec<PathBuf> = env::args_os().skip(skipped).map(PathBuf::from).collect();
    if files.is_empty() {
        for entry in fs::read_dir(FOLDER).context(FOLDER)? {
            files.push(entry.context(FOLDER)?.path());
        }
        files.retain(|path| path.is_file());
    }
    let counts = Pool::new()?.map(count, files.clone(), None)?;
    let mut total = HashMap::new();
    for (path, (worker, counts)) in files.iter().zip(counts) {
        let words: usize = counts.values().sum();
        println!(
            "worker {worker} counted {words} words in {}",
            path.display()
        );
        for (word, count) in counts {
            *total.entry(word).or_default() += count;
        }
    }
    let words: usize = total.values().sum();
    println!("{words} words in {} files", files.len());
    let mut frequent: Vec<(String, usize)> = total.into_iter().collect();
    frequent.sort_by(|(a, m), (b, n)| n.cmp(m).then_with(|| a.cmp(b)));
    for (word, count) in frequent.iter().take(3) {
        println!("{count} times {word}");
    }
    Ok(())
}

/// Counts the words of a file, and tells which process did it.
fn count(path: PathBuf) -> Result<(u32, HashMap<String, usize>)> {
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let mut counts = HashMap::new();
    let words = text.split(|c: char| !c.is_alphanumeric());
    for word in words.filter(|word| !word.is_empty()) {
        *counts.entry(word.to_lowercase()).or_default() += 1;
    }
    Ok((process::id(), counts))
}
