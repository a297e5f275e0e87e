//! `Socket`: the readable transport. The kernel keeps the items in a socket, one packet each.
//!
//! Python:  the pipe and the locks inside `multiprocessing.Queue`
//! Differs: a packet is put and got whole, so no lock is needed that a killed process could keep. `put` blocks when
//!          4 MiB are unread (if the system allows so many; 208 KiB on many), to which each item adds the kernel's own
//!          some hundred bytes. Python's feeder thread takes any number of items, and loses them with the process.
//! Linux:   SOCK_SEQPACKET with several readers; large items travel as a memfd; counting needs monitor.rs.
//! Needs:   channel.rs, event.rs, memory.rs, monitor.rs, shm_demo/robust.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! bytemuck = { version = "1", features = ["derive"] }
//! libc = "0.2"
//! rustix = { version = "1", features = ["event", "fs", "mm", "net", "thread"] }
//! ```

use std::cell::RefCell;
use std::fs::File;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytemuck::{Pod, Zeroable};
use rustix::cmsg_space;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, fstat, memfd_create};
use rustix::io::{Errno, ioctl_fionread, retry_on_intr};
use rustix::net::sockopt;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, SendAncillaryBuffer, SendAncillaryMessage,
};

use crate::channel::{ALL_DONE, Channel, GOT, Outcome, PUT};
use crate::monitor::{Locked, Monitor};

/// Items of up to this size lie in the packet itself: 64 KiB and some bytes that say how many.
const INLINE: usize = 65 << 10;

/// How many bytes may wait in the socket, if the system allows so many (`net.core.wmem_max`).
const BUFFERED: usize = 4 << 20;

/// How long a process waits for the socket before it tries again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The first byte of a packet: whether the item follows, or a memfd holds it.
const HERE: u8 = 0;
const THERE: u8 = 1;

