//! Give every thread its own value of a variable.
//!
//! Python:  `var = threading.local()`
//! Differs: a `static` with an initial value in every thread; Python's object has no attribute until it is set. The value is
//!          dropped when its thread ends.
//! Order:   all threads set their value before one of them reads its own. main's line is the last one.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! ```

use std::cell::Cell;
use std::sync::Barrier;
use std::thread;

use anyhow::Result;

const THREADS: usize = 4;

thread_local! {
    static VAR: Cell<Option<usize>> = const { Cell::new(None) };
}

pub fn main() -> Result<()> {
    VAR.set(Some(100));
    let all_have_set = Barrier::new(THREADS);
    thread::scope(|scope| {
        for tid in 0..THREADS {
            let all_have_set = &all_have_set;
            scope.spawn(move || {
                let found = VAR.replace(Some(tid));
                // For the demonstration: without it the lines could be the same for a shared variable.
                all_have_set.wait();
                println!("thread {tid} found {}", text(found));
                println!("thread {tid} has {}", text(VAR.get()));
            });
        }
    });
    println!("main has {}", text(VAR.get()));
    Ok(())
}

fn text(value: Option<usize>) -> String {
    value.map_or("nothing".to_owned(), |value| value.to_string())
}
