//! Starting this program again as a child: [`init`], [`target`] and [`spawn`].
//!
//! A spawned child is the same executable with the same arguments. An environment variable tells it that it is a child;
//! its standard input is a socket, over which its parent sends it one message: the function's name, the arguments and
//! their descriptors. [`init`] removes the variable, replaces standard input by `/dev/null` and runs the function.
//! Nothing is added to the program's arguments, so its own parser sees only its own.

use std::any::{TypeId, type_name};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::{PoisonError, RwLock};
use std::{env, fmt, fs::File};

use rustix::process::{self, Pid};
use rustix::stdio::dup2_stdin;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::connection::{self, START_PACKET, packet_buffer, recv, send};
use crate::error::{Context, ensure};
use crate::process::{ExitStatus, Process, end_with, threads};
use crate::reduction::{EncodingError, decode_with_fds, encode_with_fds};

/// Tells a child that it is one: the pid of its parent, or 0 if it may outlive its parent.
const VARIABLE: &str = "MULTIPROC_CHILD";

/// A function that child processes of this program can run, for [`init`].
///
/// [`target`] makes one for a process, [`task`](crate::task) one for a pool.
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

/// Reads the arguments and runs the function; the value is the exit code.
type TargetRunner = fn(&[u8], Vec<OwnedFd>) -> Result<u8, EncodingError>;

/// Reads a chunk of arguments, runs the function on each, and appends the results to the buffer.
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

/// Makes a function known as the target of [`spawn`] and of [`ForkServer::spawn`](crate::forkserver::ForkServer::spawn).
///
/// It must be a function by name, or a closure that captures nothing: parent and child know it by the path that it has in
/// the program. What it needs comes as its argument; a tuple stands for several.
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

/// Takes a function of which only the type matters.
pub(crate) fn stateless<F: Copy>(_: F) {
    const {
        assert!(
            size_of::<F>() == 0,
            "a child knows a function by its name: pass the function itself, not a pointer to it or a closure that captures"
        );
    }
}

/// Returns the function of a type that [`stateless`] has seen a value of.
pub(crate) fn summon<F: Copy>() -> F {
    const { assert!(size_of::<F>() == 0) };
    // SAFETY: a type without bytes has one value, and `stateless` was given it, so it may exist; copies of it are free.
    unsafe { std::mem::zeroed() }
}

/// What [`init`] was given, by all its calls; `None` before the first.
static FUNCTIONS: RwLock<Option<Vec<Function>>> = RwLock::new(None);

fn find(is_it: impl Fn(&Function) -> bool) -> Option<Run> {
    let functions = FUNCTIONS.read().unwrap_or_else(PoisonError::into_inner);
    let found = |list: &[Function]| list.iter().find(|f| is_it(f)).map(|f| f.run);
    let builtin = || {
        found(&[
            target(crate::forkserver::serve),
            target(crate::pool::work),
            target(crate::resource_tracker::serve),
        ])
    };
    functions.as_deref().and_then(found).or_else(builtin)
}

fn find_name(name: &str) -> Option<Run> {
    find(|function| function.name == name)
}

/// By its type: two closures may have one name.
fn find_type<F: 'static>() -> Option<Run> {
    find(|function| function.id == TypeId::of::<F>())
}

pub(crate) fn find_task(name: &str) -> Option<TaskRunner> {
    match find_name(name) {
        Some(Run::Task(run)) => Some(run),
        _ => None,
    }
}

/// Returns whether [`init`] was given this function as a task.
pub(crate) fn is_task<F: 'static>() -> bool {
    matches!(find_type::<F>(), Some(Run::Task(_)))
}

