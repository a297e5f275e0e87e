//! How much faster two threads calculate than one. The work is that of the group pool.

use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};

use super::pool::{TASKS, calculate, compare, forks_speed_up, rayon_speed_up, sum};
use crate::case::Goal::Over;
use crate::case::{Case, Group, Unit, limit, ours, peer, python};

pub const GROUP: Group = Group {
    name: "cores",
    title: "calculate for a while: how much faster two threads are than one",
    cases: &[Case {
        name: "2 threads for 1",
        unit: Unit::SpeedUp,
        contestants: &[
            python("CPython", "threads", 60_000),
            peer("rayon", 16_000_000, rayon_speed_up),
            ours("scope", 16_000_000, speed_up, &[Over("CPython", 1.35)]),
            limit("2 forks", 16_000_000, forks_speed_up),
        ],
    }],
};

fn speed_up(steps: u64) -> Result<f64> {
    compare(steps, |workers, steps| {
        let own = |index: usize| (index as u64..TASKS).step_by(workers);
        let work = |index| sum(own(index).map(|seed| calculate(seed, steps)));
        let begin = Instant::now();
        let result = thread::scope(|scope| -> Result<u64> {
            let start = |index| thread::Builder::new().spawn_scoped(scope, move || work(index));
            let threads = (0..workers).map(|index| start(index).context("start a thread"));
            let threads = threads.collect::<Result<Vec<_>>>()?;
            let results = threads.into_iter().map(|thread| thread.join());
            let results = results.collect::<thread::Result<Vec<u64>>>();
            results.map(sum).map_err(|_| anyhow!("a thread panicked"))
        })?;
        Ok((begin.elapsed(), result))
    })
}
