//! The calls of keyspaces: reading keys and ranges. They are written to by records, as collections are (`writing`).
//!
//! ```text
//!   slab   | ..what was given before.. | ended, ends.. | key value key value ..      one batch of a range
//!                                        ^ the offset that JavaScript says
//! ```
//!
//! Keys come as strings or bytes and are copied first; values go into the slab, where JavaScript has views of them.

use crate::js::{Answer, Args};
use crate::state::{Handle, Slab, State};
use crate::write::Source;
use crate::writing::refusal;
use nyro_owned::{prefix_bounds, Bounds, Error, KeyChange, Keys, Result};
use std::ops::Bound;

/// Which bounds there are, and of what kind.
const START_INCLUDED: u32 = 1;
const START_EXCLUDED: u32 = 2;
const END_INCLUDED: u32 = 4;
const END_EXCLUDED: u32 = 8;
const PREFIX: u32 = 16;
/// What else a range is told.
const BACKWARD: u32 = 32;
const NO_KEYS: u32 = 64;
const NO_VALUES: u32 = 128;

/// Entries in a batch at most.
const MOST_ENTRIES: usize = 4096;
/// In place of an end: the key is not there.
const MISSING: u32 = u32::MAX;

fn keep(state: &mut State, of: u32, keys: Keys, name: &str) -> Answer {
    Answer::Number(f64::from(state.keep(Handle::Keyspace { of, keys, name: name.into() })))
}

/// `keyspace(database, name)`: a keyspace's number.
pub fn keyspace(state: &mut State, args: &Args<2>) -> Result<Answer> {
    let (of, name) = (args.number(0)?, args.string(1)?);
    let keys = Keys::live(state.database(of)?, &name);
    Ok(keep(state, of, keys, &name))
}

/// `keyspaceOf(snapshot, name)`: a keyspace as of a snapshot.
pub fn keyspace_of(state: &mut State, args: &Args<2>) -> Result<Answer> {
    let (number, name) = (args.number(0)?, args.string(1)?);
    let (of, snapshot) = state.snapshot(number)?;
    let keys = Keys::frozen(snapshot, &name)?;
    Ok(keep(state, of, keys, &name))
}

/// `keyspaceIn(transaction, database, name)`: a keyspace inside a transaction.
pub fn keyspace_in(state: &mut State, args: &Args<3>) -> Result<Answer> {
    let (tx, of, name) = (state.transaction(args.number(0)?)?, args.number(1)?, args.string(2)?);
    Ok(keep(state, of, Keys::within(tx, &name), &name))
}

/// The key of a call, in memory that is used again. It is a copy: the bytes may lie in the slab.
fn with_key<const N: usize>(
    state: &mut State,
    args: &Args<N>,
    at: usize,
    call: impl FnOnce(&mut State, &[u8]) -> Result<Answer>,
) -> Result<Answer> {
    let mut key = std::mem::take(&mut state.key);
    key.clear();
    let answer = args.octets(at, "a key", &mut key).and_then(|()| call(state, &key));
    state.key = key;
    answer
}

/// Minus (what the slab must hold + 2).
fn needs(bytes: usize) -> f64 {
    -(bytes as f64) - 2.0
}

/// The slab from an offset on.
fn room(slab: &mut Slab, offset: usize) -> &mut [u8] {
    if slab.memory.is_null() || offset >= slab.bytes {
        return &mut [];
    }
    // SAFETY: the slab is an `ArrayBuffer` that a reference keeps alive, and JavaScript, which alone knows it besides,
    // does not run while a call does; the range lies inside it. Arguments that lie in it were copied before.
    unsafe { std::slice::from_raw_parts_mut(slab.memory.add(offset), slab.bytes - offset) }
}

