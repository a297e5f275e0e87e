//! Callers: the connections that call a server's objects, one for each thread of a client.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use crate::sync::{
    Arc, AsFd, AtomicBool, AtomicU64, Errno, EventfdFlags, Instant, Mutex, OnceLock, Ordering,
    OwnedFd, PollFd, PollFlags, Timespec, Weak, eventfd, lock, poll, read, write,
};

/// A connection that calls methods, or a thread of the server's own process.
///
/// It owns the RLocks that it acquires, and waits for one thing at a time.
///
/// ```
/// use std::time::Instant;
///
/// use multiprocessing_managers::caller::{Caller, Waited};
///
/// let caller = Caller::local();
/// let ticket = caller.ticket()?;
/// assert_eq!(caller.wait(&ticket, Some(Instant::now())), Waited::TimedOut);
/// ticket.call();
/// assert_eq!(caller.wait(&ticket, None), Waited::Called);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Caller {
    id: u64,
    /// The client's socket; `None` for a thread of the server's own process.
    socket: Option<Arc<dyn AsFd + Send + Sync>>,
    /// An eventfd that counts calls of this caller's tickets. Most callers never wait.
    called: OnceLock<OwnedFd>,
    receipt: Mutex<Option<Box<dyn Receipt>>>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    objects: HashMap<usize, Weak<dyn Hold>>,
    /// Beyond this number, objects that no longer exist are removed.
    limit: usize,
}

/// A wait of a [`Caller`], which another thread ends by calling the ticket.
///
/// ```
/// use multiprocessing_managers::Caller;
///
/// let ticket = Caller::local().ticket()?;
/// assert!(!ticket.is_called());
/// ticket.call();
/// assert!(ticket.is_called());
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Ticket {
    called: AtomicBool,
    caller: Arc<Caller>,
}

/// The way in which a wait ended. See [`Caller::wait`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// The ticket was called.
    Called,
    /// The deadline has passed.
    TimedOut,
    /// The client has disconnected, or the server stops.
    Gone,
}

/// The way in which a caller went away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// Its connection has ended. Its process still runs, ended normally, or is unknown.
    Left,
    /// Its process was killed: it ended without releasing its references.
    Killed,
}

/// An object of which a caller may hold a part, such as a lock. Every [`Referent`](crate::Referent) is one.
pub trait Hold: Send + Sync {
    /// Handles the end of a caller for which [`Caller::holds`] was called with this object. Returns whether the caller still
    /// holds a part, which the object takes back when the caller's process is killed.
    fn gone(&self, caller: u64, how: Gone) -> bool;
}

/// A receipt for an item or lock sent to a client, which may never read the reply.
///
/// The server drops it at the next request of the same connection, which shows that the client has read the reply. If the
/// connection ends instead, the server calls one of its methods.
pub trait Receipt: Send {
    /// Takes the item or lock back: the client went away without reading the reply.
    fn unread(self: Box<Self>);

    /// Handles the end of a connection on which the reply was read, or may have been, and no request followed.
    fn unconfirmed(self: Box<Self>, _how: Gone) {}
}

impl Caller {
    /// Creates the caller of a connection. It has gone away when the socket is hung up.
    pub fn remote(socket: Arc<dyn AsFd + Send + Sync>) -> Arc<Self> {
        Caller::new(Some(socket))
    }

    /// Creates a caller for a thread of this process, which never disconnects.
    pub fn local() -> Arc<Self> {
        Caller::new(None)
    }

