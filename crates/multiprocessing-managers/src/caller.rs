//! Who calls a server's objects: a connection, which a thread of a client has to itself.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use crate::sync::{
    Arc, AsFd, AtomicBool, AtomicU64, Errno, EventfdFlags, Instant, Mutex, OnceLock, Ordering,
    OwnedFd, PollFd, PollFlags, Timespec, Weak, eventfd, lock, poll, read, write,
};

/// A connection that calls methods. It is who owns an RLock, and who is told when a wait is over.
pub struct Caller {
    id: u64,
    /// The client's, unless the caller is a thread of the server's own process.
    socket: Option<Arc<dyn AsFd + Send + Sync>>,
    /// Counts to more than zero when a ticket of this caller has been called. Most callers never wait.
    called: OnceLock<OwnedFd>,
    receipt: Mutex<Option<Box<dyn Receipt>>>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    objects: HashMap<usize, Weak<dyn Hold>>,
    /// How many there may be before those that are no more are thrown out.
    limit: usize,
}

/// A place in a line. Whoever it waits for calls it, once.
pub struct Ticket {
    called: AtomicBool,
    caller: Arc<Caller>,
}

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    Called,
    TimedOut,
    /// The client has gone, or the server stops.
    Gone,
}

/// How a caller has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// Its connection has ended. Its process may go on, or has ended of its own accord, or nobody can tell.
    Left,
    /// Its process has ended without a farewell: it was killed.
    Killed,
}

/// An object of which a caller may hold a part, such as a lock.
pub trait Hold: Send + Sync {
    /// A caller that called [`Caller::holds`] with this object has gone. Returns whether it still holds something that
    /// only the death of its process gives back.
    fn gone(&self, caller: u64, how: Gone) -> bool;
}

/// What has been handed to a client that may never have read it: an item, a lock.
///
/// It lives from the reply to the next request of the same connection, which shows that the reply was read; then it is
/// dropped. If the connection ends instead, it learns how.
pub trait Receipt: Send {
    /// The client has gone and did not read the reply: what was handed to it is to be taken back.
    fn unread(self: Box<Self>);

    /// The reply was read, or nobody can tell, and no request followed.
    fn unconfirmed(self: Box<Self>, _how: Gone) {}
}

impl Caller {
    /// A caller from outside, which has gone when its socket has been hung up.
    pub fn remote(socket: Arc<dyn AsFd + Send + Sync>) -> Arc<Self> {
        Caller::new(Some(socket))
    }

    /// A thread of this process.
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

    /// Never the same for two callers.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// A place in a line, to be put there before [`Caller::wait`]. Errors: the process has no descriptor left.
    pub fn ticket(self: &Arc<Self>) -> io::Result<Arc<Ticket>> {
        if self.called.get().is_none() {
            // Only the caller's own thread waits, so nobody else sets it.
            let called = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
            self.called.get_or_init(|| called);
        }
        Ok(Arc::new(Ticket {
            called: AtomicBool::new(false),
            caller: self.clone(),
        }))
    }

    /// Blocks until the ticket is called, the deadline has passed, or the client has gone.
    ///
    /// Only `Called` is certain: a ticket may be called just after any other answer, so look at what it stands for, under
    /// the lock, once more. The caller waits for one ticket at a time.
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
                // It cannot fail on descriptors that are open; and who sleeps no more would spin.
                Ok(true) | Err(_) => return Waited::Gone,
            }
        }
    }

    /// Sleeps until something happens, and returns whether the client has gone.
    fn sleep(&self, left: Option<Duration>) -> io::Result<bool> {
        let time = left.map(|left| Timespec {
            // A timeout that the kernel cannot hold is cut; `wait` comes back for the rest.
            tv_sec: left.as_secs().min(i32::MAX as u64) as i64,
            tv_nsec: left.subsec_nanos().into(),
        });
        let Some(called) = self.called.get() else {
            return Ok(true); // There is no ticket.
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

    /// Something has been handed to the client with the reply that follows. See [`Receipt`].
    pub fn handed(&self, receipt: Box<dyn Receipt>) {
        *lock(&self.receipt) = Some(receipt);
    }

    /// What was handed out with the last reply, if no request came since. For the server.
    pub fn receipt(&self) -> Option<Box<dyn Receipt>> {
        lock(&self.receipt).take()
    }

    /// From now on this caller may hold a part of the object, which learns when it has gone: [`Hold::gone`] is called
    /// when its connection has ended, and again, with [`Gone::Killed`], if its process has then been killed.
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

    /// The objects of which it may hold a part. For the server.
    pub fn held(&self) -> Vec<Arc<dyn Hold>> {
        lock(&self.held)
            .objects
            .values()
            .filter_map(Weak::upgrade)
            .collect()
    }
}

impl Ticket {
    /// Ends the wait. The caller need not wait yet.
    pub fn call(&self) {
        self.called.store(true, Ordering::Release);
        if let Some(called) = self.caller.called.get() {
            // It can only fail when the counter is full, and then there is enough to wake anybody.
            write(called, &1u64.to_ne_bytes()).ok();
        }
    }

    pub fn is_called(&self) -> bool {
        self.called.load(Ordering::Acquire)
    }

    pub fn caller(&self) -> &Arc<Caller> {
        &self.caller
    }
}
