//! Write a coroutine as a state machine by hand.
//!
//! Python:  `n = yield n + 1`, `c.send(n)`, `c.close()`
//! Differs: the type changes when the coroutine starts, and `close` consumes it. Sending too early or too late does not
//!          compile; Python detects it at run time.
//! Order:   one thread; control passes to the consumer at each `send` and back at each `yield`.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! ```

use anyhow::Result;

pub fn main() -> Result<()> {
    producer(Consumer);
    Ok(())
}

fn producer(c: Consumer) {
    println!("[生产者] 首次send(None)执行之前。");
    let (mut c, r) = c.start();
    println!("[生产者] 首次send(None)执行之后，获得yield发出的值\"{r}\".");

    println!("[生产者] 第二次send执行之前.");

    let mut n = 0;
    while n < 5 {
        println!("[生产者] 发送值\"{n}\"");
        n = c.send(n);
        println!("[生产者] 收到值\"{n}\"");
    }
    c.close();
}

/// A consumer that has not run yet.
struct Consumer;

/// A consumer that has stopped at a `yield`. It only remembers which one.
enum Suspended {
    AtFirstYield,
    InLoop,
}

impl Consumer {
    /// `send(None)`: runs to the first `yield` and returns its value.
    fn start(self) -> (Suspended, &'static str) {
        println!(
            "[消费者] 第一次send(None)执行倒这里停止，yield返回一个值，但此次并未执行到接受send发出的None。"
        );
        (Suspended::AtFirstYield, "start")
    }
}

impl Suspended {
    /// Continues after the `yield` with `n`, and runs to the next one.
    fn send(&mut self, n: u32) -> u32 {
        let next = n + 1;
        match self {
            Suspended::AtFirstYield => println!(
                "[消费者] 第二次send从这里继续执行，从第一个yield获取到第二个send发出的值\"{n}\"，下一个yield返回\"{next}\""
            ),
            Suspended::InLoop => {
                println!("[消费者] 上一个yield收到值\"{n}\", 下一个yield返回值\"{next}\"")
            }
        }
        *self = Suspended::InLoop;
        next
    }

    /// Drops the consumer where it stopped.
    fn close(self) {}
}
