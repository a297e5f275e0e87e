//! The server, which holds objects whose methods clients call over many connections.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fmt::{Display, Write};
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use std::{fmt, io, thread};

use pickle_value::managers::{as_token, dump_reply_into, small_request, token};
use pickle_value::{Address, Exception, Keep, Key, Proxy, Value, loads_with};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use crate::args::Args;
use crate::auth::{self, AuthError};
use crate::caller::{Caller, Gone};
use crate::clients::{Client, Clients};
use crate::framing::Frames;
use crate::peer;
use crate::referent::{Failure, Kept, Referent, Reply};
use crate::registry::Registry;
use crate::store::{Found, Store};
use crate::sync::lock;
use crate::transport::{Listener, Stream};

/// The time in which a peer must reject bytes sent after it closed its connection.
const MOMENT: Duration = Duration::from_millis(200);

/// How long connections may continue when the server stops, and again after the server has shut them down.
const DRAIN: Duration = Duration::from_secs(1);

/// Limits on what clients may do. A connection that exceeds one is closed; others are not affected.
///
/// ```
/// use multiprocessing_managers::{Limits, Registry, Server};
///
/// let limits = Limits { connections: 100, ..Limits::default() };
/// let address = "127.0.0.1:0".parse().unwrap();
/// let server = Server::with_limits(&address, b"key", Registry::sync_manager(), limits)?;
/// # drop(server);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Limits {
    /// The maximum number of connections. Any further one is closed immediately. By default 4096.
    pub connections: usize,
    /// The maximum number of unauthenticated connections. Any further one closes the oldest of them. By default 1024.
    pub strangers: usize,
    /// The time limit for the handshake, and again for the first request. By default 10 s.
    pub handshake: Duration,
    /// The size of the largest message in bytes. By default 256 MiB.
    pub message: usize,
    /// Limits on the nesting depth and the memory of a message's values.
    pub values: pickle_value::Limits,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 4096,
            strangers: 1024,
            handshake: Duration::from_secs(10),
            message: 256 << 20,
            values: pickle_value::Limits::default(),
        }
    }
}

/// A server that listens but does not serve yet: Python's `BaseManager(...).get_server()`.
///
/// Over TCP, anyone on the network path can read the messages, as with Python's managers.
///
/// ```
/// use std::thread;
///
/// use multiprocessing_managers::{Manager, Registry, Server};
///
/// let server = Server::bind(&"127.0.0.1:0".parse()?, b"key", Registry::sync_manager())?;
/// let address = server.address().clone();
/// let serving = thread::spawn(move || server.serve());
/// let manager = Manager::connect(&address, b"key")?;
/// manager.shutdown()?;
/// assert_eq!(serving.join().unwrap().objects, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Server {
    listener: Listener,
    shared: Arc<Shared>,
}

/// A server that serves in its own threads until this handle is dropped or a client shuts it down.
///
/// ```
/// use multiprocessing_managers::{Registry, Server};
///
/// let server = Server::bind(&"127.0.0.1:0".parse().unwrap(), b"key", Registry::sync_manager())?;
/// let running = server.start()?;
/// assert_eq!(running.number_of_objects(), 0);
/// println!("{}", running.shutdown()); // connections served: 0, objects left: 0
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Running {
    shared: Arc<Shared>,
    thread: Option<thread::JoinHandle<Summary>>,
}

/// A handle that stops a server. Clones stop the same server.
///
/// ```
/// use std::thread;
///
/// use multiprocessing_managers::{Registry, Server};
///
/// let server = Server::bind(&"127.0.0.1:0".parse().unwrap(), b"key", Registry::new())?;
/// let stop = server.stop();
/// let serving = thread::spawn(move || server.serve());
/// stop.stop();
/// serving.join().unwrap();
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Stop(Arc<Shared>);

