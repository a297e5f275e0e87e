//! Messages on a stream: each with its length before it.
//!
//! Python:  `multiprocessing.connection.Connection`: `send_bytes` and `recv_bytes`
//! Differs: a header goes out in one write with its payload, however long that is, and is read together with it.

use std::io::{self, ErrorKind, Write};
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{read, retry_on_intr};
use rustix::net::sockopt::set_tcp_quickack;

use super::transport::Stream;

/// What a buffer has at first: most messages are smaller.
const FIRST: usize = 4 << 10;

/// What a buffer may keep when it is empty.
const KEEP: usize = 64 << 10;

/// Space for the longest header.
const HEADER: [u8; 12] = [0; 12];

/// A payload of more bytes than this has the long header.
const SHORT: u64 = i32::MAX as u64;

/// A connection that sends and receives frames.
///
/// A buffer grows with what has arrived, and not with what was announced: it is never more than twice as large. Memory
/// for more than 64 KiB is given back before the connection waits for the next frame.
pub struct Frames {
    stream: Arc<Stream>,
    input: Vec<u8>,
    /// How much of the input has been received by the caller.
    done: usize,
    output: Vec<u8>,
}

impl Frames {
    pub fn new(stream: impl Into<Arc<Stream>>) -> Self {
        Frames {
            stream: stream.into(),
            input: vec![],
            done: 0,
            output: vec![],
        }
    }

    pub fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    /// Waits for the next frame and returns its payload; `None` when the peer has ended the connection after a whole one.
    ///
    /// A small frame costs one read; over TCP, a `setsockopt` goes before each read (TCP_QUICKACK, which does not last),
    /// without which a CPython client waits 40 ms for an acknowledgement that the kernel delays.
    ///
    /// Errors: `InvalidData` for a frame that is announced as longer than `limit` bytes, or as shorter than nothing;
    /// `UnexpectedEof` when the connection ends within a frame, and the system's errors when it is reset: it is of no use
    /// then. `WouldBlock` when the stream's timeout has passed: nothing is lost, call again. `OutOfMemory`.
    pub fn recv(&mut self, limit: usize) -> io::Result<Option<&[u8]>> {
        self.receive(limit, None)
    }

    /// The same, but with `TimedOut` when the frame is not whole at the deadline, whatever has arrived until then.
    pub fn recv_until(&mut self, limit: usize, deadline: Instant) -> io::Result<Option<&[u8]>> {
        self.receive(limit, Some(deadline))
    }

    fn receive(&mut self, limit: usize, deadline: Option<Instant>) -> io::Result<Option<&[u8]>> {
        loop {
            let missing = match front(&self.input[self.done..], limit)? {
                Front::Whole(payload) => {
                    let start = self.done;
                    self.done += payload.end;
                    let payload = start + payload.start..start + payload.end;
                    return Ok(Some(&self.input[payload]));
                }
                Front::Missing(bytes) => bytes,
            };
            self.make_room(missing)?;
            if let Some(deadline) = deadline {
                wait(&self.stream, deadline)?;
            }
            if let Stream::Tcp(stream) = &*self.stream {
                // It only makes it faster.
                set_tcp_quickack(stream, true).ok();
            }
            if retry_on_intr(|| read(&self.stream, spare_capacity(&mut self.input)))? == 0 {
                return match self.input.is_empty() {
                    true => Ok(None),
                    false => Err(io::Error::new(
                        ErrorKind::UnexpectedEof,
                        "the connection ended within a message",
                    )),
                };
            }
        }
    }

    /// Throws out what has been received, and makes room for some of what is missing.
    fn make_room(&mut self, missing: usize) -> io::Result<()> {
        self.input.drain(..self.done);
        self.done = 0;
        let length = self.input.len();
        if self.input.capacity() > KEEP && missing <= KEEP.saturating_sub(length) {
            self.input.shrink_to(KEEP);
        }
        if self.input.capacity() - length < missing {
            let more = missing.min(length).max(FIRST);
            self.input.try_reserve_exact(more)?;
        }
        Ok(())
    }

    /// Sends one frame; `write` appends its payload to what it is given, and must leave alone what is there.
    ///
    /// It is one write, unless the kernel takes less at a time, and blocks while the peer reads nothing and the kernel's
    /// buffers are full.
    ///
    /// Errors: the system's; after one, the connection is of no use: a part of the frame may have been sent. If `write`
    /// panics, nothing has been sent.
    pub fn send(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        self.output.clear();
        self.output.extend_from_slice(&HEADER);
        write(&mut self.output);
        let start = put_header(&mut self.output)?;
        let sent = (&*self.stream).write_all(&self.output[start..]);
        self.output.clear();
        self.output.shrink_to(KEEP);
        sent
    }
}

/// What the input begins with.
enum Front {
    /// A whole frame; the payload lies here.
    Whole(Range<usize>),
    /// A part of one: at least so many bytes follow.
    Missing(usize),
}

fn front(input: &[u8], limit: usize) -> io::Result<Front> {
    let Some((short, rest)) = input.split_first_chunk() else {
        return Ok(Front::Missing(4 - input.len()));
    };
    let (header, length) = match (i32::from_be_bytes(*short), rest.split_first_chunk()) {
        (-1, None) => return Ok(Front::Missing(12 - input.len())),
        (-1, Some((long, _))) => (12, u64::from_be_bytes(*long)),
        (length, _) => match u64::try_from(length) {
            Ok(length) => (4, length),
            Err(_) => return invalid(format!("a message of {length} bytes was announced")),
        },
    };
    // No buffer can have more.
    let limit = limit.min(isize::MAX as usize);
    match usize::try_from(length) {
        Ok(length) if length <= limit => Ok(match (header + length).checked_sub(input.len()) {
            None | Some(0) => Front::Whole(header..header + length),
            Some(missing) => Front::Missing(missing),
        }),
        _ => invalid(format!(
            "a message of {length} bytes was announced, and {limit} are allowed"
        )),
    }
}

fn invalid<T>(text: String) -> io::Result<T> {
    Err(io::Error::new(ErrorKind::InvalidData, text))
}

/// Writes the header right before the payload, into the space that was left for it, and returns where it begins.
fn put_header(frame: &mut [u8]) -> io::Result<usize> {
    let Some((space, payload)) = frame.split_first_chunk_mut::<{ HEADER.len() }>() else {
        let text = "the space of the header is gone";
        return Err(io::Error::new(ErrorKind::InvalidInput, text));
    };
    let length = payload.len() as u64;
    let (first, last) = space.split_at_mut(4);
    if length > SHORT {
        first.copy_from_slice(&(-1i32).to_be_bytes());
        last.copy_from_slice(&length.to_be_bytes());
        return Ok(0);
    }
    last[4..].copy_from_slice(&(length as u32).to_be_bytes());
    Ok(8)
}

/// Waits until there is something to read, or the connection has ended.
fn wait(stream: &Stream, deadline: Instant) -> io::Result<()> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        // What is too long for the kernel is for ever.
        let left = Timespec::try_from(left).ok();
        let mut fds = [PollFd::new(stream, PollFlags::IN)];
        match poll(&mut fds, left.as_ref()) {
            Ok(0) => {
                let text = "no whole message came in time";
                return Err(io::Error::new(ErrorKind::TimedOut, text));
            }
            Err(rustix::io::Errno::INTR) => {}
            result => return result.map(|_| ()).map_err(Into::into),
        }
    }
}
