//! A shared array of numbers is negated in place. The figure is for one number.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Result, ensure};
use multiproc::Array;

use crate::case::Goal::{Over, Within};
use crate::case::{Case, Group, Unit, limit, nanoseconds, ours, python};
use crate::workers::lines;

const LENGTH: usize = 1_000_000;

pub const GROUP: Group = Group {
    name: "array",
    title: "a shared array of a million numbers is negated in place; the time is for one number",
    cases: &[Case {
        name: "negate",
        unit: Unit::Time,
        contestants: &[
            python("RawArray", "RawArray", 600_000),
            python("Array", "Array", 60_000),
            ours(
                "Array<i32>",
                300,
                array,
                &[Over("RawArray", 500.0), Within("memcpy", 1.3)],
            ),
            limit("memcpy", 300, memcpy),
        ],
    }],
};

/// Times `passes` over the whole array, after a warm-up.
fn time(passes: u64, mut pass: impl FnMut() -> Result<()>) -> Result<f64> {
    (0..passes.div_ceil(10)).try_for_each(|_| pass())?;
    let begin = Instant::now();
    (0..passes).try_for_each(|_| pass())?;
    Ok(nanoseconds(begin.elapsed(), passes * LENGTH as u64))
}

fn array(passes: u64) -> Result<f64> {
    let numbers: Vec<i32> = (0..LENGTH as i32).collect();
    let array = Array::new(&numbers)?;
    let mut sign = 1;
    let figure = time(passes, || {
        array
            .lock()?
            .iter_mut()
            .for_each(|number| *number = -*number);
        sign = -sign;
        Ok(())
    })?;
    let right = numbers.iter().map(|number| sign * number);
    ensure!(array.lock()?.iter().copied().eq(right), "a wrong number");
    Ok(figure)
}

fn memcpy(passes: u64) -> Result<f64> {
    let mut from = lines(4 * LENGTH);
    bytemuck::cast_slice_mut(&mut from).fill(7_u8);
    let mut to = lines(4 * LENGTH);
    let figure = time(passes, || {
        black_box(&mut to).copy_from_slice(black_box(&from));
        Ok(())
    })?;
    let copied: &[u8] = bytemuck::cast_slice(&to);
    ensure!(copied.iter().all(|byte| *byte == 7), "a wrong byte");
    Ok(figure)
}
