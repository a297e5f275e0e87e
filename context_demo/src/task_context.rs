//! Each task has a context of its own, copied when it is created: what one sets, no other sees.
//!
//! Python:  `asyncio.create_task`, which copies the context; `client_addr_var` of the notes' echo server
//! Differs: tokio's tasks know nothing of contexts, so each is wrapped: `spawn(in_context(f))`. They run on several
//!          threads; the context goes with the task. Cleanup is a destructor, and finds the task's values, too.
//! Order:   a barrier, so that all have set the variable before one of them looks; main goes on when it is through, too.
//! Needs:   contextvars.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["macros", "rt-multi-thread", "sync"] }
//! ```

use std::future::pending;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::contextvars::{ContextVar, in_context};

static CLIENT: ContextVar<String> = ContextVar::new("client");

#[tokio::main]
pub async fn main() -> Result<()> {
    CLIENT.set("nobody".to_owned());
    let all_set = Arc::new(Barrier::new(4));
    let mut tasks = JoinSet::new();
    for n in 1..=2 {
        tasks.spawn(in_context(serve(n, Arc::clone(&all_set))));
    }
    let cancelled = tokio::spawn(in_context(serve_for_ever(3, Arc::clone(&all_set))));
    CLIENT.set("main".to_owned());
    all_set.wait().await;
    while let Some(ended) = tasks.join_next().await {
        ended.context("wait for a task")??;
    }
    cancelled.abort();
    let ended = cancelled.await;
    ensure!(
        ended.is_err_and(|error| error.is_cancelled()),
        "not cancelled"
    );
    println!("{}", goodbye()?);
    Ok(())
}

async fn serve(n: u32, all_set: Arc<Barrier>) -> Result<()> {
    println!("task {n} begins with client {}", CLIENT.get()?);
    CLIENT.set(n.to_string());
    all_set.wait().await;
    println!("task {n}: {}", goodbye()?);
    Ok(())
}

async fn serve_for_ever(n: u32, all_set: Arc<Barrier>) -> Result<()> {
    println!("task {n} begins with client {}", CLIENT.get()?);
    CLIENT.set(n.to_string());
    let _cleanup = Cleanup(n);
    all_set.wait().await;
    pending().await
}

/// Knows the client without being told.
fn goodbye() -> Result<String> {
    Ok(format!("Good bye, client @ {}", CLIENT.get()?))
}

struct Cleanup(u32);

impl Drop for Cleanup {
    fn drop(&mut self) {
        match goodbye() {
            Ok(goodbye) => println!("task {} is cancelled: {goodbye}", self.0),
            Err(error) => eprintln!("task {} is cancelled: {error}", self.0),
        }
    }
}
