import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { createInterface } from 'node:readline'
import { gunzipSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { compileOptions } from '../../test/support/options.ts'
import { eventually } from '../../test/support/parts.ts'
import { createBatch, createTestClock, createTestContext } from '../testing/part-context.ts'
import { file } from './file.ts'
import { setAside, tidy } from './file-rotation.ts'

const DAY = 86_400_000
let folder: string
let path: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-rotate-'))
  path = join(folder, 'log')
})

afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

function create(rotate: object, { to = path, fsync = false, clock = createTestClock() } = {}) {
  const context = createTestContext({ clock })
  const sink = Promise.resolve(file.create(compileOptions(file, { path: to, rotate, fsync }), context))
  return sink.then((made) => ({
    clock,
    context,
    close: () => made.close(),
    write: async (...values: string[]) => expect(await made.write(createBatch(values))).toBeUndefined(),
  }))
}

/** What stands in the files, oldest first, whichever form they have; what is being compressed is there in another form. */
async function contents(): Promise<string[]> {
  const names = (await readdir(folder)).filter((name) => name !== 'log' && !name.endsWith('.tmp')).sort()
  const texts = names.map(async (name) => {
    const bytes = await readFile(join(folder, name))
    return (name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString()
  })
  return [...(await Promise.all(texts)), await readFile(path, 'utf8')]
}

test('the options: one reason is needed', () => {
  const problem = (rotate: object) => file.options.safeParse({ path: 'a', rotate }).error?.issues[0]?.message
  expect(problem({ maxSize: '1MiB' })).toBeUndefined()
  expect(problem({ every: '1d', keep: 14, maxTotal: '1GiB', compress: 'gzip' })).toBeUndefined()
  expect(problem({ keep: 3 })).toBe('one of maxSize and every is needed')
  expect(problem({ every: '1s' })).toBe('expected at least 1m')
  expect(problem({ maxSize: 0 })).toBe('expected at least one byte')
})

describe('by size', () => {
  test('a file that would become too long is set aside, with the time in its name', async () => {
    const sink = await create({ maxSize: 10 })
    for (const value of ['aaaa', 'bbbb', 'cccc']) await sink.write(value)
    await sink.write('a single write that is longer')
    await sink.write('dddd')
    await sink.close()
    expect(await contents()).toEqual(['aaaa\nbbbb\n', 'cccc\n', 'a single write that is longer\n', 'dddd\n'])
    expect((await readdir(folder)).sort()).toEqual([
      'log',
      'log.20260101T000000000Z',
      'log.20260101T000000001Z',
      'log.20260101T000000002Z',
    ])
  })

  test('whatever is written and however often it is opened, every message stands there once and in order', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ length: fc.nat(30), many: fc.integer({ min: 1, max: 4 }), reopen: fc.boolean() }), {
          maxLength: 15,
        }),
        fc.constantFrom('none', 'gzip'),
        async (writes, compress) => {
          await rm(folder, { recursive: true })
          let sink = await create({ maxSize: 40, compress })
          const expected: string[] = []
          for (const { length, many, reopen } of writes) {
            const values = Array.from({ length: many }, () => `${expected.length} ${'x'.repeat(length)}`)
            await sink.write(...values)
            expected.push(...values)
            if (reopen) {
              await sink.close()
              sink = await create({ maxSize: 40, compress })
            }
          }
          await sink.close()
          expect((await contents()).join('')).toBe(expected.map((value) => `${value}\n`).join(''))
        },
      ),
      { numRuns: 30 },
    )
  })

  test('one that another program emptied is not set aside', async () => {
    const sink = await create({ maxSize: 10 })
    await sink.write('aaaaaaa')
    await writeFile(path, '')
    await sink.write('bbbbbbb')
    await sink.close()
    expect(await contents()).toEqual(['bbbbbbb\n'])
  })

  test('one that another program renamed is left where it is', async () => {
    const sink = await create({ maxSize: 10 })
    await sink.write('aaaaaaa')
    await rename(path, join(folder, 'elsewhere'))
    await sink.write('bbbbbbb')
    await sink.close()
    expect(await contents()).toEqual(['aaaaaaa\n', 'bbbbbbb\n'])
  })
})

