//! The client, which uses a server's objects through proxies. The server may be CPython's.
//!
//! Each thread has its own connection, as in CPython, because the connection is the owner of an RLock. A thread's first
//! call opens the connection. It is closed when the thread ends, or when the last proxy and manager of the server are
//! dropped. Calls have no time limit. If the server dies, blocked calls fail immediately. If the server's machine
//! disappears, or does not accept a large request, they fail after a minute.
//!
//! The client never retries a call. If the connection breaks, the call fails with [`Error::Disconnected`], even if the
//! request was not written: to the server a new connection is a different caller that does not hold the old one's locks,
//! and a restarted server has lost the objects. The thread's next call opens a new connection.
//!
//! A clone of a proxy shares its reference count at the server. A proxy inside a reply uses the key of the server that sent
//! it; in Python it needs `current_process().authkey`.
//!
//! After `fork`, the child opens its own connections. The parent's proxies work in the child as long as the parent keeps
//! them. Attach a proxy again ([`Manager::attach`]) to give the child its own count.

use std::cell::RefCell;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};
use std::{fmt, process, thread};

use pickle_value::managers::{address_value, as_address, as_token, dump_request_into, small_reply};
use pickle_value::{Address, Exception, Global, Keep, Limits, Value, dumps, loads, loads_with};

use crate::args::Args;
use crate::auth::{self, AuthError};
use crate::framing::Frames;
use crate::sync::lock;
use crate::transport::Stream;

/// The time limit for the server's handshake.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long dropping a proxy waits for an unresponsive server: once for the handshake and once for the reply.
const FAREWELL: Duration = Duration::from_secs(2);

thread_local! {
    /// This thread's connections, one for each server.
    static CALLS: RefCell<Vec<Connection>> = const { RefCell::new(Vec::new()) };
}

/// The servers that this process knows. Managers of the same server share their connections.
static SERVERS: Mutex<Vec<Weak<Endpoint>>> = Mutex::new(Vec::new());

/// A connected manager: Python's `SyncManager` or `BaseManager` after `connect()`.
///
/// Clones share everything, and any thread may use them.
///
/// ```
/// use multiprocessing_managers::{Manager, Registry, Server};
///
/// let server = Server::bind(&"127.0.0.1:0".parse()?, b"key", Registry::sync_manager())?.start()?;
/// let manager = Manager::connect(server.address(), b"key")?;
/// let list = manager.list([1, 2])?;
/// list.append(3)?;
/// assert_eq!(list.repr()?, "[1, 2, 3]");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Manager {
    server: Arc<Endpoint>,
}

/// A reference to an object that a server holds: Python's `BaseProxy`.
///
/// Clones share one reference count at the server. Dropping the last clone releases the count over a separate connection,
/// which takes up to a few seconds if the server does not answer. Errors are ignored.
///
/// ```
/// use multiprocessing_managers::{Args, SyncManager};
///
/// let manager = SyncManager::start()?;
/// let queue = manager.create("Queue", Args::default())?;
/// queue.call("put", Args::new(["item".into()]))?;
/// assert_eq!(queue.call("get", Args::default())?.as_str(), Some("item"));
/// # Ok::<(), multiprocessing_managers::Error>(())
/// ```
#[derive(Clone)]
pub struct Proxy {
    reference: Arc<Reference>,
}

/// The reason why a call has no result.
///
/// ```
/// use multiprocessing_managers::SyncManager;
///
/// let manager = SyncManager::start()?;
/// let error = manager.list([1])?.get(5).unwrap_err();
/// assert!(error.is("builtins", "IndexError"));
/// assert_eq!(error.to_string(), "IndexError: list index out of range");
/// # Ok::<(), multiprocessing_managers::Error>(())
/// ```
#[derive(Debug)]
pub enum Error {
    /// The server cannot be reached.
    Io {
        /// What was attempted.
        what: String,
        /// The system's error.
        source: io::Error,
    },
    /// The connection broke, because the server died or closed it. The call may or may not have been executed.
    Disconnected {
        /// What was attempted.
        what: String,
    },
    /// The keys differ.
    Auth(String),
    /// The method raised an exception.
    Raised(Exception),
    /// The server failed outside the method: the object or method does not exist, or a constructor raised. Python's
    /// `RemoteError`. The text is for humans; CPython sends a traceback.
    Remote(String),
    /// The method returned, but its result cannot be pickled.
    Unserializable(String),
    /// The reply violates the protocol, or has the wrong type for this method.
    Protocol(String),
}

