//! Wait for two channels at once, with a time limit.
//!
//! Python:  one `queue.Queue` for everything, with a kind in each item; Python cannot wait for two queues at once
//! Differs: `select!` takes the first item that arrives on any of the channels. A channel without senders is always ready, with
//!          an error, so `never()` replaces it.
//! Order:   the items of one channel keep their order, those of different channels interleave.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! crossbeam-channel = "0.5"
//! ```

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use crossbeam_channel::{never, select, unbounded};

const SECOND: Duration = Duration::from_millis(100);

pub fn main() -> Result<()> {
    let (send_number, mut numbers) = unbounded();
    let (send_word, mut words) = unbounded();
    let begun = Instant::now();
    select! {
        recv(numbers) -> number => println!("number {}", number?),
        recv(words) -> word => println!("word {}", word?),
        default(SECOND) => {
            let seconds = begun.elapsed().as_secs_f64() / SECOND.as_secs_f64();
            println!("nothing came in {seconds:.6} seconds");
        }
    }
    // A send fails only after main has returned; then the items are not wanted.
    thread::spawn(move || (0..3).try_for_each(|number| send_number.send(number)));
    thread::spawn(move || ["spam", "ham", "eggs"].map(|word| send_word.send(word)));
    let mut open = 2;
    while open > 0 {
        select! {
            recv(numbers) -> number => match number {
                Ok(number) => println!("number {number}"),
                Err(_) => {
                    println!("no more numbers");
                    (open, numbers) = (open - 1, never());
                }
            },
            recv(words) -> word => match word {
                Ok(word) => println!("word {word}"),
                Err(_) => {
                    println!("no more words");
                    (open, words) = (open - 1, never());
                }
            },
        }
    }
    println!("that was all");
    Ok(())
}
