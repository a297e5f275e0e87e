//! Read lines from the console without blocking the loop, and without a thread.
//!
//! Python:  `loop.add_reader(sys.stdin.fileno(), callback)`; `loop.connect_read_pipe`, which makes stdin non-blocking
//! Differs: `tokio::io::stdin` reads in a thread that cannot be cancelled: after Ctrl-C the runtime waits for another line. Here
//!          the loop watches the descriptor, and a cancelled read leaves nothing behind.
//! Platform: Unix (the loop watches the descriptor like a socket)
//!
//! ```cargo
//! [dependencies]
//! rustix = { version = "1", features = ["event"] }
//! tokio = { version = "1", features = ["net", "rt"] }
//! ```

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::mem;
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use tokio::io::Interest;
use tokio::io::unix::{AsyncFd, AsyncFdRegisterError};

/// The longest line in bytes. A terminal has its own limit, 4095 on Linux; a pipe has none.
pub const MAX_LINE: usize = 1 << 20;

/// Reads lines from a terminal, a pipe or a file.
///
/// The descriptor stays blocking. Setting it non-blocking would affect every process that shares it: stdout, which is usually
/// the same terminal, and the shell. So this polls first, and then reads. Another reader of the same terminal may take
/// the line in between; then this one blocks its loop until the next line.
///
/// A regular file is always ready, and is read on the loop's thread.
///
/// One read of a terminal, usually a line, costs an `epoll_wait`, two `poll` and a `read`.
#[derive(Debug)]
pub struct Console {
    input: Input,
    /// Bytes that were read and not yet returned.
    buffer: Vec<u8>,
    ended: bool,
}

#[derive(Debug)]
enum Input {
    Watched(AsyncFd<File>),
    /// Regular files and `/dev/null`, which epoll refuses.
    AlwaysReady(File),
}

impl Console {
    /// Creates a console on stdin. Do not use `std::io::stdin` as well, which has its own buffer.
    ///
    /// # Errors
    ///
    /// The system's error if it refuses to duplicate or watch the descriptor.
    ///
    /// # Panics
    ///
    /// Outside a runtime, or in one without I/O.
    pub fn stdin() -> io::Result<Console> {
        Console::new(io::stdin().as_fd().try_clone_to_owned()?.into())
    }

    /// Creates a console on a terminal, a pipe or a file.
    ///
    /// # Errors
    ///
    /// The system's error if it refuses to watch the descriptor.
    ///
    /// # Panics
    ///
    /// Outside a runtime, or in one without I/O.
    pub fn new(file: File) -> io::Result<Console> {
        // SAFETY: a `File` keeps the same descriptor open as long as it lives, and this one is never replaced.
        let watched = unsafe { AsyncFd::register_with_interest(file, Interest::READABLE) };
        let input = match watched.map_err(AsyncFdRegisterError::into_parts) {
            Ok(watched) => Input::Watched(watched),
            Err((file, error)) if error.kind() == ErrorKind::PermissionDenied => {
                Input::AlwaysReady(file)
            }
            Err((_, error)) => return Err(error),
        };
        Ok(Console {
            input,
            buffer: Vec::new(),
            ended: false,
        })
    }

    /// Returns the next line without its end, or `None` at the end of the input (Ctrl-D at the beginning of a line).
    ///
    /// Cancelling it loses nothing: the bytes that were read stay for the next call. So it may stand in a `select!`.
    ///
    /// # Errors
    ///
    /// The error of `read`; or `InvalidData` for a line that is not UTF-8 or longer than [`MAX_LINE`]. The next call goes on
    /// after the part of the line that was read.
    pub async fn line(&mut self) -> io::Result<Option<String>> {
        let mut searched = 0;
        loop {
            let end = self.buffer[searched..].iter().position(|b| *b == b'\n');
            if let Some(end) = end.filter(|end| searched + end <= MAX_LINE) {
                let rest = self.buffer.split_off(searched + end + 1);
                let mut line = mem::replace(&mut self.buffer, rest);
                line.pop();
                return text(line).map(Some);
            }
            if self.buffer.len() > MAX_LINE {
                let rest = end.map_or(self.buffer.len(), |end| searched + end + 1);
                self.buffer.drain(..rest);
                return Err(io::Error::new(
                    ErrorKind::InvalidData,
                    "the line is too long",
                ));
            }
            if self.ended {
                self.ended = false; // A terminal may go on after Ctrl-D.
                let line = mem::take(&mut self.buffer);
                return if line.is_empty() {
                    Ok(None)
                } else {
                    text(line).map(Some)
                };
            }
            searched = self.buffer.len();
            let mut bytes = [0; 4096];
            let read = self.input.read(&mut bytes).await?;
            self.buffer.extend(&bytes[..read]);
            self.ended = read == 0;
        }
    }
}

impl Input {
    async fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Input::AlwaysReady(file) => read(file, bytes),
            Input::Watched(watched) => loop {
                let mut ready = watched.readable_mut().await?;
                // If the descriptor is not readable any more, this waits again.
                let asked = ready.try_io(|watched| {
                    let file = watched.get_mut();
                    is_readable(file)?
                        .then_some(())
                        .ok_or(ErrorKind::WouldBlock)?;
                    read(file, bytes)
                });
                if let Ok(read) = asked {
                    return read;
                }
            },
        }
    }
}

fn is_readable(file: &File) -> io::Result<bool> {
    let mut fds = [PollFd::new(file, PollFlags::IN)];
    Ok(retry_on_intr(|| poll(&mut fds, Some(&Timespec::default())))? > 0)
}

fn read(file: &mut File, bytes: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(bytes) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // A terminal returns this error when its other end is gone.
            Err(error) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => return Ok(0),
            read => return read,
        }
    }
}

