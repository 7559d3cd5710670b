//! The structs and constants of the C functions, and what the engine makes of them.

use std::ffi::{c_char, c_void};

use nyro_owned::settings::DEFAULT_INTERVAL_MS;
use nyro_owned::{id, CancelToken, Control, Durability, Error, Id, Options, Progress, ReadMode};

use crate::boundary::{allocate, slice, text};
use crate::handles;

/// The version of the functions and structs of this header. It grows when one of them changes in a way that
/// an old program would notice; compare it with `nyro_abi_version()`.
pub const NYRO_ABI_VERSION: u32 = 1;

/// An open database. A plain number, as all handles: copy it as you like, also between threads. 0 is never a handle.
/// After `nyro_close` the number is an error wherever it is used, even when other databases were opened since.
pub type nyro_db = u64;
/// The whole database as of one commit.
pub type nyro_snapshot = u64;
/// A write transaction. It is used by the thread that began it; elsewhere it is `NYRO_WRONG_THREAD`.
pub type nyro_transaction = u64;
/// What has collections and keyspaces: a `nyro_db`, a `nyro_snapshot` or a `nyro_transaction`.
pub type nyro_scope = u64;
/// A collection of one of these.
pub type nyro_collection = u64;
/// A scan of a collection.
pub type nyro_scan = u64;
/// Stops long calls from another thread.
pub type nyro_cancel = u64;
/// A keyspace: values by key, in the order of the keys.
pub type nyro_keyspace = u64;
/// A range of a keyspace.
pub type nyro_range = u64;

/// An acknowledged commit survives power loss. The default.
pub const NYRO_DURABILITY_SYNC: u32 = 0;
/// An acknowledged commit survives a crash of the process; power loss takes at most the last interval.
pub const NYRO_DURABILITY_INTERVAL: u32 = 1;
/// An acknowledged commit survives a crash of the process; power loss may take what came after the last sync.
pub const NYRO_DURABILITY_MANUAL: u32 = 2;

/// Documents are read in place, from a mapping of the file. The default.
pub const NYRO_READ_MAPPED: u32 = 0;
/// Pages are read into memory of the database's own: a device that fails is an error and no signal.
pub const NYRO_READ_PREAD: u32 = 1;

/// How to open a database. Fill it with `nyro_options_init`, then change what you need, so that a program
/// that was compiled with an older header goes on working.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct nyro_options {
    /// `sizeof(nyro_options)` of the header the program was compiled with.
    pub struct_bytes: u32,
    /// Not 0: make the file if it is not there. Default 1.
    pub create: u32,
    /// One of `NYRO_DURABILITY_...`.
    pub durability: u32,
    /// For `NYRO_DURABILITY_INTERVAL`: the interval in milliseconds. Default 100.
    pub interval_ms: u32,
    /// Not 0: open beside other readers and write nothing. Default 0.
    pub read_only: u32,
    /// One of `NYRO_READ_...`.
    pub read_mode: u32,
    /// Not 0: open a file on a network file system, where locks and syncs can't be relied on. Default 0.
    pub allow_network_file_system: u32,
    /// Must be 0.
    pub reserved: u32,
    /// Memory in bytes for what is not in the file yet. Default 512 MiB, at least 64 KiB.
    pub cache_bytes: u64,
    /// Bytes of log from which on writers are slowed down. Default 128 MiB, at least 16 KiB.
    pub log_max_bytes: u64,
    /// How long a write waits for the writer's turn, in milliseconds. Default 60 000.
    pub writer_timeout_ms: u64,
    /// Largest document in bytes. Default 16 MiB, at most 30 MiB.
    pub max_document_bytes: u64,
    /// Snapshots older than this many milliseconds are ended. Default 0: none.
    pub snapshot_max_age_ms: u64,
}

/// Bytes of the smallest struct of options that there has been.
const FIRST_OPTIONS_BYTES: usize = size_of::<nyro_options>();

pub(crate) fn default_options() -> nyro_options {
    let Options { cache_bytes, log_max_bytes, writer_timeout_ms, max_document_bytes, .. } = Options::default();
    nyro_options {
        struct_bytes: size_of::<nyro_options>() as u32,
        create: 1,
        durability: NYRO_DURABILITY_SYNC,
        interval_ms: DEFAULT_INTERVAL_MS as u32,
        read_only: 0,
        read_mode: NYRO_READ_MAPPED,
        allow_network_file_system: 0,
        reserved: 0,
        cache_bytes,
        log_max_bytes,
        writer_timeout_ms,
        max_document_bytes,
        snapshot_max_age_ms: 0,
    }
}

