//! The calls that read: one document, many, a scan's next batch.

use crate::js::{Answer, Args};
use crate::read::Stop;
use crate::state::{refused, Handle, Scan, State};
use crate::words;
use nyro_owned::{Coll, Error, Id, Result};

/// `get(collection, id)`: the text of the document, its words in the buffer; nothing if there is none.
#[inline]
pub fn get(state: &mut State, args: &Args<2>) -> Result<Answer> {
    let (number, id) = (args.number(0)?, args.id(1)?);
    let State { sink, shapes, handles, .. } = state;
    // Not `State::collection`: the rest of the state is borrowed beside it.
    let Some(Handle::Collection { coll, .. }) = handles.get(number as usize) else { return Err(Error::Closed) };
    let found = coll.get_with(id, |document| {
        sink.clear();
        sink.reserve(document.len())?;
        sink.put_msgpack(document, shapes)
    })?;
    match found {
        None => Ok(Answer::Nothing),
        Some(Ok(())) => Ok(Answer::Sink),
        Some(Err(stop)) => refused(stop),
    }
}

/// `getRaw(collection, id, offset)`: copies the document into the slab from there; its length, or minus (length + 2) if
/// it does not fit. Nothing if there is none.
#[inline]
pub fn get_raw(state: &mut State, args: &Args<3>) -> Result<Answer> {
    let (number, id, offset) = (args.number(0)?, args.id(1)?, args.number(2)? as usize);
    let (coll, _) = state.collection(number)?;
    let slab = &state.slab;
    let found = coll.get_with(id, |document| {
        let length = document.len();
        if length > slab.bytes.saturating_sub(offset) {
            return -(length as f64) - 2.0;
        }
        // SAFETY: the slab is an `ArrayBuffer` that a reference keeps alive, and the range lies inside it.
        unsafe { std::ptr::copy_nonoverlapping(document.as_ptr(), slab.memory.add(offset), length) };
        length as f64
    })?;
    Ok(found.map_or(Answer::Nothing, Answer::Number))
}

/// `contains(collection, id)`: 1 or 0.
pub fn contains(state: &mut State, args: &Args<2>) -> Result<Answer> {
    let (coll, _) = state.collection(args.number(0)?)?;
    let found = coll.contains(args.id(1)?)?;
    Ok(Answer::Number(f64::from(u8::from(found))))
}

/// `count(collection)`.
pub fn count(state: &mut State, args: &Args<1>) -> Result<Answer> {
    let (coll, _) = state.collection(args.number(0)?)?;
    Ok(Answer::Number(coll.count()? as f64))
}

/// `getMany(collection, words, floats, text)`: the ids are in the input; an array of documents.
pub fn get_many(state: &mut State, args: &Args<4>) -> Result<Answer> {
    let number = args.number(0)?;
    let (words, floats) = (args.number(1)? as usize, args.number(2)? as usize);
    state.input.text(|units| args.utf16(3, units))?;
    let State { sink, shapes, input, handles, write_shapes, .. } = state;
    let Some(Handle::Collection { coll, .. }) = handles.get(number as usize) else { return Err(Error::Closed) };
    let mut source = input.source(write_shapes, words, floats)?;
    let mut ids = Vec::new();
    let mut bytes = Vec::new();
    while source.w < words {
        ids.push(id_of(&mut source, &mut bytes)?);
    }
    sink.clear();
    let mut stop = None;
    // Each that is not there takes a word; the documents reserve their own beside these.
    let missing = ids.len();
    if let Err(room) = sink.reserve(missing + 8) {
        return refused(room);
    }
    sink.put(words::word(words::ARRAY, ids.len()));
    coll.get_many_with(ids, |_, document| {
        if stop.is_some() {
            return Ok(());
        }
        let put = match document {
            Some(document) => sink.reserve(document.len() + missing).and_then(|()| sink.put_msgpack(document, shapes)),
            None => {
                sink.put(words::MISSING);
                Ok(())
            }
        };
        stop = put.err();
        Ok(())
    })?;
    stop.map_or(Ok(Answer::Sink), refused)
}

/// The id that comes next in what JavaScript wrote.
pub fn id_of(source: &mut crate::write::Source<'_>, bytes: &mut Vec<u8>) -> Result<Id> {
    bytes.clear();
    source.value(bytes, 0).map_err(|_| Error::InvalidId("a string with half of a surrogate pair".to_owned()))?;
    nyro_owned::id::from_msgpack(bytes)
}

/// `scan(collection, token)`: a new scan's number.
pub fn scan(state: &mut State, args: &Args<2>) -> Result<Answer> {
    let number = args.number(0)?;
    let token = match args.id(1)? {
        Id::Int(token) => u64::try_from(token).ok(),
        Id::UInt(token) => Some(token),
        _ => None,
    };
    let token = token.ok_or_else(|| Error::InvalidArgument("a token is what a scan gave".to_owned()))?;
    let of = state.database_of(number)?;
    let (coll, _) = state.collection(number)?;
    let scan = Scan { cursor: coll.scan(token)?, left: None };
    Ok(Answer::Number(f64::from(state.keep(Handle::Scan(of, Box::new(scan))))))
}

/// `next(scan, most)`: up to so many documents, one behind the other. First comes a word that counts them; the first
/// `most` floats are their tokens. Nothing at the end.
pub fn next(state: &mut State, args: &Args<2>) -> Result<Answer> {
    let (number, most) = (args.number(0)?, args.number(1)? as usize);
    let (scan, sink, shapes) = state.scan(number)?;
    sink.clear();
    // Room for the tokens; the documents reserve their own.
    if let Err(stop) = sink.reserve(most * 4) {
        return refused(stop);
    }
    sink.put(0);
    for _ in 0..most {
        sink.put_float(0.0);
    }
    let mut given = 0;
    while given < most {
        let mut put = |document: &[u8]| match sink.reserve(document.len()) {
            Ok(()) => sink.put_msgpack(document, shapes),
            Err(stop) => Err(stop),
        };
        let (done, token) = match scan.left.take() {
            Some((document, token)) => {
                let done = put(&document);
                if let Err(Stop::Room(_)) = done {
                    scan.left = Some((document, token));
                }
                (Some(done), token)
            }
            None => {
                let mut left = None;
                let next = scan.cursor.next_with(|document| {
                    let done = put(document);
                    if let Err(Stop::Room(_)) = done {
                        left = Some(document.to_vec());
                    }
                    done
                });
                let done = match next {
                    Ok(done) => done,
                    // What was read is given first; the scan says the error again when it is asked again.
                    Err(_) if given > 0 => break,
                    Err(error) => return Err(error),
                };
                let token = scan.cursor.token();
                scan.left = left.map(|document| (document, token));
                (done, token)
            }
        };
        match done {
            None => break,
            Some(Ok(())) => {
                sink.set_float(given, token as f64);
                given += 1;
            }
            Some(Err(Stop::Room(_))) if given > 0 => break,
            Some(Err(stop)) => return refused(stop),
        }
    }
    if given == 0 {
        return Ok(Answer::Nothing);
    }
    sink.set_word(0, given as i32);
    Ok(Answer::Sink)
}

/// `frozen(snapshot, name)`: a collection as of a snapshot.
pub fn frozen(state: &mut State, args: &Args<2>) -> Result<Answer> {
    let (number, name) = (args.number(0)?, args.string(1)?);
    let (of, snapshot) = state.snapshot(number)?;
    let coll = Coll::frozen(snapshot, &name)?;
    Ok(Answer::Number(f64::from(state.keep(Handle::Collection { of, coll, name: name.into() }))))
}
