'use strict';

/** A MessagePack extension that is no type of JavaScript, kept as it is: a code from -128 to 127, and bytes. */
class Ext {
  constructor(code, bytes) {
    if (!Number.isInteger(code) || code < -128 || code > 127) throw new RangeError('an Ext code is -128 to 127');
    if (!(bytes instanceof Uint8Array)) throw new TypeError('the bytes of an Ext are a Uint8Array');
    this.code = code;
    this.bytes = bytes;
  }
}

module.exports = { Ext };
