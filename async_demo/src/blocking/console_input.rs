//! Read lines from the console while the loop goes on, and react to Ctrl-C.
//!
//! Python:  `loop.add_reader(0, callback)`, or `await asyncio.to_thread(input)`; aioconsole
//! Differs: `tokio::io::stdin` and `to_thread(input)` read in a thread that cannot be cancelled: after Ctrl-C the program hangs
//!          until a line is typed. With `Console` the loop watches the terminal. Where a loop cannot watch it, as on Windows,
//!          use a thread that sends lines through a channel, and do not join it.
//! Order:   main types on a pseudo-terminal, and only after the console has ticked three times. Ctrl-C is a key: the terminal
//!          discards the half line and sends SIGINT to the foreground process.
//! Platform: Linux (`TIOCGPTPEER`; elsewhere, open the terminal by `ptsname`)
//! Needs:   console.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! rustix = { version = "1", features = ["event", "process", "pty", "stdio"] }
//! tokio = { version = "1", features = ["macros", "net", "rt", "signal", "time"] }
//! ```

use std::env;
use std::fs::File;
use std::io::{Read, Write};
use std::process::{self, Command};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{ioctl_tiocsctty, setsid};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::stdio::stdin;
use tokio::select;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::interval;

use crate::console::Console;

const SECOND: Duration = Duration::from_millis(100);
/// Set for the child, which is this program at the other end of the terminal.
const CONSOLE: &str = "CONSOLE_INPUT_CHILD";

pub fn main() -> Result<()> {
    if env::var_os(CONSOLE).is_some() {
        return at_the_console();
    }
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let keyboard = openpt(flags).context("create a terminal")?;
    grantpt(&keyboard).context("grant the terminal")?;
    unlockpt(&keyboard).context("unlock the terminal")?;
    let terminal = ioctl_tiocgptpeer(&keyboard, flags).context("open the terminal")?;
    let this = env::current_exe().context("find this program")?;
    let mut console = Command::new(this);
    console.args(env::args_os().skip(1));
    // If main is killed, the terminal closes, and the console reads the end.
    let console = console.env(CONSOLE, "1").stdin(terminal).spawn();
    let mut console = console.context("start this program again")?;

    let mut keyboard = File::from(keyboard);
    for (name, keys) in [
        ("a line", "你好\n"),
        ("half a line and Ctrl-C", "half\x03"),
        ("another", "再见\n"),
        ("Ctrl-D", "\x04"),
    ] {
        wait_for_ticks(&mut keyboard).context("read the terminal, whose other end may be gone")?;
        println!("main {} types {name}", process::id());
        let typed = keyboard.write_all(keys.as_bytes());
        typed.context("type")?;
    }
    let exit = console.wait().context("wait for the console")?;
    ensure!(exit.success(), "the console failed: {exit}");
    Ok(())
}

/// Reads the screen until the console has shown three dots.
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
    // Makes this the terminal's foreground process, which receives Ctrl-C. A terminal emulator does the same for a shell.
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
            // Each tick cancels this future; a half line that it has read stays in the console.
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
