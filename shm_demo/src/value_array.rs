//! A child sets a number and negates an array, and its parent sees it.
//!
//! Python:  `Value('d', 0.0)`, `Array('i', range(10))`
//! Differs: the array is one slice behind one lock, where Python locks every single access.
//! Needs:   fork_demo/multiprocessing.rs, robust.rs, shared.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! bytemuck = "1"
//! libc = "0.2"
//! rustix = { version = "1", features = ["fs", "process", "shm"] }
//! shared_memory = "0.12"
//! ```

use anyhow::{Result, ensure};

use crate::multiprocessing::{Exit, fork};
use crate::shared::{Array, Value};

pub fn main() -> Result<()> {
    let number = Value::new(0.0)?;
    let array = Array::new(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9])?;
    let exit = fork(|| f(&number, &array))?.join()?;
    ensure!(exit == Exit::Code(0), "the child failed: {exit}");
    println!("{}", number.get()?);
    println!("{:?}", &*array.lock()?);
    Ok(())
}

fn f(number: &Value<f64>, array: &Array<i32>) -> Result<u8> {
    number.set(3.1415927)?;
    for n in array.lock()?.iter_mut() {
        *n = -*n;
    }
    Ok(0)
}
