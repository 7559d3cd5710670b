//! Documents for the caller, in the form that it asks for.

use nyro_owned::{Document, Error};

use crate::boundary::Out;

/// Documents come as MessagePack.
pub const NYRO_FORMAT_MSGPACK: u32 = 0;
/// Documents come as JSON text, without a NUL.
pub const NYRO_FORMAT_JSON: u32 = 1;

/// Checks a format before anything is done that its error would come after.
pub(crate) fn check(format: u32) -> Result<(), Error> {
    match format {
        NYRO_FORMAT_MSGPACK | NYRO_FORMAT_JSON => Ok(()),
        other => Err(Error::InvalidArgument(format!("format {other} is none of NYRO_FORMAT_..."))),
    }
}

/// # Safety
///
/// As for [`Out::copy`].
pub(crate) unsafe fn document(out: &Out, document: &Document, format: u32) -> Result<(), Error> {
    check(format)?;
    let bytes = match format {
        NYRO_FORMAT_JSON => document.to_json().into_bytes(),
        _ => document.to_msgpack()?,
    };
    // SAFETY: passed on.
    unsafe { out.copy(&bytes) }
}

/// Names, as a document whose field `items` they are.
///
/// # Safety
///
/// As for [`Out::copy`].
pub(crate) unsafe fn names(out: &Out, names: Vec<String>, format: u32) -> Result<(), Error> {
    let mut items = Document::new();
    items.insert("items", names);
    // SAFETY: passed on.
    unsafe { document(out, &items, format) }
}
