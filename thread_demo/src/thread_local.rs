//! A variable that every thread has for itself: none sees what another has stored in it.
//!
//! Python:  `var = threading.local()`
//! Differs: a `static`, with the value that it has at first in every thread; Python's has no attribute until it is set. The
//!          value is dropped when its thread ends.
//! Order:   all have set their value before any looks at it; the lines of the threads come in any order, main's last.
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
                all_have_set.wait(); // Nothing may panic before, or the others would wait for ever.
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
