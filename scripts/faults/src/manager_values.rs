//! A manager's client asks for more than it reads, or stores what the server has never heard of.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::each;
use crate::managers::framing::Frames;
use crate::managers::transport::Stream;
use crate::managers::{Address, Manager, Registry, Server, SyncManager, Value, auth, pickle};

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
            lazy.send(|out| pickle::dump_into(&Value::tuple(request), out))
        };
        ask(Value::None, "accept_connection", &["lazy".into()])?;
        // It reads neither this reply nor the next, of 20 MB.
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
        Ok("others went on, and the server ended".to_owned())
    })?;
    Ok("others go on; the server ends all the same".to_owned())
}

pub fn unknown_class(rounds: u32) -> Result<String> {
    let manager = SyncManager::start()?;
    let queue = manager.queue(0)?;
    each(rounds, |round| {
        let class = Value::global("__main__", "Task");
        let task = Value::call(class, [Value::from(round)]);
        queue.put(task.clone())?;
        let found = queue.get()?;
        let same = pickle::dumps(&found) == pickle::dumps(&task);
        ensure!(same, "{found} came instead of {task}");
        Ok("kept, and sent on".to_owned())
    })?;
    Ok("kept, and sent on as it came".to_owned())
}
