'use strict';
/**
 * Writes frames to a socket in pieces, in order, the next one when the system has taken the last. So one can see how far
 * they are: a big frame that a slow hub takes piece by piece is told from one that nobody takes.
 */

const PIECE_BYTES = 64 * 1024;

class Sender {
  constructor(socket) {
    this.socket = socket;
    this.waiting = []; // frames, the first of them perhaps begun
    this.busy = false;
    this.given = 0; // bytes, from the start
    this.taken = 0; // of these, by the system: the hub has not read them for sure
  }

  write(bytes) {
    this.waiting.push(bytes);
    this.given += bytes.length;
    if (!this.busy) {
      this.next();
    }
  }

  next() {
    const piece = this.piece();
    this.busy = piece !== undefined;
    if (this.busy) {
      this.socket.write(piece, (error) => {
        if (!error) {
          this.taken += piece.length;
          this.next();
        }
      });
    }
  }

  /** A part of a big frame, or many small ones at once; undefined when there is nothing to send. */
  piece() {
    const [first] = this.waiting;
    if (first?.length > PIECE_BYTES) {
      this.waiting[0] = first.subarray(PIECE_BYTES);
      return first.subarray(0, PIECE_BYTES);
    }
    let count = 0;
    let size = 0;
    while (count < this.waiting.length && size + this.waiting[count].length <= PIECE_BYTES) {
      size += this.waiting[count].length;
      count += 1;
    }
    const parts = this.waiting.splice(0, count);
    return count > 1 ? Buffer.concat(parts, size) : parts[0];
  }
}

module.exports = { Sender };
