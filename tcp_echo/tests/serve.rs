//! Runs `serve` as a process, with clients that behave well or badly, and clients in Python, nc and telnet.
//!
//! Every wait has a limit, and every process ends with its test.

#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use std::{env, fs, iter, process, thread};

use libtest_mimic::{Arguments, Completion, Trial};
use rustix::net::sockopt::set_socket_linger;
use rustix::process::{
    Pid, Resource, Rlimit, Signal, getrlimit, kill_process, set_parent_process_death_signal,
    setrlimit,
};

/// The limit of a wait, longer than any wait takes.
const LONG: Duration = Duration::from_secs(30);
/// The time in which something must not happen.
const MOMENT: Duration = Duration::from_millis(100);
/// The limit of the server's memory, with the limits of these tests.
const MOST_MEMORY: u64 = 64 << 20;

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    if args.next().as_deref() == Some("--half-a-line") {
        half_a_line(args.next().unwrap().parse().unwrap());
    }
    let mut args = Arguments::from_args();
    args.test_threads = Some(args.test_threads.unwrap_or(2)); // The tests mostly wait; more of them would exceed their time limits.
    let tests: [(&str, fn()); 23] = [
        ("all_examples_but_the_server", all_examples_but_the_server),
        ("usage", usage),
        ("port_taken", port_taken),
        ("sixty_four_clients", sixty_four_clients),
        ("half_close", half_close),
        ("no_text", no_text),
        ("many_lines_at_once", many_lines_at_once),
        ("line_limit", line_limit),
        ("line_of_10_mib", || long_line(10 << 20)),
        ("line_of_1_gib", || long_line(1 << 30)),
        ("reads_late", reads_late),
        ("never_reads", never_reads),
        ("idle", idle),
        ("a_byte_at_a_time", a_byte_at_a_time),
        ("connection_limit", connection_limit),
        ("thousand_clients", thousand_clients),
        ("connects_and_disconnects", connects_and_disconnects),
        ("resets", resets),
        ("client_killed", client_killed),
        ("no_descriptors", no_descriptors),
        ("drained", drained),
        ("terminated", terminated),
        ("nobody_reads_its_output", nobody_reads_its_output),
    ];
    let ours = tests.map(|(name, test)| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    });
    let others: [(&str, &str, fn()); 5] = [
        ("python_client", "python3", python_client),
        ("python_server", "python3", || python_server(&["-c", NOTES])),
        ("python_twin", "python3", || {
            python_server(&["-P", TWIN, "--addr", "127.0.0.1:0"])
        }),
        ("nc", "nc", nc),
        ("telnet", "telnet", telnet),
    ];
    let others = others.map(|(name, program, test)| {
        Trial::ignorable_test(name, move || match lacks(program) {
            Some(reason) => Ok(Completion::ignored_with(reason)),
            None => {
                test();
                Ok(Completion::Completed)
            }
        })
    });
    libtest_mimic::run(&args, ours.into_iter().chain(others).collect()).exit_code()
}

/// Returns the reason if the program cannot run here.
fn lacks(program: &str) -> Option<String> {
    let new_enough = "import sys; sys.exit(sys.version_info < (3, 11))";
    let args: &[&str] = match program {
        "python3" => &["-c", new_enough],
        _ => &["--help"],
    };
    let mut command = Command::new(program);
    match command.args(args).stdin(Stdio::null()).output() {
        Err(error) => Some(format!("no {program}: {error}")),
        Ok(output) if program == "python3" && !output.status.success() => {
            Some("python3 is older than 3.11".to_owned())
        }
        Ok(_) => None,
    }
}

/// A server process that prints its address, and ends with its test.
struct Server {
    child: Child,
    lines: Receiver<String>,
    addr: SocketAddr,
}

impl Server {
    fn start(args: &[&str]) -> Server {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tcp_echo"));
        Server::run(command.args(["serve", "--addr", "127.0.0.1:0"]).args(args))
    }

    fn run(command: &mut Command) -> Server {
        Server::run_and_read(command, usize::MAX)
    }