/// A summary of a server's work after it has stopped.
///
/// ```
/// use multiprocessing_managers::Summary;
///
/// let summary = Summary { served: 3, ..Summary::default() };
/// assert_eq!(summary.to_string(), "connections served: 3, objects left: 0");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Authenticated connections. Each client opens several.
    pub served: u64,
    /// Other connections: the client did not authenticate in time, or the limit was reached.
    pub refused: u64,
    /// Objects to which clients still refer.
    pub objects: usize,
    /// Connections with a call that did not end in time. Their threads end when the call ends.
    pub left: usize,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connections served: {}", self.served)?;
        if self.refused > 0 {
            write!(f, ", refused: {}", self.refused)?;
        }
        write!(f, ", objects left: {}", self.objects)
    }
}

struct Shared {
    key: Vec<u8>,
    registry: Registry,
    limits: Limits,
    address: Address,
    store: Arc<Store>,
    clients: Arc<Clients>,
    connections: Mutex<Connections>,
    /// A connection has ended.
    ended: Condvar,
    /// An eventfd that becomes readable when the server must stop.
    stop: OwnedFd,
    stopping: AtomicBool,
    /// Whether any message has contained a proxy.
    proxies: AtomicBool,
    report: OnceLock<Box<Report>>,
}

type Report = dyn Fn(&str) + Send + Sync;

#[derive(Default)]
struct Connections {
    all: BTreeMap<u64, Arc<Stream>>,
    /// The unauthenticated connections, oldest first.
    strangers: VecDeque<u64>,
    /// The number of connections so far, and how many of them were authenticated.
    accepted: u64,
    served: u64,
}

impl Server {
    /// Listens at the address, with the default [`Limits`]. Port 0 selects a free port. Clients must have the `authkey`,
    /// which may be any bytes.
    ///
    /// # Errors
    ///
    /// `AddrInUse`, also for the path of a Unix socket that exists; `AddrNotAvailable`; and the system's other errors.
    pub fn bind(address: &Address, authkey: &[u8], registry: Registry) -> io::Result<Self> {
        Server::with_limits(address, authkey, registry, Limits::default())
    }

    /// Listens at the address, with the given limits.
    ///
    /// # Errors
    ///
    /// As [`Server::bind`].
    pub fn with_limits(
        address: &Address,
        authkey: &[u8],
        registry: Registry,
        limits: Limits,
    ) -> io::Result<Self> {
        let listener = Listener::bind(address)?;
        let store = Arc::new(Store::new()?);
        let shared = Shared {
            key: authkey.to_vec(),
            registry,
            limits,
            address: listener.address().clone(),
            clients: Clients::watch(store.clone())?,
            store,
            connections: Mutex::default(),
            ended: Condvar::new(),
            stop: eventfd(0, EventfdFlags::CLOEXEC)?,
            stopping: AtomicBool::new(false),
            proxies: AtomicBool::new(false),
            report: OnceLock::new(),
        };
        Ok(Server {
            listener,
            shared: Arc::new(shared),
        })
    }

    /// Returns the address, with the actual port.
    pub fn address(&self) -> &Address {
        &self.shared.address
    }

    /// Starts to serve: a thread that accepts connections, and one for each connection.
    ///
    /// # Errors
    ///
    /// The system's error if it cannot start a thread.
    pub fn start(self) -> io::Result<Running> {
        let shared = self.shared.clone();
        let thread = thread::Builder::new()
            .name("manager".into())
            .spawn(move || self.serve())?;
        Ok(Running {
            shared,
            thread: Some(thread),
        })
    }

    /// Sets `to` to be called with a line for each connection that the server closes or refuses: the peer and the reason.
    ///
    /// Connections that their clients close are not reported. Many threads call `to`, which should not block. Later calls of
    /// `report` have no effect.
    pub fn report(&self, to: impl Fn(&str) + Send + Sync + 'static) {
        self.shared.report.set(Box::new(to)).ok();
    }

    /// Returns a handle that ends [`Server::serve`] from another thread.
    pub fn stop(&self) -> Stop {
        Stop(self.shared.clone())
    }

