import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { compileOptions } from '../../test/support/options.ts'
import type { PartContext } from '../contracts/context.ts'
import type { Outcomes } from '../contracts/sink.ts'
import { text } from '../formats/text.ts'
import { line } from '../framings/line.ts'
import { raw } from '../framings/raw.ts'
import { definitionSuite } from '../testing/definition-suite.ts'
import { createBatch, createFramesBatch, createTestClock, createTestContext } from '../testing/part-context.ts'
import { sinkSuite } from '../testing/sink-suite.ts'
import { file } from './file.ts'

let folder: string
let path: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-file-'))
  path = join(folder, 'out', 'messages.txt')
})

afterEach(async () => {
  vi.restoreAllMocks()
  limitFiles('unlimited')
  await rm(folder, { recursive: true, force: true })
})

const create = async (given: object = {}, context: PartContext = createTestContext()) =>
  await file.create(compileOptions(file, { path, ...given }), context)
const content = () => readFile(path, 'utf8')

/** Limits the length of every file that this process writes: a short write, then EFBIG. */
function limitFiles(bytes: number | 'unlimited'): void {
  execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${bytes}:`])
}

/** The methods that all open files share, to make one of them fail. */
async function fileMethods() {
  const handle = await open(join(folder, 'any'), 'w')
  await handle.close()
  return Object.getPrototypeOf(handle) as typeof handle
}

describe('the definition', () => {
  for (const { name, run } of definitionSuite(file)) test(name, run)

  test('confirms what its options are worth', () => {
    expect(file.confirms(file.options.parse({ path: 'a' }))).toBe('os')
    expect(file.confirms(file.options.parse({ path: 'a', fsync: true }))).toBe('durable')
  })
})

describe.each([false, true])('as any sink, with fsync: %s', (fsync) => {
  const suite = sinkSuite({
    unprintable: { value: undefined },
    create: async () => ({
      sink: await create({ fsync }),
      received: async () => (await content()).split('\n').slice(0, -1),
    }),
    async fail() {
      limitFiles((await stat(path)).size + 1)
      return async () => limitFiles('unlimited')
    },
  })
  for (const { name, run } of suite) test(name, run)
})

describe('the path', () => {
  test('relative ones start where the context says, and folders are made', async () => {
    const sink = await create(
      { path: 'deep/er/a.txt' },
      createTestContext({ resolvePath: (some) => join(folder, some) }),
    )
    await sink.write(createBatch(['a']))
    await sink.close()
    expect(await readFile(join(folder, 'deep/er/a.txt'), 'utf8')).toBe('a\n')
  })

  test('an existing file is continued', async () => {
    for (const value of ['a', 'b']) {
      const sink = await create()
      await sink.write(createBatch([value]))
      await sink.close()
    }
    expect(await content()).toBe('a\nb\n')
  })

  test('equal paths share one open file, until the last sink is closed', async () => {
    const context = createTestContext()
    const sinks = [await create({}, context), await create({ fsync: true }, context)]
    await Promise.all(sinks.map((sink, i) => sink.write(createBatch([`from ${i}`]))))
    await sinks[0]!.close()
    await sinks[1]!.write(createBatch(['still open']))
    await sinks[1]!.close()
    expect(await content()).toBe('from 0\nfrom 1\nstill open\n')
  })

  test('one that cannot be is an error at the start', async () => {
    await create({ path: join(folder, 'a') }).then((sink) => sink.close())
    await expect(create({ path: join(folder, 'a', 'b') })).rejects.toMatchObject({ code: 'sink_failed' })
    await expect(create({ path: folder })).rejects.toMatchObject({ code: 'sink_failed', retryable: false })
  })
})

test('format and framing are those of the options, else of the endpoint', async () => {
  const context = createTestContext({
    codec: { framing: line.create({ ending: 'crlf' }), format: text.create({ encoding: 'latin1' }) },
  })
  const sink = await create({}, context)
  await sink.write(createBatch(['é']))
  await sink.close()
  expect(await readFile(path)).toEqual(Buffer.from([0xe9, 10]))
  const options: Parameters<typeof file.create>[0] = compileOptions(file, { path })
  const other = await file.create(
    { ...options, format: text.create({ encoding: 'utf-8' }), framing: line.create({ ending: 'crlf' }) },
    context,
  )
  await other.write(createBatch(['é']))
  await other.close()
  expect(await readFile(path, 'latin1')).toBe('\xe9\n\xc3\xa9\r\n')
})

test('frames that nobody touched are written as they were read', async () => {
  const format = text.create({ encoding: 'utf-8' })
  const sink = await create(
    {},
    createTestContext({
      codec: { framing: line.create({ ending: 'lf' }), format },
      lineFraming: line.create({ ending: 'lf' }),
    }),
  )
  await sink.write(createFramesBatch(['a', '', 'é'], format))
  await sink.close()
  expect(await content()).toBe('a\n\né\n')
})

describe('merging', () => {
  test('writes that overlap share one write and one sync', async () => {
    const methods = await fileMethods()
    const sink = await create({ fsync: true })
    const writev = vi.spyOn(methods, 'writev')
    const datasync = vi.spyOn(methods, 'datasync')
    await Promise.all(Array.from({ length: 500 }, (_, i) => sink.write(createBatch([`m${i}`]))))
    expect(writev).toHaveBeenCalledTimes(2)
    expect(datasync).toHaveBeenCalledTimes(2)
    await sink.close()
    expect(await content()).toBe(Array.from({ length: 500 }, (_, i) => `m${i}\n`).join(''))
  })

  test('without fsync nothing is synced', async () => {
    const methods = await fileMethods()
    const sink = await create()
    const datasync = vi.spyOn(methods, 'datasync')
    await sink.write(createBatch(['a']))
    await sink.close()
    expect(datasync).not.toHaveBeenCalled()
  })

  test('more buffers than one system call takes', async () => {
    const sink = await create()
    await Promise.all(Array.from({ length: 3000 }, (_, i) => sink.write(createBatch([`m${i}`]))))
    await sink.close()
    expect((await content()).split('\n')).toHaveLength(3001)
  })

  test('a short write is completed', async () => {
    const methods = await fileMethods()
    const sink = await create()
    const real = methods.writev
    vi.spyOn(methods, 'writev').mockImplementation(async function (this: typeof methods, buffers) {
      return real.call(this, [Buffer.from((buffers[0] as Buffer).subarray(0, 3))])
    })
    await Promise.all(['first', 'second', 'third'].map((value) => sink.write(createBatch([value]))))
    await sink.close()
    expect(await content()).toBe('first\nsecond\nthird\n')
  })
})

describe('failures', () => {
  test('a full disk is worth another attempt', async () => {
    const sink = await create({ path: '/dev/full' })
    await expect(sink.write(createBatch(['a']))).rejects.toMatchObject({
      code: 'sink_unavailable',
      retryable: true,
      message: expect.stringContaining('/dev/full'),
    })
    await sink.close()
  })

  test('a group that did not fit leaves no half of a message, and can be written again', async () => {
    const sink = await create()
    await sink.write(createBatch(['whole']))
    await new Promise(setImmediate)
    limitFiles(16)
    const values = ['first', 'second', 'third']
    const results = await Promise.allSettled(values.map((value) => sink.write(createBatch([value]))))
    limitFiles('unlimited')
    // The first went alone and fitted; the others were one group, of which four bytes fitted.
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected'])
    expect(await content()).toBe('whole\nfirst\n')
    for (const value of values.slice(1)) await sink.write(createBatch([value]))
    await sink.close()
    expect(await content()).toBe('whole\nfirst\nsecond\nthird\n')
  })

  test('bytes that could not be synced are taken back', async () => {
    const methods = await fileMethods()
    const sink = await create({ fsync: true })
    await sink.write(createBatch(['a']))
    const broken = Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' })
    vi.spyOn(methods, 'datasync').mockRejectedValueOnce(broken)
    await expect(sink.write(createBatch(['b']))).rejects.toMatchObject({ code: 'sink_unavailable', retryable: true })
    expect(await content()).toBe('a\n')
    await sink.write(createBatch(['b']))
    await sink.close()
    expect(await content()).toBe('a\nb\n')
  })

  test('when taking back fails too, nothing is written until it has worked', async () => {
    const methods = await fileMethods()
    const sink = await create({ fsync: true })
    await sink.write(createBatch(['a']))
    const broken = Object.assign(new Error('EIO: i/o error'), { code: 'EIO' })
    vi.spyOn(methods, 'datasync').mockRejectedValueOnce(broken)
    vi.spyOn(methods, 'truncate').mockRejectedValueOnce(broken).mockRejectedValueOnce(broken)
    await expect(sink.write(createBatch(['lost']))).rejects.toMatchObject({ retryable: true })
    await expect(sink.write(createBatch(['too early']))).rejects.toMatchObject({ retryable: true })
    await sink.write(createBatch(['b']))
    await sink.close()
    expect(await content()).toBe('a\nb\n')
  })

  test.each([
    ['other\n', 'mine\nother\nagain\nmore\n'],
    ['half', 'mine\nhalf\nagain\nmore\n'],
  ])('what another program wrote behind a failure stays: %j', async (written, expected) => {
    const methods = await fileMethods()
    const sink = await create({ fsync: true }, createTestContext({ lineFraming: line.create({ ending: 'lf' }) }))
    const broken = Object.assign(new Error('EIO: i/o error'), { code: 'EIO' })
    vi.spyOn(methods, 'datasync').mockImplementationOnce(async () => {
      const other = await open(path, 'a')
      await other.write(written)
      await other.close()
      throw broken
    })
    await expect(sink.write(createBatch(['mine']))).rejects.toMatchObject({ retryable: true })
    await sink.write(createBatch(['again']))
    await sink.write(createBatch(['more']))
    await sink.close()
    expect(await content()).toBe(expected)
  })
})

describe('a file that goes away', () => {
  test.each([
    ['at once with fsync', { fsync: true }, 0],
    ['within 100 ms without', {}, 100],
  ])('renamed: %s a new one is begun, and nothing is lost', async (_, options, milliseconds) => {
    const clock = createTestClock()
    const sink = await create(options, createTestContext({ clock }))
    await sink.write(createBatch(['a']))
    await rename(path, `${path}.1`)
    clock.advance(milliseconds)
    await sink.write(createBatch(['b']))
    await sink.write(createBatch(['c']))
    await sink.close()
    expect(await readFile(`${path}.1`, 'utf8')).toBe('a\nb\n')
    expect(await content()).toBe('c\n')
  })

  test('that ends in half a line, because the power failed say, gets its line end before the next message', async () => {
    await mkdir(dirname(path))
    await writeFile(path, 'whole\nhal')
    const sink = await create({}, createTestContext({ lineFraming: line.create({ ending: 'lf' }) }))
    await sink.write(createBatch(['next']))
    await sink.write(createBatch(['one more']))
    await sink.close()
    expect(await content()).toBe('whole\nhal\nnext\none more\n')
  })

  test.each([
    ['in one group', false],
    ['one after the other', true],
  ])(
    'gets it before the first message that has one, where sinks of several framings share it: %s',
    async (_, apart) => {
      await mkdir(dirname(path))
      await writeFile(path, 'whole\nhal')
      const context = createTestContext({ lineFraming: raw.create({}) })
      const lines = createTestContext({ lineFraming: line.create({ ending: 'lf' }), share: context.share })
      const sinks = [
        await create({}, context),
        await create({}, context),
        await create({}, lines),
        await create({}, lines),
      ]
      const written: (void | Outcomes | Promise<void | Outcomes>)[] = []
      for (const [i, sink] of sinks.entries()) {
        // While the first is being written, the others wait for the next group.
        written.push(sink.write(createBatch([['', 'f', 'next', 'last'][i]])))
        if (apart) await written[i]
      }
      await Promise.all(written)
      await Promise.all(sinks.map((sink) => sink.close()))
      expect(await content()).toBe('whole\nhalf\nnext\nlast\n')
    },
  )

  test('is left as it is where the framing has no byte between its frames', async () => {
    await mkdir(dirname(path))
    await writeFile(path, 'hal')
    const sink = await create({}, createTestContext({ lineFraming: raw.create({}) }))
    await sink.write(createBatch(['next']))
    await sink.close()
    expect(await content()).toBe('halnext')
  })

  test('emptied by log rotation: goes on at its begin', async () => {
    const sink = await create()
    await sink.write(createBatch(['a']))
    const other = await open(path, 'r+')
    await other.truncate(0)
    await other.close()
    await sink.write(createBatch(['b']))
    await sink.close()
    expect(await content()).toBe('b\n')
  })

  test.each(['the file', 'its folder'])('%s removed: what is confirmed stands in a new one', async (what) => {
    const clock = createTestClock()
    const sink = await create({}, createTestContext({ clock }))
    await sink.write(createBatch(['a']))
    clock.advance(100)
    await rm(what === 'the file' ? path : join(folder, 'out'), { recursive: true })
    await sink.write(createBatch(['b']))
    expect(await content()).toBe('b\n')
    await sink.close()
  })
})
