//! Set a number and negate an array in a child, and read both in its parent.
//!
//! Python:  `Value('d', 0.0)`, `Array('i', range(10))`
//! Differs: one guard gives access to the whole array; Python locks it for every element.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! multiproc = "0.1"
//! ```

use std::{os::unix::process::parent_id, process};

use anyhow::{Result, ensure};
use multiproc::{Array, Value, fork};

pub fn main() -> Result<()> {
    let number = Value::new(0.0)?;
    let array = Array::new(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9])?;
    let exit = fork(|| f(&number, &array))?.join()?;
    ensure!(exit.success(), "the child failed: {exit}");
    println!("{}", number.get()?);
    println!("{:?}", &*array.lock()?);
    Ok(())
}

fn f(number: &Value<f64>, array: &Array<i32>) -> Result<()> {
    println!("child process {} ppid is {}", process::id(), parent_id());
    number.set(3.1415927)?;
    for n in array.lock()?.iter_mut() {
        *n = -*n;
    }
    Ok(())
}
