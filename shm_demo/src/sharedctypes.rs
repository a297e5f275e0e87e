//! Share a C struct: a child changes its fields and its parent sees them.
//!
//! Python:  `multiprocessing.sharedctypes` with a `ctypes.Structure`
//! Differs: deriving `Pod` compiles only for plain data: no pointers, no padding, and every bit pattern is valid.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! bytemuck = { version = "1", features = ["derive"] }
//! multiproc = "0.1"
//! ```

use std::{os::unix::process::parent_id, process};

use anyhow::{Result, ensure};
use bytemuck::{Pod, Zeroable};
use multiproc::{Array, Value, fork};

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Point {
    x: f64,
    y: f64,
}

pub fn main() -> Result<()> {
    let number = Value::new(7_i32)?;
    let text = Array::new(b"hello world")?;
    let points = Array::new(&[(1.875, -6.25), (-5.75, 2.5)].map(|(x, y)| Point { x, y }))?;
    let exit = fork(|| modify(&number, &text, &points))?.join()?;
    ensure!(exit.success(), "the child failed: {exit}");
    println!("{}", number.get()?);
    println!("{}", String::from_utf8_lossy(&text.lock()?));
    for point in points.lock()?.iter() {
        println!("({}, {})", point.x, point.y);
    }
    Ok(())
}

fn modify(number: &Value<i32>, text: &Array<u8>, points: &Array<Point>) -> Result<()> {
    println!("child process {} ppid is {}", process::id(), parent_id());
    *number.lock()? *= 7;
    text.lock()?.make_ascii_uppercase();
    for point in points.lock()?.iter_mut() {
        point.x *= point.x;
        point.y *= point.y;
    }
    Ok(())
}
