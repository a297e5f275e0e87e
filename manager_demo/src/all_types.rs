//! Change a list, dict, Namespace, Queue, Value and Array from a child process.
//!
//! Python:  `list`, `dict`, `Namespace`, `Queue`, `Value`, `Array` of a `Manager()`
//! Differs: attributes of a Namespace, `v.value` and `a[i]` are methods here. The types that processes wait for are in
//!          all_locks.
//! Order:   the parent prints after the child has ended.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! multiprocessing-managers = "0.1"
//! ```

use std::process::{Command, Stdio};
use std::vec::IntoIter;
use std::{env, io};

use anyhow::{Context, Result, ensure};
use multiprocessing_managers::*;

/// The environment variable that makes this program the child.
const CHILD: &str = "ALL_TYPES_CHILD";

pub fn main() -> Result<()> {
    if env::var_os(CHILD).is_some() {
        return child();
    }
    let manager = SyncManager::start()?;
    let list = manager.list([3, 1, 2])?;
    let dict = manager.dict([("b", 2), ("a", 1)])?;
    let namespace = manager.namespace()?;
    namespace.set("x", 1)?;
    let queue = manager.queue(0)?;
    queue.put("你好")?;
    let value = manager.value('d', 0.0)?;
    let array = manager.array('i', 0..10)?;
    let mut child = Command::new(env::current_exe().context("find this program")?)
        .args(env::args_os().skip(1))
        .env(CHILD, "")
        .stdin(Stdio::piped())
        .spawn()
        .context("start the child")?;
    let stdin = child.stdin.take().context("the child's standard input")?;
    let all: [&Proxy; 6] = [&list, &dict, &namespace, &queue, &value, &array];
    manager.hand_over(stdin, all.map(Value::from))?;
    let status = child.wait().context("wait for the child")?;
    ensure!(status.success(), "the child failed: {status}");
    println!("list: {}", list.repr()?);
    println!("dict: {}", dict.repr()?);
    println!("Namespace: {}", namespace.repr()?);
    println!("Queue: {}", queue.get()?);
    println!("Value: {}", value.get()?);
    println!("Array: {}", array.repr()?);
    Ok(())
}

fn child() -> Result<()> {
    let (manager, handed) = Manager::take_over(io::stdin())?;
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
