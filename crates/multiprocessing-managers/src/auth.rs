//! The handshake: both ends prove that they have the same key, without sending it.
//!
//! It is that of `multiprocessing.connection` (`deliver_challenge` and `answer_challenge`), in the forms of CPython 3.11 and
//! of 3.12 and later, with a time limit.
//!
//! ```
//! use std::time::Duration;
//!
//! use multiprocessing_managers::auth;
//! use multiprocessing_managers::framing::Frames;
//! use multiprocessing_managers::transport::{Listener, Stream};
//!
//! let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap())?;
//! let mut client = Frames::new(Stream::connect(listener.address(), None)?);
//! let mut server = Frames::new(listener.accept()?);
//! let limit = Duration::from_secs(10);
//! let answer = std::thread::spawn(move || auth::connect(&mut client, b"key", limit));
//! auth::accept(&mut server, b"key", limit).unwrap();
//! answer.join().unwrap().unwrap();
//! # Ok::<(), std::io::Error>(())
//! ```

use std::fmt;
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha2::{Sha256, Sha384};

use crate::framing::Frames;

const CHALLENGE: &[u8] = b"#CHALLENGE#";
const WELCOME: &[u8] = b"#WELCOME#";
const FAILURE: &[u8] = b"#FAILURE#";

/// The longest message of a handshake.
const LONGEST: usize = 256;
/// The length of a challenge of Python 3.11 or earlier, whatever it begins with.
const OLD_CHALLENGE: usize = 20;
/// The length of an answer of Python 3.11 or earlier.
const OLD_ANSWER: usize = 16;
/// The start of our challenge, and the number of random bytes that follow.
const PREFIX: &[u8] = b"{sha256}";
const RANDOM: usize = 40;

/// The reason why a handshake failed. Close the connection then.
///
/// ```
/// use multiprocessing_managers::auth::AuthError;
///
/// assert_eq!(AuthError::Wrong.to_string(), "the peer has another key: its digest is wrong");
/// ```
#[derive(Debug)]
pub enum AuthError {
    /// The peer rejected our answer: it has another key.
    Rejected,
    /// The peer's answer is wrong: it has another key. The peer has been told.
    Wrong,
    /// The peer sent something else than a handshake, or asked for an unknown digest.
    Protocol(String),
    /// The connection failed: `UnexpectedEof` if the peer closed it, `TimedOut` after the time limit, `InvalidData` if the
    /// peer announced a message of more than 256 bytes.
    Io(io::Error),
}

/// Does the server's side of a handshake, which challenges first.
///
/// Blocks for at most `limit`, however slowly the peer sends. A limit beyond the range of the clock means none.
///
/// # Errors
///
/// After any error the peer has not proved that it has the key: trust nothing that it has sent.
pub fn accept(frames: &mut Frames, key: &[u8], limit: Duration) -> Result<(), AuthError> {
    let deadline = Instant::now().checked_add(limit);
    challenge(frames, key, deadline)?;
    answer(frames, key, deadline)
}

/// Does the client's side of a handshake.
///
/// Blocks for at most `limit`. A busy server accepts late.
///
/// # Errors
///
/// After any error the peer has not proved that it has the key.
pub fn connect(frames: &mut Frames, key: &[u8], limit: Duration) -> Result<(), AuthError> {
    let deadline = Instant::now().checked_add(limit);
    answer(frames, key, deadline)?;
    challenge(frames, key, deadline)
}

/// Challenges the peer to prove that it has the key.
fn challenge(frames: &mut Frames, key: &[u8], deadline: Option<Instant>) -> Result<(), AuthError> {
    let mut random = [0; RANDOM];
    getrandom::fill(&mut random).map_err(io::Error::from)?;
    let message = [PREFIX, &random].concat();
    send(frames, &[CHALLENGE, &message])?;
    let verified = verify(key, &message, receive(frames, deadline)?);
    let verdict = if verified.is_ok() { WELCOME } else { FAILURE };
    let sent = send(frames, &[verdict]);
    verified?;
    sent
}

fn verify(key: &[u8], message: &[u8], answer: &[u8]) -> Result<(), AuthError> {
    let (digest, code) = match answer.len() {
        OLD_ANSWER => (Digest::Md5, answer),
        _ => Digest::named(answer)?,
    };
    digest.verify(key, message, code)
}

