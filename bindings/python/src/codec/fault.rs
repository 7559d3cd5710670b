//! Why a value does not cross: the number of the error, what to say, and the path to the value.

use pyo3::PyErr;
use std::fmt::Write;

/// Why a value can't be encoded or decoded. One word wide: it is part of what every value's reading returns.
#[derive(Debug)]
pub struct Fault(Box<Why>);

/// What a [`Fault`] says.
#[derive(Debug)]
pub enum Why {
    /// An error of NyroDB's.
    Ours {
        /// The stable number, see docs/errors.md.
        code: u32,
        /// The class of Python's that the error is besides.
        like: Like,
        /// What is wrong.
        message: String,
        /// Where, from the document down, the last step first.
        path: Vec<Step>,
    },
    /// Code of the user's that ran meanwhile has raised this.
    Raised(PyErr),
}

/// What a Python user would expect to be raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Like {
    /// `ValueError`.
    Value,
    /// `TypeError`.
    Type,
    /// `OverflowError`.
    Overflow,
}

/// A step down a document.
#[derive(Debug)]
pub enum Step {
    /// Into a field.
    Field(String),
    /// Into an element.
    Element(usize),
}

impl Fault {
    fn new(code: u32, like: Like, message: String) -> Fault {
        Fault(Box::new(Why::Ours { code, like, message, path: Vec::new() }))
    }

    /// An exception of the user's.
    #[cold]
    pub fn raised(error: PyErr) -> Fault {
        Fault(Box::new(Why::Raised(error)))
    }

    /// What it says.
    pub fn why(self) -> Why {
        *self.0
    }

    /// A type that can't be stored.
    #[cold]
    pub fn type_error(message: String) -> Fault {
        Fault::new(206, Like::Type, message)
    }

    /// A value that can't be stored.
    #[cold]
    pub fn value_error(message: &str) -> Fault {
        Fault::new(206, Like::Value, message.to_owned())
    }

    /// An integer beyond 64 bits.
    #[cold]
    pub fn int_too_large() -> Fault {
        let message = "integers must be from -2**63 to 2**64-1; store larger ones as str or bytes";
        Fault::new(206, Like::Overflow, message.to_owned())
    }

    /// A container was changed by code that ran while it was read.
    #[cold]
    pub fn changed() -> Fault {
        Fault::value_error("it was changed while it was being encoded")
    }

    /// Nested deeper than allowed, for example a cycle.
    #[cold]
    pub fn too_deep() -> Fault {
        let message = format!(
            "the document nests deeper than {} levels; flatten it, or remove the cycle",
            nyro::MAX_DOCUMENT_DEPTH
        );
        Fault::new(203, Like::Value, message)
    }

    /// Larger than any document may be.
    #[cold]
    pub fn too_large(bytes: usize) -> Fault {
        Fault::new(202, Like::Value, format!("the document has more than {bytes} bytes; split it"))
    }

    /// More than any transaction may hold.
    #[cold]
    pub fn too_many(bytes: usize) -> Fault {
        Fault::new(601, Like::Value, format!("the documents have more than {bytes} bytes; insert them in parts"))
    }

    /// Bytes that are no document.
    #[cold]
    pub fn malformed(at: usize, reason: &str) -> Fault {
        Fault::new(201, Like::Value, format!("malformed document at byte {at}: {reason}"))
    }

    /// An id that is none.
    #[cold]
    pub fn invalid_id(message: String, like: Like) -> Fault {
        Fault::new(204, like, message)
    }

    /// The same, inside a field.
    #[cold]
    pub fn under(self, name: String) -> Fault {
        self.step(Step::Field(name))
    }

    /// The same, inside an element.
    #[cold]
    pub fn at(self, index: usize) -> Fault {
        self.step(Step::Element(index))
    }

    fn step(mut self, step: Step) -> Fault {
        if let Why::Ours { path, .. } = &mut *self.0 {
            path.push(step);
        }
        self
    }

    /// `message`, with the path in front: `at address.lines[2]: ..`.
    pub fn text(message: &str, path: &[Step]) -> String {
        // A path beyond this says no more: it is a cycle.
        const SHOWN: usize = 8;
        if path.is_empty() {
            return message.to_owned();
        }
        let mut text = String::from("at ");
        for (place, step) in path.iter().rev().take(SHOWN).enumerate() {
            // Writing to a string never fails.
            let _ = match step {
                Step::Field(name) if place == 0 => write!(text, "{name}"),
                Step::Field(name) => write!(text, ".{name}"),
                Step::Element(index) => write!(text, "[{index}]"),
            };
        }
        if path.len() > SHOWN {
            text.push_str("...");
        }
        text + ": " + message
    }
}
