//! Pickles against the dumps of the protocol's document, against random bytes, and against CPython.

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pickle_value::managers::{as_token, dump_request_into, small_request, token};
use pickle_value::{
    Address, Array, Error, Global, Keep, Limits, Make, Object, Proxy, Step, Value, dump_into,
    dumps, loads, loads_with,
};
use proptest::prelude::*;

/// A value as text that says everything, also what is the same object: two are alike if their texts are.
fn shape(value: &Value) -> String {
    let mut text = String::new();
    draw(value, &mut HashMap::new(), &mut text);
    text
}

fn draw(value: &Value, known: &mut HashMap<(usize, u8), usize>, out: &mut String) {
    let node = value.node();
    let kind = match &*node {
        Value::None => 0,
        Value::Bool(_) => 1,
        Value::Int(_) | Value::Long(_) => 2,
        Value::Float(_) => 3,
        Value::Complex(..) => 4,
        Value::Str(_) | Value::Surrogates(_) => 5,
        Value::Bytes(_) => 6,
        Value::ByteArray(_) => 7,
        Value::Tuple(_) => 8,
        Value::List(_) => 9,
        Value::Dict(_) => 10,
        Value::Set(_) => 11,
        Value::FrozenSet(_) => 12,
        Value::Global(_) => 13,
        Value::Object(_) => 14,
        Value::Array(_) => 15,
        Value::Proxy(_) => 16,
        Value::Knot(..) | Value::Inner(_) => 17,
    };
    let empty = matches!(&*node, Value::Tuple(items) if items.is_empty());
    if let (Some(id), false) = (value.id(), empty) {
        let next = known.len();
        let number = *known.entry((id, kind)).or_insert(next);
        write!(out, "#{number}").unwrap();
        if number != next {
            return;
        }
    }
    let all = |values: &[Value], known: &mut _, out: &mut String| {
        out.push('[');
        for value in values {
            draw(value, known, out);
            out.push(',');
        }
        out.push(']');
    };
    match &*node {
        Value::None => out.push_str("None"),
        Value::Bool(flag) => write!(out, "{flag}").unwrap(),
        Value::Int(number) => write!(out, "{number}").unwrap(),
        Value::Long(number) => write!(out, "{number}L").unwrap(),
        Value::Float(number) => write!(out, "f{:x}", number.to_bits()).unwrap(),
        Value::Complex(a, b) => write!(out, "c{:x}/{:x}", a.to_bits(), b.to_bits()).unwrap(),
        Value::Str(text) => write!(out, "{text:?}").unwrap(),
        Value::Surrogates(bytes) => write!(out, "s{bytes:?}").unwrap(),
        Value::Bytes(bytes) => write!(out, "b{bytes:?}").unwrap(),
        Value::ByteArray(bytes) => write!(out, "a{bytes:?}").unwrap(),
        Value::Array(array) => write!(out, "{}{:?}", array.typecode, array.bytes).unwrap(),
        Value::Global(global) => write!(out, "{global}").unwrap(),
        Value::Tuple(items) => {
            out.push('t');
            all(items, known, out);
        }
        Value::List(items) => {
            out.push('l');
            all(items, known, out);
        }
        Value::Set(items) => {
            out.push('S');
            all(items, known, out);
        }
        Value::FrozenSet(items) => {
            out.push('F');
            all(items, known, out);
        }
        Value::Dict(pairs) => {
            for (k, v) in &pairs[..] {
                all(&[k.clone(), v.clone()], known, out);
            }
        }
        Value::Object(object) => {
            out.push('o');
            match &object.make {
                Make::Call {
                    callable,
                    arguments,
                } => all(&[callable.clone(), arguments.clone()], known, out),
                Make::New {
                    class,
                    arguments,
                    keywords,
                } => {
                    out.push('n');
                    all(&[class.clone(), arguments.clone()], known, out);
                    all(&Vec::from_iter(keywords.clone()), known, out);
                }
            }
            for step in &object.steps {
                match step {
                    Step::State(state) => all(std::slice::from_ref(state), known, out),
                    Step::Extend(items) => all(items, known, out),
                    Step::Add(items) => all(items, known, out),
                    Step::Set(pairs) => {
                        for (k, v) in pairs {
                            all(&[k.clone(), v.clone()], known, out);
                        }
                    }
                }
            }
        }
        Value::Proxy(proxy) => write!(
            out,
            "P{} {} {:?} {} {:?}",
            proxy.class, proxy.typeid, proxy.address, proxy.ident, proxy.exposed
        )
        .unwrap(),
        Value::Knot(..) | Value::Inner(_) => out.push('?'),
    }
}

#[track_caller]
fn read(pickle: &[u8]) -> Value {
    loads(pickle).unwrap()
}

/// The value of a pickle, which must be the same after it was written and read.
#[track_caller]
fn text(pickle: &[u8]) -> String {
    let value = read(pickle);
    let again = dumps(&value);
    assert_eq!(shape(&read(&again)), shape(&value), "{again:?}");
    shape(&value)
}

#[track_caller]
fn refused(pickle: &[u8]) -> String {
    loads(pickle).err().unwrap().to_string()
}

