//! Run commands that answer, fail, take too long, or do not exist.
//!
//! Python:  `asyncio.create_subprocess_exec`, `communicate`, `wait`, `kill`, `returncode`
//! Differs: death by a signal is a status of its own; Python has a negative returncode. `communicate` is `wait_with_output` and a
//!          concurrent write; one after the other, they would block when both pipes are full. A dropped `Child` runs on,
//!          unless `kill_on_drop(true)` kills it; tokio reaps it later. `kill_on_drop` does not kill the child's own
//!          children, and does not work if the parent itself is killed by SIGKILL. `kill().await` kills and waits.
//! Order:   one command after the other.
//! Platform: Unix (signals)
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["io-util", "macros", "process", "rt", "time"] }
//! ```

use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::time::timeout;

const SECOND: Duration = Duration::from_millis(100);

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let upper = communicate(spawn("tr", &["a-z", "A-Z"])?, b"hello").await?;
    print("tr", &upper);
    let fails = communicate(spawn("sh", &["-c", "echo no such thing >&2; exit 3"])?, b"").await?;
    print("sh", &fails);

    // cat waits for input that never comes. If this program is killed, the pipe closes and cat ends.
    let mut cat = spawn("cat", &[])?;
    let input = cat.stdin.take(); // Otherwise `wait` closes it.
    ensure!(
        timeout(SECOND, cat.wait()).await.is_err(),
        "cat has ended too early"
    );
    println!("cat takes too long");
    cat.kill().await.context("kill cat")?;
    let status = cat.wait().await.context("wait for cat")?;
    println!("cat: killed by signal {}", status.signal().unwrap_or(0));
    drop(input);

    let missing = Command::new("there-is-no-such-program").spawn();
    if missing.is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        println!("there-is-no-such-program: not found");
    }
    Ok(())
}

fn spawn(program: &str, args: &[&str]) -> Result<Child> {
    let mut command = Command::new(program);
    command.args(args).kill_on_drop(true).stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().with_context(|| format!("start {program}"))
}

/// Cancelling it kills the child and loses the output that was read.
async fn communicate(mut child: Child, input: &[u8]) -> Result<Output> {
    let stdin = child.stdin.take();
    let write = async {
        let Some(mut stdin) = stdin else {
            return Ok(());
        };
        match stdin.write_all(input).await {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()), // A command need not read all its input.
            written => written,
        } // Drops the pipe, which is the end of the input.
    };
    let ((), output) = tokio::try_join!(write, child.wait_with_output()).context("communicate")?;
    Ok(output)
}

fn print(name: &str, output: &Output) {
    let said = [&output.stdout[..], &output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    println!("{name}: {}", said.trim_end());
    println!("{name}: exit code {}", output.status.code().unwrap_or(-1));
}
