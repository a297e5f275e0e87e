//! Runs the programs of a trace and records what they print, how they end and what they leave behind.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fmt, thread};

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

use crate::supervise::{self, Order, Report};
use crate::trace::{End, Line, NameId, Output, Stream, Trace};

/// The most output that a run may write.
const MOST_OUTPUT: usize = 64 << 20;

/// How long an entry of `/dev/shm` that no process uses may stay: another run may be about to use or unlink it.
const SHM_GRACE: Duration = Duration::from_secs(2);

/// How to run a trace's programs.
pub struct Job<'t> {
    pub trace: &'t Trace,
    /// The command; the arguments of the trace's programs are appended to it.
    pub command: Vec<OsString>,
    /// Gives the programs a terminal for stdout, so that Python writes each line at once and whole.
    pub terminal: bool,
    /// How long processes that outlive the program may take to end by themselves.
    pub grace: Duration,
    /// Sends a signal to the first program, or its process group, after its first line.
    pub interrupt: Option<Interrupt>,
    /// How long the programs may print nothing on stdout.
    pub patience: Option<Duration>,
}

#[derive(Clone, Copy)]
pub struct Interrupt {
    pub signal: i32,
    pub group: bool,
}

/// The observations of a run.
#[derive(Debug)]
pub struct Run {
    pub lines: Vec<Line>,
    /// The first program's pid, and its parent's.
    pub pid: u32,
    pub parent: u32,
    /// How every program ended, in the order of the trace.
    pub ends: Vec<Option<End>>,
    /// Everything else that is wrong.
    pub problems: Vec<Problem>,
    /// Children that a program had not waited for when it ended.
    pub unwaited: Vec<String>,
}

#[derive(Debug, Clone)]
pub enum Problem {
    /// The programs did not end or print in time, so everything was killed.
    Late(String),
    /// A process was left behind.
    Left(String),
    Other(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Problem::Late(what) | Problem::Left(what) | Problem::Other(what)) = self;
        f.write_str(what)
    }
}

impl Run {
    pub fn output(&self) -> Output<'_> {
        Output {
            lines: &self.lines,
            pid: self.pid,
            parent: self.parent,
        }
    }

    /// The problems, for a person.
    pub fn wrong(&self) -> Vec<String> {
        self.problems.iter().map(Problem::to_string).collect()
    }
}

/// A program under its supervisor.
struct Program {
    index: usize,
    supervisor: Child,
    socket: UnixStream,
    reports: BufReader<UnixStream>,
    pid: Option<u32>,
}

/// The bytes of a stream that do not yet form a line.
struct Source {
    fd: File,
    stream: Stream,
    partial: Vec<u8>,
}

struct Runner<'t> {
    job: &'t Job<'t>,
    folder: PathBuf,
    start: Instant,
    stdout: OwnedFd,
    stderr: OwnedFd,
    programs: Vec<Program>,
    /// Which programs have been started and which signals sent.
    started: Vec<bool>,
    sent: Vec<bool>,
    interrupted: bool,
    /// How many bytes were read.
    total: usize,
    /// What the lines that start programs have bound.
    values: BTreeMap<NameId, String>,
    run: Run,
}

/// Runs a trace's programs to their end. An error means that they could not be run at all.
pub fn run(job: &Job) -> Result<Run> {
    let folder = tempfile::Builder::new()
        .prefix("smoke-")
        .tempdir()
        .context("make a temporary folder")?;
    let shm_before = shm_entries();
    let ((from_stdout, stdout), (from_stderr, stderr)) = match job.terminal {
        true => (terminal().context("open a terminal")?, pipe()?),
        false => (pipe()?, pipe()?),
    };
    let programs = job.trace.programs.len();
    let mut runner = Runner {
        job,
        folder: folder.path().to_owned(),
        start: Instant::now(),
        stdout,
        stderr,
        programs: vec![],
        started: vec![false; programs],
        sent: vec![false; job.trace.sends.len()],
        interrupted: false,
        total: 0,
        values: BTreeMap::new(),
        run: Run {
            lines: vec![],
            pid: 0,
            parent: 0,
            ends: vec![None; programs],
            problems: vec![],
            unwaited: vec![],
        },
    };
    runner.start_program(0)?;
    let source = |fd: OwnedFd, stream| Source {
        fd: File::from(fd),
        stream,
        partial: vec![],
    };
    runner.attend([
        source(from_stdout, Stream::Stdout),
        source(from_stderr, Stream::Stderr),
    ])?;
    let mut run = runner.run;
    if job.trace.stderr_any {
        run.lines.retain(|line| line.stream == Stream::Stdout);
    }
    for path in files_below(folder.path()) {
        run.problems.push(Problem::Other(format!(
            "a temporary file is left behind: {}",
            path.display()
        )));
    }
    for name in shm_left(&shm_before) {
        run.problems.push(Problem::Other(format!(
            "shared memory is left behind: /dev/shm/{name}"
        )));
    }
    folder.close().context("remove the temporary folder")?;
    Ok(run)
}

