//! Context variables: values that belong to whoever runs, a thread, a task or one call, without being handed on.
//!
//! Python:  the module `contextvars`; `in_context` is what `asyncio.create_task` does
//! Differs: `get` returns a clone. A task gets a context of its own where it is wrapped: `tokio::spawn(in_context(f))`;
//!          work for another thread: `let context = copy_context();` and there `context.run(f)`, as `asyncio.to_thread`.
//! Blocks:  nothing; each lock is held for one look at a map, never while code of yours runs.
//! Panics:  one in `run` or in a task goes on, and the context of before is restored.
//! Threads: each begins with an empty context. All types here can be sent and shared; a context runs once at a time. A task
//!          that is not wrapped has the context of whatever thread polls it: what it sets there, others see.
//!          In destructors that run when a thread has lost its thread-locals, every variable is as if it were not set.
//! Cost:    `get` is a look into an array of this thread, without a lock or an atomic operation, and a clone. A copy is one
//!          reference count and an allocation, whatever the number of variables; the first `set` after it copies the
//!          array, a pointer for each. A task: two allocations, and one for each poll.
//!
//! ```cargo
//! [dependencies]
//! ```

use std::any::Any;
use std::cell::RefCell;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{self, Poll};
use std::{error, fmt, mem};

type Value = Arc<dyn Any + Send + Sync>;

/// The values, each at the number of its variable.
type Values = Vec<Option<Value>>;

/// A variable that may have another value in each context. Usually a `static`.
pub struct ContextVar<T> {
    name: &'static str,
    default: Option<T>,
    id: OnceLock<usize>,
}

/// What all variables are: a copy made by `copy_context`, or an empty one by `default`.
#[derive(Default)]
pub struct Context(Arc<Variables>);

#[derive(Default)]
struct Variables {
    /// Copies share the values until one of them changes them.
    values: Mutex<Arc<Values>>,
    entered: AtomicBool,
}

/// What a `set` has replaced, so that `reset` can bring it back, once.
pub struct Token<T> {
    id: usize,
    name: &'static str,
    old: Option<Value>,
    used: bool,
    context: Weak<Variables>,
    var: PhantomData<fn(T)>,
}

