//! Numbers are sent to a coroutine, which yields the sum of all so far.

use std::convert::Infallible;
use std::hint::black_box;

use anyhow::{Result, bail, ensure};
use corosensei::CoroutineResult;
use coroutine_demo::coroutine::{Coroutine, Step, Yielder};
use genawaiter::GeneratorState;
use genawaiter::rc::{Co, Gen};

use crate::case::Goal::Over;
use crate::case::{Case, Group, Unit, limit, ours, peer, python};
use crate::workers;

pub const GROUP: Group = Group {
    name: "generator",
    title: "send a number to a coroutine, which yields the sum of all so far",
    cases: &[Case {
        name: "send",
        unit: Unit::Time,
        contestants: &[
            python("CPython", "send", 4_000_000),
            peer("genawaiter", 50_000_000, genawaiter),
            ours(
                "state machine",
                300_000_000,
                state_machine,
                &[Over("CPython", 25.0)],
            ),
            ours(
                "async block",
                50_000_000,
                async_block,
                &[Over("CPython", 12.0)],
            ),
            ours("corosensei", 50_000_000, stackful, &[Over("CPython", 15.0)]),
            limit("call", 100_000_000, call),
        ],
    }],
};

/// Times `send`, which gets one number after the other and returns the sum of all so far.
fn time(count: u64, mut send: impl FnMut(u64) -> Result<u64>) -> Result<f64> {
    let (mut sum, mut expected) = (0, 0);
    let figure = workers::time(count, |number| {
        sum = black_box(send(black_box(number))?);
        expected += number;
        Ok(())
    })?;
    ensure!(sum == expected, "the sum is {sum}, not {expected}");
    Ok(figure)
}

/// The coroutine is always suspended at its only `yield`, so the sum is its whole state.
struct Summing(u64);

impl Summing {
    fn send(&mut self, number: u64) -> u64 {
        self.0 += number;
        self.0
    }
}

fn state_machine(count: u64) -> Result<f64> {
    let mut coroutine = Summing(0);
    time(count, |number| Ok(coroutine.send(number)))
}

async fn summing(mut co: Yielder<u64, u64, Infallible>) -> Infallible {
    let mut sum = 0;
    loop {
        let Ok(number) = co.suspend(sum).await;
        sum += number;
    }
}

fn async_block(count: u64) -> Result<f64> {
    let mut coroutine = Coroutine::new(summing);
    coroutine.start()?;
    time(count, |number| {
        let Step::Yielded(sum) = coroutine.send(number)?;
        Ok(sum)
    })
}

fn stackful(count: u64) -> Result<f64> {
    type Stackful = corosensei::Coroutine<Option<u64>, u64, ()>;
    let mut coroutine = Stackful::new(|yielder, _| {
        let mut sum = 0;
        while let Some(number) = yielder.suspend(sum) {
            sum += number;
        }
    });
    coroutine.resume(None);
    time(count, |number| {
        ensure!(!coroutine.done(), "the coroutine has returned");
        match coroutine.resume(Some(number)) {
            CoroutineResult::Yield(sum) => Ok(sum),
            CoroutineResult::Return(()) => bail!("the coroutine has returned"),
        }
    })
}

fn genawaiter(count: u64) -> Result<f64> {
    let mut coroutine = Gen::new(|co: Co<u64, u64>| async move {
        let mut sum = 0;
        loop {
            sum += co.yield_(sum).await;
        }
    });
    // The coroutine does not see the first value.
    coroutine.resume_with(0);
    time(count, |number| match coroutine.resume_with(number) {
        GeneratorState::Yielded(sum) => Ok(sum),
        GeneratorState::Complete(never) => never,
    })
}

/// A call that is not inlined: the least that a transfer of control can cost.
fn call(count: u64) -> Result<f64> {
    #[inline(never)]
    fn add(sum: &mut u64, number: u64) -> u64 {
        *sum += number;
        *sum
    }
    let mut sum = 0;
    time(count, |number| Ok(add(black_box(&mut sum), number)))
}
