import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { PassThrough, Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import { definitionSuite } from '../testing/definition-suite.ts'
import { createBatch, createTestContext } from '../testing/part-context.ts'
import { sinkSuite } from '../testing/sink-suite.ts'
import { ByteSink } from './byte-sink.ts'
import { StreamOutput, stdout } from './stdout.ts'

function createOn(stream: Writable): ByteSink {
  const output = new StreamOutput(stream)
  return new ByteSink({}, createTestContext(), {
    take: (out) => output.write(out.take()),
    release: async () => output.close(),
  })
}

describe('the definition', () => {
  for (const { name, run } of definitionSuite(stdout)) test(name, run)
})

describe('as any sink', () => {
  const suite = sinkSuite({
    unprintable: { value: undefined },
    async create() {
      const stream = new PassThrough()
      let all = ''
      stream.on('data', (chunk) => {
        all += chunk
      })
      return { sink: createOn(stream), received: async () => all.split('\n').slice(0, -1) }
    },
  })
  for (const { name, run } of suite) test(name, run)
})

test('waits while nobody reads', async () => {
  const taken: (() => void)[] = []
  const stream = new Writable({ highWaterMark: 1, write: (_chunk, _encoding, done) => taken.push(done) })
  const sink = createOn(stream)
  let finished = 0
  const writes = ['a', 'b'].map(async (value) => {
    await sink.write(createBatch([value]))
    finished++
  })
  const closed = sink.close()
  expect(finished).toBe(0)
  taken[0]!()
  await writes[0]
  expect(finished).toBe(1)
  await new Promise(setImmediate)
  taken[1]!()
  await Promise.all([...writes, closed])
})

/** Runs a program that writes through the sink of a test context. */
function run(body: string) {
  const from = (path: string) => JSON.stringify(new URL(path, import.meta.url).href)
  const program = `
    import { stdout } from ${from('./stdout.ts')}
    import { createBatch, createTestContext } from ${from('../testing/part-context.ts')}
    const sink = await stdout.create({}, createTestContext())
    ${body}
  `
  return spawn(process.execPath, ['--input-type=module', '--eval', program], { stdio: ['ignore', 'pipe', 'pipe'] })
}

test('writes to the standard output of the process', async () => {
  const child = run(`
    for (let i = 0; i < 3; i++) await sink.write(createBatch(['line ' + i]))
    await sink.close()
    process.stdout.write('still open')
  `)
  expect(await text(child.stdout)).toBe('line 0\nline 1\nline 2\nstill open')
})

test('a pipe that breaks fails the writes and does not end the process', async () => {
  const child = run(`
    let failure
    while (failure === undefined) await sink.write(createBatch(['x'.repeat(1000)])).catch((error) => { failure = error })
    await new Promise(setImmediate)
    console.error(failure.code, failure.message)
    await sink.close()
  `)
  await once(child.stdout, 'data')
  child.stdout.destroy()
  expect(await text(child.stderr)).toContain('sink_failed cannot write to stdout')
})
