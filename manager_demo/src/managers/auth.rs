//! Who may speak: both ends prove that they have the same key, without sending it.
//!
//! Python:  `multiprocessing.connection`: `deliver_challenge` and `answer_challenge`, of 3.11 as of 3.12 and later
//! Differs: a handshake has a limit of time, and the wrong key is told in one message, not two.

use std::fmt;
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha2::{Sha256, Sha384};

use super::framing::Frames;

const CHALLENGE: &[u8] = b"#CHALLENGE#";
const WELCOME: &[u8] = b"#WELCOME#";
const FAILURE: &[u8] = b"#FAILURE#";

/// No message of the handshake is longer.
const LONGEST: usize = 256;
/// A challenge of this length is one of Python 3.11 or earlier, whatever it begins with.
const OLD_CHALLENGE: usize = 20;
/// An answer of this length is one of Python 3.11 or earlier.
const OLD_ANSWER: usize = 16;
/// What our challenge begins with, and how many random bytes follow.
const PREFIX: &[u8] = b"{sha256}";
const RANDOM: usize = 40;

/// Why a handshake failed. The connection is of no use then.
#[derive(Debug)]
pub enum AuthError {
    /// The peer says that our answer is wrong: it has another key.
    Rejected,
    /// The peer's answer is wrong: it has another key. It was told so.
    Wrong,
    /// The peer sends what is no part of a handshake, or asks for what is not offered here.
    Protocol(String),
    /// The connection failed: `UnexpectedEof` when the peer ended it, `TimedOut` when it took too long, `InvalidData`
    /// when it announced a message of more than 256 bytes.
    Io(io::Error),
}

/// The server's side of a handshake: it challenges first. All of it takes at most `limit`, however slowly the peer
/// sends; where this is too long for a clock, there is no limit.
///
/// Whatever the error, the peer has not shown that it knows the key, and nothing it has sent may be trusted.
pub fn accept(frames: &mut Frames, key: &[u8], limit: Duration) -> Result<(), AuthError> {
    let deadline = Instant::now().checked_add(limit);
    challenge(frames, key, deadline)?;
    answer(frames, key, deadline)
}

/// The client's side, of the same time limit. A server that is busy accepts late.
pub fn connect(frames: &mut Frames, key: &[u8], limit: Duration) -> Result<(), AuthError> {
    let deadline = Instant::now().checked_add(limit);
    answer(frames, key, deadline)?;
    challenge(frames, key, deadline)
}

/// Asks the peer for a proof.
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
            "a challenge was expected, and {} other bytes came",
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
        let text = "the peer has ended the connection before the handshake was over";
        io::Error::new(ErrorKind::UnexpectedEof, text).into()
    })
}

/// What a proof is computed with. CPython knows SHA-3 too, and never asks for it by itself.
#[derive(Clone, Copy)]
enum Digest {
    Md5,
    Sha256,
    Sha384,
}

impl Digest {
    /// The digest whose name in braces a message begins with, and the rest of the message.
    fn named(message: &[u8]) -> Result<(Digest, &[u8]), AuthError> {
        [Digest::Md5, Digest::Sha256, Digest::Sha384]
            .into_iter()
            .find_map(|digest| Some((digest, message.strip_prefix(digest.prefix())?)))
            .ok_or_else(|| {
                let start = message.get(..12).unwrap_or(message).escape_ascii();
                AuthError::Protocol(format!("no known digest: {start}"))
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
            AuthError::Rejected => write!(f, "digest sent was rejected"),
            AuthError::Wrong => write!(f, "digest received was wrong"),
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