    fn new(socket: Option<Arc<dyn AsFd + Send + Sync>>) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Arc::new(Caller {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            socket,
            called: OnceLock::new(),
            receipt: Mutex::new(None),
            held: Mutex::default(),
        })
    }

    /// Returns a number that no two callers share.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Creates a ticket for one [`Caller::wait`].
    ///
    /// # Errors
    ///
    /// The system's error if the process has no file descriptor left.
    pub fn ticket(self: &Arc<Self>) -> io::Result<Arc<Ticket>> {
        if self.called.get().is_none() {
            // Only the caller's own thread waits, so no other thread sets it.
            let called = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
            self.called.get_or_init(|| called);
        }
        Ok(Arc::new(Ticket {
            called: AtomicBool::new(false),
            caller: self.clone(),
        }))
    }

    /// Blocks until the ticket is called, the deadline has passed, or the client has gone away.
    ///
    /// Only [`Waited::Called`] is final. After any other answer the ticket may still be called, so check the state that it
    /// stands for again, under its lock. A caller waits for one ticket at a time.
    pub fn wait(&self, ticket: &Ticket, deadline: Option<Instant>) -> Waited {
        loop {
            if ticket.is_called() {
                return Waited::Called;
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Waited::TimedOut;
            }
            match self.sleep(left) {
                Ok(false) => {}
                // Polling open descriptors cannot fail; if it did, going on would spin.
                Ok(true) | Err(_) => return Waited::Gone,
            }
        }
    }

    /// Sleeps until something happens, and returns whether the client has gone away.
    fn sleep(&self, left: Option<Duration>) -> io::Result<bool> {
        let time = left.map(|left| Timespec {
            // A time beyond the kernel's range is cut; `wait` sleeps again for the rest.
            tv_sec: left.as_secs().min(i32::MAX as u64) as i64,
            tv_nsec: left.subsec_nanos().into(),
        });
        let Some(called) = self.called.get() else {
            return Ok(true); // The caller has no ticket.
        };
        let mut fds = [
            PollFd::new(called, PollFlags::IN),
            PollFd::new(called, PollFlags::empty()),
        ];
        if let Some(socket) = &self.socket {
            fds[1] = PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::RDHUP);
        }
        match poll(&mut fds, time.as_ref()) {
            Err(Errno::INTR) => return Ok(false),
            result => result?,
        };
        if fds[0].revents().is_empty() {
            return Ok(!fds[1].revents().is_empty());
        }
        match read(called, &mut [0; 8]) {
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Sets the receipt for the item or lock in the next reply.
    pub fn handed(&self, receipt: Box<dyn Receipt>) {
        *lock(&self.receipt) = Some(receipt);
    }

    /// Takes the receipt of the last reply, if the server has not dropped it. The server calls this.
    pub fn receipt(&self) -> Option<Box<dyn Receipt>> {
        lock(&self.receipt).take()
    }

    /// Notes that this caller may hold a part of the object.
    ///
    /// [`Hold::gone`] is then called when the connection ends, and again with [`Gone::Killed`] if its process was killed.
    pub fn holds(&self, object: &Arc<impl Hold + 'static>) {
        let mut held = lock(&self.held);
        let at = Arc::as_ptr(object) as usize;
        if held.objects.len() > held.limit {
            held.objects.retain(|_, object| object.strong_count() > 0);
            held.limit = held.objects.len() * 2 + 16;
        }
        held.objects.entry(at).or_insert_with(|| {
            let object: Weak<dyn Hold> = Arc::downgrade(object) as _;
            object
        });
    }

    /// Returns the objects of which this caller may hold a part. The server calls this.
    pub fn held(&self) -> Vec<Arc<dyn Hold>> {
        lock(&self.held)
            .objects
            .values()
            .filter_map(Weak::upgrade)
            .collect()
    }
}

impl Ticket {
    /// Ends the wait, even if it has not started.
    pub fn call(&self) {
        self.called.store(true, Ordering::Release);
        if let Some(called) = self.caller.called.get() {
            // It can fail only if the counter is full, and then the caller wakes anyway.
            write(called, &1u64.to_ne_bytes()).ok();
        }
    }

    /// Whether the ticket was called.
    pub fn is_called(&self) -> bool {
        self.called.load(Ordering::Acquire)
    }

    /// Returns the caller that waits.
    pub fn caller(&self) -> &Arc<Caller> {
        &self.caller
    }
}
