//! pool

mod apply;
#[path = "../../queue_demo/src/channel.rs"]
mod channel;
#[path = "../../queue_demo/src/monitor.rs"]
mod monitor;
#[allow(dead_code)]
#[path = "../../fork_demo/src/multiprocessing.rs"]
mod multiprocessing;
mod pool;
#[path = "../../queue_demo/src/ring.rs"]
mod ring;
#[allow(dead_code)]
#[path = "../../shm_demo/src/robust.rs"]
mod robust;
#[path = "../../queue_demo/src/socket.rs"]
mod socket;

demo::examples![apply];
