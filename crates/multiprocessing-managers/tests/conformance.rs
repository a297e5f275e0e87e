//! CPython's own manager tests, and the same random calls to CPython's server and to this one.
//!
//! Each test is a process with a server of its own and a time limit. With `MANAGER_SERVER=cpython` that server is
//! CPython's, as a control: all tests must pass there too. `MANAGER_CALLS` is the number of random calls for each type,
//! `MANAGER_SEED` repeats those of another run.

#![allow(clippy::unwrap_used)]

mod program;

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, ExitCode, ExitStatus};
use std::time::Duration;
use std::{env, fs, str};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use multiprocessing_managers::{Address, Registry};
use program::Program;
use tempfile::TempDir;

const CONFORMANCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance.py");
const DIFFERENTIAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/differential.py");
const CPYTHON_SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cpython_server.py");
const KEY: &[u8] = b"the key of the tests";
/// The time limit of a test. It ends itself 10 s earlier, and shows where it was.
const LIMIT: Duration = Duration::from_secs(60);
/// Random calls get one more second for each this many.
const CALLS_A_SECOND: u64 = 100;
/// The exit code of a test that CPython skips.
const SKIPPED: i32 = 77;

fn main() -> ExitCode {
    let mut args = Arguments::from_args();
    args.test_threads = Some(args.test_threads.unwrap_or(3)); // The tests wait more than they work.
    let calls = number("MANAGER_CALLS").unwrap_or(1000);
    let seed = number("MANAGER_SEED").unwrap_or_else(|| getrandom::u32().unwrap().into());
    let mut trials = vec![];
    match list(CONFORMANCE) {
        Ok(tests) => {
            for test in tests {
                // This covers both kinds of address too.
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

/// Lists the tests of a script, or says why it cannot run.
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
    match Program::start(&mut command).end(LIMIT) {
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
    let limit = LIMIT + Duration::from_secs(calls / CALLS_A_SECOND);
    match Program::start(&mut command).end(limit) {
        (Some(status), _) if status.success() => Ok(()),
        (status, output) => Err(failed(status, output)),
    }
}

fn failed(status: Option<ExitStatus>, output: String) -> Failed {
    match status {
        Some(status) => format!("{status}\n{output}").into(),
        None => format!("not finished in time\n{output}").into(),
    }
}

#[derive(Clone, Copy)]
enum Network {
    Tcp,
    Unix,
}

/// A server that runs until this is dropped.
struct Server {
    address: String,
    key_file: PathBuf,
    _running: Running,
    directory: TempDir,
}

/// A server in this process or in its own.
#[allow(dead_code)] // It is only dropped.
enum Running {
    Ours(multiprocessing_managers::Running),
    Cpython(Program),
}

/// Starts the server under test.
fn server(network: Network) -> Server {
    let directory = TempDir::new().unwrap();
    let key_file = directory.path().join("key");
    fs::write(&key_file, KEY).unwrap();
    let path = directory.path().join("socket");
    let (address, running) = if env::var("MANAGER_SERVER").is_ok_and(|name| name == "cpython") {
        let address = match network {
            Network::Tcp => "127.0.0.1:0".to_owned(),
            Network::Unix => path.display().to_string(),
        };
        let mut command = Command::new("python3");
        command.args([CPYTHON_SERVER, "--address", &address, "--authkey-file"]);
        let (program, stdout) = Program::start_piped(command.arg(&key_file));
        let mut address = String::new();
        BufReader::new(stdout).read_line(&mut address).unwrap();
        (address.trim_end().to_owned(), Running::Cpython(program))
    } else {
        let address = match network {
            Network::Tcp => Address::Tcp("127.0.0.1".to_owned(), 0),
            Network::Unix => Address::Unix(path),
        };
        let server =
            multiprocessing_managers::Server::bind(&address, KEY, Registry::sync_manager())
                .unwrap();
        let running = server.start().unwrap();
        let address = match running.address() {
            Address::Tcp(host, port) => format!("{host}:{port}"),
            Address::Unix(path) => path.display().to_string(),
        };
        (address, Running::Ours(running))
    };
    Server {
        address,
        key_file,
        _running: running,
        directory,
    }
}

impl Server {
    /// The command of a script that uses the server.
    fn python(&self, script: &str) -> Command {
        let mut command = Command::new("python3");
        command.args([script, "--address", &self.address, "--authkey-file"]);
        command.arg(&self.key_file).current_dir(&self.directory);
        command
    }
}