fn hex(dump: &str) -> Vec<u8> {
    let digits: Vec<char> = dump.chars().filter(|c| !c.is_whitespace()).collect();
    let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

const GETITEM: &str = "80 04 95 41 00 00 00 00 00 00 00 28 8c 0c 37 66 65 36 64 34 36 34 63 61 38 30 94 8c
    0b 5f 5f 67 65 74 69 74 65 6d 5f 5f 94 8c 08 62 75 69 6c 74 69 6e 73 94 8c 05 73 6c 69 63 65 94 93 94 4e 4e 4e 87
    94 52 94 85 94 7d 94 74 94 2e";
const CREATE: &str = "80 04 95 a3 00 00 00 00 00 00 00 28 4e 8c 06 63 72 65 61 74 65 94 8c 04 64 69 63 74 94 85
    94 7d 94 8c 01 61 94 8c 18 6d 75 6c 74 69 70 72 6f 63 65 73 73 69 6e 67 2e 6d 61 6e 61 67 65 72 73 94 8c 0c 52 65
    62 75 69 6c 64 50 72 6f 78 79 94 93 94 28 68 05 8c 09 4c 69 73 74 50 72 6f 78 79 94 93 94 68 05 8c 05 54 6f 6b 65
    6e 94 93 94 29 81 94 8c 04 6c 69 73 74 94 8c 09 31 32 37 2e 30 2e 30 2e 31 94 4d bf c3 86 94 8c 0c 37 66 65 36 64
    34 36 34 63 61 38 30 94 87 94 62 8c 06 70 69 63 6b 6c 65 94 7d 94 74 94 52 94 73 74 94 2e";
const ITERATE: &str = "80 04 95 89 00 00 00 00 00 00 00 8c 06 23 50 52 4f 58 59 94 28 8c 08 5f 5f 6e 65 78 74 5f
    5f 94 8c 04 73 65 6e 64 94 8c 05 74 68 72 6f 77 94 8c 05 63 6c 6f 73 65 94 74 94 8c 18 6d 75 6c 74 69 70 72 6f 63
    65 73 73 69 6e 67 2e 6d 61 6e 61 67 65 72 73 94 8c 05 54 6f 6b 65 6e 94 93 94 29 81 94 8c 08 49 74 65 72 61 74 6f
    72 94 8c 09 31 32 37 2e 30 2e 30 2e 31 94 4d bf c3 86 94 8c 0c 37 66 65 36 64 35 30 36 63 33 36 30 94 87 94 62 86
    94 86 94 2e";
const ERROR: &str = "80 04 95 44 00 00 00 00 00 00 00 8c 06 23 45 52 52 4f 52 94 8c 08 62 75 69 6c 74 69 6e 73 94
    8c 0a 49 6e 64 65 78 45 72 72 6f 72 94 93 94 8c 17 6c 69 73 74 20 69 6e 64 65 78 20 6f 75 74 20 6f 66 20 72 61 6e
    67 65 94 85 94 52 94 86 94 2e";
const PARTIAL: &str = "80 04 95 73 00 00 00 00 00 00 00 28 8c 0c 37 66 65 64 39 62 33 38 35 30 39 30 94 8c 03 70
    75 74 94 8c 19 6d 75 6c 74 69 70 72 6f 63 65 73 73 69 6e 67 2e 72 65 64 75 63 74 69 6f 6e 94 8c 10 5f 72 65 62 75
    69 6c 64 5f 70 61 72 74 69 61 6c 94 93 94 8c 08 5f 5f 6d 61 69 6e 5f 5f 94 8c 0b 73 65 72 76 65 72 5f 65 78 69 74
    94 93 94 4b 00 85 94 7d 94 87 94 52 94 85 94 7d 94 74 94 2e";

fn parts(value: &Value) -> Vec<Value> {
    match &*value.node() {
        Value::Tuple(items) | Value::List(items) => items.to_vec(),
        _ => panic!("no tuple"),
    }
}

#[test]
fn requests_and_replies() {
    text(&hex(GETITEM));
    let request = parts(&read(&hex(GETITEM)));
    assert_eq!(request[0].as_str(), Some("7fe6d464ca80"));
    let slice = parts(&request[2])[0].called("builtins", "slice").unwrap();
    assert!(matches!(slice[..], [Value::None, Value::None, Value::None]));

    text(&hex(ERROR));
    let error = parts(&read(&hex(ERROR)));
    let args = error[1].called("builtins", "IndexError").unwrap();
    assert_eq!(args[0].as_str(), Some("list index out of range"));

    text(&hex(PARTIAL));
    let put = parts(&parts(&read(&hex(PARTIAL)))[2]);
    let partial = put[0]
        .called("multiprocessing.reduction", "_rebuild_partial")
        .unwrap();
    assert_eq!(shape(&partial[0]), "#0__main__.server_exit");
    // What this writes of it is shorter: no frame, and nothing memoized that is there once.
    let short = dumps(&read(&hex(ERROR)));
    assert_eq!(short.len(), hex(ERROR).len() - 9 - 8);
}

#[test]
fn proxies() {
    let mut asked = 0;
    let kept: Keep = Arc::new(());
    let keep = &mut |proxy: &Proxy| {
        asked += 1;
        assert_eq!(proxy.class.name, "ListProxy");
        assert_eq!(proxy.address, Address::Tcp("127.0.0.1".into(), 50111));
        Some(kept.clone())
    };
    let request = loads_with(&hex(CREATE), &Limits::default(), keep).unwrap();
    assert_eq!(asked, 1);
    let Value::Dict(keywords) = &parts(&request)[3] else {
        panic!("no dict")
    };
    let Value::Proxy(proxy) = &keywords[0].1 else {
        panic!("no proxy")
    };
    assert_eq!((&*proxy.typeid, &*proxy.ident), ("list", "7fe6d464ca80"));
    assert!(proxy.exposed.is_none() && proxy.keep.is_some());
    assert_eq!(Arc::strong_count(&kept), 2);
    drop(request);
    text(&hex(CREATE));

    let exposed = Some(["get", "put"].map(Arc::from).into());
    let addresses = [
        Address::Tcp("localhost".into(), 65535),
        Address::Unix("/tmp/socket".into()),
        Address::Unix(OsStr::from_bytes(b"\0abstract").into()),
        Address::Unix(OsStr::from_bytes(b"/tmp/\xff\xc3\xa4").into()),
    ];
    for address in addresses {
        let token = token("Queue", &address, "7f");
        let (typeid, there, ident) = as_token(&read(&dumps(&token))).unwrap();
        assert_eq!((&*typeid, there, &*ident), ("Queue", address.clone(), "7f"));
        let proxy = Value::Proxy(Arc::new(Proxy {
            class: Arc::new(Global {
                module: "multiprocessing.managers".into(),
                name: "AutoProxy".into(),
            }),
            typeid: "Queue".into(),
            address,
            ident: "7f".into(),
            exposed: Option::clone(&exposed),
            keep: None,
        }));
        let both = Value::tuple([proxy.clone(), proxy.clone(), Value::list([proxy])]);
        assert_eq!(shape(&read(&dumps(&both))), shape(&both));
    }
}

#[test]
fn a_token() {
    text(&hex(ITERATE));
    let reply = parts(&parts(&read(&hex(ITERATE)))[1]);
    let (typeid, address, ident) = as_token(&reply[1]).unwrap();
    assert_eq!((&*typeid, &*ident), ("Iterator", "7fe6d506c360"));
    assert_eq!(address, Address::Tcp("127.0.0.1".into(), 50111));
    assert!(as_token(&reply[0]).is_none());
}

#[test]
fn each_opcode() {
    for (pickle, expected) in [
        (&b"N."[..], "None"),
        (b"\x88.", "true"),
        (b"\x89.", "false"),
        (b"I00\n.", "false"),
        (b"I01\n.", "true"),
        (b"I-12\n.", "-12"),
        (b"I0x1f\n.", "31"),
        (b"L12L\n.", "12"),
        (b"L-12\n.", "-12"),
        (b"L9223372036854775808L\n.", "#09223372036854775808L"),
        (b"K\xff.", "255"),
        (b"M\x01\x02.", "513"),
        (b"J\xfe\xff\xff\xff.", "-2"),
        (b"\x8a\x00.", "0"),
        (b"\x8a\x01\x80.", "-128"),
        (
            b"\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x80\x00.",
            "#09223372036854775808L",
        ),
        (b"\x8a\x09\x01\x00\x00\x00\x00\x00\x00\x00\x00.", "1"),
        (b"\x8b\x02\x00\x00\x00\x00\x80.", "-32768"),
        (b"F1.5\n.", "f3ff8000000000000"),
        (b"Finf\n.", "f7ff0000000000000"),
        (b"G\x3f\xf8\0\0\0\0\0\0.", "f3ff8000000000000"),
        (b"S'a\\n\\x41\\101\\'\\q'\n.", r#"#0"a\nAA'\\q""#),
        (b"T\x01\0\0\0a.", "#0\"a\""),
        (b"U\x01a.", "#0\"a\""),
        (
            b"Va\\u00e4\xe4\\U0001f600\\\\u0041\n.",
            "#0\"aää😀\\\\\\\\u0041\"",
        ),
        (b"V\\ud83d\\ude00\n.", "#0s[237, 160, 189, 237, 184, 128]"),
        (b"X\x02\0\0\0\xc3\xa4.", "#0\"ä\""),
        (b"\x8c\x03\xed\xa0\x80.", "#0s[237, 160, 128]"),
        (b"\x8d\x01\0\0\0\0\0\0\0a.", "#0\"a\""),
        (b"B\x01\0\0\0a.", "#0b[97]"),
        (b"C\x01a.", "#0b[97]"),
        (b"\x8e\x01\0\0\0\0\0\0\0a.", "#0b[97]"),
        (b"\x96\x01\0\0\0\0\0\0\0a.", "#0a[97]"),
        (b").", "t[]"),
        (b"N\x85.", "#0t[None,]"),
        (b"NN\x86.", "#0t[None,None,]"),
        (b"NNN\x87.", "#0t[None,None,None,]"),
        (b"(NNNNt.", "#0t[None,None,None,None,]"),
        (b"].", "#0l[]"),
        (b"]Na.", "#0l[None,]"),
        (b"](K\x01K\x02e(K\x03e.", "#0l[1,2,3,]"),
        (b"(K\x01l.", "#0l[1,]"),
        (b"}K\x01Ns.", "#0[1,None,]"),
        (b"}(K\x01NK\x02Nu.", "#0[1,None,][2,None,]"),
        (b"(K\x01Nd.", "#0[1,None,]"),
        (b"\x8f(K\x01\x90.", "#0S[1,]"),
        (b"(K\x01\x91.", "#0F[1,]"),
        (b"cos\nsystem\n.", "#0os.system"),
        (b"\x8c\x02os\x8c\x06system\x93.", "#0os.system"),
        (b"c__builtin__\nxrange\n.", "#0builtins.range"),
        (b"\x80\x03c__builtin__\nxrange\n.", "#0__builtin__.xrange"),
        (b"cos\nsystem\n)R.", "#0o[#1os.system,t[],]"),
        (b"cm\nC\n)\x81.", "#0on[#1m.C,t[],][]"),
        (b"cm\nC\n)}\x92.", "#0on[#1m.C,t[],][#2,]"),
        (b"(im\nC\n.", "#0on[#1m.C,t[],][]"),
        (b"(K\x01im\nC\n.", "#0o[#1m.C,#2t[1,],]"),
        (b"(cm\nC\nK\x01o.", "#0o[#1m.C,#2t[1,],]"),
        (b"(cm\nC\no.", "#0on[#1m.C,t[],][]"),
        (b"cm\nC\n)R}b.", "#0o[#1m.C,t[],][#2,]"),
        (b"cm\nC\n)R(K\x01K\x02e.", "#0o[#1m.C,t[],][1,2,]"),
        (b"cm\nC\n)RK\x01K\x02s.", "#0o[#1m.C,t[],][1,2,]"),
        (b"cm\nC\n)R(K\x01\x90.", "#0o[#1m.C,t[],][1,]"),
        (b"NK\x010.", "None"),
        (b"N(K\x011.", "None"),
        (b"N(0.", "None"),
        (b"]2\x86.", "#0t[#1l[],#1,]"),
        (b"]p0\n0g0\n.", "#0l[]"),
        (b"]q\x050h\x05.", "#0l[]"),
        (b"]r\xff\xff\xff\xff0j\xff\xff\xff\xff.", "#0l[]"),
        (b"]\x94h\0\x86.", "#0t[#1l[],#1,]"),
        (b"\x80\x05\x95\x02\0\0\0\0\0\0\0N.", "None"),
        (b"N.anything", "None"),
    ] {
        assert_eq!(text(pickle), expected, "{pickle:?}");
    }
    for (pickle, expected) in [
        (&b""[..], "the pickle ends early"),
        (b"N", "the pickle ends early"),
        (b"X\xff\xff\xff\xffa", "the pickle ends early"),
        (
            b"\x95\xff\xff\xff\xff\xff\xff\xff\xffN.",
            "the pickle ends early",
        ),
        (b"N\x7f", "unknown opcode 0x7f at byte 1"),
        (b"Pid\n.", "unsupported persistent id at byte 0"),
        (b"NQ.", "unsupported persistent id at byte 1"),
        (b"\x82\x01.", "unsupported extension code at byte 0"),
        (b"\x97.", "unsupported out-of-band buffer at byte 0"),
        (b"\x80\x06.", "unsupported pickle protocol at byte 0"),
        (b".", "nothing left on the stack at byte 0"),
        (b"N(.", "nothing left on the stack at byte 2"),
        (b"N(\x94.", "nothing left on the stack at byte 2"),
        (b"t.", "no mark at byte 0"),
        (b"h\0.", "a memo index that was never put at byte 0"),
        (b"}]Ns.", "an unhashable key at byte 3"),
        (b"}]\x85Ns.", "an unhashable key at byte 4"),
        (b"}(Nu.", "a key without value at byte 3"),
        (b"NNa.", "a number with items or a state at byte 2"),
        (
            b"NNR.",
            "a call of an object that is not callable at byte 2",
        ),
        (b"cm\nC\nNR.", "arguments that are not a tuple at byte 6"),
        (b"I1x\n.", "an invalid integer at byte 0"),
        (b"Fx\n.", "an invalid float at byte 0"),
        (b"S'\\xe4'\n.", "a str of Python 2 outside ASCII at byte 0"),
        (
            b"Sa\n.",
            "the STRING opcode argument must be quoted at byte 0",
        ),
        (b"\x8c\x01\xff.", "a str outside UTF-8 at byte 0"),
        // `setter(object, state)`, called for what it does.
        (
            b"cm\nC\n)Rq\x00cm\nset\nh\x00N\x86R0.",
            "unsupported state setter at byte 21",
        ),
    ] {
        assert_eq!(refused(pickle), expected, "{pickle:?}");
    }
}

#[test]
fn what_old_protocols_call() {
    for (pickle, expected) in [
        (
            &b"c_codecs\nencode\n(X\x02\0\0\0\xc3\xa4X\x06\0\0\0latin1tR."[..],
            "#0b[228]",
        ),
        (b"c__builtin__\nbytes\n)R.", "#0b[]"),
        (b"\x80\x03cbuiltins\nbytearray\nC\x01a\x85R.", "#0a[97]"),
        (b"\x80\x03cbuiltins\nset\n](K\x01K\x02e\x85R.", "#0S[1,2,]"),
        (
            b"\x80\x03cbuiltins\nfrozenset\n](K\x01K\x01e\x85R.",
            "#0F[1,]",
        ),
        (b"\x80\x03cbuiltins\nlist\n](K\x01K\x01e\x85R.", "#0l[1,1,]"),
        (b"carray\narray\n(Vh\n(I-1\nI2\nltR.", "#0h[255, 255, 2, 0]"),
        (
            b"\x80\x03carray\narray\nX\x01\0\0\0hC\x02\x01\x02\x86R.",
            "#0h[1, 2]",
        ),
        (
            b"\x80\x03carray\narray\nX\x01\0\0\0hC\x01\x01\x86R.",
            "#0o[#1array.array,#2t[#3\"h\",#4b[1],],]",
        ),
    ] {
        assert_eq!(text(pickle), expected, "{pickle:?}");
    }
    let complex = b"\x80\x03cbuiltins\ncomplex\nG\x3f\xf8\0\0\0\0\0\0G\x3f\xf8\0\0\0\0\0\0\x86R.";
    assert_eq!(text(complex), "c3ff8000000000000/3ff8000000000000");
}

#[test]
fn keys_that_are_there_twice() {
    assert_eq!(
        text(b"}(K\x01K\x0aK\x02NK\x01K\x0bu."),
        "#0[1,11,][2,None,]"
    );
    assert_eq!(
        text(b"}(K\x01K\x0a\x88K\x0bG\x3f\xf0\0\0\0\0\0\0K\x0cu."),
        "#0[1,12,]"
    );
    assert_eq!(text(b"}(U\x01aN\x8c\x01aK\x01u."), "#0[#1\"a\",1,]");
    let many: Vec<u8> = (0..20)
        .flat_map(|key| [b'K', key % 10, b'K', key])
        .collect();
    let Value::Dict(pairs) = read(&[b"}(", &many[..], b"u."].concat()) else {
        panic!("no dict")
    };
    assert_eq!(pairs.len(), 10);
    assert!(
        pairs
            .iter()
            .all(|(k, v)| k.as_int().unwrap() + 10 == v.as_int().unwrap())
    );
}

#[test]
fn cycles() {
    // l = []; l.append(l)
    assert_eq!(text(b"]\x94h\0a."), "#0l[#0,]");
    // l = []; t = (l,); l.append(t); t
    assert_eq!(text(b"]\x94h\0\x85\x94a0h\x01."), "#0t[#1l[#0,],]");
    // An object whose state contains it.
    let object = b"cm\nC\n)\x81\x94}\x94\x8c\x04selfh\0sb.";
    assert_eq!(text(object), "#0on[#1m.C,t[],][][#2[#3\"self\",#0,],]");
    let Value::Knot(knot, _) = read(object) else {
        panic!("no knot")
    };
    assert_eq!(knot.len(), 2);
    // What only leads to a cycle is none itself.
    let value = read(b"]]\x94h\0aa.");
    assert!(matches!(value, Value::List(_)));
    // By hand: nothing but tuples, which Python cannot make.
    let tuples: Arc<[Value]> = [
        Value::tuple([Value::Inner(1)]),
        Value::tuple([Value::Inner(0)]),
    ]
    .into();
    read(&dumps(&Value::Knot(tuples, 0)));
    read(&dumps(&Value::Inner(3)));
}

/// A tuple of many lists that all contain it: neither long nor slow.
#[test]
fn a_tuple_in_many_circles() {
    let count = 50_000;
    let lists: Vec<Value> = (0..count)
        .map(|_| Value::list([Value::Inner(count)]))
        .collect();
    let tuple = Value::tuple((0..count).map(Value::Inner));
    let knot: Arc<[Value]> = lists.into_iter().chain([tuple]).collect();
    let pickle = dumps(&Value::Knot(knot, count));
    assert!(pickle.len() < 70 * count, "{}", pickle.len());
    let Value::Knot(knot, _) = read(&pickle) else {
        panic!("no knot")
    };
    assert_eq!(knot.len(), count + 1);
}

#[test]
fn limits() {
    let deep = |levels: usize| [vec![b']'; levels], vec![b'a'; levels - 1], vec![b'.']].concat();
    loads(&deep(1000)).unwrap();
    assert_eq!(loads(&deep(1001)).err(), Some(Error::Depth(1000)));
    assert_eq!(loads(&deep(1_000_000)).err(), Some(Error::Depth(1000)));
    let tuples = [vec![b'N'], vec![0x85; 1_000_000], vec![b'.']].concat();
    assert_eq!(loads(&tuples).err(), Some(Error::Depth(1000)));
    // Each tuple contains the one before it twice.
    let shared = [b"N\x85".to_vec(), b"2\x86".repeat(1000), b".".to_vec()].concat();
    assert_eq!(loads(&shared).err(), Some(Error::Depth(1000)));
    let shared = [b"N\x85".to_vec(), b"2\x86".repeat(900), b".".to_vec()].concat();
    assert!(dumps(&loads(&shared).unwrap()).len() < 10_000);

    let small = Limits {
        depth: 1000,
        memory: 1 << 20,
    };
    let limited = |pickle: &[u8]| loads_with(pickle, &small, &mut |_| None).err();
    assert_eq!(limited(&vec![b'N'; 1 << 20]), Some(Error::Memory(1 << 20)));
    assert_eq!(limited(&vec![b']'; 1 << 20]), Some(Error::Memory(1 << 20)));
    assert_eq!(limited(&vec![b'('; 1 << 20]), Some(Error::Memory(1 << 20)));
    let digits = |count| [b"I".to_vec(), vec![b'1'; count], b"\n.".to_vec()].concat();
    loads(&digits(4300)).unwrap();
    assert_eq!(refused(&digits(4301)), "an invalid integer at byte 0");
    // A large list, copied again and again: some are, and the others stay calls.
    let list = [
        b"\x80\x04](".to_vec(),
        vec![b'N'; 1000],
        b"e\x85\x94cbuiltins\nlist\n\x94(".to_vec(),
    ]
    .concat();
    let copies = [list, b"h\x01h\x00R".repeat(10_000), b"t.".to_vec()].concat();
    let items = parts(&loads(&copies).unwrap());
    let copied = items
        .iter()
        .filter(|item| matches!(item, Value::List(_)))
        .count();
    assert!((1..500).contains(&copied), "{copied}");
}

/// Some 300 kB each, of what is large and is used again and again: it is read in a time that is in proportion.
#[track_caller]
fn soon(parts: &[&[u8]]) -> Result<Value, Error> {
    let pickle = parts.concat();
    assert!(
        (200_000..400_000).contains(&pickle.len()),
        "{}",
        pickle.len()
    );
    let begun = Instant::now();
    let value = loads(&pickle);
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    value
}

/// The same, and its pickle is about as long.
#[track_caller]
fn soon_and_back(parts: &[&[u8]]) {
    let value = soon(parts).unwrap();
    let length = dumps(&value).len();
    assert!(length < 10_000_000, "{length}");
}

fn long_text(length: usize) -> Vec<u8> {
    let mut text = b"X".to_vec();
    text.extend((length as u32).to_le_bytes());
    text.resize(text.len() + length, b'x');
    text
}

const LIST_OF: &[u8] = b"\x8c\x08builtins\x8c\x04list\x93\x94";
const ARRAY_OF: &[u8] = b"\x8c\x05array\x8c\x05array\x93\x94\x8c\x01h\x94N";

#[test]
fn a_list_in_many_chunks_is_copied_again_and_again() {
    let chunks = b"h\x00K\x00a0h\x01K\x00a0".repeat(8000);
    let copies = b"h\x02h\x00\x85R0".repeat(25_000);
    soon_and_back(&[b"\x80\x04]\x94]\x94", &chunks, LIST_OF, &copies, b"N."]);
    let arrays = b"h\x02h\x03h\x00\x86R0".repeat(20_000);
    soon_and_back(&[b"\x80\x04]\x94]\x94", &chunks, ARRAY_OF, &arrays, b"N."]);
}

#[test]
fn a_list_in_empty_chunks_is_copied_again_and_again() {
    let chunks = b"h\x00(e0h\x01K\x00a0".repeat(12_000);
    let copies = b"h\x02h\x00\x85R0".repeat(20_000);
    soon_and_back(&[b"\x80\x04]\x94]\x94", &chunks, LIST_OF, &copies, b"N."]);
}

#[test]
fn a_long_list_whose_copy_fails_at_the_end() {
    let items = b"K\x00".repeat(50_000);
    let arrays = b"h\x01h\x02h\x00\x86R0".repeat(20_000);
    soon_and_back(&[b"\x80\x04](", &items, b"Ne\x94", ARRAY_OF, &arrays, b"N."]);
    let letters = long_text(150_000);
    let encode = b"\xc4\x80\x94\x8c\x07_codecs\x8c\x06encode\x93\x94\x8c\x06latin1\x94N";
    let mut text = letters.clone();
    text[1..5].copy_from_slice(&150_002_u32.to_le_bytes());
    let calls = b"h\x01h\x00h\x02\x86R0".repeat(15_000);
    soon_and_back(&[b"\x80\x04", &text, encode, &calls, b"N."]);
}

#[test]
fn a_long_key_in_many_dicts() {
    let text = long_text(150_000);
    let many = b"}(h\x00NK\x00NK\x01NK\x02NK\x03NK\x04NK\x05NK\x06NK\x07NK\x08Nu";
    soon_and_back(&[b"\x80\x04", &text, b"\x940](", &many.repeat(4000), b"e."]);
    // Two that differ in the last byte, or not at all; in sets too, which are made of the list.
    for last in [b'x', b'y'] {
        let text = long_text(75_000);
        let mut other = text.clone();
        *other.last_mut().unwrap() = last;
        for few in [
            &b"}(h\x00Nh\x01Nu"[..],
            b"\x8f(h\x00h\x01\x90",
            b"(h\x00h\x01\x91",
        ] {
            let few = few.repeat(120_000 / few.len());
            soon_and_back(&[
                b"\x80\x04",
                &text,
                b"\x940",
                &other,
                b"\x940](",
                &few,
                b"e.",
            ]);
        }
    }
    let number = [b"\x8b\xf0\x49\x02\x00".to_vec(), vec![1; 150_000]].concat();
    soon_and_back(&[b"\x80\x04", &number, b"\x940](", &many.repeat(4000), b"e."]);
}

#[test]
fn long_keys_that_are_there_twice() {
    let long = long_text(300);
    let bytes = [b"B\x2c\x01\0\0".to_vec(), vec![b'x'; 300]].concat();
    let number = [vec![0x8a, 30], vec![1; 30]].concat();
    for key in [&long, &bytes, &number] {
        for more in [&b""[..], &b"K\x00NK\x01NK\x02NK\x03NK\x04NK\x05NK\x06N"[..]] {
            let pickle = [b"}(", &key[..], b"K\x01", more, key, b"K\x02", b"u."].concat();
            let Value::Dict(pairs) = read(&pickle) else {
                panic!("no dict")
            };
            assert_eq!(pairs.len(), 1 + more.len() / 3);
            assert_eq!(pairs[0].1, Value::Int(2));
        }
    }
    // A str does not equal bytes.
    let pickle = [b"\x8f(", &long[..], &bytes, &long, &bytes, b"\x90."].concat();
    let Value::Set(items) = read(&pickle) else {
        panic!("no set")
    };
    assert_eq!(items.len(), 2);
}

const REBUILD: &[u8] = b"\x8c\x18multiprocessing.managers\x94\x8c\x0cRebuildProxy\x93\x94\
    h\x00\x8c\x09ListProxy\x93\x94\x8c\x06pickle\x94h\x00\x8c\x05Token\x93\x94";

/// `REBUILD` leaves 0 to 4 in the memo; here follow the token as 5, and the keywords as 6.
#[test]
fn proxies_share_their_parts() {
    let token = |address: &[u8]| [b"h\x04)\x81(\x8c\x04list", address, b"\x8c\x01itb\x94"].concat();
    let calls = |bytes: usize| b"h\x01(h\x02h\x05h\x03h\x06tR".repeat(bytes / 13);
    let host = |host: Vec<u8>| [&host[..], b"K\x01\x86"].concat();
    // Many keywords.
    let token_of = token(&host(long_text(9)));
    let keywords: Vec<u8> = (0..30_000_u16)
        .flat_map(|key| [b'M', key as u8, (key >> 8) as u8, b'N'])
        .collect();
    let keywords = [b"}(", &keywords[..], b"u\x94"].concat();
    soon_and_back(&[
        b"\x80\x04(",
        REBUILD,
        &token_of,
        &keywords,
        &calls(150_000),
        b"t.",
    ]);
    // A long address.
    for address in [host(long_text(150_000)), long_text(150_000)] {
        let token = token(&address);
        soon_and_back(&[
            b"\x80\x04(",
            REBUILD,
            &token,
            b"}\x94",
            &calls(150_000),
            b"t.",
        ]);
    }
    // A token that is none, in a knot.
    let items = b"K\x00".repeat(75_000);
    let object = [b"h\x04)\x81\x94(h\x05", &items[..], b"e"].concat();
    soon_and_back(&[
        b"\x80\x04(",
        REBUILD,
        &object,
        b"}\x94",
        &calls(150_000),
        b"t.",
    ]);
    let state = [b"h\x04)\x81\x94(h\x05", &items[..], b"tb"].concat();
    soon_and_back(&[
        b"\x80\x04(",
        REBUILD,
        &state,
        b"}\x94",
        &calls(150_000),
        b"t.",
    ]);
    // What is not too long is a proxy, each time.
    let pickle = [
        b"\x80\x04(",
        REBUILD,
        &token_of,
        b"}\x94",
        &calls(1300),
        b"t.",
    ]
    .concat();
    let proxies = parts(&read(&pickle)).into_iter();
    assert_eq!(
        proxies
            .filter(|part| matches!(part, Value::Proxy(_)))
            .count(),
        100
    );
}

#[test]
fn long_names_again_and_again() {
    let name = long_text(900);
    let again = b"h\x00h\x00\x930".repeat(50_000);
    let error = soon(&[b"\x80\x04", &name, b"\x94", &again, b"N."]).err();
    assert!(
        error
            .unwrap()
            .to_string()
            .starts_with("too many long names")
    );
    // Long ones that differ are read.
    let names = [b"h\x00", &name[..], b"\x93"].concat().repeat(300);
    soon_and_back(&[b"\x80\x04", &name, b"\x94(", &names, b"t."]);
}

/// Values that Rust code makes may be deeper than any reader takes.
#[test]
fn deep_values_are_written() {
    let mut value = Value::None;
    for _ in 0..2000 {
        value = Value::list([value]);
    }
    let pickle = dumps(&value);
    assert_eq!(loads(&pickle).err(), Some(Error::Depth(1000)));
    let limits = Limits {
        depth: 2000,
        ..Limits::default()
    };
    loads_with(&pickle, &limits, &mut |_| None).unwrap();
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::None),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (-70_000i64..70_000).prop_map(Value::Int),
        any::<f64>().prop_map(Value::Float),
        any::<(f64, f64)>().prop_map(|(a, b)| Value::Complex(a, b)),
        "\\PC{0,20}".prop_map(Value::from),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(|b| Value::Bytes(b.into())),
        prop::collection::vec(any::<u8>(), 0..9).prop_map(|b| Value::ByteArray(b.into())),
        prop::collection::vec(any::<u8>(), 9..300).prop_map(|mut b| {
            b.push(1);
            Value::Long(Arc::new(num_bigint::BigInt::from_signed_bytes_le(&b)))
        }),
        prop::collection::vec(any::<u8>(), 0..9).prop_map(|bytes| {
            let typecode = 'b';
            Value::Array(Arc::new(Array { typecode, bytes }))
        }),
        "[a-z]{1,9}".prop_map(|name| Value::global("module", name)),
    ];
    leaf.prop_recursive(6, 60, 6, |inner| {
        let some = prop::collection::vec(inner.clone(), 0..6);
        prop_oneof![
            some.clone().prop_map(Value::tuple),
            some.clone().prop_map(Value::list),
            // The same objects again.
            some.clone()
                .prop_map(|v| Value::list(v.clone().into_iter().chain(v))),
            (0..5i64, some.clone())
                .prop_map(|(first, v)| { Value::Dict((first..).map(Value::Int).zip(v).collect()) }),
            prop::collection::btree_set(any::<i64>(), 0..6)
                .prop_map(|v| Value::Set(v.into_iter().map(Value::Int).collect())),
            (some.clone(), some).prop_map(|(arguments, items)| {
                let Value::Object(made) = Value::call(Value::global("m", "C"), arguments) else {
                    return Value::None;
                };
                let Make::Call {
                    callable,
                    arguments,
                } = &made.make
                else {
                    return Value::None;
                };
                let (callable, arguments) = (callable.clone(), arguments.clone());
                let make = Make::Call {
                    callable,
                    arguments,
                };
                let steps = vec![
                    Step::State(Value::list(items.clone())),
                    Step::Add(vec![Value::None]),
                ];
                Value::Object(Arc::new(Object { make, steps }))
            }),
        ]
    })
}