/// `kvGet(keyspace, key, offset)`: copies the value into the slab from there; its length, or minus (length + 2) if it does
/// not fit. Nothing if the key is not there.
pub fn get(state: &mut State, args: &Args<3>) -> Result<Answer> {
    let (number, offset) = (args.number(0)?, args.number(2)? as usize);
    with_key(state, args, 1, |state, key| {
        let State { slab, handles, .. } = state;
        let Some(Handle::Keyspace { keys, .. }) = handles.get(number as usize) else { return Err(Error::Closed) };
        let room = room(slab, offset);
        let found = keys.get_with(key, |value| match room.get_mut(..value.len()) {
            Some(place) => {
                place.copy_from_slice(value);
                value.len() as f64
            }
            None => needs(value.len()),
        })?;
        Ok(found.map_or(Answer::Nothing, Answer::Number))
    })
}

/// `kvContains(keyspace, key)`: 1 or 0.
pub fn contains(state: &mut State, args: &Args<2>) -> Result<Answer> {
    let number = args.number(0)?;
    with_key(state, args, 1, |state, key| {
        let found = state.keyspace(number)?.0.contains(key)?;
        Ok(Answer::Number(f64::from(u8::from(found))))
    })
}

/// `kvCount(keyspace)`: about how many keys.
pub fn count(state: &mut State, args: &Args<1>) -> Result<Answer> {
    let (keys, _) = state.keyspace(args.number(0)?)?;
    Ok(Answer::Number(keys.estimated_len()? as f64))
}

/// `kvGetMany(keyspace, words, floats, text)`: the keys are in the input. Gathers the ends of the values, then the values;
/// the bytes that are to be taken by `kvGathered`.
pub fn get_many(state: &mut State, args: &Args<4>) -> Result<Answer> {
    let number = args.number(0)?;
    let (words, floats) = (args.number(1)? as usize, args.number(2)? as usize);
    state.input.text(|units| args.utf16(3, units))?;
    let State { input, handles, write_shapes, gathered, .. } = state;
    let Some(Handle::Keyspace { keys, .. }) = handles.get(number as usize) else { return Err(Error::Closed) };
    let mut source = input.source(write_shapes, words, floats)?;
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    while source.w < words {
        source.octets(&mut bytes).map_err(refusal)?;
        ends.push(bytes.len());
    }
    let wanted = nyro_owned::split(&bytes, &ends)?;
    let head = 4 * wanted.len();
    gathered.clear();
    gathered.resize(head, 0);
    keys.get_many_with(wanted, |place, value| {
        gathered.extend_from_slice(value.unwrap_or_default());
        let end = u32::try_from(gathered.len() - head).ok().filter(|end| *end != MISSING);
        let end =
            end.ok_or_else(|| Error::InvalidArgument("the values of these keys take 4 GiB or more".to_owned()))?;
        let end = if value.is_some() { end } else { MISSING };
        gathered[4 * place..4 * place + 4].copy_from_slice(&end.to_ne_bytes());
        Ok(())
    })?;
    Ok(Answer::Number(gathered.len() as f64))
}

/// `kvGathered(offset)`: copies what was gathered into the slab from there.
pub fn gathered(state: &mut State, args: &Args<1>) -> Result<Answer> {
    let offset = args.number(0)? as usize;
    let State { slab, gathered, .. } = state;
    let gathered = std::mem::take(gathered);
    match room(slab, offset).get_mut(..gathered.len()) {
        Some(place) => {
            place.copy_from_slice(&gathered);
            Ok(Answer::Number(gathered.len() as f64))
        }
        None => Err(Error::Internal("what was gathered does not fit".to_owned())),
    }
}

/// The bounds that flags and up to two keys say.
fn bounds(flags: u32, start: Vec<u8>, end: Vec<u8>) -> Result<Bounds> {
    if flags & PREFIX != 0 {
        return prefix_bounds(&start);
    }
    let bound = |key, included, excluded| {
        if flags & included != 0 {
            Bound::Included(key)
        } else if flags & excluded != 0 {
            Bound::Excluded(key)
        } else {
            Bound::Unbounded
        }
    };
    Ok((bound(start, START_INCLUDED, START_EXCLUDED), bound(end, END_INCLUDED, END_EXCLUDED)))
}

/// Whether the flags name a start, and an end.
fn has(flags: u32) -> (bool, bool) {
    (flags & (START_INCLUDED | START_EXCLUDED | PREFIX) != 0, flags & (END_INCLUDED | END_EXCLUDED) != 0)
}

