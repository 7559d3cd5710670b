'use strict';
// Words into objects.
//
//   words   | shape 7 | int 42 | str 3 | ..      the native half writes them into one buffer
//   text    "Ada.."                              and returns this string
//
// A shape is a sequence of keys. When it has been met a few times, a function is compiled for it that builds its
// objects with one literal, guessing that each field has the type it had before:
//
//   if (((c = w[p++]) & 7) === STR) a1 = s.substring(t, t += c >>> 3); else <any type>
//   return { "_id": a0, "name": a1 };
//
// Where code can't be compiled from strings (a content security policy), the plain way below serves alone.

const native = require('./native.cjs');
const errors = require('./errors.cjs');
const { Ext } = require('./ext.cjs');
const { INT, STR, FLOAT, MAP, ARRAY, OPEN, BYTES, NULL, FALSE, TRUE, BIG, BIG_UNSIGNED, DATE, EXT } = require('./words.cjs');

/** Meetings after which a shape is compiled. */
const COMPILE_AFTER = 8;
/** Fields that one compiled function builds at most; what is nested deeper is built by functions of its own. */
const MAX_COMPILED_FIELDS = 120;
/** Functions compiled at most. */
const MAX_COMPILED = 1000;

/** Whether code may be compiled from strings. */
const canCompile = (() => {
  try {
    return new Function('return 1')() === 1;
  } catch {
    return false;
  }
})();

/** How far the words, the text and the floats were read. */
const S = { p: 0, t: 0, q: 0 };
let W;
let F;
let signed;
let unsigned;
let bytes;
let text = '';

/** Gives the native half a new buffer. */
function setBuffer(size) {
  const buffer = new ArrayBuffer(size);
  const half = Math.floor(size / 16) * 8;
  W = new Int32Array(buffer, 0, half / 4);
  F = new Float64Array(buffer, half, half / 8);
  signed = new BigInt64Array(buffer, half, half / 8);
  unsigned = new BigUint64Array(buffer, half, half / 8);
  bytes = new Uint8Array(buffer, half, half);
  native.setBuffer(0, buffer);
}

setBuffer(512 * 1024);

/** Sizes above are not kept for the next call. */
const KEPT_BUFFER = 8 * 1024 * 1024;
let bufferSize = 512 * 1024;

/** The native half needs so many bytes, for the next document at least: twice as many as before serve more. */
function grow(size) {
  bufferSize = Math.ceil(Math.max(size, bufferSize * 2) / 65536) * 65536;
  setBuffer(bufferSize);
}

/** A call is over: a very large buffer goes. */
function shrink() {
  if (bufferSize > KEPT_BUFFER) {
    bufferSize = 512 * 1024;
    setBuffer(bufferSize);
  }
}

/** Shapes by number. */
const shapes = [];
let compiled = 0;

class Shape {
  constructor(number, keys) {
    this.word = (number << 3) | MAP;
    this.keys = keys;
    this.met = 0;
    /** Builds one object, compiled; or null. */
    this.one = null;
    /** Builds objects as long as their shape is this one, compiled; or null. */
    this.many = null;
    this.guess = null;
  }
}

function shapeOf(word) {
  const number = word >>> 3;
  return shapes[number] ?? learn(number);
}

function learn(number) {
  const shape = new Shape(number, JSON.parse(native.shapeKeys(number)));
  while (shapes.length < number) shapes.push(undefined);
  shapes[number] = shape;
  return shape;
}

/** The value that begins with this word, of any type. */
function any(v) {
  switch (v & 7) {
    case INT:
      return v >> 3;
    case STR:
      return text.substring(S.t, (S.t += v >>> 3));
    case FLOAT:
      return F[S.q++];
    case MAP:
      return map(v);
    case ARRAY: {
      const list = new Array(v >>> 3);
      for (let i = 0; i < list.length; i++) list[i] = any(W[S.p++]);
      return list;
    }
    case OPEN: {
      const object = {};
      for (let i = v >>> 3; i > 0; i--) {
        const key = any(W[S.p++]);
        set(object, key, any(W[S.p++]));
      }
      return object;
    }
    case BYTES:
      return takeBytes(v >>> 3);
    default:
      return rare(v);
  }
}

