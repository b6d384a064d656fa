import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import type { ConnectEntry } from '../../../src/index.ts'
import { type ExampleConfig, makeDatabases, rows, startExample, withText } from '../../support/example.ts'
import { eventually } from '../../support/parts.ts'
import { Peer } from '../../support/peer.ts'
import { temporaryFolder } from '../../support/server.ts'

const [EOT, ENQ, ACK, NAK] = ['\x04', '\x05', '\x06', '\x15']

/** The example with its databases; what takes seconds there takes a moment here. */
async function startHost(change: (config: ExampleConfig) => void = () => {}) {
  const folder = temporaryFolder()
  const path = makeDatabases('astm-analyser', folder.path)
  const running = await startExample('astm-analyser', (config) => {
    withText('orders.db', path)(config)
    const quick = JSON.stringify(config).replaceAll(/"(delay|every)":"\d+s"/g, '"$1":"10ms"')
    Object.assign(config, JSON.parse(quick))
    change(config)
  })
  const database = new DatabaseSync(path)
  return {
    running,
    /** What became of the orders, in their order. */
    results: () =>
      database
        .prepare('SELECT result FROM sent ORDER BY id')
        .all()
        .map(({ result }) => result),
    async order(order: object): Promise<string> {
      await using clerk = await Peer.connect(running.port('orders'))
      return await clerk
        .send(`${JSON.stringify(order)}\n`)
        .finish()
        .end()
    },
    async [Symbol.asyncDispose]() {
      await running[Symbol.asyncDispose]()
      database.close()
      folder[Symbol.dispose]()
    },
  }
}

/** The end of the line at which the analyser is. */
class Analyser implements AsyncDisposable {
  readonly peer: Peer
  #read = 0

  constructor(peer: Peer) {
    this.peer = peer
  }