/// Answers the peer's challenge.
fn answer(frames: &mut Frames, key: &[u8], deadline: Option<Instant>) -> Result<(), AuthError> {
    let received = receive(frames, deadline)?;
    let Some(message) = received.strip_prefix(CHALLENGE) else {
        let text = format!(
            "expected a challenge, received {} other bytes",
            received.len()
        );
        return Err(AuthError::Protocol(text));
    };
    let answer = match message.len() {
        OLD_CHALLENGE => Digest::Md5.sign(key, message)?,
        length if length < OLD_CHALLENGE => {
            let text = format!("the challenge is too short: {length} bytes");
            return Err(AuthError::Protocol(text));
        }
        _ => {
            let (digest, _) = Digest::named(message)?;
            [digest.prefix(), &digest.sign(key, message)?].concat()
        }
    };
    send(frames, &[&answer])?;
    match receive(frames, deadline)? {
        WELCOME => Ok(()),
        _ => Err(AuthError::Rejected),
    }
}

fn send(frames: &mut Frames, parts: &[&[u8]]) -> Result<(), AuthError> {
    Ok(frames.send(|frame| frame.extend(parts.iter().copied().flatten()))?)
}

fn receive(frames: &mut Frames, deadline: Option<Instant>) -> Result<&[u8], AuthError> {
    let frame = match deadline {
        Some(deadline) => frames.recv_until(LONGEST, deadline)?,
        None => frames.recv(LONGEST)?,
    };
    frame.ok_or_else(|| {
        let text = "the peer closed the connection during the handshake";
        io::Error::new(ErrorKind::UnexpectedEof, text).into()
    })
}

/// The digest of a proof. CPython accepts SHA-3 too, but never asks for it by default.
#[derive(Clone, Copy)]
enum Digest {
    Md5,
    Sha256,
    Sha384,
}

impl Digest {
    /// Returns the digest that a message names in braces, and the rest of the message.
    fn named(message: &[u8]) -> Result<(Digest, &[u8]), AuthError> {
        [Digest::Md5, Digest::Sha256, Digest::Sha384]
            .into_iter()
            .find_map(|digest| Some((digest, message.strip_prefix(digest.prefix())?)))
            .ok_or_else(|| {
                let start = message.get(..12).unwrap_or(message).escape_ascii();
                AuthError::Protocol(format!("unknown digest: {start}"))
            })
    }

    fn prefix(self) -> &'static [u8] {
        match self {
            Digest::Md5 => b"{md5}",
            Digest::Sha256 => PREFIX,
            Digest::Sha384 => b"{sha384}",
        }
    }

    fn sign(self, key: &[u8], message: &[u8]) -> Result<Vec<u8>, AuthError> {
        Ok(match self {
            Digest::Md5 => keyed::<Hmac<Md5>>(key, message)?
                .finalize()
                .as_bytes()
                .to_vec(),
            Digest::Sha256 => keyed::<Hmac<Sha256>>(key, message)?
                .finalize()
                .as_bytes()
                .to_vec(),
            Digest::Sha384 => keyed::<Hmac<Sha384>>(key, message)?
                .finalize()
                .as_bytes()
                .to_vec(),
        })
    }

    /// Compares in constant time.
    fn verify(self, key: &[u8], message: &[u8], code: &[u8]) -> Result<(), AuthError> {
        match self {
            Digest::Md5 => keyed::<Hmac<Md5>>(key, message)?.verify_slice(code),
            Digest::Sha256 => keyed::<Hmac<Sha256>>(key, message)?.verify_slice(code),
            Digest::Sha384 => keyed::<Hmac<Sha384>>(key, message)?.verify_slice(code),
        }
        .map_err(|_| AuthError::Wrong)
    }
}

fn keyed<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> Result<M, AuthError> {
    let mac = M::new_from_slice(key).map_err(|error| AuthError::Protocol(error.to_string()))?;
    Ok(mac.chain_update(message))
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AuthError::Rejected => write!(f, "the peer has another key: it rejected our digest"),
            AuthError::Wrong => write!(f, "the peer has another key: its digest is wrong"),
            AuthError::Protocol(text) => write!(f, "{text}"),
            AuthError::Io(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for AuthError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            AuthError::Io(error) => error.source(),
            _ => None,
        }
    }
}