fn text(line: Vec<u8>) -> io::Result<String> {
    String::from_utf8(line).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use std::io::{Write, pipe};
    use std::os::fd::OwnedFd;
    use std::time::Duration;

    use rustix::fs::{OFlags, fcntl_getfl};
    use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
    use tokio::time::timeout;

    use super::*;

    const LONG: Duration = Duration::from_secs(10);
    const SHORT: Duration = Duration::from_millis(20);

    /// Opens a terminal: the keyboard's side and the program's side.
    fn terminal() -> (File, File) {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
        let keyboard = openpt(flags).unwrap();
        grantpt(&keyboard).unwrap();
        unlockpt(&keyboard).unwrap();
        let program = ioctl_tiocgptpeer(&keyboard, flags).unwrap();
        (keyboard.into(), program.into())
    }

    fn pipe_console() -> (io::PipeWriter, Console) {
        let (reader, writer) = pipe().unwrap();
        (
            writer,
            Console::new(File::from(OwnedFd::from(reader))).unwrap(),
        )
    }

    async fn line(console: &mut Console) -> Option<String> {
        timeout(LONG, console.line())
            .await
            .expect("no line comes")
            .unwrap()
    }

    #[tokio::test]
    async fn lines_come_from_a_terminal_until_its_end() {
        let (mut keyboard, program) = terminal();
        let mut console = Console::new(program).unwrap();
        keyboard.write_all("你好\n".as_bytes()).unwrap();
        assert_eq!(line(&mut console).await.as_deref(), Some("你好"));
        keyboard.write_all(b"one\ntwo\n\nthr").unwrap();
        assert_eq!(line(&mut console).await.as_deref(), Some("one"));
        assert_eq!(line(&mut console).await.as_deref(), Some("two"));
        assert_eq!(line(&mut console).await.as_deref(), Some(""));
        keyboard.write_all(b"ee\n\x04").unwrap();
        assert_eq!(line(&mut console).await.as_deref(), Some("three"));
        assert_eq!(line(&mut console).await, None);
        keyboard.write_all(b"more\n").unwrap();
        assert_eq!(line(&mut console).await.as_deref(), Some("more"));
        drop(keyboard);
        assert_eq!(line(&mut console).await, None);
    }

    #[tokio::test]
    async fn the_loop_goes_on_while_nobody_types() {
        let (mut keyboard, program) = terminal();
        let mut console = Console::new(program).unwrap();
        let other = async {
            tokio::time::sleep(SHORT).await;
            keyboard.write_all(b"typed by another task\n").unwrap();
        };
        let (typed, ()) = tokio::join!(line(&mut console), other);
        assert_eq!(typed.as_deref(), Some("typed by another task"));
    }

    #[tokio::test]
    async fn a_read_that_is_given_up_loses_nothing() {
        let (mut writer, mut console) = pipe_console();
        for part in [b"on", b"e\n", b"tw", b"o\n"] {
            writer.write_all(part).unwrap();
            if part.ends_with(b"\n") {
                let expected = if part == b"e\n" { "one" } else { "two" };
                assert_eq!(line(&mut console).await.as_deref(), Some(expected));
            } else {
                assert!(timeout(SHORT, console.line()).await.is_err());
            }
        }
    }

    #[tokio::test]
    async fn the_descriptor_stays_as_it_was() {
        let (_keyboard, program) = terminal();
        let stdout = program.try_clone().unwrap();
        let mut console = Console::new(program).unwrap();
        assert!(timeout(SHORT, console.line()).await.is_err());
        assert!(!fcntl_getfl(&stdout).unwrap().contains(OFlags::NONBLOCK));
    }

    #[tokio::test]
    async fn files_are_read_to_their_end() {
        let mut console = Console::new(File::open("/dev/null").unwrap()).unwrap();
        assert_eq!(line(&mut console).await, None);
        let mut console = Console::new(File::open("/proc/self/comm").unwrap()).unwrap();
        assert!(line(&mut console).await.is_some());
        assert_eq!(line(&mut console).await, None);
    }

    #[tokio::test]
    async fn the_last_line_needs_no_end() {
        let (mut writer, mut console) = pipe_console();
        writer.write_all(b"one\ntwo").unwrap();
        drop(writer);
        assert_eq!(line(&mut console).await.as_deref(), Some("one"));
        assert_eq!(line(&mut console).await.as_deref(), Some("two"));
        assert_eq!(line(&mut console).await, None);
        assert_eq!(line(&mut console).await, None);
    }

    #[tokio::test]
    async fn what_is_no_line_is_an_error_and_reading_goes_on() {
        let (mut writer, mut console) = pipe_console();
        writer.write_all(b"\xff\nnext\n").unwrap();
        let error = console.line().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert_eq!(line(&mut console).await.as_deref(), Some("next"));

        // One byte too long, and its end comes in the same read.
        let long = std::thread::spawn(move || {
            writer.write_all(&vec![b'x'; MAX_LINE + 1]).unwrap();
            writer.write_all(b"\nnext\n").unwrap();
            writer
        });
        let error = console.line().await.unwrap_err();
        assert_eq!(error.to_string(), "the line is too long");
        while console.line().await.ok().flatten().as_deref() != Some("next") {}
        let mut writer = long.join().unwrap();
        let endless = std::thread::spawn(move || {
            writer.write_all(&vec![b'x'; 2 * MAX_LINE]).unwrap();
            writer.write_all(b"\nnext\n").unwrap();
        });
        let error = console.line().await.unwrap_err();
        assert_eq!(error.to_string(), "the line is too long");
        while console.line().await.ok().flatten().as_deref() != Some("next") {}
        endless.join().unwrap();
    }
}
