//! asyncio streams: TCP, TLS, Unix sockets and datagrams, on tokio.
//!
//! What differs from Python, and why:
//! - One value reads and writes a stream. Split it where two tasks need a half each. Dropping it closes the connection,
//!   and cancelling a task drops its streams.
//! - A write goes to the kernel at once, and waits while the peer does not read. There is no growing buffer, so no `drain`
//!   is needed.
//! - There is no server object that starts a task for each connection. Call `accept` in a loop, and `spawn`.
//! - A failed call returns its error; asyncio only logs it.

pub mod context_echo;
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
