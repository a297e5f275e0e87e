//! A manager's blocks, which refer to each other by `super`; and as little of what they convert from and to Python's as
//! lets them compile.

blocks! { caller }

#[allow(clippy::len_without_is_empty)] // What is public here is not at home.
pub mod types {
    blocks! { line lock }

    mod timeout {
        use super::super::{args::Args, exception::Exception};

        pub fn acquire(_: Args) -> Result<Option<std::time::Duration>, Exception> {
            Ok(None)
        }
    }
}

pub mod value {
    pub struct Value;
}

pub mod args {
    #[derive(Default)]
    pub struct Args {
        pub positional: Vec<super::value::Value>,
        pub keywords: Vec<super::value::Value>,
    }
}

pub mod exception {
    #[derive(Debug)]
    pub struct Exception(pub String);

    impl Exception {
        pub fn runtime_error(text: &str) -> Exception {
            Exception(text.to_owned())
        }

        pub fn type_error(text: String) -> Exception {
            Exception(text)
        }
    }
}

pub mod referent {
    use std::sync::Arc;

    use super::{args::Args, caller::Caller, exception::Exception, value::Value};

    pub trait Referent: Send + Sync + 'static {
        fn typeid(&self) -> &'static str;
        fn exposed(&self) -> &'static [&'static str];
        fn call(&self, caller: &Arc<Caller>, method: &str, args: Args) -> Result<Reply, Failure>;
        fn repr(&self) -> Result<String, Failure>;
        fn value(&self) -> Result<Value, Failure>;
        fn gone(&self, caller: u64, how: Gone) -> bool;
    }

    pub struct Reply;

    impl From<()> for Reply {
        fn from((): ()) -> Reply {
            Reply
        }
    }

    impl From<bool> for Reply {
        fn from(_: bool) -> Reply {
            Reply
        }
    }

    #[derive(Debug)]
    pub enum Failure {
        Raised(String),
        Gone,
    }

    impl Failure {
        pub fn cannot_pickle(what: &str) -> Failure {
            Failure::Raised(what.to_owned())
        }

        pub fn no_method(method: &str) -> Failure {
            Failure::Raised(method.to_owned())
        }
    }

    impl From<Exception> for Failure {
        fn from(exception: Exception) -> Failure {
            Failure::Raised(exception.0)
        }
    }

    impl From<std::io::Error> for Failure {
        fn from(error: std::io::Error) -> Failure {
            Failure::Raised(error.to_string())
        }
    }

    #[derive(Clone, Copy, PartialEq)]
    pub enum Gone {
        Left,
        Killed,
    }
}
