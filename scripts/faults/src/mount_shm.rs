//! Runs a program where `/dev/shm` is another file system: a tiny or a read-only one.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::process::{getgid, getuid};
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// `faults --shm full|read_only COMMAND ...` mounts the file system and execs the command. Only this process sees the
/// mount, which ends with it.
pub fn exec(how: &str, command: &[&str]) -> ExitCode {
    if let Err(error) = mount_shm(how) {
        println!("not possible here: {error:#}");
        return ExitCode::FAILURE;
    }
    let [program, args @ ..] = command else {
        eprintln!("faults: --shm needs a command");
        return ExitCode::from(2);
    };
    let error = Command::new(program).args(args).exec();
    eprintln!("faults: start {program}: {error}");
    ExitCode::FAILURE
}

fn mount_shm(how: &str) -> Result<()> {
    let (flags, size) = match how {
        "full" => (MountFlags::empty(), c"size=256k"),
        "read_only" => (MountFlags::RDONLY, c"size=256k"),
        _ => bail!("unknown file system {how:?}; expected full or read_only"),
    };
    let (user, group) = (getuid().as_raw(), getgid().as_raw());
    // A user other than root becomes root in a user namespace, if the system allows it.
    let namespaces = match user {
        0 => UnshareFlags::NEWNS,
        _ => UnshareFlags::NEWNS | UnshareFlags::NEWUSER,
    };
    // SAFETY: nothing here relies on sharing mounts or users with another process; descriptors stay shared.
    unsafe { unshare_unsafe(namespaces) }.context("make a mount namespace")?;
    if user != 0 {
        let maps = [
            ("setgroups", "deny".to_owned()),
            ("uid_map", format!("0 {user} 1")),
            ("gid_map", format!("0 {group} 1")),
        ];
        for (file, text) in maps {
            fs::write(format!("/proc/self/{file}"), text)
                .with_context(|| format!("write {file}"))?;
        }
    }
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).context("make mounts private")?;
    mount("tmpfs", "/dev/shm", "tmpfs", flags, size).context("mount a file system on /dev/shm")
}