    /// Closes its output after `most` lines.
    fn run_and_read(command: &mut Command, most: usize) -> Server {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // SAFETY: between fork and exec there is one system call, without heap or lock.
        unsafe { command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?)) };
        let mut child = command.spawn().unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok).take(most) {
                sender.send(line).ok();
            }
        });
        let mut server = Server {
            child,
            lines,
            addr: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        let serving = server.line();
        let port = serving.strip_prefix("Serving on ('127.0.0.1', ").unwrap();
        server
            .addr
            .set_port(port.trim_end_matches(')').parse().unwrap());
        server
    }

    fn line(&mut self) -> String {
        self.lines.recv_timeout(LONG).unwrap()
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Stops the server and returns its last line. The exit code must be 0, and stderr empty.
    fn stop(mut self, signal: Signal) -> String {
        self.signal(signal);
        assert!(
            self.line()
                .starts_with(&format!("{}: draining for", name(signal)))
        );
        let last = self.line();
        let (code, stderr) = self.end();
        assert_eq!((code, stderr.as_str()), (Some(0), ""));
        last
    }

    /// Waits until it has ended.
    fn end(&mut self) -> (Option<i32>, String) {
        let status = wait(&mut self.child);
        let mut stderr = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut stderr)
            .unwrap();
        (status.code(), stderr)
    }

    /// Checks that a client gets an echo.
    fn serves(&self) {
        let mut client = connect(self.addr);
        assert_eq!(ask(&mut client, "are you there?\n"), "are you there?\n");
    }

    fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id()))
            .unwrap()
            .count()
    }

    /// Returns its peak memory in bytes.
    fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap();
        peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn name(signal: Signal) -> &'static str {
    if signal == Signal::INT {
        "SIGINT"
    } else {
        "SIGTERM"
    }
}

fn wait(child: &mut Child) -> process::ExitStatus {
    let begun = Instant::now();
    loop {
        match child.try_wait().unwrap() {
            Some(status) => return status,
            None if begun.elapsed() < LONG => thread::sleep(Duration::from_millis(5)),
            None => {
                child.kill().unwrap();
                panic!("no end in time");
            }
        }
    }
}

/// Runs a command, which must end in time.
fn output(command: &mut Command) -> Output {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    wait(&mut child);
    child.wait_with_output().unwrap()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&addr, LONG).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.set_write_timeout(Some(LONG)).unwrap();
    stream
}

fn ask(client: &mut TcpStream, line: &str) -> String {
    client.write_all(line.as_bytes()).unwrap();
    read_line(client)
}

/// Reads a line byte by byte, so that it reads nothing of the next line.
fn read_line(client: &mut TcpStream) -> String {
    let (mut line, mut byte) = (vec![], [0]);
    while !line.ends_with(b"\n") && client.read(&mut byte).unwrap() > 0 {
        line.push(byte[0]);
    }
    text(line)
}

fn until_end(client: &mut TcpStream) -> Vec<u8> {
    let mut all = vec![];
    client.read_to_end(&mut all).unwrap();
    all
}

fn goodbye(client: &TcpStream) -> String {
    let addr = client.local_addr().unwrap();
    format!("Good bye, client @ ('{}', {})\n", addr.ip(), addr.port())
}

fn all_examples_but_the_server() {
    let output = output(&mut Command::new(env!("CARGO_BIN_EXE_tcp_echo")));
    let headings = text(output.stderr);
    assert!(headings.contains("== tls_upgrade: "), "{headings}");
    assert!(!headings.contains("== serve: "), "{headings}");
    assert_eq!(output.status.code(), Some(0));
}

