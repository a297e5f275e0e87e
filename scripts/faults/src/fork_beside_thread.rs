//! A process forks while one of its threads prints. The child could hang, so the fork is refused.

use std::fs::File;
use std::io::Write;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use multiproc::{Exit, fork};

use crate::each;

pub fn run(rounds: u32) -> Result<String> {
    let log = Mutex::new(tempfile::tempfile().context("make a log")?);
    let child = || fork(|| print(&log));
    let mut reason = String::new();
    each(rounds, |_| {
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let printing = scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    print(&log)?;
                }
                anyhow::Ok(())
            });
            let refused = child();
            stop.store(true, Ordering::Relaxed);
            match printing.join() {
                Ok(printed) => printed?,
                Err(_) => bail!("the thread panicked"),
            }
            match refused {
                Ok(_) => bail!("the fork was not refused"),
                Err(error) => reason = format!("{error:#}"),
            }
            anyhow::Ok(())
        })?;
        let exit = child().context("without the thread")?.join()?;
        ensure!(exit == Exit::Code(0), "the child failed: {exit}");
        Ok("refused beside the thread, done without it".to_owned())
    })?;
    Ok(format!("refuses: {reason}"))
}

fn print(log: &Mutex<File>) -> Result<()> {
    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
    writeln!(log, "a line").context("print")
}
