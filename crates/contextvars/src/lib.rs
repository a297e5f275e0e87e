//! Python's `contextvars`: values that belong to a task, a thread or one call.
//!
//! A [`ContextVar`] holds one value in each [`Context`]. Every thread has its own context, and [`in_context`] gives
//! one to a future, as `asyncio.create_task` does. So a function can read the address of its client, or the language of
//! its user, without taking it as an argument.
//!
//! ```
//! use contextvars::{ContextVar, in_context};
//! use tokio::task::JoinSet;
//!
//! static CLIENT: ContextVar<u32> = ContextVar::new("client");
//!
//! #[tokio::main]
//! async fn main() {
//!     let mut tasks = JoinSet::new();
//!     for client in 1..=3 {
//!         tasks.spawn(in_context(async move {
//!             CLIENT.set(client);
//!             tokio::task::yield_now().await; // Other tasks run meanwhile.
//!             (client, farewell())
//!         }));
//!     }
//!     while let Some(ended) = tasks.join_next().await {
//!         let (client, farewell) = ended.unwrap();
//!         assert_eq!(farewell, format!("Good bye, client {client}"));
//!     }
//! }
//!
//! fn farewell() -> String {
//!     CLIENT.get().map_or("nobody".to_owned(), |client| format!("Good bye, client {client}"))
//! }
//! ```
//!
//! # Python names
//!
//! | Python | here |
//! |---|---|
//! | `ContextVar('name')`, `ContextVar('name', default=1)` | [`ContextVar::new`], [`ContextVar::with_default`] |
//! | `var.get()`, `var.set(value)`, `var.reset(token)` | [`ContextVar::get`], [`ContextVar::set`], [`ContextVar::reset`] |
//! | `contextvars.copy_context()`, `ctx.copy()` | [`copy_context`], [`Context::copy`] |
//! | `ctx.run(f)`, `ctx[var]` | [`Context::run`], [`Context::get`] |
//! | `asyncio.create_task(coro)` | `tokio::spawn(in_context(future))` |
//! | `asyncio.to_thread(f)` | `let context = copy_context();`, and in the thread `context.run(f)` |
//! | `LookupError`, `ValueError`, `RuntimeError` | [`NotSet`], [`ResetError`], [`AlreadyEntered`] |
//!
//! # Differences
//!
//! - [`ContextVar::get`] returns a clone of the value.
//! - A task that is not wrapped in [`in_context`] uses the context of the thread that polls it. Other tasks on
//!   that thread see the values that it sets.
//! - A new thread begins with an empty context.
//!
//! Prefer a simpler tool where it is enough: an argument, or tokio's `task_local!` for a value that is set once at the
//! start of a future.
//!
//! # Cost
//!
//! [`ContextVar::get`] indexes an array of this thread and clones the value; it takes no lock. [`copy_context`] is one
//! allocation and one reference count, however many variables are set. The first `set` after it copies the array, one
//! pointer for each variable. [`in_context`] costs two allocations, and one more for each poll.
//!
//! No function blocks. No lock is held while the destructor or `clone` of a value runs, so both may use variables.

#![forbid(unsafe_code)]
#![warn(missing_docs, missing_debug_implementations)]

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

/// The values, each at the index of its variable.
type Values = Vec<Option<Value>>;

/// A variable that can have another value in each context. Usually a `static`.
///
/// # Examples
///
/// ```
/// use contextvars::{ContextVar, NotSet};
///
/// static LANGUAGE: ContextVar<&str> = ContextVar::with_default("language", "en");
/// static USER: ContextVar<String> = ContextVar::new("user");
///
/// assert_eq!(LANGUAGE.get(), Ok("en"));
/// assert_eq!(USER.get(), Err(NotSet { var: "user" }));
///
/// USER.set("Ada".to_owned());
/// assert_eq!(USER.get().as_deref(), Ok("Ada"));
/// ```
pub struct ContextVar<T> {
    name: &'static str,
    default: Option<T>,
    id: OnceLock<usize>,
}

/// The values of all variables, which can become a thread's current values for one call.
///
/// [`copy_context`] returns a copy of the current context, and `Context::default()` an empty one.
///
/// # Examples
///
/// ```
/// use contextvars::{ContextVar, copy_context};
///
/// static VAR: ContextVar<&str> = ContextVar::new("var");
///
/// VAR.set("spam");
/// let context = copy_context();
/// context.run(|| VAR.set("ham"))?;
/// assert_eq!(context.get(&VAR), Some("ham"));
/// assert_eq!(VAR.get(), Ok("spam"));
/// # Ok::<(), contextvars::AlreadyEntered>(())
/// ```
#[derive(Default)]
pub struct Context(Arc<Variables>);

