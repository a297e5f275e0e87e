//! Let scoped threads borrow parts of one array, and change them.
//!
//! Python:  `Thread(target=double, args=(numbers, i))`, and a `join` of each
//! Differs: the scope joins every thread that was started in it, so a thread may borrow from the enclosing function. Two threads
//!          with the same part, or reading the array before all are joined, do not compile.
//! Order:   the threads' lines come in any order, main's line last.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! ```

use std::thread;

use anyhow::Result;

pub fn main() -> Result<()> {
    let mut numbers = [1, 2, 3, 4, 5, 6, 7, 8];
    thread::scope(|scope| {
        for (tid, part) in numbers.chunks_mut(2).enumerate() {
            scope.spawn(move || double(tid, part));
        }
    });
    println!("all together {numbers:?}");
    Ok(())
}

fn double(tid: usize, part: &mut [u32]) {
    for number in &mut *part {
        *number *= 2;
    }
    println!("thread {tid} made {part:?}");
}