/// This process's record of a server.
struct Endpoint {
    address: Address,
    key: Box<[u8]>,
    /// The server was told to shut down, so counts need not be released.
    stopped: AtomicBool,
    /// The server did not answer when a count was released. Further counts are not released: otherwise dropping a
    /// thousand proxies of a machine that has disappeared would take an hour.
    silent: AtomicBool,
}

/// A reference count of one at the server.
struct Reference {
    server: Arc<Endpoint>,
    /// The proxy as it is sent, without a `keep`. The address is the one that the server uses for itself.
    token: pickle_value::Proxy,
    /// The process that owns the count. Its forked children do not.
    process: u32,
}

/// A thread's connection to a server.
struct Connection {
    server: Weak<Endpoint>,
    process: u32,
    id: u64,
    frames: Frames,
}

impl Manager {
    /// Connects to a server, and checks that it answers. Python's `connect()`.
    ///
    /// Write the address exactly as the server does: CPython treats `localhost` and `127.0.0.1` as two servers, and connects
    /// to itself when a proxy is stored in another object.
    ///
    /// Blocks until the server has answered, at most for 30 s.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if no server listens at the address, [`Error::Auth`] if the server has another key.
    pub fn connect(address: &Address, authkey: &[u8]) -> Result<Manager, Error> {
        let server = Endpoint::at(address, authkey);
        server.control("dummy", Args::default())?;
        Ok(Manager { server })
    }

    /// Returns the address of the server.
    pub fn address(&self) -> &Address {
        &self.server.address
    }

