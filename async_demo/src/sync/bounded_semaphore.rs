//! A semaphore that notices one release too many: permits that one task acquires, another gives back.
//!
//! Python:  `asyncio.BoundedSemaphore(2)`, `acquire()`, `release()`, `ValueError`
//! Differs: tokio has none, as a permit that is dropped cannot be released twice. For permits that outlive the task
//!          that acquired them there is the block: `forget`, and `release` by whoever it is; once too often is an
//!          error.
//! Cancel:  a permit that is not yet forgotten is released; in `acquire` nothing is lost but the place in line.
//! Order:   one job begins for each free permit; the third begins when main has ended the first.
//! Needs:   bounded_semaphore.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["macros", "rt", "sync"] }
//! ```

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use tokio::sync::mpsc;

use crate::bounded_semaphore::BoundedSemaphore;

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let sem = Arc::new(BoundedSemaphore::new(2));
    let (begins, mut begun) = mpsc::unbounded_channel();
    let starter = tokio::spawn(start_jobs(Arc::clone(&sem), begins));
    while let Some(job) = begun.recv().await {
        println!("job {job} ends");
        sem.release()?;
    }
    starter.await.context("wait for the starter")??;

    println!("{} are free", sem.available());
    match sem.release() {
        Err(error) => println!("{error}"),
        Ok(()) => bail!("nobody had acquired it, and nobody noticed"),
    }
    Ok(())
}

/// A job has its permit until main ends it, when this has long gone on.
async fn start_jobs(sem: Arc<BoundedSemaphore>, begins: mpsc::UnboundedSender<u32>) -> Result<()> {
    for job in 1..=4 {
        let permit = sem.acquire().await;
        println!("job {job} begins");
        permit.forget();
        begins.send(job).context("main has gone")?;
    }
    Ok(())
}