describe('by time', () => {
  test('the first message of a new day, in UTC, begins a new file', async () => {
    const sink = await create({ every: '1d' })
    await sink.write('a')
    sink.clock.advance(DAY - 1)
    await sink.write('still the same day')
    sink.clock.advance(1)
    await sink.write('b')
    sink.clock.advance(3 * DAY)
    await sink.write('c')
    await sink.close()
    expect(await contents()).toEqual(['a\nstill the same day\n', 'b\n', 'c\n'])
  })

  test('also when the server was away at midnight', async () => {
    const clock = createTestClock()
    const sink = await create({ every: '1d' }, { clock })
    await sink.write('yesterday')
    await sink.close()
    const yesterday = new Date(clock.now())
    await utimes(path, yesterday, yesterday)
    clock.advance(DAY)
    const again = await create({ every: '1d' }, { clock })
    await again.write('today')
    await again.close()
    expect(await contents()).toEqual(['yesterday\n', 'today\n'])
  })
})

describe('what was set aside', () => {
  test('is compressed, and the newest stay', async () => {
    const sink = await create({ maxSize: 1, keep: 2, compress: 'gzip' })
    for (const value of ['a', 'b', 'c', 'd']) await sink.write(value)
    await eventually(() => readdirSync(folder).filter((name) => name.endsWith('Z.gz')).length === 2)
    await eventually(() => readdirSync(folder).length === 3)
    expect(await contents()).toEqual(['b\n', 'c\n', 'd\n'])
    await sink.close()
  })

  test('has at most maxTotal bytes', async () => {
    const sink = await create({ maxSize: 1, maxTotal: 25 })
    for (const value of ['a', 'b', 'c', 'd']) await sink.write(value.repeat(9))
    await eventually(() => readdirSync(folder).length === 3)
    expect(await contents()).toEqual(['bbbbbbbbb\n', 'ccccccccc\n', 'ddddddddd\n'])
    await sink.close()
  })

  test('and was left half done is finished when the file is opened: nothing is lost or there twice', async () => {
    const name = (day: number, ending = '') => join(folder, `log.2026010${day}T000000000Z${ending}`)
    // Killed while it compressed, between the rename and the removal, and behind the rotation; and a file of somebody else.
    await writeFile(name(1), 'one\n')
    await writeFile(name(1, '.gz.99999999.tmp'), gzipSync('one\n').subarray(0, 10))
    await writeFile(name(2), 'two\n')
    await writeFile(name(2, '.gz'), gzipSync('two\n'))
    await writeFile(name(3), 'three\n')
    await writeFile(`${path}.old`, 'not ours\n')
    const sink = await create({ every: '1d', compress: 'gzip', keep: 10 })
    const expected = [1, 2, 3].map((day) => `log.2026010${day}T000000000Z.gz`)
    await eventually(() => readdirSync(folder).join() === ['log', ...expected, 'log.old'].join())
    expect(await contents()).toEqual(['one\n', 'two\n', 'three\n', 'not ours\n', ''])
    await sink.close()
  })

  test('is compressed later when the sink is closed meanwhile', async () => {
    await writeFile(`${path}.20260101T000000000Z`, Buffer.alloc(20_000_000, 'x'))
    const sink = await create({ every: '1d', compress: 'gzip' })
    await sink.close()
    expect((await stat(`${path}.20260101T000000000Z`)).size).toBe(20_000_000)
    expect(sink.context.logs).toEqual([])
  })
})

test('two workers that rotate one path at the same moment: neither takes the name of the other', async () => {
  const now = Date.UTC(2026, 0, 1)
  const written: string[] = []
  const begin = () => {
    written.push(`${written.length}`)
    writeFileSync(path, written.at(-1)!)
  }
  begin()
  for (let round = 0; round < 50; round++) {
    // Whoever comes too late finds nothing to rename, or the file that was begun meanwhile.
    const settled = await Promise.allSettled(Array.from({ length: 3 }, () => setAside(path, now).then(begin)))
    for (const one of settled) if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: 'ENOENT' })
  }
  const texts = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'))
  expect(texts.sort()).toEqual(written.sort())
})

