//! The objects of a server, their names and their reference counts.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};

use pickle_value::Exception;

use crate::collector;
use crate::referent::Referent;

const PATIENCE: usize = 32;

/// The objects that clients can name.
///
/// An object lives, under the same name, as long as a client or a stored value refers to it. No name is given twice.
pub(crate) struct Store {
    table: RwLock<Table>,
    /// Different in each server, so that a name of another server is unknown here.
    prefix: u32,
    next: AtomicU64,
    /// Changes whenever an object loses its last count.
    generation: AtomicUsize,
    /// How many objects may lose their last count and live on before the collector runs again.
    patience: AtomicUsize,
}

#[derive(Default)]
struct Table {
    records: HashMap<Arc<str>, Record>,
    /// Names by the address of the object. The weak reference of the record prevents another object at the address.
    idents: HashMap<usize, Arc<str>>,
    /// Beyond this number, records of objects that no longer exist are removed.
    limit: usize,
}

/// The objects that a connection has called last, which saves a search of the table.
#[derive(Default)]
pub(crate) struct Found {
    /// The store's generation when these were found.
    generation: usize,
    objects: Vec<(Box<str>, Weak<dyn Referent>)>,
}

struct Record {
    object: Weak<dyn Referent>,
    /// While clients refer to it.
    kept: Option<Arc<dyn Referent>>,
    /// How many references each client process holds. Client 0 stands for all unknown processes. Its count may be negative
    /// after an unattributed message gave back a reference that is counted for another client.
    counts: Vec<(u64, isize)>,
}

impl Store {
    pub fn new() -> std::io::Result<Self> {
        let mut prefix = [0; 4];
        getrandom::fill(&mut prefix).map_err(std::io::Error::other)?;
        Ok(Store {
            table: RwLock::default(),
            prefix: u32::from_ne_bytes(prefix) | 1 << 31,
            next: AtomicU64::new(1),
            generation: AtomicUsize::new(0),
            patience: AtomicUsize::new(PATIENCE),
        })
    }

    /// Names the object, if it has no name, and counts a reference of the client.
    pub fn enter(&self, object: Arc<dyn Referent>, client: u64) -> Arc<str> {
        let at = Arc::as_ptr(&object).cast::<()>() as usize;
        let mut guard = self.write();
        let table = &mut *guard;
        table.prune();
        let ident = table.idents.entry(at).or_insert_with(|| {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            format!("{:x}{number:08x}", self.prefix).into()
        });
        let ident = ident.clone();
        let record = table
            .records
            .entry(ident.clone())
            .or_insert_with(|| Record {
                object: Arc::downgrade(&object),
                kept: None,
                counts: vec![],
            });
        record.kept = Some(object);
        record.add_to(client, 1);
        ident
    }

    /// Returns the object of this name, if it exists.
    pub fn find(&self, ident: &str) -> Option<Arc<dyn Referent>> {
        let table = self.read();
        let record = table.records.get(ident)?;
        record.kept.clone().or_else(|| record.object.upgrade())
    }

    /// Counts one more reference of the client.
    pub fn incref(&self, ident: &str, client: u64) -> Result<(), Exception> {
        let unknown = || Exception::key_error(ident.into());
        let mut table = self.write();
        let record = table.records.get_mut(ident).ok_or_else(unknown)?;
        let object = record.kept.clone().or_else(|| record.object.upgrade());
        record.kept = Some(object.ok_or_else(unknown)?);
        record.add_to(client, 1);
        Ok(())
    }

    /// Counts one reference less.
    pub fn decref(&self, ident: &str, client: u64) -> Result<(), Exception> {
        let mut table = self.write();
        let record = table.records.get_mut(ident);
        match record.filter(|record| record.kept.is_some() || record.object.strong_count() > 0) {
            None => Err(Exception::key_error(ident.into())),
            Some(record) => {
                record.remove(client);
                let unkept = record.unkept();
                drop(table);
                self.release(unkept.into_iter().collect());
                Ok(())
            }
        }
    }

    /// Drops all references of a client that has ended. Returns whether it had any, and the objects that have lost their last
    /// reference, for [`Store::release`].
    pub fn forget(&self, client: u64) -> (bool, Vec<Arc<dyn Referent>>) {
        let (mut had, mut unkept) = (false, vec![]);
        for record in self.write().records.values_mut() {
            had |= record.forget(client);
            unkept.extend(record.unkept());
        }
        (had, unkept)
    }

