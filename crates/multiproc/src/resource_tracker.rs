//! `Tracker`: a process that unlinks the shared memory which killed processes leave behind.
//!
//! Python:  `multiprocessing.resource_tracker`
//! Differs: a name is registered before the segment is made, so there is no moment in which a kill leaks it.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! rustix = { version = "1", features = ["shm"] }
//! ```

use std::collections::BTreeSet;
use std::env;
use std::io::{BufRead, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, Result, ensure};
use rustix::{io::Errno, shm};

/// The way to the tracker, for this process and all that it forks. Cost: one `write` for a name.
///
/// When the last of them is gone, however it ended,
/// the tracker unlinks what is still registered and ends.
pub struct Tracker {
    names: ChildStdin,
    process: Child,
}

impl Tracker {
    /// The role of the tracker process: its program calls [`track`] on its stdin.
    pub const ROLE: &str = "resource_tracker";

    /// Starts this program again in the role [`Tracker::ROLE`], in a process group of its own: Ctrl-C must not end the
    /// one that cleans up after Ctrl-C.
    pub fn start() -> Result<Tracker> {
        let mut process = Command::new(env::current_exe().context("find this program's file")?)
            .args(env::args_os().skip(1))
            .arg(format!("--role={}", Self::ROLE))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()
            .context("start the resource tracker")?;
        let names = process.stdin.take().context("the tracker has no stdin")?;
        Ok(Tracker { names, process })
    }

    /// Has the tracker unlink `name` at the end, unless it is unregistered before.
    pub fn register(&self, name: &str) -> Result<()> {
        self.send('+', name)
    }

    /// Call this after unlinking `name`.
    pub fn unregister(&self, name: &str) -> Result<()> {
        self.send('-', name)
    }

    /// A line of at most `PIPE_BUF` bytes is written whole, whoever else writes.
    fn send(&self, sign: char, name: &str) -> Result<()> {
        ensure!(
            name.len() < 256 && !name.contains('\n'),
            "{name:?} is no name of shared memory"
        );
        (&self.names)
            .write_all(format!("{sign}{name}\n").as_bytes())
            .context("tell the resource tracker")
    }

    /// Blocks until all others who know the tracker are gone too and it has cleaned up.
    pub fn join(mut self) -> Result<()> {
        drop(self.names);
        let status = self
            .process
            .wait()
            .context("wait for the resource tracker")?;
        ensure!(status.success(), "the resource tracker failed: {status}");
        Ok(())
    }
}

/// The tracker's `main`: reads to the end, then unlinks what is left. What cannot be unlinked stops nothing else.
pub fn track(names: impl BufRead) -> Result<()> {
    let mut left = BTreeSet::new();
    for line in names.split(b'\n') {
        let line = String::from_utf8_lossy(&line.context("read a name")?).into_owned();
        match line.split_at_checked(1) {
            Some(("+", name)) => left.insert(name.to_owned()),
            Some(("-", name)) => left.remove(name),
            _ => false,
        };
    }
    let mut failed = Vec::new();
    for name in left {
        match shm::unlink(&name) {
            // Registered, and then not made, or unlinked and not yet unregistered.
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => failed.push(format!("{name}: {error}")),
        }
    }
    ensure!(failed.is_empty(), "cannot unlink {}", failed.join(", "));
    Ok(())
}

#[cfg(test)]
mod tests {
    use rustix::fs::Mode;
    use rustix::shm::OFlags;

    use super::*;

    #[test]
    fn what_is_still_registered_is_unlinked() {
        let names = ["left", "freed", "never_made"]
            .map(|name| format!("/tracker_test.{}.{name}", std::process::id()));
        for name in &names[..2] {
            shm::open(
                name,
                OFlags::CREATE | OFlags::EXCL | OFlags::RDWR,
                Mode::RUSR,
            )
            .unwrap();
        }
        let [left, freed, never_made] = &names;
        let error =
            track(format!("+{left}\n+{freed}\n+{never_made}\n+/not/a/name\n-{freed}\n").as_bytes())
                .unwrap_err();
        assert!(
            error.to_string().starts_with("cannot unlink /not/a/name"),
            "{error}"
        );
        assert_eq!(shm::unlink(left), Err(Errno::NOENT));
        shm::unlink(freed).unwrap();
    }

    #[test]
    fn names_are_checked() {
        let mut process = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let tracker = Tracker {
            names: process.stdin.take().unwrap(),
            process,
        };
        assert!(tracker.register("two\nlines").is_err());
        tracker.register("/name").unwrap();
        tracker.join().unwrap();
    }
}
