//! Write coroutines with `send`, `throw` and `close`, as Python's generators.
//!
//! Python:  a generator function; `n = yield value` is `let n = co.suspend(value).await?`
//! Differs: sent, yielded, thrown and returned values each have their own type. The first step is `start`; Python has `send(None)`. A
//!          thrown error arrives as the `Err` of a `Result`. `close` raises nothing in the body: it drops the body where it
//!          stopped, so cleanup belongs in destructors. It cannot yield there, as in Python.
//!
//! A step runs the body on the caller's thread up to its next `suspend`. A panic of the body reaches the caller and
//! ends the coroutine. A coroutine stays on its thread. Creating one costs two allocations; a step is one indirect
//! call and moves two values. There is no `unsafe`.
//!
//! ```cargo
//! [dependencies]
//! ```

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::{error, fmt};

/// A coroutine that takes an `S`, or a thrown `E`, at each step, yields a `Y` and returns an `R`.
///
/// Its body may borrow values that live for `'a`.
pub struct Coroutine<'a, S, Y, E, R> {
    /// `None` once it has returned or was closed.
    body: Option<Pin<Box<dyn Future<Output = R> + 'a>>>,
    channel: Rc<Channel<S, Y, E>>,
    state: State,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    New,
    Suspended,
    /// Also set while the body runs, so that a panic leaves it finished.
    Finished,
}

/// The result of a step.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<Y, R> {
    /// The body stopped at a `suspend` with this value.
    Yielded(Y),
    /// The body returned this value.
    Returned(R),
}

/// The reason why there was no step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoroutineError {
    /// The coroutine was not started; Python's `TypeError: can't send non-None value to a just-started generator`.
    NotStarted,
    /// `start` was called twice.
    Started,
    /// It has returned, panicked or was closed; Python's `StopIteration`.
    Finished,
    /// Its body awaited another future than `suspend`, which needs an executor. It is closed.
    Foreign,
}

/// The body's end of the coroutine, with which it suspends itself.
pub struct Yielder<S, Y, E> {
    channel: Rc<Channel<S, Y, E>>,
}

/// One cell for both directions: only one message exists at a time.
type Channel<S, Y, E> = Cell<Message<S, Y, E>>;

#[derive(Default)]
enum Message<S, Y, E> {
    #[default]
    Nothing,
    Sent(Result<S, E>),
    Yielded(Y),
}

impl<'a, S, Y, E, R> Coroutine<'a, S, Y, E, R> {
    /// Creates a coroutine. Its body does not run before [`start`](Coroutine::start).
    pub fn new<F>(body: impl FnOnce(Yielder<S, Y, E>) -> F) -> Self
    where
        F: Future<Output = R> + 'a,
    {
        let channel = Rc::new(Channel::default());
        let yielder = Yielder {
            channel: Rc::clone(&channel),
        };
        Coroutine {
            body: Some(Box::pin(body(yielder))),
            channel,
            state: State::New,
        }
    }

    /// Runs to the first `suspend`; Python's `next(c)` or `c.send(None)`.
    ///
    /// # Errors
    ///
    /// [`CoroutineError`] if it was started before, or awaits another future.
    pub fn start(&mut self) -> Result<Step<Y, R>, CoroutineError> {
        match self.state {
            State::New => self.resume(Message::Nothing),
            State::Suspended => Err(CoroutineError::Started),
            State::Finished => Err(CoroutineError::Finished),
        }
    }

    /// Makes the current `suspend` return `value`, and runs to the next one.
    ///
    /// # Errors
    ///
    /// [`CoroutineError`] if it was not started, has finished, or awaits another future.
    pub fn send(&mut self, value: S) -> Result<Step<Y, R>, CoroutineError> {
        self.suspended()?;
        self.resume(Message::Sent(Ok(value)))
    }

    /// Makes the current `suspend` return the error, and runs to the next one. An error that the body does not handle becomes
    /// its `R`; Python raises it in the caller of `throw`.
    ///
    /// # Errors
    ///
    /// [`CoroutineError`] if it was not started, has finished, or awaits another future.
    pub fn throw(&mut self, error: E) -> Result<Step<Y, R>, CoroutineError> {
        self.suspended()?;
        self.resume(Message::Sent(Err(error)))
    }

    /// Drops the body where it stopped, and every value that it holds there. A second call does nothing.
    pub fn close(&mut self) {
        self.state = State::Finished;
        self.body = None;
    }

    /// Returns `true` once it has returned, panicked or was closed.
    pub fn finished(&self) -> bool {
        self.state == State::Finished
    }

    fn suspended(&self) -> Result<(), CoroutineError> {
        match self.state {
            State::New => Err(CoroutineError::NotStarted),
            State::Suspended => Ok(()),
            State::Finished => Err(CoroutineError::Finished),
        }
    }

    fn resume(&mut self, input: Message<S, Y, E>) -> Result<Step<Y, R>, CoroutineError> {
        let body = self.body.as_mut().ok_or(CoroutineError::Finished)?;
        self.state = State::Finished;
        self.channel.set(input);
        // No waker is needed: the sender polls.
        let step = match (body.as_mut()).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => Ok(Step::Returned(value)),
            Poll::Pending => match self.channel.take() {
                Message::Yielded(value) => {
                    self.state = State::Suspended;
                    return Ok(Step::Yielded(value));
                }
                _ => Err(CoroutineError::Foreign),
            },
        };
        self.close();
        step
    }
}

