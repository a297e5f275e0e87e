//! The groups, one file each.

pub mod array;
pub mod async_queue;
pub mod context;
pub mod cores;
pub mod counter;
pub mod echo;
pub mod generator;
pub mod lock;
pub mod manager;
pub mod pipe;
pub mod pool;
pub mod queue;
pub mod start;
pub mod tasks;
pub mod thread;
pub mod thread_queue;

use crate::case::Group;

pub const ALL: &[Group] = &[
    start::GROUP,
    queue::GROUP,
    pipe::GROUP,
    counter::GROUP,
    array::GROUP,
    pool::GROUP,
    thread::GROUP,
    lock::GROUP,
    thread_queue::GROUP,
    cores::GROUP,
    context::GROUP,
    generator::GROUP,
    tasks::GROUP,
    async_queue::GROUP,
    echo::GROUP,
    manager::GROUP,
];