/// A struct that begins with its own size, as the program's header has it: what it lacks is taken from `defaults`.
///
/// # Safety
///
/// `given` is null, or its first 4 bytes and as many as they say can be read. `T` is `repr(C)` and any bytes are one.
pub(crate) unsafe fn read_sized<T: Copy>(
    given: *const T,
    defaults: T,
    first_bytes: usize,
    what: &str,
) -> Result<T, Error> {
    if given.is_null() {
        return Ok(defaults);
    }
    if !given.is_aligned() {
        return Err(Error::InvalidArgument(format!("{what} is not aligned")));
    }
    // SAFETY: not null, aligned, and its first 4 bytes are readable as the caller vouches.
    let bytes = unsafe { given.cast::<u32>().read() } as usize;
    if bytes < first_bytes || bytes > size_of::<T>() {
        return Err(wrong_size(what, bytes, size_of::<T>()));
    }
    let mut read = defaults;
    // SAFETY: `bytes` bytes are readable as the caller vouches, and no more than `T` has; any bytes are a `T`.
    unsafe { std::ptr::copy_nonoverlapping(given.cast::<u8>(), std::ptr::from_mut(&mut read).cast::<u8>(), bytes) };
    Ok(read)
}

pub(crate) fn wrong_size(what: &str, bytes: usize, known: usize) -> Error {
    Error::InvalidArgument(format!(
        "{what} has {bytes} bytes, this library knows {known}: set struct_bytes to the size"
    ))
}

/// # Safety
///
/// As for [`read_sized`].
pub(crate) unsafe fn read_options(options: *const nyro_options) -> Result<Options, Error> {
    // SAFETY: passed on; the struct is plain numbers.
    let given = unsafe { read_sized(options, default_options(), FIRST_OPTIONS_BYTES, "options") }?;
    let durability = match given.durability {
        NYRO_DURABILITY_SYNC => Durability::Sync,
        NYRO_DURABILITY_INTERVAL => Durability::Interval(given.interval_ms.into()),
        NYRO_DURABILITY_MANUAL => Durability::Manual,
        other => return Err(Error::InvalidArgument(format!("durability {other} is none of NYRO_DURABILITY_..."))),
    };
    let read_mode = match given.read_mode {
        NYRO_READ_MAPPED => ReadMode::Mapped,
        NYRO_READ_PREAD => ReadMode::Pread,
        other => return Err(Error::InvalidArgument(format!("read_mode {other} is none of NYRO_READ_..."))),
    };
    if given.reserved != 0 {
        return Err(Error::InvalidArgument("options.reserved must be 0".to_owned()));
    }
    Ok(Options {
        create: given.create != 0,
        durability,
        cache_bytes: given.cache_bytes,
        log_max_bytes: given.log_max_bytes,
        writer_timeout_ms: given.writer_timeout_ms,
        max_document_bytes: given.max_document_bytes,
        read_only: given.read_only != 0,
        read_mode,
        snapshot_max_age_ms: (given.snapshot_max_age_ms != 0).then_some(given.snapshot_max_age_ms),
        allow_network_file_system: given.allow_network_file_system != 0,
    })
}

// ---- ids -----------------------------------------------------------------------------------------------

/// An integer, in `integer`.
pub const NYRO_ID_INT: u32 = 1;
/// An integer from 0 to 2^64-1, whose bits are in `integer`.
pub const NYRO_ID_UINT: u32 = 2;
/// UTF-8 text of at most 1 024 bytes.
pub const NYRO_ID_STRING: u32 = 3;
/// At most 1 024 bytes.
pub const NYRO_ID_BYTES: u32 = 4;
/// Whatever one MessagePack value says.
pub const NYRO_ID_MSGPACK: u32 = 5;
/// Whatever JSON text says: `42`, `"ada"`, `{"$binary": ..}`.
pub const NYRO_ID_JSON: u32 = 6;

/// An `_id`, passed by value. `nyro_id_int(42)` and the like make one; it borrows its bytes from the caller for the
/// time of the call.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct nyro_id {
    /// One of `NYRO_ID_...`.
    pub kind: u32,
    /// Not looked at.
    pub reserved: u32,
    /// The integer.
    pub integer: i64,
    /// The bytes of the other kinds.
    pub data: *const c_void,
    /// How many.
    pub bytes: usize,
}

impl nyro_id {
    pub(crate) const NONE: nyro_id = nyro_id { kind: 0, reserved: 0, integer: 0, data: std::ptr::null(), bytes: 0 };

    /// # Safety
    ///
    /// For the kinds with bytes, `data` is null or `bytes` bytes can be read there.
    pub(crate) unsafe fn read(&self) -> Result<Id, Error> {
        // Longer ones are refused before they are copied.
        let short = |bytes: usize| match bytes <= 8 << 10 {
            true => Ok(()),
            false => Err(Error::InvalidId(format!("it has {bytes} bytes"))),
        };
        match self.kind {
            NYRO_ID_INT => Ok(Id::from(self.integer)),
            NYRO_ID_UINT => Ok(Id::from(self.integer as u64)),
            NYRO_ID_STRING => {
                short(self.bytes)?;
                // SAFETY: by the contract.
                Ok(Id::from(unsafe { text(self.data.cast::<c_char>(), self.bytes, "id") }?))
            }
            NYRO_ID_BYTES => {
                short(self.bytes)?;
                // SAFETY: by the contract.
                Ok(Id::from(unsafe { slice(self.data, self.bytes, "id") }?))
            }
            NYRO_ID_MSGPACK => {
                short(self.bytes)?;
                // SAFETY: by the contract.
                id::from_msgpack(unsafe { slice(self.data, self.bytes, "id") }?)
            }
            NYRO_ID_JSON => {
                short(self.bytes)?;
                // SAFETY: by the contract.
                id::from_json(unsafe { text(self.data.cast::<c_char>(), self.bytes, "id") }?)
            }
            other => Err(Error::InvalidId(format!("kind {other} is none of NYRO_ID_..."))),
        }
    }