    /// Serves until it is stopped or a client calls `shutdown`. Ends as [`Running::shutdown`] does.
    pub fn serve(self) -> Summary {
        let Server { listener, shared } = self;
        while !shared.stopping.load(Ordering::Acquire) {
            let mut fds = [
                PollFd::new(&listener, PollFlags::IN),
                PollFd::new(&shared.stop, PollFlags::IN),
            ];
            if poll(&mut fds, None).is_err() || fds[0].revents().is_empty() {
                continue;
            }
            // Ignore a client that has disconnected already. Without free descriptors or threads, close a connection.
            let accepted = listener
                .accept()
                .and_then(|stream| shared.clone().admit(stream));
            if accepted.is_err_and(|error| error.kind() != io::ErrorKind::ConnectionAborted) {
                shared.make_room();
            }
        }
        drop(listener);
        shared.drain()
    }
}

impl Running {
    /// Returns the address, with the actual port.
    pub fn address(&self) -> &Address {
        &self.shared.address
    }

    /// Returns the number of objects to which clients refer.
    pub fn number_of_objects(&self) -> usize {
        self.shared.store.len()
    }

    /// Blocks until a client has called `shutdown`.
    pub fn join(mut self) -> Summary {
        self.wait()
    }

    /// Stops the server, and blocks until it has stopped.
    ///
    /// Running requests get their replies. Blocked calls are cancelled. Connections whose client does not read are shut down
    /// after a second.
    pub fn shutdown(mut self) -> Summary {
        self.shared.stop();
        self.wait()
    }

    fn wait(&mut self) -> Summary {
        // The thread itself has reported a panic.
        let ended = self.thread.take().and_then(|thread| thread.join().ok());
        ended.unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.stop();
        self.wait();
    }
}

impl Stop {
    /// Tells the server to stop, and returns immediately.
    pub fn stop(&self) {
        self.0.stop();
    }
}

