import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { changed } from '../../test/support/storage.ts'
import { SluiceError } from '../contracts/errors.ts'
import { createEvents } from '../contracts/events.ts'
import { Message } from '../contracts/message.ts'
import type { Storage } from '../contracts/storage.ts'
import { createStorage } from '../storage/storage.ts'
import { createMessages, createTestClock, testSource } from '../testing/part-context.ts'
import { readDeadLetter, readDeadLetters } from './dead-letter-files.ts'
import { DEAD_LETTERS_FILE, type DeadLetterOptions, DeadLetterStore } from './dead-letters.ts'

let folder: string
let file: string
let storage: Storage

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-dead-'))
  file = join(folder, 'data', DEAD_LETTERS_FILE)
  storage = createStorage()
})

afterEach(async () => {
  await storage.close()
  await rm(folder, { recursive: true })
})

const bounds = { maxSize: 1024 ** 3, maxAge: 0 }

const open = (options: Partial<DeadLetterOptions> = {}, of = storage) =>
  new DeadLetterStore(of, join(folder, 'data'), { ...bounds, events: createEvents(() => {}), ...options })

const error = new SluiceError('sink_unavailable', 'the table is locked', { attempts: 7 })

function message(value: unknown, endpoint = 'test'): Message {
  return createMessages([null], { source: testSource({ endpoint, ip: '10.0.0.7', port: 4001 }) })[0]!.with(value)
}

describe('add', () => {
  test('makes the file with the first message', async () => {
    const deadLetters = open()
    expect(existsSync(file)).toBe(false)
    await deadLetters.add(message(1), error, 'store')
    expect(existsSync(file)).toBe(true)
  })

  test('keeps a message whole', async () => {
    const clock = createTestClock()
    const source = { ...testSource({ id: 'scales-3', endpoint: 'scales', ip: '::1', port: 4001 }), clock }
    const raw = Buffer.from('..{"temp":31}\r\n..\xff', 'latin1')
    const failed = new Message({ temp: 31 }, source, 'message', clock.now(), 1, raw, 2, 13, undefined)
    clock.advance(10_250)
    const id = await open().add(failed, error, 'store')
    expect(id).toBe(1)
    expect(readDeadLetter(file, id)).toEqual({
      id: 1,
      time: '2026-01-01T00:00:10.250Z',
      received: '2026-01-01T00:00:00.000Z',
      endpoint: 'scales',
      client: 'scales-3',
      peer: '[::1]:4001',
      step: 'store',
      code: 'sink_unavailable',
      reason: 'the table is locked',
      attempts: 7,
      event: 'message',
      raw: Buffer.from('{"temp":31}'),
      value: '{"temp":31}',
      key: 'boot-scales-3-1',
      packed: expect.any(Buffer),
      passed: false,
    })
  })

  test('keeps bytes that are no text, as they came', async () => {
    const raw = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
    const id = await open().add(createMessages([raw])[0]!, error, '')
    expect(readDeadLetter(file, id)).toMatchObject({ raw, value: JSON.stringify(raw.toString('hex')), step: '' })
  })

  test('keeps a frame that could not be decoded without a value', async () => {
    const id = await open().add(message(null), new SluiceError('format_invalid', 'no JSON'), '')
    expect(readDeadLetter(file, id)).toMatchObject({ value: null, code: 'format_invalid', attempts: 1 })
  })

  test('keeps every value somehow', async () => {
    const deadLetters = open()
    const cyclic: Record<string, unknown> = Object.create(null)
    cyclic['self'] = cyclic
    const values = [{ at: new Date(0), n: 2n ** 70n, inside: [Buffer.from([1, 255])] }, 'text', cyclic, () => 1]
    const ids = await Promise.all(values.map((value) => deadLetters.add(message(value), error, 'store')))
    expect(ids.map((id) => JSON.parse(readDeadLetter(file, id)?.value ?? ''))).toEqual([
      { at: '1970-01-01T00:00:00.000Z', n: '1180591620717411303424', inside: ['01ff'] },
      'text',
      expect.stringMatching(/Circular/),
      expect.stringMatching(/Function/),
    ])
  })

  test('gives many at the same time one id each, in order', async () => {
    const deadLetters = open()
    const ids = await Promise.all(Array.from({ length: 50 }, (_, i) => deadLetters.add(message(i), error, 'store')))
    expect(ids).toEqual(Array.from({ length: 50 }, (_, i) => i + 1))
    expect(readDeadLetters(file).map(({ value }) => Number(value))).toEqual(
      Array.from({ length: 50 }, (_, i) => 49 - i),
    )
  })

  test('never gives an id twice, even when the last message has been deleted', async () => {
    const first = open()
    await first.add(message('a'), error, 'store')
    await first.add(message('b'), error, 'store')
    await first.close()
    const other = new DatabaseSync(file)
    other.exec('DELETE FROM dead_letters')
    other.close()
    expect(await open().add(message('c'), error, 'store')).toBe(3)
  })

  test('two servers with one data folder share the file, and no message is lost', async () => {
    const other = createStorage()
    const stores = [open(), open({}, other)]
    const ids: number[] = []
    for (let i = 0; i < 6; i++) ids.push(await stores[i % 2]!.add(message(i), error, 'store'))
    expect(ids).toEqual([1, 2, 3, 4, 5, 6])
    expect(readDeadLetters(file).map(({ value }) => Number(value))).toEqual([5, 4, 3, 2, 1, 0])
    await other.close()
  })

  describe('what may pass is tried again', () => {
    const locked = new SluiceError('storage_failed', 'the file is locked', { retryable: true })

    /** A storage whose first writes fail, and a clock that only waiting moves. */
    function failing(times: number, failure = locked) {
      let now = 0
      let writes = 0
      const waits: number[] = []
      const flaky = changed(storage, (database) => ({
        insert: async (sql, rows) => (writes++ < times ? Promise.reject(failure) : database.insert(sql, rows)),
      }))
      const timing = {
        now: () => now,
        random: () => 0.999,
        async wait(milliseconds: number) {
          waits.push(milliseconds)
          now += milliseconds
        },
      }
      return { flaky, timing, waits, writes: () => writes }
    }

    test('until it works', async () => {
      const { flaky, timing, waits } = failing(3)
      expect(await open({ timing }, flaky).add(message(1), error, 'store')).toBe(1)
      expect(waits).toEqual([50, 100, 200])
      expect(readDeadLetters(file)).toHaveLength(1)
    })

    test('for 10 s, the last time at their end', async () => {
      const { flaky, timing, waits } = failing(Number.POSITIVE_INFINITY)
      const added = open({ timing }, flaky).add(message(1), error, 'store')
      await expect(added).rejects.toBe(locked)
      expect(waits.reduce((sum, wait) => sum + wait)).toBe(10_000)
    })

    test('but nothing else is', async () => {
      const refused = new SluiceError('storage_failed', 'read-only')
      const { flaky, timing, waits } = failing(1, refused)
      const added = open({ timing }, flaky).add(message(1), error, 'store')
      await expect(added).rejects.toBe(refused)
      expect(waits).toEqual([])
    })

    test('and not once the server waits no longer', async () => {
      const controller = new AbortController()
      const { flaky, timing, writes } = failing(Number.POSITIVE_INFINITY)
      const wait = async () => controller.abort()
      const options = { signal: controller.signal, timing: { ...timing, wait } }
      const added = open(options, flaky).add(message(1), error, 'store')
      await expect(added).rejects.toBe(locked)
      expect(writes()).toBe(1)
    })

    test('nor after close', async () => {
      const { flaky, timing } = failing(Number.POSITIVE_INFINITY)
      const waiting = Promise.withResolvers<void>()
      const wait = (_: number, signal: AbortSignal) => {
        waiting.resolve()
        return new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
      }
      const deadLetters = open({ timing: { ...timing, wait } }, flaky)
      const added = deadLetters.add(message(1), error, 'store')
      await Promise.all([expect(added).rejects.toBe(locked), waiting.promise.then(() => deadLetters.close())])
    })
  })

  test('fails when it cannot store, and works again when it can', async () => {
    await writeFile(join(folder, 'data'), 'in the way')
    const deadLetters = open()
    await expect(deadLetters.add(message(1), error, 'store')).rejects.toMatchObject({ code: 'storage_failed' })
    await rm(join(folder, 'data'))
    expect(await deadLetters.add(message(1), error, 'store')).toBe(1)
  })

  test('leaves a file of a newer version alone', async () => {
    await (await storage.open(file)).exec('PRAGMA user_version = 3')
    await expect(open().add(message(1), error, 'store')).rejects.toThrow(/written by a newer version/)
    expect(() => readDeadLetters(file)).toThrow(/written by a newer version/)
  })

  test('close without use does nothing; after it the file is complete', async () => {
    await open().close()
    expect(existsSync(file)).toBe(false)
    const deadLetters = open()
    const added = deadLetters.add(message(1), error, 'store')
    await deadLetters.close()
    await added
    expect(existsSync(`${file}-wal`)).toBe(false)
    expect(readDeadLetters(file)).toHaveLength(1)
  })
})

