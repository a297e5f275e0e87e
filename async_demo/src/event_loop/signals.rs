//! Signals as events of the loop: SIGUSR1 is answered, SIGTERM ends the program in good order.
//!
//! Python:  `loop.add_signal_handler(signal, callback)`, `remove_signal_handler`
//! Differs: a signal is a stream; who handles it awaits `recv`, so there are no callbacks and nothing to be removed. But
//!          tokio's handler stays for as long as the process lives: a dropped stream does not bring the default back.
//! Notes:   signals do not queue, with Python neither: two that come before `recv` looks are one. Dropping `recv` loses
//!          none. In the notes' executor `stop` is the handler, and lacks the two arguments that it is called with.
//! Order:   the handlers are there before the first signal is sent, and the second one is sent when the first was handled.
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
    println!("the program ends in good order");
    Ok(())
}

fn send(signal: Signal) -> Result<()> {
    kill_process(getpid(), signal).context("send a signal to myself")
}