/// Knots of lists, dicts and objects, whose parts are any of each other.
fn knots() -> impl Strategy<Value = Value> {
    prop::collection::vec((0..5u8, prop::collection::vec(0..20usize, 1..5)), 1..12).prop_map(
        |nodes| {
            // As opcodes: first the containers, then what is in them. Tuples contain what is before them.
            let mut pickle = vec![];
            for (index, (kind, parts)) in nodes.iter().enumerate() {
                match kind {
                    0 => pickle.push(b']'),
                    1 => pickle.push(b'}'),
                    2 => pickle.extend(b"cm\nC\n)\x81"),
                    kind => {
                        let parts = parts
                            .iter()
                            .filter(|_| index > 0)
                            .map(|p| (p % index.max(1)) as u8);
                        pickle.push(b'(');
                        pickle.extend(parts.flat_map(|part| [b'h', part]));
                        pickle.push(b't');
                        if *kind == 4 {
                            pickle.splice(pickle.len()..pickle.len(), *b"0cm\nC\n");
                            pickle.extend([b'(', b'h', (index.max(1) - 1) as u8, b't', b'R']);
                            if index == 0 {
                                pickle.truncate(pickle.len() - 5);
                                pickle.extend(*b")R");
                            }
                        }
                    }
                }
                pickle.extend([b'q', index as u8]);
            }
            for (index, (kind, parts)) in nodes.iter().enumerate() {
                let parts = parts.iter().map(|part| (part % nodes.len()) as u8);
                pickle.extend([b'h', index as u8]);
                match kind {
                    0 | 4 => parts.for_each(|part| pickle.extend([b'h', part, b'a'])),
                    1 => parts.for_each(|part| pickle.extend([b'K', part, b'h', part, b's'])),
                    2 => parts.for_each(|part| pickle.extend([b'h', part, b'b'])),
                    _ => {}
                }
            }
            pickle.push(b'.');
            loads(&pickle).unwrap()
        },
    )
}

