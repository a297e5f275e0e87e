//! What is a coroutine function, what is a future, and what can be awaited? Types say so, before the program runs.
//!
//! Python:  `asyncio.iscoroutinefunction(func)`, `asyncio.iscoroutine(obj)`, `asyncio.isfuture(obj)`, `inspect.isawaitable`
//! Differs: a parameter says what it takes: `impl AsyncFn() -> u32`, `impl Future`, `impl IntoFuture`; anything else does
//!          not compile, so nobody has to ask. The answers below are constants: the compiler takes the method of `Is` if
//!          its bound holds, and that of `Otherwise` if not; for a type parameter it cannot know and takes the latter.
//!          A coroutine and a task are both a `Future`; only the task runs without being awaited.
//! Order:   nothing runs at the same time.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["macros", "rt"] }
//! ```

use std::future::{Ready, ready};
use std::marker::PhantomData;

use anyhow::Result;

/// Asks a value for its kind, and prints the answers.
macro_rules! show {
    ($name:literal, $value:expr) => {
        let is = Is::of(&$value);
        println!(
            "{}: coroutine function {}, future {}, awaitable {}",
            $name,
            is.coroutine_function(),
            is.future(),
            is.awaitable()
        );
    };
}

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    show!("function", function);
    show!("coroutine function", coroutine);
    show!("coroutine", coroutine());
    show!("task", tokio::spawn(coroutine()));
    show!("object", Later);
    println!("{}", call(coroutine).await + Later.await + function());
    Ok(())
}

fn function() -> u32 {
    20
}

async fn coroutine() -> u32 {
    21
}

struct Later;

/// Python's `__await__`.
impl IntoFuture for Later {
    type Output = u32;
    type IntoFuture = Ready<u32>;

    fn into_future(self) -> Ready<u32> {
        ready(1)
    }
}

/// Takes coroutine functions only.
async fn call(f: impl AsyncFn() -> u32) -> u32 {
    f().await
}

struct Is<T>(PhantomData<T>);

impl<T> Is<T> {
    fn of(_: &T) -> Is<T> {
        Is(PhantomData)
    }
}

impl<T: AsyncFn() -> u32> Is<T> {
    fn coroutine_function(&self) -> &str {
        "yes"
    }
}

impl<T: Future> Is<T> {
    fn future(&self) -> &str {
        "yes"
    }
}

impl<T: IntoFuture> Is<T> {
    fn awaitable(&self) -> &str {
        "yes"
    }
}

trait Otherwise {
    fn coroutine_function(&self) -> &str {
        "no"
    }

    fn future(&self) -> &str {
        "no"
    }

    fn awaitable(&self) -> &str {
        "no"
    }
}

impl<T> Otherwise for Is<T> {}