impl From<io::Error> for AuthError {
    fn from(error: io::Error) -> Self {
        AuthError::Io(error)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::os::unix::net::UnixStream;
    use std::process::{Child, Command, Stdio};
    use std::thread;

    use pickle_value::Address;
    use proptest::prelude::*;

    use super::*;
    use crate::transport::{Listener, Stream};

    fn new_client(frames: &mut Frames, key: &[u8]) -> Result<(), AuthError> {
        connect(frames, key, Duration::from_secs(60))
    }

    const LIMIT: Duration = Duration::from_secs(20);

    fn pair() -> (Frames, Frames) {
        let (a, b) = UnixStream::pair().unwrap();
        let [a, b] = [a, b].map(Stream::Unix);
        for stream in [&a, &b] {
            stream.set_timeouts(Some(LIMIT), Some(LIMIT)).unwrap();
        }
        (Frames::new(a), Frames::new(b))
    }

    type Side = fn(&mut Frames, &[u8]) -> Result<(), AuthError>;

    fn new_server(frames: &mut Frames, key: &[u8]) -> Result<(), AuthError> {
        accept(frames, key, LIMIT)
    }

    /// As Python 3.11 does both, word for word.
    fn old_challenge(frames: &mut Frames, key: &[u8]) -> Result<(), AuthError> {
        let mut message = [0; 20];
        getrandom::fill(&mut message).unwrap();
        message[0] = b'{'; // as one in 256 does
        send(frames, &[CHALLENGE, &message])?;
        let expected = Digest::Md5.sign(key, &message)?;
        let same = receive(frames, None)? == expected;
        send(frames, &[if same { WELCOME } else { FAILURE }])?;
        same.then_some(()).ok_or(AuthError::Wrong)
    }

    fn old_answer(frames: &mut Frames, key: &[u8]) -> Result<(), AuthError> {
        let message = receive(frames, None)?
            .strip_prefix(CHALLENGE)
            .unwrap()
            .to_vec();
        send(frames, &[&Digest::Md5.sign(key, &message)?])?;
        let welcome = receive(frames, None)? == WELCOME;
        welcome.then_some(()).ok_or(AuthError::Rejected)
    }

    fn old_server(frames: &mut Frames, key: &[u8]) -> Result<(), AuthError> {
        old_challenge(frames, key)?;
        old_answer(frames, key)
    }

    fn old_client(frames: &mut Frames, key: &[u8]) -> Result<(), AuthError> {
        old_answer(frames, key)?;
        old_challenge(frames, key)
    }

    fn meet(server: (Side, &[u8]), client: (Side, &[u8])) -> [Result<(), AuthError>; 2] {
        let (mut a, mut b) = pair();
        thread::scope(|scope| {
            let first = scope.spawn(move || server.0(&mut a, server.1));
            let second = client.0(&mut b, client.1);
            drop(b);
            [first.join().unwrap(), second]
        })
    }

    const PAIRS: [(Side, Side); 4] = [
        (new_server, new_client),
        (new_server, old_client),
        (old_server, new_client),
        (old_server, old_client),
    ];

    #[test]
    fn the_same_key() {
        for (server, client) in PAIRS {
            for key in [&b"secret"[..], b"", b"\0", &[0xff; 500]] {
                let results = meet((server, key), (client, key));
                assert!(results.iter().all(Result::is_ok), "{results:?}");
            }
        }
    }

    #[test]
    fn another_key() {
        for (server, client) in PAIRS {
            for (a, b) in [("secret", "Secret"), ("secret", ""), ("", "secret")] {
                let results = meet((server, a.as_bytes()), (client, b.as_bytes()));
                let [Err(AuthError::Wrong), Err(AuthError::Rejected)] = results else {
                    panic!("{results:?}");
                };
            }
        }
        assert_eq!(
            AuthError::Wrong.to_string(),
            "the peer has another key: its digest is wrong"
        );
        assert_eq!(
            AuthError::Rejected.to_string(),
            "the peer has another key: it rejected our digest"
        );
    }

    /// A peer that sends these frames, and then waits, or ends. What the side answered, and its result.
    fn against(
        side: impl FnOnce(&mut Frames) -> Result<(), AuthError> + Send,
        sent: &[&[u8]],
        ends: bool,
    ) -> (Vec<Vec<u8>>, Result<(), AuthError>) {
        let (mut a, mut b) = pair();
        for bytes in sent {
            b.send(|frame| frame.extend_from_slice(bytes)).unwrap();
        }
        if ends {
            rustix::net::shutdown(b.stream(), rustix::net::Shutdown::Write).unwrap();
        }
        let result = side(&mut a);
        drop(a);
        let mut received = vec![];
        // A reset is an end too.
        while let Ok(Some(frame)) = b.recv(LONGEST) {
            received.push(frame.to_vec());
        }
        (received, result)
    }

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
        digits
            .chunks(2)
            .map(|pair| (pair[0] * 16 + pair[1]) as u8)
            .collect()
    }