#[derive(Default)]
struct Variables {
    /// Copies share the values until one of them changes a value.
    values: Mutex<Arc<Values>>,
    entered: AtomicBool,
}

/// The value that a `set` replaced, which [`ContextVar::reset`] restores once.
///
/// # Examples
///
/// ```
/// use contextvars::{ContextVar, ResetError};
///
/// static VAR: ContextVar<u32> = ContextVar::with_default("var", 0);
///
/// let mut token = VAR.set(1);
/// assert_eq!(VAR.get(), Ok(1));
/// VAR.reset(&mut token)?;
/// assert_eq!(VAR.get(), Ok(0));
/// assert_eq!(VAR.reset(&mut token), Err(ResetError::Used { var: "var" }));
/// # Ok::<(), ResetError>(())
/// ```
pub struct Token<T> {
    id: usize,
    name: &'static str,
    old: Option<Value>,
    used: bool,
    context: Weak<Variables>,
    var: PhantomData<fn(T)>,
}

/// The variable is not set and has no default; Python's `LookupError`.
///
/// # Examples
///
/// ```
/// use contextvars::ContextVar;
///
/// static VAR: ContextVar<u32> = ContextVar::new("var");
///
/// let error = VAR.get().unwrap_err();
/// assert_eq!(error.to_string(), "the context variable var is not set");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotSet {
    /// The name of the variable.
    pub var: &'static str,
}

/// The reason why a variable was not reset. The token stays usable.
///
/// # Examples
///
/// ```
/// use contextvars::{ContextVar, ResetError, copy_context};
///
/// static VAR: ContextVar<u32> = ContextVar::new("var");
///
/// let mut token = VAR.set(1);
/// let elsewhere = copy_context().run(|| VAR.reset(&mut token));
/// assert_eq!(elsewhere, Ok(Err(ResetError::OtherContext { var: "var" })));
/// VAR.reset(&mut token)?;
/// # Ok::<(), ResetError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResetError {
    /// The token has been used already; Python's `RuntimeError`.
    Used {
        /// The name of the variable.
        var: &'static str,
    },
    /// Another variable made the token; Python's `ValueError`.
    OtherVar {
        /// The name of the variable.
        var: &'static str,
        /// The name of the variable that made the token.
        token_of: &'static str,
    },
    /// The token was made in another context; Python's `ValueError`.
    OtherContext {
        /// The name of the variable.
        var: &'static str,
    },
}

/// The context is running already, in a caller or on another thread; Python's `RuntimeError`.
///
/// # Examples
///
/// ```
/// use contextvars::{AlreadyEntered, copy_context};
///
/// let context = copy_context();
/// assert_eq!(context.run(|| context.run(|| 1)), Ok(Err(AlreadyEntered)));
/// assert_eq!(context.run(|| 1), Ok(1));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlreadyEntered;

/// The context of a thread.
#[derive(Clone, Default)]
struct Current {
    variables: Arc<Variables>,
    /// The values in `variables`, to be read without the lock: while a context is this thread's, no other thread
    /// changes it. `None` while they are empty or being changed.
    values: Option<Arc<Values>>,
}

thread_local! {
    /// `None` until a variable is set. A reader clones the `Rc`, so that nothing is borrowed while a caller's code runs.
    static CURRENT: RefCell<Option<Rc<Current>>> = const { RefCell::new(None) };
}

/// Returns `None` while the thread ends and its thread-locals are already destroyed.
#[inline]
fn current() -> Option<Rc<Current>> {
    CURRENT
        .try_with(|current| current.borrow().clone())
        .unwrap_or_default()
}

