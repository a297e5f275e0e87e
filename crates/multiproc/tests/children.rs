//! Children started by every method. They run this program again, so it has its own `main`.

#![allow(clippy::unwrap_used)]

use std::io::{self, Write};
use std::os::unix::process::parent_id;
use std::process::{self, Command, ExitCode, Stdio};
use std::{env, thread};

use libtest_mimic::{Arguments, Failed, Trial};
use multiproc::context::{AlreadySet, Context, StartMethod, get_start_method, set_start_method};
use multiproc::forkserver::ForkServer;
use multiproc::reduction::Fd;
use multiproc::resource_tracker::Tracker;
use multiproc::{Connection, ConnectionError, Exit, fork, init, spawn, target};
use rustix::process::Pid;

fn main() -> ExitCode {
    // A program with its own options.
    if env::args().any(|arg| arg == "--role=me@17") {
        init([target(own_arguments)]);
        let exit = spawn(own_arguments, ()).and_then(|process| process.join());
        return ExitCode::from(u8::from(!exit.is_ok_and(Exit::success)));
    }
    // A program that forgets to call `init` in its children.
    if env::var_os("FORGETFUL").is_some() {
        if env::var_os("MULTIPROC_CHILD").is_none() {
            init([target(code)]);
        }
        return match spawn(code, 0).and_then(|process| process.join()) {
            Ok(exit) => ExitCode::from(u8::from(!exit.success())),
            Err(error) => {
                writeln!(io::stderr(), "{error}").ok();
                ExitCode::from(3)
            }
        };
    }
    // A program whose file is gone.
    if env::var_os("REPLACED").is_some() {
        init([target(code)]);
        let exit = env::current_exe()
            .and_then(std::fs::remove_file)
            .and_then(|()| spawn(code, 7))
            .and_then(|process| process.join());
        return ExitCode::from(u8::from(exit.ok() != Some(Exit::Code(7))));
    }
    // A program that calls `init` too late in its children.
    if env::var_os("LATE").is_some() && env::var_os("MULTIPROC_CHILD").is_some() {
        thread::spawn(thread::park);
    }
    init([
        target(code),
        target(echo),
        target(fail),
        target(is_large),
        target(panics),
        target(stdin_is_empty),
        target(parent_pid),
        target(relay),
        target(inherits_nothing),
        target(wait_for_the_end),
        target(send_parent),
        target(both_kinds),
        multiproc::task(both_kinds),
    ]);
    let mut args = Arguments::from_args();
    // Some tests fork, which fails in a process with several threads.
    args.test_threads = Some(1);
    let test = |name: &str, test: fn() -> io::Result<()>| {
        Trial::test(name, move || test().map_err(Failed::from))
    };
    let trials = vec![
        test("exit_codes_come_back", exit_codes_come_back),
        test(
            "errors_and_panics_are_exit_codes",
            errors_and_panics_are_exit_codes,
        ),
        test(
            "a_connection_travels_to_every_kind_of_child",
            a_connection_travels_to_every_kind_of_child,
        ),
        test("large_arguments_travel", large_arguments_travel),
        test(
            "a_child_reads_nothing_from_its_stdin",
            a_child_reads_nothing_from_its_stdin,
        ),
        test(
            "arguments_are_the_programs_own",
            arguments_are_the_programs_own,
        ),
        test(
            "a_child_without_init_starts_no_children",
            a_child_without_init_starts_no_children,
        ),
        test(
            "a_replaced_program_still_spawns",
            a_replaced_program_still_spawns,
        ),
        test(
            "init_beside_threads_is_refused",
            init_beside_threads_is_refused,
        ),
        test(
            "a_spawned_child_has_only_what_it_was_given",
            a_spawned_child_has_only_what_it_was_given,
        ),
        test("the_end_of_a_peer_is_seen", the_end_of_a_peer_is_seen),
        test("dropping_a_process_kills_it", dropping_a_process_kills_it),
        test(
            "a_served_child_is_the_servers",
            a_served_child_is_the_servers,
        ),
        test(
            "a_dead_fork_server_is_an_error",
            a_dead_fork_server_is_an_error,
        ),
        test("the_shared_fork_server_lasts", the_shared_fork_server_lasts),
        test(
            "a_function_is_a_target_and_a_task",
            a_function_is_a_target_and_a_task,
        ),
        test("children_spawn_children", children_spawn_children),
        test("the_start_method_is_set_once", the_start_method_is_set_once),
        test(
            "the_tracker_outlives_a_killed_process",
            the_tracker_outlives_a_killed_process,
        ),
    ];
    libtest_mimic::run(&args, trials).exit_code()
}