impl Shared {
    fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        rustix::io::write(&self.stop, &1u64.to_ne_bytes()).ok(); // The counter cannot be full.
    }

    /// Serves the connection in a thread of its own.
    fn admit(self: Arc<Self>, stream: Stream) -> io::Result<()> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        stream.keep_alive()?;
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let stream = Arc::new(stream);
        let mut connections = lock(&self.connections);
        connections.accepted += 1;
        if connections.all.len() >= self.limits.connections {
            drop(connections);
            if let Some(report) = self.report.get() {
                report(&format!("{}: too many connections", peer::name(&stream)));
            }
            return Ok(());
        }
        if connections.strangers.len() >= self.limits.strangers {
            // That connection only waits for its client, so it ends immediately and frees a place.
            let oldest = connections.end_oldest_stranger();
            let is_there = |connections: &mut Connections| {
                oldest.is_some_and(|id| connections.all.contains_key(&id))
            };
            let left = self.ended.wait_timeout_while(connections, DRAIN, is_there);
            connections = left.unwrap_or_else(PoisonError::into_inner).0;
        }
        connections.all.insert(id, stream.clone());
        connections.strangers.push_back(id);
        drop(connections);
        let leave = Leave {
            shared: self.clone(),
            id,
        };
        let serve = move || {
            let leave = leave;
            leave.shared.clone().serve(leave.id, stream);
        };
        // On failure the closure is dropped, which removes the connection.
        thread::Builder::new()
            .name("connection".into())
            .spawn(serve)
            .map(drop)
    }

    /// Closes the oldest unauthenticated connection, and waits a moment for a connection to end.
    fn make_room(&self) {
        let mut connections = lock(&self.connections);
        connections.end_oldest_stranger();
        let wait = self
            .ended
            .wait_timeout(connections, Duration::from_millis(100));
        drop(wait.unwrap_or_else(PoisonError::into_inner));
    }

    /// Ends all connections, and returns when they have ended or the time limit has passed.
    fn drain(&self) -> Summary {
        let deadline = Instant::now() + DRAIN;
        for stream in lock(&self.connections).all.values() {
            stream.shutdown_read().ok();
        }
        let mut connections = lock(&self.connections);
        let mut cut = false;
        while !connections.all.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() && !cut {
                cut = true;
                for stream in connections.all.values() {
                    stream.shutdown().ok();
                }
            }
            let left = (deadline + DRAIN).saturating_duration_since(Instant::now());
            let left = if cut {
                left
            } else {
                left.saturating_sub(DRAIN)
            };
            if left.is_zero() && cut {
                break;
            }
            let wait = self.ended.wait_timeout(connections, left);
            connections = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
        let Connections {
            accepted, served, ..
        } = *connections;
        let left = connections.all.len();
        drop(connections);
        Summary {
            served,
            refused: accepted - served,
            objects: self.store.len(),
            left,
        }
    }

    /// Serves a connection from its first byte to its last.
    fn serve(&self, id: u64, stream: Arc<Stream>) {
        // Look the peer up now; later it may be unknown.
        let peer = self.report.get().map(|_| peer::name(&stream));
        let report = |why: String| {
            if let (Some(report), Some(peer)) = (self.report.get(), &peer) {
                report(&format!("{peer}: {why}"));
            }
        };
        let mut frames = Frames::new(stream);
        match auth::accept(&mut frames, &self.key, self.limits.handshake) {
            Ok(()) => {}
            Err(AuthError::Wrong | AuthError::Rejected) => {
                return report("has another key".to_owned());
            }
            Err(AuthError::Io(error)) if has_left(&error) => return,
            Err(error) => return report(format!("in the handshake: {error}")),
        }
        let mut connections = lock(&self.connections);
        connections.served += 1;
        connections.strangers.retain(|stranger| *stranger != id);
        drop(connections);
        match self.control(&mut frames) {
            Err(error) if !has_left(&error) => report(error.to_string()),
            _ => {}
        }
    }

    /// Serves the first request, which is for the server itself. Most connections send only this one.
    fn control(&self, frames: &mut Frames) -> io::Result<()> {
        let deadline = Instant::now().checked_add(self.limits.handshake);
        let frame = match deadline {
            Some(deadline) => frames.recv_until(self.limits.message, deadline)?,
            None => frames.recv(self.limits.message)?,
        };
        let request = match frame.map(|frame| self.understand(frame)) {
            None => return Ok(()),
            Some(Ok(request)) => request,
            Some(Err(error)) => return reply(frames, "#TRACEBACK", traceback(error)),
        };
        let name = request.method.as_str().unwrap_or_default();
        let counts = matches!(name, "create" | "incref" | "decref" | "accept_connection");
        let client = match counts {
            true => self.clients.of(frames.stream()),
            false => None,
        };
        // A client that has been killed is unknown, and would never release the count.
        if client.is_none() && matches!(name, "create" | "incref") && has_closed(frames.stream()) {
            return Ok(());
        }
        let client_id = client.as_ref().map_or(0, |client| client.id);
        let args = arguments(&request.args, &request.keywords);
        let result = args.and_then(|args| self.function(&request.method, args, client_id));
        if let Some(client) = &client {
            // The client may have been killed, and its counts dropped before this one existed.
            client.conclude();
        }
        let done = result.is_ok();
        let replied = match result {
            Ok(value) => reply(frames, "#RETURN", value),
            Err(exception) => reply(frames, "#TRACEBACK", traceback(exception)),
        };
        match name {
            "shutdown" if done => self.stop(),
            "accept_connection" if done && replied.is_ok() => {
                self.calls(frames, client.as_ref())?
            }
            _ => {}
        }
        replied
    }

    /// Calls a function of the server itself.
    fn function(&self, name: &Value, mut args: Args, client: u64) -> Result<Value, Exception> {
        match name.as_str().unwrap_or_default() {
            "dummy" => args.bind("Server.dummy", []).map(|[]| Value::None),
            "create" => {
                if args.positional.is_empty() {
                    return args
                        .bind("Server.create", [("typeid", None)])
                        .map(|[none]| none);
                }
                let typeid = args.positional.remove(0);
                let typeid = typeid
                    .as_str()
                    .ok_or_else(|| Exception::key_error(typeid.clone()))?;
                let object = self.registry.make(typeid, args)?;
                let exposed = names(object.exposed());
                let ident = self.store.enter(object, client);
                Ok(Value::tuple([Value::Str(ident), exposed]))
            }
            "incref" => self
                .store
                .incref(&ident(args, "Server.incref")?, client)
                .map(Value::from),
            "decref" => self
                .store
                .decref(&ident(args, "Server.decref")?, client)
                .map(Value::from),
            "accept_connection" => {
                let [_] = args.bind("Server.accept_connection", [("name", None)])?;
                Ok(Value::None)
            }
            "get_methods" => {
                let [token] = args.bind("Server.get_methods", [("token", None)])?;
                let token = as_token(&token);
                let (_, _, ident) = token.ok_or_else(|| Exception::type_error("not a token"))?;
                let unknown = || Exception::key_error((&*ident).into());
                Ok(names(
                    self.store.find(&ident).ok_or_else(unknown)?.exposed(),
                ))
            }
            "number_of_objects" => args
                .bind("Server.number_of_objects", [])
                .map(|[]| self.store.len().into()),
            "debug_info" => args
                .bind("Server.debug_info", [])
                .map(|[]| self.debug_info().into()),
            "shutdown" => args.bind("Server.shutdown", []).map(|[]| Value::None),
            _ => {
                let text = format!("{name} unrecognized");
                Err(Exception::new("builtins", "AssertionError", [text.into()]))
            }
        }
    }

    fn debug_info(&self) -> String {
        let mut text = String::new();
        for (ident, count, object) in self.store.list() {
            let repr = object
                .repr()
                .unwrap_or_else(|failure| format!("{failure:?}"));
            let repr: String = repr.chars().take(75).collect();
            writeln!(text, "  {ident}:       refcount={count}\n    {repr}").ok();
        }
        text
    }

    /// Serves the calls of a client's thread, until it closes the connection.
    fn calls(&self, frames: &mut Frames, client: Option<&Arc<Client>>) -> io::Result<()> {
        // On one machine a reset means that the client closed the connection with unread bytes. Between machines, the network
        // can also reset a connection.
        let local = frames.stream().is_local();
        let caller = Caller::remote(frames.stream().clone());
        let client_id = client.map_or(0, |client| {
            client.caller_begins();
            client.id
        });
        // A method of a user's type may panic. The panic hook reports it, and the client is disconnected.
        let serve = AssertUnwindSafe(|| self.serve_calls(frames, &caller, client_id));
        let panicked = |_| Err(io::Error::other("a method panicked"));
        let result = catch_unwind(serve).unwrap_or_else(panicked);
        let receipt = caller.receipt();
        let receipt = match &result {
            Err(error) if local && is_reset(error) => {
                if let Some(receipt) = receipt {
                    receipt.unread();
                }
                None
            }
            _ => receipt.filter(|_| !self.stopping.load(Ordering::Acquire)),
        };
        match client {
            Some(client) => client.caller_ended(&caller),
            None => caller.held().iter().for_each(|object| {
                object.gone(caller.id(), Gone::Left);
            }),
        }
        match receipt {
            None => {}
            Some(receipt) if local && refused(frames.stream(), MOMENT) => receipt.unread(),
            Some(receipt) => {
                let how = client.map(|client| client.how(&self.stop));
                receipt.unconfirmed(how.unwrap_or(Gone::Left));
            }
        }
        result
    }

    fn serve_calls(
        &self,
        frames: &mut Frames,
        caller: &Arc<Caller>,
        client: u64,
    ) -> io::Result<()> {
        // The objects in the last reply. The client counts them before its next request here.
        let mut graced: Vec<Keep> = vec![];
        let mut found = Found::default();
        while let Some(frame) = frames.recv(self.limits.message)? {
            drop(caller.receipt());
            graced.clear();
            let result = self.call(caller, frame, &mut found);
            let (kind, result) = match result {
                Ok(Reply::Value(value)) => ("#RETURN", value),
                Ok(Reply::Object(object)) => ("#PROXY", self.proxy(object, client)),
                Err(Failure::Raised(exception)) => ("#ERROR", exception.to_value()),
                Err(Failure::Traceback(text)) => ("#TRACEBACK", traceback(text)),
                Err(Failure::Unserializable(text)) => ("#UNSERIALIZABLE", text.into()),
                Err(Failure::Gone) => return Ok(()),
            };
            if self.proxies.load(Ordering::Relaxed) {
                let see = &mut |proxy: &Arc<Proxy>| graced.extend(proxy.keep.clone());
                result.proxies(&mut HashSet::new(), see);
            }
            reply(frames, kind, result)?;
        }
        Ok(())
    }

    /// Serves a request.
    fn call(
        &self,
        caller: &Arc<Caller>,
        frame: &[u8],
        found: &mut Found,
    ) -> Result<Reply, Failure> {
        // Most requests are small, and for an object that this connection has called before.
        if let Some((ident, name, args)) = small_request(frame, &self.limits.values)
            && let Some(object) = found.object(&self.store, ident)
        {
            return method(&*object, caller, name, Ok(Args::new(args.iter().cloned())));
        }
        let request = self.understand(frame).map_err(around)?;
        let known = request
            .ident
            .as_str()
            .and_then(|ident| self.store.find(ident));
        let Some(object) = known else {
            let unknown = Key::new(request.ident).map(|key| Exception::key_error(key.into_value()));
            return Err(around(unknown.unwrap_or_else(|unhashable| unhashable)));
        };
        let args = arguments(&request.args, &request.keywords);
        match request.method.as_str() {
            Some(name) => method(&*object, caller, name, args),
            None => Err(no_method(&*object, &request.method)),
        }
    }

    /// Registers a new object with a count of one, and returns the content of a `#PROXY` reply.
    fn proxy(&self, object: Arc<dyn Referent>, client: u64) -> Value {
        let (typeid, exposed) = (object.typeid(), names(object.exposed()));
        let ident = self.store.enter(object, client);
        Value::tuple([exposed, token(typeid, &self.address, ident)])
    }

    /// Reads a request.
    fn understand(&self, frame: &[u8]) -> Result<Request, Exception> {
        let mut keep = |proxy: &Proxy| -> Option<Keep> {
            let object = self.store.find(&proxy.ident)?;
            self.proxies.store(true, Ordering::Relaxed);
            Some(Arc::new(Kept::new(object)))
        };
        let request = loads_with(frame, &self.limits.values, &mut keep);
        let request = request.map_err(|error| {
            Exception::new("pickle", "UnpicklingError", [error.to_string().into()])
        });
        request.and_then(Request::from_value)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.clients.stop();
    }
}

