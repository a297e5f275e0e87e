//! Tasks of the `EventLoop`: a task is a callback that polls a future; its waker queues it again, from any thread.
//!
//! Python:  `loop.create_task`, `asyncio.Task`, `asyncio.sleep`, `loop.run_until_complete`
//! Differs: awaiting a task gives `None` if it was cancelled or has panicked. Dropping the handle lets the task run
//!          on, and the loop keeps it alive; asyncio's loop forgets a task that nobody holds.
//! Cancel:  drops the future at once: it ends where it awaits, and its destructors run; it cannot refuse.
//! Cost:    a task is one allocation with the future and its result in it; its waker is used again by the next task.
//! Needs:   handle.rs, remote.rs, runtime.rs
//!
//! ```cargo
//! [dependencies]
//! ```

use std::any::type_name;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::mem::replace;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::handle::{Callback, Handle};
use crate::remote::{Remote, Running};
use crate::runtime::{EventLoop, LoopError, Result};

/// All tasks of a loop, under the numbers by which wakers know them.
#[derive(Default)]
pub struct Tasks {
    slots: Vec<Option<Rc<dyn Callback>>>,
    free: Vec<(usize, Waker)>,
}

impl Tasks {
    pub fn all(self) -> impl Iterator<Item = Rc<dyn Callback>> {
        self.slots.into_iter().flatten()
    }
}

/// A task that was started.
pub struct Task<T> {
    event_loop: EventLoop,
    run: Rc<dyn Join<T>>,
}

/// What the queue holds, and the handle shares.
struct Run<F: Future> {
    key: usize,
    /// It goes back when the task is over.
    waker: RefCell<Waker>,
    queued: Cell<bool>,
    /// `None` when the task is over.
    future: RefCell<Option<F>>,
    result: Cell<Option<F::Output>>,
    waiter: Cell<Option<Waker>>,
}

impl<F: Future> Callback for Run<F> {
    fn call(&self, event_loop: &EventLoop) {
        self.queued.set(false);
        let mut slot = self.future.borrow_mut();
        let Some(future) = &mut *slot else {
            return; // It was cancelled after it had been woken.
        };
        // SAFETY: a future that has been polled is never moved: nothing takes it out of this allocation, which is
        // shared and so stays where it is; it is dropped in place.
        let future = unsafe { Pin::new_unchecked(future) };
        let waker = self.waker.borrow();
        if let Poll::Ready(result) = future.poll(&mut Context::from_waker(&waker)) {
            drop((slot, waker));
            self.result.set(Some(result));
            self.cancel(event_loop);
        }
    }

    fn cancel(&self, event_loop: &EventLoop) -> bool {
        let slot = self.future.try_borrow_mut();
        let Some(mut slot) = slot.ok().filter(|slot| slot.is_some()) else {
            return false; // It is over, or is being polled.
        };
        let over = Over(self, event_loop); // Also if a destructor in the future panics.
        *slot = None;
        drop((slot, over));
        true
    }

    fn name(&self) -> &'static str {
        type_name::<F>()
    }

    fn enqueue(&self) -> bool {
        !self.queued.replace(true)
    }
}

/// The end of a task: its key is free, and who waits for it is woken.
struct Over<'a, F: Future>(&'a Run<F>, &'a EventLoop);

impl<F: Future> Drop for Over<'_, F> {
    fn drop(&mut self) {
        let Over(run, event_loop) = self;
        let waker = run.waker.replace(Waker::noop().clone());
        event_loop.forget(run.key, waker);
        if let Some(waiter) = run.waiter.take() {
            waiter.wake();
        }
    }
}

trait Join<T>: Callback {
    fn poll_result(&self, context: &mut Context) -> Poll<Option<T>>;
    fn done(&self) -> bool;
}

impl<F: Future> Join<F::Output> for Run<F> {
    fn poll_result(&self, context: &mut Context) -> Poll<Option<F::Output>> {
        if self.done() {
            return Poll::Ready(self.result.take());
        }
        self.waiter.set(Some(context.waker().clone()));
        Poll::Pending
    }

