//! Starting this program again as a child: [`target`] and [`spawn`].
//!
//! A spawned child is the same executable with the same arguments. An environment variable marks it as a child. Its
//! standard input is a socket, over which its parent sends one message: the function's name, the arguments and their
//! descriptors. [`init`](crate::init) removes the variable, replaces standard input by `/dev/null` and runs the function.
//! The program's arguments do not change, so its own parser works in children too.

use std::any::{TypeId, type_name};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::{PoisonError, RwLock};
use std::{env, fmt, fs::File, mem};

use rustix::process::{self, Pid};
use rustix::stdio::dup2_stdin;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::connection::{self, START_PACKET, packet_buffer, recv, send};
use crate::error::{Context, ensure};
use crate::process::{ExitStatus, Process, end_with, threads};
use crate::reduction::{EncodingError, decode_with_fds, encode_with_fds};

/// The environment variable that marks a child: the pid of its parent, or 0 if it may outlive its parent.
const VARIABLE: &str = "MULTIPROC_CHILD";

/// A function that child processes of this program can run, for [`init`](crate::init).
///
/// [`target`] makes one for processes, [`task`](crate::task) makes one for pools.
pub struct Function {
    name: &'static str,
    id: TypeId,
    run: Run,
}

#[derive(Clone, Copy)]
enum Run {
    Target(TargetRunner),
    Task(TaskRunner),
}

/// Reads the arguments, runs the function and returns the exit code.
type TargetRunner = fn(&[u8], Vec<OwnedFd>) -> Result<u8, EncodingError>;

/// Reads a chunk of arguments, runs the function on each of them and appends the results to the buffer.
pub(crate) type TaskRunner = fn(&[u8], Vec<u8>) -> Result<Vec<u8>, EncodingError>;

impl Function {
    pub(crate) fn task<F: 'static>(run: TaskRunner) -> Function {
        Function {
            name: type_name::<F>(),
            id: TypeId::of::<F>(),
            run: Run::Task(run),
        }
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Function").field(&self.name).finish()
    }
}

/// Registers a function as a target of [`spawn`] and of [`ForkServer::spawn`](crate::forkserver::ForkServer::spawn).
///
/// Pass a named function or a closure that captures nothing: parent and child identify it by its path in the program. It
/// takes one argument; use a tuple for several.
pub fn target<A, R, F>(function: F) -> Function
where
    A: Serialize + DeserializeOwned,
    R: ExitStatus,
    F: Fn(A) -> R + Copy + 'static,
{
    stateless(function);
    Function {
        name: type_name::<F>(),
        id: TypeId::of::<F>(),
        run: Run::Target(run_target::<A, R, F>),
    }
}

fn run_target<A: DeserializeOwned, R: ExitStatus, F: Fn(A) -> R + Copy>(
    arguments: &[u8],
    fds: Vec<OwnedFd>,
) -> Result<u8, EncodingError> {
    let arguments = decode_with_fds(arguments, fds)?;
    Ok(summon::<F>()(arguments).code())
}

/// Takes a function for the sake of its type.
pub(crate) fn stateless<F: Copy>(_: F) {
    const {
        assert!(
            size_of::<F>() == 0,
            "a child knows a function by its name: pass the function itself, not a pointer to it or a closure that captures"
        );
    }
}

/// Returns the function of a type of which [`stateless`] has received a value.
pub(crate) fn summon<F: Copy>() -> F {
    const { assert!(size_of::<F>() == 0) };
    // SAFETY: a zero-sized type has one value. `stateless` received it, so it may exist, and a copy has no bytes to read.
    unsafe { std::mem::zeroed() }
}

/// The functions that all calls of [`init`](crate::init) registered; `None` before the first call.
static FUNCTIONS: RwLock<Option<Vec<Function>>> = RwLock::new(None);

fn find(is_it: impl Fn(&Function) -> bool) -> Option<Run> {
    let functions = FUNCTIONS.read().unwrap_or_else(PoisonError::into_inner);
    let found = functions.iter().flatten().find(|f| is_it(f));
    found.map(|function| function.run)
}

fn find_target(is_it: impl Fn(&Function) -> bool) -> Option<TargetRunner> {
    match find(|function| matches!(function.run, Run::Target(_)) && is_it(function)) {
        Some(Run::Target(run)) => Some(run),
        _ => None,
    }
}