/// Checks the invariant of knots: a reference to a node is a direct part of a node.
fn check_knots(value: &Value, inside: bool, depth: usize) {
    assert!(depth < 2000);
    let check = |part: &Value| match part {
        Value::Inner(_) => assert!(inside),
        Value::Knot(knot, _) if !inside => {
            for node in &knot[..] {
                assert!(!matches!(node, Value::Knot(..) | Value::Inner(_)));
                check_knots(node, true, depth + 1);
            }
        }
        Value::Knot(..) => {}
        part => check_knots(part, false, depth + 1),
    };
    match value {
        Value::Knot(..) => check(value),
        Value::Tuple(items) | Value::List(items) => items.iter().for_each(check),
        Value::Dict(pairs) => pairs
            .iter()
            .for_each(|(k, v)| [k, v].into_iter().for_each(check)),
        Value::Object(object) => {
            for step in &object.steps {
                if let Step::State(state) = step {
                    check(state);
                }
            }
        }
        _ => {}
    }
}

fn seeds() -> Vec<Vec<u8>> {
    [GETITEM, CREATE, ITERATE, ERROR, PARTIAL].map(hex).to_vec()
}

/// More than usual, unless `PROPTEST_CASES` says how many.
fn config() -> ProptestConfig {
    match std::env::var_os("PROPTEST_CASES") {
        None => ProptestConfig::with_cases(2000),
        Some(_) => ProptestConfig::default(),
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(value) = loads(&bytes) {
            prop_assert_eq!(shape(&read(&dumps(&value))), shape(&value));
        }
    }

    /// Only opcodes that need little else: many of them make a value.
    #[test]
    fn any_opcodes(codes in prop::collection::vec(prop::sample::select(
        &b"(((NN))]]]}}eettuusaaab0122lRRd\x81\x85\x86\x87\x88\x8f\x90\x91\x94\x94hhhK\x00\x01\x02cmoC"[..]), 0..60),
        tail in 0..4usize)
    {
        let mut pickle = b"cm\nC\n\x94]\x94)\x94".to_vec();
        for code in codes {
            match code {
                b'c' => pickle.extend(b"cm\nC\n"),
                b'K' | b'h' => pickle.extend([code, tail as u8]),
                b'C' => pickle.extend(b"C\x01a"),
                code => pickle.push(code),
            }
        }
        for _ in 0..20 {
            pickle.push(b'.');
            if let Ok(value) = loads(&pickle) {
                check_knots(&value, false, 0);
                prop_assert_eq!(shape(&read(&dumps(&value))), shape(&value));
            }
            pickle.pop();
            pickle.pop();
        }
    }

    #[test]
    fn changed_bytes(which in 0..5usize, changes in prop::collection::vec((any::<usize>(), any::<u8>()), 1..6)) {
        let mut pickle = seeds().swap_remove(which);
        for (place, byte) in changes {
            let length = pickle.len();
            pickle[place % length] = byte;
        }
        if let Ok(value) = loads(&pickle) {
            prop_assert_eq!(shape(&read(&dumps(&value))), shape(&value));
        }
    }

    #[test]
    fn round_trips(value in values()) {
        prop_assert_eq!(shape(&read(&dumps(&value))), shape(&value));
    }

    #[test]
    fn round_trips_of_knots(value in knots()) {
        check_knots(&value, false, 0);
        prop_assert_eq!(shape(&read(&dumps(&value))), shape(&value));
    }
}

