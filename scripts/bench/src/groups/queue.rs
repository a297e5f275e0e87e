//! Items through a queue, from producers to as many consumers, each a process. The payloads are bytes.
//!
//! "ring" is `multiproc::Queue`, and "socket" the kernel's queue of `queue_demo::by_hand`.

use std::io::{self, Read, Write};
use std::time::Instant;
use std::{array, cell::RefCell, hint};

use anyhow::{Context, Result, ensure};
use ipc_channel::ipc;
use multiproc::Queue;
use queue_demo::by_hand::KernelQueue;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::pipe::fcntl_setpipe_size;
use serde_bytes::ByteBuf;

use crate::case::Goal::{Over, Within};
use crate::case::{Case, Group, Unit, limit, nanoseconds, ours, peer, python};
use crate::workers::{Line, lines, together};

const KIB: usize = 1 << 10;

pub const GROUP: Group = Group {
    name: "queue",
    title: "items through a queue, 1 producer and consumer or 4 and 4, each a process",
    cases: &[
        Case {
            name: "8 B, 1/1",
            unit: Unit::Time,
            contestants: &[
                python("CPython", "8 1", 20_000),
                peer("ipc-channel", 60_000, ipc_channel::<8>),
                ours(
                    "socket",
                    100_000,
                    through_socket::<8, 1>,
                    &[Over("CPython", 4.0)],
                ),
                ours(
                    "ring",
                    500_000,
                    through_ring::<8, 1>,
                    &[Over("CPython", 35.0), Within("pipe", 2.0)],
                ),
                limit("pipe", 200_000, pipe::<8>),
            ],
        },
        Case {
            name: "1 KiB, 1/1",
            unit: Unit::Time,
            contestants: &[
                python("CPython", "1024 1", 20_000),
                peer("ipc-channel", 60_000, ipc_channel::<KIB>),
                ours(
                    "socket",
                    80_000,
                    through_socket::<KIB, 1>,
                    &[Over("CPython", 6.0)],
                ),
                ours(
                    "ring",
                    200_000,
                    through_ring::<KIB, 1>,
                    &[Over("CPython", 15.0), Within("pipe", 2.0)],
                ),
                limit("pipe", 150_000, pipe::<KIB>),
            ],
        },
        Case {
            name: "64 KiB, 1/1",
            unit: Unit::Time,
            contestants: &[
                python("CPython", "65536 1", 1500),
                peer("ipc-channel", 6000, ipc_channel::<{ 64 * KIB }>),
                ours(
                    "socket",
                    6000,
                    through_socket::<{ 64 * KIB }, 1>,
                    &[Over("CPython", 5.5)],
                ),
                ours(
                    "ring",
                    10_000,
                    through_ring::<{ 64 * KIB }, 1>,
                    &[Over("CPython", 15.0), Within("pipe", 2.0)],
                ),
                limit("pipe", 8000, pipe::<{ 64 * KIB }>),
                limit("2 memcpy", 20_000, copies::<{ 64 * KIB }>),
            ],
        },
        Case {
            name: "8 B, 4/4",
            unit: Unit::Time,
            contestants: &[
                python("CPython", "8 4", 12_000),
                ours(
                    "socket",
                    100_000,
                    through_socket::<8, 4>,
                    &[Over("CPython", 4.0)],
                ),
                ours(
                    "ring",
                    400_000,
                    through_ring::<8, 4>,
                    &[Over("CPython", 12.0)],
                ),
                limit("seqpacket", 100_000, seqpacket::<8>),
            ],
        },
        Case {
            name: "1 KiB, 4/4",
            unit: Unit::Time,
            contestants: &[
                python("CPython", "1024 4", 12_000),
                ours(
                    "socket",
                    80_000,
                    through_socket::<KIB, 4>,
                    &[Over("CPython", 6.0)],
                ),
                ours(
                    "ring",
                    200_000,
                    through_ring::<KIB, 4>,
                    &[Over("CPython", 12.0)],
                ),
                limit("seqpacket", 80_000, seqpacket::<KIB>),
            ],
        },
        Case {
            name: "64 KiB, 4/4",
            unit: Unit::Time,
            contestants: &[
                python("CPython", "65536 4", 1200),
                ours(
                    "socket",
                    6000,
                    through_socket::<{ 64 * KIB }, 4>,
                    &[Over("CPython", 9.0)],
                ),
                ours(
                    "ring",
                    10_000,
                    through_ring::<{ 64 * KIB }, 4>,
                    &[Over("CPython", 12.0)],
                ),
                limit("seqpacket", 6000, seqpacket::<{ 64 * KIB }>),
            ],
        },
    ],
};

/// The number of different items. Item `n` is `n % KINDS` and then zeros.
const KINDS: usize = 4;

