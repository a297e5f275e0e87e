//! Run a command; tell an exit code, death by a signal and a missing one apart.
//!
//! Python:  `subprocess.call(['nslookup', 'www.python.org'])`
//! Usage:   `call [COMMAND [ARGUMENT]...]`, by default four small commands
//! Differs: Python returns -9 for a command killed by signal 9.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! ```

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::{env, io::ErrorKind};

use anyhow::{Context, Result, bail};

pub fn main() -> Result<()> {
    // The command follows the program's name, and in a module of a larger program the module's name.
    let command: Vec<OsString> = env::args_os()
        .skip(module_path!().split("::").count())
        .collect();
    if let [program, args @ ..] = &command[..] {
        report(call(program, args)?);
        return Ok(());
    }
    for (program, args) in [
        ("echo", vec!["Hello"]),
        ("sh", vec!["-c", "exit 3"]),
        ("sh", vec!["-c", "kill -KILL $$"]),
    ] {
        let args: Vec<OsString> = args.into_iter().map(OsString::from).collect();
        report(call(&program.into(), &args)?);
    }
    match call(&"no-such-command".into(), &[]) {
        Ok(status) => bail!("the missing command ran: {status}"),
        Err(error) => println!("{error}"),
    }
    Ok(())
}

/// Blocks until the command has ended. It shares this program's terminal and streams, so Ctrl-C ends both. If this program
/// is killed, the command lives on, as with Python.
fn call(program: &OsString, args: &[OsString]) -> Result<ExitStatus> {
    let name = program.to_string_lossy();
    match Command::new(program).args(args).status() {
        Err(error) if error.kind() == ErrorKind::NotFound => bail!("No such command: {name}"),
        status => status.with_context(|| format!("start {name}")),
    }
}

fn report(status: ExitStatus) {
    match (status.code(), status.signal()) {
        (Some(code), _) => println!("Exit code: {code}"),
        (None, signal) => println!("Killed by signal: {}", signal.unwrap_or_default()),
    }
}