impl<S, Y, E> Yielder<S, Y, E> {
    /// Yields a value, and waits until a value is sent or an error is thrown; Python's `yield value`.
    ///
    /// The body has one yielder and each `suspend` borrows it, so two cannot be pending at once.
    pub fn suspend(&mut self, value: Y) -> impl Future<Output = Result<S, E>> {
        let mut value = Some(value);
        poll_fn(move |_| {
            if let Some(value) = value.take() {
                // This overwrites a message that an abandoned `suspend` did not take, and which was meant for that one.
                self.channel.set(Message::Yielded(value));
                return Poll::Pending;
            }
            match self.channel.take() {
                Message::Sent(input) => Poll::Ready(input),
                other => {
                    self.channel.set(other);
                    Poll::Pending
                }
            }
        })
    }
}

impl fmt::Display for CoroutineError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            CoroutineError::NotStarted => "the coroutine has not started: call start first",
            CoroutineError::Started => "the coroutine has started already: send a value",
            CoroutineError::Finished => "the coroutine has finished",
            CoroutineError::Foreign => "the coroutine awaited another future than its own suspend",
        })
    }
}

impl error::Error for CoroutineError {}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::pending;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn each_state_says_what_it_refuses() {
        let mut c = Coroutine::new(|mut co: Yielder<u32, u32, &str>| async move {
            let n = co.suspend(1).await?;
            let n = n + co.suspend(n).await?;
            Ok::<_, &str>(n)
        });
        assert_eq!(c.send(7), Err(CoroutineError::NotStarted));
        assert_eq!(c.throw("early"), Err(CoroutineError::NotStarted));
        assert_eq!(c.start(), Ok(Step::Yielded(1)));
        assert_eq!(c.start(), Err(CoroutineError::Started));
        assert_eq!(c.send(2), Ok(Step::Yielded(2)));
        assert_eq!(c.send(3), Ok(Step::Returned(Ok(5))));
        assert!(c.finished());
        assert_eq!(c.send(4), Err(CoroutineError::Finished));
        assert_eq!(c.throw("late"), Err(CoroutineError::Finished));
        assert_eq!(c.start(), Err(CoroutineError::Finished));
        c.close();
    }

    #[test]
    fn an_error_that_is_not_handled_comes_back() {
        let mut c = Coroutine::new(|mut co: Yielder<(), (), &str>| async move {
            loop {
                co.suspend(()).await?;
            }
            #[allow(unreachable_code)]
            Ok::<(), &str>(())
        });
        assert_eq!(c.start(), Ok(Step::Yielded(())));
        assert_eq!(c.throw("no"), Ok(Step::Returned(Err("no"))));
        assert_eq!(c.send(()), Err(CoroutineError::Finished));
    }

    #[test]
    fn close_drops_what_the_body_holds_and_no_more_of_it_runs() {
        let (held, ran_on) = (Rc::new(()), Cell::new(false));
        let mut c = Coroutine::new(|mut co: Yielder<(), (), Infallible>| {
            let (held, ran_on) = (Rc::clone(&held), &ran_on);
            async move {
                let Ok(()) = co.suspend(()).await;
                ran_on.set(true);
                drop(held);
            }
        });
        assert_eq!(c.start(), Ok(Step::Yielded(())));
        assert_eq!(Rc::strong_count(&held), 2);
        c.close();
        assert_eq!(Rc::strong_count(&held), 1);
        c.close();
        drop(c);
        assert!(!ran_on.get());
    }

    #[test]
    fn a_panic_reaches_the_caller_and_finishes_it() {
        let mut c = Coroutine::new(|mut co: Yielder<(), (), Infallible>| async move {
            let Ok(()) = co.suspend(()).await;
            panic!("on purpose");
        });
        assert_eq!(c.start(), Ok(Step::<_, ()>::Yielded(())));
        assert!(catch_unwind(AssertUnwindSafe(|| c.send(()))).is_err());
        assert_eq!(c.send(()), Err(CoroutineError::Finished));
    }

    #[test]
    fn what_needs_an_executor_is_refused() {
        let mut c = Coroutine::new(|_: Yielder<(), (), Infallible>| pending::<()>());
        assert_eq!(c.start(), Err(CoroutineError::Foreign));
        assert_eq!(c.start(), Err(CoroutineError::Finished));
    }

    #[test]
    fn an_abandoned_suspend_leaves_nothing_to_the_next() {
        let mut c = Coroutine::new(|mut co: Yielder<u32, u32, Infallible>| async move {
            // Waits once and is dropped then, as the loser of a `select`.
            let mut loser = Box::pin(co.suspend(1));
            let mut polls = 0;
            poll_fn(|context| {
                polls += 1;
                if polls == 1 {
                    return loser.as_mut().poll(context).map(|_| ());
                }
                Poll::Ready(())
            })
            .await;
            drop(loser);
            let Ok(n) = co.suspend(2).await;
            n
        });
        assert_eq!(c.start(), Ok(Step::Yielded(1)));
        assert_eq!(c.send(3), Ok(Step::Yielded(2)));
        assert_eq!(c.send(4), Ok(Step::Returned(4)));
    }
}
