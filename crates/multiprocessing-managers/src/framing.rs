//! Frames: messages on a stream, each preceded by its length, as `multiprocessing.connection.Connection` sends them.

use std::io::{self, ErrorKind, Write};
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{read, retry_on_intr};
use rustix::net::sockopt::set_tcp_quickack;

use crate::transport::Stream;

/// The first capacity of a buffer. Most messages are smaller.
const FIRST: usize = 4 << 10;

/// The capacity that an empty buffer may keep.
const KEEP: usize = 64 << 10;

/// Space for the longest header.
const SPACE: usize = 12;

/// The longest payload with the short header.
const SHORT: u64 = i32::MAX as u64;

/// A connection that sends and receives frames.
///
/// Its buffer is at most twice as large as the bytes that have arrived, whatever length was announced. Memory beyond 64 KiB is
/// freed before the connection waits for the next frame.
///
/// ```
/// use std::os::unix::net::UnixStream;
///
/// use multiprocessing_managers::framing::Frames;
/// use multiprocessing_managers::transport::Stream;
///
/// let (a, b) = UnixStream::pair()?;
/// let (mut a, mut b) = (Frames::new(Stream::Unix(a)), Frames::new(Stream::Unix(b)));
/// a.send(|frame| frame.extend(b"hello"))?;
/// assert_eq!(b.recv(1000)?, Some(&b"hello"[..]));
/// drop(a);
/// assert_eq!(b.recv(1000)?, None);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Frames {
    stream: Arc<Stream>,
    input: Vec<u8>,
    /// How many bytes of the input the caller has received.
    done: usize,
    output: Vec<u8>,
}

impl Frames {
    /// Creates a connection on the stream.
    pub fn new(stream: impl Into<Arc<Stream>>) -> Self {
        Frames {
            stream: stream.into(),
            input: vec![],
            done: 0,
            output: vec![],
        }
    }

    /// Returns the stream.
    pub fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    /// Blocks until the next frame, and returns its payload; `None` after the peer has closed the connection between two
    /// frames.
    ///
    /// A small frame costs one read. Over TCP each read costs a `setsockopt` too (TCP_QUICKACK, which does not last):
    /// without it a CPython client waits 40 ms for an acknowledgement that the kernel delays.
    ///
    /// # Errors
    ///
    /// `WouldBlock` after the stream's timeout: nothing is lost, so call again. After any other error, close the connection:
    /// `InvalidData` for a frame whose announced length is negative or more than `limit` bytes, `UnexpectedEof` if the
    /// connection ends within a frame, `OutOfMemory`, and the system's errors.
    pub fn recv(&mut self, limit: usize) -> io::Result<Option<&[u8]>> {
        self.receive(limit, None)
    }

    /// Receives a frame as [`Frames::recv`] does, until the deadline.
    ///
    /// # Errors
    ///
    /// `TimedOut` if the frame is not complete at the deadline; otherwise as [`Frames::recv`].
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
                // Failure costs only speed.
                set_tcp_quickack(stream, true).ok();
            }
            if retry_on_intr(|| read(&self.stream, spare_capacity(&mut self.input)))? == 0 {
                if self.input.is_empty() {
                    return Ok(None);
                }
                let text = "the connection ended within a message";
                return Err(io::Error::new(ErrorKind::UnexpectedEof, text));
            }
        }
    }

    /// Removes received frames, and makes room for some of the missing bytes.
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

    /// Sends a frame, whose payload `write` appends to the buffer. `write` must not change what the buffer holds already.
    ///
    /// Blocks while the kernel's buffers are full because the peer does not read. Header and payload go out in one write
    /// unless the kernel accepts less. If `write` panics, nothing has been sent.
    ///
    /// # Errors
    ///
    /// The system's errors. Close the connection then: a part of the frame may have been sent.
    pub fn send(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        self.output.clear();
        self.output.resize(SPACE, 0);
        write(&mut self.output);
        let Some((space, payload)) = self.output.split_first_chunk_mut() else {
            let text = "`write` has removed the space for the header";
            return Err(io::Error::new(ErrorKind::InvalidInput, text));
        };
        let start;
        (*space, start) = header(payload.len() as u64);
        let sent = (&*self.stream).write_all(&self.output[start..]);
        self.output.clear();
        self.output.shrink_to(KEEP);
        sent
    }
}

