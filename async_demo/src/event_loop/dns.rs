//! Names become addresses while the loop goes on.
//!
//! Python:  `loop.getaddrinfo(host, port)`
//! Differs: `lookup_host` gives socket addresses and nothing else: no families or protocols, and no `getnameinfo`,
//!          for which there is the crate dns-lookup. Both run the system's blocking `getaddrinfo` in a thread, so
//!          dropping it leaves that thread at work. A resolver that is asynchronous itself is the crate
//!          hickory-resolver.
//! Order:   one look-up after the other; what `localhost` is differs from machine to machine, but it is always this
//!          one.
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
        // What is an address already is not looked up.
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