impl Runner<'_> {
    fn start_program(&mut self, index: usize) -> Result<()> {
        let (socket, theirs) = UnixStream::pair().context("make a socket pair")?;
        let this = env::current_exe().context("find this program's file")?;
        let mut command = Command::new(this);
        // The user's settings for Python or Rust must not change the output: PYTHONUNBUFFERED, for example, tears lines.
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("PYTHON") || text.starts_with("RUST_") {
                command.env_remove(&name);
            }
        }
        command
            .arg(supervise::ARGUMENT)
            .arg(self.job.grace.as_millis().to_string())
            .arg(&self.folder)
            .args(&self.job.command)
            .current_dir(&self.folder)
            .env("TMPDIR", &self.folder)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PYTHONUTF8", "1")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(self.stdout.try_clone().context("clone stdout")?)
            .stderr(self.stderr.try_clone().context("clone stderr")?)
            // In its own group Ctrl-C does not reach the supervisor. It sees the socket close and kills its descendants.
            .process_group(0);
        for arg in &self.job.trace.programs[index].args {
            command.arg(arg.render(|name| self.values.get(&name).cloned()));
        }
        let supervisor = command.spawn().context("start the supervisor")?;
        let reports = BufReader::new(socket.try_clone().context("clone a socket")?);
        if index == 0 {
            self.run.parent = supervisor.id();
        }
        self.programs.push(Program {
            index,
            supervisor,
            socket,
            reports,
            pid: None,
        });
        self.started[index] = true;
        Ok(())
    }

    /// Reads until all programs have ended and all their output is read.
    fn attend(&mut self, mut sources: [Source; 2]) -> Result<()> {
        let within = self.job.trace.within;
        let mut late = false;
        while !self.programs.is_empty() {
            let mut printed = self.run.lines.iter().rev();
            let printed = printed.find(|line| line.stream == Stream::Stdout);
            let printed = printed.map(|line| line.at).unwrap_or_default();
            let quiet = self.job.patience.map(|patience| printed + patience);
            let until = within.min(quiet.unwrap_or(within));
            let left = until.saturating_sub(self.start.elapsed());
            if left.is_zero() && !late {
                late = true;
                let what = match self.job.patience {
                    Some(patience) if until < within => format!("no line for {patience:?}"),
                    _ => format!("no end within {within:?}"),
                };
                let what = format!("{what}, so everything was killed");
                self.run.problems.push(Problem::Late(what));
                self.kill();
            }
            let timeout = if late { Duration::from_secs(60) } else { left };
            let ready = self.wait(&sources, timeout)?;
            if ready.is_empty() && late {
                bail!("the supervisor does not answer");
            }
            for place in ready {
                match place.checked_sub(sources.len()) {
                    None => self.read(&mut sources[place])?,
                    Some(program) => self.hear(program)?,
                }
            }
            if self
                .programs
                .iter()
                .any(|program| self.run.ends[program.index].is_some())
            {
                // A program that has ended writes no more, but its last lines may start another program.
                for source in &mut sources {
                    while readable(source.fd.as_fd())? {
                        self.read(source)?;
                    }
                }
            }
            self.programs
                .retain(|program| self.run.ends[program.index].is_none());
            self.act()?;
        }
        for source in sources {
            if !source.partial.is_empty() {
                let text = String::from_utf8_lossy(&source.partial).into_owned();
                self.run.problems.push(Problem::Other(format!(
                    "the last line on {:?} is incomplete: {text}",
                    source.stream
                )));
            }
        }
        for (send, sent) in self.job.trace.sends.iter().zip(&self.sent) {
            if !sent && self.job.interrupt.is_none() {
                let name = &self.job.trace.programs[send.program].name;
                self.run.problems.push(Problem::Other(format!(
                    "a signal to {name} was never sent: its line did not come in time"
                )));
            }
        }
        for (index, started) in self.started.iter().enumerate() {
            if !started && self.job.interrupt.is_none() {
                let name = &self.job.trace.programs[index].name;
                self.run.problems.push(Problem::Other(format!(
                    "program {name} was never started: its line did not come"
                )));
            }
        }
        Ok(())
    }

    /// Waits until one of the sources or supervisors is readable.
    fn wait(&self, sources: &[Source; 2], timeout: Duration) -> Result<Vec<usize>> {
        let sources = sources.iter().map(|source| source.fd.as_fd());
        let fds = sources.chain(self.programs.iter().map(|program| program.socket.as_fd()));
        let mut fds: Vec<PollFd> = fds
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        let timeout = Timespec::try_from(timeout).context("the time limit")?;
        match poll(&mut fds, Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => return Ok(vec![]),
            ready => ready.context("wait for output")?,
        };
        Ok((0..fds.len())
            .filter(|place| !fds[*place].revents().is_empty())
            .collect())
    }

    /// Reads the available output. It never ends, because this process holds the write ends too.
    fn read(&mut self, source: &mut Source) -> Result<()> {
        let mut buffer = [0; 1 << 16];
        let count = match source.fd.read(&mut buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error).context("read the output"),
        };
        let at = self.start.elapsed();
        self.total += count;
        if self.total > MOST_OUTPUT {
            if self.total - count <= MOST_OUTPUT {
                self.run.problems.push(Problem::Other(format!(
                    "more than {MOST_OUTPUT} bytes of output, so everything was killed"
                )));
                self.kill();
            }
            return Ok(());
        }
        source.partial.extend_from_slice(&buffer[..count]);
        let mut lines = source
            .partial
            .split(|byte| *byte == b'\n')
            .map(<[u8]>::to_vec)
            .collect::<Vec<_>>();
        source.partial = lines.pop().unwrap_or_default();
        for line in lines {
            let text = String::from_utf8_lossy(&line).into_owned();
            self.run.lines.push(Line {
                text,
                stream: source.stream,
                at,
            });
        }
        Ok(())
    }

    /// Reads and handles the reports of a program's supervisor.
    fn hear(&mut self, place: usize) -> Result<()> {
        loop {
            let Program {
                index,
                reports,
                supervisor,
                pid,
                ..
            } = &mut self.programs[place];
            let name = &self.job.trace.programs[*index].name;
            let mut report = String::new();
            reports
                .read_line(&mut report)
                .context("read the supervisor's report")?;
            if report.is_empty() {
                let status = supervisor.wait().context("wait for the supervisor")?;
                bail!("the supervisor of {name} ended without a report: {status}");
            }
            match serde_json::from_str(&report).context("understand the supervisor's report")? {
                Report::Started { pid: started } => {
                    *pid = Some(started);
                    if *index == 0 {
                        self.run.pid = started;
                    }
                }
                Report::Failed { error } => {
                    supervisor.wait().context("wait for the supervisor")?;
                    bail!(
                        "start {}: {error}",
                        self.job.command.join(" ".as_ref()).display()
                    );
                }
                Report::Ended {
                    exit,
                    signal,
                    left,
                    unwaited,
                } => {
                    supervisor.wait().context("wait for the supervisor")?;
                    self.run.ends[*index] = exit.map(End::Exit).or(signal.map(End::Signal));
                    let left = left
                        .into_iter()
                        .map(|process| format!("{name} left a process running: {process}"))
                        .map(Problem::Left);
                    self.run.problems.extend(left);
                    self.run.unwaited.extend(unwaited);
                    return Ok(());
                }
            }
            // The buffer may hold further reports, which `poll` does not see.
            if self.programs[place].reports.buffer().is_empty() {
                return Ok(());
            }
        }
    }

    /// Starts the programs and sends the signals whose lines have been read.
    fn act(&mut self) -> Result<()> {
        let trace = self.job.trace;
        for (index, program) in trace.programs.iter().enumerate() {
            if let Some(label) = program.after
                && !self.started[index]
                && self.called(label)
            {
                self.start_program(index)?;
            }
        }
        for (index, send) in trace.sends.iter().enumerate() {
            if !self.sent[index] && self.called(send.after) {
                self.sent[index] = self.signal(send.program, send.signal, false);
            }
        }
        if let Some(interrupt) = self.job.interrupt
            && !self.interrupted
            && !self.run.lines.is_empty()
        {
            self.interrupted = self.signal(0, interrupt.signal, interrupt.group);
        }
        Ok(())
    }

    /// Whether a line with this label has been read; binds its holes.
    fn called(&mut self, label: usize) -> bool {
        let trace = self.job.trace;
        let pattern = &trace.patterns[trace.labels[label].pattern];
        let (own, parent) = (self.run.pid.to_string(), self.run.parent.to_string());
        let bindings = crate::trace::Bindings {
            value: &|_| None,
            own_pid: &own,
            parent_pid: &parent,
        };
        let captures = self
            .run
            .lines
            .iter()
            .find_map(|line| pattern.fit(&line.text, &bindings));
        let found = captures.is_some();
        self.values.extend(
            captures
                .into_iter()
                .flatten()
                .map(|(name, value)| (name, value.to_owned())),
        );
        found
    }

    /// Whether the signal has been ordered.
    fn signal(&mut self, index: usize, signal: i32, group: bool) -> bool {
        let target = self
            .programs
            .iter_mut()
            .find(|program| program.index == index && program.pid.is_some());
        target.is_some_and(|program| program.order(&Order::Signal { signal, group }))
    }

    fn kill(&mut self) {
        for program in &mut self.programs {
            program.order(&Order::Kill);
        }
    }
}

