//! `Tracker`: a process that unlinks shared memory left behind by killed processes.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{self, SendFlags};
use rustix::shm;

use crate::connection::socket_pair;

use crate::error::{Context, ensure};
use crate::reduction::Fd;
use crate::spawn::start;

/// A handle to a resource tracker: Python's `multiprocessing.resource_tracker`.
///
/// The tracker is a process. When this process and all children that it forked have ended, for whatever reason, the
/// tracker unlinks the names that are still registered, and exits. It runs in its own process group, because Ctrl-C must
/// not end the process that cleans up after Ctrl-C.
///
/// Register a name before you create the segment. Then the segment cannot leak, whenever the process is killed.
///
/// Cost: one `write` per name.
///
/// # Examples
///
/// ```
/// use multiproc::init;
/// use multiproc::resource_tracker::Tracker;
///
/// fn main() -> std::io::Result<()> {
///     init([]);
///     let tracker = Tracker::start()?;
///     tracker.register("/a_segment")?;
///     // Make the segment with shm_open, use it, unlink it.
///     tracker.unregister("/a_segment")?;
///     tracker.join()
/// }
/// ```
#[derive(Debug)]
pub struct Tracker {
    names: OwnedFd,
    process: Child,
}

impl Tracker {
    /// Starts a tracker.
    ///
    /// # Errors
    ///
    /// As [`spawn`](crate::spawn()).
    pub fn start() -> io::Result<Tracker> {
        let (names, reader) = socket_pair()?;
        let process =
            start_tracker(serve, &Fd::from(reader)).context("start the resource tracker")?;
        Ok(Tracker { names, process })
    }

    /// Makes the tracker unlink `name` at the end, unless it is unregistered first.
    ///
    /// # Errors
    ///
    /// Fails if `name` cannot be the name of shared memory, or if the tracker was killed.
    pub fn register(&self, name: &str) -> io::Result<()> {
        self.send('+', name)
    }

    /// Makes the tracker forget `name`. Call it after you unlink the segment.
    ///
    /// # Errors
    ///
    /// As [`Tracker::register`].
    pub fn unregister(&self, name: &str) -> io::Result<()> {
        self.send('-', name)
    }

    /// Sends a line. It is one packet, so lines of several processes do not mix.
    fn send(&self, sign: char, name: &str) -> io::Result<()> {
        let inner = name.strip_prefix('/').unwrap_or(name);
        ensure!(
            name.len() < 256 && !inner.is_empty() && !inner.contains(['\n', '\0', '/']),
            "{name:?} cannot be the name of shared memory: 1 to 255 bytes, no line break, no slash but the first"
        );
        let line = format!("{sign}{name}\n");
        // A killed tracker is an error, not a SIGPIPE.
        let sent = retry_on_intr(|| net::send(&self.names, line.as_bytes(), SendFlags::NOSIGNAL));
        sent.map(drop).context("tell the resource tracker")
    }

    /// Blocks until every other process with a handle to the tracker has ended and the tracker has cleaned up.
    ///
    /// # Errors
    ///
    /// Fails if the tracker could not unlink a name. The tracker has printed the name and the reason.
    pub fn join(mut self) -> io::Result<()> {
        drop(self.names);
        let status = self
            .process
            .wait()
            .context("wait for the resource tracker")?;
        if status.success() {
            Ok(())
        } else {
            Err(io::Error::other(format!(
                "the resource tracker failed: {status}"
            )))
        }
    }
}

/// The tracker must outlive this process, so it is not bound to its parent.
fn start_tracker<F: Fn(Fd) -> io::Result<()> + Copy + 'static>(
    _: F,
    names: &Fd,
) -> io::Result<Child> {
    start::<F>(names, None, |command| {
        command.stdout(Stdio::null()).process_group(0);
    })
}

/// The tracker's process.
pub(crate) fn serve(names: Fd) -> io::Result<()> {
    track(BufReader::new(File::from(names.into_inner())))
}

/// Reads names until end of file, then unlinks those that remain. Continues after a name that cannot be unlinked.
fn track(names: impl BufRead) -> io::Result<()> {
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
            // The segment was never created, or was unlinked but not yet unregistered.
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => failed.push(format!("{name}: {error}")),
        }
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(io::Error::other(format!(
            "cannot unlink {}",
            failed.join(", ")
        )))
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

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
        let (names, reader) = socket_pair().unwrap();
        let process = Command::new("cat")
            .stdin(reader)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let tracker = Tracker { names, process };
        assert!(tracker.register("two\nlines").is_err());
        tracker.register("/name").unwrap();
        tracker.join().unwrap();
    }
}