fn usage() {
    let address = "expected an IP address and a port, such as 127.0.0.1:8081";
    let seconds = "expected seconds, more than 0 and at most 1000000";
    let invalid = |option: &str, value: &str, reason: &str| {
        format!("invalid value '{value}' for '{option}': {reason}")
    };
    for (args, complaint) in [
        (
            &["--addr", "localhost"][..],
            invalid("--addr <IP:PORT>", "localhost", address),
        ),
        (
            &["--addr", "127.0.0.1:65536"],
            invalid("--addr <IP:PORT>", "127.0.0.1:65536", address),
        ),
        (
            &["--addr"],
            "a value is required for '--addr <IP:PORT>' but none was supplied".to_owned(),
        ),
        (
            &["--connect", "127.0.0.1"],
            invalid("--connect <IP:PORT>", "127.0.0.1", address),
        ),
        (
            &["--connect", "127.0.0.1:1", "--idle", "1"],
            "the argument '--connect <IP:PORT>' cannot be used with one or more of the other specified arguments".to_owned(),
        ),
        (&["--idle", "0"], invalid("--idle <SECONDS>", "0", seconds)),
        (&["--idle", "inf"], invalid("--idle <SECONDS>", "inf", seconds)),
        (&["--drain", "NaN"], invalid("--drain <SECONDS>", "NaN", seconds)),
        (
            &["--connections", "0"],
            invalid("--connections <NUMBER>", "0", "0 is not in 1..=4294967295"),
        ),
        (&["--line", "64K"], invalid("--line <BYTES>", "64K", "invalid digit found in string")),
        (
            &["--port", "80"],
            "unexpected argument '--port' found".to_owned(),
        ),
    ] {
        let output = output(
            Command::new(env!("CARGO_BIN_EXE_tcp_echo"))
                .arg("serve")
                .args(args),
        );
        let text_of = text(output.stderr);
        assert!(text_of.starts_with(&format!("serve: {complaint}")), "{text_of}");
        assert!(text_of.ends_with("try '--help'.\n"), "{text_of}");
        assert_eq!(text_of.lines().count(), 1, "{text_of}");
        assert_eq!(
            (text(output.stdout).as_str(), output.status.code()),
            ("", Some(2))
        );
    }
    // A valid address that is not one of this machine.
    let elsewhere = ["serve", "--addr", "192.0.2.1:8081"];
    let output = output(Command::new(env!("CARGO_BIN_EXE_tcp_echo")).args(elsewhere));
    let complaint = text(output.stderr);
    assert!(
        complaint.starts_with("tcp_echo: cannot listen on 192.0.2.1:8081: "),
        "{complaint}"
    );
    assert_eq!(
        (complaint.lines().count(), output.status.code()),
        (1, Some(1))
    );
}

fn port_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let output =
        output(Command::new(env!("CARGO_BIN_EXE_tcp_echo")).args(["serve", "--addr", &addr]));
    let complaint =
        format!("tcp_echo: cannot listen on {addr}: Address already in use (os error 98)\n");
    assert_eq!(text(output.stderr), complaint);
    assert_eq!(
        (text(output.stdout).as_str(), output.status.code()),
        ("", Some(1))
    );
}

fn sixty_four_clients() {
    let server = Server::start(&[]);
    let mut clients: Vec<_> = iter::repeat_with(|| connect(server.addr))
        .take(64)
        .collect();
    for round in 0..10 {
        for client in &mut clients {
            let line = format!("{round} of {}\n", client.local_addr().unwrap());
            client.write_all(line.as_bytes()).unwrap();
        }
        for client in &mut clients {
            let line = format!("{round} of {}\n", client.local_addr().unwrap());
            assert_eq!(read_line(client), line);
        }
    }
    for mut client in clients {
        client.write_all(b"\n").unwrap();
        assert_eq!(text(until_end(&mut client)), goodbye(&client));
    }
    let last = server.stop(Signal::INT);
    assert_eq!(
        last,
        "clients served: 64, refused: 0, broken: 0, cut off: 0"
    );
}

fn half_close() {
    let server = Server::start(&[]);
    let mut client = connect(server.addr);
    client.write_all(b"one\nhalf").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let all = format!("one\nhalf{}", goodbye(&client));
    assert_eq!(text(until_end(&mut client)), all);
}

fn no_text() {
    let server = Server::start(&[]);
    let mut client = connect(server.addr);
    let line = b"\xff\xfe\0\xc3\x28 \x80\r\n";
    client.write_all(line).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let all = [line, goodbye(&client).as_bytes()].concat();
    assert_eq!(until_end(&mut client), all);
}

