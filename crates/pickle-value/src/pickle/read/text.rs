//! Numbers and texts, in each form of the protocols.

use std::sync::Arc;

use num_bigint::BigInt;
use num_traits::{Num, ToPrimitive};

use super::super::limits::Error;
use super::{Item, Kind, Reader};
use crate::value::{DIGITS, Value, is_surrogatepass};

impl<'a> Reader<'a, '_> {
    pub(super) fn number(&mut self, line: &[u8]) -> Result<Item, Error> {
        let error = self.malformed("an invalid integer");
        let text = std::str::from_utf8(line).map_err(|_| error.clone())?.trim();
        if let Ok(number) = text.parse() {
            return Ok(Item::Int(number));
        }
        let (negative, digits) = match text.as_bytes() {
            [b'-', digits @ ..] => (true, digits),
            [b'+', digits @ ..] => (false, digits),
            digits => (false, digits),
        };
        let (radix, digits) = match digits {
            [b'0', b'x' | b'X', digits @ ..] => (16, digits),
            [b'0', b'o' | b'O', digits @ ..] => (8, digits),
            [b'0', b'b' | b'B', digits @ ..] => (2, digits),
            digits => (10, digits),
        };
        let fine = digits
            .first()
            .is_some_and(|first| char::from(*first).is_digit(radix));
        if !fine || radix == 10 && digits.len() > DIGITS {
            return Err(error);
        }
        let digits = std::str::from_utf8(digits).map_err(|_| error.clone())?;
        let number = BigInt::from_str_radix(digits, radix).map_err(|_| error)?;
        self.integer(if negative { -number } else { number }, digits.len())
    }

    fn integer(&mut self, number: BigInt, bytes: usize) -> Result<Item, Error> {
        match number.to_i64() {
            Some(number) => Ok(Item::Int(number)),
            None => {
                self.charge(bytes)?;
                let number = Value::Long(Arc::new(number));
                Ok(Item::Node(self.node(Kind::Made(number), true)?))
            }
        }
    }

    /// Little-endian, in two's complement.
    pub(super) fn long(&mut self, length: u64) -> Result<(), Error> {
        let bytes = self.take(length)?;
        let item = if bytes.len() <= 8 {
            let negative = bytes.last().is_some_and(|last| *last >= 0x80);
            let mut number = [if negative { 0xff } else { 0 }; 8];
            number[..bytes.len()].copy_from_slice(bytes);
            Item::Int(i64::from_le_bytes(number))
        } else {
            self.integer(BigInt::from_signed_bytes_le(bytes), bytes.len())?
        };
        self.push(item)
    }

    pub(super) fn bytes(
        &mut self,
        length: u64,
        kind: fn(&'a [u8]) -> Kind<'a>,
    ) -> Result<(), Error> {
        let bytes = self.take(length)?;
        self.charge(bytes.len())?;
        let kind = kind(bytes);
        let hashable = !matches!(kind, Kind::ByteArray(_));
        let node = self.node(kind, hashable)?;
        self.push(Item::Node(node))
    }

    pub(super) fn unicode(&mut self, length: u64) -> Result<(), Error> {
        let bytes = self.take(length)?;
        self.charge(bytes.len())?;
        let kind = match std::str::from_utf8(bytes) {
            Ok(text) => Kind::Str(text),
            Err(_) if is_surrogatepass(bytes) => Kind::Surrogates(bytes),
            Err(_) => return Err(self.malformed("a str outside UTF-8")),
        };
        let node = self.node(kind, true)?;
        self.push(Item::Node(node))
    }

    /// Reads a `str` of Python 2 as ASCII, as CPython does by default.
    pub(super) fn ascii(&mut self, length: u64) -> Result<(), Error> {
        let bytes = self.take(length)?;
        self.charge(bytes.len())?;
        match std::str::from_utf8(bytes) {
            Ok(text) if text.is_ascii() => {
                let node = self.node(Kind::Str(text), true)?;
                self.push(Item::Node(node))
            }
            _ => Err(self.malformed("a str of Python 2 outside ASCII")),
        }
    }

    pub(super) fn string(&mut self) -> Result<(), Error> {
        let line = self.line()?;
        let inner = match line {
            [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] => inner,
            _ => return Err(self.malformed("the STRING opcode argument must be quoted")),
        };
        let bytes = unescape(inner).ok_or(self.malformed("an invalid str"))?;
        match String::from_utf8(bytes) {
            Ok(text) if text.is_ascii() => self.made(Value::from(text), line.len()),
            _ => Err(self.malformed("a str of Python 2 outside ASCII")),
        }
    }
}

/// Decodes Python's `raw-unicode-escape` to UTF-8 with surrogates in three bytes.
pub(super) fn raw_unicode(line: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        let mut code = u32::from(*byte);
        if let (b'\\', Some((next, after))) = (byte, after.split_first()) {
            rest = after;
            let digits = match next {
                b'u' => 4,
                b'U' => 8,
                other => {
                    text.push(b'\\');
                    push_code(&mut text, u32::from(*other))?;
                    continue;
                }
            };
            code = hexadecimal(rest.get(..digits)?)?;
            rest = &rest[digits..];
        }
        push_code(&mut text, code)?;
    }
    Some(text)
}

fn push_code(text: &mut Vec<u8>, code: u32) -> Option<()> {
    match char::from_u32(code) {
        Some(letter) => text.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
        None if code > 0xffff => return None,
        None => text.extend([
            0xe0 | (code >> 12) as u8,
            0x80 | (code >> 6 & 0x3f) as u8,
            0x80 | (code & 0x3f) as u8,
        ]),
    }
    Some(())
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| {
        Some(number << 4 | char::from(*digit).to_digit(16)?)
    })
}

/// Decodes the content of the quotes of a `str` of Python 2.
fn unescape(line: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'\\' {
            text.push(*byte);
            continue;
        }
        let (escape, after) = rest.split_first()?;
        rest = after;
        let byte = match escape {
            b'\\' | b'\'' | b'"' => *escape,
            b'a' => 7,
            b'b' => 8,
            b't' => b'\t',
            b'n' => b'\n',
            b'v' => 11,
            b'f' => 12,
            b'r' => b'\r',
            b'x' => {
                let code = hexadecimal(rest.get(..2)?)?;
                rest = &rest[2..];
                code as u8
            }
            b'0'..=b'7' => {
                let mut code = u32::from(escape - b'0');
                for _ in 0..2 {
                    let Some((digit @ b'0'..=b'7', after)) = rest.split_first() else {
                        break;
                    };
                    code = code << 3 | u32::from(digit - b'0');
                    rest = after;
                }
                code as u8
            }
            other => {
                text.push(b'\\');
                *other
            }
        };
        text.push(byte);
    }
    Some(text)
}
