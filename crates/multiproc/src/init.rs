//! The first call in `main`.

use crate::forkserver;
use crate::pool;
use crate::resource_tracker;
use crate::spawn::{Function, register, run_if_child, target};

/// Runs this process's function and exits, if the process was started as a child; returns otherwise.
///
/// Call it first in `main`, with every function that children run: targets of processes and tasks of pools. This one call
/// serves all children that the library starts, including the fork server and the resource tracker. To run code in every
/// child first, as Python's `initializer` does, put it before this call.
///
/// In a child it makes the kernel kill the process when its parent (more precisely, the parent's thread that started it)
/// ends. It also replaces standard input by `/dev/null`, as Python's `multiprocessing` does, because two processes that
/// read the same terminal steal lines from each other.
///
/// Before `init`, start no process and do not read standard input: in a child, the environment and standard input still
/// belong to the library.
///
/// # Panics
///
/// Panics if two different functions have the same path, as two closures in one function do. If a child cannot be set up,
/// because `main` called `init` too late or the parent has ended, it prints the reason and exits with code 1.
///
/// # Examples
///
/// ```
/// use multiproc::{Exit, init, spawn, target};
///
/// fn main() -> std::io::Result<()> {
///     init([target(child)]);
///     let process = spawn(child, ("Hello".to_owned(), 7))?;
///     assert_eq!(process.join()?, Exit::Code(7));
///     Ok(())
/// }
///
/// fn child((text, code): (String, u8)) -> u8 {
///     println!("{text} from {}", std::process::id());
///     code
/// }
/// ```
pub fn init(functions: impl IntoIterator<Item = Function>) {
    let own = [
        target(forkserver::serve),
        target(pool::work),
        target(resource_tracker::serve),
    ];
    register(own.into_iter().chain(functions));
    run_if_child();
}
