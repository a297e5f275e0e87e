//! Use an async block as a coroutine, whose state machine the compiler writes.
//!
//! Python:  `n = yield n + 1`, `c.send(n)`, `c.close()`, as `async def` and `send` would do it
//! Differs: a `poll` carries no value, so sent and yielded values pass through two cells that both sides share. Dropping
//!          the block is `close`: it drops the values that the block holds where it stopped.
//! Order:   as in yield_send, whose trace it shares.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! ```

use std::cell::Cell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context as Poller, Poll, Waker};

use anyhow::{Context, Result, bail};

pub fn main() -> Result<()> {
    let channel = Channel::default();
    producer(Consumer {
        body: Box::pin(consumer(&channel)),
        channel: &channel,
    })
}

/// A yielded value.
enum Value {
    Text(&'static str),
    Number(u32),
}

#[derive(Default)]
struct Channel {
    sent: Cell<Option<u32>>,
    yielded: Cell<Option<Value>>,
}

/// A consumer whose body never returns, so it cannot be polled after its end.
struct Consumer<'a> {
    body: Pin<Box<dyn Future<Output = Infallible> + 'a>>,
    channel: &'a Channel,
}

impl Consumer<'_> {
    /// Runs to the next `yield` and returns its value. No waker is needed: the sender polls.
    fn send(&mut self, n: Option<u32>) -> Result<Value> {
        self.channel.sent.set(n);
        let Poll::Pending = (self.body.as_mut()).poll(&mut Poller::from_waker(Waker::noop()));
        (self.channel.yielded.take()).context("the consumer yielded nothing")
    }
}

impl Channel {
    /// `yield value`: waits until a number is sent.
    async fn suspend(&self, value: Value) -> u32 {
        self.yielded.set(Some(value));
        poll_fn(|_| self.sent.take().map_or(Poll::Pending, Poll::Ready)).await
    }
}

fn producer(mut c: Consumer) -> Result<()> {
    println!("[生产者] 首次send(None)执行之前。");
    let Value::Text(r) = c.send(None)? else {
        bail!("the consumer began with a number");
    };
    println!("[生产者] 首次send(None)执行之后，获得yield发出的值\"{r}\".");

    println!("[生产者] 第二次send执行之前.");

    let mut n = 0;
    while n < 5 {
        println!("[生产者] 发送值\"{n}\"");
        let Value::Number(next) = c.send(Some(n))? else {
            bail!("the consumer answered with a text");
        };
        n = next;
        println!("[生产者] 收到值\"{n}\"");
    }
    drop(c);
    Ok(())
}

async fn consumer(channel: &Channel) -> Infallible {
    println!(
        "[消费者] 第一次send(None)执行倒这里停止，yield返回一个值，但此次并未执行到接受send发出的None。"
    );
    let mut n = channel.suspend(Value::Text("start")).await;
    println!(
        "[消费者] 第二次send从这里继续执行，从第一个yield获取到第二个send发出的值\"{n}\"，下一个yield返回\"{}\"",
        n + 1
    );

    loop {
        n = channel.suspend(Value::Number(n + 1)).await;
        println!(
            "[消费者] 上一个yield收到值\"{n}\", 下一个yield返回值\"{}\"",
            n + 1
        );
    }
}
