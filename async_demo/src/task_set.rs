//! `TaskSet`: tasks of which some are done and some pending; a wait for the first, the first that fails, or all.
//!
//! Python:  `asyncio.wait(aws, timeout=None, return_when=ALL_COMPLETED)` and its two sets
//! Differs: tasks have names here, as handles are neither copied nor compared. There is no time limit of its own: put
//!          the wait into `tokio::time::timeout`, and take what is done then.
//!
//! ```cargo
//! [dependencies]
//! tokio = { version = "1", features = ["rt"] }
//! ```

use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::task::{JoinError, JoinHandle};

/// When a wait ends. Any of them ends when no task is pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReturnWhen {
    /// A task is done, however it ended.
    FirstCompleted,
    /// A task returned an error or panicked. One that was cancelled is no failure, as with Python.
    FirstException,
    AllCompleted,
}

/// A task that is done: its name; and what it returned, or that it panicked or was cancelled.
pub type Done<K, T, E> = (K, Result<Result<T, E>, JoinError>);

/// Named tasks, done and pending.
///
/// Dropping it cancels nothing: the tasks run on, and their results are lost. (A `JoinSet` cancels.)
///
/// Cost: no system call. A wait looks at every pending task each time when one has ended, so a set of n tasks takes n²
/// looks in all: for thousands of them, and where the names are not wanted, take a `JoinSet`.
#[derive(Debug)]
pub struct TaskSet<K, T, E> {
    pending: Vec<(K, JoinHandle<Result<T, E>>)>,
    done: Vec<Done<K, T, E>>,
}

impl<K, T, E> TaskSet<K, T, E> {
    pub fn new() -> TaskSet<K, T, E> {
        TaskSet {
            pending: Vec::new(),
            done: Vec::new(),
        }
    }

    /// Adds a task, which is pending until a wait has seen its end. Names may repeat.
    pub fn insert(&mut self, name: K, task: JoinHandle<Result<T, E>>) {
        self.pending.push((name, task));
    }

    /// Waits, and takes out the tasks that are done: at least one that ends the wait, and all that had ended by then,
    /// in the order in which they were added if one look found several. With no task pending it returns at once.
    ///
    /// Dropped at its await it loses nothing: what it has seen is kept for the next wait or [`TaskSet::take_done`].
    pub async fn wait(&mut self, return_when: ReturnWhen) -> Vec<Done<K, T, E>> {
        poll_fn(|context| self.poll_wait(return_when, context)).await
    }

    fn poll_wait(
        &mut self,
        return_when: ReturnWhen,
        context: &mut Context<'_>,
    ) -> Poll<Vec<Done<K, T, E>>> {
        for (name, mut task) in mem::take(&mut self.pending) {
            match Pin::new(&mut task).poll(context) {
                Poll::Pending => self.pending.push((name, task)),
                Poll::Ready(result) => self.done.push((name, result)),
            }
        }
        let failed = |(_, result): &Done<K, T, E>| match result {
            Ok(returned) => returned.is_err(),
            Err(error) => error.is_panic(),
        };
        let enough = match return_when {
            ReturnWhen::FirstCompleted => !self.done.is_empty(),
            ReturnWhen::FirstException => self.done.iter().any(failed),
            ReturnWhen::AllCompleted => false,
        };
        if enough || self.pending.is_empty() {
            return Poll::Ready(self.take_done());
        }
        Poll::Pending
    }

    /// Takes out the tasks that a wait has seen ending, and that no wait has returned, because it was dropped before.
    pub fn take_done(&mut self) -> Vec<Done<K, T, E>> {
        mem::take(&mut self.done)
    }

    /// The names of the tasks that are pending, in the order in which they were added.
    pub fn pending(&self) -> impl Iterator<Item = &K> {
        self.pending.iter().map(|(name, _)| name)
    }

    /// Cancels what is pending. Wait for all of it: a task ends at its next await, not at once.
    pub fn abort_all(&self) {
        for (_, task) in &self.pending {
            task.abort();
        }
    }
}

impl<K, T, E> Default for TaskSet<K, T, E> {
    fn default() -> TaskSet<K, T, E> {
        TaskSet::new()
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::panic;
    use std::time::Duration;

    use tokio::sync::oneshot;
    use tokio::time::timeout;

    use super::*;

    type Set = TaskSet<u32, u32, String>;

    fn names(done: Vec<Done<u32, u32, String>>) -> Vec<u32> {
        done.into_iter().map(|(name, _)| name).collect()
    }

    #[tokio::test]
    async fn an_empty_set_is_complete() {
        let mut tasks = Set::new();
        for when in [
            ReturnWhen::FirstCompleted,
            ReturnWhen::FirstException,
            ReturnWhen::AllCompleted,
        ] {
            assert!(tasks.wait(when).await.is_empty());
        }
    }

    #[tokio::test]
    async fn each_condition_ends_its_wait() {
        let mut tasks = Set::new();
        let mut ends = Vec::new();
        for name in 0..4 {
            let (set_end, end) = oneshot::channel::<Result<u32, String>>();
            ends.push(set_end);
            tasks.insert(name, tokio::spawn(async { end.await.unwrap() }));
        }
        let mut ends = ends.into_iter();
        ends.next().unwrap().send(Ok(7)).unwrap();
        let done = tasks.wait(ReturnWhen::FirstCompleted).await;
        assert!(matches!(done[..], [(0, Ok(Ok(7)))]));
        ends.next().unwrap().send(Ok(8)).unwrap();
        let wait = tasks.wait(ReturnWhen::FirstException);
        assert!(timeout(Duration::from_millis(20), wait).await.is_err());
        ends.next().unwrap().send(Err("failed".to_owned())).unwrap();
        // What the dropped wait has seen is returned by the next one.
        assert_eq!(names(tasks.wait(ReturnWhen::FirstException).await), [1, 2]);
        assert_eq!(tasks.pending().collect::<Vec<_>>(), [&3]);
        ends.next().unwrap().send(Ok(9)).unwrap();
        assert_eq!(names(tasks.wait(ReturnWhen::AllCompleted).await), [3]);
        assert_eq!(tasks.pending().count(), 0);
    }

    #[tokio::test]
    async fn a_panic_is_a_failure_and_a_cancelled_task_is_none() {
        let mut tasks = Set::new();
        tasks.insert(0, tokio::spawn(pending()));
        tasks.abort_all();
        tasks.insert(1, tokio::spawn(pending()));
        let wait = tasks.wait(ReturnWhen::FirstException);
        assert!(timeout(Duration::from_millis(20), wait).await.is_err());
        let done = tasks.take_done();
        assert!(matches!(&done[..], [(0, Err(error))] if error.is_cancelled()));
        let panics = async { panic::resume_unwind(Box::new("failed")) };
        tasks.insert(2, tokio::spawn(panics));
        let done = tasks.wait(ReturnWhen::FirstException).await;
        assert!(matches!(&done[..], [(2, Err(error))] if error.is_panic()));
        tasks.abort_all();
        assert_eq!(names(tasks.wait(ReturnWhen::AllCompleted).await), [1]);
    }

    /// More tasks than tokio lets one poll look at.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn none_of_a_thousand_is_lost() {
        let mut tasks = Set::new();
        for name in 0..1000 {
            tasks.insert(name, tokio::spawn(async move { Ok(name) }));
        }
        let mut all = Vec::new();
        while tasks.pending().next().is_some() {
            all.extend(names(tasks.wait(ReturnWhen::FirstCompleted).await));
        }
        all.sort_unstable();
        assert_eq!(all, (0..1000).collect::<Vec<_>>());
    }
}