/// CPython's pickles of random values, in each protocol: read and written here, read and compared there.
#[test]
fn cpython() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pickle_peer.py");
    let known = Command::new("python3").arg("--version").output();
    if !known.is_ok_and(|known| known.status.success()) || !std::path::Path::new(script).exists() {
        eprintln!("skipped: no python3, or no {script}");
        return;
    }
    let seed = std::env::var("PICKLE_SEED").unwrap_or_else(|_| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.unwrap().as_nanos().to_string()
    });
    let count = std::env::var("PICKLE_COUNT").unwrap_or("3000".into());
    eprintln!("PICKLE_SEED={seed}");
    let written = Command::new("python3")
        .args([script, "write", &seed, &count])
        .output()
        .unwrap();
    assert!(
        written.status.success(),
        "{}",
        String::from_utf8_lossy(&written.stderr)
    );
    let (mut answer, mut rest) = (vec![], &written.stdout[..]);
    while let Some((length, after)) = rest.split_first_chunk() {
        let (pickle, after) = after.split_at(u32::from_le_bytes(*length) as usize);
        rest = after;
        let value = loads(pickle).unwrap_or_else(|error| panic!("{error} in {pickle:?}"));
        check_knots(&value, false, 0);
        let again = dumps(&value);
        assert_eq!(shape(&read(&again)), shape(&value));
        answer.extend((again.len() as u32).to_le_bytes());
        answer.extend(again);
    }
    let mut check = Command::new("python3");
    check
        .args([script, "check", &seed, &count])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut check = check.spawn().unwrap();
    let mut input = check.stdin.take().unwrap();
    let feeder = std::thread::spawn(move || input.write_all(&answer));
    let said = check.wait_with_output().unwrap();
    feeder.join().unwrap().unwrap();
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(
        said.trim_end().ends_with(" 0 wrong"),
        "PICKLE_SEED={seed}\n{said}"
    );
    eprint!("{said}");
}