describe('reading', () => {
  test('chooses by endpoint, step, time and number, newest first', async () => {
    const deadLetters = open()
    const clock = createTestClock()
    for (let i = 0; i < 6; i++) {
      const source = { ...testSource({ endpoint: i % 2 === 0 ? 'even' : 'odd' }), clock }
      await deadLetters.add(createMessages([i], { source })[0]!, error, i < 3 ? 'early' : 'late')
      clock.advance(1000)
    }
    const values = (filter?: Parameters<typeof readDeadLetters>[1], limit?: number) =>
      readDeadLetters(file, filter, limit).map(({ value }) => Number(value))
    expect(values()).toEqual([5, 4, 3, 2, 1, 0])
    expect(values({ endpoint: 'even' })).toEqual([4, 2, 0])
    expect(values({ step: 'early', endpoint: 'even' })).toEqual([2, 0])
    expect(values({ since: Date.UTC(2026, 0, 1, 0, 0, 4) })).toEqual([5, 4])
    expect(values({}, 2)).toEqual([5, 4])
    expect(values({ endpoint: `x' OR 1=1 --` })).toEqual([])
    expect(readDeadLetter(file, 99)).toBeUndefined()
  })

  test('says when nothing has been kept yet', () => {
    expect(() => readDeadLetters(file)).toThrow(
      expect.objectContaining({
        code: 'storage_failed',
        message: `no dead letters yet: there is no file ${file}`,
        hint: expect.stringMatching(/data\.dir/),
      }),
    )
    expect(() => readDeadLetter(file, 1)).toThrow(/no dead letters yet/)
  })

  test('says when the file is something else', async () => {
    const other = join(folder, 'notes.txt')
    await writeFile(other, 'shopping list\n'.repeat(100))
    expect(() => readDeadLetters(other)).toThrow(/cannot be read: file is not a database/)
  })
})
