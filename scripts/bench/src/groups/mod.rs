//! The groups, one file each.

pub mod array;
pub mod counter;
pub mod pipe;
pub mod pool;
pub mod queue;
pub mod start;

use bench::case::Group;

pub const ALL: &[Group] = &[
    start::GROUP,
    queue::GROUP,
    pipe::GROUP,
    counter::GROUP,
    array::GROUP,
    pool::GROUP,
];
