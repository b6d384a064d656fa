import type { Socket } from '../contracts/transport.ts'
import type { Arrived, Wire } from './wire.ts'

export interface AskOptions {
  /** Milliseconds in which the answer must be there. */
  readonly timeout: number
  /** What the answer must match; without it the first message counts. */
  readonly expected: RegExp | undefined
  /** Without a framing an answer ends at a line end, or when nothing more has come for this many milliseconds. */
  readonly settle: number | undefined
}

/** The answer, or why there is none. */
export type Answer =
  | { readonly bytes: Buffer; readonly frames: readonly Arrived[] }
  | { readonly missing: string; readonly frames: readonly Arrived[] }

/**
 * Sends bytes and waits for the answer.
 * @param makeWire makes the wire that tells of what arrives
 * @throws what broke the connection
 */
export function ask(
  socket: Socket,
  makeWire: (onArrived: (one: Arrived) => void) => Wire,
  line: string,
  { timeout, expected, settle }: AskOptions,
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const frames: Arrived[] = []
  let quiet: NodeJS.Timeout | undefined
  const bytes = () => Buffer.concat(frames.map((one) => one.bytes))
  const finish = (answer: Answer) => {
    clearTimeout(timer)
    clearTimeout(quiet)
    resolve(answer)
  }
  const has = () => frames.length > 0 && (expected === undefined || expected.test(bytes().toString('utf8')))
  const miss = (why: string) =>
    finish({ frames, missing: frames.length === 0 ? `no answer: ${why}` : `the answer does not match: ${why}` })
  const timer = setTimeout(
    () => (has() ? finish({ bytes: bytes(), frames }) : miss(`nothing more came within ${timeout} ms`)),
    timeout,
  )
  const wire = makeWire((one) => {
    frames.push(one)
    if (!has()) return
    clearTimeout(quiet)
    if (settle === undefined || one.bytes.at(-1) === 10) finish({ bytes: bytes(), frames })
    else quiet = setTimeout(() => finish({ bytes: bytes(), frames }), settle)
  })
  const ended = () => (has() ? finish({ bytes: bytes(), frames }) : miss('the other side has closed the connection'))
  socket.start({
    onData: (chunk) => wire.read(chunk),
    onEnd() {
      wire.end()
      ended()
    },
    onDrain: () => undefined,
    onClose(error) {
      if (error !== undefined) reject(error)
      ended()
    },
  })
  socket.write(wire.write(line))
  return promise.finally(() => {
    clearTimeout(timer)
    clearTimeout(quiet)
  })
}