    /// Writes the server's address, its key and some values, such as proxies, for another process, and closes the pipe.
    ///
    /// Every reader of the pipe gets the key. Keep the objects alive until the other process has attached to them. Blocks
    /// while the pipe is full.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the pipe cannot be written.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocessing_managers::{ListProxy, Manager, SyncManager, Value};
    ///
    /// let manager = SyncManager::start()?;
    /// let list = manager.list([1])?;
    /// let mut pipe = vec![]; // the standard input of a child, for example
    /// manager.hand_over(&mut pipe, [Value::from(&list)])?;
    ///
    /// let (manager, values) = Manager::take_over(&pipe[..])?;
    /// let list = ListProxy::from(manager.attach(&values[0])?);
    /// assert_eq!(list.len()?, 1);
    /// # Ok::<(), multiprocessing_managers::Error>(())
    /// ```
    pub fn hand_over(
        &self,
        mut pipe: impl Write,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<(), Error> {
        let Endpoint { address, key, .. } = &*self.server;
        let parts = [
            address_value(address),
            Value::bytes(key),
            Value::tuple(values),
        ];
        let written = pipe.write_all(&dumps(&Value::tuple(parts)));
        written.map_err(|source| Error::Io {
            what: "hand a manager over".to_owned(),
            source,
        })
    }

    /// Reads a pipe that another process wrote with [`Manager::hand_over`], connects to the server, and returns the values.
    /// Use [`Manager::attach`] to call the proxies among them.
    ///
    /// # Errors
    ///
    /// As [`Manager::connect`]; [`Error::Protocol`] if the pipe ends early or contains something else.
    pub fn take_over(mut pipe: impl Read) -> Result<(Manager, Vec<Value>), Error> {
        let failed = |source| Error::Io {
            what: "take a manager over".to_owned(),
            source,
        };
        let mut handed = vec![];
        pipe.read_to_end(&mut handed).map_err(failed)?;
        let handed = loads(&handed).map_err(|error| Error::Protocol(error.to_string()))?;
        let parts = tuple(&handed);
        let Some([address, Value::Bytes(key), Value::Tuple(values)]) = parts.as_deref() else {
            return Err(unexpected("take_over", &handed));
        };
        let address = as_address(address);
        let address = address.ok_or_else(|| unexpected("take_over", &handed))?;
        Ok((Manager::connect(&address, key)?, values.to_vec()))
    }

    /// Creates an object, or gets one that the server's own program has registered. Python's `manager.typeid(*args)`.
    ///
    /// # Errors
    ///
    /// [`Error::Remote`] if the type is not registered or its constructor raised. The class of that
    /// exception is only in the text.
    pub fn create(&self, typeid: &str, mut args: Args) -> Result<Proxy, Error> {
        args.positional.insert(0, typeid.into());
        let made = self.server.control("create", args)?;
        let parts = (tuple(&made).as_deref()).and_then(|made| match made {
            [ident, exposed] => Some((ident.as_str()?.into(), names(exposed)?)),
            _ => None,
        });
        let (ident, exposed) = parts.ok_or_else(|| unexpected("create", &made))?;
        let address = self.server.address.clone();
        let token = token(typeid.into(), address, ident, exposed);
        Ok(Proxy::new(self.server.clone(), token))
    }

    /// Returns a proxy for a value that a call has returned, so that its methods can be called.
    ///
    /// The proxy shares the value's reference count. If the value has no count, or the count belongs to the
    /// parent of this forked process, the proxy gets its own.
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`] if the value is not a proxy, [`Error::Remote`] if the object no longer exists.
    pub fn attach(&self, value: &Value) -> Result<Proxy, Error> {
        self.server.attach(value)
    }

    /// Returns the number of objects to which clients refer.
    ///
    /// # Errors
    ///
    /// As [`Manager::connect`].
    pub fn number_of_objects(&self) -> Result<usize, Error> {
        let number = self.ask("number_of_objects")?;
        let count = number.as_int().and_then(|n| usize::try_from(n).ok());
        count.ok_or_else(|| unexpected("number_of_objects", &number))
    }

    /// Returns a human-readable description of the server's objects.
    ///
    /// # Errors
    ///
    /// As [`Manager::connect`].
    pub fn debug_info(&self) -> Result<String, Error> {
        text("debug_info", &self.ask("debug_info")?)
    }

    /// Stops the server. Calls that wait fail with [`Error::Disconnected`].
    ///
    /// # Errors
    ///
    /// As [`Manager::connect`].
    pub fn shutdown(&self) -> Result<(), Error> {
        self.ask("shutdown")?;
        self.server.stopped.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn ask(&self, function: &str) -> Result<Value, Error> {
        self.server.control(function, Args::default())
    }
}

impl Proxy {
    fn new(server: Arc<Endpoint>, token: pickle_value::Proxy) -> Self {
        let process = process::id();
        Proxy {
            reference: Arc::new(Reference {
                server,
                token,
                process,
            }),
        }
    }

    /// Calls a method, and blocks as long as the method does.
    ///
    /// A proxy in the result has a reference count until the result is dropped; [`Proxy::attach`] makes it callable. A
    /// result may take as much memory as [`pickle_value::Limits::default`] allows, 1 GiB.
    ///
    /// # Errors
    ///
    /// Any [`Error`]; [`Error::Auth`] only if this is the thread's first call.
    pub fn call(&self, method: &str, args: Args) -> Result<Value, Error> {
        let Reference { server, token, .. } = &*self.reference;
        server.call(token, method, args)
    }

    /// Returns a copy of the object itself. Python's `proxy._getvalue()`.
    ///
    /// # Errors
    ///
    /// As [`Proxy::call`]; [`Error::Unserializable`] for an object that cannot be pickled, such as a lock.
    pub fn value(&self) -> Result<Value, Error> {
        self.call("#GETVALUE", Args::default())
    }

    /// Returns the `repr` of the object. Python's `str(proxy)`.
    ///
    /// # Errors
    ///
    /// As [`Proxy::call`].
    pub fn repr(&self) -> Result<String, Error> {
        text("__repr__", &self.call("__repr__", Args::default())?)
    }

    /// Returns a proxy for a value, as [`Manager::attach`] does.
    ///
    /// # Errors
    ///
    /// As [`Manager::attach`].
    pub fn attach(&self, value: &Value) -> Result<Proxy, Error> {
        self.reference.server.attach(value)
    }

    /// Returns the name of the object's type, such as `list`.
    pub fn typeid(&self) -> &str {
        &self.reference.token.typeid
    }

    /// Returns the server's name for the object.
    pub fn ident(&self) -> &str {
        &self.reference.token.ident
    }

    /// Returns the methods, for a type unknown to Python's managers.
    pub fn exposed(&self) -> Option<&[Arc<str>]> {
        self.reference.token.exposed.as_deref()
    }

    /// Returns the unique number of this thread's connection to the server.
    pub(crate) fn connection(&self) -> Option<u64> {
        self.reference.server.with_calls(|calls, at| calls[at].id)
    }
}

/// Converts the proxy into a value that shares its reference count, to store it in another object or queue.
impl From<&Proxy> for Value {
    fn from(proxy: &Proxy) -> Self {
        let keep: Keep = proxy.reference.clone();
        Value::Proxy(Arc::new(pickle_value::Proxy {
            keep: Some(keep),
            ..copy(&proxy.reference.token)
        }))
    }
}

impl From<Proxy> for Value {
    fn from(proxy: Proxy) -> Self {
        Value::from(&proxy)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pickle_value::Proxy { class, ident, .. } = &self.reference.token;
        write!(f, "<{}, typeid '{}' at {ident}>", class.name, self.typeid())
    }
}

impl Endpoint {
    fn at(address: &Address, key: &[u8]) -> Arc<Endpoint> {
        let mut servers = lock(&SERVERS);
        servers.retain(|server| server.strong_count() > 0);
        let known = servers.iter().filter_map(Weak::upgrade).find(|server| {
            let stopped = server.stopped.load(Ordering::Relaxed);
            server.address == *address && *server.key == *key && !stopped
        });
        known.unwrap_or_else(|| {
            let server = Arc::new(Endpoint {
                address: address.clone(),
                key: key.into(),
                stopped: AtomicBool::new(false),
                silent: AtomicBool::new(false),
            });
            servers.push(Arc::downgrade(&server));
            server
        })
    }

    /// Returns the server that uses this address for itself.
    fn named(self: &Arc<Self>, name: &Address) -> Arc<Endpoint> {
        let same = match (&self.address, name) {
            (Address::Tcp(ours, port), Address::Tcp(host, other)) if port == other => {
                let loopback = |host: &str| ["localhost", "127.0.0.1", "::1"].contains(&host);
                let any = ["", "0.0.0.0", "::"].contains(&host.as_str());
                ours == host || any || loopback(ours) && loopback(host)
            }
            (ours, name) => ours == name,
        };
        if same {
            self.clone()
        } else {
            Endpoint::at(name, &self.key)
        }
    }

    /// Opens a connection, and performs the handshake.
    fn open(&self, limit: Duration) -> Result<Frames, Error> {
        let failed = |source| Error::Io {
            what: format!("connect to {}", self.address),
            source,
        };
        let begun = Instant::now();
        let stream = Stream::connect(&self.address, Some(limit)).map_err(failed)?;
        stream.keep_alive().map_err(failed)?;
        let mut frames = Frames::new(stream);
        let left = limit.saturating_sub(begun.elapsed());
        auth::connect(&mut frames, &self.key, left).map_err(|error| match error {
            AuthError::Io(error) => failed(error),
            error => Error::Auth(format!("{}: {error}", self.address)),
        })?;
        self.silent.store(false, Ordering::Relaxed);
        Ok(frames)
    }

    /// Calls one of the server's own functions over a separate connection.
    fn control(&self, function: &str, args: Args) -> Result<Value, Error> {
        self.control_on(&mut self.open(PATIENCE)?, function, args)
    }

    /// Calls a server function, either the last one on a connection or the one that switches it to method calls. Proxies in
    /// the reply are not counted; CPython's servers send none there.
    fn control_on(&self, frames: &mut Frames, function: &str, args: Args) -> Result<Value, Error> {
        match self.exchange(frames, None, function, &args, &mut |_| None)? {
            Answer::Value(value) => Ok(value),
            Answer::Object(value) => Err(unexpected(function, &value)),
        }
    }

    /// Releases a count. Failure is ignored: a dead server has no counts.
    fn decref(&self, ident: Value) {
        if [&self.stopped, &self.silent].map(|flag| flag.load(Ordering::Relaxed)) != [false; 2] {
            return;
        }
        let begun = Instant::now();
        let said = self.open(FAREWELL).is_ok_and(|mut frames| {
            let limits = frames.stream().set_timeouts(Some(FAREWELL), Some(FAREWELL));
            let args = Args::new([ident]);
            limits.is_ok() && self.control_on(&mut frames, "decref", args).is_ok()
        });
        if !said && begun.elapsed() >= FAREWELL {
            self.silent.store(true, Ordering::Relaxed);
        }
    }

    fn lost(&self, method: &str, error: &io::Error) -> Error {
        let what = format!("{} was lost during {method}: {error}", self.address);
        Error::Disconnected { what }
    }

    fn call(
        self: &Arc<Self>,
        object: &pickle_value::Proxy,
        method: &str,
        args: Args,
    ) -> Result<Value, Error> {
        let mut connection = match self.with_calls(|calls, at| calls.swap_remove(at)) {
            Some(connection) => connection,
            None => self.accept()?,
        };
        let mut keep = |proxy: &pickle_value::Proxy| -> Option<Keep> {
            // A proxy that cannot be counted stays a name; `attach` retries and reports the error.
            let proxy = self.count(proxy).ok()?;
            Some(proxy.reference)
        };
        let (frames, ident) = (&mut connection.frames, Some(&*object.ident));
        let answer = self.exchange(frames, ident, method, &args, &mut keep);
        if !matches!(answer, Err(Error::Disconnected { .. })) {
            keep_connection(connection);
        }
        match answer? {
            Answer::Value(value) => Ok(value),
            Answer::Object(made) => self.adopt(&made).ok_or_else(|| unexpected(method, &made)),
        }
    }

    /// Returns the proxy of an object that a method made for this client. It takes ownership of the server's count.
    fn adopt(self: &Arc<Self>, made: &Value) -> Option<Value> {
        let parts = tuple(made)?;
        let [exposed, made] = &*parts else {
            return None;
        };
        let (typeid, address, ident) = as_token(made)?;
        let token = token(typeid, address, ident, names(exposed)?);
        Some(Proxy::new(self.clone(), token).into())
    }

    /// Sends a request and reads its reply.
    fn exchange(
        &self,
        frames: &mut Frames,
        ident: Option<&str>,
        method: &str,
        args: &Args,
        keep: &mut dyn FnMut(&pickle_value::Proxy) -> Option<Keep>,
    ) -> Result<Answer, Error> {
        let lost = |error| self.lost(method, &error);
        let sent = frames
            .send(|out| dump_request_into(ident, method, &args.positional, &args.keywords, out));
        sent.map_err(lost)?;
        let reply = frames.recv(usize::MAX).map_err(lost)?;
        let reply = reply.ok_or_else(|| lost(ErrorKind::UnexpectedEof.into()))?;
        let limits = Limits::default();
        if let Some(("#RETURN", value)) = small_reply(reply, &limits) {
            return Ok(Answer::Value(value));
        }
        let reply = loads_with(reply, &limits, keep);
        let reply = reply.map_err(|error| Error::Protocol(format!("{method}: {error}")))?;
        let parts = tuple(&reply).ok_or_else(|| unexpected(method, &reply))?;
        let [kind, result] = &*parts else {
            return Err(unexpected(method, &reply));
        };
        match kind.as_str() {
            Some("#RETURN") => Ok(Answer::Value(result.clone())),
            Some("#PROXY") => Ok(Answer::Object(result.clone())),
            Some("#ERROR") => Err(Exception::from_value(result)
                .map_or_else(|| unexpected(method, result), Error::Raised)),
            Some("#TRACEBACK") => Err(Error::Remote(text(method, result)?)),
            Some("#UNSERIALIZABLE") => Err(Error::Unserializable(text(method, result)?)),
            _ => Err(unexpected(method, &reply)),
        }
    }

    /// Opens this thread's connection for method calls.
    fn accept(self: &Arc<Self>) -> Result<Connection, Error> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let mut frames = self.open(PATIENCE)?;
        let (process, thread) = (process::id(), thread::current());
        let name = match thread.name() {
            Some(name) => format!("{process}|{name}"),
            None => format!("{process}|{:?}", thread.id()),
        };
        self.control_on(&mut frames, "accept_connection", Args::new([name.into()]))?;
        sweep();
        Ok(Connection {
            server: Arc::downgrade(self),
            process,
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            frames,
        })
    }

    /// Calls the closure with this thread's connections and the index of the connection to this server.
    fn with_calls<T>(&self, f: impl FnOnce(&mut Vec<Connection>, usize) -> T) -> Option<T> {
        let find = |calls: &RefCell<Vec<Connection>>| {
            let mut calls = calls.try_borrow_mut().ok()?;
            let at = calls.iter().position(|connection| {
                std::ptr::eq(connection.server.as_ptr(), self)
                    && connection.process == process::id()
            })?;
            Some(f(&mut calls, at))
        };
        CALLS.try_with(find).ok().flatten()
    }

    fn attach(self: &Arc<Self>, value: &Value) -> Result<Proxy, Error> {
        let node = value.node();
        let Value::Proxy(proxy) = &*node else {
            return Err(Error::Protocol(format!("expected a proxy, found {value}")));
        };
        let shared = proxy.keep.clone().and_then(|k| k.downcast().ok());
        match shared {
            Some(reference) if Reference::is_ours(&reference) => Ok(Proxy { reference }),
            _ => self.count(proxy),
        }
    }

    /// Counts one more reference to the object, for a new proxy.
    fn count(self: &Arc<Self>, proxy: &pickle_value::Proxy) -> Result<Proxy, Error> {
        let server = self.named(&proxy.address);
        let ident = Value::Str(proxy.ident.clone());
        server.control("incref", Args::new([ident]))?;
        Ok(Proxy::new(server, copy(proxy)))
    }
}

/// Closes this thread's connection. Other threads close theirs when they open another one or end.
impl Drop for Endpoint {
    fn drop(&mut self) {
        sweep();
    }
}

impl Reference {
    fn is_ours(&self) -> bool {
        self.process == process::id()
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        if self.is_ours() {
            self.server.decref(Value::Str(self.token.ident.clone()));
        }
    }
}

enum Answer {
    Value(Value),
    /// `(exposed, token)` of an object that a method made for this client.
    Object(Value),
}

/// Stores a connection for reuse after a call. When the thread is ending, closes it instead.
fn keep_connection(connection: Connection) {
    let keep = |calls: &RefCell<Vec<Connection>>| {
        if let Ok(mut calls) = calls.try_borrow_mut() {
            calls.push(connection);
        }
    };
    CALLS.try_with(keep).ok();
}

/// Closes this thread's connections to servers without a proxy or manager, and those inherited from a forked parent.
fn sweep() {
    let close = |calls: &RefCell<Vec<Connection>>| {
        let Ok(mut calls) = calls.try_borrow_mut() else {
            return;
        };
        let process = process::id();
        calls.retain(|c| c.server.strong_count() > 0 && c.process == process);
    };
    CALLS.try_with(close).ok();
}

/// Returns a proxy of Python's class for this type.
fn token(
    typeid: Arc<str>,
    address: Address,
    ident: Arc<str>,
    exposed: Arc<[Arc<str>]>,
) -> pickle_value::Proxy {
    let name = match &*typeid {
        "list" => "ListProxy",
        "dict" => "DictProxy",
        "Namespace" => "NamespaceProxy",
        "Value" => "ValueProxy",
        "Array" => "ArrayProxy",
        "Lock" | "RLock" | "Semaphore" | "BoundedSemaphore" => "AcquirerProxy",
        "Condition" => "ConditionProxy",
        "Event" => "EventProxy",
        "Barrier" => "BarrierProxy",
        "Iterator" => "IteratorProxy",
        "Pool" => "PoolProxy",
        _ => "AutoProxy",
    };
    pickle_value::Proxy {
        class: Arc::new(Global {
            module: "multiprocessing.managers".into(),
            name: name.into(),
        }),
        typeid,
        address,
        ident,
        exposed: (name == "AutoProxy").then_some(exposed),
        keep: None,
    }
}

fn copy(proxy: &pickle_value::Proxy) -> pickle_value::Proxy {
    pickle_value::Proxy {
        class: proxy.class.clone(),
        typeid: proxy.typeid.clone(),
        address: proxy.address.clone(),
        ident: proxy.ident.clone(),
        exposed: proxy.exposed.clone(),
        keep: None,
    }
}

fn tuple(value: &Value) -> Option<Arc<[Value]>> {
    match &*value.node() {
        Value::Tuple(values) | Value::List(values) => Some(values.clone()),
        _ => None,
    }
}

fn names(value: &Value) -> Option<Arc<[Arc<str>]>> {
    let name = |name: &Value| name.as_str().map(Arc::from);
    tuple(value)?.iter().map(name).collect()
}

fn text(method: &str, value: &Value) -> Result<String, Error> {
    let text = value.as_str().map(str::to_owned);
    text.ok_or_else(|| unexpected(method, value))
}

pub(crate) fn unexpected(method: &str, value: &Value) -> Error {
    let shown: String = value.to_string().chars().take(200).collect();
    Error::Protocol(format!("{method} returned {shown}"))
}

impl Error {
    /// Returns whether the method raised an exception of this class, such as `error.is("builtins", "KeyError")`.
    pub fn is(&self, module: &str, name: &str) -> bool {
        matches!(self, Error::Raised(exception) if exception.is(module, name))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io { what, source } => write!(f, "{what}: {source}"),
            Error::Disconnected { what } => write!(f, "disconnected: {what}"),
            Error::Auth(what) => write!(f, "authentication: {what}"),
            Error::Raised(exception) => write!(f, "{exception}"),
            Error::Remote(text) => {
                // The preceding lines are a traceback of the server.
                let last = text.trim_end().lines().next_back().unwrap_or_default();
                write!(f, "the server failed: {last}")
            }
            Error::Unserializable(text) => write!(f, "cannot be sent: {}", text.trim_end()),
            Error::Protocol(what) => write!(f, "unexpected reply: {what}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // The text includes the error itself.
            Error::Io { source, .. } => source.source(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Listener;

    const KEY: &[u8] = b"secret";

    #[cfg(feature = "server")]
    #[test]
    fn a_connection_is_closed_with_the_last_proxy_of_its_server() {
        let manager = crate::SyncManager::start().unwrap();
        let list = manager.list([1]).unwrap();
        assert_eq!(list.len().unwrap(), 1);
        let connections = || CALLS.with_borrow(Vec::len);
        assert_eq!(connections(), 1);
        drop(manager);
        drop(list);
        assert_eq!(connections(), 0);
    }

    #[test]
    fn a_silent_server_delays_one_farewell() {
        let folder = tempfile::tempdir().unwrap();
        let address = Address::Unix(folder.path().join("socket"));
        let _listener = Listener::bind(&address).unwrap();
        let server = Endpoint::at(&address, KEY);
        let begun = Instant::now();
        for ident in ["a", "b", "c"] {
            let token = token("list".into(), address.clone(), ident.into(), [].into());
            drop(Proxy::new(server.clone(), token));
        }
        let took = begun.elapsed();
        assert!(took >= FAREWELL && took < 2 * FAREWELL, "{took:?}");
    }

    #[test]
    fn names_of_one_server() {
        let server = |host: &str| Endpoint::at(&Address::Tcp(host.into(), 1), b"names");
        let same = |ours, name: &str| {
            let ours: Arc<Endpoint> = server(ours);
            Arc::ptr_eq(&ours, &ours.named(&Address::Tcp(name.into(), 1)))
        };
        assert!(same("localhost", "127.0.0.1"));
        assert!(same("example.org", "0.0.0.0"));
        assert!(!same("example.org", "127.0.0.1"));
        let ours = server("localhost");
        let other = Address::Tcp("localhost".into(), 2);
        assert!(!Arc::ptr_eq(&ours, &ours.named(&other)));
    }
}
