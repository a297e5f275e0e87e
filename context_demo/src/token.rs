//! `set` gives a token, and `reset` brings the old value back: once, for that variable, in that context.
//!
//! Python:  `token = var.set(...)`, `var.reset(token)`, `LookupError`, `ValueError`, `RuntimeError`
//! Differs: the errors are values, each of a type of its own.
//! Order:   one thread, so one order.
//! Needs:   contextvars.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! ```

use std::error::Error;

use anyhow::{Result, bail};

use crate::contextvars::{ContextVar, copy_context};

static VAR: ContextVar<&str> = ContextVar::new("var");
static OTHER: ContextVar<&str> = ContextVar::with_default("other", "eggs");

pub fn main() -> Result<()> {
    println!("{}", OTHER.get()?);
    refused(VAR.get())?;

    VAR.set("spam");
    let mut token = VAR.set("ham");
    println!("{}", VAR.get()?);

    let ctx = copy_context();
    refused(OTHER.reset(&mut token))?;
    refused(ctx.run(|| VAR.reset(&mut token))?)?;
    VAR.reset(&mut token)?;
    println!("{}", VAR.get()?);
    refused(VAR.reset(&mut token))?;

    refused(ctx.run(|| ctx.run(|| ()))?)?;
    println!("{}", ctx.run(|| VAR.get())??);
    Ok(())
}

/// Prints why it failed, which it must.
fn refused<T>(result: Result<T, impl Error>) -> Result<()> {
    match result {
        Ok(_) => bail!("a mistake was not noticed"),
        Err(error) => println!("{error}"),
    }
    Ok(())
}
