//! Acquire a permit in one task, release it in another; one release is too many.
//!
//! Python:  `asyncio.BoundedSemaphore(2)`, `acquire()`, `release()`, `ValueError`
//! Differs: tokio has no bounded semaphore, because a dropped permit cannot be released twice. The block is for permits that outlive the task
//!          that acquired them: `forget` the permit there, and call `release` elsewhere. One release too many is an error. A
//!          cancelled task releases a permit that it has not forgotten.
//! Order:   one job begins for each free permit. The third begins after main has ended the first.
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
        Ok(()) => bail!("one release too many was accepted"),
    }
    Ok(())
}

/// Starts jobs. Each keeps its permit until main ends it.
async fn start_jobs(sem: Arc<BoundedSemaphore>, begins: mpsc::UnboundedSender<u32>) -> Result<()> {
    for job in 1..=4 {
        let permit = sem.acquire().await;
        println!("job {job} begins");
        permit.forget();
        begins.send(job).context("main is gone")?;
    }
    Ok(())
}