  /** What comes next: a control byte, or a whole frame. */
  async next(): Promise<string> {
    const left = () => this.peer.text.slice(this.#read)
    const end = () => (left().startsWith('\x02') ? left().indexOf('\n') + 1 : Math.min(left().length, 1))
    await this.peer.until(() => end() > 0)
    const text = left().slice(0, end())
    this.#read += text.length
    return text
  }

  /** Sends something and gives what comes next. */
  async say(text: string): Promise<string> {
    this.peer.send(text)
    return this.next()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.peer[Symbol.asyncDispose]()
  }
}

/** The frames of a transfer, each taken at once; the first has come already. */
async function takeAll(analyser: Analyser, first: string): Promise<string[]> {
  const frames: string[] = []
  for (let frame = first; frame !== EOT; frame = await analyser.say(ACK)) frames.push(frame)
  return frames
}

/** E1381-02, 6.3.3: the sum of all that stands between STX and the checksum, modulo 256, in two hexadecimal digits. */
function checksumOf(frame: string): string {
  const sum = Buffer.from(frame.slice(1, -4), 'latin1').reduce((total, byte) => total + byte, 0)
  return (sum % 256).toString(16).toUpperCase().padStart(2, '0')
}

const order = { sample: 'LIS3023', patient: 'P1234567038', tests: ['T4', 'TSH', 'TUP'] }
/** Frames with which a host orders, published with their checksums in the driver of an analyser. */
const published = [
  '\x023O|1|LIS3023||^^^T4\\^^^TSH\\^^^TUP|R||||||||||||||||||||O\r\x03A6\r\n',
  '\x024L|1|N\r\x0307\r\n',
]
/** A message of a cobas u 411 (Roche), cut to one frame. */
const results = '\x021H|\\^&|||AU\rP|1\rO|1|77\rR|1|^^^GLU|5.24|mmol/L\rL|1|N\r\x03'

describe('an order for an analyser that has connected to us', () => {
  it('is sent in frames with number and checksum; a frame that gets NAK is sent again', async () => {
    await using host = await startHost()
    await using analyser = new Analyser(await Peer.connect(host.running.port('analyser')))
    expect(await host.order(order)).toBe('OK LIS3023\n')
    expect(await analyser.next()).toBe(ENQ)
    const header = await analyser.say(ACK)
    const time = header.slice(-20, -6)
    expect(time).toMatch(/^\d{14}$/)
    expect(header).toBe(`\x021H|\\^&|||Sluice|||||||P|E1394-97|${time}\r\x03${checksumOf(header)}\r\n`)
    expect(await analyser.say(NAK)).toBe(header)
    const patient = await analyser.say(ACK)
    expect(patient).toBe(`\x022P|1|P1234567038\r\x03${checksumOf(patient)}\r\n`)
    for (let times = 0; times < 6; times++) expect(await analyser.say(NAK)).toBe(patient)
    expect(await takeAll(analyser, await analyser.say(ACK))).toEqual(published)
    await eventually(() => host.results().length === 1)
    expect(host.results()).toEqual(['sent'])
  })

  it('is given up with EOT when a frame has got NAK seven times, and the next one goes', async () => {
    await using host = await startHost()
    await using analyser = new Analyser(await Peer.connect(host.running.port('analyser')))
    await host.order({ ...order, sample: 'BAD' })
    await host.order(order)
    await analyser.next()
    const header = await analyser.say(ACK)
    for (let times = 0; times < 6; times++) expect(await analyser.say(NAK)).toBe(header)
    expect(await analyser.say(NAK)).toBe(EOT)
    expect(await analyser.next()).toBe(ENQ)
    expect((await takeAll(analyser, await analyser.say(ACK))).slice(2)).toEqual(published)
    await eventually(() => host.results().length === 2)
    expect(host.results()).toEqual(['refused', 'sent'])
  })

  it('is ended with EOT when the analyser says nothing, and tried again', async () => {
    await using host = await startHost(({ schedule }) => {
      Object.assign(schedule!, JSON.parse(JSON.stringify(schedule).replaceAll('"timeout":"15s"', '"timeout":"50ms"')))
    })
    await using analyser = new Analyser(await Peer.connect(host.running.port('analyser')))
    await host.order(order)
    for (let times = 0; times < 2; times++) {
      expect(await analyser.next()).toBe(ENQ)
      expect(await analyser.next()).toBe(EOT)
    }
    expect(host.results()).toEqual([])
  })

  it('goes to the analyser that is there, whatever is left of an earlier connection', async () => {
    await using host = await startHost()
    await using gone = new Analyser(await Peer.connect(host.running.port('analyser')))
    expect(await gone.say(ENQ)).toBe(ACK)
    await using analyser = new Analyser(await Peer.connect(host.running.port('analyser')))
    await host.order(order)
    expect(await analyser.next()).toBe(ENQ)
    expect(await takeAll(analyser, await analyser.say(ACK))).toHaveLength(4)
    expect(gone.peer.text).toBe(ACK)
  })

  it('is cut by ETB where a record is longer than a frame; numbers go from 7 to 0, and EOT counts as ACK', async () => {
    await using host = await startHost()
    await using analyser = new Analyser(await Peer.connect(host.running.port('analyser')))
    const tests = Array.from({ length: 100 }, (_, i) => `TEST-OF-A-LONG-NAME-${i}`)
    await host.order({ sample: '1', tests })
    await analyser.next()
    const frames: string[] = []
    for (let frame = await analyser.say(ACK); frame !== EOT; frame = await analyser.say(EOT)) frames.push(frame)
    expect(frames.length).toBeGreaterThan(8)
    for (const [i, frame] of frames.entries()) {
      expect(frame[1]).toBe(String((i + 1) % 8))
      expect(frame.length).toBeLessThanOrEqual(247)
      expect(frame.slice(-4, -2)).toBe(checksumOf(frame))
    }
    const [, , third, ...others] = frames.map((frame) => ({ text: frame.slice(2, -5), end: frame.at(-5) }))
    const pieces = [third!, ...others.slice(0, -1)]
    expect(pieces.map(({ end }) => end)).toEqual([...pieces.slice(1).map(() => '\x17'), '\x03'])
    const record = pieces.map(({ text }) => text).join('')
    expect(record).toBe(`O|1|1||${tests.map((test) => `^^^${test}`).join('\\')}|R||||||||||||||||||||O\r`)
  })

  it('waits while the analyser is sending', async () => {
    await using host = await startHost()
    await using analyser = new Analyser(await Peer.connect(host.running.port('analyser')))
    expect(await analyser.say(ENQ)).toBe(ACK)
    await host.order(order)
    await host.running.event('message.failed', ({ error }) => error.code === 'client_unknown')
    expect(await analyser.say(`${results}00\r\n`)).toBe(NAK)
    expect(await analyser.say(`${results}${checksumOf(`${results}00\r\n`)}\r\n`)).toBe(ACK)
    expect(await analyser.say(EOT)).toBe(ENQ)
    expect(await takeAll(analyser, await analyser.say(ACK))).toHaveLength(4)
    expect(rows(host.running, 'results.db', 'SELECT sample FROM messages')).toEqual([{ sample: '77' }])
  })

  it('lets the analyser go first when both begin at once', async () => {
    await using host = await startHost(({ schedule }) => {
      Object.assign(schedule!, JSON.parse(JSON.stringify(schedule).replaceAll('"delay":"10ms"', '"delay":"20s"')))
    })
    await using analyser = new Analyser(await Peer.connect(host.running.port('analyser')))
    await host.order(order)
    expect(await analyser.next()).toBe(ENQ)
    // E1381-02, 6.2.1: the host gives way, and the analyser begins anew.
    expect(await analyser.say(ENQ + ENQ)).toBe(ACK)
    expect(await analyser.say(`${results}${checksumOf(`${results}00\r\n`)}\r\n`)).toBe(ACK)
    analyser.peer.send(EOT)
    await host.running.server.stop({ deadline: 1 })
    expect(host.results()).toEqual([])
  })

  it('is asked for again when both have begun, and when the analyser is busy', async () => {
    await using host = await startHost()
    await using analyser = new Analyser(await Peer.connect(host.running.port('analyser')))
    await host.order(order)
    expect(await analyser.next()).toBe(ENQ)
    expect(await analyser.say(ENQ)).toBe(ENQ)
    expect(await analyser.say(NAK)).toBe(ENQ)
    expect(await takeAll(analyser, await analyser.say(ACK))).toHaveLength(4)
    await eventually(() => host.results().length === 1)
  })

  it('is kept while no analyser is there, and an order with separators in it is refused', async () => {
    await using host = await startHost()
    expect(await host.order({ ...order, sample: '1|2' })).toMatch(/^ERR validate: \/sample/)
    expect(await host.order(order)).toBe('OK LIS3023\n')
    await host.running.event('message.failed', ({ error }) => error.code === 'client_unknown')
    await using analyser = new Analyser(await Peer.connect(host.running.port('analyser')))
    expect(await analyser.next()).toBe(ENQ)
  })
})

describe('a query of the analyser', () => {
  /** The frames of a Panther (Hologic) that asks for two tubes, with their checksums. */
  const query = [
    '\x021H|\\^&|||Panther|||||LISHost||P|1|\r\x038E\r\n',
    '\x022Q|1|^SAMPLE01||ALL||||||||O\r\x033D\r\n',
    '\x023Q|2|^SAMPLE02||ALL||||||||O\r\x0340\r\n',
    '\x024L|1|N\r\x0307\r\n',
  ]

  it('is answered for each tube behind its transfer: with the last order, or that there is none', async () => {
    await using host = await startHost()
    await host.order({ sample: 'SAMPLE01', tests: ['OLD'] })
    await host.order({ sample: 'SAMPLE01', patient: 'P1', tests: ['CT', 'GC'] })
    await using analyser = new Analyser(await Peer.connect(host.running.port('analyser')))
    for (const sent of ['OLD', 'CT\\^^^GC']) {
      expect(await analyser.next()).toBe(ENQ)
      const frames = await takeAll(analyser, await analyser.say(ACK))
      expect(frames[2]).toContain(`O|1|SAMPLE01||^^^${sent}|R||||||||||||||||||||O\r`)
    }
    for (const bytes of [ENQ, ...query]) expect(await analyser.say(bytes)).toBe(ACK)
    expect(await analyser.say(EOT)).toBe(ENQ)
    const [, patient, first, end] = await takeAll(analyser, await analyser.say(ACK))
    expect(patient).toContain('2P|1|P1\r')
    expect(first).toContain('3O|1|SAMPLE01||^^^CT\\^^^GC|R||||||||||||||||||||Q\r')
    expect(end).toBe('\x024L|1|N\r\x0307\r\n')
    expect(await analyser.next()).toBe(ENQ)
    const none = await takeAll(analyser, await analyser.say(ACK))
    expect(none).toHaveLength(2)
    expect(none[1]).toBe(`\x022L|1|I\r\x03${checksumOf(none[1]!)}\r\n`)
    await eventually(() => host.results().length === 4)
  })
})

describe('an analyser that we connect to', () => {
  it('sends results and gets orders on the same connection', async () => {
    const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const connected = once(server, 'connection') as Promise<[Socket]>
    await using host = await startHost((config) => {
      const { analyser, ...listen } = config.listen!
      config.connect = { analyser: { ...analyser!, host: '127.0.0.1', port } as ConnectEntry }
      config.listen = listen
    })
    try {
      await using analyser = new Analyser(Peer.over((await connected)[0]))
      expect(await analyser.say(ENQ)).toBe(ACK)
      expect(await analyser.say(`${results}${checksumOf(`${results}00\r\n`)}\r\n`)).toBe(ACK)
      await host.order(order)
      expect(await analyser.say(EOT)).toBe(ENQ)
      expect((await takeAll(analyser, await analyser.say(ACK))).slice(2)).toEqual(published)
      await eventually(() => host.results().length === 1)
      expect(rows(host.running, 'results.db', 'SELECT sample FROM messages')).toEqual([{ sample: '77' }])
    } finally {
      server.close()
    }
  })
})