    /// Captured between CPython's own client and server, both of 3.11, then both of 3.13; the key is `secret`.
    #[test]
    fn real_exchanges() {
        let old = hex("7d 1be76d3a39719ab0d504c670a065fdab 5fa62e");
        let digest = hex("6a8e1c63 05b96ce7 491a76fc 241792fa");
        let client = |frames: &mut Frames| new_client(frames, b"secret");
        let challenge = [CHALLENGE, &old].concat();
        let (answers, result) = against(client, &[&challenge, WELCOME], true);
        assert_eq!(answers[0], digest);
        assert!(answers[1].starts_with(b"#CHALLENGE#{sha256}") && answers[1].len() == 59);
        let Err(AuthError::Io(error)) = result else {
            panic!("{result:?}")
        };
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        verify(b"secret", &old, &digest).unwrap();
        let other = hex("d2 f5dafa5b8190793fb0a630b9a49f868a 2b7309");
        let digest = hex("634c2299e7e2ce567df2a0125e6005f0");
        verify(b"secret", &other, &digest).unwrap();

        let new = hex(
            "7b 7368613235367d54421945fec424d82d 2a3352304918be3dccca17e7cdd79b62 0bf51bb4cee5192ef19cd7fadc0d8d",
        );
        let digest = hex(
            "7b7368613235367d8b49e927 4cfdd4f8c0a807db4dca79d2a25e0637 7a9c6452f4d721ec9880411c",
        );
        verify(b"secret", &new, &digest).unwrap();
        let (answers, _) = against(client, &[&[CHALLENGE, &new].concat(), FAILURE], true);
        assert_eq!(answers, [digest]);
    }

    #[test]
    fn every_digest_that_is_known() {
        for digest in [Digest::Md5, Digest::Sha256, Digest::Sha384] {
            let challenge = [digest.prefix(), &[b'x'; 30]].concat();
            let client = |frames: &mut Frames| new_client(frames, b"k");
            let (answers, result) =
                against(client, &[&[CHALLENGE, &challenge].concat(), FAILURE], true);
            assert!(matches!(result, Err(AuthError::Rejected)), "{result:?}");
            assert!(answers[0].starts_with(digest.prefix()));
            verify(b"k", &challenge, &answers[0]).unwrap();
            let mut wrong = answers[0].clone();
            *wrong.last_mut().unwrap() ^= 1;
            assert!(matches!(
                verify(b"k", &challenge, &wrong),
                Err(AuthError::Wrong)
            ));
            wrong.pop();
            assert!(verify(b"k", &challenge, &wrong).is_err());
        }
    }

    #[test]
    fn what_a_client_refuses() {
        let client = |frames: &mut Frames| new_client(frames, b"k");
        for (first, text) in [
            (&b"#CHALLENGE#"[..], "the challenge is too short: 0 bytes"),
            (
                b"#CHALLENGE#{md5}{md5}{md5}{md",
                "the challenge is too short: 18 bytes",
            ),
            (
                b"#CHALLENGE#{sha1}01234567890123456789",
                "unknown digest: {sha1}012345",
            ),
            (
                b"#CHALLENGE#012345678901234567890",
                "unknown digest: 012345678901",
            ),
            (b"#WELCOME#", "expected a challenge, received 9 other bytes"),
            (b"", "expected a challenge, received 0 other bytes"),
        ] {
            let (answers, result) = against(client, &[first, WELCOME], false);
            let Err(AuthError::Protocol(error)) = result else {
                panic!("{result:?}");
            };
            assert_eq!(error, text);
            assert!(answers.is_empty());
        }
        let (_, result) = against(client, &[&[0; 257]], false);
        let Err(AuthError::Io(error)) = result else {
            panic!("{result:?}");
        };
        assert_eq!(error.kind(), ErrorKind::InvalidData);
    }

