//! Context variables: get one, set one, and get one in a copy of the context.

use std::cell::Cell;
use std::hint::black_box;

use anyhow::{Result, ensure};
use contextvars::{ContextVar, copy_context};

use crate::case::Goal::Over;
use crate::case::{Case, Group, Unit, limit, ours, python};
use crate::workers::time;

pub const GROUP: Group = Group {
    name: "context",
    title: "a context variable: get it, set it, get it in a copy of the context",
    cases: &[
        Case {
            name: "get",
            unit: Unit::Time,
            contestants: &[
                python("CPython", "get", 6_000_000),
                ours("ContextVar", 30_000_000, get, &[Over("CPython", 10.0)]),
                limit("thread_local!", 300_000_000, local_get),
            ],
        },
        Case {
            name: "set",
            unit: Unit::Time,
            contestants: &[
                python("CPython", "set", 2_000_000),
                ours("ContextVar", 3_000_000, set, &[]),
                limit("thread_local!", 300_000_000, local_set),
            ],
        },
        Case {
            name: "copy and run",
            unit: Unit::Time,
            contestants: &[
                python("CPython", "run", 2_000_000),
                ours("ContextVar", 2_000_000, run, &[Over("CPython", 5.0)]),
                limit("thread_local!", 300_000_000, local_get),
            ],
        },
    ],
};

static VAR: ContextVar<u64> = ContextVar::new("var");

thread_local! {
    static LOCAL: Cell<u64> = const { Cell::new(7) };
}

/// Times `get`, which returns 7.
fn time_get(count: u64, mut get: impl FnMut() -> Result<u64>) -> Result<f64> {
    let mut value = 0;
    let figure = time(count, |_| {
        value = black_box(get()?);
        Ok(())
    })?;
    ensure!(value == 7, "a wrong value: {value}");
    Ok(figure)
}

/// Times `set`, which gets one number after the other. `last` returns the last one at the end.
fn time_set(count: u64, set: impl Fn(u64), last: impl FnOnce() -> Result<u64>) -> Result<f64> {
    let mut value = 0;
    let figure = time(count, |number| {
        value = number;
        set(black_box(number));
        Ok(())
    })?;
    ensure!(last()? == value, "a wrong value");
    Ok(figure)
}

fn get(count: u64) -> Result<f64> {
    VAR.set(7);
    time_get(count, || Ok(VAR.get()?))
}

fn set(count: u64) -> Result<f64> {
    let set = |number| {
        black_box(VAR.set(number));
    };
    time_set(count, set, || Ok(VAR.get()?))
}

fn run(count: u64) -> Result<f64> {
    VAR.set(7);
    time_get(count, || Ok(copy_context().run(|| VAR.get())??))
}

fn local_get(count: u64) -> Result<f64> {
    time_get(count, || Ok(LOCAL.with(|local| black_box(local).get())))
}

fn local_set(count: u64) -> Result<f64> {
    let set = |number| LOCAL.with(|local| black_box(local).set(number));
    time_set(count, set, || Ok(LOCAL.get()))
}