/// A context variable that is not set and has no default; Python's `LookupError`.
#[derive(Debug, PartialEq, Eq)]
pub struct NotSet(&'static str);

/// Why a variable was not reset. The token is as before.
#[derive(Debug, PartialEq, Eq)]
pub enum ResetError {
    /// Python's `RuntimeError`.
    Used { var: &'static str },
    /// Python's `ValueError`.
    OtherVar {
        var: &'static str,
        token_of: &'static str,
    },
    /// Python's `ValueError`.
    OtherContext { var: &'static str },
}

/// The context runs already, further up or on another thread; Python's `RuntimeError`.
#[derive(Debug, PartialEq, Eq)]
pub struct AlreadyEntered;

/// The context of a thread.
#[derive(Clone, Default)]
struct Current {
    variables: Arc<Variables>,
    /// What is in there, to be read without the lock: while a context is this thread's, no other thread changes it.
    /// Nothing as long as it is empty, or is being changed.
    values: Option<Arc<Values>>,
}

thread_local! {
    /// Nothing as long as nothing was set. Whoever looks takes a reference along, so that nothing is borrowed while code of
    /// yours runs.
    static CURRENT: RefCell<Option<Rc<Current>>> = const { RefCell::new(None) };
}

fn current() -> Option<Rc<Current>> {
    CURRENT
        .try_with(|current| current.borrow().clone())
        .unwrap_or_default()
}

/// Changes a value in the current context, and returns the context and what the value was.
fn change(id: usize, value: Option<Value>) -> (Weak<Variables>, Option<Value>) {
    let change = |current: &RefCell<Option<Rc<Current>>>| {
        let mut current = current.borrow_mut();
        let current = Rc::make_mut(current.get_or_insert_default());
        // With a second reference to it, the array would be copied.
        current.values = None;
        let mut values = current.variables.lock();
        let all = Arc::make_mut(&mut values);
        if all.len() <= id {
            all.resize(id + 1, None);
        }
        let old = mem::replace(&mut all[id], value);
        current.values = Some(Arc::clone(&values));
        (Arc::downgrade(&current.variables), old)
    };
    CURRENT.try_with(change).unwrap_or_default()
}

/// A copy of the current context: what is set in one of the two is not seen in the other.
pub fn copy_context() -> Context {
    let values = current().and_then(|current| current.values.clone());
    Context::with(values.unwrap_or_default())
}

/// Gives `future` a context of its own: a copy of the current one, made now. It is the current one whenever the future is
/// polled, on whatever thread, and when it is dropped, so that the cleanup of a cancelled task finds its values. Polled
/// after its end, it is never ready.
pub fn in_context<F: Future>(future: F) -> InContext<F> {
    InContext {
        future: Some(Box::pin(future)),
        context: copy_context(),
    }
}

impl<T: Clone + Send + Sync + 'static> ContextVar<T> {
    pub const fn new(name: &'static str) -> Self {
        ContextVar {
            name,
            default: None,
            id: OnceLock::new(),
        }
    }

    /// `get` returns `default` where the variable is not set.
    pub const fn with_default(name: &'static str, default: T) -> Self {
        ContextVar {
            name,
            default: Some(default),
            id: OnceLock::new(),
        }
    }

    /// The value in the current context, or else the default.
    pub fn get(&self) -> Result<T, NotSet> {
        let current = current();
        let values = current.as_ref().and_then(|now| now.values.as_ref());
        let value = values.and_then(|values| self.find(values));
        let value = value.or(self.default.as_ref());
        value.cloned().ok_or(NotSet(self.name))
    }

    /// Sets it in the current context.
    pub fn set(&self, value: T) -> Token<T> {
        let (context, old) = change(self.id(), Some(Arc::new(value)));
        Token {
            id: self.id(),
            name: self.name,
            old,
            used: false,
            context,
            var: PhantomData,
        }
    }

    /// Brings back what it was before the `set` that made the token, be it nothing.
    pub fn reset(&self, token: &mut Token<T>) -> Result<(), ResetError> {
        let var = self.name;
        if token.used {
            return Err(ResetError::Used { var });
        }
        if token.id != self.id() {
            let token_of = token.name;
            return Err(ResetError::OtherVar { var, token_of });
        }
        let here = |now: Rc<Current>| token.context.as_ptr() == Arc::as_ptr(&now.variables);
        if !current().is_some_and(here) {
            return Err(ResetError::OtherContext { var });
        }
        token.used = true;
        change(self.id(), token.old.take());
        Ok(())
    }

    /// Given at the first use, so that a `static` can be made when the program is compiled.
    fn id(&self) -> usize {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        *(self.id).get_or_init(|| NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl<T: 'static> ContextVar<T> {
    fn find<'v>(&self, values: &'v Values) -> Option<&'v T> {
        values.get(*self.id.get()?)?.as_ref()?.downcast_ref()
    }
}

impl Context {
    /// Calls `f` with this as the current context: what it sets stays in it.
    pub fn run<R>(&self, f: impl FnOnce() -> R) -> Result<R, AlreadyEntered> {
        if self.0.entered.swap(true, Ordering::Acquire) {
            return Err(AlreadyEntered);
        }
        let _leave = Leave(&self.0.entered);
        let _restore = Restore::enter(&self.0);
        Ok(f())
    }

    /// What the variable is set to in this context: `ctx[var]`. The default is not asked for.
    pub fn get<T: Clone + 'static>(&self, var: &ContextVar<T>) -> Option<T> {
        let values = Arc::clone(&self.0.lock());
        var.find(&values).cloned()
    }

    pub fn copy(&self) -> Context {
        let values = Arc::clone(&self.0.lock());
        Context::with(values)
    }

    fn with(values: Arc<Values>) -> Context {
        Context(Arc::new(Variables {
            values: Mutex::new(values),
            entered: AtomicBool::new(false),
        }))
    }
}

impl Variables {
    /// Nothing that is dropped under the lock is a value of yours, whose destructor might come back here.
    fn lock(&self) -> MutexGuard<'_, Arc<Values>> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has the thread go back to its context of before, also by a panic.
struct Restore(Option<Rc<Current>>);

impl Restore {
    fn enter(variables: &Arc<Variables>) -> Self {
        let current = Current {
            variables: Arc::clone(variables),
            values: Some(Arc::clone(&variables.lock())),
        };
        Restore(exchange(Some(Rc::new(current))))
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        exchange(self.0.take());
    }
}

fn exchange(other: Option<Rc<Current>>) -> Option<Rc<Current>> {
    CURRENT
        .try_with(|current| current.replace(other))
        .unwrap_or_default()
}

struct Leave<'a>(&'a AtomicBool);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// A future with a context of its own, made by `in_context`.
pub struct InContext<F: Future> {
    /// Nothing once it has finished.
    future: Option<Pin<Box<F>>>,
    /// Nobody else has it, so it is never entered twice.
    context: Context,
}

impl<F: Future> Future for InContext<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, waker: &mut task::Context) -> Poll<F::Output> {
        let this = &mut *self;
        let Some(future) = &mut this.future else {
            return Poll::Pending;
        };
        let _restore = Restore::enter(&this.context.0);
        let result = future.as_mut().poll(waker);
        if result.is_ready() {
            this.future = None;
        }
        result
    }
}