function rare(v) {
  switch (v) {
    case NULL:
      return null;
    case FALSE:
      return false;
    case TRUE:
      return true;
    case BIG:
      return signed[S.q++];
    case BIG_UNSIGNED:
      return unsigned[S.q++];
    case DATE:
      return new Date(F[S.q++]);
    case EXT: {
      const code = W[S.p++];
      return new Ext(code, takeBytes(W[S.p++] >>> 3));
    }
    default:
      // MISSING, of a list of documents.
      return undefined;
  }
}

function takeBytes(length) {
  const start = S.q * 8;
  S.q += (length + 7) >>> 3;
  return bytes.slice(start, start + length);
}

/** Sets an own property, whatever its name is and whatever was done to Object.prototype. */
function set(object, key, value) {
  if (key in object) {
    Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
  } else {
    object[key] = value;
  }
}

function map(v) {
  const shape = shapeOf(v);
  if (shape.one !== null) return shape.one(W, F, text);
  if (canCompile && ++shape.met >= COMPILE_AFTER && compiled < MAX_COMPILED) {
    compile(shape);
    return shape.one(W, F, text);
  }
  const object = {};
  for (const key of shape.keys) set(object, key, any(W[S.p++]));
  return object;
}

/** What stands at a place: {kind, word, next} and, of maps, its fields; of arrays, its first element. */
function describe(place) {
  const word = W[place];
  let next = place + 1;
  const found = { kind: word & 7, word, next };
  switch (found.kind) {
    case MAP: {
      const shape = shapeOf(word);
      found.fields = shape.keys.map((key) => {
        const field = describe(next);
        next = field.next;
        field.key = key;
        return field;
      });
      break;
    }
    case ARRAY:
    case OPEN: {
      const count = (word >>> 3) * (found.kind === OPEN ? 2 : 1);
      for (let i = 0; i < count; i++) {
        const element = describe(next);
        next = element.next;
        if (i === 0) found.element = element;
      }
      break;
    }
    default:
      if (word === EXT) next += 2;
  }
  found.next = next;
  return found;
}

const SLOW = '{ S.p = p; S.t = t; S.q = q; X = any(c); p = S.p; t = S.t; q = S.q; }';

/** Writes the code that reads a map's values, given what its first instance held. */
class Writer {
  constructor() {
    this.lines = [];
    this.names = 0;
    this.fields = 0;
  }

  /** Code for a value; the name of the variable that holds it then. */
  value(guess) {
    const name = `a${this.names++}`;
    const slow = SLOW.replace('X', name);
    this.lines.push(`let ${name};`);
    switch (guess.kind) {
      case INT:
        this.lines.push(`if (((c = w[p++]) & 7) === ${INT}) ${name} = c >> 3; else ${slow}`);
        break;
      case STR:
        this.lines.push(`if (((c = w[p++]) & 7) === ${STR}) ${name} = s.substring(t, t += c >>> 3); else ${slow}`);
        break;
      case FLOAT:
        this.lines.push(`if ((c = w[p++]) === ${FLOAT}) ${name} = f[q++]; else ${slow}`);
        break;
      case MAP:
        if (this.fields + guess.fields.length > MAX_COMPILED_FIELDS) {
          this.lines.push(`c = w[p++]; ${slow}`);
          break;
        }
        this.lines.push(`if ((c = w[p++]) === ${guess.word}) {`);
        this.lines.push(`${name} = ${this.map(guess)};`);
        this.lines.push(`} else ${slow}`);
        break;
      case ARRAY:
        this.lines.push(`if (((c = w[p++]) & 7) === ${ARRAY}) {`);
        this.array(name, guess.element);
        this.lines.push(`} else ${slow}`);
        break;
      default:
        if (guess.word === TRUE || guess.word === FALSE) {
          this.lines.push(`if ((c = w[p++]) === ${TRUE}) ${name} = true; else if (c === ${FALSE}) ${name} = false; else ${slow}`);
        } else {
          this.lines.push(`c = w[p++]; ${slow}`);
        }
    }
    return name;
  }

