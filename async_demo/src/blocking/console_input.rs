//! Lines from the console, while the loop goes on; Ctrl-C and Ctrl-D are noticed at once.
//!
//! Python:  `loop.add_reader(0, callback)`, or `await asyncio.to_thread(input)`; aioconsole
//! Differs: `tokio::io::stdin` and `to_thread(input)` read in a thread that cannot be cancelled: after Ctrl-C the
//!          program hangs until a line is typed. `Console` has the loop watch the terminal. Where a loop cannot watch
//!          it (on Windows), use a thread of your own that sends lines through a channel, and do not wait for its end.
//! Order:   main is at the keyboard of a pseudo-terminal, and types only when the console has ticked three times.
//!          Ctrl-C is a key: the terminal throws the half line away and sends SIGINT to the process in front.
//! Linux:   the other side of a pseudo-terminal is opened without its name; elsewhere by `ptsname`.
//! Needs:   console.rs, fork_demo/multiprocessing.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! libc = "0.2"
//! rustix = { version = "1", features = ["event", "process", "pty", "stdio"] }
//! tokio = { version = "1", features = ["macros", "net", "rt", "signal", "time"] }
//! ```

use std::fs::File;
use std::io::{Read, Write};
use std::process;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{ioctl_tiocsctty, setsid};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::stdio::stdin;
use tokio::select;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::interval;

use crate::console::Console;
use crate::multiprocessing::{Exit, Process, command, role};

const SECOND: Duration = Duration::from_millis(100);

pub fn main() -> Result<()> {
    if role().as_deref() == Some("console") {
        return at_the_console();
    }
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let keyboard = openpt(flags).context("make a terminal")?;
    grantpt(&keyboard).context("grant the terminal")?;
    unlockpt(&keyboard).context("unlock the terminal")?;
    let terminal = ioctl_tiocgptpeer(&keyboard, flags).context("open the terminal")?;
    let console = command("console")?.stdin(terminal).spawn();
    let console = Process::from(console.context("start this program again")?);

    let mut keyboard = File::from(keyboard);
    for (name, keys) in [
        ("a line", "你好\n"),
        ("half a line and Ctrl-C", "half\x03"),
        ("another", "再见\n"),
        ("Ctrl-D", "\x04"),
    ] {
        wait_for_ticks(&mut keyboard).context("look at the terminal: was the console killed?")?;
        println!("main {} types {name}", process::id());
        let typed = keyboard.write_all(keys.as_bytes());
        typed.context("type")?;
    }
    let exit = console.join()?;
    ensure!(exit == Exit::Code(0), "the console failed: {exit}");
    Ok(())
}

/// Reads what the console shows until it has shown three dots.
fn wait_for_ticks(keyboard: &mut File) -> Result<()> {
    let mut shown = Vec::new();
    while !shown.ends_with(b"...") {
        let mut byte = [0];
        keyboard.read_exact(&mut byte)?;
        shown.extend(byte);
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn at_the_console() -> Result<()> {
    // What a terminal's window does for its shell: Ctrl-C reaches the process in front.
    setsid().context("begin a session")?;
    ioctl_tiocsctty(stdin()).context("take the terminal")?;
    let mut ctrl_c = signal(SignalKind::interrupt()).context("listen for Ctrl-C")?;
    let screen = stdin().try_clone_to_owned();
    let mut screen = File::from(screen.context("open the screen")?);
    let mut console = Console::stdin().context("watch the console")?;
    let mut clock = interval(SECOND / 10);
    let (id, mut ticks) = (process::id(), 0);
    loop {
        select! {
            // Each tick drops this future; what it has read of a line stays in the console.
            line = console.line() => match line? {
                Some(line) => println!("console {id} reads {line} after {ticks} ticks"),
                None => break,
            },
            _ = ctrl_c.recv() => println!("console {id} interrupted after {ticks} ticks"),
            _ = clock.tick() => {
                ticks += 1;
                if ticks <= 3 {
                    screen.write_all(b".").context("show a tick")?;
                }
                continue;
            }
        }
        ticks = 0;
    }
    println!("console {id} is at the end after {ticks} ticks");
    Ok(())
}