fn code(code: u8) -> u8 {
    code
}

fn raw(pid: u32) -> Pid {
    Pid::from_raw(pid.cast_signed()).unwrap()
}

fn echo(pipe: Connection<String, String>) -> Result<(), ConnectionError> {
    let text = pipe.recv()?;
    pipe.send(&text)
}

fn fail(text: String) -> Result<(), String> {
    Err(text)
}

fn is_large(text: String) -> u8 {
    u8::from(text.len() != 3 << 20 || text.contains(|c| c != 'x'))
}

fn panics(_: ()) {
    panic!("intended");
}

fn stdin_is_empty(_: ()) -> io::Result<u8> {
    let mut line = String::new();
    Ok(io::stdin().read_line(&mut line)? as u8)
}

fn parent_pid(pid: u32) -> u8 {
    u8::from(parent_id() != pid)
}

fn relay(pipe: Connection<String, String>) -> io::Result<u8> {
    match spawn(echo, pipe)?.join()? {
        Exit::Code(code) => Ok(code as u8),
        Exit::Signal(_) => Ok(99),
    }
}

fn own_arguments(_: ()) -> u8 {
    let given = env::args().skip(1).eq(["--role=me@17".to_owned()]);
    u8::from(!given || env::var_os("MULTIPROC_CHILD").is_some())
}

/// Returns the number of open sockets besides the standard streams. (The user's shell may leave other files open.)
fn inherits_nothing(_: Fd) -> io::Result<u8> {
    let mut open = 0;
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let entry = entry?;
        let file = std::fs::read_link(entry.path())?;
        let file = file.to_string_lossy();
        let standard = ["0", "1", "2"].iter().any(|fd| entry.file_name() == *fd);
        open += u8::from(!standard && file.starts_with("socket:"));
    }
    Ok(open)
}

fn send_parent(pipe: Connection<u32, u32>) -> Result<(), ConnectionError> {
    pipe.send(&parent_id())
}

fn wait_for_the_end(pipe: Connection<(), ()>) {
    pipe.recv().ok();
}

fn exit_codes_come_back() -> io::Result<()> {
    let server = ForkServer::start()?;
    for n in [0, 1, 7, 255] {
        let exit = Exit::Code(n.into());
        assert_eq!(fork(|| n)?.join()?, exit);
        assert_eq!(spawn(code, n)?.join()?, exit);
        assert_eq!(server.spawn(code, n)?.join()?, exit);
    }
    Ok(())
}

fn errors_and_panics_are_exit_codes() -> io::Result<()> {
    assert_eq!(spawn(fail, "intended".to_owned())?.join()?, Exit::Code(1));
    assert_eq!(fork(|| Err::<(), _>("intended"))?.join()?, Exit::Code(1));
    assert_eq!(spawn(panics, ())?.join()?, Exit::Code(101));
    assert_eq!(
        fork(|| -> () { panic!("intended") })?.join()?,
        Exit::Code(101)
    );
    Ok(())
}

fn pair() -> io::Result<(Connection<String, String>, Connection<String, String>)> {
    Connection::pair()
}

fn talk(pipe: &Connection<String, String>) {
    pipe.send(&"Hello".to_owned()).unwrap();
    assert_eq!(pipe.recv().unwrap(), "Hello");
    assert!(matches!(pipe.recv(), Err(ConnectionError::Closed)));
}

