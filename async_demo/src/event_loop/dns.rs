//! Resolve names to addresses while the loop goes on.
//!
//! Python:  `loop.getaddrinfo(host, port)`
//! Differs: `lookup_host` returns socket addresses only: no families or protocols. For `getnameinfo` use the crate dns-lookup. Both
//!          run the system's blocking `getaddrinfo` in a thread, which cancelling does not stop. The crate hickory-resolver is
//!          asynchronous itself.
//! Order:   one look-up after the other. The addresses of `localhost` differ between machines, but are always loopback.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["macros", "net", "rt"] }
//! ```

use anyhow::{Context, Result, ensure};
use tokio::net::lookup_host;

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    for (host, port) in [("127.0.0.1", 8081), ("::1", 8888)] {
        // An address needs no look-up.
        for address in lookup_host((host, port))
            .await
            .context("look up an address")?
        {
            println!("{host}, {port}: {address}");
        }
    }
    let addresses: Vec<_> = lookup_host(("localhost", 8081))
        .await
        .context("look up localhost")?
        .collect();
    ensure!(!addresses.is_empty(), "localhost has no address");
    let loopback = addresses.iter().all(|address| address.ip().is_loopback());
    let port = addresses.iter().all(|address| address.port() == 8081);
    println!(
        "localhost, 8081: on this machine: {}, the port: {}",
        yes(loopback),
        yes(port)
    );
    Ok(())
}

fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}