/// The start of the input.
enum Front {
    /// A complete frame, with its payload at this range.
    Whole(Range<usize>),
    /// A part of a frame, of which at least this many bytes are missing.
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
            Err(_) => return invalid(format!("the peer announced a message of {length} bytes")),
        },
    };
    // No buffer can be longer.
    let limit = limit.min(isize::MAX as usize);
    match usize::try_from(length) {
        Ok(length) if length <= limit => Ok(match (header + length).checked_sub(input.len()) {
            None | Some(0) => Front::Whole(header..header + length),
            Some(missing) => Front::Missing(missing),
        }),
        _ => invalid(format!(
            "the peer announced a message of {length} bytes; the limit is {limit}"
        )),
    }
}

fn invalid<T>(text: String) -> io::Result<T> {
    Err(io::Error::new(ErrorKind::InvalidData, text))
}

/// Returns the header of a payload of this length, at the end of its space, and the offset at which it begins.
fn header(length: u64) -> ([u8; SPACE], usize) {
    // -1 and the length, whose last four bytes are the short form.
    let mut header = [0xff; SPACE];
    header[4..].copy_from_slice(&length.to_be_bytes());
    (header, if length > SHORT { 0 } else { 8 })
}

/// Blocks until there is something to read or the connection has ended.
fn wait(stream: &Stream, deadline: Instant) -> io::Result<()> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        // A time beyond the kernel's range means no limit.
        let left = Timespec::try_from(left).ok();
        let mut fds = [PollFd::new(stream, PollFlags::IN)];
        match poll(&mut fds, left.as_ref()) {
            Ok(0) => {
                let text = "no complete message within the time limit";
                return Err(io::Error::new(ErrorKind::TimedOut, text));
            }
            Err(rustix::io::Errno::INTR) => {}
            result => return result.map(|_| ()).map_err(Into::into),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;
    use std::thread;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const ANY: usize = usize::MAX;

    /// The receiving end, and a plain socket that sends to it. Both have a time limit.
    fn pair() -> (Frames, UnixStream) {
        let (a, b) = UnixStream::pair().unwrap();
        let limit = Some(Duration::from_secs(20));
        b.set_read_timeout(limit).unwrap();
        b.set_write_timeout(limit).unwrap();
        let stream = Stream::Unix(a);
        stream.set_timeouts(limit, limit).unwrap();
        (Frames::new(stream), b)
    }

    fn recv(frames: &mut Frames) -> Option<Vec<u8>> {
        frames.recv(ANY).unwrap().map(<[u8]>::to_vec)
    }

    fn kind(frames: &mut Frames, limit: usize) -> ErrorKind {
        frames.recv(limit).unwrap_err().kind()
    }

    #[test]
    fn both_forms_of_the_header() {
        let form = |length| {
            let (header, start) = header(length);
            header[start..].to_vec()
        };
        assert_eq!(form(0), [0; 4]);
        assert_eq!(form(0x1b), [0, 0, 0, 0x1b]);
        assert_eq!(form(0x7fff_ffff), [0x7f, 0xff, 0xff, 0xff]);
        let long = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0x80, 0, 0, 0];
        assert_eq!(form(0x8000_0000), long);

        let (mut frames, mut peer) = pair();
        peer.write_all(&long).unwrap();
        let error = frames.recv(1000).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        let text = "the peer announced a message of 2147483648 bytes; the limit is 1000";
        assert_eq!(error.to_string(), text);
        // It is not forgotten.
        assert_eq!(kind(&mut frames, 1000), ErrorKind::InvalidData);

        // The long form serves for any length.
        let (mut frames, mut peer) = pair();
        peer.write_all(&[&[0xff; 4][..], &3u64.to_be_bytes(), b"abc"].concat())
            .unwrap();
        assert_eq!(recv(&mut frames).unwrap(), b"abc");
    }

    #[test]
    fn what_cannot_be_a_length() {
        for header in [
            &[0xff, 0xff, 0xff, 0xfe][..],
            &[0x80, 0, 0, 0],
            &[0xff; 12],
            &[0xff, 0xff, 0xff, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0],
        ] {
            let (mut frames, mut peer) = pair();
            peer.write_all(header).unwrap();
            assert_eq!(kind(&mut frames, ANY), ErrorKind::InvalidData, "{header:?}");
        }
        let (mut frames, mut peer) = pair();
        peer.write_all(&[0, 0, 1, 1]).unwrap();
        assert_eq!(kind(&mut frames, 256), ErrorKind::InvalidData);
        let (mut frames, mut peer) = pair();
        peer.write_all(&[&[0, 0, 1, 0][..], &[7; 256]].concat())
            .unwrap();
        assert_eq!(frames.recv(256).unwrap(), Some(&[7; 256][..]));
    }

    #[test]
    fn a_frame_in_one_write_and_frames_in_one_read() {
        let (mut frames, peer) = pair();
        frames.send(|frame| frame.extend(b"ab")).unwrap();
        let mut sent = [0; 100];
        let length = (&Stream::Unix(peer.try_clone().unwrap()))
            .read(&mut sent)
            .unwrap();
        assert_eq!(sent[..length], [0, 0, 0, 2, b'a', b'b']);

        (&peer)
            .write_all(&[0, 0, 0, 1, b'x', 0, 0, 0, 0, 0, 0, 0, 1, b'y', 0, 0])
            .unwrap();
        assert_eq!(recv(&mut frames).unwrap(), b"x");
        // All of it has been read: these are in the buffer.
        assert_eq!(rustix::io::ioctl_fionread(frames.stream()).unwrap(), 0);
        assert_eq!(recv(&mut frames).unwrap(), b"");
        assert_eq!(recv(&mut frames).unwrap(), b"y");
        (&peer).write_all(&[0, 1, b'z']).unwrap();
        assert_eq!(recv(&mut frames).unwrap(), b"z");
        drop(peer);
        assert_eq!(recv(&mut frames), None);
        assert_eq!(recv(&mut frames), None);
    }

    #[test]
    fn an_end_within_a_frame() {
        for part in [
            &[0][..],
            &[0, 0, 0],
            &[0, 0, 0, 1],
            &[0, 0, 0, 2, 1],
            &[0xff; 4],
            &[0xff; 5],
        ] {
            let (mut frames, mut peer) = pair();
            peer.write_all(part).unwrap();
            drop(peer);
            assert_eq!(kind(&mut frames, ANY), ErrorKind::UnexpectedEof, "{part:?}");
        }
    }

    #[test]
    fn byte_by_byte() {
        let (mut frames, mut peer) = pair();
        let sender = thread::spawn(move || {
            for byte in [
                0, 0, 0, 2, 1, 2, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 3,
            ] {
                peer.write_all(&[byte]).unwrap();
                thread::yield_now();
            }
        });
        assert_eq!(recv(&mut frames).unwrap(), [1, 2]);
        assert_eq!(recv(&mut frames).unwrap(), [3]);
        assert_eq!(recv(&mut frames), None);
        sender.join().unwrap();
    }

    #[test]
    fn memory_follows_what_arrives_and_is_given_back() {
        let (mut frames, mut peer) = pair();
        // Announced: 2 GiB less one byte. Sent: 10 bytes.
        peer.write_all(&[&[0x7f, 0xff, 0xff, 0xff][..], &[0; 10]].concat())
            .unwrap();
        frames
            .stream()
            .set_timeouts(Some(Duration::from_millis(10)), None)
            .unwrap();
        assert_eq!(kind(&mut frames, ANY), ErrorKind::WouldBlock);
        assert!(frames.input.capacity() <= 2 * FIRST);

        let (mut frames, peer) = pair();
        let big = vec![5; 5 << 20];
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut peer = Frames::new(Stream::Unix(peer.try_clone().unwrap()));
                peer.send(|frame| frame.extend(&big)).unwrap();
                assert!(peer.output.capacity() <= KEEP);
            });
            assert_eq!(recv(&mut frames).unwrap(), big);
        });
        (&peer).write_all(&[0, 0, 0, 0]).unwrap();
        assert_eq!(recv(&mut frames).unwrap(), b"");
        assert!(frames.input.capacity() <= KEEP);
    }

    #[test]
    fn after_a_timeout_it_goes_on() {
        let (mut frames, mut peer) = pair();
        let soon = Some(Duration::from_millis(5));
        frames.stream().set_timeouts(soon, None).unwrap();
        for part in [&[0, 0][..], &[0, 3], b"a"] {
            peer.write_all(part).unwrap();
            assert_eq!(kind(&mut frames, ANY), ErrorKind::WouldBlock);
        }
        peer.write_all(b"bc").unwrap();
        assert_eq!(recv(&mut frames).unwrap(), b"abc");
    }

    #[test]
    fn a_deadline_is_for_the_whole_frame() {
        let (mut frames, mut peer) = pair();
        let sender = thread::spawn(move || {
            for byte in [0, 0, 0, 200].into_iter().chain([0; 200]) {
                if peer.write_all(&[byte]).is_err() {
                    return;
                }
                thread::sleep(Duration::from_millis(50));
            }
        });
        let begin = Instant::now();
        let limit = Duration::from_millis(50);
        let error = frames.recv_until(ANY, begin + limit).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(begin.elapsed() >= limit);
        assert!(begin.elapsed() < 100 * limit);
        drop(frames);
        sender.join().unwrap();
    }

    #[test]
    fn removing_the_space_of_the_header_is_an_error() {
        let (mut frames, _peer) = pair();
        let error = frames.send(Vec::clear).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        drop(_peer);
        let error = frames.send(|frame| frame.push(1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }

    /// What a receiver should make of the bytes: the frames, and whether the end is a proper one.
    fn model(mut bytes: &[u8], limit: usize) -> (Vec<Vec<u8>>, bool) {
        let mut frames = vec![];
        while !bytes.is_empty() {
            let (header, length) = match bytes {
                [0xff, 0xff, 0xff, 0xff, long @ ..] if long.len() >= 8 => {
                    (12, u64::from_be_bytes(long[..8].try_into().unwrap()))
                }
                [a @ 0..0x80, b, c, d, ..] => (4, u32::from_be_bytes([*a, *b, *c, *d]).into()),
                _ => return (frames, false),
            };
            let end = (header as u64).saturating_add(length);
            if length > limit as u64 || end > bytes.len() as u64 {
                return (frames, false);
            }
            frames.push(bytes[header..end as usize].to_vec());
            bytes = &bytes[end as usize..];
        }
        (frames, true)
    }

    /// Bytes that are frames, mostly.
    fn traffic() -> impl Strategy<Value = Vec<u8>> {
        let payload = prop::collection::vec(any::<u8>(), 0..40);
        let frame = (payload, any::<bool>()).prop_map(|(payload, long)| {
            let (header, _) = header(payload.len() as u64);
            [&header[if long { 0 } else { 8 }..], &payload].concat()
        });
        let garbage = prop::collection::vec(prop_oneof![Just(0), Just(0xff), any::<u8>()], 0..16);
        let piece = prop_oneof![4 => frame, 1 => garbage];
        prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces(bytes in traffic(), cuts in prop::collection::vec(1usize..30, 1..20)) {
            let (mut frames, mut peer) = pair();
            let (expected, proper) = model(&bytes, 30);
            let sender = thread::spawn(move || {
                let mut rest = &bytes[..];
                for cut in cuts.iter().cycle() {
                    let (piece, more) = rest.split_at((*cut).min(rest.len()));
                    // The receiver may have gone, after an error.
                    if peer.write_all(piece).is_err() || more.is_empty() {
                        return;
                    }
                    rest = more;
                }
            });
            for frame in expected {
                prop_assert_eq!(frames.recv(30).unwrap(), Some(&frame[..]));
            }
            match frames.recv(30) {
                Ok(end) => prop_assert!(end.is_none() && proper),
                Err(error) => {
                    prop_assert!(!proper);
                    let known = [ErrorKind::InvalidData, ErrorKind::UnexpectedEof];
                    prop_assert!(known.contains(&error.kind()), "{}", error);
                }
            }
            drop(frames);
            sender.join().unwrap();
        }
    }
}