fn a_connection_travels_to_every_kind_of_child() -> io::Result<()> {
    for method in [
        StartMethod::Fork,
        StartMethod::Spawn,
        StartMethod::ForkServer,
    ] {
        let (ours, theirs) = pair()?;
        let process = Context::new(method).start(echo, theirs)?;
        talk(&ours);
        assert!(process.join()?.success(), "{method}");
    }
    Ok(())
}

fn large_arguments_travel() -> io::Result<()> {
    let text = "x".repeat(3 << 20);
    assert_eq!(spawn(is_large, text.clone())?.join()?, Exit::Code(0));
    assert_eq!(
        ForkServer::start()?.spawn(is_large, text)?.join()?,
        Exit::Code(0)
    );
    Ok(())
}

fn a_child_reads_nothing_from_its_stdin() -> io::Result<()> {
    assert_eq!(spawn(stdin_is_empty, ())?.join()?, Exit::Code(0));
    Ok(())
}

/// Runs this program with this argument or variable.
fn again() -> io::Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.stdin(Stdio::null());
    Ok(command)
}

fn arguments_are_the_programs_own() -> io::Result<()> {
    assert!(again()?.arg("--role=me@17").status()?.success());
    Ok(())
}

/// Such a program would start children that start children.
fn a_child_without_init_starts_no_children() -> io::Result<()> {
    let output = again()?.env("FORGETFUL", "").output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        text.matches("has not called multiproc::init").count(),
        1,
        "{text}"
    );
    assert_eq!(output.status.code(), Some(1));
    Ok(())
}

/// A new build removes the file of the old one.
fn a_replaced_program_still_spawns() -> io::Result<()> {
    let file = env::temp_dir().join(format!("multiproc_test.{}", process::id()));
    std::fs::copy(env::current_exe()?, &file)?;
    assert!(Command::new(&file).env("REPLACED", "").status()?.success());
    Ok(())
}

fn init_beside_threads_is_refused() -> io::Result<()> {
    let output = again()?
        .env("LATE", "")
        .arg("--exact")
        .arg("exit_codes_come_back")
        .output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("2 threads run already; call multiproc::init first in main"),
        "{text}"
    );
    Ok(())
}

fn a_spawned_child_has_only_what_it_was_given() -> io::Result<()> {
    let (ours, _theirs) = std::os::unix::net::UnixStream::pair()?;
    let exit = spawn(inherits_nothing, Fd::from(ours))?.join()?;
    assert_eq!(exit, Exit::Code(1));
    Ok(())
}

fn the_end_of_a_peer_is_seen() -> io::Result<()> {
    let (ours, theirs) = Connection::<(), ()>::pair()?;
    let process = spawn(wait_for_the_end, theirs)?;
    process.kill()?;
    assert!(matches!(ours.recv(), Err(ConnectionError::Closed)));
    assert_eq!(process.join()?, Exit::Signal(9));
    Ok(())
}

fn dropping_a_process_kills_it() -> io::Result<()> {
    let server = ForkServer::start()?;
    for served in [false, true] {
        let (ours, theirs) = Connection::<(), ()>::pair()?;
        let process = match served {
            true => server.spawn(wait_for_the_end, theirs)?,
            false => spawn(wait_for_the_end, theirs)?,
        };
        let pid = process.pid();
        drop(process);
        assert!(matches!(ours.recv(), Err(ConnectionError::Closed)));
        assert!(rustix::process::test_kill_process(raw(pid)).is_err());
    }
    Ok(())
}

fn a_served_child_is_the_servers() -> io::Result<()> {
    let server = ForkServer::start()?;
    let pid = server.pid();
    assert_eq!(server.spawn(parent_pid, pid)?.join()?, Exit::Code(0));
    assert_eq!(spawn(parent_pid, process::id())?.join()?, Exit::Code(0));
    let (ours, theirs) = Connection::<(), ()>::pair()?;
    let waiting = server.spawn(wait_for_the_end, theirs)?;
    waiting.kill()?;
    assert_eq!(waiting.join()?, Exit::Signal(9));
    drop(ours);
    Ok(())
}

