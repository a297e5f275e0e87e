//! Change a list, dict, Namespace, Queue, Value and Array from a child process.
//!
//! Python:  `list`, `dict`, `Namespace`, `Queue`, `Value`, `Array` of a `Manager()`
//! Differs: attributes of a Namespace, `v.value` and `a[i]` are methods here. For the types that block, see all_locks.
//! Order:   the parent prints after the child has ended.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! multiproc = "0.1"
//! multiprocessing-managers = "0.1"
//! ```

use std::vec::IntoIter;
use std::{fs::File, io};

use anyhow::{Context, Result, ensure};
use multiproc::{init, reduction::Fd, spawn, target};
use multiprocessing_managers::*;

pub fn main() -> Result<()> {
    init([target(child)]);
    let manager = SyncManager::start()?;
    let list = manager.list([3, 1, 2])?;
    let dict = manager.dict([("b", 2), ("a", 1)])?;
    let namespace = manager.namespace()?;
    namespace.set("x", 1)?;
    let queue = manager.queue(0)?;
    queue.put("你好")?;
    let value = manager.value('d', 0.0)?;
    let array = manager.array('i', 0..10)?;
    let (reader, writer) = io::pipe().context("make a pipe")?;
    let child = spawn(child, Fd::from(reader))?;
    let all: [&Proxy; 6] = [&list, &dict, &namespace, &queue, &value, &array];
    manager.hand_over(writer, all.map(Value::from))?;
    let exit = child.join()?;
    ensure!(exit.success(), "the child failed: {exit}");
    println!("list: {}", list.repr()?);
    println!("dict: {}", dict.repr()?);
    println!("Namespace: {}", namespace.repr()?);
    println!("Queue: {}", queue.get()?);
    println!("Value: {}", value.get()?);
    println!("Array: {}", array.repr()?);
    Ok(())
}

fn child(pipe: Fd) -> Result<()> {
    let (manager, handed) = Manager::take_over(File::from(pipe.into_inner()))?;
    let mut handed = handed.into_iter();
    let list: ListProxy = next(&manager, &mut handed)?;
    let dict: DictProxy = next(&manager, &mut handed)?;
    let namespace: NamespaceProxy = next(&manager, &mut handed)?;
    let queue: QueueProxy = next(&manager, &mut handed)?;
    let value: ValueProxy = next(&manager, &mut handed)?;
    let array: ArrayProxy = next(&manager, &mut handed)?;
    list.append(0)?;
    list.sort()?;
    let a = dict.pop("a")?.context("the parent's entry")?;
    dict.set("c", (a, 3))?;
    let x = namespace.get("x")?.context("the parent's attribute")?;
    namespace.set("y", [x, 2.into()])?;
    let item = queue.get()?;
    queue.put((item, "hello"))?;
    value.set(3.1415927)?;
    for i in 0..10 {
        array.set(i, -i)?;
    }
    Ok(())
}

/// Returns the next object that the parent has handed over.
fn next<P: From<Proxy>>(manager: &Manager, handed: &mut IntoIter<Value>) -> Result<P> {
    let value = handed.next().context("the parent handed over too few")?;
    Ok(manager.attach(&value)?.into())
}
