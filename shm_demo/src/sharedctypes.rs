//! A struct with the layout of C is shared; both sides see its fields.
//!
//! Python:  `multiprocessing.sharedctypes` with a `ctypes.Structure`
//! Differs: `Pod` checks when it compiles that the type is plain data: no pointers, no padding, any bytes are a value.
//! Needs:   fork_demo/multiprocessing.rs, robust.rs, shared.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! bytemuck = { version = "1", features = ["derive"] }
//! libc = "0.2"
//! rustix = { version = "1", features = ["fs", "process", "shm"] }
//! shared_memory = "0.12"
//! ```

use anyhow::{Result, ensure};
use bytemuck::{Pod, Zeroable};

use crate::multiprocessing::{Exit, fork};
use crate::shared::{Array, Value};

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
    ensure!(exit == Exit::Code(0), "the child failed: {exit}");
    println!("{}", number.get()?);
    println!("{}", String::from_utf8_lossy(&text.lock()?));
    for point in points.lock()?.iter() {
        println!("({}, {})", point.x, point.y);
    }
    Ok(())
}

fn modify(number: &Value<i32>, text: &Array<u8>, points: &Array<Point>) -> Result<u8> {
    *number.lock()? *= 7;
    text.lock()?.make_ascii_uppercase();
    for point in points.lock()?.iter_mut() {
        point.x *= point.x;
        point.y *= point.y;
    }
    Ok(0)
}