/// More than fits any buffer on the way, so both sides must read and write at the same time.
fn many_lines_at_once() {
    let server = Server::start(&["--line", "100"]);
    let mut client = connect(server.addr);
    let lines: String = (0..1_000_000).map(|n| format!("line {n}\n")).collect();
    let (mut writer, to_write) = (client.try_clone().unwrap(), lines.clone());
    let writer = thread::spawn(move || {
        writer.write_all(to_write.as_bytes()).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let all = text(until_end(&mut client));
    writer.join().unwrap();
    assert!(all == lines + &goodbye(&client));
    assert!(server.memory() < MOST_MEMORY);
}

fn line_limit() {
    let server = Server::start(&["--line", "8"]);
    let mut client = connect(server.addr);
    assert_eq!(ask(&mut client, "1234567\n"), "1234567\n");
    // The answer to the lines before is not lost.
    client.write_all(b"short\n12345678\nshort\n").unwrap();
    assert_eq!(
        text(until_end(&mut client)),
        "short\nerror: a line has at most 8 bytes\n"
    );
    assert_eq!(ask(&mut connect(server.addr), "1234567\n"), "1234567\n");
}

/// The client reads only after it has sent everything, or after the server has closed.
fn long_line(bytes: usize) {
    let server = Server::start(&[]);
    let mut client = connect(server.addr);
    let part = vec![b'x'; 1 << 20];
    let sent = (0..bytes >> 20).all(|_| client.write_all(&part).is_ok());
    if sent {
        let mut answer = String::new();
        // After the time limit the server resets the connection.
        if client.read_to_string(&mut answer).is_ok() {
            assert_eq!(answer, "error: a line has at most 65536 bytes\n");
        }
    }
    assert!(sent || bytes > 10 << 20, "10 MiB were not taken");
    server.serves();
    assert!(server.memory() < MOST_MEMORY, "{} bytes", server.memory());
}

/// The last answer has the same time limit as every other.
fn reads_late() {
    const MANY: usize = 20 << 20;
    let server = Server::start(&["--line", "30000000"]);
    let mut client = connect(server.addr);
    let mut line = vec![b'x'; MANY];
    line.push(b'\n');
    client.write_all(&line).unwrap();
    client.write_all(b"\n").unwrap();
    thread::sleep(Duration::from_millis(1500)); // Longer than a parting takes.
    let all = until_end(&mut client);
    assert_eq!(all.len(), line.len() + goodbye(&client).len());
    assert!(all.ends_with(goodbye(&client).as_bytes()));
}

fn never_reads() {
    let server = Server::start(&["--idle", "2"]);
    let mut client = connect(server.addr);
    client
        .set_write_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    let lines = "never read\n".repeat(10_000);
    let mut sent = 0;
    // The server stops reading, so the system takes no more.
    let error = loop {
        match client.write(lines.as_bytes()) {
            Ok(count) => sent += count,
            Err(error) => break error,
        }
        assert!(sent < 1 << 30, "the server reads on and on");
    };
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    server.serves();
    assert!(server.memory() < MOST_MEMORY);
    // After the time limit for reading it closes.
    client.set_write_timeout(Some(LONG)).unwrap();
    let error = loop {
        if let Err(error) = client.write_all(lines.as_bytes()) {
            break error;
        }
    };
    assert!(
        matches!(
            error.kind(),
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
        ),
        "{error}"
    );
    server.serves();
    let last = server.stop(Signal::INT);
    assert_eq!(last, "clients served: 3, refused: 0, broken: 1, cut off: 0");
}

fn idle() {
    let server = Server::start(&["--idle", "0.5"]);
    let begun = Instant::now();
    let (mut silent, mut half) = (connect(server.addr), connect(server.addr));
    half.write_all(b"half a line").unwrap();
    for client in [&mut silent, &mut half] {
        assert_eq!(text(until_end(client)), "error: no line within 0.5 s\n");
    }
    assert!(begun.elapsed() >= Duration::from_millis(500));
    server.serves();
}

fn a_byte_at_a_time() {
    let server = Server::start(&["--idle", "1"]);
    let mut client = connect(server.addr);
    let mut writer = client.try_clone().unwrap();
    let writer = thread::spawn(move || {
        while writer.write_all(b"x").is_ok() {
            thread::sleep(MOMENT);
        }
    });
    assert_eq!(read_line(&mut client), "error: no line within 1 s\n");
    drop(client);
    writer.join().unwrap();
    server.serves();
}

fn connection_limit() {
    let server = Server::start(&["--connections", "2"]);
    let mut clients = [connect(server.addr), connect(server.addr)];
    for client in &mut clients {
        assert_eq!(ask(client, "in\n"), "in\n");
    }
    for _ in 0..5 {
        let mut third = connect(server.addr);
        let refusal = "error: 2 clients are connected, try again later\n";
        // The client may have begun to talk already.
        third.write_all(b"let me in\n").unwrap();
        assert_eq!(text(until_end(&mut third)), refusal);
    }
    let [mut stays, leaves] = clients;
    drop(leaves);
    let begun = Instant::now();
    while ask(&mut connect(server.addr), "in\n") != "in\n" {
        assert!(begun.elapsed() < LONG, "the place is not free again");
    }
    assert_eq!(ask(&mut stays, "still in\n"), "still in\n");
}

/// Raises the limit of open files, which children inherit.
fn allow_descriptors(number: u64) -> bool {
    let limit = getrlimit(Resource::Nofile);
    let enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= number);
    if !enough(limit.current) && enough(limit.maximum) {
        let raised = Rlimit {
            current: Some(number),
            maximum: limit.maximum,
        };
        return setrlimit(Resource::Nofile, raised).is_ok();
    }
    enough(limit.current)
}

fn thousand_clients() {
    assert!(
        allow_descriptors(4096),
        "the limit of open files is too low here"
    );
    let server = Server::start(&["--connections", "256"]);
    let mut clients: Vec<_> = iter::repeat_with(|| connect(server.addr))
        .take(1000)
        .collect();
    let (mut served, mut told) = (0, 0);
    for client in &mut clients {
        // A client that was refused long ago is reset when it writes. It can still read the line from before.
        client.write_all(b"hello\n").ok();
        match read_line(client).as_str() {
            "hello\n" => served += 1,
            "error: 256 clients are connected, try again later\n" => told += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((served, told), (256, 744));
    assert!(server.memory() < MOST_MEMORY);
    drop(clients);
    let last = server.stop(Signal::INT);
    assert_eq!(
        last,
        "clients served: 256, refused: 744, broken: 0, cut off: 0"
    );
}

fn connects_and_disconnects() {
    let server = Server::start(&[]);
    let open = server.descriptors();
    let closed = || {
        let begun = Instant::now();
        while server.descriptors() > open {
            assert!(
                begun.elapsed() < LONG,
                "{} descriptors",
                server.descriptors()
            );
            thread::sleep(MOMENT);
        }
    };
    let round = |count| {
        for n in 0..count {
            let mut client = connect(server.addr);
            match n % 3 {
                0 => drop(client),
                1 => assert_eq!(ask(&mut client, "hello\n"), "hello\n"),
                _ => client.write_all(b"half").unwrap(),
            }
        }
    };
    round(2000);
    closed();
    let before = server.memory();
    round(10_000);
    closed();
    let grown = server.memory() - before;
    assert!(grown < 4 << 20, "{grown} bytes more");
    server.serves();
}

fn resets() {
    let server = Server::start(&["--connections", "8"]);
    for n in 0..200 {
        let mut client = connect(server.addr);
        client.write_all(&b"one\nhalf"[..n % 9]).unwrap();
        set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
    }
    let begun = Instant::now();
    while ask(&mut connect(server.addr), "in\n") != "in\n" {
        assert!(begun.elapsed() < LONG, "no place is free");
    }
}

/// The client that is killed.
fn half_a_line(addr: SocketAddr) -> ! {
    let mut client = connect(addr);
    print!("{}", ask(&mut client, "connected\n"));
    client.write_all(b"half a li").unwrap();
    until_end(&mut client); // It is killed during this wait.
    process::exit(0)
}

fn client_killed() {
    let server = Server::start(&["--connections", "1"]);
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--half-a-line", &server.addr.to_string()])
        .stdout(Stdio::piped());
    let mut client = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(client.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    client.kill().unwrap();
    client.wait().unwrap();
    assert_eq!(line, "connected\n");
    let begun = Instant::now();
    while ask(&mut connect(server.addr), "in\n") != "in\n" {
        assert!(
            begun.elapsed() < LONG,
            "the place of the killed is not free"
        );
    }
}

fn no_descriptors() {
    let mut command = Command::new("sh");
    let limited = "ulimit -n 32; exec \"$0\" serve --addr 127.0.0.1:0";
    let mut server = Server::run(command.args(["-c", limited, env!("CARGO_BIN_EXE_tcp_echo")]));
    let mut clients: Vec<_> = iter::repeat_with(|| connect(server.addr))
        .take(40)
        .collect();
    assert_eq!(ask(&mut clients[0], "hello\n"), "hello\n");
    thread::sleep(5 * MOMENT);
    assert_eq!(ask(&mut clients[0], "hello\n"), "hello\n");
    // A waiting client is served when another one leaves.
    let mut last = clients.pop().unwrap();
    drop(clients);
    assert_eq!(ask(&mut last, "hello\n"), "hello\n");
    server.signal(Signal::INT);
    let (code, stderr) = server.end();
    assert_eq!(stderr, "accept: Too many open files (os error 24)\n");
    assert_eq!(code, Some(0));
}

fn drained() {
    let mut server = Server::start(&["--drain", "2"]);
    let mut clients: Vec<_> = iter::repeat_with(|| connect(server.addr)).take(3).collect();
    for client in &mut clients {
        assert_eq!(ask(client, "hello\n"), "hello\n");
    }
    let [mut between, mut ends, mut never] = <[TcpStream; 3]>::try_from(clients).unwrap();
    ends.write_all(b"a line that").unwrap();
    never.write_all(b"a line that").unwrap();
    thread::sleep(MOMENT); // The server does not report that it has read half a line.
    let begun = Instant::now();
    server.signal(Signal::INT);
    assert_eq!(server.line(), "SIGINT: draining for at most 2 s");
    assert_eq!(text(until_end(&mut between)), goodbye(&between));
    let refused = TcpStream::connect(server.addr).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    ends.write_all(b" ends\n").unwrap();
    let all = format!("a line that ends\n{}", goodbye(&ends));
    assert_eq!(text(until_end(&mut ends)), all);
    drop((between, ends));
    let mut nothing = vec![];
    match never.read_to_end(&mut nothing) {
        Ok(_) => assert_eq!(nothing, b""),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    assert!(begun.elapsed() >= Duration::from_secs(2));
    assert_eq!(
        server.line(),
        "clients served: 3, refused: 0, broken: 0, cut off: 1"
    );
    assert_eq!(server.end(), (Some(0), String::new()));
}

fn nobody_reads_its_output() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcp_echo"));
    let mut server = Server::run_and_read(command.args(["serve", "--addr", "127.0.0.1:0"]), 1);
    let mut client = connect(server.addr);
    client.write_all(b"one\na line that").unwrap();
    assert_eq!(read_line(&mut client), "one\n");
    server.signal(Signal::INT);
    thread::sleep(MOMENT);
    client.write_all(b" ends\n").unwrap();
    let all = format!("a line that ends\n{}", goodbye(&client));
    assert_eq!(text(until_end(&mut client)), all);
    drop(client);
    assert_eq!(server.end(), (Some(0), String::new()));
}

fn terminated() {
    let server = Server::start(&[]);
    let mut client = connect(server.addr);
    assert_eq!(ask(&mut client, "hello\n"), "hello\n");
    let reader = thread::spawn(move || (text(until_end(&mut client)), goodbye(&client)));
    let last = server.stop(Signal::TERM);
    let (all, goodbye) = reader.join().unwrap();
    assert_eq!(all, goodbye);
    assert_eq!(last, "clients served: 1, refused: 0, broken: 0, cut off: 0");
}

/// Two asyncio clients at the same time.
const CLIENT: &str = r"
import asyncio, sys

async def client(port, both):
    reader, writer = await asyncio.open_connection('127.0.0.1', port)
    for line in (b'hello\r\n', '你好\n'.encode()):
        writer.write(line)
        assert await reader.readline() == line
    await both.wait()
    writer.write(b'\n')
    own = writer.get_extra_info('sockname')
    assert await reader.read() == f'Good bye, client @ {own}\n'.encode()
    writer.close()
    await writer.wait_closed()

async def main():
    both = asyncio.Barrier(2)
    async with asyncio.timeout(20):
        await asyncio.gather(*(client(int(sys.argv[1]), both) for _ in range(2)))
    print('both are told their own address')

asyncio.run(main())
";

fn python_client() {
    let server = Server::start(&[]);
    let port = server.addr.port().to_string();
    let output = output(Command::new("python3").args(["-c", CLIENT, &port]));
    assert_eq!(text(output.stderr), "");
    assert_eq!(text(output.stdout), "both are told their own address\n");
    let last = server.stop(Signal::INT);
    assert_eq!(last, "clients served: 2, refused: 0, broken: 0, cut off: 0");
}

const TWIN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python/serve.py");

/// The notes' echo server, on a free port.
const NOTES: &str = r"
import asyncio
import contextvars

client_addr_var = contextvars.ContextVar('client_addr')

def render_goodbye():
    client_addr = client_addr_var.get()
    return f'Good bye, client @ {client_addr}\n'.encode()

async def handle_request(reader, writer):
    addr = writer.transport.get_extra_info('socket').getpeername()
    client_addr_var.set(addr)
    while True:
        line = await reader.readline()
        print(line)
        if not line.strip():
            break
        writer.write(line)

    writer.write(render_goodbye())
    writer.close()

async def main():
    srv = await asyncio.start_server(handle_request, '127.0.0.1', 0)
    print('Serving on', srv.sockets[0].getsockname())
    async with srv:
        await srv.serve_forever()

asyncio.run(main())
";

/// Runs our session with a Python server.
fn python_server(args: &[&str]) {
    let server = Server::run(Command::new("python3").arg("-u").args(args));
    let addr = server.addr.to_string();
    let output =
        output(Command::new(env!("CARGO_BIN_EXE_tcp_echo")).args(["serve", "--connect", &addr]));
    assert_eq!(text(output.stderr), "");
    let lines = text(output.stdout);
    let own = lines
        .lines()
        .next()
        .unwrap()
        .strip_prefix("Client is ")
        .unwrap();
    let rest = format!(
        "Client receives hello\nClient receives 你好\nClient receives Good bye, client @ {own}\n"
    );
    assert_eq!(lines, format!("Client is {own}\n{rest}"));
}

/// Runs a program with this input and returns its output.
fn fed(command: &mut Command, input: &str, keep_open: bool) -> String {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take();
    stdin.as_mut().unwrap().write_all(input.as_bytes()).unwrap();
    stdin = stdin.filter(|_| keep_open);
    wait(&mut child);
    drop(stdin);
    text(child.wait_with_output().unwrap().stdout)
}

fn nc() {
    let server = Server::start(&[]);
    let port = server.addr.port().to_string();
    let lines = "hello\n你好\n\n";
    let said = fed(Command::new("nc").args(["127.0.0.1", &port]), lines, false);
    assert!(
        said.starts_with("hello\n你好\nGood bye, client @ ('127.0.0.1', "),
        "{said}"
    );
}

fn telnet() {
    let server = Server::start(&[]);
    let port = server.addr.port().to_string();
    let said = fed(
        Command::new("telnet").args(["127.0.0.1", &port]),
        "hello\n\n",
        true,
    );
    assert!(
        said.contains("hello") && said.contains("Good bye, client @ ('127.0.0.1', "),
        "{said}"
    );
}
