import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { compileOptions } from '../../test/support/options.ts'
import { createShare } from '../config/share.ts'
import { createBatch, createTestClock, createTestContext } from '../testing/part-context.ts'
import { sinkSuite } from '../testing/sink-suite.ts'
import { AppendFile } from './append-file.ts'
import { file } from './file.ts'
import { OpenFiles } from './open-files.ts'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-file-'))
})

afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

const create = async (path: string, context = createTestContext({ resolvePath: (some) => join(folder, some) })) =>
  await file.create(compileOptions(file, { path }), context)
const content = (name: string) => readFile(join(folder, name), 'utf8')

/** The path depends on the message, and is the same for all of them here. */
const suite = sinkSuite({
  async create() {
    const sink = await create('all/${endpoint}.txt')
    const received = async () => (await content('all/test.txt').catch(() => '')).split('\n').slice(0, -1)
    return { sink, received }
  },
})
for (const { name, run } of suite) test(`as any sink, with a path that is a template: ${name}`, run)

test('each message goes to the file that it names, and one that cannot name a file fails alone', async () => {
  const sink = await create('logs/${msg.device}/${formatTime(received, "YYYY-MM-DD")}.log')
  const outcomes = await sink.write(
    createBatch([{ device: 'a' }, { device: '../b' }, { device: 'c' }, { device: 'a' }]),
  )
  expect(outcomes?.map((error) => error?.code)).toEqual([undefined, 'expression_failed', undefined, undefined])
  await sink.close()
  expect(await content('logs/a/2026-01-01.log')).toBe('{"device":"a"}\n{"device":"a"}\n')
  expect(await content('logs/c/2026-01-01.log')).toBe('{"device":"c"}\n')
  expect(await readdir(folder)).toEqual(['logs'])
})

test('one file that cannot be written fails its messages and no others', async () => {
  const sink = await create('${msg}')
  await (await create('taken/x')).close()
  const outcomes = await sink.write(createBatch(['a', 'taken', 'b']))
  expect(outcomes?.map((error) => error?.code)).toEqual([undefined, 'sink_failed', undefined])
  await sink.close()
  expect(await content('b')).toBe('b\n')
})

test('a path that is the same for all shares the file of a template', async () => {
  const context = createTestContext({ resolvePath: (some) => join(folder, some), share: createShare() })
  const sinks = [await create('x.txt', context), await create('${msg}.txt', context)]
  await sinks[0]!.write(createBatch(['1']))
  await sinks[1]!.write(createBatch(['x']))
  await sinks[1]!.close()
  await sinks[0]!.write(createBatch(['2']))
  await sinks[0]!.close()
  expect(await content('x.txt')).toBe('1\nx\n2\n')
})

test('a bounded number of files is open, and each has all of its records in order', async () => {
  const share = createShare()
  const opened = new Set<string>()
  const open = (path: string) => {
    const shared = share(path, () => new AppendFile(path, createTestClock()))
    opened.add(path)
    return {
      value: shared.value,
      async release() {
        await shared.release()
        opened.delete(path)
      },
    }
  }
  const files = new OpenFiles(open, 3)
  let most = 0
  const writes = Array.from({ length: 200 }, (_, i) => {
    const name = join(folder, `${(i * 7) % 10}`)
    return files.with(name, (one) => {
      most = Math.max(most, opened.size)
      return one.append([Buffer.from(`${i}\n`)], { sync: false, separator: 10 })
    })
  })
  await Promise.all(writes)
  expect(files.size).toBe(3)
  // One more while the oldest is being closed.
  expect(most).toBeLessThanOrEqual(4)
  await files.close()
  expect(opened.size).toBe(0)
  for (let name = 0; name < 10; name++) {
    const expected = Array.from({ length: 200 }, (_, i) => i).filter((i) => (i * 7) % 10 === name)
    expect((await content(`${name}`)).trimEnd().split('\n').map(Number)).toEqual(expected)
  }
})
