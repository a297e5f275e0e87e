//! `multiprocessing.managers`: objects that a server holds and clients share, between processes and machines.

mod all_locks;
mod all_types;
mod dict_list;
#[allow(dead_code)]
mod managers;

demo::examples![dict_list, all_types, all_locks];
