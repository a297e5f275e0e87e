//! Tell coroutine functions, coroutines and other values apart by their types.
//!
//! Python:  `asyncio.iscoroutinefunction(func)`, `asyncio.iscoroutine(obj)`, `asyncio.isfuture(obj)`
//! Differs: a parameter's type says what it takes: `impl AsyncFn() -> u32`, `impl Future`, or `impl IntoFuture` for everything
//!          that can be awaited. Other values do not compile, so a program need not check. The compiler decides the
//!          answers below: it picks the method of `Is` if its bound holds, and otherwise that of `Otherwise`. A coroutine
//!          and a task are both a `Future`; the type does not show that a task runs by itself.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["macros", "rt"] }
//! ```

use std::marker::PhantomData;

use anyhow::Result;

/// Prints the kind of a value of any type.
macro_rules! show {
    ($name:literal, $value:expr) => {{
        let is = Is(kind_of(&$value));
        let (name, function, future) = ($name, is.coroutine_function(), is.future());
        println!("{name}: coroutine function {function}, future {future}");
    }};
}

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    show!("function", function);
    show!("coroutine function", coroutine);
    show!("coroutine", coroutine());
    show!("task", tokio::spawn(coroutine()));
    println!("{}", function() + call(coroutine).await);
    Ok(())
}

fn function() -> u32 {
    21
}

async fn coroutine() -> u32 {
    21
}

/// Takes coroutine functions only.
async fn call(f: impl AsyncFn() -> u32) -> u32 {
    f().await
}

fn kind_of<T>(_: &T) -> PhantomData<T> {
    PhantomData
}

struct Is<T>(PhantomData<T>);

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

trait Otherwise {
    fn coroutine_function(&self) -> &str {
        "no"
    }

    fn future(&self) -> &str {
        "no"
    }
}

impl<T> Otherwise for Is<T> {}
