//! Restore a variable's old value with the token that `set` returned.
//!
//! Python:  `token = var.set(...)`, `var.reset(token)`, `LookupError`, `ValueError`, `RuntimeError`
//! Differs: each error is a type of its own. A token works once, for its variable, in its context.
//! Order:   one thread runs everything.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! contextvars = "0.1"
//! ```

use std::error::Error;

use anyhow::{Result, bail};
use contextvars::{ContextVar, copy_context};

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

/// Prints the error; success would be a mistake.
fn refused<T>(result: Result<T, impl Error>) -> Result<()> {
    match result {
        Ok(_) => bail!("the call should have failed"),
        Err(error) => println!("{error}"),
    }
    Ok(())
}