pub(crate) fn find_task(name: &str) -> Option<TaskRunner> {
    match find(|function| matches!(function.run, Run::Task(_)) && function.name == name) {
        Some(Run::Task(run)) => Some(run),
        _ => None,
    }
}

/// Returns whether the function has this type. Two closures may have the same name.
fn has_type<F: 'static>(function: &Function) -> bool {
    function.id == TypeId::of::<F>()
}

/// Returns whether this function was passed to [`init`](crate::init) as a task.
pub(crate) fn is_task<F: 'static>() -> bool {
    find(|function| matches!(function.run, Run::Task(_)) && has_type::<F>(function)).is_some()
}

/// Adds functions to those that children can run.
pub(crate) fn register(functions: impl IntoIterator<Item = Function>) {
    let mut all = FUNCTIONS.write().unwrap_or_else(PoisonError::into_inner);
    let known = all.get_or_insert_default();
    for function in functions {
        let mut same = known.iter().filter(|other| other.name == function.name);
        assert!(
            same.clone().all(|other| other.id == function.id),
            "two functions are called {}; give each a name of its own",
            function.name
        );
        // A function may be a target and a task.
        if !same.any(|other| mem::discriminant(&other.run) == mem::discriminant(&function.run)) {
            known.push(function);
        }
    }
    drop(all);
}

/// Runs this process's function and exits, if the process was started as a child.
pub(crate) fn run_if_child() {
    let Some(parent) = env::var_os(VARIABLE) else {
        return;
    };
    let parent = parent.to_str().and_then(|parent| parent.parse().ok());
    match run_as_child(parent) {
        Ok(code) => std::process::exit(code.into()),
        Err(error) => {
            // A single write keeps the line whole.
            let line = format!("multiproc: this child process cannot start: {error}\n");
            io::stderr().write_all(line.as_bytes()).ok();
            std::process::exit(1);
        }
    }
}

fn run_as_child(parent: Option<i32>) -> io::Result<u8> {
    let threads = threads().context("count the threads")?;
    ensure!(
        threads == 1,
        "{threads} threads run already; call multiproc::init first in main"
    );
    // SAFETY: this is the process's only thread, so nothing else reads the environment.
    unsafe { env::remove_var(VARIABLE) };
    let parent = parent.context(format!("{VARIABLE} is not a process number"))?;
    if let Some(parent) = Pid::from_raw(parent) {
        end_with(parent).context("the parent has ended")?;
    }
    let stdin = io::stdin();
    let socket = stdin
        .as_fd()
        .try_clone_to_owned()
        .context("take the socket")?;
    dup2_stdin(File::open("/dev/null").context("open /dev/null")?).context("replace stdin")?;
    let mut buffer = packet_buffer(START_PACKET);
    let received = recv(socket.as_fd(), &mut buffer)?;
    let (message, fds) = received.context("the parent has sent no function to run")?;
    drop(socket);
    run_message(message.bytes(&buffer), fds)
}

/// Runs the function of a message that [`message`] made.
pub(crate) fn run_message(message: &[u8], fds: Vec<OwnedFd>) -> io::Result<u8> {
    let (name, arguments) = postcard::take_from_bytes::<&str>(message)
        .map_err(|error| io::Error::other(format!("read the function's name: {error}")))?;
    let Some(run) = find_target(|function| function.name == name) else {
        return Err(not_given(name, "target"));
    };
    match panic::catch_unwind(AssertUnwindSafe(|| run(arguments, fds))) {
        Ok(code) => Ok(code?),
        // The panic's message is printed; 101 is the exit code of a panic in Rust.
        Err(_) => Ok(101),
    }
}

pub(crate) fn not_given(name: &str, kind: &str) -> io::Error {
    let text = format!(
        "{name} was not given to multiproc::init; call init([{kind}({})]) first in main",
        name.rsplit("::").next().unwrap_or(name)
    );
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

/// Writes a function's name and its arguments, and duplicates the arguments' descriptors.
pub(crate) fn message<A: Serialize>(
    name: &str,
    arguments: &A,
) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    Ok(encode_with_fds(&(name, arguments), Vec::new())?)
}