    fn done(&self) -> bool {
        let slot = self.future.try_borrow();
        slot.is_ok_and(|slot| slot.is_none())
    }
}

impl<T> Task<T> {
    /// `false` if it is over, or would cancel itself.
    pub fn cancel(&self) -> bool {
        self.run.cancel(&self.event_loop)
    }

    pub fn done(&self) -> bool {
        self.run.done()
    }
}

impl<T> Future for Task<T> {
    type Output = Option<T>;

    /// Nothing is lost when it is dropped: the task runs on.
    fn poll(self: Pin<&mut Self>, context: &mut Context) -> Poll<Option<T>> {
        self.run.poll_result(context)
    }
}

impl EventLoop {
    /// Has the future run as a task, beginning in the next round.
    pub fn create_task<F: Future + 'static>(&self, future: F) -> Result<Task<F::Output>> {
        self.check_open()?;
        let (key, waker) = self.waker();
        let run = Rc::new(Run {
            key,
            waker: RefCell::new(waker),
            queued: Cell::new(true),
            future: RefCell::new(Some(future)),
            result: Cell::new(None),
            waiter: Cell::new(None),
        });
        self.tasks().slots[key] = Some(Rc::clone(&run) as Rc<dyn Callback>);
        self.queue(Rc::clone(&run) as Rc<dyn Callback>);
        let event_loop = self.clone();
        Ok(Task { event_loop, run })
    }

    /// A free key and its waker. A waker that outlives its task may wake the next one, for nothing: futures bear that.
    fn waker(&self) -> (usize, Waker) {
        let mut tasks = self.tasks();
        tasks.free.pop().unwrap_or_else(|| {
            let (key, remote) = (tasks.slots.len(), self.remote().clone());
            tasks.slots.push(None);
            (key, Waker::from(Arc::new(TaskWaker { key, remote })))
        })
    }

    fn wake(&self, key: usize) {
        if let Some(Some(task)) = self.tasks().slots.get(key)
            && task.enqueue()
        {
            self.queue(Rc::clone(task));
        }
    }

    fn forget(&self, key: usize, waker: Waker) {
        let mut tasks = self.tasks();
        if let Some(slot) = tasks.slots.get_mut(key) {
            slot.take(); // The caller has it still, so that nothing is dropped here.
            tasks.free.push((key, waker));
        }
    }

    /// Waits, in a task. Zero lets all others run that are ready. Dropping it takes its timer back.
    pub async fn sleep(&self, delay: Duration) {
        if delay.is_zero() {
            return Yield(false).await;
        }
        let (until, mut alarm) = (self.after(delay), Alarm(None));
        let wait = poll_fn(|context| {
            if self.time() >= until {
                return Poll::Ready(());
            }
            let waker = context.waker().clone();
            alarm = Alarm(self.call_at(until, |_| waker.wake()).ok());
            Poll::Pending
        });
        wait.await;
    }

    /// Runs until the future has returned, and with it all else that is ready. If the loop is stopped before, the task
    /// goes on when the loop runs again.
    pub fn run_until_complete<F: Future + 'static>(&self, future: F) -> Result<F::Output> {
        drop(Running::begin(self)?); // Nothing is begun that cannot be run.
        let (task, event_loop) = (self.create_task(future)?, self.clone());
        let waiter = self.create_task(async move {
            Yield(false).await; // The end of the task is seen in the next round, as it is later on.
            let result = task.await;
            event_loop.stop();
            result
        })?;
        let waiter = CancelOnDrop(waiter);
        self.run_forever()?;
        let run = &waiter.0.run;
        match run.poll_result(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(Some(result))) => Ok(result),
            _ => Err(LoopError::Incomplete),
        }
    }
}

/// A waiter that is left behind would stop a later run.
struct CancelOnDrop<T>(Task<T>);

impl<T> Drop for CancelOnDrop<T> {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Wakes a task from any thread: in the loop's own it goes straight to the queue, from elsewhere by mail.
struct TaskWaker {
    key: usize,
    remote: Remote,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let key = self.key;
        if self
            .remote
            .here(|event_loop| event_loop.wake(key))
            .is_none()
        {
            // A closed loop refuses it, and has no tasks.
            self.remote
                .send(move |event_loop| event_loop.wake(key))
                .ok();
        }
    }
}

