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

/** What has come. */
export interface Answer {
  readonly frames: readonly Arrived[]
  /** Why this is no answer, or not the one that was expected: a sentence. */
  readonly missing?: string
}

/**
 * Sends a line and waits for the answer.
 * @param makeWire makes the wire that tells of what arrives
 * @throws what broke the connection; what the wire says of a line that cannot be sent
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
  const has = () => frames.length > 0 && (expected === undefined || expected.test(bytes().toString('utf8')))
  const give = () => resolve({ frames })
  const miss = (why: string) =>
    resolve({ frames, missing: frames.length === 0 ? `no answer: ${why}` : `the answer does not match: ${why}` })
  const wire = makeWire((one) => {
    frames.push(one)
    if (!has()) return
    clearTimeout(quiet)
    if (settle === undefined || one.bytes.at(-1) === LF) give()
    else quiet = setTimeout(give, settle)
  })
  const sent = wire.write(line)
  const timer = setTimeout(() => (has() ? give() : miss(`nothing more came within ${timeout} ms`)), timeout)
  const ended = () => (has() ? give() : miss('the other side has closed the connection'))
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
  socket.write(sent)
  return promise.finally(() => {
    clearTimeout(timer)
    clearTimeout(quiet)
  })
}

const LF = 10
