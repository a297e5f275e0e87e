//! The promises of the crate: values, copies, tokens, panics, destructors, and a thousand tasks.

#![allow(clippy::unwrap_used)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use contextvars::{
    AlreadyEntered, Context, ContextVar, NotSet, ResetError, copy_context, in_context,
};
use tokio::task::{JoinSet, yield_now};

#[test]
fn a_default_or_an_error_that_names_the_variable() {
    static EMPTY: ContextVar<u32> = ContextVar::new("empty");
    static FULL: ContextVar<u32> = ContextVar::with_default("full", 7);
    assert_eq!(
        EMPTY.get().unwrap_err().to_string(),
        "the context variable empty is not set"
    );
    assert_eq!(FULL.get(), Ok(7));
    assert_eq!(copy_context().get(&FULL), None);
}

#[test]
fn reset_brings_back_the_old_value_once_and_only_where_it_belongs() {
    let (a, b) = (ContextVar::new("a"), ContextVar::new("b"));
    let mut first = a.set(1);
    let mut second = a.set(2);
    let error = b.reset(&mut second).unwrap_err().to_string();
    assert_eq!(
        error,
        "cannot reset b: the token was made by another variable, a"
    );
    let error = copy_context().run(|| a.reset(&mut second)).unwrap();
    assert_eq!(error, Err(ResetError::OtherContext { var: "a" }));
    let error = thread::scope(|s| s.spawn(|| a.reset(&mut second)).join().unwrap());
    assert_eq!(error, Err(ResetError::OtherContext { var: "a" }));
    assert_eq!(a.get(), Ok(2));
    a.reset(&mut second).unwrap();
    assert_eq!(a.get(), Ok(1));
    let error = a.reset(&mut second).unwrap_err().to_string();
    assert_eq!(error, "cannot reset a: the token has been used already");
    a.reset(&mut first).unwrap();
    assert_eq!(a.get(), Err(NotSet { var: "a" }));
}

#[test]
fn a_context_runs_once_at_a_time() {
    let context = copy_context();
    let inner = context.run(|| {
        let elsewhere = thread::scope(|s| s.spawn(|| context.run(|| ())).join().unwrap());
        assert_eq!(elsewhere, Err(AlreadyEntered));
        context.run(|| ())
    });
    assert_eq!(inner, Ok(Err(AlreadyEntered)));
    assert_eq!(context.run(|| ()), Ok(()));
}

#[test]
fn copies_part_and_contexts_nest() {
    let var = ContextVar::new("var");
    var.set(1);
    let (a, b) = (copy_context(), Context::default());
    a.run(|| {
        var.set(2);
        b.run(|| {
            assert_eq!(var.get(), Err(NotSet { var: "var" }));
            var.set(3);
        })
        .unwrap();
        assert_eq!(var.get(), Ok(2));
    })
    .unwrap();
    assert_eq!(
        (var.get(), a.get(&var), b.get(&var)),
        (Ok(1), Some(2), Some(3))
    );
    assert_eq!(a.copy().get(&var), Some(2));
}

#[test]
fn a_panic_restores_the_context() {
    let var = ContextVar::new("var");
    var.set("outside");
    let context = copy_context();
    let panic = catch_unwind(AssertUnwindSafe(|| {
        context.run(|| {
            var.set("inside");
            panic!("on purpose")
        })
    }));
    assert!(panic.is_err());
    assert_eq!(var.get(), Ok("outside"));
    assert_eq!(context.run(|| var.get()), Ok(Ok("inside")));
}

/// Reads a variable when it is cloned and dropped, in the context and at the end of a thread.
#[derive(Clone)]
struct Nosy;

static NOSY: ContextVar<Nosy> = ContextVar::new("nosy");
static DROPPED: AtomicUsize = AtomicUsize::new(0);

impl Drop for Nosy {
    fn drop(&mut self) {
        copy_context().get(&NUMBER);
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_destructor_may_use_variables() {
    let use_it = || {
        let mut token = NOSY.set(Nosy);
        NOSY.set(Nosy);
        NOSY.reset(&mut token).unwrap();
        NOSY.set(Nosy);
    };
    thread::spawn(use_it).join().unwrap();
    assert_eq!(DROPPED.load(Ordering::Relaxed), 3);
}

static NUMBER: ContextVar<usize> = ContextVar::new("number");

/// Counts the tasks whose cleanup found another task's value, or no value.
struct Cleanup<'a>(usize, &'a AtomicUsize, &'a AtomicUsize);

impl Drop for Cleanup<'_> {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::Relaxed);
        if NUMBER.get() != Ok(self.0) {
            self.2.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Of a thousand tasks on four threads, a third is cancelled, some panic, and all others run to the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_tasks_see_only_their_own_values() {
    static BEGUN: AtomicUsize = AtomicUsize::new(0);
    static DONE: AtomicUsize = AtomicUsize::new(0);
    static WRONG: AtomicUsize = AtomicUsize::new(0);
    NUMBER.set(1_000_000);
    let mut tasks = JoinSet::new();
    let mut cancel = Vec::new();
    for n in 0..1000 {
        let task = in_context(async move {
            assert_eq!(NUMBER.get(), Ok(1_000_000));
            NUMBER.set(n);
            let _cleanup = Cleanup(n, &DONE, &WRONG);
            BEGUN.fetch_add(1, Ordering::Relaxed);
            for round in 0.. {
                yield_now().await;
                assert_eq!(NUMBER.get(), Ok(n));
                let child = in_context(async {
                    assert_eq!(NUMBER.get(), Ok(n));
                    NUMBER.set(n + 1);
                    yield_now().await;
                    NUMBER.get()
                });
                assert_eq!(child.await, Ok(n + 1));
                if n % 3 != 0 && round == 20 {
                    break;
                }
            }
            assert!(n % 10 != 1, "on purpose");
        });
        let handle = tasks.spawn(task);
        cancel.extend((n % 3 == 0).then_some(handle));
    }
    while BEGUN.load(Ordering::Relaxed) < 1000 {
        yield_now().await;
    }
    for handle in cancel {
        handle.abort();
    }
    let (mut cancelled, mut panicked) = (0, 0);
    while let Some(result) = tasks.join_next().await {
        if let Err(error) = result {
            cancelled += usize::from(error.is_cancelled());
            panicked += usize::from(error.is_panic());
        }
    }
    // 334 are divisible by 3; of the 100 that end in 1, 33 are too, and are cancelled before they panic.
    assert_eq!((cancelled, panicked), (334, 67));
    assert_eq!(DONE.load(Ordering::Relaxed), 1000);
    assert_eq!(WRONG.load(Ordering::Relaxed), 0);
    assert_eq!(NUMBER.get(), Ok(1_000_000));
    // The worker threads' contexts are unchanged.
    for _ in 0..100 {
        let untouched = tokio::spawn(async { NUMBER.get() }).await.unwrap();
        assert_eq!(untouched, Err(NotSet { var: "number" }));
    }
}