impl Connections {
    /// Closes the oldest unauthenticated connection, and returns its number.
    fn end_oldest_stranger(&mut self) -> Option<u64> {
        let oldest = self.strangers.pop_front()?;
        if let Some(stream) = self.all.get(&oldest) {
            stream.shutdown().ok();
        }
        Some(oldest)
    }
}

/// A connection being served. Dropping this removes it.
struct Leave {
    shared: Arc<Shared>,
    id: u64,
}

impl Drop for Leave {
    fn drop(&mut self) {
        let mut connections = lock(&self.shared.connections);
        connections.all.remove(&self.id);
        connections
            .strangers
            .retain(|stranger| *stranger != self.id);
        self.shared.ended.notify_all();
    }
}

/// Calls a method of the object.
fn method(
    object: &dyn Referent,
    caller: &Arc<Caller>,
    name: &str,
    args: Result<Args, Exception>,
) -> Result<Reply, Failure> {
    if object.exposed().contains(&name) {
        return object.call(caller, name, args?);
    }
    let none = || match args {
        Ok(args) if args.positional.is_empty() && args.keywords.is_empty() => Ok(()),
        Ok(_) => {
            let text = format!("{name} takes no arguments");
            Err(around(Exception::type_error(text)))
        }
        Err(exception) => Err(around(exception)),
    };
    match name {
        "__str__" => none().and_then(|()| object.str()).map(Reply::from),
        "__repr__" => none().and_then(|()| object.repr()).map(Reply::from),
        "#GETVALUE" => none().and_then(|()| object.value()).map(Reply::Value),
        _ => Err(no_method(object, &name.into())),
    }
}

