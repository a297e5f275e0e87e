//! Those who wait for something, first come first served.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::time::Duration;

use crate::caller::{Caller, Ticket, Waited};
use crate::sync::{Arc, Instant, Mutex, MutexGuard, lock};

/// A line of callers, each of whom waits for a `T` and has brought a `B`. It lies under the lock of the object that
/// they wait for. What there is is given to the first at once, so nobody can take it in between, and nobody who has
/// gone takes anything: whoever leaves finds what was given, and gives it back.
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

/// How the wait in a line ended.
pub enum Turn<T> {
    Given(T),
    TimedOut,
    /// The client has gone; what it was given meanwhile is for somebody else.
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
    /// The last place. Errors: the process has no descriptor left.
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

    /// Ends the wait of the first, and returns who that is and what it has brought; or, if nobody waits, the thing.
    pub fn give(&mut self, thing: T) -> Result<(u64, B), T> {
        let Some((number, (ticket, brought))) = self.waiting.pop_first() else {
            return Err(thing);
        };
        self.given.insert(number, thing);
        ticket.call();
        Ok((ticket.caller().id(), brought))
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// What those who wait have brought.
    pub fn brought(&self) -> impl Iterator<Item = &B> {
        self.waiting.values().map(|(_, brought)| brought)
    }

    /// What was given to those who do not know it yet.
    pub fn given(&self) -> impl Iterator<Item = &T> {
        self.given.values()
    }

    fn leave(&mut self, number: u64) -> Option<T> {
        self.waiting.remove(&number);
        self.given.remove(&number)
    }
}

impl Place {
    /// Waits for the place's turn, and leaves the line. No timeout, or one that no clock can hold, is for ever; zero
    /// only looks. The lock is held when this returns, since what was given may have to be given back.
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