    /// For the caller: the bytes are a copy of its own.
    pub(crate) fn give(id: &Id) -> Result<nyro_id, Error> {
        let owned = |kind, bytes: &[u8]| {
            Ok(nyro_id { kind, data: allocate(bytes)?.cast_const().cast(), bytes: bytes.len(), ..nyro_id::NONE })
        };
        match id {
            Id::Int(n) => Ok(nyro_id { kind: NYRO_ID_INT, integer: *n, ..nyro_id::NONE }),
            Id::UInt(n) => Ok(nyro_id { kind: NYRO_ID_UINT, integer: *n as i64, ..nyro_id::NONE }),
            Id::String(text) => owned(NYRO_ID_STRING, text.as_bytes()),
            Id::Bytes(bytes) => owned(NYRO_ID_BYTES, bytes),
        }
    }
}

// ---- long calls ----------------------------------------------------------------------------------------

/// How far a long call is. The texts are UTF-8 without NUL, and live as long as the callback runs.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct nyro_progress {
    /// How much of this phase is done.
    pub done: u64,
    /// How much there is to do; 0 where that is not known.
    pub total: u64,
    /// What is being done.
    pub phase: *const c_char,
    /// Bytes of `phase`.
    pub phase_bytes: usize,
    /// What is counted: pages, bytes, documents.
    pub unit: *const c_char,
    /// Bytes of `unit`.
    pub unit_bytes: usize,
}

/// Called by a long call as it goes, on its thread, with no lock held that a call of this library needs: it may call
/// them, on any handle. It must return: no `longjmp`, no exception. Not 0 stops the call with `NYRO_CANCELLED`.
pub type nyro_progress_callback =
    Option<unsafe extern "C" fn(context: *mut c_void, progress: *const nyro_progress) -> u32>;

/// How a long call is watched and stopped. Set all fields to 0 and `struct_bytes` to its size, then what you need.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct nyro_control {
    /// `sizeof(nyro_control)`.
    pub struct_bytes: u32,
    /// Must be 0.
    pub reserved: u32,
    /// Stop with `NYRO_DEADLINE_EXCEEDED` after this many milliseconds; 0: never.
    pub timeout_ms: u64,
    /// Stop when this is cancelled; 0: none.
    pub cancel: nyro_cancel,
    /// Told how far the call is; null: nobody.
    pub progress: nyro_progress_callback,
    /// Given to `progress`.
    pub context: *mut c_void,
}

/// A `nyro_control` while its call goes on.
pub(crate) struct Watch {
    /// Cancelled by the callback: it stops this call alone, and not what else was given the caller's token.
    stopped: CancelToken,
    token: CancelToken,
    given: nyro_control,
}

impl Watch {
    /// # Safety
    ///
    /// As for [`read_sized`]; the callback keeps to its contract.
    pub(crate) unsafe fn new(control: *const nyro_control) -> Result<Watch, Error> {
        let none = nyro_control {
            struct_bytes: size_of::<nyro_control>() as u32,
            reserved: 0,
            timeout_ms: 0,
            cancel: 0,
            progress: None,
            context: std::ptr::null_mut(),
        };
        // SAFETY: passed on; any bytes are this struct but for `progress`, which is null or a function as the caller
        // vouches.
        let given = unsafe { read_sized(control, none, size_of::<nyro_control>(), "control") }?;
        if given.reserved != 0 {
            return Err(Error::InvalidArgument("control.reserved must be 0".to_owned()));
        }
        let token = if given.cancel == 0 { CancelToken::new() } else { handles::cancel(given.cancel)? };
        Ok(Watch { stopped: CancelToken::new(), token, given })
    }

    /// What the engine is given.
    pub(crate) fn control(&self) -> Control<'_> {
        let mut control = Control::new().cancel(&self.token).cancel(&self.stopped);
        if self.given.timeout_ms > 0 {
            let timeout = std::time::Duration::from_millis(self.given.timeout_ms);
            if let Some(deadline) = std::time::Instant::now().checked_add(timeout) {
                control = control.deadline(deadline);
            }
        }
        let Some(callback) = self.given.progress else { return control };
        control.on_progress(move |progress: Progress| {
            let told = nyro_progress {
                done: progress.done,
                total: progress.total,
                phase: progress.phase.as_ptr().cast(),
                phase_bytes: progress.phase.len(),
                unit: progress.unit.as_ptr().cast(),
                unit_bytes: progress.unit.len(),
            };
            // SAFETY: the caller vouches for the function and its context; `told` lives until it returns.
            if unsafe { callback(self.given.context, &told) } != 0 {
                self.stopped.cancel();
            }
        })
    }
}
