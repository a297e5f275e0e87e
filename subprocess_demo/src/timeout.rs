//! Kill a command that takes too long, and every process that it has started.
//!
//! Python:  `communicate(timeout=...)`, `TimeoutExpired`, `os.killpg`
//! Differs: nothing. In both, `kill()` reaches only the child: the grandchild would keep the pipe open, and reading to the
//!          end would block. So the command leads a process group, which is killed as a whole.
//! Platform: Unix (process groups)
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! libc = "0.2"
//! subprocess = "1"
//! ```

use std::io::{self, ErrorKind};
use std::process;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use subprocess::unix::JobExt;
use subprocess::{Exec, ExecExt, Redirection};

const SECOND: Duration = Duration::from_millis(100);

/// The shell waits for a child shell, which ticks as long as its output is read.
const TICK: &str = "while :; do echo tick; sleep 0.02; done & echo \"child $$ started $!\"; wait";

pub fn main() -> Result<()> {
    println!("main process {} waits 3 seconds", process::id());
    let begun = Instant::now();
    let shell = Exec::cmd("sh").args(["-c", TICK]);
    let shell = shell.stdout(Redirection::Pipe).setpgid();
    let mut job = shell.start().context("start the shell")?;
    let mut pipes = job.communicate()?.limit_time(3 * SECOND);

    let mut output = vec![];
    let ended = pipes.read_to(&mut output, io::sink());
    let seconds = begun.elapsed().as_secs_f64() / SECOND.as_secs_f64();
    // In every case, because dropping the job waits for the command.
    let killed = job.send_signal_group(libc::SIGKILL);
    killed.context("kill the command's process group")?;
    match ended {
        Err(error) if error.kind() == ErrorKind::TimedOut => {}
        Err(error) => return Err(error).context("read the command's output"),
        Ok(()) => bail!("the command ended by itself: {}", job.wait()?),
    }
    let output = String::from_utf8(output).context("decode the output")?;
    let child = output.lines().find(|line| line.starts_with("child"));
    println!("{}", child.context("the command printed nothing")?);
    println!("timeout after {seconds:.6} seconds");

    // The output ends when the last process that holds the pipe is gone.
    let rest = pipes.read_to(io::sink(), io::sink());
    rest.context("wait for the command's children")?;
    println!(
        "both are gone after signal {}",
        job.wait()?.signal().unwrap_or(0)
    );
    Ok(())
}
