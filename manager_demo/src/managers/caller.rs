//! Who calls a server's objects: a connection, which a thread of a client has to itself.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use super::referent::{Gone, Referent};

/// A connection that calls methods. It is who owns an RLock, and who is told when a wait is over.
pub struct Caller {
    id: u64,
    /// The client's, unless the caller is a thread of the server's own process.
    socket: Option<OwnedFd>,
    /// Counts to more than zero when a ticket of this caller has been called.
    called: OwnedFd,
    receipt: Mutex<Option<Box<dyn Receipt>>>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    objects: HashMap<usize, Weak<dyn Referent>>,
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
    pub fn remote(socket: OwnedFd) -> io::Result<Arc<Self>> {
        Caller::new(Some(socket))
    }

    /// A thread of this process.
    pub fn local() -> io::Result<Arc<Self>> {
        Caller::new(None)
    }

    fn new(socket: Option<OwnedFd>) -> io::Result<Arc<Self>> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Ok(Arc::new(Caller {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            socket,
            called: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            receipt: Mutex::new(None),
            held: Mutex::default(),
        }))
    }

    /// Never the same for two callers.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// A place in a line, to be put there before [`Caller::wait`].
    pub fn ticket(self: &Arc<Self>) -> Arc<Ticket> {
        Arc::new(Ticket {
            called: AtomicBool::new(false),
            caller: self.clone(),
        })
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
                Ok(true) => return Waited::Gone,
                // Neither can fail on descriptors that are open; and who sleeps no more would spin.
                Err(_) => return Waited::Gone,
                Ok(false) => {}
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
        let mut fds = vec![PollFd::new(&self.called, PollFlags::IN)];
        if let Some(socket) = &self.socket {
            fds.push(PollFd::new(socket, PollFlags::RDHUP));
        }
        match poll(&mut fds, time.as_ref()) {
            Err(rustix::io::Errno::INTR) => return Ok(false),
            result => result?,
        };
        let gone = fds.get(1).is_some_and(|fd| !fd.revents().is_empty());
        if !fds[0].revents().is_empty() {
            match rustix::io::read(&self.called, &mut [0; 8]) {
                Err(rustix::io::Errno::AGAIN) => {}
                result => {
                    result?;
                }
            }
            return Ok(false);
        }
        Ok(gone)
    }

    /// Something has been handed to the client with the reply that follows. See [`Receipt`].
    pub fn handed(&self, receipt: Box<dyn Receipt>) {
        *lock(&self.receipt) = Some(receipt);
    }

    /// What was handed out with the last reply, if no request came since. For the server.
    pub fn receipt(&self) -> Option<Box<dyn Receipt>> {
        lock(&self.receipt).take()
    }

    /// From now on this caller may hold a part of the object, which learns when it has gone: [`Referent::gone`] is called
    /// when its connection has ended, and again, with [`Gone::Killed`], if its process has then been killed.
    pub fn holds(&self, object: &Arc<impl Referent>) {
        let mut held = lock(&self.held);
        let at = Arc::as_ptr(object) as usize;
        if held.objects.len() > held.limit {
            held.objects.retain(|_, object| object.strong_count() > 0);
            held.limit = held.objects.len() * 2 + 16;
        }
        held.objects.entry(at).or_insert_with(|| {
            let object: Weak<dyn Referent> = Arc::downgrade(object) as _;
            object
        });
    }

    /// The objects of which it may hold a part. For the server.
    pub fn held(&self) -> Vec<Arc<dyn Referent>> {
        lock(&self.held)
            .objects
            .values()
            .filter_map(Weak::upgrade)
            .collect()
    }

    /// The client's socket.
    pub fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(AsFd::as_fd)
    }
}

impl Ticket {
    /// Ends the wait. The caller need not wait yet.
    pub fn call(&self) {
        self.called.store(true, Ordering::Release);
        // It can only fail when the counter is full, and then there is enough to wake anybody.
        rustix::io::write(&self.caller.called, &1u64.to_ne_bytes()).ok();
    }

    pub fn is_called(&self) -> bool {
        self.called.load(Ordering::Acquire)
    }

    pub fn caller(&self) -> &Arc<Caller> {
        &self.caller
    }
}

/// The lock; what it guards is whole between any two statements that could panic.
pub(super) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