fn no_method(object: &dyn Referent, name: &Value) -> Failure {
    let (typeid, exposed) = (object.typeid(), object.exposed().join(", "));
    let text = format!("{name} is not a method of {typeid}, whose methods are: {exposed}");
    around(Exception::key_error(text.into()))
}

/// Returns a failure outside the method itself.
fn around(exception: Exception) -> Failure {
    Failure::Traceback(exception.to_string())
}

/// A request for the method of an object, or, on a new connection, a function of the server. Its parts are not checked yet.
struct Request {
    ident: Value,
    method: Value,
    args: Value,
    keywords: Value,
}

impl Request {
    fn from_value(value: Value) -> Result<Self, Exception> {
        let (Value::Tuple(parts) | Value::List(parts)) = value else {
            let text = format!("cannot unpack non-iterable {} object", value.type_name());
            return Err(Exception::type_error(text));
        };
        let [ident, method, args, keywords] = &*parts else {
            let text = format!("a request has 4 parts, not {}", parts.len());
            return Err(Exception::value_error(text));
        };
        let [ident, method, args, keywords] = [ident, method, args, keywords].map(Value::clone);
        Ok(Request {
            ident,
            method,
            args,
            keywords,
        })
    }
}

/// Returns the arguments of `f(*args, **keywords)`.
fn arguments(args: &Value, keywords: &Value) -> Result<Args, Exception> {
    let positional = match args {
        Value::Tuple(args) => args.to_vec(),
        args => args.elements().map_err(|_| {
            let text = "argument after * must be an iterable, not";
            Exception::type_error(format!("{text} {}", args.type_name()))
        })?,
    };
    let Value::Dict(pairs) = keywords else {
        let text = "argument after ** must be a mapping, not";
        return Err(Exception::type_error(format!(
            "{text} {}",
            keywords.type_name()
        )));
    };
    let keywords = pairs.iter().map(|(name, value)| match name {
        Value::Str(name) => Ok((name.clone(), value.clone())),
        _ => Err(Exception::type_error("keywords must be strings")),
    });
    Ok(Args {
        positional,
        keywords: keywords.collect::<Result<_, _>>()?,
    })
}