/// Starts this program again and runs a function in it: Python's `Process(target=f, args=...)` under `spawn`.
///
/// The child inherits only the program's arguments, the environment, standard output and standard error. The function's
/// arguments are sent to it; connections, queues and locks among them stay connected to this process.
///
/// Returns when the child is started. If the arguments are larger than 2 KiB, blocks until the child has read them.
///
/// # Errors
///
/// Fails if `function` was not passed to [`init`](crate::init), if the arguments cannot be written, if the program's file is gone, or
/// if the system cannot start a process. Fails in a process that has not called [`init`](crate::init), because its children would
/// start children endlessly.
///
/// # Examples
///
/// See [`init`](crate::init) and [`Connection`](crate::Connection).
pub fn spawn<A, R, F>(function: F, arguments: A) -> io::Result<Process>
where
    A: Serialize + DeserializeOwned,
    R: ExitStatus,
    F: Fn(A) -> R + Copy + 'static,
{
    stateless(function);
    let child = start::<F>(&arguments, Some(process::getpid()), |_| {})?;
    Ok(child.into())
}

/// Starts a child that runs `F`. The child ends with `parent`, if one is given.
pub(crate) fn start<F: 'static>(
    arguments: &impl Serialize,
    parent: Option<Pid>,
    configure: impl FnOnce(&mut Command),
) -> io::Result<Child> {
    let (message, fds) = message_for::<F>(arguments)?;
    let (ours, theirs) = connection::socket_pair()?;
    let program = program()?;
    let mut command = Command::new(&program);
    if let Some(name) = env::args_os().next() {
        command.arg0(name);
    }
    command
        .args(env::args_os().skip(1))
        .env(VARIABLE, Pid::as_raw(parent).to_string())
        .stdin(theirs);
    configure(&mut command);
    let child = command
        .spawn()
        .context(format!("start {}", program.display()))?;
    // With this copy of the child's end, the parent would not notice that the child died.
    drop(command);
    let fds: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
    match send(ours.as_fd(), START_PACKET, &message, &fds) {
        // The child has ended already; its exit code is more informative.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(child),
        Err(error) => {
            drop(Process::from(child));
            Err(error).context("send the child its arguments")
        }
        Ok(()) => Ok(child),
    }
}

/// Returns this program's file. If a new build replaced it, the old file is still the one whose functions are registered.
fn program() -> io::Result<PathBuf> {
    let file = env::current_exe().context("find this program's file")?;
    // The kernel says so in the link's text.
    Ok(match file.as_os_str().as_bytes().ends_with(b" (deleted)") {
        true => PathBuf::from("/proc/self/exe"),
        false => file,
    })
}

/// As [`message`], but fails unless the function was passed to [`init`](crate::init) and this process may start children.
pub(crate) fn message_for<F: 'static>(
    arguments: &impl Serialize,
) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    ensure_initialized()?;
    let name = type_name::<F>();
    match find_target(has_type::<F>) {
        Some(_) => message(name, arguments),
        _ => Err(not_given(name, "target")),
    }
}

/// Fails in a process that has not called [`init`](crate::init). Its children would not call it either, and would start children
/// endlessly.
pub(crate) fn ensure_initialized() -> io::Result<()> {
    let functions = FUNCTIONS.read().unwrap_or_else(PoisonError::into_inner);
    ensure!(
        functions.is_some(),
        "this process has not called multiproc::init; call it first in main"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(_: ()) {}

    fn unknown(_: ()) {}

    #[test]
    fn a_function_that_init_was_not_given_is_refused() {
        register([target(known)]);
        register([target(known)]);
        assert!(message_for_value(known).is_ok());
        let error = message_for_value(unknown).unwrap_err().to_string();
        assert!(
            error.ends_with("call init([target(unknown)]) first in main"),
            "{error}"
        );
        // Closures in the same function have the same name.
        register([target(|_: u8| {})]);
        assert!(message_for_value(|_: u8| {}).is_err());
    }

    fn message_for_value<F: 'static>(_: F) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
        message_for::<F>(&())
    }

    #[test]
    #[should_panic(expected = "two functions are called")]
    fn closures_of_one_function_have_one_name() {
        register([target(|_: u8| {}), target(|_: u16| {})]);
    }
}
