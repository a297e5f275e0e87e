//! Numbers through a queue, from one task to another of the same thread.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use async_demo::async_queue::Queue;
use tokio::sync::mpsc;
use tokio::task::yield_now;

use super::tasks::{current_thread, time};
use crate::case::Goal::Over;
use crate::case::{Case, Group, Unit, ours, python};

/// In an unbounded queue, the producer lets the consumer run after this many numbers.
const BATCH: u64 = 1000;

pub const GROUP: Group = Group {
    name: "async_queue",
    title: "numbers through a queue from one task to another",
    cases: &[
        Case {
            name: "unbounded",
            unit: Unit::Time,
            contestants: &[
                python("asyncio", "0", 250_000),
                ours("tokio mpsc", 6_000_000, unbounded, &[Over("asyncio", 25.0)]),
                ours("Queue", 4_000_000, through::<0>, &[]),
            ],
        },
        Case {
            name: "maxsize 1",
            unit: Unit::Time,
            contestants: &[
                python("asyncio", "1", 40_000),
                ours("tokio mpsc", 2_000_000, bounded, &[Over("asyncio", 40.0)]),
                ours("Queue", 1_500_000, through::<1>, &[]),
            ],
        },
    ],
};

/// Times a producer, which gets the number of items to put, and a consumer, which returns their sum.
fn carry<Put, Get>(count: u64, pair: impl Fn(u64) -> (Put, Get)) -> Result<f64>
where
    Put: Future<Output = Result<()>> + Send + 'static,
    Get: Future<Output = Result<u64>> + Send + 'static,
{
    let runtime = current_thread()?;
    time(count, |count| {
        runtime.block_on(async {
            let (put, get) = pair(count);
            let (put, get) = (tokio::spawn(put), tokio::spawn(get));
            let sum = get.await.context("wait for the consumer")??;
            put.await.context("wait for the producer")??;
            let expected: u64 = (0..count).sum();
            ensure!(sum == expected, "the numbers' sum is {sum}, not {expected}");
            Ok(())
        })
    })
}

fn unbounded(count: u64) -> Result<f64> {
    carry(count, |count| {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let put = async move {
            for number in 0..count {
                sender.send(number).context("send")?;
                if number % BATCH == BATCH - 1 {
                    yield_now().await;
                }
            }
            Ok(())
        };
        let get = async move {
            let mut sum = 0;
            for _ in 0..count {
                sum += receiver.recv().await.context("receive")?;
            }
            Ok(sum)
        };
        (put, get)
    })
}

fn bounded(count: u64) -> Result<f64> {
    carry(count, |count| {
        let (sender, mut receiver) = mpsc::channel(1);
        let put = async move {
            for number in 0..count {
                sender.send(number).await.context("send")?;
                if number % BATCH == BATCH - 1 {
                    yield_now().await;
                }
            }
            Ok(())
        };
        let get = async move {
            let mut sum = 0;
            for _ in 0..count {
                sum += receiver.recv().await.context("receive")?;
            }
            Ok(sum)
        };
        (put, get)
    })
}

fn through<const MAXSIZE: usize>(count: u64) -> Result<f64> {
    carry(count, |count| {
        let queue = Arc::new(Queue::new(MAXSIZE));
        let producer = Arc::clone(&queue);
        let put = async move {
            for number in 0..count {
                producer.put(number).await;
                if number % BATCH == BATCH - 1 {
                    yield_now().await;
                }
            }
            Ok(())
        };
        let get = async move {
            let mut sum = 0;
            for _ in 0..count {
                sum += queue.get().await;
            }
            Ok(sum)
        };
        (put, get)
    })
}
