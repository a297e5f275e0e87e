//! The processes of a server's clients, as far as they can be known, and what is done when one is killed.
//!
//! A client that ends takes back its references first, and one that is killed does not: so a process that has ended with
//! references left was killed (or ended by `os._exit`, which is the same for what it held).

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::Duration;
use std::{io, thread};

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};

use super::caller::{Caller, lock};
use super::peer::{self, Process};
use super::referent::{Gone, Referent};
use super::store::Store;
use super::transport::Stream;

/// The client processes that this machine knows: all of Unix sockets, over TCP those of this machine.
pub(super) struct Clients {
    known: Mutex<Vec<Arc<Client>>>,
    /// Wakes the watcher, because there is one more, or it is to end.
    changed: OwnedFd,
    stop: AtomicBool,
}

/// A process that has connected.
pub(super) struct Client {
    /// Never the same for two processes, and never 0.
    pub id: u64,
    process: Process,
    end: Mutex<End>,
    ended: Condvar,
}

enum End {
    /// It runs. What callers of it held when their connections ended, and only its death gives back.
    Open(Vec<(u64, Weak<dyn Referent>)>),
    Ended(Gone),
}

impl Clients {
    /// Watches them in a thread of its own, until [`Clients::stop`].
    pub fn watch(store: Arc<Store>) -> io::Result<Arc<Self>> {
        let clients = Arc::new(Clients {
            known: Mutex::default(),
            changed: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            stop: AtomicBool::new(false),
        });
        let watched = clients.clone();
        let watch = move || {
            while !watched.stop.load(Ordering::Acquire) {
                for client in watched.wait() {
                    let count = store.forget(client.id);
                    client.ended(if count > 0 { Gone::Killed } else { Gone::Left });
                }
            }
        };
        thread::Builder::new().name("clients".into()).spawn(watch)?;
        Ok(clients)
    }

    /// The process at the other end, if it can be told.
    pub fn of(&self, stream: &Stream) -> Option<Arc<Client>> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let pids: Vec<u32> = lock(&self.known)
            .iter()
            .map(|client| client.process.pid())
            .collect();
        let process = peer::of(stream, &pids)?;
        let mut known = lock(&self.known);
        // A number may be used again while the watcher has not yet seen that the one before has ended.
        let same = |client: &&Arc<Client>| {
            client.process.pid() == process.pid() && !client.process.has_ended()
        };
        if let Some(client) = known.iter().find(same) {
            return Some(client.clone());
        }
        let client = Arc::new(Client {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            process,
            end: Mutex::new(End::Open(vec![])),
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
        // It can only fail when the counter is full, and then the watcher is awake.
        rustix::io::write(&self.changed, &1u64.to_ne_bytes()).ok();
    }

    /// Waits until some have ended, or there are more of them; removes and returns the former.
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
    /// Tells the objects that a caller of this process may hold a part of that its connection has ended.
    pub fn caller_ended(self: &Arc<Self>, caller: &Caller) {
        for object in caller.held() {
            if !object.gone(caller.id(), Gone::Left) {
                continue;
            }
            match &mut *lock(&self.end) {
                End::Open(held) => {
                    held.retain(|(_, object)| object.strong_count() > 0);
                    held.push((caller.id(), Arc::downgrade(&object)));
                    continue;
                }
                End::Ended(Gone::Left) => continue,
                End::Ended(Gone::Killed) => {}
            }
            object.gone(caller.id(), Gone::Killed);
        }
    }

    /// Whether the process was killed, as far as that shows within the time.
    pub fn how(&self, limit: Duration) -> Gone {
        let open = |end: &mut End| matches!(end, End::Open(_));
        let waited = self.ended.wait_timeout_while(lock(&self.end), limit, open);
        match *waited.unwrap_or_else(PoisonError::into_inner).0 {
            End::Open(_) => Gone::Left,
            End::Ended(how) => how,
        }
    }

    fn ended(&self, how: Gone) {
        let End::Open(held) = std::mem::replace(&mut *lock(&self.end), End::Ended(how)) else {
            return;
        };
        self.ended.notify_all();
        if how == Gone::Killed {
            for (caller, object) in held {
                if let Some(object) = object.upgrade() {
                    object.gone(caller, Gone::Killed);
                }
            }
        }
    }
}
