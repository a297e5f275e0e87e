//! A FIFO line of waiting callers.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::time::Duration;

use crate::caller::{Caller, Ticket, Waited};
use crate::sync::{Arc, Instant, Mutex, MutexGuard, lock};

/// A line of callers that wait for a `T`, each with a `B` attached. The lock of the object that they wait for guards it.
///
/// New items go straight to the first waiter, so no other caller can take one in between. A caller that leaves the line
/// gets any item already assigned to it, and returns it.
pub struct Line<T, B = ()> {
    next: u64,
    waiting: BTreeMap<u64, (Arc<Ticket>, B)>,
    given: HashMap<u64, T>,
}

/// A place in a [`Line`].
pub struct Place {
    number: u64,
    ticket: Arc<Ticket>,
}

/// How a wait in a line ended.
pub enum Turn<T> {
    /// The caller was given an item.
    Given(T),
    /// The time limit has passed.
    TimedOut,
    /// The client has disconnected. An item already assigned to it goes to another caller.
    Gone(Option<T>),
}

impl<T, B> Default for Line<T, B> {
    fn default() -> Self {
        Line {
            next: 0,
            waiting: BTreeMap::new(),
            given: HashMap::new(),
        }
    }
}

impl<T, B> Line<T, B> {
    /// Joins the end of the line. Fails if the process has no file descriptor left.
    pub fn join(&mut self, caller: &Arc<Caller>, brought: B) -> io::Result<Place> {
        let place = Place {
            number: self.next,
            ticket: caller.ticket()?,
        };
        self.next += 1;
        let waiting = (place.ticket.clone(), brought);
        self.waiting.insert(place.number, waiting);
        Ok(place)
    }

    /// Gives the item to the first waiter, and returns that caller and its attached value. Returns the item if no caller
    /// waits.
    pub fn give(&mut self, thing: T) -> Result<(u64, B), T> {
        let Some((number, (ticket, brought))) = self.waiting.pop_first() else {
            return Err(thing);
        };
        self.given.insert(number, thing);
        ticket.call();
        Ok((ticket.caller().id(), brought))
    }

    /// Returns the number of waiting callers.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Returns the values attached to the waiting callers.
    pub fn brought(&self) -> impl Iterator<Item = &B> {
        self.waiting.values().map(|(_, brought)| brought)
    }

    /// Returns the items assigned to callers that have not woken up yet.
    pub fn given(&self) -> impl Iterator<Item = &T> {
        self.given.values()
    }

    fn leave(&mut self, number: u64) -> Option<T> {
        self.waiting.remove(&number);
        self.given.remove(&number)
    }
}

impl Place {
    /// Blocks until the place's turn, and leaves the line. A timeout beyond the range of the clock means no limit; zero does
    /// not block. Returns with the lock held, because the caller may have to return its item.
    pub fn wait<'a, S, T, B>(
        self,
        timeout: Option<Duration>,
        state: &'a Mutex<S>,
        line: impl FnOnce(&mut S) -> &mut Line<T, B>,
    ) -> (Turn<T>, MutexGuard<'a, S>) {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let waited = self.ticket.caller().wait(&self.ticket, deadline);
        let mut state = lock(state);
        let turn = match (waited, line(&mut state).leave(self.number)) {
            (Waited::Gone, given) => Turn::Gone(given),
            (_, Some(given)) => Turn::Given(given),
            (_, None) => Turn::TimedOut,
        };
        (turn, state)
    }
}