impl<F: Future> Drop for InContext<F> {
    fn drop(&mut self) {
        let _restore = Restore::enter(&self.context.0);
        self.future = None;
    }
}

impl fmt::Display for NotSet {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "the context variable {} is not set", self.0)
    }
}

impl fmt::Display for ResetError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            ResetError::Used { var } => {
                write!(f, "cannot reset {var}: the token has been used already")
            }
            ResetError::OtherVar { var, token_of } => {
                write!(
                    f,
                    "cannot reset {var}: the token was made by another variable, {token_of}"
                )
            }
            ResetError::OtherContext { var } => {
                write!(
                    f,
                    "cannot reset {var}: the token was made in another context"
                )
            }
        }
    }
}

impl fmt::Display for AlreadyEntered {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("cannot enter the context: it runs already")
    }
}

impl error::Error for NotSet {}
impl error::Error for ResetError {}
impl error::Error for AlreadyEntered {}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::AtomicUsize;
    use std::thread;

    use tokio::task::{JoinSet, yield_now};

    use super::*;

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
        assert_eq!(a.get(), Err(NotSet("a")));
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
                assert_eq!(var.get(), Err(NotSet("var")));
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

    /// Looks at a variable when it is cloned and dropped, in the context and at the end of a thread.
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

    /// Counts the tasks whose cleanup found another's value, or none.
    struct Cleanup<'a>(usize, &'a AtomicUsize, &'a AtomicUsize);

    impl Drop for Cleanup<'_> {
        fn drop(&mut self) {
            self.1.fetch_add(1, Ordering::Relaxed);
            if NUMBER.get() != Ok(self.0) {
                self.2.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Of a thousand tasks on four threads a third is cancelled, some panic, and all others go on to the end.
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
        // 334 are divisible by 3; of the 100 that end in 1, 33 are as well, and never come to their panic.
        assert_eq!((cancelled, panicked), (334, 67));
        assert_eq!(DONE.load(Ordering::Relaxed), 1000);
        assert_eq!(WRONG.load(Ordering::Relaxed), 0);
        assert_eq!(NUMBER.get(), Ok(1_000_000));
        // The worker threads are as they were, too.
        for _ in 0..100 {
            let untouched = tokio::spawn(async { NUMBER.get() }).await.unwrap();
            assert_eq!(untouched, Err(NotSet("number")));
        }
    }
}
