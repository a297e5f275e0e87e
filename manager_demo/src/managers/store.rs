//! The objects of a server, their names, and how many clients refer to each.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};

use super::collector;
use super::exception::Exception;
use super::referent::Referent;

const PATIENCE: usize = 32;

/// The objects that clients can name.
///
/// An object lives as long as a client refers to it, or a value that the server stores. It keeps its name as long, and
/// no name is ever given twice.
pub(super) struct Store {
    table: RwLock<Table>,
    /// Different in each server, so that no other server's names are among these.
    prefix: u32,
    next: AtomicU64,
    /// How many objects may have lost their last count and live on, before they are looked at once more.
    patience: AtomicUsize,
}

#[derive(Default)]
struct Table {
    records: HashMap<Arc<str>, Record>,
    /// Where an object lies. A record's weak reference keeps another object from lying there.
    idents: HashMap<usize, Arc<str>>,
    /// How many records there may be before those whose objects are no more are thrown out.
    limit: usize,
}

struct Record {
    object: Weak<dyn Referent>,
    /// While clients refer to it.
    kept: Option<Arc<dyn Referent>>,
    /// How many references each client process holds; whose process is not known is 0.
    counts: Vec<(u64, usize)>,
}

impl Store {
    pub fn new() -> std::io::Result<Self> {
        let mut prefix = [0; 4];
        getrandom::fill(&mut prefix).map_err(std::io::Error::other)?;
        Ok(Store {
            table: RwLock::default(),
            prefix: u32::from_ne_bytes(prefix) | 1 << 31,
            next: AtomicU64::new(1),
            patience: AtomicUsize::new(PATIENCE),
        })
    }

    /// Names the object, unless it has a name, and counts one reference of the client.
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
        record.add(client);
        ident
    }

    /// The object of that name, if it lives.
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
        record.add(client);
        Ok(())
    }

    /// Counts one less.
    pub fn decref(&self, ident: &str, client: u64) -> Result<(), Exception> {
        let mut table = self.write();
        let record = table.records.get_mut(ident);
        match record.filter(|record| record.kept.is_some() || record.object.strong_count() > 0) {
            None => Err(Exception::key_error(ident.into())),
            Some(record) => {
                let unkept = record.remove(client);
                drop(table);
                self.release(unkept.into_iter().collect());
                Ok(())
            }
        }
    }

    /// Drops all references of a client that has ended. Returns how many there were.
    pub fn forget(&self, client: u64) -> usize {
        let (mut count, mut unkept) = (0, vec![]);
        for record in self.write().records.values_mut() {
            while record.counts.iter().any(|(other, _)| *other == client) {
                count += 1;
                unkept.extend(record.remove(client));
            }
        }
        self.release(unkept);
        count
    }

    /// Drops objects that no client refers to any more, outside of the table's lock, because they may be large. If they
    /// live on in stored values, it is time to look for circles, now and then.
    fn release(&self, unkept: Vec<Arc<dyn Referent>>) {
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
        let unkept = table
            .records
            .values()
            .filter(|record| record.kept.is_none());
        let unkept: Vec<_> = unkept
            .filter_map(|record| record.object.upgrade())
            .collect();
        let count = unkept.len();
        let garbage = collector::garbage(unkept);
        drop(table);
        let patience = PATIENCE + 2 * (count - garbage.len());
        self.patience.store(patience, Ordering::Relaxed);
        garbage.iter().for_each(|object| object.clear());
    }

    /// How many objects clients refer to.
    pub fn len(&self) -> usize {
        let table = self.read();
        table
            .records
            .values()
            .filter(|record| record.kept.is_some())
            .count()
    }

    /// Each object to which clients refer, with its name and count.
    pub fn list(&self) -> Vec<(Arc<str>, usize, Arc<dyn Referent>)> {
        let table = self.read();
        let mut list: Vec<_> = table
            .records
            .iter()
            .filter_map(|(ident, record)| {
                let count = record.counts.iter().map(|(_, count)| count).sum();
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

impl Table {
    /// Throws out the records of objects that are no more, now and then.
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
    fn add(&mut self, client: u64) {
        match self.counts.iter_mut().find(|(other, _)| *other == client) {
            Some((_, count)) => *count += 1,
            None => self.counts.push((client, 1)),
        }
    }

    /// One less of this client; if it has none, of those that cannot be told, or of anybody: the messages of a parent and
    /// its child come in any order.
    fn remove(&mut self, client: u64) -> Option<Arc<dyn Referent>> {
        let of = |id| self.counts.iter().position(|(other, _)| *other == id);
        let at = of(client).or_else(|| of(0)).unwrap_or(0);
        if let Some((_, count)) = self.counts.get_mut(at) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(at);
            }
        }
        match self.counts.is_empty() {
            true => self.kept.take(),
            false => None,
        }
    }
}
