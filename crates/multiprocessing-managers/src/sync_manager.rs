//! A server in this process, with its first client.

use std::ops::Deref;
use std::path::PathBuf;

use pickle_value::Address;

use crate::client::{Error, Manager};
use crate::registry::Registry;
use crate::server::{Running, Server};

/// A server of all types in this process, and its first client: Python's `multiprocessing.Manager()`.
///
/// Dereferences to a [`Manager`]. The server runs in threads of this process, so it cannot outlive it, and stops when this is
/// dropped. Tell children about it with [`Manager::hand_over`].
///
/// ```
/// use multiprocessing_managers::SyncManager;
///
/// let manager = SyncManager::start()?;
/// let dict = manager.dict([("a", 1)])?;
/// assert_eq!(dict.repr()?, "{'a': 1}");
/// # Ok::<(), multiprocessing_managers::Error>(())
/// ```
pub struct SyncManager {
    manager: Manager,
    _server: Running,
}

impl SyncManager {
    /// Starts a server on a Unix socket with a random name in Linux's abstract namespace, with a random key.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the system has no socket, thread or random numbers.
    pub fn start() -> Result<Self, Error> {
        let mut random = [0; 32];
        let failed = |source| Error::Io {
            what: "start a manager".to_owned(),
            source,
        };
        getrandom::fill(&mut random).map_err(|error| failed(error.into()))?;
        let (name, key) = random.split_at(8);
        let name: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
        let address = Address::Unix(PathBuf::from(format!("\0manager-{name}")));
        let server = Server::bind(&address, key, Registry::sync_manager());
        let server = server.and_then(Server::start).map_err(failed)?;
        let manager = Manager::connect(server.address(), key)?;
        Ok(SyncManager {
            manager,
            _server: server,
        })
    }
}

impl Deref for SyncManager {
    type Target = Manager;

    fn deref(&self) -> &Manager {
        &self.manager
    }
}