/// The program's fork server serves after the thread that started it has ended, and after it was killed.
fn the_shared_fork_server_lasts() -> io::Result<()> {
    let start = || Context::new(StartMethod::ForkServer).start(code, 7);
    let exit = thread::scope(|scope| scope.spawn(|| start()?.join()).join().unwrap())?;
    assert_eq!(exit, Exit::Code(7));
    assert_eq!(start()?.join()?, Exit::Code(7));
    let (ours, theirs) = Connection::<u32, u32>::pair()?;
    let child = Context::new(StartMethod::ForkServer).start(send_parent, theirs)?;
    let server = ours.recv().map_err(io::Error::other)?;
    child.join()?;
    let pidfd = rustix::process::pidfd_open(raw(server), rustix::process::PidfdFlags::empty())?;
    rustix::process::kill_process(raw(server), rustix::process::Signal::KILL)?;
    let mut fds = [rustix::event::PollFd::new(
        &pidfd,
        rustix::event::PollFlags::IN,
    )];
    rustix::event::poll(&mut fds, None)?;
    assert_eq!(start()?.join()?, Exit::Code(7));
    Ok(())
}

fn both_kinds(n: u8) -> Result<u8, String> {
    Ok(n)
}

fn a_function_is_a_target_and_a_task() -> io::Result<()> {
    assert_eq!(spawn(both_kinds, 7)?.join()?, Exit::Code(7));
    let pool = multiproc::Pool::with_workers(1)?;
    assert_eq!(pool.apply(both_kinds, 7).unwrap(), 7);
    pool.join()
}

fn a_dead_fork_server_is_an_error() -> io::Result<()> {
    let server = ForkServer::start()?;
    let (_ours, theirs) = Connection::<(), ()>::pair()?;
    let child = server.spawn(wait_for_the_end, theirs)?;
    rustix::process::kill_process(raw(server.pid()), rustix::process::Signal::KILL)?;
    assert!(
        child
            .join()
            .unwrap_err()
            .to_string()
            .contains("fork server")
    );
    assert!(
        server
            .spawn(code, 0)
            .unwrap_err()
            .to_string()
            .contains("fork server")
    );
    Ok(())
}

fn children_spawn_children() -> io::Result<()> {
    let (ours, theirs) = pair()?;
    let process = spawn(relay, theirs)?;
    talk(&ours);
    assert!(process.join()?.success());
    Ok(())
}

fn the_start_method_is_set_once() -> io::Result<()> {
    assert_eq!(get_start_method(), StartMethod::Spawn);
    assert_eq!(set_start_method(StartMethod::Fork), Ok(()));
    assert_eq!(set_start_method(StartMethod::Spawn), Err(AlreadySet));
    assert_eq!(Context::default().method(), StartMethod::Fork);
    Ok(())
}

fn the_tracker_outlives_a_killed_process() -> io::Result<()> {
    use rustix::{fs::Mode, shm};
    let name = format!("/multiproc_test.{}", process::id());
    let tracker = Tracker::start()?;
    let (ours, theirs) = Connection::<(), ()>::pair()?;
    let child = fork(|| -> io::Result<()> {
        tracker.register(&name)?;
        shm::open(&name, shm::OFlags::CREATE | shm::OFlags::RDWR, Mode::RUSR)?;
        theirs.send(&()).map_err(io::Error::other)?;
        loop {
            thread::park();
        }
    })?;
    ours.recv().map_err(io::Error::other)?;
    child.kill()?;
    assert_eq!(child.join()?, Exit::Signal(9));
    assert!(shm::open(&name, shm::OFlags::RDONLY, Mode::empty()).is_ok());
    tracker.join()?;
    assert!(shm::open(&name, shm::OFlags::RDONLY, Mode::empty()).is_err());
    Ok(())
}
