//! CPython's own manager tests, and the same random calls to CPython's server and to ours.
//!
//! Each has a server of its own and is a process of its own, with a limit. `MANAGER_SERVER=cpython` has them run against
//! CPython's server, the control: all must pass there too. `MANAGER_CALLS` is the number of random calls for each type,
//! `MANAGER_SEED` repeats those of another run.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Seek};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::Duration;
use std::{env, str};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, set_parent_process_death_signal,
};
use tempfile::TempDir;

const CONFORMANCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance.py");
const DIFFERENTIAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/differential.py");
const CPYTHON_SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cpython_server.py");
/// For each test. It ends itself 10 s earlier, and shows where it was.
const LIMIT: Duration = Duration::from_secs(60);
/// For random calls, a second more for each so many.
const CALLS_A_SECOND: u64 = 100;
/// The exit code of a test that CPython skips.
const SKIPPED: i32 = 77;

fn main() -> ExitCode {
    let mut args = Arguments::from_args();
    args.test_threads = Some(args.test_threads.unwrap_or(3)); // They wait more than they work.
    let calls = number("MANAGER_CALLS").unwrap_or(1000);
    let seed = number("MANAGER_SEED").unwrap_or_else(|| getrandom::u32().unwrap().into());
    let mut trials = vec![];
    match list(CONFORMANCE) {
        Ok(tests) => {
            for test in tests {
                // Both kinds of address, too.
                for (method, network) in [("fork", Network::Tcp), ("spawn", Network::Unix)] {
                    let (name, test) = (format!("{method}::{test}"), test.clone());
                    trials.push(Trial::ignorable_test(name, move || {
                        conformance(&test, method, network)
                    }));
                }
            }
        }
        Err(reason) => trials.push(ignored("conformance", reason)),
    }
    match list(DIFFERENTIAL) {
        Ok(types) => {
            if !args.list {
                eprintln!("MANAGER_SEED={seed} MANAGER_CALLS={calls}");
            }
            trials.extend(types.into_iter().map(|typeid| {
                let name = format!("differential::{typeid}");
                Trial::test(name, move || differential(&typeid, seed, calls))
            }));
        }
        Err(reason) => trials.push(ignored("differential", reason)),
    }
    libtest_mimic::run(&args, trials).exit_code()
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// What this script can run here, or why it can run nothing.
fn list(script: &str) -> Result<Vec<String>, String> {
    let output = Command::new("python3").args([script, "--list"]).output();
    let output = output.map_err(|error| format!("no python3: {error}"))?;
    if output.status.success() {
        let lines = str::from_utf8(&output.stdout).unwrap().lines();
        return Ok(lines.map(str::to_owned).collect());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(complaint.lines().last().unwrap_or_default().to_owned())
}

fn ignored(name: &str, reason: String) -> Trial {
    Trial::ignorable_test(name, || Ok(Completion::ignored_with(reason)))
}

fn conformance(test: &str, method: &str, network: Network) -> Result<Completion, Failed> {
    let server = server(network);
    let mut command = server.python(CONFORMANCE);
    let seconds = (LIMIT - Duration::from_secs(10)).as_secs().to_string();
    command.args(["--limit", &seconds, "--start-method", method, test]);
    match run(&mut command, LIMIT) {
        (Some(status), _) if status.success() => Ok(Completion::Completed),
        (Some(status), _) if status.code() == Some(SKIPPED) => Ok(Completion::ignored()),
        (status, output) => Err(failed(status, output)),
    }
}

fn differential(typeid: &str, seed: u64, calls: u64) -> Result<(), Failed> {
    let server = server(Network::Unix);
    let mut command = server.python(DIFFERENTIAL);
    let (seed, number) = (seed.to_string(), calls.to_string());
    command.args(["--types", typeid, "--seed", &seed, "--calls", &number]);
    match run(&mut command, LIMIT + Duration::from_secs(calls / CALLS_A_SECOND)) {
        (Some(status), _) if status.success() => Ok(()),
        (status, output) => Err(failed(status, output)),
    }
}

fn failed(status: Option<ExitStatus>, output: String) -> Failed {
    match status {
        Some(status) => format!("{status}\n{output}").into(),
        None => format!("no end in time\n{output}").into(),
    }
}

/// Runs a command with all that it starts, and ends what is left of it. The status is none where its time was over.
fn run(command: &mut Command, limit: Duration) -> (Option<ExitStatus>, String) {
    let mut output = tempfile::tempfile().unwrap();
    command
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output.try_clone().unwrap())
        .process_group(0);
    let mut child = spawn(command);
    let pid = Pid::from_child(&child);
    let end = pidfd_open(pid, PidfdFlags::empty()).unwrap();
    let limit = Timespec::try_from(limit).unwrap();
    let mut ends = [PollFd::new(&end, PollFlags::IN)];
    let ended = rustix::io::retry_on_intr(|| poll(&mut ends, Some(&limit))).unwrap() > 0;
    // It is not reaped yet, so the number is still its own.
    kill_process_group(pid, Signal::KILL).unwrap();
    let status = child.wait().unwrap();
    let mut text = vec![];
    output.rewind().unwrap();
    output.read_to_end(&mut text).unwrap();
    let text = String::from_utf8_lossy(&text).into_owned();
    (ended.then_some(status), text)
}

/// A child that does not outlive the thread that starts it.
fn spawn(command: &mut Command) -> Child {
    // SAFETY: between fork and exec there is one system call, without heap or lock.
    unsafe { command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?)) };
    command.spawn().unwrap()
}

#[derive(Clone, Copy)]
enum Network {
    Tcp,
    Unix,
}

/// A server that runs. It ends with this value.
struct Server {
    child: Child,
    address: String,
    key_file: PathBuf,
    directory: TempDir,
}

/// Starts the server under test.
fn server(network: Network) -> Server {
    let directory = TempDir::new().unwrap();
    let key_file = directory.path().join("key");
    fs::write(&key_file, "the key of the tests").unwrap();
    let address = match network {
        Network::Tcp => "127.0.0.1:0".to_owned(),
        Network::Unix => directory.path().join("socket").display().to_string(),
    };
    let mut command = Command::new("python3");
    command.args([CPYTHON_SERVER, "--address", &address, "--authkey-file"]);
    let mut child = spawn(
        command
            .arg(&key_file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0),
    );
    let mut address = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut address).unwrap();
    Server {
        child,
        address: address.trim_end().to_owned(),
        key_file,
        directory,
    }
}

impl Server {
    /// A script that is told where the server is.
    fn python(&self, script: &str) -> Command {
        let mut command = Command::new("python3");
        command.args([script, "--address", &self.address, "--authkey-file"]);
        command.arg(&self.key_file).current_dir(&self.directory);
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