fn reply(frames: &mut Frames, kind: &str, result: Value) -> io::Result<()> {
    frames.send(|out| dump_reply_into(kind, &result, out))
}

fn names(exposed: &[&str]) -> Value {
    Value::tuple(exposed.iter().map(|name| Value::from(*name)))
}

fn ident(args: Args, function: &str) -> Result<Arc<str>, Exception> {
    match args.bind(function, [("ident", None)])? {
        [Value::Str(ident)] => Ok(ident),
        [other] => Err(Exception::key_error(other)),
    }
}

/// Returns a traceback; only its last line is informative.
fn traceback(last: impl Display) -> Value {
    format!("Traceback (most recent call last):\n  in the manager's server\n{last}\n").into()
}

/// Returns whether the peer has closed its end or was killed, so that it does not wait for a reply.
fn has_closed(stream: &Stream) -> bool {
    let mut fds = [PollFd::new(stream, PollFlags::RDHUP)];
    poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

/// Returns whether the peer rejected bytes that were sent after it closed its connection. Over TCP neither writing nor
/// reading reports that.
fn refused(stream: &Stream, limit: Duration) -> bool {
    let Stream::Tcp(stream) = stream else {
        return false;
    };
    let mut fds = [PollFd::new(stream, PollFlags::empty())];
    let limit = Timespec::try_from(limit).ok();
    poll(&mut fds, limit.as_ref()).is_ok() && fds[0].revents().contains(PollFlags::ERR)
}

/// Returns whether the error means that the client, or the stopping server, closed the connection.
fn has_left(error: &io::Error) -> bool {
    is_reset(error) || error.kind() == io::ErrorKind::UnexpectedEof
}

fn is_reset(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}