impl Program {
    /// Whether the supervisor was still running to take the order.
    fn order(&mut self, order: &Order) -> bool {
        serde_json::to_string(order).is_ok_and(|order| writeln!(self.socket, "{order}").is_ok())
    }
}

fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    pipe_with(PipeFlags::CLOEXEC).context("make a pipe")
}

/// The two sides of a new terminal in raw mode.
fn terminal() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let ours = openpt(flags)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let theirs = ioctl_tiocgptpeer(&ours, flags)?;
    let mut attributes = tcgetattr(&theirs)?;
    attributes.make_raw();
    tcsetattr(&theirs, OptionalActions::Now, &attributes)?;
    Ok((ours, theirs))
}

fn readable(fd: impl AsFd) -> Result<bool> {
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    Ok(poll(&mut fds, Some(&Timespec::default())).context("look for output")? > 0)
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let below = |path: PathBuf| match path.is_dir() && !path.is_symlink() {
        true => [vec![path.clone()], files_below(&path)].concat(),
        false => vec![path],
    };
    entries.flat_map(|entry| below(entry.path())).collect()
}

/// The entries of `/dev/shm` that belong to this user.
fn shm_entries() -> BTreeSet<String> {
    let user = rustix::process::geteuid().as_raw();
    let entries = fs::read_dir("/dev/shm").into_iter().flatten().flatten();
    let own = entries.filter(|entry| entry.metadata().is_ok_and(|data| data.uid() == user));
    own.map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// The new entries of `/dev/shm` that no process uses. All processes of this run are dead, so an entry in use belongs to
/// another run. (Unused entries that another program of this user creates meanwhile count too.)
fn shm_left(before: &BTreeSet<String>) -> Vec<String> {
    let deadline = Instant::now() + SHM_GRACE;
    loop {
        let new: Vec<String> = shm_entries().difference(before).cloned().collect();
        if new.is_empty() {
            return vec![];
        }
        let used = shm_in_use();
        let left: Vec<String> = new
            .into_iter()
            .filter(|name| !used.contains(&format!("/dev/shm/{name}")))
            .collect();
        if left.is_empty() || Instant::now() >= deadline {
            return left;
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// The files of `/dev/shm` that a process has mapped or open.
fn shm_in_use() -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let maps = fs::read_to_string(process.path().join("maps")).unwrap_or_default();
        used.extend(
            maps.lines()
                .filter_map(|line| line.find("/dev/shm/").map(|at| line[at..].to_owned())),
        );
        for fd in fs::read_dir(process.path().join("fd"))
            .into_iter()
            .flatten()
            .flatten()
        {
            used.extend(fs::read_link(fd.path()).map(|path| path.to_string_lossy().into_owned()));
        }
    }
    used
}
