//! asyncio streams: TCP, TLS, Unix sockets and datagrams, on tokio.
//!
//! What differs from Python, and why:
//! - A stream is one value, which reads and writes; it is split in two where two tasks need a half each. It is closed
//!   when it is dropped, and a task that is dropped drops its stream.
//! - A write goes to the system at once and waits while the peer does not read: there is no buffer that grows, and no
//!   `drain` that one may forget.
//! - There is no server object that starts a task for each connection: `accept` in a loop, and `spawn`.
//! - What fails is an error of the call that failed, not a line that asyncio logs.

pub mod context_echo;
#[path = "../../context_demo/src/contextvars.rs"]
pub mod contextvars;
pub mod options;
pub mod self_connecting;
pub mod serve;
pub mod server;
pub mod tls_upgrade;
pub mod udp_echo;
pub mod unix_echo;

demo::examples![
    context_echo,
    self_connecting,
    unix_echo,
    udp_echo,
    tls_upgrade,
    serve
];