thread_local! {
    /// Where a packet is received, before its size is known.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A queue of byte strings in a pair of sockets that all processes share: what is written to one end waits at the
/// other until some process reads it.
///
/// An item of more than 64 KiB takes a descriptor on its way. Where there is no room for one, `put` or `get` fails; what
/// `get` was about to take is lost then.
///
/// Cost: one `sendmsg` or `recvmsg`, and a `poll` where it waits. Counted, each takes a lock and a second look besides.
pub struct Socket {
    input: OwnedFd,
    output: OwnedFd,
    /// Only if there is a limit to the number of items, or they are counted for `join`.
    monitor: Option<Monitor<State>>,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct State {
    /// How many items there are, and may be; 0 for any number.
    length: u64,
    most: u64,
    /// How many were taken, ever.
    taken: u64,
    /// Items put and not yet done.
    unfinished: u64,
    closed: u64,
    /// How many bytes there are in the socket.
    bytes: u64,
    /// Whether a packet is about to be sent or received. How many bytes there are tells whether a process that was
    /// killed in between had done it.
    pending: u64,
}

const PUTTING: u64 = 1;
const GETTING: u64 = 2;

impl Channel for Socket {
    const NAME: &str = "socket";

    fn new(most: usize, counted: bool) -> Result<Socket> {
        let (input, output) = net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .context("make a socket pair")?;
        // As much as the system allows; without that, some 280 small items fill it.
        sockopt::set_socket_send_buffer_size(&input, BUFFERED).context("size the socket")?;
        let state = State {
            most: most as u64,
            ..State::zeroed()
        };
        let monitor = (most > 0 || counted)
            .then(|| Monitor::new(state))
            .transpose()?;
        Ok(Socket {
            input,
            output,
            monitor,
        })
    }

    fn fds(&self) -> Vec<BorrowedFd<'_>> {
        let monitor = self.monitor.as_ref().map(AsFd::as_fd);
        [self.input.as_fd(), self.output.as_fd()]
            .into_iter()
            .chain(monitor)
            .collect()
    }

    fn from_fds(fds: Vec<OwnedFd>) -> Result<Socket> {
        let mut fds = fds.into_iter();
        let (input, output) = fds
            .next()
            .zip(fds.next())
            .context("a socket channel is two or three descriptors")?;
        Ok(Socket {
            input,
            output,
            monitor: fds.next().map(Monitor::from_fd).transpose()?,
        })
    }

    fn put(&self, item: &[u8], until: Option<Instant>) -> Result<Outcome<()>> {
        let Some(mut locked) = self.counts()? else {
            return self.put_uncounted(item, until);
        };
        loop {
            let state = locked.state();
            if state.closed != 0 {
                return Ok(Outcome::Closed);
            }
            if state.most == 0 || state.length < state.most {
                let pending = PUTTING;
                locked.commit(State { pending, ..state });
                match self.send(item) {
                    Ok(size) => {
                        locked.commit(done(state, pending, state.bytes + size));
                        locked.notify(PUT, 1);
                        return Ok(Outcome::Done(()));
                    }
                    // The socket is full, whatever the number of items.
                    Err(Errno::AGAIN) => locked.commit(state),
                    Err(error) => {
                        locked.commit(state);
                        return Err(error).context("send an item");
                    }
                }
            }
            if !self.wait(&mut locked, GOT, until)? {
                return Ok(Outcome::TimedOut);
            }
        }
    }

    fn get_into(
        &self,
        item: &mut Vec<u8>,
        consumer: Option<usize>,
        until: Option<Instant>,
    ) -> Result<Outcome<()>> {
        let Some(mut locked) = self.counts()? else {
            return self.get_uncounted(item, until);
        };
        loop {
            let state = locked.state();
            if state.length > 0 {
                let pending = GETTING;
                locked.commit(State { pending, ..state });
                if let Some(consumer) = consumer {
                    // It holds as soon as so many are taken.
                    let mark = locked.mark(consumer)?;
                    mark.store(state.taken + 1, Ordering::Relaxed);
                }
                let size = self.receive(item).context("receive an item")?;
                locked.commit(done(state, pending, state.bytes - size));
                locked.notify(GOT, 1);
                return Ok(Outcome::Done(()));
            }
            if state.closed != 0 {
                return Ok(Outcome::Closed);
            }
            if !self.wait(&mut locked, PUT, until)? {
                return Ok(Outcome::TimedOut);
            }
        }
    }

    fn close(&self) -> Result<()> {
        if let Some(mut locked) = self.counts()? {
            let mut state = locked.state();
            state.closed = 1;
            locked.commit(state);
            locked.notify(PUT, u32::MAX);
            locked.notify(GOT, u32::MAX);
        }
        net::shutdown(&self.input, Shutdown::Write).context("close the socket")
    }

    fn is_empty(&self) -> Result<bool> {
        Ok(ioctl_fionread(&self.output).context("look into the socket")? == 0)
    }

    fn len(&self) -> Result<Option<usize>> {
        let counts = self.counts()?;
        Ok(counts.map(|locked| locked.state().length as usize))
    }

    fn taken_by(&self, consumer: usize) -> Result<Option<u64>> {
        let locked = self.counted()?;
        let mark = locked.mark(consumer)?.load(Ordering::Relaxed);
        let taken = locked.state().taken;
        Ok(mark.checked_sub(1).filter(|number| *number < taken))
    }

    fn task_done(&self) -> Result<bool> {
        let mut locked = self.counted()?;
        let state = locked.state();
        let Some(unfinished) = state.unfinished.checked_sub(1) else {
            return Ok(false);
        };
        locked.commit(State {
            unfinished,
            ..state
        });
        if unfinished == 0 {
            locked.notify(ALL_DONE, u32::MAX);
        }
        Ok(true)
    }

    fn join(&self, until: Option<Instant>) -> Result<bool> {
        let mut locked = self.counted()?;
        while locked.state().unfinished > 0 {
            if !self.wait(&mut locked, ALL_DONE, until)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The state after a packet was sent or received, with so many bytes in the socket.
fn done(mut state: State, pending: u64, bytes: u64) -> State {
    if pending == PUTTING {
        state.length += 1;
        state.unfinished += 1;
    } else {
        state.length = state.length.saturating_sub(1);
        state.taken += 1;
    }
    State {
        bytes,
        pending: 0,
        ..state
    }
}

impl Socket {
    /// Takes the lock, if the channel counts.
    fn counts(&self) -> Result<Option<Locked<'_, State>>> {
        let Some(monitor) = &self.monitor else {
            return Ok(None);
        };
        let mut locked = monitor.lock()?;
        self.settle(&mut locked)?;
        Ok(Some(locked))
    }

    fn counted(&self) -> Result<Locked<'_, State>> {
        self.counts()?.context("this channel does not count")
    }

    fn wait(
        &self,
        locked: &mut Locked<'_, State>,
        event: usize,
        until: Option<Instant>,
    ) -> Result<bool> {
        let in_time = locked.wait(event, until)?;
        self.settle(locked)?;
        Ok(in_time)
    }

    /// Finishes the counting of a process that was killed before it could. Whoever has taken the lock begins with it.
    fn settle(&self, locked: &mut Locked<'_, State>) -> Result<()> {
        let state = locked.state();
        if state.pending != 0 {
            let bytes = ioctl_fionread(&self.output).context("look into the socket")?;
            let happened = bytes != state.bytes;
            if !happened {
                // Another consumer will take what the killed one may have marked.
                locked.limit_marks(state.taken);
            }
            locked.commit(if happened {
                done(state, state.pending, bytes)
            } else {
                State {
                    pending: 0,
                    ..state
                }
            });
        }
        Ok(())
    }

    fn put_uncounted(&self, item: &[u8], until: Option<Instant>) -> Result<Outcome<()>> {
        loop {
            match self.send(item) {
                Ok(_) => return Ok(Outcome::Done(())),
                Err(Errno::PIPE) => return Ok(Outcome::Closed),
                Err(Errno::AGAIN) if !ready(&self.input, PollFlags::OUT, until)? => {
                    return Ok(Outcome::TimedOut);
                }
                Err(Errno::AGAIN) => {}
                Err(error) => return Err(error).context("send an item"),
            }
        }
    }

    fn get_uncounted(&self, item: &mut Vec<u8>, until: Option<Instant>) -> Result<Outcome<()>> {
        loop {
            match self.receive(item) {
                Ok(_) => return Ok(Outcome::Done(())),
                Err(Errno::PIPE) => return Ok(Outcome::Closed),
                Err(Errno::AGAIN) if !ready(&self.output, PollFlags::IN, until)? => {
                    return Ok(Outcome::TimedOut);
                }
                Err(Errno::AGAIN) => {}
                Err(error) => return Err(error).context("receive an item"),
            }
        }
    }

    /// Sends an item without waiting and returns the size of its packet; [`Errno::AGAIN`] if the socket is full,
    /// [`Errno::PIPE`] if it is closed.
    fn send(&self, item: &[u8]) -> rustix::io::Result<u64> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        if item.len() <= INLINE {
            let parts = [IoSlice::new(&[HERE]), IoSlice::new(item)];
            let mut no_fds = SendAncillaryBuffer::default();
            let sent = retry_on_intr(|| net::sendmsg(&self.input, &parts, &mut no_fds, flags))?;
            return Ok(sent as u64);
        }
        let file = File::from(memfd_create("item", MemfdFlags::CLOEXEC)?);
        file.write_all_at(item, 0)
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        let fds = [file.as_fd()];
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&fds));
        let parts = [IoSlice::new(&[THERE])];
        let sent = retry_on_intr(|| net::sendmsg(&self.input, &parts, &mut control, flags))?;
        Ok(sent as u64)
    }

    /// Receives an item without waiting and returns the size of its packet; [`Errno::AGAIN`] if there is none,
    /// [`Errno::PIPE`] at the end.
    fn receive(&self, item: &mut Vec<u8>) -> rustix::io::Result<u64> {
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        item.clear();
        let (tag, received) = BUFFER.with_borrow_mut(|buffer| {
            buffer.resize(1 + INLINE, 0);
            let received = retry_on_intr(|| {
                let mut parts = [IoSliceMut::new(buffer)];
                net::recvmsg(&self.output, &mut parts, &mut control, flags)
            })?;
            let (tag, bytes) = buffer[..received.bytes].split_first().ok_or(Errno::PIPE)?;
            item.extend_from_slice(bytes);
            Ok((*tag, received.bytes as u64))
        })?;
        if tag == HERE {
            return Ok(received);
        }
        let file = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
        // The kernel drops a descriptor that finds no room here.
        let file = file.ok_or(Errno::MFILE)?;
        item.resize(fstat(&file)?.st_size as usize, 0);
        let read = File::from(file).read_exact_at(item, 0);
        read.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        Ok(received)
    }
}

/// Waits until the socket may be written or read, or a moment has passed; false if `until` had come before that.
fn ready(fd: &OwnedFd, events: PollFlags, until: Option<Instant>) -> Result<bool> {
    let left = until.map(|until| until.saturating_duration_since(Instant::now()));
    if left == Some(Duration::ZERO) {
        return Ok(false);
    }
    // A socket that is full does not report that it is closed; sending does.
    let limit = events.contains(PollFlags::OUT).then_some(LOOK_AGAIN);
    let slice = left.into_iter().chain(limit).min();
    let slice = slice.map(Timespec::try_from).transpose();
    let mut fds = [PollFd::new(fd, events)];
    match poll(&mut fds, slice.context("a time limit")?.as_ref()) {
        Err(Errno::INTR) => Ok(true),
        ready => ready.map(|_| true).context("wait for the socket"),
    }
}
