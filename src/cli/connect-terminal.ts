import { createReadStream } from 'node:fs'
import type { Socket, SocketHandler } from '../contracts/transport.ts'
import { hexLines } from './hex-lines.ts'
import { HISTORY_SIZE, type History } from './history.ts'
import { showBytes } from './safe-text.ts'
import { inDirection, openScreen, type Screen } from './screen.ts'
import { type Arrived, problemOf, type Wire } from './wire.ts'

export interface TalkOptions {
  /** Said first. */
  readonly greeting: string
  /** Show bytes in hexadecimal from the beginning. */
  readonly hex: boolean
  readonly history: History
}

/**
 * Lets somebody at a terminal talk to the other side, until one of the two has enough.
 * @throws what broke the connection
 */
export async function talk(
  socket: Socket,
  makeWire: (onArrived: (one: Arrived) => void) => Wire,
  { greeting, hex, history }: TalkOptions,
): Promise<void> {
  const screen = openScreen([...history.lines], HISTORY_SIZE)
  screen.input.on('history', history.save)
  screen.tell(greeting)
  const talking = new Talk(socket, makeWire, screen, hex)
  try {
    await talking.over
  } finally {
    screen.close()
  }
}

class Talk implements SocketHandler {
  /** Settles when the connection has closed. */
  readonly over: Promise<void>
  readonly #socket: Socket
  readonly #wire: Wire
  readonly #screen: Screen
  readonly #finish: (error?: Error) => void
  #isHex: boolean
  /** The user has left. */
  #isLeft = false
  #markDrained: (() => void) | undefined = undefined

  constructor(socket: Socket, makeWire: (onArrived: (one: Arrived) => void) => Wire, screen: Screen, isHex: boolean) {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.over = promise
    this.#finish = (error) => (error === undefined ? resolve() : reject(error))
    this.#socket = socket
    this.#screen = screen
    this.#isHex = isHex
    this.#wire = makeWire((one) => this.#show('in', one))
    screen.input.on('line', (line) => this.#obey(line))
    screen.input.once('close', () => this.#leave())
    socket.start(this)
  }

  onData(chunk: Buffer): void {
    this.#wire.read(chunk)
  }

  onEnd(): void {
    this.#wire.end()
    if (!this.#isLeft) this.#note('the other side has closed the connection')
    this.#socket.end()
  }

  onDrain(): void {
    this.#markDrained?.()
  }

  onClose(error: Error | undefined): void {
    this.#markDrained?.()
    this.#finish(error)
  }

  #obey(line: string): void {
    this.#screen.retract(line)
    const [, name, argument = ''] = /^\/([^/\s]*)\s*(.*)$/.exec(line) ?? []
    if (name === undefined || line.startsWith('//')) this.#send(line.replace(/^\/\//, '/'))
    else if (name === 'hex') this.#toggleHex()
    else if (name === 'file') void this.#sendFile(argument)
    else if (name === 'end') this.#end()
    else if (name === 'quit') this.#screen.close()
    else if (name === 'help') this.#note(HELP)
    else this.#problem(`there is no /${name}; /help lists what there is, and // sends a slash`)
  }

  #send(line: string): void {
    try {
      const bytes = this.#wire.write(line)
      if (this.#socket.writable) {
        this.#socket.write(bytes)
        this.#show('out', { bytes, shown: showBytes(bytes) })
      } else this.#problem('nothing can be sent any more: this side has ended')
    } catch (thrown) {
      this.#problem(problemOf(thrown))
    }
  }

  /** As it is, no faster than it leaves. */
  async #sendFile(path: string): Promise<void> {
    if (path === '') return this.#problem('a path is needed: /file data.bin')
    let sent = 0
    try {
      for await (const chunk of createReadStream(path)) {
        if (!this.#socket.writable) return this.#problem(`the connection has ended; ${sent} bytes were sent`)
        sent += (chunk as Buffer).length
        if (!this.#socket.write(chunk as Buffer)) await this.#drained()
      }
      this.#note(`${path} is sent: ${sent} bytes, without a line end or framing`)
    } catch (thrown) {
      this.#problem(problemOf(thrown))
    }
  }

  #drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#markDrained = resolve
    })
  }

  #toggleHex(): void {
    this.#isHex = !this.#isHex
    this.#note(this.#isHex ? 'bytes are shown in hexadecimal' : 'bytes are shown as text with escapes')
  }

  #end(): void {
    this.#socket.end()
    this.#note('no more is sent; what comes is still shown')
  }

  /** What was sent still leaves, but nobody waits for a side that never closes. */
  #leave(): void {
    this.#isLeft = true
    this.#socket.end()
    const timer = setTimeout(() => this.#socket.destroy(), GOODBYE_MS)
    const stop = () => clearTimeout(timer)
    this.over.then(stop, stop)
  }

  #show(direction: 'in' | 'out', { bytes, shown, problem }: Arrived): void {
    this.#screen.tell(inDirection(direction, this.#isHex ? hexLines(bytes) : [shown]))
    if (problem !== undefined) this.#problem(problem)
  }

  #note(text: string): void {
    this.#screen.tell(inDirection('note', text.split('\n')))
  }

  #problem(text: string): void {
    this.#screen.tell(inDirection('problem', [text]))
  }
}

/** How long the other side may take to close, in milliseconds. */
const GOODBYE_MS = 1000

const HELP = `what you type is sent with a line end, or with the framing of --framing
\\x02 \\r \\n \\t \\0 and \\\\ are escapes: \\x02 is one byte
/hex         show bytes in hexadecimal, or as text again
/file PATH   send a file as it is
/end         send no more, and go on reading
/quit        leave (so do Ctrl-C and Ctrl-D)
//text       send a line that begins with a slash`