/// Times `pairs` producers that put `count` items in all, and as many consumers that get them. `get` returns an item's
/// length and its first byte.
fn carry<T>(
    (count, pairs, size): (u64, usize, usize),
    items: &[T; KINDS],
    put: impl Fn(&T) -> Result<()>,
    get: impl Fn() -> Result<(usize, u8)>,
) -> Result<f64> {
    let share = count.div_ceil(pairs as u64);
    let warm_up = share.div_ceil(10);
    let (elapsed, sum) = together(2 * pairs, |index, start| {
        let work = |share: u64| -> Result<u64> {
            let mut sum = 0;
            for (_, item) in (0..share).zip(items.iter().cycle()) {
                if index < pairs {
                    put(item)?;
                } else {
                    let (length, first) = get()?;
                    ensure!(length == size, "an item of {length} bytes");
                    sum += u64::from(first);
                }
            }
            Ok(sum)
        };
        let sum = work(warm_up)?;
        start()?;
        Ok(sum + work(share)?)
    })?;
    let kinds = |share: u64| (0..share).map(|n| n % KINDS as u64).sum::<u64>();
    let expected = pairs as u64 * (kinds(warm_up) + kinds(share));
    ensure!(sum == expected, "the items' sum is {sum}, not {expected}");
    Ok(nanoseconds(elapsed, share * pairs as u64))
}

fn items<T>(size: usize, make: impl Fn(Vec<u8>) -> T) -> [T; KINDS] {
    array::from_fn(|kind| {
        let mut item = vec![0; size];
        item[0] = kind as u8;
        make(item)
    })
}

/// Returns the same items in aligned memory, of which the first `size` bytes are the item.
fn aligned_items(size: usize) -> [Vec<Line>; KINDS] {
    items(size, |item| {
        let mut aligned = lines(size);
        bytes(&mut aligned)[..size].copy_from_slice(&item);
        aligned
    })
}

fn bytes(lines: &mut [Line]) -> &mut [u8] {
    bytemuck::cast_slice_mut(lines)
}

fn through_socket<const SIZE: usize, const PAIRS: usize>(count: u64) -> Result<f64> {
    let queue = KernelQueue::<ByteBuf>::new()?;
    let get = || {
        let item = queue.get()?.context("the queue is closed")?;
        Ok((item.len(), item[0]))
    };
    let put = |item: &ByteBuf| queue.put(item);
    carry((count, PAIRS, SIZE), &items(SIZE, ByteBuf::from), put, get)
}

fn through_ring<const SIZE: usize, const PAIRS: usize>(count: u64) -> Result<f64> {
    let queue = Queue::<ByteBuf>::new()?;
    let get = || {
        let item = queue.get()?;
        Ok((item.len(), item[0]))
    };
    let put = |item: &ByteBuf| Ok(queue.put(item)?);
    carry((count, PAIRS, SIZE), &items(SIZE, ByteBuf::from), put, get)
}

fn ipc_channel<const SIZE: usize>(count: u64) -> Result<f64> {
    let (sender, receiver) = ipc::bytes_channel().context("make a channel")?;
    let get = || {
        let item = receiver.recv()?;
        Ok((item.len(), item[0]))
    };
    let put = |item: &Vec<u8>| sender.send(item).context("send an item");
    carry((count, 1, SIZE), &items(SIZE, |item| item), put, get)
}

fn pipe<const SIZE: usize>(count: u64) -> Result<f64> {
    let (reader, writer) = io::pipe().context("make a pipe")?;
    // A pipe holds 64 KiB by default, so the two sides would wait for each other at each large item.
    fcntl_setpipe_size(&writer, 1 << 20).context("enlarge a pipe")?;
    let buffer = RefCell::new(lines(SIZE));
    let get = || {
        let mut buffer = buffer.borrow_mut();
        let item = &mut bytes(&mut buffer)[..SIZE];
        (&reader).read_exact(item).context("read an item")?;
        Ok((SIZE, item[0]))
    };
    let put = |item: &Vec<Line>| {
        let item: &[u8] = bytemuck::cast_slice(item);
        (&writer).write_all(&item[..SIZE]).context("write an item")
    };
    carry((count, 1, SIZE), &aligned_items(SIZE), put, get)
}

/// With several writers, a socket of packets is the limit: a pipe would mix their items.
fn seqpacket<const SIZE: usize>(count: u64) -> Result<f64> {
    let (input, output) = net::socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .context("make a socket pair")?;
    let buffer = RefCell::new(lines(SIZE));
    let get = || {
        let mut buffer = buffer.borrow_mut();
        let item = bytes(&mut buffer);
        let (_, size) = net::recv(&output, &mut *item, RecvFlags::TRUNC).context("receive")?;
        Ok((size, item[0]))
    };
    let put = |item: &Vec<Line>| {
        let item: &[u8] = bytemuck::cast_slice(item);
        net::send(&input, &item[..SIZE], SendFlags::empty()).context("send an item")?;
        Ok(())
    };
    carry((count, 4, SIZE), &aligned_items(SIZE), put, get)
}

/// Copies each item in and out and does nothing else. No queue that copies can be faster.
fn copies<const SIZE: usize>(count: u64) -> Result<f64> {
    let (mut item, mut between, mut copy) = (lines(SIZE), lines(SIZE), lines(SIZE));
    let begin = Instant::now();
    for n in 0..count {
        bytes(&mut item)[0] = n as u8;
        hint::black_box(&mut between).copy_from_slice(&item);
        hint::black_box(&mut copy).copy_from_slice(&between);
        ensure!(bytes(&mut copy)[0] == n as u8, "a wrong copy");
    }
    Ok(nanoseconds(begin.elapsed(), count))
}
