//! `multiprocessing.managers`: objects that a server holds and clients share, between processes and machines.

mod dict_list;
#[allow(dead_code)]
mod managers;

demo::examples![dict_list];
