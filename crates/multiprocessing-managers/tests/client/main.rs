//! The client, with CPython's server and with this crate's.

#![allow(clippy::unwrap_used)]

mod connection;
mod proxies;
mod remote_queue;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;
use std::{fs, panic, thread};

use multiprocessing_managers::{Address, Manager, SyncManager};
use tempfile::TempDir;

/// The time limit of a test.
pub const LIMIT: Duration = Duration::from_secs(60);
pub const KEY: &[u8] = b"secret";

/// CPython's own server, of tests/cpython_server.py.
pub struct Python {
    pub child: Child,
    pub address: Address,
    _folder: TempDir,
}

impl Python {
    /// Returns `None` and says so if there is no Python.
    pub fn start(unix: bool) -> Option<Python> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cpython_server.py");
        let python = Command::new("python3").arg("--version").output();
        if python.is_err() || !script.exists() {
            eprintln!(
                "not tested: there is no python3, or no {}",
                script.display()
            );
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let key_file = folder.path().join("key");
        fs::write(&key_file, KEY).unwrap();
        let path = folder.path().join("socket");
        let address = if unix {
            &path
        } else {
            Path::new("127.0.0.1:0")
        };
        let mut child = Command::new("python3")
            .arg(script)
            .arg("--address")
            .arg(address)
            .arg("--authkey-file")
            .arg(&key_file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let output = child.stdout.as_mut().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        let address = line.trim_end().parse().unwrap();
        Some(Python {
            child,
            address,
            _folder: folder,
        })
    }

    pub fn manager(&self) -> Manager {
        Manager::connect(&self.address, KEY).unwrap()
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Runs a test with CPython's server on a Unix socket, with a time limit.
pub fn with_python(test: impl FnOnce(&mut Python) + Send + 'static) {
    if let Some(mut python) = Python::start(true) {
        limited(move || test(&mut python));
    }
}

/// Runs a test with CPython's server, and with this crate's.
pub fn with_both(test: impl Fn(&Manager) + Copy + Send + 'static) {
    with_python(move |python| test(&python.manager()));
    limited(move || test(&SyncManager::start().unwrap()));
}

pub fn limited(test: impl FnOnce() + Send + 'static) {
    let (sender, ended) = mpsc::channel();
    let thread = thread::spawn(move || {
        test();
        sender.send(()).unwrap();
    });
    match ended.recv_timeout(LIMIT) {
        Err(RecvTimeoutError::Timeout) => panic!("the test took longer than {LIMIT:?}"),
        _ => thread.join().unwrap_or_else(|e| panic::resume_unwind(e)),
    }
}