  /** Code for the elements of an array. */
  array(name, element) {
    const n = `n${this.names++}`;
    const i = `i${this.names++}`;
    const slow = SLOW.replace('X', `${name}[${i}]`);
    this.lines.push(`const ${n} = c >>> 3; ${name} = new Array(${n});`);
    this.lines.push(`for (let ${i} = 0; ${i} < ${n}; ${i}++) { c = w[p++];`);
    if (element?.kind === STR) {
      this.lines.push(`if ((c & 7) === ${STR}) ${name}[${i}] = s.substring(t, t += c >>> 3); else ${slow}`);
    } else if (element?.kind === INT) {
      this.lines.push(`if ((c & 7) === ${INT}) ${name}[${i}] = c >> 3; else ${slow}`);
    } else if (element?.kind === FLOAT) {
      this.lines.push(`if (c === ${FLOAT}) ${name}[${i}] = f[q++]; else ${slow}`);
    } else {
      this.lines.push(slow);
    }
    this.lines.push('}');
  }

  /** Code for a map's values; the literal that makes it of them. */
  map(guess) {
    this.fields += guess.fields.length;
    const fields = guess.fields.map((field) => {
      const name = this.value(field);
      // A plain `__proto__:` in a literal would set the prototype.
      const key = field.key === '__proto__' ? '["__proto__"]' : JSON.stringify(field.key);
      return `${key}: ${name}`;
    });
    return `{ ${fields.join(', ')} }`;
  }
}

/** Compiles the functions of a shape, guessing by the instance whose values begin here. */
function compile(shape) {
  compiled++;
  const guess = describe(S.p - 1);
  const writer = new Writer();
  const literal = writer.map(guess);
  const body = writer.lines.join('\n');
  const begin = '"use strict"; let p = S.p, t = S.t, q = S.q, c;';
  const end = 'S.p = p; S.t = t; S.q = q;';
  const make = new Function(
    'S',
    'any',
    `return {
      one(w, f, s) { ${begin}\n${body}\nconst o = ${literal}; ${end} return o; },
      many(w, f, s, out, i, n) { ${begin}
        for (;;) {\n${body}\nout[i++] = ${literal};
          if (i === n || w[p] !== ${shape.word}) break;
          p++;
        }
        ${end} return i;
      },
    };`,
  );
  const { one, many } = make(S, any);
  shape.one = one;
  shape.many = many;
}

/** The value whose words are in the buffer and whose text this is. */
function one(string) {
  text = string;
  S.p = 1;
  S.t = 0;
  S.q = 0;
  const v = W[0];
  if ((v & 7) === MAP) {
    const shape = shapes[v >>> 3];
    if (shape !== undefined && shape.one !== null) return shape.one(W, F, string);
  }
  return any(v);
}

/** The documents of a batch: a word that counts them, `most` tokens among the floats, the documents. */
function batch(string, most, out, tokens) {
  text = string;
  S.p = 1;
  S.t = 0;
  S.q = most;
  const count = W[0];
  for (let i = 0; i < count; i++) tokens[i] = F[i];
  let i = 0;
  while (i < count) {
    const v = W[S.p++];
    if ((v & 7) === MAP) {
      const shape = shapes[v >>> 3];
      if (shape !== undefined && shape.many !== null) {
        i = shape.many(W, F, string, out, i, count);
        continue;
      }
    }
    out[i++] = any(v);
  }
  return count;
}

/** The error of the last call that failed. */
function lastError() {
  let found = native.error();
  while (typeof found === 'number') {
    grow(found);
    found = native.error();
  }
  return errors.ofParts(one(found));
}

/** A call answered with a number: an error, which is thrown, or a larger buffer that is needed, which is given. */
function settle(number) {
  if (number < 0) throw lastError();
  grow(number);
}

module.exports = { one, batch, settle, lastError, shrink, canCompile };