/// Runs this process's function and exits, if the process was started as a child; returns otherwise.
///
/// Call it first in `main`, with every function that children shall run: targets of processes and tasks of pools. This
/// one call serves all children that the library starts, the fork server and the resource tracker among them. What the
/// children need to have done before, like the function that Python calls `initializer`, comes before it.
///
/// In a child it has the kernel kill the process when its parent ends (to be exact, the parent's thread that started it),
/// and it replaces standard input by `/dev/null`, as Python's `multiprocessing` does: two processes that read one
/// terminal lose lines to each other.
///
/// # Panics
///
/// Panics when two different functions have the same path, as two closures in one function do. A child that cannot be set
/// up, because `init` came too late in `main` or its parent has ended, prints why and exits with code 1.
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
    let mut all = FUNCTIONS.write().unwrap_or_else(PoisonError::into_inner);
    let known = all.get_or_insert_default();
    for function in functions {
        let same = known.iter().find(|other| other.name == function.name);
        match same {
            None => known.push(function),
            Some(other) => assert!(
                other.id == function.id,
                "two functions are called {}; give each a name of its own",
                function.name
            ),
        }
    }
    drop(all);
    let Some(parent) = env::var_os(VARIABLE) else {
        return;
    };
    let parent = parent.to_str().and_then(|parent| parent.parse().ok());
    match run_as_child(parent) {
        Ok(code) => std::process::exit(code.into()),
        Err(error) => {
            // One write, so that the line is whole.
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

/// Runs the function of a message that [`message`] has made.
pub(crate) fn run_message(message: &[u8], fds: Vec<OwnedFd>) -> io::Result<u8> {
    let (name, arguments) = postcard::take_from_bytes::<&str>(message)
        .map_err(|error| io::Error::other(format!("read the function's name: {error}")))?;
    let Some(Run::Target(run)) = find_name(name) else {
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

/// Starts this program again and runs a function there: Python's `Process(target=f, args=...)` under `spawn`.
///
/// The child has nothing of this process but its arguments, its environment and its standard output and error. The
/// arguments travel to it; connections, queues and locks among them stay connected to this process.
///
/// Returns once the child is started. If the arguments are larger than 2 KiB it first blocks until the child has read
/// them.
///
/// # Errors
///
/// Fails when `function` was not given to [`init`], when the arguments cannot be written, when the program's file is gone
/// or the system has no room for a process. Fails in a process that has not called [`init`], whose children would
/// otherwise start children without end.
///
/// # Examples
///
/// See [`init`] and [`Connection`](crate::Connection).
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

/// Starts a child that runs `F`. It is bound to `parent`, if there is one.
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
    // Its copy of the child's end would keep a dead child from being noticed.
    drop(command);
    let fds: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
    match send(ours.as_fd(), START_PACKET, &message, &fds) {
        // The child has ended already; its exit code tells more.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(child),
        Err(error) => {
            drop(Process::from(child));
            Err(error).context("send the child its arguments")
        }
        Ok(()) => Ok(child),
    }
}

/// Returns this program's file. If it was replaced by a new build, the old one still runs, and its functions are known.
fn program() -> io::Result<PathBuf> {
    let file = env::current_exe().context("find this program's file")?;
    // The kernel says so in the link's text.
    Ok(match file.as_os_str().as_bytes().ends_with(b" (deleted)") {
        true => PathBuf::from("/proc/self/exe"),
        false => file,
    })
}

/// As [`message`], for a function that [`init`] was given, in a process that may start children.
pub(crate) fn message_for<F: 'static>(
    arguments: &impl Serialize,
) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    ensure_initialized()?;
    let name = type_name::<F>();
    match find_type::<F>() {
        Some(Run::Target(_)) => message(name, arguments),
        _ => Err(not_given(name, "target")),
    }
}

/// Fails in a process that has not called [`init`]. Its children would not call it either, and start children without
/// end.
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
        init([target(known)]);
        init([target(known)]);
        assert!(message_for_value(known).is_ok());
        let error = message_for_value(unknown).unwrap_err().to_string();
        assert!(
            error.ends_with("call init([target(unknown)]) first in main"),
            "{error}"
        );
        // Closures of one function have one name.
        init([target(|_: u8| {})]);
        assert!(message_for_value(|_: u8| {}).is_err());
    }

    fn message_for_value<F: 'static>(_: F) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
        message_for::<F>(&())
    }

    #[test]
    #[should_panic(expected = "two functions are called")]
    fn closures_of_one_function_have_one_name() {
        init([target(|_: u8| {}), target(|_: u16| {})]);
    }
}
