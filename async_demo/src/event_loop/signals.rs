//! Handle signals as events of the loop: SIGUSR1 reloads, SIGTERM ends the program.
//!
//! Python:  `loop.add_signal_handler(signal, callback)`, `remove_signal_handler`
//! Differs: a signal is a stream: await `recv`, so there are no callbacks and nothing to remove. But tokio keeps its handler for
//!          the life of the process: dropping the stream does not restore the default. Signals do not queue, here and in
//!          Python: two that arrive before `recv` runs count as one. Cancelling `recv` loses none.
//! Order:   the handlers are installed before the first signal is sent, and each signal is sent after the one before was handled.
//! Platform: Unix
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! rustix = { version = "1", features = ["process"] }
//! tokio = { version = "1", features = ["macros", "rt", "signal"] }
//! ```

use anyhow::{Context, Result};
use rustix::process::{Signal, getpid, kill_process};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let mut reload = signal(SignalKind::user_defined1()).context("listen for SIGUSR1")?;
    let mut stop = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    println!("the loop listens for SIGUSR1 and SIGTERM");
    send(Signal::USR1)?;
    let mut reloaded = 0;
    loop {
        tokio::select! {
            _ = reload.recv() => {
                reloaded += 1;
                println!("SIGUSR1: reload, number {reloaded}");
                send(if reloaded < 3 { Signal::USR1 } else { Signal::TERM })?;
            }
            _ = stop.recv() => {
                println!("SIGTERM: stop");
                break;
            }
        }
    }
    println!("the program ends normally");
    Ok(())
}

fn send(signal: Signal) -> Result<()> {
    kill_process(getpid(), signal).context("send a signal to this process")
}
