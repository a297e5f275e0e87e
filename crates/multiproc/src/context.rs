//! Start methods and contexts: how children of this program are started.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::{error, fmt, io};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::forkserver::ForkServer;
use crate::process::{ExitStatus, Process, fork};
use crate::spawn::spawn;

/// The way in which a child is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartMethod {
    /// Copies this process with [`fork`]. Fails in a process with several threads.
    Fork,
    /// Starts this program again with [`spawn`](crate::spawn()).
    Spawn,
    /// Copies a small server process: a [`ForkServer`] that the whole program shares.
    ForkServer,
}

impl fmt::Display for StartMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StartMethod::Fork => "fork",
            StartMethod::Spawn => "spawn",
            StartMethod::ForkServer => "forkserver",
        })
    }
}

/// The start method is set already; Python's `RuntimeError`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlreadySet;

impl fmt::Display for AlreadySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("context has already been set")
    }
}

impl error::Error for AlreadySet {}

static DEFAULT: OnceLock<StartMethod> = OnceLock::new();

/// Sets the default start method of this process, once: `multiprocessing.set_start_method`.
///
/// # Errors
///
/// [`AlreadySet`] if it was set before.
pub fn set_start_method(method: StartMethod) -> Result<(), AlreadySet> {
    DEFAULT.set(method).map_err(|_| AlreadySet)
}

/// Returns the default start method: [`StartMethod::Spawn`], which is safe in a process with threads, unless another one
/// was set.
pub fn get_start_method() -> StartMethod {
    DEFAULT.get().copied().unwrap_or(StartMethod::Spawn)
}

/// Starts children with a given method, whatever the default: `multiprocessing.get_context`.
///
/// # Examples
///
/// ```
/// use multiproc::context::{Context, StartMethod};
/// use multiproc::{Exit, init, target};
///
/// fn main() -> std::io::Result<()> {
///     init([target(child)]);
///     for method in [StartMethod::Fork, StartMethod::Spawn, StartMethod::ForkServer] {
///         let process = Context::new(method).start(child, 7)?;
///         assert_eq!(process.join()?, Exit::Code(7));
///     }
///     Ok(())
/// }
///
/// fn child(code: u8) -> u8 {
///     code
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context(StartMethod);

impl Context {
    /// Returns the context of a start method.
    pub fn new(method: StartMethod) -> Context {
        Context(method)
    }

    /// Returns the start method.
    pub fn method(self) -> StartMethod {
        self.0
    }

    /// Starts a child that runs a function: `Process(target=f, args=...).start()`.
    ///
    /// # Errors
    ///
    /// Those of [`fork`], [`spawn`](crate::spawn()) and [`ForkServer::spawn`].
    pub fn start<A, R, F>(self, function: F, arguments: A) -> io::Result<Process>
    where
        A: Serialize + DeserializeOwned + Send,
        R: ExitStatus,
        F: Fn(A) -> R + Copy + Send + 'static,
    {
        match self.0 {
            StartMethod::Fork => fork(move || function(arguments)),
            StartMethod::Spawn => spawn(function, arguments),
            StartMethod::ForkServer => {
                let mut server = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
                let server = match &mut *server {
                    Some(server) if !server.has_ended() => server,
                    // Python starts a new server in the place of a killed one, too.
                    slot => slot.insert(ForkServer::start()?),
                };
                server.spawn(function, arguments)
            }
        }
    }
}

impl Default for Context {
    /// Returns the context of the default start method.
    fn default() -> Context {
        Context(get_start_method())
    }
}

/// The program's fork server, started with the first child. It ends with this process.
static SERVER: Mutex<Option<ForkServer>> = Mutex::new(None);
