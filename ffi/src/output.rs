//! Documents for the caller, in the form that it asks for.

use nyro_owned::{Document, Error};

use crate::boundary::Out;

/// Documents come as MessagePack.
pub const NYRO_FORMAT_MSGPACK: u32 = 0;
/// Documents come as JSON text, without a NUL.
pub const NYRO_FORMAT_JSON: u32 = 1;

/// # Safety
///
/// As for [`Out::copy`].
pub(crate) unsafe fn document(out: &Out, document: &Document, format: u32) -> Result<(), Error> {
    let bytes = match format {
        NYRO_FORMAT_MSGPACK => document.to_msgpack()?,
        NYRO_FORMAT_JSON => document.to_json().into_bytes(),
        other => return Err(Error::InvalidArgument(format!("format {other} is none of NYRO_FORMAT_..."))),
    };
    // SAFETY: passed on.
    unsafe { out.copy(&bytes) }
}