    #[test]
    fn after_a_wrong_answer_a_server_says_one_thing_and_no_more() {
        let server = |frames: &mut Frames| accept(frames, b"k", LIMIT);
        for (answer, wrong) in [
            (&[0; 16][..], true),
            (b"", false),
            (b"{sha256}", true),
            (b"{sha1}0123456789", true), // 16 bytes
            (b"{sha512}0123456789012345678901234567890123", false),
            (&[0; 20], false),
            (&[0; 256], false),
        ] {
            let (answers, result) =
                against(server, &[answer, b"#CHALLENGE#01234567890123456789"], false);
            assert_eq!(matches!(result, Err(AuthError::Wrong)), wrong, "{result:?}");
            assert_eq!(matches!(result, Err(AuthError::Protocol(_))), !wrong);
            assert_eq!(answers.len(), 2, "{answer:?}");
            assert!(answers[0].starts_with(b"#CHALLENGE#{sha256}") && answers[0].len() == 59);
            assert_eq!(answers[1], FAILURE);
        }
    }

    #[test]
    fn silent_and_slow_peers_are_given_up() {
        for side in [new_server as Side, new_client] {
            let (mut a, b) = pair();
            drop(b);
            let Err(AuthError::Io(_)) = side(&mut a, b"k") else {
                panic!("it should have ended");
            };
        }
        let limit = Duration::from_millis(60);
        let (mut a, b) = pair();
        // One byte at a time of a message that takes ten seconds.
        let sender = thread::spawn(move || {
            let mut stream = &**b.stream();
            for byte in [0, 0, 0, 200].into_iter().chain([0; 200]) {
                if stream.write_all(&[byte]).is_err() {
                    return;
                }
                thread::sleep(Duration::from_millis(50));
            }
        });
        let begin = Instant::now();
        let Err(AuthError::Io(error)) = accept(&mut a, b"k", limit) else {
            panic!("it should have taken too long");
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(begin.elapsed() >= limit && begin.elapsed() < 100 * limit);
        drop(a);
        sender.join().unwrap();

        let (mut a, _b) = pair();
        let Err(AuthError::Io(error)) = accept(&mut a, b"k", limit) else {
            panic!("nobody answered");
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }

    #[test]
    fn what_follows_a_handshake_is_not_lost() {
        let (mut a, mut b) = pair();
        thread::scope(|scope| {
            scope.spawn(|| {
                new_client(&mut b, b"k").unwrap();
                b.send(|frame| frame.extend(b"request")).unwrap();
            });
            accept(&mut a, b"k", Duration::MAX).unwrap();
            assert_eq!(a.recv(100).unwrap(), Some(&b"request"[..]));
        });
    }

    proptest! {
        /// A peer without the key gets an error, and never a panic or a wait.
        #[test]
        fn any_peer(
            frames in prop::collection::vec(
                prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..60),
                    Just(WELCOME.to_vec()),
                    Just(FAILURE.to_vec()),
                    "#CHALLENGE#(\\{(md5|sha256|sha384|sha1)\\})?.{0,40}".prop_map(String::into_bytes),
                    "\\{(md5|sha256|sha384|sha1)\\}.{0,40}".prop_map(String::into_bytes),
                ],
                0..5,
            ),
            garbage in prop::collection::vec(any::<u8>(), 0..9),
        ) {
            for side in [new_server as Side, new_client] {
                let (mut a, mut b) = pair();
                for frame in &frames {
                    b.send(|out| out.extend(frame)).unwrap();
                }
                (&**b.stream()).write_all(&garbage).unwrap();
                rustix::net::shutdown(b.stream(), rustix::net::Shutdown::Write).unwrap();
                prop_assert!(side(&mut a, b"key").is_err());
            }
        }
    }

