//! Run a coroutine on a stack of its own, so that it can stop in any call.
//!
//! Python:  `n = yield n + 1`, `c.send(n)`, `c.close()`, as a greenlet would do it
//! Differs: a generator has one frame and stops in its own body. This coroutine has a whole stack, 1 MiB of address space with
//!          a guard page, and stops in any call. Dropping it is `close`: the stack is unwound, so destructors run. That
//!          needs `panic = "unwind"`; otherwise the program aborts.
//! Order:   as in yield_send, whose trace it shares.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! corosensei = "0.3"
//! ```

use anyhow::{Result, bail, ensure};
use corosensei::{Coroutine, CoroutineResult, Yielder};

pub fn main() -> Result<()> {
    producer(Coroutine::new(consumer))
}

/// A yielded value.
enum Value {
    Text(&'static str),
    Number(u32),
}

/// Takes `None` to start, then numbers.
type Consumer = Coroutine<Option<u32>, Value, ()>;

fn producer(mut c: Consumer) -> Result<()> {
    println!("[生产者] 首次send(None)执行之前。");
    let Value::Text(r) = send(&mut c, None)? else {
        bail!("the consumer began with a number");
    };
    println!("[生产者] 首次send(None)执行之后，获得yield发出的值\"{r}\".");

    println!("[生产者] 第二次send执行之前.");

    let mut n = 0;
    while n < 5 {
        println!("[生产者] 发送值\"{n}\"");
        let Value::Number(next) = send(&mut c, Some(n))? else {
            bail!("the consumer answered with a text");
        };
        n = next;
        println!("[生产者] 收到值\"{n}\"");
    }
    drop(c);
    Ok(())
}

fn send(c: &mut Consumer, n: Option<u32>) -> Result<Value> {
    ensure!(
        !c.done(),
        "the consumer has returned and cannot take a value"
    );
    match c.resume(n) {
        CoroutineResult::Yield(value) => Ok(value),
        CoroutineResult::Return(()) => bail!("the consumer has returned"),
    }
}

/// Returns when it receives `None` instead of a number.
fn consumer(yielder: &Yielder<Option<u32>, Value>, _: Option<u32>) {
    println!(
        "[消费者] 第一次send(None)执行倒这里停止，yield返回一个值，但此次并未执行到接受send发出的None。"
    );
    let Some(mut n) = yielder.suspend(Value::Text("start")) else {
        return;
    };
    println!(
        "[消费者] 第二次send从这里继续执行，从第一个yield获取到第二个send发出的值\"{n}\"，下一个yield返回\"{}\"",
        n + 1
    );

    while let Some(sent) = yielder.suspend(Value::Number(n + 1)) {
        n = sent;
        println!(
            "[消费者] 上一个yield收到值\"{n}\", 下一个yield返回值\"{}\"",
            n + 1
        );
    }
}
