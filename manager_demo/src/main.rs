//! `multiprocessing.managers`: objects that a server holds and clients share, between processes and machines.

#[allow(dead_code)]
mod managers;

fn main() {}