/// `kvRange(keyspace, flags, start, end)`: a new range's number.
pub fn range(state: &mut State, args: &Args<4>) -> Result<Answer> {
    let (number, flags) = (args.number(0)?, args.number(1)?);
    let (mut start, mut end) = (Vec::new(), Vec::new());
    let (has_start, has_end) = has(flags);
    if has_start {
        args.octets(2, "a bound", &mut start)?;
    }
    if has_end {
        args.octets(3, "a bound", &mut end)?;
    }
    let Some(Handle::Keyspace { of, keys, .. }) = state.handles.get(number as usize) else { return Err(Error::Closed) };
    let of = *of;
    let mut range = keys.range(bounds(flags, start, end)?, flags & BACKWARD != 0)?;
    range.leave_out(flags & NO_KEYS != 0, flags & NO_VALUES != 0);
    Ok(Answer::Number(f64::from(state.keep(Handle::Range(of, Box::new(range))))))
}

/// `kvFill(range, offset, most)`: copies the next entries, as many as fit and at most so many, into the slab from there:
/// a word that says whether the range has ended, room for 2 * `most` words (where the first key ends, where its value
/// does, ..), the entries. How many; minus (bytes + 2) if the slab must have so many for one.
pub fn fill(state: &mut State, args: &Args<3>) -> Result<Answer> {
    let (number, offset, most) = (args.number(0)?, args.number(1)? as usize, args.number(2)? as usize);
    let most = most.clamp(1, MOST_ENTRIES);
    let State { slab, handles, ends, .. } = state;
    let Some(Handle::Range(_, range)) = handles.get_mut(number as usize) else { return Err(Error::Closed) };
    let head = 4 * (1 + 2 * most);
    let Some((words, out)) = room(slab, offset).split_at_mut_checked(head) else {
        return Ok(Answer::Number(needs(head)));
    };
    ends.clear();
    ends.resize(2 * most, 0);
    let filled = range.fill(out, ends)?;
    if filled.needed > 0 {
        return Ok(Answer::Number(needs(head + filled.needed)));
    }
    let told = std::iter::once(usize::from(filled.ended)).chain(ends[..2 * filled.entries].iter().copied());
    for (place, word) in words.chunks_exact_mut(4).zip(told) {
        let word = u32::try_from(word).map_err(|_| Error::Internal("a batch of 4 GiB".to_owned()))?;
        place.copy_from_slice(&word.to_ne_bytes());
    }
    Ok(Answer::Number(filled.entries as f64))
}

/// `kvSeek(range, key, behind)`: goes to a key, or behind it if that is 1.
pub fn seek(state: &mut State, args: &Args<3>) -> Result<Answer> {
    let (number, behind) = (args.number(0)?, args.number(2)? != 0);
    with_key(state, args, 1, |state, key| {
        let Some(Handle::Range(_, range)) = state.handles.get_mut(number as usize) else { return Err(Error::Closed) };
        match behind {
            true => range.seek_behind(key)?,
            false => range.seek(key)?,
        }
        Ok(Answer::Number(0.0))
    })
}

/// The changes of a record: each a word that says which, and what belongs to it.
pub fn changes(source: &mut Source<'_>, count: usize) -> Result<Vec<KeyChange>> {
    let (words, ..) = source.left();
    let mut changes = Vec::with_capacity(count.min(words));
    for _ in 0..count {
        changes.push(match source.word().map_err(refusal)? {
            0 => KeyChange::Put(octets(source)?, octets(source)?),
            1 => KeyChange::Delete(octets(source)?),
            2 => {
                let flags = source.word().map_err(refusal)? as u32;
                let (has_start, has_end) = has(flags);
                let start = if has_start { octets(source)? } else { Vec::new() };
                let end = if has_end { octets(source)? } else { Vec::new() };
                KeyChange::DeleteRange(bounds(flags, start, end)?)
            }
            3 => KeyChange::Clear,
            _ => return Err(Error::Internal("a change of no kind".to_owned())),
        });
    }
    Ok(changes)
}

fn octets(source: &mut Source<'_>) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    source.octets(&mut out).map_err(refusal)?;
    Ok(out)
}