    /// Drops objects without a client, outside the lock of the table, because they may be large. If enough of them live on
    /// in stored values, runs the collector.
    pub fn release(&self, unkept: Vec<Arc<dyn Referent>>) {
        self.generation.fetch_add(1, Ordering::Release);
        let weak: Vec<_> = unkept.iter().map(Arc::downgrade).collect();
        drop(unkept);
        let alive = weak
            .iter()
            .filter(|object| object.strong_count() > 0)
            .count();
        let spend = |patience: usize| Some(patience.saturating_sub(alive));
        let left = self
            .patience
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend);
        if alive > 0 && left.is_ok_and(|left| left <= alive) {
            self.collect();
        }
    }

    /// Empties the objects that only refer to each other.
    fn collect(&self) {
        let table = self.write();
        // Other threads need not collect meanwhile.
        self.patience.store(PATIENCE, Ordering::Relaxed);
        let unkept = table
            .records
            .values()
            .filter(|record| record.kept.is_none());
        let unkept: Vec<_> = unkept
            .filter_map(|record| record.object.upgrade())
            .collect();
        let (live, garbage) = collector::sort_out(unkept);
        let patience = PATIENCE + 2 * live.len();
        self.patience.store(patience, Ordering::Relaxed);
        drop(table);
        // Outside the lock, because these may be the last owners.
        drop(live);
        garbage.iter().for_each(|object| object.clear());
    }

    /// Returns the number of objects to which clients refer.
    pub fn len(&self) -> usize {
        let table = self.read();
        table
            .records
            .values()
            .filter(|record| record.kept.is_some())
            .count()
    }

    /// Returns each object to which clients refer, with its name and count.
    pub fn list(&self) -> Vec<(Arc<str>, isize, Arc<dyn Referent>)> {
        let table = self.read();
        let mut list: Vec<_> = table
            .records
            .iter()
            .filter_map(|(ident, record)| {
                let count: isize = record.counts.iter().map(|(_, count)| count).sum();
                Some((ident.clone(), count, record.kept.clone()?))
            })
            .collect();
        list.sort_by(|a, b| a.0.cmp(&b.0));
        list
    }

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Found {
    /// Returns the object of this name, if it exists.
    pub fn object(&mut self, store: &Store, ident: &str) -> Option<Arc<dyn Referent>> {
        let generation = store.generation.load(Ordering::Acquire);
        if generation != self.generation || self.objects.len() > 8 {
            self.objects.clear();
            self.generation = generation;
        }
        let known = self.objects.iter().find(|(name, _)| **name == *ident);
        if let Some((_, object)) = known {
            return object.upgrade();
        }
        let object = store.find(ident)?;
        self.objects.push((ident.into(), Arc::downgrade(&object)));
        Some(object)
    }
}

impl Table {
    /// Removes the records of objects that no longer exist, once there are enough.
    fn prune(&mut self) {
        if self.records.len() <= self.limit {
            return;
        }
        self.records
            .retain(|_, record| record.object.strong_count() > 0);
        let records = &self.records;
        self.idents.retain(|_, ident| records.contains_key(ident));
        self.limit = self.records.len() * 2 + 64;
    }
}

impl Record {
    fn add_to(&mut self, client: u64, more: isize) {
        match self.counts.iter_mut().find(|(other, _)| *other == client) {
            Some((_, count)) => *count += more,
            None => self.counts.push((client, more)),
        }
    }

    /// Counts one reference of the client less. If it has none, counts one of client 0 less, also below zero: an
    /// unattributed message of another client must not make that client look killed.
    fn remove(&mut self, client: u64) {
        let has = |(other, count): &&mut (u64, isize)| *other == client && *count > 0;
        match self.counts.iter_mut().find(has) {
            Some((_, count)) => *count -= 1,
            None => self.add_to(0, -1),
        }
        self.counts.retain(|(_, count)| *count != 0);
    }

    /// Drops the client's references, and returns whether it had one that no unattributed message has given back.
    fn forget(&mut self, client: u64) -> bool {
        let of = |id: u64| self.counts.iter().find(|(other, _)| *other == id);
        let count = of(client).map_or(0, |(_, count)| *count);
        let covered = count.min(of(0).map_or(0, |(_, count)| -count)).max(0);
        self.counts.retain(|(other, _)| *other != client);
        if covered > 0 {
            self.add_to(0, covered);
        }
        self.counts.retain(|(_, count)| *count != 0);
        count > covered
    }

    /// Returns the object if it has lost its last reference.
    fn unkept(&mut self) -> Option<Arc<dyn Referent>> {
        if self.counts.iter().map(|(_, count)| count).sum::<isize>() > 0 {
            return None;
        }
        self.counts.clear();
        self.kept.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Args;
    use crate::types::List;

    /// One process sends an unattributed message and ends by itself, while another still refers to the object.
    #[test]
    fn a_message_that_cannot_be_told_takes_nothing_away() {
        let store = Store::new().unwrap();
        let (other, ends, unknown) = (1, 2, 0);
        let list = List::new(Args::default()).unwrap();
        let ident = store.enter(list, other);
        store.incref(&ident, ends).unwrap();
        store.decref(&ident, unknown).unwrap();
        let (killed, unkept) = store.forget(ends);
        assert!(!killed && unkept.is_empty());
        assert!(store.find(&ident).is_some());
        store.decref(&ident, other).unwrap();
        assert!(store.find(&ident).is_none());
        // A process with more references than such messages can have given back was killed.
        let ident = store.enter(List::new(Args::default()).unwrap(), ends);
        store.incref(&ident, ends).unwrap();
        store.incref(&ident, other).unwrap();
        store.decref(&ident, unknown).unwrap();
        assert!(store.forget(ends).0);
    }
}
