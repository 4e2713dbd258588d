/** Kinds of envelopes, by their number on the wire. A module of their own, as in cbor-major.js. */
export const HELLO = 0;
export const CALL = 1;
export const CAST = 2;
export const REPLY = 3;
export const ERROR = 4;
export const STOP = 5;
export const CREDIT = 6;
export const CANCEL = 7;
export const PROBE = 8;
