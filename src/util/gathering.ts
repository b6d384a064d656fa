/** Bytes that come in pieces and are looked at as one. Each is copied a few times at most, however small the pieces are. */
export class Gathering {
  /** Begins with the bytes; what is behind them is room for more. */
  #room: Buffer = NOTHING
  #length = 0

  get length(): number {
    return this.#length
  }

  /**
   * @param piece must not be changed afterwards
   * @returns all that is here: a view that stays as it is
   */
  add(piece: Buffer): Buffer {
    const length = this.#length + piece.length
    if (this.#length === 0) this.#room = piece
    else {
      if (length > this.#room.length) this.#grow(length)
      piece.copy(this.#room, this.#length)
    }
    this.#length = length
    return this.#room.subarray(0, length)
  }

  /** Gives all that is here away. */
  take(): Buffer {
    const bytes = this.#room.subarray(0, this.#length)
    this.#room = NOTHING
    this.#length = 0
    return bytes
  }

  /** Memory that somebody else may look at is never written to: what was a piece has no room behind it. */
  #grow(length: number): void {
    const room = Buffer.allocUnsafe(2 * length)
    this.#room.copy(room, 0, 0, this.#length)
    this.#room = room
  }
}

const NOTHING = Buffer.alloc(0)