/// How long the common messages take: `cargo test --release -p pickle-value --test pickle -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn speed() {
    let reply = Value::tuple([
        Value::from("#RETURN"),
        Value::list([Value::Int(1), Value::Int(2), Value::from("x")]),
    ]);
    let request = hex(GETITEM);
    let create = hex(CREATE);
    let mut out = vec![];
    let mut time = |name: &str, work: &mut dyn FnMut(&mut Vec<u8>)| {
        let best = (0..2000).map(|_| {
            let start = Instant::now();
            for _ in 0..100 {
                out.clear();
                work(&mut out);
            }
            start.elapsed() / 100
        });
        eprintln!("{name}: {:?}", best.min().unwrap());
    };
    time("read a method call with a slice", &mut |_| {
        drop(read(&request))
    });
    time("read a create with a proxy", &mut |_| drop(read(&create)));
    time("write a reply", &mut |out| dump_into(&reply, out));
    let short = dumps(&reply);
    time("read a reply", &mut |_| drop(read(&short)));
    let mut small = vec![];
    dump_request_into(Some("7fe6d464ca80"), "put", &["x".into()], &[], &mut small);
    time("read a small request", &mut |_| {
        drop(small_request(&small, &Limits::default()))
    });
    time("read it as any value", &mut |_| drop(read(&small)));
}
