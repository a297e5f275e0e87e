//! Runs one contestant once, in a process of its own. A supervisor ensures that it leaves nothing behind.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use smoke::supervise::{self, Order, Report};

use crate::case::{Case, Contestant, Group, How};

/// The first argument that makes this program a contestant.
pub const ARGUMENT: &str = "--contestant";

/// How long a contestant may take. It should take a fraction of a second.
const LIMIT: Duration = Duration::from_secs(60);

/// How long the helpers of a contestant, such as Python's fork server, may stay after it.
const GRACE_MS: u32 = 5000;

/// Returns the contestant's command line.
fn command(
    group: &Group,
    case: &Case,
    contestant: &Contestant,
    count: u64,
) -> Result<Vec<OsString>> {
    let count = count.to_string();
    Ok(match contestant.how {
        How::Python(case) => {
            let program = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("python")
                .join(format!("{}.py", group.name));
            let args = ["python3".into(), "-P".into(), program.into()];
            args.into_iter()
                .chain([case.into(), count.into()])
                .collect()
        }
        How::Rust(_) => {
            let this = env::current_exe().context("find this program's file")?;
            let names = [ARGUMENT, group.name, case.name, contestant.name].map(OsString::from);
            [this.into()]
                .into_iter()
                .chain(names)
                .chain([count.into()])
                .collect()
        }
    })
}

/// Runs a contestant and returns its figure.
pub fn run(group: &Group, case: &Case, contestant: &Contestant, count: u64) -> Result<f64> {
    let folder = tempfile::Builder::new()
        .prefix("bench-")
        .tempdir()
        .context("make a temporary folder")?;
    let (stdout, stderr) = (folder.path().join("stdout"), folder.path().join("stderr"));
    let (mut socket, theirs) = UnixStream::pair().context("make a socket pair")?;
    let mut supervisor = Command::new(env::current_exe().context("find this program's file")?)
        .arg(supervise::ARGUMENT)
        .arg(GRACE_MS.to_string())
        .arg(folder.path())
        .args(command(group, case, contestant, count)?)
        .env("TMPDIR", folder.path())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::from(
            File::create(&stdout).context("make a file for stdout")?,
        ))
        .stderr(Stdio::from(
            File::create(&stderr).context("make a file for stderr")?,
        ))
        // In its own group Ctrl-C does not reach the supervisor. It sees the socket close and kills its descendants.
        .process_group(0)
        .spawn()
        .context("start the supervisor")?;
    let end = end_of(&mut socket)?;
    drop(socket);
    supervisor.wait().context("wait for the supervisor")?;
    let said = fs::read_to_string(&stderr).unwrap_or_default();
    let said = said.trim_end();
    match end {
        None => bail!("it did not end within {LIMIT:?} and was killed\n{said}"),
        Some(Report::Ended {
            exit: Some(0),
            left,
            ..
        }) => ensure!(
            left.is_empty(),
            "it left these processes running: {}",
            left.join(", ")
        ),
        Some(Report::Ended { exit, signal, .. }) => {
            let how = exit.map(|code| format!("exit code {code}"));
            let how = how.or(signal.map(|signal| format!("signal {signal}")));
            bail!("it failed: {}\n{said}", how.unwrap_or_default())
        }
        Some(Report::Failed { error }) => bail!("it cannot be started: {error}"),
        Some(Report::Started { .. }) => bail!("the supervisor does not answer"),
    }
    figure(&fs::read_to_string(&stdout).context("read its output")?)
}

/// Waits for the supervisor's last report. Returns `None` if the time limit passed and everything was killed.
fn end_of(socket: &mut UnixStream) -> Result<Option<Report>> {
    let mut reports = BufReader::new(socket.try_clone().context("clone a socket")?);
    let mut killed = false;
    let mut line = String::new();
    socket
        .set_read_timeout(Some(LIMIT))
        .context("set the time limit")?;
    loop {
        match reports.read_line(&mut line) {
            Ok(0) => bail!("the supervisor has ended without a report"),
            Ok(_) => match serde_json::from_str(&line).context("understand the supervisor")? {
                Report::Started { .. } => line.clear(),
                _ if killed => return Ok(None),
                report => return Ok(Some(report)),
            },
            Err(error) if error.kind() == ErrorKind::WouldBlock && !killed => {
                killed = true;
                let mut order = serde_json::to_vec(&Order::Kill)?;
                order.push(b'\n');
                socket
                    .write_all(&order)
                    .context("have the contestant killed")?;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("listen to the supervisor"),
        }
    }
}

/// Reads what a contestant prints: one positive number.
fn figure(output: &str) -> Result<f64> {
    let figure = output.trim_end().parse::<f64>().ok();
    figure
        .filter(|figure| figure.is_finite() && *figure > 0.0)
        .with_context(|| format!("it printed {output:?} instead of a positive number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_positive_numbers() {
        assert_eq!(figure("12.5\n").unwrap(), 12.5);
        for wrong in ["", "1 2\n", "0\n", "-1\n", "NaN\n", "inf\n", "a\n"] {
            assert!(figure(wrong).is_err(), "{wrong:?}");
        }
    }
}
