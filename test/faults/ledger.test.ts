import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { createRandom } from '../../src/testing/random.ts'
import { Latencies } from './latencies.ts'
import { Ledger } from './ledger.ts'
import { compare, faultsOf, type Place } from './ledger-check.ts'
import { LedgerClient } from './ledger-client.ts'
import { NumberRanges } from './number-ranges.ts'

describe('a set of ranges', () => {
  it('holds what a plain set holds, in any order', () => {
    const random = createRandom(5)
    const ranges = new NumberRanges()
    const plain = new Set<number>()
    for (let i = 0; i < 2000; i++) {
      const number = random.int(1, 1500)
      expect(ranges.add(number)).toBe(!plain.has(number))
      plain.add(number)
    }
    expect(ranges.size).toBe(plain.size)
    for (let number = 0; number <= 1501; number++) expect(ranges.has(number)).toBe(plain.has(number))
    expect([...ranges.without(new NumberRanges())]).toEqual([...plain].sort((a, b) => a - b))
  })
})

describe('the comparison', () => {
  const ledger = new Ledger(40)
  const one = ledger.open()
  const two = ledger.open()
  one.sent = 5
  two.sent = 3
  for (const number of [1, 2, 4]) one.acknowledged.add(number)
  two.acknowledged.add(1)
  const place = (name: string, ids: readonly (readonly [number, number])[], ordered = true): Place => {
    const lines = ids.map(([stream, number]) => ledger.line(stream, number))
    return { name, ordered, lines: () => lines, salvage: () => lines }
  }

  it('is content when everything acknowledged is in one place or another', () => {
    const sink = place('sink', [
      [1, 1],
      [2, 1],
      [1, 2],
    ])
    const found = compare(ledger, [sink, place('dead', [[1, 4]], false)])
    expect(found).toMatchObject({ sent: 8, acknowledged: 4, found: 4, missing: 0, unacknowledged: 0 })
    expect(faultsOf(found)).toEqual([])
  })

  it('finds what is missing, double, out of order, and never sent', () => {
    const sink = place('sink', [
      [1, 2],
      [1, 1],
      [1, 1],
      [1, 5],
      [1, 6],
      [3, 1],
    ])
    const torn: Place = { ...place('torn', []), lines: () => [ledger.line(1, 3).slice(0, 20)] }
    const found = compare(ledger, [sink, torn])
    expect(found).toMatchObject({
      missing: 2,
      missingIds: ['1:4', '2:1'],
      duplicates: 1,
      orderViolations: 1,
      foreign: 3,
      unacknowledged: 1,
    })
    expect(faultsOf(found)).toHaveLength(3)
  })

  it('does not take a message for double that lies in two places, nor asks for order where there is none', () => {
    const ids = [
      [1, 2],
      [1, 1],
    ] as const
    const found = compare(ledger, [place('buffer', [[1, 1]]), place('dead', ids, false)])
    expect(found).toMatchObject({ duplicates: 0, orderViolations: 0 })
  })
})

describe('latencies', () => {
  it('give percentiles to 2 %', () => {
    const latencies = new Latencies()
    expect(latencies.percentile(0.99)).toBe(0)
    for (let i = 1; i <= 1000; i++) latencies.add(i)
    expect(latencies.percentile(0.5) / 500).toBeCloseTo(1, 1)
    expect(latencies.percentile(0.99) / 990).toBeCloseTo(1, 1)
  })
})

describe('the load', () => {
  it('counts answers per connection, and tells strange, late and half ones', async () => {
    await using server = await startServer((socket, ids) => {
      // The third message has no answer, and the fifth one comes before the fourth.
      const [first, second, , fourth, fifth] = ids
      socket.end(`OK ${first}\nOK ${second}\nOK ${fifth}\nOK ${fourth}\nOK ${first}\nNO ${second}\nOK 9`)
    })
    await using client = await LedgerClient.start({ port: server.port, connections: 2, outstanding: 5 })
    await client.until(() => client.connections === 0)
    expect(client.answers).toBe(8)
    expect(client.ledger).toMatchObject({ acknowledged: 8 })
    expect(client.ledger.streams.map(({ acknowledged }) => acknowledged.has(3))).toEqual([false, false])
    expect(client.faults).toEqual({ strange: 4, outOfOrder: 2, partial: 2 })
    await expect(client.answered(9)).rejects.toThrow('closed all connections after 8 of 9 answers')
  })

  it('keeps its window full, stops, goes on, and begins new streams on new connections', async () => {
    await using server = await startServer((socket, ids) => socket.write(ids.map((id) => `OK ${id}\n`).join('')))
    await using client = await LedgerClient.start({ port: server.port, connections: 3, outstanding: 7 })
    await client.answered(1000)
    await client.stop()
    expect(client.ledger.sent).toBe(client.ledger.acknowledged)
    expect(client.latencies.percentile(0.5)).toBeGreaterThan(0)
    client.resume()
    await client.answered(client.answers + 100)
    server.dropAll()
    await client.until(() => client.connections === 0)
    await client.reconnect()
    await client.answered(client.answers + 100)
    expect(client.ledger.streams).toHaveLength(6)
    expect(client.faults).toEqual({ strange: 0, outOfOrder: 0, partial: 0 })
  })

  it('sends new messages for those it has given up', async () => {
    let isSilent = true
    await using server = await startServer((socket, ids) => {
      if (!isSilent) socket.write(ids.map((id) => `OK ${id}\n`).join(''))
      else server.heard()
    })
    await using client = await LedgerClient.start({ port: server.port, connections: 1, outstanding: 3 })
    await server.first
    isSilent = false
    client.giveUp()
    await client.answered(10)
    expect(client.ledger.streams[0]!.acknowledged.has(3)).toBe(false)
    expect(client.ledger.streams[0]!.acknowledged.has(4)).toBe(true)
  })
})

/** A server that answers as a test wants: it is given the ids of the lines that have come whole. */
async function startServer(answer: (socket: Socket, ids: readonly string[]) => void) {
  const sockets = new Set<Socket>()
  const { promise: first, resolve: heard } = Promise.withResolvers<void>()
  const listener = createServer((socket) => {
    sockets.add(socket)
    let rest = ''
    socket.setEncoding('latin1').on('error', () => undefined)
    socket.on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop()!
      answer(
        socket,
        lines.map((line) => line.slice(0, line.indexOf(' '))),
      )
    })
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const dropAll = () => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    port: (listener.address() as { port: number }).port,
    first,
    heard,
    dropAll,
    async [Symbol.asyncDispose]() {
      dropAll()
      listener.close()
      await once(listener, 'close')
    },
  }
}
