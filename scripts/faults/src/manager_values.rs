//! A manager's client does not read its replies, or stores an object of a class that the server does not know.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use multiprocessing_managers::framing::Frames;
use multiprocessing_managers::transport::Stream;
use multiprocessing_managers::{Address, Manager, Registry, Server, SyncManager, Value, auth};
use pickle_value::{dump_into, dumps};

use crate::each;

const KEY: &[u8] = b"key";
const SECOND: Duration = Duration::from_secs(1);

pub fn reader_stops(rounds: u32) -> Result<String> {
    each(rounds, |_| {
        let any = Address::Tcp("127.0.0.1".to_owned(), 0);
        let server = Server::bind(&any, KEY, Registry::sync_manager())?.start()?;
        let manager = Manager::connect(server.address(), KEY)?;
        let list = manager.list(["x".repeat(20 << 20)])?;
        let mut lazy = Frames::new(Stream::connect(server.address(), Some(SECOND))?);
        auth::connect(&mut lazy, KEY, SECOND)?;
        let mut ask = |ident: Value, method: &str, args: &[Value]| {
            let args = Value::tuple(args.iter().cloned());
            let request = [ident, method.into(), args, Value::Dict([].into())];
            lazy.send(|out| dump_into(&Value::tuple(request), out))
        };
        ask(Value::None, "accept_connection", &["lazy".into()])?;
        // The client reads neither this reply nor the next one, which has 20 MB.
        ask(list.ident().into(), "#GETVALUE", &[])?;
        let begun = Instant::now();
        for _ in 0..100 {
            ensure!(list.len()? == 1);
        }
        let took = begun.elapsed();
        ensure!(took < 3 * SECOND, "another client's calls took {took:?}");
        server.shutdown();
        let took = begun.elapsed();
        ensure!(took < 6 * SECOND, "the end took {took:?}");
        Ok("other clients were served, and the server ended".to_owned())
    })?;
    Ok("other clients are served; the server ends all the same".to_owned())
}

pub fn unknown_class(rounds: u32) -> Result<String> {
    let manager = SyncManager::start()?;
    let queue = manager.queue(0)?;
    each(rounds, |round| {
        let class = Value::global("__main__", "Task");
        let task = Value::call(class, [Value::from(round)]);
        queue.put(task.clone())?;
        let found = queue.get()?;
        let same = dumps(&found) == dumps(&task);
        ensure!(same, "{found} came instead of {task}");
        Ok("stored, and returned".to_owned())
    })?;
    Ok("stored, and returned unchanged".to_owned())
}
