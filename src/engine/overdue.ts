import type { Limits } from '../contracts/limits.ts'
import { toTicks } from '../util/deadlines.ts'

/** What is to be done about a connection that is late with something. */
export type Overdue = 'linger' | 'write' | 'frame' | 'first frame' | 'idle'

/** Since when a connection owes something, in ticks. */
export class Owed {
  /** A frame has begun and not ended; 0 while there is none. */
  frame = 0
  /** The socket is full; 0 while it is not. */
  write = 0
  /** Our FIN has been sent; 0 before. */
  closing = 0
  /** Bytes have arrived, or the connection was opened. */
  active: number
  readonly #opened: number

  constructor(tick: number) {
    this.active = tick
    this.#opened = tick
  }

  /** A sender that we hold back, or that waits for our answer, cannot be late. */
  excuse(tick: number): void {
    this.active = tick
    if (this.frame > 0) this.frame = tick
  }

  /** What of the sending side is late. */
  lateOut(tick: number, { writeTimeout }: Limits): Overdue | undefined {
    if (this.closing > 0) return isOver(tick, this.closing, LINGER_MS) ? 'linger' : undefined
    return this.write > 0 && isOver(tick, this.write, writeTimeout) ? 'write' : undefined
  }

  /** What of the receiving side is late. @param silent no frame has arrived yet */
  lateIn(tick: number, silent: boolean, limits: Limits): Overdue | undefined {
    if (this.frame > 0 && isOver(tick, this.frame, limits.frameTimeout)) return 'frame'
    if (silent && isOver(tick, this.#opened, limits.firstFrameTimeout)) return 'first frame'
    return isOver(tick, this.active, limits.idleTimeout) ? 'idle' : undefined
  }

  /** Whether it has to be looked at again. @param open the connection is read */
  watched(open: boolean, { idleTimeout, firstFrameTimeout }: Limits): boolean {
    if (this.closing > 0 || this.write > 0) return true
    return open && (this.frame > 0 || idleTimeout > 0 || firstFrameTimeout > 0)
  }
}

/** How long the input is discarded after our FIN, in milliseconds. */
const LINGER_MS = 2000

/** @param milliseconds 0 for no bound */
function isOver(tick: number, since: number, milliseconds: number): boolean {
  return milliseconds > 0 && tick - since >= toTicks(milliseconds)
}
