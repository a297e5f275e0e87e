//! Numbers through a queue, from threads to as many other threads.

use anyhow::{Result, ensure};
use crossbeam_channel::{bounded, unbounded};
use thread_demo::thread_queue::queue;

use crate::case::Goal::Over;
use crate::case::{Case, Group, Unit, nanoseconds, ours, peer, python};
use crate::workers::{Worker, threads_together};

pub const GROUP: Group = Group {
    name: "thread_queue",
    title: "numbers through a queue, 1 producer and consumer or 4 and 4, each a thread",
    cases: &[
        Case {
            name: "unbounded 1/1",
            unit: Unit::Time,
            contestants: &[
                python("Queue", "Queue 0 1", 100_000),
                python("SimpleQueue", "SimpleQueue 0 1", 2_000_000),
                peer("crossbeam", 2_000_000, crossbeam::<0, 1>),
                ours(
                    "queue",
                    2_000_000,
                    through::<0, 1>,
                    &[Over("Queue", 50.0), Over("SimpleQueue", 3.0)],
                ),
            ],
        },
        Case {
            name: "unbounded 4/4",
            unit: Unit::Time,
            contestants: &[
                python("Queue", "Queue 0 4", 100_000),
                python("SimpleQueue", "SimpleQueue 0 4", 2_000_000),
                peer("crossbeam", 2_000_000, crossbeam::<0, 4>),
                ours(
                    "queue",
                    2_000_000,
                    through::<0, 4>,
                    &[Over("Queue", 50.0), Over("SimpleQueue", 3.0)],
                ),
            ],
        },
        Case {
            name: "bounded 64, 1/1",
            unit: Unit::Time,
            contestants: &[
                python("Queue", "Queue 64 1", 40_000),
                peer("crossbeam", 1_000_000, crossbeam::<64, 1>),
                ours("queue", 1_000_000, through::<64, 1>, &[Over("Queue", 20.0)]),
            ],
        },
        Case {
            name: "bounded 64, 4/4",
            unit: Unit::Time,
            contestants: &[
                python("Queue", "Queue 64 4", 80_000),
                peer("crossbeam", 1_000_000, crossbeam::<64, 4>),
                ours("queue", 1_000_000, through::<64, 4>, &[Over("Queue", 20.0)]),
            ],
        },
    ],
};

/// Times threads: each of `puts` puts its share of `count` numbers, and each of as many `gets` gets as many.
fn carry<P, G>(count: u64, puts: Vec<P>, gets: Vec<G>) -> Result<f64>
where
    P: Fn(u64) -> Result<()> + Send,
    G: Fn() -> Result<u64> + Send,
{
    let pairs = puts.len() as u64;
    let share = count.div_ceil(pairs);
    let warm_up = share.div_ceil(10);
    let puts = puts.into_iter().map(|put| -> Box<Worker> {
        Box::new(move |start| {
            (0..warm_up).try_for_each(&put)?;
            start()?;
            (0..share).try_for_each(&put)?;
            Ok(0)
        })
    });
    let gets = gets.into_iter().map(|get| -> Box<Worker> {
        Box::new(move |start| {
            let sum =
                |share| (0..share).try_fold(0, |sum, _| Ok::<u64, anyhow::Error>(sum + get()?));
            let first = sum(warm_up)?;
            start()?;
            Ok(first + sum(share)?)
        })
    });
    let (elapsed, sum) = threads_together(puts.chain(gets).collect())?;
    let expected = pairs * ((0..warm_up).sum::<u64>() + (0..share).sum::<u64>());
    ensure!(sum == expected, "the numbers' sum is {sum}, not {expected}");
    Ok(nanoseconds(elapsed, share * pairs))
}

fn through<const MAXSIZE: usize, const PAIRS: usize>(count: u64) -> Result<f64> {
    let (producer, consumer) = queue(MAXSIZE);
    let puts = vec![producer; PAIRS].into_iter();
    let puts = puts.map(|producer| move |number| Ok(producer.put(number)?));
    let gets = vec![consumer; PAIRS].into_iter();
    let gets = gets.map(|consumer| move || Ok(consumer.get()?));
    carry(count, puts.collect(), gets.collect())
}

fn crossbeam<const MAXSIZE: usize, const PAIRS: usize>(count: u64) -> Result<f64> {
    let (sender, receiver) = match MAXSIZE {
        0 => unbounded(),
        _ => bounded(MAXSIZE),
    };
    let puts = vec![sender; PAIRS].into_iter();
    let puts = puts.map(|sender| move |number| Ok(sender.send(number)?));
    let gets = vec![receiver; PAIRS].into_iter();
    let gets = gets.map(|receiver| move || Ok(receiver.recv()?));
    carry(count, puts.collect(), gets.collect())
}
