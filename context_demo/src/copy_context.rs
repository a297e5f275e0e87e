//! Run a function in a copy of the context, so that what it sets stays in the copy.
//!
//! Python:  `ContextVar`, `copy_context()`, `ctx.run(main)`, `ctx[var]`
//! Differs: a variable is a `static`, so every function sees it; `ctx[var]` is `ctx.get(&VAR)`.
//! Order:   one thread runs everything.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! contextvars = "0.1"
//! ```

use anyhow::{Context as _, Result};
use contextvars::{Context, ContextVar, copy_context};

static VAR: ContextVar<&str> = ContextVar::new("var");

pub fn main() -> Result<()> {
    VAR.set("spam");

    let ctx = copy_context();
    ctx.run(|| in_copy(&ctx))??;

    println!("{}", ctx.get(&VAR).context("look into the copy")?);
    println!("{}", VAR.get()?);
    Ok(())
}

/// The current context is `ctx`, so a value that is set here appears there.
fn in_copy(ctx: &Context) -> Result<()> {
    println!("{} {}", VAR.get()?, ctx.get(&VAR).context("look at spam")?);
    VAR.set("ham");
    println!("{} {}", VAR.get()?, ctx.get(&VAR).context("look at ham")?);
    Ok(())
}