/// Changes a value in the current context, and returns the context and the old value.
#[inline]
fn change(id: usize, value: Option<Value>) -> (Weak<Variables>, Option<Value>) {
    let change = |current: &RefCell<Option<Rc<Current>>>| {
        let mut current = current.borrow_mut();
        let current = Rc::make_mut(current.get_or_insert_default());
        // A second reference would make `make_mut` below copy the array.
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

/// Returns a copy of the current context. A change to one does not affect the other.
///
/// # Examples
///
/// Run a function on another thread with the same values, as `asyncio.to_thread` does:
///
/// ```
/// use std::thread;
///
/// use contextvars::{ContextVar, copy_context};
///
/// static USER: ContextVar<&str> = ContextVar::new("user");
///
/// USER.set("Ada");
/// let context = copy_context();
/// let user = thread::spawn(move || context.run(|| USER.get())).join().unwrap();
/// assert_eq!(user, Ok(Ok("Ada")));
/// ```
pub fn copy_context() -> Context {
    let values = current().and_then(|current| current.values.clone());
    Context::with(values.unwrap_or_default())
}

/// Gives `future` its own context: a copy of the current context, made by this call.
///
/// That context is current whenever the future is polled, on any thread. It is also current while the future is dropped,
/// so the destructors of a cancelled task see the task's values.
///
/// # Examples
///
/// ```
/// use contextvars::{ContextVar, in_context};
///
/// static CLIENT: ContextVar<u32> = ContextVar::new("client");
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// CLIENT.set(1);
/// let task = tokio::spawn(in_context(async {
///     assert_eq!(CLIENT.get(), Ok(1));
///     CLIENT.set(2);
///     CLIENT.get()
/// }));
/// assert_eq!(task.await.unwrap(), Ok(2));
/// assert_eq!(CLIENT.get(), Ok(1));
/// # }
/// ```
pub fn in_context<F: Future>(future: F) -> InContext<F> {
    InContext {
        future: Some(Box::pin(future)),
        context: copy_context(),
    }
}

impl<T: Clone + Send + Sync + 'static> ContextVar<T> {
    /// Creates a variable without a default. The name appears in errors.
    pub const fn new(name: &'static str) -> Self {
        ContextVar {
            name,
            default: None,
            id: OnceLock::new(),
        }
    }

    /// Creates a variable whose [`get`](ContextVar::get) returns `default` where it is not set.
    pub const fn with_default(name: &'static str, default: T) -> Self {
        ContextVar {
            name,
            default: Some(default),
            id: OnceLock::new(),
        }
    }

    /// Returns a clone of the value in the current context, or of the default.
    ///
    /// # Errors
    ///
    /// [`NotSet`] if the variable is neither set nor has a default. In a destructor that runs after its thread has
    /// destroyed its thread-locals, no variable is set.
    pub fn get(&self) -> Result<T, NotSet> {
        let current = current();
        let values = current.as_ref().and_then(|now| now.values.as_ref());
        let value = values.and_then(|values| self.find(values));
        let value = value.or(self.default.as_ref());
        value.cloned().ok_or(NotSet { var: self.name })
    }

    /// Sets the variable in the current context. The token restores the old value; dropping it changes nothing.
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

    /// Restores the value from before the `set` that returned the token. If there was none, the variable is unset.
    ///
    /// # Errors
    ///
    /// [`ResetError`] if the token was used before, or belongs to another variable or another context.
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

    /// Assigned at the first use, so that `new` can be `const`.
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
    /// Calls `f` with this context as the current one, and returns its result. What `f` sets stays in this context.
    ///
    /// # Errors
    ///
    /// [`AlreadyEntered`] if the context is running already; then `f` is not called.
    ///
    /// # Panics
    ///
    /// A panic of `f` passes through, and the thread's former context is current again.
    pub fn run<R>(&self, f: impl FnOnce() -> R) -> Result<R, AlreadyEntered> {
        if self.0.entered.swap(true, Ordering::Acquire) {
            return Err(AlreadyEntered);
        }
        let _leave = Leave(&self.0.entered);
        let _restore = Restore::enter(&self.0);
        Ok(f())
    }

    /// Returns the value that the variable has in this context. The default does not count.
    pub fn get<T: Clone + 'static>(&self, var: &ContextVar<T>) -> Option<T> {
        let values = Arc::clone(&self.0.lock());
        var.find(&values).cloned()
    }

    /// Returns a copy of this context.
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
    /// No value is dropped under this lock, because a value's destructor may lock it again.
    #[inline]
    fn lock(&self) -> MutexGuard<'_, Arc<Values>> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Restores the thread's former context when it is dropped, also by a panic.
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

/// A future with a context of its own, returned by [`in_context`].
///
/// It is never ready again once it has returned its result.
///
/// # Examples
///
/// A context belongs to the future, not to the thread that polls it:
///
/// ```
/// use contextvars::{ContextVar, InContext, in_context};
///
/// static VAR: ContextVar<u32> = ContextVar::with_default("var", 0);
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let future: InContext<_> = in_context(async { VAR.get() });
/// VAR.set(1);
/// assert_eq!(future.await, Ok(0));
/// # }
/// ```
pub struct InContext<F: Future> {
    /// `None` once it has finished.
    future: Option<Pin<Box<F>>>,
    /// This future owns the only reference, so the context is never entered twice.
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

impl<T> fmt::Debug for ContextVar<T> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let mut var = f.debug_struct("ContextVar");
        var.field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Token<T> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let mut token = f.debug_struct("Token");
        token.field("var", &self.name).field("used", &self.used);
        token.finish_non_exhaustive()
    }
}

impl<F: Future> fmt::Debug for InContext<F> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("InContext").finish_non_exhaustive()
    }
}

impl fmt::Display for NotSet {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "the context variable {} is not set", self.var)
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
        f.write_str("cannot enter the context: it is running already")
    }
}

impl error::Error for NotSet {}
impl error::Error for ResetError {}
impl error::Error for AlreadyEntered {}
