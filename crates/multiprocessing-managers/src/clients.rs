//! The known processes of a server's clients. When a process is killed, the server takes back its locks and references.
//!
//! A client releases its references before it ends. A process that ended with references left was killed, or called
//! `os._exit`, which has the same effect on its locks and references.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::Duration;
use std::{io, thread};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use crate::caller::{Caller, Gone, Hold};
use crate::peer::{self, Process};
use crate::store::Store;
use crate::sync::lock;
use crate::transport::Stream;

/// The time in which a process must end after its connection; after that it counts as still running.
const PATIENCE: Timespec = Timespec {
    tv_sec: 5,
    tv_nsec: 0,
};

/// The client processes of this machine.
pub(crate) struct Clients {
    known: Mutex<Vec<Arc<Client>>>,
    /// Wakes the watcher, for a new process or to end.
    changed: OwnedFd,
    stop: AtomicBool,
    store: Arc<Store>,
}

/// A process that has connected.
///
/// It counts as ended only when its last connection has ended too, because a forked child, such as a daemon, may continue
/// to use that connection.
pub(crate) struct Client {
    /// A number that no two processes share, and never 0.
    pub id: u64,
    process: Process,
    store: Arc<Store>,
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    /// The number of connections for calls.
    calls: usize,
    exited: bool,
    /// The way in which the process ended.
    how: Option<Gone>,
    /// The objects that its callers still held when their connections ended.
    held: Vec<(u64, Weak<dyn Hold>)>,
}

impl Clients {
    /// Starts a thread that watches the processes until [`Clients::stop`].
    pub fn watch(store: Arc<Store>) -> io::Result<Arc<Self>> {
        let clients = Arc::new(Clients {
            known: Mutex::default(),
            changed: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            stop: AtomicBool::new(false),
            store,
        });
        let watched = clients.clone();
        let watch = move || {
            while !watched.stop.load(Ordering::Acquire) {
                for client in watched.wait() {
                    lock(&client.state).exited = true;
                    client.conclude();
                }
            }
        };
        thread::Builder::new().name("clients".into()).spawn(watch)?;
        Ok(clients)
    }

    /// Returns the process at the other end, if it is known.
    pub fn of(&self, stream: &Stream) -> Option<Arc<Client>> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        // The newest is the likeliest to connect again.
        let pids: Vec<u32> = lock(&self.known)
            .iter()
            .rev()
            .map(|client| client.process.pid())
            .collect();
        let process = peer::of(stream, &pids)?;
        let mut known = lock(&self.known);
        // The number may belong to a new process before the watcher notices the end of the old one.
        let same = |client: &&Arc<Client>| {
            client.process.pid() == process.pid() && !client.process.has_ended()
        };
        if let Some(client) = known.iter().find(same) {
            return Some(client.clone());
        }
        let client = Arc::new(Client {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            process,
            store: self.store.clone(),
            state: Mutex::default(),
            ended: Condvar::new(),
        });
        known.push(client.clone());
        drop(known);
        self.wake();
        Some(client)
    }

    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        // It can fail only if the counter is full, and then the watcher is awake.
        rustix::io::write(&self.changed, &1u64.to_ne_bytes()).ok();
    }

    /// Waits until processes have ended or new ones have come; removes and returns those that have ended.
    fn wait(&self) -> Vec<Arc<Client>> {
        let clients = lock(&self.known).clone();
        let mut fds = vec![PollFd::new(&self.changed, PollFlags::IN)];
        fds.extend(
            clients
                .iter()
                .map(|client| PollFd::new(&client.process, PollFlags::IN)),
        );
        if poll(&mut fds, None).is_err() {
            return vec![];
        }
        rustix::io::read(&self.changed, &mut [0; 8]).ok();
        let mut known = lock(&self.known);
        let (ended, alive) = known
            .drain(..)
            .partition(|client| client.process.has_ended());
        *known = alive;
        ended
    }
}

impl Client {
    /// Notes that one more connection of the process calls methods.
    pub fn caller_begins(&self) {
        lock(&self.state).calls += 1;
    }

    /// Tells the objects of which a caller may hold a part that its connection has ended.
    pub fn caller_ended(&self, caller: &Caller) {
        let left = |object: &Arc<dyn Hold>| object.gone(caller.id(), Gone::Left);
        let still: Vec<_> = caller.held().into_iter().filter(left).collect();
        let mut state = lock(&self.state);
        state.calls -= 1;
        state.held.retain(|(_, object)| object.strong_count() > 0);
        let held = still
            .iter()
            .map(|object| (caller.id(), Arc::downgrade(object)));
        state.held.extend(held);
        drop(state);
        self.conclude();
    }

    /// Returns whether the process was killed. A killed process closes its connections a moment before it has ended, which
    /// can be long on a busy machine, so this waits; at the latest until the server stops.
    pub fn how(&self, stop: &OwnedFd) -> Gone {
        let mut fds = [
            PollFd::new(&self.process, PollFlags::IN),
            PollFd::new(stop, PollFlags::IN),
        ];
        // On failure the process counts as still running.
        poll(&mut fds, Some(&PATIENCE)).ok();
        if fds[0].revents().is_empty() {
            return Gone::Left;
        }
        let open = |state: &mut State| state.how.is_none();
        let waited = self
            .ended
            .wait_timeout_while(lock(&self.state), Duration::from_secs(1), open);
        waited
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .how
            .unwrap_or(Gone::Left)
    }

    /// Takes back the process's locks and references, if it has ended.
    pub fn conclude(&self) {
        let mut state = lock(&self.state);
        if !state.exited || state.calls > 0 {
            return;
        }
        let (left, unkept) = self.store.forget(self.id);
        let killed = left || state.how == Some(Gone::Killed);
        state.how = Some(if killed { Gone::Killed } else { Gone::Left });
        let held = std::mem::take(&mut state.held);
        drop(state);
        self.ended.notify_all();
        self.store.release(unkept);
        if killed {
            for (caller, object) in held {
                if let Some(object) = object.upgrade() {
                    object.gone(caller, Gone::Killed);
                }
            }
        }
    }
}
