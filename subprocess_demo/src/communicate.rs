//! Send a command its input, and read both its outputs at the same time.
//!
//! Python:  `Popen(stdin=PIPE, stdout=PIPE, stderr=PIPE)`, `communicate(input)`, `returncode`
//! Differs: the notes ask nslookup, which needs a network; here a shell answers every line.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! subprocess = "1"
//! ```

use std::time::Duration;

use anyhow::{Context, Result};
use subprocess::{Capture, Exec, Redirection};

const LIMIT: Duration = Duration::from_secs(60);
const MIB: usize = 1 << 20;

pub fn main() -> Result<()> {
    let answer = "while read line; do echo \"read: $line\"; done; echo 'end of input' >&2; exit 3";
    let shell = Exec::cmd("sh").args(["-c", answer]);
    let output = communicate(shell, b"set q=mx\npython.org\nexit\n".to_vec())?;
    print!("{}", output.stdout_str());
    println!("stderr: {}", output.stderr_str().trim_end());
    println!("Exit code: {}", code(&output)?);

    // A pipe holds 64 KiB, so a program that writes everything before it reads would block forever.
    let tee = Exec::cmd("tee").arg("/dev/stderr");
    let output = communicate(tee, vec![b'.'; MIB])?;
    let (stdout, stderr) = (output.stdout.len(), output.stderr.len());
    println!("sent {MIB} bytes, received {stdout} and {stderr}");
    println!("Exit code: {}", code(&output)?);
    Ok(())
}

/// Writes the input and reads both outputs, each as soon as its pipe is ready, until the command has ended.
fn communicate(command: Exec, input: Vec<u8>) -> Result<Capture> {
    let name = command.to_cmdline_lossy();
    let command = command
        .stdin(input)
        .stdout(Redirection::Pipe)
        .stderr(Redirection::Pipe);
    let job = command.start().with_context(|| format!("start {name}"))?;
    let output = job.capture_timeout(LIMIT);
    output.with_context(|| format!("communicate with {name}"))
}

fn code(output: &Capture) -> Result<u32> {
    let code = output.exit_status.code();
    code.with_context(|| format!("the command has no exit code: {}", output.exit_status))
}
