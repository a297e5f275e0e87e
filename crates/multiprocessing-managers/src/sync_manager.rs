//! A server with all types in this process, and a client of it.
//!
//! Python:  `multiprocessing.Manager()`
//! Differs: the server needs no process of its own, because its threads run beside this program's; so whoever is killed
//!          with this program, nobody is left. Children are told where it is by [`Manager::hand_over`].

use std::ops::Deref;
use std::path::PathBuf;

use pickle_value::Address;

use crate::client::{Error, Manager};
use crate::registry::Registry;
use crate::server::{Running, Server};

/// A server of the thirteen types, which ends when this is dropped, and the [`Manager`] that is its first client.
pub struct SyncManager {
    manager: Manager,
    _server: Running,
}

impl SyncManager {
    /// Starts the server on a Unix socket with a name in Linux's abstract namespace, and with a key, both random.
    ///
    /// Errors: the system has no socket, thread or random number for it.
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