    /// `server KEY PATH` or `client KEY PATH|PORT`, of which the server echoes.
    const PYTHON: &str = r#"
import sys
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Listener, answer_challenge, deliver_challenge
role, key, where = sys.argv[1:]
key = bytes.fromhex(key)
address = ("127.0.0.1", int(where)) if where.isdigit() else where
try:
    if role == "server":
        with Listener(address) as listener:
            print(listener.address if where[0] == "/" else listener.address[1], flush=True)
            with listener.accept() as connection:
                # As a manager's server does it; with an empty key, a Listener would not.
                deliver_challenge(connection, key)
                answer_challenge(connection, key)
                try:
                    while True:
                        connection.send_bytes(connection.recv_bytes())
                except EOFError:
                    pass
    else:
        with Client(address, authkey=key) as connection:
            for size in 0, 1, 16384, 16385, 100_000, 5_000_000:
                data = (bytes(range(251)) * (size // 251 + 1))[:size]
                connection.send_bytes(data)
                assert connection.recv_bytes() == data, size
    print("done")
except AuthenticationError as error:
    print(error)
"#;

    /// A process that is killed when this is dropped.
    struct Python(Child);

    impl Python {
        fn run(role: &str, key: &[u8], place: &str) -> Python {
            let key: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
            let child = Command::new("python3")
                .args(["-c", PYTHON, role, &key, place])
                .stdout(Stdio::piped())
                .spawn();
            Python(child.unwrap())
        }

        /// What it has said until its end.
        fn rest(&mut self) -> String {
            let mut text = String::new();
            let stdout = self.0.stdout.as_mut().unwrap();
            stdout.read_to_string(&mut text).unwrap();
            text.trim().to_owned()
        }
    }

    impl Drop for Python {
        fn drop(&mut self) {
            // It may have ended by itself.
            self.0.kill().ok();
            self.0.wait().unwrap();
        }
    }

    fn python_is_there() -> bool {
        let there = Command::new("python3").arg("-V").output().is_ok();
        if !there {
            eprintln!("no python3: not tested");
        }
        there
    }

    #[test]
    fn python_connects() {
        if !python_is_there() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let unix = Address::Unix(folder.path().join("x.sock"));
        for (address, key, other) in [
            ("localhost:0".parse().unwrap(), "secret", "secret"),
            ("127.0.0.1:0".parse().unwrap(), "secret", ""),
            (unix.clone(), "", ""),
            (unix, "", "secret"),
        ] {
            let listener = Listener::bind(&address).unwrap();
            let place = match listener.address() {
                Address::Tcp(_, port) => port.to_string(),
                Address::Unix(path) => path.display().to_string(),
            };
            let mut python = Python::run("client", other.as_bytes(), &place);
            let stream = listener.accept().unwrap();
            stream.set_timeouts(Some(LIMIT), Some(LIMIT)).unwrap();
            let mut frames = Frames::new(stream);
            let result = accept(&mut frames, key.as_bytes(), LIMIT);
            if key != other {
                assert!(matches!(result, Err(AuthError::Wrong)), "{result:?}");
                assert_eq!(python.rest(), "digest sent was rejected");
                continue;
            }
            result.unwrap();
            let mut sizes = vec![];
            while let Some(frame) = frames.recv(usize::MAX).unwrap() {
                let frame = frame.to_vec();
                frames.send(|out| out.extend(&frame)).unwrap();
                sizes.push(frame.len());
            }
            assert_eq!(sizes, [0, 1, 16384, 16385, 100_000, 5_000_000]);
            assert_eq!(python.rest(), "done");
        }
    }

    #[test]
    fn python_is_connected_to() {
        if !python_is_there() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.sock").display().to_string();
        for (place, key, other) in [
            ("0", "secret", "secret"),
            ("0", "", "secret"),
            (&*path, "", ""),
            (&*path, "secret", ""),
        ] {
            let mut python = Python::run("server", other.as_bytes(), place);
            let mut line = String::new();
            let stdout = python.0.stdout.as_mut().unwrap();
            BufReader::new(stdout).read_line(&mut line).unwrap();
            let address = match line.trim().parse() {
                Ok(port) => Address::Tcp("localhost".to_owned(), port),
                Err(_) => Address::Unix(line.trim().into()),
            };
            let stream = Stream::connect(&address, Some(LIMIT)).unwrap();
            stream.set_timeouts(Some(LIMIT), Some(LIMIT)).unwrap();
            let mut frames = Frames::new(stream);
            let result = new_client(&mut frames, key.as_bytes());
            if key != other {
                assert!(matches!(result, Err(AuthError::Rejected)), "{result:?}");
                drop(frames);
                assert_eq!(python.rest(), "digest received was wrong");
                continue;
            }
            result.unwrap();
            for size in [0, 1, 16384, 16385, 100_000, 5_000_000] {
                let data: Vec<u8> = (0..251).cycle().take(size).collect();
                frames.send(|out| out.extend(&data)).unwrap();
                assert_eq!(frames.recv(size).unwrap(), Some(&data[..]));
            }
            drop(frames);
            assert_eq!(python.rest(), "done");
        }
    }
}