/// Comes back once, behind all that is ready.
struct Yield(bool);

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<()> {
        if replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// The timer of a `sleep`.
struct Alarm(Option<Handle>);

impl Drop for Alarm {
    fn drop(&mut self) {
        if let Some(timer) = &self.0 {
            timer.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::resume_unwind;
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    const SHORT: Duration = Duration::from_millis(5);

    /// Counts how often it is dropped.
    struct Drops(Rc<Cell<u32>>);

    impl Drop for Drops {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }

    #[test]
    fn tasks_take_turns_and_return_values() {
        let (event_loop, log) = (EventLoop::new(), Rc::new(RefCell::new(Vec::new())));
        let e = event_loop.clone();
        let write = Rc::clone(&log);
        let sum = event_loop.run_until_complete(async move {
            let mut tasks = Vec::new();
            for number in 0..3 {
                let (e, log) = (e.clone(), Rc::clone(&write));
                tasks.push(e.clone().create_task(async move {
                    for round in 0..2 {
                        log.borrow_mut().push((round, number));
                        e.sleep(Duration::ZERO).await;
                    }
                    number
                }));
            }
            let mut sum = 0;
            for task in tasks {
                sum += task.unwrap().await.unwrap();
            }
            sum
        });
        assert_eq!(sum, Ok(3));
        let turns = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)];
        assert_eq!(*log.borrow(), turns);
    }

    #[test]
    fn sleep_sleeps_and_a_dropped_one_takes_its_timer_back() {
        let event_loop = EventLoop::new();
        let e = event_loop.clone();
        let begun = event_loop.time();
        let long = event_loop.create_task({
            let e = e.clone();
            async move { e.sleep(Duration::MAX).await }
        });
        let cancelled = event_loop.run_until_complete(async move {
            e.sleep(SHORT).await;
            let task = long.unwrap();
            let cancelled = task.cancel() && !task.cancel();
            (cancelled, task.await)
        });
        assert_eq!(cancelled, Ok((true, None)));
        assert!(begun.elapsed() >= SHORT);
    }

    /// Panics when it is dropped.
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            resume_unwind(Box::new("on purpose"));
        }
    }

    #[test]
    fn a_destructor_that_panics_leaves_nobody_waiting_and_nothing_behind() {
        let event_loop = EventLoop::new();
        event_loop.set_exception_handler(|_, _, _| ());
        let endless = async {
            let _bomb = Bomb;
            std::future::pending::<()>().await;
        };
        let task = event_loop.create_task(endless).unwrap();
        let e = event_loop.clone();
        let waited = event_loop.run_until_complete(async move {
            e.sleep(Duration::ZERO).await;
            let cancelled = std::panic::AssertUnwindSafe(|| task.cancel());
            assert!(std::panic::catch_unwind(cancelled).is_err());
            task.await
        });
        assert_eq!(waited, Ok(None));

        let drops = Rc::new(Cell::new(0));
        for bomb in [true, false, true] {
            let held = Drops(Rc::clone(&drops));
            let endless = async move {
                let _held = held;
                let _bomb = bomb.then_some(Bomb);
                std::future::pending::<()>().await;
            };
            event_loop.create_task(endless).unwrap();
        }
        event_loop.run_until_complete(async {}).unwrap();
        event_loop.close().unwrap();
        assert_eq!(drops.get(), 3);
    }

    #[test]
    fn a_waker_works_from_another_thread() {
        let event_loop = EventLoop::new();
        let (sender, wakers) = mpsc::channel::<Waker>();
        let thread = thread::spawn(move || {
            for waker in wakers {
                thread::sleep(SHORT / 5); // The loop sleeps meanwhile.
                waker.wake();
            }
        });
        let woken = event_loop.run_until_complete(async move {
            for _ in 0..20 {
                let mut sent = false;
                poll_fn(|context| {
                    if replace(&mut sent, true) {
                        return Poll::Ready(());
                    }
                    sender.send(context.waker().clone()).unwrap();
                    Poll::Pending
                })
                .await;
            }
        });
        assert_eq!(woken, Ok(()));
        thread.join().unwrap();
    }

    #[test]
    fn a_task_that_panics_gives_none_and_its_slot_is_used_again() {
        let event_loop = EventLoop::new();
        let drops = Rc::new(Cell::new(0));
        event_loop.set_exception_handler(|_, name, _| assert!(name.contains("fails"), "{name}"));
        for round in 1..=3 {
            let task = event_loop
                .create_task(fails(Drops(Rc::clone(&drops))))
                .unwrap();
            assert_eq!(event_loop.run_until_complete(task), Ok(None));
            assert_eq!(drops.get(), round);
        }
        let panics = event_loop.run_until_complete(fails(Drops(Rc::clone(&drops))));
        assert_eq!(panics, Err(LoopError::Incomplete));
        assert!(event_loop.tasks().slots.len() <= 3);
        assert!(event_loop.tasks().slots.iter().all(Option::is_none));
    }

    async fn fails(_drops: Drops) -> u32 {
        resume_unwind(Box::new("on purpose"))
    }

    #[test]
    fn a_late_waker_does_no_harm_to_the_next_task() {
        let event_loop = EventLoop::new();
        let mut late =
            event_loop.run_until_complete(poll_fn(|context| Poll::Ready(context.waker().clone())));
        let e = event_loop.clone();
        let answer = event_loop.run_until_complete(async move {
            late.as_mut().unwrap().wake_by_ref();
            e.sleep(SHORT).await;
            late.unwrap().wake();
            7
        });
        assert_eq!(answer, Ok(7));
    }

    #[test]
    fn a_task_cannot_cancel_itself_while_it_runs() {
        let event_loop = EventLoop::new();
        let own = Rc::new(Cell::new(None::<Task<bool>>));
        let slot = Rc::clone(&own);
        let task =
            event_loop.create_task(async move { slot.take().is_some_and(|own| own.cancel()) });
        own.set(task.ok());
        event_loop.stop();
        event_loop.run_forever().unwrap();
        assert!(event_loop.tasks().slots.iter().all(Option::is_none));
    }

    #[test]
    fn stopped_before_it_is_complete_and_then_run_on() {
        let event_loop = EventLoop::new();
        let (e, drops) = (event_loop.clone(), Rc::new(Cell::new(0)));
        let drop = Drops(Rc::clone(&drops));
        event_loop.call_soon(EventLoop::stop).unwrap();
        let stopped = event_loop.run_until_complete(async move {
            e.sleep(SHORT).await;
            std::mem::drop(drop);
        });
        assert_eq!(stopped, Err(LoopError::Incomplete));
        assert_eq!(drops.get(), 0);
        event_loop.call_later(3 * SHORT, EventLoop::stop).unwrap();
        event_loop.run_forever().unwrap();
        assert_eq!(drops.get(), 1);
    }

    #[test]
    fn close_drops_the_futures_of_all_tasks_also_of_those_that_have_a_handle() {
        let event_loop = EventLoop::new();
        let (e, drops) = (event_loop.clone(), Rc::new(Cell::new(0)));
        let start = |event_loop: &EventLoop| {
            let (e, drop) = (e.clone(), Drops(Rc::clone(&drops)));
            let sleep = async move {
                e.sleep(Duration::MAX).await;
                std::mem::drop(drop);
            };
            event_loop.create_task(sleep).unwrap()
        };
        let held = start(&event_loop);
        start(&event_loop);
        event_loop.run_until_complete(async {}).unwrap();
        assert!(!held.done());
        event_loop.close().unwrap();
        assert_eq!(drops.get(), 2);
        assert!(held.done() && !held.cancel());
        assert_eq!(
            event_loop.create_task(async {}).err(),
            Some(LoopError::Closed)
        );
        assert_eq!(
            event_loop.run_until_complete(async {}),
            Err(LoopError::Closed)
        );
        drop(e);
        assert_eq!(Rc::strong_count(&drops), 1);
    }
}