test('a file that another worker still writes to is not compressed before it has noticed', async () => {
  const aside = `${path}.20260101T000000000Z`
  await writeFile(aside, Buffer.alloc(5_000_000, 'x'))
  const tidied = tidy(path, { compress: 'gzip' }, new AbortController().signal)
  await eventually(() => readdirSync(folder).length === 2)
  appendFileSync(aside, 'late')
  await tidied
  await tidy(path, { compress: 'gzip' }, new AbortController().signal)
  expect(readdirSync(folder)).toEqual(['log.20260101T000000000Z.gz'])
  expect(
    gunzipSync(readFileSync(`${aside}.gz`))
      .subarray(-5)
      .toString(),
  ).toBe('xlate')
})

test('a name that was taken by a process that ended before it renamed its file is left alone, and counts for nothing', async () => {
  const [full, taken] = [`${path}.20260101T000000000Z`, `${path}.20260101T000000001Z`]
  await writeFile(full, 'a')
  await writeFile(taken, '')
  await tidy(path, { keep: 1, compress: 'none' }, new AbortController().signal)
  expect(readdirSync(folder)).toEqual([basename(full), basename(taken)])
})

test('a rotation that fails is told of, and the file grows on', async () => {
  const to = join(folder, 'n'.repeat(250))
  const sink = await create({ maxSize: 3 }, { to })
  for (const value of ['aaa', 'bbb', 'ccc']) await sink.write(value)
  expect(await readFile(to, 'utf8')).toBe('aaa\nbbb\nccc\n')
  expect(sink.context.logs).toMatchObject([
    { level: 'warn', text: expect.stringContaining('so it grows on: ENAMETOOLONG') },
  ])
  sink.clock.advance(60_000)
  await sink.write('ddd')
  expect(sink.context.logs).toHaveLength(2)
  await sink.close()
})

/** Writes numbered lines from a number on and says which are confirmed. */
const WRITER = `
  const { writeSync } = await import('node:fs')
  const [{ file }, { compileOptions }, { createTestContext, createBatch }] = await Promise.all(
    ['./file.ts', '../../test/support/options.ts', '../testing/part-context.ts'].map((name) => import(new URL(name, process.argv[1]))),
  )
  const rotate = { maxSize: 500, compress: 'gzip' }
  const clock = { now: Date.now, uuid: String, next: () => 0 }
  const sink = await file.create(compileOptions(file, { path: process.argv[2], rotate }), createTestContext({ clock }))
  for (let number = Number(process.argv[3]); ; number++) {
    await sink.write(createBatch(['line ' + number]))
    // Blocks while nobody reads: a kill would take with it what process.stdout keeps in memory.
    writeSync(1, number + '\\n')
  }
`

test('a kill at any moment loses no confirmed message and writes none twice', async () => {
  let next = 0
  const confirmed: number[] = []
  for (let round = 0; round < 6; round++) {
    const writer = spawn(process.execPath, ['--input-type=module', '-e', WRITER, import.meta.url, path, `${next}`])
    let seen = 0
    for await (const text of createInterface(writer.stdout)) {
      confirmed.push(Number(text))
      next = Number(text) + 2
      if (++seen === 150 + 67 * round) writer.kill('SIGKILL')
    }
    if (writer.exitCode === null && writer.signalCode === null) await once(writer, 'exit')
    expect(seen).toBeGreaterThan(0)
  }
  // Opening it once more finishes what was broken off.
  const sink = await create({ maxSize: 500, compress: 'gzip' })
  // A kill between the taking of a name and the renaming leaves an empty file.
  const isTaken = (name: string) => statSync(join(folder, name), { throwIfNoEntry: false })?.size === 0
  const isDone = (name: string) => name === 'log' || name.endsWith('Z.gz') || (!name.endsWith('.tmp') && isTaken(name))
  await eventually(() => readdirSync(folder).every(isDone))
  await sink.close()
  const lines = (await contents()).join('').split('\n').slice(0, -1)
  expect(new Set(lines).size).toBe(lines.length)
  const there = new Set(lines)
  expect(confirmed.filter((number) => !there.has(`line ${number}`))).toEqual([])
  expect(confirmed.length).toBeGreaterThan(1500)
})
