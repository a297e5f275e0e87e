//! Input goes in, both outputs come back, however large: no pipe waits for another.
//!
//! Python:  `Popen(stdin=PIPE, stdout=PIPE, stderr=PIPE)`, `communicate(input)`, `returncode`
//! Differs: the notes ask nslookup, which needs a network; here a shell answers every line.
//! Needs:   popen.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! rustix = { version = "1", features = ["event", "process"] }
//! ```

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::popen::communicate;

const LIMIT: Duration = Duration::from_secs(60);
const MIB: usize = 1 << 20;

pub fn main() -> Result<()> {
    let answer = "while read line; do echo \"read: $line\"; done; echo 'end of input' >&2; exit 3";
    let mut command = Command::new("sh");
    let output = communicate(
        command.args(["-c", answer]),
        b"set q=mx\npython.org\nexit\n",
        LIMIT,
    )?;
    print!(
        "{}",
        String::from_utf8(output.stdout).context("decode stdout")?
    );
    println!(
        "stderr: {}",
        String::from_utf8(output.stderr)
            .context("decode stderr")?
            .trim_end()
    );
    println!(
        "Exit code: {}",
        output.status.code().context("the command was killed")?
    );

    // The pipes hold 64 KiB each: one that writes it all before it reads would never end.
    let mut command = Command::new("tee");
    let output = communicate(command.arg("/dev/stderr"), &vec![b'.'; MIB], LIMIT)?;
    println!(
        "sent {MIB} bytes, received {} and {}",
        output.stdout.len(),
        output.stderr.len()
    );
    println!(
        "Exit code: {}",
        output.status.code().context("the command was killed")?
    );
    Ok(())
}
