//! The objects of a server, their names, and how many clients refer to each.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};

use pickle_value::Exception;

use crate::collector;
use crate::referent::Referent;

const PATIENCE: usize = 32;

/// The objects that clients can name.
///
/// An object lives as long as a client refers to it, or a value that the server stores. It keeps its name as long, and
/// no name is ever given twice.
pub(crate) struct Store {
    table: RwLock<Table>,
    /// Different in each server, so that no other server's names are among these.
    prefix: u32,
    next: AtomicU64,
    /// Changes whenever an object loses its last count.
    generation: AtomicUsize,
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

/// The last objects that a connection has called, so that it need not look for them in the table each time.
#[derive(Default)]
pub(crate) struct Found {
    /// The store's when these were found.
    generation: usize,
    objects: Vec<(Box<str>, Weak<dyn Referent>)>,
}

struct Record {
    object: Weak<dyn Referent>,
    /// While clients refer to it.
    kept: Option<Arc<dyn Referent>>,
    /// How many references each client process holds. Client 0 is all those whose process is not known; it may have less
    /// than none, if one whose message could not be told took back what is another's here.
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
        record.add_to(client, 1);
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
        record.add_to(client, 1);
        Ok(())
    }

    /// Counts one less.
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

    /// Drops all references of a client that has ended. Returns whether it had any, and the objects without any now, for
    /// [`Store::release`].
    pub fn forget(&self, client: u64) -> (bool, Vec<Arc<dyn Referent>>) {
        let (mut had, mut unkept) = (false, vec![]);
        for record in self.write().records.values_mut() {
            had |= record.forget(client);
            unkept.extend(record.unkept());
        }
        (had, unkept)
    }

    /// Drops objects that no client refers to any more, outside of the table's lock, because they may be large. If they
    /// live on in stored values, it is time to look for circles, now and then.
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
        // Whoever releases something meanwhile need not come here, too.
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
        // Outside of the lock: these may be the last owners.
        drop(live);
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
    /// The object of that name, if it lives.
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
    fn add_to(&mut self, client: u64, more: isize) {
        match self.counts.iter_mut().find(|(other, _)| *other == client) {
            Some((_, count)) => *count += more,
            None => self.counts.push((client, more)),
        }
    }

    /// One less of this client. If it has none, then of those of whom it is not known whose they are, of which there may
    /// then be too few: that is another's whose message could not be told, and must not look as if it had been killed.
    fn remove(&mut self, client: u64) {
        let has = |(other, count): &&mut (u64, isize)| *other == client && *count > 0;
        match self.counts.iter_mut().find(has) {
            Some((_, count)) => *count -= 1,
            None => self.add_to(0, -1),
        }
        self.counts.retain(|(_, count)| *count != 0);
    }

    /// Drops what the client has, and returns whether it had something that nobody else can have taken back.
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

    /// The object, if there is no reference any more.
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

    /// One process' message is not known for its own; it ends by itself, and another still refers to the object.
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
        // And who has more than anybody can have taken back was killed.
        let ident = store.enter(List::new(Args::default()).unwrap(), ends);
        store.incref(&ident, ends).unwrap();
        store.incref(&ident, other).unwrap();
        store.decref(&ident, unknown).unwrap();
        assert!(store.forget(ends).0);
    }
}
